// The fixed TEST_PROMPT: write a small program, run it, and prove by a fresh nonce that it really ran.
import { join } from 'node:path';
import { readOwnText } from '../held.js';
import type { Outcome } from '../record.js';
import { cameIn, isThere, lastWritten, seedWith } from './evidence.js';
import type { Task } from './task.js';
import { oneLine, type Transcript } from './transcript.js';

const PROGRAM = 'hello.mjs';
/** What is longer was not written with the Write tool. */
const MOST_BYTES = 4 * 1024 * 1024;

const TEST_PROMPT = [
  `Create a file named ${PROGRAM} in the current directory, with the Write tool.`,
  'It must read nonce.txt, which lies beside it, and print one line that holds a greeting and that nonce.',
  `Then run it once with the Bash tool: node ${PROGRAM}`,
].join(' ');

/** @param packageRoot where the cassette lies */
export function helloTask(packageRoot: string): Task {
  return {
    id: 'hello',
    prompt: TEST_PROMPT,
    cassette: join(packageRoot, 'lib/model/cassettes/hello.yaml'),
    seed(workspace) {
      return seedWith(workspace, { 'package.json': `${JSON.stringify({ name: 'hello', private: true, type: 'module' }, null, 2)}\n` });
    },
    arrived: (workspace) => isThere(workspace, PROGRAM),
    verify(workspace, nonce, transcript) {
      const written = lastWritten(transcript, PROGRAM);
      const found = readOwnText(workspace, PROGRAM, MOST_BYTES);
      const same = written !== undefined && found === written;
      const inside = cameIn(transcript, nonce);
      return {
        outcome: judge({ transcript, printed: inside === 'yes', written, found, same }),
        sync: {
          in: inside,
          out: written === undefined ? { gap: 'not-reached' } : same ? 'yes' : 'no',
        },
      };
    },
  };
}

/** What a file system says that does not take files: the sandbox offers the agent no place to work. */
const NO_PLACE = /\b(ENOSPC|EDQUOT|EROFS|EACCES|EPERM|EIO)\b/;

function judge(seen: {
  transcript: Transcript;
  printed: boolean;
  written: string | undefined;
  found: string | undefined;
  same: boolean;
}): Outcome {
  const failed = (cause: 'agent' | 'sandbox' | 'sync' | 'verifier', message: string): Outcome => ({ status: 'failed', cause, message });
  if (seen.written === undefined) return failed('agent', `the agent never wrote ${PROGRAM}`);
  const refused = seen.transcript.toolOutputs.findLast(({ tool }) => tool === 'Write');
  if (!seen.same && refused?.isError)
    return failed(NO_PLACE.test(refused.text) ? 'sandbox' : 'agent', oneLine(`the Write of ${PROGRAM} failed: ${refused.text}`));
  if (seen.found === undefined) return failed('sync', `${PROGRAM} is not on the host after collect`);
  if (!seen.same) return failed('sync', `${PROGRAM} on the host is not what the agent wrote`);
  if (!seen.printed) return failed('verifier', 'no tool output holds the nonce');
  return { status: 'passed' };
}
