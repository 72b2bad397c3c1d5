// Processes of this host that bear our labels in their environment: what modes without a daemon are listed by.
import { readdirSync, readFileSync } from 'node:fs';
import type { Context, Env, Labels, Listed } from '../contract.js';
import { capture } from './exec.js';
import { sessionOf } from './harness-id.js';
import { leftFolders, notedSessions, OWNER_VARIABLE, ownerDead } from './owner.js';
import { listMarked } from './process-mark.js';

const NAMES = { match: 'CAGEMATCH_MATCH', mode: 'CAGEMATCH_MODE', owner: OWNER_VARIABLE } as const;
const SANDBOX = 'CAGEMATCH_SANDBOX';

/** What a process has to have in its environment to be found again; children inherit it. */
export function labelEnv(labels: Labels, sandbox: string): Env {
  return { [NAMES.match]: labels.match, [NAMES.mode]: labels.mode, [NAMES.owner]: labels.owner, [SANDBOX]: sandbox };
}

/** The sandbox that a process belongs to, by its environment as /proc has it. */
export function sandboxIn(environment: string): string | undefined {
  return new RegExp(`(?:^|\\0)${SANDBOX}=([^\\0]*)`).exec(environment)?.[1];
}

/** How a mode finds its processes. */
type List = (ctx: Context) => Promise<Listed[]>;

/** Every process of the context's mode, as `<sandbox> pid <pid>`; for a mode that also marks them (`lib/os/process-mark.ts`). */
export async function listMarkedProcesses(ctx: Context): Promise<Listed[]> {
  const listed = await listProcesses(ctx);
  const known = new Set(listed.map(pidOf));
  return [...listed, ...listMarked(ctx.labels.mode).filter((one) => !known.has(pidOf(one)))];
}

/** Every process of the context's mode that has kept its environment, as `<sandbox> pid <pid>`. */
export async function listProcesses(ctx: Context): Promise<Listed[]> {
  const found: Listed[] = [];
  for (const { pid, env } of await environments(ctx)) {
    if (env[NAMES.mode] !== ctx.labels.mode || pid === process.pid) continue;
    const labels: Partial<Labels> = { mode: ctx.labels.mode };
    const { [NAMES.match]: match, [NAMES.owner]: owner } = env;
    if (match !== undefined) labels.match = match;
    if (owner !== undefined) labels.owner = owner;
    found.push({ id: `${env[SANDBOX] ?? 'unnamed'} pid ${pid}`, kind: 'process', labels });
  }
  return found;
}

/**
 * Processes of harnesses that have ended: those of sandboxes, and clients of runtimes in the sessions that the harness started. A process
 * in another session is what a client leaves running on purpose, such as the pause process of rootless Podman: it is the user's.
 */
export async function listOrphans(platform: NodeJS.Platform, env: Env): Promise<Listed[]> {
  const sessionsIn = remembered(notedSessions);
  const left = leftFolders('dead');
  return (await environments({ platform, env })).flatMap(({ pid, session, env: own }) => {
    const { [NAMES.owner]: owner, [SANDBOX]: sandbox, TMPDIR: folder } = own;
    if (owner === undefined || !ownerDead(owner)) return [];
    const folders = folder === undefined ? left : [folder, ...left];
    const ours = sandbox !== undefined || (session !== undefined && folders.some((one) => sessionsIn(one).has(session)));
    return ours ? [{ id: `client pid ${pid}`, kind: 'process', labels: { owner } }] : [];
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

/** Kills one of what `listProcesses` gave, and waits until it is no longer listed; a process that only the kernel can end is given 2 s. */
export async function reapProcess(ctx: Context, listed: Listed, list: List = listProcesses): Promise<void> {
  const deadline = Date.now() + 2000;
  do killListed(listed);
  while (Date.now() < deadline && (await list(ctx)).some(({ id }) => id === listed.id));
}

/** Kills one of what the lists above gave. */
export function killListed(listed: Listed): void {
  try {
    process.kill(pidOf(listed), 'SIGKILL');
  } catch {
    // Gone already.
  }
}

function pidOf({ id }: Listed): number {
  return Number(/ pid (\d+)$/.exec(id)?.[1]);
}

/** Kills what a sandbox still has running, until nothing is left or ten passes are over. */
export async function killSandbox(ctx: Context, sandbox: string, list: List = listProcesses): Promise<boolean> {
  for (let pass = 0; pass < 10; pass += 1) {
    const left = (await list(ctx)).filter((listed) => listed.id.startsWith(`${sandbox} pid `));
    if (left.length === 0) return true;
    for (const listed of left) killListed(listed);
    await new Promise((resolve) => setTimeout(resolve, 10 * (pass + 1)));
  }
  return false;
}

interface Found {
  pid: number;
  /** By the pid of its leader; where the platform has no process file system, its process group. */
  session: number | undefined;
  env: Env;
}

async function environments(ctx: Pick<Context, 'platform' | 'env'>): Promise<Found[]> {
  if (ctx.platform === 'linux') return fromProc();
  const listed = await capture(['ps', 'axeww', '-o', 'pid=,pgid=,command='], { env: ctx.env, timeoutMs: 5000 });
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
        return text.includes(OWNER_VARIABLE) ? [{ pid, session: sessionOf(pid), env: pairs(text.split('\0')) }] : [];
      } catch {
        return []; // Gone, or another user's.
      }
    });
}

/** Of the variables, those by which a process is found again. */
function pairs(words: string[]): Env {
  return Object.fromEntries(
    words.flatMap((word) =>
      /^(CAGEMATCH_\w+|TMPDIR)=/.test(word) ? [[word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]] : [],
    ),
  );
}
