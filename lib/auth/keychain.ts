// The agent's items in the macOS Keychain.
import { createHash } from 'node:crypto';
import { userInfo } from 'node:os';
import type { Env } from '../contract.js';
import { capture, whyFailed } from '../os/exec.js';
import type { Problem } from './credential.js';

/** The login, and the API key that older versions kept. */
export const LOGIN = 'Claude Code-credentials';
export const LEGACY_KEY = 'Claude Code';

/** The agent keeps the login of another settings folder in an item of its own. */
export function serviceOf(name: string, env: Env): string {
  const folder = env.CLAUDE_SECURESTORAGE_CONFIG_DIR || env.CLAUDE_CONFIG_DIR;
  return folder ? `${name}-${createHash('sha256').update(folder).digest('hex').slice(0, 8)}` : name;
}

/** `security` says no such item by this code. */
const NOT_FOUND = 44;
const LOCKED = 36;
const DENIED = 128;

/**
 * Asked with the account: a second item of the same service, under another account, can hold no login at all.
 * @returns undefined where there is no such item
 */
export async function readKeychain(service: string, env: Env): Promise<{ text: string } | { problem: Problem } | undefined> {
  const account = env.USER || userInfo().username;
  const asked = await capture(['security', 'find-generic-password', '-a', account, '-w', '-s', service], { env, timeoutMs: 10_000 });
  const code = asked.end.type === 'exit' ? asked.end.code : undefined;
  if (code === 0) return { text: asked.stdout.replace(/\n$/, '') };
  if (code === NOT_FOUND || asked.failure === 'missing') return undefined;
  const named = `the Keychain item "${service}"`;
  if (code === LOCKED || /interaction is not allowed/i.test(asked.stderr))
    return { problem: { text: `${named} cannot be read: the Keychain is locked`, hint: 'security unlock-keychain' } };
  if (code === DENIED || /denied|cancell?ed/i.test(asked.stderr))
    return { problem: { text: `${named} cannot be read: access was denied`, hint: 'try again and choose Always Allow' } };
  return { problem: { text: `${named} cannot be read: ${whyFailed(asked)}`, hint: 'claude setup-token prints a token for .env' } };
}
