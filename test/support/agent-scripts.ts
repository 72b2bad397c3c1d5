// Agents that are a few lines of shell: what they print, and one that does the hello task as it should.
import * as says from './agent-lines.js';
import { quoted } from './fake-commands.js';

const PROGRAM = '// a program of the fake agent\n';

export const print = (...lines: string[]) => lines.map((line) => `printf '%s\\n' ${quoted(line)}`).join('\n');

/** The body of an agent that does the task as it should, in shell. @param content what it leaves in the file that it says it wrote */
export const doesTheTask = (content = PROGRAM) =>
  [
    print(says.init(), says.writes('toolu_1', '/x/hello.mjs', PROGRAM), says.toolResult('toolu_1', 'created')),
    `printf %s ${quoted(content)} > hello.mjs`,
    print(says.uses('toolu_2', 'Bash', { command: 'node hello.mjs' })),
    `printf '%s\\n' ${quoted(says.toolResult('toolu_2', 'nonce NONCE'))} | sed "s/NONCE/$(cat nonce.txt)/"`,
    print(says.result()),
  ].join('\n');
