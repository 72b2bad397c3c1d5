// The stand-in's cluster: objects as files of its state folder, pods as folders and real processes
// of this machine. CAGEMATCH_STAND_IN_FAULT says what befalls its pods; at which exec of a pod
// stands behind an @.
import { randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runJailed } from './jail.mjs';
import { killMarked, markEnv } from './marked.mjs';
import { own } from './own.mjs';
import { claim, enter, forget, inState, killInside, load, loadAll, save } from './state.mjs';

const packageRoot = fileURLToPath(new URL('../../../', import.meta.url));
/** Folders of a pod that are its own; the image brings the first two. */
const OWN = ['/home/agent', '/workspace', '/tmp/cagematch', '/tmp/cagematch-out'];
export const [fault = '', at = '0'] = (process.env.CAGEMATCH_STAND_IN_FAULT ?? '').split('@');
const REGISTRY = 'registry.example/';

export class Refused extends Error {}

/** @param {string} reason @param {string} message */
export const serverError = (reason, message) =>
  new Refused(`Error from server (${reason}): ${message}`);

/** Plural names as kubectl takes them. */
export const TYPES = /** @type {const} */ ({
  jobs: 'Job',
  pods: 'Pod',
  secrets: 'Secret',
  services: 'Service',
  'sandboxes.agents.x-k8s.io': 'Sandbox',
});

/** @param {string} kind @returns {any[]} */
export const allOf = (kind) =>
  loadAll(kind).map((object) => (kind === 'Pod' ? shown(object) : object));

/** @param {string} kind @param {string} name */
export function find(kind, name) {
  const object = load(kind, name);
  const plural = Object.entries(TYPES).find(([, type]) => type === kind)?.[0];
  if (!object) throw serverError('NotFound', `${plural} "${name}" not found`);
  return kind === 'Pod' ? shown(object) : object;
}

/** @param {any} given @param {string} namespace */
export async function create(given, namespace) {
  // Half of what a call would take is to load it, and few calls make anything.
  const { violation, whyRefused } = await import('./kube-shapes.mjs');
  const why = whyRefused(given);
  if (why)
    throw /is invalid/.test(why) ? new Refused(`The ${why}`) : serverError('BadRequest', why);
  const { stringData = {}, ...rest } = given;
  const data = Object.fromEntries(
    Object.entries(stringData).map(([key, value]) => [
      key,
      Buffer.from(String(value)).toString('base64'),
    ]),
  );
  const metadata = {
    ...given.metadata,
    namespace,
    uid: randomUUID(),
    creationTimestamp: new Date().toISOString(),
  };
  const object = {
    ...rest,
    ...(given.kind === 'Secret' ? { data: { ...rest.data, ...data } } : {}),
    metadata,
  };
  if (!claim(given.kind, metadata.name, object))
    throw serverError('AlreadyExists', `${given.kind} "${metadata.name}" already exists`);
  // What was ever made can be looked at when it is gone.
  save('Created', metadata.uid, object);
  const template = object.spec?.template ?? object.spec?.podTemplate;
  const name =
    given.kind === 'Job'
      ? `${metadata.name}-${randomBytes(4).toString('hex').slice(0, 5)}`
      : metadata.name;
  if (template)
    makePod(object, template, name, fault === 'quota' ? QUOTA : violation(template.spec));
  return object;
}

const QUOTA = 'exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2';

/**
 * What the controller does: a pod that belongs to its maker, or an event that says why there is
 * none.
 * @param {any} maker @param {any} template @param {string} name @param {string | undefined} refused
 */
