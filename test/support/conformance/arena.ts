// One target brought up for the suite: its image prepared, an address to reach, and sandboxes
// launched and read as a match does.
import {
  chmodSync,
  cpSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type {
  Command,
  Context,
  EntryOptions,
  Env,
  ExecEnd,
  ExecStream,
  HostPaths,
  Launched,
  LaunchSpec,
  Layout,
  Listed,
  Reach,
} from '../../../lib/contract.js';
import { packageRoot } from '../../../lib/package.js';
import { createKeeper } from '../../../lib/sandbox/context.js';
import { workspaceUser } from '../../../lib/sandbox/run-folders.js';
import { contextOf, type Target } from './targets.js';

export interface Output {
  stdout: string[];
  stderr: string[];
  end: ExecEnd;
}

export interface Box extends Launched {
  name: string;
  spec: LaunchSpec;
  host: HostPaths;
  layout: Layout;
}

type Plan = Omit<Box, keyof Launched>;

export interface Arena {
  target: Target;
  ctx: Context;
  /** What the mode has said to the user since it was last emptied. */
  messages: string[];
  reach: Reach;
  /** The port of the server that answers `reached` on the address that `reach` named. */
  port: number | undefined;
  user: { uid: number; gid: number };
  /**
   * A place on the host for one sandbox, and the spec that would launch it; nothing is launched.
   */
  plan(purpose: string, command?: (layout: Layout) => Command, files?: LaunchSpec['files']): Plan;
  launch(plan: Plan): Promise<Box>;
  /** A shell script inside, read to its end. */
  sh(
    box: Box,
    script: string,
    options?: { args?: string[]; env?: Env; secretEnv?: Env },
  ): Promise<Output>;
  /** A sandbox of an entry with these options, gone when the work is done. */
  withOptions(
    purpose: string,
    options: EntryOptions,
    work: (box: Box, sh: (script: string) => Promise<Output>) => Promise<void>,
  ): Promise<void>;
  stream(box: Box, argv: [string, ...string[]]): ExecStream;
  listed(name: string): Promise<Listed[]>;
  close(): Promise<void>;
}

let counter = 0;

export async function openArena(target: Target): Promise<Arena> {
  counter += 1;
  const match = `c${process.pid}x${counter}`;
  const keeper = createKeeper();
  const { ctx, messages } = contextOf(target, match, keeper);
  const { mode } = target;
  const user = mode.owner?.(ctx) ?? workspaceUser(ctx.uid);
  const root = mkdtempSync(join(tmpdir(), 'conformance-'));
  chmodSync(root, 0o755);
  await mode.prepare({ ...ctx, env: target.env });
  const reach = await mode.reach(ctx);
  const server =
    reach.via === 'address'
      ? await listen(reach.listen).finally(() => reach.release?.())
      : undefined;
  const port = server && (server.address() as AddressInfo).port;
  const names: string[] = [];
  const handles = new Map<string, Launched['handle']>();
  /** The handle is written down and read back, as for a session that outlives its harness. */
  const launched = async (given: Context, plan: Plan): Promise<Box> => {
    const { handle, ...rest } = await mode.launch(given, plan.spec);
    const kept = JSON.parse(JSON.stringify(handle)) as typeof handle;
    handles.set(plan.name, kept);
    return { ...plan, ...rest, handle: kept };
  };

  const arena: Arena = {
    target,
    ctx,
    messages,
    reach,
    port,
    user,
    plan(purpose, command, files = []) {
      const name = `cagematch-${match}-${purpose}`;
      names.push(name);
      const host = furnish(join(root, purpose), user, ctx);
      const layout = mode.layout(ctx, host);
      const spec: LaunchSpec = {
        name,
        host,
        user,
        files,
        ...(port === undefined ? {} : { gatewayPort: port }),
        ...(command ? { command: command(layout) } : {}),
      };
      return { name, spec, host, layout };
    },
    launch: (plan) => launched(ctx, plan),
    sh: (box, script, options = {}) =>
      read(mode.exec(ctx, box.handle, shell(box.layout, script, options))),
    async withOptions(purpose, options, work) {
      const given = { ...ctx, options };
      const box = await launched(given, arena.plan(purpose));
      await work(box, (script) => read(mode.exec(given, box.handle, shell(box.layout, script))));
      await mode.destroy(given, box.handle);
    },
    stream: (box, argv) =>
      mode.exec(ctx, box.handle, {
        argv,
        env: baseEnv(box.layout),
        secretEnv: {},
        cwd: box.layout.workspace,
      }),
    async listed(name) {
      return (await mode.list(ctx)).filter(({ id }) => id === name || id.startsWith(`${name} `));
    },
    async close() {
      for (const name of names)
        await mode.destroy(ctx, handles.get(name) ?? { name }).catch(() => {});
      await keeper.closeAll();
      server?.closeAllConnections();
      server?.close();
      rmSync(root, { recursive: true, force: true, maxRetries: 3 });
    },
  };
  return arena;
}

/** The environment that every command of the agent has too. */
function baseEnv(layout: Layout): Env {
  return {
    HOME: layout.home,
    LANG: 'C.UTF-8',
    ...(layout.path === undefined ? {} : { PATH: layout.path }),
    ...(layout.tmp === undefined ? {} : { TMPDIR: layout.tmp }),
  };
}

export function shell(
  layout: Layout,
  script: string,
  options: { args?: string[]; env?: Env; secretEnv?: Env } = {},
): Command {
  return {
    argv: ['/bin/sh', '-c', script, 'sh', ...(options.args ?? [])],
    env: { ...baseEnv(layout), ...options.env },
    secretEnv: options.secretEnv ?? {},
    cwd: layout.workspace,
  };
}

/** A stream to its end. `onLine` sees stdout as it comes. */
export async function read(
  stream: ExecStream,
  onLine?: (line: string) => unknown,
): Promise<Output> {
  const output: Output = {
    stdout: [],
    stderr: [],
    end: { type: 'lost', reason: 'the stream broke off' },
  };
  for await (const event of stream) {
    if (event.type === 'line') {
      output[event.stream].push(event.text);
      if (event.stream === 'stdout') onLine?.(event.text);
    } else {
      const { atMs, ...end } = event;
      output.end = end;
    }
  }
  return output;
}

export const SEED = 'a seed that nobody could guess: 7f1b\n';

function furnish(folder: string, user: { uid: number; gid: number }, ctx: Context): HostPaths {
  const paths = {
    workspace: join(folder, 'workspace'),
    home: join(folder, 'home'),
    tmp: join(folder, 'tmp'),
  };
  mkdirSync(join(paths.workspace, 'deep/er'), { recursive: true });
  mkdirSync(paths.tmp);
  cpSync(join(packageRoot, 'lib/task/home'), paths.home, { recursive: true });
  writeFileSync(join(paths.workspace, 'deep/er/seed.txt'), SEED);
  if (ctx.uid === 0)
    for (const name of ['', ...readdirSync(folder, { recursive: true, encoding: 'utf8' })])
      lchownSync(join(folder, name), user.uid, user.gid);
  const programs = [ctx.agentBinary, process.execPath].flatMap((binary) =>
    binary === undefined ? [] : [dirname(binary)],
  );
  return { ...paths, path: [...programs, ctx.env.PATH ?? ''].join(delimiter) };
}

function listen(address: string): Promise<Server> {
  const server = createServer((_req, res) => res.end('reached'));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, address, () => resolve(server));
  });
}

/** Secrets that are looked for just now, each with the argv in which it was seen. */
const watched = new Map<string, Set<string>>();
let watching: NodeJS.Timeout | undefined;

/**
 * Looks through the argv of every process of this machine, again and again, until it is stopped;
 * one look serves all that watch.
 */
export function watchArgv(secret: string): { stop(): string[] } {
  const seen = new Set<string>();
  watched.set(secret, seen);
  if (process.platform === 'linux') watching ??= setInterval(lookForWatched, 40);
  return {
    stop() {
      if (process.platform === 'linux') lookForWatched();
      watched.delete(secret);
      if (watched.size === 0) {
        clearInterval(watching);
        watching = undefined;
      }
      return [...seen];
    },
  };
}

function lookForWatched(): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      for (const [secret, seen] of watched)
        if (argv.includes(secret)) seen.add(argv.split('\0').slice(0, 4).join(' '));
    } catch {
      // Gone meanwhile.
    }
  }
}
