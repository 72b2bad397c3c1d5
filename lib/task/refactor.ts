// A small real refactoring: what two modules say twice goes into a third, the tests pass before and after. A dozen tool calls and more.
import { join } from 'node:path';
import { readOwnText } from '../held.js';
import type { Outcome } from '../record.js';
import { cameIn, isThere, lastWritten, printed, seedWith } from './evidence.js';
import type { Task } from './task.js';
import type { Transcript } from './transcript.js';

/** What the agent is to write; its arrival is what `live` is judged by. */
const MADE = 'money.mjs';
const MOST_BYTES = 1024 * 1024;

const PROMPT = [
  'cart.mjs and report.mjs both format an amount of money in the same way.',
  `Move that into a function formatMoney, exported by a new module ${MADE}, and use it in both; neither may call toFixed any more.`,
  'Add a test of formatMoney to cart.test.mjs.',
  'Run node --test before and after: it must pass. At the end run node report.mjs once.',
].join(' ');

const SEED: Record<string, string> = {
  'package.json': `${JSON.stringify({ name: 'refactor', private: true, type: 'module' }, null, 2)}\n`,
  'cart.mjs': `export function total(items) {
  return items.reduce((sum, { price, count }) => sum + price * count, 0);
}

export function line({ name, price, count }) {
  const amount = price * count;
  const text = amount < 0 ? \`-$\${Math.abs(amount).toFixed(2)}\` : \`$\${amount.toFixed(2)}\`;
  return \`\${count} x \${name}: \${text}\`;
}
`,
  'report.mjs': `import { readFileSync } from 'node:fs';
import { line, total } from './cart.mjs';

const items = [
  { name: 'glove', price: 12.5, count: 2 },
  { name: 'voucher', price: -5, count: 1 },
];
const sum = total(items);
const text = sum < 0 ? \`-$\${Math.abs(sum).toFixed(2)}\` : \`$\${sum.toFixed(2)}\`;
for (const item of items) console.log(line(item));
console.log(\`total: \${text}\`);
console.log(\`order \${readFileSync(new URL('./nonce.txt', import.meta.url), 'utf8').trim()}\`);
`,
  'cart.test.mjs': `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { line, total } from './cart.mjs';

test('a total counts every item as often as it is there', () => {
  assert.equal(total([{ price: 2, count: 3 }, { price: -1, count: 1 }]), 5);
});

test('a line names the item and its amount', () => {
  assert.equal(line({ name: 'glove', price: 12.5, count: 2 }), '2 x glove: $25.00');
});
`,
};

/** @param packageRoot where the cassette lies */
export function refactorTask(packageRoot: string): Task {
  return {
    id: 'refactor',
    prompt: PROMPT,
    cassette: join(packageRoot, 'lib/model/cassettes/refactor.yaml'),
    seed: (workspace) => seedWith(workspace, SEED),
    arrived: (workspace) => isThere(workspace, MADE),
    verify(workspace, nonce, transcript) {
      const written = lastWritten(transcript, MADE);
      const found = (name: string) => readOwnText(workspace, name, MOST_BYTES);
      const inside = cameIn(transcript, nonce);
      return {
        outcome: judge(transcript, found, inside === 'yes', written),
        sync: {
          in: inside,
          out: written === undefined ? { gap: 'not-reached' } : found(MADE) === undefined ? 'no' : 'yes',
        },
      };
    },
  };
}

function judge(transcript: Transcript, found: (name: string) => string | undefined, ran: boolean, written: string | undefined): Outcome {
  const failed = (cause: 'agent' | 'sync' | 'verifier', message: string): Outcome => ({ status: 'failed', cause, message });
  if (written === undefined) return failed('agent', `the agent never wrote ${MADE}`);
  const made = found(MADE);
  if (made === undefined) return failed('sync', `${MADE} is not on the host after collect`);
  if (!/export\b.*\bformatMoney\b/.test(made)) return failed('verifier', `${MADE} exports no formatMoney`);
  for (const name of ['cart.mjs', 'report.mjs']) {
    const text = found(name);
    if (text === undefined) return failed('sync', `${name} is not on the host after collect`);
    if (!text.includes(MADE) || text.includes('toFixed')) return failed('verifier', `${name} does not leave the formatting to ${MADE}`);
  }
  if (!found('cart.test.mjs')?.includes('formatMoney')) return failed('verifier', 'cart.test.mjs holds no test of formatMoney');
  const passes = printed(transcript).filter((text) => /\bpass [1-9]/.test(text) && /\bfail 0\b/.test(text));
  if (passes.length < 2) return failed('verifier', `node --test passed ${passes.length} times of the 2, before and after`);
  if (!ran) return failed('verifier', 'no tool output holds the nonce');
  return { status: 'passed' };
}
