// The user that the agent runs as if the caller is root: a user id that is not in use on this
// machine.
import { readFileSync } from 'node:fs';

export interface User {
  uid: number;
  gid: number;
}

/**
 * Range of ids that neither distributions nor systemd assign (systemd's UIDS-GIDS table), and that
 * fit into a user namespace of the usual 65536 ids. The runner image has an account for the first
 * id.
 */
const FIRST = 60_578;
const LAST = 61_183;

/**
 * A user id without an account and without a group. A host process with the sandbox's uid could
 * read the sandbox's data (its environment, `/proc/<pid>/root`, its workspace), and a sandbox that
 * shares the host's files could read files owned by that user.
 * @param etc absent: this machine's /etc
 */
export function nobodysUser(etc = '/etc', proc = '/proc'): User {
  const taken = new Set([...idsIn(`${etc}/passwd`), ...idsIn(`${etc}/group`)]);
  const delegated = ['subuid', 'subgid'].flatMap((name) => ranges(`${etc}/${name}`, 1, 2));
  const mapped = ranges(`${proc}/self/uid_map`, 0, 2);
  const within = (id: number, all: Range[]) =>
    all.some(({ first, count }) => id >= first && id < first + count);
  for (let id = FIRST; id <= LAST; id += 1)
    if (!taken.has(id) && !within(id, delegated) && (mapped.length === 0 || within(id, mapped)))
      return { uid: id, gid: id };
  // A user namespace with few ids has no unused id in this range.
  return { uid: 1000, gid: 1000 };
}

interface Range {
  first: number;
  count: number;
}

function idsIn(path: string): number[] {
  return fields(path, ':').map((line) => Number(line[2]));
}

function ranges(path: string, first: number, count: number): Range[] {
  return fields(path, /[:\s]+/).map((line) => ({
    first: Number(line[first]),
    count: Number(line[count]),
  }));
}

function fields(path: string, separator: string | RegExp): string[][] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .flatMap((line) => (line.trim() === '' ? [] : [line.trim().split(separator)]));
  } catch {
    return []; // Not every system has all of these files.
  }
}

interface Account extends User {
  name: string;
  home: string;
}

/** Every account of this machine that has a home folder. */
export function accounts(passwd = '/etc/passwd'): Account[] {
  return fields(passwd, ':').flatMap(([name = '', , uid, gid, , home = '']) =>
    home.startsWith('/') ? [{ name, uid: Number(uid), gid: Number(gid), home }] : [],
  );
}
