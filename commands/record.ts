// `cagematch record`: one live run, saved as a cassette that replays it in every runtime.
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { AUTHS } from '../lib/auth/choose.js';
import type { Credential } from '../lib/auth/credential.js';
import { CagematchError, messageOf } from '../lib/errors.js';
import { BOUNDS } from '../lib/match/file.js';
import { checkAnything, checkRequired, planMatch, withoutOpenHost } from '../lib/match/plan.js';
import { runOnce } from '../lib/match/run.js';
import { liveAnswer, replayAnswer } from '../lib/model/answers.js';
import { type Cassette, cassetteText } from '../lib/model/cassette.js';
import type { Answer } from '../lib/model/gateway.js';
import { createTape } from '../lib/model/tape.js';
import { printable } from '../lib/os/printable.js';
import type { Outcome, RowEvent } from '../lib/record/types.js';
import { createProgress } from '../lib/report/terminal/progress.js';
import { type Harness, withHarness } from '../lib/sandbox/harness.js';
import { makeReady, type PreparedRow } from '../lib/sandbox/prepare.js';
import { loadModes, parseWanted } from '../lib/sandbox/registry.js';
import { type PlannedRow, sandboxName } from '../lib/sandbox/row.js';
import { readOwnInputs } from '../lib/sandbox/settings.js';
import { sweep } from '../lib/sandbox/sweep.js';
import { findTask } from '../lib/task/bundled.js';
import { cassettePath } from '../lib/task/folder.js';
import type { Task } from '../lib/task/task.js';
import { EXIT, type Io } from './io.js';
import { chooseModel } from './model.js';
import {
  argument,
  choice,
  flag,
  readSettings,
  required,
  type SettingsOf,
  text,
  wholeNumber,
} from './options.js';
import { checkWritable } from './publish.js';

export const options = {
  mode: argument('mode to record in; default: the first sandboxed mode that is ready'),
  task: required(text('task name or folder')),
  out: text("where to write the cassette; default: the task's own folder"),
  force: flag('overwrite an existing cassette'),
  auth: choice('which credential to use; default: the only one found', AUTHS),
  allowHost: flag('allow the agent to run unsandboxed, in the mode host'),
  timeout: wholeNumber('seconds for the run; default: 600', BOUNDS.timeout),
};
type Settings = SettingsOf<typeof options>;

export async function handler(args: unknown, io: Io): Promise<number> {
  const settings = readSettings(options, args);
  const registry = await loadModes();
  const asked = settings.mode === undefined ? [] : [settings.mode];
  const modes =
    asked.length > 0 ? asked.map((name) => parseWanted(registry, name).mode) : registry.values();
  const task = findTask(settings.task, io.cwd);
  const path =
    settings.out === undefined ? cassettePath(task.folder) : resolve(io.cwd, settings.out);
  if (existsSync(path) && !settings.force)
    throw new CagematchError(
      'bad-input',
      `${path} is there already`,
      '--force to overwrite it, or --out FILE for another',
    );
  checkWritable(path, '--out FILE');

  const { credential, warnings } = await chooseModel('live', settings.auth, io);
  if (!credential) throw new Error('a live run without a credential');
  const tape = createTape();
  const live = liveAnswer(readOwnInputs(io.env).upstream, credential, io.env, tape);
  let answers: Answer = live;
  const answer: Answer = Object.assign(((...request) => answers(...request)) satisfies Answer, {
    close: () => live.close?.() ?? Promise.resolve(),
  });

  const progress = createProgress(io.err, io.errIsTty, io.errColumns);
  for (const { text, hint } of warnings) progress.say(`${text}; ${hint}`);
  return withHarness(io, progress, answer, async (harness) => {
    progress.waiting('looking for runtimes');
    const detected = await harness.detect(modes);
    const whole = planMatch(
      registry,
      detected,
      asked.map((name) => ({ name })),
      asked,
    );
    const plan = withoutOpenHost(whole, {
      model: 'live',
      allowed: settings.allowHost,
      named: asked.length > 0,
      isBundled: () => false,
    });
    checkRequired(plan);
    // The mode without isolation is used only if it was named.
    const entries = plan.entries.filter(
      ({ isolation }) => settings.mode !== undefined || isolation !== 'none',
    );
    checkAnything({ ...plan, entries });
    const ready = await firstReady(entries, harness, progress.say);
    const run = (what: string) => {
      progress.waiting(`${what} ${task.id} in ${ready.entry.entry}`);
      return runIn(ready, { task, harness, what, settings, credential });
    };
    try {
      const recorded = await run('recording');
      if (harness.interrupted()) return EXIT.interrupted;
      if (recorded.status === 'failed')
        return refused(io, 'nothing was written: the run failed', recorded);
      const { cassette, warnings: more } = tape.toCassette(task);
      for (const line of more) progress.say(line);
      answers = replayAnswer(cassette);
      const replayed = await run('replaying');
      if (harness.interrupted()) return EXIT.interrupted;
      const good = replayed.status === 'passed';
      // A paid recording is kept, but not where it would be mistaken for a proven cassette.
      const written = good ? path : `${path}.unproven`;
      save(written, cassetteText(cassette));
      if (!good)
        return refused(io, `it was recorded, but does not replay; kept as ${written}`, replayed);
      io.out(
        `${written}: ${sizeOf(cassette)}; recorded with the agent ${cassette.agent} in ${ready.entry.entry}, and replayed there once\n`,
      );
      return EXIT.done;
    } finally {
      await sweep([ready], harness.id, { emit: (event) => tell(event, progress.say) });
    }
  });
}

