// Kubernetes: the pod of a Job (or of a Sandbox from agent-sandbox) on a named cluster, through
// kubectl; files are copied over exec.
import { randomUUID } from 'node:crypto';
import { defineMode } from '../lib/contract.js';
import { requireEgress } from '../lib/kit/egress.js';
import { unpack } from '../lib/kit/guest/archive.js';
import { bringIn, execOver } from '../lib/kit/guest/exec.js';
import { copyOut, MADE } from '../lib/kit/guest/shell.js';
import { containerWalls, IMAGE_LAYOUT } from '../lib/kit/oci/args.js';
import { requireInside, runtimeNamed } from '../lib/kit/oci/runtimes.js';
import { imageOf, type KubeState, kubectl } from './kubernetes/client.js';
import { list, remove, resources } from './kubernetes/listing.js';
import {
  connectionTo,
  digestOf,
  type KubeHandle,
  kinds,
  selector,
  shellOf,
  terminal,
  up,
} from './kubernetes/pod.js';
import { imageIn } from './kubernetes/pod-status.js';
import { detect } from './kubernetes/ready.js';

/** How long a pod may take to start once it is on a node; the first pod also pulls the image. */
const STARTED_MS = 120_000;

const PULLED_MS = 10 * 60_000;

export default defineMode<KubeHandle, KubeState>({
  id: 'kubernetes',
  title: 'Kubernetes',
  letter: 'E',
  isolation: 'container',
  workspace: 'copy',
  elsewhere: true,
  auth: ['remote-secret'],
  inputs: {
    CAGEMATCH_KUBE_CONTEXT: {
      help: "kubectl's context of the cluster; never the current one by itself",
      example: 'kind-cagematch',
    },
    CAGEMATCH_KUBE_NAMESPACE: {
      help: 'namespace of the pods, which has to be there; default: cagematch',
    },
    CAGEMATCH_KUBE_IMAGE: {
      help: 'the runner image, where the cluster can pull it',
      example: 'registry.example/cagematch-runner:1',
    },
    CAGEMATCH_KUBE_WAIT: {
      help: 'seconds that a pod may wait for a node (an autoscaler takes minutes); default: 60',
      example: '300',
    },
    KUBECONFIG: { help: "kubectl's own settings file, when it is not the usual one" },
  },
  // kubectl starts programs that fetch the cluster's credentials; these variables configure them.
  clientVariables: [
    ...[
      'AWS_PROFILE',
      'AWS_REGION',
      'AWS_DEFAULT_REGION',
      'AWS_CONFIG_FILE',
      'AWS_SHARED_CREDENTIALS_FILE',
    ],
    ...['CLOUDSDK_CONFIG', 'USE_GKE_GCLOUD_AUTH_PLUGIN', 'AZURE_CONFIG_DIR', 'KUBECACHEDIR'],
  ],
  platforms: ['linux', 'darwin', 'win32'],
  summary:
    "a Job's pod through `kubectl`, hardened; the workspace is copied in and back; RuntimeClasses are variants (`kubernetes:gvisor`), and so is `kubernetes:agent-sandbox`",
  oneShot: false,
  options: ['cpus', 'memoryMiB', 'egress'],

  detect,
  async prepare(ctx) {
    requireEgress(ctx, 'Kubernetes', ['internet']);
    // Everything that is done in a pod is done through exec.
    if (ctx.variant !== undefined)
      requireInside(
        ctx.variant,
        runtimeNamed(ctx.variant, ctx.state?.otherNames),
        'cagematch detect kubernetes',
      );
    // One pod makes a node pull the image, and reveals early what the cluster would refuse in every
    // run.
    const { image } = await ctx.keep(`image ${imageOf(ctx)}`, async () => {
      const which = ctx.variant === undefined ? '' : ` (${ctx.variant})`;
      ctx.say(
        `making one pod${which} on ${ctx.env.CAGEMATCH_KUBE_CONTEXT}, so that the image is on a node (the first time it is pulled)`,
      );
      const name = `cagematch-${ctx.labels.match}-prepare-${randomUUID().slice(0, 6)}`;
      try {
        return { image: imageIn(await up(ctx, name, { secrets: {} }, PULLED_MS)), close() {} };
      } finally {
        await remove(ctx, name);
      }
    });
    return image === undefined ? {} : { image };
  },

  reach: async () => ({ via: 'inside' }),
  layout: () => IMAGE_LAYOUT,

  async launch(ctx, spec) {
    const secrets = spec.secretEnv ?? {};
    const { metadata, spec: pod } = await up(
      ctx,
      spec.name,
      { secrets, maxLifeMs: spec.maxLifeMs },
      STARTED_MS,
    );
    const mounted = Object.fromEntries(
      Object.entries(secrets).map(([name, value]) => [name, digestOf(value)]),
    );
    const handle = {
      name: spec.name,
      mounted,
      pod: metadata.name,
      ...(pod.nodeName === undefined ? {} : { place: pod.nodeName }),
    };
    await bringIn(shellOf(ctx, handle), MADE, IMAGE_LAYOUT.workspace, spec);
    return { handle };
  },
  exec: (ctx, handle, command) => execOver(connectionTo(ctx, handle), command),
  async collect(ctx, handle, into) {
    await unpack(
      await copyOut(shellOf(ctx, handle), IMAGE_LAYOUT.workspace, `${MADE}/workspace.tgz`),
      into,
    );
  },
  async destroy(ctx, handle) {
    await remove(ctx, handle.name);
    return {};
  },
  list,
  // All resources of a sandbox are removed together: a Job without its pod, or a pod without its
  // secret, is useless.
  reap: (ctx, listed) => remove(ctx, listed.id.split(' ', 1)[0] ?? ''),
  async census(ctx) {
    const all = await resources(ctx, [
      ...kinds(ctx),
      ...(ctx.state?.sandboxApi === undefined ? [] : ['services']),
    ]);
    // A cluster has other users, so an unlabelled resource is never attributed to this match.
    return all.map(({ kind, name, labels, sandbox }) => ({
      ...{ kind, id: name },
      marks: [
        name,
        sandbox,
        labels.owner ?? '',
        ...(labels.match ? [`cagematch.match=${labels.match}`] : []),
      ].filter(Boolean),
    }));
  },
  traces: (ctx, handle) => [
    {
      source: 'inspect',
      query: 'kubectl get',
      argv: kubectl(ctx, 'get', kinds(ctx).join(','), selector(handle.name), '-o', 'json'),
      env: ctx.env,
    },
    {
      source: 'logs',
      query: 'kubectl logs',
      argv: kubectl(ctx, 'logs', selector(handle.name)),
      env: ctx.env,
    },
  ],
  walls(ctx) {
    // No promises on these: the cluster's API may answer anonymous requests, the node sets the
    // process limit, and the model runs inside.
    const {
      'guest-api': guestApi,
      'fork-limit': forkLimit,
      'gateway-port': gatewayPort,
      ...walls
    } = containerWalls({ limits: true, network: 'behind' });
    const kind =
      ctx.variant === undefined ? undefined : runtimeNamed(ctx.variant, ctx.state?.otherNames);
    const own = (kind?.isolation ?? 'container') !== 'container';
    return { ...walls, seccomp: 'closed', ...(own ? { 'host-kernel': 'closed' as const } : {}) };
  },
  terminal,
});
