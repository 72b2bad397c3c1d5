// Whole matches that never were: rows of which the times are known beforehand, folded into a
// report.
import { expect } from 'vitest';
import type { Clocks, Entry, EventOf, MatchEvent } from '../../lib/record/types.js';
import { type Report, reportSchema } from '../../lib/report/document.js';
import { buildReport } from '../../lib/report/report.js';
import { ended, ran, row, started } from './hand-made-record.js';

export interface MadeRow {
  isolation: Entry['isolation'];
  startup: number;
  work?: number;
  exit?: number;
  teardown?: number;
  /** Every round is this much off, up and down in turn; 1 ms where nothing is said. */
  noise?: number;
  entry?: Partial<Entry>;
  run?: Partial<EventOf<'run-ended'>>;
  /** The rounds in which it failed. */
  failed?: number[];
  /** How it failed in these; the agent's fault where nothing else is given. */
  failedAs?: Pick<EventOf<'run-ended'>, 'outcome'>;
  clocks?: Partial<Clocks>;
}

export const HOST: MadeRow = { isolation: 'none', startup: 400, work: 200 };

/** The same in every match; two rows side by side sway against each other. */
const sway = (round: number, seat: number) =>
  ((round + seat) % 2 === 0 ? 1 : -1) * (0.5 + ((round * 3) % 5) / 10);

function runsOf(name: string, made: MadeRow, rounds: number, seat: number): MatchEvent[] {
  const { startup, work = 200, exit = 20, teardown = 10, noise = 1 } = made;
  return Array.from({ length: rounds }, (_, at) => {
    const round = at + 1;
    const off = noise * sway(round, seat);
    const whole = {
      firstProcess: startup / 4,
      startup: startup + off,
      work: work + off / 10,
      model: 0,
      exit,
      collect: 0,
      teardown,
    };
    const total = whole.startup + whole.work + exit + teardown;
    const failed = made.failed?.includes(round)
      ? (made.failedAs ?? {
          outcome: {
            status: 'failed',
            cause: 'agent',
            message: 'the agent ended with exit code 3',
          } as const,
        })
      : {};
    return ran(
      name,
      round,
      { launch: startup / 5, ...whole, total, ...made.clocks },
      { ...made.run, ...failed },
    );
  });
}

export interface Made {
  rounds?: number;
  match?: Partial<EventOf<'match-started'>>;
  /** Put in before the end. */
  extraEvents?: MatchEvent[];
  how?: Report['match']['how'];
}

export function madeMatch(
  rows: Record<string, MadeRow>,
  { rounds = 10, match = {}, extraEvents = [], how = 'done' }: Made = {},
): Report {
  const report = buildReport([
    started({ runs: rounds, ...match }),
    ...Object.entries(rows).flatMap(([name, { isolation, entry }]) =>
      row(name, { isolation, ...entry }),
    ),
    ...Array.from(
      { length: rounds },
      (_, at): MatchEvent => ({
        type: 'round-started',
        atMs: at,
        round: at + 1,
        order: Object.keys(rows),
      }),
    ),
    ...Object.entries(rows).flatMap(([name, made], seat) => runsOf(name, made, rounds, seat + 1)),
    ...extraEvents,
    ...(how === 'crashed' ? [] : [ended(how)]),
  ]);
  expect(reportSchema.parse(JSON.parse(JSON.stringify(report)))).toEqual(report);
  return report;
}

/** One row's burst: runs a minute at each level, over so many waves. */
export function burstOf(
  entry: string,
  perMinute: Record<number, number>,
  waves: number,
  failedAt?: number,
): MatchEvent[] {
  return Object.entries(perMinute).flatMap(([text, rate]) => {
    const level = Number(text);
    return Array.from({ length: waves }, (_, at) => at + 1).flatMap((round): MatchEvent[] => {
      const passed = level === failedAt && round === 1 ? level - 1 : level;
      const runs = Array.from(
        { length: level },
        (_unused, place): MatchEvent =>
          ran(
            entry,
            round,
            { startup: 400 + 50 * level + round },
            {
              run: `${entry}*${level}#${round}.${place + 1}`,
              level,
              ...(place >= passed
                ? {
                    outcome: {
                      status: 'failed',
                      cause: 'timeout',
                      message: 'it took longer than 120 s',
                    },
                  }
                : {}),
            },
          ),
      );
      const wallMs = (60_000 * level) / (rate + (round % 3) / 10);
      return [
        ...(level === 1 ? [] : runs),
        { type: 'wave-ended', atMs: 1, entry, round, warmup: false, level, wallMs, passed },
      ];
    });
  });
}
