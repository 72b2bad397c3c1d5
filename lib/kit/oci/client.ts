// Drives a client with the common container command line: launches, uses, removes and lists
// sandboxes. Independent of any one runtime.

import { basename } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type {
  Command,
  Context,
  ExecEvent,
  ExecStream,
  Handle,
  Launched,
  LaunchSpec,
  Listed,
  TerminalCall,
  Trace,
} from '../../contract.js';
import { CagematchError } from '../../errors.js';
import { capture, output, succeeded, whyFailed } from '../../os/capture.js';
import { oneLine } from '../../os/printable.js';
import { commandLines } from '../../os/process-tree.js';
import { clientEnd, type LocalStream, stream } from '../../os/stream.js';
import { clientsOf, noteClient } from '../live-clients.js';
import {
  type Client,
  execArgs,
  labelFilter,
  type RunOptions,
  readLabels,
  runArgs,
  terminalArgs,
} from './args.js';
import { watchEvents } from './events.js';

export interface OciHandle extends Handle {
  /** The container removes itself when its command has ended. */
  oneShot?: true;
}

const QUICK_MS = 15_000;
/** How long the confirmation of a removal may take. */
const GONE_MS = 20_000;

/** How long after the client's own end an event may still arrive. */
const SETTLE_MS = 500;

/** Exit code by which the client reports that the runtime itself failed, not the command. */
const RUNTIME_FAILED = 125;
/** Last message of a client whose daemon went away while the client waited. */
const DAEMON_LOST =
  /^(read|write) unix .*: (connection reset by peer|broken pipe)$|^unexpected EOF$|^error during connect|Cannot connect to the Docker daemon/;

/**
 * Exit codes after which the command may never have run: the runtime failed, or the program could
 * not be started.
 */
const NEVER_RAN = [RUNTIME_FAILED, 126, 127];

/**
 * Calls `run`, and resolves when the runtime's own event reports that the container has started.
 * @throws `launch-failed` with the runtime's message if it never starts
 */
export async function launchContainer(
  client: Client,
  ctx: Context,
  spec: LaunchSpec,
  options: RunOptions,
): Promise<Launched<OciHandle>> {
  const events = await watchEvents(client, ctx);
  const argv: [string, ...string[]] = [...client.argv, ...runArgs(spec, options)];
  if (!spec.command) {
    const printed = await output(argv, {
      env: client.env,
      cwd: '/',
      signal: ctx.signal,
      timeoutMs: 60_000,
      code: 'launch-failed',
    });
    return { handle: { name: spec.name, ...withId(/^[0-9a-f]{64}$/m.exec(printed)?.[0]) } };
  }
  const child = noteClient(
    spec.name,
    stream(argv, { ...withSecrets(client, spec.command), signal: ctx.signal }),
  );
  const runningAtMs = await Promise.race([
    events.until('start', spec.name),
    child.ended.then(() => events.until('start', spec.name, SETTLE_MS)),
  ]);
  if (runningAtMs === undefined && !(await startedWithoutEvent(client, spec.name, child)))
    throw new CagematchError('launch-failed', await lastMessage(child));
  return {
    handle: { name: spec.name, oneShot: true, ...withId(events.id(spec.name)) },
    process: clientStream(child),
    ...(runningAtMs === undefined ? {} : { runningAtMs }),
  };
}

/** Spawn options that pass to the client whatever must not appear in its argv. */
function withSecrets(client: Client, { secretEnv, stdin }: Pick<Command, 'secretEnv' | 'stdin'>) {
  return {
    env: { ...client.env, ...secretEnv },
    cwd: '/',
    ...(stdin === undefined ? {} : { input: stdin }),
  };
}

/**
 * Size of the image, and of what this container has added to it, in bytes; each is absent if the
 * runtime does not report it.
 */
export async function containerDisk(
  client: Client,
  image: string,
  handle: OciHandle,
): Promise<{ imageBytes?: number; sandboxBytes?: number }> {
  const ask = async (...args: string[]) => {
    const result = await capture([...client.argv, ...args], {
      env: client.env,
      cwd: '/',
      timeoutMs: QUICK_MS,
    });
    return succeeded(result) && /^\d+$/.test(result.stdout.trim())
      ? Number(result.stdout)
      : undefined;
  };
  const [imageBytes, sandboxBytes] = await Promise.all([
    ask('image', 'inspect', '--format', '{{.Size}}', image),
    ask('inspect', '--type', 'container', '--size', '--format', '{{.SizeRw}}', handle.name),
  ]);
  return {
    ...(imageBytes === undefined ? {} : { imageBytes }),
    ...(sandboxBytes === undefined ? {} : { sandboxBytes }),
  };
}

/** Commands that print what the runtime has recorded about a container and its image. */
export function containerTraces(
  { argv, env }: Client,
  image: string,
  { name }: OciHandle,
): Trace[] {
  const program = basename(argv.at(-1) ?? argv[0]);
  const ask = (source: Trace['source'], ...args: string[]): Trace => ({
    source,
    query: `${program} ${args[0]}`,
    argv: [...argv, ...args],
    env,
  });
  return [
    ask('inspect', 'inspect', '--type', 'container', name),
    ask('logs', 'logs', name),
    ask('image', 'image', 'inspect', image),
    ask('image', 'history', '--no-trunc', image),
    ask('layers', 'save', image),
  ];
}

