// The smallest possible task: the agent sends one request, receives one sentence, and ends.
import { join } from 'node:path';
import { packageRoot } from '../lib/package.js';
import type { Outcome } from '../lib/record/types.js';
import type { Task } from '../lib/task/task.js';

const SENTENCE = 'There is nothing to do here.';

export const trivialTask: Task & { cassette: string } = {
  id: 'one-sentence',
  prompt: 'Say in one sentence what there is to do here.',
  cassette: join(packageRoot, 'bench/one-sentence.yaml'),
  seed: () => ({ nonce: '' }),
  judge(_workspace, _nonce, { result }) {
    const said = result?.text.trim();
    const outcome: Outcome =
      said === SENTENCE
        ? { status: 'passed' }
        : { status: 'failed', cause: 'verifier', message: `the agent said: ${said ?? 'nothing'}` };
    return { outcome, sync: { in: { gap: 'not-exercised' }, out: { gap: 'not-exercised' } } };
  },
};
