// A sandbox for probes: opened with a workspace and our own scripts, queried by running those
// inside, and always destroyed.
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Command, Env, ExecStream, HostPaths, LaunchSpec, Layout } from '../contract.js';
import { CagematchError } from '../errors.js';
import { parseJson } from '../json.js';
import { own } from '../os/own.js';
import { packageRoot } from '../package.js';
import type { Outcome } from '../record/types.js';
import type { PreparedRow } from '../sandbox/prepare.js';
import { createRunDirs, workspaceUser } from '../sandbox/run-folders.js';
import { type OpenSandbox, withRunFolder, withSandbox } from '../sandbox/with-sandbox.js';

/** A row that is ready to be probed. */
export interface Subject extends PreparedRow {
  /** A name for a sandbox of this row, unique on this machine. */
  nameOf(tail: string): string;
  signal: AbortSignal;
  /** Timeout for one sandbox, from launch to the last answer, in ms. */
  timeoutMs: number;
}

export interface Setting {
  /** Suffix that distinguishes this sandbox's name from others of the row. */
  tail: string;
  /** Fills the workspace on this host, before it is handed over to the user inside. */
  seed?(workspace: string): Promise<void> | void;
  /** Scripts to copy in besides the probe's own, as name → path on this host. */
  scripts?: Record<string, string>;
  /**
   * A command to start when the sandbox opens: in the runtime's one-shot form if it has one,
   * otherwise by exec.
   */
  command?(at: Pick<ProbeSandbox, 'layout' | 'script'>): Command;
  /** Changes what is launched, for tests that plant a fault. */
  spec?(spec: LaunchSpec): LaunchSpec;
}

/**
 * A line that a guest script printed, parsed as JSON. `atMs` is its arrival on the clock of
 * `lib/clock.ts`.
 */
interface GuestLine<T> {
  value: T;
  atMs: number;
}

export interface ProbeSandbox extends Pick<OpenSandbox, 'handle' | 'ctx'> {
  /** The stream of the command that the sandbox was opened with. */
  begun: ExecStream | undefined;
  host: HostPaths;
  layout: Layout;
  user: { uid: number; gid: number };
  /** Path inside the sandbox of a script that was copied in. */
  script(name: string): string;
  /** Runs a command inside, in the workspace. */
  run(argv: [string, ...string[]], options?: { env?: Env; cwd?: string }): ExecStream;
  /**
   * Runs a guest script with Node, with its argument as JSON in argv, and yields what it prints:
   * one JSON document per line.
   * @throws `launch-failed` with the script's last message if it does not exit with 0, or if the
   *   probe was interrupted
   */
  ask<T = unknown>(
    script: string,
    argument: unknown,
    options?: { env?: Env; cwd?: string },
  ): AsyncGenerator<GuestLine<T>>;
  /** Copies the workspace out; for `bind` there is nothing to do. */
  collect(): Promise<void>;
}

/** Folder of the scripts in a sandbox that does not share this host's files. */
const INSIDE = '/tmp/cagematch/probe';
const GUEST = join(packageRoot, 'lib/probes/guest');

/**
 * Opens a sandbox of the row, runs `act` in it, and destroys it in any case.
 * @param scripts names of the files in lib/probes/guest that are needed
 * @throws what the mode throws, what `act` throws, or `launch-failed` on a timeout
 */
