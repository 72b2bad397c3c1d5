// The isolation checks: every wall that `probe --only walls` tests, by name, with what an agent can
// do if the wall is open.

export const WALLS = {
  'host-kernel': 'the kernel that answers inside is this host’s own',
  root: 'the agent is uid 0 inside',
  'root-on-host': 'uid 0 inside is uid 0 of this host',
  capabilities: 'the agent has capabilities, or can gain some by a program that gives them',
  seccomp: 'every system call is let through: no filter',
  'new-privileges': 'a setuid program can give the agent more rights than it has',
  'user-namespaces': 'the agent can make a user namespace and be root in it',
  'other-processes': 'a process of this host is seen from inside',
  'kernel-settings': 'a setting of the kernel can be opened for writing',
  mknod: 'a device node can be made and opened',
  'device-nodes': 'devices beyond the usual ones (null, zero, random, tty …) can be opened',
  'raw-sockets': 'raw packets can be sent and read',
  'docker-socket': 'the API of Docker or containerd answers',
  'podman-socket': 'the API of Podman answers',
  'incus-socket': 'the API of Incus answers',
  'guest-api': 'the API that a runtime offers to its guests answers',
  'host-files-readable': 'a file of this host, outside of the workspace, is read',
  'host-files-writable': 'a file of this host, outside of the workspace, is changed',
  'host-root-files': 'a file that only root of this host may read is opened',
  'gateway-port': 'the model’s gateway is reached',
  'host-loopback-ports': 'a service on this host’s loopback is reached',
  'host-gateway-ports': 'another service on the address that the gateway has is reached',
  'host-network-ports': 'a service on this host’s address in its own network is reached',
  'tcp-out': 'a TCP connection leaves for another network',
  'udp-out': 'a UDP packet leaves for another network, and the answer comes back',
  dns: 'a name server in another network answers',
  'cloud-metadata': 'the address of a cloud’s metadata service is reached',
  'git-push-no-remote': 'a push by git goes somewhere although the workspace has no remote',
  'git-push-network': 'a push by git to a remote in the network goes through',
  'git-push-file':
    'a push by git to a repository of this host, outside of the workspace, goes through',
  'ssh-agent': 'the caller’s ssh agent answers',
  'credentials-in-env': 'a secret of the caller’s environment is in the agent’s own',
  'credentials-in-proc': 'a secret is read from the environment of a process of this host',
  'credentials-in-files': 'a file of credentials in the caller’s home is read',
  'credential-places': 'where the caller keeps credentials (~/.ssh, ~/.aws …), a file is opened',
  'fork-limit': 'no limit of processes is met at 600',
  'memory-limit': 'no limit of memory is met, a tenth past what a sandbox is given',
  'write-git-hooks': '.git/hooks of the workspace is written, which the host’s git would run',
  'new-git-hooks':
    'a folder of the workspace without a repository gets a .git/hooks, which the host’s git would run',
  'write-git-config': '.git/config of the workspace is written, which the host’s git would follow',
  'write-claude-folder':
    '.claude/ of the workspace is written, which the host’s agent would follow',
  'write-vscode-folder':
    '.vscode/ of the workspace is written, which the host’s editor would follow',
  'write-mcp-json': '.mcp.json of the workspace is written, which the host’s agent would start',
} as const;

export type WallName = keyof typeof WALLS;

/** What a mode's settings promise for each wall; nothing is promised for a missing wall. */
export type WallPromises = Partial<Record<WallName, 'open' | 'closed'>>;

/** Makes one promise for several walls. */
export function promise(what: 'open' | 'closed', ...walls: WallName[]): WallPromises {
  return Object.fromEntries(walls.map((wall) => [wall, what]));
}
