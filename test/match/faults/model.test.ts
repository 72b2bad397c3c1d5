// A model that refuses, babbles, breaks off or says nothing: the real agent on the real host mode,
// and who is blamed; also when the run's bound cuts it short.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type ModelFault, openUpstream } from '../../../bench/faults/upstream.js';
import { atBound, undestroyed, unlessModel } from '../../../lib/match/blame.js';
import { liveAnswer } from '../../../lib/model/answers.js';
import { readCassette } from '../../../lib/model/cassette.js';
import { createGateway, type Tap } from '../../../lib/model/gateway.js';
import { contextFor, createKeeper } from '../../../lib/sandbox/context.js';
import { blamed } from '../../../lib/sandbox/failure.js';
import { agentBinary } from '../../../lib/task/agent.js';
import { bundledTask } from '../../../lib/task/bundled.js';
import host from '../../../modes/host.js';
import { quoted, writeProgram } from '../../support/fake-commands.js';
import { entryOf, runScriptedMatch } from '../../support/scripted-match.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const claude = agentBinary();
const CREDENTIAL = {
  kind: 'oauth',
  source: 'environment',
  secret: 'sk-ant-oat01-of-nobody',
  where: 'a test',
} as const;

/** The real agent, told to ask again only so often; by itself it goes on for minutes. */
function agentThatAsksAgain(times: number): string {
  const folder = join(temporaryFolder(), 'bin');
  mkdirSync(folder);
  writeProgram(
    join(folder, 'claude'),
    `#!/bin/sh\nCLAUDE_CODE_MAX_RETRIES=${times} exec ${quoted(claude ?? '')} "$@"\n`,
  );
  return join(folder, 'claude');
}

/** One run of the real agent whose model fails from its second request on. */
async function outcomeOf(fault: ModelFault, options: { timeoutMs: number; times: number }) {
  const upstream = await openUpstream(readCassette(bundledTask('hello').cassette), fault, 1);
  const gateway = createGateway(liveAnswer(upstream.url, CREDENTIAL));
  onTestFinished(async () => {
    await gateway.close();
    await upstream.close();
  });
  const binary = agentThatAsksAgain(options.times);
  const base = {
    env: { PATH: process.env.PATH ?? '' },
    uid: process.getuid?.(),
    platform: process.platform,
    match: 'faults',
  };
  const { runs } = await runScriptedMatch([entryOf(host)], {
    gateway,
    model: 'live',
    timeoutMs: options.timeoutMs,
    contextOf: (entry) => ({
      ...contextFor(
        { ...base, signal: new AbortController().signal, say: () => {} },
        createKeeper(),
        entry.adapter,
      ),
      agentBinary: binary,
    }),
  });
  expect(upstream.faulted()).toBeGreaterThan(0);
  expect(runs[0]?.leftovers).toEqual([]);
  return runs[0]?.outcome;
}

describe.skipIf(claude === undefined)('with the real agent', () => {
  test.each<[ModelFault, string]>([
    ['401', 'auth'],
    ['429', 'rate-limit'],
    ['500', 'model'],
    ['529', 'model'],
    ['half', 'model'],
    ['garbage', 'model'],
    ['stops', 'model'],
  ])('a model that fails with %s blames %s when the agent gives up', async (fault, cause) => {
    expect(await outcomeOf(fault, { timeoutMs: 45_000, times: 1 })).toMatchObject({
      status: 'failed',
      cause,
    });
  });

  test.each<[ModelFault, string]>([
    ['429', 'rate-limit'],
    ['529', 'model'],
  ])(
    'a model that fails with %s blames %s when the bound cuts an agent that still asks again',
    async (fault, cause) => {
      const outcome = await outcomeOf(fault, { timeoutMs: 5000, times: 10 });
      expect(outcome).toMatchObject({
        status: 'failed',
        cause,
        message: `no end within 5 s; the model's last answer: ${fault}`,
      });
    },
  );

  test('a model that never answers is blamed when the bound is over', async () => {
    const outcome = await outcomeOf('silent', { timeoutMs: 8000, times: 1 });
    expect(outcome).toMatchObject({
      status: 'failed',
      cause: 'model',
      message: expect.stringMatching(
        /^no end within 8 s: the agent waited for the model for \d\.\d s of it$/,
      ),
    });
  });
});

describe('a bound', () => {
  const cut = blamed('timeout', 'no end within 10 s', '--timeout S');
  const tap = (change: Partial<Tap> = {}): Tap => ({
    token: 't',
    path: '',
    modelMs: 0,
    requests: 1,
    ...change,
  });
  const over = { boundMs: 10_000, nowMs: 20_000 };

  test('blames the sandbox while it is being launched, and the way back while the workspace is collected', () => {
    expect(atBound(cut, { ...over, phase: 'launch', tap: tap() })).toMatchObject({
      cause: 'sandbox',
      hint: '--timeout S',
    });
    expect(atBound(cut, { ...over, phase: 'collect', tap: tap() })).toMatchObject({
      cause: 'sync',
    });
  });

  test('blames nobody for work that takes long, also when the model took some of it', () => {
    expect(
      atBound(cut, { ...over, phase: 'work', tap: tap({ modelMs: 3000, waitingSinceMs: 19_000 }) }),
    ).toEqual(cut);
  });

  test('blames the model when it took most of the time, answered or not', () => {
    expect(
      atBound(cut, { ...over, phase: 'work', tap: tap({ modelMs: 3000, waitingSinceMs: 17_000 }) }),
    ).toMatchObject({ cause: 'model' });
    expect(atBound(cut, { ...over, phase: 'work', tap: tap({ modelMs: 6000 }) })).toMatchObject({
      cause: 'model',
    });
  });

  test('that the user pulled blames nobody else', () => {
    const interrupted = blamed('interrupted', 'interrupted by the user');
    expect(
      atBound(interrupted, {
        ...over,
        phase: 'work',
        tap: tap({ trouble: { status: 500, what: '500' } }),
      }),
    ).toEqual(interrupted);
  });

  test('blames the sandbox when its runtime then does not answer either', () => {
    const why = blamed('sandbox', 'the runtime did not answer within 30 s');
    expect(undestroyed(cut, why)).toMatchObject({
      cause: 'sandbox',
      message: expect.stringMatching(/no end within 10 s.*did not answer/),
    });
    // A longer bound would mend nothing.
    const mends = blamed('sandbox', 'it may still be there', 'runtime rm it');
    expect(undestroyed(cut, mends)).toMatchObject({ hint: 'runtime rm it' });
    expect(undestroyed(blamed('auth', 'no'), why)).toMatchObject({ cause: 'auth' });
    expect(undestroyed(undefined, why)).toEqual(why);
  });
});

test('an agent that gave up on a model that had only errors to say is not to blame; one that failed after a good answer is', () => {
  const failure = blamed('agent', 'the agent ended with exit code 1');
  const tap: Tap = { token: 't', path: '', modelMs: 0, requests: 3 };
  expect(unlessModel(failure, { ...tap, trouble: { status: 403, what: '403' } })).toMatchObject({
    cause: 'auth',
    hint: 'cagematch token show',
  });
  expect(unlessModel(failure, { ...tap, trouble: { what: 'broken off' } })).toMatchObject({
    cause: 'model',
  });
  expect(unlessModel(failure, tap)).toBe(failure);
});
