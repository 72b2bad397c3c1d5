// Ports on which something of this machine listens, and who holds them; out of Linux' /proc.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

interface Listener {
  /** `127.0.0.1:8080`, `[::]:22`. */
  id: string;
  inode: string;
  uid: number;
}

const LISTENS = '0A';

export function listeners(proc = '/proc'): Listener[] {
  return ['tcp', 'tcp6'].flatMap((table) =>
    read(`${proc}/net/${table}`)
      .split('\n')
      .slice(1)
      .flatMap((line) => {
        const [, local = '', , state, , , , uid = '', , inode = ''] = line.trim().split(/\s+/);
        return state === LISTENS ? [{ id: addressOf(local), inode, uid: Number(uid) }] : [];
      }),
  );
}

/** Process by inode of a socket that it holds, among these processes. */
export function portHolders(proc: string, pids: readonly number[]): Map<string, number> {
  const holders = new Map<string, number>();
  for (const pid of pids) {
    for (const fd of entries(`${proc}/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(link(`${proc}/${pid}/fd/${fd}`))?.[1];
      if (inode !== undefined) holders.set(inode, pid);
    }
  }
  return holders;
}

/** The kernel writes an address in words of its own byte order, which on every platform of Node's is the little end first. */
function addressOf(text: string): string {
  const [hex = '', port = '0'] = text.split(':');
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => (word.match(/../g) ?? []).reverse());
  if (bytes.length === 4) return `${bytes.map((byte) => Number.parseInt(byte, 16)).join('.')}:${Number.parseInt(port, 16)}`;
  const groups = bytes.flatMap((byte, index) => (index % 2 === 0 ? [`${byte}${bytes[index + 1] ?? ''}`] : []));
  const short = groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':');
  return `[${short.replace(/(^|:)0(:0)+(:|$)/, '::')}]:${Number.parseInt(port, 16)}`;
}

function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // Gone, or another user's.
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
