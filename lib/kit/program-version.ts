// Versions of the programs that a runtime depends on, queried from the programs themselves.
import { isAbsolute } from 'node:path';
import type { Context } from '../contract.js';
import { capture, succeeded } from '../os/capture.js';
import { which } from '../os/path-search.js';

const QUICK_MS = 3000;

/**
 * The first word that looks like a version, in a program's output for `--version` or in a runtime's
 * description of it.
 */
export function versionIn(text: string | undefined): string | undefined {
  return /(?:^|\s)((?:release-|v)?\d[^\s,]*)/.exec(text ?? '')?.[1];
}

/**
 * Cached versions by path: several modes depend on the same programs, and no program changes during
 * one command.
 */
const versionCache = new Map<string, Promise<string | undefined>>();

/**
 * Undefined if the program is missing or prints no version.
 * @param program a name on PATH, or a path
 */
export async function programVersion(program: string, ctx: Context): Promise<string | undefined> {
  if (!isAbsolute(program)) return askVersion(program, ctx);
  const asking = versionCache.get(program) ?? askVersion(program, ctx);
  versionCache.set(program, asking);
  const version = await asking;
  // A query that was cut short is not cached.
  if (version === undefined) versionCache.delete(program);
  return version;
}

async function askVersion(program: string, ctx: Context): Promise<string | undefined> {
  const result = await capture([program, '--version'], {
    env: ctx.env,
    signal: ctx.signal,
    timeoutMs: QUICK_MS,
    cwd: '/',
  });
  return succeeded(result) ? versionIn(result.stdout) : undefined;
}

/** Versions of those programs that are on PATH, by path; queried concurrently. */
export async function versionsOnPath(
  programs: string[],
  ctx: Context,
): Promise<Map<string, string>> {
  const paths = programs.flatMap((program) => which(program, ctx.env) ?? []);
  const answers = await Promise.all(
    paths.map(async (path) => [path, await programVersion(path, ctx)] as const),
  );
  return new Map(
    answers.flatMap(([path, version]) => (version === undefined ? [] : [[path, version] as const])),
  );
}

/** Facts named `<name>Version`, for the known versions only. */
export function versionFacts(versions: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(versions).flatMap(([name, version]) =>
      version === undefined || version === '' ? [] : [[`${name}Version`, version]],
    ),
  );
}
