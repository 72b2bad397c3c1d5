// RESULTS.md: a match and a probe in short. What leads to these numbers is in the record, and one
// command shows it.
import { isGap } from '../../record/types.js';
import type { Report } from '../document.js';
import type { ProbeDocument } from '../probe/document.js';
import { sameOf } from '../probe/files.js';
import { whose } from '../probe/grouped.js';
import { residueShort, residueTable } from '../probe/residue.js';
import { closedOf, keptOf, wallNotes } from '../probe/walls.js';
import {
  brokeOffText,
  endedEarly,
  environmentOf,
  namesOf,
  openingOf,
  roundsOf,
} from '../probe/words.js';
import { isRatio, ratioWhole, workTable } from '../probe/work.js';
import { environment, opening } from './markdown.js';
import {
  bullets,
  code,
  markdown,
  document as page,
  section,
  table,
  type Words,
} from './markdown-text.js';

export function publishedMatch(report: Report): string {
  return page([
    ...opening(report),
    ...shownBy(report.match.id, 'phases, costs, pairs, failures and every run'),
    '',
    environment(report),
  ]);
}

export function publishedProbe(document: ProbeDocument): string {
  const { probe } = document;
  const name = namesOf(document);
  const early = endedEarly(document);
  const rounds = roundsOf(document);
  const broken = wallNotes(document).filter(({ kind }) => kind === 'broken');
  const entries = document.modes.map(({ entry }) => entry);
  return page([
    markdown`Probe ${code(probe.id)}: ${openingOf(document)}${rounds === '' ? '' : `; ${rounds}`}.`,
    ...(early === undefined ? [] : ['', `${early}.`]),
    ...section(
      'Broke off:',
      bullets(document.brokeOff.map((one) => `${name(one.entry)}: ${brokeOffText(one)}`)),
    ),
    '',
    probeTable(document),
    '',
    'Credential: where it was found, by the way that it was delivered. Slower work: kinds of work whose interval is entirely above the baseline’s time, of those measured; and the slowest kind, as a multiple of the baseline’s time.',
    ...section(
      'Isolation checks that are not as declared:',
      bullets(
        broken.map(
          ({ wall, observed, declared, entries: rows }) =>
            `${wall}: ${observed}, declared ${declared}, in ${whose(rows, entries, name)}`,
        ),
      ),
    ),
    ...shownBy(
      probe.id,
      'every kind of change, every isolation check with its evidence, and every kind of work',
    ),
    '',
    `Environment: ${environmentOf(document)}.`,
  ]);
}

function shownBy(id: string, what: string): Words[] {
  return [
    '',
    markdown`${code(`npx cagematch report ${id} --format html > page.html`)} shows ${what}.`,
  ];
}

function probeTable(document: ProbeDocument) {
  const name = namesOf(document);
  const residue = residueTable(document);
  return table(
    [
      'row',
      'file changes that arrive',
      'isolation checks closed',
      'as declared',
      ...residue.ways.map((way) => `credential by ${way}`),
      'slower work',
      'slowest kind of work',
    ],
    document.modes.map(({ entry }) => [
      name(entry),
      sameOf(document.sync[entry] ?? []),
      closedOf(document.walls[entry] ?? []),
      keptOf(document.walls[entry] ?? []),
      ...residue.ways.map((way) => residueShort(residue.at(entry, way))),
      ...slowest(document, entry),
    ]),
  );
}

/** Two cells: how many kinds of work are slower than in the baseline, and the slowest of them. */
function slowest(document: ProbeDocument, entry: string): [string, string] {
  const grid = workTable(document);
  const ratios = grid.entries.includes(entry) ? (document.tax[entry] ?? []).filter(isRatio) : [];
  const slower = ratios
    .filter(({ ci95 }) => !isGap(ci95) && ci95[0] > 1)
    .toSorted((a, b) => b.ratio - a.ratio);
  const [worst] = slower;
  if (ratios.length === 0) return ['–', '–'];
  return [
    `${slower.length}/${ratios.length}`,
    worst === undefined ? 'none' : `${worst.probe} ${ratioWhole(worst)}`,
  ];
}
