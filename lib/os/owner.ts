// Who made something, so that what a dead harness has left can be told apart from what a live one uses; and the temporary folders of both.
import { appendFileSync, chmodSync, lstatSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { CagematchError } from '../errors.js';
import { identifier, type OwnerState, stateOf } from './harness-id.js';
import { mountsBelow } from './mounts.js';
import { removeTree } from './remove-tree.js';
import { readOwnText } from './safe-dir.js';

/** Set for every process that a harness starts, and inherited by what these start on this machine. */
export const OWNER_VARIABLE = 'CAGEMATCH_OWNER';

let ownIdentifier: string | undefined;

/** The owner label of whatever this process makes. */
export function thisOwner(): string {
  ownIdentifier ??= identifier(process.pid);
  return ownIdentifier;
}

/** Has the harness that made something ended? One of which that is unknown has not. */
export function ownerDead(owner: string): boolean {
  return stateOf(owner) === 'dead';
}

const PREFIX = 'cagematch-';
const OWNER_FILE = '.owner';

/**
 * A new folder that `leftFolders` finds when its owner is dead.
 * @param parent absent: the folder for temporary files; a home, where the folder is then hidden
 */
export function makeFolder(purpose: string, parent?: string): string {
  // Its name contains the owner's pid: one who dies before the file is written is still found.
  const folder = mkdtempSync(join(parent ?? tmpdir(), `${parent === undefined ? '' : '.'}${PREFIX}${purpose}-${process.pid}-`));
  try {
    writeFileSync(join(folder, OWNER_FILE), thisOwner());
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

/** Who made a folder; undefined where that was no harness, or is not ours to read. Empty: it is being written just now. */
export function folderOwner(folder: string): string | undefined {
  // Anybody may make a folder of such a name: its file may be a pipe.
  return /^\.?cagematch-/.test(basename(folder)) ? readOwnText(folder, OWNER_FILE, 200) : undefined;
}

/** In the clients' folder: the sessions that this process has started, a pid a line. */
const SESSIONS_FILE = '.sessions';
const MOST_SESSIONS_BYTES = 16 * 2 ** 20;
let sessions: string | undefined;

/**
 * Notes that a client leads a session of its own. Whatever a client leaves running on purpose (the pause process of rootless Podman,
 * a gpg-agent, an ssh master) has moved into another session: it belongs to the user, and `clean` must be able to tell.
 */
export function noteSession(leader: number): void {
  if (sessions === undefined) return;
  try {
    appendFileSync(sessions, `${leader}\n`);
  } catch {
    // The disk is full, or the folder is gone: this client is not swept should we be killed.
  }
}

/** The sessions that were noted in a clients' folder. */
export function notedSessions(folder: string): Set<number> {
  const text = folderOwner(folder) === undefined ? undefined : readOwnText(folder, SESSIONS_FILE, MOST_SESSIONS_BYTES);
  return new Set((text ?? '').split('\n').filter(Boolean).map(Number));
}

/**
 * A folder for what the runtimes' clients put into TMPDIR: one that is killed, or finds no room, leaves it there (Podman does), and
 * nobody could tell whose it is. Clients may run as another user.
 * @throws `bad-input` where nothing can be written
 */
export function makeClientsFolder(): string {
  try {
    const folder = makeFolder('clients');
    sessions = join(folder, SESSIONS_FILE);
    writeFileSync(sessions, '', { mode: 0o600 });
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

/**
 * Folders whose harnesses have ended, or those of which that is unknown. Folders of other users are theirs to remove, unless the caller
 * is root.
 * @param where `parent` and the beginning of the names; absent: all in the folder for temporary files
 */
export function leftFolders(
  state: Exclude<OwnerState, 'alive'>,
  { parent, prefix }: { parent: string; prefix: string } = { parent: tmpdir(), prefix: PREFIX },
): string[] {
  return namesIn(parent)
    .filter((name) => name.startsWith(prefix))
    .map((name) => join(parent, name))
    .filter((folder) => {
      if (!mayRemove(folder)) return false;
      const owner = folderOwner(folder) || ownerNamed(folder);
      return owner !== undefined && stateOf(owner) === state;
    });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // Not there, or closed to us.
  }
}

function mayRemove(folder: string): boolean {
  const uid = process.getuid?.();
  return uid === undefined || uid === 0 || lstatSync(folder, { throwIfNoEntry: false })?.uid === uid;
}

/**
 * Of one whose owner is writing the file just now, or died before it could: by its name. Only where the folder is the caller's own:
 * anybody may make one of such a name.
 */
function ownerNamed(folder: string): string | undefined {
  const pid = /-(\d+)-[^-]+$/.exec(folder)?.[1];
  if (pid === undefined || lstatSync(folder, { throwIfNoEntry: false })?.uid !== process.getuid?.()) return undefined;
  try {
    const file = lstatSync(join(folder, OWNER_FILE), { throwIfNoEntry: false });
    return file === undefined || (file.isFile() && file.size === 0) ? identifier(Number(pid)) : undefined;
  } catch {
    return undefined; // Its mode lets nobody look into it.
  }
}
