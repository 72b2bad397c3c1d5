// Marks a process and everything it starts, so that these processes can be found again whatever
// they do to their environment, session and parent. Linux only.
//
// Every process inherits its resource limits. The limit on file locks has had no effect since Linux
// 2.4.25, but the kernel still stores and reports it, so its value can encode which sandbox of
// which harness a process belongs to. Unlike a cgroup, any user can set it. The mark is meant for
// processes that detach from their parent on purpose (daemons). It is not a security boundary: a
// program that looks for the mark can reset it.
import { readdirSync, readFileSync } from 'node:fs';
import type { Env, Listed } from '../contract.js';
import { isZombie, pidNamespaceOf, startTicks, thisPlace } from './harness-id.js';
import { which } from './path-search.js';

/**
 * The fields of a mark, from the highest bits down: an eleven-bit prefix that no real limit begins
 * with, then the fields below.
 */
const PREFIX = 0x4a6n;
const PID_BITS = 22n;
const START_BITS = 16n;
const SANDBOX_BITS = 14n;

interface Mark {
  pid: number;
  /** The low bits of the harness's start time. */
  start: number;
  sandbox: number;
}

function encode({ pid, start, sandbox }: Mark): bigint {
  return (
    (((((PREFIX << PID_BITS) | BigInt(pid)) << START_BITS) | BigInt(start)) << SANDBOX_BITS) |
    BigInt(sandbox)
  );
}

function decode(value: bigint): Mark | undefined {
  const field = (above: bigint, bits: bigint) => Number((value >> above) & ((1n << bits) - 1n));
  if (value >> (PID_BITS + START_BITS + SANDBOX_BITS) !== PREFIX) return undefined;
  return {
    pid: field(START_BITS + SANDBOX_BITS, PID_BITS),
    start: field(SANDBOX_BITS, START_BITS),
    sandbox: field(0n, SANDBOX_BITS),
  };
}

/** The sandboxes that this process has marked, indexed by their number in the mark. */
const sandboxes: string[] = [];

function lowStart(ticks: string | undefined): number {
  return Number(ticks ?? 0) % 2 ** Number(START_BITS);
}

/**
 * @param env the command's environment
 * @returns a command that is marked from its first instruction on; the unchanged command if this
 *   system does not support the mark
 */
export function marked(
  argv: [string, ...string[]],
  sandbox: string,
  env: Env,
): [string, ...string[]] {
  const prlimit =
    limitOf('self')?.hard === 'unlimited' ? which('prlimit', { PATH: SYSTEM_PATH }) : undefined;
  // A missing program is left as it is, so that the error names the program and not prlimit.
  if (prlimit === undefined || (!argv[0].includes('/') && which(argv[0], env) === undefined))
    return argv;
  let number = sandboxes.indexOf(sandbox);
  if (number === -1) number = sandboxes.push(sandbox) - 1;
  const own = {
    pid: process.pid,
    start: lowStart(startTicks(process.pid)),
    sandbox: number % 2 ** Number(SANDBOX_BITS),
  };
  return [prlimit, `--locks=${encode(own)}:`, ...argv];
}

const SYSTEM_PATH = '/usr/bin:/bin:/usr/sbin:/sbin';

/** The sandbox that a process is marked with, if this harness marked it. */
export function markedSandbox(pid: number, proc = '/proc'): string | undefined {
  const mark = markOf(pid, proc);
  if (
    mark === undefined ||
    mark.pid !== process.pid ||
    mark.start !== lowStart(startTicks(process.pid))
  )
    return undefined;
  return sandboxes.findLast((_, index) => index % 2 ** Number(SANDBOX_BITS) === mark.sandbox);
}

/**
 * Every running marked process in this PID namespace except the caller, as `<sandbox> pid <pid>`.
 * Zombies keep their limits: skipped.
 */
export function listMarked(mode: string): Listed[] {
  const { boot, host, pidNamespace, proc } = thisPlace();
  return processIds(proc).flatMap((pid) => {
    const mark = pid === process.pid ? undefined : markOf(pid, proc);
    // In another PID namespace, the same pid means a different process.
    if (mark === undefined || isZombie(pid, proc) || pidNamespaceOf(pid, proc) !== pidNamespace)
      return [];
    const started = startTicks(mark.pid, proc);
    const start = started !== undefined && lowStart(started) === mark.start ? started : '0';
    const owner = [mark.pid, boot, start, pidNamespace ?? '', host].join(':');
    return [
      {
        id: `${markedSandbox(pid, proc) ?? 'unnamed'} pid ${pid}`,
        kind: 'process',
        labels: { mode, owner },
        state: 'running' as const,
      },
    ];
  });
}

function markOf(pid: number, proc: string): Mark | undefined {
  const soft = limitOf(pid, proc)?.soft;
  return soft === undefined || soft === 'unlimited' ? undefined : decode(BigInt(soft));
}

function limitOf(pid: number | 'self', proc = '/proc'): { soft: string; hard: string } | undefined {
  try {
    const [, soft, hard] =
      /^Max file locks\s+(\d+|unlimited)\s+(\d+|unlimited)/m.exec(
        readFileSync(`${proc}/${pid}/limits`, 'latin1'),
      ) ?? [];
    return soft === undefined || hard === undefined ? undefined : { soft, hard };
  } catch {
    return undefined; // Gone, or not Linux.
  }
}

function processIds(proc: string): number[] {
  try {
    return readdirSync(proc).flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
  } catch {
    return [];
  }
}
