// Fly.io: a microVM on a remote machine, through the Machines API; the workspace is copied there
// and back.

import { readFileSync } from 'node:fs';
import { monotonic } from '../lib/clock.js';
import { type Context, defineMode, type GuestShell, type Handle } from '../lib/contract.js';
import { CagematchError } from '../lib/errors.js';
import { requireEgress } from '../lib/kit/egress.js';
import { pack, unpack } from '../lib/kit/guest/archive.js';
import { copyIn, copyOut, MADE, runDetached, unpackInside } from '../lib/kit/guest/shell.js';
import { terminalArgv } from '../lib/kit/guest/terminal.js';
import { IMAGE_LAYOUT } from '../lib/kit/oci/args.js';
import { promise, type WallPromises } from '../lib/kit/walls.js';
import { quoted } from '../lib/os/quoted.js';
import { appOf, askForApp, call, client, diagnose, NAME_APP, regionsOf } from './fly/api.js';
import { charge } from './fly/bill.js';
import { guestOf, PRICE, priceOf, rateOf } from './fly/guest.js';
import { whyRefused } from './fly/http-api.js';
import { build, CLI, flyCli } from './fly/image.js';
import {
  type Content,
  list,
  machinesNamed,
  order,
  remove,
  stampOf,
  started,
  whyNotRunning,
} from './fly/machine.js';
import { placesOf } from './fly/one-program.js';
import { describeSkew } from './fly/server-clock.js';
import { setup } from './fly/setup.js';

/**
 * The API has cut off commands that took more than half a minute; ours take at most this many
 * seconds.
 */
const EXEC_S = 25;

/** Largest workspace archive, in bytes, that is sent as part of the machine's configuration. */
const INLINE = 96 * 1024;

/**
 * Folder of files that exist before the first command; commands use another one, because init may
 * run as a different user than they do.
 */
const BROUGHT = '/tmp/cagematch';

const ARCHIVE = 'workspace.tgz';

interface FlyHandle extends Handle {
  machine?: string;
}

/**
 * The machines that this process has started and not yet charged, by name: since when, on our
 * clock, and dollars per second.
 */
const running = new Map<string, { sinceMs: number; rate: number }>();

