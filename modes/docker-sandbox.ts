// Docker Sandbox: a microVM with a Docker of its own; driven by `sbx`, or by Docker Desktop's older `docker sandbox`.
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { type Command, type Context, defineMode, type ExecEvent, type ExecStream, type LaunchSpec, type Listed } from '../lib/contract.js';
import { CagematchError } from '../lib/errors.js';
import { type Captured, capture, type LocalStream, stream, whyFailed } from '../lib/exec.js';
import { dropLabels, keepLabels, keptLabels } from '../lib/kept-labels.js';
import { execArgs } from '../lib/oci.js';
import { makeFolder, ownerAlive, removeFolder } from '../lib/owner.js';

type Cli = 'sbx' | 'docker sandbox';

/** The kind of sandbox, which brings the agent CLI with it. */
const AGENT = 'claude';
const HOME = '/home/agent';
const QUICK_MS = 15_000;
/** A first sandbox pulls its template; on a small machine every one takes half a minute. */
const CREATE_MS = 10 * 60_000;
const GONE_MS = 25_000;

/** Two lines since 0.2x, one line since 0.33; another tool of this name says neither. */
const SBX_VERSION = /^(?:Client Version|sbx version):\s+(v\S+)\s+[0-9a-f]{7,40}\b/m;
const PLUGIN_VERSION = /docker\/sandboxes\/cli-plugin\s+(v\S+)/;

/** What a microVM that is given one folder of this host cannot get at. */
const MICROVM = [
  ...['host-kernel', 'root-on-host', 'other-processes', 'docker-socket', 'podman-socket', 'incus-socket', 'ssh-agent'],
  ...['host-files-readable', 'host-files-writable', 'host-root-files', 'git-push-no-remote', 'git-push-file'],
  ...['credentials-in-env', 'credentials-in-proc', 'credentials-in-files', 'credential-places', 'memory-limit'],
];

export default defineMode({
  id: 'docker-sandbox',
  title: 'Docker Sandbox',
  letter: 'B',
  isolation: 'microvm',
  workspace: 'bind',
  auth: ['runtime-proxy', 'env'],
  inputs: {
    CAGEMATCH_SANDBOX_TEMPLATE: { help: "template image of the sandboxes; default: the agent's own", example: 'registry.example/mine:1' },
  },
  platforms: ['darwin', 'linux', 'win32'],
  summary: '`sbx create`, then `sbx exec`: a microVM; without sbx the older `docker sandbox` of Docker Desktop',
  oneShot: false,
  options: ['cpus', 'memoryMiB'],

  async detect(ctx) {
    const found = await identify(ctx);
    if (!('cli' in found)) return found;
    const [listed, policy] = await Promise.all([
      sandbox(ctx, found.cli, ['ls', '--json'], QUICK_MS),
      found.cli === 'sbx' ? sandbox(ctx, found.cli, ['policy', 'ls'], QUICK_MS) : undefined,
    ]);
    const trouble = diagnose(ctx, found.cli, listed) ?? (policy && diagnose(ctx, found.cli, policy));
    if (trouble) return trouble;
    if (!readList(listed.stdout)) {
      return { status: 'broken', reason: `${found.cli} ls: ${whyFailed(listed)}`, hint: `${found.cli} ls --json` };
    }
    return { status: 'ready', version: `${found.cli} ${found.version}`, facts: { cli: found.cli } };
  },

  async prepare(ctx, options) {
    const cli = await client(ctx);
    checkOptions(ctx, cli);
    if (!options?.rebuild && (await hasTemplate(ctx, cli))) return {};
    // Nothing pulls a template but a sandbox that is made from it.
    ctx.say('making one sandbox, so that its template is here (the first time it is pulled)');
    const folder = makeFolder('prepare');
    const name = `cagematch-${ctx.labels.match}-prepare`;
    try {
      await create(ctx, cli, name, folder, 'image-unavailable');
    } finally {
      await remove(ctx, cli, name);
      removeFolder(folder);
    }
    return {};
  },

  // Its network is a proxy that knows no way to this host's loopback.
  reach: async () => ({ via: 'inside' }),
  layout: (_ctx, host) => ({ workspace: host.workspace, home: HOME }),

  async launch(ctx, spec) {
    const cli = await client(ctx);
    await create(ctx, cli, spec.name, spec.host.workspace, 'launch-failed');
    await bringIn(ctx, cli, spec);
    return { name: spec.name };
  },
  exec: (ctx, handle, command) => exec(ctx, handle.name, command),
  async collect() {},
  async destroy(ctx, handle) {
    await remove(ctx, await client(ctx), handle.name);
    return {};
  },
  list,
  reap: async (ctx, listed) => remove(ctx, await client(ctx), listed.id),
  walls: () => Object.fromEntries(MICROVM.map((wall) => [wall, 'closed' as const])),
  shell: (ctx, handle) => [...(ctx.facts.cli === 'docker sandbox' ? ['docker', 'sandbox'] : ['sbx']), 'exec', '-it', handle.name, 'bash'],
});

