// Measures other load on this machine (CPU time, stolen time and time spent waiting for a CPU)
// around a run and before a match.

import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { type Conditions, type Cost, type Gap, isGap, type Quiet } from '../record/types.js';

/** Length of the kernel's CPU accounting tick, in ms. */
const TICK_MS = 10;

interface Reading {
  atMs: number;
  /** CPU time of all CPUs, excluding idle time, I/O wait and stolen time. */
  cpuMs: number;
  stealMs: number;
  /**
   * Time since boot in which some task waited for a CPU. Absent if the kernel does not record it.
   */
  waitingMs?: number;
  /** CPU time of this process. */
  ownMs: number;
}

/** Source of the kernel counters; replaced in tests. */
export interface Counters {
  stat(): string;
  pressure(): string;
}

const PROC: Counters = {
  stat: () => readFileSync('/proc/stat', 'utf8'),
  pressure: () => readFileSync('/proc/pressure/cpu', 'utf8'),
};

/** Undefined if the platform has no such counters. */
function read(counters: Counters): Reading | undefined {
  try {
    const [, line = ''] = /^cpu +(.+)$/m.exec(counters.stat()) ?? [];
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line
      .split(' ')
      .map(Number);
    const cpuMs = (user + nice + system + irq + softirq) * TICK_MS;
    if (line === '' || !Number.isFinite(cpuMs)) return undefined;
    const own = process.cpuUsage();
    const reading = {
      atMs: performance.now(),
      cpuMs,
      stealMs: steal * TICK_MS,
      ownMs: (own.user + own.system) / 1000,
    };
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

/**
 * Starts a measurement; the returned function ends it and returns the conditions in between. Each
 * end takes some tens of microseconds.
 */
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
 * Subtracts the sandbox's own CPU time from `otherMs`, which leaves the runtime's daemons and
 * clients and any unrelated processes.
 * @param alone false if other sandboxes of ours ran at the same time
 */
export function withoutSandbox(
  conditions: Conditions | Gap,
  cost: Cost | Gap,
  alone: boolean,
): Conditions | Gap {
  if (isGap(conditions) || isGap(conditions.otherMs)) return conditions;
  if (!alone || isGap(cost) || isGap(cost.cpuUserMs) || isGap(cost.cpuSystemMs))
    return { ...conditions, otherMs: isGap(cost) && alone ? cost : { gap: 'not-attributable' } };
  return {
    ...conditions,
    otherMs: Math.max(0, conditions.otherMs - cost.cpuUserMs - cost.cpuSystemMs),
  };
}

/**
 * Measures how busy this machine is while nothing of ours runs.
 * @param lookMs length of the measurement, in ms
 */
export async function lookBefore(
  cores: number,
  lookMs = 1000,
  counters: Counters = PROC,
): Promise<Quiet | undefined> {
  const end = watchMachine(counters);
  await pause(lookMs);
  const seen = end();
  if (isGap(seen) || isGap(seen.otherMs)) return undefined;
  const share = (ms: number, total: number) => Math.round(Math.min(1, ms / total) * 1000) / 1000;
  const capacityMs = seen.wallMs * cores;
  return {
    lookMs: Math.round(seen.wallMs),
    otherShare: share(seen.otherMs, capacityMs),
    stealShare: share(seen.stealMs, capacityMs),
    waitingShare: isGap(seen.waitingMs) ? seen.waitingMs : share(seen.waitingMs, seen.wallMs),
  };
}
