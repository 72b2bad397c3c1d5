// Fly.io: a microVM on somebody else's machine, through the Machines API; the workspace is copied there and back.

import { copyFileSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pack, unpack } from '../lib/archive.js';
import { charge, dollars, type ListPrice, perSecond } from '../lib/bill.js';
import { monotonic } from '../lib/clock.js';
import { type Context, defineMode, type Handle, type LaunchSpec, type Listed, type SetupStep } from '../lib/contract.js';
import { CagematchError } from '../lib/errors.js';
import { output } from '../lib/exec.js';
import { bundleOut, copyIn, copyOut, type GuestShell, runDetached, unpackInside } from '../lib/guest-shell.js';
import { type Answer, type HttpApi, hasSucceeded, mayBeDone, openHttpApi, whyRefused } from '../lib/http-api.js';
import { IMAGE_LAYOUT } from '../lib/oci.js';
import { fillBuildContext, imageName } from '../lib/oci-image.js';
import { oneProgram, placesOf } from '../lib/one-program.js';
import { makeFolder, removeFolder } from '../lib/owner.js';
import { describeSkew } from '../lib/server-clock.js';

/** What the API allows for every action on one machine, and on one app; reading a machine is allowed more. */
const ACTION = { perSecond: 1, burst: 3 };
const READING = { perSecond: 5, burst: 10 };
const QUICK_MS = 15_000;
const STARTED_MS = 300_000;
const GONE_MS = 25_000;
/** Commands of more than half a minute have been cut off by the API; ours last this long at most, in seconds. */
const EXEC_S = 25;
/** When a machine is looked for that may or may not have been made, in ms after it was ordered in vain. */
const STRAY_MS = [0, 1000, 2000];
/** Up to here the workspace goes in with the machine's own configuration. */
const INLINE = 96 * 1024;
/** More than any run may last: a machine whose harness has died ends and removes itself. */
const LIFE_S = 25 * 3600;
/** Files that are there before the first command, and what commands leave. Not one folder: init and commands may be different users. */
const [BROUGHT, MADE] = ['/tmp/cagematch', '/tmp/cagematch-out'];
const ARCHIVE = 'workspace.tgz';

/** Of shared processors, in the cheapest regions. */
const PRICE: ListPrice = {
  cpu: 0.695,
  gib: 5,
  hours: 730,
  basis: 'estimate: list price of 2024-10-03 in the cheapest region, up to 1.9 times that elsewhere',
};

const NO_TOKEN = 'FLY_API_TOKEN is not set';

interface FlyHandle extends Handle {
  machine?: string;
  /** Dollars a second, by list price. */
  rate?: number;
}

interface Machine {
  id: string;
  name: string;
  state: string;
  region?: string;
  config?: { metadata?: Record<string, string> };
  events?: {
    type?: string;
    status?: string;
    timestamp?: number;
    request?: { exit_event?: { exit_code?: number; oom_killed?: boolean } };
  }[];
}

/** What a machine of Fly's has none of, being another than this one. */
const ELSEWHERE = [
  ...['host-kernel', 'root-on-host', 'other-processes', 'docker-socket', 'podman-socket', 'incus-socket', 'ssh-agent'],
  ...['host-files-readable', 'host-files-writable', 'host-root-files', 'git-push-no-remote', 'git-push-file'],
  ...['credentials-in-env', 'credentials-in-proc', 'credentials-in-files', 'credential-places', 'memory-limit'],
];

