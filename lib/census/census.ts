// Finds what a run has left behind: things that exist after it, did not exist before, and are ours.
// Something that may belong to another process is never attributed to us.
import { setTimeout as pause } from 'node:timers/promises';
import type { Context, Listed, Mode, Thing } from '../contract.js';
import type { Leftover } from '../record/types.js';
import { keyOf, type Machine, type Reading, thisMachine } from './machine.js';

/** If a census could not be taken, the result is a gap rather than an empty list. */
export type Leftovers = Leftover[] | { gap: 'not-reported' | 'platform' };

/** The sandbox and run whose things are searched for. */
export interface Of {
  /** The sandbox's name. */
  name: string;
  /** Name of a second sandbox that the run had. */
  also?: string | undefined;
  /** The runtime's own id of the sandbox, if it reported one. */
  id?: string | undefined;
  /** The run's folder. The code that created it reports separately whether it was removed. */
  folder?: string | undefined;
  /**
   * True if no other run of ours executes at the same time, so that anything with the match's
   * label, or without any mark, can be this run's.
   */
  alone: boolean;
  /** True if the sandbox is meant to stay up. */
  staysUp: boolean;
}

type Subject = { mode: Mode; ctx: Context };

/** The state at one moment; a part that could not be read is missing. */
export interface Census {
  machine: Reading | undefined;
  /** `unasked` if the mode has no `census` function. */
  runtime: Map<string, Thing> | 'unasked' | 'failed';
}

/**
 * The censuses of a match. A census after one run is reused as the one before the next, if nothing
 * was launched in between.
 */
export interface Audit {
  /** Never throws. @param fresh something was launched without a call of `launching` */
  before(subject: Subject, options?: { fresh?: boolean }): Promise<Census>;
  /** Called before a launch: the last census is no longer valid. */
  launching(): void;
  /**
   * Never throws. Retries for about a second before reporting a leftover, since many resources
   * disappear shortly after their sandbox.
   */
  after(before: Census | undefined, subject: Subject, run: Of): Promise<Leftovers>;
}

/** Delays before each retry, in ms. */
const PAUSES_MS = [40, 80, 160, 300, 420];
/** Timeout for a runtime's census, in ms. */
const CENSUS_MS = 10_000;
/**
 * Kinds that can contain other things of this list; if one appeared or disappeared, it may have
 * created them.
 */
const SANDBOXES = ['container', 'instance', 'machine', 'sandbox'];
/** Kinds that are parts of a sandbox that still exists. */
const PARTS = ['process', 'mount', 'netns', 'cgroup'];

/**
 * @param machineOf returns the reader of this machine's state; replaced in tests
 * @param pausesMs delays before each retry, in ms
 */
export function openAudit(
  machineOf: (platform: NodeJS.Platform) => Machine | undefined = thisMachine,
  pausesMs: readonly number[] = PAUSES_MS,
): Audit {
  let last: { key: unknown; census: Promise<Census> } | undefined;
  const readMachine = ({ mode, ctx }: Subject, before: Reading | undefined) =>
    mode.elsewhere ? undefined : machineOf(ctx.platform)?.read(before, ctx.labels.owner);
  const portsOf = (left: Leftover[], { ctx }: Subject) => {
    const pids = left.flatMap(({ kind, id }) =>
      kind === 'process' ? [Number(/(?:^| )pid (\d+)/.exec(id)?.[1])] : [],
    );
    return pids.length === 0 ? [] : (machineOf(ctx.platform)?.ports(pids) ?? []);
  };
  return {
    async before(subject, options = {}) {
      const key = `${subject.mode.id} ${subject.ctx.variant ?? ''}`;
      if (last && last.key === key && options.fresh !== true) return last.census;
      const known = options.fresh === true ? undefined : await last?.census;
      const census = (async (): Promise<Census> => ({
        // Between two runs of one match, only our own steps changed the machine.
        machine: known?.machine ?? readMachine(subject, undefined),
        runtime: await askRuntime(subject),
      }))();
      last = { key, census };
      return census;
    },
    launching() {
      last = undefined;
    },
    async after(before, subject, run) {
      for (let look = 0; ; look += 1) {
        const machine = readMachine(subject, before?.machine);
        const runtime = await askRuntime(subject);
        const listed = runtime === 'unasked' ? await askList(subject, run) : [];
        const left = [...judge(before, { machine, runtime }, subject.ctx, run), ...(listed ?? [])];
        const found = merged([...left, ...portsOf(left, subject)], run);
        const pauseMs = pausesMs[look];
        if (found.length > 0 && pauseMs !== undefined) {
          await pause(pauseMs);
          continue;
        }
        last = {
          key: `${subject.mode.id} ${subject.ctx.variant ?? ''}`,
          census: Promise.resolve({ machine, runtime }),
        };
        if (found.length > 0) return found;
        if (listed === undefined || runtime === 'failed' || before?.runtime === 'failed')
          return { gap: 'not-reported' };
        if (machine === undefined && !subject.mode.elsewhere) return { gap: 'platform' };
        return [];
      }
    },
  };
}

