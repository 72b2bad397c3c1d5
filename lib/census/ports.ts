// Finds the ports on which processes of this machine listen, from Linux's /proc.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Leftover } from '../record/types.js';

interface Listener {
  /** `127.0.0.1:8080`, `[::]:22`. */
  id: string;
  inode: string;
}

const LISTENS = '0A';

/**
 * The TCP ports on which these processes listen.
 * @param proc root of the proc file system, usually `/proc`
 */
export function portsOf(proc: string, pids: readonly number[]): Leftover[] {
  const inodes = new Set(pids.flatMap((pid) => socketsOf(proc, pid)));
  return inodes.size === 0
    ? []
    : listeners(proc)
        .filter(({ inode }) => inodes.has(inode))
        .map(({ id }) => ({ kind: 'port', id }));
}

function listeners(proc: string): Listener[] {
  return ['tcp', 'tcp6'].flatMap((table) =>
    read(`${proc}/net/${table}`)
      .split('\n')
      .slice(1)
      .flatMap((line) => {
        const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
        return state === LISTENS ? [{ id: addressOf(local), inode }] : [];
      }),
  );
}

/** Inodes of a process's sockets. */
function socketsOf(proc: string, pid: number): string[] {
  return entries(`${proc}/${pid}/fd`).flatMap(
    (fd) => /^socket:\[(\d+)\]$/.exec(link(`${proc}/${pid}/fd/${fd}`))?.[1] ?? [],
  );
}

/**
 * Formats an address. The kernel writes it as words in its native byte order, which is
 * little-endian on every platform of Node.
 */
function addressOf(text: string): string {
  const [hex = '', port = '0'] = text.split(':');
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => (word.match(/../g) ?? []).reverse());
  if (bytes.length === 4)
    return `${bytes.map((byte) => Number.parseInt(byte, 16)).join('.')}:${Number.parseInt(port, 16)}`;
  const groups = bytes.flatMap((byte, index) =>
    index % 2 === 0 ? [`${byte}${bytes[index + 1] ?? ''}`] : [],
  );
  const short = groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':');
  return `[${short.replace(/(^|:)0(:0)+(:|$)/, '::')}]:${Number.parseInt(port, 16)}`;
}

function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // The process is gone, or belongs to another user.
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
