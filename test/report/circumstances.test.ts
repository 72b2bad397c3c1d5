// Under which circumstances a match came about: what is read around its runs, and what a report
// makes of that.
import { describe, expect, test } from 'vitest';
import { lookBefore, watchMachine, withoutSandbox } from '../../lib/match/busy.js';
import { guestOf } from '../../lib/match/guest.js';
import type { Conditions, Guest, MatchEvent } from '../../lib/record/types.js';
import { doubts, firstRunLine, insideAlike } from '../../lib/report/circumstances.js';
import { renderMarkdown } from '../../lib/report/export/markdown.js';
import { renderHtml } from '../../lib/report/html.js';
import { renderTable } from '../../lib/report/terminal/table.js';
import { HOST, madeMatch } from '../support/hand-made-match.js';
import { ran } from '../support/hand-made-record.js';

/** Counters that stand at one thing after another. */
function counters(...stands: { cpu: string; waiting?: number }[]) {
  let at = 0;
  const stand = () => stands[Math.min(at, stands.length - 1)] as (typeof stands)[number];
  return {
    stat: () => `cpu  ${stand().cpu}\ncpu0 1 1 1 1\nintr 5\n`,
    pressure() {
      const { waiting } = stand();
      at += 1;
      if (waiting === undefined) throw new Error('no such file');
      return `some avg10=0.00 avg60=0.00 avg300=0.00 total=${waiting}\nfull avg10=0.00 total=0\n`;
    },
  };
}

describe('around a run', () => {
  // user nice system idle iowait irq softirq steal
  const seen = () =>
    watchMachine(
      counters(
        { cpu: '10 0 10 500 9 1 1 2', waiting: 1000 },
        { cpu: '60 5 30 900 99 2 3 12', waiting: 51_000 },
      ),
    )();

  test('the whole machine is seen: CPU time without idle, what was stolen, how long work waited', () => {
    expect(seen()).toMatchObject({ cpuMs: 780, stealMs: 100, waitingMs: 50 });
  });

  test('what the sandbox used is taken off what others did; beside other sandboxes of ours that cannot be', () => {
    const cost = { memoryPeakBytes: 1, cpuUserMs: 300, cpuSystemMs: 100 };
    const conditions: Conditions = {
      wallMs: 1000,
      cpuMs: 780,
      stealMs: 0,
      otherMs: 700,
      waitingMs: 0,
    };
    expect(withoutSandbox(conditions, cost, true)).toMatchObject({ cpuMs: 780, otherMs: 300 });
    expect(withoutSandbox(conditions, cost, false)).toMatchObject({
      cpuMs: 780,
      otherMs: { gap: 'not-attributable' },
    });
    expect(withoutSandbox(conditions, { gap: 'other-machine' }, true)).toMatchObject({
      otherMs: { gap: 'other-machine' },
    });
  });

  test('is a gap where the platform keeps no counters; of waiting alone where the kernel keeps none', () => {
    const none = { stat: () => 'nothing\n', pressure: () => '' };
    expect(watchMachine(none)()).toEqual({ gap: 'platform' });
    expect(watchMachine(counters({ cpu: '1 0 1 1 0 0 0 0' }))()).toMatchObject({
      waitingMs: { gap: 'not-reported' },
    });
  });

  test('takes less than a millisecond', () => {
    const costs = Array.from({ length: 21 }, () => {
      const before = process.cpuUsage();
      watchMachine()();
      const { user, system } = process.cpuUsage(before);
      return user + system;
    }).sort((a, b) => a - b);
    expect(costs[10]).toBeLessThan(1000);
  });

  test('before a match the machine is looked at for a while, in shares of all its CPUs', async () => {
    const busy = await lookBefore(
      2,
      50,
      counters(
        { cpu: '0 0 0 0 0 0 0 0', waiting: 0 },
        { cpu: '1000 0 0 0 0 0 0 500', waiting: 5_000_000 },
      ),
    );
    expect(busy).toMatchObject({ otherShare: 1, stealShare: 1, waitingShare: 1 });
    expect(busy?.lookMs).toBeGreaterThanOrEqual(45);
  });
});

describe('a guest', () => {
  const sentences = {
    nodeVersion: 'v22.1.0',
    gitVersion: '2.39.5',
    libc: 'glibc 2.36',
    os: 'Debian 12',
    uid: '1000',
    memory: '2147483648',
    pids: 'max',
  };

  test('is read from what it prints', () => {
    expect(guestOf(new Map(Object.entries(sentences)))).toEqual({
      nodeVersion: 'v22.1.0',
      gitVersion: '2.39.5',
      libc: 'glibc 2.36',
      os: 'Debian 12',
      uid: 1000,
      memoryBytes: 2147483648,
      pids: 'none',
    });
  });

  test('has a gap for what it does not tell, or tells in no form that is known; the largest number is no limit', () => {
    const odd = {
      ...sentences,
      gitVersion: '',
      uid: 'root',
      memory: '9223372036854771712',
      pids: '-3',
    };
    const gap = { gap: 'not-reported' };
    expect(guestOf(new Map(Object.entries(odd)))).toMatchObject({
      gitVersion: gap,
      uid: gap,
      memoryBytes: 'none',
      pids: gap,
    });
  });
});

