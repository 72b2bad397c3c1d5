// Versions of the programs that a runtime rests on, asked of the programs themselves.
import { isAbsolute } from 'node:path';
import type { Context } from '../contract.js';
import { capture, succeeded, which } from '../os/exec.js';

const QUICK_MS = 3000;

/** The first word that looks like a version in what a program says to `--version`, or in what a runtime tells of it. */
export function versionIn(text: string | undefined): string | undefined {
  return /(?:^|\s)((?:release-|v)?\d[^\s,]*)/.exec(text ?? '')?.[1];
}

/** By path. Several modes rest on the same programs, and while one command lasts no program changes. */
const told = new Map<string, Promise<string | undefined>>();

/** Undefined for a program that is not there or says nothing of the kind. @param program a name on PATH, or a path */
export async function programVersion(program: string, ctx: Context): Promise<string | undefined> {
  if (!isAbsolute(program)) return askVersion(program, ctx);
  const asking = told.get(program) ?? askVersion(program, ctx);
  told.set(program, asking);
  const version = await asking;
  // Who was cut short has said nothing yet.
  if (version === undefined) told.delete(program);
  return version;
}

async function askVersion(program: string, ctx: Context): Promise<string | undefined> {
  const asked = await capture([program, '--version'], { env: ctx.env, signal: ctx.signal, timeoutMs: QUICK_MS, cwd: '/' });
  return succeeded(asked) ? versionIn(asked.stdout) : undefined;
}

/** Those of these programs that are on PATH, by their path; asked at once. */
export async function versionsOnPath(programs: string[], ctx: Context): Promise<Map<string, string>> {
  const paths = programs.flatMap((program) => which(program, ctx.env) ?? []);
  const answers = await Promise.all(paths.map(async (path) => [path, await programVersion(path, ctx)] as const));
  return new Map(answers.flatMap(([path, version]) => (version === undefined ? [] : [[path, version] as const])));
}

/** Facts `<name>Version`, of those that are known. */
export function versionFacts(versions: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(versions).flatMap(([name, version]) => (version === undefined || version === '' ? [] : [[`${name}Version`, version]])),
  );
}
