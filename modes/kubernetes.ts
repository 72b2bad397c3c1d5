// Kubernetes: a pod of a Job (or of agent-sandbox' Sandbox) on a cluster that was named, through kubectl; files go in and out over exec.
import { randomUUID } from 'node:crypto';
import { copyFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { pack, unpack } from '../lib/archive.js';
import {
  type Command,
  type Context,
  type Detection,
  defineMode,
  type Env,
  type ExecEvent,
  type Handle,
  type Isolation,
  type LaunchSpec,
  type Listed,
} from '../lib/contract.js';
import { CagematchError } from '../lib/errors.js';
import { type Captured, capture, stream, whyFailed } from '../lib/exec.js';
import { copyOut, type GuestShell } from '../lib/guest-shell.js';
import { parseJson } from '../lib/json.js';
import { containerWalls, IMAGE_LAYOUT } from '../lib/oci.js';
import { imageName } from '../lib/oci-image.js';
import { makeFolder, removeFolder } from '../lib/owner.js';

/** Detection has 5 s in all, and asks twice in a row. */
const ASK_MS = 4000;
const QUICK_MS = 15_000;
const COPY_MS = 120_000;
const GONE_MS = 25_000;
/** How long a pod may take once it is on a node; the first one also pulls the image. */
const STARTED_MS = 120_000;
const PULLED_MS = 10 * 60_000;
/** How long a command's output may come after its end, and a pod's status after what happened to it. */
const SETTLE_MS = 2000;
/** More than any run may last: what a dead harness leaves ends by itself, and is removed that long afterwards. */
const LIFE_S = 25 * 3600;
const TTL_S = 300;
const MEMORY_MIB = 4096;
/** The image's own user, by number: the kubelet cannot tell that a name is not root's. */
const UID = 1000;
/** In the guest: the secret's files, and what commands of ours leave. */
const [SECRETS, MADE] = ['/run/cagematch', '/tmp/cagematch-out'];
/** Ends by itself on TERM, which a plain `sleep` as first process would not hear, and takes in orphans. */
const IDLE = ['/bin/sh', '-c', 'trap "exit 0" TERM; sleep infinity & wait'];

const SANDBOXES = 'sandboxes.agents.x-k8s.io';
const AGENT_SANDBOX = 'agent-sandbox';
/** What is known to put more than the shared kernel between the agent and the node. */
const ISOLATION: [RegExp, Isolation][] = [
  [/runsc|gvisor/, 'user-kernel'],
  [/kata|krun|firecracker/, 'microvm'],
];

interface KubeHandle extends Handle {
  pod?: string;
  /** What is in the mounted secret. */
  secrets?: Env;
}

export default defineMode<KubeHandle>({
  id: 'kubernetes',
  title: 'Kubernetes',
  letter: 'E',
  isolation: 'container',
  workspace: 'copy',
  auth: ['remote-secret'],
  inputs: {
    CAGEMATCH_KUBE_CONTEXT: { help: "kubectl's context of the cluster; never the current one by itself", example: 'kind-cagematch' },
    CAGEMATCH_KUBE_NAMESPACE: { help: 'namespace of the pods, which has to be there; default: cagematch' },
    CAGEMATCH_KUBE_IMAGE: { help: 'the runner image, where the cluster can pull it', example: 'registry.example/cagematch-runner:1' },
    CAGEMATCH_KUBE_WAIT: { help: 'seconds that a pod may wait for a node (an autoscaler takes minutes); default: 60', example: '300' },
    KUBECONFIG: { help: "kubectl's own settings file, when it is not the usual one" },
  },
  platforms: ['linux', 'darwin', 'win32'],
  summary:
    "a Job's pod through `kubectl`, hardened; the workspace is copied in and back; RuntimeClasses are variants (`kubernetes:gvisor`), and so is `kubernetes:agent-sandbox`",
  oneShot: false,
  options: ['cpus', 'memoryMiB'],

  detect,
  async prepare(ctx) {
    // One pod makes a node pull the image, and shows what the cluster would refuse to every run.
    await ctx.keep(`image ${imageOf(ctx)}`, async () => {
      ctx.say(`making one pod on ${ctx.env.CAGEMATCH_KUBE_CONTEXT}, so that the image is on a node (the first time it is pulled)`);
      const name = `cagematch-${ctx.labels.match}-prepare-${randomUUID().slice(0, 6)}`;
      try {
        await up(ctx, name, {}, PULLED_MS);
      } finally {
        await remove(ctx, name);
      }
      return { close() {} };
    });
    return {};
  },

  reach: async () => ({ via: 'inside' }),
  layout: () => IMAGE_LAYOUT,

  async launch(ctx, spec) {
    const secrets = spec.secretEnv ?? {};
    const handle = { name: spec.name, secrets, pod: await up(ctx, spec.name, secrets, STARTED_MS) };
    await bringIn(ctx, handle, spec);
    return handle;
  },
  exec,
  async collect(ctx, handle, into) {
    await unpack(await copyOut(shellOf(ctx, handle), IMAGE_LAYOUT.workspace, `${MADE}/workspace.tgz`), into);
  },
  async destroy(ctx, handle) {
    await remove(ctx, handle.name);
    return {};
  },
  list,
  // All of a sandbox goes together: a Job without its pod, or a pod without its secret, is of no use.
  reap: (ctx, listed) => remove(ctx, listed.id.split(' ', 1)[0] ?? ''),
  async census(ctx) {
    const all = await written(ctx, [...kinds(ctx), 'services']);
    // A cluster has other users: nothing is nobody's.
    return all.map(({ kind, name, labels, sandbox }) => ({
      ...{ kind, id: name },
      marks: [name, sandbox, labels.owner ?? '', ...(labels.match ? [`cagematch.match=${labels.match}`] : [])].filter(Boolean),
    }));
  },
  traces: (ctx, handle) => [
    {
      of: 'inspect',
      says: 'kubectl get',
      argv: kubectl(ctx, 'get', kinds(ctx).join(','), selector(handle.name), '-o', 'json'),
      env: ctx.env,
    },
    { of: 'logs', says: 'kubectl logs', argv: kubectl(ctx, 'logs', selector(handle.name)), env: ctx.env },
  ],
  walls(ctx) {
    // The cluster's own API may answer the anonymous, how many processes a pod may have is its node's to say, and the model is inside.
    const {
      'guest-api': _api,
      'fork-limit': _forks,
      'gateway-port': _gateway,
      ...walls
    } = containerWalls({ limits: true, network: 'behind' });
    const own = ISOLATION.some(([pattern]) => pattern.test(ctx.variant ?? ''));
    return { ...walls, seccomp: 'closed', ...(own ? { 'host-kernel': 'closed' as const } : {}) };
  },
  shell: (ctx, handle) => kubectl(ctx, 'exec', '-it', handle.pod ?? `job/${handle.name}`, '--', 'bash'),
});

async function detect(ctx: Context): Promise<Detection> {
  const [client, contexts] = await Promise.all([
    ask(ctx, ['kubectl', 'version', '--client', '-o', 'json']),
    ask(ctx, ['kubectl', 'config', 'get-contexts', '-o', 'name']),
  ]);
  if (client.failure === 'missing') return { status: 'absent', reason: 'no kubectl command on PATH', hint: INSTALL };
  const unconfigured = (reason: string, hint: string): Detection => ({ status: 'unconfigured', reason, hint });
  const names = contexts.stdout.split('\n').filter(Boolean);
  const context = ctx.env.CAGEMATCH_KUBE_CONTEXT;
  if (!context || !names.includes(context)) {
    const known =
      names.length === 0 ? 'kind create cluster (kubectl knows no context yet)' : `CAGEMATCH_KUBE_CONTEXT=<${names.slice(0, 8).join('|')}>`;
    return unconfigured(
      context ? `kubectl has no context ${context}` : 'no context is named, and the current one is never taken by itself',
      known,
    );
  }
  if (!ctx.env.CAGEMATCH_KUBE_IMAGE)
    return unconfigured(
      'CAGEMATCH_KUBE_IMAGE names no runner image',
      `push ${imageName(ctx, ctx.env.CAGEMATCH_BASE_IMAGE)} and name it (docs/remote.md)`,
    );
  const [server, namespace, classes, crd] = await Promise.all(
    [
      ['version', '-o', 'json'],
      ['get', `namespace/${namespaceOf(ctx)}`, '-o', 'name'],
      ['get', 'runtimeclasses', '-o', 'json'],
      ['get', `crd/${SANDBOXES}`, '-o', 'json'],
    ].map((args) => ask(ctx, kubectl(ctx, ...args))) as [Promise<Captured>, Promise<Captured>, Promise<Captured>, Promise<Captured>],
  );
  const version = parseJson<{ serverVersion?: { gitVersion?: string } }>(server.stdout)?.serverVersion?.gitVersion;
  if (version === undefined) return { status: 'broken', ...diagnose(ctx, server) };
  if (failed(namespace)) {
    const { reason, hint } = diagnose(ctx, namespace);
    return unconfigured(reason, hint);
  }
  const sandboxApi = parseJson<{ spec?: { versions?: { name: string; served: boolean; storage: boolean }[] } }>(
    crd.stdout,
  )?.spec?.versions?.find(({ served, storage }) => served && storage)?.name;
  const found = parseJson<{ items?: { metadata: { name: string }; handler: string }[] }>(classes.stdout)?.items ?? [];
  return {
    status: 'ready',
    version,
    facts: { context, namespace: namespaceOf(ctx), ...(sandboxApi === undefined ? {} : { sandboxApi }) },
    variants: [
      ...found.map(({ metadata: { name }, handler }) => {
        const isolation = ISOLATION.find(([pattern]) => pattern.test(name) || pattern.test(handler))?.[1];
        // Others may be for WebAssembly or graphics cards: whether they run the image is not known.
        return isolation ? { id: name, isolation } : { id: name, isolation: 'container' as const, onRequest: true };
      }),
      ...(sandboxApi === undefined ? [] : [{ id: AGENT_SANDBOX, isolation: 'container' as const }]),
    ],
  };
}

const INSTALL = 'install kubectl (kubernetes.io/docs/tasks/tools)';

function ask(ctx: Context, argv: [string, ...string[]], timeoutMs = ASK_MS): Promise<Captured> {
  return capture(argv, { env: ctx.env, signal: ctx.signal, timeoutMs });
}

const failed = ({ end }: Captured) => end.type !== 'exit' || end.code !== 0;

function namespaceOf(ctx: Context): string {
  return ctx.env.CAGEMATCH_KUBE_NAMESPACE || 'cagematch';
}

function imageOf(ctx: Context): string {
  return ctx.env.CAGEMATCH_KUBE_IMAGE ?? '';
}

/**
 * The current context is whatever somebody used last, production perhaps: every call names its own.
 * @throws `not-ready` where none is named
 */
function kubectl(ctx: Context, ...args: string[]): [string, ...string[]] {
  const context = ctx.env.CAGEMATCH_KUBE_CONTEXT;
  if (!context) throw new CagematchError('not-ready', 'no context is named', 'CAGEMATCH_KUBE_CONTEXT=NAME');
  return ['kubectl', `--context=${context}`, `--namespace=${namespaceOf(ctx)}`, ...args];
}

/** @throws `code` with the cluster's own words */
async function must(
  ctx: Context,
  code: CagematchError['code'],
  args: string[],
  options: { input?: string; timeoutMs?: number } = {},
): Promise<string> {
  if (!ctx.env.CAGEMATCH_KUBE_CONTEXT) throw new CagematchError(code, 'no context is named', 'CAGEMATCH_KUBE_CONTEXT=NAME');
  const result = await capture(kubectl(ctx, ...args), { env: ctx.env, signal: ctx.signal, timeoutMs: QUICK_MS, ...options });
  if (!failed(result)) return result.stdout;
  const { reason, hint } = diagnose(ctx, result);
  throw new CagematchError(code, reason, hint);
}

/** What the client's words mean, and what to type. */
function diagnose(ctx: Context, result: Captured): { reason: string; hint: string } {
  const words = whyFailed(result);
  const cluster = `kubectl --context=${ctx.env.CAGEMATCH_KUBE_CONTEXT}`;
  if (result.failure === 'missing') return { reason: 'no kubectl command on PATH', hint: INSTALL };
  if (/namespaces? "[^"]*" not found/.test(words))
    return { reason: `the cluster has no namespace ${namespaceOf(ctx)}`, hint: `${cluster} create namespace ${namespaceOf(ctx)}` };
  if (/forbidden/i.test(words)) return { reason: words, hint: `${cluster} auth can-i --list --namespace=${namespaceOf(ctx)}` };
  if (/unauthorized|logged in|credentials|Username|Password|certificate/i.test(words))
    return { reason: `the cluster refuses kubectl's credentials: ${words}`, hint: `${cluster} auth whoami` };
  if (result.failure === 'timeout' || /refused|no such host|timeout|deadline|unable to connect|EOF/i.test(words))
    return { reason: `the cluster does not answer: ${words}`, hint: `${cluster} cluster-info` };
  return { reason: `kubectl: ${words}`, hint: `${cluster} --namespace=${namespaceOf(ctx)} get events` };
}

/** What a sandbox consists of, as the API names it; the ones that make others first. */
function kinds(ctx: Context): string[] {
  return [...(ctx.facts.sandboxApi === undefined ? [] : [SANDBOXES]), 'jobs', 'pods', 'secrets'];
}

function selector(name: string): string {
  return `--selector=cagematch.sandbox=${name}`;
}

/** An owner holds a colon, which no label may. */
function metadata(ctx: Context, name: string) {
  const { match, mode, owner } = ctx.labels;
  return {
    name,
    labels: { 'cagematch.match': match, 'cagematch.mode': mode, 'cagematch.sandbox': name },
    annotations: { 'cagematch.owner': owner, 'cagematch.host': hostname() },
  };
}

/** @param withSecret whether a secret of the pod's name is to be mounted */
function podSpec(ctx: Context, name: string, withSecret: boolean) {
  const { cpus, memoryMiB = MEMORY_MIB } = ctx.options;
  const milli = cpus === undefined ? undefined : Math.max(1, Math.round(cpus * 1000));
  return {
    restartPolicy: 'Never',
    ...(ctx.variant === undefined || ctx.variant === AGENT_SANDBOX ? {} : { runtimeClassName: ctx.variant }),
    activeDeadlineSeconds: LIFE_S,
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
        image: imageOf(ctx),
        imagePullPolicy: 'IfNotPresent',
        command: IDLE,
        resources: {
          // Little is asked for, so that a small cluster has room; the limits are what holds.
          requests: { cpu: `${Math.min(250, milli ?? 250)}m`, memory: `${Math.min(512, memoryMiB)}Mi` },
          limits: { memory: `${memoryMiB}Mi`, 'ephemeral-storage': '4Gi', ...(milli === undefined ? {} : { cpu: `${milli}m` }) },
        },
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        ...(withSecret ? { volumeMounts: [{ name: 'secret', mountPath: SECRETS, readOnly: true }] } : {}),
      },
    ],
    ...(withSecret ? { volumes: [{ name: 'secret', secret: { secretName: name, defaultMode: 0o440 } }] } : {}),
  };
}

