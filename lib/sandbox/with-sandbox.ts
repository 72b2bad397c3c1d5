// One sandbox from launch to gone: launched, used, destroyed, each within its time limit, whatever goes wrong.
import type { Context, Handle, LaunchSpec, Mode } from '../contract.js';
import { messageOf } from '../errors.js';
import { makeFolder } from '../os/owner.js';
import type { Leftover, Outcome } from '../record/types.js';
import { dropFolder } from './drop-folder.js';
import { DESTROY_MS, GRACE_MS, type Stopper, stopper, within } from './time-limits.js';

/** What is launched, by which mode. */
export interface SandboxRequest {
  mode: Mode;
  /** The row's. Its signal does not count here: the sandbox' own clients are stopped when the sandbox is gone. */
  ctx: Context;
  spec: LaunchSpec;
  /**
   * Stops the sandbox' own clients. Absent: that is done as soon as the sandbox is gone; a caller who gives one does it later, after
   * looking at what was left.
   */
  over?: AbortController;
}

export interface OpenSandbox {
  /** As the mode returned it. */
  handle: Handle;
  /** The row's context, with a signal that is aborted when the sandbox is gone. */
  ctx: Context;
}

/** How a sandbox ended: confirmed by the mode (`atMs`: when, where its runtime reports that), or why it may still be there. */
export type Destroyed = { how: 'gone'; atMs?: number } | { how: 'left'; error: unknown };

/** A sandbox that is closed later, by whoever opened it. */
export interface OpeningSandbox {
  /** @throws what the mode throws */
  launched: Promise<OpenSandbox>;
  /** Destroys it, also one whose launch has failed or is still under way. Never throws. @param before called just before it is destroyed */
  close(before?: () => void): Promise<{ handle: Handle; destroyed: Destroyed }>;
}

/** Begins to launch a sandbox; who calls this has to call `close` in any case. */
export function openSandbox({ mode, ctx: row, spec, over }: SandboxRequest): OpeningSandbox {
  const stop = over ?? new AbortController();
  const ctx: Context = { ...row, signal: stop.signal };
  const launching = launch(mode, ctx, spec);
  launching.catch(() => {});
  return {
    launched: launching.then((handle) => ({ handle, ctx })),
    async close(before) {
      const handle = (await within(launching, GRACE_MS).catch(() => undefined)) ?? { name: spec.name };
      before?.();
      try {
        const { goneAtMs } = await within(mode.destroy(ctx, handle), DESTROY_MS);
        return { handle, destroyed: { how: 'gone', ...(goneAtMs === undefined ? {} : { atMs: goneAtMs }) } };
      } catch (error) {
        return { handle, destroyed: { how: 'left', error } };
      } finally {
        if (over === undefined) stop.abort();
      }
    },
  };
}

/** A mode may throw before it returns a promise. */
async function launch(mode: Mode, ctx: Context, spec: LaunchSpec): Promise<Handle> {
  return mode.launch(ctx, spec);
}

/** When a sandbox that serves one piece of work is cut short, and what is called on the way. */
export interface Limits {
  /** Aborted when the user wants to stop: the work is cut short, the sandbox is still destroyed. */
  signal: AbortSignal;
  /** For launch and work together, in ms. */
  timeoutMs: number;
  /** Called just before the sandbox is destroyed. */
  onDestroy?(): void;
}

export interface Used<T> {
  /** What the work returned, or what it or the launch threw. */
  work: { value: T } | { error: unknown };
  /** Why the work was cut short, if it was: by the user, or by the time limit. */
  cutShort: Outcome | undefined;
  /** False where the sandbox was never launched. */
  launched: boolean;
  /** As the mode returned it; its name alone where it was never launched. */
  handle: Handle;
  destroyed: Destroyed;
}

/**
 * Launches a sandbox, works in it, and destroys it whatever happened. Never throws.
 * @param work given the sandbox, and the stopper that cuts it short
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

/** Folder of a run on this host: made, used, removed. @returns the work's result, and what could not be removed */
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

export const whyLeft = (destroyed: Destroyed): string | undefined => (destroyed.how === 'left' ? messageOf(destroyed.error) : undefined);