async function askRuntime({ mode, ctx }: Subject): Promise<Census['runtime']> {
  if (!mode.census) return 'unasked';
  try {
    const things = await inTime(mode.census(ctx));
    return new Map(things.map((thing) => [keyOf(thing), thing]));
  } catch {
    return 'failed';
  }
}

/** What a mode without a census lists for the sandbox; undefined if the list cannot be read. */
async function askList(
  { mode, ctx }: Subject,
  { name, also, staysUp }: Of,
): Promise<Leftover[] | undefined> {
  try {
    const listed: Listed[] = await inTime(mode.list(ctx));
    const ours = (id: string) =>
      (id === name && !staysUp) ||
      id === also ||
      id.startsWith(`${name} `) ||
      id.startsWith(`${also} `);
    return listed.filter(({ id }) => ours(id)).map(({ kind, id }) => ({ kind, id }));
  } catch {
    return undefined;
  }
}

/**
 * A thing is certainly ours if it has the sandbox's name or id, lies below the run's folder, or,
 * when no other run of ours executes, has the match's label. A thing without any mark counts only
 * if no other process could have created it. Every thing must be new.
 */
function judge(before: Census | undefined, now: Census, ctx: Context, run: Of): Leftover[] {
  const runtimeThings = now.runtime instanceof Map ? [...now.runtime.values()] : [];
  const machineThings = [...(now.machine?.things.values() ?? [])];
  const named = ofSandbox(run);
  const whole = run.alone ? [`cagematch.match=${ctx.labels.match}`, ctx.labels.owner] : [];
  const oldRuntime = before?.runtime instanceof Map ? before.runtime : undefined;
  const ours = (thing: Thing) => named(thing) || thing.marks.some((mark) => whole.includes(mark));
  const strangers = run.alone ? (now.machine?.others ?? []).filter((thing) => !ours(thing)) : [];
  const quiet =
    run.alone &&
    now.machine !== undefined &&
    strangers.length === 0 &&
    nobodyCameOrWent(oldRuntime, runtimeThings, ours);
  const left: Leftover[] = [];
  const pick = (things: Thing[], old: Map<string, Thing> | undefined) => {
    for (const thing of things) {
      if (thing.kind === 'folder' && thing.id === run.folder) continue;
      // A thing with the name of a sandbox that should be gone need not be new: the sandbox may
      // have been idle before.
      const isNew = !old?.has(keyOf(thing)) || (!run.staysUp && named(thing));
      const unmarked = thing.marks.length === 0 && quiet && old !== undefined;
      if (isNew && (ours(thing) || unmarked)) left.push({ kind: thing.kind, id: thing.id });
    }
  };
  // Without a census from before, a sandbox that stays up cannot be distinguished from a leftover.
  if (oldRuntime || !run.staysUp) pick(runtimeThings, oldRuntime);
  if (before?.machine) pick(machineThings, before.machine.things);
  return left;
}

/**
 * True if no foreign sandbox started or ended meanwhile; otherwise that sandbox may have created
 * the unmarked things.
 */
function nobodyCameOrWent(
  old: Map<string, Thing> | undefined,
  now: Thing[],
  ours: (thing: Thing) => boolean,
): boolean {
  const sandboxes = (things: Iterable<Thing>) =>
    new Set(
      [...things].filter((thing) => SANDBOXES.includes(thing.kind) && !ours(thing)).map(keyOf),
    );
  const was = sandboxes(old?.values() ?? []);
  const is = sandboxes(now);
  return was.size === is.size && [...was].every((key) => is.has(key));
}

/** Matches things that have the sandbox's name or id, or lie below the run's folder. */
function ofSandbox(run: Of): (thing: Thing) => boolean {
  // Match whole names: docker-1 must not match docker-10.
  const names = [run.name, ...(run.also === undefined ? [] : [run.also])].map((name) =>
    name.replace(/[^a-zA-Z0-9]/g, '\\$&'),
  );
  const name = new RegExp(`(?<![a-z0-9])(${names.join('|')})(?![a-z0-9])`, 'i');
  const bears = (word: string) =>
    name.test(word) ||
    (run.id !== undefined && word.includes(run.id)) ||
    (run.folder !== undefined && word.includes(`${run.folder}/`));
  return ({ id, marks }) => bears(id) || marks.some(bears);
}

/** Removes duplicates; if the sandbox itself still exists, its parts are not listed separately. */
function merged(all: Leftover[], run: Of): Leftover[] {
  const standing = all.some(({ kind, id }) => SANDBOXES.includes(kind) && id === run.name);
  const kept = standing ? all.filter(({ kind }) => !PARTS.includes(kind)) : all;
  return [...new Map(kept.map((leftover) => [keyOf(leftover), leftover])).values()];
}

function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), CENSUS_MS);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
