// Whole matches on a mode that a test plays: the real host mode underneath, every call noted, and
// an agent that is a few lines of this process.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { monotonic } from '../../lib/clock.js';
import type { Command, Context, ExecEvent, Handle, Mode } from '../../lib/contract.js';
import { type MatchSettings, runMatch } from '../../lib/match/match.js';
import { replayAnswer } from '../../lib/model/answers.js';
import { readCassette } from '../../lib/model/cassette.js';
import { createGateway } from '../../lib/model/gateway.js';
import { type EventOf, eventSchema, type MatchEvent } from '../../lib/record/types.js';
import { openRecord } from '../../lib/record/write.js';
import type { PlannedRow } from '../../lib/sandbox/row.js';
import { bundledTask } from '../../lib/task/bundled.js';
import host from '../../modes/host.js';
import * as agentLines from './agent-lines.js';
import { modeContext } from './mode-context.js';
import { temporaryFolder } from './temporary-folder.js';

/** What one agent finds and does. `run` counts from 1 over the whole mode. */
interface Agent {
  run: number;
  command: Command;
  ctx: Context;
  sandbox: string;
}

export interface Part {
  /** Done in the agent's place before its task; what it throws is the mode's failure. */
  agent?(agent: Agent): Promise<void> | void;
  /** Which it says it is; absent: the pinned one. */
  version?: string;
  /** From exec to the first request, in ms, as the lines tell it; nothing waits. */
  startupMs?(run: number): number;
  /** Replaces members of the mode. */
  mode?(real: Mode): Partial<Mode>;
}

/**
 * @param calls every call of launch, agent, destroy and what `part.mode` notes, in order, with the
 *   sandbox' name
 */
export function scriptedMode(calls: string[], part: Part = {}): Mode {
  let runs = 0;
  const mode: Mode = {
    ...host,
    oneShot: false,
    async launch(ctx, spec) {
      calls.push(`launch ${spec.name}`);
      return host.launch(ctx, spec);
    },
    exec(ctx, handle, command) {
      if (!('CLAUDE_CODE_OAUTH_TOKEN' in command.secretEnv)) return host.exec(ctx, handle, command);
      runs += 1;
      calls.push(`agent ${handle.name}`);
      return play({ run: runs, command, ctx, sandbox: handle.name }, part);
    },
    async destroy(ctx, handle: Handle) {
      calls.push(`destroy ${handle.name}`);
      return host.destroy(ctx, handle);
    },
  };
  // Requests are told by lines only where the model is inside.
  if (part.startupMs) mode.reach = async () => ({ via: 'inside' });
  return { ...mode, ...part.mode?.(mode) };
}

async function* play(agent: Agent, part: Part): AsyncGenerator<ExecEvent> {
  const startMs = monotonic();
  const mark = agent.command.argv[3];
  const line = (text: string, atMs = monotonic()): ExecEvent => ({
    type: 'line',
    stream: 'stdout',
    text,
    atMs,
  });
  const nonce = readFileSync(join(agent.command.cwd, 'nonce.txt'), 'utf8');
  await part.agent?.(agent);
  if (part.startupMs) yield line(`${mark} request {}`, startMs + part.startupMs(agent.run));
  const program = '// a program of the played agent\n';
  writeFileSync(join(agent.command.cwd, 'hello.mjs'), program);
  yield line(agentLines.init(part.version));
  yield line(agentLines.writes('toolu_1', '/x/hello.mjs', program));
  yield line(agentLines.uses('toolu_2', 'Bash', { command: 'node hello.mjs' }));
  yield line(agentLines.toolResult('toolu_2', `hello ${nonce}`));
  yield line(agentLines.result());
  yield { type: 'exit', code: 0, atMs: monotonic() };
}

export const entryOf = (mode: Mode, change: Partial<PlannedRow> = {}): PlannedRow => ({
  entry: 'played',
  mode: mode.id,
  letter: '-',
  title: 'Played',
  isolation: 'none',
  workspace: 'bind',
  options: {},
  state: 'prepared',
  task: 'hello',
  deliver: 'gateway',
  required: false,
  standIn: false,
  adapter: mode,
  runtimeState: undefined,
  ...change,
});

export async function runScriptedMatch(
  entries: PlannedRow[],
  change: Partial<MatchSettings> & { onEvent?(event: MatchEvent): void } = {},
) {
  const task = bundledTask('hello');
  const gateway = createGateway(replayAnswer(readCassette(task.cassette)));
  onTestFinished(() => gateway.close());
  const events: MatchEvent[] = [];
  const record = openRecord(temporaryFolder(), {
    onEvent(event) {
      events.push(eventSchema.parse(event));
      change.onEvent?.(event);
    },
  });
  const base = {
    env: { PATH: process.env.PATH ?? '' },
    uid: process.getuid?.(),
    platform: process.platform,
  };
  try {
    await runMatch({
      entries,
      contextOf: (entry) => modeContext(entry.mode, base),
      record,
      gateway,
      taskOf: () => task,
      model: 'replay',
      matchId: `p${process.pid}`,
      seed: 1,
      runs: 1,
      until: 'count',
      warmup: 0,
      concurrency: 1,
      timeoutMs: 30_000,
      signal: new AbortController().signal,
      ...change,
    });
  } finally {
    record.close();
  }
  const eventsOf = <T extends MatchEvent['type']>(type: T) =>
    events.filter((event): event is EventOf<T> => event.type === type);
  return { events, eventsOf, runs: eventsOf('run-ended') };
}

export const PASSED = { status: 'passed' };
