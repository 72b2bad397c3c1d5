// Wording and number formats for the rows of a report, the same in every form of it.
import { type Gap, isGap, type Leftover } from '../record/types.js';
import type { ModeReport, Report, Summary } from './document.js';

export function nameOf(mode: Pick<ModeReport, 'entry' | 'standIn'>): string {
  return mode.standIn ? `${mode.entry} (stand-in)` : mode.entry;
}

/** As `nameOf`, but takes the entry alone. */
export function namesOf({ modes }: Pick<Report, 'modes'>): (entry: string) => string {
  const names = new Map(modes.map((mode) => [mode.entry, nameOf(mode)]));
  return (entry) => names.get(entry) ?? entry;
}

/** The tasks of the match's rows, in the order of the rows. */
export const tasksOf = ({ modes, match }: Pick<Report, 'modes' | 'match'>): string[] =>
  modes.length === 0 ? [match.task] : [...new Set(modes.map(({ task }) => task))];

/** A row's name without the label that distinguishes several rows of one runtime. */
export const withoutLabel = (entry: string): string => entry.replace(/@.*$/, '');

/** True if a row's label is the name of its task. */
export const isLabelledByTask = ({ entry, task }: Pick<ModeReport, 'entry' | 'task'>): boolean =>
  entry.endsWith(`@${task}`);

/**
 * Name of the baseline. With several tasks, the name without a label: each row is compared with the
 * baseline's row of its own task.
 */
export function baselineName(report: Pick<Report, 'modes' | 'match'>): string | undefined {
  const { baseline } = report.match;
  return baseline !== undefined && tasksOf(report).length > 1 ? withoutLabel(baseline) : baseline;
}

/** Head of the ratio column: names the baseline. */
export const ratioHead = (report: Report) => `× ${baselineName(report) ?? 'base'}`;

/**
 * True if the time of whole runs can be compared with the baseline's, for which there has to be
 * another row.
 */
export const isTaxed = ({ match, modes }: Report) =>
  modes.some((mode) => mode.entry !== match.baseline && !isGap(mode.taxRatio));

/** Formats a rate: one decimal below 10, where a difference of 1 is large. */
export const rate = (value: number) => (value < 10 ? value.toFixed(1) : String(Math.round(value)));

/** The entry, with its state if that differs from the match's. */
export const called = ({ entry, state }: ModeReport, { match }: Pick<Report, 'match'>) =>
  state === match.state ? entry : `${entry} (${state})`;

/** A duration with its unit: in ms below 10 s, in seconds below 2 minutes, then in minutes. */
export function duration(ms: number): string {
  if (ms < 10_000) return `${Math.round(ms)} ms`;
  return ms < 120_000 ? `${(ms / 1000).toFixed(1)} s` : `${(ms / 60_000).toFixed(1)} min`;
}

/** A length of work, rounded: its milliseconds do not matter. */
export function roughly(ms: number): string {
  return ms < 10_000
    ? `${(ms / 1000).toFixed(1)} s`
    : ms < 120_000
      ? `${Math.round(ms / 1000)} s`
      : `${Math.round(ms / 60_000)} min`;
}

/** In binary units, with two significant digits below ten: `1.5 GiB`, `23 MiB`. */
export function bytes(amount: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = amount < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(amount) / 10));
  const scaled = amount / 1024 ** power;
  return `${power > 0 && scaled < 10 ? scaled.toFixed(1) : Math.round(scaled)} ${units[power]}`;
}

/** A median, with its interval if there is one: `520 [501–542]`. */
export function middle(
  summary: Pick<Summary, 'median' | 'ci95'> | Gap,
  show = (value: number) => String(Math.round(value)),
): string {
  if (isGap(summary)) return '–';
  const { median, ci95 } = summary;
  return isGap(ci95) ? show(median) : `${show(median)} [${show(ci95[0])}–${show(ci95[1])}]`;
}

/**
 * A ratio to the baseline with its interval. The interval is omitted if both bounds equal the
 * median (the baseline's own ratio).
 */
export function pairedRatio(value: Pick<Summary, 'median' | 'ci95'> | Gap): string {
  const digits = (amount: number) => amount.toFixed(2);
  if (isGap(value) || isGap(value.ci95)) return middle(value, digits);
  const [low, high] = value.ci95;
  return low === value.median && high === value.median
    ? digits(value.median)
    : middle(value, digits);
}

/** A ratio or its median with two decimals; `–` for a gap. */
export const ratio = (value: number | Gap | { median: number }) =>
  isGap(value) ? '–' : (typeof value === 'number' ? value : value.median).toFixed(2);

/** `9/10, 60–98 %`: interrupted runs are not counted. */
export function passedOf({
  passed,
  n,
  interrupted,
  successCi95,
}: Pick<ModeReport, 'passed' | 'n' | 'interrupted' | 'successCi95'>): string {
  const share = isGap(successCi95)
    ? ''
    : `, ${successCi95.map((bound) => Math.round(100 * bound)).join('–')} %`;
  return `${passed}/${n - interrupted}${share}`;
}

/** A median without its interval, in its column's unit. */
export const whole = (value: Summary | number | Gap | undefined) =>
  value === undefined || isGap(value)
    ? '–'
    : String(Math.round(typeof value === 'number' ? value : value.median));