export default defineMode<FlyHandle>({
  id: 'fly',
  title: 'Fly.io',
  letter: 'C',
  isolation: 'remote-vm',
  workspace: 'copy',
  elsewhere: true,
  auth: ['remote-secret', 'env'],
  inputs: {
    FLY_API_TOKEN: { help: 'token of the Fly.io app (fly tokens create deploy)', secret: true },
    CAGEMATCH_FLY_APP: { help: 'Fly.io app that holds the machines; default: the one that fly.toml names', example: 'my-cagematch' },
    FLY_REGION: { help: 'region of the machines, or several to try in turn where one is full; default: the nearest', example: 'fra,ams' },
    FLY_FLAPS_BASE_URL: { help: 'address of the Machines API; default: https://api.machines.dev' },
  },
  platforms: ['linux', 'darwin', 'win32'],
  summary: 'a machine of the Fly.io app through the Machines API; the workspace is copied in and back',
  oneShot: false,
  options: ['cpus', 'memoryMiB'],

  async detect(ctx) {
    const app = appOf(ctx);
    if (app === undefined) return { status: 'unconfigured', reason: 'no Fly.io app is named', hint: NAME_APP };
    const odd = regionsOf(ctx).find((region) => !/^[a-z]{2,4}$/.test(region));
    if (odd !== undefined)
      return { status: 'unconfigured', reason: `FLY_REGION names ${odd}, which is no region's code`, hint: 'fly platform regions' };
    const answer = await askForApp(ctx);
    const trouble = answer.status === 200 ? undefined : diagnose(app, answer);
    if (trouble) return { status: trouble.broken ? 'broken' : 'unconfigured', reason: trouble.reason, hint: trouble.hint };
    const server = answer.status === undefined ? '' : (answer.headers.get('server') ?? '');
    const clock = describeSkew((await client(ctx)).clock);
    const facts = {
      ...{ app, region: regionsOf(ctx).join(', then ') || 'nearest', cli: placesOf(CLI, ctx).length > 0 ? 'there' : 'none' },
      ...(clock === undefined ? {} : { clock }),
      price: priceOf(guestOf({ ...ctx, options: {} })),
    };
    return { status: 'ready', version: `Machines API v1${server === '' ? '' : ` (${server})`}`, facts };
  },

  async prepare(ctx, options) {
    guestOf(ctx);
    // Whether the image is in Fly's registry shows when a machine is made. Building it costs the user money,
    // so a match never does; `cagematch build fly` asks for it, and Fly's own cache makes the second time short.
    if (options) await build(ctx, options.rebuild ?? false);
    return {};
  },

  reach: async () => ({ via: 'inside' }),
  layout: () => IMAGE_LAYOUT,

  async launch(ctx, spec) {
    const archive = await pack(spec.host.workspace);
    const inline = archive.length <= INLINE;
    const content: Content[] = spec.files.map((file) => ({ path: file.path, bytes: readFileSync(file.source) }));
    if (inline) content.push({ path: `${BROUGHT}/${ARCHIVE}`, bytes: archive });
    const orderedMs = monotonic();
    const made = await order(ctx, spec, content);
    await started(ctx, made.id);
    const waitedMs = monotonic();
    const shell = shellOf(ctx, made.id);
    const folder = inline ? BROUGHT : MADE;
    // The stamps are asked for beside the work, not before it: a way there and back more would be in every clock.
    const [stampMs] = await Promise.all([
      stampOf(ctx, made.id, 'started'),
      (async () => {
        if (!inline) await copyIn(shell, archive, `${folder}/${ARCHIVE}`);
        await unpackInside(shell, archive, `${folder}/${ARCHIVE}`, IMAGE_LAYOUT.workspace);
      })(),
    ]);
    const runningAtMs = Math.max(orderedMs, Math.min(waitedMs, stampMs ?? waitedMs));
    const where = made.region === undefined ? {} : { place: made.region };
    return { name: spec.name, machine: made.id, runningAtMs, rate: rateOf(guestOf(ctx)), ...where };
  },
  async *exec(ctx, handle, command) {
    yield* runDetached(shellOf(ctx, await machineOf(ctx, handle)), MADE, command, ctx.signal);
  },
  async collect(ctx, handle, into) {
    const shell = shellOf(ctx, await machineOf(ctx, handle));
    await unpack(await copyOut(shell, IMAGE_LAYOUT.workspace, `${MADE}/${ARCHIVE}`), into);
  },
  bundle: async (ctx, handle, came) =>
    came ? bundleOut(shellOf(ctx, await machineOf(ctx, handle)), IMAGE_LAYOUT.workspace, `${MADE}/workspace.bundle`) : undefined,
  async destroy(ctx, handle) {
    let goneAtMs: number | undefined;
    for (const id of handle.machine === undefined ? await machinesNamed(ctx, handle.name) : [handle.machine])
      goneAtMs = await remove(ctx, id);
    const { runningAtMs, rate } = handle;
    if (runningAtMs !== undefined && rate !== undefined) await charge(ctx, 'Fly.io', PRICE, (goneAtMs ?? monotonic()) - runningAtMs, rate);
    // Paid for is paid: destroying it again costs nothing.
    delete handle.rate;
    return goneAtMs === undefined ? {} : { goneAtMs };
  },
  list,
  async reap(ctx, listed) {
    await remove(ctx, listed.id.split(' ').at(-1) ?? '');
  },
  setup,
  walls: () => Object.fromEntries(ELSEWHERE.map((wall) => [wall, 'closed' as const])),
  shell: (ctx, handle) => [
    'fly',
    'ssh',
    'console',
    '--app',
    appOf(ctx) ?? '',
    ...(handle.machine ? ['--machine', handle.machine] : ['--select']),
  ],

  async pushSecret(ctx, name, value) {
    const app = appOf(ctx) ?? '';
    // `-` makes the CLI read the value from stdin; staged, it reaches the machines that are made from now on.
    await flyCli(ctx, ['secrets', 'set', `${name}=-`, '--stage', '--app', app], { input: value, code: 'not-ready', timeoutMs: 60_000 });
    return `${name} is staged for ${app}`;
  },
});

