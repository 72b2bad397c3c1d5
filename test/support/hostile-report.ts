// The sample report with hostile words wherever words of others can stand.
import type { ModeReport, Report } from '../../lib/report/document.js';
import { sampleReport } from './sample-report.js';

/** What outsiders could have put into a report, and what must not come of it. */
export const HOSTILE =
  '</style></script><script>window.broken=1</script><img src="http://127.0.0.1:1/x.png" onerror="window.broken=1">" onmouseover="window.broken=1\' &lt;b&gt; <svg><a xlink:href="javascript:1">';
const TURNED = 'end\u202Eexe.txt\u0007\u001b[31mred\u001b[0m\u0000\ud800';
export const LONG = 'a-very-long-name-without-a-single-blank-'.repeat(8);

/** The sample, with hostile words wherever words of others can stand. */
export function hostileReport(): Report {
  const report = sampleReport(3);
  const [first, second] = report.modes as [ModeReport, ModeReport];
  const renamed = `docker@${HOSTILE}`;
  const long = `docker@${LONG}`;
  const rename = (entry: string) =>
    entry === first.entry ? renamed : entry === second.entry ? long : entry;
  const modes = report.modes.map((mode) => ({ ...mode, entry: rename(mode.entry) }));
  const [a, b] = modes as [ModeReport, ModeReport];
  Object.assign(a, {
    title: HOSTILE,
    image: HOSTILE,
    task: HOSTILE,
    options: { network: HOSTILE },
    detection: { status: 'ready', version: HOSTILE, facts: { [HOSTILE]: HOSTILE, turned: TURNED } },
    auth: { path: 'env', delivered: HOSTILE },
    leftovers: [{ kind: HOSTILE, id: HOSTILE }],
    planted: [{ run: HOSTILE, path: `${HOSTILE} ${TURNED}`, how: 'added', link: LONG }],
    failures: [
      {
        run: HOSTILE,
        outcome: {
          status: 'failed',
          cause: 'agent',
          message: `${HOSTILE} ${TURNED} ${LONG}`,
          hint: HOSTILE,
        },
      },
    ],
  });
  b.image = LONG;
  b.outliers = [{ run: HOSTILE, ms: 912.4 }];
  return {
    ...report,
    modes,
    match: {
      ...report.match,
      id: HOSTILE,
      startedAt: HOSTILE,
      modelWhy: `${HOSTILE} ${TURNED}`,
      task: LONG,
      baseline: renamed,
      versions: { ...report.match.versions, [HOSTILE]: HOSTILE },
      host: { ...report.match.host, cpu: LONG, kernel: HOSTILE },
    },
    absent: [
      { entry: HOSTILE, letter: 'B', title: LONG, status: 'absent', reason: HOSTILE, hint: LONG },
    ],
    comparisons: report.comparisons.map((pair) => ({
      ...pair,
      a: rename(pair.a),
      b: rename(pair.b),
    })),
    burst: report.burst.map((item) => ({
      ...item,
      entry: rename(item.entry),
      leftOut: [{ level: 16, reason: HOSTILE }],
    })),
    recommendation: {
      pareto: [renamed, long],
      dominated: [{ entry: renamed, by: long }],
      breakEven: [{ entry: renamed, against: long, kind: 'negligible', workMs: 10, ci95: [9, 11] }],
      profiles: [
        {
          profile: 'short tasks',
          sentence: HOSTILE,
          rows: [renamed, 'no such row'],
          best: [renamed],
        },
      ],
      silent: [{ profile: HOSTILE, why: LONG }],
    },
    gaps: [
      { entry: renamed, value: HOSTILE, gap: HOSTILE },
      { entry: 'constructor', value: '__proto__', gap: 'constructor' },
    ],
    warnings: [
      { code: 'x', message: HOSTILE },
      { code: 'y', message: LONG },
    ],
  };
}