/** What is out of reach for a machine at Fly.io, because it is not this machine. */
const ELSEWHERE: WallPromises = {
  ...promise(
    'closed',
    'host-kernel',
    'root-on-host',
    'other-processes',
    'docker-socket',
    'podman-socket',
    'incus-socket',
    'ssh-agent',
  ),
  ...promise(
    'closed',
    'host-files-readable',
    'host-files-writable',
    'host-root-files',
    'git-push-no-remote',
    'git-push-file',
  ),
  ...promise(
    'closed',
    'credentials-in-env',
    'credentials-in-proc',
    'credentials-in-files',
    'credential-places',
    'memory-limit',
  ),
};

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
    CAGEMATCH_FLY_APP: {
      help: 'Fly.io app that holds the machines; default: the one that fly.toml names',
      example: 'my-cagematch',
    },
    FLY_REGION: {
      help: 'region of the machines, or several to try in turn where one is full; default: the nearest',
      example: 'fra,ams',
    },
    FLY_FLAPS_BASE_URL: { help: 'address of the Machines API; default: https://api.machines.dev' },
  },
  clientVariables: ['FLY_CONFIG_DIR', 'FLY_API_BASE_URL', 'FLY_NO_UPDATE_CHECK'],
  platforms: ['linux', 'darwin', 'win32'],
  summary:
    'a machine of the Fly.io app through the Machines API; the workspace is copied in and back',
  oneShot: false,
  options: ['cpus', 'memoryMiB', 'egress'],

  async detect(ctx) {
    const app = appOf(ctx);
    if (app === undefined)
      return { status: 'unconfigured', reason: 'no Fly.io app is named', hint: NAME_APP };
    const odd = regionsOf(ctx).find((region) => !/^[a-z]{2,4}$/.test(region));
    if (odd !== undefined)
      return {
        status: 'unconfigured',
        reason: `FLY_REGION names ${odd}, which is no region's code`,
        hint: 'fly platform regions',
      };
    const answer = await askForApp(ctx);
    const trouble = answer.status === 200 ? undefined : diagnose(app, answer);
    if (trouble)
      return {
        status: trouble.broken ? 'broken' : 'unconfigured',
        reason: trouble.reason,
        hint: trouble.hint,
      };
    const server = answer.status === undefined ? '' : (answer.headers.get('server') ?? '');
    const clock = describeSkew((await client(ctx)).clock);
    const facts = {
      ...{
        app,
        region: regionsOf(ctx).join(', then ') || 'nearest',
        cli: placesOf(CLI, ctx).length > 0 ? 'there' : 'none',
      },
      ...(clock === undefined ? {} : { clock }),
      price: priceOf(guestOf({ ...ctx, options: {} })),
    };
    return {
      status: 'ready',
      version: `Machines API v1${server === '' ? '' : ` (${server})`}`,
      facts,
    };
  },

  async prepare(ctx, options) {
    guestOf(ctx);
    requireEgress(ctx, 'Fly.io', ['internet']);
    // Whether the image is in Fly's registry is only known once a machine is created. Building it
    // costs the user money, so a match never builds it; `cagematch build fly` does, and Fly's own
    // cache makes the second build short.
    if (options) await build(ctx, options.rebuild ?? false);
    return {};
  },

  reach: async () => ({ via: 'inside' }),
  layout: () => IMAGE_LAYOUT,

  async launch(ctx, spec) {
    const archive = await pack(spec.host.workspace);
    const inline = archive.length <= INLINE;
    const content: Content[] = spec.files.map((file) => ({
      path: file.path,
      bytes: readFileSync(file.source),
    }));
    if (inline) content.push({ path: `${BROUGHT}/${ARCHIVE}`, bytes: archive });
    const orderedMs = monotonic();
    const made = await order(ctx, spec, content);
    await started(ctx, made.id);
    const waitedMs = monotonic();
    const shell = shellOf(ctx, made.id);
    const folder = inline ? BROUGHT : MADE;
    // The timestamps are requested in parallel with the work, so that no extra round trip is
    // included in the measured times.
    const [stampMs] = await Promise.all([
      stampOf(ctx, made.id, 'started'),
      (async () => {
        if (!inline) await copyIn(shell, archive, `${folder}/${ARCHIVE}`);
        await unpackInside(shell, archive, `${folder}/${ARCHIVE}`, IMAGE_LAYOUT.workspace);
      })(),
    ]);
    const runningAtMs = Math.max(orderedMs, Math.min(waitedMs, stampMs ?? waitedMs));
    const where = made.region === undefined ? {} : { place: made.region };
    running.set(spec.name, { sinceMs: runningAtMs, rate: rateOf(guestOf(ctx)) });
    return { handle: { name: spec.name, machine: made.id, ...where }, runningAtMs };
  },
  async *exec(ctx, handle, command) {
    yield* runDetached(shellOf(ctx, await machineOf(ctx, handle)), MADE, command, ctx.signal);
  },
  async collect(ctx, handle, into) {
    const shell = shellOf(ctx, await machineOf(ctx, handle));
    await unpack(await copyOut(shell, IMAGE_LAYOUT.workspace, `${MADE}/${ARCHIVE}`), into);
  },
  guestShell(ctx, handle) {
    return async (script) => shellOf(ctx, await machineOf(ctx, handle))(script);
  },
  async destroy(ctx, handle) {
    let goneAtMs: number | undefined;
    for (const id of handle.machine === undefined
      ? await machinesNamed(ctx, handle.name)
      : [handle.machine])
      goneAtMs = await remove(ctx, id);
    const ran = running.get(handle.name);
    if (ran !== undefined)
      await charge(ctx, 'Fly.io', PRICE, (goneAtMs ?? monotonic()) - ran.sinceMs, ran.rate);
    // The machine is charged once: destroying it again costs nothing.
    running.delete(handle.name);
    return goneAtMs === undefined ? {} : { goneAtMs };
  },
  list,
  async reap(ctx, listed) {
    await remove(ctx, listed.id.split(' ').at(-1) ?? '');
  },
  setup,
  walls: () => ELSEWHERE,
  async terminal(ctx, handle, command) {
    const machine = await machineOf(ctx, handle);
    // The CLI passes on one line, which the guest's shell reads.
    const inside = (await terminalArgv(shellOf(ctx, machine), IMAGE_LAYOUT.memory, command))
      .map(quoted)
      .join(' ');
    const where = ['--app', appOf(ctx) ?? '', '--machine', machine, '--user', 'agent'];
    return {
      argv: ['fly', 'ssh', 'console', ...where, '--pty', '--command', inside],
      env: ctx.env,
      cwd: '/',
    };
  },

  async pushSecret(ctx, name, value) {
    const app = appOf(ctx) ?? '';
    // `-` makes the CLI read the value from stdin; a staged secret is available to machines created
    // from now on.
    await flyCli(ctx, ['secrets', 'set', `${name}=-`, '--stage', '--app', app], {
      input: value,
      code: 'not-ready',
      timeoutMs: 60_000,
    });
    return `${name} is staged for ${app}`;
  },
});

/**
 * Runs commands through the API's exec: it returns no output before the command ends, and HTTP 200
 * does not imply that it succeeded.
 */
function shellOf(ctx: Context, id: string): GuestShell {
  return async ({ script, args, stdin, repeatable }) => {
    const body = {
      command: ['/bin/sh', '-c', script, 'cagematch', ...args],
      timeout: EXEC_S,
      ...(stdin === undefined ? {} : { stdin }),
    };
    const timeoutMs = (EXEC_S + 10) * 1000;
    const answer = await call(ctx, {
      method: 'POST',
      path: `/machines/${id}/exec`,
      key: `exec ${id}`,
      body,
      timeoutMs,
      repeatable,
    });
    if (answer.status === 200) {
      const {
        exit_code: code = 0,
        stdout = '',
        stderr = '',
      } = answer.body as { exit_code?: number; stdout?: string; stderr?: string };
      return { type: 'ran', code, stdout, stderr };
    }
    const gone = await whyNotRunning(ctx, id);
    if (gone === undefined && answer.status === 408)
      return { type: 'late', reason: whyRefused(answer) };
    return { type: 'lost', reason: gone ?? diagnose(appOf(ctx) ?? '', answer).reason };
  };
}

/** If the launch failed half-way, the handle contains only the name. */
async function machineOf(ctx: Context, handle: FlyHandle): Promise<string> {
  const id = handle.machine ?? (await machinesNamed(ctx, handle.name))[0];
  if (id === undefined)
    throw new CagematchError('launch-failed', `there is no machine ${handle.name}`);
  return id;
}
