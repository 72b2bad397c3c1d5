// Runs inside a sandbox: looks at what the host did to the workspace, and does things that the host looks at.
import { readFileSync, writeFileSync } from 'node:fs';

console.log(JSON.stringify({ seeded: readFileSync('seeded', 'utf8') === 'seed' }));
writeFileSync('made', 'made');
