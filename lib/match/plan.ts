// Plans the rows of a match.
import type { AuthPath, EntryOptions, Mode, Variant } from '../contract.js';
import { CagematchError } from '../errors.js';
import type { RowEvent, State } from '../record/types.js';
import type { Recorder } from '../record/write.js';
import type { Detected } from '../sandbox/detect.js';
import { isolationOf, isStandIn } from '../sandbox/detect.js';
import {
  entryName,
  parseWanted,
  type Registry,
  taskLabel,
  type Wanted,
} from '../sandbox/registry.js';
import type { PlannedRow } from '../sandbox/row.js';

/** A requested row; omitted settings are taken from the match. */
export interface Asked {
  /** As typed: `docker`, `docker:runsc@a`. */
  name: string;
  options?: EntryOptions;
  state?: State | undefined;
  task?: string | undefined;
  deliver?: Deliver | undefined;
}

/**
 * A way to deliver the credential. `all` means one row for each way that the mode supports,
 * labelled with it.
 */
export type Deliver = (typeof DELIVER)[number];
export const DELIVER = ['gateway', 'env', 'file', 'runtime-proxy', 'remote-secret', 'all'] as const;

export interface Plan {
  entries: PlannedRow[];
  /** Requested rows that cannot run, each with its reason. */
  missing: { entry: string; mode: string; reason: string; hint: string; required: boolean }[];
}

type Candidate = Wanted & Omit<Asked, 'name' | 'deliver'>;

/** Defaults for the rows without a setting of their own. */
interface Otherwise {
  state: State;
  task: string;
  /** Several tasks: a row without its own task is entered once for each of them. */
  taskIds?: readonly string[];
  deliver?: Deliver | undefined;
}

/**
 * @param asked the requested rows; if empty, every mode that is ready, with all its variants except
 *   those marked `onRequest`
 * @param required names without which the match is not worth running. A name without a label
 *   requires every row of that mode and variant, whatever its label; a required name without a row
 *   is added.
 * @param otherwise state, task and delivery of the rows that do not set their own
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
    asked.length > 0
      ? asked.map(({ name, ...more }) => ({ ...parseWanted(registry, name), ...more }))
      : everythingReady(detected);
  const all: typeof first = [
    ...first,
    ...needed.filter((need) => !first.some((row) => meets(row, need))),
  ];
  const candidates = all
    .flatMap((wanted) => spread(wanted, wanted.deliver ?? otherwise.deliver))
    .flatMap((wanted) => withEachTask(wanted, otherwise.taskIds ?? [otherwise.task]));
  const plan: Plan = { entries: [], missing: [] };
  const order = [...registry.keys()];
  const seen = new Set<string>();
  for (const candidate of candidates) {
    if (seen.has(candidate.entry)) continue;
    seen.add(candidate.entry);
    const { entry, variant, label } = candidate;
    const { detection, runtimeState } =
      detected.find((found) => found.mode.id === candidate.mode.id) ?? {};
    const known =
      detection?.status === 'ready'
        ? detection.variants?.find((known) => known.id === variant)
        : undefined;
    const mode = asFound(candidate.mode, detection, known);
    const isRequired = needed.some((need) => meets(candidate, need));
    const state = candidate.state ?? otherwise.state;
    const { deliver } = candidate;
    const without =
      whyNotReady(candidate, detection) ??
      whyNotInState(mode, known, state) ??
      whyNotDelivered(mode, deliver);
    if (without || detection?.status !== 'ready') {
      plan.missing.push({
        entry,
        mode: mode.id,
        required: isRequired,
        ...(without ?? NOT_LOOKED_FOR),
      });
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
      runtimeState,
    });
  }
  plan.entries.sort(
    (a, b) =>
      order.indexOf(a.mode) - order.indexOf(b.mode) ||
      (a.variant ?? '').localeCompare(b.variant ?? '') ||
      // The row that others are compared with uses the mode's preferred delivery.
      a.adapter.auth.indexOf(a.deliver) - b.adapter.auth.indexOf(b.deliver) ||
      a.entry.localeCompare(b.entry),
  );
  return plan;
}

/**
 * The mode adapted to this machine and this variant: only detection shows whether its sandboxes run
 * on this machine.
 */
export function asFound(
  mode: Mode,
  detection: Detected['detection'] | undefined,
  variant?: Variant,
): Mode {
  if (detection?.status === 'ready' && detection.elsewhere === true)
    return { ...mode, elsewhere: true, workspace: 'copy' };
  return variant?.workspace === undefined ? mode : { ...mode, workspace: variant.workspace };
}

/** Expands a row into one row for each requested way of delivery. */
function spread(
  row: Candidate & Pick<Asked, 'deliver'>,
  deliver: Deliver | undefined,
): (Candidate & { deliver: AuthPath; asked: boolean })[] {
  const { mode, variant, label } = row;
  if (deliver !== 'all')
    return [{ ...row, deliver: deliver ?? mode.auth[0], asked: deliver !== undefined }];
  return mode.auth.map((path) => {
    const own = label === undefined ? path : `${label}-${path}`;
    return {
      ...row,
      label: own,
      entry: entryName(mode.id, variant, own),
      deliver: path,
      asked: true,
    };
  });
}

/**
 * Expands a row without its own task into one row per task of the match, labelled with the task if
 * there are several.
 */
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
  return (
    row.mode.id === need.mode.id &&
    row.variant === need.variant &&
    (need.label === undefined || row.label === need.label)
  );
}

interface Without {
  reason: string;
  hint: string;
}

const NOT_LOOKED_FOR: Without = { reason: 'not looked for', hint: 'cagematch detect' };