/** What makes the pod: it and all that is the pod's go when its time is over, whoever is still there. */
function maker(ctx: Context, name: string, withSecret: boolean) {
  const { labels, annotations } = metadata(ctx, name);
  const template = { metadata: { labels, annotations }, spec: podSpec(ctx, name, withSecret) };
  if (ctx.variant === AGENT_SANDBOX) {
    const shutdownTime = new Date(Date.now() + LIFE_S * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
    const spec = { podTemplate: template, shutdownTime, shutdownPolicy: 'Delete' };
    return { apiVersion: `agents.x-k8s.io/${ctx.facts.sandboxApi}`, kind: 'Sandbox', metadata: metadata(ctx, name), spec };
  }
  const spec = { backoffLimit: 0, activeDeadlineSeconds: LIFE_S, ttlSecondsAfterFinished: TTL_S, template };
  return { apiVersion: 'batch/v1', kind: 'Job', metadata: metadata(ctx, name), spec };
}

/** A pod that runs; gives its name. The secret is there first: a pod that has to wait for it tries again only after a while. */
async function up(ctx: Context, name: string, secrets: Env, startedMs: number): Promise<string> {
  const withSecret = Object.keys(secrets).length > 0;
  const owner = maker(ctx, name, withSecret);
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: metadata(ctx, name), type: 'Opaque', immutable: true, stringData: secrets };
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [...(withSecret ? [secret] : []), owner] });
  const made = await must(ctx, 'launch-failed', ['create', '--filename=-', '--output=jsonpath={.kind}={.metadata.uid}{"\\n"}'], { input });
  const uid = new RegExp(`^${owner.kind}=(.+)$`, 'm').exec(made)?.[1] ?? '';
  const owned = { metadata: { ownerReferences: [{ apiVersion: owner.apiVersion, kind: owner.kind, name, uid }] } };
  const [pod] = await Promise.all([
    running(ctx, name, startedMs),
    withSecret
      ? must(ctx, 'launch-failed', ['patch', `secret/${name}`, '--type=merge', `--patch=${JSON.stringify(owned)}`, '--output=name'])
      : '',
  ]);
  return pod;
}

