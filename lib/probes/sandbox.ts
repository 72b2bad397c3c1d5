// A sandbox to try things in: opened with a workspace and our own scripts, asked by running these inside, and always destroyed.
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Command, Context, Env, ExecStream, Handle, HostPaths, LaunchSpec, Layout } from '../contract.js';
import { CagematchError } from '../errors.js';
import { parseJson } from '../json.js';
import { own } from '../os/own.js';
import { packageRoot } from '../package.js';
import type { Outcome } from '../record/types.js';
import type { Ready } from '../sandbox/prepare.js';
import { furnish, workspaceUser } from '../sandbox/run-folders.js';
import { withRunFolder, withSandbox } from '../sandbox/with-sandbox.js';

/** A row that is ready to be probed. */
export interface Subject extends Ready {
  /** A name for a sandbox of this row, unique on this machine. */
  nameOf(tail: string): string;
  signal: AbortSignal;
  /** Bounds one sandbox, from launch to the last answer. */
  timeoutMs: number;
}

export interface Setting {
  /** Tells this sandbox's name from others of the row. */
  tail: string;
  /** Fills the workspace on this host, before it is given to the user inside. */
  seed?(workspace: string): Promise<void> | void;
  /** Scripts to bring along beside the row's own, as name → path on this host. */
  scripts?: Record<string, string>;
  /** What is begun as it opens: in the runtime's one-shot form where it has one, else by exec. */
  command?(at: Pick<OpenSandbox, 'layout' | 'script'>): Command;
  /** Changes what is launched; for tests that plant a fault. */
  spec?(spec: LaunchSpec): LaunchSpec;
}

/** A line that a guest script printed: a JSON document. `atMs` is on the clock of `lib/clock.ts`, at arrival. */
interface Told<T> {
  value: T;
  atMs: number;
}

export interface OpenSandbox {
  /** As it was launched. */
  handle: Handle;
  /** The row's context, with a signal that ends what still runs when the sandbox is closed. */
  ctx: Context;
  /** Of the command that it was opened with. */
  begun: ExecStream | undefined;
  host: HostPaths;
  layout: Layout;
  user: { uid: number; gid: number };
  /** Path inside of a script that was brought along. */
  script(name: string): string;
  /** Runs a command inside, in the workspace. */
  run(argv: [string, ...string[]], options?: { env?: Env; cwd?: string }): ExecStream;
  /**
   * Runs a guest script with Node, its argument as JSON in argv, and tells what it prints, a JSON document a line.
   * @throws `launch-failed` when it ends with anything but 0, with its last words; or that the probe was cut short
   */
  ask<T = unknown>(script: string, argument: unknown, options?: { env?: Env; cwd?: string }): AsyncGenerator<Told<T>>;
  /** Workspace out; for `bind` there is nothing to do. */
  collect(): Promise<void>;
}

/** Where scripts lie in a sandbox that does not share this host's files. */
const INSIDE = '/tmp/cagematch/probe';
const GUEST = join(packageRoot, 'lib/probes/guest');

/**
 * Opens a sandbox of the row, lets `act` try what it wants, and destroys it, whatever happened.
 * @param scripts names of files in lib/probes/guest that it needs
 * @throws what the mode throws, what `act` throws, or `launch-failed` that the time is over
 */
