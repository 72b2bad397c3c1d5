// Which rows a match has, what is told of those it lacks, and in which order its rounds run them.
import { describe, expect, test } from 'vitest';
import type { Detection, Mode } from '../../lib/contract.js';
import { type Asked, checkAnything, checkRequired, planMatch } from '../../lib/match/plan.js';
import type { Detected } from '../../lib/sandbox/detect.js';
import { loadModes, parseWanted } from '../../lib/sandbox/registry.js';
import { rounds } from '../../lib/sandbox/rounds.js';
import { thrownBy } from '../support/thrown.js';

const registry = await loadModes();

const ready = (variants: string[] = [], version = '1.0'): Detection => ({
  status: 'ready',
  version,
  facts: { of: 'this machine' },
  variants: variants.map((id) => ({ id, isolation: 'user-kernel' })),
});
const absent: Detection = { status: 'absent', reason: 'no such command', hint: 'install it' };

function detected(answers: Record<string, Detection>): Detected[] {
  return Object.entries(answers).map(([id, detection]) => ({
    mode: parseWanted(registry, id).mode,
    detection,
    runtimeState: { of: 'this machine' },
  }));
}

const HERE = detected({
  host: ready(),
  docker: ready(['runsc', 'kata']),
  podman: ready(),
  incus: absent,
});

function planned(
  wanted: (string | Asked)[],
  required: string[] = [],
  here = HERE,
  otherwise?: Parameters<typeof planMatch>[4],
) {
  const requested = wanted.map((item) => (typeof item === 'string' ? { name: item } : item));
  const plan = planMatch(registry, here, requested, required, otherwise);
  return { plan, rows: plan.entries.map((entry) => entry.entry) };
}

describe('the rows', () => {
  test('are, when none is named, everything that is ready, variants included, the baseline first', () => {
    const { plan, rows } = planned([]);
    expect(rows[0]).toBe('host');
    expect([...rows].sort()).toEqual(['docker', 'docker:kata', 'docker:runsc', 'host', 'podman']);
    expect(plan.missing).toEqual([]);
  });

  test('are only what is named, when something is; a mode named is that mode without its variants', () => {
    expect(planned(['docker']).rows).toEqual(['docker']);
    expect(planned(['docker:runsc', 'host']).rows).toEqual(['host', 'docker:runsc']);
  });

  test('a variant has the isolation that it was detected with, and the state of its mode', () => {
    const [entry] = planned(['docker:runsc']).plan.entries;
    expect(entry).toMatchObject({
      entry: 'docker:runsc',
      mode: 'docker',
      variant: 'runsc',
      isolation: 'user-kernel',
      runtimeState: { of: 'this machine' },
      required: false,
      standIn: false,
    });
    expect(planned(['docker']).plan.entries[0]).toMatchObject({ isolation: 'container' });
    expect(planned(['docker']).plan.entries[0]).not.toHaveProperty('variant');
  });

  test('without a variant have the isolation that this machine’s settings make it, where that is another than declared', () => {
    const here = detected({
      docker: { ...(ready(['runsc']) as object), isolation: 'user-kernel' } as Detection,
    });
    expect(planned(['docker'], [], here).plan.entries[0]).toMatchObject({
      isolation: 'user-kernel',
    });
  });

  test('of a runtime whose exec stays outside of its walls are not warm, and say why', () => {
    const small = { id: 'krun', isolation: 'microvm', mainProcessOnly: true } as const;
    const here = detected({ docker: { ...ready(['runsc']), variants: [small] } as Detection });
    expect(planned(['docker:krun'], [], here).rows).toEqual(['docker:krun']);
    const warm = planned(['docker:krun'], [], here, { state: 'warm', task: 'hello' });
    expect(warm.plan).toMatchObject({
      entries: [],
      missing: [
        {
          entry: 'docker:krun',
          reason: "what is exec'd in a sandbox of it that idles runs outside of its walls",
          hint: '--state prepared',
        },
      ],
    });
  });

  test('stand one time each, however often and in whatever spelling they are named', () => {
    expect(planned(['docker', 'docker', 'docker:', 'docker:runsc', 'docker:runsc']).rows).toEqual([
      'docker',
      'docker:runsc',
    ]);
    expect(planned(['host'], ['host']).rows).toEqual(['host']);
  });

  test('a stand-in is known as one', () => {
    const [entry] = planned(['docker'], [], detected({ docker: ready([], '28.0 (stand-in)') })).plan
      .entries;
    expect(entry).toMatchObject({ standIn: true });
  });
});

