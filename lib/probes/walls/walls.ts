// Isolation checks, tried from inside: plants things to find, runs the attempts in the guest, and
// judges the results.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Context, Env } from '../../contract.js';
import { messageOf } from '../../errors.js';
import { WALLS, type WallName } from '../../kit/walls.js';
import { oneLine } from '../../os/printable.js';
import type { Wall } from '../../record/probe.js';
import { inSandbox, type ProbeSandbox, type Setting, type Subject } from '../sandbox.js';
import { type Ground, openGround } from './ground.js';
import {
  type HostSide,
  JUDGES,
  sameKernel,
  socketPaths,
  uidMapOf,
  type WallObservation,
} from './judge.js';
import { credentialPlaces, filesOfRoot, type Planted, plant } from './planted.js';
import { type NamedTarget, parseTarget } from './target.js';

const SCRIPTS = [
  'walls.mjs',
  'walls-files.mjs',
  'walls-limits.mjs',
  'walls-network.mjs',
  'walls-self.mjs',
  'walls-try.mjs',
] as const;

/** Upper bounds for the attempts to exceed the limits. */
interface Most {
  processes: number;
  memoryMiB: number;
}

const PROCESSES = 600;
/** The memory of a sandbox unless its entry sets another limit. */
const GIVEN_MIB = 4096;
const MOST_MIB = 4700;
/** Timeout for each of the two limit attempts, processes and memory. */
const LIMIT_MS = 50_000;

const lineSchema = z.strictObject({
  wall: z.string(),
  observed: z.enum(['open', 'closed', 'gap']),
  evidence: z.string(),
  seen: z.record(z.string(), z.unknown()).optional(),
});

/**
 * Reports every wall of `WALLS` once, in their order, followed by one for each address that the
 * user wants tried.
 * @param settings `reach`: `host:port` outside this machine; `env`: the caller's environment, used
 *   to find the runtimes' sockets
 * @param more `spec` changes what is launched, for tests that plant a hole; `most` bounds the limit
 *   attempts
 * @throws the same errors as opening a sandbox
 */
export async function probeWalls(
  subject: Subject,
  settings: { reach: readonly string[]; env?: Env },
  tell: (wall: Wall) => void,
  more: Pick<Setting, 'spec'> & { most?: Most } = {},
): Promise<void> {
  const reach = settings.reach.map(parseTarget);
  const planted = await plant(subject.ctx.env);
  let ground: Promise<Ground> | undefined;
  try {
    // The mode receives the environment with the planted secrets exactly as it would receive the
    // user's.
    const row: Subject = { ...subject, ctx: { ...subject.ctx, env: planted.env } };
    const declared: Record<string, 'open' | 'closed'> =
      subject.entry.adapter.walls?.(row.ctx) ?? {};
    const setting: Setting = {
      tail: 'walls',
      seed: seedRepository,
      ...(more.spec ? { spec: more.spec } : {}),
    };
    const most = more.most ?? mostOf(row.ctx);
    const outcome = await inSandbox(row, SCRIPTS, setting, (sandbox) => {
      ground = openGround(row, sandbox.ctx, planted);
      return tryAll(row, sandbox, planted, ground, {
        reach,
        most,
        env: settings.env ?? row.ctx.env,
      });
    });
    for (const wall of [...Object.keys(WALLS), ...reach.map((target) => target.wall)]) {
      const { observed, evidence } = outcome.get(wall) ?? {
        observed: 'gap',
        evidence: 'the guest told nothing of it',
      };
      const promise = declared[wall];
      tell({
        wall,
        ...(promise === undefined ? {} : { declared: promise }),
        observed,
        evidence: oneLine(planted.redact(evidence)) || 'nothing was said',
      });
    }
  } finally {
    // If the attempts were interrupted, the ground is still open.
    await ground?.then((opened) => opened.close()).catch(() => {});
    await planted.close();
  }
}

type Tries = Map<string, WallObservation>;

async function tryAll(
  row: Subject,
  sandbox: ProbeSandbox,
  planted: Planted,
  opening: Promise<Ground>,
  { reach, most, env }: { reach: NamedTarget[]; most: Most; env: Env },
): Promise<Tries> {
  const tries: Tries = new Map();
  const sockets = socketPaths(env, row.ctx.uid);
  const host: HostSide = {
    planted,
    workspace: sandbox.host.workspace,
    sockets: Object.fromEntries(
      Object.entries(sockets).map(([name, paths]) => [
        name,
        paths.filter((path) => existsSync(path)),
      ]),
    ),
    uidMap: undefined,
    sameKernel: false,
  };
  const ground = await opening;
  const token = randomBytes(8).toString('hex');
  const argument = { token, ...questions(row.ctx, planted, ground, sockets, reach) };
  await listen(sandbox, 'walls.mjs', argument, tries, () => {
    host.uidMap ??= uidMapOf(token);
  });
  // Release the taken addresses as soon as possible.
  await ground.close();
  for (const [wall, cause] of Object.entries(ground.untried))
    tries.set(wall, { observed: 'gap', evidence: cause });
  await tryLimits(sandbox, tries, most);
  await sandbox.collect();
  host.sameKernel = sameKernel(tries.get('host-kernel')?.seen);
  for (const [wall, judge] of Object.entries(JUDGES)) {
    const attempt = tries.get(wall);
    if (attempt) tries.set(wall, judge(attempt, host));
  }
  return tries;
}

