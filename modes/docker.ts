// Docker: a container that shares the host's kernel. Every other OCI runtime registered with the
// daemon is a variant.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Context, defineMode, type Env, type Reach, type Variant } from '../lib/contract.js';
import { CagematchError } from '../lib/errors.js';
import { parseJson } from '../lib/json.js';
import { requireEgress } from '../lib/kit/egress.js';
import { type Client, containerWalls, IMAGE_LAYOUT } from '../lib/kit/oci/args.js';
import { clientCensus, socketCensus } from '../lib/kit/oci/census.js';
import {
  containerDisk,
  containerTraces,
  execInContainer,
  launchContainer,
  listOurs,
  monitorsOf,
  type OciHandle,
  reapOurs,
  removeContainer,
  terminalInContainer,
} from '../lib/kit/oci/client.js';
import { ensureImage, evictImage, imageName } from '../lib/kit/oci/image.js';
import {
  knownRuntime,
  OCI_RUNTIMES,
  type OtherNames,
  otherNames,
  otherNamesFact,
  requireDevice,
  requireInside,
  runtimeNamed,
  runtimeVariant,
} from '../lib/kit/oci/runtimes.js';
import {
  programVersion,
  versionFacts,
  versionIn,
  versionsOnPath,
} from '../lib/kit/program-version.js';
import { capture, whyFailed } from '../lib/os/capture.js';
import { programsLike, which } from '../lib/os/path-search.js';

interface Registered {
  path?: string;
  runtimeArgs?: string[] | null;
  /** Set for a shim instead of `path`: `io.containerd.kata.v2`, or the path of the shim itself. */
  runtimeType?: string;
}

interface Info {
  ServerVersion?: string;
  OperatingSystem?: string;
  Driver?: string;
  CgroupVersion?: string;
  DefaultRuntime?: string;
  Runtimes?: Record<string, Registered>;
  RuncCommit?: { ID?: string };
  ContainerdCommit?: { ID?: string };
  ServerErrors?: string[];
}

interface DockerState {
  /** The daemon's default OCI runtime. */
  runtime: string;
  /** True if the containers run in Docker Desktop's virtual machine. */
  desktop: boolean;
  /** OCI runtimes that are registered with `--network=host` and so cannot use any other network. */
  hostNetwork: string[];
  /** OCI runtimes that are registered with `--ignore-cgroups`. */
  ignoresLimits: string[];
  otherNames: OtherNames;
}

type DockerContext = Context<DockerState>;

