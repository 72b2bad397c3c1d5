// Drives a command line that speaks the container dialect: image, sandbox, events, leftovers. Names no runtime.
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, readFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { monotonic } from './clock.js';
import type { Closable, Command, Context, Env, ExecEvent, ExecStream, Handle, LaunchSpec, Listed } from './contract.js';
import { CagematchError } from './errors.js';
import { capture, type LocalStream, output, stream, whyFailed } from './exec.js';
import { execArgs, labelFilter, type RunOptions, readLabels, runArgs } from './oci.js';
import { makeFolder, removeFolder } from './owner.js';

/** How to call the client: its program with global options, and the environment that it needs. */
export interface Client {
  argv: [string, ...string[]];
  env: Env;
  /** The client tells events late (it polls), but stamps them with this machine's clock: the stamp is the better time. */
  lateEvents?: boolean;
}

export interface OciHandle extends Handle {
  process?: ExecStream;
  /** Resolves when the client of the one-shot form has ended. */
  ended?: Promise<unknown>;
  /** Clients of `exec` that have not ended. */
  clients?: Set<LocalStream>;
}

const QUICK_MS = 15_000;
const BUILD_MS = 15 * 60_000;
/** How long a removal may take to be confirmed. */
const GONE_MS = 20_000;

/** How long an event may come after the client's own end. */
const SETTLE_MS = 500;

/** Exit code by which the client says that the runtime itself failed, not the command. */
const RUNTIME_FAILED = 125;
/** Exit codes after which the command may never have run: the runtime failed, or the program could not be started. */
const NEVER_RAN = [RUNTIME_FAILED, 126, 127];

/** What an image is made of; a change of any of it is another image. */
const RECIPE = ['Dockerfile', 'lib/task/home/.claude.json', 'lib/task/home/.claude/settings.json'];

/** The runner image's name, whole: agent version and a hash of the recipe and its base. */
export function imageName(ctx: Context, base: string | undefined): string {
  const hash = createHash('sha256').update(base ?? '');
  for (const file of RECIPE) hash.update(readFileSync(join(ctx.packageRoot, file)));
  return `cagematch-runner:${ctx.agentVersion}-${hash.digest('hex').slice(0, 8)}`;
}

/**
 * The runner image, built when it is missing.
 * @param options `network`: for the build's steps. `base`: replaces the Dockerfile's own base image.
 */
export async function ensureImage(
  client: Client,
  ctx: Context,
  options: { image: string; base: string | undefined; network: string; rebuild: boolean },
): Promise<void> {
  const call = { env: client.env, cwd: '/', signal: ctx.signal };
  if (!options.rebuild) {
    const present = await capture([...client.argv, 'image', 'inspect', '--format', '{{.Id}}', options.image], {
      ...call,
      timeoutMs: QUICK_MS,
    });
    if (present.end.type === 'exit' && present.end.code === 0) return;
  }
  ctx.say(`building ${options.image} (once; a minute or so)`);
  const folder = makeFolder('build');
  try {
    await fillBuildContext(ctx, folder);
    // The builder may be another user's.
    chmodSync(folder, 0o755);
    const args = ['build', '--tag', options.image, '--network', options.network, '--build-arg', `AGENT_VERSION=${ctx.agentVersion}`];
    if (options.base !== undefined) args.push('--build-arg', `BASE_IMAGE=${options.base}`);
    if (options.rebuild) args.push('--no-cache');
    await output([...client.argv, ...args, folder], {
      ...call,
      timeoutMs: BUILD_MS,
      code: 'image-unavailable',
      hint: 'set CAGEMATCH_BASE_IMAGE to a Debian-like image with Node 22 that this machine has, or check the network',
    });
  } finally {
    removeFolder(folder);
  }
}

/** What the Dockerfile needs, and nothing else of this package. */
export async function fillBuildContext(ctx: Context, folder: string): Promise<void> {
  copyFileSync(join(ctx.packageRoot, 'Dockerfile'), join(folder, 'Dockerfile'));
  for (const part of ['lib/task/home', 'lib/task/ca']) {
    await cp(join(ctx.packageRoot, part), join(folder, part), { recursive: true });
  }
  const bundle = ctx.env.NODE_EXTRA_CA_CERTS;
  if (bundle !== undefined && existsSync(bundle)) copyFileSync(bundle, join(folder, 'lib/task/ca/bundle.crt'));
}

/**
 * `run`: resolves when the runtime's own event says that the container started,
 * and throws with the runtime's words when it never does.
 */
