// Runs inside a sandbox: does work in loops, and tells what one operation took, a kind of work a line.
import { createHash } from 'node:crypto';

const data = Buffer.alloc(1 << 20);
const startedMs = performance.now();
for (let at = 0; at < 20; at += 1) createHash('sha256').update(data).digest();
console.log(JSON.stringify({ probe: 'cpu-hash', opMs: (performance.now() - startedMs) / 20, ops: 20 }));
