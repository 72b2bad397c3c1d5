// What happens now, for a person who waits: one live line on a terminal, plain lines elsewhere.
import { isGap, type MatchEvent } from '../record.js';

export interface Progress {
  onEvent(event: MatchEvent): void;
  /** A line from elsewhere, such as a build's. */
  say(line: string): void;
  /** What is waited for; shown on a terminal only. */
  waiting(text: string): void;
  /** Takes the live line away. */
  end(): void;
}

/** @param write to stderr, so that stdout stays the result's */
export function createProgress(write: (text: string) => void, live: boolean): Progress {
  let shown = 0;
  let total = 0;
  let done = 0;
  const clear = () => {
    if (shown > 0) write(`\r${' '.repeat(shown)}\r`);
    shown = 0;
  };
  const line = (text: string) => {
    clear();
    write(`${text}\n`);
  };
  const status = (text: string) => {
    if (!live) return;
    clear();
    const cut = text.slice(0, 99);
    write(cut);
    shown = cut.length;
  };
  let runs = 0;
  let entries = 0;
  let warmups = 0;
  return {
    onEvent(event) {
      switch (event.type) {
        case 'match-started':
          runs = event.runs;
          warmups = event.warmup;
          line(`match ${event.match}: task ${event.task}, model ${event.model} (${event.modelWhy})`);
          break;
        case 'entered':
          entries += 1;
          total = entries * (runs + warmups);
          break;
        case 'prepared':
          if (event.imageMs > 1000) line(`${event.entry}: prepared in ${(event.imageMs / 1000).toFixed(1)} s`);
          break;
        case 'unprepared':
          if (event.outcome.status === 'failed') line(`${event.entry}: not prepared: ${event.outcome.message}`);
          break;
        case 'run-started':
          status(`[${done + 1}/${total}] ${event.entry}`);
          break;
        case 'phase':
          status(`[${done + 1}/${total}] ${event.run} ${event.phase}`);
          break;
        case 'run-ended': {
          done += 1;
          const startup = isGap(event.clocks.startup) ? '' : `, startup ${Math.round(event.clocks.startup)} ms`;
          const verdict = event.outcome.status === 'passed' ? 'passed' : `failed: ${event.outcome.cause}: ${event.outcome.message}`;
          line(`[${done}/${total}] ${event.run} ${verdict}${event.outcome.status === 'passed' ? startup : ''}`);
          break;
        }
        case 'warning':
          line(`warning: ${event.message}`);
          break;
        default:
      }
    },
    say: line,
    waiting: status,
    end: clear,
  };
}
