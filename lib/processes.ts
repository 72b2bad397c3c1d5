// Processes of this host that bear our labels in their environment: what modes without a daemon are listed by.
import { readdirSync, readFileSync } from 'node:fs';
import type { Context, Env, Labels, Listed } from './contract.js';
import { capture } from './exec.js';
import { OWNER_VARIABLE, ownerAlive } from './owner.js';

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

/** Every process of the context's mode, as `<sandbox> pid <pid>`. */
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

/** Processes that a harness started which is no more: clients of runtimes, for the most part. */
export async function listOrphans(platform: NodeJS.Platform, env: Env): Promise<Listed[]> {
  return (await environments({ platform, env })).flatMap(({ pid, env: own }) => {
    const { [NAMES.owner]: owner } = own;
    return owner === undefined || ownerAlive(owner) ? [] : [{ id: `client pid ${pid}`, kind: 'process', labels: { owner } }];
  });
}

/** Kills one of what `listProcesses` gave, and waits until it is no longer listed; a process that only the kernel can end is given 2 s. */
export async function reapProcess(ctx: Context, listed: Listed): Promise<void> {
  const deadline = Date.now() + 2000;
  do killListed(listed);
  while (Date.now() < deadline && (await listProcesses(ctx)).some(({ id }) => id === listed.id));
}

/** Kills one of what the lists above gave. */
export function killListed(listed: Listed): void {
  const pid = Number(/ pid (\d+)$/.exec(listed.id)?.[1]);
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

/** Kills what a sandbox still has running, until nothing is left or ten passes are over. */
export async function killSandbox(ctx: Context, sandbox: string): Promise<boolean> {
  for (let pass = 0; pass < 10; pass += 1) {
    const left = (await listProcesses(ctx)).filter((listed) => listed.id.startsWith(`${sandbox} pid `));
    if (left.length === 0) return true;
    for (const listed of left) killListed(listed);
    await new Promise((resolve) => setTimeout(resolve, 10 * (pass + 1)));
  }
  return false;
}

async function environments(ctx: Pick<Context, 'platform' | 'env'>): Promise<{ pid: number; env: Env }[]> {
  if (ctx.platform === 'linux') return fromProc();
  const listed = await capture(['ps', 'axeww', '-o', 'pid=,command='], { env: ctx.env, timeoutMs: 5000 });
  return listed.stdout.split('\n').map((line) => ({ pid: Number.parseInt(line, 10), env: pairs(line.split(' ')) }));
}

function fromProc(): { pid: number; env: Env }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const text = readFileSync(`/proc/${name}/environ`, 'latin1');
        return text.includes(OWNER_VARIABLE) ? [{ pid: Number(name), env: pairs(text.split('\0')) }] : [];
      } catch {
        return []; // Gone, or another user's.
      }
    });
}

function pairs(words: string[]): Env {
  return Object.fromEntries(
    words.flatMap((word) =>
      word.startsWith('CAGEMATCH_') && word.includes('=') ? [[word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]] : [],
    ),
  );
}
