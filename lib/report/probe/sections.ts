// The sections of a page that show a probe: files, walls, residue, work, and what broke off.
import type { Wall } from '../../record/probe.js';
import { type Gap, isGap } from '../../record/types.js';
import { type Markup, markup } from '../page/markup.js';
import { type Rows, rowsOf, standInNote } from '../page/rows.js';
import { gapWords } from '../page/words.js';
import type { ProbeDocument } from './document.js';
import {
  DIRECTIONS,
  type FilesTable,
  filesNotes,
  filesTable,
  latencyOf,
  MARKS,
  type Seen,
  sameOf,
  shortOf,
  WORDS,
} from './files.js';
import { alike, scopeOf } from './grouped.js';
import { isLeak, residueAbout, residueNotes, residueShort, residueTable } from './residue.js';
import { isBroken, keptOf, type WallKind, wallNotes, wallsTable } from './walls.js';
import { brokeOffText } from './words.js';
import { digits, isRatio, roundsText, workNotes, workTable } from './work.js';

/** @param origin on the page of a match: identifies this probe */
export function probeSections(document: ProbeDocument, origin?: Markup): Markup {
  const rows = rowsOf(document);
  const { only } = document.probe;
  const note = markup`${origin === undefined ? undefined : markup`<p class="note">${origin}</p>`}${standInNote(document)}`;
  return markup`${brokeOff(document, rows, origin)}${only.includes('sync') ? files(document, rows, note) : undefined}
${only.includes('walls') ? walls(document, rows, note) : undefined}
${only.includes('residue') ? residue(document, rows, note) : undefined}
${only.includes('tax') ? work(document, rows, note) : undefined}`;
}

/** A table that may be wider than the page, in a container that scrolls, also by keyboard. */
const wide = (label: string, head: Markup, body: Markup[]): Markup =>
  markup`<div class="scroll" tabindex="0" role="region" aria-label="${label}"><table class="dense probed"><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`;

const columnsOf = (entries: readonly string[], rows: Rows, number = false): Markup =>
  markup`<th scope="col"><span class="hidden">what</span></th>${entries.map((entry) => markup`<th scope="col" class="${number ? 'num' : ''}">${rows.name(entry)}</th>`)}`;

const line = (name: string, cells: Markup[]): Markup =>
  markup`<tr><th scope="row">${name}</th>${cells}</tr>`;

/** The rows that share a finding, in words. */
function whose(entries: readonly string[], all: readonly string[], rows: Rows): Markup {
  const { every, named } = scopeOf(entries, all);
  const names = markup`${named.map((entry, index) => markup`${index === 0 ? '' : ', '}${rows.name(entry)}`)}`;
  if (!every) return names;
  return named.length === 0 ? markup`every row` : markup`every row but ${names}`;
}

function brokeOff(
  { brokeOff: broken, probe }: ProbeDocument,
  rows: Rows,
  origin: Markup | undefined,
): Markup | undefined {
  if (broken.length === 0) return undefined;
  // A page may contain parts of several probes, more than one of which may have broken off.
  const id = origin === undefined ? 'broke-off' : `broke-off-of-${probe.only.join('-')}`;
  return markup`<section aria-labelledby="${id}"><h2 id="${id}">Broke off</h2>${origin === undefined ? undefined : markup`<p class="note">${origin}</p>`}<ul class="plain">${broken.map(
    (failure) =>
      markup`<li>${rows.name(failure.entry)}: <span class="bad">✗</span> ${brokeOffText(failure)}</li>`,
  )}</ul></section>`;
}

const TONE: Partial<Record<Seen, string>> = {
  same: 'good',
  differs: 'bad',
  lost: 'bad',
  stale: 'bad',
};

const mark = (seen: Seen): Markup =>
  markup`<span class="${TONE[seen] ?? 'quiet'}">${MARKS[seen]}</span>`;

function marks(table: FilesTable, entry: string, cell: string): Markup {
  const seen = DIRECTIONS.map((direction) => ({
    direction,
    seen: table.seen(entry, cell, direction),
  }));
  const spoken = seen
    .flatMap(({ direction, seen: mark }) =>
      mark === 'none' ? [] : [`${direction} ${WORDS[mark]}`],
    )
    .join(', ');
  return markup`<td><span class="marks" role="img" aria-label="${spoken}" title="${spoken}">${seen.map((observation) => mark(observation.seen))}</span></td>`;
}

const shown = (value: number | Gap): Markup =>
  isGap(value) ? markup`<td>–</td>` : markup`<td>${value.toFixed(value < 10 ? 1 : 0)}</td>`;

