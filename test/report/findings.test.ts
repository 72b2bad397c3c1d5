// Findings: their numbers come from records, and a sentence that does not follow from its record is
// refused.
import { describe, expect, test } from 'vitest';
import {
  check,
  type Findings,
  fill,
  findingsSchema,
  renderFindings,
  undeclaredNumbers,
  viewOfMatch,
  viewOfProbe,
} from '../../lib/report/findings.js';
import { burstOf, HOST, madeMatch } from '../support/hand-made-match.js';
import { sampleProbe } from '../support/sample-probe.js';

const MATCH = madeMatch(
  { host: HOST, 'docker:runsc': { isolation: 'user-kernel', startup: 800 } },
  { extraEvents: burstOf('host', { 1: 60, 2: 90 }, 6) },
);
const VIEWS = new Map([
  ['m', viewOfMatch(MATCH)],
  ['p', viewOfProbe(sampleProbe())],
]);
const ID = '20261121-040000-abcd';

describe('a sentence', () => {
  const host = MATCH.modes[0]?.startupMs as { median: number; ci95: [number, number] };

  test('takes its numbers from a record, in the form that is asked for', () => {
    const [low, high] = host.ci95.map(Math.round);
    expect(fill('`host` {m.rows.host.startupMs | ms}.', VIEWS)).toBe(
      `\`host\` ${Math.round(host.median)} ms [${low}–${high}].`,
    );
    expect(fill('{m.rows.docker:runsc.startupMs / m.rows.host.startupMs | times}', VIEWS)).toBe(
      '2.00',
    );
    expect(fill('{m.pairs.host.docker:runsc | ratio}', VIEWS)).toMatch(
      /^0\.50 \[0\.\d\d–0\.\d\d\]$/,
    );
    expect(fill('{m.burst.host.2.runsPerMinute | rate}', VIEWS)).toMatch(/^90 \[90–90\]$/);
    expect(fill('{m.id | text}, {p.all.rows | count} rows', VIEWS)).toMatch(
      /^20261121-040000-abcd, \d+ rows$/,
    );
  });

  test.each([
    ['{x.rows.host.startupMs | ms}', 'no record is called x'],
    ['{m.rows.podman.startupMs | ms}', 'there is no podman'],
    ['{m.rows.host.startupMs | furlongs}', 'no format is called furlongs'],
    ['{m.rows.host.startupDifferenceMs.ci95 | ms}', 'it is no number'],
    ['{m.rows.host.imageMs | ms}', 'it is a gap (not-reached)'],
  ])('is refused where its number is not there: %s', (template, message) => {
    expect(() => fill(template, VIEWS)).toThrow(
      expect.objectContaining({ code: 'bad-input', message: expect.stringContaining(message) }),
    );
  });

  test('may hold no digit that comes from nowhere, except in a declared name', () => {
    expect(undeclaredNumbers('two of {m.all.n | count} on Debian 12', ['Debian 12'])).toEqual([]);
    expect(undeclaredNumbers('96 runs, Debian 13', ['Debian 12'])).toEqual(['96', '13']);
  });
});

describe('a claim', () => {
  test.each([
    'm.rows.host.sync.live = yes',
    'm.rows.host.startupMs < m.rows.docker:runsc.startupMs',
    'm.all.n > 19',
    'm.match.rounds = 10',
  ])('that holds passes: %s', (claim) => {
    expect(() => check(claim, VIEWS)).not.toThrow();
  });

  test.each([
    ['m.rows.host.sync.live = no', 'it does not hold'],
    ['m.rows.host.startupMs > m.rows.docker:runsc.startupMs', 'it does not hold'],
    ['m.rows.host.startupMs', 'a claim is written'],
  ])('that does not is refused: %s', (claim, message) => {
    expect(() => check(claim, VIEWS)).toThrow(message);
  });
});

describe('the findings', () => {
  const file = (finding: object): Findings =>
    findingsSchema.parse({
      records: { m: ID },
      overview: { record: 'm', probe: 'p', task: 'hello', caption: 'c', goodFor: {} },
      example: { record: 'm', command: 'npm start', caption: 'c' },
      findings: [{ question: 'How long?', ...finding }],
    });

  test('are questions, each with the record that answers it; what is open comes last', () => {
    expect(
      renderFindings(file({ answer: '{m.all.rows | count} rows.', open: 'More rows.' }), VIEWS),
    ).toBe(`### How long?\n\n2 rows. Open: More rows. (Match \`${ID}\`.)`);
    const open = renderFindings(file({ open: 'A machine.' }), VIEWS);
    expect(open).toMatch(/^### Open: /);
    expect(open).toContain('\n- **How long?** A machine.');
    const both = file({ answer: '{m.id | text}' });
    expect(
      renderFindings(
        { ...both, findings: [...file({ open: 'x' }).findings, ...both.findings] },
        VIEWS,
      ),
    ).toMatch(/^### How long\?[\s\S]*\n\n### Open: /);
  });

  test('begin with the answer in plain words, and name probes as what they are', () => {
    const given = {
      ...file({
        short: 'Longer in {p.all.rows | count} rows.',
        answer: '{m.all.rows | count} rows.',
      }),
    };
    const records = { ...given.records, p: '20261121-100000-beef' };
    expect(renderFindings({ ...given, records }, VIEWS)).toBe(
      `### How long?\n\n**Longer in 7 rows.** 2 rows. (Probe \`20261121-100000-beef\`, match \`${ID}\`.)`,
    );
  });

  test('keep a table apart from the words around it, and name a record with two names once', () => {
    const given = file({
      short: 'Long.',
      answer: '| a |\n| --- |\n| {m.all.rows | count} {same.all.rows | count} |',
    });
    const views = new Map([...VIEWS, ['same', viewOfMatch(MATCH)]]);
    expect(renderFindings({ ...given, records: { m: ID, same: ID } }, views)).toBe(
      `### How long?\n\n**Long.**\n\n| a |\n| --- |\n| 2 2 |\n\n(Match \`${ID}\`.)`,
    );
  });

  test.each([
    [{ answer: '400 ms, see {m.id | text}' }, '400 comes from no record'],
    [{ short: 'In 400 ms.', answer: '{m.id | text}' }, '400 comes from no record'],
    [{ open: 'A machine.', holds: ['m.all.rows = 3'] }, 'it does not hold'],
    [{ open: 'within 5 days' }, '5 comes from no record'],
    [{ answer: 'not long' }, 'no record answers it'],
    [{ answer: '{m.id | text}', holds: ['m.all.rows = 3'] }, 'it does not hold'],
  ])('are refused where a sentence does not follow: %j', (finding, message) => {
    expect(() => renderFindings(file(finding), VIEWS)).toThrow(message);
  });
});
