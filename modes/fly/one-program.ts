// Choosing the right executable for a program that has several names or is in several places on
// PATH.
import { realpathSync } from 'node:fs';
import type { Context } from '../../lib/contract.js';
import { CagematchError } from '../../lib/errors.js';
import { capture } from '../../lib/os/capture.js';
import { everyWhich } from '../../lib/os/path-search.js';

const QUICK_MS = 15_000;

/** The distinct paths of a program: one name is often a link to the other. */
export function placesOf(names: readonly string[], ctx: Context): string[] {
  const places = names
    .flatMap((name) => everyWhich(name, ctx.env))
    .map((path) => [realpathSync(path), path] as const);
  return [...new Map(places.reverse()).values()].reverse();
}

/**
 * The executable to call, chosen by its version output: unrelated programs of the same name are
 * skipped.
 * @param version matches the version in what the right program prints for `version`
 * @throws if there is none, or if there are two with different versions
 */
export async function oneProgram(
  names: readonly [string, ...string[]],
  version: RegExp,
  ctx: Context,
  missing: { code: CagematchError['code']; hint: string },
): Promise<string> {
  const candidates = await Promise.all(
    placesOf(names, ctx).map(async (path) => {
      const { stdout } = await capture([path, 'version'], {
        env: ctx.env,
        signal: ctx.signal,
        timeoutMs: QUICK_MS,
      });
      return { path, version: version.exec(stdout)?.[1] };
    }),
  );
  const right = candidates.filter((candidate) => candidate.version !== undefined);
  const [first] = right;
  if (first === undefined)
    throw new CagematchError(missing.code, `no ${names[0]} command on PATH`, missing.hint);
  const other = right.find((candidate) => candidate.version !== first.version);
  if (other === undefined) return first.path;
  const both = [first, other]
    .map((candidate) => `${candidate.path} (${candidate.version})`)
    .join(' and ');
  throw new CagematchError(
    missing.code,
    `PATH has ${names[0]} twice: ${both}`,
    `take the older off PATH: ${first.path} or ${other.path}`,
  );
}