function makePod(maker, { metadata, spec }, name, refused) {
  if (refused)
    return warn(
      maker.metadata.name,
      'FailedCreate',
      `Error creating: pods "${name}" is forbidden: ${refused}`,
    );
  const ownerReferences = [
    {
      apiVersion: maker.apiVersion,
      kind: maker.kind,
      name: maker.metadata.name,
      uid: maker.metadata.uid,
      controller: true,
    },
  ];
  const { namespace } = maker.metadata;
  const labels = {
    ...metadata.labels,
    ...(maker.kind === 'Job' ? { 'batch.kubernetes.io/job-name': maker.metadata.name } : {}),
  };
  const pod = {
    ...{ apiVersion: 'v1', kind: 'Pod', spec },
    metadata: { ...metadata, labels, name, namespace, uid: randomUUID(), ownerReferences },
    standIn: { madeMs: Date.now(), execs: 0, fate: '' },
  };
  save('Pod', name, pod);
  const sandbox = 'Failed to create pod sandbox: rpc error: no runtime for "kata" is configured';
  if (fault === 'no-handler') warn(name, 'FailedCreatePodSandBox', sandbox);
  else if (phaseOf(pod) !== 'pending') start(pod);
}

/** @param {any} pod */
export const folderOf = (pod) => inState('pods-of-cluster', pod.metadata.uid);

/** @param {any} pod */
export const mountsOf = (pod) =>
  [...OWN, ...mountPaths(pod).map(({ path }) => path)].map((guest) => ({
    guest,
    real: join(folderOf(pod), guest),
  }));

/** @param {any} pod @returns {{path: string, volume: any}[]} */
function mountPaths({ spec }) {
  /** @type {{name: string, mountPath: string}[]} */
  const mounts = spec.containers[0].volumeMounts ?? [];
  return mounts.map(({ name, mountPath }) => ({
    path: mountPath,
    volume: spec.volumes.find((/** @type {any} */ candidate) => candidate.name === name),
  }));
}

/** @param {any} pod */
export const userOf = ({ spec }) => ({
  uid: spec.securityContext.runAsUser,
  gid: spec.securityContext.runAsGroup,
});

/** The kubelet's part. @param {any} pod */
function start(pod) {
  for (const { real } of mountsOf(pod)) mkdirSync(real, { recursive: true });
  chmodSync(inState(), 0o755);
  cpSync(join(packageRoot, 'lib/task/home'), join(folderOf(pod), 'home/agent'), {
    recursive: true,
  });
  for (const { path, volume } of mountPaths(pod)) {
    const secret = load('Secret', volume.secret.secretName);
    for (const [key, value] of Object.entries(secret.data))
      writeFileSync(join(folderOf(pod), path, key), Buffer.from(String(value), 'base64'), {
        mode: volume.secret.defaultMode,
      });
  }
  own(folderOf(pod), userOf(pod));
  const [{ command }] = pod.spec.containers;
  const child = runJailed({
    argv: command,
    env: envOf(pod),
    cwd: '/workspace',
    mounts: mountsOf(pod),
    stdio: 'ignore',
    user: userOf(pod),
  });
  enter(pod.metadata.uid, child.pid);
  child.unref();
}

/** @param {any} pod */
export const envOf = (pod) => ({ HOME: '/home/agent', ...markEnv(folderOf(pod)) });

/**
 * What the scheduler and the kubelet have come to.
 * @param {any} pod
 * @returns {'pending' | 'creating' | 'running'}
 */
function phaseOf(pod) {
  if (
    fault === 'unschedulable' ||
    fault === 'err-image-pull' ||
    !pod.spec.containers[0].image.startsWith(REGISTRY)
  )
    return 'pending';
  const volumes = mountPaths(pod).every(({ volume }) => load('Secret', volume.secret.secretName));
  if (!volumes) return 'pending';
  if (fault === 'no-handler') return 'creating';
  return Date.now() - pod.standIn.madeMs < (fault === 'slow-start' ? 2500 : 20)
    ? 'creating'
    : 'running';
}

