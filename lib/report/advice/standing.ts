// Which of two rows is less, as far as a match can tell: what the recommendation rests on.
import type { Isolation } from '../../contract.js';
import { isGap } from '../../record.js';
import type { ModeReport, Report } from '../document.js';

/**
 * What stands between the agent and this machine's kernel, as the runtimes declare it: nothing; a filter on its system calls;
 * namespaces, whose processes still call this kernel; a kernel in user space; a kernel of its own. A system container shares
 * this kernel as any container does, and a VM elsewhere is a VM.
 */
export const STRENGTH: Record<Isolation, number> = {
  none: 0,
  'os-sandbox': 1,
  container: 2,
  'system-container': 2,
  'user-kernel': 3,
  microvm: 4,
  'remote-vm': 4,
};

/** `same`: pairs enough, and no difference seen. `unknown`: not pairs enough. */
type Verdict = 'less' | 'more' | 'same' | 'unknown';

export interface Scale {
  /** Startup of `a` against that of `b`. */
  startup(a: string, b: string): Verdict;
  /** (total − model) of `a` against that of `b`. */
  total(a: string, b: string): Verdict;
}

export function createScale(comparisons: Report['comparisons']): Scale {
  const verdicts = new Map<string, { startup: Verdict; total: Verdict }>();
  for (const { a, b, ratio, separable, total } of comparisons) {
    const startup = verdict(ratio, separable);
    const whole = isGap(total) ? 'unknown' : verdict(total.ratio, total.separable);
    verdicts.set(key(a, b), { startup, total: whole });
    verdicts.set(key(b, a), { startup: turned(startup), total: turned(whole) });
  }
  return {
    startup: (a, b) => verdicts.get(key(a, b))?.startup ?? 'unknown',
    total: (a, b) => verdicts.get(key(a, b))?.total ?? 'unknown',
  };
}

const key = (a: string, b: string) => JSON.stringify([a, b]);

function verdict(ratio: number, separable: Report['comparisons'][number]['separable']): Verdict {
  if (isGap(separable)) return 'unknown';
  return separable ? (ratio < 1 ? 'less' : 'more') : 'same';
}

const turned = (one: Verdict): Verdict => (one === 'less' ? 'more' : one === 'more' ? 'less' : one);

/** Live: files are seen at once. Undefined where nobody saw. */
function syncRank({ sync }: ModeReport): number | undefined {
  if (isGap(sync) || isGap(sync.in) || isGap(sync.out)) return undefined;
  if (sync.in === 'no' || sync.out === 'no') return 0;
  return sync.live === 'yes' ? 2 : 1;
}

/**
 * Whether one row is nowhere worse than another, and somewhere better. What was looked at and could not be told apart is equal;
 * what was not looked at often enough says nothing, so that no row is beaten on noise.
 */
function beats(one: ModeReport, other: ModeReport, scale: Scale): boolean {
  const times = [scale.startup(one.entry, other.entry), scale.total(one.entry, other.entry)];
  const [sync, otherSync] = [syncRank(one), syncRank(other)];
  if (times.includes('unknown') || times.includes('more') || sync === undefined || otherSync === undefined) return false;
  const leads = [
    STRENGTH[one.isolation] - STRENGTH[other.isolation],
    one.passed / one.n - other.passed / other.n,
    sync - otherSync,
    ...times.map((time) => (time === 'less' ? 1 : 0)),
  ];
  return leads.every((lead) => lead >= 0) && leads.some((lead) => lead > 0);
}

/** @param rows with at least one run that passed; a row without has nothing to be compared by */
export function paretoSet(rows: readonly ModeReport[], scale: Scale): Pick<Report['recommendation'], 'pareto' | 'dominated'> {
  const beatenBy = new Map(rows.map((row) => [row.entry, rows.filter((other) => other !== row && beats(other, row, scale))]));
  const unbeaten = (row: ModeReport) => beatenBy.get(row.entry)?.length === 0;
  return {
    pareto: rows.filter(unbeaten).map((row) => row.entry),
    dominated: rows.flatMap((row) => {
      const others = beatenBy.get(row.entry) ?? [];
      // One that nobody beats says more than one that is beaten too.
      const by = others.find(unbeaten) ?? others[0];
      return by ? [{ entry: row.entry, by: by.entry }] : [];
    }),
  };
}
