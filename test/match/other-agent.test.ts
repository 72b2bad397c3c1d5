// A runtime may bring an agent of its own: a row whose agent is not the one of the others says so.
import { expect, test } from 'vitest';
import { agentVersion } from '../../lib/package.js';
import { entryOf, runScriptedMatch, scriptedMode } from '../support/scripted-match.js';

test('an agent of another version than the pinned one is a warning, once a row', async () => {
  const { eventsOf } = await runScriptedMatch([entryOf(scriptedMode([], { version: '2.1.300' }))], {
    runs: 2,
  });
  const message = `played: its agent says it is 2.1.300, not ${agentVersion} as in the other rows`;
  expect(eventsOf('warning')).toMatchObject([{ code: 'other-agent', message }]);
});

test('the pinned one is none', async () => {
  const { eventsOf } = await runScriptedMatch([entryOf(scriptedMode([]))]);
  expect(eventsOf('warning')).toEqual([]);
});