export default defineMode<OciHandle, DockerState>({
  id: 'docker',
  title: 'Docker',
  letter: 'A',
  isolation: 'container',
  workspace: 'bind',
  auth: ['gateway', 'env', 'file'],
  inputs: {
    DOCKER_HOST: {
      help: 'address of the Docker daemon, when it is not the usual one',
      example: 'unix:///run/user/1000/docker.sock',
    },
    CAGEMATCH_BASE_IMAGE: {
      help: 'base image that the runner image is built on; default: node:22-slim',
    },
  },
  clientVariables: [
    ...[
      'DOCKER_CONTEXT',
      'DOCKER_CONFIG',
      'DOCKER_TLS',
      'DOCKER_TLS_VERIFY',
      'DOCKER_CERT_PATH',
      'DOCKER_API_VERSION',
    ],
    ...['DOCKER_BUILDKIT', 'BUILDX_BUILDER', 'BUILDX_CONFIG', 'DOCKER_DEFAULT_PLATFORM'],
  ],
  platforms: ['linux', 'darwin', 'win32'],
  summary:
    '`docker run --rm`, hardened, on the bridge network; OCI runtimes of the daemon are variants (`docker:runsc`)',
  oneShot: true,
  options: ['network', 'tmpfs', 'cpus', 'memoryMiB', 'egress'],

  async detect(ctx) {
    // The versions of the usual OCI runtimes are queried in parallel with the daemon, not after it.
    const usual =
      which('docker', ctx.env) === undefined
        ? Promise.resolve(new Map())
        : versionsOnPath(USUAL, ctx);
    const result = await capture(['docker', 'info', '--format', '{{json .}}'], {
      env: ctx.env,
      signal: ctx.signal,
      timeoutMs: 10_000,
    });
    if (result.failure === 'missing')
      return {
        status: 'absent',
        reason: 'no docker command on PATH',
        hint: installHint(ctx.platform),
      };
    const info = parseJson<Info>(result.stdout);
    if (!info?.ServerVersion) {
      if (speaksAsPodman(info, result.stdout + result.stderr)) return reallyPodman();
      return {
        status: 'broken',
        reason: `the Docker daemon does not answer: ${info?.ServerErrors?.[0] ?? whyFailed(result)}`,
        hint: startHint(ctx.platform),
      };
    }
    const { host, by, hint } = endpointOf(ctx.env);
    if (host !== undefined && /^(tcp|ssh|https?):/.test(host))
      return {
        status: 'unconfigured',
        reason: `${by} is another machine (${host.split(':')[0]}), which cannot mount this workspace`,
        hint,
      };
    const runtimes = runtimesOf(info);
    const registeredWith = (flag: string) =>
      runtimes.filter(([, { runtimeArgs }]) => runtimeArgs?.includes(flag)).map(([id]) => id);
    const state: DockerState = {
      runtime: info.DefaultRuntime ?? 'runc',
      desktop: isDesktop(info),
      hostNetwork: registeredWith('--network=host'),
      ignoresLimits: registeredWith('--ignore-cgroups'),
      otherNames: otherNames(runtimes.map(([id, runtime]) => [id, namesOf(runtime)])),
    };
    const byDefault = knownRuntime(
      ...namesOf(info.Runtimes?.[info.DefaultRuntime ?? '']),
      info.DefaultRuntime,
    )?.isolation;
    return {
      status: 'ready',
      version: info.ServerVersion,
      ...(byDefault === undefined || byDefault === 'container' ? {} : { isolation: byDefault }),
      facts: {
        storage: info.Driver ?? 'unknown',
        cgroup: info.CgroupVersion ?? 'unknown',
        runtime: state.runtime,
        ...(await versions(info, await usual, ctx)),
        desktop: state.desktop,
        hostNetwork: state.hostNetwork.join(' '),
        ignoresLimits: state.ignoresLimits.join(' '),
        ...otherNamesFact(state.otherNames),
      },
      state,
      variants: runtimes
        .filter(([id]) => id !== info.DefaultRuntime)
        .map(([id, runtime]): Variant => runtimeVariant(id, ...namesOf(runtime)))
        .concat(unlisted(info, ctx)),
    };
  },

  async prepare(ctx, options) {
    checkOptions(ctx);
    return ensureImage(client(ctx), ctx, {
      image: image(ctx),
      base: ctx.env.CAGEMATCH_BASE_IMAGE,
      network: 'host',
      rebuild: options?.rebuild ?? false,
    });
  },
  evict: (ctx) => evictImage(client(ctx), ctx, image(ctx)),

  async reach(ctx) {
    const network = networkOf(ctx);
    if (network === 'none') return { via: 'inside' };
    // Docker Desktop's virtual machine reaches the host's loopback through this name.
    if (ctx.state?.desktop)
      return {
        via: 'address',
        listen: '127.0.0.1',
        url: (port) => `http://host.docker.internal:${port}`,
      };
    if (network === 'host')
      return { via: 'address', listen: '127.0.0.1', url: (port) => `http://127.0.0.1:${port}` };
    return bridgeReach(ctx, network === 'default' ? undefined : network);
  },
  layout: () => IMAGE_LAYOUT,

  launch: (ctx, spec) =>
    launchContainer(client(ctx), ctx, spec, {
      image: image(ctx),
      labels: ctx.labels,
      ...ctx.options,
      network: networkOf(ctx),
      hostTasks: kindOf(ctx)?.hostTasks,
      extra: ['--pull', 'never', ...(ctx.variant === undefined ? [] : ['--runtime', ctx.variant])],
    }),
  exec(ctx, handle, command) {
    requireInside(runtimeOf(ctx), kindOf(ctx));
    return execInContainer(client(ctx), ctx, handle, command);
  },
  async collect() {},
  destroy: (ctx, handle) => removeContainer(client(ctx), ctx, handle),
  processes: (ctx, handle) => monitorsOf(client(ctx), handle),
  disk: (ctx, handle) => containerDisk(client(ctx), image(ctx), handle),
  list: (ctx) => listOurs(client(ctx)),
  census: async (ctx) => (await askDaemon(ctx)) ?? clientCensus(client(ctx)),
  reap: (ctx, listed) => reapOurs(client(ctx), listed),
  runner: image,
  traces: (ctx, handle) => containerTraces(client(ctx), image(ctx), handle),
  walls(ctx) {
    const network = networkOf(ctx);
    const ownKernel = ctx.state?.desktop || (kindOf(ctx)?.isolation ?? 'container') !== 'container';
    return {
      ...containerWalls({
        limits: !isAmong(ctx, 'ignoresLimits'),
        network: network === 'none' ? 'none' : network === 'host' ? 'shared' : 'behind',
      }),
      'host-kernel': ownKernel ? 'closed' : 'open',
    };
  },
  async terminal(ctx, handle, command) {
    requireInside(runtimeOf(ctx), kindOf(ctx));
    return terminalInContainer(client(ctx), handle, command);
  },
});

