// A record as long as one likes, line by line: what a match of very many rounds would write.
import type { MatchEvent } from '../lib/record.js';
import { baseline, ended, FAILED, ran, row, started } from './hand-made-record.js';

const ROWS = ['host', 'docker', 'docker:runsc', 'podman', 'podman:rootless', 'incus'];

/**
 * Lines of an events.jsonl, without their newlines, the same every time: rounds of six rows that each write what a real run
 * writes, some failures among them.
 * @param count how many lines; the last round is cut where they are reached
 */
export function* longRecord(count: number): Generator<string> {
  let left = count - 1;
  for (const event of events()) {
    if (left <= 0) break;
    left -= 1;
    yield JSON.stringify(event);
  }
  yield JSON.stringify(ended());
}

function* events(): Generator<MatchEvent> {
  yield started({ runs: 1_000_000 });
  yield* baseline();
  for (const name of ROWS.slice(1)) yield* row(name);
  for (const name of ROWS) yield { type: 'prepared', atMs: 3, entry: name, imageMs: 20 };
  for (let round = 1; ; round += 1) {
    const base = 1000 * round;
    yield { type: 'round-started', round, order: ROWS, atMs: base };
    for (const [place, entry] of ROWS.entries()) {
      // Spread that repeats only after very many rounds; no two rows in step.
      const jitter = ((round * 7919 * (place + 3)) % 9973) / 100;
      const startup = 300 + 90 * place + jitter;
      const atMs = base + 150 * place;
      yield { type: 'run-started', run: `${entry}#${round}`, entry, round, warmup: false, level: 1, atMs };
      for (const [at, phase] of (['launch', 'work', 'collect', 'destroy'] as const).entries())
        yield { type: 'phase', run: `${entry}#${round}`, phase, atMs: atMs + 20 * at };
      const clocks = {
        launch: startup / 3,
        firstProcess: startup / 2,
        startup,
        work: 240.5,
        model: 11.5,
        exit: 30,
        collect: 0.03,
        teardown: 15,
        total: startup + 300 + place,
      };
      yield ran(entry, round, clocks, {
        atMs: atMs + 100,
        cost: { memoryPeakBytes: 200_000_000 + round, cpuUserMs: 400, cpuSystemMs: 90 },
        ...((round + place) % 997 === 0 ? { outcome: FAILED } : {}),
      });
    }
  }
}
