// Inspects a row's sandbox from inside: its Node, git, C library, system, user, and the limits in
// effect.
import type { Command, Context, Handle, HostPaths, Mode } from '../contract.js';
import { type Gap, type Guest, guestSchema } from '../record/types.js';

/** A limit at or above this value is the kernel's maximum, and means no limit. */
const NO_LIMIT = 2 ** 62;

const LOOK = `
say() { printf 'guest %s %s\\n' "$1" "$2"; }
say nodeVersion "$(node --version 2>/dev/null)"
say gitVersion "$(git --version 2>/dev/null | sed 's/^git version //')"
say libc "$(getconf GNU_LIBC_VERSION 2>/dev/null || ldd --version 2>&1 | sed -n 's/^musl/musl/p;s/^Version /musl /p' | tail -n 1)"
say os "$(. /etc/os-release 2>/dev/null; printf %s "$PRETTY_NAME")"
say uid "$(id -u)"
own=$(sed -n 's/^0:://p' /proc/self/cgroup 2>/dev/null)
first() { for one in "$@"; do if [ -r "$one" ]; then cat "$one"; return; fi; done; }
of() { sed -n "s/^[0-9]*:\\([^:]*,\\)*$1\\(,[^:]*\\)*:\\(.*\\)/\\3/p" /proc/self/cgroup 2>/dev/null; }
say memory "$(first "/sys/fs/cgroup$own/memory.max" /sys/fs/cgroup/memory.max "/sys/fs/cgroup/memory$(of memory)/memory.limit_in_bytes" /sys/fs/cgroup/memory/memory.limit_in_bytes)"
say pids "$(first "/sys/fs/cgroup$own/pids.max" /sys/fs/cgroup/pids.max "/sys/fs/cgroup/pids$(of pids)/pids.max" /sys/fs/cgroup/pids/pids.max)"
`;

/** Inspects an idle sandbox. Never throws: what cannot be determined is a gap. */
export async function lookInside(
  mode: Mode,
  ctx: Context,
  handle: Handle,
  host: HostPaths,
): Promise<Guest | Gap> {
  const layout = mode.layout(ctx, host);
  const env = {
    HOME: layout.home,
    LANG: 'C.UTF-8',
    ...(layout.path === undefined ? {} : { PATH: layout.path }),
  };
  const command: Command = {
    argv: ['/bin/sh', '-c', LOOK],
    env,
    secretEnv: {},
    cwd: layout.tmp ?? '/tmp',
  };
  const lines = new Map<string, string>();
  try {
    for await (const event of mode.exec(ctx, handle, command)) {
      const [, name, value] =
        (event.type === 'line' && /^guest (\w+) (.*)$/.exec(event.text)) || [];
      if (name !== undefined && value !== undefined) lines.set(name, value.trim());
    }
  } catch {
    return { gap: 'not-reported' };
  }
  return lines.size === 0 ? { gap: 'not-reported' } : guestOf(lines);
}

/** Parses the values that a guest has printed. */
export function guestOf(lines: ReadonlyMap<string, string>): Guest | Gap {
  const word = (name: string) => lines.get(name)?.slice(0, 100) || NOT_REPORTED;
  const limit = (name: string) => {
    const value = lines.get(name) ?? '';
    if (value === 'max') return 'none';
    if (!/^\d{1,20}$/.test(value)) return NOT_REPORTED;
    return Number(value) >= NO_LIMIT ? 'none' : Number(value);
  };
  const uid = lines.get('uid') ?? '';
  const read = guestSchema.safeParse({
    nodeVersion: word('nodeVersion'),
    gitVersion: word('gitVersion'),
    libc: word('libc'),
    os: word('os'),
    uid: /^\d{1,10}$/.test(uid) ? Number(uid) : NOT_REPORTED,
    memoryBytes: limit('memory'),
    pids: limit('pids'),
  });
  return read.success ? read.data : NOT_REPORTED;
}

const NOT_REPORTED: Gap = { gap: 'not-reported' };
