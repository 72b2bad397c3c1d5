// What a row takes on disk, and what it is from inside: asked of one idle sandbox, after the rounds, so that no run pays for it.
import type { Context, Handle, Mode } from '../contract.js';
import { messageOf } from '../errors.js';
import { makeFolder, removeFolder } from '../owner.js';
import type { Disk, Gap, Guest } from '../record.js';
import type { Task } from '../task/task.js';
import { DESTROY_MS, GRACE_MS, stopper, within } from './bounds.js';
import { furnish, specFor, workspaceUser } from './furnish.js';
import { lookInside } from './guest.js';
import type { Ready } from './ready.js';

/** For launch and answer together. */
const APPRAISE_MS = 60_000;

type Row = Pick<Ready, 'ctx' | 'reach' | 'gatewayPort'> & { mode: Mode };

interface Appraisal {
  disk: Disk;
  guest: Guest | Gap;
}

/**
 * Launches a sandbox that idles, asks, and destroys it again whatever the answer. Nothing is launched where the mode knows no disk,
 * unless its sandbox is a process of this machine. Never throws. `problem`: why there is no answer although there should be one.
 * @param name unique on this machine; the sandbox bears it
 */
export async function appraise(
  one: Row,
  match: { task: Task; name: string; signal: AbortSignal; lookInside: boolean },
): Promise<Appraisal & { problem?: string }> {
  const { mode } = one;
  if (!mode.disk && !(match.lookInside && isProcess(mode)))
    return { disk: nothing(whyNot(mode)), guest: { gap: mode.elsewhere ? 'other-machine' : 'not-captured' } };
  let folder: string | undefined;
  try {
    folder = makeFolder('disk');
    return await inSandbox(folder, one, match);
  } catch (error) {
    const gap = { gap: 'not-reported' } as const;
    return { disk: nothing(mode.disk ? gap : whyNot(mode)), guest: gap, problem: messageOf(error) };
  } finally {
    tidy(folder);
  }
}

async function inSandbox(folder: string, one: Row, match: Parameters<typeof appraise>[1]): Promise<Appraisal> {
  const { mode } = one;
  // Ends what our own clients still do once the sandbox is gone.
  const over = new AbortController();
  const ctx: Context = { ...one.ctx, signal: over.signal };
  const user = mode.owner?.(ctx) ?? workspaceUser(ctx.uid);
  const host = furnish(folder, user, ctx, mode);
  const spec = specFor({ ...one, ...match, ctx }, host, user);
  const stop = stopper(match.signal, APPRAISE_MS);
  let handle: Handle = { name: spec.name };
  try {
    const launching = mode.launch(ctx, spec);
    handle = await stop.race(launching, async () => {
      handle = (await within(launching, GRACE_MS).catch(() => undefined)) ?? handle;
    });
    // The disk first: a look inside may write.
    const disk = mode.disk ? wholeDisk(await stop.race(mode.disk(ctx, handle), async () => {})) : nothing(whyNot(mode));
    const guest = match.lookInside ? await stop.race(lookInside(mode, ctx, handle, host), async () => {}) : NOT_CAPTURED;
    return { disk, guest };
  } finally {
    stop.clear();
    await within(mode.destroy(ctx, handle), DESTROY_MS).finally(() => over.abort());
  }
}

const wholeDisk = ({ imageBytes, sandboxBytes }: Partial<Disk>): Disk => ({
  imageBytes: imageBytes ?? { gap: 'not-reported' },
  sandboxBytes: sandboxBytes ?? { gap: 'not-reported' },
});

const NOT_CAPTURED = { gap: 'not-captured' } as const;

/** To launch one costs next to nothing. */
const isProcess = ({ isolation, elsewhere }: Mode) => !elsewhere && (isolation === 'none' || isolation === 'os-sandbox');

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
