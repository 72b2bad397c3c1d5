// Plays one match with one fault, then `clean`: what was struck, what the record contains, and what
// is left afterwards.
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Env } from '../../lib/contract.js';
import { readCassette } from '../../lib/model/cassette.js';
import { type Captured, capture, succeeded } from '../../lib/os/capture.js';
import { packageRoot } from '../../lib/package.js';
import type { EventOf, MatchEvent } from '../../lib/record/types.js';
import { bundledTask } from '../../lib/task/bundled.js';
import { openDoor } from './door.js';
import type { Draw } from './draw.js';
import { judge, reportedRuns, type Verdict } from './judge.js';
import { whatIsLeft } from './left.js';
import { killAgent, killClient, killSandbox, type Struck } from './strike.js';
import { MODEL_FAULTS, openUpstream } from './upstream.js';
import { type Witness, watchRecord } from './witness.js';

const CLI = join(packageRoot, 'dist/cli.js');
/** A match that takes longer than this has hung. */
const BOUND_MS = 150_000;
/** How long to look for a target once the moment has come. */
const SEARCH_MS = 3000;
/** Timeout of a run: a failing model uses all of it, and a busy machine is slow. */
const RUN_BOUND_S = { model: 30, other: 60 };

export interface Episode extends Verdict {
  draw: Draw;
  match: string | undefined;
  /** What was done; undefined if there was no longer a target. */
  struck: Struck;
  /** The run in progress, and its phase. */
  during: { run: string; phase: string } | undefined;
  exit: string;
  events: MatchEvent[];
  ended: EventOf<'run-ended'>[];
  /**
   * How the match ended according to the report, and which runs it lists; `how` is undefined if
   * there is no report.
   */
  how: string | undefined;
  reported: string[];
  /** What was left before `clean` ran. */
  before: string[];
  tookMs: number;
}

