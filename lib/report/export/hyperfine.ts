// The match in hyperfine's export format, so that hyperfine's plotting scripts can draw it.
import { mean, sampleStandardDeviation } from 'simple-statistics';
import { jsonDocument } from '../../json.js';
import type { Report } from '../document.js';
import type { Fold } from '../fold.js';
import { measured, type Tally } from '../tally.js';

/**
 * `times` are the `total` of the runs that passed, in seconds: the time measured by a shell that
 * waits for the whole command. Rows without such runs are left out. `user` and `system` are the
 * sandbox's own, null if they were not captured.
 */
export function renderHyperfine(report: Report, tallyOf: Fold['tallyOf']): string {
  const results = report.modes.flatMap((mode) => {
    const total = mode.phasesMs.total;
    const tally = tallyOf(mode.entry);
    if (total === undefined || 'gap' in total || tally === undefined) return [];
    const times = total.samples.map((ms) => ms / 1000);
    const memory = wholeColumn(tally, 'memoryPeakBytes');
    return [
      {
        command: mode.standIn ? `${mode.entry} (stand-in)` : mode.entry,
        mean: mean(times),
        stddev: times.length > 1 ? sampleStandardDeviation(times) : null,
        median: total.median / 1000,
        user: meanSeconds(tally, 'cpuUserMs'),
        system: meanSeconds(tally, 'cpuSystemMs'),
        min: total.min / 1000,
        max: total.max / 1000,
        times,
        ...(memory === undefined ? {} : { memory_usage_byte: memory }),
        // A run whose agent exited with another code did not pass.
        exit_codes: times.map(() => 0),
        parameters: {},
      },
    ];
  });
  return jsonDocument({ results });
}

function meanSeconds(tally: Tally, name: 'cpuUserMs' | 'cpuSystemMs'): number | null {
  const values = measured(tally.quantity(name));
  return values.length === 0 ? null : mean(Array.from(values)) / 1000;
}

/** Undefined unless every run has a value: hyperfine matches this list with `times` by index. */
function wholeColumn(tally: Tally, name: 'memoryPeakBytes'): number[] | undefined {
  const values = tally.quantity(name);
  return values.length === 0 ||
    values.some(Number.isNaN) ||
    tally.quantity('total').some(Number.isNaN)
    ? undefined
    : Array.from(values);
}
