// What the server reports: our instances, the census of all resources, disk usage, and traces.
import { hostname } from 'node:os';
import { basename } from 'node:path';
import type { Handle, Listed, Thing, Trace } from '../../lib/contract.js';
import { parseJson } from '../../lib/json.js';
import { readLabels } from '../../lib/kit/oci/args.js';
import { type IncusContext, incus, must, QUICK_MS } from './client.js';
import { fingerprint, template } from './template.js';

/** A cluster takes 20 s to notice an unresponsive member; until then many requests wait for it. */
const MISSED_MS = 30_000;

export async function list(ctx: IncusContext): Promise<Listed[]> {
  const all =
    parseJson<
      { name: string; status?: string; location?: string; config: Record<string, string> | null }[]
    >(await must(ctx, ['query', '/1.0/instances?recursion=1'], MISSED_MS, { code: 'not-ready' })) ??
    [];
  return all.flatMap(({ name, status, location, config }) => {
    const recorded = readLabels(
      Object.fromEntries(
        Object.entries(config ?? {}).map(([key, value]) => [key.replace(/^user\./, ''), value]),
      ),
    );
    // For an instance on a lost member, only the name is available.
    const match = config === null ? NAME.exec(name)?.[1] : undefined;
    const labels = match === undefined ? recorded : { match, mode: ctx.labels.mode };
    // A server has other users: whether an owner on another machine is alive cannot be determined
    // from here.
    const elsewhere = (config?.['user.cagematch.host'] ?? hostname()) !== hostname();
    if (labels.match === undefined || elsewhere) return [];
    return [
      {
        id: name,
        kind: 'instance',
        labels,
        state: STATES[status ?? ''] ?? 'unknown',
        ...placeIn(location),
      },
    ];
  });
}

const STATES: Record<string, Listed['state']> = {
  Running: 'running',
  Stopped: 'stopped',
  Frozen: 'stopped',
};

/** A server that is no cluster names `none`. */
const placeIn = (location = '') =>
  location === '' || location === 'none' ? {} : { place: location };

/** An instance name of ours, which contains the match id. */
const NAME = /^cagematch-(?:build-|keeper-)?(\d{8}-\d{6}-[0-9a-f]{4})(?:-|$)/;

interface Resource {
  name?: string;
  fingerprint?: string;
  aliases?: { name: string }[];
  config?: Record<string, string>;
  /** For a pool: its volumes and everything else stored in it. */
  used_by?: string[] | null;
}

/**
 * Sends four queries in parallel. Volumes are listed by their pools; the volumes of instances and
 * images are removed with these.
 */
export async function census(ctx: IncusContext): Promise<Thing[]> {
  const ask = async (what: string) =>
    parseJson<Resource[]>(
      await must(ctx, ['query', `/1.0/${what}?recursion=1`], MISSED_MS, { code: 'not-ready' }),
    ) ?? [];
  const [instances, networks, images, pools] = await Promise.all(
    ['instances', 'networks', 'images', 'storage-pools'].map(ask),
  );
  const labels = (config: Resource['config']) =>
    Object.entries(config ?? {}).map(([key, value]) => `${key.replace(/^user\./, '')}=${value}`);
  const thing = (kind: string) => (resource: Resource) => ({
    kind,
    id: resource.name ?? '',
    marks: [resource.name ?? '', ...labels(resource.config)],
  });
  return [
    ...(instances ?? []).map(thing('instance')),
    ...(networks ?? []).map(thing('network')),
    ...(images ?? []).map(({ fingerprint = '', aliases = [] }) => ({
      kind: 'image',
      id: fingerprint,
      marks: aliases.map(({ name }) => name),
    })),
    ...(pools ?? [])
      .flatMap((pool) => pool.used_by ?? [])
      .filter((path) => path.includes('/volumes/'))
      .map((path) => ({ kind: 'volume', id: path.replace(/^.*\/volumes\//, ''), marks: [path] })),
  ];
}

/**
 * The usage of an instance is reported only by storage that accounts for it (ZFS; Btrfs and
 * directories with quotas).
 */
export async function disk(
  ctx: IncusContext,
  handle: Handle,
): Promise<{ imageBytes?: number; sandboxBytes?: number }> {
  const ask = async <T>(path: string) =>
    parseJson<T>((await incus(ctx, ['query', path], QUICK_MS)).stdout);
  const image = async () => {
    const known = await fingerprint(ctx, template(ctx));
    return known && ask<{ size?: number }>(`/1.0/images/${known.image}`);
  };
  const [made, state] = await Promise.all([
    image(),
    ask<{ disk?: Record<string, { usage?: number }> | null }>(
      `/1.0/instances/${handle.name}/state`,
    ),
  ]);
  const usage = state?.disk?.root?.usage;
  // Storage without accounting reports 0 or -1.
  return {
    ...(made?.size === undefined ? {} : { imageBytes: made.size }),
    ...(usage !== undefined && usage > 0 ? { sandboxBytes: usage } : {}),
  };
}

/**
 * The operations include commands run in the instance. The contents of the template are in the
 * instance itself.
 */
export function traces(ctx: IncusContext, { name }: Handle): Trace[] {
  const ask = (source: Trace['source'], ...args: string[]): Trace => ({
    source,
    query: `incus ${args.slice(0, 2).join(' ')}`,
    argv: ['incus', ...args],
    env: ctx.env,
  });
  return [
    ask('inspect', 'query', `/1.0/instances/${name}?recursion=1`),
    ask('inspect', 'query', '/1.0/operations?recursion=1'),
    ask('inspect', 'config', 'show', '--expanded', name),
    ask('logs', 'info', '--show-log', name),
    ask('image', 'image', 'info', template(ctx)),
  ];
}

/**
 * True for the instance's monitor, its virtual machine, or the process that runs a command in it;
 * false for our own client.
 */
export function serves(argv: string[], name: string): boolean {
  // The monitor has overwritten its arguments with its title.
  const words = argv.join(' ').split(' ');
  if (basename(words[0] ?? '') === 'incus') return false;
  return words.some(
    (word) => word === name || word.startsWith(`${name},`) || word.includes(`/${name}/`),
  );
}
