// Which rows the match has.
import type { AuthPath, EntryOptions, Mode, Variant } from '../contract.js';
import { CagematchError } from '../errors.js';
import type { RowEvent, State } from '../record/types.js';
import type { Recorder } from '../record/write.js';
import type { Detected } from '../sandbox/detect.js';
import { isolationOf, isStandIn } from '../sandbox/detect.js';
import { entryName, parseWanted, type Registry, taskLabel, type Wanted } from '../sandbox/registry.js';
import type { PlannedEntry } from '../sandbox/row.js';

/** A row as it was asked for; what it leaves open is as in the rest of the match. */
export interface Asked {
  /** As typed: `docker`, `docker:runsc@a`. */
  name: string;
  options?: EntryOptions;
  state?: State | undefined;
  task?: string | undefined;
  deliver?: Deliver | undefined;
}

/** A way for the credential; `all`: a row for each that the mode knows, labelled by it. */
export type Deliver = (typeof DELIVER)[number];
export const DELIVER = ['gateway', 'env', 'file', 'runtime-proxy', 'remote-secret', 'all'] as const;

export interface Plan {
  entries: PlannedEntry[];
  /** What was asked for and has no row, with its reason. */
  missing: { entry: string; mode: string; reason: string; hint: string; required: boolean }[];
}

type Candidate = Wanted & Omit<Asked, 'name' | 'deliver'>;

/** What holds for the rows that have no setting of their own. */
interface Otherwise {
  state: State;
  task: string;
  /** Several: such a row is entered once for each of these tasks. */
  taskIds?: readonly string[];
  deliver?: Deliver | undefined;
}

/**
 * @param asked rows; empty: every mode that is ready, with all its variants but those on request
 * @param required names without which the match is not worth running. Without a label it means every row of that mode
 *   and variant, however labelled; what has no row yet joins.
 * @param otherwise state, task and delivery of the rows that say nothing of their own
 */
export function planMatch(
  registry: Registry,
  detected: Detected[],
  asked: readonly Asked[],
  required: readonly string[],
  otherwise: Otherwise = { state: 'prepared', task: 'hello' },
): Plan {
  const needed = required.map((name) => parseWanted(registry, name));
  const first: (Candidate & Pick<Asked, 'deliver'>)[] =
    asked.length > 0 ? asked.map(({ name, ...more }) => ({ ...parseWanted(registry, name), ...more })) : everythingReady(detected);
  const all: typeof first = [...first, ...needed.filter((need) => !first.some((row) => meets(row, need)))];
  const candidates = all
    .flatMap((one) => spread(one, one.deliver ?? otherwise.deliver))
    .flatMap((one) => withEachTask(one, otherwise.taskIds ?? [otherwise.task]));
  const plan: Plan = { entries: [], missing: [] };
  const order = [...registry.keys()];
  const seen = new Set<string>();
  for (const candidate of candidates) {
    if (seen.has(candidate.entry)) continue;
    seen.add(candidate.entry);
    const { entry, variant, label } = candidate;
    const { detection } = detected.find((one) => one.mode.id === candidate.mode.id) ?? {};
    const known = detection?.status === 'ready' ? detection.variants?.find((one) => one.id === variant) : undefined;
    const mode = asFound(candidate.mode, detection, known);
    const isRequired = needed.some((need) => meets(candidate, need));
    const state = candidate.state ?? otherwise.state;
    const { deliver } = candidate;
    const without = whyNotReady(candidate, detection) ?? whyNotInState(mode, known, state) ?? whyNotDelivered(mode, deliver);
    if (without || detection?.status !== 'ready') {
      plan.missing.push({ entry, mode: mode.id, required: isRequired, ...(without ?? NOT_LOOKED_FOR) });
      continue;
    }
    plan.entries.push({
      entry,
      mode: mode.id,
      ...(variant === undefined ? {} : { variant }),
      ...(label === undefined ? {} : { label }),
      options: candidate.options ?? {},
      state,
      task: candidate.task ?? otherwise.task,
      deliver,
      ...(candidate.asked ? { deliverAsked: true } : {}),
      letter: mode.letter,
      title: mode.title,
      isolation: known?.isolation ?? isolationOf({ mode, detection }),
      workspace: mode.workspace,
      required: isRequired,
      standIn: isStandIn(detection),
      adapter: mode,
      facts: detection.facts,
    });
  }
  plan.entries.sort(
    (a, b) =>
      order.indexOf(a.mode) - order.indexOf(b.mode) ||
      (a.variant ?? '').localeCompare(b.variant ?? '') ||
      // What others are held against goes its usual way.
      a.adapter.auth.indexOf(a.deliver) - b.adapter.auth.indexOf(b.deliver) ||
      a.entry.localeCompare(b.entry),
  );
  return plan;
}