function files(document: ProbeDocument, rows: Rows, note: Markup): Markup | undefined {
  const table = filesTable(document);
  const { entries, cells } = table;
  if (cells.length === 0) return undefined;
  const own = (entry: string) => document.sync[entry] ?? [];
  const latencies = DIRECTIONS.map((direction) => ({
    direction,
    values: entries.map((entry) => latencyOf(own(entry), direction)),
  }));
  const legend = (Object.keys(MARKS) as Seen[]).map(
    (seen) => markup`<li>${mark(seen)} ${WORDS[seen]}</li>`,
  );
  const notes = filesNotes(document);
  return markup`<section aria-labelledby="files"><h2 id="files">Files</h2>
${note}<p class="note">A change on one side, seen on the other. The five marks of a cell: <i>in</i> (made on the host before launch), <i>in-live</i> (while it runs), <i>out-live</i> (made inside, seen on the host while it runs), <i>out</i> (on the host after collect), <i>both</i> (both sides change one file).</p>
<ul class="legend">${legend}</ul>
${wide('Files', columnsOf(entries, rows), [
  line(
    'in short',
    entries.map((entry) => markup`<td>${shortOf(table, entry)}</td>`),
  ),
  line(
    'same, of those tried',
    entries.map((entry) => markup`<td>${sameOf(own(entry))}</td>`),
  ),
  ...latencies
    .filter(({ values }) => !values.every(isGap))
    .map(({ direction, values }) => line(`ms until seen, ${direction}`, values.map(shown))),
  ...cells.map((cell) =>
    line(
      cell,
      entries.map((entry) => marks(table, entry, cell)),
    ),
  ),
])}
${
  notes.length === 0
    ? markup`<p>All that was tried came out the same in every row.</p>`
    : markup`<h3>Not the same</h3>
<div class="cards"><table class="list"><colgroup><col class="c-mid"><col class="c-long"><col class="c-short"><col></colgroup><thead><tr><th scope="col">in</th><th scope="col">what</th><th scope="col">came out</th><th scope="col">how, or why</th></tr></thead>
<tbody>${notes.map(
        ({ entries: said, cells: which, directions, verdict, detail }) =>
          markup`<tr><th scope="row">${whose(said, entries, rows)}</th><td data-head="what">${which.join(', ')}<small>${directions.join(', ')}</small></td><td data-head="came out">${mark(verdict)} ${WORDS[verdict]}</td><td data-head="how">${detail}</td></tr>`,
      )}</tbody></table></div>`
}
<details><summary>Every cell, with the time until it was seen</summary>${wide(
    'Every cell',
    columnsOf(entries, rows),
    cells.flatMap((cell) =>
      DIRECTIONS.filter((direction) =>
        entries.some((entry) => table.at(entry, cell, direction)),
      ).map((direction) =>
        line(
          `${cell}, ${direction}`,
          entries.map((entry) => markup`<td>${latencyCell(table, entry, cell, direction)}</td>`),
        ),
      ),
    ),
  )}</details></section>`;
}

function latencyCell(
  table: FilesTable,
  entry: string,
  cell: string,
  direction: (typeof DIRECTIONS)[number],
): Markup {
  const ms = table.at(entry, cell, direction)?.latencyMs;
  const seen = table.seen(entry, cell, direction);
  return markup`${mark(seen)} ${WORDS[seen]}${ms === undefined ? undefined : markup` <span class="ci">${ms.toFixed(ms < 10 ? 1 : 0)} ms</span>`}`;
}

function walls(document: ProbeDocument, rows: Rows, note: Markup): Markup | undefined {
  const table = wallsTable(document);
  const { entries, walls: names } = table;
  if (names.length === 0) return undefined;
  const all = names.flatMap((name) =>
    alike(
      entries.flatMap((entry) => {
        const wall = table.at(entry, name);
        return wall === undefined ? [] : [{ entry, wall }];
      }),
      ({ wall }) => wall,
    ),
  );
  return markup`<section aria-labelledby="walls"><h2 id="walls">Isolation checks</h2>
${note}<p class="note">What the agent could reach, tried from inside and never assumed from flags. A <b>!</b> marks what is not as the mode declares it; where nothing was declared, nothing was promised.</p>
${wide('Isolation checks', columnsOf(entries, rows), [
  line(
    'as declared',
    entries.map((entry) => markup`<td>${keptOf(document.walls[entry] ?? [])}</td>`),
  ),
  ...names.map((name) =>
    line(
      name,
      entries.map((entry) => {
        const wall = table.at(entry, name);
        if (wall === undefined) return markup`<td><span class="gap">not tried</span></td>`;
        return markup`<td>${observedOf(wall)}</td>`;
      }),
    ),
  ),
])}
${remarkable(document, entries, rows)}
<details><summary>All evidence</summary><div class="cards"><table class="list"><colgroup><col class="c-name"><col></colgroup><thead><tr><th scope="col">wall</th><th scope="col">what was seen</th></tr></thead>
<tbody>${names.map(
    (name) =>
      markup`<tr><th scope="row">${name}</th><td data-head="seen"><ul class="plain">${all
        .filter(([{ wall }]) => wall.wall === name)
        .map((same) => {
          const [{ wall }] = same;
          const named = same.map(({ entry }) => entry);
          return markup`<li>${whose(named, entries, rows)}: ${observedOf(wall)}: ${wall.evidence}</li>`;
        })}</ul></td></tr>`,
  )}</tbody></table></div></details></section>`;
}