type Unready = { status: 'absent' | 'broken' | 'unconfigured'; reason: string; hint: string };

/** Which of the two is here. `sbx` is also another tool's name, so only its version line is believed. */
async function identify(ctx: Context): Promise<{ cli: Cli; version: string } | Unready> {
  const sbx = await sandbox(ctx, 'sbx', ['version'], QUICK_MS);
  const version = SBX_VERSION.exec(sbx.stdout)?.[1];
  if (version !== undefined) return { cli: 'sbx', version };
  const plugin = await sandbox(ctx, 'docker sandbox', ['version'], QUICK_MS);
  const pluginVersion = PLUGIN_VERSION.exec(plugin.stdout)?.[1];
  if (pluginVersion !== undefined) return { cli: 'docker sandbox', version: pluginVersion };
  if (sbx.failure === 'timeout') return { status: 'broken', reason: 'sbx version gives no answer', hint: 'sbx daemon restart' };
  const other = sbx.failure === 'missing' ? 'no sbx command on PATH' : "the sbx on PATH is not Docker's, but another tool of that name";
  const docker = plugin.failure === 'missing' ? 'no docker either' : 'the docker here has no sandbox plugin';
  return { status: 'absent', reason: `${other}, and ${docker}`, hint: INSTALL[ctx.platform] ?? 'see docs.docker.com/ai/sandboxes' };
}

const INSTALL: Partial<Record<NodeJS.Platform, string>> = {
  darwin: 'brew trust docker/tap && brew install docker/tap/sbx',
  linux: 'curl -fsSL https://get.docker.com | sudo REPO_ONLY=1 sh && sudo apt-get install docker-sbx (Ubuntu 24.04+, KVM)',
  win32: 'winget install -h Docker.sbx',
};

/** What its own words mean. They are looked for in failures only, or where a question was put to the user whom we are not. */
const TROUBLES: { said: RegExp; status: Unready['status']; reason: string; hint: Record<Cli, string> }[] = [
  {
    said: /not (authenticated|signed in|logged in)|please sign in|no valid user session|session (has expired|could not be refreshed)/i,
    status: 'unconfigured',
    reason: 'not signed in to Docker',
    hint: { sbx: 'sbx login', 'docker sandbox': 'docker login' },
  },
  {
    said: /policy has not been initialized|sbx policy init/i,
    status: 'unconfigured',
    reason: 'the global network policy is not initialised',
    hint: { sbx: 'sbx policy init balanced', 'docker sandbox': 'docker sandbox reset' },
  },
  {
    said: /\/dev\/kvm|\bkvm\b/i,
    status: 'unconfigured',
    reason: 'KVM is not open to this user',
    hint: { sbx: 'sudo usermod -aG kvm $USER', 'docker sandbox': 'sudo usermod -aG kvm $USER' },
  },
  {
    said: /daemon|sandboxd|connection refused|\.sock\b/i,
    status: 'broken',
    reason: 'the sandbox daemon does not answer',
    hint: { sbx: 'sbx daemon restart', 'docker sandbox': 'start Docker Desktop' },
  },
];