export async function launchContainer(client: Client, ctx: Context, spec: LaunchSpec, options: RunOptions): Promise<OciHandle> {
  const events = await watchEvents(client, ctx);
  const argv: [string, ...string[]] = [...client.argv, ...runArgs(spec, options)];
  if (!spec.command) {
    await output(argv, { env: client.env, cwd: '/', signal: ctx.signal, timeoutMs: 60_000, code: 'launch-failed' });
    return { name: spec.name };
  }
  const child = stream(argv, { env: { ...client.env, ...spec.command.secretEnv }, cwd: '/', signal: ctx.signal });
  const runningAtMs = await Promise.race([
    events.until('start', spec.name),
    child.ended.then(() => events.until('start', spec.name, SETTLE_MS)),
  ]);
  if (runningAtMs === undefined && !(await startedUntold(client, spec.name, child)))
    throw new CagematchError('launch-failed', await lastWords(child));
  return { name: spec.name, process: clientStream(child), ended: child.ended, ...(runningAtMs === undefined ? {} : { runningAtMs }) };
}

/** Events can be lost: the runtime is asked, until it says running or the client's end says what became of it. */
async function startedUntold(client: Client, name: string, child: LocalStream): Promise<boolean> {
  for (;;) {
    const end = await Promise.race([child.ended, pause(50)]);
    if (end) return end.type === 'exit' && !NEVER_RAN.includes(end.code);
    const argv: [string, ...string[]] = [...client.argv, 'inspect', '--type', 'container', '--format', '{{.State.Running}}', name];
    const asked = await capture(argv, { env: client.env, cwd: '/', timeoutMs: QUICK_MS });
    if (asked.stdout.trim() === 'true') return true;
  }
}

async function lastWords(child: LocalStream): Promise<string> {
  const lines: string[] = [];
  for await (const event of child) {
    if (event.type === 'lost') return event.reason;
    if (event.type === 'line' && event.text.trim() !== '') lines.push(event.text.trim());
  }
  const words = lines.filter((line) => !/^(Run '|See '|time=)/.test(line)).at(-1) ?? lines.at(-1);
  return words?.slice(0, 300) ?? 'the container never started and the client said nothing';
}

/** The client's end is the command's end, unless the client says that the runtime failed, or died itself. */
async function* clientStream(child: LocalStream): AsyncGenerator<ExecEvent> {
  let words = '';
  for await (const event of child) {
    if (event.type === 'line' && event.stream === 'stderr') words = event.text;
    if (event.type === 'exit' && event.code === RUNTIME_FAILED)
      yield { type: 'lost', reason: words || 'the runtime failed', atMs: event.atMs };
    else if (event.type === 'signal') yield { type: 'lost', reason: `the runtime's client was killed by ${event.name}`, atMs: event.atMs };
    else yield event;
  }
}

export function execInContainer(client: Client, ctx: Context, handle: OciHandle, command: Command): ExecStream {
  const argv: [string, ...string[]] = [...client.argv, ...execArgs(handle.name, command)];
  const child = stream(argv, { env: { ...client.env, ...command.secretEnv }, cwd: '/', signal: ctx.signal });
  handle.clients ??= new Set();
  const { clients } = handle;
  clients.add(child);
  void child.ended.then(() => clients.delete(child));
  return clientStream(child);
}

/**
 * Gone, and confirmed. A one-shot container removes itself: its removal event is confirmation enough,
 * so that the common case costs no further call.
 */
export async function removeContainer(client: Client, ctx: Context, handle: OciHandle): Promise<{ goneAtMs?: number }> {
  const gone = await confirmRemoval(client, ctx, handle);
  // Docker 20.10 with gVisor was seen to leave `exec` waiting for a container that was no more.
  const clients = [...(handle.clients ?? [])];
  if (clients.length > 0) await Promise.race([Promise.all(clients.map(({ ended }) => ended)), pause(SETTLE_MS)]);
  for (const one of handle.clients ?? []) one.kill();
  return gone;
}

async function confirmRemoval(client: Client, ctx: Context, handle: OciHandle): Promise<{ goneAtMs?: number }> {
  const events = await watchEvents(client, ctx);
  const over = handle.ended !== undefined && (await Promise.race([handle.ended, pause(0)])) !== undefined;
  const goneAtMs = await events.until('gone', handle.name, over ? 3 * SETTLE_MS : 0);
  if (goneAtMs !== undefined) return { goneAtMs };
  await forceRemove(client, handle.name);
  return {};
}

