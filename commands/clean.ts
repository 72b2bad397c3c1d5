// `cagematch clean`: what crashed matches have left, found by label and owner; never what a live match uses.
import type { Argv } from 'yargs';
import { z } from 'zod';
import { messageOf } from '../lib/errors.js';
import { ownerAlive, removeFolder, staleFolders } from '../lib/owner.js';
import { killListed, listOrphans } from '../lib/processes.js';
import { EXIT, type Io } from './io.js';
import { readSettings } from './settings.js';
import { survey } from './survey.js';

export const builder = (argv: Argv) =>
  argv
    .positional('modes', { describe: 'modes to look at; none: all', type: 'string', array: true })
    .option('dry-run', { describe: 'only say what would be removed', boolean: true, default: false });

const settingsSchema = z.object({ modes: z.array(z.string()).default([]), dryRun: z.boolean() });

export async function handler(args: unknown, io: Io): Promise<number> {
  const settings = readSettings(settingsSchema, args);
  const { detected, contextOf } = await survey(io, settings.modes);
  const verb = settings.dryRun ? 'would remove' : 'removed';
  let found = 0;
  let failed = 0;
  for (const one of detected) {
    if (one.detection.status !== 'ready') continue;
    const seen = new Set<string>();
    // A variant can have a store of its own.
    for (const variant of [undefined, ...(one.detection.variants ?? []).map(({ id }) => id)]) {
      const ctx = contextOf(one, variant);
      try {
        for (const listed of await one.mode.list(ctx)) {
          if (seen.has(listed.id) || (listed.labels.owner !== undefined && ownerAlive(listed.labels.owner))) continue;
          seen.add(listed.id);
          found += 1;
          if (!settings.dryRun) await one.mode.reap(ctx, listed);
          io.out(`${verb} ${listed.kind} ${listed.id} (${one.mode.id}, match ${listed.labels.match ?? 'unknown'})\n`);
        }
      } catch (error) {
        failed += 1;
        io.err(`${one.mode.id}: ${messageOf(error)}\n`);
      }
    }
  }
  if (settings.modes.length === 0) {
    for (const orphan of await listOrphans(io.platform, io.env)) {
      found += 1;
      if (!settings.dryRun) killListed(orphan);
      io.out(`${verb} ${orphan.kind} ${orphan.id}\n`);
    }
    for (const folder of staleFolders()) {
      found += 1;
      if (!settings.dryRun) removeFolder(folder);
      io.out(`${verb} folder ${folder}\n`);
    }
  }
  if (found === 0 && failed === 0) io.out('nothing of ours is left\n');
  return failed > 0 ? EXIT.failed : EXIT.done;
}
