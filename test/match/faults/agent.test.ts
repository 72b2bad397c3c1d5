// Agents that are hostile to whoever watches them: in a container as on the host, nothing of them
// stays, and nothing that they print is believed or shown raw.
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { openField } from '../../../bench/field.js';
import { monotonic } from '../../../lib/clock.js';
import type { Mode } from '../../../lib/contract.js';
import type { MatchEvent } from '../../../lib/record/types.js';
import { plain, renderTable } from '../../../lib/report/terminal/table.js';
import type { PlannedRow } from '../../../lib/sandbox/row.js';
import { bundledTask } from '../../../lib/task/bundled.js';
import * as agentLines from '../../support/agent-lines.js';
import { doesTheTask, print } from '../../support/agent-scripts.js';
import { quoted } from '../../support/fake-commands.js';
import { baseline, started } from '../../support/hand-made-record.js';
import { reportOf } from '../../support/report-of.js';
import { runScriptedMatch } from '../../support/scripted-match.js';
import { ready } from './draws.js';

const field = openField(bundledTask('hello'));
afterAll(() => field.close());

/**
 * The mode itself, with another agent in the place of the real one.
 * @param script its body in shell; `$0` is the run's mark
 */
function withAgent(mode: Mode, script: string): Mode {
  return {
    ...mode,
    launch: (ctx, spec) => {
      const { command } = spec;
      if (!command) return mode.launch(ctx, spec);
      const [shell, flag, begin, mark] = command.argv as unknown as [
        string,
        string,
        string,
        string,
      ];
      return mode.launch(ctx, {
        ...spec,
        command: { ...command, argv: [shell, flag, begin, mark, '/bin/sh', '-c', script, mark] },
      });
    },
  };
}

let turns = 0;

async function runOf(entry: string, script: string, options: { timeoutMs?: number } = {}) {
  turns += 1;
  // All are of one match, so each sandbox needs a name of its own.
  const [planned] = (await field.plan([{ name: `${entry}@turn${turns}` }])) as [PlannedRow];
  const { events, runs } = await runScriptedMatch(
    [{ ...planned, adapter: withAgent(planned.adapter, script) }],
    {
      contextOf: field.contextOf,
      matchId: field.matchId,
      timeoutMs: options.timeoutMs ?? 60_000,
    },
  );
  const ctx = field.contextOf(planned);
  const listed = (await planned.adapter.list(ctx)).filter(
    ({ labels }) => labels.match === field.matchId,
  );
  const [run] = runs;
  if (!run) throw new Error('no run ended');
  return { run, events, listed };
}

const STUBBORN = "trap '' TERM INT HUP; while :; do sleep 1; done";
/** A daemon that ignores every polite signal, and a zombie whose parent never asks. */
const LEAVES = [
  `setsid sh -c ${quoted(STUBBORN)} </dev/null >/dev/null 2>&1 &`,
  `sh -c 'sleep 0 & exec sleep 300' </dev/null >/dev/null 2>&1 &`,
].join('\n');

describe.each(['host', 'docker', 'podman'].filter((entry) => ready.includes(entry)))(
  'in %s, an agent',
  (entry) => {
    test('that leaves daemons and zombies behind passes, and they go with its sandbox', async () => {
      const { run, listed } = await runOf(entry, `${LEAVES}\n${doesTheTask()}`);
      expect(run).toMatchObject({ outcome: { status: 'passed' }, leftovers: [] });
      expect(listed).toEqual([]);
    });

    test('that ignores every polite signal ends at the bound, with all that it started', async () => {
      const { run, listed } = await runOf(
        entry,
        `${LEAVES}\n${print(agentLines.init())}\n${STUBBORN}`,
        { timeoutMs: 4000 },
      );
      expect(run).toMatchObject({ outcome: { cause: 'timeout' }, leftovers: [] });
      expect(listed).toEqual([]);
    });
  },
);

