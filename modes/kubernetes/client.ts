// kubectl, which is always called with the configured context; its error messages, and hints for
// them.
import type { Context } from '../../lib/contract.js';
import { CagematchError } from '../../lib/errors.js';
import type { OtherNames } from '../../lib/kit/oci/runtimes.js';
import { type Captured, capture, succeeded, whyFailed } from '../../lib/os/capture.js';

export interface KubeState {
  /** API version of the Sandbox resource of agent-sandbox; absent: the cluster does not have it. */
  sandboxApi?: string;
  /** RuntimeClasses whose names do not identify the runtime. */
  otherNames: OtherNames;
}

export type KubeContext = Context<KubeState>;

/** Detection may take 5 s in total and makes two calls in sequence. */
const ASK_MS = 4000;

export const QUICK_MS = 15_000;

export const INSTALL = 'install kubectl (kubernetes.io/docs/tasks/tools)';

export function ask(
  ctx: Context,
  argv: [string, ...string[]],
  timeoutMs = ASK_MS,
): Promise<Captured> {
  return capture(argv, { env: ctx.env, signal: ctx.signal, timeoutMs });
}

export function namespaceOf(ctx: Context): string {
  return ctx.env.CAGEMATCH_KUBE_NAMESPACE || 'cagematch';
}

export function waitOf(ctx: Context): number {
  return Number(ctx.env.CAGEMATCH_KUBE_WAIT || 60);
}

export function imageOf(ctx: Context): string {
  return ctx.env.CAGEMATCH_KUBE_IMAGE ?? '';
}

/**
 * The current context is whatever was used last, possibly production, so every call names its
 * context.
 * @throws `not-ready` if no context is configured
 */
export function kubectl(ctx: Context, ...args: string[]): [string, ...string[]] {
  const context = ctx.env.CAGEMATCH_KUBE_CONTEXT;
  if (!context)
    throw new CagematchError('not-ready', 'no context is named', 'CAGEMATCH_KUBE_CONTEXT=NAME');
  return ['kubectl', `--context=${context}`, `--namespace=${namespaceOf(ctx)}`, ...args];
}

/** The command as a user would type it. */
export function clientOf(ctx: Context): string {
  return `kubectl --context=${ctx.env.CAGEMATCH_KUBE_CONTEXT}`;
}

/** @throws `code` with the cluster's own message */
export async function must(
  ctx: Context,
  code: CagematchError['code'],
  args: string[],
  options: { input?: string; timeoutMs?: number } = {},
): Promise<string> {
  if (!ctx.env.CAGEMATCH_KUBE_CONTEXT)
    throw new CagematchError(code, 'no context is named', 'CAGEMATCH_KUBE_CONTEXT=NAME');
  const result = await capture(kubectl(ctx, ...args), {
    env: ctx.env,
    signal: ctx.signal,
    timeoutMs: QUICK_MS,
    ...options,
  });
  if (succeeded(result)) return result.stdout;
  const { reason, hint } = diagnose(ctx, result);
  throw new CagematchError(code, reason, hint);
}

/** Turns the client's error message into a reason and a command to type. */
export function diagnose(ctx: Context, result: Captured): { reason: string; hint: string } {
  const message = whyFailed(result);
  const cluster = clientOf(ctx);
  if (result.failure === 'missing') return { reason: 'no kubectl command on PATH', hint: INSTALL };
  if (/namespaces? "[^"]*" not found/.test(message))
    return {
      reason: `the cluster has no namespace ${namespaceOf(ctx)}`,
      hint: `${cluster} create namespace ${namespaceOf(ctx)}`,
    };
  if (/forbidden/i.test(message))
    return {
      reason: message,
      hint: `${cluster} auth can-i --list --namespace=${namespaceOf(ctx)}`,
    };
  if (/unauthorized|logged in|credentials|Username|Password|certificate/i.test(message))
    return {
      reason: `the cluster refuses kubectl's credentials: ${message}`,
      hint: `${cluster} auth whoami`,
    };
  if (
    result.failure === 'timeout' ||
    /refused|no such host|timeout|deadline|unable to connect|EOF/i.test(message)
  )
    return { reason: `the cluster does not answer: ${message}`, hint: `${cluster} cluster-info` };
  return {
    reason: `kubectl: ${message}`,
    hint: `${cluster} --namespace=${namespaceOf(ctx)} get events`,
  };
}
