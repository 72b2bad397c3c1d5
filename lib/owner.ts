// Who made something: a pid of this boot, so that what a dead harness left can be told from a live one's.
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, uptime } from 'node:os';
import { join } from 'node:path';
import { CagematchError } from './errors.js';

/** Set for every process that a harness starts, and inherited by what these start on this machine. */
export const OWNER_VARIABLE = 'CAGEMATCH_OWNER';

/** `<pid>:<bootid>`: a pid alone comes back after a reboot. */
export function ownerOf(pid: number): string {
  return `${pid}:${bootId()}`;
}

/** Is the harness that made something still there? */
export function ownerAlive(owner: string): boolean {
  const [pid, boot] = owner.split(':');
  // 0 and negative numbers would ask about whole groups of processes.
  if (boot !== bootId() || !/^[1-9]\d*$/.test(pid ?? '')) return false;
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

let knownBootId: string | undefined;

function bootId(): string {
  knownBootId ??= readBootId();
  return knownBootId;
}

function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    // Minutes: the clock and the uptime drift a little against each other.
    return `boot-${Math.round((Date.now() / 1000 - uptime()) / 60)}`;
  }
}

const PREFIX = 'cagematch-';
const OWNER_FILE = '.owner';

/** A new temporary folder that `staleFolders` finds when its owner is dead. */
export function makeFolder(purpose: string): string {
  // Its name tells the owner too: one who dies before the file is written is still found.
  const folder = mkdtempSync(join(tmpdir(), `${PREFIX}${purpose}-${process.pid}-`));
  try {
    writeFileSync(join(folder, OWNER_FILE), ownerOf(process.pid));
    return folder;
  } catch (error) {
    removeFolder(folder);
    throw error;
  }
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 2 });
}

/**
 * A folder for what the runtimes' clients put into TMPDIR: one that is killed, or finds no room, leaves it there (Podman does), and
 * nobody could tell whose it is. Clients may run as another user.
 * @throws `bad-input` where nothing can be written
 */
export function makeClientsFolder(): string {
  try {
    const folder = makeFolder('clients');
    chmodSync(folder, 0o1777);
    return folder;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CagematchError(
      'bad-input',
      `the temporary folder ${tmpdir()} cannot be written (${code})`,
      'free space, or set TMPDIR to another',
    );
  }
}

/** Temporary folders of harnesses that are no more. */
export function staleFolders(): string[] {
  return readdirSync(tmpdir())
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => join(tmpdir(), name))
    .filter((folder) => {
      try {
        const owner = ownerFile(folder) || ownerNamed(folder);
        return owner !== undefined && !ownerAlive(owner);
      } catch {
        return false; // Not readable: not ours to remove.
      }
    });
}

/** Empty or absent: its owner is writing it just now, or died before it did; or the folder is not one of ours. */
function ownerFile(folder: string): string {
  try {
    return readFileSync(join(folder, OWNER_FILE), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

function ownerNamed(folder: string): string | undefined {
  const pid = /-(\d+)-[^-]+$/.exec(folder)?.[1];
  return pid === undefined ? undefined : ownerOf(Number(pid));
}
