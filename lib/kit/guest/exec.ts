// Runs commands in guests over a connection that may break: the guest itself reports how a command
// ended, and no exit code is invented.
import { randomUUID } from 'node:crypto';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  Command,
  Env,
  ExecEnd,
  ExecEvent,
  ExecStream,
  GuestShell,
  LaunchSpec,
  Layout,
} from '../../contract.js';
import { CagematchError } from '../../errors.js';
import { makeFolder, removeFolder } from '../../os/owner.js';
import { lastLine } from '../../os/printable.js';
import { stream } from '../../os/stream.js';
import { pack } from './archive.js';
import { FILES_IN_PLACE } from './shell.js';

/** How long processes that a command has left running may keep its connection open. */
const SETTLE_MS = 2000;

export interface Connection {
  /**
   * The client's argv for a command in the guest.
   * @param names variables that the client has to pass on to the guest
   */
  argv(command: string[], withStdin: boolean, names: string[]): [string, ...string[]];
  /** The client's own environment. */
  env: Env;
  signal: AbortSignal;
  /**
   * How a secret gets in. `handed-on`: the client passes on its own variable. A function: returns
   * the path of the guest's file that already contains the secret, or undefined if it is to go in
   * on stdin.
   */
  secret: 'handed-on' | ((name: string, value: string) => string | undefined);
  /** Matches lines that the client itself prints on stderr after the command has ended. */
  added: RegExp;
  /** Why the guest or the connection was lost. @param lastMessage the client's last message */
  whyLost(lastMessage: string): Promise<string>;
}

/**
 * MARK CWD COMMAND…: the exit code is printed last on stderr, after the mark, since a broken
 * connection can look like an exit with 0.
 */
function wrapped(reads: string[], withStdin: boolean): string {
  const run = `"$@"${withStdin ? '' : ' </dev/null'}`;
  return [
    ...reads,
    'mark=$1',
    'cd "$2" || exit',
    'shift 2',
    run,
    'code=$?',
    'echo "$mark $code" >&2',
    'exit "$code"',
  ].join('\n');
}

/** The client's argv, environment and stdin. No argument contains a secret. */
function callOf(
  connection: Connection,
  command: Command,
  mark: string,
): { argv: [string, ...string[]]; env: Env; input?: string } {
  const { argv, secret } = connection;
  const handedOn = secret === 'handed-on' ? command.secretEnv : {};
  const typed: string[] = [];
  const reads = Object.entries(secret === 'handed-on' ? {} : command.secretEnv).map(
    ([name, value]) => {
      const file = secret === 'handed-on' ? undefined : secret(name, value);
      if (file === undefined) typed.push(`${value}\n`);
      return `${file === undefined ? `IFS= read -r ${name}` : `${name}=$(cat ${file}) || exit`}; export ${name}`;
    },
  );
  const withStdin = typed.length > 0 || command.stdin !== undefined;
  const env = Object.entries(command.env).map(([name, value]) => `${name}=${value}`);
  const script = wrapped(reads, command.stdin !== undefined);
  const whole = [
    '/bin/sh',
    '-c',
    script,
    'cagematch',
    mark,
    command.cwd,
    'env',
    ...env,
    ...command.argv,
  ];
  return {
    argv: argv(whole, withStdin, Object.keys(handedOn)),
    env: { ...connection.env, ...handedOn },
    ...(withStdin ? { input: [...typed, command.stdin ?? ''].join('') } : {}),
  };
}

export async function* execOver(
  connection: Connection,
  command: Command,
): AsyncGenerator<ExecEvent> {
  const mark = randomUUID();
  const { argv, env, input } = callOf(connection, command, mark);
  const { signal, added } = connection;
  const child = stream(argv, { env, signal, ...(input === undefined ? {} : { input }) });
  let code: number | undefined;
  let lastMessage: string | undefined;
  let settling: NodeJS.Timeout | undefined;
  for await (const event of child) {
    if (event.type !== 'line') {
      clearTimeout(settling);
      if (code !== undefined) yield { type: 'exit', code, atMs: event.atMs };
      else
        yield {
          type: 'lost',
          reason: await connection.whyLost(lastMessage ?? howEnded(event)),
          atMs: event.atMs,
        };
      return;
    }
    if (event.stream === 'stdout') yield event;
    else if (code === undefined) {
      const at = event.text.indexOf(mark);
      const text = at === -1 ? event.text : event.text.slice(0, at);
      if (at === -1 || text !== '') yield { ...event, text };
      if (at === -1) lastMessage = event.text;
      else {
        code = Number(event.text.slice(at + mark.length));
        settling = setTimeout(() => child.kill(), SETTLE_MS);
      }
    } else if (!added.test(event.text)) yield event;
  }
}

