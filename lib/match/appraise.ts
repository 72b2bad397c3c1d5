// What a row takes on disk: its image, and one idle sandbox of it. Asked once, after the rounds, so that no run pays for it.
import type { Context, Handle, Mode } from '../contract.js';
import { messageOf } from '../errors.js';
import { makeFolder, removeFolder } from '../owner.js';
import type { Disk, Gap } from '../record.js';
import type { Task } from '../task/task.js';
import { DESTROY_MS, GRACE_MS, stopper, within } from './bounds.js';
import { furnish, specFor, workspaceUser } from './furnish.js';
import type { Ready } from './ready.js';

/** For launch and answer together. */
const APPRAISE_MS = 60_000;

type Row = Pick<Ready, 'ctx' | 'reach' | 'gatewayPort'> & { mode: Mode };

/**
 * Launches a sandbox that idles, asks, and destroys it again whatever the answer; nothing is launched where the mode cannot
 * tell. Never throws. `problem`: why there is no answer although there should be one.
 * @param name unique on this machine; the sandbox bears it
 */
export async function appraise(
  one: Row,
  match: { task: Task; name: string; signal: AbortSignal },
): Promise<{ disk: Disk; problem?: string }> {
  const { mode } = one;
  const { disk } = mode;
  if (!disk) return { disk: nothing(whyNot(mode)) };
  let folder: string | undefined;
  try {
    folder = makeFolder('disk');
    return { disk: await inSandbox(folder, one, match, disk) };
  } catch (error) {
    return { disk: nothing({ gap: 'not-reported' }), problem: messageOf(error) };
  } finally {
    tidy(folder);
  }
}

async function inSandbox(folder: string, one: Row, match: Parameters<typeof appraise>[1], disk: NonNullable<Mode['disk']>): Promise<Disk> {
  const { mode } = one;
  // Ends what our own clients still do once the sandbox is gone.
  const over = new AbortController();
  const ctx: Context = { ...one.ctx, signal: over.signal };
  const user = mode.owner?.(ctx) ?? workspaceUser(ctx.uid);
  const spec = specFor({ ...one, ...match, ctx }, furnish(folder, user, ctx, mode), user);
  const stop = stopper(match.signal, APPRAISE_MS);
  let handle: Handle = { name: spec.name };
  try {
    const launching = mode.launch(ctx, spec);
    handle = await stop.race(launching, async () => {
      handle = (await within(launching, GRACE_MS).catch(() => undefined)) ?? handle;
    });
    const { imageBytes, sandboxBytes } = await stop.race(disk(ctx, handle), async () => {});
    return { imageBytes: imageBytes ?? { gap: 'not-reported' }, sandboxBytes: sandboxBytes ?? { gap: 'not-reported' } };
  } finally {
    stop.clear();
    await within(mode.destroy(ctx, handle), DESTROY_MS).finally(() => over.abort());
  }
}

/** A process of this machine has no image; another machine's disk is not ours to launch for. */
function whyNot(mode: Mode): Gap {
  if (mode.elsewhere) return { gap: 'other-machine' };
  return { gap: mode.isolation === 'none' || mode.isolation === 'os-sandbox' ? 'not-applicable' : 'not-reported' };
}

function nothing(gap: Gap): Disk {
  return { imageBytes: gap, sandboxBytes: gap };
}

function tidy(folder: string | undefined): void {
  try {
    if (folder !== undefined) removeFolder(folder);
  } catch {
    // Another user's files inside; they go with the next `clean`.
  }
}