function observedOf(wall: Wall): Markup {
  const broken = isBroken(wall);
  const tone = broken
    ? 'bad'
    : wall.observed === 'open'
      ? 'open'
      : wall.observed === 'gap'
        ? 'gap'
        : '';
  return markup`<span class="${tone}">${wall.observed}${broken ? '!' : ''}</span>`;
}

const KINDS: Record<WallKind, string> = {
  broken: 'not as declared',
  open: 'open, and nothing was promised',
  gap: 'nothing can be said',
};

function remarkable(
  document: ProbeDocument,
  entries: readonly string[],
  rows: Rows,
): Markup | undefined {
  const notes = wallNotes(document);
  if (notes.length === 0) return undefined;
  return markup`<h3>To look at</h3>
<div class="cards"><table class="list"><colgroup><col class="c-name"><col class="c-mid"><col class="c-mid"><col></colgroup><thead><tr><th scope="col">wall</th><th scope="col">why</th><th scope="col">in</th><th scope="col">evidence</th></tr></thead>
<tbody>${notes.map(({ kind, wall, declared, observed, entries: named, evidence, agreed }) => {
    const promise =
      kind === 'broken'
        ? markup`<small>declared ${declared}, observed ${observed}</small>`
        : undefined;
    const seen = agreed ? evidence : markup`${rows.name(named[0] ?? '')}: ${evidence}`;
    return markup`<tr><th scope="row">${wall}</th><td data-head="why"><span class="${kind === 'broken' ? 'bad' : ''}">${KINDS[kind]}</span>${promise}</td><td data-head="in">${whose(named, entries, rows)}</td><td data-head="evidence">${seen}</td></tr>`;
  })}</tbody></table></div>`;
}

function residue(document: ProbeDocument, rows: Rows, note: Markup): Markup | undefined {
  const table = residueTable(document);
  const { entries, ways } = table;
  if (ways.length === 0) return undefined;
  const notes = residueNotes(document);
  return markup`<section aria-labelledby="residue"><h2 id="residue">Residue</h2>
${note}<p class="note">Where the credential was found, by the way that it went in: ${residueAbout(document)}.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Residue"><table class="dense probed"><thead><tr><th scope="col"><span class="hidden">row</span></th>${ways.map((way) => markup`<th scope="col">${way}</th>`)}</tr></thead>
<tbody>${entries.map(
    (entry) =>
      markup`<tr><th scope="row">${rows.name(entry)}</th>${ways.map((way) => {
        const sweep = table.at(entry, way);
        return markup`<td><span class="${isLeak(sweep) ? 'bad' : ''}">${residueShort(sweep)}</span></td>`;
      })}</tr>`,
  )}</tbody></table></div>
${
  notes.length === 0
    ? undefined
    : markup`<h3>To look at</h3>
<div class="cards"><table class="list"><colgroup><col class="c-name"><col class="c-mid"><col class="c-mid"><col></colgroup><thead><tr><th scope="col">place</th><th scope="col">way</th><th scope="col">in</th><th scope="col">where, or why not</th></tr></thead>
<tbody>${notes.map(
        ({ verdict, way, place, entries: said, detail, agreed }) =>
          markup`<tr><th scope="row">${place}</th><td data-head="way">${way}</td><td data-head="in">${whose(said, entries, rows)}</td><td data-head="where">${verdict === 'gap' ? markup`<span class="gap">nothing can be said: ${detail}</span>` : agreed ? detail : markup`${rows.name(said[0] ?? '')}: ${detail}`}</td></tr>`,
      )}</tbody></table></div>`
}</section>`;
}

function work(document: ProbeDocument, rows: Rows, note: Markup): Markup | undefined {
  const table = workTable(document);
  const { entries, kinds } = table;
  if (kinds.length === 0) return undefined;
  const about = roundsText(document);
  const notes = workNotes(document);
  return markup`<section aria-labelledby="tax-of-work"><h2 id="tax-of-work">Overhead of work</h2>
${note}<p class="note">What one operation takes inside over what it takes in ${document.probe.baseline ?? 'the baseline'} in the same round${about === '' ? '' : `, ${about}`}: median [95 % interval].</p>
${
  entries.length === 0
    ? markup`<p>There is no row but the baseline.</p>`
    : wide(
        'Overhead of work',
        columnsOf(entries, rows, true),
        kinds.map((kind) =>
          line(
            kind,
            entries.map((entry) => {
              const tax = table.at(entry, kind);
              if (tax === undefined || !isRatio(tax))
                return markup`<td class="num"><span class="gap">${tax === undefined ? 'not tried' : gapWords(tax.gap)}</span></td>`;
              const { ratio, ci95 } = tax;
              return markup`<td class="num">${digits(ratio)}${isGap(ci95) ? undefined : markup` <span class="ci">[${digits(ci95[0])}–${digits(ci95[1])}]</span>`}</td>`;
            }),
          ),
        ),
      )
}
${
  notes.length === 0
    ? undefined
    : markup`<h3>No ratio</h3><ul class="plain">${notes.map(
        ({ why, kinds: which, entries: said }) =>
          markup`<li>${whose(said, entries, rows)}: ${which.join(', ')}: ${why}</li>`,
      )}</ul>`
}</section>`;
}
