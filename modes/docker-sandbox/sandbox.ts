// One sandbox: created, given its folders, connected to, removed; and the list of existing
// sandboxes.
import { lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type {
  Command,
  Context,
  Handle,
  HostPaths,
  LaunchSpec,
  Listed,
  TerminalCall,
} from '../../lib/contract.js';
import { CagematchError } from '../../lib/errors.js';
import type { Connection } from '../../lib/kit/guest/exec.js';
import { whyFailed } from '../../lib/os/capture.js';
import { folderOwner, ownerDead } from '../../lib/os/owner.js';
import { removeTree } from '../../lib/os/remove-tree.js';
import {
  argvOf,
  type Cli,
  client,
  createMs,
  diagnose,
  envOf,
  INSTALL,
  must,
  QUICK_MS,
  readList,
  type SandboxContext,
  sandbox,
} from './client.js';
import { dropLabels, keepLabels, keptLabels } from './kept-labels.js';
import { writeRepository } from './repository.js';

/** The type of sandbox; it includes the agent CLI. */
const AGENT = 'claude';

/** Shorter than the match's own timeout, so that the error contains the client's message. */
const GONE_MS = 20_000;

export const CLONE = 'clone';

export interface SandboxHandle extends Handle {
  /**
   * Set for a clone: the path of its repository, on this host and inside; and whether the workspace
   * has its own `.git`.
   */
  clone?: { repository: string; ownGit: boolean };
}

/**
 * Uses `create` and `exec`, never `run`, which is for terminals. The settings given here stay in
 * force for the sandbox's lifetime.
 */
export async function create(
  ctx: SandboxContext,
  cli: Cli,
  name: string,
  folders: string[],
  code: CagematchError['code'],
  extraFlags: string[] = [],
): Promise<void> {
  const template = ctx.env.CAGEMATCH_SANDBOX_TEMPLATE;
  keepLabels(ctx, name);
  const { cpus, memoryMiB } = ctx.options;
  const flags = [
    ...['--quiet', '--name', name, ...extraFlags],
    ...(template === undefined ? [] : ['--template', template]),
    ...(cpus === undefined ? [] : ['--cpus', `${cpus}`]),
    ...(memoryMiB === undefined ? [] : ['--memory', `${memoryMiB}m`]),
  ];
  await must(ctx, cli, ['create', ...flags, AGENT, ...folders], createMs(ctx), code);
}

/** @throws `not-ready` if the installed client does not support an option */
export function checkOptions(ctx: SandboxContext, cli: Cli): void {
  const { cpus, memoryMiB } = ctx.options;
  if (!(createMs(ctx) > 0))
    throw new CagematchError(
      'not-ready',
      `CAGEMATCH_SANDBOX_WAIT is no number of seconds: ${ctx.env.CAGEMATCH_SANDBOX_WAIT}`,
      'CAGEMATCH_SANDBOX_WAIT=600',
    );
  if (cli !== 'sbx' && (cpus !== undefined || memoryMiB !== undefined))
    throw new CagematchError(
      'not-ready',
      `${cli} gives every sandbox the same cpus and memory`,
      INSTALL[ctx.platform],
    );
  if (cpus !== undefined && !Number.isInteger(cpus))
    throw new CagematchError(
      'not-ready',
      `a microVM has whole processors, not ${cpus}`,
      `cpus: ${Math.ceil(cpus)}`,
    );
}

/**
 * A clone has the same path inside as its repository on this host: beside the workspace, in the
 * run's own folder.
 */
export function repositoryOf({ workspace }: Pick<HostPaths, 'workspace'>): string {
  return join(dirname(realOf(workspace)), 'repository');
}

/** On macOS the temporary folder is behind a symlink, which may not exist in the guest. */
export function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // Nothing exists there (yet) that could be passed in.
  }
}

/**
 * Creates the repository that the runtime clones: the files of the workspace as one commit, in a
 * folder that no agent has had access to, because the runtime's client runs this host's git on it.
 * The caller stays its owner, otherwise that git would refuse it.
 */
export function cloneOf(spec: LaunchSpec): { repository: string; ownGit: boolean; over: boolean } {
  const repository = repositoryOf(spec.host);
  // A verifier's sandbox reuses the workspace of a run, which already has such a repository.
  removeTree(repository);
  mkdirSync(repository);
  const { whole } = writeRepository(spec.host.workspace, repository);
  const ownGit =
    lstatSync(join(spec.host.workspace, '.git'), { throwIfNoEntry: false }) !== undefined;
  return { repository, ownGit, over: !whole };
}

/**
 * The clone that a sandbox works on; for a sandbox that another process has launched, the client is
 * queried.
 */
export async function cloneIn(
  ctx: SandboxContext,
  { name, clone }: SandboxHandle,
): Promise<SandboxHandle['clone']> {
  if (clone !== undefined || ctx.variant !== CLONE) return clone;
  const listed = readList(
    (await sandbox(ctx, await client(ctx), ['ls', '--json'], QUICK_MS)).stdout,
  );
  const repository = listed?.find((shown) => shown.name === name)?.workspaces?.[0];
  if (repository === undefined)
    throw new CagematchError('collect-failed', `${name} is not listed, or without its workspace`);
  return {
    repository,
    ownGit:
      lstatSync(join(dirname(repository), 'workspace', '.git'), { throwIfNoEntry: false }) !==
      undefined,
  };
}

