// A probe for a person at a terminal of 100 columns: a table each for files, walls, residue and
// work, followed by what is not as it should be.
import { printable } from '../../os/printable.js';
import { isGap } from '../../record/types.js';
import { borderless, fits, fitted, plain, type Style, trimmed, wrap } from '../terminal/lines.js';
import { renderAbsent } from '../terminal/table.js';
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
import { whose } from './grouped.js';
import {
  isLeak,
  residueAbout,
  residueNotes,
  residueShort,
  residueTable,
  sayResidue,
} from './residue.js';
import { keptOf, type WallKind, type WallNote, wallNotes, wallShort, wallsTable } from './walls.js';
import { brokeOffText, endedEarly, namesOf, openingOf, roundsOf } from './words.js';
import { ratioShort, ratioWhole, roundsText, workNotes, workTable } from './work.js';

export function renderProbe(document: ProbeDocument, style: Style = plain): string {
  const { only } = document.probe;
  const parts = [
    wrap(`probe ${document.probe.id}: ${openingOf(document)}`, '', '  ').join('\n'),
    ...(document.modes.length === 0 ? ['nothing was probed'] : []),
    renderBrokeOff(document, style),
    ...(only.includes('sync') ? renderFiles(document, style) : []),
    ...(only.includes('walls') ? renderWalls(document, style) : []),
    ...(only.includes('residue') ? renderResidue(document, style) : []),
    ...(only.includes('tax') ? renderWork(document, style) : []),
    renderAbsent(document, style),
    renderNotes(document, style),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

interface Line {
  name: string;
  /** One cell per column. */
  cells: string[];
}

/**
 * A table with one column per row of the probe. Columns that do not fit side by side go into
 * further blocks below.
 */
function columns(
  head: string,
  names: string[],
  lines: Line[],
  align: 'left' | 'right',
  style: Style,
): string {
  const drawn = (from: number, to: number) => {
    const table = borderless(
      [head, ...names.slice(from, to)].map((name) => style.bold(printable(name))),
      ['left', ...names.slice(from, to).map(() => align)],
    );
    for (const { name, cells } of lines) table.push([printable(name), ...cells.slice(from, to)]);
    return table;
  };
  const blocks: string[] = [];
  for (let from = 0; from < names.length; ) {
    let to = names.length;
    while (to > from + 1 && !fits(drawn(from, to))) to -= 1;
    blocks.push(trimmed(fitted(drawn(from, to))));
    from = to;
  }
  return blocks.join('\n\n');
}

const noted = (style: Style, title: string, lines: string[]): string =>
  lines.length === 0
    ? ''
    : [style.bold(title), ...lines.flatMap((line) => wrap(line, '  ', '    '))].join('\n');

function renderFiles(document: ProbeDocument, style: Style): string[] {
  const table = filesTable(document);
  if (table.cells.length === 0) return [];
  const name = namesOf(document);
  const own = (entry: string) => document.sync[entry] ?? [];
  const latency = (direction: (typeof DIRECTIONS)[number]): Line => ({
    name: `ms, ${direction}`,
    cells: table.entries.map((entry) => {
      const ms = latencyOf(own(entry), direction);
      return isGap(ms) ? '–' : ms.toFixed(ms < 10 ? 1 : 0);
    }),
  });
  const shaded = (marks: string) => (/[✗≠]/.test(marks) ? style.bad(marks) : marks);
  const lines: Line[] = [
    { name: 'in short', cells: table.entries.map((entry) => shortOf(table, entry)) },
    { name: 'same', cells: table.entries.map((entry) => sameOf(own(entry))) },
    ...DIRECTIONS.map(latency).filter(({ cells }) => cells.some((cell) => cell !== '–')),
    ...table.cells.map((cell) => ({
      name: cell,
      cells: table.entries.map((entry) => shaded(marksOf(table, entry, cell))),
    })),
  ];
  const used = new Set(
    table.cells.flatMap((cell) =>
      table.entries.flatMap((entry) => DIRECTIONS.map((way) => table.seen(entry, cell, way))),
    ),
  );
  const legend = (Object.keys(MARKS) as Seen[])
    .flatMap((seen) => (used.has(seen) ? [`${MARKS[seen]} ${WORDS[seen]}`] : []))
    .join(', ');
  const notes = filesNotes(document);
  const said = notes.map(
    (note) => `${whose(note.entries, table.entries, name)}: ${sayFiles(note)}`,
  );
  const beside = notes.findIndex(
    ({ verdict }) => verdict === 'gap' || verdict === 'not-applicable',
  );
  const bad = beside === -1 ? said.length : beside;
  return [
    [
      style.bold('files: a change on one side, seen on the other'),
      columns('', table.entries.map(name), lines, 'left', style),
      ...[
        `the five marks: ${DIRECTIONS.join(', ')}; same: of those tried; ms: median until seen`,
        legend,
        'in: made on the host before launch; in-live: while it runs; out-live: made inside, seen while it runs; out: at collect; both: both sides change one file',
      ].flatMap((line) => wrap(line, '  ', '    ').map(style.faint)),
    ].join('\n'),
    noted(style, 'files that are not the same', said.slice(0, bad)),
    noted(style, 'files of which nothing can be said', said.slice(bad)),
  ];
}

const WALL_TITLES: Record<WallKind, string> = {
  broken: 'isolation checks that are not as declared (!)',
  open: 'isolation checks that are open, and of which nothing was promised',
  gap: 'isolation checks of which nothing can be said',
};

function renderWalls(document: ProbeDocument, style: Style): string[] {
  const table = wallsTable(document);
  if (table.walls.length === 0) return [];
  const name = namesOf(document);
  const kept: Line = {
    name: 'as declared',
    cells: table.entries.map((entry) => keptOf(document.walls[entry] ?? [])),
  };
  const lines = table.walls.map((wall) => ({
    name: wall,
    cells: table.entries.map((entry) => {
      const short = wallShort(table.at(entry, wall));
      return short.endsWith('!') ? style.bad(short) : short;
    }),
  }));
  const notes = wallNotes(document);
  const say = ({ wall, entries, declared, observed, evidence, agreed }: WallNote) => {
    const seen = agreed ? evidence : `in ${name(entries[0] ?? '')}: ${evidence}`;
    const promise =
      declared === undefined || declared === observed
        ? observed
        : `declared ${declared}, observed ${observed}`;
    return `${wall}: ${promise} in ${whose(entries, table.entries, name)}; ${seen}`;
  };
  return [
    [
      style.bold('isolation checks: what the agent could reach, tried from inside'),
      columns('', table.entries.map(name), [kept, ...lines], 'left', style),
    ].join('\n'),
    ...(['broken', 'open', 'gap'] as const).map((kind) =>
      noted(style, WALL_TITLES[kind], notes.filter((note) => note.kind === kind).map(say)),
    ),
  ];
}

function renderResidue(document: ProbeDocument, style: Style): string[] {
  const table = residueTable(document);
  if (table.ways.length === 0) return [];
  const name = namesOf(document);
  const lines = table.entries.map((entry) => ({
    name: name(entry),
    cells: table.ways.map((way) => {
      const sweep = table.at(entry, way);
      return isLeak(sweep) ? style.bad(residueShort(sweep)) : residueShort(sweep);
    }),
  }));
  const notes = residueNotes(document);
  const said = (verdict: 'found' | 'gap') =>
    notes
      .filter((note) => note.verdict === verdict)
      .map((note) => `${whose(note.entries, table.entries, name)}: ${sayResidue(note, name)}`);
  return [
    [
      style.bold('residue: where the credential was found, by the way that it went in'),
      columns('', table.ways, lines, 'left', style),
      ...wrap(residueAbout(document), '  ', '    ').map(style.faint),
    ].join('\n'),
    noted(style, 'found at', said('found')),
    noted(style, 'places of which nothing can be said', said('gap')),
  ];
}

function renderWork(document: ProbeDocument, style: Style): string[] {
  const table = workTable(document);
  if (table.kinds.length === 0) return [];
  const name = namesOf(document);
  const { baseline } = document.probe;
  const drawn = (show: typeof ratioWhole) =>
    columns(
      '',
      table.entries.map(name),
      table.kinds.map((kind) => ({
        name: kind,
        cells: table.entries.map((entry) => show(table.at(entry, kind))),
      })),
      'right',
      style,
    );
  const whole = drawn(ratioWhole);
  // A blank line separates blocks, so it occurs only if the columns did not fit side by side.
  const short = whole.includes('\n\n');
  const brackets = short ? '±: the wider side of the 95 % interval' : '[95 % interval]';
  const about = [roundsText(document), brackets].filter(Boolean).join(', ');
  return [
    [
      style.bold(`overhead: what work takes inside, × ${baseline ?? 'baseline'} in the same round`),
      ...(table.entries.length === 0
        ? wrap('there is no row but the baseline', '  ', '  ')
        : [short ? drawn(ratioShort) : whole]),
      ...wrap(about, '  ', '    ').map(style.faint),
    ].join('\n'),
    noted(
      style,
      'no ratio (–)',
      workNotes(document).map(
        ({ why, kinds, entries }) =>
          `${whose(entries, table.entries, name)}: ${kinds.join(', ')}: ${why}`,
      ),
    ),
  ];
}

function renderBrokeOff(document: ProbeDocument, style: Style): string {
  const name = namesOf(document);
  const lines = document.brokeOff.flatMap((failure) =>
    wrap(`${name(failure.entry)}: ${brokeOffText(failure)}`, '  ', '    ').map(style.bad),
  );
  return lines.length === 0 ? '' : [style.bold('broke off'), ...lines].join('\n');
}

function renderNotes(document: ProbeDocument, style: Style): string {
  const early = endedEarly(document);
  return [
    ...document.warnings.flatMap(({ message }) => wrap(`warning: ${message}`, '', '  ')),
    ...(document.modes.some(({ standIn }) => standIn)
      ? [
          "(stand-in): a program that enforces a runtime's contract; what was found in it is no finding",
        ]
      : []),
    ...(early === undefined ? [] : [early]),
    ...[roundsOf(document)]
      .filter(Boolean)
      .flatMap((line) => wrap(line, '', '  ').map(style.faint)),
  ].join('\n');
}