function howEnded(end: ExecEnd): string {
  if (end.type === 'lost') return end.reason;
  return end.type === 'exit'
    ? `the client ended with code ${end.code}`
    : `the client was killed by ${end.name}`;
}

/** A shell for short commands over a connection. @param boundMs time limit for each command */
export function shellOver(connection: Connection, boundMs: number): GuestShell {
  return shellBy(
    (command, signal) => execOver({ ...connection, signal }, command),
    connection.signal,
    boundMs,
  );
}

/**
 * A shell for short commands, on top of any function that runs a command in the guest.
 * @param boundMs time limit for each command
 * @param layout PATH inside and the folder for temporary files, where the sandbox has them from the
 *   host
 */
export function shellBy(
  exec: (command: Command, signal: AbortSignal) => ExecStream,
  signal: AbortSignal,
  boundMs: number,
  { path, tmp }: Pick<Layout, 'path' | 'tmp'> = {},
): GuestShell {
  return async ({ script, args, stdin }) => {
    const output: Record<'stdout' | 'stderr', string[]> = { stdout: [], stderr: [] };
    const argv: Command['argv'] = ['/bin/sh', '-c', script, 'cagematch', ...args];
    const command = {
      argv,
      env: path === undefined ? {} : { PATH: path },
      secretEnv: {},
      cwd: tmp ?? '/',
      ...(stdin === undefined ? {} : { stdin }),
    };
    let end: ExecEnd = { type: 'lost', reason: 'the client ended without reporting an exit code' };
    for await (const event of exec(
      command,
      AbortSignal.any([signal, AbortSignal.timeout(boundMs)]),
    )) {
      if (event.type === 'line') output[event.stream].push(event.text);
      else end = event;
    }
    if (end.type !== 'exit') return { type: 'lost', reason: howEnded(end) };
    return {
      type: 'ran',
      code: end.code,
      stdout: output.stdout.join('\n'),
      stderr: output.stderr.join('\n'),
    };
  };
}

/**
 * FROM WORKSPACE PATH…, with a packed folder in base64 on stdin: unpacks the workspace, and creates
 * one file for each PATH.
 */
const BRING_IN = `set -e
from=$1 workspace=$2
shift 2
mkdir -p "$from"
base64 -d | tar -x -z -o -f - -C "$from"
tar -x -z -o -f "$from/workspace.tgz" -C "$workspace"
${FILES_IN_PLACE}
rm -rf "$from"`;

/**
 * Brings the workspace and the files in with a single command, since every command opens a
 * connection of its own.
 * @param base a folder of the guest, outside the workspace, for temporary data
 */
export async function bringIn(
  shell: GuestShell,
  base: string,
  workspace: string,
  spec: LaunchSpec,
): Promise<void> {
  const folder = makeFolder('pack');
  try {
    writeFileSync(join(folder, 'workspace.tgz'), await pack(spec.host.workspace));
    for (const [at, file] of spec.files.entries())
      copyFileSync(file.source, join(folder, String(at)));
    const args = [`${base}/in`, workspace, ...spec.files.map(({ path }) => path)];
    const ran = await shell({
      script: BRING_IN,
      args,
      stdin: (await pack(folder)).toString('base64'),
      repeatable: false,
    });
    if (ran.type === 'ran' && ran.code === 0) return;
    const reason =
      ran.type === 'ran' ? lastLine(ran.stderr) || `exit code ${ran.code}` : ran.reason;
    throw new CagematchError('launch-failed', `the workspace does not get in: ${reason}`);
  } finally {
    removeFolder(folder);
  }
}