/** `exec` of a command with a terminal. */
export async function terminal(
  ctx: SandboxContext,
  { name }: Handle,
  command: Omit<Command, 'stdin'>,
): Promise<TerminalCall> {
  const env = Object.entries(command.env).map(([key, value]) => `${key}=${value}`);
  const secrets = Object.keys(command.secretEnv).flatMap((key) => ['--env', key]);
  const inside = [
    '/bin/sh',
    '-c',
    'cd "$1" || exit; shift; exec "$@"',
    'cagematch',
    command.cwd,
    'env',
    ...env,
    ...command.argv,
  ];
  const argv = argvOf(await client(ctx), [
    'exec',
    '--interactive',
    '--tty',
    ...secrets,
    name,
    ...inside,
  ]);
  return { argv, env: { ...envOf(ctx), ...command.secretEnv }, cwd: '/' };
}

/**
 * Signal for client processes attached to a sandbox: a client that hangs is ended once its sandbox
 * is gone.
 */
export async function untilGone(ctx: SandboxContext, name: string): Promise<AbortSignal> {
  return AbortSignal.any([ctx.signal, (await clientsOf(ctx, name)).over.signal]);
}

/**
 * Kept per sandbox name. If the same name is used again, successfully or not, the new clients get a
 * new controller.
 */
function clientsOf(
  ctx: SandboxContext,
  name: string,
): Promise<{ over: AbortController; close(): void }> {
  return ctx.keep(`clients of ${name}`, () => {
    const clients = {
      over: new AbortController(),
      close() {
        clients.over.abort();
        clients.over = new AbortController();
      },
    };
    return clients;
  });
}

export async function connect(ctx: SandboxContext, { name }: Handle): Promise<Connection> {
  const cli = await client(ctx);
  return {
    argv: (command, withStdin, names) =>
      argvOf(cli, [
        'exec',
        ...(withStdin ? ['--interactive'] : []),
        ...names.flatMap((variable) => ['--env', variable]),
        name,
        ...command,
      ]),
    env: envOf(ctx),
    signal: await untilGone(ctx, name),
    secret: 'handed-on',
    added: /^(ERROR: )?.*exit(ed with)? (code|status):? \d+$/i,
    whyLost: (lastMessage) => whyLost(ctx, cli, name, lastMessage),
  };
}

async function whyLost(ctx: Context, cli: Cli, name: string, lastMessage: string): Promise<string> {
  const listed = await sandbox(ctx, cli, ['ls', '--json'], QUICK_MS);
  const all = readList(listed.stdout);
  if (all && !all.some((shown) => shown.name === name))
    return `the sandbox is gone: ${lastMessage}`;
  return diagnose(ctx, cli, listed)?.reason ?? lastMessage;
}

/**
 * Runs `rm` until the sandbox is no longer listed. The older client does not prompt and has no
 * --force.
 */
export async function remove(match: SandboxContext, cli: Cli, name: string): Promise<void> {
  // Removal has to work after Ctrl-C as well.
  const ctx: SandboxContext = { ...match, signal: new AbortController().signal };
  const deadline = Date.now() + GONE_MS;
  for (;;) {
    const leftMs = Math.min(QUICK_MS, Math.max(1000, deadline - Date.now()));
    const removal = await sandbox(
      ctx,
      cli,
      ['rm', ...(cli === 'sbx' ? ['--force'] : []), name],
      leftMs,
    );
    const left = readList((await sandbox(ctx, cli, ['ls', '--json'], leftMs)).stdout);
    if (left && !left.some((shown) => shown.name === name)) break;
    if (Date.now() > deadline) {
      const why = diagnose(ctx, cli, removal)?.reason ?? whyFailed(removal);
      throw new CagematchError(
        'destroy-failed',
        `${name} may still be there: ${why}`,
        `${cli} rm ${name}`,
      );
    }
    await pause(250);
  }
  (await clientsOf(ctx, name)).close();
  dropLabels(ctx, name);
}

/** A sandbox name of ours; it contains the match id even if the kept labels are lost. */
const NAME = /^cagematch-(\d{8}-\d{6}-[0-9a-f]{4})-/;

export async function list(ctx: SandboxContext): Promise<Listed[]> {
  const cli = await client(ctx);
  const all = readList(await must(ctx, cli, ['ls', '--json'], QUICK_MS, 'not-ready'));
  if (!all)
    throw new CagematchError('not-ready', `${cli} ls --json printed no list`, `${cli} ls --json`);
  const kept = keptLabels(ctx);
  // Labels of sandboxes that were removed by hand or never created.
  const names = all.map(({ name }) => name);
  for (const [name, { owner = '' }] of kept)
    if (!names.includes(name) && ownerDead(owner)) dropLabels(ctx, name);
  return all.flatMap(({ name, workspaces = [], status = '' }) => {
    const match = NAME.exec(name)?.[1];
    const labels =
      kept.get(name) ??
      (match === undefined ? undefined : { match, mode: ctx.labels.mode, ...ownerBy(workspaces) });
    return labels === undefined
      ? []
      : [{ id: name, kind: 'sandbox', labels, state: STATES[status] ?? 'unknown' }];
  });
}

const STATES: Record<string, Listed['state']> = { running: 'running', stopped: 'stopped' };

/** The owner recorded in the run's folder, which is removed with the run. */
function ownerBy([workspace]: string[]): { owner?: string } {
  const owner = workspace === undefined ? undefined : folderOwner(dirname(workspace));
  return owner ? { owner } : {};
}