/** `live`: files appear on the host at once. `at collect`: only after the agent has ended. */
export function syncShort(sync: ModeReport['sync']): string {
  if (isGap(sync)) return '–';
  if (sync.in === 'no') return 'not in';
  if (sync.out === 'no') return 'lost';
  if (isGap(sync.out)) return '–';
  return sync.live === 'yes' ? 'live' : 'at collect';
}

export function authShort(mode: ModeReport): string {
  if (isGap(mode.auth)) return '–';
  const { path, delivered } = mode.auth;
  return isGap(delivered) ? `${path} ?` : delivered === 'no' ? `${path} ✗` : path;
}

export function leftoversShort(leftovers: Leftover[]): string {
  const counts = new Map<string, number>();
  for (const { kind } of leftovers) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ');
}

/**
 * How a row's settings differ from what its name implies and from the other rows; '' if they do
 * not.
 */
export function settingsOf(mode: ModeReport, { match }: Report): string {
  const { auth, detection, options, state, task } = mode;
  const { network, tmpfs, cpus, memoryMiB, target, egress } = options;
  const { client } = detection.status === 'ready' ? detection.facts : {};
  return [
    ...(client === undefined ? [] : [`through ${client}`]),
    // Delivery was not exercised because no gateway saw the credential: the model was replayed
    // inside the guest.
    ...(!isGap(auth) && isGap(auth.delivered) && auth.delivered.gap === 'not-exercised'
      ? ['the model replayed inside the guest']
      : []),
    ...(state === match.state ? [] : [`state ${state}`]),
    ...(task === match.task || isLabelledByTask(mode) ? [] : [`task ${task}`]),
    ...(network === undefined ? [] : [`network ${network}`]),
    ...(tmpfs === undefined ? [] : [tmpfs ? '/tmp in memory' : '/tmp on disk']),
    ...(cpus === undefined ? [] : [`${cpus} CPU${cpus === 1 ? '' : 's'}`]),
    ...(memoryMiB === undefined ? [] : [`${memoryMiB} MiB of memory`]),
    ...(target === undefined ? [] : [`on ${target}`]),
    ...(egress === undefined ? [] : [`egress: ${[egress].flat().join(' ')}`]),
  ].join(', ');
}

const WHY: Record<Gap['gap'], string> = {
  'not-reached': 'never got that far',
  'not-reported': 'the runtime does not report it',
  'no-baseline': 'no baseline',
  'too-few-runs': 'too few runs',
  'not-exercised': 'not tried',
  'not-applicable': 'does not apply',
  'in-exit': 'part of exit',
  'not-captured': 'not captured',
  'other-machine': 'on another machine',
  'not-attributable': 'cannot be told from the rest of the machine',
  platform: 'this platform does not report it',
  vanished: 'gone before it could be read',
};

/** Explains the dashes in a table: for each cause, which values of which rows. */
export function whyDashes(cells: { row: string; value: string; content: unknown }[]): string[] {
  const causes = new Map<Gap['gap'], Map<string, string[]>>();
  for (const { row, value, content } of cells) {
    if (!isGap(content)) continue;
    const values = causes.get(content.gap) ?? new Map<string, string[]>();
    values.set(row, [...(values.get(row) ?? []), value]);
    causes.set(content.gap, values);
  }
  return [...causes].map(([cause, rows]) => {
    const alike = new Map<string, string[]>();
    for (const [row, values] of rows)
      alike.set(values.join(', '), [...(alike.get(values.join(', ')) ?? []), row]);
    return `– ${WHY[cause]}: ${[...alike].map(([values, names]) => `${values} of ${names.join(', ')}`).join('; ')}`;
  });
}

/** How many runs with the same finding are named; the rest are counted. */
const NAMED = 3;

/**
 * A row's failures, grouped by cause, message and hint: a runtime that fails in every run fails in
 * the same way.
 */
export function failuresOf({
  failures,
}: ModeReport): { runs: string; cause: string; message: string; hint: string | undefined }[] {
  const alike = new Map<
    string,
    { runs: string[]; cause: string; message: string; hint: string | undefined }
  >();
  for (const { run, outcome } of failures) {
    if (outcome.status === 'passed') continue;
    const { cause, message, hint } = outcome;
    const key = JSON.stringify([cause, message, hint]);
    const known = alike.get(key);
    if (known) known.runs.push(run);
    else alike.set(key, { runs: [run], cause, message, hint });
  }
  return [...alike.values()].map(({ runs, ...failure }) => ({ runs: runsNamed(runs), ...failure }));
}

/** `docker#1, docker#2, docker#3 and 5 more` */
export function runsNamed(runs: readonly string[]): string {
  const more = runs.length - NAMED;
  return more > 1 ? `${runs.slice(0, NAMED).join(', ')} and ${more} more` : listed(runs);
}

/** `a`, `a and b`, `a, b and c` */
export function listed(names: readonly string[], word = 'and'): string {
  return names.length < 2
    ? (names[0] ?? '')
    : `${names.slice(0, -1).join(', ')} ${word} ${names.at(-1)}`;
}
