// Labels for runtimes without labels of their own: one small file per sandbox in the user's state
// folder, kept as long as the sandbox.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context, Labels } from '../../lib/contract.js';

/**
 * Called before the sandbox is created: a crash in between leaves a superfluous file rather than an
 * unattributed sandbox.
 */
export function keepLabels(ctx: Context, sandbox: string): void {
  mkdirSync(folder(ctx), { recursive: true, mode: 0o700 });
  writeFileSync(file(ctx, sandbox), `${JSON.stringify(ctx.labels)}\n`, { mode: 0o600 });
}

/** Called once the sandbox is gone. */
export function dropLabels(ctx: Context, sandbox: string): void {
  rmSync(file(ctx, sandbox), { force: true });
}

/**
 * Labels by sandbox name; includes sandboxes that are gone if a harness died before it could clean
 * up.
 */
export function keptLabels(ctx: Context): Map<string, Partial<Labels>> {
  const kept = new Map<string, Partial<Labels>>();
  for (const name of names(ctx)) {
    try {
      const { match, mode, owner, session } = JSON.parse(
        readFileSync(join(folder(ctx), name), 'utf8'),
      ) as Record<string, unknown>;
      if (typeof match === 'string' && typeof owner === 'string' && mode === ctx.labels.mode)
        kept.set(name.replace(/\.json$/, ''), {
          match,
          mode,
          owner,
          ...(typeof session === 'string' ? { session } : {}),
        });
    } catch {
      // The file is being written or removed at this moment.
    }
  }
  return kept;
}

function names(ctx: Context): string[] {
  try {
    return readdirSync(folder(ctx)).filter((name) => name.endsWith('.json'));
  } catch {
    return [];
  }
}

function file(ctx: Context, sandbox: string): string {
  return join(folder(ctx), `${sandbox.replace(/[^\w.-]/g, '-')}.json`);
}

function folder(ctx: Context): string {
  const { env } = ctx;
  const local = ctx.platform === 'win32' ? env.LOCALAPPDATA : undefined;
  const state =
    env.XDG_STATE_HOME ?? local ?? join(env.HOME ?? env.USERPROFILE ?? tmpdir(), '.local', 'state');
  return join(state, 'cagematch', 'sandboxes', ctx.labels.mode);
}
