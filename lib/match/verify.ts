// A task's own verifier: run in a fresh sandbox of the same mode, on the workspace that came back,
// after every clock has stopped.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type {
  Command,
  Context,
  ExecStream,
  HostPaths,
  LaunchSpec,
  Layout,
  Mode,
} from '../contract.js';
import { CagematchError, messageOf } from '../errors.js';
import type { Owner } from '../os/own.js';
import { oneLine } from '../os/printable.js';
import { withOpenDir } from '../os/safe-dir.js';
import type { Leftover, Outcome } from '../record/types.js';
import { blamed, failureOf } from '../sandbox/failure.js';
import { createRunDirs } from '../sandbox/run-folders.js';
import { whyLeft, withRunFolder, withSandbox } from '../sandbox/with-sandbox.js';
import type { Verifier } from '../task/task.js';
import { filesOf, writeTree } from '../task/tree.js';
import type { RunRequest } from './run-settings.js';

const PASSED: Outcome = { status: 'passed' };

/** Folder of the verifier's files in a guest that shares no files with this host. */
const INSIDE = '/tmp/cagematch/verify';

/**
 * Name of the verifier's sandbox, derived from the run's own. It must differ, since a runtime's
 * events identify sandboxes by name. `sandboxName` leaves room for the suffix.
 */
export const verifierName = (run: string) => `${run}-v`;

export interface Verdict {
  outcome: Outcome;
  /** Resources of the verifier that could not be removed, as far as known here. */
  leftovers: Leftover[];
}

/**
 * Runs the task's verifier. Nothing is launched for a task without a verifier or a run that has
 * failed. The sandbox gets no gateway, no credential, and its own home and temporary folder, and is
 * always destroyed. Never throws.
 * @param run the outcome from the judge, and the workspace as it came back
 */
export async function verifyInside(
  settings: Pick<RunRequest, 'mode' | 'ctx' | 'task' | 'name' | 'signal' | 'timeoutMs' | 'onPhase'>,
  run: { outcome: Outcome; workspace: string; nonce: string; user: Owner },
): Promise<Verdict> {
  const { verifier } = settings.task;
  if (!verifier || run.outcome.status !== 'passed') return { outcome: run.outcome, leftovers: [] };
  settings.onPhase('verify');
  try {
    const { value, left } = await withRunFolder('verify', async (folder) => {
      const { spec, command } = planVerifier(settings, verifier, run, folder);
      return inSandbox(settings, spec, command);
    });
    return { ...value, leftovers: [...value.leftovers, ...left] };
  } catch (error) {
    return { outcome: failureOf(error), leftovers: [] };
  }
}

function planVerifier(
  settings: { mode: Mode; ctx: Context; name: string },
  verifier: Verifier,
  run: { workspace: string; nonce: string; user: Owner },
  folder: string,
): { spec: LaunchSpec; command: Command } {
  const { mode, ctx } = settings;
  const brought = join(folder, 'verify');
  mkdirSync(brought);
  withOpenDir(brought, (dir) => writeTree(verifier.files, dir));
  const host: HostPaths = {
    ...createRunDirs(folder, run.user, ctx, mode),
    workspace: run.workspace,
  };
  const layout = mode.layout(ctx, host);
  // If the guest uses the host's home, it shares all other host paths too.
  const shares = layout.home === host.home;
  const files = shares
    ? []
    : filesOf(verifier.files).map(({ path }) => ({
        path: `${INSIDE}/${path}`,
        source: join(brought, path),
      }));
  const command = commandOf(verifier.argv(shares ? brought : INSIDE, run.nonce), layout);
  const spec: LaunchSpec = { name: verifierName(settings.name), host, user: run.user, files };
  return { spec: mode.oneShot ? { ...spec, command } : spec, command };
}

/** Started through a shell, whose message for a missing program is the same everywhere. */
function commandOf(argv: [string, ...string[]], layout: Layout): Command {
  return {
    argv: ['/bin/sh', '-c', 'exec "$@"', 'sh', ...argv],
    env: {
      HOME: layout.home,
      LANG: 'C.UTF-8',
      ...(layout.path === undefined ? {} : { PATH: layout.path }),
      ...(layout.tmp === undefined ? {} : { TMPDIR: layout.tmp }),
    },
    secretEnv: {},
    cwd: layout.workspace,
  };
}

async function inSandbox(
  {
    mode,
    ctx,
    signal,
    timeoutMs,
  }: { mode: Mode; ctx: Context; signal: AbortSignal; timeoutMs: number },
  spec: LaunchSpec,
  command: Command,
): Promise<Verdict> {
  const used = await withSandbox({ mode, ctx, spec }, { signal, timeoutMs }, (sandbox) =>
    heard(sandbox.process ?? mode.exec(sandbox.ctx, sandbox.handle, command)),
  );
  const outcome =
    'value' in used.work
      ? used.work.value
      : (cutShort(used.cutShort, used.launched, timeoutMs) ?? notRun(used.work.error));
  const left = whyLeft(used.destroyed);
  if (left === undefined) return { outcome, leftovers: [] };
  const why = blamed('sandbox', `the verifier's sandbox could not be destroyed: ${left}`);
  return {
    outcome: outcome.status === 'passed' ? why : outcome,
    leftovers: [{ kind: 'sandbox', id: spec.name }],
  };
}

function notRun(error: unknown): Outcome {
  const hint = error instanceof CagematchError ? error.hint : undefined;
  return blamed(
    'sandbox',
    oneLine(`the verifier could not be launched: ${messageOf(error)}`),
    hint,
  );
}

function cutShort(
  reason: Outcome | undefined,
  launched: boolean,
  timeoutMs: number,
): Outcome | undefined {
  if (reason?.status !== 'failed' || reason.cause !== 'timeout') return reason;
  const within = `within ${timeoutMs / 1000} s`;
  if (!launched) return blamed('sandbox', `the verifier was not launched ${within}`, reason.hint);
  return blamed('verifier', `the verifier had not ended ${within}`, reason.hint);
}

/** Reads all output of the verifier, and keeps the line that explains a failure. */
async function heard(stream: ExecStream): Promise<Outcome> {
  let last = '';
  let error = '';
  for await (const event of stream) {
    if (event.type === 'line') {
      if (/^(Uncaught )?\w*Error\b/.test(event.text)) error = event.text;
      last = event.text.trim() === '' ? last : event.text;
      continue;
    }
    // Node prints its own version after an error.
    const words = /^Node\.js v\d/.test(last) && error !== '' ? error : last;
    const said = words === '' ? '' : `: ${words}`;
    if (event.type === 'lost')
      return blamed('sandbox', oneLine(`the runtime lost the verifier: ${event.reason}`));
    if (event.type === 'signal')
      return blamed('verifier', oneLine(`the verifier was killed by ${event.name}${said}`));
    if (event.code === 0) return PASSED;
    // Exit code 137: the kernel killed it for lack of memory. It is treated as for the agent.
    return blamed(
      event.code === 137 ? 'sandbox' : 'verifier',
      oneLine(`the verifier ended with exit code ${event.code}${said}`),
    );
  }
  return blamed('sandbox', 'the runtime lost the verifier: the stream broke off');
}
