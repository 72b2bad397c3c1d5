import { readFileSync } from 'node:fs';
import { line, total } from './cart.mjs';

const items = [
  { name: 'glove', price: 12.5, count: 2 },
  { name: 'voucher', price: -5, count: 1 },
];
const sum = total(items);
const text = sum < 0 ? `-$${Math.abs(sum).toFixed(2)}` : `$${sum.toFixed(2)}`;
for (const item of items) console.log(line(item));
console.log(`total: ${text}`);
console.log(`order ${readFileSync(new URL('./nonce.txt', import.meta.url), 'utf8').trim()}`);
