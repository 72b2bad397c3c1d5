// The agent's items in the macOS Keychain.
import { createHash } from 'node:crypto';
import { userInfo } from 'node:os';
import type { Env } from '../contract.js';
import { capture, whyFailed } from '../os/capture.js';
import type { Problem } from './credential.js';

/** The login, and the API key that older versions stored. */
export const LOGIN = 'Claude Code-credentials';
export const LEGACY_KEY = 'Claude Code';

/**
 * The Keychain service name. With a non-default settings folder, the agent uses a separate item.
 */
export function serviceOf(name: string, env: Env): string {
  const folder = env.CLAUDE_SECURESTORAGE_CONFIG_DIR || env.CLAUDE_CONFIG_DIR;
  return folder ? `${name}-${createHash('sha256').update(folder).digest('hex').slice(0, 8)}` : name;
}

/** The exit code of `security` if there is no such item. */
const NOT_FOUND = 44;
const LOCKED = 36;
const DENIED = 128;

/**
 * Reads an item for this account: a second item of the same service, under another account, may
 * contain no login.
 * @returns undefined if there is no such item
 */
export async function readKeychain(
  service: string,
  env: Env,
): Promise<{ text: string } | { problem: Problem } | undefined> {
  const account = env.USER || userInfo().username;
  const result = await capture(
    ['security', 'find-generic-password', '-a', account, '-w', '-s', service],
    { env, timeoutMs: 10_000 },
  );
  const code = result.end.type === 'exit' ? result.end.code : undefined;
  if (code === 0) return { text: result.stdout.replace(/\n$/, '') };
  if (code === NOT_FOUND || result.failure === 'missing') return undefined;
  const named = `the Keychain item "${service}"`;
  if (code === LOCKED || /interaction is not allowed/i.test(result.stderr))
    return {
      problem: {
        text: `${named} cannot be read: the Keychain is locked`,
        hint: 'security unlock-keychain',
      },
    };
  if (code === DENIED || /denied|cancell?ed/i.test(result.stderr))
    return {
      problem: {
        text: `${named} cannot be read: access was denied`,
        hint: 'try again and choose Always Allow',
      },
    };
  return {
    problem: {
      text: `${named} cannot be read: ${whyFailed(result)}`,
      hint: 'claude setup-token prints a token for .env',
    },
  };
}