interface Pod {
  metadata: { name: string; deletionTimestamp?: string };
  spec: { nodeName?: string };
  status?: {
    phase?: string;
    reason?: string;
    message?: string;
    conditions?: { type: string; status: string; reason?: string; message?: string }[];
    containerStatuses?: { state?: ContainerState; lastState?: ContainerState }[];
  };
}

interface ContainerState {
  running?: object;
  waiting?: { reason?: string; message?: string };
  terminated?: { reason?: string; message?: string; exitCode: number };
}

/** Follows the pod until it runs. @throws with the cluster's own words, once it cannot run any more or its time is over */
async function running(ctx: Context, name: string, startedMs: number): Promise<string> {
  const watching = stream(kubectl(ctx, 'get', 'pods', selector(name), '--watch', '--output=json'), { env: ctx.env, signal: ctx.signal });
  const waitMs = Number(ctx.env.CAGEMATCH_KUBE_WAIT || 60) * 1000;
  let seen: Pod | undefined;
  let late = false;
  const giveUp = () => {
    late = true;
    watching.kill();
  };
  const timers = [setTimeout(() => seen?.spec.nodeName === undefined && giveUp(), waitMs), setTimeout(giveUp, waitMs + startedMs)];
  let [words, text] = ['', ''];
  try {
    for await (const event of watching) {
      if (event.type !== 'line') break;
      if (event.stream === 'stderr') words = event.text;
      else text += event.text;
      // One object after the other, each over several lines.
      if (event.stream === 'stderr' || event.text !== '}') continue;
      seen = parseJson<Pod>(text);
      text = '';
      const why = seen && troubleOf(ctx, seen);
      if (why) throw why;
      if (seen?.status?.phase === 'Running' && seen.status.containerStatuses?.[0]?.state?.running) return seen.metadata.name;
    }
  } finally {
    for (const timer of timers) clearTimeout(timer);
    watching.kill();
  }
  throw await whyNotRunning(ctx, name, seen, late ? '' : words);
}

