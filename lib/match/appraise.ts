// Measures a row's disk use and inspects its guest environment in one idle sandbox, after the
// rounds, so that no run is slowed by it.
import type { Mode } from '../contract.js';
import { messageOf } from '../errors.js';
import type { Disk, Gap, Guest } from '../record/types.js';
import type { PreparedRow } from '../sandbox/prepare.js';
import { createRunDirs, specFor, workspaceUser } from '../sandbox/run-folders.js';
import { withRunFolder, withSandbox } from '../sandbox/with-sandbox.js';
import type { Task } from '../task/task.js';
import { lookInside } from './guest.js';

/** Timeout for the launch and the inspection together, in ms. */
const APPRAISE_MS = 60_000;

type Row = Pick<PreparedRow, 'ctx' | 'reach' | 'gatewayPort'> & { mode: Mode };

interface Appraisal {
  disk: Disk;
  guest: Guest | Gap;
}

/**
 * Launches an idle sandbox, inspects it, and always destroys it afterwards. Nothing is launched
 * when the mode cannot report disk use, unless its sandbox is a process on this machine. Never
 * throws. `problem` explains why an expected result is missing.
 * @param name unique on this machine; used as the sandbox's name
 */
export async function appraise(
  row: Row,
  match: { task: Task; name: string; signal: AbortSignal; lookInside: boolean },
): Promise<Appraisal & { problem?: string }> {
  const { mode } = row;
  if (!mode.disk && !(match.lookInside && isProcess(mode)))
    return {
      disk: nothing(whyNot(mode)),
      guest: { gap: mode.elsewhere ? 'other-machine' : 'not-captured' },
    };
  try {
    return (await withRunFolder('disk', (folder) => inSandbox(folder, row, match))).value;
  } catch (error) {
    const gap = { gap: 'not-reported' } as const;
    return { disk: nothing(mode.disk ? gap : whyNot(mode)), guest: gap, problem: messageOf(error) };
  }
}

/** @throws any error from the mode, or the reason why the sandbox may still exist */
async function inSandbox(
  folder: string,
  row: Row,
  match: Parameters<typeof appraise>[1],
): Promise<Appraisal> {
  const { mode, ctx } = row;
  const user = mode.owner?.(ctx) ?? workspaceUser(ctx.uid);
  const host = createRunDirs(folder, user, ctx, mode);
  const spec = specFor({ ...row, ...match }, host, user);
  const limits = { signal: match.signal, timeoutMs: APPRAISE_MS };
  const used = await withSandbox({ mode, ctx, spec }, limits, async (sandbox) => {
    // Measure the disk first: the look inside may write to it.
    const disk = mode.disk
      ? wholeDisk(await mode.disk(sandbox.ctx, sandbox.handle))
      : nothing(whyNot(mode));
    const guest = match.lookInside
      ? await lookInside(mode, sandbox.ctx, sandbox.handle, host)
      : NOT_CAPTURED;
    return { disk, guest };
  });
  if (used.destroyed.how === 'left') throw used.destroyed.error;
  if ('error' in used.work) throw used.work.error;
  return used.work.value;
}

const wholeDisk = ({ imageBytes, sandboxBytes }: Partial<Disk>): Disk => ({
  imageBytes: imageBytes ?? { gap: 'not-reported' },
  sandboxBytes: sandboxBytes ?? { gap: 'not-reported' },
});

const NOT_CAPTURED = { gap: 'not-captured' } as const;

/** True if the sandbox is a process on this machine, which costs next to nothing to launch. */
const isProcess = ({ isolation, elsewhere }: Mode) =>
  !elsewhere && (isolation === 'none' || isolation === 'os-sandbox');

/**
 * A process on this machine has no image, and we do not launch a sandbox on another machine just to
 * measure its disk.
 */
function whyNot(mode: Mode): Gap {
  if (mode.elsewhere) return { gap: 'other-machine' };
  return {
    gap:
      mode.isolation === 'none' || mode.isolation === 'os-sandbox'
        ? 'not-applicable'
        : 'not-reported',
  };
}

function nothing(gap: Gap): Disk {
  return { imageBytes: gap, sandboxBytes: gap };
}
