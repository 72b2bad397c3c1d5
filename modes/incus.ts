// Incus: a system container with its own init, or `incus:vm` if the server can run virtual
// machines. A remote server or a cluster shares no files with this host; in that case the workspace
// is copied, and the model runs inside.

import { defineMode, type Handle } from '../lib/contract.js';
import { CagematchError } from '../lib/errors.js';
import { unpack } from '../lib/kit/guest/archive.js';
import { bringIn, shellBy } from '../lib/kit/guest/exec.js';
import { copyOut, MADE } from '../lib/kit/guest/shell.js';
import { promise, type WallPromises } from '../lib/kit/walls.js';
import { commandLines } from '../lib/os/process-tree.js';
import {
  agentUp,
  type IncusContext,
  type IncusState,
  isFar,
  LAYOUT,
  must,
  remove,
  VM,
} from './incus/client.js';
import { membersOf, room } from './incus/cluster.js';
import {
  checkEgress,
  checkOptions,
  devices,
  egressDevices,
  exec,
  HOST_ADDRESS,
  hostAddress,
  type InstanceHandle,
  LINK,
  launch,
  link,
  terminal,
  watchLifecycle,
} from './incus/instance.js';
import { census, disk, list, serves, traces } from './incus/listing.js';
import { detect, setup } from './incus/server.js';
import {
  bringToMembers,
  buildTemplate,
  checkImage,
  contentOf,
  evict,
  fingerprint,
  ownImage,
  template,
} from './incus/template.js';

const COPY_MS = 120_000;

/** How long after the client has ended an event may still arrive. */
const SETTLE_MS = 500;

