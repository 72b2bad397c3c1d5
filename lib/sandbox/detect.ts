// Runs the detection of all modes concurrently, each within a time limit.
import type { Context, Detection, Isolation, Mode } from '../contract.js';
import { messageOf } from '../errors.js';

const DETECT_MS = 5000;

export interface Detected {
  mode: Mode;
  /** For people and for the record; without the mode's own state. */
  detection: Detection;
  /** What the mode has to be given back in its context. */
  runtimeState: unknown;
}

/** @param boundMs time limit for each mode; the slowest mode determines the total time */
export async function detectAll(
  modes: Iterable<Mode>,
  contextOf: (mode: Mode) => Context,
  boundMs: number = DETECT_MS,
): Promise<Detected[]> {
  return Promise.all(
    [...modes].map(async (mode) => {
      const detection = await detectOne(mode, contextOf(mode), boundMs);
      if (detection.status !== 'ready') return { mode, detection, runtimeState: undefined };
      const { state, ...shown } = detection;
      return { mode, detection: shown, runtimeState: state };
    }),
  );
}

async function detectOne(mode: Mode, ctx: Context, boundMs: number): Promise<Detection> {
  if (!mode.platforms.includes(ctx.platform)) {
    return {
      status: 'absent',
      reason: `${mode.title} does not run on ${ctx.platform}`,
      hint: `use a machine with ${mode.platforms.join(' or ')}`,
    };
  }
  const late = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<Detection>((resolve) => {
    timer = setTimeout(() => {
      late.abort();
      resolve({
        status: 'broken',
        reason: `no answer within ${boundMs / 1000} s`,
        hint: 'restart its daemon',
      });
    }, boundMs);
  });
  try {
    const answer = mode.detect({ ...ctx, signal: AbortSignal.any([ctx.signal, late.signal]) });
    return await Promise.race([answer, tooLate]);
  } catch (error) {
    return { status: 'broken', reason: messageOf(error), hint: 'cagematch doctor' };
  } finally {
    clearTimeout(timer);
  }
}

/** Isolation of the entry without a variant. */
export function isolationOf({ mode, detection }: Pick<Detected, 'mode' | 'detection'>): Isolation {
  return (detection.status === 'ready' ? detection.isolation : undefined) ?? mode.isolation;
}

/** A stand-in identifies itself in its version; its numbers are kept separate from all findings. */
export function isStandIn(detection: Detection): boolean {
  return detection.status === 'ready' && /stand-in/.test(detection.version);
}