describe('what is required', () => {
  test('joins what is named, and is marked', () => {
    const { plan, rows } = planned(['docker'], ['podman']);
    expect(rows).toEqual(['docker', 'podman']);
    expect(plan.entries.map((entry) => entry.required)).toEqual([false, true]);
  });

  test('joins everything that is ready, when nothing is named', () => {
    const { plan } = planned([], ['docker:runsc']);
    expect(plan.entries.filter((entry) => entry.required).map((entry) => entry.entry)).toEqual([
      'docker:runsc',
    ]);
    expect(plan.entries.length).toBe(5);
  });

  test('is required in whatever spelling', () => {
    expect(planned(['docker'], ['docker:']).plan.entries).toMatchObject([
      { entry: 'docker', required: true },
    ]);
  });

  test('and missing ends the match, naming all that is missing, with the first one’s hint', () => {
    const { plan } = planned([], ['incus', 'docker:krun', 'podman']);
    expect(plan.missing.map(({ entry, required }) => [entry, required])).toEqual([
      ['incus', true],
      ['docker:krun', true],
    ]);
    expect(thrownBy(() => checkRequired(plan))).toMatchObject({
      code: 'not-ready',
      message:
        'required but not ready: incus: no such command; docker:krun: Docker here has no variant krun',
      hint: 'install it',
    });
  });

  test('and there is no error', () => {
    expect(() => checkRequired(planned([], ['docker']).plan)).not.toThrow();
    expect(() => checkRequired(planned(['incus', 'docker']).plan)).not.toThrow();
  });
});

describe('rows under labels', () => {
  test('are rows of their own, of the same mode and variant', () => {
    const { plan, rows } = planned(['docker@b', 'docker@a', 'docker:runsc@a', 'docker', 'host']);
    expect(rows).toEqual(['host', 'docker', 'docker@a', 'docker@b', 'docker:runsc@a']);
    expect(plan.entries[4]).toMatchObject({
      mode: 'docker',
      variant: 'runsc',
      label: 'a',
      isolation: 'user-kernel',
    });
    expect(plan.entries[2]).toMatchObject({
      mode: 'docker',
      label: 'a',
      runtimeState: { of: 'this machine' },
    });
    expect(plan.entries[2]).not.toHaveProperty('variant');
    expect(plan.entries[1]).not.toHaveProperty('label');
  });

  test('stand one time each, as rows without labels do', () => {
    expect(planned(['docker@a', 'docker@a', 'docker:@a']).rows).toEqual(['docker@a']);
  });

  test('are left out under their whole name', () => {
    expect(
      planned(['incus@a', 'docker:krun@a']).plan.missing.map(({ entry, mode }) => [entry, mode]),
    ).toEqual([
      ['incus@a', 'incus'],
      ['docker:krun@a', 'docker'],
    ]);
  });

  test.each([
    ['docker@', 'docker@: there is no label after the @', 'docker@a'],
    ['docker:runsc@', 'docker:runsc@: there is no label after the @', 'docker:runsc@a'],
    ['docker@a@b', 'docker@a@b: a label is made of letters, digits and dashes', 'docker@a'],
    ['docker@-a', 'docker@-a: a label is made of letters, digits and dashes', 'docker@a'],
    ['docker@a:runsc', 'docker@a:runsc: a label is made of letters, digits and dashes', 'docker@a'],
    ['docker@a b', 'docker@a b: a label is made of letters, digits and dashes', 'docker@a'],
    ['dokcer@a', 'unknown mode: dokcer@a', 'did you mean docker?'],
  ])('with an odd label are bad input: %j', (name, message, hint) => {
    expect(thrownBy(() => planned([name]))).toMatchObject({ code: 'bad-input', message, hint });
  });

  const requiredOf = (wanted: string[], required: string[]) =>
    planned(wanted, required).plan.entries.map(({ entry, required: is }) => [entry, is]);

  test('are what a required name without a label means: no further row joins', () => {
    expect(requiredOf(['docker@a', 'docker@b', 'docker:runsc@a'], ['docker'])).toEqual([
      ['docker@a', true],
      ['docker@b', true],
      ['docker:runsc@a', false],
    ]);
    expect(requiredOf(['docker@a', 'docker:runsc@a'], ['docker:runsc'])).toEqual([
      ['docker@a', false],
      ['docker:runsc@a', true],
    ]);
  });

  test('can be required one by one; one that was not entered joins', () => {
    expect(requiredOf(['docker@a', 'docker@b'], ['docker@b'])).toEqual([
      ['docker@a', false],
      ['docker@b', true],
    ]);
    expect(requiredOf(['docker'], ['docker@b'])).toEqual([
      ['docker', false],
      ['docker@b', true],
    ]);
  });

  test('that are required and missing end the match', () => {
    expect(
      thrownBy(() => checkRequired(planned(['incus@a', 'host'], ['incus']).plan)).message,
    ).toMatch(/required but not ready: incus@a/);
  });
});

