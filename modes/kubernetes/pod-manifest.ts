// The manifest of a pod: hardened, labelled, and removed by the cluster itself eventually. Pure;
// names no runtime.
import { hostname } from 'node:os';
import type { EntryOptions, Env, Labels } from '../../lib/contract.js';

export const MEMORY_MIB = 4096;
/** Folder in the guest with one file per secret. */
export const SECRETS = '/run/cagematch';
/**
 * Longer than any run may take: pods of a dead harness end on their own after this time, and are
 * removed TTL_S after that.
 */
const LIFE_MS = 25 * 3600_000;
const TTL_S = 300;
/** The image's own user, as a number: the kubelet cannot verify that a user name is not root. */
const UID = 1000;
/** Ends on SIGTERM, which a plain `sleep` as first process would ignore, and reaps orphans. */
const IDLE = ['/bin/sh', '-c', 'trap "exit 0" TERM; sleep infinity & wait'];

export interface PodPlan {
  name: string;
  image: string;
  labels: Labels;
  options: EntryOptions;
  runtimeClass?: string | undefined;
  /** The pod ends on its own after this time; absent: LIFE_MS. */
  maxLifeMs?: number | undefined;
  /** Mounted as files under their names, if there are any. */
  secrets: Env;
}

/** The resource to create; it owns the pod and the secret, so they are deleted together. */
interface Maker {
  apiVersion: string;
  kind: string;
}

/** The owner contains a colon, which is not allowed in a label, so it is an annotation. */
function metadata({ name, labels: { match, mode, owner, session } }: PodPlan) {
  return {
    name,
    labels: {
      ...{ 'cagematch.match': match, 'cagematch.mode': mode, 'cagematch.sandbox': name },
      ...(session === undefined ? {} : { 'cagematch.session': session }),
    },
    annotations: { 'cagematch.owner': owner, 'cagematch.host': hostname() },
  };
}

const lifeS = ({ maxLifeMs = LIFE_MS }: PodPlan) => Math.ceil(maxLifeMs / 1000);

const hasSecrets = ({ secrets }: PodPlan) => Object.keys(secrets).length > 0;

function podSpec(plan: PodPlan) {
  const { cpus, memoryMiB = MEMORY_MIB } = plan.options;
  const milli = cpus === undefined ? undefined : Math.max(1, Math.round(cpus * 1000));
  return {
    restartPolicy: 'Never',
    ...(plan.runtimeClass === undefined ? {} : { runtimeClassName: plan.runtimeClass }),
    activeDeadlineSeconds: lifeS(plan),
    terminationGracePeriodSeconds: 1,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: {
      ...{ runAsNonRoot: true, runAsUser: UID, runAsGroup: UID, fsGroup: UID },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [
      {
        name: 'agent',
        image: plan.image,
        imagePullPolicy: 'IfNotPresent',
        command: IDLE,
        resources: {
          // Requests are small so that a small cluster has room; the limits are what is enforced.
          requests: {
            cpu: `${Math.min(250, milli ?? 250)}m`,
            memory: `${Math.min(512, memoryMiB)}Mi`,
          },
          limits: {
            memory: `${memoryMiB}Mi`,
            'ephemeral-storage': '4Gi',
            ...(milli === undefined ? {} : { cpu: `${milli}m` }),
          },
        },
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        ...(hasSecrets(plan)
          ? { volumeMounts: [{ name: 'secret', mountPath: SECRETS, readOnly: true }] }
          : {}),
      },
    ],
    ...(hasSecrets(plan)
      ? { volumes: [{ name: 'secret', secret: { secretName: plan.name, defaultMode: 0o440 } }] }
      : {}),
  };
}

function template(plan: PodPlan) {
  const { labels, annotations } = metadata(plan);
  return { metadata: { labels, annotations }, spec: podSpec(plan) };
}

/** The Job starts one pod and never retries: an agent's work must not be done twice. */
export function jobOf(plan: PodPlan): Maker {
  const spec = {
    backoffLimit: 0,
    activeDeadlineSeconds: lifeS(plan),
    ttlSecondsAfterFinished: TTL_S,
    template: template(plan),
  };
  return { apiVersion: 'batch/v1', kind: 'Job', metadata: metadata(plan), spec } as Maker;
}

/**
 * The Sandbox resource of kubernetes-sigs/agent-sandbox.
 * @param version API version that the cluster has
 */
export function sandboxOf(plan: PodPlan, version: string): Maker {
  const shutdownTime = new Date(Date.now() + lifeS(plan) * 1000)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z');
  const spec = { podTemplate: template(plan), shutdownTime, shutdownPolicy: 'Delete' };
  return {
    apiVersion: `agents.x-k8s.io/${version}`,
    kind: 'Sandbox',
    metadata: metadata(plan),
    spec,
  } as Maker;
}

/** The secret comes first: a pod whose secret is missing retries only after a while. */
export function listOf(plan: PodPlan, maker: Maker): object {
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: metadata(plan),
    type: 'Opaque',
    immutable: true,
    stringData: plan.secrets,
  };
  return { apiVersion: 'v1', kind: 'List', items: [...(hasSecrets(plan) ? [secret] : []), maker] };
}

/** Patch that makes the secret owned by the pod's owner, so that they are deleted together. */
export function ownedBy({ apiVersion, kind }: Maker, name: string, uid: string): object {
  return { metadata: { ownerReferences: [{ apiVersion, kind, name, uid }] } };
}