/** @throws `not-ready` with the reason why the last of the entries could not be prepared */
async function firstReady(
  entries: readonly PlannedRow[],
  harness: Harness,
  say: (line: string) => void,
): Promise<PreparedRow> {
  let why: Outcome | undefined;
  const record = {
    emit(event: RowEvent) {
      if (event.type === 'unprepared') why = event.outcome;
      else tell(event, say);
    },
  };
  for (const entry of entries) {
    const ready = await makeReady(entry, harness.contextOf(entry), {
      ...harness,
      record,
      model: 'live',
      concurrency: 1,
    });
    if (ready) return ready;
  }
  const { message, hint } =
    why?.status === 'failed'
      ? why
      : { message: 'no mode can be made ready', hint: 'cagematch detect' };
  throw new CagematchError('not-ready', `${entries.at(-1)?.entry}: ${message}`, hint);
}

async function runIn(
  ready: PreparedRow,
  recording: {
    task: Task;
    harness: Harness;
    what: string;
    settings: Settings;
    credential: Credential;
  },
): Promise<Outcome> {
  const { task, harness, what, settings, credential } = recording;
  const { outcome } = await runOnce({
    ...ready,
    ...harness,
    mode: ready.entry.adapter,
    state: 'prepared',
    task,
    deliver: 'gateway',
    credential,
    timeoutMs: (settings.timeout ?? 600) * 1000,
    name: sandboxName(harness.id, ready.entry, what),
    onPhase: () => {},
  });
  return outcome;
}

function tell(event: RowEvent, say: (line: string) => void): void {
  if (event.type === 'warning') say(event.message);
}

function refused(io: Io, what: string, outcome: Outcome): number {
  const { cause, message, hint } = outcome as Extract<Outcome, { status: 'failed' }>;
  io.err(
    `${printable(`✖ ${what}: ${cause}: ${message}`)}\n${hint === undefined ? '' : `${printable(`hint: ${hint}`)}\n`}`,
  );
  return EXIT.failed;
}

/** Atomic: writes the whole file or nothing. @throws `record-failed` */
function save(path: string, whole: string): void {
  const part = join(dirname(path), `.${basename(path)}.${process.pid}`);
  try {
    writeFileSync(part, whole, { flag: 'wx' });
    renameSync(part, path);
  } catch (error) {
    rmSync(part, { force: true });
    throw new CagematchError(
      'record-failed',
      `${path} cannot be written: ${messageOf(error)}`,
      '--out FILE in a folder that can be written',
    );
  }
}

function sizeOf({ conversations }: Cassette): string {
  const exchanges = conversations.flatMap((conversation) => conversation.exchanges);
  const calls = exchanges.flatMap(({ content }) =>
    content.filter(({ type }) => type === 'tool_use'),
  );
  const amount = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;
  return [
    amount(exchanges.length, 'exchange'),
    amount(calls.length, 'tool call'),
    amount(conversations.length - 1, 'sub-agent'),
  ].join(', ');
}