function appOf(ctx: Context): string | undefined {
  if (ctx.env.CAGEMATCH_FLY_APP) return ctx.env.CAGEMATCH_FLY_APP;
  try {
    return /^\s*app\s*=\s*["']([^"']+)["']/m.exec(readFileSync(join(ctx.packageRoot, 'fly.toml'), 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

/** Sizes that Fly.io sells with shared processors. */
const SIZES = { cpus: [1, 2, 4, 8], stepMiB: 256, mostMiBEach: 2048 };

/** @throws `not-ready` for a size that Fly.io does not sell */
function guestOf(ctx: Context) {
  const { cpus = 2 } = ctx.options;
  const { stepMiB, mostMiBEach } = SIZES;
  const memory = ctx.options.memoryMiB ?? Math.min(4096, cpus * mostMiBEach);
  if (!SIZES.cpus.includes(cpus))
    throw new CagematchError('not-ready', `Fly.io has machines with ${SIZES.cpus.join(', ')} processors, not ${cpus}`, 'cpus: 2');
  if (memory % stepMiB !== 0 || memory < cpus * stepMiB || memory > cpus * mostMiBEach)
    throw new CagematchError(
      'not-ready',
      `Fly.io gives ${cpus} shared processors ${cpus * stepMiB} to ${cpus * mostMiBEach} MiB, in steps of ${stepMiB}; not ${memory}`,
      `memory: ${cpus * mostMiBEach}m`,
    );
  return { cpu_kind: 'shared', cpus, memory_mb: memory };
}

type Guest = ReturnType<typeof guestOf>;

function rateOf({ cpus, memory_mb }: Guest): number {
  return perSecond(PRICE, cpus, memory_mb);
}

function priceOf(guest: Guest): string {
  return `about ${dollars(rateOf(guest) * 60)} a minute of ${guest.cpus} CPUs and ${guest.memory_mb} MiB (${PRICE.basis})`;
}

/** In order of preference; none: the API takes the nearest. */
function regionsOf(ctx: Context): string[] {
  return (ctx.env.FLY_REGION ?? '').split(',').flatMap((region) => region.trim() || []);
}

interface Request {
  method: 'GET' | 'POST' | 'DELETE';
  /** Below the app. */
  path: string;
  /** Action, and the machine where it is one machine's. */
  key: string;
  pace?: typeof ACTION;
  body?: unknown;
  timeoutMs?: number;
  repeatable?: boolean;
}

/** One client a match: what the API allows is shared by all runs. */
function client(ctx: Context): Promise<HttpApi> {
  const token = ctx.env.FLY_API_TOKEN ?? '';
  const base = ctx.env.FLY_FLAPS_BASE_URL ?? 'https://api.machines.dev';
  return ctx.keep<HttpApi>(`api ${base}`, () => openHttpApi(base, token.startsWith('FlyV1 ') ? token : `Bearer ${token}`));
}

async function call(ctx: Context, request: Request): Promise<Answer> {
  if (!ctx.env.FLY_API_TOKEN) return { status: undefined, reason: NO_TOKEN };
  const { method, path, body, repeatable } = request;
  return (await client(ctx)).call({
    method,
    path: `/v1/apps/${encodeURIComponent(appOf(ctx) ?? '')}${path}`,
    ...(body === undefined ? {} : { body }),
    pace: { key: request.key, ...(request.pace ?? ACTION) },
    timeoutMs: request.timeoutMs ?? QUICK_MS,
    repeatable: repeatable ?? method !== 'POST',
    signal: ctx.signal,
  });
}

async function must<T>(ctx: Context, code: CagematchError['code'], request: Request): Promise<T> {
  const answer = await call(ctx, request);
  if (hasSucceeded(answer)) return answer.body as T;
  const trouble = diagnose(appOf(ctx) ?? '', answer);
  throw new CagematchError(code, trouble.reason, trouble.hint);
}

/** Full is the region, or what the organization may have there: both go by another name than the status code tells. */
function isFull(answer: Answer): boolean {
  if (answer.status === undefined) return false;
  const { status } = (answer.body ?? {}) as { status?: string };
  return status === 'insufficient_capacity' || FULL.test(whyRefused(answer));
}

const FULL = /insufficient (resources|capacity|memory|cpus)|no capacity|at capacity|could not reserve resource|over the allowed quota/i;

interface Content {
  path: string;
  bytes: Buffer;
}

/** A machine in the first region that has room, of those that are named. */
async function order(ctx: Context, spec: LaunchSpec, content: Content[]): Promise<Machine> {
  const regions = regionsOf(ctx);
  const body = {
    name: spec.name,
    // Where the model runs beside the agent, the app's own credentials have no business.
    skip_secrets: spec.files.length > 0,
    config: {
      image: imageOf(ctx),
      init: { exec: ['/bin/sleep', String(LIFE_S)] },
      guest: guestOf(ctx),
      restart: { policy: 'no' },
      auto_destroy: true,
      metadata: metadata(ctx),
      // No secret is among them: the configuration outlives the run in the API's records.
      files: content.map(({ path, bytes }) => ({ guest_path: path, raw_value: bytes.toString('base64'), mode: 0o644 })),
    },
  };
  const request = { method: 'POST', path: '/machines', key: 'create', timeoutMs: 60_000 } as const;
  const full: string[] = [];
  for (const region of regions.length > 0 ? regions : [undefined]) {
    const answer = await call(ctx, { ...request, body: region === undefined ? body : { ...body, region } });
    if (hasSucceeded(answer)) return answer.body as Machine;
    if (mayBeDone(answer)) throw await afterUnclear(ctx, spec.name, answer);
    if (!isFull(answer)) throw whyNoMachine(ctx, answer);
    full.push(`${region ?? 'the nearest region'} (${whyRefused(answer)})`);
    if (region !== regions.at(-1)) ctx.say(`Fly.io has no room in ${full.at(-1)}; the next region is tried`);
  }
  throw new CagematchError(
    'launch-failed',
    `Fly.io has no room in ${full.join(', nor in ')}`,
    'FLY_REGION=ams,fra,iad tries several in turn',
  );
}

/** An order that was not answered may have made a machine all the same, and that would cost money: it is looked for, by its label. */
async function afterUnclear(ctx: Context, name: string, answer: Answer): Promise<CagematchError> {
  const trouble = diagnose(appOf(ctx) ?? '', answer);
  try {
    for (const [at, afterMs] of STRAY_MS.entries()) {
      await pause(afterMs - (STRAY_MS[at - 1] ?? 0), undefined, { signal: ctx.signal });
      const made = await machinesNamed(ctx, name);
      for (const id of made) await remove(ctx, id);
      if (made.length > 0)
        return new CagematchError('launch-failed', `${trouble.reason}; the machine that it made all the same is removed`, trouble.hint);
    }
  } catch {
    // It cannot be asked now. What destroys this run's sandbox, and what sweeps up after the match, look for it again.
  }
  return new CagematchError('launch-failed', trouble.reason, trouble.hint);
}

function whyNoMachine(ctx: Context, answer: Answer): CagematchError {
  const words = whyRefused(answer);
  if (/manifest|unable to (resolve|pull)|image .*not found/i.test(words))
    return new CagematchError('image-unavailable', `Fly.io cannot get ${imageOf(ctx)} (${words})`, 'npm run fly:build');
  if (/\bregion\b/i.test(words)) return new CagematchError('launch-failed', `Fly.io refuses the region (${words})`, 'fly platform regions');
  const trouble = diagnose(appOf(ctx) ?? '', answer);
  return new CagematchError('launch-failed', trouble.reason, trouble.hint);
}

function diagnose(app: string, answer: Answer): { broken: boolean; reason: string; hint: string } {
  const words = whyRefused(answer);
  if (words === NO_TOKEN) return { broken: false, reason: words, hint: tokenHint(app) };
  if (answer.status === undefined)
    return { broken: true, reason: `the Machines API does not answer: ${words}`, hint: 'check the network, or FLY_FLAPS_BASE_URL' };
  if (answer.status === 401) return { broken: false, reason: `Fly.io refuses the token (${words})`, hint: tokenHint(app) };
  if (answer.status === 403 || (answer.status === 404 && !/machine|manifest|image/i.test(words)))
    return {
      broken: false,
      reason: `the token sees no Fly.io app ${app} (${words})`,
      hint: createHint(app),
    };
  return {
    broken: true,
    reason: `the Machines API does not answer as it should: ${words}`,
    hint: 'see status.flyio.net',
  };
}

/** @param repeatable false where nobody bounds the waiting */
function askForApp(ctx: Context, repeatable = true): Promise<Answer> {
  return call(ctx, { method: 'GET', path: '', key: 'app', pace: READING, timeoutMs: 4500, repeatable });
}

/** From a fresh account to a first machine. */
async function setup(ctx: Context): Promise<SetupStep[]> {
  const app = appOf(ctx);
  const { status } = await askForApp(ctx, false);
  // Whoever answers "not yours" or "not there" has taken the token.
  const taken = status === 200 || status === 403 || status === 404;
  const token = !ctx.env.FLY_API_TOKEN ? 'not set' : status === 401 ? 'refused' : taken ? 'taken' : 'not asked: no answer';
  return [
    {
      text: "Fly's command line is on PATH (it builds and pushes; machines need it not)",
      done: placesOf(CLI, ctx).length > 0,
      hint: INSTALL,
    },
    { text: 'you are signed in there', done: status === 200 ? true : undefined, hint: 'fly auth login' },
    { text: `an app is named${app === undefined ? '' : `: ${app}`}`, done: app !== undefined, hint: NAME_APP },
    { text: 'the app is there', done: taken ? status === 200 : undefined, hint: createHint(app ?? 'NAME') },
    {
      text: `FLY_API_TOKEN: ${token}`,
      done: token === 'not asked: no answer' ? undefined : taken,
      hint: `${tokenHint(app ?? 'NAME')}, and put it into .env as FLY_API_TOKEN`,
    },
    { text: `the image is in its registry: ${label(ctx)}`, done: undefined, hint: 'npm run fly:build' },
  ];
}

const NAME_APP = 'set CAGEMATCH_FLY_APP, or app in fly.toml';

function createHint(app: string): string {
  return `fly apps create ${app}`;
}

function tokenHint(app: string): string {
  return `fly tokens create deploy -a ${app} -x 720h`;
}

/** Keys without dots: they are also the names of query parameters. */
function metadata(ctx: Context) {
  const { match, mode, owner } = ctx.labels;
  return { cagematch_match: match, cagematch_mode: mode, cagematch_owner: owner, cagematch_host: hostname() };
}

function get(ctx: Context, id: string): Promise<Answer> {
  return call(ctx, { method: 'GET', path: `/machines/${id}`, key: `get ${id}`, pace: READING });
}

/** When a machine came to a state, by its own stamp and at the latest, on our clock. */
async function stampOf(ctx: Context, id: string, status: string): Promise<number | undefined> {
  return stampIn(ctx, await get(ctx, id), status);
}

async function stampIn(ctx: Context, answer: Answer, status: string): Promise<number | undefined> {
  if (answer.status !== 200) return undefined;
  const event = (answer.body as Machine).events?.find((one) => one.status === status);
  return event?.timestamp === undefined ? undefined : (await client(ctx)).clock.latest(event.timestamp);
}

/** The API waits for us, a minute at a time. */
async function started(ctx: Context, id: string): Promise<void> {
  const deadline = Date.now() + STARTED_MS;
  for (;;) {
    const path = `/machines/${id}/wait?state=started&timeout=60`;
    const answer = await call(ctx, { method: 'GET', path, key: `wait ${id}`, timeoutMs: 70_000 });
    if (answer.status === 200) return;
    const why = await whyNotRunning(ctx, id);
    if (answer.status !== 408 || why !== undefined || Date.now() > deadline)
      throw new CagematchError('launch-failed', `the machine does not start: ${why ?? whyRefused(answer)}`);
  }
}

/** Undefined while it runs, starts, or cannot be asked. */
async function whyNotRunning(ctx: Context, id: string): Promise<string | undefined> {
  const answer = await get(ctx, id);
  if (answer.status === 404) return 'the machine is gone';
  if (answer.status !== 200) return undefined;
  const { state, events } = answer.body as Machine;
  if (['created', 'creating', 'starting', 'started'].includes(state)) return undefined;
  const exit = events?.find((event) => event.type === 'exit')?.request?.exit_event;
  return `the machine is ${state}${exit?.oom_killed ? ', out of memory' : ''}`;
}

/** The API's own exec: it shows nothing before the command is over, and HTTP 200 says nothing of how that ended. */
function shellOf(ctx: Context, id: string): GuestShell {
  return async ({ script, args, stdin, repeatable }) => {
    const body = { command: ['/bin/sh', '-c', script, 'cagematch', ...args], timeout: EXEC_S, ...(stdin === undefined ? {} : { stdin }) };
    const timeoutMs = (EXEC_S + 10) * 1000;
    const answer = await call(ctx, { method: 'POST', path: `/machines/${id}/exec`, key: `exec ${id}`, body, timeoutMs, repeatable });
    if (answer.status === 200) {
      const { exit_code: code = 0, stdout = '', stderr = '' } = answer.body as { exit_code?: number; stdout?: string; stderr?: string };
      return { type: 'ran', code, stdout, stderr };
    }
    const gone = await whyNotRunning(ctx, id);
    if (gone === undefined && answer.status === 408) return { type: 'late', reason: whyRefused(answer) };
    return { type: 'lost', reason: gone ?? diagnose(appOf(ctx) ?? '', answer).reason };
  };
}

/** A handle whose launch failed half-way knows the name only. */
async function machineOf(ctx: Context, handle: FlyHandle): Promise<string> {
  const id = handle.machine ?? (await machinesNamed(ctx, handle.name))[0];
  if (id === undefined) throw new CagematchError('launch-failed', `there is no machine ${handle.name}`);
  return id;
}

async function machinesNamed(ctx: Context, name: string): Promise<string[]> {
  return (await ours(ctx)).filter((machine) => machine.name === name).map(({ id }) => id);
}

async function ours(ctx: Context): Promise<Machine[]> {
  const path = `/machines?metadata.cagematch_mode=${ctx.labels.mode}`;
  const all = await must<Machine[]>(ctx, 'not-ready', { method: 'GET', path, key: 'list' });
  return all.filter(({ state, config }) => {
    const { cagematch_mode: mode, cagematch_host: host } = config?.metadata ?? {};
    // A server that knew no such filter would give every machine of the app; whether an owner elsewhere lives cannot be told from here.
    return state !== 'destroyed' && mode === ctx.labels.mode && host === hostname();
  });
}

async function list(ctx: Context): Promise<Listed[]> {
  return (await ours(ctx)).map(({ id, name, config }) => {
    const { cagematch_match: match, cagematch_owner: owner } = config?.metadata ?? {};
    const labels = { mode: ctx.labels.mode, ...(match === undefined ? {} : { match }), ...(owner === undefined ? {} : { owner }) };
    return { id: `${name} ${id}`, kind: 'machine', labels };
  });
}

/** @returns since when it is gone */
async function remove(ctx: Context, id: string): Promise<number> {
  const deadline = Date.now() + GONE_MS;
  for (let deleted: Answer | undefined; ; ) {
    const answer = await get(ctx, id);
    const state = answer.status === 200 ? (answer.body as Machine).state : undefined;
    if (answer.status === 404 || state === 'destroyed') {
      const seenMs = monotonic();
      return Math.min(seenMs, (await stampIn(ctx, answer, 'destroyed')) ?? seenMs);
    }
    if (Date.now() > deadline || ctx.signal.aborted) {
      const why = whyRefused(deleted ?? answer);
      throw new CagematchError('destroy-failed', `machine ${id} is still there: ${why}`, `fly machine destroy --force ${id}`);
    }
    if (state !== 'destroying') deleted = await call(ctx, { method: 'DELETE', path: `/machines/${id}?force=true`, key: `delete ${id}` });
  }
}

function imageOf(ctx: Context): string {
  return `registry.fly.io/${appOf(ctx)}:${label(ctx)}`;
}

function label(ctx: Context): string {
  return imageName(ctx, undefined).split(':')[1] ?? 'latest';
}

const CLI = ['fly', 'flyctl'] as const;
const INSTALL = 'curl -L https://fly.io/install.sh | sh';

async function flyCli(
  ctx: Context,
  args: string[],
  options: { input?: string; cwd?: string; code: CagematchError['code']; timeoutMs: number; onLine?: (line: string) => void },
): Promise<string> {
  const program = await oneProgram(CLI, /^fly(?:ctl)? v(\S+)/, ctx, { code: options.code, hint: INSTALL });
  return output([program, ...args], { env: ctx.env, signal: ctx.signal, ...options });
}

async function build(ctx: Context, fresh: boolean): Promise<void> {
  const app = appOf(ctx) ?? '';
  const folder = makeFolder('build');
  ctx.say(`building ${imageOf(ctx)} with Fly's builder, and pushing it`);
  try {
    await fillBuildContext(ctx, folder);
    copyFileSync(join(ctx.packageRoot, 'fly.toml'), join(folder, 'fly.toml'));
    const args = ['deploy', '--build-only', '--push', '--image-label', label(ctx), '--app', app, ...(fresh ? ['--no-cache'] : [])];
    args.push('--build-arg', `AGENT_VERSION=${ctx.agentVersion}`);
    const bounds = { code: 'image-unavailable' as const, timeoutMs: 20 * 60_000 };
    await flyCli(ctx, args, { cwd: folder, onLine: ctx.say, ...bounds });
  } finally {
    removeFolder(folder);
  }
}
