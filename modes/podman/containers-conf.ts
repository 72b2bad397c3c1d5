// Reads which OCI runtimes are named in the settings of Podman and its relatives: in
// containers.conf, the table `[engine.runtimes]` maps each name to a list of program paths.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { z } from 'zod';
import type { Context } from '../../lib/contract.js';

/** Candidate program paths by runtime name; the first that exists is used. */
export function registeredRuntimes(ctx: Context): Map<string, string[]> {
  return new Map(settingsFiles(ctx).flatMap((file) => [...runtimesIn(read(file))]));
}

/** In the order in which they are read; later files override earlier ones. */
function settingsFiles({ env, uid }: Context): string[] {
  const override = env.CONTAINERS_CONF_OVERRIDE ? [env.CONTAINERS_CONF_OVERRIDE] : [];
  if (env.CONTAINERS_CONF) return [env.CONTAINERS_CONF, ...override];
  const own = env.XDG_CONFIG_HOME || (env.HOME && join(env.HOME, '.config'));
  const system = ['/usr/share/containers/containers.conf', ...withDropIns('/etc/containers')];
  return [
    ...system,
    ...(uid === 0 || !own ? [] : withDropIns(join(own, 'containers'))),
    ...override,
  ];
}

function withDropIns(folder: string): string[] {
  const dropIns = join(folder, 'containers.conf.d');
  return [join(folder, 'containers.conf'), ...names(dropIns).map((name) => join(dropIns, name))];
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.conf'))
      .sort();
  } catch {
    return [];
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

const settingsSchema = z.object({
  engine: z.object({ runtimes: z.record(z.string(), z.array(z.string())) }),
});

/** Empty for a file that Podman could not read either, or that names no runtimes. */
function runtimesIn(text: string): [string, string[]][] {
  try {
    return Object.entries(settingsSchema.parse(parse(text)).engine.runtimes);
  } catch {
    return [];
  }
}
