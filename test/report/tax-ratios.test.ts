// What loops told, folded into multiples of the baseline: numbers made by hand.
import { expect, test } from 'vitest';
import type { Gap } from '../../lib/record/types.js';
import { taxOf, type Worked } from '../../lib/report/probe/tax.js';

/** A row's times of one kind, a round a value. */
const row = (
  entry: string,
  times: (number | Gap['gap'] | undefined)[],
  probe = 'cpu-hash',
  detail = 'it would not',
): Worked[] =>
  times.flatMap((time, index) => {
    if (time === undefined) return [];
    const measured =
      typeof time === 'number' ? { opMs: time, ops: 5 } : { opMs: { gap: time }, detail };
    return [{ entry, round: index + 1, work: { probe, ...measured } }];
  });

test('a ratio is the median of the ratios of pairs, not of the medians', () => {
  // Medians: 3 over 2. Pairs: 3, 3, 1/3.
  const { slow } = taxOf([...row('base', [1, 2, 9]), ...row('slow', [3, 6, 3])], 'base', 1);
  expect(slow).toEqual([{ probe: 'cpu-hash', ratio: 3, ci95: { gap: 'too-few-runs' }, n: 3 }]);
});

test('the baseline is one time itself, with the interval of that', () => {
  const six = [1, 2, 3, 4, 5, 6];
  expect(taxOf(row('base', six), 'base', 1)).toEqual({
    base: [{ probe: 'cpu-hash', ratio: 1, ci95: [1, 1], n: 6 }],
  });
});

test('six pairs have an interval, five have none', () => {
  const base = [1, 1, 1, 1, 1, 1];
  const six = taxOf(
    [...row('base', base), ...row('slow', [2, 2.1, 2.2, 2.3, 2.4, 9])],
    'base',
    1,
  ).slow;
  // At six the exact interval reaches from the least to the most.
  expect(six).toEqual([{ probe: 'cpu-hash', ratio: 2.25, ci95: [2, 9], n: 6 }]);
  const five = taxOf(
    [...row('base', base), ...row('slow', [2, 2.1, 2.2, 2.3, 2.4])],
    'base',
    1,
  ).slow;
  expect(five).toMatchObject([{ ratio: 2.2, ci95: { gap: 'too-few-runs' }, n: 5 }]);
});

test('a gap, or a round that one of the two does not have, makes no pair and no number', () => {
  const worked = [
    ...row('base', [1, 'not-reached', 1, 1]),
    ...row('slow', [2, 5, 'not-reached', undefined, 7]),
  ];
  expect(taxOf(worked, 'base', 1).slow).toEqual([
    { probe: 'cpu-hash', ratio: 2, ci95: { gap: 'too-few-runs' }, n: 1 },
  ]);
});

test("a row that has no number keeps its own cause, whatever the baseline's", () => {
  const own = row('slow', ['not-applicable', 'not-applicable'], 'dns', 'no server');
  const gaps = [{ probe: 'dns', gap: 'not-applicable', detail: 'no server' }];
  expect(taxOf([...row('base', [1, 1], 'dns'), ...own], 'base', 1).slow).toEqual(gaps);
  expect(taxOf([...row('base', ['not-reached'], 'dns'), ...own], 'base', 1).slow).toEqual(gaps);
  expect(taxOf(own, undefined, 1).slow).toEqual(gaps);
});

test('without a number of the baseline to hold it against a number is a gap that says why', () => {
  const slow = row('slow', [2, 2]);
  expect(taxOf(slow, undefined, 1)).toEqual({ slow: [{ probe: 'cpu-hash', gap: 'no-baseline' }] });
  const none = {
    probe: 'cpu-hash',
    gap: 'no-baseline',
    detail: 'the baseline has no number of the same round',
  };
  expect(taxOf(slow, 'base', 1)).toEqual({ slow: [none] });
  expect(taxOf([...slow, ...row('base', [undefined, undefined, 1])], 'base', 1).slow).toEqual([
    none,
  ]);
  expect(taxOf([...slow, ...row('base', ['not-reached', 'not-reached'])], 'base', 1).slow).toEqual([
    { ...none, detail: 'the baseline: it would not' },
  ]);
});

test('kinds stay apart, in the order in which a row told them', () => {
  const worked = [
    ...row('base', [1], 'dns'),
    ...row('base', [10], 'unpack'),
    ...row('slow', [30], 'unpack'),
    ...row('slow', [2], 'dns'),
  ];
  expect(taxOf(worked, 'base', 1).slow).toMatchObject([
    { probe: 'unpack', ratio: 3 },
    { probe: 'dns', ratio: 2 },
  ]);
});