export async function inSandbox<T>(
  subject: Subject,
  scripts: readonly string[],
  setting: Setting,
  act: (sandbox: OpenSandbox) => Promise<T>,
): Promise<T> {
  const { adapter: mode } = subject.entry;
  const { ctx } = subject;
  const { value, left } = await withRunFolder('probe', async (folder) => {
    const user = mode.owner?.(ctx) ?? workspaceUser(ctx.uid);
    const brought = bring(folder, scripts, setting.scripts ?? {});
    const host = furnish(folder, user, ctx, mode);
    await setting.seed?.(host.workspace);
    own(host.workspace, user, ctx.uid);
    const layout = mode.layout(ctx, host);
    const inside = (name: string) => (sharesFiles(layout, host) ? join(brought, name) : `${INSIDE}/${name}`);
    const names = [...scripts, ...Object.keys(setting.scripts ?? {})];
    const plain: LaunchSpec = {
      name: subject.nameOf(setting.tail),
      host,
      user,
      files: sharesFiles(layout, host) ? [] : names.map((name) => ({ path: inside(name), source: join(brought, name) })),
      ...(subject.gatewayPort === undefined ? {} : { gatewayPort: subject.gatewayPort }),
    };
    const begin = setting.command?.({ layout, script: inside });
    const oneShot = mode.oneShot && begin ? { ...plain, command: begin } : plain;
    const spec = setting.spec?.(oneShot) ?? oneShot;
    const used = await withSandbox({ mode, ctx, spec }, subject, ({ handle, ctx }) => {
      const run: OpenSandbox['run'] = (argv, options = {}) => mode.exec(ctx, handle, command(layout, argv, options));
      return act({
        handle,
        ctx,
        begun: handle.process ?? (begin && mode.exec(ctx, handle, begin)),
        host,
        layout,
        user,
        script: inside,
        run,
        ask: (script, argument, options) => answers(run(['node', inside(script), JSON.stringify(argument)], options)),
        collect: () => mode.collect(ctx, handle, host.workspace),
      });
    });
    if (used.destroyed.how === 'left') throw used.destroyed.error;
    if ('error' in used.work) throw tooLate(used.cutShort) ?? used.work.error;
    return used.work.value;
  });
  const [kept] = left;
  if (kept) throw new CagematchError('destroy-failed', `${kept.id} cannot be removed`, 'cagematch clean');
  return value;
}

/** Does the sandbox see this host's files under their own paths? One that is handed the workspace alone has a home of its own. */
function sharesFiles(layout: Layout, host: HostPaths): boolean {
  return layout.home === host.home;
}

/** Copies the scripts to where every runtime may read them. @returns their folder */
function bring(folder: string, scripts: readonly string[], more: Record<string, string>): string {
  const brought = join(folder, 'scripts');
  mkdirSync(brought);
  for (const name of scripts) copyFileSync(join(GUEST, name), join(brought, name));
  for (const [name, source] of Object.entries(more)) copyFileSync(source, join(brought, name));
  return brought;
}

function command(layout: Layout, argv: [string, ...string[]], options: { env?: Env; cwd?: string }): Command {
  const env: Env = {
    HOME: layout.home,
    LANG: 'C.UTF-8',
    ...(layout.path === undefined ? {} : { PATH: layout.path }),
    ...(layout.tmp === undefined ? {} : { TMPDIR: layout.tmp }),
    ...options.env,
  };
  return { argv, env, secretEnv: {}, cwd: options.cwd ?? layout.workspace };
}

async function* answers<T>(stream: ExecStream): AsyncGenerator<Told<T>> {
  let words = '';
  for await (const event of stream) {
    if (event.type === 'line') {
      const value = event.stream === 'stdout' ? parseJson<T & object>(event.text) : undefined;
      if (value !== undefined) yield { value, atMs: event.atMs };
      // Node says its own version after what went wrong.
      else if (!/^\w*Error\b/.test(words)) words = event.text || words;
      continue;
    }
    if (event.type === 'exit' && event.code === 0) return;
    const how = event.type === 'exit' ? `exit ${event.code}` : event.type === 'signal' ? `killed by ${event.name}` : event.reason;
    throw new CagematchError('launch-failed', `a script of ours ended inside with ${how}${words === '' ? '' : `: ${words}`}`);
  }
}

function tooLate(reason: Outcome | undefined): CagematchError | undefined {
  return reason?.status === 'failed' ? new CagematchError('launch-failed', reason.message, reason.hint) : undefined;
}
