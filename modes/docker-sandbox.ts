// Docker Sandbox: a microVM with its own Docker, controlled through `sbx` or through Docker
// Desktop's older `docker sandbox`.

import { defineMode } from '../lib/contract.js';
import { unpack } from '../lib/kit/guest/archive.js';
import { execOver, shellOver } from '../lib/kit/guest/exec.js';
import { copyOut, MADE } from '../lib/kit/guest/shell.js';
import { promise, type WallPromises } from '../lib/kit/walls.js';
import { makeFolder, removeFolder } from '../lib/os/owner.js';
import { client, createMs, must, type SandboxState } from './docker-sandbox/client.js';
import { copyInCommand, fillFolder } from './docker-sandbox/copy-in.js';
import { detect, setup } from './docker-sandbox/ready.js';
import {
  CLONE,
  checkOptions,
  cloneIn,
  cloneOf,
  connect,
  create,
  list,
  realOf,
  remove,
  repositoryOf,
  type SandboxHandle,
  terminal,
  untilGone,
} from './docker-sandbox/sandbox.js';
import { hasTemplate } from './docker-sandbox/template.js';

/**
 * Not the template's own home: its settings name a command that supplies the key, and may contain a
 * placeholder for a login.
 */
const HOME = '/home/agent/cagematch';

const COPY_MS = 120_000;

/** What is out of reach for a microVM that shares a single folder with this host. */
const MICROVM: WallPromises = {
  ...promise(
    'closed',
    'host-kernel',
    'root-on-host',
    'other-processes',
    'docker-socket',
    'podman-socket',
    'incus-socket',
  ),
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
    'memory-limit',
  ),
};

export default defineMode<SandboxHandle, SandboxState>({
  id: 'docker-sandbox',
  title: 'Docker Sandbox',
  letter: 'B',
  isolation: 'microvm',
  workspace: 'bind',
  auth: ['runtime-proxy', 'env'],
  inputs: {
    CAGEMATCH_SANDBOX_TEMPLATE: {
      help: "template image of the sandboxes; default: the agent's own",
      example: 'registry.example/mine:1',
    },
    CAGEMATCH_SANDBOX_WAIT: {
      help: 'seconds that making a sandbox may take, the first with its template; default: 600',
      example: '1800',
    },
  },
  // The sandboxes are given the caller's ssh agent.
  clientVariables: ['SSH_AUTH_SOCK', 'DOCKER_CONFIG', 'DOCKER_CONTEXT', 'DOCKER_HOST'],
  platforms: ['darwin', 'linux', 'win32'],
  summary:
    '`sbx create`, then `sbx exec`: a microVM; without sbx the older `docker sandbox` of Docker Desktop. `docker-sandbox:clone` works on a private git clone (`--clone`) and is copied back',
  oneShot: false,
  options: ['cpus', 'memoryMiB'],

  detect,
  setup,
  async prepare(ctx, options) {
    const cli = await client(ctx);
    checkOptions(ctx, cli);
    if (!options?.rebuild && (await hasTemplate(ctx, cli))) return {};
    // The only way to pull a template is to create a sandbox from it.
    ctx.say('making one sandbox, so that its template is here (the first time it is pulled)');
    const folder = makeFolder('prepare');
    const name = `cagematch-${ctx.labels.match}-prepare`;
    try {
      await create(ctx, cli, name, [folder], 'image-unavailable');
    } catch (error) {
      // Report why creation failed, even if removal fails as well; the final sweep of the match
      // finds whatever is left.
      await remove(ctx, cli, name).catch(() => {});
      removeFolder(folder);
      throw error;
    }
    await remove(ctx, cli, name);
    removeFolder(folder);
    return {};
  },

  // Its network is a proxy that cannot reach this host's loopback.
  reach: async () => ({ via: 'inside' }),
  layout: (ctx, host) => ({
    workspace: ctx.variant === CLONE ? repositoryOf(host) : realOf(host.workspace),
    home: HOME,
  }),

  async launch(ctx, spec) {
    const cli = await client(ctx);
    const mine = { ...ctx, signal: await untilGone(ctx, spec.name) };
    const clone = ctx.variant === CLONE ? cloneOf(spec) : undefined;
    const folder = realOf(await fillFolder(ctx, spec, { workspace: clone?.over ?? false }));
    const workspace = clone?.repository ?? realOf(spec.host.workspace);
    // The files are handed in through a folder beside the workspace: not every client has `cp`, and
    // nothing here depends on stdin.
    await create(
      mine,
      cli,
      spec.name,
      [workspace, `${folder}:ro`],
      'launch-failed',
      clone ? ['--clone'] : [],
    );
    // A sandbox may have stopped on its own after it was created; the first command starts it
    // again.
    await must(
      mine,
      cli,
      ['exec', spec.name, ...copyInCommand(folder, HOME, workspace, spec)],
      createMs(ctx),
      'launch-failed',
    );
    if (clone === undefined) return { handle: { name: spec.name } };
    const { repository, ownGit } = clone;
    // Without a repository of its own, the workspace has the one commit that the runtime cloned.
    return { handle: { name: spec.name, clone: { repository, ownGit }, commits: ownGit ? 0 : 1 } };
  },
  async *exec(ctx, handle, command) {
    yield* execOver(await connect(ctx, handle), command);
  },
  async collect(ctx, handle, into) {
    const clone = await cloneIn(ctx, handle);
    if (clone === undefined) return;
    const shell = shellOver(await connect(ctx, handle), COPY_MS);
    const { repository, ownGit } = clone;
    // A `.git` that the runtime made is not part of the workspace: a user would fetch from it, and
    // no git on this host may read what the guest returns.
    await unpack(
      await copyOut(shell, repository, `${MADE}/workspace.tgz`, ownGit ? {} : { without: '.git' }),
      into,
    );
  },
  async destroy(ctx, handle) {
    await remove(ctx, await client(ctx), handle.name);
    return {};
  },
  list,
  reap: async (ctx, listed) => remove(ctx, await client(ctx), listed.id),
  walls: (ctx) => ({
    ...MICROVM,
    // The runtime forwards the caller's ssh agent unless its settings say otherwise.
    'ssh-agent': ctx.env.SSH_AUTH_SOCK ? 'open' : 'closed',
  }),
  terminal,
});