/** The mode as it is here, and as this variant of it is: only what is found tells whether sandboxes are on this machine. */
export function asFound(mode: Mode, detection: Detected['detection'] | undefined, variant?: Variant): Mode {
  if (detection?.status === 'ready' && detection.elsewhere === true) return { ...mode, elsewhere: true, workspace: 'copy' };
  return variant?.workspace === undefined ? mode : { ...mode, workspace: variant.workspace };
}

/** One row for each way that was asked for. */
function spread(
  row: Candidate & Pick<Asked, 'deliver'>,
  deliver: Deliver | undefined,
): (Candidate & { deliver: AuthPath; asked: boolean })[] {
  const { mode, variant, label } = row;
  if (deliver !== 'all') return [{ ...row, deliver: deliver ?? mode.auth[0], asked: deliver !== undefined }];
  return mode.auth.map((path) => {
    const own = label === undefined ? path : `${label}-${path}`;
    return { ...row, label: own, entry: entryName(mode.id, variant, own), deliver: path, asked: true };
  });
}

/** A row that has no task of its own is entered once for each task of the match, labelled by it where there are several. */
function withEachTask<T extends Candidate>(row: T, taskIds: readonly string[]): T[] {
  if (row.task !== undefined || taskIds.length < 2) return [row];
  const { mode, variant, label: own } = row;
  return taskIds.map((task) => {
    const label = taskLabel(own, task);
    return { ...row, task, label, entry: entryName(mode.id, variant, label) };
  });
}

function everythingReady(detected: readonly Detected[]): Wanted[] {
  return detected.flatMap(({ mode, detection }) => {
    if (detection.status !== 'ready') return [];
    const variants = (detection.variants ?? []).filter((variant) => !variant.onRequest);
    return [undefined, ...variants.map((variant) => variant.id)].map((variant) => ({
      entry: entryName(mode.id, variant),
      mode,
      variant,
      label: undefined,
    }));
  });
}

function meets(row: Wanted, need: Wanted): boolean {
  return row.mode.id === need.mode.id && row.variant === need.variant && (need.label === undefined || row.label === need.label);
}

interface Without {
  reason: string;
  hint: string;
}

const NOT_LOOKED_FOR: Without = { reason: 'not looked for', hint: 'cagematch detect' };

function whyNotReady({ mode, variant }: Wanted, detection: Detected['detection'] | undefined): Without | undefined {
  if (detection?.status !== 'ready') return detection && { reason: detection.reason, hint: detection.hint };
  if (variant === undefined || detection.variants?.some(({ id }) => id === variant)) return undefined;
  const has = detection.variants?.map(({ id }) => `${mode.id}:${id}`).join(' ');
  return {
    reason: `${mode.title} here has no variant ${variant}`,
    hint: has ? `variants here: ${has}` : `register ${variant} with ${mode.title}`,
  };
}

/** Without an image there is nothing to be absent: such a mode stays as the row that the others are held against. */
function whyNotInState(mode: Mode, variant: Variant | undefined, state: State): Without | undefined {
  const hint = '--state prepared';
  if (state === 'warm' && mode.workspace === 'copy')
    return { reason: 'it gets its workspace when a sandbox is made, so that none can wait for one', hint };
  if (state === 'warm' && variant?.mainProcessOnly)
    return { reason: "what is exec'd in a sandbox of it that idles runs outside of its walls", hint };
  const hasImage = mode.isolation !== 'none' && mode.isolation !== 'os-sandbox';
  if (state === 'cold' && hasImage && !mode.evict)
    return { reason: 'cagematch cannot take its image away, so that no run of it is cold', hint };
  return undefined;
}

