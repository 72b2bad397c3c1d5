// What a run has left behind: what is there after it and was not before, and is ours. What may be another's is never called ours.
import type { Context, Listed, Mode, Thing } from '../contract.js';
import type { Leftover } from '../record/types.js';
import { keyOf, type Machine, type Reading, thisMachine } from './machine.js';

/** What a census could not tell is not told as none. */
export type Leftovers = Leftover[] | { gap: 'not-reported' | 'platform' };

/** Whose things are looked for. */
export interface Of {
  /** The sandbox' name. */
  name: string;
  /** Of a second sandbox that the run had. */
  also?: string | undefined;
  /** The runtime's own id of it, where it has told one. */
  id?: string | undefined;
  /** The run's folder; whoever made it says himself whether it is gone. */
  folder?: string | undefined;
  /** No other run of ours goes at the same time: what bears the match's label, or nobody's mark, can be this run's. */
  alone: boolean;
  /** The sandbox is meant to live on. */
  staysUp: boolean;
}

type Subject = { mode: Mode; ctx: Context };

/** One moment; a part that could not be told is missing. */
export interface Census {
  machine: Reading | undefined;
  /** `unasked`: the mode has no census of its own. */
  runtime: Map<string, Thing> | 'unasked' | 'failed';
}

/** The censuses of a match. One that was taken after a run serves as the one before the next, when nothing was launched in between. */
export interface Audit {
  /** Never throws. @param fresh something was launched that the audit was not told of */
  before(subject: Subject, options?: { fresh?: boolean }): Promise<Census>;
  /** Something is launched from now on: the last census is no longer true. */
  launching(): void;
  /** Never throws. Looks again for a second before something counts: much goes a moment after its sandbox. */
  after(before: Census | undefined, subject: Subject, of: Of): Promise<Leftovers>;
}

/** How long to wait before looking again, in ms. */
const PAUSES_MS = [40, 80, 160, 300, 420];
/** The longest that a runtime may take to tell what it has. */
const CENSUS_MS = 10_000;
/** What can hold other things of this list; one that came or went may have made them. */
const SANDBOXES = ['container', 'instance', 'machine', 'sandbox'];
/** What a sandbox that is still there consists of. */
const PARTS = ['process', 'mount', 'netns', 'cgroup'];

/**
 * @param machineOf what tells of this machine; absent: the machine itself
 * @param pausesMs how long to wait before each further look
 */
