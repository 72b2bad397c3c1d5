// Detection of an Incus server, local or remote, and the setup steps.
import type { Detection, SetupStep } from '../../lib/contract.js';
import { parseJson } from '../../lib/json.js';
import { versionFacts } from '../../lib/kit/program-version.js';
import { type Captured, whyFailed } from '../../lib/os/capture.js';
import { which } from '../../lib/os/path-search.js';
import { type IncusContext, type IncusState, incus, type Server, VM } from './client.js';
import { askMembers } from './cluster.js';
import { ownImage } from './template.js';

/** Detection may take 5 s in total and makes two calls in sequence. */
const ASK_MS = 4000;

/**
 * The API extension of servers that run OCI images with a custom entry point (Incus 6.3 and later;
 * not the 6.0 LTS).
 */
const OCI = 'instance_oci_entrypoint';

export async function detect(ctx: IncusContext): Promise<Detection<IncusState>> {
  const result = await incus(ctx, ['query', '/1.0'], ASK_MS, '', ctx.signal);
  if (result.failure === 'missing')
    return {
      status: 'absent',
      reason: 'no incus command on PATH',
      hint: INSTALL[ctx.platform] ?? INSTALL.linux,
    };
  const server = parseJson<Server>(result.stdout);
  if (!server) return { status: 'broken', ...diagnose(ctx, result) };
  const remote = isRemote(ctx, server);
  if (server.auth !== 'trusted') return { status: 'unconfigured', ...distrust(ctx, server) };
  if (ctx.platform !== 'linux' && ownImage(ctx) === undefined)
    return { status: 'unconfigured', ...IMAGELESS };
  const { environment = {} } = server;
  const members = environment.server_clustered ? await askMembers(ctx, ASK_MS).catch(() => []) : [];
  // A cluster with one member is treated like any other server.
  const clustered = members.length > 1;
  const far = remote || clustered;
  const oci = server.api_extensions?.includes(OCI) ?? false;
  const driver = environment.driver ?? '';
  return {
    status: 'ready',
    version: environment.server_version ?? 'unknown',
    facts: {
      driver,
      storage: environment.storage ?? 'unknown',
      ...versionFacts({ driver: environment.driver_version, storage: environment.storage_version }),
      idmappedMounts: environment.kernel_features?.idmapped_mounts === 'true',
      ...(oci ? { oci } : {}),
      ...(clustered
        ? {
            members: members
              .map(({ name, online }) => (online ? name : `${name} (offline)`))
              .join(' '),
          }
        : {}),
      ...(far ? { far, server: environment.server_name ?? '' } : {}),
    },
    state: {
      far,
      oci,
      ...(clustered ? { members: members.map(({ name, online }) => ({ name, online })) } : {}),
    },
    ...(far ? { elsewhere: true as const } : {}),
    variants: driver.includes('qemu') ? [{ id: VM, isolation: 'microvm' }] : [],
  };
}

function isRemote(ctx: IncusContext, server: Server): boolean {
  return server.auth_user_method === 'tls' || ctx.platform !== 'linux';
}

function distrust(ctx: IncusContext, server: Server): { reason: string; hint: string } {
  const [whom, hint] = isRemote(ctx, server)
    ? ['client', 'there: incus config trust add cagematch; here: incus remote add NAME TOKEN']
    : ['user', 'sudo adduser $USER incus-admin'];
  return { reason: `the Incus daemon does not trust this ${whom}`, hint };
}

/**
 * For platforms other than Linux; on Linux, the template is built from this machine's own Node and
 * agent.
 */
const IMAGELESS = {
  reason:
    'a runner image has to be named: the Node and the agent of this machine do not run on Linux',
  hint: 'incus remote add REG https://REGISTRY --protocol=oci, then CAGEMATCH_INCUS_IMAGE=REG:me/cagematch-runner:1',
};

const INSTALL: Partial<Record<NodeJS.Platform, string>> & { linux: string } = {
  linux: 'sudo apt-get install incus (Debian 12: from backports)',
  darwin: 'brew install incus colima && colima start --runtime incus',
  win32: 'choco install incus',
};

/** Incus itself runs on Linux only; its client runs anywhere. */
export async function setup(ctx: IncusContext): Promise<SetupStep[]> {
  const result = await incus(ctx, ['query', '/1.0'], ASK_MS, '', ctx.signal);
  const server = parseJson<Server>(result.stdout);
  const answers = server !== undefined;
  const { [ctx.platform]: vm } = LINUX_FOR;
  return [
    {
      text: 'the incus client',
      done: result.failure !== 'missing',
      hint: INSTALL[ctx.platform] ?? INSTALL.linux,
    },
    vm
      ? { ...vm, done: answers }
      : { text: 'a server that answers', done: answers, hint: diagnose(ctx, result).hint },
    {
      text: 'the server trusts you',
      done: server?.auth === 'trusted',
      hint: server ? distrust(ctx, server).hint : 'after that',
    },
    ...(ctx.platform === 'linux'
      ? []
      : [{ text: IMAGELESS.reason, done: ownImage(ctx) !== undefined, hint: IMAGELESS.hint }]),
    ...(which('coi', ctx.env) === undefined
      ? []
      : [
          {
            text: 'coi (Code on Incus, pronounced koi) is here too: it wraps this same Incus, for work at a terminal; cagematch drives incus itself, and leaves its coi-… containers alone',
            done: undefined,
            hint: 'coi list --all',
          },
        ]),
  ];
}

const LINUX_FOR: Partial<Record<NodeJS.Platform, { text: string; hint: string }>> = {
  darwin: {
    text: 'a Linux for the server, in a Lima VM: Colima creates one with Incus in it and registers it with the client',
    hint: 'brew install colima && colima start --runtime incus (a VM of your own: limactl start, then incus remote add NAME TOKEN)',
  },
  win32: {
    text: 'a server on a Linux machine',
    hint: 'there: incus config trust add cagematch; here: incus remote add NAME TOKEN, incus remote switch NAME',
  },
};

/** Turns the client's error message into a reason and a command to type. */
function diagnose(ctx: IncusContext, result: Captured): { reason: string; hint: string } {
  const message = whyFailed(result);
  const remote = ctx.env.INCUS_REMOTE;
  if (/remote .*doesn't exist/i.test(message))
    return { reason: `the Incus client has no remote ${remote}`, hint: 'incus remote list' };
  const hint =
    ctx.platform === 'darwin'
      ? 'colima start --runtime incus, or limactl start NAME for a Lima VM of your own'
      : remote
        ? `incus remote list; incus query ${remote}:/1.0`
        : 'sudo systemctl start incus (without systemd: sudo rig/up incus)';
  return { reason: `the Incus daemon does not answer: ${message}`, hint };
}
