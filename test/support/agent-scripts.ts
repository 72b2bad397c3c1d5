// Agents that are a few lines of shell: what they print, and one that does the hello task as it
// should.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import * as agentLines from './agent-lines.js';
import { quoted, writeProgram } from './fake-commands.js';

const PROGRAM = '// a program of the fake agent\n';

export const print = (...lines: string[]) =>
  lines.map((line) => `printf '%s\\n' ${quoted(line)}`).join('\n');

/**
 * The body of an agent that does the task as it should, in shell.
 * @param content what it leaves in the file that it says it wrote
 */
export const doesTheTask = (content = PROGRAM) =>
  [
    print(
      agentLines.init(),
      agentLines.writes('toolu_1', '/x/hello.mjs', PROGRAM),
      agentLines.toolResult('toolu_1', 'created'),
    ),
    `printf %s ${quoted(content)} > hello.mjs`,
    print(agentLines.uses('toolu_2', 'Bash', { command: 'node hello.mjs' })),
    `printf '%s\\n' ${quoted(agentLines.toolResult('toolu_2', 'nonce NONCE'))} | sed "s/NONCE/$(cat nonce.txt)/"`,
    print(agentLines.result()),
  ].join('\n');

/**
 * The environment of a stand-in, with such an agent for its guests: it asks no model, and costs a
 * hundredth of the real one.
 */
export function withShellAgent(env: Record<string, string>): Record<string, string> {
  const folder = join(env.CAGEMATCH_STAND_IN_STATE ?? '', 'shell-agent');
  mkdirSync(folder);
  writeProgram(join(folder, 'claude'), `#!/bin/sh\n${doesTheTask()}\n`);
  return { ...env, CAGEMATCH_STAND_IN_AGENT: folder };
}
