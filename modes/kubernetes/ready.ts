// Detection: whether a cluster is configured and answers, and which isolation it offers.
import type { Context, Detection, Variant } from '../../lib/contract.js';
import { parseJson } from '../../lib/json.js';
import { imageName } from '../../lib/kit/oci/image.js';
import { otherNames, otherNamesFact, runtimeVariant } from '../../lib/kit/oci/runtimes.js';
import type { Captured } from '../../lib/os/capture.js';
import { succeeded } from '../../lib/os/capture.js';
import { ask, diagnose, INSTALL, type KubeState, kubectl, namespaceOf } from './client.js';

export async function detect(ctx: Context): Promise<Detection<KubeState>> {
  const unready = await whyUnconfigured(ctx);
  if (unready) return unready;
  const context = ctx.env.CAGEMATCH_KUBE_CONTEXT ?? '';
  const namespace = namespaceOf(ctx);
  const [server, space, classes, crd] = await Promise.all([
    ask(ctx, kubectl(ctx, 'version', '--output=json')),
    ask(ctx, kubectl(ctx, 'get', `namespace/${namespace}`, '--output=name')),
    ask(ctx, kubectl(ctx, 'get', 'runtimeclasses', '--output=json')),
    ask(ctx, kubectl(ctx, 'get', `crd/${SANDBOXES}`, '--output=json')),
  ]);
  const version = parseJson<{ serverVersion?: { gitVersion?: string } }>(server.stdout)
    ?.serverVersion?.gitVersion;
  if (version === undefined) return { status: 'broken', ...diagnose(ctx, server) };
  // A user who may work in a namespace is not necessarily allowed to read the namespace object.
  if (!succeeded(space) && !/forbidden/i.test(space.stderr))
    return { status: 'unconfigured', ...diagnose(ctx, space) };
  const sandboxApi = storedVersion(crd);
  const found = parseJson<{ items?: RuntimeClass[] }>(classes.stdout)?.items ?? [];
  const others = otherNames(found.map(({ metadata, handler }) => [metadata.name, [handler]]));
  const agentSandbox = { id: AGENT_SANDBOX, isolation: 'container' as const };
  return {
    status: 'ready',
    version,
    facts: {
      ...{ context, namespace },
      ...(sandboxApi === undefined ? {} : { sandboxApi }),
      ...otherNamesFact(others),
    },
    state: { ...(sandboxApi === undefined ? {} : { sandboxApi }), otherNames: others },
    variants: [...found.map(asVariant), ...(sandboxApi === undefined ? [] : [agentSandbox])],
  };
}

/** Checks local configuration only; no cluster is contacted. */
async function whyUnconfigured(ctx: Context): Promise<Detection<KubeState> | undefined> {
  // Only one process: most machines with kubectl have no cluster for us, and every detection waits
  // for this call.
  const contexts = await ask(ctx, ['kubectl', 'config', 'get-contexts', '--output=name']);
  if (contexts.failure === 'missing')
    return { status: 'absent', reason: 'no kubectl command on PATH', hint: INSTALL };
  const unconfigured = (reason: string, hint: string): Detection<KubeState> => ({
    status: 'unconfigured',
    reason,
    hint,
  });
  const names = contexts.stdout.split('\n').filter(Boolean);
  const {
    CAGEMATCH_KUBE_CONTEXT: context,
    CAGEMATCH_KUBE_IMAGE: image,
    CAGEMATCH_KUBE_WAIT: wait,
  } = ctx.env;
  if (!context || !names.includes(context)) {
    const reason = context
      ? `kubectl has no context ${context}`
      : 'no context is named, and the current one is never taken by itself';
    const among = names.slice(0, 8).join(' | ');
    return unconfigured(
      reason,
      among === '' ? 'kubectl config set-context NAME' : `CAGEMATCH_KUBE_CONTEXT=<${among}>`,
    );
  }
  if (wait && !(Number(wait) > 0))
    return unconfigured(
      `CAGEMATCH_KUBE_WAIT is no number of seconds: ${wait}`,
      'CAGEMATCH_KUBE_WAIT=60',
    );
  if (image) return undefined;
  const built = imageName(ctx, ctx.env.CAGEMATCH_BASE_IMAGE);
  return unconfigured(
    'CAGEMATCH_KUBE_IMAGE names no runner image',
    `docker tag ${built} <registry>/${built}, push it, and name it`,
  );
}

interface RuntimeClass {
  metadata: { name: string };
  handler: string;
}

function asVariant({ metadata: { name }, handler }: RuntimeClass): Variant {
  const variant = runtimeVariant(name, handler);
  // Other runtime classes may be for WebAssembly or GPUs, so whether they can run the image is
  // unknown.
  return variant.isolation === 'container' || variant.mainProcessOnly
    ? { ...variant, onRequest: true }
    : variant;
}

function storedVersion(crd: Captured): string | undefined {
  const { spec } =
    parseJson<{ spec?: { versions?: { name: string; served: boolean; storage: boolean }[] } }>(
      crd.stdout,
    ) ?? {};
  return spec?.versions?.find(({ served, storage }) => served && storage)?.name;
}

export const SANDBOXES = 'sandboxes.agents.x-k8s.io';

export const AGENT_SANDBOX = 'agent-sandbox';