export async function inSandbox<T>(
  subject: Subject,
  scripts: readonly string[],
  setting: Setting,
  act: (sandbox: ProbeSandbox) => Promise<T>,
): Promise<T> {
  const { adapter: mode } = subject.entry;
  const { ctx } = subject;
  const { value, left } = await withRunFolder('probe', async (folder) => {
    const user = mode.owner?.(ctx) ?? workspaceUser(ctx.uid);
    const brought = stageFiles(folder, scripts, setting.scripts ?? {});
    const host = createRunDirs(folder, user, ctx, mode);
    await setting.seed?.(host.workspace);
    own(host.workspace, user, ctx.uid);
    const layout = mode.layout(ctx, host);
    const inside = (name: string) =>
      sharesFiles(layout, host) ? join(brought, name) : `${INSIDE}/${name}`;
    const names = [...scripts, ...Object.keys(setting.scripts ?? {})];
    const plain: LaunchSpec = {
      name: subject.nameOf(setting.tail),
      host,
      user,
      files: sharesFiles(layout, host)
        ? []
        : names.map((name) => ({ path: inside(name), source: join(brought, name) })),
      ...(subject.gatewayPort === undefined ? {} : { gatewayPort: subject.gatewayPort }),
    };
    const begin = setting.command?.({ layout, script: inside });
    const oneShot = mode.oneShot && begin ? { ...plain, command: begin } : plain;
    const spec = setting.spec?.(oneShot) ?? oneShot;
    const used = await withSandbox({ mode, ctx, spec }, subject, ({ handle, process, ctx }) => {
      const run: ProbeSandbox['run'] = (argv, options = {}) =>
        mode.exec(ctx, handle, command(layout, argv, options));
      return act({
        handle,
        ctx,
        begun: process ?? (begin && mode.exec(ctx, handle, begin)),
        host,
        layout,
        user,
        script: inside,
        run,
        ask: (script, argument, options) =>
          answers(run(['node', inside(script), JSON.stringify(argument)], options)),
        collect: () => mode.collect(ctx, handle, host.workspace),
      });
    });
    if (used.destroyed.how === 'left') throw used.destroyed.error;
    if ('error' in used.work) throw tooLate(used.cutShort) ?? used.work.error;
    return used.work.value;
  });
  const [kept] = left;
  if (kept)
    throw new CagematchError('destroy-failed', `${kept.id} cannot be removed`, 'cagematch clean');
  return value;
}

/**
 * True if the sandbox sees this host's files at their own paths. A sandbox that shares only the
 * workspace has a home of its own.
 */
function sharesFiles(layout: Layout, host: HostPaths): boolean {
  return layout.home === host.home;
}

/** Copies the scripts to where every runtime can read them. @returns their folder */
function stageFiles(
  folder: string,
  scripts: readonly string[],
  more: Record<string, string>,
): string {
  const brought = join(folder, 'scripts');
  mkdirSync(brought);
  for (const name of scripts) copyFileSync(join(GUEST, name), join(brought, name));
  for (const [name, source] of Object.entries(more)) copyFileSync(source, join(brought, name));
  return brought;
}

function command(
  layout: Layout,
  argv: [string, ...string[]],
  options: { env?: Env; cwd?: string },
): Command {
  const env: Env = {
    HOME: layout.home,
    LANG: 'C.UTF-8',
    ...(layout.path === undefined ? {} : { PATH: layout.path }),
    ...(layout.tmp === undefined ? {} : { TMPDIR: layout.tmp }),
    ...options.env,
  };
  return { argv, env, secretEnv: {}, cwd: options.cwd ?? layout.workspace };
}

async function* answers<T>(stream: ExecStream): AsyncGenerator<GuestLine<T>> {
  let words = '';
  for await (const event of stream) {
    if (event.type === 'line') {
      const value = event.stream === 'stdout' ? parseJson<T & object>(event.text) : undefined;
      if (value !== undefined) yield { value, atMs: event.atMs };
      // Node prints its own version after the error, so keep the error line.
      else if (!/^\w*Error\b/.test(words)) words = event.text || words;
      continue;
    }
    if (event.type === 'exit' && event.code === 0) return;
    const how =
      event.type === 'exit'
        ? `exit ${event.code}`
        : event.type === 'signal'
          ? `killed by ${event.name}`
          : event.reason;
    throw new CagematchError(
      'launch-failed',
      `a script of ours ended inside with ${how}${words === '' ? '' : `: ${words}`}`,
    );
  }
}

function tooLate(reason: Outcome | undefined): CagematchError | undefined {
  return reason?.status === 'failed'
    ? new CagematchError('launch-failed', reason.message, reason.hint)
    : undefined;
}
