// The runner image: its name, and building it with a client that has the common container command
// line.
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, readFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import type { Context, PreparedImage } from '../../contract.js';
import { CagematchError } from '../../errors.js';
import { parseJson } from '../../json.js';
import { capture, output, succeeded, whyFailed } from '../../os/capture.js';
import { makeFolder, removeFolder } from '../../os/owner.js';
import type { Client } from './args.js';
import { watchEvents } from './events.js';

const QUICK_MS = 15_000;
const REMOVE_MS = 60_000;
const BUILD_MS = 15 * 60_000;

/** The ingredients of an image; a change to any of these files makes a different image. */
const RECIPE = ['Dockerfile', 'lib/task/home/.claude.json', 'lib/task/home/.claude/settings.json'];

/** The runner image's full name: the agent version, and a hash of the recipe and its base. */
export function imageName(ctx: Context, base: string | undefined): string {
  const hash = createHash('sha256').update(base ?? '');
  for (const file of RECIPE) hash.update(readFileSync(join(ctx.packageRoot, file)));
  return `cagematch-runner:${ctx.agentVersion}-${hash.digest('hex').slice(0, 8)}`;
}

/**
 * Builds the runner image if it is missing. Also starts to listen to the runtime's events, so that
 * this does not count towards the first launch.
 * @param options `network`: network for the build steps. `base`: replaces the Dockerfile's own base
 *   image.
 */
export async function ensureImage(
  client: Client,
  ctx: Context,
  options: { image: string; base: string | undefined; network: string; rebuild: boolean },
): Promise<PreparedImage> {
  await watchEvents(client, ctx);
  const call = { env: client.env, cwd: '/', signal: ctx.signal };
  const present = options.rebuild ? undefined : await digest(client, options.image);
  if (present) return present;
  ctx.say(`building ${options.image} (once; a minute or so)`);
  const folder = makeFolder('build');
  try {
    await fillBuildContext(ctx, folder);
    // The builder may run as another user.
    chmodSync(folder, 0o755);
    // Without cached layers of earlier builds, since the `image` clock measures a build from
    // scratch.
    const args = ['build', '--no-cache', '--tag', options.image, '--network', options.network];
    args.push('--build-arg', `AGENT_VERSION=${ctx.agentVersion}`);
    if (options.base !== undefined) args.push('--build-arg', `BASE_IMAGE=${options.base}`);
    await output([...client.argv, ...args, folder], {
      ...call,
      timeoutMs: BUILD_MS,
      code: 'image-unavailable',
      hint: 'set CAGEMATCH_BASE_IMAGE to a Debian-like image with Node 22 that this machine has, or check the network',
    });
  } finally {
    removeFolder(folder);
  }
  return (await digest(client, options.image)) ?? {};
}

/**
 * The parts of an image that still identify its base: its layers begin with those of the base, and
 * its variables come from the base (official Node images have their version there).
 */
const INSPECTED = '{{.Id}} {{json .RootFS.Layers}} {{json .Config.Env}}';

/**
 * A digest of the image's ingredients. The name covers our own part (the agent's version, the
 * recipe, the base's name), and the first layer and the variables identify the base. Our own
 * layers, and so the image's digest, differ with every build.
 */
function contentOf(image: string, layers: string[] | undefined, env: string): string | undefined {
  const [base] = layers ?? [];
  return base === undefined
    ? undefined
    : createHash('sha256')
        .update(JSON.stringify([image, base, env]))
        .digest('hex');
}

/**
 * Undefined if there is no such image.
 * @throws `not-ready` if the runtime does not answer clearly, since an image that may exist must
 *   not be built again
 */
async function digest(client: Client, image: string): Promise<PreparedImage | undefined> {
  const argv: [string, ...string[]] = [
    ...client.argv,
    'image',
    'inspect',
    '--format',
    INSPECTED,
    image,
  ];
  // Not abortable, since the call is short and a client that is killed can leave a temporary file.
  const result = await capture(argv, { env: client.env, cwd: '/', timeoutMs: QUICK_MS });
  if (succeeded(result)) {
    const [, id = '', layers = '', env = ''] =
      /^(\S+) ?(\S*) ?(.*)$/s.exec(result.stdout.trim()) ?? [];
    const content = contentOf(image, parseJson<string[] | null>(layers) ?? undefined, env);
    return { image: id, ...(content === undefined ? {} : { content }) };
  }
  if (/no such image|image not known|not found/i.test(result.stderr)) return undefined;
  throw new CagematchError(
    'not-ready',
    `cannot determine whether ${image} exists: ${whyFailed(result)}`,
  );
}

/**
 * Removes the runner image, but neither its base nor anything else of the user's. Never by force,
 * since some clients would then also remove containers that others created from it.
 * @throws `image-unavailable` if the image is in use
 */
export async function evictImage(client: Client, ctx: Context, image: string): Promise<void> {
  if ((await digest(client, image)) === undefined) return;
  const removal = await capture([...client.argv, 'image', 'rm', image], {
    env: client.env,
    cwd: '/',
    signal: ctx.signal,
    timeoutMs: REMOVE_MS,
  });
  if ((await digest(client, image)) !== undefined)
    throw new CagematchError(
      'image-unavailable',
      `${image} cannot be removed: ${whyFailed(removal)}`,
      'cagematch clean',
    );
}

/** Copies what the Dockerfile needs into the folder, and nothing else of this package. */
export async function fillBuildContext(ctx: Context, folder: string): Promise<void> {
  copyFileSync(join(ctx.packageRoot, 'Dockerfile'), join(folder, 'Dockerfile'));
  for (const part of ['lib/task/home', 'lib/task/ca']) {
    await cp(join(ctx.packageRoot, part), join(folder, part), { recursive: true });
  }
  const bundle = ctx.env.NODE_EXTRA_CA_CERTS;
  if (bundle !== undefined && existsSync(bundle))
    copyFileSync(bundle, join(folder, 'lib/task/ca/bundle.crt'));
}
