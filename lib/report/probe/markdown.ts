// A probe as Markdown, in full: whole tables, every cell that is not the same, all evidence; and
// its region in documents.
import { isGap } from '../../record/types.js';
import {
  bullets,
  code,
  joined,
  markdown,
  document as page,
  section,
  table,
  type Words,
} from '../export/markdown-text.js';
import type { ProbeDocument } from './document.js';
import {
  DIRECTIONS,
  filesNotes,
  filesTable,
  latencyOf,
  MARKS,
  marksOf,
  type Seen,
  sameOf,
  sayFiles,
  shortOf,
  WORDS,
} from './files.js';
import { alike, whose } from './grouped.js';
import { residueAbout, residueNotes, residueShort, residueTable, sayResidue } from './residue.js';
import { isBroken, keptOf, wallShort, wallsTable } from './walls.js';
import { brokeOffText, endedEarly, environmentOf, namesOf, openingOf, roundsOf } from './words.js';
import { ratioWhole, roundsText, workNotes, workTable } from './work.js';

export const PROBE_REGION = { begin: '<!-- cagematch:probe -->', end: '<!-- /cagematch:probe -->' };

export function renderProbeMarkdown(document: ProbeDocument): string {
  const { probe } = document;
  const name = namesOf(document);
  const early = endedEarly(document);
  const rounds = roundsOf(document);
  return page([
    markdown`Probe ${code(probe.id)}: ${openingOf(document)}${rounds === '' ? '' : `; ${rounds}`}.`,
    ...(early === undefined ? [] : ['', `${early}.`]),
    ...section(
      'Broke off:',
      bullets(
        document.brokeOff.map((failure) => `${name(failure.entry)}: ${brokeOffText(failure)}`),
      ),
    ),
    ...(probe.only.includes('sync') ? files(document) : []),
    ...(probe.only.includes('walls') ? walls(document) : []),
    ...(probe.only.includes('residue') ? residue(document) : []),
    ...(probe.only.includes('tax') ? work(document) : []),
    ...section(
      'Not here:',
      bullets(
        document.absent.map(
          (row) => markdown`${row.letter} ${code(row.entry)}: ${row.reason} → ${code(row.hint)}`,
        ),
      ),
    ),
    ...section('Warnings:', bullets(document.warnings.map(({ message }) => message))),
    '',
    `Environment: ${environmentOf(document)}.`,
  ]);
}

/** Fixed-width text, so that the marks of all rows align. */
const marks = (words: string) => code(words);

function files(document: ProbeDocument): Words[] {
  const grid = filesTable(document);
  if (grid.cells.length === 0) return [];
  const name = namesOf(document);
  const own = (entry: string) => document.sync[entry] ?? [];
  const latencies = DIRECTIONS.map((direction) => [
    `ms until seen, ${direction}`,
    ...grid.entries.map((entry) => {
      const ms = latencyOf(own(entry), direction);
      return isGap(ms) ? '–' : ms.toFixed(1);
    }),
  ]).filter(([, ...cells]) => cells.some((cell) => cell !== '–'));
  const legend = (Object.keys(MARKS) as Seen[]).map(
    (seen) => markdown`${code(MARKS[seen])} ${WORDS[seen]}`,
  );
  return [
    '',
    '### Files',
    '',
    table(
      ['', ...grid.entries.map((entry) => name(entry))],
      [
        ['in short', ...grid.entries.map((entry) => shortOf(grid, entry))],
        ['same, of those tried', ...grid.entries.map((entry) => sameOf(own(entry)))],
        ...latencies,
        ...grid.cells.map((cell) => [
          cell,
          ...grid.entries.map((entry) => marks(marksOf(grid, entry, cell))),
        ]),
      ],
    ),
    '',
    markdown`The five marks: in (made on the host before launch), in-live (while it runs), out-live (made inside, seen on the host while it runs), out (on the host after collect), both (both sides change one file). ${joined(legend, ', ')}.`,
    ...section(
      'Not the same:',
      bullets(
        filesNotes(document).map(
          (note) => `${whose(note.entries, grid.entries, name)}: ${sayFiles(note)}`,
        ),
      ),
    ),
  ];
}

function walls(document: ProbeDocument): Words[] {
  const grid = wallsTable(document);
  if (grid.walls.length === 0) return [];
  const name = namesOf(document);
  const all = grid.entries.flatMap((entry) =>
    (document.walls[entry] ?? []).map((wall) => ({ entry, wall })),
  );
  return [
    '',
    '### Isolation checks',
    '',
    table(
      ['', ...grid.entries.map((entry) => name(entry))],
      [
        ['as declared', ...grid.entries.map((entry) => keptOf(document.walls[entry] ?? []))],
        ...grid.walls.map((wall) => [
          wall,
          ...grid.entries.map((entry) => wallShort(grid.at(entry, wall))),
        ]),
      ],
    ),
    '',
    markdown`What the agent could reach, tried from inside; a ${code('!')} marks what is not as declared.`,
    ...section(
      'Evidence:',
      bullets(
        grid.walls.flatMap((which) =>
          alike(
            all.filter(({ wall }) => wall.wall === which),
            ({ wall }) => wall,
          ).map((same) => {
            const [{ wall }] = same;
            const promise =
              wall.declared === undefined
                ? ''
                : ` (declared ${wall.declared}${isBroken(wall) ? '!' : ''})`;
            const rows = same.map(({ entry }) => entry);
            return `${which}: ${wall.observed}${promise} in ${whose(rows, grid.entries, name)}: ${wall.evidence}`;
          }),
        ),
      ),
    ),
  ];
}

function residue(document: ProbeDocument): Words[] {
  const grid = residueTable(document);
  if (grid.ways.length === 0) return [];
  const name = namesOf(document);
  const said = (verdict: 'found' | 'gap') =>
    bullets(
      residueNotes(document)
        .filter((note) => note.verdict === verdict)
        .map((note) => `${whose(note.entries, grid.entries, name)}: ${sayResidue(note, name)}`),
    );
  return [
    '',
    '### Residue',
    '',
    table(
      ['', ...grid.ways],
      grid.entries.map((entry) => [
        name(entry),
        ...grid.ways.map((way) => residueShort(grid.at(entry, way))),
      ]),
    ),
    '',
    `Where the credential was found, by the way that it went in: ${residueAbout(document)}.`,
    ...section('Found at:', said('found')),
    ...section('Of these nothing can be said:', said('gap')),
  ];
}

function work(document: ProbeDocument): Words[] {
  const grid = workTable(document);
  if (grid.kinds.length === 0) return [];
  const name = namesOf(document);
  const { baseline } = document.probe;
  const about = roundsText(document);
  return [
    '',
    '### Overhead',
    '',
    table(
      [`× ${baseline ?? 'baseline'} [95 % interval]`, ...grid.entries.map((entry) => name(entry))],
      grid.kinds.map((kind) => [
        kind,
        ...grid.entries.map((entry) => ratioWhole(grid.at(entry, kind))),
      ]),
    ),
    '',
    `What one operation takes inside over what it takes in the baseline in the same round${about === '' ? '' : `, ${about}`}.`,
    ...section(
      'No ratio:',
      bullets(
        workNotes(document).map(
          ({ why, kinds, entries }) =>
            `${whose(entries, grid.entries, name)}: ${kinds.join(', ')}: ${why}`,
        ),
      ),
    ),
  ];
}
