// Finds what a match has left on this machine, independently of cagematch's own lists: by its id,
// its process and its temporary folder.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Env } from '../../lib/contract.js';
import { capture } from '../../lib/os/capture.js';

export interface Mark {
  /** The match id; undefined if the harness died before it had one. */
  match: string | undefined;
  /** Pid of the harness. */
  pid: number;
  /** TMPDIR of the harness; nothing else uses the folder. */
  tmp: string;
}

/** One line per leftover; empty if there are none. */
export async function whatIsLeft(mark: Mark, env: Env): Promise<string[]> {
  return [
    ...processes(mark),
    ...folders(mark),
    ...mounts(mark),
    ...cgroups(mark),
    ...(await sandboxes(mark, env)),
  ];
}

function processes({ match, pid, tmp }: Mark): string[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'latin1').split('\0');
      // A zombie has neither a command line nor an environment. The process that runs this search
      // is excluded above.
      if (words.join('') === '') return [];
      const environ = readFileSync(`/proc/${name}/environ`, 'latin1').split('\0');
      const ours = environ.some(
        (found) =>
          found.startsWith(`CAGEMATCH_OWNER=${pid}:`) ||
          (match !== undefined && found === `CAGEMATCH_MATCH=${match}`) ||
          found === `TMPDIR=${tmp}`,
      );
      const named =
        match !== undefined && words.some((word) => word.includes(`cagematch-${match}`));
      return ours || named
        ? [`process ${name}: ${words.slice(0, 6).join(' ').slice(0, 120)} (${cwdOf(name)})`]
        : [];
    } catch {
      return []; // The process is gone.
    }
  });
}

function cwdOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return 'no folder';
  }
}

function folders({ tmp }: Mark): string[] {
  return readdirSync(tmp).map((name) => `in the temporary folder: ${name}`);
}

function mounts({ match, tmp }: Mark): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(`${tmp}/`) || (match !== undefined && line.includes(match)))
    .map((line) => `mount ${line.split(' ').slice(3, 5).join(' ')}`);
}

function cgroups({ match }: Mark): string[] {
  if (match === undefined) return [];
  const hierarchies = readdirSync('/sys/fs/cgroup', { withFileTypes: true }).filter((found) =>
    found.isDirectory(),
  );
  return hierarchies.flatMap(({ name }) =>
    readdirSync(`/sys/fs/cgroup/${name}`)
      .filter((group) => group.includes(match))
      .map((group) => `cgroup ${name}/${group}`),
  );
}

const PODMAN_PS = ['ps', '--all', '--external', '--format', '{{.Names}} {{.Labels}}'];
const LISTS: { kind: string; argv: [string, ...string[]]; env?: Env }[] = [
  {
    kind: 'container of docker',
    argv: ['docker', 'ps', '--all', '--format', '{{.Names}} {{.Labels}}'],
  },
  {
    kind: 'volume of docker',
    argv: ['docker', 'volume', 'ls', '--format', '{{.Name}} {{.Labels}}'],
  },
  {
    kind: 'network of docker',
    argv: ['docker', 'network', 'ls', '--format', '{{.Name}} {{.Labels}}'],
  },
  { kind: 'container of podman', argv: ['podman', ...PODMAN_PS] },
  {
    kind: 'volume of podman',
    argv: ['podman', 'volume', 'ls', '--format', '{{.Name}} {{.Labels}}'],
  },
  { kind: 'instance of incus', argv: ['incus', 'list', '--format', 'csv', '--columns', 'n'] },
];

/** How the mode calls rootless Podman if root has been given a user for it. */
export function rootlessPodman(env: Env): { argv: [string, ...string[]]; env: Env } | undefined {
  const name = env.CAGEMATCH_ROOTLESS_USER;
  const account = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((line) => name !== undefined && line.startsWith(`${name}:`));
  const [, , uid = '', gid = '', , home = ''] = account?.split(':') ?? [];
  if (account === undefined) return undefined;
  const own = {
    ...env,
    HOME: home,
    XDG_RUNTIME_DIR: env.CAGEMATCH_ROOTLESS_RUNTIME_DIR ?? `/run/user/${uid}`,
  };
  return {
    argv: ['setpriv', '--reuid', uid, '--regid', gid, '--clear-groups', 'podman'],
    env: own,
  };
}

/** Runtimes that are not installed list nothing. */
async function sandboxes({ match }: Mark, env: Env): Promise<string[]> {
  if (match === undefined) return [];
  const rootless = rootlessPodman(env);
  const lists = rootless
    ? [
        ...LISTS,
        {
          ...rootless,
          kind: 'container of rootless podman',
          argv: [...rootless.argv, ...PODMAN_PS] as [string, ...string[]],
        },
      ]
    : LISTS;
  const listed = await Promise.all(
    lists.map(async ({ kind, argv, ...own }) => {
      const result = await capture(argv, { env: own.env ?? env, cwd: '/', timeoutMs: 20_000 });
      return result.stdout
        .split('\n')
        .filter((line) => line.includes(match))
        .map((line) => `${kind}: ${line.split(' ')[0]}`);
    }),
  );
  return listed.flat();
}
