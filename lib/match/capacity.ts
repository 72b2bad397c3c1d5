// Is there room on this machine for so many runs at once? Asked before a level of a burst is tried for the first time.
import { readFileSync, statfsSync } from 'node:fs';
import { freemem, tmpdir } from 'node:os';

/** What is free. */
export interface Room {
  /** Infinite where sandboxes are elsewhere and nobody tells. */
  memoryBytes: number;
  /** Where that is. */
  memoryAt?: string;
  /** Of the file system on which the runs' folders lie. */
  diskBytes: number;
}

/** What one run of a row was seen to take at most; absent: not known yet. */
export interface Taken {
  memoryBytes?: number;
  folderBytes?: number;
}

const GIB = 1024 ** 3;
const ASSUMED = { memoryBytes: GIB, folderBytes: GIB / 4 };
/** Of what is free, this share is left to others. */
const RESERVE = 0.2;

/** What this machine has free now. */
export function roomHere(): Room {
  const disk = statfsSync(tmpdir());
  return { memoryBytes: freeMemory(), diskBytes: disk.bavail * disk.bsize };
}

/** What can be had without swapping, caches included, where the kernel tells it. */
function freeMemory(): number {
  try {
    const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
    return kib === undefined ? freemem() : Number(kib) * 1024;
  } catch {
    return freemem();
  }
}

/** Why there is no room for `level` runs at once, with the numbers; undefined where there is. */
export function whyNoRoom(level: number, taken: Taken, room: Room): string | undefined {
  return (
    lack(level, 'memory', taken.memoryBytes, ASSUMED.memoryBytes, room.memoryBytes, room.memoryAt) ??
    lack(level, 'disk', taken.folderBytes, ASSUMED.folderBytes, room.diskBytes)
  );
}

function lack(level: number, what: string, seen: number | undefined, assumed: number, free: number, at = 'here'): string | undefined {
  const each = seen ?? assumed;
  if (level * each <= free * (1 - RESERVE)) return undefined;
  const known = seen === undefined ? 'assumed' : 'measured';
  return `${level} × ${inGib(each)} of ${what} (${known}) is more than the ${inGib(free)} free ${at}, less ${RESERVE * 100} % in reserve`;
}

function inGib(bytes: number): string {
  return `${(bytes / GIB).toFixed(bytes < GIB / 10 ? 3 : 1)} GiB`;
}
