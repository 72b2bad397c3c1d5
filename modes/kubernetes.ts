// Kubernetes: a pod of a Job (or of agent-sandbox' Sandbox) on a cluster that was named, through kubectl; files go in and out over exec.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { unpack } from '../lib/archive.js';
import { type Context, type Detection, defineMode, type Env, type Handle, type Listed, type Variant } from '../lib/contract.js';
import { CagematchError } from '../lib/errors.js';
import { type Captured, capture, stream, whyFailed } from '../lib/exec.js';
import { bringIn, type Connection, execOver, shellOver } from '../lib/guest-exec.js';
import { bundleOut, copyOut } from '../lib/guest-shell.js';
import { parseJson } from '../lib/json.js';
import { containerWalls, IMAGE_LAYOUT } from '../lib/oci.js';
import { imageName } from '../lib/oci-image.js';
import { otherNames, requireInside, runtimeNamed, runtimeVariant } from '../lib/oci-runtimes.js';
import { jobOf, listOf, ownedBy, type PodPlan, SECRETS, sandboxOf } from '../lib/pod-manifest.js';
import { imageIn, type Pod, runs, troubleOf, whyJobFailed, whyUnscheduled } from '../lib/pod-status.js';

/** Detection has 5 s in all, and asks twice in a row. */
const ASK_MS = 4000;
const QUICK_MS = 15_000;
const COPY_MS = 120_000;
const GONE_MS = 25_000;
/** How long a pod may take once it is on a node; the first one also pulls the image. */
const STARTED_MS = 120_000;
const PULLED_MS = 10 * 60_000;
/** How long a pod's status may come after what happened to it. */
const SETTLE_MS = 2000;
/** In the guest: what commands of ours leave. */
const MADE = '/tmp/cagematch-out';

const SANDBOXES = 'sandboxes.agents.x-k8s.io';
const AGENT_SANDBOX = 'agent-sandbox';

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
  elsewhere: true,
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
    // All that is done in a pod is done by exec.
    if (ctx.variant !== undefined) requireInside(ctx.variant, runtimeNamed(ctx.variant, ctx.facts), 'cagematch detect kubernetes');
    // One pod makes a node pull the image, and shows what the cluster would refuse to every run.
    const { image } = await ctx.keep(`image ${imageOf(ctx)}`, async () => {
      const which = ctx.variant === undefined ? '' : ` (${ctx.variant})`;
      ctx.say(`making one pod${which} on ${ctx.env.CAGEMATCH_KUBE_CONTEXT}, so that the image is on a node (the first time it is pulled)`);
      const name = `cagematch-${ctx.labels.match}-prepare-${randomUUID().slice(0, 6)}`;
      try {
        return { image: imageIn(await up(ctx, name, {}, PULLED_MS)), close() {} };
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
    const { metadata, spec: pod } = await up(ctx, spec.name, secrets, STARTED_MS);
    const handle = { name: spec.name, secrets, pod: metadata.name, ...(pod.nodeName === undefined ? {} : { place: pod.nodeName }) };
    await bringIn(shellOf(ctx, handle), MADE, IMAGE_LAYOUT.workspace, spec);
    return handle;
  },
  exec: (ctx, handle, command) => execOver(connectionTo(ctx, handle), command),
  async collect(ctx, handle, into) {
    await unpack(await copyOut(shellOf(ctx, handle), IMAGE_LAYOUT.workspace, `${MADE}/workspace.tgz`), into);
  },
  bundle: async (ctx, handle, came) =>
    came ? bundleOut(shellOf(ctx, handle), IMAGE_LAYOUT.workspace, `${MADE}/workspace.bundle`) : undefined,
  async destroy(ctx, handle) {
    await remove(ctx, handle.name);
    return {};
  },
  list,
  // All of a sandbox goes together: a Job without its pod, or a pod without its secret, is of no use.
  reap: (ctx, listed) => remove(ctx, listed.id.split(' ', 1)[0] ?? ''),
  async census(ctx) {
    const all = await written(ctx, [...kinds(ctx), ...(ctx.facts.sandboxApi === undefined ? [] : ['services'])]);
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
    const kind = ctx.variant === undefined ? undefined : runtimeNamed(ctx.variant, ctx.facts);
    const own = (kind?.isolation ?? 'container') !== 'container';
    return { ...walls, seccomp: 'closed', ...(own ? { 'host-kernel': 'closed' as const } : {}) };
  },
  shell: (ctx, handle) => kubectl(ctx, 'exec', '-it', podOf(ctx, handle), '--', 'bash'),
});

