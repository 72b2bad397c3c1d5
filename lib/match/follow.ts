// Reads the output of a sandbox: passes the agent's own lines to the transcript, and records the
// moments that only these lines reveal.
import type { Clock } from '../clock.js';
import type { ExecEnd, ExecStream } from '../contract.js';
import type { Tap } from '../model/gateway.js';
import { oneLine } from '../os/printable.js';
import type { Sync } from '../record/types.js';
import type { startTranscript } from '../task/transcript.js';
import type { Meter } from './cost.js';
import type { Moments } from './measure.js';
import type { Workspace } from './workspace.js';

export interface Watched {
  at: Moments;
  tap: Tap;
  transcript: ReturnType<typeof startTranscript>;
  workspace: Workspace;
  clock: Clock;
  /** Notified at the moments when the sandbox's processes should be read. */
  meter: Meter;
  /**
   * True if the model runs next to the agent and reports its requests as marked lines. Otherwise
   * only an agent could print such lines, so they are ignored.
   */
  inside: boolean;
}

/** Reads the stream to its end, and records the moments that only its lines reveal. */
export async function follow(
  stream: ExecStream,
  mark: string,
  watched: Watched,
  arrived: () => Sync['live'],
): Promise<{ end: ExecEnd; endedAtMs: number; live: Sync['live'] }> {
  const { at, tap, transcript, meter } = watched;
  let live: Sync['live'] = { gap: 'not-reached' };
  const onModelMark = createModelMarks(at, tap);
  for await (const event of stream) {
    if (event.type !== 'line') {
      const { atMs, ...end } = event;
      return { end, endedAtMs: atMs, live };
    }
    if (event.stream === 'stdout' && event.text.startsWith(`${mark} `)) {
      const [what = '', ...rest] = event.text.slice(mark.length + 1).split(' ');
      if (what === 'first-process') {
        at.firstProcess ??= event.atMs;
        meter.begin();
      }
      if (watched.inside) onModelMark(what, rest.join(' '), event.atMs);
      continue;
    }
    if (tap.requests > 0) meter.look();
    if (transcript.read(event.text, event.stream).result) {
      meter.end();
      at.result = event.atMs;
      live = arrived();
    }
  }
  return {
    end: { type: 'lost', reason: 'the stream broke off' },
    endedAtMs: watched.clock(),
    live,
  };
}

/** Returns a function that records a marked line of a model that runs next to the agent. */
function createModelMarks(
  at: Moments,
  tap: Tap,
): (what: string, text: string, atMs: number) => void {
  // Number of requests in progress; overlapping requests are counted once in the model time.
  let waiting = 0;
  return (what, text, atMs) => {
    if (what === 'request') {
      at.firstRequest ??= atMs;
      tap.requests += 1;
      tap.credential ??= readCredential(text);
    }
    if (what === 'diverged') tap.diverged ??= oneLine(text);
    if (what === 'asked') {
      waiting += 1;
      tap.waitingSinceMs ??= atMs;
    }
    if (what === 'answered' && waiting > 0) {
      waiting -= 1;
      if (waiting > 0 || tap.waitingSinceMs === undefined) return;
      tap.modelMs += atMs - tap.waitingSinceMs;
      delete tap.waitingSinceMs;
    }
  };
}

/** The header values that `presentedCredential` uses. */
const HEADERS = ['authorization', 'x-api-key', 'both'];

function readCredential(text: string): { header: string; oauth: boolean } {
  try {
    const { header, oauth } = JSON.parse(text) as { header?: unknown; oauth?: unknown };
    return {
      header: HEADERS.find((known) => known === header) ?? 'unknown',
      oauth: oauth === true,
    };
  } catch {
    return { header: 'unknown', oauth: false };
  }
}