export function openAudit(
  machineOf: (platform: NodeJS.Platform) => Machine | undefined = thisMachine,
  pausesMs: readonly number[] = PAUSES_MS,
): Audit {
  let last: { key: unknown; census: Promise<Census> } | undefined;
  const readMachine = ({ mode, ctx }: Subject, before: Reading | undefined) =>
    mode.elsewhere ? undefined : machineOf(ctx.platform)?.read(before, ctx.labels.owner);
  const portsOf = (left: Leftover[], { ctx }: Subject) => {
    const pids = left.flatMap(({ kind, id }) => (kind === 'process' ? [Number(/(?:^| )pid (\d+)/.exec(id)?.[1])] : []));
    return pids.length === 0 ? [] : (machineOf(ctx.platform)?.ports(pids) ?? []);
  };
  return {
    async before(subject, options = {}) {
      const key = `${subject.mode.id} ${subject.ctx.variant ?? ''}`;
      if (last && last.key === key && options.fresh !== true) return last.census;
      const known = options.fresh === true ? undefined : await last?.census;
      const census = (async (): Promise<Census> => ({
        // What lay between two runs of one match were our own steps.
        machine: known?.machine ?? readMachine(subject, undefined),
        runtime: await askRuntime(subject),
      }))();
      last = { key, census };
      return census;
    },
    launching() {
      last = undefined;
    },
    async after(before, subject, of) {
      for (let look = 0; ; look += 1) {
        const machine = readMachine(subject, before?.machine);
        const runtime = await askRuntime(subject);
        const listed = runtime === 'unasked' ? await askList(subject, of) : [];
        const left = [...judge(before, { machine, runtime }, subject.ctx, of), ...(listed ?? [])];
        const found = merged([...left, ...portsOf(left, subject)], of);
        const pauseMs = pausesMs[look];
        if (found.length > 0 && pauseMs !== undefined) {
          await new Promise((resolve) => setTimeout(resolve, pauseMs));
          continue;
        }
        last = { key: `${subject.mode.id} ${subject.ctx.variant ?? ''}`, census: Promise.resolve({ machine, runtime }) };
        if (found.length > 0) return found;
        if (listed === undefined || runtime === 'failed' || before?.runtime === 'failed') return { gap: 'not-reported' };
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

/** What a mode without a census lists of the sandbox; undefined when it cannot tell. */
async function askList({ mode, ctx }: Subject, { name, also, staysUp }: Of): Promise<Leftover[] | undefined> {
  try {
    const listed: Listed[] = await inTime(mode.list(ctx));
    const ours = (id: string) => (id === name && !staysUp) || id === also || id.startsWith(`${name} `) || id.startsWith(`${also} `);
    return listed.filter(({ id }) => ours(id)).map(({ kind, id }) => ({ kind, id }));
  } catch {
    return undefined;
  }
}

/**
 * Ours for certain is what bears the sandbox' name or id, lies below the run's folder, or, when no other run of ours goes,
 * bears the match's label. What bears nobody's mark counts only when nobody else could have made it. All of it must be new.
 */
function judge(before: Census | undefined, now: Census, ctx: Context, of: Of): Leftover[] {
  const runtimeThings = now.runtime instanceof Map ? [...now.runtime.values()] : [];
  const machineThings = [...(now.machine?.things.values() ?? [])];
  const named = ofSandbox(of);
  const whole = of.alone ? [`cagematch.match=${ctx.labels.match}`, ctx.labels.owner] : [];
  const oldRuntime = before?.runtime instanceof Map ? before.runtime : undefined;
  const ours = (thing: Thing) => named(thing) || thing.marks.some((mark) => whole.includes(mark));
  const strangers = of.alone ? (now.machine?.others ?? []).filter((thing) => !ours(thing)) : [];
  const quiet = of.alone && now.machine !== undefined && strangers.length === 0 && nobodyCameOrWent(oldRuntime, runtimeThings, ours);
  const left: Leftover[] = [];
  const pick = (things: Thing[], old: Map<string, Thing> | undefined) => {
    for (const thing of things) {
      if (thing.kind === 'folder' && thing.id === of.folder) continue;
      // What bears the name of a sandbox that should be gone need not be new: it may have idled before.
      const isNew = !old?.has(keyOf(thing)) || (!of.staysUp && named(thing));
      const unmarked = thing.marks.length === 0 && quiet && old !== undefined;
      if (isNew && (ours(thing) || unmarked)) left.push({ kind: thing.kind, id: thing.id });
    }
  };
  // What stays up cannot be told from what was left when nobody knows what was there before.
  if (oldRuntime || !of.staysUp) pick(runtimeThings, oldRuntime);
  if (before?.machine) pick(machineThings, before.machine.things);
  return left;
}

/** Another's sandbox that began or ended meanwhile may be what made the rest. */
function nobodyCameOrWent(old: Map<string, Thing> | undefined, now: Thing[], ours: (thing: Thing) => boolean): boolean {
  const sandboxes = (things: Iterable<Thing>) =>
    new Set([...things].filter((thing) => SANDBOXES.includes(thing.kind) && !ours(thing)).map(keyOf));
  const was = sandboxes(old?.values() ?? []);
  const is = sandboxes(now);
  return was.size === is.size && [...was].every((key) => is.has(key));
}

/** Does it bear the sandbox' name or id, or lie below the run's folder? */
function ofSandbox(of: Of): (thing: Thing) => boolean {
  // docker-1 is not docker-10.
  const names = [of.name, ...(of.also === undefined ? [] : [of.also])].map((one) => one.replace(/[^a-zA-Z0-9]/g, '\\$&'));
  const name = new RegExp(`(?<![a-z0-9])(${names.join('|')})(?![a-z0-9])`, 'i');
  const bears = (word: string) =>
    name.test(word) || (of.id !== undefined && word.includes(of.id)) || (of.folder !== undefined && word.includes(`${of.folder}/`));
  return ({ id, marks }) => bears(id) || marks.some(bears);
}

/** Each once; and of a sandbox that is still there, not each of its parts. */
function merged(all: Leftover[], of: Of): Leftover[] {
  const standing = all.some(({ kind, id }) => SANDBOXES.includes(kind) && id === of.name);
  const kept = standing ? all.filter(({ kind }) => !PARTS.includes(kind)) : all;
  return [...new Map(kept.map((one) => [keyOf(one), one])).values()];
}

function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), CENSUS_MS);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