async function whyNotRunning(ctx: Context, name: string, seen: Pod | undefined, words: string): Promise<CagematchError> {
  const scheduled = seen?.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False') {
    const message = `the pod stays pending, ${scheduled.reason?.toLowerCase() ?? 'unscheduled'}: ${scheduled.message}`;
    return new CagematchError(
      'launch-failed',
      message,
      'CAGEMATCH_KUBE_WAIT=300, where an autoscaler adds nodes; else memory: 1g, cpus: 1',
    );
  }
  const of = `--field-selector=type=Warning,involvedObject.name=${seen?.metadata.name ?? name}`;
  const events = await ask(ctx, kubectl(ctx, 'get', 'events', of, '--output=jsonpath={range .items[*]}{.reason}: {.message}{"\\n"}{end}'));
  const said = events.stdout.trim().split('\n').at(-1) || words || 'the cluster says nothing of it';
  const message = seen ? `the pod does not start: ${said}` : `the cluster makes no pod: ${said}`;
  return new CagematchError(
    'launch-failed',
    message,
    `kubectl --context=${ctx.env.CAGEMATCH_KUBE_CONTEXT} --namespace=${namespaceOf(ctx)} get events`,
  );
}

const NO_IMAGE = /^(ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull|ImageInspectError|RegistryUnavailable)$/;
const NO_START = /^(CreateContainer(Config)?Error|RunContainerError|StartError|CrashLoopBackOff)$/;