function withId(id: string | undefined): { id?: string } {
  return id === undefined ? {} : { id };
}

/**
 * The processes that monitor a container on this host (a shim, conmon). Everything that makes up
 * the container runs below them, including a user-space kernel or a virtual machine.
 */
export async function monitorsOf(client: Client, handle: OciHandle): Promise<number[]> {
  const id = handle.id ?? (await idOf(client, handle.name));
  // Without an id, the name may still be in a monitor's argv.
  const marks = [id, handle.name].filter((mark) => mark !== undefined);
  return commandLines()
    .filter(
      ({ argv }) =>
        marks.some((mark) => argv.includes(mark)) &&
        /(^|\/)[^/]*(shim|conmon)[^/]*$/.test(argv[0] ?? ''),
    )
    .map(({ pid }) => pid);
}

async function idOf(client: Client, name: string): Promise<string | undefined> {
  const argv: [string, ...string[]] = [
    ...client.argv,
    'inspect',
    '--type',
    'container',
    '--format',
    '{{.Id}}',
    name,
  ];
  return /^[0-9a-f]{64}$/m.exec(
    (await capture(argv, { env: client.env, cwd: '/', timeoutMs: QUICK_MS })).stdout,
  )?.[0];
}

/**
 * Events can be lost, so the runtime is polled until it reports the container as running or the
 * client ends.
 */
async function startedWithoutEvent(
  client: Client,
  name: string,
  child: LocalStream,
): Promise<boolean> {
  for (;;) {
    const end = await Promise.race([child.ended, pause(50)]);
    if (end) return end.type === 'exit' && !NEVER_RAN.includes(end.code);
    const argv: [string, ...string[]] = [
      ...client.argv,
      'inspect',
      '--type',
      'container',
      '--format',
      '{{.State.Running}}',
      name,
    ];
    const result = await capture(argv, { env: client.env, cwd: '/', timeoutMs: QUICK_MS });
    if (result.stdout.trim() === 'true') return true;
  }
}

async function lastMessage(child: LocalStream): Promise<string> {
  const lines: string[] = [];
  for await (const event of child) {
    if (event.type === 'lost') return event.reason;
    if (event.type === 'line' && event.text.trim() !== '') lines.push(event.text.trim());
  }
  const message = lines.filter((line) => !/^(Run '|See '|time=)/.test(line)).at(-1) ?? lines.at(-1);
  return message === undefined
    ? 'the container never started and the client printed nothing'
    : oneLine(message);
}

/**
 * The client's end is the command's end, unless the client reports that the runtime failed, or was
 * itself killed.
 */
async function* clientStream(
  child: LocalStream,
  outlived: () => boolean = () => false,
): AsyncGenerator<ExecEvent> {
  let lastLine = '';
  for await (const event of clientEnd(child, DAEMON_LOST)) {
    if (event.type === 'line' && event.stream === 'stderr') lastLine = event.text;
    if (event.type === 'exit' && event.code === RUNTIME_FAILED)
      yield { type: 'lost', reason: lastLine || 'the runtime failed', atMs: event.atMs };
    else if (event.type === 'lost' && outlived())
      yield {
        type: 'lost',
        reason: 'the container ended while the command ran in it',
        atMs: event.atMs,
      };
    else yield event;
  }
}

export function terminalInContainer(
  client: Client,
  { name }: OciHandle,
  command: Omit<Command, 'stdin'>,
): TerminalCall {
  const { env, cwd } = withSecrets(client, command);
  return { argv: [...client.argv, ...terminalArgs(name, command)], env, cwd };
}

/** Runs a command in the container. Whatever outlives its client is killed. */
export function execInContainer(
  client: Client,
  ctx: Context,
  handle: OciHandle,
  command: Command,
): ExecStream {
  const argv: [string, ...string[]] = [...client.argv, ...execArgs(handle.name, command)];
  const child = noteClient(
    handle.name,
    stream(argv, { ...withSecrets(client, command), signal: ctx.signal }),
  );
  return clientStream(child, killOutliving(client, ctx, handle, child));
}

/**
 * Kills a client of `exec` that still waits after its container has ended: Docker 20.10 leaves it
 * waiting forever when gVisor's kernel dies.
 * @returns a function that reports whether the client had to be killed
 */
function killOutliving(
  client: Client,
  ctx: Context,
  handle: OciHandle,
  child: LocalStream,
): () => boolean {
  let outlived = false;
  const watch = async () => {
    const events = await watchEvents(client, ctx);
    if ((await events.until('ended', handle.name)) === undefined) return;
    const ended = await Promise.race([child.ended, pause(SETTLE_MS)]);
    outlived = ended === undefined;
    if (outlived) child.kill();
  };
  // Without the runtime's events, the command's own time limit has to suffice.
  void watch().catch(() => {});
  return () => outlived;
}