async function detect(ctx: Context): Promise<Detection> {
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
  const version = parseJson<{ serverVersion?: { gitVersion?: string } }>(server.stdout)?.serverVersion?.gitVersion;
  if (version === undefined) return { status: 'broken', ...diagnose(ctx, server) };
  // Whoever may only use a namespace need not be allowed to look at it.
  if (failed(space) && !/forbidden/i.test(space.stderr)) return { status: 'unconfigured', ...diagnose(ctx, space) };
  const sandboxApi = storedVersion(crd);
  const found = parseJson<{ items?: RuntimeClass[] }>(classes.stdout)?.items ?? [];
  const agentSandbox = { id: AGENT_SANDBOX, isolation: 'container' as const };
  return {
    status: 'ready',
    version,
    facts: {
      ...{ context, namespace },
      ...(sandboxApi === undefined ? {} : { sandboxApi }),
      ...otherNames(found.map(({ metadata, handler }) => [metadata.name, [handler]])),
    },
    variants: [...found.map(asVariant), ...(sandboxApi === undefined ? [] : [agentSandbox])],
  };
}

/** What is missing on this side; no cluster is asked. */
async function whyUnconfigured(ctx: Context): Promise<Detection | undefined> {
  // One process: most machines that have kubectl have no cluster for us, and wait for this in every detection.
  const contexts = await ask(ctx, ['kubectl', 'config', 'get-contexts', '--output=name']);
  if (contexts.failure === 'missing') return { status: 'absent', reason: 'no kubectl command on PATH', hint: INSTALL };
  const unconfigured = (reason: string, hint: string): Detection => ({ status: 'unconfigured', reason, hint });
  const names = contexts.stdout.split('\n').filter(Boolean);
  const { CAGEMATCH_KUBE_CONTEXT: context, CAGEMATCH_KUBE_IMAGE: image, CAGEMATCH_KUBE_WAIT: wait } = ctx.env;
  if (!context || !names.includes(context)) {
    const reason = context ? `kubectl has no context ${context}` : 'no context is named, and the current one is never taken by itself';
    const among = names.slice(0, 8).join(' | ');
    return unconfigured(reason, among === '' ? 'kubectl config set-context NAME' : `CAGEMATCH_KUBE_CONTEXT=<${among}>`);
  }
  if (wait && !(Number(wait) > 0)) return unconfigured(`CAGEMATCH_KUBE_WAIT is no number of seconds: ${wait}`, 'CAGEMATCH_KUBE_WAIT=60');
  if (image) return undefined;
  const built = imageName(ctx, ctx.env.CAGEMATCH_BASE_IMAGE);
  return unconfigured('CAGEMATCH_KUBE_IMAGE names no runner image', `docker tag ${built} <registry>/${built}, push it, and name it`);
}

interface RuntimeClass {
  metadata: { name: string };
  handler: string;
}

function asVariant({ metadata: { name }, handler }: RuntimeClass): Variant {
  const variant = runtimeVariant(name, handler);
  // Others may be for WebAssembly or graphics cards: whether they run the image is not known.
  return variant.isolation === 'container' || variant.mainProcessOnly ? { ...variant, onRequest: true } : variant;
}

