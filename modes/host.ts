// The bare host: no isolation at all, the baseline that every mode is compared with.
import { type Command, type Context, defineMode } from '../lib/contract.js';
import { CagematchError } from '../lib/errors.js';
import { requireEgress } from '../lib/kit/egress.js';
import { clientsOf, noteClient, rootsOf } from '../lib/kit/live-clients.js';
import { marked } from '../lib/os/process-mark.js';
import { killSandbox, labelEnv, listMarkedProcesses, reapProcess } from '../lib/os/processes.js';
import { type LocalStream, stream } from '../lib/os/stream.js';

export default defineMode({
  id: 'host',
  title: 'Host',
  letter: '-',
  isolation: 'none',
  workspace: 'bind',
  auth: ['gateway', 'env', 'file'],
  inputs: {},
  platforms: ['linux', 'darwin'],
  summary: 'the agent as a plain process of this machine; no isolation',
  oneShot: true,
  options: ['egress'],

  async detect(ctx) {
    if (ctx.agentBinary === undefined) {
      return {
        status: 'unconfigured',
        reason: 'the agent CLI is not installed for this platform',
        hint: 'npm install --include=optional',
      };
    }
    return { status: 'ready', version: process.version, facts: { agent: ctx.agentVersion } };
  },
  async prepare(ctx) {
    requireEgress(ctx, 'the bare host', ['internet']);
    return {};
  },
  async reach() {
    return { via: 'address', listen: '127.0.0.1', url: (port) => `http://127.0.0.1:${port}` };
  },
  layout: (_ctx, host) => host,
  owner: (ctx) =>
    ctx.uid === undefined ? undefined : { uid: ctx.uid, gid: process.getgid?.() ?? ctx.uid },

  async launch(ctx, spec) {
    const handle = { name: spec.name };
    if (!spec.command) return { handle };
    const child = start(ctx, spec.name, spec.command);
    await child.spawned;
    return { handle, process: child };
  },
  exec: (ctx, handle, command) => start(ctx, handle.name, command),
  async collect() {},
  async destroy(ctx, handle) {
    for (const client of clientsOf(handle.name)) client.kill();
    if (!(await killSandbox(ctx, handle.name, listMarkedProcesses)))
      throw new CagematchError('destroy-failed', `processes of ${handle.name} will not end`);
    return {};
  },
  processes: (ctx, handle) => rootsOf(ctx, handle.name, listMarkedProcesses),
  list: listMarkedProcesses,
  reap: (ctx, listed) => reapProcess(ctx, listed, listMarkedProcesses),
  terminal: async (ctx, handle, command) => callOf(ctx, handle.name, command),
});

/**
 * Nothing here ends a daemon together with the agent, so it is found by its mark, whatever it does
 * to its environment.
 */
function callOf(
  ctx: Context,
  name: string,
  { argv, env: given, secretEnv, cwd }: Omit<Command, 'stdin'>,
) {
  const env = { ...given, ...secretEnv, ...labelEnv(ctx.labels, name) };
  return { argv: marked(argv, name, env), env, cwd };
}

function start(ctx: Context, name: string, command: Command): LocalStream {
  const { argv, ...call } = callOf(ctx, name, command);
  const { stdin: input } = command;
  return noteClient(
    name,
    stream(argv, { ...call, ...(input === undefined ? {} : { input }), signal: ctx.signal }),
  );
}
