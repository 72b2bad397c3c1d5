// Podman: a container without a daemon. Rootless if the caller is not root, or as the variant
// `rootless`.
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  type Context,
  defineMode,
  type Env,
  type Reach,
  type Thing,
  type Variant,
} from '../lib/contract.js';
import { CagematchError } from '../lib/errors.js';
import { requireEgress } from '../lib/kit/egress.js';
import { type Client, containerWalls, IMAGE_LAYOUT, labelArgs } from '../lib/kit/oci/args.js';
import { clientCensus } from '../lib/kit/oci/census.js';
import {
  containerDisk,
  containerTraces,
  execInContainer,
  forceRemove,
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
import { programVersion, versionFacts, versionIn } from '../lib/kit/program-version.js';
import { capture, output, succeeded, whyFailed } from '../lib/os/capture.js';
import { otherUserEnv } from '../lib/os/client-env.js';
import { isProgram, which } from '../lib/os/path-search.js';
import { childrenOf, commandLines } from '../lib/os/process-tree.js';
import { registeredRuntimes } from './podman/containers-conf.js';

const ROOTLESS = 'rootless';

/** Address of the host's loopback inside a slirp4netns network. */
const SLIRP_HOST = '10.0.2.2';

interface Info {
  host?: {
    security?: { rootless?: boolean };
    serviceIsRemote?: boolean;
    ociRuntime?: { name?: string; version?: string };
    conmon?: { version?: string };
    cgroupVersion?: string;
    networkBackend?: string;
    rootlessNetworkCmd?: string;
  };
  store?: { graphDriverName?: string };
  version?: { Version?: string };
}

interface PodmanState {
  /** Podman's default OCI runtime. */
  runtime: string;
  rootless: boolean;
  /**
   * True if the containers run in the virtual machine of `podman machine`, or on another machine.
   */
  remote: boolean;
  /** `v1` or `v2`. */
  cgroup: string;
  /** The network program of rootless containers, where Podman names one. */
  rootlessNetwork: string;
  otherNames: OtherNames;
  /** Versions of the OCI runtimes that were found, by their ids. */
  versions: Record<string, string>;
}

type PodmanContext = Context<PodmanState>;

export default defineMode<OciHandle, PodmanState>({
  id: 'podman',
  title: 'Podman',
  letter: 'A',
  isolation: 'container',
  workspace: 'bind',
  auth: ['gateway', 'env', 'file'],
  inputs: {
    CONTAINERS_CONF: { help: "Podman's own settings file, when it is not the usual one" },
    CAGEMATCH_BASE_IMAGE: {
      help: 'base image that the runner image is built on; default: node:22-slim',
    },
    CAGEMATCH_ROOTLESS_RUNTIME_DIR: {
      help: "that user's XDG_RUNTIME_DIR; default: /run/user/<uid>",
    },
    CAGEMATCH_ROOTLESS_USER: {
      help: 'when cagematch runs as root: the user whose rootless Podman is the variant podman:rootless',
    },
  },
  clientVariables: [
    ...[
      'CONTAINERS_CONF_OVERRIDE',
      'CONTAINERS_STORAGE_CONF',
      'CONTAINERS_REGISTRIES_CONF',
      'REGISTRY_AUTH_FILE',
    ],
    ...['CONTAINER_HOST', 'CONTAINER_CONNECTION', 'CONTAINER_SSHKEY', 'DOCKER_CONFIG'],
  ],
  platforms: ['linux', 'darwin', 'win32'],
  summary:
    '`podman run --rm`, hardened, on the bridge network; rootless for an ordinary caller, `podman:rootless` for root; OCI runtimes that its settings name are variants, others on PATH on request (`podman:crun`)',
  oneShot: true,
  options: ['network', 'tmpfs', 'cpus', 'memoryMiB', 'egress'],

  async detect(ctx) {
    const account = ctx.uid === 0 ? rootlessAccount(ctx) : undefined;
    // All of them in parallel, so that detection takes only as long as the slowest.
    const found = which('podman', ctx.env) === undefined ? [] : otherRuntimes(ctx);
    const [answer, rootless, ...versions] = await Promise.all([
      ask(client(ctx), ctx),
      account && storageOf(clientOf(ctx, account), ctx),
      ...found.map(({ program }) => programVersion(program, ctx)),
    ]);
    if ('problem' in answer) return answer.problem;
    const { info } = answer;
    const { ociRuntime, conmon } = info.host ?? {};
    const others = info.host?.serviceIsRemote
      ? []
      : found.filter(({ id }) => id !== ociRuntime?.name);
    const programNames = new Map(found.map(({ id, program }) => [id, [basename(program)]]));
    const state: PodmanState = {
      runtime: ociRuntime?.name ?? 'unknown',
      rootless: info.host?.security?.rootless ?? false,
      remote: info.host?.serviceIsRemote ?? false,
      cgroup: info.host?.cgroupVersion ?? 'unknown',
      rootlessNetwork: info.host?.rootlessNetworkCmd ?? 'slirp4netns',
      otherNames: otherNames(info.host?.serviceIsRemote ? [] : programNames),
      versions: Object.fromEntries(
        found.flatMap(({ id }, index) =>
          versions[index] === undefined ? [] : [[id, versions[index]]],
        ),
      ),
    };
    const byDefault = knownRuntime(
      ...(programNames.get(ociRuntime?.name ?? '') ?? []),
      ociRuntime?.name,
    )?.isolation;
    return {
      status: 'ready',
      version: info.version?.Version ?? 'unknown',
      ...(byDefault === undefined || byDefault === 'container' ? {} : { isolation: byDefault }),
      facts: {
        ...versionFacts({
          ...Object.fromEntries(found.map(({ id }, index) => [id, versions[index]])),
          conmon: versionIn(conmon?.version),
          ...(ociRuntime?.name === undefined
            ? {}
            : { [ociRuntime.name]: versionIn(ociRuntime.version) }),
        }),
        ...(rootless === undefined ? {} : { rootlessStorage: rootless }),
        rootless: state.rootless,
        remote: state.remote,
        runtime: state.runtime,
        storage: info.store?.graphDriverName ?? 'unknown',
        cgroup: state.cgroup,
        rootlessNetwork: state.rootlessNetwork,
        ...otherNamesFact(state.otherNames),
      },
      state,
      variants: [
        ...(rootless !== undefined ? [{ id: ROOTLESS, isolation: 'container' as const }] : []),
        ...others.map(
          ({ id, program, registered }): Variant => ({
            ...runtimeVariant(id, basename(program)),
            ...(registered ? {} : { onRequest: true }),
          }),
        ),
      ],
    };
  },

  async prepare(ctx, options) {
    checkRuntime(ctx);
    checkOptions(ctx);
    const via = client(ctx);
    const made = await ensureImage(via, ctx, {
      image: image(ctx),
      base: ctx.env.CAGEMATCH_BASE_IMAGE,
      network: 'host',
      rebuild: options?.rebuild ?? false,
    });
    // The first run with a given id mapping copies the whole image; that cost belongs to the image,
    // not to the first sandbox.
    if (isRootless(ctx)) {
      const first = [
        'run',
        '--rm',
        '--pull',
        'never',
        '--userns',
        'keep-id',
        ...labelArgs(ctx.labels),
        image(ctx),
        'true',
      ];
      await output([...via.argv, ...first], {
        env: via.env,
        cwd: '/',
        timeoutMs: 120_000,
        code: 'image-unavailable',
      });
    }
    return made;
  },
  evict: (ctx) => evictImage(client(ctx), ctx, image(ctx)),

  async reach(ctx) {
    const { network } = ctx.options;
    if (network === 'none') return { via: 'inside' };
    if (ctx.state?.remote)
      return {
        via: 'address',
        listen: '127.0.0.1',
        url: (port) => `http://host.containers.internal:${port}`,
      };
    if (isRootless(ctx) || network === 'host') {
      // slirp4netns makes the host's loopback available at this address; pasta forwards only the
      // one port.
      const host = network === 'host' || userNetwork(ctx) === 'pasta' ? '127.0.0.1' : SLIRP_HOST;
      return { via: 'address', listen: '127.0.0.1', url: (port) => `http://${host}:${port}` };
    }
    return bridgeReach(ctx, network === 'bridge' ? undefined : network);
  },
  layout: () => IMAGE_LAYOUT,
  owner: (ctx) => (ctx.variant === ROOTLESS ? rootlessAccount(ctx) : undefined),

  launch: (ctx, spec) =>
    launchContainer(client(ctx), ctx, spec, {
      image: image(ctx),
      labels: ctx.labels,
      ...ctx.options,
      network: networkOf(ctx, spec.gatewayPort),
      hostTasks: runtimeNamed(runtimeOf(ctx), ctx.state?.otherNames)?.hostTasks,
      // By default, Podman would pass on the caller's proxy variables, including any passwords in
      // them.
      extra: [
        '--pull',
        'never',
        '--http-proxy=false',
        ...(isRootless(ctx) ? ['--userns', 'keep-id'] : []),
      ],
    }),
  exec(ctx, handle, command) {
    requireInside(runtimeOf(ctx), runtimeNamed(runtimeOf(ctx), ctx.state?.otherNames));
    return execInContainer(client(ctx), ctx, handle, command);
  },
  async collect() {},
  destroy: (ctx, handle) => removeContainer(client(ctx), ctx, handle),
  async processes(ctx, handle) {
    const monitors = await monitorsOf(client(ctx), handle);
    // The network of a rootless container is a separate process, whose arguments include the pid of
    // the container's first process.
    const inside = childrenOf(monitors).map(String);
    const networks = commandLines().filter(
      ({ argv }) =>
        /(^|\/)slirp4netns$/.test(argv[0] ?? '') && argv.some((word) => inside.includes(word)),
    );
    return [...monitors, ...networks.map(({ pid }) => pid)];
  },
  disk: (ctx, handle) => containerDisk(client(ctx), image(ctx), handle),
  list: (ctx) => listOurs(client(ctx)),
  census: async (ctx) => [...(await clientCensus(client(ctx))), ...ownNamespaces(ctx)],
  reap: (ctx, listed) => reapOurs(client(ctx), listed),
  runner: image,
  traces: (ctx, handle) => containerTraces(client(ctx), image(ctx), handle),
  walls(ctx) {
    const { network } = ctx.options;
    // slirp4netns is configured to allow access to the host's loopback, because the gateway listens
    // there; pasta forwards only that port.
    const behind =
      isRootless(ctx) && userNetwork(ctx) === 'slirp4netns' ? 'behind-with-loopback' : 'behind';
    const ownKernel =
      ctx.state?.remote ||
      (runtimeNamed(runtimeOf(ctx), ctx.state?.otherNames)?.isolation ?? 'container') !==
        'container';
    return {
      ...containerWalls({
        limits: !(isRootless(ctx) && ctx.state?.cgroup === 'v1'),
        network: network === 'none' ? 'none' : network === 'host' ? 'shared' : behind,
      }),
      'host-kernel': ownKernel ? 'closed' : 'open',
      ...(isRootless(ctx) ? { 'root-on-host': 'closed' } : {}),
    };
  },
  async terminal(ctx, handle, command) {
    requireInside(runtimeOf(ctx), runtimeNamed(runtimeOf(ctx), ctx.state?.otherNames));
    return terminalInContainer(client(ctx), handle, command);
  },
});

/**
 * The network namespaces of a rootless user are in that user's own mounts; their names are readable
 * from outside.
 */
function ownNamespaces(ctx: PodmanContext): Thing[] {
  const folder = join(client(ctx).env.XDG_RUNTIME_DIR ?? '/nonexistent', 'netns');
  try {
    return readdirSync(folder).map((name) => ({
      kind: 'netns',
      id: join(folder, name),
      marks: /-[0-9a-f]{8}-/.test(name) ? [] : [name],
    }));
  } catch {
    return [];
  }
}

async function ask(
  via: Client,
  ctx: Context,
): Promise<
  { info: Info } | { problem: { status: 'absent' | 'broken'; reason: string; hint: string } }
> {
  const result = await capture([...via.argv, 'info', '--format', 'json'], {
    env: via.env,
    signal: ctx.signal,
    timeoutMs: 10_000,
    cwd: '/',
  });
  if (result.failure === 'missing')
    return {
      problem: {
        status: 'absent',
        reason: 'no podman command on PATH',
        hint: ctx.platform === 'linux' ? 'sudo apt-get install podman' : 'brew install podman',
      },
    };
  if (!succeeded(result)) {
    return {
      problem: {
        status: 'broken',
        reason: `podman does not answer: ${whyFailed(result)}`,
        hint: ctx.platform === 'linux' ? 'podman info' : 'podman machine start',
      },
    };
  }
  try {
    return { info: JSON.parse(result.stdout) as Info };
  } catch {
    return {
      problem: {
        status: 'broken',
        reason: 'podman info printed no JSON',
        hint: 'podman info --format json',
      },
    };
  }
}

/**
 * The storage driver of a user's Podman; undefined if Podman does not answer. `podman info` takes
 * five times as long, mostly because it asks dpkg which package each program belongs to.
 */
async function storageOf(via: Client, ctx: Context): Promise<string | undefined> {
  const argv: [string, ...string[]] = [...via.argv, '--log-level', 'debug', 'ps', '--quiet'];
  const result = await capture(argv, {
    env: via.env,
    signal: ctx.signal,
    timeoutMs: 10_000,
    cwd: '/',
  });
  if (!succeeded(result)) return undefined;
  return (
    /(?:Using graph driver|prior storage driver:?) (\w+)/.exec(result.stderr)?.[1] ?? 'unknown'
  );
}

function client(ctx: PodmanContext): Client {
  const account = ctx.variant === ROOTLESS ? rootlessAccount(ctx) : undefined;
  if (account) return clientOf(ctx, account);
  const runtime =
    ctx.variant === undefined || ctx.variant === ROOTLESS ? [] : ['--runtime', ctx.variant];
  return { argv: ['podman', ...runtime], env: ctx.env, lateEvents: !ctx.state?.remote };
}

interface OtherRuntime {
  id: string;
  /** Absolute path. */
  program: string;
  /** True if the runtime is named in Podman's settings. */
  registered: boolean;
}

/**
 * OCI runtimes that Podman can be made to use. Podman does not report which of them work (crun
 * refuses a hybrid cgroup layout), so a runtime that is merely on PATH is offered only on request.
 */
function otherRuntimes(ctx: Context): OtherRuntime[] {
  const settings = registeredRuntimes(ctx);
  const registered = [...settings].flatMap(([id, places]) => {
    const program = id === ROOTLESS ? undefined : places.find(isProgram);
    return program === undefined ? [] : [{ id, program, registered: true }];
  });
  const onPath = OCI_RUNTIMES.flatMap(({ name: id, programs = [] }) => {
    const program = programs
      .map((candidate) => which(candidate, ctx.env))
      .find((path) => path !== undefined);
    return program === undefined || registered.some((other) => other.id === id)
      ? []
      : [{ id, program, registered: false }];
  });
  return [...registered, ...onPath];
}

/** The OCI runtime; for the variant that runs as another user, Podman's default. */
function runtimeOf({ variant, state }: PodmanContext): string {
  return variant === undefined || variant === ROOTLESS ? (state?.runtime ?? 'unknown') : variant;
}

/**
 * @throws `not-ready` if the OCI runtime cannot work here; called before an image is built for it
 */
function checkRuntime(ctx: PodmanContext): void {
  if (ctx.state?.remote) return;
  const id = runtimeOf(ctx);
  const runtime = runtimeNamed(id, ctx.state?.otherNames);
  if (runtime?.name === KATA) checkKata(ctx, id);
  const rights = constants.R_OK | constants.W_OK;
  // Which devices another user may open is not known here, so only their existence is checked.
  if (ctx.platform === 'linux')
    requireDevice(id, runtime, (path) =>
      opens(path, ctx.variant === ROOTLESS ? constants.F_OK : rights),
    );
}

const KATA = 'kata';

function checkKata(ctx: PodmanContext, id: string): void {
  if (isRootless(ctx)) {
    const message = `${id} makes its virtual machines as root: rootless Podman cannot use it`;
    throw new CagematchError('not-ready', message, `sudo npx cagematch run podman:${id}`);
  }
  const version = ctx.state?.versions[id];
  if (version === undefined || Number.parseInt(version, 10) < 2) return;
  const message = `${id} ${version} has no OCI command line, which Podman needs: since 2.0 Kata is a shim of containerd`;
  throw new CagematchError('not-ready', message, 'npx cagematch detect docker');
}

function opens(path: string, rights: number): boolean {
  try {
    accessSync(path, rights);
    return true;
  } catch {
    return false;
  }
}

interface Account {
  uid: number;
  gid: number;
  home: string;
}

function clientOf(ctx: Context, account: Account): Client {
  const { uid, gid } = account;
  const runtime = ctx.env.CAGEMATCH_ROOTLESS_RUNTIME_DIR ?? `/run/user/${uid}`;
  // The other user must not get the caller's own settings and credentials.
  const env: Env = {
    ...otherUserEnv(ctx.env, ['CONTAINERS_CONF']),
    HOME: account.home,
    XDG_RUNTIME_DIR: runtime,
  };
  return {
    argv: ['setpriv', '--reuid', `${uid}`, '--regid', `${gid}`, '--clear-groups', 'podman'],
    env,
    lateEvents: true,
  };
}

/** The account named in CAGEMATCH_ROOTLESS_USER, under which root runs rootless Podman. */
function rootlessAccount(ctx: Context): Account | undefined {
  const name = ctx.env.CAGEMATCH_ROOTLESS_USER;
  if (name === undefined || ctx.platform !== 'linux') return undefined;
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`));
  const [, , uid, gid, , home] = line?.split(':') ?? [];
  return uid === undefined || gid === undefined || home === undefined
    ? undefined
    : { uid: Number(uid), gid: Number(gid), home };
}

function isRootless(ctx: PodmanContext): boolean {
  return ctx.variant === ROOTLESS || ctx.state?.rootless === true;
}

/** The network program of a rootless container: the one requested, or Podman's default. */
function userNetwork(ctx: PodmanContext): string {
  return ctx.options.network ?? (ctx.state?.rootlessNetwork === 'pasta' ? 'pasta' : 'slirp4netns');
}

/** Value of `--network`; undefined means Podman's default. */
function networkOf(ctx: PodmanContext, gatewayPort: number | undefined): string | undefined {
  const { network } = ctx.options;
  if (!isRootless(ctx) || gatewayPort === undefined || network === 'host' || network === 'none')
    return network;
  return userNetwork(ctx) === 'pasta'
    ? `pasta:-T,${gatewayPort}`
    : 'slirp4netns:allow_host_loopback=true';
}

/**
 * @throws `not-ready` if an option would be accepted but have no effect, or would cut the agent off
 *   from its model
 */
function checkOptions(ctx: PodmanContext): void {
  requireEgress(ctx, 'Podman', ctx.options.network === 'none' ? [] : ['internet']);
  if (!isRootless(ctx)) return;
  const { network, cpus, memoryMiB } = ctx.options;
  if (network !== undefined && !['host', 'none', 'slirp4netns', 'pasta'].includes(network))
    throw new CagematchError(
      'not-ready',
      `no address of this host can be reached from rootless Podman's network ${network}`,
      'network: host, none, slirp4netns or pasta',
    );
  if (ctx.state?.cgroup === 'v1' && (cpus !== undefined || memoryMiB !== undefined))
    throw new CagematchError(
      'not-ready',
      'rootless Podman ignores cpus and memory on cgroup v1',
      'boot with systemd.unified_cgroup_hierarchy=1',
    );
}

