// Finds the user's own credential: environment, then macOS Keychain, then the agent's credentials file.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Env } from '../contract.js';
import { capture } from '../exec.js';

export interface Credential {
  kind: 'oauth' | 'api-key';
  /** Never printed, stored, or put into an argv. */
  secret: string;
  source: 'environment' | 'keychain' | 'file';
  /** Where exactly: a variable's name, a Keychain service, a path. */
  where: string;
  expiresAt?: Date;
  plan?: string;
  scopes?: string[];
}

export type Found = { credential: Credential } | { missing: string; looked: string[] };

const KEYCHAIN_SERVICE = 'Claude Code-credentials';

const oauthBlob = z.object({
  claudeAiOauth: z.object({
    accessToken: z.string().min(1),
    expiresAt: z.number().nullish(),
    scopes: z.array(z.string()).nullish(),
    subscriptionType: z.string().nullish(),
  }),
});

/** Given on purpose: in `.env` or the environment. An API key wins over a token, as in the agent itself. */
export function givenCredential(env: Env): Credential | undefined {
  if (env.ANTHROPIC_API_KEY) return { kind: 'api-key', secret: env.ANTHROPIC_API_KEY, source: 'environment', where: 'ANTHROPIC_API_KEY' };
  if (env.CLAUDE_CODE_OAUTH_TOKEN)
    return { kind: 'oauth', secret: env.CLAUDE_CODE_OAUTH_TOKEN, source: 'environment', where: 'CLAUDE_CODE_OAUTH_TOKEN' };
  return undefined;
}

/** The first credential in the order environment, Keychain, file; or where all it looked. */
export async function findCredential(env: Env, platform: NodeJS.Platform): Promise<Found> {
  const given = givenCredential(env);
  if (given) return { credential: given };
  const looked = ['CLAUDE_CODE_OAUTH_TOKEN and ANTHROPIC_API_KEY in the environment and .env'];
  if (platform === 'darwin') {
    const held = await fromKeychain(env);
    if (held) return { credential: held };
    looked.push(`Keychain item "${keychainService(env)}"`);
  }
  // Empty counts as unset: a path that begins with nothing would be looked for in the current folder.
  const path = join(env.CLAUDE_CONFIG_DIR || join(env.HOME || homedir(), '.claude'), '.credentials.json');
  looked.push(path);
  const filed = readBlob(() => readFileSync(path, 'utf8'), 'file', path);
  return filed ? { credential: filed } : { missing: 'no credential found', looked };
}

/** The agent keeps the login of another settings folder in an item of its own. */
function keychainService(env: Env): string {
  const folder = env.CLAUDE_SECURESTORAGE_CONFIG_DIR || env.CLAUDE_CONFIG_DIR;
  return folder ? `${KEYCHAIN_SERVICE}-${createHash('sha256').update(folder).digest('hex').slice(0, 8)}` : KEYCHAIN_SERVICE;
}

// With the account: a second item of the same service, under another account, can hold no login at all.
async function fromKeychain(env: Env): Promise<Credential | undefined> {
  const account = env.USER || userInfo().username;
  const service = keychainService(env);
  const read = await capture(['security', 'find-generic-password', '-a', account, '-w', '-s', service], {
    env,
    timeoutMs: 10_000,
  });
  if (read.end.type !== 'exit' || read.end.code !== 0) return undefined;
  return readBlob(() => read.stdout, 'keychain', service);
}

function readBlob(read: () => string, source: 'keychain' | 'file', where: string): Credential | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(read());
  } catch {
    return undefined;
  }
  const blob = oauthBlob.safeParse(parsed);
  if (!blob.success) return undefined;
  const { accessToken, expiresAt, scopes, subscriptionType } = blob.data.claudeAiOauth;
  return {
    kind: 'oauth',
    secret: accessToken,
    source,
    where,
    ...(typeof expiresAt === 'number' ? { expiresAt: new Date(expiresAt) } : {}),
    ...(subscriptionType ? { plan: subscriptionType } : {}),
    ...(scopes ? { scopes } : {}),
  };
}

/** Enough of a secret to recognise it by, never enough to use it. */
export function mask(secret: string): string {
  return secret.length > 40 ? `${secret.slice(0, 13)}…${secret.slice(-4)}` : '…';
}
