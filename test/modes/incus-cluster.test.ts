// Incus past one host, on the rig's cluster of two members: runs are spread, the report tells the
// members apart, and a member that is lost takes only its own runs with it.
import { expect, onTestFinished, test, vi } from 'vitest';
import { fieldEnv } from '../../bench/field.js';
import type { Context } from '../../lib/contract.js';
import { type Asked, planMatch } from '../../lib/match/plan.js';
import { output } from '../../lib/os/capture.js';
import { newMatchId } from '../../lib/record/match-id.js';
import { renderTable } from '../../lib/report/terminal/table.js';
import { contextFor, createKeeper } from '../../lib/sandbox/context.js';
import { detectAll } from '../../lib/sandbox/detect.js';
import { loadModes } from '../../lib/sandbox/registry.js';
import { clusterEnv } from '../support/conformance/targets.js';
import { row, started } from '../support/hand-made-record.js';
import { reportOf } from '../support/report-of.js';
import { PASSED, runScriptedMatch } from '../support/scripted-match.js';

const env = clusterEnv(fieldEnv());
/** Cutting a cable takes one who may. */
const isRoot = process.getuid?.() === 0;

/** A match on the cluster, whose every event is looked at as it comes. */
async function matchOn(requested: Asked[], settings: Parameters<typeof runScriptedMatch>[1] = {}) {
  const keeper = createKeeper();
  onTestFinished(() => keeper.closeAll());
  const match = newMatchId();
  const base = {
    env: env ?? {},
    platform: process.platform,
    uid: process.getuid?.(),
    match,
    signal: new AbortController().signal,
    say: () => {},
  };
  const registry = await loadModes();
  const [mode] = [registry.get('incus')].filter((candidate) => candidate !== undefined);
  if (!mode) throw new Error('there is no mode incus');
  const detected = await detectAll([mode], (candidate) => contextFor(base, keeper, candidate));
  const { entries, missing } = planMatch(registry, detected, requested, []);
  expect(missing).toEqual([]);
  const contextOf = ({
    adapter,
    variant,
    options,
    runtimeState: state,
  }: (typeof entries)[number]): Context =>
    contextFor(base, keeper, adapter, { variant, options, state });
  const played = await runScriptedMatch(entries, {
    contextOf,
    matchId: match,
    timeoutMs: 100_000,
    ...settings,
  });
  const [entry] = entries;
  if (!entry) throw new Error('nothing was planned');
  const ours = async () =>
    (await entry.adapter.list(contextOf(entry))).filter(({ labels }) => labels.match === match);
  return { ...played, ours, adapter: entry.adapter, ctx: contextOf(entry) };
}

test.skipIf(!env)(
  'a burst is spread over the members, and the report says how each of them did',
  async () => {
    const { events, runs, ours } = await matchOn([{ name: 'incus' }], { concurrency: 4 });
    expect(runs.map(({ outcome }) => outcome)).toEqual(runs.map(() => PASSED));
    const placesAt = (level: number) =>
      runs.filter((run) => run.level === level).map(({ place }) => place);
    expect(placesAt(4).toSorted()).toEqual(['m1', 'm1', 'm2', 'm2']);
    expect(placesAt(2).toSorted()).toEqual(['m1', 'm2']);
    expect(await ours()).toEqual([]);
    const { report } = reportOf([
      started({ concurrency: 4 }),
      ...row('incus', { workspace: 'copy' }),
      ...events,
    ]);
    expect(report.places.filter(({ level }) => level === 4)).toMatchObject([
      { entry: 'incus', place: 'm1', n: 2, passed: 2 },
      { entry: 'incus', place: 'm2', n: 2, passed: 2 },
    ]);
    expect(renderTable(report)).toMatch(
      /^where the runs were\nmode +at once +on +passed +startup ms\nincus +1 +m[12] +1\/1 +\d+\n/m,
    );
  },
  180_000,
);

test.skipIf(!env)(
  'a target puts every run on that member',
  async () => {
    const { runs } = await matchOn([{ name: 'incus@there', options: { target: 'm2' } }], {
      runs: 2,
    });
    expect(runs.map(({ outcome, place }) => [outcome, place])).toEqual([
      [PASSED, 'm2'],
      [PASSED, 'm2'],
    ]);
  },
  120_000,
);

test.skipIf(!env)(
  'a target that is no member is refused before anything is launched, with those that there are',
  async () => {
    const { runs, eventsOf } = await matchOn([
      { name: 'incus@nowhere', options: { target: 'm9' } },
    ]);
    expect(runs).toEqual([]);
    expect(eventsOf('unprepared')).toMatchObject([
      { outcome: { message: 'the cluster has no member m9', hint: 'target: m1 | m2' } },
    ]);
  },
);

test.skipIf(!env || !isRoot)(
  'a member that is cut off in the middle of a burst takes only its own run with it: the match ends, blames it, and nothing stays',
  async () => {
    const cable = (state: 'up' | 'down') =>
      output(['ip', '-n', 'cagematch-lan', 'link', 'set', 'm2', state], {
        env: env ?? {},
        timeoutMs: 10_000,
        code: 'not-ready',
      });
    onTestFinished(async () => void (await cable('up')));
    let cut: Promise<unknown> | undefined;
    let working = 0;
    const { runs, ours, adapter, ctx, eventsOf, events } = await matchOn([{ name: 'incus' }], {
      runs: 2,
      concurrency: 2,
      onEvent(event) {
        // Both of a wave are at work, one on each member.
        if (event.type === 'phase' && event.phase === 'work' && event.run.includes('*2.'))
          working += 1;
        if (working === 2) cut ??= cable('down');
      },
    });
    await cut;
    const lost = runs.filter(({ outcome }) => outcome.status === 'failed');
    expect(lost).toMatchObject([
      {
        level: 2,
        place: 'm2',
        outcome: { cause: 'sandbox', message: expect.stringMatching(/member m2 is lost: /) },
      },
    ]);
    // Two rounds of one run and of two at once; from then on all are on the member that is left.
    expect(runs).toHaveLength(6);
    const after = runs.slice(runs.indexOf(lost[0] as (typeof runs)[number]) + 1);
    expect(new Set(after.map(({ place }) => place))).toEqual(new Set(['m1']));
    const { report } = reportOf([
      started({ concurrency: 2 }),
      ...row('incus', { workspace: 'copy' }),
      ...events,
    ]);
    expect(
      report.places
        .filter(({ place }) => place === 'm2')
        .reduce((failed, { n, passed }) => failed + n - passed, 0),
    ).toBe(1);
    expect(report.burst[0]?.levels.find(({ level }) => level === 2)).toMatchObject({
      n: 4,
      passed: 3,
    });
    // What cannot be removed is told, not forgotten …
    const [left] = await ours();
    expect(lost[0]?.leftovers).toMatchObject([{ kind: 'instance', id: left?.id }]);
    expect(eventsOf('warning').map(({ message }) => message)).toContainEqual(
      expect.stringContaining(left?.id ?? ''),
    );
    // … and is found when the member is back, by whoever cleans up.
    await cable('up');
    const back = expect.objectContaining({
      id: left?.id,
      labels: expect.objectContaining({ owner: expect.any(String) }),
    });
    await vi.waitFor(async () => expect(await adapter.list(ctx)).toContainEqual(back), {
      timeout: 30_000,
      interval: 250,
    });
    for (const item of await ours()) await adapter.reap(ctx, item);
    expect(await ours()).toEqual([]);
  },
  240_000,
);