export async function playEpisode(draw: Draw, env: Env): Promise<Episode> {
  const startMs = performance.now();
  const place = mkdtempSync(join(tmpdir(), 'fault-'));
  const [tmp, out, home] = ['tmp', 'out', 'home'].map((name) => join(place, name)) as [
    string,
    string,
    string,
  ];
  // Rootless Podman runs as another user, who must be able to enter the folder.
  chmodSync(place, 0o755);
  for (const folder of [tmp, out, home]) mkdirSync(folder);
  chmodSync(tmp, 0o1777);
  const undo: (() => Promise<unknown>)[] = [];
  try {
    const set = await prepare(draw, { tmp, out, place, env }, undo);
    const base: Env = { ...env, TMPDIR: tmp, HOME: home };
    const args = [
      'run',
      draw.entry,
      draw.other,
      '--warmup',
      '0',
      '--seed',
      `${draw.seed}`,
      '--timeout',
      `${draw.boundS ?? RUN_BOUND_S[draw.kind.startsWith('model') ? 'model' : 'other']}`,
    ];
    const child = spawn(process.execPath, [CLI, ...args, '--out', out, ...set.args], {
      cwd: place,
      env: { ...base, ...set.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const pid = child.pid as number;
    const over = new Promise<string>((resolve) =>
      child.once('exit', (code, signal) => resolve(signal ?? `${code}`)),
    );
    const words = Promise.all([text(child.stdout), text(child.stderr)]);
    const witness = watchRecord(out, over);
    const bound = setTimeout(() => child.kill('SIGKILL'), BOUND_MS);
    let strike: { struck: Struck; during: Episode['during'] } = {
      struck: set.struck?.(),
      during: undefined,
    };
    if (set.strike && (await witness.moment(draw.moment, draw.entry, draw.run))) {
      await pause(draw.delayMs);
      strike = await struckWithin(witness, draw, () =>
        set.strike?.({ pid, match: witness.match() ?? '', entry: draw.entry, env: base }),
      );
    }
    const exit = await over;
    clearTimeout(bound);
    witness.close();
    if (set.struck) strike.struck = set.struck();
    for (const folder of [tmp, out]) rmSync(join(folder, 'filler'), { force: true });
    const [, stderr] = await words;
    const mark = { match: witness.match(), pid, tmp };
    const reported = await cagematch(
      ['report', join(out, witness.match() ?? 'none'), '--format', 'json'],
      base,
      place,
    );
    const before = await whatIsLeft(mark, base);
    const clean = await cagematch(['clean'], base, place);
    const left = await whatIsLeft(mark, base);
    const ended = witness.events.filter(
      (event): event is EventOf<'run-ended'> => event.type === 'run-ended',
    );
    const seen = {
      draw,
      ...strike,
      exit,
      stderr,
      events: witness.events,
      ended,
      reported,
      clean,
      left,
      hung: performance.now() - startMs > BOUND_MS,
    };
    const { how, runs = [] } = reportedRuns(reported) ?? {};
    const tookMs = performance.now() - startMs;
    return {
      draw,
      match: witness.match(),
      ...strike,
      exit,
      events: witness.events,
      ended,
      how,
      reported: runs,
      before,
      tookMs,
      ...judge(seen),
    };
  } finally {
    for (const step of undo.reverse()) await step().catch(() => {});
    rmSync(place, { recursive: true, force: true });
  }
}

interface Set {
  args: string[];
  env: Env;
  /** Called when the moment has come. */
  strike?(target: Parameters<typeof killAgent>[0]): Promise<Struck> | Struck;
  /** For a fault that is set up before the match: what it did. */
  struck?(): Struck;
}

async function prepare(
  draw: Draw,
  at: { tmp: string; out: string; place: string; env: Env },
  undo: (() => Promise<unknown>)[],
): Promise<Set> {
  const replay = { args: ['--runs', `${draw.runs ?? 2}`, '--model', 'replay'], env: {} };
  const { kind } = draw;
  if (kind === 'harness killed' || kind === 'interrupted') {
    const signal = kind === 'interrupted' ? 'SIGINT' : 'SIGKILL';
    return {
      ...replay,
      strike: ({ pid }) => (signalled(pid, signal) ? `kill -${signal} ${pid}` : undefined),
    };
  }
  if (kind === 'client killed') return { ...replay, strike: killClient };
  if (kind === 'sandbox killed') return { ...replay, strike: killSandbox };
  if (kind === 'agent killed') return { ...replay, strike: killAgent };
  if (kind === 'disk full' || kind === 'record disk full') {
    const folder = kind === 'disk full' ? at.tmp : at.out;
    await must(['mount', '-t', 'tmpfs', '-o', 'size=32m,mode=1777', 'cagematch-fault', folder]);
    undo.push(() => must(['umount', '--lazy', folder]));
    return {
      ...replay,
      strike: () => {
        fill(join(folder, 'filler'));
        return `filled ${folder}`;
      },
    };
  }
  if (kind === 'daemon gone' || kind === 'daemon silent') {
    const incus = draw.entry === 'incus';
    const behind = incus
      ? join(at.env.INCUS_DIR ?? '/var/lib/incus', 'unix.socket')
      : (at.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock').replace('unix://', '');
    const door = await openDoor(behind, join(at.place, 'door.sock'));
    undo.push(door.close);
    return {
      args: replay.args,
      env: incus ? { INCUS_SOCKET: door.path } : { DOCKER_HOST: `unix://${door.path}` },
      async strike() {
        if (kind === 'daemon gone') await door.shut();
        else door.silence();
        setTimeout(() => void door.open(), draw.lastsMs);
        return `${kind} for ${draw.lastsMs} ms`;
      },
    };
  }
  const fault = MODEL_FAULTS.find((status) => kind === `model ${status}`) ?? '500';
  const upstream = await openUpstream(
    readCassette(bundledTask('hello').cassette),
    fault,
    draw.fromRequest,
  );
  undo.push(upstream.close);
  return {
    args: ['--model', 'live', '--allow-host', '--runs', '1'],
    env: { CLAUDE_CODE_OAUTH_TOKEN: 'sk-ant-oat01-of-nobody', CAGEMATCH_UPSTREAM: upstream.url },
    struck: () =>
      upstream.faulted() > 0
        ? `${fault} from request ${draw.fromRequest + 1} on, ${upstream.faulted()} times`
        : undefined,
  };
}

/** Retries until there is something to strike or SEARCH_MS is over. */
async function struckWithin(
  witness: Witness,
  draw: Draw,
  strike: () => Promise<Struck> | Struck,
): Promise<{ struck: Struck; during: Episode['during'] }> {
  const deadline = performance.now() + SEARCH_MS;
  for (;;) {
    const during = witness.now(draw.entry);
    const struck = await strike();
    if (struck !== undefined) return { struck, during };
    if (performance.now() > deadline) return { struck: undefined, during };
    await pause(30);
  }
}

function signalled(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** Fills the disk to the last byte, as would happen by accident. */
function fill(path: string): void {
  const chunk = Buffer.alloc(1 << 20);
  for (let size = chunk.length; size >= 1; size = Math.floor(size / 4)) {
    try {
      for (;;) writeFileSync(path, chunk.subarray(0, size), { flag: 'a' });
    } catch {
      // No space for a chunk of this size.
    }
  }
  if (statfsSync(path).bavail > 0) throw new Error(`${path} did not fill its disk`);
}

function cagematch(args: string[], env: Env, cwd: string): Promise<Captured> {
  return capture([process.execPath, CLI, ...args], { env, cwd, timeoutMs: BOUND_MS });
}

async function must(argv: [string, ...string[]]): Promise<void> {
  const done = await capture(argv, { env: { PATH: process.env.PATH ?? '' }, timeoutMs: 20_000 });
  if (!succeeded(done)) throw new Error(`${argv.join(' ')}: ${done.stderr.trim()}`);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