describe('the report', () => {
  const guest: Guest = {
    nodeVersion: 'v20.20.2',
    gitVersion: '2.39.5',
    libc: 'glibc 2.36',
    os: 'Debian 12',
    uid: 1000,
    memoryBytes: 'none',
    pids: 'none',
  };
  const appraised = (entry: string, change: Partial<Guest> = {}): MatchEvent => ({
    type: 'appraised',
    atMs: 1,
    entry,
    disk: { imageBytes: { gap: 'not-reported' }, sandboxBytes: { gap: 'not-reported' } },
    guest: { ...guest, ...change },
  });
  const conditions = (change: Partial<Conditions> = {}): Conditions => ({
    wallMs: 1000,
    cpuMs: 900,
    stealMs: 0,
    otherMs: 200,
    waitingMs: 5,
    ...change,
  });
  const disturbed = (entry: string, round: number, change: Partial<Conditions>) =>
    ran(entry, round, { startup: 400 }, { conditions: conditions(change) });
  const DOCKER = {
    ...HOST,
    isolation: 'container' as const,
    startup: 600,
    run: { conditions: conditions() },
  };
  const rows = {
    host: { ...HOST, run: { conditions: conditions({ otherMs: 20 }) } },
    docker: DOCKER,
  };

  test('has no doubts of a quiet match, though daemons of a runtime work in every run of its rows', () => {
    const report = madeMatch(rows, {
      match: { quiet: { lookMs: 1000, otherShare: 0.02, stealShare: 0, waitingShare: 0.01 } },
    });
    expect(doubts(report)).toEqual([]);
    expect(report.modes[0]?.machine).toMatchObject({
      judged: 10,
      disturbed: [],
      cpuMs: { median: 900 },
    });
    expect(renderTable(report)).not.toContain('warning');
  });

  test('says above the table that the machine was busy, before the match and in which runs', () => {
    const report = madeMatch(rows, {
      match: { quiet: { lookMs: 1000, otherShare: 0.12, stealShare: 0, waitingShare: 0.3 } },
      extraEvents: [
        disturbed('docker', 11, { otherMs: 500 }),
        disturbed('host', 12, { stealMs: 300 }),
      ],
    });
    const lines = [
      'the machine was busy before the match: others used 12 % of its CPU time and work waited for a CPU in 30 % of the time; its numbers are of a busy machine',
      'in 1 of 22 runs more than 5 % of the CPU time was stolen from this machine: host#12 15 %',
      'in 1 of 22 runs something else used more than 5 % of the CPU time: docker#11 15 %',
    ];
    expect(doubts(report)).toEqual(lines);
    const table = renderTable(report).replace(/\s+/g, ' ');
    for (const line of lines) {
      expect(table.indexOf(`warning: ${line}`)).toBeGreaterThanOrEqual(0);
      expect(table.indexOf(line)).toBeLessThan(table.indexOf('isolation'));
      expect(renderMarkdown(report)).toContain(`- ${line}`);
      expect(renderHtml(report)).toContain(`<li>${line}</li>`);
    }
  });

  test('warns in one line of what differs inside, and notes what is alike', () => {
    const appraisals = [
      appraised('host'),
      appraised('docker', { nodeVersion: 'v22.23.3', memoryBytes: 2 ** 31 }),
    ];
    const report = madeMatch(rows, { extraEvents: appraisals });
    expect(doubts(report)).toEqual([
      'rows differ inside, and so may their numbers: Node v20.20.2 in host; v22.23.3 in docker · memory limit none in host; 2.0 GiB in docker',
    ]);
    expect(insideAlike(report)).toBe(
      'inside: Git 2.39.5, libc glibc 2.36, system Debian 12, uid 1000, process limit none',
    );
    expect(renderMarkdown(report)).toContain('; inside: Git 2.39.5');
  });

  test('shows the first run, which is in no other number, over the median of its row', () => {
    const first = ran('docker', 0, { startup: 900 }, { warmup: true });
    const report = madeMatch(
      { host: HOST, docker: { ...DOCKER, noise: 0 } },
      { extraEvents: [first] },
    );
    expect(report.modes[1]).toMatchObject({ firstRunMs: 900, n: 10 });
    expect(firstRunLine(report)).toBe(
      "first run (warm-up), its startup over the row's median: docker 1.50",
    );
    for (const text of [renderTable(report), renderMarkdown(report)])
      expect(text).toContain('docker 1.50');
  });

  test('shows what the whole machine used beside what the sandbox used', () => {
    const cost = { memoryPeakBytes: 1e8, cpuUserMs: 500, cpuSystemMs: 100 };
    const report = madeMatch({
      host: { ...rows.host, run: { ...rows.host.run, cost } },
      docker: { ...DOCKER, run: { ...DOCKER.run, cost } },
    });
    expect(renderTable(report)).toMatch(/machine CPU s/);
    expect(renderTable(report)).toMatch(/docker +95 MiB +0\.60 +0\.90/);
  });
});
