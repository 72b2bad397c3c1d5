// `cagematch clean`: removes what crashed matches left behind, found by label and owner; never what
// a live match uses or may use.
import type { Context, Listed, Mode } from '../lib/contract.js';
import { CagematchError, messageOf } from '../lib/errors.js';
import { capture, succeeded, whyFailed } from '../lib/os/capture.js';
import { programEnv } from '../lib/os/client-env.js';
import { stateOf } from '../lib/os/harness-id.js';
import { mountsBelow } from '../lib/os/mounts.js';
import { leftFolders, removeFolder } from '../lib/os/owner.js';
import { printable } from '../lib/os/printable.js';
import { killListed, listOrphans } from '../lib/os/processes.js';
import { leftAtHome } from '../lib/probes/walls/planted.js';
import { NO_SESSIONS } from '../lib/sandbox/orphans.js';
import { EXIT, type Io } from './io.js';
import { flag, readSettings, remaining } from './options.js';
import { survey } from './survey.js';

export const options = {
  modes: remaining('modes to clean; default: all'),
  images: flag('also remove runner images of other versions'),
  all: flag(
    'also remove what belongs to another machine or PID namespace, even if a match may still use it',
  ),
  dryRun: flag('only print what would be removed'),
};

/**
 * Prints a line for each leftover. One that cannot be removed is printed too, and sweeping
 * continues.
 */
function openBroom(io: Io, { dryRun, all }: { dryRun: boolean; all: boolean }) {
  const broom = {
    found: 0,
    failed: 0,
    /**
     * Whether the match of a foreign leftover has ended cannot be determined from here, so it is
     * removed only with --all.
     */
    async sweepForeign(what: string, remove: () => Promise<void> | void): Promise<void> {
      if (all) return broom.sweep(what, remove);
      broom.found += 1;
      io.out(
        `${printable(`left alone ${what}: of another machine or PID namespace, whose match may be running; cagematch clean --all removes it`)}\n`,
      );
    },
    async sweep(what: string, remove: () => Promise<void> | void): Promise<void> {
      broom.found += 1;
      try {
        if (!dryRun) await remove();
        io.out(`${printable(`${dryRun ? 'would remove' : 'removed'} ${what}`)}\n`);
      } catch (error) {
        broom.fail(what, error);
      }
    },
    fail(what: string, error: unknown): void {
      broom.failed += 1;
      const hint =
        error instanceof CagematchError && error.hint !== undefined
          ? `${printable(`hint: ${error.hint}`)}\n`
          : '';
      io.err(`${printable(`${what}: ${messageOf(error)}`)}\n${hint}`);
    },
  };
  return broom;
}
type Broom = ReturnType<typeof openBroom>;

export async function handler(args: unknown, io: Io): Promise<number> {
  const settings = readSettings(options, args);
  const { detected, contextOf } = await survey(io, settings.modes);
  const broom = openBroom(io, settings);
  const seen = new Set<string>();
  for (const found of detected) {
    const { mode, detection } = found;
    if (detection.status !== 'ready') {
      // A user who named the mode would take silence to mean that nothing is left.
      if (settings.modes.length > 0)
        broom.fail(mode.id, new CagematchError('not-ready', detection.reason, detection.hint));
      continue;
    }
    // A variant may have a store of its own.
    for (const variant of [undefined, ...(detection.variants ?? []).map(({ id }) => id)])
      await sweepMode(mode, contextOf(found, variant), settings.images, broom, seen);
  }
  if (settings.modes.length === 0) await sweepMachine(io, broom, seen);
  if (broom.found === 0 && broom.failed === 0) io.out('nothing of ours is left\n');
  return broom.failed > 0 ? EXIT.failed : EXIT.done;
}

/**
 * Removes what one store of a mode still holds.
 * @param seen what was swept already, possibly from another store; what is swept here is added
 */
async function sweepMode(
  mode: Mode,
  ctx: Context,
  images: boolean,
  broom: Broom,
  seen: Set<string>,
): Promise<void> {
  try {
    for (const { listed, foreign } of await leftOf(mode, ctx, images)) {
      const key = `${mode.id} ${listed.kind} ${listed.id}`;
      if (seen.has(key)) continue;
      seen.add(key).add(pidOf(listed.id));
      const origin =
        listed.kind === 'image'
          ? 'of another version'
          : `match ${listed.labels.match ?? 'unknown'}`;
      const what = `${listed.kind} ${listed.id} (${mode.id}, ${origin})`;
      await broom[foreign ? 'sweepForeign' : 'sweep'](what, () => mode.reap(ctx, listed));
    }
  } catch (error) {
    broom.fail(mode.id, error);
  }
}

interface Left {
  listed: Listed;
  foreign: boolean;
}

/**
 * Resources with our labels whose match is not known to be running. The image that this version
 * uses is not a leftover.
 */
async function leftOf(
  mode: Mode,
  ctx: Context,
  images: boolean,
  knowsSession = NO_SESSIONS,
): Promise<Left[]> {
  const ours = (await mode.list(ctx)).flatMap((listed): Left[] => {
    const { session } = listed.labels;
    if (session !== undefined && knowsSession(session)) return [];
    const state = listed.labels.owner === undefined ? 'dead' : stateOf(listed.labels.owner);
    return state === 'alive' ? [] : [{ listed, foreign: state === 'foreign' }];
  });
  if (!images || !mode.census || !mode.runner) return ours;
  const wanted = mode.runner(ctx);
  const tags = (await mode.census(ctx)).flatMap(({ kind, marks }) =>
    kind === 'image' ? marks : [],
  );
  const others = tags.filter(
    (tag) =>
      /^(localhost\/)?cagematch-runner[:-]/.test(tag) && tag.replace(/^localhost\//, '') !== wanted,
  );
  return [
    ...ours,
    ...others.map((id) => ({
      listed: { id, kind: 'image', labels: {}, state: 'unknown' as const },
      foreign: false,
    })),
  ];
}

const pidOf = (id: string) => `pid ${/ pid (\d+)$/.exec(id)?.[1]}`;

/**
 * Leftovers of no runtime: clients that outlived their harness, folders with their mounts, and what
 * a probe planted at home.
 */
async function sweepMachine(io: Io, broom: Broom, seen: Set<string>): Promise<void> {
  for (const orphan of await listOrphans(io.platform, io.env)) {
    if (!seen.has(pidOf(orphan.id)))
      await broom.sweep(`${orphan.kind} ${orphan.id}`, () => killListed(orphan));
  }
  const foldersOf = (state: 'dead' | 'foreign') => [
    ...leftFolders(state),
    ...(io.env.HOME === undefined ? [] : leftAtHome(io.env.HOME, state)),
  ];
  for (const how of ['sweep', 'sweepForeign'] as const)
    for (const folder of foldersOf(how === 'sweep' ? 'dead' : 'foreign')) {
      for (const mount of mountsBelow(folder))
        await broom[how](`mount ${mount}`, () => unmount(io, mount));
      await broom[how](`folder ${folder}`, () => remove(folder));
    }
}

async function unmount(io: Io, mount: string): Promise<void> {
  const tried = await capture(['umount', mount], { env: programEnv(io.env), timeoutMs: 10_000 });
  if (!succeeded(tried))
    throw new CagematchError('destroy-failed', whyFailed(tried), `sudo umount ${mount}`);
}

function remove(folder: string): void {
  try {
    removeFolder(folder);
  } catch (error) {
    throw error instanceof CagematchError
      ? error
      : new CagematchError('destroy-failed', messageOf(error), `sudo rm -r ${folder}`);
  }
}
