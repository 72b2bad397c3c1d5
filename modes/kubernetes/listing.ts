// Lists our resources on the cluster and removes them.

import { hostname } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import type { Listed } from '../../lib/contract.js';
import { CagematchError } from '../../lib/errors.js';
import { succeeded } from '../../lib/os/capture.js';
import { ask, diagnose, type KubeContext, kubectl, must, QUICK_MS } from './client.js';
import { kinds, selector } from './pod.js';

const GONE_MS = 25_000;

interface Resource {
  kind: string;
  name: string;
  sandbox: string;
  host: string;
  labels: Listed['labels'];
  /** Of a pod. */
  phase: string;
  node: string;
}

/** The contents of secrets are not requested. */
const COLUMNS = [
  '.kind',
  '.metadata.name',
  '.metadata.labels.cagematch\\.sandbox',
  '.metadata.annotations.cagematch\\.host',
]
  .concat([
    '.metadata.labels.cagematch\\.match',
    '.metadata.labels.cagematch\\.mode',
    '.metadata.annotations.cagematch\\.owner',
  ])
  .concat(['.metadata.labels.cagematch\\.session', '.status.phase', '.spec.nodeName'])
  .map((path) => `{${path}}{"\\t"}`)
  .join('');

export async function resources(
  ctx: KubeContext,
  types: string[],
  ...extraArgs: string[]
): Promise<Resource[]> {
  const args = [
    'get',
    types.join(','),
    ...extraArgs,
    `--output=jsonpath={range .items[*]}${COLUMNS}{"\\n"}{end}`,
  ];
  const lines = (await must(ctx, 'not-ready', args)).split('\n').filter(Boolean);
  return lines.map((line) => {
    const [
      kind = '',
      name = '',
      sandbox = '',
      host = '',
      match,
      mode,
      owner,
      session,
      phase = '',
      node = '',
    ] = line.split('\t');
    const labels = {
      ...(match ? { match } : {}),
      ...(mode ? { mode } : {}),
      ...(owner ? { owner } : {}),
      ...(session ? { session } : {}),
    };
    return { kind: kind.toLowerCase(), name, sandbox, host, labels, phase, node };
  });
}

/**
 * Skips resources created by another machine: whether its harness is alive cannot be determined
 * from here.
 */
export async function list(ctx: KubeContext): Promise<Listed[]> {
  const all = await resources(
    ctx,
    kinds(ctx),
    `--selector=cagematch.mode=${ctx.labels.mode},cagematch.sandbox`,
  );
  return all
    .filter(({ host }) => host === hostname())
    .map(({ kind, name, sandbox, labels, phase, node }) => ({
      ...{ id: `${sandbox} ${kind}/${name}`, kind, labels, state: stateOf(phase) },
      ...(node === '' ? {} : { place: node }),
    }));
}

function stateOf(phase: string): Listed['state'] {
  if (phase === 'Running') return 'running';
  return phase === 'Succeeded' || phase === 'Failed' ? 'stopped' : 'unknown';
}

/** Deletes by label until the cluster no longer lists any matching resource. */
export async function remove(match: KubeContext, name: string): Promise<void> {
  // Removal has to work after Ctrl-C as well.
  const ctx: KubeContext = { ...match, signal: new AbortController().signal };
  const deadline = Date.now() + GONE_MS;
  for (;;) {
    const leftMs = Math.max(1000, deadline - Date.now());
    const bound = `--timeout=${Math.ceil(leftMs / 1000)}s`;
    const [types, own] = [kinds(ctx).join(','), selector(name)];
    const removal = await ask(
      ctx,
      kubectl(ctx, 'delete', types, own, '--ignore-not-found', '--wait', bound),
      leftMs + 1000,
    );
    const left = await ask(ctx, kubectl(ctx, 'get', types, own, '--output=name'), QUICK_MS);
    if (succeeded(left) && left.stdout.trim() === '') return;
    if (Date.now() > deadline || removal.failure === 'missing') {
      const what = left.stdout.trim().split('\n')[0] || name;
      const why = [removal, left].find((result) => !succeeded(result));
      const hint = kubectl(ctx, 'delete', what, '--grace-period=0', '--force').join(' ');
      throw new CagematchError(
        'destroy-failed',
        `${what} is still there: ${why ? diagnose(ctx, why).reason : 'its deletion does not end'}`,
        hint,
      );
    }
    await pause(100);
  }
}
