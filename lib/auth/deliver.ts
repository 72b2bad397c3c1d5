// Credential delivery to the agent inside: as an environment variable, or as the file in which the
// agent stores its login.
import { randomBytes } from 'node:crypto';
import { keepSecret } from '../secrets.js';
import type { Credential } from './credential.js';

export type Delivery =
  | { how: 'env'; variable: string; secret: string }
  /** `document`: the content of the file, on one line. */
  | { how: 'file'; document: string };

/** The environment variable in which the agent expects this kind of credential. */
export function variableOf({ kind }: Pick<Credential, 'kind'>): string {
  if (kind === 'oauth') return 'CLAUDE_CODE_OAUTH_TOKEN';
  return kind === 'auth-token' ? 'ANTHROPIC_AUTH_TOKEN' : 'ANTHROPIC_API_KEY';
}

/**
 * Delivers a token that is valid only at this match's gateway, in the variable of a plan's token.
 */
export function asToken(token: string): Delivery {
  return { how: 'env', variable: 'CLAUDE_CODE_OAUTH_TOKEN', secret: token };
}

/** Delivers the placeholder that a runtime's own proxy replaces with the key that it stores. */
export function asProxied(): Delivery {
  return { how: 'env', variable: 'ANTHROPIC_API_KEY', secret: 'proxy-managed' };
}

export function asVariable(credential: Credential): Delivery {
  return { how: 'env', variable: variableOf(credential), secret: credential.secret };
}

/** Only a plan's token can be delivered as a file. */
export function goesAsFile({ kind }: Pick<Credential, 'kind'>): boolean {
  return kind === 'oauth';
}

/**
 * Delivers the access token alone: a refresh token can be used only once, and a sandbox that used
 * it would log the user out. (The agent accepts a file without one; observed with 2.1.197.)
 */
export function asFile({ secret, expiresAt, scopes, plan }: Credential): Delivery {
  const login = {
    accessToken: secret,
    expiresAt: expiresAt?.getTime() ?? Date.now() + EIGHT_HOURS_MS,
    scopes: scopes ?? ['user:inference'],
    ...(plan === undefined ? {} : { subscriptionType: plan }),
  };
  return { how: 'file', document: JSON.stringify({ claudeAiOauth: login }) };
}

const EIGHT_HOURS_MS = 8 * 3_600_000;

/**
 * A worthless replacement for the user's credential in replay: of the same format, and known to
 * nobody else.
 */
export function canary(): Credential {
  const secret = `sk-ant-oat01-${randomBytes(70).toString('base64url')}-AA`;
  keepSecret(secret, 'canary');
  return { kind: 'oauth', source: 'environment', where: 'canary', secret };
}
