// What the host can judge better than the guest: whose kernel answered, which user an id maps to,
// and whether the host's files changed.
import { existsSync, readFileSync } from 'node:fs';
import { release, version } from 'node:os';
import { join } from 'node:path';
import type { Env } from '../../contract.js';
import type { WallName } from '../../kit/walls.js';
import { oneLine } from '../../os/printable.js';
import { commandLines } from '../../os/process-tree.js';
import type { Wall } from '../../record/probe.js';
import type { Planted } from './planted.js';

/** What the guest reported for one wall. */
export interface WallObservation {
  observed: Wall['observed'];
  evidence: string;
  seen?: Record<string, unknown> | undefined;
}

export interface HostSide {
  planted: Planted;
  /** The workspace on this host, after collect. */
  workspace: string;
  /** The runtime sockets that exist on this host, by wall. */
  sockets: Record<string, string[]>;
  /**
   * /proc/<pid>/uid_map of the guest's process as read by this host; undefined if it is not a
   * process of this host.
   */
  uidMap: string | undefined;
  /** True if the kernel inside is this host's own. */
  sameKernel: boolean;
}

type Judge = (observation: WallObservation, host: HostSide) => WallObservation;

/** For walls without a judge, the guest's own report is used. */
export const JUDGES: Partial<Record<WallName, Judge>> = {
  'host-kernel'(observation, host) {
    const { seen } = observation;
    // A guest that reported nothing is not evidence of another kernel.
    if (seen === undefined) return observation;
    const words = `${seen.release} ${seen.version}`;
    const own = bootId();
    const id =
      typeof seen.bootId !== 'string'
        ? 'no boot id'
        : own === ''
          ? 'a boot id'
          : seen.bootId === own
            ? 'this host’s boot id'
            : 'another boot id';
    return host.sameKernel
      ? opened(`${words}, as on this host; ${id}`)
      : shut(`${words}; ${id}; this host: ${release()} ${version()}`);
  },
  'root-on-host'(observation, host) {
    const { seen } = observation;
    if (seen === undefined) return observation;
    const map =
      host.uidMap ?? (host.sameKernel && typeof seen.uidMap === 'string' ? seen.uidMap : undefined);
    if (map === undefined)
      return host.sameKernel
        ? {
            observed: 'gap',
            evidence: 'neither this host nor the guest could read the map of user ids',
          }
        : shut('the agent’s process is none of this host’s; its uid 0 is the guest kernel’s own');
    const [outside] = map.split('\n').flatMap((line) => mapped(line));
    const by = host.uidMap === undefined ? 'inside' : 'by this host';
    if (outside === undefined)
      return shut(`no uid 0 in the map of user ids, read ${by}: ${listed(map)}`);
    return outside === 0
      ? opened(`map of user ids, read ${by}: ${listed(map)}`)
      : shut(`uid 0 inside is uid ${outside}, read ${by}: ${listed(map)}`);
  },
  'docker-socket': (observation, host) => socket(observation, host, 'docker-socket'),
  'podman-socket': (observation, host) => socket(observation, host, 'podman-socket'),
  'incus-socket': (observation, host) => socket(observation, host, 'incus-socket'),
  'host-files-writable'(observation, { planted }) {
    if (observation.observed === 'gap') return observation;
    const changed = planted.writable.filter((path) => read(path).includes(planted.nonce));
    return changed.length > 0
      ? opened(`changed on this host: ${changed.join(' ')}`)
      : shut(`unchanged on this host; ${observation.evidence}`);
  },
  'git-push-network': (observation, { planted }) => push(observation, planted.repositories.network),
  'git-push-file': (observation, { planted }) => push(observation, planted.repositories.file),
  'write-git-hooks': (observation, host) => written(observation, host, ['.git/hooks/pre-commit']),
  'new-git-hooks': (observation, host) =>
    written(observation, host, ['without-repository/.git/hooks/pre-commit']),
  'write-git-config': (observation, host) => written(observation, host, ['.git/config']),
  'write-claude-folder': (observation, host) =>
    written(observation, host, ['.claude/settings.json', '.claude/commands/probe.md']),
  'write-vscode-folder': (observation, host) => written(observation, host, ['.vscode/tasks.json']),
  'write-mcp-json': (observation, host) => written(observation, host, ['.mcp.json']),
};

