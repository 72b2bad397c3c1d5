// Adding a runtime is adding one file: dropped into modes/, it is in the help, in detect and in a match, with no other edit.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildHouse, cagematch, type House, standSomewhere } from '../support/house.js';

/** A whole mode: the command as a plain process, found again by the labels in its environment. */
const MODE = `
import { type Command, type Context, defineMode } from '../lib/contract.js';
import { stream } from '../lib/os/exec.js';
import { killSandbox, labelEnv, listProcesses, reapProcess } from '../lib/os/processes.js';

export default defineMode({
  id: 'shed',
  title: 'Garden shed',
  letter: 'S',
  isolation: 'none',
  workspace: 'bind',
  auth: ['env'],
  inputs: { SHED_KEY: { help: 'opens the shed' } },
  platforms: ['linux', 'darwin'],
  summary: 'a plain process, in a shed',
  oneShot: false,
  async detect() { return { status: 'ready', version: '1.0-shed', facts: {} }; },
  async prepare() { return {}; },
  async reach() { return { via: 'address', listen: '127.0.0.1', url: (port) => \`http://127.0.0.1:\${port}\` }; },
  layout: (_ctx, host) => host,
  async launch(_ctx, spec) { return { name: spec.name }; },
  exec: (ctx, handle, command) => start(ctx, handle.name, command),
  async collect() {},
  async destroy(ctx, handle) { await killSandbox(ctx, handle.name); return {}; },
  list: listProcesses,
  reap: reapProcess,
  shell: () => ['/bin/sh', '-i'],
});

function start(ctx: Context, name: string, command: Command) {
  return stream(command.argv, { env: { ...command.env, ...command.secretEnv, ...labelEnv(ctx.labels, name) }, cwd: command.cwd });
}
`;

let house: House;
const place = standSomewhere();
beforeAll(async () => {
  house = await buildHouse({ 'modes/shed.ts': MODE }, { whole: true });
});
afterAll(() => {
  house?.close();
  place.close();
});

test('it is in the help', async () => {
  const { stdout, exitCode } = await cagematch(house, ['--help'], place);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/modes: .*\bshed\b/);
});

test('it is detected', async () => {
  const { stdout, exitCode } = await cagematch(house, ['detect', 'shed', '--json'], place);
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toEqual([
    expect.objectContaining({
      mode: 'shed',
      letter: 'S',
      title: 'Garden shed',
      isolation: 'none',
      detection: { status: 'ready', version: '1.0-shed', facts: {} },
    }),
  ]);
});

test('it runs the task, and the table shows it', async () => {
  const { stdout, stderr, exitCode } = await cagematch(house, ['run', 'shed', '--runs', '1', '--model', 'replay'], place);
  expect(exitCode, stderr).toBe(0);
  expect(stdout).toMatch(/^S shed +none +\d+.* 1\/1 /m);
});
