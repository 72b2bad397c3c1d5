import assert from 'node:assert/strict';
import { test } from 'node:test';
import { line, total } from './cart.mjs';

test('a total counts every item as often as it is there', () => {
  assert.equal(total([{ price: 2, count: 3 }, { price: -1, count: 1 }]), 5);
});

test('a line names the item and its amount', () => {
  assert.equal(line({ name: 'glove', price: 12.5, count: 2 }), '2 x glove: $25.00');
});