/**
 * Shims on PATH: since version 23 the daemon can use them without listing them. Whether one starts
 * is only known once it is requested.
 */
function unlisted(info: Info, ctx: Context): Variant[] {
  if (isDesktop(info) || Number.parseInt(info.ServerVersion ?? '', 10) < 23) return [];
  const listed = Object.entries(info.Runtimes ?? {}).flatMap(([id, { runtimeType = '' }]) => [
    id,
    runtimeType,
  ]);
  return programsLike(SHIM, ctx.env)
    .filter((shim) => (knownRuntime(shim)?.isolation ?? 'container') !== 'container')
    .map((shim) => shim.replace(SHIM, 'io.containerd.$1.$2'))
    .filter((id) => !listed.includes(id))
    .map((id) => ({ ...runtimeVariant(id), onRequest: true }));
}

const SHIM = /^containerd-shim-(.+)-(v\d+)$/;

/**
 * Programs that are commonly registered with daemons. Runtimes that are shims have no such program.
 */
const USUAL = OCI_RUNTIMES.flatMap(({ name, programs }) =>
  name === 'runc' || !programs?.includes(name) ? [] : [name],
);

/** Excludes containerd's own names for runc. */
function runtimesOf(info: Info): [id: string, Registered][] {
  return Object.entries(info.Runtimes ?? {}).filter(
    ([id]) => !/^io\.containerd\.(runc|runtime)\./.test(id),
  );
}

/** What identifies a runtime better than the name it was registered under. */
function namesOf({ path, runtimeType }: Registered = {}): string[] {
  return [runtimeType, path].flatMap((word) => (word ? [basename(word)] : []));
}

/** The program that is started for the runtime, as a path or as its name on PATH. */
function programOf({ path, runtimeType }: Registered): string | undefined {
  return (
    path ||
    runtimeType?.replace(/^io\.containerd\.(.+)\.(v\d+)$/, 'containerd-shim-$1-$2') ||
    undefined
  );
}

function isDesktop(info: Info): boolean {
  return /Docker Desktop|OrbStack/.test(info.OperatingSystem ?? '');
}

/**
 * Versions of the components below the daemon. The daemon reports those of its defaults; other
 * runtimes are queried at the path they are registered with.
 */
async function versions(
  info: Info,
  usual: Map<string, string>,
  ctx: Context,
): Promise<Record<string, string>> {
  const found: Record<string, string | undefined> = {
    containerd: commit(info.ContainerdCommit),
    runc: commit(info.RuncCommit),
  };
  // With Docker Desktop the runtimes are inside its virtual machine, not on this machine.
  const others = isDesktop(info) ? [] : runtimesOf(info).filter(([id]) => id !== 'runc');
  const queries = others.map(async ([id, registered]) => {
    const named = programOf(registered);
    const program = named === undefined || named.includes('/') ? named : which(named, ctx.env);
    if (program !== undefined)
      found[id] = usual.get(program) ?? (await programVersion(program, ctx));
  });
  await Promise.all(queries);
  return versionFacts(found);
}

/** The version of a package, or the commit it was built from. */
function commit(component: { ID?: string } | undefined): string | undefined {
  return versionIn(component?.ID) ?? /^[0-9a-f]{7,}$/.exec(component?.ID ?? '')?.[0];
}

/**
 * A census follows every run: over the daemon's own socket it takes a few ms, while every question
 * through the client would take 20 ms.
 */
async function askDaemon(ctx: Context) {
  const socket = socketOf(ctx);
  return socket === undefined ? undefined : socketCensus(socket);
}

/** The socket that the client uses as well; undefined if only the client can determine it. */
function socketOf({ env, platform }: Context): string | undefined {
  if (platform === 'win32') return undefined;
  const { host } = endpointOf(env);
  return host === undefined ? undefined : /^unix:\/\/(\/.+)$/.exec(host)?.[1];
}

interface Endpoint {
  /** The address of the daemon; undefined if only the client can determine it. */
  host: string | undefined;
  /** The setting that the address comes from; `hint` is how to change it. */
  by: string;
  hint: string;
}

/**
 * Which daemon the client uses, in the client's own order: DOCKER_HOST, DOCKER_CONTEXT, then the
 * context named in its settings.
 */
