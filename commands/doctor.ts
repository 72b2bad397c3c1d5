// `cagematch doctor`: checks everything that a run needs, one by one, each with a fix.
import { accessSync, constants, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { complaintsOf, conflictOf, takenOf } from '../lib/auth/choose.js';
import { hasExpired, type Problem, payerOf } from '../lib/auth/credential.js';
import { findCredentials } from '../lib/auth/find.js';
import type { Context, Detection, Mode, SetupStep } from '../lib/contract.js';
import { messageOf } from '../lib/errors.js';
import { createGateway } from '../lib/model/gateway.js';
import { capture, whyFailed } from '../lib/os/capture.js';
import { programEnv } from '../lib/os/client-env.js';
import { agentVersion } from '../lib/package.js';
import { coloured, plain, wrap } from '../lib/report/terminal/lines.js';
import { readOwnInputs } from '../lib/sandbox/settings.js';
import { agentBinary } from '../lib/task/agent.js';
import { managedSettings } from '../lib/task/managed-settings.js';
import { EXIT, type Io, wantsColour } from './io.js';
import { survey } from './survey.js';

export const options = {};

/** `needed`: nothing can run at all without it. */
interface Finding {
  good: boolean;
  needed: boolean;
  text: string;
  hint?: string;
  /** The way to a ready runtime, if it takes more than the hint. */
  steps?: SetupStep[];
}

/**
 * A match's sandboxes and images need disk space; the check fails with fewer free bytes than this.
 */
const ROOM = 2 * 2 ** 30;

export async function handler(_args: unknown, io: Io): Promise<number> {
  const style = wantsColour(io, io.outIsTty) ? coloured : plain;
  const findings = [
    nodeVersion(),
    await agent(io),
    ...managed(io),
    await gateway(io),
    temporary(),
    results(io),
    ...(await credentials(io)),
    ...(await runtimes(io)),
  ];
  const mark = (good: boolean | undefined) =>
    good === undefined ? '·' : good ? style.good('✓') : style.bad('✗');
  const tell = ({
    good,
    text,
    hint,
    indent = '',
  }: {
    good: boolean | undefined;
    text: string;
    hint?: string;
    indent?: string;
  }) => {
    io.out(`${wrap(text, `${indent}${mark(good)} `, `${indent}  `).join('\n')}\n`);
    if (!good && hint !== undefined)
      io.out(`${wrap(hint, `${indent}    → `, `${indent}      `).join('\n')}\n`);
  };
  for (const { steps = [], hint, ...finding } of findings) {
    // The hint belongs to one of the steps.
    tell({ ...finding, ...(hint === undefined || steps.length > 0 ? {} : { hint }) });
    for (const { done, ...step } of steps) tell({ ...step, good: done, indent: '    ' });
  }
  return findings.some((finding) => finding.needed && !finding.good) ? EXIT.failed : EXIT.done;
}

function nodeVersion(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  return {
    good: major > 20 || (major === 20 && minor >= 19),
    needed: true,
    text: `Node ${process.versions.node}`,
    hint: 'cagematch needs Node 20.19 or newer',
  };
}

async function agent(io: Io): Promise<Finding> {
  const hint = 'npm install --include=optional';
  const binary = agentBinary(io.platform);
  if (binary === undefined)
    return {
      good: false,
      needed: false,
      text: 'the agent CLI is not installed for this platform',
      hint,
    };
  const asked = await capture([binary, '--version'], {
    env: programEnv(io.env),
    timeoutMs: 20_000,
  });
  const version = asked.stdout.trim().split(' ')[0] ?? '';
  if (version === agentVersion)
    return { good: true, needed: false, text: `agent CLI ${version}, as pinned` };
  return {
    good: false,
    needed: false,
    text: version
      ? `agent CLI ${version}, but ${agentVersion} is pinned`
      : `the agent CLI does not run: ${whyFailed(asked)}`,
    hint,
  };
}

function managed({ platform }: Io): Finding[] {
  const text = managedSettings(platform);
  if (text === undefined) return [];
  return [
    {
      good: false,
      needed: false,
      text: `${text}: in host and native it is another agent than in the other rows`,
      hint: 'compare containers with each other only',
    },
  ];
}

async function gateway(io: Io): Promise<Finding> {
  const probe = createGateway(async () => {}, { port: readOwnInputs(io.env).gatewayPort });
  try {
    await probe.listen('127.0.0.1');
    return { good: true, needed: true, text: 'the gateway can listen on loopback' };
  } catch (error) {
    return {
      good: false,
      needed: true,
      text: messageOf(error),
      hint: 'unset CAGEMATCH_GATEWAY_PORT',
    };
  } finally {
    await probe.close();
  }
}

function temporary(): Finding {
  const { bavail, bsize } = statfsSync(tmpdir());
  const free = bavail * bsize;
  return {
    good: free > ROOM,
    needed: false,
    text: `${tmpdir()} has ${(free / 2 ** 30).toFixed(1)} GiB free`,
    hint: 'free some space, or set TMPDIR',
  };
}

function results(io: Io): Finding {
  const folder = resolve(io.cwd);
  try {
    accessSync(folder, constants.W_OK);
    return { good: true, needed: true, text: `match folders can be written under ${folder}` };
  } catch {
    return {
      good: false,
      needed: true,
      text: `${folder} cannot be written`,
      hint: 'run from another folder, or use run --out DIR',
    };
  }
}

async function credentials(io: Io): Promise<Finding[]> {
  const found = await findCredentials(io);
  const findingOf = (good: boolean, { text, hint }: Problem): Finding => ({
    good,
    needed: false,
    text,
    hint,
  });
  const [first] = takenOf(found);
  const text = first
    ? `a live run would use ${first.where} (${payerOf(first)})${hasExpired(first) ? ', which has expired' : ''}`
    : 'no credential that can be used: matches are replayed, which needs none';
  const about = findingOf(!(first && hasExpired(first)), {
    text,
    hint: 'claude /login, or claude setup-token',
  });
  return [
    ...(conflictOf(found) ? [] : [about]),
    ...complaintsOf(found).map((problem) => findingOf(false, problem)),
  ];
}

async function runtimes(io: Io): Promise<Finding[]> {
  const { detected, contextOf, keeper } = await survey(io, []);
  try {
    return await Promise.all(
      detected.map(async (found): Promise<Finding> => {
        const { mode, detection } = found;
        const steps = await stepsOf(mode, contextOf(found), detection.status);
        return detection.status === 'ready'
          ? {
              good: true,
              needed: false,
              text: `${mode.id}: ${mode.title} ${detection.version}`,
              steps,
            }
          : {
              good: false,
              needed: mode.isolation === 'none',
              text: `${mode.id}: ${detection.reason}`,
              hint: detection.hint,
              steps,
            };
      }),
    );
  } finally {
    await keeper.closeAll();
  }
}

/** For a ready runtime, only the steps that are not done or cannot be checked from here. */
async function stepsOf(
  mode: Mode,
  ctx: Context,
  status: Detection['status'],
): Promise<SetupStep[]> {
  // A runtime that does not exist on this platform cannot be set up here.
  const steps = mode.platforms.includes(ctx.platform) ? ((await mode.setup?.(ctx)) ?? []) : [];
  return status === 'ready' ? steps.filter(({ done }) => done !== true) : steps;
}
