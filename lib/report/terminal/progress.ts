// Current activity of a match, for a person who waits: one live line on a terminal, a few plain
// lines elsewhere.
import type { EventOf, MatchEvent } from '../../record/types.js';
import { listed } from '../cells.js';
import { createPreparing } from './preparing.js';
import { createRemaining, remainingText, slotOf } from './remaining.js';
import { createScreen } from './screen.js';

export interface Progress {
  onEvent(event: MatchEvent): void;
  /** A line from elsewhere, such as an image build. */
  say(line: string): void;
  /** What is being waited for; shown on a terminal only. */
  waiting(text: string): void;
  /** Removes the live line. */
  end(): void;
}

/** Without a terminal, the maximum number of lines about the progress of the rounds. */
const MILESTONES = 10;

/** How many identical failures of a row are printed. */
const ALIKE = 3;

/**
 * @param write writes to stderr, so that stdout contains only the result
 * @param columns width of the terminal, queried for every line because the terminal may be resized
 */
export function createProgress(
  write: (text: string) => void,
  live: boolean,
  columns: () => number = () => 100,
): Progress {
  const screen = createScreen(write, live, columns);
  const remaining = createRemaining();
  const tellPreparing = createPreparing(screen);
  let match: EventOf<'match-started'> | undefined;
  let round = 0;
  let wave = { slot: '', started: 0, ended: 0 };
  const failures = new Map<string, number>();
  const counted = { runs: 0, passed: 0, reported: 0 };

  const where = () => {
    if (!match) return '';
    if (round <= match.warmup) return `warm-up ${round} of ${match.warmup}`;
    return `round ${round - match.warmup} of ${match.until === 'precise' ? 'at most ' : ''}${match.runs}`;
  };
  const left = () => {
    const ms = remaining.leftMs();
    return ms === undefined ? '' : `, ${remainingText(ms, match?.until === 'precise')}`;
  };
  /**
   * The least important part comes last, because a narrow terminal cuts off the end of the line.
   */
  const show = (what: string) => screen.status(`${where()}${left()} · ${what}`);
  const settleRound = () => {
    if (live || !match || round <= match.warmup) return;
    const done = round - match.warmup;
    const milestone = Math.floor((MILESTONES * done) / match.runs);
    if (milestone === counted.reported) return;
    counted.reported = milestone;
    screen.line(
      `${where()}: ${counted.passed} of ${counted.runs} runs passed so far${done < match.runs ? left() : ''}`,
    );
  };

  const tellFailure = ({ run, entry, outcome }: EventOf<'run-ended'>) => {
    if (outcome.status === 'passed') return;
    const failure = `failed: ${outcome.cause}: ${outcome.message}`;
    const times = (failures.get(`${entry} ${failure}`) ?? 0) + 1;
    failures.set(`${entry} ${failure}`, times);
    if (times <= ALIKE)
      screen.line(
        `${run} ${failure}${times < ALIKE ? '' : ` (more like this of ${entry} are not shown)`}`,
      );
  };

  return {
    onEvent(event) {
      // A round is over when the next round begins, or at the event that follows the last round.
      if (['round-started', 'settled', 'match-ended'].includes(event.type)) settleRound();
      remaining.onEvent(event);
      switch (event.type) {
        case 'match-started':
          match = event;
          screen.line(`match ${event.match}: model ${event.model} (${event.modelWhy})`);
          break;
        case 'level-left-out':
          screen.line(`${event.entry}: ${event.level} at once left out: ${event.reason}`);
          break;
        case 'round-started':
          round = event.round;
          break;
        case 'run-started':
          if (wave.slot !== `${event.round} ${slotOf(event)}`)
            wave = { slot: `${event.round} ${slotOf(event)}`, started: 0, ended: 0 };
          wave.started += 1;
          show(event.level === 1 ? event.run : atOnce(event, wave.ended));
          break;
        case 'phase':
          if (wave.started <= 1) show(`${event.run} ${event.phase}`);
          break;
        case 'run-ended':
          wave.ended += 1;
          if (!event.warmup) {
            counted.runs += 1;
            counted.passed += event.outcome.status === 'passed' ? 1 : 0;
          }
          tellFailure(event);
          show(event.level === 1 ? event.run : atOnce(event, wave.ended));
          break;
        case 'settled':
          screen.line(settled(event, match?.warmup ?? 0));
          break;
        default:
          tellPreparing(event);
      }
    },
    say: screen.line,
    waiting: screen.status,
    end: screen.clear,
  };
}

const atOnce = ({ entry, level }: { entry: string; level: number }, ended: number) =>
  `${entry}, ${level} at once: ${ended} of ${level} ended`;

function settled({ how, round, wide }: EventOf<'settled'>, warmup: number): string {
  const rounds = `${round - warmup} rounds`;
  return how === 'precise'
    ? `settled after ${rounds}: every ratio of startups is known to ±5 %`
    : `not settled after ${rounds}, the most there may be${wide.length === 0 ? '' : `: wider than ±5 %: ${listed(wide)}`}`;
}
