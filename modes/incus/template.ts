// What instances are created from: a template of ours, or an image that the user named.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CagematchError } from '../../lib/errors.js';
import { parseJson } from '../../lib/json.js';
import { succeeded, whyFailed } from '../../lib/os/capture.js';
import {
  agentUp,
  type IncusContext,
  incus,
  isClustered,
  LAYOUT,
  labelled,
  must,
  QUICK_MS,
  remove,
  VM,
  vmFlag,
} from './client.js';
import { takers } from './cluster.js';

/**
 * The template's alias: the agent version and a hash of its other ingredients; or the image that
 * the user named.
 */
export function template(ctx: IncusContext): string {
  const own = ownImage(ctx);
  if (own !== undefined) return own;
  const hash = createHash('sha256')
    .update(base(ctx))
    .update(ctx.variant ?? '')
    .update(SETUP);
  for (const file of HOME_FILES) hash.update(readFileSync(homeFile(ctx, file)));
  return `cagematch-runner-${ctx.agentVersion.replaceAll('.', '-')}-${hash.digest('hex').slice(0, 8)}`;
}

export function ownImage(ctx: IncusContext): string | undefined {
  return ctx.env.CAGEMATCH_INCUS_IMAGE || undefined;
}

function base(ctx: IncusContext): string {
  return ctx.env.CAGEMATCH_INCUS_BASE ?? 'images:debian/12';
}

const HOME_FILES = ['.claude.json', '.claude/settings.json'];

function homeFile(ctx: IncusContext, file: string): string {
  return join(ctx.packageRoot, 'lib/task/home', file);
}

/**
 * Undefined if there is no such image.
 * @throws `not-ready` if the daemon does not answer clearly: an image that may exist must not be
 *   built again
 */
export async function fingerprint(
  ctx: IncusContext,
  alias: string,
): Promise<{ image: string } | undefined> {
  // The image is on a different server from the one that we query.
  if (alias.includes(':')) return undefined;
  const result = await incus(ctx, ['query', `/1.0/images/aliases/${alias}`], QUICK_MS);
  const target = parseJson<{ target?: string }>(result.stdout)?.target;
  if (succeeded(result) && target !== undefined) return { image: target };
  if (/not found/i.test(result.stderr)) return undefined;
  throw new CagematchError(
    'not-ready',
    `cannot determine whether ${alias} exists: ${whyFailed(result)}`,
  );
}

/**
 * A digest of what a template is made of. The alias covers our own ingredients; the template
 * inherits the properties of its base image (the serial of an official image, the recipe of the
 * rig's) and gets this machine's Node. Undefined if it has no such properties.
 */
export async function contentOf(
  ctx: IncusContext,
  alias: string,
  image: string,
): Promise<string | undefined> {
  const result = await incus(ctx, ['query', `/1.0/images/${image}`], QUICK_MS);
  const properties = Object.entries(
    parseJson<{ properties?: Record<string, string> }>(result.stdout)?.properties ?? {},
  );
  if (properties.length === 0) return undefined;
  const made = JSON.stringify([
    alias,
    process.version,
    properties.sort(([a], [b]) => (a < b ? -1 : 1)),
  ]);
  return createHash('sha256').update(made).digest('hex');
}

/** @throws `image-unavailable` if the template exists and cannot be removed */
export async function evict(ctx: IncusContext): Promise<void> {
  const alias = template(ctx);
  if (ownImage(ctx) !== undefined)
    throw new CagematchError(
      'image-unavailable',
      `${alias} is not ours to take away`,
      'leave out CAGEMATCH_INCUS_IMAGE',
    );
  if (!(await fingerprint(ctx, alias))) return;
  await must(ctx, ['image', 'delete', alias], 60_000, { code: 'image-unavailable' });
}

/**
 * True for an OCI image: it runs its entry point and ends with it, so an instance of it needs an
 * entry point that idles.
 */
export function isOci(ctx: IncusContext): Promise<boolean> {
  const [remote, image] = ownImage(ctx)?.split(/:(.*)/) ?? [];
  if (remote === undefined || image === undefined) return Promise.resolve(false);
  return ctx
    .keep('image protocol', async () => {
      const listed = await incus(ctx, ['remote', 'list', '--format', 'json'], QUICK_MS);
      const remotes = parseJson<Record<string, { Protocol?: string }>>(listed.stdout) ?? {};
      return { protocol: remotes[remote]?.Protocol, close() {} };
    })
    .then(({ protocol }) => protocol === 'oci');
}

