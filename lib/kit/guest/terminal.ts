// A command with a terminal in a guest whose client cannot pass on an environment variable without
// showing its value.

import { randomUUID } from 'node:crypto';
import type { Command, GuestShell } from '../../contract.js';
import { CagematchError } from '../../errors.js';
import { lastLine } from '../../os/printable.js';
import { quoted } from '../../os/quoted.js';

/** FILE, with text on stdin: writes a file that only this user can read. */
const WRITE = 'umask 077; cat >"$1"';

/**
 * FILE CWD COMMAND…: takes the secrets from the file, removes it, and becomes the command. FILE is
 * empty where there are none.
 */
const RUN = `if [ -n "$1" ]; then . "$1" && rm -f "$1" || exit; fi
cd "$2" || exit
shift 2
exec "$@"`;

/**
 * The argv to run in the guest in place of the command. Its secrets are in a file of the guest
 * until the command takes them.
 * @param folder a folder of the guest that its user may write to, in memory if possible
 * @throws `launch-failed` if the secrets cannot be written there
 */
export async function terminalArgv(
  shell: GuestShell,
  folder: string,
  command: Omit<Command, 'stdin'>,
): Promise<[string, ...string[]]> {
  const env = Object.entries(command.env).map(([name, value]) => `${name}=${value}`);
  const file = await writeSecrets(shell, folder, command.secretEnv);
  return ['/bin/sh', '-c', RUN, 'cagematch', file, command.cwd, 'env', ...env, ...command.argv];
}

async function writeSecrets(
  shell: GuestShell,
  folder: string,
  secrets: Command['secretEnv'],
): Promise<string> {
  const lines = Object.entries(secrets).map(([name, value]) => `export ${name}=${quoted(value)}\n`);
  if (lines.length === 0) return '';
  const file = `${folder}/cagematch-${randomUUID()}`;
  const answer = await shell({
    script: WRITE,
    args: [file],
    stdin: lines.join(''),
    repeatable: true,
  });
  if (answer.type === 'ran' && answer.code === 0) return file;
  const why =
    answer.type === 'ran' ? lastLine(answer.stderr) || `exit code ${answer.code}` : answer.reason;
  throw new CagematchError(
    'launch-failed',
    `the terminal's secrets do not get into the sandbox: ${why}`,
  );
}
