// Calls one mode directly, as a match would, in an environment of the test's own.
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context, ExecEvent, ExecStream, LaunchSpec } from '../../lib/contract.js';
import { contextFor, createKeeper } from '../../lib/sandbox/context.js';

/** @param overrides what a test wants otherwise than on this machine */
export function contextOf(
  mode: string,
  env: Record<string, string>,
  overrides: Partial<Context> = {},
): Context & { close(): Promise<void> } {
  const keeper = createKeeper();
  const base = {
    env,
    platform: 'linux' as const,
    uid: process.getuid?.(),
    match: '20260102-030405-abcd',
    signal: new AbortController().signal,
  };
  return {
    ...contextFor({ ...base, say: () => {} }, keeper, {
      id: mode,
      inputs: {},
      clientVariables: Object.keys(env),
    }),
    ...overrides,
    close: keeper.closeAll,
  };
}

/** A launch of a sandbox with an empty workspace. */
export function specOf(name: string): LaunchSpec & { close(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'remote-'));
  const workspace = join(folder, 'workspace');
  // Whoever is the user inside has to get through.
  chmodSync(folder, 0o755);
  mkdirSync(workspace);
  return {
    name,
    host: { workspace, home: '/nonexistent', tmp: '/nonexistent', path: '' },
    files: [],
    user: { uid: 1000, gid: 1000 },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export async function readAll(
  stream: ExecStream,
): Promise<{ stdout: string[]; stderr: string[]; end: Omit<ExecEvent, 'atMs'> }> {
  const lines = { stdout: [] as string[], stderr: [] as string[] };
  for await (const { atMs, ...event } of stream) {
    if (event.type !== 'line') return { ...lines, end: event };
    lines[event.stream].push(event.text);
  }
  throw new Error('the stream broke off');
}