/** Why this pod will never run (again), in the cluster's words; undefined while it may. */
function troubleOf(ctx: Context, { metadata, spec, status = {} }: Pod): CagematchError | undefined {
  const trouble = (what: string, words: string | undefined, hint?: string, code: CagematchError['code'] = 'launch-failed') =>
    new CagematchError(code, words ? `${what}: ${words.replace(/\s*\n\s*/g, ' ').trim()}` : what, hint);
  const nodes = `kubectl --context=${ctx.env.CAGEMATCH_KUBE_CONTEXT} describe node ${spec.nodeName ?? ''}`.trim();
  const states = (status.containerStatuses ?? []).flatMap(({ state, lastState }) => [state ?? {}, lastState ?? {}]);
  const ended = states.find(({ terminated }) => terminated)?.terminated;
  const waiting = states.find(({ waiting: one }) => one)?.waiting;
  const disrupted = status.conditions?.find(({ type, status: is }) => type === 'DisruptionTarget' && is === 'True');
  const ready = status.conditions?.find(({ type }) => type === 'Ready');
  if (ended?.reason === 'OOMKilled') {
    const limit = ctx.options.memoryMiB ?? MEMORY_MIB;
    return trouble(`the pod was out of memory (OOMKilled, its limit is ${limit} MiB)`, ended.message, `memory: ${2 * limit}m`);
  }
  if (status.reason === 'Evicted') return trouble('the pod was evicted', status.message, nodes);
  if (status.reason === 'DeadlineExceeded') return trouble('the pod was over its deadline', status.message);
  if (
    status.reason === 'NodeLost' ||
    (ready?.status === 'Unknown' && ready.reason === 'NodeStatusUnknown') ||
    disrupted?.reason === 'DeletionByPodGC'
  )
    return trouble(`the pod's node ${spec.nodeName ?? ''} is lost`, status.message ?? disrupted?.message ?? ready?.message, nodes);
  if (disrupted) return trouble(`the pod was taken off its node (${disrupted.reason})`, disrupted.message, nodes);
  if (status.phase === 'Failed' || status.phase === 'Succeeded') {
    const how = ended ? `${ended.reason ?? 'ended'}, exit code ${ended.exitCode}` : (status.reason ?? status.phase);
    return trouble(`the pod has ended (${how})`, ended?.message ?? status.message);
  }
  if (waiting?.reason !== undefined && NO_IMAGE.test(waiting.reason))
    return trouble(
      `the cluster cannot get ${imageOf(ctx)} (${waiting.reason})`,
      waiting.message,
      'push it where the nodes can pull it, and set CAGEMATCH_KUBE_IMAGE (docs/remote.md)',
      'image-unavailable',
    );
  if (waiting?.reason !== undefined && NO_START.test(waiting.reason))
    return trouble(`the pod cannot start (${waiting.reason})`, waiting.message);
  return metadata.deletionTimestamp === undefined ? undefined : trouble('the pod is being deleted', undefined);
}

