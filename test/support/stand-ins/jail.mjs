// What every stand-in does instead of isolation: it runs the command for real, as a process of this
// machine, with the guest's paths put onto real folders. It enforces a runtime's contract, never
// its walls.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { delimiter, dirname } from 'node:path';

/** @typedef {{guest: string, real: string}} Mount */

/**
 * Guest paths in a text, turned into real ones. Longest first, whole path components only.
 * @param {string} text
 * @param {Mount[]} mounts
 */
export function translate(text, mounts) {
  const ordered = [...mounts].sort((a, b) => b.guest.length - a.guest.length);
  const pattern = ordered
    .map(({ guest }) => guest.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('|');
  if (pattern === '') return text;
  return text.replace(
    new RegExp(`(?<![\\w/.-])(${pattern})(?![\\w.-])`, 'g'),
    (found) => ordered.find(({ guest }) => guest === found)?.real ?? found,
  );
}

/**
 * PATH inside: the pinned agent, this Node, then the machine's own programs; never the stand-ins
 * themselves. A folder that CAGEMATCH_STAND_IN_AGENT names comes before the agent's, for tests in
 * which the agent is only a process.
 */
export function guestPath() {
  const require = createRequire(import.meta.url);
  const agents = ['', '-musl'].flatMap((suffix) => {
    try {
      return [
        dirname(
          require.resolve(
            `@anthropic-ai/claude-code-${process.platform}-${process.arch}${suffix}/package.json`,
          ),
        ),
      ];
    } catch {
      return [];
    }
  });
  const instead = process.env.CAGEMATCH_STAND_IN_AGENT;
  return [
    ...(instead === undefined ? agents : [instead]),
    dirname(process.execPath),
    '/usr/local/bin',
    '/usr/bin',
    '/bin',
  ].join(delimiter);
}

/**
 * Starts a command in the jail, leading a process group of its own; as `user` where the caller may
 * choose.
 * @param {{argv: string[], env: Record<string, string>, cwd: string, mounts: Mount[], stdio:
 *   import('node:child_process').StdioOptions, user?: {uid: number, gid: number} | undefined}}
 *   options
 */
export function runJailed({ argv, env, cwd, mounts, stdio, user }) {
  const [file = 'true', ...args] = argv.map((word) => translate(word, mounts));
  const inside = Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, translate(value, mounts)]),
  );
  const as = user !== undefined && process.getuid?.() === 0 ? user : {};
  return spawn(file, args, {
    cwd: translate(cwd, mounts),
    env: { PATH: guestPath(), ...inside },
    stdio,
    detached: true,
    ...as,
  });
}

/** @param {number | undefined} pid */
export function killJailed(pid) {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}
