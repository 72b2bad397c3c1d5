// Checks whether this machine has enough memory and disk for a number of simultaneous runs, before
// a burst first tries that level.
import { readFileSync, statfsSync } from 'node:fs';
import { freemem, tmpdir } from 'node:os';

/** Free resources. */
export interface Room {
  /** Free memory. Infinite if the sandboxes run on other machines whose free memory is unknown. */
  memoryBytes: number;
  /** Where that memory is, for messages. */
  memoryAt?: string;
  /** Free space in the file system that contains the runs' folders. */
  diskBytes: number;
}

/** The most that one run of a row has been seen to use; absent if not known yet. */
export interface Taken {
  memoryBytes?: number;
  folderBytes?: number;
}

const GIB = 1024 ** 3;
const ASSUMED = { memoryBytes: GIB, folderBytes: GIB / 4 };
/** Share of the free resources that is left for other processes. */
const RESERVE = 0.2;

/** Reads the free memory and disk space of this machine. */
export function roomHere(): Room {
  const disk = statfsSync(tmpdir());
  return { memoryBytes: freeMemory(), diskBytes: disk.bavail * disk.bsize };
}

/**
 * Memory available without swapping, including reclaimable caches, if the kernel reports it;
 * otherwise the free memory.
 */
function freeMemory(): number {
  try {
    const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
    return kib === undefined ? freemem() : Number(kib) * 1024;
  } catch {
    return freemem();
  }
}

/** The reason, with numbers, why `level` runs do not fit at once; undefined if they fit. */
export function whyNoRoom(level: number, taken: Taken, room: Room): string | undefined {
  return (
    lack(
      level,
      'memory',
      taken.memoryBytes,
      ASSUMED.memoryBytes,
      room.memoryBytes,
      room.memoryAt,
    ) ?? lack(level, 'disk', taken.folderBytes, ASSUMED.folderBytes, room.diskBytes)
  );
}

function lack(
  level: number,
  what: string,
  seen: number | undefined,
  assumed: number,
  free: number,
  at = 'here',
): string | undefined {
  const each = seen ?? assumed;
  if (level * each <= free * (1 - RESERVE)) return undefined;
  const known = seen === undefined ? 'assumed' : 'measured';
  return `${level} × ${inGib(each)} of ${what} (${known}) is more than the ${inGib(free)} free ${at}, less ${RESERVE * 100} % in reserve`;
}

function inGib(bytes: number): string {
  return `${(bytes / GIB).toFixed(bytes < GIB / 10 ? 3 : 1)} GiB`;
}
