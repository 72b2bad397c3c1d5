// The template image that sandboxes are created from: its name, and whether it is present.
import type { Context } from '../../lib/contract.js';
import { succeeded } from '../../lib/os/capture.js';
import { type Cli, QUICK_MS, sandbox } from './client.js';

/** The older client cannot be queried; it pulls a missing template when a sandbox is created. */
export async function hasTemplate(ctx: Context, cli: Cli): Promise<boolean> {
  if (cli !== 'sbx') return true;
  const listed = await sandbox(ctx, cli, ['template', 'ls'], QUICK_MS);
  return !succeeded(listed) || namesTemplate(ctx, listed.stdout);
}

export function templateOf(ctx: Context): string {
  return ctx.env.CAGEMATCH_SANDBOX_TEMPLATE ?? 'docker/sandbox-templates:claude-code';
}

export function namesTemplate(ctx: Context, listed: string): boolean {
  const [image = '', tag = ''] = templateOf(ctx).split(/:(?=[^/:]*$)/);
  return listed.split('\n').some((line) => line.includes(image) && line.includes(tag));
}
