// Records which harness created something, so that leftovers of a dead harness can be distinguished
// from what a live one is using; also manages the harnesses' temporary folders.
import {
  appendFileSync,
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { CagematchError } from '../errors.js';
import { identifier, type OwnerState, stateOf } from './harness-id.js';
import { mountsBelow } from './mounts.js';
import { removeTree } from './remove-tree.js';
import { readOwnText } from './safe-dir.js';

/**
 * Set for every process that a harness starts, and inherited by that process's children on this
 * machine.
 */
export const OWNER_VARIABLE = 'CAGEMATCH_OWNER';

let ownIdentifier: string | undefined;

/** The owner label for everything this process creates. */
export function thisOwner(): string {
  ownIdentifier ??= identifier(process.pid);
  return ownIdentifier;
}

/** True if the harness that created something has ended. False if its state is unknown. */
export function ownerDead(owner: string): boolean {
  return stateOf(owner) === 'dead';
}

const PREFIX = 'cagematch-';
const OWNER_FILE = '.owner';

/**
 * A new folder that `leftFolders` finds once its owner is dead.
 * @param parent where to create it. Absent: in the folder for temporary files. Given (a home): the
 *   folder's name starts with a dot.
 */
export function makeFolder(purpose: string, parent?: string): string {
  // The name contains the owner's pid, so that the folder is found even if the owner dies before
  // the file is written.
  const folder = mkdtempSync(
    join(
      parent ?? tmpdir(),
      `${parent === undefined ? '' : '.'}${PREFIX}${purpose}-${process.pid}-`,
    ),
  );
  try {
    writeFileSync(join(folder, OWNER_FILE), thisOwner());
    return folder;
  } catch (error) {
    removeFolder(folder);
    throw error;
  }
}

/**
 * @throws `destroy-failed` when something is mounted below, since the mounted files would be
 *   removed too, no matter who owns them
 */
export function removeFolder(folder: string): void {
  const [mount] = mountsBelow(folder);
  if (mount !== undefined)
    throw new CagematchError(
      'destroy-failed',
      `${mount} is a mount, so ${folder} stays`,
      `sudo umount ${mount}`,
    );
  removeTree(folder, OWNER_FILE);
}

/**
 * The harness that created a folder. Undefined if none did, or if the owner file is not readable.
 * Empty while it is being written.
 */
export function folderOwner(folder: string): string | undefined {
  // Anybody can create a folder with such a name, and its owner file could be a pipe.
  return /^\.?cagematch-/.test(basename(folder)) ? readOwnText(folder, OWNER_FILE, 200) : undefined;
}

/**
 * File in the clients' folder that lists the sessions this process has started, one leader's pid
 * per line.
 */
const SESSIONS_FILE = '.sessions';
const MOST_SESSIONS_BYTES = 16 * 2 ** 20;
let sessions: string | undefined;

/**
 * Records that a client leads a session of its own. Whatever a client leaves running on purpose
 * (the pause process of rootless Podman, a gpg-agent, an ssh master) has moved to another session.
 * It belongs to the user, and `clean` must be able to distinguish it.
 */
export function noteSession(leader: number): void {
  if (sessions === undefined) return;
  try {
    appendFileSync(sessions, `${leader}\n`);
  } catch {
    // The disk is full, or the folder is gone. If we are killed, this client will not be cleaned
    // up.
  }
}

/** The sessions recorded in a clients' folder, by the pids of their leaders. */
export function notedSessions(folder: string): Set<number> {
  const text =
    folderOwner(folder) === undefined
      ? undefined
      : readOwnText(folder, SESSIONS_FILE, MOST_SESSIONS_BYTES);
  return new Set((text ?? '').split('\n').filter(Boolean).map(Number));
}

/**
 * A folder that the runtimes' clients use as TMPDIR. A client that is killed or runs out of space
 * leaves its temporary files behind (Podman does), and in the shared temporary folder they could
 * not be attributed. Clients may run as another user.
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
 * Folders whose owner is in the given state: `dead`, or `foreign` (unknown). Folders of other users
 * are left out, since those users have to remove them, unless the caller is root.
 * @param where `parent` and the prefix of the names; absent: all of cagematch's folders in the
 *   folder for temporary files
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
    return []; // Missing, or not readable by us.
  }
}

function mayRemove(folder: string): boolean {
  const uid = process.getuid?.();
  return (
    uid === undefined || uid === 0 || lstatSync(folder, { throwIfNoEntry: false })?.uid === uid
  );
}

/**
 * The owner as derived from the folder's name, for a folder whose owner is still writing the file
 * or died before it could. Only if the folder belongs to the caller, since anybody can create a
 * folder with such a name.
 */
function ownerNamed(folder: string): string | undefined {
  const pid = /-(\d+)-[^-]+$/.exec(folder)?.[1];
  if (pid === undefined || lstatSync(folder, { throwIfNoEntry: false })?.uid !== process.getuid?.())
    return undefined;
  try {
    const file = lstatSync(join(folder, OWNER_FILE), { throwIfNoEntry: false });
    return file === undefined || (file.isFile() && file.size === 0)
      ? identifier(Number(pid))
      : undefined;
  } catch {
    return undefined; // The folder's mode denies access.
  }
}