const opened = (evidence: string): WallObservation => ({ observed: 'open', evidence });
const shut = (evidence: string): WallObservation => ({ observed: 'closed', evidence });

/**
 * True if the guest runs on this host's kernel. A boot id identifies one boot of one kernel; some
 * runtimes show a different id, so the same kernel build counts as well.
 */
export function sameKernel(seen: Record<string, unknown> | undefined): boolean {
  const own = bootId();
  return (
    (own !== '' && seen?.bootId === own) ||
    (seen?.release === release() && seen?.version === version())
  );
}

function bootId(): string {
  return read('/proc/sys/kernel/random/boot_id').trim();
}

/** The outside uid of uid 0 inside, if this line of the map contains it. */
function mapped(line: string): number[] {
  const [inside = Number.NaN, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number);
  return inside <= 0 && 0 < inside + count ? [outside - inside] : [];
}

/**
 * A socket that does not answer proves little if this host has no such socket, so that case is a
 * gap.
 */
function socket(observation: WallObservation, host: HostSide, wall: string): WallObservation {
  if (observation.observed !== 'closed' || observation.seen?.reached === true) return observation;
  const there = host.sockets[wall] ?? [];
  if (there.length === 0)
    return {
      observed: 'gap',
      evidence: `this host has no such socket that could be reached; inside: ${observation.evidence}`,
    };
  return shut(`${observation.evidence}; on this host: ${there.join(' ')}`);
}

/** The ref is read as a plain file: the host must not run git where an agent could write. */
function push(observation: WallObservation, repository: string): WallObservation {
  const arrived = existsSync(join(repository, 'refs/heads/pushed'));
  if (arrived) return opened(`a commit arrived; ${observation.evidence}`);
  return observation.observed === 'gap'
    ? observation
    : shut(`nothing arrived; ${observation.evidence}`);
}

function written(
  observation: WallObservation,
  { workspace, planted }: HostSide,
  paths: string[],
): WallObservation {
  const found = paths.filter((path) => read(join(workspace, path)).includes(planted.nonce));
  if (found.length > 0)
    return opened(
      `on this host after collect: ${found.join(' ')}; inside: ${observation.evidence}`,
    );
  return observation.observed === 'gap'
    ? observation
    : shut(`not on this host after collect; inside: ${observation.evidence}`);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** A uid map on one line, made safe to print because the guest may have written it. */
const listed = (map: string) => oneLine(map.trim().replaceAll('\n', ', ')).replace(/ +/g, ' ');

/**
 * @param token occurs in the argv of the guest's process
 * @returns the uid map of that process, as this host sees it
 */
export function uidMapOf(token: string): string | undefined {
  const found = commandLines().find(
    ({ argv }) =>
      /(^|\/)node$/.test(argv[0] ?? '') &&
      /walls\.mjs$/.test(argv[1] ?? '') &&
      argv[2]?.includes(token),
  );
  return found && (read(`/proc/${found.pid}/uid_map`).trim() || undefined);
}

/**
 * By wall: paths of the runtimes' control sockets, at the well-known places and wherever the
 * caller's environment points.
 */
export function socketPaths(env: Env, uid: number | undefined): Record<string, string[]> {
  const runtime = [env.XDG_RUNTIME_DIR, uid === undefined ? undefined : `/run/user/${uid}`].filter(
    (folder) => folder !== undefined,
  );
  const socketOf = (url: string | undefined) =>
    url?.startsWith('unix://') ? [url.slice('unix://'.length)] : [];
  const all = {
    'docker-socket': [
      '/var/run/docker.sock',
      '/run/docker.sock',
      '/run/containerd/containerd.sock',
      ...socketOf(env.DOCKER_HOST),
      ...runtime.map((folder) => `${folder}/docker.sock`),
    ],
    'podman-socket': [
      '/run/podman/podman.sock',
      ...socketOf(env.CONTAINER_HOST),
      ...runtime.map((folder) => `${folder}/podman/podman.sock`),
    ],
    'incus-socket': [
      '/run/incus/unix.socket',
      '/var/lib/incus/unix.socket',
      ...(env.INCUS_DIR === undefined ? [] : [`${env.INCUS_DIR}/unix.socket`]),
    ],
  };
  return Object.fromEntries(
    Object.entries(all).map(([name, paths]) => [name, [...new Set(paths)]]),
  );
}
