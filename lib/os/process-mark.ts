// Marks a process and all that it starts, so that they are found again whatever they do to their environment, session and parent. Linux only.
//
// Every process inherits its resource limits. The limit on file locks has had no effect since Linux 2.4.25, but is still kept and shown:
// its value can carry which sandbox of which harness a process belongs to. Unlike a cgroup, anybody may set it. It marks processes that
// lose their parent on purpose (daemons); it is no wall: a program that looks for it can set it back.
import { readdirSync, readFileSync } from 'node:fs';
import type { Env, Listed } from '../contract.js';
import { which } from './exec.js';
import { isZombie, pidNamespaceOf, startTicks, thisPlace } from './harness-id.js';

/** The fields of a mark, from the highest bits down: eleven bits that no real limit begins with, then these. */
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
  return (((((PREFIX << PID_BITS) | BigInt(pid)) << START_BITS) | BigInt(start)) << SANDBOX_BITS) | BigInt(sandbox);
}

function decode(value: bigint): Mark | undefined {
  const field = (above: bigint, bits: bigint) => Number((value >> above) & ((1n << bits) - 1n));
  if (value >> (PID_BITS + START_BITS + SANDBOX_BITS) !== PREFIX) return undefined;
  return { pid: field(START_BITS + SANDBOX_BITS, PID_BITS), start: field(SANDBOX_BITS, START_BITS), sandbox: field(0n, SANDBOX_BITS) };
}

/** The sandboxes that this process has marked, by their number in the mark. */
const sandboxes: string[] = [];

function lowStart(ticks: string | undefined): number {
  return Number(ticks ?? 0) % 2 ** Number(START_BITS);
}

/**
 * @param env of the command
 * @returns the command as it is marked from its first instruction on; itself where this system has no such mark
 */
export function marked(argv: [string, ...string[]], sandbox: string, env: Env): [string, ...string[]] {
  const prlimit = limitOf('self')?.hard === 'unlimited' ? which('prlimit', { PATH: SYSTEM_PATH }) : undefined;
  // A program that is not there fails under its own name.
  if (prlimit === undefined || (!argv[0].includes('/') && which(argv[0], env) === undefined)) return argv;
  let number = sandboxes.indexOf(sandbox);
  if (number === -1) number = sandboxes.push(sandbox) - 1;
  const own = { pid: process.pid, start: lowStart(startTicks(process.pid)), sandbox: number % 2 ** Number(SANDBOX_BITS) };
  return [prlimit, `--locks=${encode(own)}:`, ...argv];
}

const SYSTEM_PATH = '/usr/bin:/bin:/usr/sbin:/sbin';

/** The sandbox of this harness that a process is marked with. */
export function markedSandbox(pid: number, proc = '/proc'): string | undefined {
  const mark = markOf(pid, proc);
  if (mark === undefined || mark.pid !== process.pid || mark.start !== lowStart(startTicks(process.pid))) return undefined;
  return sandboxes.findLast((_, index) => index % 2 ** Number(SANDBOX_BITS) === mark.sandbox);
}

/** Every marked process in this PID namespace that runs, except the caller, as `<sandbox> pid <pid>`. A zombie keeps its limits. */
export function listMarked(mode: string): Listed[] {
  const { boot, host, pidNamespace, proc } = thisPlace();
  return processIds(proc).flatMap((pid) => {
    const mark = pid === process.pid ? undefined : markOf(pid, proc);
    // A number of another PID namespace means another process there.
    if (mark === undefined || isZombie(pid, proc) || pidNamespaceOf(pid, proc) !== pidNamespace) return [];
    const started = startTicks(mark.pid, proc);
    const start = started !== undefined && lowStart(started) === mark.start ? started : '0';
    const owner = [mark.pid, boot, start, pidNamespace ?? '', host].join(':');
    return [{ id: `${markedSandbox(pid, proc) ?? 'unnamed'} pid ${pid}`, kind: 'process', labels: { mode, owner } }];
  });
}

function markOf(pid: number, proc: string): Mark | undefined {
  const soft = limitOf(pid, proc)?.soft;
  return soft === undefined || soft === 'unlimited' ? undefined : decode(BigInt(soft));
}

function limitOf(pid: number | 'self', proc = '/proc'): { soft: string; hard: string } | undefined {
  try {
    const [, soft, hard] =
      /^Max file locks\s+(\d+|unlimited)\s+(\d+|unlimited)/m.exec(readFileSync(`${proc}/${pid}/limits`, 'latin1')) ?? [];
    return soft === undefined || hard === undefined ? undefined : { soft, hard };
  } catch {
    return undefined; // Gone, or no Linux.
  }
}

function processIds(proc: string): number[] {
  try {
    return readdirSync(proc).flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
  } catch {
    return [];
  }
}