function endpointOf(env: Env): Endpoint {
  if (env.DOCKER_HOST)
    return { host: env.DOCKER_HOST, by: 'DOCKER_HOST', hint: 'unset DOCKER_HOST' };
  const folder = env.DOCKER_CONFIG || join(env.HOME ?? '/', '.docker');
  const context =
    env.DOCKER_CONTEXT ||
    readJson<{ currentContext?: string }>(join(folder, 'config.json'))?.currentContext ||
    'default';
  const hint = env.DOCKER_CONTEXT ? 'unset DOCKER_CONTEXT' : 'docker context use default';
  const by = `the Docker context ${context}`;
  if (context === 'default') return { host: 'unix:///var/run/docker.sock', by, hint };
  const meta = join(
    folder,
    'contexts/meta',
    createHash('sha256').update(context).digest('hex'),
    'meta.json',
  );
  return {
    host: readJson<{ Endpoints?: { docker?: { Host?: string } } }>(meta)?.Endpoints?.docker?.Host,
    by,
    hint,
  };
}

function readJson<T>(path: string): T | undefined {
  return existsSync(path) ? parseJson<T>(readFileSync(path, 'utf8')) : undefined;
}

function client(ctx: Context): Client {
  return { argv: ['docker'], env: ctx.env };
}

function image(ctx: Context): string {
  return imageName(ctx, ctx.env.CAGEMATCH_BASE_IMAGE);
}

/** Value of `--network`; undefined means Docker's default bridge. */
function networkOf(ctx: DockerContext): string | undefined {
  return ctx.options.network ?? (isAmong(ctx, 'hostNetwork') ? 'host' : undefined);
}

/** True if the row's OCI runtime is in the given list. */
function isAmong(ctx: DockerContext, list: 'hostNetwork' | 'ignoresLimits'): boolean {
  return ctx.state?.[list].includes(runtimeOf(ctx)) ?? false;
}

function runtimeOf(ctx: DockerContext): string {
  return ctx.variant ?? ctx.state?.runtime ?? 'runc';
}

function kindOf(ctx: DockerContext) {
  return runtimeNamed(runtimeOf(ctx), ctx.state?.otherNames);
}

/**
 * @throws `not-ready` if this machine lacks the device that the runtime needs, or if an option
 *   would be accepted but have no effect
 */
function checkOptions(ctx: DockerContext): void {
  requireEgress(ctx, 'Docker', networkOf(ctx) === 'none' ? [] : ['internet']);
  // The daemon runs as root or as this user, so all we can check on its behalf is that the device
  // exists.
  if (ctx.platform === 'linux' && !ctx.state?.desktop)
    requireDevice(runtimeOf(ctx), kindOf(ctx), existsSync);
  const { network, cpus, memoryMiB } = ctx.options;
  if (isAmong(ctx, 'hostNetwork') && network !== undefined && network !== 'host')
    throw new CagematchError(
      'not-ready',
      `${runtimeOf(ctx)} is registered with --network=host and supports no other network`,
      'network: host',
    );
  if (isAmong(ctx, 'ignoresLimits') && (cpus !== undefined || memoryMiB !== undefined))
    throw new CagematchError(
      'not-ready',
      `${runtimeOf(ctx)} is registered with --ignore-cgroups: cpus and memory would have no effect`,
      `register ${runtimeOf(ctx)} without --ignore-cgroups`,
    );
}

/** The gateway is reached at the bridge's own address, which belongs to this host. */
async function bridgeReach(ctx: Context, network = 'bridge'): Promise<Reach> {
  const format = '{{(index .IPAM.Config 0).Gateway}}';
  const inspected = await capture(['docker', 'network', 'inspect', network, '--format', format], {
    env: ctx.env,
    timeoutMs: 10_000,
  });
  const address = inspected.stdout.trim();
  if (address === '' && network !== 'bridge')
    throw new CagematchError(
      'not-ready',
      `Docker reports no address of this host on the network ${network}`,
      'docker network ls',
    );
  const gateway = address || '172.17.0.1';
  return { via: 'address', listen: gateway, url: (port) => `http://${gateway}:${port}` };
}

/**
 * True if `docker` is really Podman: podman-docker answers in Podman's format. A real Docker client
 * that cannot reach a Podman socket is a different case.
 */
function speaksAsPodman(info: object | undefined, text: string): boolean {
  if (info && 'host' in info && 'store' in info && 'version' in info) return true;
  return /podman/i.test(text) && !/Docker daemon/.test(text);
}

function reallyPodman() {
  return {
    status: 'absent',
    reason: 'the docker command here is really Podman',
    hint: 'cagematch run podman',
  } as const;
}

function installHint(platform: NodeJS.Platform): string {
  return platform === 'linux'
    ? 'sudo apt-get install docker.io'
    : 'install Docker Desktop: docker.com/products/docker-desktop';
}

function startHint(platform: NodeJS.Platform): string {
  return platform === 'linux'
    ? 'sudo systemctl start docker (without systemd: sudo rig/up docker)'
    : 'start Docker Desktop';
}
