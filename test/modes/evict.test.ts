// An image taken away is gone, the second time is as good as the first, and prepare makes it again;
// on real runtimes with an image of the test's own, so that no other match loses its.
import { randomUUID } from 'node:crypto';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Context, Mode } from '../../lib/contract.js';
import { packageRoot } from '../../lib/package.js';
import { loadModes } from '../../lib/sandbox/registry.js';
import { openArena } from '../support/conformance/arena.js';
import { contextOf, findTargets } from '../support/conformance/targets.js';
import { fakeCommands } from '../support/fake-commands.js';
import { modeContext } from '../support/mode-context.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const { targets } = await findTargets();
const able = targets.filter(({ mode }) => mode.evict);

async function takenAwayAndMadeAgain(mode: Mode, ctx: Context, messages: string[]): Promise<void> {
  const evict = () => mode.evict?.(ctx) as Promise<void>;
  const made = async () => {
    messages.length = 0;
    const { image, content } = await mode.prepare(ctx);
    return { image, content, built: messages.some((line) => line.startsWith('building')) };
  };
  const first = await made();
  expect(first).toMatchObject({
    image: expect.stringMatching(/[0-9a-f]{12}/),
    content: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  expect(await made()).toEqual({ ...first, built: false });
  await evict();
  await evict();
  const again = await made();
  // Built again without a change it is another image of the same content: `compare` holds it to be
  // the same.
  expect(again).toEqual({
    image: expect.stringMatching(/[0-9a-f]{12}/),
    content: first.content,
    built: true,
  });
  expect(again.image).not.toBe(first.image);
  await evict();
}

describe.each(able.filter(({ real }) => !real))('$name', (target) => {
  test('takes its image away, and makes it again', async () => {
    const { ctx, messages, keeper } = contextOf(target, 'none');
    await takenAwayAndMadeAgain(target.mode, { ...ctx, env: target.env }, messages);
    await keeper.closeAll();
  });
});

/**
 * A package whose image is its base and one file: it is made in a second, and nobody else's has its
 * name.
 */
function smallPackage(): string {
  const root = temporaryFolder();
  for (const part of ['lib/task/home', 'lib/task/ca'])
    cpSync(join(packageRoot, part), join(root, part), { recursive: true });
  const unique = randomUUID();
  writeFileSync(join(root, 'lib/task/home/.claude/settings.json'), JSON.stringify({ unique }));
  writeFileSync(
    join(root, 'Dockerfile'),
    `ARG BASE_IMAGE\nFROM \${BASE_IMAGE}\nARG AGENT_VERSION\nRUN echo ${unique} > /made\n`,
  );
  return root;
}

// A base that has to be fetched first is no base for a quick test; the variants of one client that
// are only OCI runtimes share an image.
const quick = able.filter(({ real, mode, env, variant }) => {
  const hasBase = Object.keys(mode.inputs).some(
    (name) => /_BASE/.test(name) && env[name] !== undefined,
  );
  return real && hasBase && (variant === undefined || mode.id !== 'docker');
});
describe.each(quick.length > 0 ? quick : [undefined])('$name', (target) => {
  test.skipIf(target === undefined)(
    'takes its image away, and makes it again',
    async () => {
      if (!target) return;
      const { ctx, messages, keeper } = contextOf(target, 'none');
      await takenAwayAndMadeAgain(
        target.mode,
        { ...ctx, env: target.env, packageRoot: smallPackage() },
        messages,
      );
      await keeper.closeAll();
    },
    180_000,
  );
});

test.each(able.filter(({ real, mode }) => !real && mode.oneShot))(
  '$name: an image in use stays, and its containers with it',
  async (target) => {
    const arena = await openArena(target);
    try {
      const box = await arena.launch(arena.plan('using'));
      await expect(target.mode.evict?.(arena.ctx)).rejects.toMatchObject({
        code: 'image-unavailable',
        message: expect.stringMatching(/cannot be removed: .*(using|in use)/),
      });
      expect(await arena.sh(box, 'echo alive')).toMatchObject({ stdout: ['alive'] });
    } finally {
      await arena.close();
    }
  },
);

test('an image is made without the layers of builds before', async () => {
  const docker = (await loadModes()).get('docker') as Mode;
  const PATH = fakeCommands({
    docker:
      'case "$1" in build) echo "$@" >"$0.built";; image) [ -e "$0.built" ] && echo sha256:1 || { echo "No such image: $3" >&2; exit 1; };; esac',
  });
  expect(await docker.prepare(modeContext('docker', { env: { PATH }, packageRoot }))).toEqual({
    image: 'sha256:1',
  });
  expect(readFileSync(join(PATH, 'docker.built'), 'utf8')).toContain(' --no-cache ');
});