function whyNotReady(
  { mode, variant }: Wanted,
  detection: Detected['detection'] | undefined,
): Without | undefined {
  if (detection?.status !== 'ready')
    return detection && { reason: detection.reason, hint: detection.hint };
  if (variant === undefined || detection.variants?.some(({ id }) => id === variant))
    return undefined;
  const has = detection.variants?.map(({ id }) => `${mode.id}:${id}`).join(' ');
  return {
    reason: `${mode.title} here has no variant ${variant}`,
    hint: has ? `variants here: ${has}` : `register ${variant} with ${mode.title}`,
  };
}

/**
 * Why the mode cannot run in this state. A mode without an image stays in a cold match, as the
 * baseline for the others.
 */
function whyNotInState(
  mode: Mode,
  variant: Variant | undefined,
  state: State,
): Without | undefined {
  const hint = '--state prepared';
  if (state === 'warm' && mode.workspace === 'copy')
    return {
      reason: 'it gets its workspace when a sandbox is made, so that none can wait for one',
      hint,
    };
  if (state === 'warm' && variant?.mainProcessOnly)
    return {
      reason: "what is exec'd in a sandbox of it that idles runs outside of its walls",
      hint,
    };
  const hasImage = mode.isolation !== 'none' && mode.isolation !== 'os-sandbox';
  if (state === 'cold' && hasImage && !mode.evict)
    return { reason: 'cagematch cannot take its image away, so that no run of it is cold', hint };
  return undefined;
}

function whyNotDelivered(mode: Mode, deliver: AuthPath): Without | undefined {
  if (mode.auth.includes(deliver)) return undefined;
  return {
    reason: `${mode.title} takes no credential by way of ${deliver}`,
    hint: `--deliver ${mode.auth[0]}`,
  };
}

/**
 * @throws `not-ready` that names every missing required runtime, with the first one's reason and
 *   hint
 */
export function checkRequired(plan: Plan): void {
  const missing = plan.missing.filter((row) => row.required);
  const [first, ...others] = missing;
  if (!first) return;
  const also = others.map((row) => `; ${row.entry}: ${row.reason}`).join('');
  throw new CagematchError(
    'not-ready',
    `required but not ready: ${first.entry}: ${first.reason}${also}`,
    first.hint,
  );
}

/** @throws `not-ready` if none of the requested rows can run */
export function checkAnything(plan: Plan): void {
  const [first] = plan.missing;
  if (plan.entries.length > 0) return;
  throw new CagematchError(
    'not-ready',
    first
      ? `nothing to run: ${first.entry}: ${first.reason}`
      : 'nothing to run: no runtime is ready',
    first?.hint ?? 'cagematch detect',
  );
}

/** What determines whether rows without isolation may run. */
interface OpenHost {
  model: 'replay' | 'live';
  /** The user has allowed such rows. */
  allowed: boolean;
  /** The user has named the rows of the plan explicitly. */
  named: boolean;
  /** True if the task is bundled with cagematch. */
  isBundled(task: string): boolean;
}

/**
 * Removes the rows without isolation unless they are allowed: a live model can do anything, and so
 * can the cassette and the verifier of a task that is not bundled.
 * @throws `not-ready` if the user has named such a row
 */
export function withoutOpenHost(plan: Plan, { model, allowed, named, isBundled }: OpenHost): Plan {
  const open = plan.entries.filter(
    ({ isolation, task }) =>
      isolation === 'none' && !allowed && (model === 'live' || !isBundled(task)),
  );
  const hint = '--allow-host';
  const reasonFor = ({ task }: PlannedRow) =>
    model === 'live'
      ? 'a live agent would run here with no walls at all'
      : `the task ${task} is not one of cagematch's own: its cassette and its verifier would run here with no walls at all`;
  const [first] = open;
  if (first && named)
    throw new CagematchError('not-ready', `${first.entry}: ${reasonFor(first)}`, hint);
  return {
    entries: plan.entries.filter((entry) => !open.includes(entry)),
    missing: [
      ...plan.missing,
      ...open.map((row) => ({
        entry: row.entry,
        mode: row.mode,
        required: row.required,
        reason: reasonFor(row),
        hint,
      })),
    ],
  };
}

/**
 * Everything without a row: requested rows that are missing, and every other mode that is not
 * ready.
 */
function leftOut(plan: Plan, detected: readonly Detected[]) {
  const named = plan.missing.map((row) => {
    const found = detected.find(({ mode }) => mode.id === row.mode);
    const status = found?.detection.status ?? 'absent';
    return {
      entry: row.entry,
      letter: found?.mode.letter ?? '?',
      title: found?.mode.title ?? row.entry,
      status: status === 'ready' ? 'unconfigured' : status,
      reason: row.reason,
      hint: row.hint,
    };
  });
  const others = detected.flatMap(({ mode, detection }) =>
    detection.status === 'ready' || named.some((row) => row.entry === mode.id)
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

/** Records the detected runtimes, the rows of the plan, and what was left out. */
export function recordRows(
  record: Recorder<RowEvent>,
  plan: Plan,
  detected: readonly Detected[],
): void {
  for (const { mode, detection } of detected)
    record.emit({
      type: 'detected',
      mode: mode.id,
      letter: mode.letter,
      title: mode.title,
      isolation: isolationOf({ mode, detection }),
      detection,
    });
  for (const { adapter, runtimeState, deliverAsked, ...entry } of plan.entries)
    record.emit({ type: 'entered', ...entry });
  for (const row of leftOut(plan, detected)) record.emit({ type: 'left-out', ...row });
}