/** `rm --force`, until the runtime no longer lists it. */
export async function forceRemove(client: Client, name: string): Promise<void> {
  const call = { env: client.env, cwd: '/', timeoutMs: QUICK_MS };
  const deadline = Date.now() + GONE_MS;
  for (;;) {
    const removal = await capture([...client.argv, 'rm', '--force', '--volumes', name], call);
    const left = await capture([...client.argv, 'ps', '--all', '--quiet', '--filter', `name=^${name}$`], call);
    if (left.end.type === 'exit' && left.end.code === 0 && left.stdout.trim() === '') return;
    if (Date.now() > deadline) throw new CagematchError('destroy-failed', `${name} is still listed: ${whyFailed(removal)}`);
    await pause(100);
  }
}

export async function listContainers(client: Client): Promise<Listed[]> {
  const call = { env: client.env, cwd: '/', timeoutMs: QUICK_MS, code: 'not-ready' as const };
  const ids = (await output([...client.argv, 'ps', '--all', '--quiet', '--no-trunc', '--filter', labelFilter()], call))
    .split('\n')
    .filter(Boolean);
  if (ids.length === 0) return [];
  const inspected = await capture(
    [...client.argv, 'inspect', '--type', 'container', '--format', '{{json .Name}} {{json .Config.Labels}}', ...ids],
    call,
  );
  return inspected.stdout.split('\n').flatMap((line) => {
    const at = line.indexOf(' ');
    if (at === -1) return [];
    const name = String(JSON.parse(line.slice(0, at))).replace(/^\//, '');
    return [{ id: name, kind: 'container', labels: readLabels(JSON.parse(line.slice(at + 1))) }];
  });
}

type Moment = 'start' | 'gone';

interface Events extends Closable {
  /** When it happened, on our clock; undefined when `boundMs` ran out, or when the client's stream itself ended. */
  until(moment: Moment, name: string, boundMs?: number): Promise<number | undefined>;
}

const MOMENTS: Record<string, Moment> = { start: 'start', destroy: 'gone', remove: 'gone' };

/** The runtime's own events of this match, one client process for all of its runs. */
function watchEvents(client: Client, ctx: Context): Promise<Events> {
  return ctx.keep(`events ${client.argv.join(' ')}`, () => {
    const since = String(Math.floor(Date.now() / 1000) - 1);
    const filters = [labelFilter(ctx.labels.match), ...Object.keys(MOMENTS).map((name) => `event=${name}`)];
    const child = stream(
      [...client.argv, 'events', '--since', since, ...filters.flatMap((filter) => ['--filter', filter]), '--format', '{{json .}}'],
      { env: client.env, cwd: '/' },
    );
    const seen = new Map<string, number>();
    const waiting = new Map<string, Set<(atMs: number | undefined) => void>>();
    let over = false;
    const tell = (mark: string, atMs: number | undefined) => {
      for (const resolve of waiting.get(mark) ?? []) resolve(atMs);
      waiting.delete(mark);
    };
    void (async () => {
      for await (const event of child) {
        const found = event.type === 'line' && event.stream === 'stdout' ? parseEvent(event.text) : undefined;
        if (!found) continue;
        const mark = `${found.moment} ${found.name}`;
        const atMs = client.lateEvents && found.stampMs !== undefined ? Math.min(event.atMs, found.stampMs) : event.atMs;
        seen.set(mark, atMs);
        tell(mark, atMs);
      }
      over = true;
      for (const mark of [...waiting.keys()]) tell(mark, undefined);
    })();
    return {
      until(moment, name, boundMs) {
        const mark = `${moment} ${name}`;
        if (seen.has(mark) || over || boundMs === 0) return Promise.resolve(seen.get(mark));
        return new Promise((resolve) => {
          const timer = boundMs === undefined ? undefined : setTimeout(() => resolve(undefined), boundMs);
          const set = waiting.get(mark) ?? new Set();
          set.add((atMs) => {
            clearTimeout(timer);
            resolve(atMs);
          });
          waiting.set(mark, set);
        });
      },
      close: () => child.kill(),
    };
  });
}

/** One event line of either dialect. `stampMs`: the runtime's own time for it, brought to our clock. */
function parseEvent(line: string): { moment: Moment; name: string; stampMs: number | undefined } | undefined {
  try {
    const event = JSON.parse(line) as Record<string, unknown> & { Actor?: { Attributes?: { name?: string } } };
    const moment = MOMENTS[String(event.Action ?? event.status ?? event.Status ?? '')];
    const name = event.Actor?.Attributes?.name ?? event.Name ?? event.name;
    if (moment === undefined || typeof name !== 'string') return undefined;
    const stamp = Date.parse(String(event.Time));
    return { moment, name, stampMs: Number.isNaN(stamp) ? undefined : stamp - Date.now() + monotonic() };
  } catch {
    return undefined;
  }
}

function pause(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms));
}