/**
 * Removes a container and confirms that it is gone. A one-shot container removes itself, and its
 * removal event is sufficient confirmation, so the common case needs no further call.
 */
export async function removeContainer(
  client: Client,
  ctx: Context,
  handle: OciHandle,
): Promise<{ goneAtMs?: number }> {
  const gone = await confirmRemoval(client, ctx, handle);
  // A client may still wait for a container that is gone, if the event of the container's end was
  // lost.
  const clients = clientsOf(handle.name);
  if (clients.length > 0)
    await Promise.race([Promise.all(clients.map(({ ended }) => ended)), pause(SETTLE_MS)]);
  for (const client of clientsOf(handle.name)) client.kill();
  return gone;
}

async function confirmRemoval(
  client: Client,
  ctx: Context,
  handle: OciHandle,
): Promise<{ goneAtMs?: number }> {
  const events = await watchEvents(client, ctx);
  const removesItself = handle.oneShot === true && clientsOf(handle.name).length === 0;
  const goneAtMs = await events.until('gone', handle.name, removesItself ? 3 * SETTLE_MS : 0);
  if (goneAtMs !== undefined) return { goneAtMs };
  await forceRemove(client, handle.name);
  return {};
}

/**
 * Repeats `rm --force` until the runtime no longer lists the container.
 * @throws `destroy-failed` if it is still listed after 20 s
 */
export async function forceRemove(client: Client, name: string): Promise<void> {
  const call = { env: client.env, cwd: '/', timeoutMs: QUICK_MS };
  const deadline = Date.now() + GONE_MS;
  for (;;) {
    const removal = await capture([...client.argv, 'rm', '--force', '--volumes', name], call);
    const left = await capture(
      [...client.argv, 'ps', '--all', '--quiet', '--filter', `name=^${name}$`],
      call,
    );
    if (succeeded(left) && left.stdout.trim() === '') return;
    if (Date.now() > deadline)
      throw new CagematchError('destroy-failed', `${name} is still listed: ${whyFailed(removal)}`);
    await pause(100);
  }
}

/**
 * The kinds of things other than containers that may carry our labels, as the client's subcommands
 * name them.
 */
const OTHERS = ['volume', 'network'] as const;

/** Everything that carries our labels. */
export async function listOurs(client: Client): Promise<Listed[]> {
  const others = OTHERS.map(async (kind) => {
    const ids = await labelled(client, [kind, 'ls', '--quiet']);
    return (await Promise.all(ids.map((id) => inspectOne(client, kind, id)))).flat();
  });
  return (await Promise.all([listContainers(client), ...others])).flat();
}

/**
 * Removes an item that `listOurs` returned, or an image by its name; never an image that is in use.
 */
export async function reapOurs(client: Client, { kind, id }: Listed): Promise<void> {
  if (kind === 'container') return forceRemove(client, id);
  const call = { env: client.env, cwd: '/', timeoutMs: GONE_MS, code: 'destroy-failed' as const };
  await output([...client.argv, kind, 'rm', id], call);
}

/** Containers with our label, running or not. @throws `not-ready` if the client does not answer */
export async function listContainers(client: Client): Promise<Listed[]> {
  const ids = await labelled(client, ['ps', '--all', '--quiet', '--no-trunc']);
  // One by one, since a client that cannot find one of several may report none of them.
  return (await Promise.all(ids.map((id) => inspectOne(client, 'container', id)))).flat();
}

async function labelled(client: Client, args: string[]): Promise<string[]> {
  const call = { env: client.env, cwd: '/', timeoutMs: QUICK_MS, code: 'not-ready' as const };
  return (await output([...client.argv, ...args, '--filter', labelFilter()], call))
    .split('\n')
    .filter(Boolean);
}

const STATES: Record<string, Listed['state']> = { true: 'running', false: 'stopped' };

/** Empty if the item has gone since it was listed. */
async function inspectOne(client: Client, kind: string, id: string): Promise<Listed[]> {
  const [how, labels, running] =
    kind === 'container'
      ? [['inspect', '--type', 'container'], '.Config.Labels', '{{.State.Running}}']
      : [[kind, 'inspect'], '.Labels', 'unknown'];
  const argv: [string, ...string[]] = [
    ...client.argv,
    ...how,
    '--format',
    `{{json .Name}} ${running} {{json ${labels}}}`,
    id,
  ];
  const inspected = await capture(argv, { env: client.env, cwd: '/', timeoutMs: QUICK_MS });
  const [, name, state = '', all = ''] =
    /^"\/?(\S+)" (true|false|unknown) (.*)$/s.exec(inspected.stdout.trim()) ?? [];
  if (succeeded(inspected) && name !== undefined)
    return [
      {
        id: name,
        kind,
        labels: readLabels(JSON.parse(all) ?? undefined),
        state: STATES[state] ?? 'unknown',
      },
    ];
  if (/no such|not found|does not exist/i.test(inspected.stderr)) return [];
  throw new CagematchError('not-ready', `${id} cannot be inspected: ${whyFailed(inspected)}`);
}
