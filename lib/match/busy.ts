// What else this machine does: its CPU time, what was stolen from it and how long work waited for a CPU, read around a run and before a match.
import { readFileSync } from 'node:fs';
import { type Conditions, type Cost, type Gap, isGap, type Quiet } from '../record/types.js';

/** The kernel counts CPU time in these. */
const TICK_MS = 10;

interface Reading {
  atMs: number;
  /** Of all CPUs: everything but idle, waiting for disks, and what was stolen. */
  cpuMs: number;
  stealMs: number;
  /** Since boot, the time in which some task waited for a CPU; absent where the kernel does not keep it. */
  waitingMs?: number;
  /** Of this process. */
  ownMs: number;
}

/** Where the counters are; another in tests. */
export interface Counters {
  stat(): string;
  pressure(): string;
}

const PROC: Counters = {
  stat: () => readFileSync('/proc/stat', 'utf8'),
  pressure: () => readFileSync('/proc/pressure/cpu', 'utf8'),
};

/** Undefined where the platform keeps no such counters. */
function read(counters: Counters): Reading | undefined {
  try {
    const [, line = ''] = /^cpu +(.+)$/m.exec(counters.stat()) ?? [];
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(' ').map(Number);
    const cpuMs = (user + nice + system + irq + softirq) * TICK_MS;
    if (line === '' || !Number.isFinite(cpuMs)) return undefined;
    const own = process.cpuUsage();
    const reading = { atMs: performance.now(), cpuMs, stealMs: steal * TICK_MS, ownMs: (own.user + own.system) / 1000 };
    const waitingMs = readWaiting(counters);
    return waitingMs === undefined ? reading : { ...reading, waitingMs };
  } catch {
    return undefined;
  }
}

function readWaiting(counters: Counters): number | undefined {
  try {
    const total = /^some .*\btotal=(\d+)/m.exec(counters.pressure())?.[1];
    return total === undefined ? undefined : Number(total) / 1000;
  } catch {
    return undefined;
  }
}

/** Begins to look; the answer is of the time until it is called. Takes some tens of microseconds at each end. */
export function watchMachine(counters: Counters = PROC): () => Conditions | Gap {
  const before = read(counters);
  return () => {
    const after = before && read(counters);
    if (!before || !after) return { gap: 'platform' };
    const rounded = (ms: number) => Math.round(Math.max(0, ms) * 10) / 10;
    const cpuMs = rounded(after.cpuMs - before.cpuMs);
    return {
      wallMs: rounded(after.atMs - before.atMs),
      cpuMs,
      stealMs: rounded(after.stealMs - before.stealMs),
      otherMs: rounded(cpuMs - (after.ownMs - before.ownMs)),
      waitingMs:
        before.waitingMs === undefined || after.waitingMs === undefined
          ? { gap: 'not-reported' }
          : rounded(after.waitingMs - before.waitingMs),
    };
  };
}

/**
 * What is left when the sandbox's own CPU time is taken away, too: the runtime's daemons and clients, and whatever is foreign.
 * @param alone false where other sandboxes of ours were at work in the same time
 */
export function withoutSandbox(conditions: Conditions | Gap, cost: Cost | Gap, alone: boolean): Conditions | Gap {
  if (isGap(conditions) || isGap(conditions.otherMs)) return conditions;
  if (!alone || isGap(cost) || isGap(cost.cpuUserMs) || isGap(cost.cpuSystemMs))
    return { ...conditions, otherMs: isGap(cost) && alone ? cost : { gap: 'not-attributable' } };
  return { ...conditions, otherMs: Math.max(0, conditions.otherMs - cost.cpuUserMs - cost.cpuSystemMs) };
}

/** How busy this machine is while nothing of ours runs. @param lookMs for so long */
export async function lookBefore(cores: number, lookMs = 1000, counters: Counters = PROC): Promise<Quiet | undefined> {
  const end = watchMachine(counters);
  await new Promise((resolve) => setTimeout(resolve, lookMs));
  const seen = end();
  if (isGap(seen) || isGap(seen.otherMs)) return undefined;
  const share = (ms: number, of: number) => Math.round(Math.min(1, ms / of) * 1000) / 1000;
  const capacityMs = seen.wallMs * cores;
  return {
    lookMs: Math.round(seen.wallMs),
    otherShare: share(seen.otherMs, capacityMs),
    stealShare: share(seen.stealMs, capacityMs),
    waitingShare: isGap(seen.waitingMs) ? seen.waitingMs : share(seen.waitingMs, seen.wallMs),
  };
}
