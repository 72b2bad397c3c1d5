// One sandbox: created, watched until it runs, connected to, and diagnosed when it is lost.

import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Command, Env, Handle, TerminalCall } from '../../lib/contract.js';
import { CagematchError } from '../../lib/errors.js';
import { parseJson } from '../../lib/json.js';
import { type Connection, shellOver } from '../../lib/kit/guest/exec.js';
import { terminalArgv } from '../../lib/kit/guest/terminal.js';
import { IMAGE_LAYOUT } from '../../lib/kit/oci/args.js';
import { stream } from '../../lib/os/stream.js';
import {
  ask,
  clientOf,
  imageOf,
  type KubeContext,
  kubectl,
  must,
  namespaceOf,
  waitOf,
} from './client.js';
import { jobOf, listOf, ownedBy, type PodPlan, SECRETS, sandboxOf } from './pod-manifest.js';
import { type Pod, runs, troubleOf, whyJobFailed, whyUnscheduled } from './pod-status.js';
import { AGENT_SANDBOX, SANDBOXES } from './ready.js';

export interface KubeHandle extends Handle {
  pod?: string;
  /** Digests of the mounted secrets by their names. */
  mounted?: Record<string, string>;
}

/** What an exec'd command's secret has to match so that its mounted file is read. */
export const digestOf = (secret: string) => createHash('sha256').update(secret).digest('hex');

function planOf(ctx: KubeContext, name: string, { secrets, maxLifeMs }: Wishes): PodPlan {
  const runtimeClass = ctx.variant === AGENT_SANDBOX ? undefined : ctx.variant;
  return {
    name,
    image: imageOf(ctx),
    labels: ctx.labels,
    options: ctx.options,
    runtimeClass,
    secrets,
    maxLifeMs,
  };
}

interface Wishes {
  secrets: Env;
  maxLifeMs?: number | undefined;
}

/** Creates the pod and waits until it runs. */
export async function up(
  ctx: KubeContext,
  name: string,
  wishes: Wishes,
  startedMs: number,
): Promise<Pod> {
  const plan = planOf(ctx, name, wishes);
  const { secrets } = wishes;
  const maker =
    ctx.variant === AGENT_SANDBOX ? sandboxOf(plan, ctx.state?.sandboxApi ?? '') : jobOf(plan);
  const input = JSON.stringify(listOf(plan, maker));
  const made = await must(
    ctx,
    'launch-failed',
    ['create', '--filename=-', '--output=jsonpath={.kind}={.metadata.uid}{"\\n"}'],
    { input },
  );
  const uid = new RegExp(`^${maker.kind}=(.+)$`, 'm').exec(made)?.[1] ?? '';
  const patch = [
    'patch',
    `secret/${name}`,
    '--type=merge',
    `--patch=${JSON.stringify(ownedBy(maker, name, uid))}`,
    '--output=name',
  ];
  const owned = Object.keys(secrets).length === 0 ? undefined : must(ctx, 'launch-failed', patch);
  const [pod] = await Promise.all([running(ctx, name, startedMs), owned]);
  return pod;
}

/**
 * Watches the pod until it runs.
 * @throws with the cluster's message, once the pod can no longer run or its time is up
 */
