// How a row is named wherever it appears: a stand-in is always marked, and every mention links to
// the row.
import { isLabelledByTask } from '../cells.js';
import type { ModeReport, Report } from '../document.js';
import { type Markup, markup } from './markup.js';

type Row = Pick<ModeReport, 'entry' | 'standIn'>;

export interface Rows {
  /** The row's anchor, derived from its position, because a name may contain any character. */
  id(entry: string): string | undefined;
  /** The name, with the mark of a stand-in. */
  name(entry: string): Markup;
  /** The same name as plain text, for screen readers. */
  spoken(entry: string): string;
  link(entry: string): Markup;
  isStandIn(entry: string): boolean;
}

/** @param source a match or a probe, whose rows are named */
export function rowsOf({ modes }: { modes: readonly Row[] }): Rows {
  const places = new Map(
    modes.map((mode, index) => [mode.entry, { mode, id: `row-${index + 1}` }]),
  );
  const isStandIn = (entry: string) => places.get(entry)?.mode.standIn === true;
  const id = (entry: string) => places.get(entry)?.id;
  const marked = (entry: string, shown: Markup) =>
    markup`${shown}${isStandIn(entry) ? markup` ${STAND_IN}` : undefined}`;
  const name = (entry: string) => marked(entry, markup`<span class="entry">${entry}</span>`);
  return {
    id,
    name,
    spoken: (entry) => `${entry}${isStandIn(entry) ? ' (stand-in)' : ''}`,
    link: (entry) => {
      const place = id(entry);
      return place === undefined
        ? name(entry)
        : marked(entry, markup`<a class="entry" href="#${place}">${entry}</a>`);
    },
    isStandIn,
  };
}

const STAND_IN = markup`<span class="tag">stand-in</span>`;

/** The row's settings that differ from the match's own: its state, its task, its options. */
export function particulars(mode: ModeReport, match: Report['match']): string {
  const { network, tmpfs, cpus, memoryMiB, target, egress } = mode.options;
  return [
    mode.state === match.state ? undefined : mode.state,
    mode.task === match.task || isLabelledByTask(mode) ? undefined : `task ${mode.task}`,
    network === undefined ? undefined : `network ${network}`,
    tmpfs === undefined ? undefined : tmpfs ? '/tmp in memory' : '/tmp on disk',
    cpus === undefined ? undefined : `${cpus} CPUs`,
    memoryMiB === undefined ? undefined : `${memoryMiB} MiB`,
    target === undefined ? undefined : `on ${target}`,
    egress === undefined ? undefined : `egress: ${[egress].flat().join(' ')}`,
  ]
    .filter((row) => row !== undefined)
    .join(', ');
}

/** Note above a plot in which stand-ins appear. */
export function standInNote({ modes }: { modes: readonly Row[] }): Markup | undefined {
  if (!modes.some((mode) => mode.standIn)) return undefined;
  return markup`<p class="note">${STAND_IN} marks a program that enforces a runtime’s contract in its place: its numbers are no finding about that runtime. In plots its marks are hollow.</p>`;
}
