// Overhead of our measuring: the `total` of docker in a match compared pairwise with hyperfine's
// time for exactly the same argv.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { median } from 'simple-statistics';
import { own } from '../lib/os/own.js';
import { makeFolder, removeFolder } from '../lib/os/owner.js';
import { which } from '../lib/os/path-search.js';
import { createRunDirs, workspaceUser } from '../lib/sandbox/run-folders.js';
import { bundledTask } from '../lib/task/bundled.js';
import { type Field, fieldEnv, openField, type Row } from './field.js';
import { recordArgv } from './recorded-argv.js';
import { type Benchmark, medianOf, samples, short } from './verdict.js';

const ENTRY = 'docker';
const TOKEN = 'CLAUDE_CODE_OAUTH_TOKEN';

export const benchmark: Benchmark = {
  about: 'median `total` of docker in a match ≤ 1.03× hyperfine on the same argv, interleaved',
  async run(options) {
    if (which('hyperfine', fieldEnv()) === undefined)
      throw new Error('hyperfine is not on PATH (apt-get install hyperfine)');
    const n = samples(options, 60, 5);
    const field = openField(bundledTask('hello'));
    try {
      const row = await field.row(ENTRY);
      const template = await learnArgv(field, row);
      const ours: number[] = [];
      const theirs: number[] = [];
      for (let round = 0; round <= n; round += 1) {
        // The order alternates from pair to pair.
        const pair = [
          () => viaHarness(field, row, `cagematch-${field.matchId}-ours-${round}`),
          () => viaHyperfine(field, row, template, round),
        ];
        const [a, b] =
          round % 2 === 0
            ? [await pair[0]?.(), await pair[1]?.()]
            : [await pair[1]?.(), await pair[0]?.()].reverse();
        // The first pair is a warm-up for both.
        if (round === 0 || a === undefined || b === undefined) continue;
        ours.push(a);
        theirs.push(b);
        if (round % 10 === 0)
          options.say(
            `${round} of ${n} pairs: ${short(median(ours))} and ${short(median(theirs))} ms`,
          );
      }
      const { median: ratio, ci95 } = medianOf(
        ours.map((value, index) => value / (theirs[index] as number)),
      );
      return [
        {
          name: 'total of docker in a match / hyperfine on the same argv',
          value: ratio,
          ci95,
          n,
          limit: 1.03,
          unit: '×',
          note: `medians ${short(median(ours))} and ${short(median(theirs))} ms; ours ends when the removal is confirmed, hyperfine's when the client has ended`,
          samples: { oursMs: ours, hyperfineMs: theirs },
        },
      ];
    } finally {
      await field.close();
    }
  },
};

/** Executes one run like a match does and returns its `total`. */
async function viaHarness(field: Field, row: Row, name: string): Promise<number> {
  const { total } = await field.run(row, name);
  if (typeof total !== 'number') throw new Error('a run that passed has no total');
  return total;
}

interface Template {
  argv: string[];
  name: string;
  workspace: string;
}

/** The argv that the mode uses for a run, recorded in one run that is not timed. */
async function learnArgv(field: Field, row: Row): Promise<Template> {
  const recorder = recordArgv('docker', field.folder, field.around.env);
  const name = `cagematch-${field.matchId}-template`;
  await viaHarness(field, { ...row, ctx: { ...row.ctx, env: recorder.env } }, name);
  const argv = recorder.last('run');
  const workspace = argv[argv.indexOf('--volume') + 1]?.split(':')[0];
  if (workspace === undefined || !argv.includes(name))
    throw new Error('the recorded argv is not understood');
  return { argv, name, workspace };
}

/**
 * Times the same argv with hyperfine, with its own name, workspace and token; the same gateway
 * answers the agent.
 */
async function viaHyperfine(
  field: Field,
  row: Row,
  template: Template,
  round: number,
): Promise<number> {
  const folder = makeFolder('run');
  const tap = field.gateway.openTap();
  try {
    const user = row.mode.owner?.(row.ctx) ?? workspaceUser(row.ctx.uid);
    const host = createRunDirs(folder, user, row.ctx, row.mode);
    field.task.seed(host.workspace);
    own(host.workspace, user, row.ctx.uid);
    const name = `cagematch-${field.matchId}-theirs-${round}`;
    const argv = template.argv.map((word) =>
      word.replaceAll(template.name, name).replaceAll(template.workspace, host.workspace),
    );
    const results = join(field.folder, 'hyperfine.json');
    const command = ['docker', ...argv].map(quote).join(' ');
    await promisify(execFile)(
      'hyperfine',
      ['--shell=none', '--runs', '1', '--style', 'none', '--export-json', results, command],
      {
        env: { ...field.around.env, [TOKEN]: tap.token },
        cwd: '/',
        timeout: 60_000,
      },
    );
    const output = JSON.parse(readFileSync(results, 'utf8')) as { results: { times: number[] }[] };
    const seconds = output.results[0]?.times[0];
    if (seconds === undefined || tap.requests === 0)
      throw new Error('hyperfine timed no run of the agent');
    return seconds * 1000;
  } finally {
    field.gateway.closeTap(tap);
    removeFolder(folder);
  }
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
