// What a run is given before it is launched: folders on this host, and the same words to every runtime.
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

/** Owner of a workspace: the caller; nobody of this machine when the caller is root. */
export function workspaceUser(uid: number | undefined): { uid: number; gid: number } {
  // Without user ids (Windows), the id means the image's user alone.
  if (uid === undefined) return { uid: 1000, gid: 1000 };
  return uid === 0 ? nobodysUser() : { uid, gid: process.getgid?.() ?? uid };
}

/** The run's folders: a workspace, and, for a mode that has the agent at home on this host, a home with the same bytes as the image's. */
export function furnish(folder: string, user: { uid: number; gid: number }, ctx: Context, mode: Pick<Mode, 'layout'>): HostPaths {
  const workspace = join(folder, 'workspace');
  const home = join(folder, 'home');
  const tmp = join(folder, 'tmp');
  for (const one of [workspace, tmp]) mkdirSync(one);
  const folders = [ctx.agentBinary, process.execPath].flatMap((binary) => (binary === undefined ? [] : [dirname(binary)]));
  const host = { workspace, home, tmp, path: [...folders, ctx.env.PATH ?? ''].join(delimiter) };
  if (mode.layout(ctx, host).home === home) copyTree(join(packageRoot, 'lib/task/home'), home);
  own(folder, user, ctx.uid);
  return host;
}

/** Who is to have the seed's files: they are given away as they are made, since no path is sure any more where agents have been. */
export function ownerFor(user: Owner, uid: number | undefined): Owner | undefined {
  return uid === 0 ? user : undefined;
}

export interface LaidOut {
  spec: LaunchSpec;
  command: Command;
  /** A line of output that begins with it is ours, not the agent's. */
  mark: string;
}

interface Given {
  mode: Mode;
  ctx: Context;
  reach: Reach;
  gatewayPort: number | undefined;
  task: Task;
  name: string;
  /** What only this run can know, where its workspace is seeded already. */
  nonce?: string;
}

/** What stands by name in a cassette, as this run has it. */
export function valuesOf(layout: Layout, nonce?: string): Values {
  const { workspace, home, tmp = '/tmp' } = layout;
  return { cwd: workspace, home, tmp, ...(nonce === undefined ? {} : { nonce }) };
}

/** Where the replay lies in a guest that cannot reach this host. */
const INSIDE = { script: '/tmp/cagematch/inside.mjs', cassette: '/tmp/cagematch/cassette.json' };

/** How the run's agent gets to the gateway. */
export interface Entrance {
  delivery: Delivery;
  /** What stands before the API's paths. */
  path: string;
  /** The live API, where the guest asks it itself. */
  upstream?: string;
}

export function layOut(given: Given, host: HostPaths, user: { uid: number; gid: number }, entrance: Entrance): LaidOut {
  const { command, mark } = commandFor(given, given.mode.layout(given.ctx, host), entrance);
  return {
    spec: { ...specFor(given, host, user, entrance), ...(given.mode.oneShot ? { command } : { secretEnv: command.secretEnv }) },
    command,
    mark,
  };
}

/** What the agent is started with. @param layout with the home that this run's agent has */
export function commandFor(given: Given, layout: Layout, { delivery, path }: Entrance): Pick<LaidOut, 'command' | 'mark'> {
  const { reach, gatewayPort, task } = given;
  const mark = `@${given.name}`;
  const command = agentCommand({
    prompt: task.prompt,
    layout,
    mark,
    delivery,
    ...(reach.via === 'address' && gatewayPort !== undefined ? { gatewayUrl: `${reach.url(gatewayPort)}${path}` } : {}),
    ...(reach.via === 'inside' ? { inside: INSIDE } : {}),
  });
  return { command, mark };
}

/** A sandbox that idles. @param entrance of the run that it is for, where that is known */
export function specFor(given: Given, host: HostPaths, user: { uid: number; gid: number }, entrance?: Entrance): LaunchSpec {
  const { gatewayPort } = given;
  return {
    name: given.name,
    host,
    user,
    files: given.reach.via === 'inside' ? inside(given, host, entrance) : [],
    ...(gatewayPort === undefined ? {} : { gatewayPort }),
  };
}

/**
 * The scripts need nothing but Node, which reads no YAML: the guest gets the cassette as JSON, with what is known of the run; or where
 * the live API is, and in which variable its agent finds what to present there.
 */
function inside(given: Given, host: HostPaths, entrance: Entrance | undefined): LaunchSpec['files'] {
  const { task, mode, ctx, nonce } = given;
  const { upstream, delivery } = entrance ?? {};
  const live = upstream !== undefined && delivery?.how === 'env';
  if (!live && task.cassette === undefined) return [];
  const cassette = join(dirname(host.workspace), 'cassette.json');
  const told = live
    ? { upstream, variable: delivery.variable }
    : { ...readCassette(task.cassette ?? ''), values: valuesOf(mode.layout(ctx, host), nonce) };
  writeFileSync(cassette, JSON.stringify(told));
  const scripts = ['inside.mjs', 'replay.mjs', 'conversation.mjs', 'request.mjs', 'placeholders.mjs', ...(live ? ['forward.mjs'] : [])];
  return [
    ...scripts.map((name) => ({ path: join(dirname(INSIDE.script), name), source: join(packageRoot, 'lib/model', name) })),
    { path: INSIDE.cassette, source: cassette },
  ];
}

/** `cpSync` checks every file against every parent: it took 4 ms of each run for two small files. */
function copyTree(from: string, to: string): void {
  mkdirSync(to);
  for (const one of readdirSync(from, { withFileTypes: true }))
    (one.isDirectory() ? copyTree : copyFileSync)(join(from, one.name), join(to, one.name));
}
