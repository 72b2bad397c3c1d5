// Who made something: a pid of this boot, so that what a dead harness left can be told from a live one's.
import { chmodSync, lstatSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir, uptime } from 'node:os';
import { basename, join } from 'node:path';
import { CagematchError } from './errors.js';
import { readOwnText } from './held.js';
import { mountsBelow } from './mounts.js';
import { removeTree } from './remove-tree.js';

/** Set for every process that a harness starts, and inherited by what these start on this machine. */
export const OWNER_VARIABLE = 'CAGEMATCH_OWNER';

/** `<pid>:<bootid>`: a pid alone comes back after a reboot. */
export function ownerOf(pid: number): string {
  return `${pid}:${bootId()}`;
}

/**
 * Is the harness that made something still there? A pid that somebody else has meanwhile looks alive: what the dead one left is
 * then found when that one has ended. The label holds no more than pid and boot, because others read it too.
 */
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

/** @throws when something is mounted below: its files would be removed too, whosever they are */
export function removeFolder(folder: string): void {
  const [mount] = mountsBelow(folder);
  if (mount !== undefined) throw new CagematchError('destroy-failed', `${mount} is a mount, so ${folder} stays`, `sudo umount ${mount}`);
  removeTree(folder, OWNER_FILE);
}

/** Who made a temporary folder; undefined where that was no harness, or is not ours to read. Empty: he is writing it just now. */
export function folderOwner(folder: string): string | undefined {
  // Anybody may make a folder of such a name: its file may be a pipe.
  return basename(folder).startsWith(PREFIX) ? readOwnText(folder, OWNER_FILE, 200) : undefined;
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
      const owner = folderOwner(folder) || ownerNamed(folder);
      return owner !== undefined && !ownerAlive(owner);
    });
}

/**
 * Of one whose owner is writing the file just now, or died before he did: by its name. Only where the folder is the caller's own:
 * anybody may make one of such a name.
 */
function ownerNamed(folder: string): string | undefined {
  const pid = /-(\d+)-[^-]+$/.exec(folder)?.[1];
  if (pid === undefined) return undefined;
  const file = lstatSync(join(folder, OWNER_FILE), { throwIfNoEntry: false });
  if (file !== undefined && !(file.isFile() && file.size === 0)) return undefined;
  return lstatSync(folder, { throwIfNoEntry: false })?.uid === process.getuid?.() ? ownerOf(Number(pid)) : undefined;
}
