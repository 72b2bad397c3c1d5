// Interprets a pod's status: why it does not run yet, will never run, or no longer runs, with the
// cluster's messages. Pure; names no runtime.
import { CagematchError } from '../../lib/errors.js';
import { MEMORY_MIB, type PodPlan } from './pod-manifest.js';

export interface Pod {
  kind?: string;
  metadata: { name: string; deletionTimestamp?: string };
  spec: { nodeName?: string };
  status?: {
    phase?: string;
    reason?: string;
    message?: string;
    conditions?: Condition[];
    containerStatuses?: { imageID?: string; state?: ContainerState; lastState?: ContainerState }[];
  };
}

interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
}

interface ContainerState {
  running?: object;
  waiting?: { reason?: string; message?: string };
  terminated?: { reason?: string; message?: string; exitCode: number };
}

export function runs({ status }: Pod): boolean {
  return status?.phase === 'Running' && status.containerStatuses?.[0]?.state?.running !== undefined;
}

/** The digest of the pod's image, if the node has reported it. */
export function imageIn({ status }: Pod): string | undefined {
  return /sha256:[0-9a-f]{64}/.exec(status?.containerStatuses?.[0]?.imageID ?? '')?.[0];
}

/**
 * Why the pod could not be scheduled; undefined if it has a node or scheduling has not been
 * attempted yet.
 */
export function whyUnscheduled({ status }: Pod): string | undefined {
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status !== 'False') return undefined;
  return `the pod stays pending, ${scheduled.reason?.toLowerCase() ?? 'unscheduled'}: ${scheduled.message}`;
}

/** Why a Job has failed; used when its pod is already gone. */
export function whyJobFailed({ status }: Pod): string | undefined {
  const over = status?.conditions?.find(
    ({ type, status: is }) => type === 'Failed' && is === 'True',
  );
  return over && `${over.reason}: ${over.message}`;
}

const NO_IMAGE =
  /^(ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull|ImageInspectError|RegistryUnavailable)$/;
const NO_START = /^(CreateContainer(Config)?Error|RunContainerError|StartError|CrashLoopBackOff)$/;

/**
 * Why this pod will never run (again); undefined as long as it still may.
 * @param client the command line as a user would type it, up to the subcommand
 */
export function troubleOf(
  pod: Pod,
  { image, options }: Pick<PodPlan, 'image' | 'options'>,
  client: string,
): CagematchError | undefined {
  const { metadata, spec, status = {} } = pod;
  const node = `${client} describe node ${spec.nodeName ?? ''}`.trim();
  const states = (status.containerStatuses ?? []).flatMap(({ state, lastState }) => [
    state ?? {},
    lastState ?? {},
  ]);
  const ended = states.find(({ terminated }) => terminated)?.terminated;
  const waiting = states.find((state) => state.waiting)?.waiting;
  const disrupted = status.conditions?.find(
    ({ type, status: is }) => type === 'DisruptionTarget' && is === 'True',
  );
  if (ended?.reason === 'OOMKilled') {
    const limit = options.memoryMiB ?? MEMORY_MIB;
    return trouble(
      `the pod was out of memory (OOMKilled, its limit is ${limit} MiB)`,
      ended.message,
      `memory: ${2 * limit}m`,
    );
  }
  if (status.reason === 'Evicted') return trouble('the pod was evicted', status.message, node);
  if (status.reason === 'DeadlineExceeded')
    return trouble('the pod was over its deadline', status.message);
  const lost = whyNodeLost(status, disrupted);
  if (lost !== undefined)
    return trouble(`the pod's node ${spec.nodeName ?? ''} is lost`, lost, node);
  if (disrupted)
    return trouble(`the pod was taken off its node (${disrupted.reason})`, disrupted.message, node);
  if (status.phase === 'Failed' || status.phase === 'Succeeded') {
    const how = ended
      ? `${ended.reason ?? 'ended'}, exit code ${ended.exitCode}`
      : (status.reason ?? status.phase);
    return trouble(`the pod has ended (${how})`, ended?.message ?? status.message);
  }
  if (NO_IMAGE.test(waiting?.reason ?? '')) {
    const what = `the cluster cannot get ${image} (${waiting?.reason})`;
    return trouble(
      what,
      waiting?.message,
      'push it where the nodes can pull it (docs/remote.md)',
      'image-unavailable',
    );
  }
  if (NO_START.test(waiting?.reason ?? ''))
    return trouble(`the pod cannot start (${waiting?.reason})`, waiting?.message);
  return metadata.deletionTimestamp === undefined
    ? undefined
    : trouble('the pod is being deleted', undefined);
}

/** If a node stops responding, the status of its pods stays as last reported. */
function whyNodeLost(
  status: NonNullable<Pod['status']>,
  disrupted: Condition | undefined,
): string | undefined {
  const ready = status.conditions?.find(({ type }) => type === 'Ready');
  if (ready?.status === 'Unknown') return ready.message ?? '';
  if (status.reason === 'NodeLost' || disrupted?.reason === 'DeletionByPodGC')
    return status.message ?? disrupted?.message ?? '';
  return undefined;
}

function trouble(
  what: string,
  details: string | undefined,
  hint?: string,
  code: CagematchError['code'] = 'launch-failed',
): CagematchError {
  const lines = (details ?? '').split('\n').map((line) => line.trim());
  return new CagematchError(
    code,
    details ? `${what}: ${lines.filter((line) => line !== '').join(' ')}` : what,
    hint,
  );
}
