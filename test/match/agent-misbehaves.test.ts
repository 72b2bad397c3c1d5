// Agents that hang, die, babble, fork or lie: each is a row with its cause, its sandbox goes, and
// the other rows go on.
import { chmodSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { runMatch } from '../../lib/match/match.js';
import { replayAnswer } from '../../lib/model/answers.js';
import { readCassette } from '../../lib/model/cassette.js';
import { createGateway } from '../../lib/model/gateway.js';
import { newMatchId } from '../../lib/record/match-id.js';
import { type EventOf, eventSchema, isGap, type MatchEvent } from '../../lib/record/types.js';
import { openRecord } from '../../lib/record/write.js';
import { parseEvents } from '../../lib/report/report.js';
import type { PlannedRow } from '../../lib/sandbox/row.js';
import { bundledTask } from '../../lib/task/bundled.js';
import host from '../../modes/host.js';
import * as agentLines from '../support/agent-lines.js';
import { doesTheTask, print } from '../support/agent-scripts.js';
import { quoted, writeProgram } from '../support/fake-commands.js';
import { modeContext } from '../support/mode-context.js';
import { isRunning, pidIn } from '../support/processes.js';
import { temporaryFolder } from '../support/temporary-folder.js';

interface Row {
  /** Body of the shell script that plays the agent. */
  agent: string;
  name?: string;
}

/** Runs a match of one round with a fake agent for each row, on the real host mode. */
async function match(
  rows: Row[],
  options: {
    timeoutMs?: number;
    uid?: number;
    runs?: number;
    wrap?: (run: () => Promise<void>) => Promise<void>;
  } = {},
) {
  const folder = temporaryFolder();
  const matchId = newMatchId();
  const gateway = createGateway(replayAnswer(readCassette(bundledTask('hello').cassette)));
  onTestFinished(() => gateway.close());
  const named = rows.map((row, index) => ({ ...row, name: row.name ?? `row-${index}` }));
  const entries: PlannedRow[] = named.map(({ name }) => ({
    entry: name,
    mode: host.id,
    variant: name,
    letter: host.letter,
    title: host.title,
    isolation: host.isolation,
    workspace: host.workspace,
    options: {},
    state: 'prepared',
    task: 'hello',
    deliver: 'gateway',
    required: false,
    standIn: false,
    adapter: host,
    runtimeState: undefined,
  }));
  for (const { name, agent } of named) {
    mkdirSync(join(folder, name));
    writeProgram(join(folder, name, 'claude'), `#!/bin/sh\n${agent}\n`);
  }
  const events: MatchEvent[] = [];
  const record = openRecord(join(folder, 'record'), {
    onEvent: (event) => void events.push(event),
  });
  const wrap = options.wrap ?? ((run) => run());
  await wrap(() =>
    runMatch({
      entries,
      contextOf: (entry) => ({
        ...modeContext(host.id),
        env: { PATH: process.env.PATH ?? '' },
        platform: process.platform,
        uid: options.uid ?? process.getuid?.(),
        agentBinary: join(folder, entry.entry, 'claude'),
        labels: { match: matchId, mode: host.id, owner: modeContext(host.id).labels.owner },
      }),
      record,
      gateway,
      taskOf: () => bundledTask('hello'),
      model: 'replay',
      matchId,
      seed: 1,
      runs: options.runs ?? 1,
      until: 'count',
      concurrency: 1,
      warmup: 0,
      timeoutMs: options.timeoutMs ?? 30_000,
      signal: new AbortController().signal,
    }),
  );
  record.close();
  const written = parseEvents(readFileSync(join(folder, 'record', 'events.jsonl'), 'utf8'));
  expect(written).toEqual(events);
  for (const event of events) expect(() => eventSchema.parse(event)).not.toThrow();
  const ended = events.filter((event): event is EventOf<'run-ended'> => event.type === 'run-ended');
  expect(new Set(ended.map((event) => event.entry))).toEqual(
    new Set(named.map(({ name }) => name)),
  );
  expect(ended).toHaveLength(named.length * (options.runs ?? 1));
  // Other test files kill harnesses of their own on purpose, and what those leave of the host is
  // named here too.
  const warnings = events.filter(
    (event): event is EventOf<'warning'> => event.type === 'warning' && event.code !== 'orphans',
  );
  return { ended, events, warnings };
}

async function runOne(agent: string, options: { timeoutMs?: number } = {}) {
  const { ended, warnings } = await match([{ agent }], options);
  const [run] = ended;
  if (!run) throw new Error('no run ended');
  return { ...run, warnings };
}

describe('an agent', () => {
  test('that does what it should passes: the fake ones below differ from it in one thing', async () => {
    const run = await runOne(doesTheTask());
    expect(run).toMatchObject({
      outcome: { status: 'passed' },
      sync: { in: 'yes', out: 'yes', live: 'yes' },
      leftovers: [],
      warnings: [],
    });
    expect(run.clocks).toMatchObject({
      firstProcess: expect.any(Number),
      total: expect.any(Number),
      startup: { gap: 'not-reached' },
    });
  });

  test('that hangs ends at the bound, with all that it started', async () => {
    const pids = temporaryFolder();
    const run = await runOne(
      `echo $$ > ${pids}/agent\nsleep 300 &\necho $! > ${pids}/child\n${print(agentLines.init())}\nwait`,
      {
        timeoutMs: 1500,
      },
    );
    expect(run.outcome).toEqual({
      status: 'failed',
      cause: 'timeout',
      message: 'no end within 1.5 s',
      hint: '--timeout S',
    });
    expect(run.clocks).toMatchObject({
      work: { gap: 'not-reached' },
      exit: { gap: 'not-reached' },
      teardown: expect.any(Number),
    });
    expect(run.leftovers).toEqual([]);
    for (const name of ['agent', 'child'])
      expect(isRunning(pidIn(join(pids, name))), name).toBe(false);
  });

  test('that ignores every polite signal ends at the bound too', async () => {
    const pids = temporaryFolder();
    const run = await runOne(
      `trap '' TERM INT HUP\necho $$ > ${pids}/agent\nwhile :; do sleep 1; done`,
      { timeoutMs: 1000 },
    );
    expect(run.outcome).toMatchObject({ cause: 'timeout' });
    expect(isRunning(pidIn(join(pids, 'agent')))).toBe(false);
  });

  test('that ends with a code is told with it, and with its last words', async () => {
    const run = await runOne(`${print(agentLines.init())}\necho 'out of ideas' >&2\nexit 3`);
    expect(run.outcome).toEqual({
      status: 'failed',
      cause: 'agent',
      message: 'the agent ended with exit code 3: out of ideas',
    });
  });

  test('that does the task and then ends with a code has failed', async () => {
    expect((await runOne(`${doesTheTask()}\nexit 3`)).outcome).toMatchObject({
      cause: 'agent',
      message: 'the agent ended with exit code 3',
    });
  });

  test('that prints garbage is told so', async () => {
    const run = await runOne(`printf 'no\\037json\\n{"type":\\nat all'`);
    expect(run.outcome).toMatchObject({
      cause: 'agent',
      message: 'the agent printed 3 lines that are no stream-json, and no result',
    });
  });

  test('that says nothing at all is told so', async () => {
    expect((await runOne('exit 0')).outcome).toMatchObject({
      cause: 'agent',
      message: 'the agent ended without a result',
    });
  });

  test('that is killed is told with the signal', async () => {
    const run = await runOne(`${print(agentLines.init())}\nkill -KILL $$`);
    expect(run.outcome).toEqual({
      status: 'failed',
      cause: 'agent',
      message: 'the agent was killed by SIGKILL',
    });
  });

  test('that is not logged in is a matter of the credential', async () => {
    const run = await runOne(
      `${print(agentLines.init(), agentLines.result({ is_error: true, result: 'Not logged in · Please run /login' }))}\nexit 1`,
    );
    expect(run.outcome).toMatchObject({ cause: 'auth', hint: 'cagematch token show' });
  });

  test('that cannot be started at all is told with what the shell says', async () => {
    const { ended } = await match([{ agent: 'exec /nonexistent/agent' }]);
    expect(ended[0]?.outcome).toMatchObject({
      status: 'failed',
      cause: 'agent',
      message: expect.stringMatching(/exit code 12[67].*nonexistent/),
    });
  });

  test('whose file is not what it says it wrote has lost it on the way', async () => {
    const run = await runOne(doesTheTask('something else'));
    expect(run.outcome).toEqual({
      status: 'failed',
      cause: 'sync',
      message: 'hello.mjs on the host is not what the agent wrote',
    });
    expect(run.sync).toEqual({ in: 'yes', out: 'no', live: 'yes' });
  });

  test.runIf(process.platform === 'linux')(
    'that leaves a daemon behind leaves none: it goes with the sandbox',
    async () => {
      const pids = temporaryFolder();
      const daemon = `echo $$ > ${pids}/daemon; exec sleep 300`;
      const run = await runOne(
        [
          `setsid sh -c ${quoted(daemon)} < /dev/null > /dev/null 2>&1 &`,
          `until [ -s ${pids}/daemon ]; do sleep 0.02; done`,
          doesTheTask(),
        ].join('\n'),
      );
      expect(run.outcome).toEqual({ status: 'passed' });
      expect(run.leftovers).toEqual([]);
      expect(isRunning(pidIn(join(pids, 'daemon')))).toBe(false);
    },
  );

  test.runIf(process.platform === 'linux')(
    'whose daemon holds its pipes does not hold the run',
    async () => {
      const pids = temporaryFolder();
      const daemon = `echo $$ > ${pids}/daemon; exec sleep 300`;
      const run = await runOne(
        [
          `setsid sh -c ${quoted(daemon)} &`,
          `until [ -s ${pids}/daemon ]; do sleep 0.02; done`,
          doesTheTask(),
        ].join('\n'),
        { timeoutMs: 10_000 },
      );
      expect(run.outcome).toEqual({ status: 'passed' });
      expect(isRunning(pidIn(join(pids, 'daemon')))).toBe(false);
    },
  );

  test.each([
    ['in lines', `yes ${quoted('no json at all '.repeat(300))} | head -c 200000000`],
    ['in one line without an end', 'head -c 200000000 /dev/zero | tr "\\0" x'],
    ['on stderr', `yes ${quoted('last words '.repeat(300))} | head -c 200000000 >&2`],
  ])('that prints 200 MB %s is read to its end, and not kept', async (_how, flood) => {
    global.gc?.();
    const before = process.memoryUsage().rss;
    let peak = before;
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss);
    }, 20);
    const run = await runOne(`${flood}\necho\n${doesTheTask()}`, { timeoutMs: 60_000 });
    clearInterval(watch);
    expect(run.outcome).toEqual({ status: 'passed' });
    expect((peak - before) / 2 ** 20).toBeLessThan(150);
  });
});