function storedVersion(crd: Captured): string | undefined {
  const { spec } = parseJson<{ spec?: { versions?: { name: string; served: boolean; storage: boolean }[] } }>(crd.stdout) ?? {};
  return spec?.versions?.find(({ served, storage }) => served && storage)?.name;
}

const INSTALL = 'install kubectl (kubernetes.io/docs/tasks/tools)';

function ask(ctx: Context, argv: [string, ...string[]], timeoutMs = ASK_MS): Promise<Captured> {
  return capture(argv, { env: ctx.env, signal: ctx.signal, timeoutMs });
}

const failed = ({ end }: Captured) => end.type !== 'exit' || end.code !== 0;

function namespaceOf(ctx: Context): string {
  return ctx.env.CAGEMATCH_KUBE_NAMESPACE || 'cagematch';
}

function waitOf(ctx: Context): number {
  return Number(ctx.env.CAGEMATCH_KUBE_WAIT || 60);
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

/** As a user would call it. */
function clientOf(ctx: Context): string {
  return `kubectl --context=${ctx.env.CAGEMATCH_KUBE_CONTEXT}`;
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
  const cluster = clientOf(ctx);
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

function planOf(ctx: Context, name: string, secrets: Env): PodPlan {
  const runtimeClass = ctx.variant === AGENT_SANDBOX ? undefined : ctx.variant;
  return { name, image: imageOf(ctx), labels: ctx.labels, options: ctx.options, runtimeClass, secrets };
}

/** A pod that runs. */
async function up(ctx: Context, name: string, secrets: Env, startedMs: number): Promise<Pod> {
  const plan = planOf(ctx, name, secrets);
  const maker = ctx.variant === AGENT_SANDBOX ? sandboxOf(plan, String(ctx.facts.sandboxApi)) : jobOf(plan);
  const input = JSON.stringify(listOf(plan, maker));
  const made = await must(ctx, 'launch-failed', ['create', '--filename=-', '--output=jsonpath={.kind}={.metadata.uid}{"\\n"}'], { input });
  const uid = new RegExp(`^${maker.kind}=(.+)$`, 'm').exec(made)?.[1] ?? '';
  const patch = ['patch', `secret/${name}`, '--type=merge', `--patch=${JSON.stringify(ownedBy(maker, name, uid))}`, '--output=name'];
  const owned = Object.keys(secrets).length === 0 ? undefined : must(ctx, 'launch-failed', patch);
  const [pod] = await Promise.all([running(ctx, name, startedMs), owned]);
  return pod;
}

/** Follows the pod until it runs. @throws with the cluster's own words, once it cannot run any more or its time is over */
async function running(ctx: Context, name: string, startedMs: number): Promise<Pod> {
  const watching = stream(kubectl(ctx, 'get', 'pods', selector(name), '--watch', '--output=json'), { env: ctx.env, signal: ctx.signal });
  const waitMs = waitOf(ctx) * 1000;
  let seen: Pod | undefined;
  let late = false;
  const giveUp = () => {
    late = true;
    watching.kill();
  };
  // On its node a pod may wait for long while the image is pulled; not for a runtime or a volume that its node has not.
  const look = async () => (seen?.spec.nodeName === undefined || NEVER.test(await lastWarning(ctx, seen.metadata.name))) && giveUp();
  const timers = [setTimeout(look, waitMs), setTimeout(giveUp, waitMs + startedMs)];
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
      if (!seen) continue;
      const why = trouble(ctx, seen);
      if (why) throw why;
      if (runs(seen)) return seen;
    }
  } finally {
    for (const timer of timers) clearTimeout(timer);
    watching.kill();
  }
  throw await whyNotRunning(ctx, name, seen, late ? '' : words);
}

const NEVER = /^Failed(CreatePodSandBox|Mount|AttachVolume): /;

