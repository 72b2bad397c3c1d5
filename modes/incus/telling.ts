// What the server tells of what is there: instances of ours, all of the others' things, disk, and what it has written down.
import { hostname } from 'node:os';
import { basename } from 'node:path';
import type { Context, Handle, Listed, Thing, Trace } from '../../lib/contract.js';
import { parseJson } from '../../lib/json.js';
import { readLabels } from '../../lib/kit/oci/args.js';
import { incus, must, QUICK_MS } from './client.js';
import { fingerprint, template } from './template.js';

/** A cluster takes 20 s to miss a member that says nothing any more; until then it waits for it in many an answer. */
const MISSED_MS = 30_000;

export async function list(ctx: Context): Promise<Listed[]> {
  const all =
    parseJson<{ name: string; config: Record<string, string> | null }[]>(
      await must(ctx, ['query', '/1.0/instances?recursion=1'], MISSED_MS, { code: 'not-ready' }),
    ) ?? [];
  return all.flatMap(({ name, config }) => {
    const told = readLabels(Object.fromEntries(Object.entries(config ?? {}).map(([key, value]) => [key.replace(/^user\./, ''), value])));
    // Of an instance on a member that is lost, only the name is known.
    const match = config === null ? NAME.exec(name)?.[1] : undefined;
    const labels = match === undefined ? told : { match, mode: ctx.labels.mode };
    // A server has other users: whether an owner on another machine lives cannot be told from here.
    const elsewhere = (config?.['user.cagematch.host'] ?? hostname()) !== hostname();
    return labels.match === undefined || elsewhere ? [] : [{ id: name, kind: 'instance', labels }];
  });
}

/** A name of ours, and the match in it. */
const NAME = /^cagematch-(?:build-|keeper-)?(\d{8}-\d{6}-[0-9a-f]{4})(?:-|$)/;

interface Told {
  name?: string;
  fingerprint?: string;
  aliases?: { name: string }[];
  config?: Record<string, string>;
  /** Of a pool: its volumes, and what else lies in it. */
  used_by?: string[] | null;
}

/** Four questions at once. Volumes are told by their pools; those of instances and images go with these. */
export async function census(ctx: Context): Promise<Thing[]> {
  const ask = async (what: string) =>
    parseJson<Told[]>(await must(ctx, ['query', `/1.0/${what}?recursion=1`], MISSED_MS, { code: 'not-ready' })) ?? [];
  const [instances, networks, images, pools] = await Promise.all(['instances', 'networks', 'images', 'storage-pools'].map(ask));
  const labels = (config: Told['config']) => Object.entries(config ?? {}).map(([key, value]) => `${key.replace(/^user\./, '')}=${value}`);
  const thing = (kind: string) => (one: Told) => ({ kind, id: one.name ?? '', marks: [one.name ?? '', ...labels(one.config)] });
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

/** The usage of an instance is told by storage that keeps count of it (ZFS; Btrfs and directories with quotas). */
export async function disk(ctx: Context, handle: Handle): Promise<{ imageBytes?: number; sandboxBytes?: number }> {
  const ask = async <T>(path: string) => parseJson<T>((await incus(ctx, ['query', path], QUICK_MS)).stdout);
  const image = async () => {
    const known = await fingerprint(ctx, template(ctx));
    return known && ask<{ size?: number }>(`/1.0/images/${known.image}`);
  };
  const [made, state] = await Promise.all([
    image(),
    ask<{ disk?: Record<string, { usage?: number }> | null }>(`/1.0/instances/${handle.name}/state`),
  ]);
  const usage = state?.disk?.root?.usage;
  // Where nobody counts, it says 0 or -1.
  return {
    ...(made?.size === undefined ? {} : { imageBytes: made.size }),
    ...(usage !== undefined && usage > 0 ? { sandboxBytes: usage } : {}),
  };
}

/** The operations are those of a command in the instance, too. The bytes of the template are in the instance itself. */
export function traces(ctx: Context, { name }: Handle): Trace[] {
  const ask = (of: Trace['of'], ...args: string[]): Trace => ({
    of,
    says: `incus ${args.slice(0, 2).join(' ')}`,
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

/** Is it the instance's monitor, its virtual machine, or what brings a command into it? Our own client is none of these. */
export function serves(argv: string[], name: string): boolean {
  // The monitor has put its title in the place of its arguments.
  const words = argv.join(' ').split(' ');
  if (basename(words[0] ?? '') === 'incus') return false;
  return words.some((word) => word === name || word.startsWith(`${name},`) || word.includes(`/${name}/`));
}
