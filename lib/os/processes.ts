// Finds processes on this host that carry our labels in their environment; modes without a daemon
// list their sandboxes this way.

import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Context, Env, Labels, Listed } from '../contract.js';
import { capture } from './capture.js';
import { sessionOf } from './harness-id.js';
import { leftFolders, notedSessions, OWNER_VARIABLE, ownerDead } from './owner.js';
import { listMarked } from './process-mark.js';

const NAMES = {
  match: 'CAGEMATCH_MATCH',
  mode: 'CAGEMATCH_MODE',
  owner: OWNER_VARIABLE,
  session: 'CAGEMATCH_SESSION',
} as const;
const SANDBOX = 'CAGEMATCH_SANDBOX';

/** The environment variables by which a process is found again; children inherit them. */
export function labelEnv(labels: Labels, sandbox: string): Env {
  const { match, mode, owner, session } = labels;
  const kept = session === undefined ? {} : { [NAMES.session]: session };
  return {
    [NAMES.match]: match,
    [NAMES.mode]: mode,
    [NAMES.owner]: owner,
    ...kept,
    [SANDBOX]: sandbox,
  };
}

/** The sandbox that a process belongs to, according to its environment in the format of /proc. */
export function sandboxIn(environment: string): string | undefined {
  return new RegExp(`(?:^|\\0)${SANDBOX}=([^\\0]*)`).exec(environment)?.[1];
}

/** A mode's function for finding its processes. */
type List = (ctx: Context) => Promise<Listed[]>;

/**
 * Every process of the context's mode, as `<sandbox> pid <pid>`; for a mode that also marks its
 * processes (`lib/os/process-mark.ts`).
 */
export async function listMarkedProcesses(ctx: Context): Promise<Listed[]> {
  const listed = await listProcesses(ctx);
  const known = new Set(listed.map(pidOf));
  return [
    ...listed,
    ...listMarked(ctx.labels.mode).filter((resource) => !known.has(pidOf(resource))),
  ];
}

/** Every process of the context's mode that still has its environment, as `<sandbox> pid <pid>`. */
export async function listProcesses(ctx: Context): Promise<Listed[]> {
  const found: Listed[] = [];
  for (const { pid, env } of await environments(ctx)) {
    if (env[NAMES.mode] !== ctx.labels.mode || pid === process.pid) continue;
    const labels: Partial<Labels> = { mode: ctx.labels.mode };
    const { [NAMES.match]: match, [NAMES.owner]: owner, [NAMES.session]: session } = env;
    if (match !== undefined) labels.match = match;
    if (owner !== undefined) labels.owner = owner;
    if (session !== undefined) labels.session = session;
    found.push({
      id: `${env[SANDBOX] ?? 'unnamed'} pid ${pid}`,
      kind: 'process',
      labels,
      state: 'running',
    });
  }
  return found;
}

/**
 * Orphaned processes, whose harness has ended: processes of sandboxes, and runtime clients in the
 * sessions that the harness started. A process in another session was left running by a client on
 * purpose, such as the pause process of rootless Podman; it belongs to the user.
 */
export async function listOrphans(platform: NodeJS.Platform, env: Env): Promise<Listed[]> {
  const sessionsIn = remembered(notedSessions);
  const left = leftFolders('dead');
  return (await environments({ platform, env })).flatMap(({ pid, session, env: own }) => {
    const { [NAMES.owner]: owner, [SANDBOX]: sandbox, TMPDIR: folder } = own;
    if (owner === undefined || !ownerDead(owner)) return [];
    const folders = folder === undefined ? left : [folder, ...left];
    const ours =
      sandbox !== undefined ||
      (session !== undefined && folders.some((folder) => sessionsIn(folder).has(session)));
    return ours
      ? [{ id: `client pid ${pid}`, kind: 'process', labels: { owner }, state: 'running' as const }]
      : [];
  });
}

function remembered<T>(ask: (key: string) => T): (key: string) => T {
  const answers = new Map<string, T>();
  return (key) => {
    const answer = answers.get(key) ?? ask(key);
    answers.set(key, answer);
    return answer;
  };
}

/**
 * Kills a process that `listProcesses` returned, and waits at most 2 s until it is no longer
 * listed: the kernel may be slow to end it.
 */
export async function reapProcess(
  ctx: Context,
  listed: Listed,
  list: List = listProcesses,
): Promise<void> {
  const deadline = Date.now() + 2000;
  do killListed(listed);
  while (Date.now() < deadline && (await list(ctx)).some(({ id }) => id === listed.id));
}

/** Kills a process that one of the lists above returned. */
export function killListed(listed: Listed): void {
  try {
    process.kill(pidOf(listed), 'SIGKILL');
  } catch {
    // Already gone.
  }
}

function pidOf({ id }: Listed): number {
  return Number(/ pid (\d+)$/.exec(id)?.[1]);
}

/** The pids of a sandbox's processes. */
export async function pidsOf(
  ctx: Context,
  sandbox: string,
  list: List = listProcesses,
): Promise<number[]> {
  return (await list(ctx)).filter(({ id }) => id.startsWith(`${sandbox} pid `)).map(pidOf);
}

/**
 * Kills the processes of a sandbox until none is left, in at most ten passes.
 * @returns whether none is left
 */
export async function killSandbox(
  ctx: Context,
  sandbox: string,
  list: List = listProcesses,
): Promise<boolean> {
  for (let pass = 0; pass < 10; pass += 1) {
    const left = (await list(ctx)).filter((listed) => listed.id.startsWith(`${sandbox} pid `));
    if (left.length === 0) return true;
    for (const listed of left) killListed(listed);
    await pause(10 * (pass + 1));
  }
  return false;
}

interface Found {
  pid: number;
  /**
   * The session's id, which is the pid of its leader; where the platform has no process file
   * system, the process group.
   */
  session: number | undefined;
  env: Env;
}

async function environments(ctx: Pick<Context, 'platform' | 'env'>): Promise<Found[]> {
  if (ctx.platform === 'linux') return fromProc();
  const listed = await capture(['ps', 'axeww', '-o', 'pid=,pgid=,command='], {
    env: ctx.env,
    timeoutMs: 5000,
  });
  return listed.stdout.split('\n').map((line) => {
    const [pid, session, ...words] = line.trim().split(/\s+/);
    return { pid: Number(pid), session: Number(session), env: pairs(words) };
  });
}

function fromProc(): Found[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const text = readFileSync(`/proc/${name}/environ`, 'latin1');
        const pid = Number(name);
        return text.includes(OWNER_VARIABLE)
          ? [{ pid, session: sessionOf(pid), env: pairs(text.split('\0')) }]
          : [];
      } catch {
        return []; // The process is gone, or belongs to another user.
      }
    });
}

/** The subset of the variables by which a process is found again. */
function pairs(words: string[]): Env {
  return Object.fromEntries(
    words.flatMap((word) =>
      /^(CAGEMATCH_\w+|TMPDIR)=/.test(word)
        ? [[word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]]
        : [],
    ),
  );
}