/** Of the events that the cluster keeps of an object; empty where there is none. */
async function lastWarning(ctx: Context, name: string): Promise<string> {
  const of = `--field-selector=type=Warning,involvedObject.name=${name}`;
  const line = '--output=jsonpath={range .items[*]}{.reason}: {.message}{"\\n"}{end}';
  const events = await ask(ctx, kubectl(ctx, 'get', 'events', of, '--sort-by=.metadata.creationTimestamp', line));
  return events.stdout.trim().split('\n').at(-1) ?? '';
}

function trouble(ctx: Context, pod: Pod): CagematchError | undefined {
  return troubleOf(pod, { image: imageOf(ctx), options: ctx.options }, clientOf(ctx));
}

async function whyNotRunning(ctx: Context, name: string, seen: Pod | undefined, words: string): Promise<CagematchError> {
  const unscheduled = seen && whyUnscheduled(seen);
  if (unscheduled)
    return new CagematchError('launch-failed', unscheduled, 'CAGEMATCH_KUBE_WAIT=300, for an autoscaler; else memory: 1g, cpus: 1');
  const said = (await lastWarning(ctx, seen?.metadata.name ?? name)) || words || 'the cluster says nothing of it';
  const message = seen ? `the pod does not start: ${said}` : `the cluster makes no pod: ${said}`;
  return new CagematchError('launch-failed', message, `${clientOf(ctx)} --namespace=${namespaceOf(ctx)} get events`);
}

/** Why there is no way to the pod any more. Its status comes a moment after what happened to it. */
async function whyLost(ctx: Context, { name }: KubeHandle, words: string): Promise<string> {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    const asked = await ask(ctx, kubectl(ctx, 'get', 'jobs,pods', selector(name), '--output=json'));
    const found = parseJson<{ items?: Pod[] }>(asked.stdout)?.items;
    const pod = found?.find(({ kind }) => kind === 'Pod');
    if (found && !pod) return ['the pod is gone', ...found.flatMap((job) => whyJobFailed(job) ?? [])].join(': ');
    const why = pod && trouble(ctx, pod);
    if (why) return why.message;
    if (Date.now() > deadline || ctx.signal.aborted) return words;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** A Sandbox' pod has its name. */
function podOf(ctx: Context, { pod, name }: KubeHandle): string {
  return pod ?? (ctx.variant === AGENT_SANDBOX ? name : `job/${name}`);
}

function connectionTo(ctx: Context, handle: KubeHandle): Connection {
  const pod = podOf(ctx, handle);
  return {
    argv: (command, withStdin) =>
      kubectl(ctx, 'exec', '--quiet', '--container=agent', ...(withStdin ? ['--stdin'] : []), pod, '--', ...command),
    env: ctx.env,
    signal: ctx.signal,
    secret: (name, value) => (handle.secrets?.[name] === value ? `${SECRETS}/${name}` : undefined),
    added: /^command terminated with exit code \d+$/,
    whyLost: (words) => whyLost(ctx, handle, `the connection was lost: ${words}`),
  };
}

const shellOf = (ctx: Context, handle: KubeHandle) => shellOver(connectionTo(ctx, handle), COPY_MS);

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
    const [types, own] = [kinds(ctx).join(','), selector(name)];
    const removal = await ask(ctx, kubectl(ctx, 'delete', types, own, '--ignore-not-found', '--wait', bound), leftMs + 1000);
    const left = await ask(ctx, kubectl(ctx, 'get', types, own, '--output=name'), QUICK_MS);
    if (!failed(left) && left.stdout.trim() === '') return;
    if (Date.now() > deadline || removal.failure === 'missing') {
      const what = left.stdout.trim().split('\n')[0] || name;
      const why = [removal, left].find(failed);
      const hint = kubectl(ctx, 'delete', what, '--grace-period=0', '--force').join(' ');
      throw new CagematchError(
        'destroy-failed',
        `${what} is still there: ${why ? diagnose(ctx, why).reason : 'its deletion does not end'}`,
        hint,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
