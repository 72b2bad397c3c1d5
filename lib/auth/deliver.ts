// How a credential goes to the agent inside: as a variable, or as the file in which the agent keeps its login.
import { randomBytes } from 'node:crypto';
import { keepSecret } from '../secrets.js';
import type { Credential } from './credential.js';

export type Delivery =
  | { how: 'env'; variable: string; secret: string }
  /** `document`: what the file holds, as one line. */
  | { how: 'file'; document: string };

/** The name under which the agent takes it. */
export function variableOf({ kind }: Pick<Credential, 'kind'>): string {
  if (kind === 'oauth') return 'CLAUDE_CODE_OAUTH_TOKEN';
  return kind === 'auth-token' ? 'ANTHROPIC_AUTH_TOKEN' : 'ANTHROPIC_API_KEY';
}

/** A token that opens the gateway of this match and nothing else goes as if it were a plan's. */
export function asToken(token: string): Delivery {
  return { how: 'env', variable: 'CLAUDE_CODE_OAUTH_TOKEN', secret: token };
}

/** What a runtime's own proxy replaces by the key that it keeps. */
export function asProxied(): Delivery {
  return { how: 'env', variable: 'ANTHROPIC_API_KEY', secret: 'proxy-managed' };
}

export function asVariable(credential: Credential): Delivery {
  return { how: 'env', variable: variableOf(credential), secret: credential.secret };
}

/** A file may hold a plan's token only. */
export function goesAsFile({ kind }: Pick<Credential, 'kind'>): boolean {
  return kind === 'oauth';
}

/**
 * The access token alone: a refresh token is for one use, and a sandbox that used it would log the user out.
 * (The agent takes a file without one; seen of 2.1.197.)
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

/** Stands for the user's credential where none may be spent: of the same shape, worthless, and known by nobody else. */
export function canary(): Credential {
  const secret = `sk-ant-oat01-${randomBytes(70).toString('base64url')}-AA`;
  keepSecret(secret, 'canary');
  return { kind: 'oauth', source: 'environment', where: 'canary', secret };
}