/** Why there is no way to the pod any more. Its status comes a moment after what happened to it. */
async function whyLost(ctx: Context, { name }: KubeHandle, words: string): Promise<string> {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    const asked = await ask(ctx, kubectl(ctx, 'get', 'pods', selector(name), '--output=json'));
    const pods = parseJson<{ items?: Pod[] }>(asked.stdout)?.items;
    if (pods?.length === 0) return 'the pod is gone';
    const why = pods?.[0] && troubleOf(ctx, pods[0]);
    if (why) return why.message;
    if (Date.now() > deadline || ctx.signal.aborted) return words;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** MARK CWD COMMAND…: says itself how the command ended, after MARK. A connection that breaks off has looked to kubectl like an exit with 0. */
function wrapped(reads: string[], withStdin: boolean): string {
  const run = `"$@"${withStdin ? '' : ' </dev/null'}`;
  return [...reads, 'mark=$1', 'cd "$2" || exit', 'shift 2', run, 'code=$?', 'echo "$mark $code" >&2', 'exit "$code"'].join('\n');
}

/** What kubectl adds to a command's own words. */
const ADDED = /^command terminated with exit code \d+$/;

/** @param signal ends this one command; the pod may still be asked */
async function* exec(ctx: Context, handle: KubeHandle, command: Command, signal = ctx.signal): AsyncGenerator<ExecEvent> {
  const mark = randomUUID();
  const secrets = Object.entries(command.secretEnv);
  const isMounted = ([name, value]: [string, string]) => handle.secrets?.[name] === value;
  const reads = secrets.map(
    (one) => `${isMounted(one) ? `${one[0]}=$(cat ${SECRETS}/${one[0]}) || exit` : `IFS= read -r ${one[0]}`}; export ${one[0]}`,
  );
  const typed = secrets.filter((one) => !isMounted(one)).map(([, value]) => `${value}\n`);
  const input = typed.length === 0 && command.stdin === undefined ? undefined : [...typed, command.stdin ?? ''].join('');
  const script = wrapped(reads, command.stdin !== undefined);
  const env = Object.entries(command.env).map(([name, value]) => `${name}=${value}`);
  const pod = handle.pod ?? `job/${handle.name}`;
  const flags = ['--quiet', '--container=agent', ...(input === undefined ? [] : ['--stdin'])];
  const argv = kubectl(
    ctx,
    'exec',
    ...flags,
    pod,
    '--',
    '/bin/sh',
    '-c',
    script,
    'cagematch',
    mark,
    command.cwd,
    'env',
    ...env,
    ...command.argv,
  );
  const child = stream(argv, { env: ctx.env, signal, ...(input === undefined ? {} : { input }) });
  let [code, words] = [undefined as number | undefined, ''];
  let settling: NodeJS.Timeout | undefined;
  for await (const event of child) {
    if (event.type !== 'line') {
      clearTimeout(settling);
      const how =
        event.type === 'exit'
          ? `kubectl ended with code ${event.code}`
          : event.type === 'signal'
            ? `kubectl was killed by ${event.name}`
            : event.reason;
      if (code !== undefined) yield { type: 'exit', code, atMs: event.atMs };
      else yield { type: 'lost', reason: await whyLost(ctx, handle, `the connection was lost: ${words || how}`), atMs: event.atMs };
      return;
    }
    const at = event.stream === 'stderr' ? event.text.indexOf(mark) : -1;
    if (at === -1) {
      if (event.stream === 'stderr' && ADDED.test(event.text)) continue;
      if (event.stream === 'stderr') words = event.text;
      yield event;
      continue;
    }
    code = Number(event.text.slice(at + mark.length));
    // What the command has left running may hold the connection for ever.
    settling = setTimeout(() => child.kill(), SETTLE_MS);
    if (at > 0) yield { ...event, text: event.text.slice(0, at) };
  }
}

function shellOf(ctx: Context, handle: KubeHandle): GuestShell {
  return async ({ script, args, stdin }) => {
    const said: Record<'stdout' | 'stderr', string[]> = { stdout: [], stderr: [] };
    const argv: Command['argv'] = ['/bin/sh', '-c', script, 'cagematch', ...args];
    const command = { argv, env: {}, secretEnv: {}, cwd: '/', ...(stdin === undefined ? {} : { stdin }) };
    for await (const event of exec(ctx, handle, command, AbortSignal.any([ctx.signal, AbortSignal.timeout(COPY_MS)]))) {
      if (event.type === 'line') said[event.stream].push(event.text);
      else if (event.type === 'exit')
        return { type: 'ran', code: event.code, stdout: said.stdout.join('\n'), stderr: said.stderr.join('\n') };
      else if (event.type === 'lost') return { type: 'lost', reason: event.reason };
    }
    return { type: 'lost', reason: 'kubectl ended without a word' };
  };
}

/** FROM WORKSPACE PATH…, a packed folder in base64 on stdin: the workspace unpacked, and one file for each PATH. */
const BRING_IN = `set -e
from=$1 workspace=$2
shift 2
mkdir -p "$from"
base64 -d | tar -x -z -o -f - -C "$from"
tar -x -z -o -f "$from/workspace.tgz" -C "$workspace"
at=0
for path in "$@"; do
  mkdir -p "\${path%/*}"
  mv "$from/$at" "$path"
  at=$((at + 1))
done
rm -rf "$from"`;

/** All in one command: each is a connection of its own, which would be our cost in its row. */
async function bringIn(ctx: Context, handle: KubeHandle, spec: LaunchSpec): Promise<void> {
  const folder = makeFolder('pack');
  try {
    writeFileSync(join(folder, 'workspace.tgz'), await pack(spec.host.workspace));
    for (const [at, file] of spec.files.entries()) copyFileSync(file.source, join(folder, String(at)));
    const args = [`${MADE}/in`, IMAGE_LAYOUT.workspace, ...spec.files.map(({ path }) => path)];
    const ran = await shellOf(ctx, handle)({ script: BRING_IN, args, stdin: (await pack(folder)).toString('base64'), repeatable: true });
    if (ran.type === 'ran' && ran.code === 0) return;
    const words = ran.type === 'ran' ? ran.stderr.trim().split('\n').at(-1) || `exit code ${ran.code}` : ran.reason;
    throw new CagematchError('launch-failed', `the workspace does not get in: ${words}`);
  } finally {
    removeFolder(folder);
  }
}

interface Written {
  kind: string;
  name: string;
  sandbox: string;
  host: string;
  labels: Listed['labels'];
}

/** No secret's content is asked for. */
const COLUMNS = ['.kind', '.metadata.name', '.metadata.labels.cagematch\\.sandbox', '.metadata.annotations.cagematch\\.host']
  .concat(['.metadata.labels.cagematch\\.match', '.metadata.labels.cagematch\\.mode', '.metadata.annotations.cagematch\\.owner'])
  .map((path) => `{${path}}{"\\t"}`)
  .join('');

async function written(ctx: Context, types: string[], ...more: string[]): Promise<Written[]> {
  const args = ['get', types.join(','), ...more, `--output=jsonpath={range .items[*]}${COLUMNS}{"\\n"}{end}`];
  const lines = (await must(ctx, 'not-ready', args)).split('\n').filter(Boolean);
  return lines.map((line) => {
    const [kind = '', name = '', sandbox = '', host = '', match, mode, owner] = line.split('\t');
    const labels = { ...(match ? { match } : {}), ...(mode ? { mode } : {}), ...(owner ? { owner } : {}) };
    return { kind: kind.toLowerCase(), name, sandbox, host, labels };
  });
}

/** What another machine has made is that one's to remove: whether its harness lives cannot be told from here. */
async function list(ctx: Context): Promise<Listed[]> {
  const all = await written(ctx, kinds(ctx), `--selector=cagematch.mode=${ctx.labels.mode},cagematch.sandbox`);
  return all
    .filter(({ host }) => host === hostname())
    .map(({ kind, name, sandbox, labels }) => ({ id: `${sandbox} ${kind}/${name}`, kind, labels }));
}

/** Deleted by label, until the cluster lists none of it. */
async function remove(match: Context, name: string): Promise<void> {
  // Also after Ctrl-C.
  const ctx: Context = { ...match, signal: new AbortController().signal };
  const deadline = Date.now() + GONE_MS;
  for (;;) {
    const leftMs = Math.max(1000, deadline - Date.now());
    const bound = `--timeout=${Math.ceil(leftMs / 1000)}s`;
    const removal = await ask(
      ctx,
      kubectl(ctx, 'delete', kinds(ctx).join(','), selector(name), '--ignore-not-found', '--wait', bound),
      leftMs + 1000,
    );
    const left = await ask(ctx, kubectl(ctx, 'get', kinds(ctx).join(','), selector(name), '--output=name'), QUICK_MS);
    if (!failed(left) && left.stdout.trim() === '') return;
    if (Date.now() > deadline) {
      const what = left.stdout.trim().split('\n')[0] || name;
      const hint = kubectl(ctx, 'delete', what, '--grace-period=0', '--force').join(' ');
      throw new CagematchError('destroy-failed', `${what} is still there: ${diagnose(ctx, failed(removal) ? removal : left).reason}`, hint);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
