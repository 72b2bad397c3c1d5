// Which rows the match has, and in which order each round runs them.

import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { Facts, Isolation, Mode } from '../contract.js';
import { CagematchError } from '../errors.js';
import type { Entry } from '../record.js';
import type { Detected } from './detect.js';
import { isStandIn } from './detect.js';
import { parseWanted, type Registry } from './registry.js';

export interface PlannedEntry extends Entry {
  adapter: Mode;
  facts: Facts;
}

export interface Plan {
  entries: PlannedEntry[];
  /** What was asked for by name and is not ready, with its reason. */
  missing: { entry: string; reason: string; hint: string; required: boolean }[];
}

/**
 * @param wanted entries as typed; empty: every mode that is ready, with all its variants but those on request
 * @param required entries without which the match is not worth running; they are added to `wanted`
 */
export function planMatch(registry: Registry, detected: Detected[], wanted: string[], required: string[]): Plan {
  const named = [...new Set([...wanted, ...required])].map((entry) => parseWanted(registry, entry));
  const candidates = wanted.length > 0 ? named : [...everythingReady(detected), ...named];
  const needed = new Set(required.map((entry) => parseWanted(registry, entry).entry));
  const plan: Plan = { entries: [], missing: [] };
  const order = [...registry.keys()];
  const seen = new Set<string>();
  for (const { entry, mode, variant } of candidates) {
    if (seen.has(entry)) continue;
    seen.add(entry);
    const found = detected.find((candidate) => candidate.mode.id === mode.id)?.detection;
    const isRequired = needed.has(entry);
    if (found?.status !== 'ready') {
      plan.missing.push({
        entry,
        reason: found?.reason ?? 'not looked for',
        hint: found?.hint ?? 'cagematch detect',
        required: isRequired,
      });
      continue;
    }
    const known = found.variants?.find((candidate) => candidate.id === variant);
    if (variant !== undefined && !known) {
      const has = found.variants?.map((candidate) => `${mode.id}:${candidate.id}`).join(' ');
      plan.missing.push({
        entry,
        reason: `${mode.title} here has no variant ${variant}`,
        hint: has ? `variants here: ${has}` : `register ${variant} with ${mode.title}`,
        required: isRequired,
      });
      continue;
    }
    plan.entries.push(
      toEntry(mode, {
        variant,
        isolation: known?.isolation ?? mode.isolation,
        facts: found.facts,
        standIn: isStandIn(found),
        required: isRequired,
      }),
    );
  }
  plan.entries.sort((a, b) => order.indexOf(a.mode) - order.indexOf(b.mode) || a.entry.localeCompare(b.entry));
  return plan;
}

function everythingReady(detected: Detected[]) {
  return detected.flatMap(({ mode, detection }) => {
    if (detection.status !== 'ready') return [];
    const variants = (detection.variants ?? []).filter((variant) => !variant.onRequest);
    return [undefined, ...variants.map((variant) => variant.id)].map((variant) => ({ entry: entryName(mode.id, variant), mode, variant }));
  });
}

export function entryName(mode: string, variant: string | undefined): string {
  return variant === undefined ? mode : `${mode}:${variant}`;
}

function toEntry(
  mode: Mode,
  more: { variant: string | undefined; isolation: Isolation; facts: Facts; standIn: boolean; required: boolean },
): PlannedEntry {
  return {
    entry: entryName(mode.id, more.variant),
    mode: mode.id,
    ...(more.variant === undefined ? {} : { variant: more.variant }),
    options: {},
    state: 'prepared',
    task: 'hello',
    letter: mode.letter,
    title: mode.title,
    isolation: more.isolation,
    workspace: mode.workspace,
    required: more.required,
    standIn: more.standIn,
    adapter: mode,
    facts: more.facts,
  };
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

/** A live model does what it likes; without walls it needs to be asked for. */
export function withoutOpenHost(plan: Plan, model: 'replay' | 'live', allowed: boolean): Plan {
  if (model === 'replay' || allowed) return plan;
  const open = plan.entries.filter((entry) => entry.isolation === 'none');
  return {
    entries: plan.entries.filter((entry) => entry.isolation !== 'none'),
    missing: [
      ...plan.missing,
      ...open.map((entry) => ({
        entry: entry.entry,
        required: entry.required,
        reason: 'a live agent would run here with no walls at all',
        hint: '--allow-host',
      })),
    ],
  };
}

/** Everything without a row: what was named and is missing, and every other mode that is not ready. */
export function leftOut(plan: Plan, detected: readonly Detected[]) {
  const named = plan.missing.map((one) => {
    const found = detected.find(({ mode }) => mode.id === one.entry.split(':')[0]);
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

/** The order of every round: each runs every entry once, in a shuffle that the seed decides. */
export function* rounds(seed: number, count: number, entries: readonly string[]): Generator<string[]> {
  const random = xoroshiro128plus(seed);
  for (let round = 0; round < count; round += 1) {
    const order = [...entries];
    for (let last = order.length - 1; last > 0; last -= 1) {
      const other = uniformInt(random, 0, last);
      [order[last], order[other]] = [order[other] as string, order[last] as string];
    }
    yield order;
  }
}
