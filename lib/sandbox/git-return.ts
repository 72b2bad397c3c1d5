// What was committed in a sandbox's workspace, brought back as a git bundle that the guest's own
// git has made.
import type { Context, Handle, Layout, Mode } from '../contract.js';
import { shellBy } from '../kit/guest/exec.js';
import { bundleOut, MADE } from '../kit/guest/shell.js';

/** Time limit for one command in the guest, in ms. */
const COMMAND_MS = 120_000;

/**
 * The commits on every branch and tag of the workspace's repository. The guest made the bundle, so
 * it is not trusted.
 * @returns undefined if there is no repository, or nothing in it but what the runtime itself
 *   committed
 * @throws `collect-failed`
 */
export function commitsOf(
  mode: Mode,
  ctx: Context,
  handle: Handle,
  layout: Omit<Layout, 'home'>,
): Promise<Buffer | undefined> {
  const shell =
    mode.guestShell?.(ctx, handle, COMMAND_MS) ??
    shellBy(
      (command, signal) => mode.exec({ ...ctx, signal }, handle, command),
      ctx.signal,
      COMMAND_MS,
      layout,
    );
  return bundleOut(
    shell,
    layout.workspace,
    `${layout.tmp ?? MADE}/commits.bundle`,
    handle.commits ?? 0,
  );
}
