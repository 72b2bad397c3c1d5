// The command-line client of Fly.io, which builds the image into the app's registry.
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../../lib/contract.js';
import type { CagematchError } from '../../lib/errors.js';
import { fillBuildContext } from '../../lib/kit/oci/image.js';
import { output } from '../../lib/os/capture.js';
import { makeFolder, removeFolder } from '../../lib/os/owner.js';
import { appOf, imageOf, label } from './api.js';
import { oneProgram } from './one-program.js';

export const CLI = ['fly', 'flyctl'] as const;

export const INSTALL = 'curl -L https://fly.io/install.sh | sh';

export async function flyCli(
  ctx: Context,
  args: string[],
  options: {
    input?: string;
    cwd?: string;
    code: CagematchError['code'];
    timeoutMs: number;
    onLine?: (line: string) => void;
  },
): Promise<string> {
  const program = await oneProgram(CLI, /^fly(?:ctl)? v(\S+)/, ctx, {
    code: options.code,
    hint: INSTALL,
  });
  return output([program, ...args], { env: ctx.env, signal: ctx.signal, ...options });
}

export async function build(ctx: Context, fresh: boolean): Promise<void> {
  const app = appOf(ctx) ?? '';
  const folder = makeFolder('build');
  ctx.say(`building ${imageOf(ctx)} with Fly's builder, and pushing it`);
  try {
    await fillBuildContext(ctx, folder);
    copyFileSync(join(ctx.packageRoot, 'fly.toml'), join(folder, 'fly.toml'));
    const args = [
      'deploy',
      '--build-only',
      '--push',
      '--image-label',
      label(ctx),
      '--app',
      app,
      ...(fresh ? ['--no-cache'] : []),
    ];
    args.push('--build-arg', `AGENT_VERSION=${ctx.agentVersion}`);
    const bounds = { code: 'image-unavailable' as const, timeoutMs: 20 * 60_000 };
    await flyCli(ctx, args, { cwd: folder, onLine: ctx.say, ...bounds });
  } finally {
    removeFolder(folder);
  }
}
