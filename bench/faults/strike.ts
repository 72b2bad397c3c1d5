// Finds and kills one process or sandbox that belongs to a given match and to no other.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Env } from '../../lib/contract.js';
import { capture, succeeded } from '../../lib/os/capture.js';
import { childrenOf, commandLines } from '../../lib/os/process-tree.js';
import { rootlessPodman } from './left.js';

export interface Target {
  /** Pid of the harness. */
  pid: number;
  match: string;
  /** The row that the fault strikes. */
  entry: string;
  env: Env;
}

/** A description of what was struck; undefined if there is no such target at the moment. */
export type Struck = string | undefined;

/** Kills the runtime's client that started the sandbox or that waits for the agent in it. */
export function killClient({ pid, entry }: Target): Struck {
  const verbs = ['run', 'exec', 'launch'];
  const program = entry.split(':')[0] ?? '';
  return killFirst(below(pid), ({ argv }) =>
    program === 'native'
      ? argv.some((word) => /\/srt$/.test(word)) && argv.includes('-s')
      : nameOf(argv) === program && verbs.includes(verbOf(argv)),
  );
}

/**
 * Kills the sandbox through the runtime's own command; for an OS sandbox, its outermost process.
 */
export async function killSandbox(target: Target): Promise<Struck> {
  const { pid, entry, env } = target;
  if (entry === 'native') return killFirst(below(pid), ({ argv }) => nameOf(argv) === 'bwrap');
  const name = sandboxOf(target);
  if (name === undefined) return undefined;
  const runtime = runtimeOf(entry, env);
  const verb = entry.startsWith('incus') ? ['stop', '--force', name] : ['kill', name];
  const done = await capture([...runtime.argv, ...verb], {
    env: runtime.env,
    cwd: '/',
    timeoutMs: 20_000,
  });
  return succeeded(done) ? `${runtime.argv.at(-1)} ${verb.join(' ')}` : undefined;
}

/** Kills the agent's own process, as seen from this host. */
export async function killAgent(target: Target): Promise<Struck> {
  const { pid, entry, env } = target;
  const isAgent = ({ argv }: { argv: string[] }) => nameOf(argv) === 'claude';
  if (entry === 'host') return killFirst(below(pid), isAgent);
  if (entry === 'native') return killFirst(below(pid).reverse(), isAgent);
  const name = sandboxOf(target);
  if (name === undefined) return undefined;
  if (entry.startsWith('incus'))
    return killFirst(
      commandLines(),
      (candidate) => isAgent(candidate) && cgroupOf(candidate.pid).includes(name),
    );
  const runtime = runtimeOf(entry, env);
  const asked = await capture([...runtime.argv, 'inspect', '--format', '{{.State.Pid}}', name], {
    env: runtime.env,
    cwd: '/',
    timeoutMs: 20_000,
  });
  const root = Number(asked.stdout.trim());
  return root > 1 ? killFirst(below(root), isAgent) : undefined;
}

function runtimeOf(entry: string, env: Env): { argv: [string, ...string[]]; env: Env } {
  if (entry === 'podman:rootless') return rootlessPodman(env) ?? { argv: ['podman'], env };
  return { argv: [entry.split(':')[0] ?? ''], env };
}

/** The sandbox's name, taken from its client's arguments: `--name X`, or `incus exec X`. */
function sandboxOf({ pid, match }: Target): string | undefined {
  const prefix = `cagematch-${match}-`;
  for (const { argv } of below(pid)) {
    const name = argv.find((word) => word.startsWith(prefix) && !word.includes('/'));
    if (name !== undefined && (argv.includes('run') || argv.includes('exec'))) return name;
  }
  return undefined;
}

/** A process and all its descendants. */
function below(root: number): { pid: number; argv: string[] }[] {
  const all = new Map(commandLines().map((candidate) => [candidate.pid, candidate]));
  const found: { pid: number; argv: string[] }[] = [];
  const open = [root];
  for (let pid = open.shift(); pid !== undefined; pid = open.shift()) {
    const victim = all.get(pid);
    if (victim) found.push(victim);
    open.push(...childrenOf([pid]));
  }
  return found;
}

function killFirst(
  among: { pid: number; argv: string[] }[],
  wanted: (candidate: { pid: number; argv: string[] }) => boolean,
): Struck {
  const found = among.find(wanted);
  if (!found) return undefined;
  try {
    process.kill(found.pid, 'SIGKILL');
    return `kill -9 ${found.pid} (${found.argv.slice(0, 4).join(' ').slice(0, 80)})`;
  } catch {
    return undefined; // The process is already gone.
  }
}

function nameOf(argv: string[]): string {
  return basename(argv[0] ?? '');
}

function verbOf(argv: string[]): string {
  return argv.slice(1).find((word) => !word.startsWith('-')) ?? '';
}

function cgroupOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8');
  } catch {
    return '';
  }
}
