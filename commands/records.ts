// Finds the record of a match or probe that a user names, and reads it.
import { closeSync, existsSync, readdirSync, readSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CagematchError, messageOf } from '../lib/errors.js';
import { parseJson } from '../lib/json.js';
import { openPlainFile } from '../lib/os/plain-files.js';
import { PROBES, type ProbeName } from '../lib/record/probe.js';
import { readProbeRecord, readRecord } from '../lib/record/read.js';
import type { Fingerprint, MatchEvent } from '../lib/record/types.js';
import { withProbes } from '../lib/report/advice/recommend.js';
import type { Report } from '../lib/report/document.js';
import { createFold, type Fold } from '../lib/report/fold.js';
import type { ProbeDocument } from '../lib/report/probe/document.js';
import { createProbeFold } from '../lib/report/probe/fold.js';
import { inOrder, partOf } from '../lib/report/probe/parts.js';

export interface Found {
  /** The name given by the user. */
  name: string;
  /** An events.jsonl or a probe.jsonl; a report as JSON if that was named. */
  path: string;
  kind: Kind;
}

type Kind = 'match' | 'probe';
const FILES: Record<Kind, string> = { match: 'events.jsonl', probe: 'probe.jsonl' };
const KINDS = ['match', 'probe'] as const satisfies Kind[];

/**
 * @param named the id of a match or probe, its folder or its record; if undefined, the newest match
 * @param out the folder that contains the folders of matches and probes
 * @throws `bad-input` if nothing is found; the hint lists the newest records
 */
export function findRecord(named: string | undefined, out: string, cwd: string): Found {
  const folder = resolve(cwd, out);
  const name = named ?? list(folder, 'match').at(-1);
  if (name === undefined) {
    const probe = list(folder, 'probe').at(-1);
    throw new CagematchError(
      'bad-input',
      `no match found in ${folder}`,
      probe === undefined ? 'cagematch run' : `a probe: ${probe}`,
    );
  }
  for (const place of [join(folder, name), resolve(cwd, name)]) {
    for (const kind of KINDS) {
      const within = join(place, FILES[kind]);
      if (existsSync(within)) return { name, path: within, kind };
    }
    if (named !== undefined && statSync(place, { throwIfNoEntry: false })?.isFile())
      return { name, path: place, kind: kindOf(place) };
  }
  const known = KINDS.flatMap((kind) => list(folder, kind)).sort();
  throw new CagematchError(
    'bad-input',
    `no record of a match or probe ${name}`,
    known.length > 0 ? `the newest are ${known.slice(-3).join(' ')}` : 'cagematch run',
  );
}

/** Folders with a record of that kind, oldest first. */
function list(folder: string, kind: Kind): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^\d{8}-\d{6}-/.test(name) && existsSync(join(folder, name, FILES[kind])))
      .sort();
  } catch {
    return [];
  }
}

/** Determined from the beginning of the first line, because a file may have any name. */
function kindOf(path: string): Kind {
  return headOf(path, 64).startsWith('{"type":"probe-started"') ? 'probe' : 'match';
}

function headOf(path: string, bytes: number): string {
  const head = Buffer.alloc(bytes);
  const file = openPlainFile(path, { links: 'follow' });
  try {
    return head.toString('utf8', 0, readSync(file, head));
  } finally {
    closeSync(file);
  }
}

/**
 * @throws `bad-input` if the record is broken, with the error and its line, or if it is not the
 *   record of a match
 */
export async function readFound(found: Found, onEvent: (event: MatchEvent) => void): Promise<void> {
  if (found.kind === 'probe')
    throw new CagematchError(
      'bad-input',
      `${found.name} is a probe, not a match`,
      `cagematch report ${found.name}`,
    );
  await explained(found, () => readRecord(found.path, onEvent));
}

/**
 * The report of a record, without its runs, its recommendations extended by the probes beside it;
 * and the fold that it came from.
 * @throws as `readFound`
 */
export async function finishedFold(
  found: Found,
): Promise<{ report: Report; fold: Fold; probes: ProbeDocument[] }> {
  const fold = createFold();
  await readFound(found, fold.push);
  const report = await explained(found, fold.finish);
  const probes = await probesBeside(dirname(dirname(found.path)), report.match.host);
  return { report: withProbes(report, probes), fold, probes };
}

/**
 * The document of a probe.
 * @throws `bad-input` if its record is broken, with the error and its line
 */
export async function readProbe(found: Found): Promise<ProbeDocument> {
  const fold = createProbeFold();
  return explained(found, async () => {
    await readProbeRecord(found.path, fold.push);
    return fold.finish();
  });
}

/**
 * Probes in the folder of a match: for each part, the newest probe that ran to its end on the same
 * machine, reduced to that part. Probes that cannot be read are skipped.
 */
export async function probesBeside(folder: string, host: Fingerprint): Promise<ProbeDocument[]> {
  const missing = new Set<ProbeName>(PROBES);
  const found: ProbeDocument[] = [];
  for (const name of list(folder, 'probe').reverse()) {
    if (missing.size === 0) break;
    const path = join(folder, name, FILES.probe);
    try {
      // Records may be long and numerous; for most of them, the first line is sufficient to decide.
      if (!tries(path, missing)) continue;
      const document = await readProbe({ name, path, kind: 'probe' });
      if (document.probe.how !== 'done' || !isSame(document.probe.host, host)) continue;
      const parts = document.probe.only.filter((what) => missing.delete(what));
      found.push(partOf(document, parts));
    } catch {}
  }
  return inOrder(found);
}

/** Whether a probe's first line lists any of these parts; true if it has no list. */
function tries(path: string, parts: ReadonlySet<ProbeName>): boolean {
  const [line = ''] = headOf(path, 4096).split('\n', 1);
  const only = parseJson<{ only?: ProbeName[] }>(line)?.only;
  return only?.some((what) => parts.has(what)) ?? true;
}

const isSame = (a: Fingerprint, b: Fingerprint) =>
  (Object.keys(a) as (keyof Fingerprint)[]).every((key) => a[key] === b[key]);

async function explained<T>({ name }: Found, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const hint = error instanceof CagematchError ? error.hint : undefined;
    throw new CagematchError(
      'bad-input',
      `the record of ${name} cannot be read: ${messageOf(error)}`,
      hint,
      { cause: error },
    );
  }
}
