// The bare host: no isolation at all, the baseline that every mode is compared with.
import { type Command, type Context, defineMode, type Handle } from '../lib/contract.js';
import { CagematchError } from '../lib/errors.js';
import { stream } from '../lib/os/exec.js';
import { marked } from '../lib/os/process-mark.js';
import { killSandbox, labelEnv, listMarkedProcesses, reapProcess } from '../lib/os/processes.js';

export default defineMode<Handle & { pid?: number | undefined; kill?(): void }>({
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

  async detect(ctx) {
    if (ctx.agentBinary === undefined) {
      return { status: 'unconfigured', reason: 'the agent CLI is not installed for this platform', hint: 'npm install --include=optional' };
    }
    return { status: 'ready', version: process.version, facts: { agent: ctx.agentVersion } };
  },
  async prepare() {
    return {};
  },
  async reach() {
    return { via: 'address', listen: '127.0.0.1', url: (port) => `http://127.0.0.1:${port}` };
  },
  layout: (_ctx, host) => host,
  owner: (ctx) => (ctx.uid === undefined ? undefined : { uid: ctx.uid, gid: process.getgid?.() ?? ctx.uid }),

  async launch(ctx, spec) {
    if (!spec.command) return { name: spec.name };
    const child = start(ctx, spec.name, spec.command);
    await child.spawned;
    return { name: spec.name, process: child, pid: child.pid, kill: child.kill };
  },
  exec(ctx, handle, command) {
    const child = start(ctx, handle.name, command);
    handle.pid = child.pid;
    return child;
  },
  async collect() {},
  async destroy(ctx, handle) {
    handle.kill?.();
    if (!(await killSandbox(ctx, handle.name, listMarkedProcesses)))
      throw new CagematchError('destroy-failed', `processes of ${handle.name} will not end`);
    return {};
  },
  async processes(_ctx, handle) {
    return handle.pid === undefined ? [] : [handle.pid];
  },
  list: listMarkedProcesses,
  reap: (ctx, listed) => reapProcess(ctx, listed, listMarkedProcesses),
  shell: () => ['/bin/sh', '-i'],
});

function start(ctx: Context, name: string, command: Command) {
  const env = { ...command.env, ...command.secretEnv, ...labelEnv(ctx.labels, name) };
  // Nothing here ends a daemon together with the agent, so it is found by its mark, whatever it does to its environment.
  return stream(marked(command.argv, name, env), {
    env,
    cwd: command.cwd,
    ...(command.stdin === undefined ? {} : { input: command.stdin }),
    signal: ctx.signal,
  });
}
