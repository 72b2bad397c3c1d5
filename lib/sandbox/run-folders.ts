// What a run receives before its launch: folders on this host, and a launch spec and command that
// are the same for every runtime.
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import type { Delivery } from '../auth/deliver.js';
import type { Command, Context, HostPaths, LaunchSpec, Layout, Mode, Reach } from '../contract.js';
import { readCassette } from '../model/cassette.js';
import type { Values } from '../model/placeholders.mjs';
import { type Owner, own } from '../os/own.js';
import { nobodysUser } from '../os/sandbox-user.js';
import { packageRoot } from '../package.js';
import { agentCommand } from '../task/agent.js';
import type { Task } from '../task/task.js';

/**
 * Owner of a workspace: the caller, or an id that is not in use on this machine if the caller is
 * root.
 */
export function workspaceUser(uid: number | undefined): { uid: number; gid: number } {
  // Without user ids (Windows), the id only refers to the image's user.
  if (uid === undefined) return { uid: 1000, gid: 1000 };
  return uid === 0 ? nobodysUser() : { uid, gid: process.getgid?.() ?? uid };
}

/**
 * Creates the run's folders: a workspace, and for a mode with the agent's home on this host, a home
 * identical to the image's.
 */
export function createRunDirs(
  folder: string,
  user: { uid: number; gid: number },
  ctx: Context,
  mode: Pick<Mode, 'layout'>,
): HostPaths {
  const workspace = join(folder, 'workspace');
  const home = join(folder, 'home');
  const tmp = join(folder, 'tmp');
  for (const folder of [workspace, tmp]) mkdirSync(folder);
  const folders = [ctx.agentBinary, process.execPath].flatMap((binary) =>
    binary === undefined ? [] : [dirname(binary)],
  );
  const host = { workspace, home, tmp, path: [...folders, ctx.env.PATH ?? ''].join(delimiter) };
  if (mode.layout(ctx, host).home === home) copyTree(join(packageRoot, 'lib/task/home'), home);
  own(folder, user, ctx.uid);
  return host;
}

/**
 * The future owner of the seed's files. They change hands as they are created, since no path is
 * safe after agents had access to it.
 */
export function ownerFor(user: Owner, uid: number | undefined): Owner | undefined {
  return uid === 0 ? user : undefined;
}

export interface LaunchPlan {
  spec: LaunchSpec;
  command: Command;
  /** A line of output that begins with the mark is ours, not the agent's. */
  mark: string;
}

interface LaunchInput {
  mode: Mode;
  ctx: Context;
  reach: Reach;
  gatewayPort: number | undefined;
  task: Task;
  name: string;
  /** A value that only this run knows, if its workspace is already seeded. */
  nonce?: string;
}

/** This run's values for the placeholders in a cassette. */
export function valuesOf(layout: Layout, nonce?: string): Values {
  const { workspace, home, tmp = '/tmp' } = layout;
  return { cwd: workspace, home, tmp, ...(nonce === undefined ? {} : { nonce }) };
}

/** Paths of the replay's files in a guest that cannot reach this host. */
const INSIDE = { script: '/tmp/cagematch/inside.mjs', cassette: '/tmp/cagematch/cassette.json' };

/** How the run's agent reaches the gateway. */
export interface ModelAccess {
  delivery: Delivery;
  /** Prefix of the API's paths. */
  path: string;
  /** Base URL of the live API, if the guest calls it directly. */
  upstream?: string;
}

/**
 * The launch and the agent's command. The command is part of the launch if the sandbox runs only
 * one.
 */
export function buildLaunchPlan(
  given: LaunchInput,
  host: HostPaths,
  user: { uid: number; gid: number },
  access: ModelAccess,
): LaunchPlan {
  const { command, mark } = commandFor(given, given.mode.layout(given.ctx, host), access);
  return {
    spec: {
      ...specFor(given, host, user, access),
      ...(given.mode.oneShot ? { command } : { secretEnv: command.secretEnv }),
    },
    command,
    mark,
  };
}

/** The command that starts the agent. @param layout with the home of this run's agent */
export function commandFor(
  given: LaunchInput,
  layout: Layout,
  { delivery, path }: ModelAccess,
): Pick<LaunchPlan, 'command' | 'mark'> {
  const { reach, gatewayPort, task } = given;
  const mark = `@${given.name}`;
  const command = agentCommand({
    prompt: task.prompt,
    layout,
    mark,
    delivery,
    ...(reach.via === 'address' && gatewayPort !== undefined
      ? { gatewayUrl: `${reach.url(gatewayPort)}${path}` }
      : {}),
    ...(reach.via === 'inside' ? { inside: INSIDE } : {}),
  });
  return { command, mark };
}

/** The launch spec of an idle sandbox. @param access that of the run it is for, if known */
export function specFor(
  given: LaunchInput,
  host: HostPaths,
  user: { uid: number; gid: number },
  access?: ModelAccess,
): LaunchSpec {
  const { gatewayPort } = given;
  return {
    name: given.name,
    host,
    user,
    files: given.reach.via === 'inside' ? inside(given, host, access) : [],
    ...(gatewayPort === undefined ? {} : { gatewayPort }),
  };
}

/**
 * The files for a guest that cannot reach this host. The scripts need only Node, which cannot read
 * YAML, so the guest gets the cassette as JSON, with the run's values; or in live mode the API's
 * base URL, and the name of the variable that contains the agent's credential.
 */
function inside(
  given: LaunchInput,
  host: HostPaths,
  access: ModelAccess | undefined,
): LaunchSpec['files'] {
  const { task, mode, ctx, nonce } = given;
  const { upstream, delivery } = access ?? {};
  const live = upstream !== undefined && delivery?.how === 'env';
  if (!live && task.cassette === undefined) return [];
  const cassette = join(dirname(host.workspace), 'cassette.json');
  const env = live
    ? { upstream, variable: delivery.variable }
    : { ...readCassette(task.cassette ?? ''), values: valuesOf(mode.layout(ctx, host), nonce) };
  writeFileSync(cassette, JSON.stringify(env));
  const scripts = [
    'inside.mjs',
    'replay.mjs',
    'conversation.mjs',
    'request.mjs',
    'placeholders.mjs',
    ...(live ? ['forward.mjs'] : []),
  ];
  return [
    ...scripts.map((name) => ({
      path: join(dirname(INSIDE.script), name),
      source: join(packageRoot, 'lib/model', name),
    })),
    { path: INSIDE.cassette, source: cassette },
  ];
}

/**
 * Copies a folder. `cpSync` checks every file against every parent, which took 4 ms of each run for
 * two small files.
 */
function copyTree(from: string, to: string): void {
  mkdirSync(to);
  for (const entry of readdirSync(from, { withFileTypes: true }))
    (entry.isDirectory() ? copyTree : copyFileSync)(join(from, entry.name), join(to, entry.name));
}