export default defineMode<InstanceHandle, IncusState>({
  id: 'incus',
  title: 'Incus',
  letter: 'D',
  isolation: 'system-container',
  workspace: 'bind',
  auth: ['gateway', 'env', 'file'],
  inputs: {
    INCUS_DIR: { help: "Incus' folder, when it is not the usual one" },
    INCUS_CONF: { help: "folder of the Incus client's settings, when it is not the usual one" },
    INCUS_REMOTE: {
      help: 'which of its remotes to use, such as a cluster; default: the one that `incus remote switch` chose',
    },
    CAGEMATCH_INCUS_BASE: {
      help: 'image that the runner template is built on; default: images:debian/12',
    },
    CAGEMATCH_INCUS_IMAGE: {
      help: 'runner image to use as it is, in place of a template of ours; may be of a remote with the protocol oci',
      example: 'ghcr:me/cagematch-runner:1',
    },
    CAGEMATCH_INCUS_HOST_ADDRESS: {
      help: `this host's end of the sandboxes' link, when ${HOST_ADDRESS} is taken; link-local`,
    },
  },
  clientVariables: ['INCUS_SOCKET', 'INCUS_PROJECT'],
  platforms: ['linux', 'darwin', 'win32'],
  summary:
    '`incus launch`, then `incus exec`: a full Linux with its own init; `incus:vm` is a virtual machine; over the members of a cluster in turns',
  oneShot: false,
  options: ['tmpfs', 'cpus', 'memoryMiB', 'target', 'egress'],

  detect,
  setup,
  async prepare(ctx, options) {
    checkOptions(ctx);
    await checkEgress(ctx);
    await checkImage(ctx);
    const alias = template(ctx);
    // Start listening for events now, so that the first launch does not pay for it.
    await watchLifecycle(ctx);
    let present = await fingerprint(ctx, alias);
    if (ownImage(ctx) === undefined && (!present || options?.rebuild)) {
      await evict(ctx);
      await buildTemplate(ctx, alias);
      present = await fingerprint(ctx, alias);
    }
    await bringToMembers(ctx, alias);
    if (!present) return {};
    const content =
      ownImage(ctx) === undefined ? await contentOf(ctx, alias, present.image) : undefined;
    return { ...present, ...(content === undefined ? {} : { content }) };
  },
  evict,

  async reach(ctx) {
    // A routed link needs no bridge, no DHCP and, in a container, no network configuration in the
    // image; a VM would need the last.
    if (ctx.variant === VM || isFar(ctx)) return { via: 'inside' };
    const keeper = `cagematch-keeper-${ctx.labels.match}`;
    await launch(ctx, keeper, { [LINK]: link(ctx, keeper) });
    const address = hostAddress(ctx);
    // The address exists only while an instance has the link; a socket once bound to it outlives
    // it.
    return {
      via: 'address',
      listen: address,
      url: (port) => `http://${address}:${port}`,
      release: async () => void (await remove(ctx, keeper)),
    };
  },
  layout: () => LAYOUT,

  async launch(ctx, spec) {
    const events = await watchLifecycle(ctx);
    const place = (await membersOf(ctx))?.place(spec.name, ctx.options.target);
    await launch(
      ctx,
      spec.name,
      { ...(await egressDevices(ctx)), ...devices(ctx, spec) },
      spec.user,
    );
    // A virtual machine cannot run commands yet when its start event arrives.
    const runningAtMs = ctx.variant === VM ? undefined : await events.until('start', spec.name, 0);
    if (ctx.variant === VM) await agentUp(ctx, spec.name);
    const handle = { name: spec.name, ...(place === undefined ? {} : { place }) };
    const launched = runningAtMs === undefined ? {} : { runningAtMs };
    if (isFar(ctx)) {
      await bringIn(shellIn(ctx, handle), MADE, LAYOUT.workspace, spec);
      return { handle, ...launched };
    }
    for (const file of spec.files)
      await must(
        ctx,
        [
          'file',
          'push',
          '--create-dirs',
          '--mode',
          '0644',
          file.source,
          `${spec.name}${file.path}`,
        ],
        60_000,
      );
    return { handle: { ...handle, user: spec.user }, ...launched };
  },
  exec,
  async collect(ctx, handle, into) {
    if (isFar(ctx))
      await unpack(
        await copyOut(shellIn(ctx, handle), LAYOUT.workspace, `${MADE}/workspace.tgz`),
        into,
      );
  },
  async destroy(ctx, { name, place }) {
    const members = await membersOf(ctx);
    members?.found(name, place);
    const why = members?.whyLost(name);
    if (why !== undefined)
      throw new CagematchError(
        'destroy-failed',
        `${name} cannot be removed: ${why}`,
        'npx cagematch clean, when it is back',
      );
    const events = await watchLifecycle(ctx);
    const removed = await remove(ctx, name);
    members?.left(name);
    const goneAtMs = await events.until('gone', name, removed ? SETTLE_MS : 0);
    return goneAtMs === undefined ? {} : { goneAtMs };
  },
  processes: async (_ctx, handle) =>
    commandLines().flatMap(({ pid, argv }) => (serves(argv, handle.name) ? [pid] : [])),
  disk,
  room,
  list,
  census,
  reap: async (ctx, listed) =>
    listed.kind === 'image'
      ? void (await must(ctx, ['image', 'delete', listed.id], 60_000, { code: 'destroy-failed' }))
      : void (await remove(ctx, listed.id)),
  runner: template,
  traces,
  walls,
  terminal,
});

/** Runs commands in a guest that shares no files with this host. */
function shellIn(ctx: IncusContext, handle: Handle) {
  return shellBy(
    (command, signal) => exec({ ...ctx, signal }, handle, command),
    ctx.signal,
    COPY_MS,
  );
}

function walls(ctx: IncusContext): WallPromises {
  const isMachine = ctx.variant === VM;
  return {
    ...promise(
      'closed',
      'root',
      'root-on-host',
      'other-processes',
      'docker-socket',
      'podman-socket',
      'incus-socket',
      'guest-api',
    ),
    ...promise('closed', 'ssh-agent', 'memory-limit', 'mknod', 'kernel-settings'),
    ...promise(
      'closed',
      'host-files-readable',
      'host-files-writable',
      'host-root-files',
      'git-push-no-remote',
      'git-push-file',
    ),
    ...promise(
      'closed',
      'credentials-in-env',
      'credentials-in-proc',
      'credentials-in-files',
      'credential-places',
    ),
    ...(isMachine
      ? promise('closed', 'host-kernel')
      : promise('closed', 'fork-limit', 'new-privileges', 'capabilities', 'host-loopback-ports')),
    ...promise('open', 'write-git-hooks', 'new-git-hooks', 'write-git-config'),
    ...promise('open', 'write-claude-folder', 'write-vscode-folder', 'write-mcp-json'),
    ...(isMachine ? {} : promise('open', 'host-kernel')),
    ...(isMachine || isFar(ctx) ? {} : promise('open', 'gateway-port')),
  };
}
