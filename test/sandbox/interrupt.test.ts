// Ctrl-C, once and twice, in every phase, through the built binary: nothing stays, and what was
// finished is kept.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { which } from '../../lib/os/path-search.js';
import { parseEvents } from '../../lib/report/report.js';
import { buildHouse, type House, standSomewhere, startCagematch } from '../support/house.js';

/**
 * The host mode again, which keeps a file as its sandbox and waits for ever in the phase that
 * STICKY names, from the second run on.
 */
const STICKY_MODE = `
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import host from './host.js';
import { defineMode, type Context, type Listed } from '../lib/contract.js';

const for_ever = () => new Promise<never>(() => {});
let runs = 0;
const stick = async (ctx: Context, phase: string) => {
  if (ctx.env.STICKY !== phase || (phase !== 'prepare' && runs < 2)) return;
  writeFileSync(join(ctx.env.STICKY_FOLDER ?? '', 'stuck'), '');
  if (phase !== 'destroy') await for_ever();
};
const box = (ctx: Context, name: string) => join(ctx.env.STICKY_FOLDER ?? '', 'box-' + name);

export default defineMode({
  ...host,
  id: 'sticky',
  title: 'Sticky',
  oneShot: false,
  clientVariables: [...(host.clientVariables ?? []), 'STICKY', 'STICKY_FOLDER'],
  async prepare(ctx) { await stick(ctx, 'prepare'); return {}; },
  async launch(ctx, spec) {
    runs += 1;
    writeFileSync(box(ctx, spec.name), '');
    await stick(ctx, 'launch');
    return host.launch(ctx, spec);
  },
  async *exec(ctx, handle, command) {
    await stick(ctx, 'work');
    yield* host.exec(ctx, handle, command);
  },
  async collect(ctx) { await stick(ctx, 'collect'); },
  async destroy(ctx, handle) {
    await stick(ctx, 'destroy');
    rmSync(box(ctx, handle.name), { force: true });
    return host.destroy(ctx, handle);
  },
  async list(ctx): Promise<Listed[]> {
    const folder = ctx.env.STICKY_FOLDER ?? '';
    return readdirSync(folder).filter((name) => name.startsWith('box-')).map((name) => ({ id: name.slice(4), kind: 'box', labels: ctx.labels }));
  },
});
`;

let house: House;
beforeAll(async () => {
  house = await buildHouse({ 'modes/sticky.ts': STICKY_MODE }, { shellAgent: true });
});
afterAll(() => house.close());

async function interrupt(phase: string, times: number, signal: NodeJS.Signals = 'SIGINT') {
  const place = standSomewhere();
  try {
    const child = startCagematch(
      house,
      ['run', 'sticky', '--runs', '4', '--warmup', '0', '--model', 'replay', '--json', 'out.json'],
      {
        cwd: place.cwd,
        env: { STICKY: phase, STICKY_FOLDER: place.cwd, TMPDIR: place.cwd },
      },
    );
    await until(() => existsSync(join(place.cwd, 'stuck')));
    for (let press = 0; press < times; press += 1) child.kill(signal);
    const { exitCode, stderr } = await child;
    const [match] = existsSync(join(place.cwd, 'results'))
      ? readdirSync(join(place.cwd, 'results'))
      : [];
    const events =
      match === undefined
        ? []
        : parseEvents(readFileSync(join(place.cwd, 'results', match, 'events.jsonl'), 'utf8'));
    return {
      exitCode,
      stderr,
      events,
      left: readdirSync(place.cwd).filter((name) => /^(box|cagematch)-/.test(name)),
      json: existsSync(join(place.cwd, 'out.json')),
    };
  } finally {
    place.close();
  }
}

async function until(seen: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!seen()) {
    if (Date.now() > deadline) throw new Error('never happened');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/**
 * Once and twice, in two matches side by side: most of their time is waiting for what does not end.
 */
const onceAndTwice = (phase: string) =>
  Promise.all([1, 2].map(async (times) => ({ times, ...(await interrupt(phase, times)) })));

describe('Ctrl-C, pressed once or twice', () => {
  it.each(['launch', 'work', 'collect', 'destroy'])(
    'in %s: exit 130, the sandbox gone, the finished run kept',
    async (phase) => {
      for (const { times, exitCode, events, left, json } of await onceAndTwice(phase)) {
        expect({ times, exitCode, left, json }).toEqual({
          times,
          exitCode: 130,
          left: [],
          json: true,
        });
        const runs = events.filter((event) => event.type === 'run-ended');
        expect(runs[0]?.outcome).toEqual({ status: 'passed' });
        expect(events.at(-1)).toMatchObject({ type: 'match-ended', how: 'interrupted' });
      }
    },
  );

  it('in prepare: exit 130, nothing was launched', async () => {
    for (const { times, exitCode, events, left } of await onceAndTwice('prepare')) {
      expect({ times, exitCode, left }).toEqual({ times, exitCode: 130, left: [] });
      expect(events.filter((event) => event.type === 'run-started')).toEqual([]);
      expect(events.at(-1)).toMatchObject({ type: 'match-ended', how: 'interrupted' });
    }
  });
});

it('SIGTERM ends a match as Ctrl-C does', async () => {
  const { exitCode, left } = await interrupt('work', 1, 'SIGTERM');
  expect(exitCode).toBe(130);
  expect(left).toEqual([]);
});

/** `script` (util-linux) is a terminal that can be taken away. */
const terminal = which('script', { PATH: process.env.PATH ?? '' });
it.skipIf(terminal === undefined || process.platform !== 'linux')(
  'a terminal that is closed ends a match as Ctrl-C does, although nothing can be said any more',
  async () => {
    const place = standSomewhere();
    try {
      const out = join(place.cwd, 'results');
      const argv = [
        process.execPath,
        join(house.root, 'dist/cli.js'),
        'run',
        'sticky',
        '--runs',
        '4',
        '--warmup',
        '0',
        '--model',
        'replay',
        '--out',
        out,
      ].join(' ');
      const child = execa(
        terminal as string,
        ['--quiet', '--command', `exec ${argv}`, '/dev/null'],
        {
          cwd: place.cwd,
          env: { STICKY: 'work', STICKY_FOLDER: place.cwd, TMPDIR: place.cwd },
          reject: false,
          stdin: 'ignore',
        },
      );
      await until(() => existsSync(join(place.cwd, 'stuck')));
      child.kill('SIGKILL');
      await child;
      const [match = ''] = readdirSync(join(place.cwd, 'results'));
      const last = () =>
        parseEvents(readFileSync(join(place.cwd, 'results', match, 'events.jsonl'), 'utf8')).at(-1);
      await until(() => last()?.type === 'match-ended');
      expect(last()).toMatchObject({ how: 'interrupted' });
      await until(() => !readdirSync(place.cwd).some((name) => /^(box|cagematch)-/.test(name)));
    } finally {
      // What would not end by itself.
      await execa('pkill', ['-KILL', '-f', place.cwd], { reject: false });
      place.close();
    }
  },
);