function image(ctx: Context): string {
  return imageName(ctx, ctx.env.CAGEMATCH_BASE_IMAGE);
}

/**
 * The bridge has its address only while a container is attached to it, so we keep one attached
 * until the gateway is bound. The bound socket then outlives the bridge and works again whenever
 * the bridge comes back.
 */
async function bridgeReach(ctx: Context, network = 'podman'): Promise<Reach> {
  // The bridge is the same under any OCI runtime, so the keeper uses Podman's default.
  const via: Client = { argv: ['podman'], env: ctx.env };
  const call = { env: via.env, timeoutMs: 30_000, cwd: '/', code: 'launch-failed' as const };
  const result = await capture(
    [...via.argv, 'network', 'inspect', network, '--format', '{{(index .Subnets 0).Gateway}}'],
    call,
  );
  const gateway = result.stdout.trim();
  if (gateway === '')
    throw new CagematchError(
      'not-ready',
      `Podman reports no address of this host on the network ${network}: ${whyFailed(result)}`,
      'podman network ls',
    );
  const keeper = `cagematch-keeper-${ctx.labels.match}-${ctx.variant ?? 'default'}`;
  const options = [
    '--detach',
    '--stop-timeout',
    '0',
    '--pull',
    'never',
    '--network',
    network,
    '--name',
    keeper,
    ...labelArgs(ctx.labels),
  ];
  const release = () => forceRemove(via, keeper);
  try {
    await output([...via.argv, 'run', ...options, image(ctx), 'sleep', '60'], call);
  } catch (error) {
    await release();
    throw error;
  }
  return { via: 'address', listen: gateway, url: (port) => `http://${gateway}:${port}`, release };
}