describe('the state of a row', () => {
  const warm = { state: 'warm', task: 'hello' } as const;
  const cold = { state: 'cold', task: 'hello' } as const;
  const known = (id: string, overrides: Partial<Mode> = {}): Detected => ({
    mode: { ...parseWanted(registry, id).mode, ...overrides },
    detection: ready(),
    runtimeState: undefined,
  });
  const statesOf = (plan: ReturnType<typeof planMatch>) =>
    plan.entries.map(({ entry, state }) => `${entry} ${state}`);

  test('is that of the match, unless the row has one of its own', () => {
    const { plan } = planned(['docker@a', { name: 'docker@b', state: 'warm' }], [], HERE, cold);
    expect(statesOf(plan)).toEqual(['docker@a cold', 'docker@b warm']);
    expect(statesOf(planned(['docker']).plan)).toEqual(['docker prepared']);
  });

  test('is no warm one where the workspace is copied when the sandbox is made', () => {
    const { plan } = planned(['fly', 'docker'], [], [known('fly'), known('docker')], warm);
    expect(statesOf(plan)).toEqual(['docker warm']);
    expect(plan.missing).toMatchObject([
      {
        entry: 'fly',
        mode: 'fly',
        reason: expect.stringMatching(/workspace/),
        hint: '--state prepared',
        required: false,
      },
    ]);
  });

  test('is no cold one where the image cannot be taken away; a mode without an image stays', () => {
    const here = [known('host'), known('docker'), known('fly')];
    const { plan } = planned([], [], here, cold);
    expect(statesOf(plan)).toEqual(['host cold', 'docker cold']);
    expect(plan.missing).toMatchObject([{ entry: 'fly', hint: '--state prepared' }]);
  });

  test('that a required row cannot be in ends the match', () => {
    expect(
      thrownBy(() => checkRequired(planned([], ['fly'], [known('fly')], warm).plan)),
    ).toMatchObject({ code: 'not-ready' });
  });
});

test('options and task of a row go with it', () => {
  const { plan } = planned([
    { name: 'docker@a', options: { cpus: 1.5, tmpfs: true }, task: 'hello' },
    'docker@b',
  ]);
  expect(plan.entries.map(({ options, task }) => [options, task])).toEqual([
    [{ cpus: 1.5, tmpfs: true }, 'hello'],
    [{}, 'hello'],
  ]);
});

describe('several tasks', () => {
  const both = { state: 'prepared', task: 'hello', taskIds: ['hello', 'my.task'] } as const;

  test('give every row that has no task of its own one row for each, labelled by it', () => {
    const { plan } = planned(
      ['host', 'docker@a', { name: 'podman', task: 'hello' }],
      [],
      HERE,
      both,
    );
    expect(plan.entries.map(({ entry, task }) => [entry, task])).toEqual([
      ['host@hello', 'hello'],
      ['host@my-task', 'my.task'],
      ['docker@a-hello', 'hello'],
      ['docker@a-my-task', 'my.task'],
      ['podman', 'hello'],
    ]);
  });

  test('are both required where the mode is', () => {
    const { plan } = planned(['host'], ['docker'], HERE, both);
    expect(plan.entries.filter(({ required }) => required).map(({ entry }) => entry)).toEqual([
      'docker@hello',
      'docker@my-task',
    ]);
  });
});