/** @throws `not-ready` if this server cannot run the image */
export async function checkImage(ctx: IncusContext): Promise<void> {
  if (ctx.state?.oci || !(await isOci(ctx))) return;
  throw new CagematchError(
    'not-ready',
    `this Incus runs no OCI images, and ${ownImage(ctx)} is one`,
    'Incus 6.3 or later, or leave out CAGEMATCH_INCUS_IMAGE',
  );
}

/**
 * Copies the template to every member ahead of time, so that no run has to wait for it or for the
 * member it would be copied from.
 */
export async function bringToMembers(ctx: IncusContext, alias: string): Promise<void> {
  if (!isClustered(ctx)) return;
  await ctx.keep(`${alias} on ${ctx.options.target ?? 'all'}`, async () => {
    const problem = {
      code: 'image-unavailable' as const,
      input: JSON.stringify({ config: labelled(ctx) }),
    };
    await Promise.all(
      (await takers(ctx)).map(async (member) => {
        const name = `cagematch-build-${ctx.labels.match}-${member}`;
        await must(
          ctx,
          ['init', alias, name, ...vmFlag(ctx), '--target', member],
          300_000,
          problem,
        ).finally(() => remove(ctx, name));
      }),
    );
    return { close() {} };
  });
}

/** The steps of the Dockerfile, as commands for a running instance. */
const SETUP = `set -e
if id -un 1000 >/dev/null 2>&1 && [ "$(id -un 1000)" != agent ]; then userdel --remove "$(id -un 1000)" 2>/dev/null || true; fi
id agent >/dev/null 2>&1 || useradd --create-home --uid 1000 --shell /bin/bash agent
id -un 60578 >/dev/null 2>&1 || { echo 'nobodys:x:60578:60578::/home/agent:/bin/bash' >> /etc/passwd; echo 'nobodys:x:60578:' >> /etc/group; }
mkdir -p /workspace /home/agent/.claude
chown -R agent: /workspace /home/agent
chmod -R a+rwX /home/agent
chmod 755 /usr/local/bin/claude
node --version && claude --version && git --version`;

/**
 * Builds the template with this machine's own Node and agent: these are the pinned versions and
 * need no network inside.
 */
export async function buildTemplate(ctx: IncusContext, alias: string): Promise<void> {
  const problem = {
    code: 'image-unavailable' as const,
    hint: 'set CAGEMATCH_INCUS_BASE to a Debian-like image with git that this server has',
  };
  if (ctx.agentBinary === undefined || !existsSync(ctx.agentBinary))
    throw new CagematchError(
      'image-unavailable',
      'the agent CLI is not installed here',
      'npm install --include=optional',
    );
  ctx.say(`building ${alias} (once; a minute or so)`);
  const builder = `cagematch-build-${ctx.labels.match}`;
  try {
    await must(ctx, ['launch', base(ctx), builder, ...vmFlag(ctx)], 300_000, {
      ...problem,
      input: JSON.stringify({ config: labelled(ctx) }),
    });
    if (ctx.variant === VM) await agentUp(ctx, builder);
    const hasNode = await incus(
      ctx,
      ['exec', builder, '--', 'sh', '-c', 'command -v node'],
      QUICK_MS,
    );
    if (!succeeded(hasNode))
      await must(
        ctx,
        ['file', 'push', '--mode', '0755', process.execPath, `${builder}/usr/local/bin/node`],
        120_000,
        problem,
      );
    await must(
      ctx,
      ['file', 'push', '--mode', '0755', ctx.agentBinary, `${builder}/usr/local/bin/claude`],
      300_000,
      problem,
    );
    for (const file of HOME_FILES)
      await must(
        ctx,
        [
          'file',
          'push',
          '--create-dirs',
          '--mode',
          '0644',
          homeFile(ctx, file),
          `${builder}${LAYOUT.home}/${file}`,
        ],
        QUICK_MS,
        problem,
      );
    await must(ctx, ['exec', builder, '--', '/bin/sh', '-c', SETUP], 60_000, problem);
    await must(ctx, ['stop', '--force', builder], 60_000, problem);
    await must(
      ctx,
      ['publish', builder, '--alias', alias, '--compression', 'none'],
      300_000,
      problem,
    );
  } finally {
    await incus(ctx, ['delete', '--force', builder], 60_000);
  }
}
