// The lifecycle of one sandbox: launched, used and destroyed, each within its time limit, whatever
// goes wrong.
import type { Context, Handle, Launched, LaunchSpec, Mode } from '../contract.js';
import { messageOf } from '../errors.js';
import { makeFolder } from '../os/owner.js';
import type { Leftover, Outcome } from '../record/types.js';
import { dropFolder } from './drop-folder.js';
import { DESTROY_MS, GRACE_MS, type Stopper, stopper, within } from './time-limits.js';

/** What to launch, and with which mode. */
export interface SandboxRequest {
  mode: Mode;
  /**
   * The row's context. Its signal is not used: the sandbox's own clients are stopped when the
   * sandbox is gone.
   */
  ctx: Context;
  spec: LaunchSpec;
  /**
   * Stops the sandbox's own clients. If absent, they are stopped as soon as the sandbox is gone; a
   * caller that passes a controller stops them later, after checking for leftovers.
   */
  over?: AbortController;
}

export interface OpenSandbox extends Launched {
  /** The row's context, with a signal that is aborted when the sandbox is gone. */
  ctx: Context;
}

/**
 * How a sandbox ended: confirmed as gone by the mode (`atMs`: when, if the runtime reports that),
 * or why it may still exist.
 */
export type Destroyed = { how: 'gone'; atMs?: number } | { how: 'left'; error: unknown };

/** A sandbox that is being launched; whoever opened it closes it later. */
export interface OpeningSandbox {
  /** @throws what the mode throws */
  launched: Promise<OpenSandbox>;
  /**
   * Destroys the sandbox, even if its launch failed or is still in progress. Never throws.
   * @param before called just before that
   */
  close(before?: () => void): Promise<{ handle: Handle; destroyed: Destroyed }>;
}

/** Begins to launch a sandbox; the caller must call `close` in any case. */
export function openSandbox({ mode, ctx: row, spec, over }: SandboxRequest): OpeningSandbox {
  const stop = over ?? new AbortController();
  const ctx: Context = { ...row, signal: stop.signal };
  const launching = launch(mode, ctx, spec);
  launching.catch(() => {});
  return {
    launched: launching.then((launched) => ({ ...launched, ctx })),
    async close(before) {
      const { handle } = (await within(launching, GRACE_MS).catch(() => undefined)) ?? {
        handle: { name: spec.name },
      };
      before?.();
      try {
        const { goneAtMs } = await within(mode.destroy(ctx, handle), DESTROY_MS);
        return {
          handle,
          destroyed: { how: 'gone', ...(goneAtMs === undefined ? {} : { atMs: goneAtMs }) },
        };
      } catch (error) {
        return { handle, destroyed: { how: 'left', error } };
      } finally {
        if (over === undefined) stop.abort();
      }
    },
  };
}

/** Async, so that a mode that throws before it returns a promise also results in a rejection. */
async function launch(mode: Mode, ctx: Context, spec: LaunchSpec): Promise<Launched> {
  return mode.launch(ctx, spec);
}

/**
 * When to cut short a sandbox that serves one piece of work, and what to call before it is
 * destroyed.
 */
export interface Limits {
  /**
   * Aborted when the user wants to stop: the work is cut short, but the sandbox is still destroyed.
   */
  signal: AbortSignal;
  /** Time limit for launch and work together, in ms. */
  timeoutMs: number;
  /** Called just before the sandbox is destroyed. */
  onDestroy?(): void;
}

export interface Used<T> {
  /** What the work returned, or what it or the launch threw. */
  work: { value: T } | { error: unknown };
  /** Why the work was cut short, if it was: by the user, or by the time limit. */
  cutShort: Outcome | undefined;
  /** False if the sandbox was never launched. */
  launched: boolean;
  /** As the mode returned it; only the name if the sandbox was never launched. */
  handle: Handle;
  destroyed: Destroyed;
}

/**
 * Launches a sandbox, works in it, and destroys it whatever happens. Never throws.
 * @param work receives the sandbox, and the stopper that cuts the work short
 */
export async function withSandbox<T>(
  request: SandboxRequest,
  { signal, timeoutMs, onDestroy }: Limits,
  work: (sandbox: OpenSandbox & { stop: Stopper }) => Promise<T>,
): Promise<Used<T>> {
  const stop = stopper(signal, timeoutMs);
  const opening = openSandbox(request);
  let launched = false;
  let done: Used<T>['work'];
  try {
    const sandbox = await stop.race(opening.launched);
    launched = true;
    done = { value: await stop.race(work({ ...sandbox, stop })) };
  } catch (error) {
    done = { error };
  } finally {
    stop.clear();
  }
  const cutShort = stop.reason();
  return { work: done, cutShort, launched, ...(await opening.close(onDestroy)) };
}

/**
 * Creates a run's folder on this host, uses it and removes it.
 * @returns the work's result, and what could not be removed
 */
export async function withRunFolder<T>(
  purpose: string,
  work: (folder: string) => Promise<T>,
  options: { onFolder?(folder: string): void } = {},
): Promise<{ value: T; left: Leftover[] }> {
  const folder = makeFolder(purpose);
  try {
    const value = await work(folder);
    return { value, left: dropFolder(folder, options) };
  } catch (error) {
    dropFolder(folder, options);
    throw error;
  }
}

export const whyLeft = (destroyed: Destroyed): string | undefined =>
  destroyed.how === 'left' ? messageOf(destroyed.error) : undefined;