describe('what is missing', () => {
  test('is told with its reason when it was named, and not otherwise', () => {
    expect(planned(['incus', 'host']).plan).toMatchObject({
      entries: [{ entry: 'host' }],
      missing: [{ entry: 'incus', reason: 'no such command', hint: 'install it', required: false }],
    });
  });

  test('a variant that is not here is told with those that are', () => {
    expect(planned(['docker:krun']).plan.missing).toMatchObject([
      { hint: 'variants here: docker:runsc docker:kata' },
    ]);
    expect(planned(['podman:krun']).plan.missing).toMatchObject([
      { hint: 'register krun with Podman' },
    ]);
  });

  test('more than one colon is no variant that happens to begin so', () => {
    expect(planned(['docker:runsc:fast']).plan).toMatchObject({
      entries: [],
      missing: [{ entry: 'docker:runsc:fast' }],
    });
  });

  test('a match with no row at all says why', () => {
    expect(thrownBy(() => checkAnything(planned(['incus']).plan))).toMatchObject({
      code: 'not-ready',
      message: 'nothing to run: incus: no such command',
      hint: 'install it',
    });
    expect(thrownBy(() => checkAnything(planned([], [], []).plan))).toMatchObject({
      message: 'nothing to run: no runtime is ready',
    });
    expect(() => checkAnything(planned(['incus', 'host']).plan)).not.toThrow();
  });
});

describe('a name that is unknown', () => {
  test.each([
    ['dokcer', 'did you mean docker?'],
    ['podmann:rootless', 'did you mean podman?'],
    ['xxxxxxxxxxxx', expect.stringMatching(/^modes: host /)],
    ['', expect.stringMatching(/./)],
  ])('is told with the nearest, or with all: %j', (name, hint) => {
    expect(thrownBy(() => planned([name]))).toMatchObject({
      code: 'bad-input',
      message: `unknown mode: ${name}`,
      hint,
    });
  });

  test('of a thing that every object has is unknown too', () => {
    expect(thrownBy(() => planned(['constructor'])).message).toBe('unknown mode: constructor');
  });
});

describe('the rounds', () => {
  const names = ['host', 'native', 'docker', 'podman', 'incus'];
  const order = (seed: number, count = 10, entries = names) => [...rounds(seed, count, entries)];

  test('run every row once each, and are the same for the same seed', () => {
    for (let seed = 0; seed < 50; seed += 1) {
      const all = order(seed);
      expect(all).toHaveLength(10);
      for (const round of all) expect([...round].sort()).toEqual([...names].sort());
      expect(order(seed)).toEqual(all);
      expect(order(seed, 3), 'fewer rounds are the first of more').toEqual(all.slice(0, 3));
    }
  });

  test('differ from round to round, and from seed to seed', () => {
    const seeds = Array.from({ length: 50 }, (_, seed) => JSON.stringify(order(seed)));
    expect(new Set(seeds).size).toBe(50);
    for (let seed = 0; seed < 50; seed += 1)
      expect(new Set(order(seed).map(String)).size).toBeGreaterThan(1);
  });

  test('give every row its share of every place', () => {
    const firsts = new Map<string, number>();
    const lasts = new Map<string, number>();
    for (let seed = 0; seed < 50; seed += 1) {
      for (const round of order(seed, 20)) {
        firsts.set(round[0] ?? '', (firsts.get(round[0] ?? '') ?? 0) + 1);
        lasts.set(round.at(-1) ?? '', (lasts.get(round.at(-1) ?? '') ?? 0) + 1);
      }
    }
    // 1000 rounds, 5 rows: 200 each; six standard deviations are 76.
    for (const counts of [firsts, lasts])
      for (const name of names)
        expect(Math.abs((counts.get(name) ?? 0) - 200), `${name} ${counts.get(name)}`).toBeLessThan(
          76,
        );
  });

  test('leave the list of rows as it was', () => {
    const entries = Object.freeze([...names]);
    expect(() => order(1, 5, [...entries])).not.toThrow();
    expect(order(1, 0)).toEqual([]);
    expect(order(1, 2, [])).toEqual([[], []]);
    expect(order(1, 2, ['one'])).toEqual([['one'], ['one']]);
  });
});
