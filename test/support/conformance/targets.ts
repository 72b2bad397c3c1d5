// What the conformance suite runs against: every mode's stand-in, and every runtime of this machine
// that is ready.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Env, Mode } from '../../../lib/contract.js';
import { asFound } from '../../../lib/match/plan.js';
import { contextFor, createKeeper } from '../../../lib/sandbox/context.js';
import { detectAll } from '../../../lib/sandbox/detect.js';
import { entryName, loadModes } from '../../../lib/sandbox/registry.js';
import { machineEnv } from '../machine-env.js';

export interface Target {
  /** `docker`, `docker:runsc`, `docker (stand-in)`. */
  name: string;
  mode: Mode;
  real: boolean;
  variant: string | undefined;
  /** What the mode's detection returned for itself. */
  runtimeState: unknown;
  env: Env;
  /** Where a stand-in notes the argv of its calls. */
  argvLog?: string;
  close(): Promise<void>;
}

/** What only the host may know; each would be worth stealing. None may be seen inside. */
export const HOST_ONLY: Env = {
  ANTHROPIC_API_KEY: 'sk-ant-host-only-9d1f',
  CLAUDE_CODE_OAUTH_TOKEN: 'sk-ant-oat01-host-only-9d1f',
  AWS_SECRET_ACCESS_KEY: 'aws-host-only-9d1f',
  HTTPS_PROXY: 'http://user:password-host-only-9d1f@127.0.0.1:9',
  CONFORMANCE_CANARY: 'canary-host-only-9d1f',
};
export const HOST_ONLY_MARK = 'host-only-9d1f';

/** Every sandbox of the suite is labelled as one that a session keeps. */
const SESSION = 's-conformance';

export function contextOf(
  target: Pick<Target, 'mode' | 'env' | 'variant' | 'runtimeState'>,
  match: string,
  keeper = createKeeper(),
) {
  const messages: string[] = [];
  const ctx = contextFor(
    {
      env: { ...target.env, ...HOST_ONLY },
      platform: process.platform,
      uid: process.getuid?.(),
      match,
      signal: new AbortController().signal,
      say: (line) => messages.push(line),
    },
    keeper,
    target.mode,
    { variant: target.variant, state: target.runtimeState, session: SESSION },
  );
  return { ctx, keeper, messages };
}

export interface Targets {
  modes: Mode[];
  targets: Target[];
  /** Modes and what keeps their real runtime from being exercised here. */
  notReal: { mode: string; why: string }[];
}

export async function findTargets(): Promise<Targets> {
  const modes = [...(await loadModes()).values()];
  const found: Targets = { modes, targets: [], notReal: [] };
  const env = machineEnv;
  await addReal(found, modes, env);
  const cluster = clusterEnv(env);
  if (cluster)
    await addReal(
      found,
      modes.filter(({ id }) => id === 'incus'),
      cluster,
      ' (cluster)',
    );
  for (const mode of modes) found.targets.push(...(await openStandIns(mode)));
  return found;
}

/**
 * The rig's cluster, as a user would reach it who has chosen it among the client's remotes;
 * undefined where there is none.
 */
export function clusterEnv({ INCUS_DIR, ...env }: Env): Env | undefined {
  const client = env.CAGEMATCH_RIG_CLUSTER;
  // The client takes the caller's proxy for a server that it reaches over TLS.
  return client === undefined
    ? undefined
    : {
        ...env,
        INCUS_CONF: client,
        INCUS_REMOTE: 'cagematch-cluster',
        NO_PROXY: '169.254.79.0/24',
      };
}

async function addReal(found: Targets, modes: Mode[], env: Env, suffix = ''): Promise<void> {
  const detected = await detectAll(
    modes,
    (mode) => contextOf({ mode, env, variant: undefined, runtimeState: undefined }, 'none').ctx,
  );
  for (const { mode, detection, runtimeState } of detected) {
    if (detection.status !== 'ready') {
      found.notReal.push({
        mode: `${mode.id}${suffix}`,
        why: `${detection.status}: ${detection.reason}`,
      });
      continue;
    }
    const variants = (detection.variants ?? [])
      .filter(({ onRequest }) => !onRequest)
      .map(({ id }) => id);
    for (const variant of [undefined, ...variants])
      found.targets.push({
        name: `${entryName(mode.id, variant)}${suffix}`,
        mode: asFound(
          mode,
          detection,
          detection.variants?.find(({ id }) => id === variant),
        ),
        real: true,
        variant,
        runtimeState,
        env,
        close: async () => {},
      });
  }
}

/** One for the mode, and one for each variant whose workspace moves another way. */
async function openStandIns(mode: Mode): Promise<Target[]> {
  const file = new URL(`../stand-ins/${mode.id}.ts`, import.meta.url);
  if (!existsSync(fileURLToPath(file))) return [];
  const { standIn } = (await import(file.href)) as {
    standIn(): Promise<{ env: Env; close(): Promise<void> }>;
  };
  const { env, close } = await standIn();
  const target = {
    name: `${mode.id} (stand-in)`,
    mode,
    real: false,
    variant: undefined,
    runtimeState: undefined,
    env,
    close,
  };
  // Read once, as a match does; whether it says ready is a sentence of the suite.
  const [detected] = await detectAll([mode], () => contextOf(target, 'none').ctx);
  const { variants = [] } = detected?.detection.status === 'ready' ? detected.detection : {};
  const log = env.CAGEMATCH_STAND_IN_STATE;
  const whole: Target = {
    ...target,
    runtimeState: detected?.runtimeState,
    ...(log === undefined ? {} : { argvLog: `${log}/argv.jsonl` }),
  };
  const others = variants.flatMap(({ id, workspace }) =>
    workspace === undefined
      ? []
      : [
          {
            ...whole,
            name: `${entryName(mode.id, id)} (stand-in)`,
            mode: { ...mode, workspace },
            variant: id,
            close: async () => {},
          },
        ],
  );
  return [whole, ...others];
}
