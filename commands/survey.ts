// Shared by the smaller commands: detects the named modes, outside any match.
import type { Context } from '../lib/contract.js';
import { printable } from '../lib/os/printable.js';
import { contextFor, createKeeper, type HarnessEnv, type Keeper } from '../lib/sandbox/context.js';
import { type Detected, detectAll } from '../lib/sandbox/detect.js';
import { loadModes, parseWanted, type Wanted } from '../lib/sandbox/registry.js';
import type { Io } from './io.js';

export interface Survey {
  detected: Detected[];
  /** The parsed names. */
  wanted: Wanted[];
  keeper: Keeper;
  contextOf(found: Detected, variant?: string): Context;
}

/** @param names modes or variants; if empty, every mode */
export async function survey(io: Io, names: string[]): Promise<Survey> {
  const registry = await loadModes();
  const wanted = names.map((name) => parseWanted(registry, name));
  const asked = wanted.length > 0 ? new Set(wanted.map(({ mode }) => mode)) : registry.values();
  const harnessEnv: HarnessEnv = {
    env: io.env,
    platform: io.platform,
    uid: io.uid,
    match: 'none',
    signal: new AbortController().signal,
    say: (line) => io.err(`${printable(line)}\n`),
  };
  const keeper = createKeeper();
  const detected = await detectAll(asked, (mode) => contextFor(harnessEnv, keeper, mode));
  return {
    detected,
    wanted,
    keeper,
    contextOf: ({ mode, runtimeState: state }, variant) =>
      contextFor(harnessEnv, keeper, mode, { variant, state }),
  };
}