describe('a match', () => {
  test('goes on after each of them, and tells every row apart', async () => {
    const { ended, events } = await match(
      [
        { name: 'hangs', agent: 'sleep 300' },
        { name: 'good', agent: doesTheTask() },
        { name: 'dies', agent: 'kill -KILL $$' },
        { name: 'lies', agent: doesTheTask('x') },
        { name: 'babbles', agent: 'echo garbage' },
      ],
      { timeoutMs: 2000 },
    );
    const verdicts = Object.fromEntries(
      ended.map(({ entry, outcome }) => [
        entry,
        outcome.status === 'failed' ? outcome.cause : 'passed',
      ]),
    );
    expect(verdicts).toEqual({
      hangs: 'timeout',
      good: 'passed',
      dies: 'agent',
      lies: 'sync',
      babbles: 'agent',
    });
    for (const { run } of ended) {
      const phases = events.flatMap((event) =>
        event.type === 'phase' && event.run === run ? [event.phase] : [],
      );
      expect(phases[0]).toBe('launch');
      expect(phases.at(-1)).toBe('destroy');
    }
  });

  test('gives every sandbox a name of its own that every runtime accepts, however long the names of its rows', async () => {
    const names = join(temporaryFolder(), 'names');
    const agent = `echo "$CAGEMATCH_SANDBOX" >> ${names}`;
    const long = 'docker-io-containerd-kata-with-a-long-name-';
    await match(
      [
        { name: `${long}qemu`, agent },
        { name: `${long}clh`, agent },
      ],
      { runs: 2 },
    );
    const given = readFileSync(names, 'utf8').trim().split('\n');
    expect(new Set(given).size).toBe(4);
    for (const name of given) expect(name).toMatch(/^[a-z][a-zA-Z0-9-]{0,61}[a-zA-Z0-9]$/);
  });

  test('goes on when there is no room for a run: that is the failure of the run', async () => {
    const { ended } = await match([{ agent: doesTheTask() }, { agent: doesTheTask() }], {
      wrap: (run) => {
        vi.stubEnv('TMPDIR', '/nonexistent/tmp');
        return run().finally(() => vi.unstubAllEnvs());
      },
    });
    expect(ended).toHaveLength(2);
    for (const { outcome, leftovers } of ended) {
      expect(outcome).toMatchObject({
        status: 'failed',
        cause: 'harness',
        message: expect.stringContaining('ENOENT'),
      });
      expect(leftovers).toEqual([]);
    }
  });

  test('goes on after an agent whose files nobody may remove, and names the folder as left over', async () => {
    // Root may remove everything: there it is the harness that is not root, and the agent that is.
    const nobody = 65534;
    const asNobody = async (run: () => Promise<void>) => {
      process.seteuid?.(nobody);
      await run().finally(() => process.seteuid?.(0));
    };
    const asRoot = process.getuid?.() === 0;
    const locks = `mkdir d && : > d/file && chmod ${asRoot ? '0700' : '0000'} d`;
    const { ended } = await match(
      [{ agent: `${locks}\n${doesTheTask()}` }, { agent: doesTheTask() }],
      asRoot ? { uid: nobody, wrap: asNobody } : {},
    );
    const [locked, other] = ['row-0', 'row-1'].map((name) =>
      ended.find((run) => run.entry === name),
    );
    const left = isGap(locked?.leftovers) ? [] : (locked?.leftovers ?? []);
    const folders = left.filter(({ kind }) => kind === 'folder');
    expect(folders).toEqual([{ kind: 'folder', id: expect.stringMatching(/cagematch-run-/) }]);
    expect(left).toContainEqual({
      kind: 'disk',
      id: `at least ${/\d+/.exec(left.find(({ kind }) => kind === 'disk')?.id ?? '')} bytes in ${folders[0]?.id}`,
    });
    // There the agent's files are another user's, too.
    expect(
      left
        .filter(({ kind }) => kind === 'foreign-file')
        .map(({ id }) => id)
        .toSorted(),
    ).toEqual(asRoot ? ['d (uid 0)', 'hello.mjs (uid 0)'] : []);
    expect(other).toMatchObject({
      outcome: { status: 'passed' },
      leftovers: asRoot ? [{ id: 'hello.mjs (uid 0)' }] : [],
    });
    for (const { id } of folders) {
      if (!asRoot) chmodSync(join(id, 'workspace/d'), 0o700);
      rmSync(id, { recursive: true });
    }
  });
});