/** As the API shows it. @param {any} stored */
function shown({ standIn, ...pod }) {
  const phase = phaseOf({ standIn, ...pod });
  const scheduled = (/** @type {object} */ fields) => [
    { type: 'PodScheduled', status: 'True', ...fields },
  ];
  /** @param {object} state @param {string} is @param {object} fields */
  const withStatus = (state, is, fields = {}) => {
    const { command, ...container } = pod.spec.containers[0];
    const imageID = is === 'Running' ? `${REGISTRY}cagematch-runner@sha256:${'0'.repeat(64)}` : '';
    const containerStatuses = [
      {
        name: 'agent',
        image: container.image,
        imageID,
        ready: is === 'Running',
        restartCount: 0,
        state,
        lastState: {},
      },
    ];
    return {
      ...pod,
      spec: { ...pod.spec, nodeName: 'node-1' },
      status: { phase: is, conditions: scheduled({}), containerStatuses, ...fields },
    };
  };
  const killed = { terminated: { exitCode: 137, reason: 'Error' } };
  switch (standIn.fate) {
    case 'oom-killed':
      return withStatus({ terminated: { exitCode: 137, reason: 'OOMKilled' } }, 'Failed');
    case 'evicted':
      return withStatus(killed, 'Failed', {
        reason: 'Evicted',
        message: 'The node was low on resource: memory. ',
      });
    case 'deadline':
      return withStatus(killed, 'Failed', {
        reason: 'DeadlineExceeded',
        message: 'Pod was active on the node longer than the specified deadline',
      });
    case 'node-lost': {
      const unknown = {
        type: 'Ready',
        status: 'Unknown',
        reason: 'NodeStatusUnknown',
        message: 'Kubelet stopped posting node status.',
      };
      return withStatus({ running: {} }, 'Running', { conditions: [...scheduled({}), unknown] });
    }
  }
  if (fault === 'unschedulable') {
    const message =
      '0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available.';
    return {
      ...pod,
      status: {
        phase: 'Pending',
        conditions: scheduled({ status: 'False', reason: 'Unschedulable', message }),
      },
    };
  }
  const { image } = pod.spec.containers[0];
  if (fault === 'err-image-pull' || !image.startsWith(REGISTRY)) {
    const message = `failed to pull and unpack image "${image}": failed to resolve reference "${image}": not found`;
    return withStatus({ waiting: { reason: 'ErrImagePull', message } }, 'Pending');
  }
  return phase === 'running'
    ? withStatus({ running: {} }, 'Running')
    : withStatus({ waiting: { reason: 'ContainerCreating' } }, 'Pending');
}

/** Counts an exec, and says what befalls it. @param {string} name */
export function fateOfExec(name) {
  const stored = load('Pod', name);
  if (shown(stored).status.phase !== 'Running')
    throw serverError('BadRequest', `pod ${name} does not have a host assigned`);
  stored.standIn.execs += 1;
  save('Pod', name, stored);
  return stored.standIn.execs === Number(at) ? fault : '';
}

/** @param {string} name @param {string} fate */
export function befall(name, fate) {
  const stored = load('Pod', name);
  if (!stored) return;
  save('Pod', name, { ...stored, standIn: { ...stored.standIn, fate } });
  end(stored);
}

/** @param {any} pod */
function end(pod) {
  killInside(pod.metadata.uid);
  killMarked(folderOf(pod));
}

/** And all that belongs to it. @param {any} object */
export function remove(object) {
  if (!forget(object.kind, object.metadata.name)) return;
  if (object.kind === 'Pod') {
    end(object);
    rmSync(folderOf(object), { recursive: true, force: true });
  }
  const { uid } = object.metadata;
  for (const kind of Object.values(TYPES))
    for (const item of loadAll(kind))
      if (
        item.metadata.ownerReferences?.some((/** @type {any} */ reference) => reference.uid === uid)
      )
        remove(item);
}

/** @param {string} name @param {string} reason @param {string} message */
function warn(name, reason, message) {
  save('Event', randomUUID(), {
    kind: 'Event',
    type: 'Warning',
    involvedObject: { name },
    reason,
    message,
  });
}