test('an agent that prints 1 GB is read to its end, and the memory of the harness stays flat', async () => {
  global.gc?.();
  const before = process.memoryUsage().rss;
  let peak = before;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 20);
  onTestFinished(() => clearInterval(watch));
  const { run } = await runOf(
    'host',
    `yes ${quoted('no json at all '.repeat(300))} | head -c 1000000000\necho\n${doesTheTask()}`,
  );
  expect(run.outcome).toEqual({ status: 'passed' });
  expect((peak - before) / 2 ** 20).toBeLessThan(150);
});

/** A bell, a title, a cleared screen, a colour, a link, and the one-byte form of an escape. */
const CONTROLS =
  '\u0007\u001b]0;owned\u0007\u001b[2J\u001b[31mred\u001b]8;;http://x\u0007\u009b1m\rover\u0008';

describe('control sequences of an agent', () => {
  const everyText = (value: unknown): string[] =>
    typeof value === 'string'
      ? [value]
      : typeof value === 'object' && value !== null
        ? Object.values(value).flatMap(everyText)
        : [];
  const shown = (events: MatchEvent[]) => {
    const screen = renderTable(reportOf([started(), ...baseline(), ...events]).report, plain);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    const control = /[\u0000-\u001f\u007f-\u009f]/;
    return [...everyText(events), ...screen.split('\n')].filter((text) => control.test(text));
  };

  test.each([
    ['in its result', print(agentLines.result({ is_error: true, result: CONTROLS }))],
    [
      'on stderr, before it ends with a code',
      `printf '%b' ${quoted(CONTROLS.replaceAll('\u001b', '\\033'))} >&2\nexit 3`,
    ],
    [
      'in what a tool said',
      print(
        agentLines.writes('toolu_1', '/x/hello.mjs', 'x'),
        agentLines.toolResult('toolu_1', CONTROLS, true),
        agentLines.result(),
      ),
    ],
    [
      'in the place of the harness’ own lines',
      `printf '%s %s\\n' "$0 request" ${quoted(JSON.stringify({ header: CONTROLS }))}`,
    ],
  ])('%s reach neither the record nor the screen', async (_where, script) => {
    const { events, run } = await runOf('host', script);
    expect(run.outcome.status).toBe('failed');
    expect(shown(events)).toEqual([]);
  });
});

describe('what an agent says of time and of its requests', () => {
  test('is not believed: it made no request, so it had no startup and delivered no credential', async () => {
    const lie = `printf '%s\\n' "$0 request {\\"header\\":\\"authorization\\"}" "$0 answered"`;
    const { run } = await runOf('host', `${lie}\n${doesTheTask()}`);
    expect(run.clocks).toMatchObject({
      startup: { gap: 'not-reached' },
      model: { gap: 'not-reached' },
    });
    expect(run.auth.delivered).toEqual({ gap: 'not-reached' });
  });

  test.each([
    ['behind', '1999-12-31T23:59:59.000Z', -8e11],
    ['ahead', '2199-01-01T00:00:00.000Z', 5e12],
  ])(
    'has no part in any clock: a guest whose clock is far %s is timed as any other',
    async (_way, timestamp, skewMs) => {
      const stamped = (line: string) =>
        JSON.stringify({
          ...JSON.parse(line),
          timestamp,
          ts: Date.now() + skewMs,
          duration_ms: Math.abs(skewMs),
        });
      const script = doesTheTask().replaceAll(/\{"type":.*?\}(?=')/g, stamped);
      expect(script).toContain(timestamp);
      const startedMs = monotonic();
      // Its files bear its time, too.
      const { run } = await runOf('host', `${script}\ntouch -d ${timestamp} hello.mjs nonce.txt .`);
      const tookMs = monotonic() - startedMs;
      expect(run.outcome).toEqual({ status: 'passed' });
      const clocks = Object.values(run.clocks).filter((value) => typeof value === 'number');
      expect(clocks.length).toBeGreaterThan(3);
      for (const value of clocks) {
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(tookMs);
      }
    },
  );
});