async function running(ctx: KubeContext, name: string, startedMs: number): Promise<Pod> {
  const watching = stream(kubectl(ctx, 'get', 'pods', selector(name), '--watch', '--output=json'), {
    env: ctx.env,
    signal: ctx.signal,
  });
  const waitMs = waitOf(ctx) * 1000;
  let seen: Pod | undefined;
  let late = false;
  const giveUp = () => {
    late = true;
    watching.kill();
  };
  // A pod that has a node may wait long for the image to be pulled, but waiting is pointless if the
  // node lacks the runtime or a volume.
  const look = async () =>
    (seen?.spec.nodeName === undefined || NEVER.test(await lastWarning(ctx, seen.metadata.name))) &&
    giveUp();
  const timers = [setTimeout(look, waitMs), setTimeout(giveUp, waitMs + startedMs)];
  let [lastMessage, text] = ['', ''];
  try {
    for await (const event of watching) {
      if (event.type !== 'line') break;
      if (event.stream === 'stderr') lastMessage = event.text;
      else text += event.text;
      // The output is a sequence of objects, each spread over several lines.
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
  throw await whyNotRunning(ctx, name, seen, late ? '' : lastMessage);
}

const NEVER = /^Failed(CreatePodSandBox|Mount|AttachVolume): /;

/** The most recent warning event that the cluster has for an object; empty if there is none. */
async function lastWarning(ctx: KubeContext, name: string): Promise<string> {
  const fieldSelector = `--field-selector=type=Warning,involvedObject.name=${name}`;
  const line = '--output=jsonpath={range .items[*]}{.reason}: {.message}{"\\n"}{end}';
  const events = await ask(
    ctx,
    kubectl(ctx, 'get', 'events', fieldSelector, '--sort-by=.metadata.creationTimestamp', line),
  );
  return events.stdout.trim().split('\n').at(-1) ?? '';
}

function trouble(ctx: KubeContext, pod: Pod): CagematchError | undefined {
  return troubleOf(pod, { image: imageOf(ctx), options: ctx.options }, clientOf(ctx));
}

async function whyNotRunning(
  ctx: KubeContext,
  name: string,
  seen: Pod | undefined,
  lastMessage: string,
): Promise<CagematchError> {
  const unscheduled = seen && whyUnscheduled(seen);
  if (unscheduled)
    return new CagematchError(
      'launch-failed',
      unscheduled,
      'CAGEMATCH_KUBE_WAIT=300, for an autoscaler; else memory: 1g, cpus: 1',
    );
  const reason =
    (await lastWarning(ctx, seen?.metadata.name ?? name)) ||
    lastMessage ||
    'the cluster reported no reason';
  const message = seen
    ? `the pod does not start: ${reason}`
    : `the cluster makes no pod: ${reason}`;
  return new CagematchError(
    'launch-failed',
    message,
    `${clientOf(ctx)} --namespace=${namespaceOf(ctx)} get events`,
  );
}

/** Why the pod can no longer be reached. Its status is updated a moment after the cause. */
async function whyLost(
  ctx: KubeContext,
  { name }: KubeHandle,
  lastMessage: string,
): Promise<string> {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    const result = await ask(
      ctx,
      kubectl(ctx, 'get', 'jobs,pods', selector(name), '--output=json'),
    );
    const found = parseJson<{ items?: Pod[] }>(result.stdout)?.items;
    const pod = found?.find(({ kind }) => kind === 'Pod');
    if (found && !pod)
      return ['the pod is gone', ...found.flatMap((job) => whyJobFailed(job) ?? [])].join(': ');
    const why = pod && trouble(ctx, pod);
    if (why) return why.message;
    if (Date.now() > deadline || ctx.signal.aborted) return lastMessage;
    await pause(250);
  }
}

/** The pod of a Sandbox has the same name as the Sandbox. */
function podOf(ctx: KubeContext, { pod, name }: KubeHandle): string {
  return pod ?? (ctx.variant === AGENT_SANDBOX ? name : `job/${name}`);
}

export function connectionTo(ctx: KubeContext, handle: KubeHandle): Connection {
  const pod = podOf(ctx, handle);
  return {
    argv: (command, withStdin) =>
      kubectl(
        ctx,
        'exec',
        '--quiet',
        '--container=agent',
        ...(withStdin ? ['--stdin'] : []),
        pod,
        '--',
        ...command,
      ),
    env: ctx.env,
    signal: ctx.signal,
    secret: (name, value) =>
      handle.mounted?.[name] === digestOf(value) ? `${SECRETS}/${name}` : undefined,
    added: /^command terminated with exit code \d+$/,
    whyLost: (lastMessage) => whyLost(ctx, handle, `the connection was lost: ${lastMessage}`),
  };
}

/** `kubectl exec` for a command that has a terminal. */
export async function terminal(
  ctx: KubeContext,
  handle: KubeHandle,
  command: Omit<Command, 'stdin'>,
): Promise<TerminalCall> {
  const inside = await terminalArgv(shellOf(ctx, handle), IMAGE_LAYOUT.memory, command);
  const argv = kubectl(
    ctx,
    'exec',
    '--quiet',
    '--container=agent',
    '--stdin',
    '--tty',
    podOf(ctx, handle),
    '--',
    ...inside,
  );
  return { argv, env: ctx.env, cwd: '/' };
}

export const shellOf = (ctx: KubeContext, handle: KubeHandle) =>
  shellOver(connectionTo(ctx, handle), COPY_MS);

/** How long a pod's status may lag behind what happened to it. */
const SETTLE_MS = 2000;

const COPY_MS = 120_000;

/**
 * The resource kinds that make up a sandbox, by their API names; owners come before what they own.
 */
export function kinds(ctx: KubeContext): string[] {
  return [...(ctx.state?.sandboxApi === undefined ? [] : [SANDBOXES]), 'jobs', 'pods', 'secrets'];
}

export function selector(name: string): string {
  return `--selector=cagematch.sandbox=${name}`;
}