function diagnose(ctx: Context, cli: Cli, result: Captured): Unready | undefined {
  if (result.end.type === 'exit' && result.end.code === 0) return undefined;
  const words = `${result.stderr}\n${result.stdout}`;
  const trouble = TROUBLES.find(({ said }) => said.test(words));
  if (trouble) {
    const reason = trouble.status === 'broken' ? `${trouble.reason}: ${whyFailed(result)}` : trouble.reason;
    return { status: trouble.status, reason, hint: trouble.hint[cli] };
  }
  if (result.failure === 'timeout' && !ctx.signal.aborted)
    return { status: 'broken', reason: `${cli} gives no answer`, hint: cli === 'sbx' ? 'sbx daemon restart' : 'start Docker Desktop' };
  return undefined;
}

async function client(ctx: Context): Promise<Cli> {
  const { cli } = ctx.facts;
  if (cli === 'sbx' || cli === 'docker sandbox') return cli;
  const found = await identify(ctx);
  if ('cli' in found) return found.cli;
  throw new CagematchError('not-ready', found.reason, found.hint);
}

/** stdin is never the caller's: a command may otherwise stop to ask something that nobody will answer. */
function sandbox(ctx: Context, cli: Cli, args: string[], timeoutMs: number, input?: string): Promise<Captured> {
  return capture(argvOf(cli, args), { env: envOf(ctx), signal: ctx.signal, timeoutMs, ...(input === undefined ? {} : { input }) });
}

function argvOf(cli: Cli, args: string[]): [string, ...string[]] {
  return cli === 'sbx' ? ['sbx', ...args] : ['docker', 'sandbox', ...args];
}

function envOf(ctx: Context) {
  return { ...ctx.env, SBX_NO_TELEMETRY: '1' };
}

async function must(
  ctx: Context,
  cli: Cli,
  args: string[],
  timeoutMs: number,
  code: CagematchError['code'],
  input?: string,
): Promise<string> {
  const result = await sandbox(ctx, cli, args, timeoutMs, input);
  if (result.end.type === 'exit' && result.end.code === 0) return result.stdout;
  const trouble = diagnose(ctx, cli, result);
  throw new CagematchError(code, `${cli} ${args[0]}: ${trouble?.reason ?? whyFailed(result)}`, trouble?.hint);
}

/** @throws `not-ready` for an option that the client at hand does not know */
function checkOptions(ctx: Context, cli: Cli): void {
  const { cpus, memoryMiB } = ctx.options;
  if (cli !== 'sbx' && (cpus !== undefined || memoryMiB !== undefined))
    throw new CagematchError('not-ready', `${cli} gives every sandbox the same cpus and memory`, INSTALL[ctx.platform]);
  if (cpus !== undefined && !Number.isInteger(cpus))
    throw new CagematchError('not-ready', `a microVM has whole processors, not ${cpus}`, `cpus: ${Math.ceil(cpus)}`);
}

/** `create` and `exec`, never `run`: that one is for a terminal. */
async function create(ctx: Context, cli: Cli, name: string, workspace: string, code: CagematchError['code']): Promise<void> {
  const template = ctx.env.CAGEMATCH_SANDBOX_TEMPLATE;
  keepLabels(ctx, name);
  const { cpus, memoryMiB } = ctx.options;
  const flags = [
    ...['--quiet', '--name', name],
    ...(template === undefined ? [] : ['--template', template]),
    ...(cpus === undefined ? [] : ['--cpus', `${cpus}`]),
    ...(memoryMiB === undefined ? [] : ['--memory', `${memoryMiB}m`]),
  ];
  await must(ctx, cli, ['create', ...flags, AGENT, workspace], CREATE_MS, code);
}

/** The first command also starts a sandbox that has stopped by itself since it was made. */
async function bringIn(ctx: Context, cli: Cli, spec: LaunchSpec): Promise<void> {
  const folders = [...new Set(spec.files.map((file) => posix.dirname(file.path)))];
  await must(ctx, cli, ['exec', spec.name, 'mkdir', '-p', ...folders, '/tmp'], CREATE_MS, 'launch-failed');
  for (const file of spec.files) {
    if (cli === 'sbx') await must(ctx, cli, ['cp', file.source, `${spec.name}:${file.path}`], QUICK_MS, 'launch-failed');
    else {
      // The older one has no `cp`.
      const args = ['exec', '--interactive', spec.name, 'sh', '-c', 'cat >"$0"', file.path];
      await must(ctx, cli, args, QUICK_MS, 'launch-failed', readFileSync(file.source, 'utf8'));
    }
  }
}