/** The guest's complete input. It contains no secret, because it is passed in argv. */
function questions(
  ctx: Context,
  planted: Planted,
  ground: Ground,
  sockets: Record<string, string[]>,
  reach: NamedTarget[],
) {
  const { digests, nonce } = planted;
  return {
    self: { markerDigest: digests.marker },
    network: {
      nonce,
      gateway: ground.gateway,
      tcp: ground.tcp,
      udp: ground.udp,
      reach,
      git: { network: ground.git, file: planted.repositories.file },
    },
    files: {
      nonce,
      digests,
      sockets,
      readable: planted.readable,
      writable: planted.writable,
      credentials: planted.credentials ?? null,
      rootFiles: filesOfRoot(),
      places: credentialPlaces(ctx.env.HOME),
      agentSocket: planted.agentSocket ?? null,
    },
  };
}

/**
 * Reads a script's results. If walls.mjs fails, missing walls become gaps.
 * @throws if another script fails, or nothing was reported
 */
async function listen(
  sandbox: ProbeSandbox,
  script: string,
  argument: unknown,
  tries: Tries,
  onLine: () => void = () => {},
): Promise<void> {
  try {
    for await (const { value } of sandbox.ask(script, argument)) {
      onLine();
      const line = lineSchema.safeParse(value);
      if (!line.success) continue;
      const { wall, ...attempt } = line.data;
      tries.set(wall, attempt);
    }
  } catch (error) {
    if (tries.size === 0) throw error;
    for (const wall of Object.keys(WALLS))
      if (script === 'walls.mjs' && !LIMITS.has(wall) && !tries.has(wall))
        tries.set(wall, { observed: 'gap', evidence: messageOf(error) });
    if (script !== 'walls.mjs') throw error;
  }
}

const LIMITS = new Set<string>(['fork-limit', 'memory-limit'] satisfies WallName[]);

function mostOf(ctx: Context): Most {
  return {
    processes: PROCESSES,
    memoryMiB: Math.round(Math.max(ctx.options.memoryMiB ?? 0, GIVEN_MIB) * 1.1),
  };
}

/** Run last and separately: exceeding a limit may end everything inside. */
async function tryLimits(
  sandbox: ProbeSandbox,
  tries: Tries,
  { processes, memoryMiB: wantedMiB }: Most,
): Promise<void> {
  const freeMiB = Math.floor(freemem() / 2 ** 20);
  const tooMuch = wantedMiB > MOST_MIB || wantedMiB > freeMiB / 2;
  try {
    const memoryMiB = tooMuch ? null : wantedMiB;
    await listen(sandbox, 'walls-limits.mjs', { processes, memoryMiB, wholeMs: LIMIT_MS }, tries);
  } catch (error) {
    const [met, ...untried] = [...LIMITS].filter((wall) => !tries.has(wall));
    if (met !== undefined)
      tries.set(met, {
        observed: 'closed',
        evidence: `the sandbox itself was ended while it was tried: ${messageOf(error)}`,
      });
    for (const wall of untried)
      tries.set(wall, {
        observed: 'gap',
        evidence: `not tried: the try of ${met} had ended the sandbox`,
      });
  }
  if (tooMuch)
    tries.set('memory-limit', {
      observed: 'gap',
      evidence: `not tried: ${wantedMiB} MiB would be too much, with ${freeMiB} MiB free on this host (at most half of that, and ${MOST_MIB} MiB)`,
    });
}

/**
 * Writes an empty repository by hand: an agent's workspace usually is one, and it allows hooks to
 * be tried.
 */
function seedRepository(workspace: string): void {
  for (const folder of ['objects', 'refs/heads', 'hooks'])
    mkdirSync(join(workspace, '.git', folder), { recursive: true });
  writeFileSync(join(workspace, '.git/HEAD'), 'ref: refs/heads/main\n');
  writeFileSync(
    join(workspace, '.git/config'),
    '[core]\n\trepositoryformatversion = 0\n\tbare = false\n',
  );
}
