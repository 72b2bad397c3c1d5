// One target brought up for the suite: its image prepared, an address to reach, and sandboxes launched and read as a match does.
import { chmodSync, cpSync, lchownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  Handle,
  HostPaths,
  LaunchSpec,
  Layout,
  Listed,
  Reach,
} from '../../../lib/contract.js';
import { packageRoot } from '../../../lib/package.js';
import { createKeeper } from '../../../lib/sandbox/context.js';
import { workspaceUser } from '../../../lib/sandbox/run-folders.js';
import { contextOf, type Target } from './targets.js';

export interface Told {
  stdout: string[];
  stderr: string[];
  end: ExecEnd;
}

export interface Box {
  name: string;
  spec: LaunchSpec;
  handle: Handle;
  host: HostPaths;
  layout: Layout;
}

export interface Arena {
  target: Target;
  ctx: Context;
  /** What the mode has said to the user since it was last emptied. */
  said: string[];
  reach: Reach;
  /** The port of the server that answers `reached` on the address that `reach` named. */
  port: number | undefined;
  user: { uid: number; gid: number };
  /** A place on the host for one sandbox, and the spec that would launch it; nothing is launched. */
  plan(purpose: string, command?: (layout: Layout) => Command, files?: LaunchSpec['files']): Omit<Box, 'handle'>;
  launch(plan: Omit<Box, 'handle'>): Promise<Box>;
  /** A shell script inside, read to its end. */
  sh(box: Box, script: string, options?: { args?: string[]; env?: Env; secretEnv?: Env }): Promise<Told>;
  /** A sandbox of an entry with these options, gone when the work is done. */
  withOptions(
    purpose: string,
    options: EntryOptions,
    work: (box: Box, sh: (script: string) => Promise<Told>) => Promise<void>,
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
  const { ctx, said } = contextOf(target, match, keeper);
  const { mode } = target;
  const user = mode.owner?.(ctx) ?? workspaceUser(ctx.uid);
  const root = mkdtempSync(join(tmpdir(), 'conformance-'));
  chmodSync(root, 0o755);
  await mode.prepare({ ...ctx, env: target.env });
  const reach = await mode.reach(ctx);
  const server = reach.via === 'address' ? await listen(reach.listen).finally(() => reach.release?.()) : undefined;
  const port = server && (server.address() as AddressInfo).port;
  const names: string[] = [];
  const handles = new Map<string, Handle>();

  const arena: Arena = {
    target,
    ctx,
    said,
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
    async launch(plan) {
      const handle = await mode.launch(ctx, plan.spec);
      handles.set(plan.name, handle);
      return { ...plan, handle };
    },
    sh: (box, script, options = {}) => read(mode.exec(ctx, box.handle, shell(box.layout, script, options))),
    async withOptions(purpose, options, work) {
      const given = { ...ctx, options };
      const planned = arena.plan(purpose);
      const box = { ...planned, handle: await mode.launch(given, planned.spec) };
      handles.set(box.name, box.handle);
      await work(box, (script) => read(mode.exec(given, box.handle, shell(box.layout, script))));
      await mode.destroy(given, box.handle);
    },
    stream: (box, argv) => mode.exec(ctx, box.handle, { argv, env: baseEnv(box.layout), secretEnv: {}, cwd: box.layout.workspace }),
    async listed(name) {
      return (await mode.list(ctx)).filter(({ id }) => id === name || id.startsWith(`${name} `));
    },
    async close() {
      for (const name of names) await mode.destroy(ctx, handles.get(name) ?? { name }).catch(() => {});
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

export function shell(layout: Layout, script: string, options: { args?: string[]; env?: Env; secretEnv?: Env } = {}): Command {
  return {
    argv: ['/bin/sh', '-c', script, 'sh', ...(options.args ?? [])],
    env: { ...baseEnv(layout), ...options.env },
    secretEnv: options.secretEnv ?? {},
    cwd: layout.workspace,
  };
}

/** A stream to its end. `onLine` sees stdout as it comes. */
export async function read(stream: ExecStream, onLine?: (line: string) => unknown): Promise<Told> {
  const told: Told = { stdout: [], stderr: [], end: { type: 'lost', reason: 'the stream broke off' } };
  for await (const event of stream) {
    if (event.type === 'line') {
      told[event.stream].push(event.text);
      if (event.stream === 'stdout') onLine?.(event.text);
    } else {
      const { atMs, ...end } = event;
      told.end = end;
    }
  }
  return told;
}

export const SEED = 'a seed that nobody could guess: 7f1b\n';

function furnish(folder: string, user: { uid: number; gid: number }, ctx: Context): HostPaths {
  const paths = { workspace: join(folder, 'workspace'), home: join(folder, 'home'), tmp: join(folder, 'tmp') };
  mkdirSync(join(paths.workspace, 'deep/er'), { recursive: true });
  mkdirSync(paths.tmp);
  cpSync(join(packageRoot, 'lib/task/home'), paths.home, { recursive: true });
  writeFileSync(join(paths.workspace, 'deep/er/seed.txt'), SEED);
  if (ctx.uid === 0)
    for (const name of ['', ...readdirSync(folder, { recursive: true, encoding: 'utf8' })])
      lchownSync(join(folder, name), user.uid, user.gid);
  const programs = [ctx.agentBinary, process.execPath].flatMap((binary) => (binary === undefined ? [] : [dirname(binary)]));
  return { ...paths, path: [...programs, ctx.env.PATH ?? ''].join(delimiter) };
}

function listen(address: string): Promise<Server> {
  const server = createServer((_req, res) => res.end('reached'));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, address, () => resolve(server));
  });
}

/** Looks through the argv of every process of this machine, again and again, until it is stopped. */
export function watchArgv(secret: string): { stop(): string[] } {
  const seen = new Set<string>();
  const look = () => {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        if (argv.includes(secret)) seen.add(argv.split('\0').slice(0, 4).join(' '));
      } catch {
        // Gone meanwhile.
      }
    }
  };
  const timer = process.platform === 'linux' ? setInterval(look, 15) : undefined;
  return {
    stop() {
      clearInterval(timer);
      if (process.platform === 'linux') look();
      return [...seen];
    },
  };
}