async function* exec(ctx: Context, name: string, command: Command): ExecStream & AsyncGenerator<ExecEvent> {
  const argv = argvOf(await client(ctx), execArgs(name, command));
  yield* commandStream(stream(argv, { env: { ...envOf(ctx), ...command.secretEnv }, signal: ctx.signal }));
}

/** How the client says that it was the sandbox which failed, and not the command in it. */
const LOST =
  /^(ERROR|Error): .*(daemon|sandboxd|request failed|sandbox .*(not found|does not exist|stopped)|connection (refused|reset)|EOF)/i;

/** The client's end is the command's end, unless the client says otherwise or died itself. */
async function* commandStream(child: LocalStream): AsyncGenerator<ExecEvent> {
  let words = '';
  for await (const event of child) {
    if (event.type === 'line' && event.stream === 'stderr') words = event.text;
    if (event.type === 'exit' && event.code !== 0 && LOST.test(words)) yield { type: 'lost', reason: words, atMs: event.atMs };
    else if (event.type === 'signal') yield { type: 'lost', reason: `the client was killed by ${event.name}`, atMs: event.atMs };
    else yield event;
  }
}

/** `rm`, until it is no longer listed. The older one asks nothing and has no --force. */
async function remove(match: Context, cli: Cli, name: string): Promise<void> {
  // Also after Ctrl-C.
  const ctx: Context = { ...match, signal: new AbortController().signal };
  const deadline = Date.now() + GONE_MS;
  for (;;) {
    const removal = await sandbox(ctx, cli, ['rm', ...(cli === 'sbx' ? ['--force'] : []), name], QUICK_MS);
    const left = readList((await sandbox(ctx, cli, ['ls', '--json'], QUICK_MS)).stdout);
    if (left && !left.includes(name)) return dropLabels(ctx, name);
    if (Date.now() > deadline)
      throw new CagematchError('destroy-failed', `${name} is still listed: ${whyFailed(removal)}`, `${cli} rm ${name}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** A name of ours; the match is in it even where the kept labels are lost. */
const NAME = /^cagematch-(\d{8}-\d{6}-[0-9a-f]{4})-/;

async function list(ctx: Context): Promise<Listed[]> {
  const cli = await client(ctx);
  const names = readList(await must(ctx, cli, ['ls', '--json'], QUICK_MS, 'not-ready'));
  if (!names) throw new CagematchError('not-ready', `${cli} ls --json printed no list`, `${cli} ls --json`);
  const kept = keptLabels(ctx);
  // Gone without us: removed by hand, or never made.
  for (const [name, { owner = '' }] of kept) if (!names.includes(name) && !ownerAlive(owner)) dropLabels(ctx, name);
  return names.flatMap((id) => {
    const match = NAME.exec(id)?.[1];
    const labels = kept.get(id) ?? (match === undefined ? undefined : { match, mode: ctx.labels.mode });
    return labels === undefined ? [] : [{ id, kind: 'sandbox', labels }];
  });
}

/** Names out of `ls --json`: under `sandboxes` or `vms`, after what a daemon that had to start first may have said. */
function readList(stdout: string): string[] | undefined {
  const from = stdout.search(/^\{/m);
  try {
    const { sandboxes, vms } = JSON.parse(stdout.slice(Math.max(from, 0))) as Record<
      'sandboxes' | 'vms',
      { name: string }[] | null | undefined
    >;
    if (sandboxes === undefined && vms === undefined) return undefined;
    return (sandboxes ?? vms ?? []).map(({ name }) => name);
  } catch {
    return undefined;
  }
}

/** The older one cannot be asked; it pulls what is missing when a sandbox is made. */
async function hasTemplate(ctx: Context, cli: Cli): Promise<boolean> {
  if (cli !== 'sbx') return true;
  const listed = await sandbox(ctx, cli, ['template', 'ls'], QUICK_MS);
  if (!(listed.end.type === 'exit' && listed.end.code === 0)) return true;
  const [image = '', tag = ''] = (ctx.env.CAGEMATCH_SANDBOX_TEMPLATE ?? 'sandbox-templates:claude-code').split(/:(?=[^/:]*$)/);
  return listed.stdout.split('\n').some((line) => line.includes(image) && line.includes(tag));
}
