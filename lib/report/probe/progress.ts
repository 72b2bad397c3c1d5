// Current activity of a probe, for a person who waits: one live line on a terminal, a few plain
// lines elsewhere.
import type { ProbeEvent, ProbeName } from '../../record/probe.js';
import { listed } from '../cells.js';
import { createPreparing } from '../terminal/preparing.js';
import { createScreen } from '../terminal/screen.js';
import { TITLES } from './words.js';

export interface ProbeProgress {
  onEvent(event: ProbeEvent): void;
  /** A line from elsewhere, such as an image build. */
  say(line: string): void;
  /** What is being waited for; shown on a terminal only. */
  waiting(text: string): void;
  /** Removes the live line. */
  end(): void;
}

/**
 * Some operations take long and report nothing meanwhile; the elapsed time keeps updating at this
 * interval.
 */
const TICK_MS = 1000;

/**
 * @param write writes to stderr, so that stdout contains only the result
 * @param columns width of the terminal, queried for every line because the terminal may be resized
 */
export function createProbeProgress(
  write: (text: string) => void,
  live: boolean,
  columns: () => number = () => 100,
  now: () => number = () => performance.now(),
): ProbeProgress {
  const screen = createScreen(write, live, columns);
  const tellPreparing = createPreparing(screen);
  let rows = 0;
  let rounds = 0;
  let startedMs = now();
  let doing:
    | { entry: string; what: ProbeName; round: number | undefined; found: number; last: string }
    | undefined;
  /**
   * Rows in which sync, walls or residue was begun; `toldRound` is the last round of tax that was
   * announced.
   */
  const begun = new Set<string>();
  let toldRound = 0;
  let ticking: NodeJS.Timeout | undefined;

  const show = () => {
    if (!doing) return;
    const { entry, what, round, found, last } = doing;
    const which = what === 'tax' ? `round ${round} of ${rounds}` : `row ${begun.size} of ${rows}`;
    const far = found === 0 ? '' : ` · ${found} found, last ${last}`;
    screen.status(`${TITLES[what]} of ${entry} · ${which} · ${elapsed(now() - startedMs)}${far}`);
  };
  const found = (name: string) => {
    if (!doing) return;
    doing.found += 1;
    doing.last = name;
    show();
  };
  const settle = () => {
    if (!live && doing && doing.what !== 'tax')
      screen.line(`${doing.entry}: ${TITLES[doing.what]}: ${doing.found} found`);
    doing = undefined;
  };
  const begin = (event: Extract<ProbeEvent, { type: 'probing' }>) => {
    settle();
    const { entry, what, round } = event;
    if (what !== 'tax') begun.add(entry);
    doing = { entry, what, round, found: 0, last: '' };
    if (!live && round !== undefined && round > toldRound) {
      toldRound = round;
      screen.line(
        `${TITLES.tax}: round ${round} of ${rounds} begins, ${elapsed(now() - startedMs)} so far`,
      );
    }
    show();
  };
  const stop = () => {
    clearInterval(ticking);
    settle();
    screen.clear();
  };

  return {
    onEvent(event) {
      switch (event.type) {
        case 'probe-started':
          rounds = event.rounds;
          startedMs = now();
          screen.line(`probe ${event.probe}: ${listed(event.only.map((what) => TITLES[what]))}`);
          if (live) ticking = setInterval(show, TICK_MS).unref();
          break;
        case 'entered':
          rows += 1;
          tellPreparing(event);
          break;
        case 'probing':
          begin(event);
          break;
        case 'synced':
          found(event.cell.cell);
          break;
        case 'walled':
          found(event.wall.wall);
          break;
        case 'swept':
          found(event.sweep.path);
          break;
        case 'worked':
          found(event.work.probe);
          break;
        case 'broke-off':
          screen.line(
            `${event.entry}: ${TITLES[event.what]} broke off: ${event.reason} (${doing?.found ?? 0} found until then)`,
          );
          doing = undefined;
          break;
        case 'probe-ended':
          stop();
          break;
        default:
          tellPreparing(event);
      }
    },
    say: screen.line,
    waiting: screen.status,
    end: stop,
  };
}

/** `0:07`, `12:30` */
function elapsed(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