function whyNotDelivered(mode: Mode, deliver: AuthPath): Without | undefined {
  if (mode.auth.includes(deliver)) return undefined;
  return { reason: `${mode.title} takes no credential by way of ${deliver}`, hint: `--deliver ${mode.auth[0]}` };
}

/** @throws `not-ready` that names every required runtime that is missing, the first one's reason and hint */
export function checkRequired(plan: Plan): void {
  const missing = plan.missing.filter((one) => one.required);
  const [first, ...others] = missing;
  if (!first) return;
  const also = others.map((one) => `; ${one.entry}: ${one.reason}`).join('');
  throw new CagematchError('not-ready', `required but not ready: ${first.entry}: ${first.reason}${also}`, first.hint);
}

/** @throws `not-ready` when nothing of what was asked for is there */
export function checkAnything(plan: Plan): void {
  const [first] = plan.missing;
  if (plan.entries.length > 0) return;
  throw new CagematchError(
    'not-ready',
    first ? `nothing to run: ${first.entry}: ${first.reason}` : 'nothing to run: no runtime is ready',
    first?.hint ?? 'cagematch detect',
  );
}

/** What decides whether rows without isolation may run. */
interface OpenHost {
  model: 'replay' | 'live';
  /** The user has allowed them. */
  allowed: boolean;
  /** The user has named the rows of the plan. */
  named: boolean;
  /** Is it a task that cagematch brings? */
  isBundled(task: string): boolean;
}

/**
 * Takes out the rows without isolation, unless they are allowed: a live model does what it likes, and so do the cassette and the verifier
 * of a task that comes from elsewhere.
 * @throws `not-ready` where the user has named such a row
 */
export function withoutOpenHost(plan: Plan, { model, allowed, named, isBundled }: OpenHost): Plan {
  const open = plan.entries.filter(({ isolation, task }) => isolation === 'none' && !allowed && (model === 'live' || !isBundled(task)));
  const hint = '--allow-host';
  const reasonFor = ({ task }: PlannedEntry) =>
    model === 'live'
      ? 'a live agent would run here with no walls at all'
      : `the task ${task} is not one of cagematch's own: its cassette and its verifier would run here with no walls at all`;
  const [first] = open;
  if (first && named) throw new CagematchError('not-ready', `${first.entry}: ${reasonFor(first)}`, hint);
  return {
    entries: plan.entries.filter((entry) => !open.includes(entry)),
    missing: [
      ...plan.missing,
      ...open.map((row) => ({ entry: row.entry, mode: row.mode, required: row.required, reason: reasonFor(row), hint })),
    ],
  };
}

/** Everything without a row: what was named and is missing, and every other mode that is not ready. */
function leftOut(plan: Plan, detected: readonly Detected[]) {
  const named = plan.missing.map((one) => {
    const found = detected.find(({ mode }) => mode.id === one.mode);
    const status = found?.detection.status ?? 'absent';
    return {
      entry: one.entry,
      letter: found?.mode.letter ?? '?',
      title: found?.mode.title ?? one.entry,
      status: status === 'ready' ? 'unconfigured' : status,
      reason: one.reason,
      hint: one.hint,
    };
  });
  const others = detected.flatMap(({ mode, detection }) =>
    detection.status === 'ready' || named.some((one) => one.entry === mode.id)
      ? []
      : [
          {
            entry: mode.id,
            letter: mode.letter,
            title: mode.title,
            status: detection.status,
            reason: detection.reason,
            hint: detection.hint,
          },
        ],
  );
  return [...named, ...others];
}

/** Which runtimes there are, which rows that makes, and what has none. */
export function recordRows(record: Recorder<RowEvent>, plan: Plan, detected: readonly Detected[]): void {
  for (const { mode, detection } of detected)
    record.emit({
      type: 'detected',
      mode: mode.id,
      letter: mode.letter,
      title: mode.title,
      isolation: isolationOf({ mode, detection }),
      detection,
    });
  for (const { adapter: _adapter, facts: _facts, deliverAsked: _asked, ...entry } of plan.entries)
    record.emit({ type: 'entered', ...entry });
  for (const one of leftOut(plan, detected)) record.emit({ type: 'left-out', ...one });
}
