// Runs inside a sandbox: tries what an agent could try, and prints the results, one line per wall.
// Limits are in walls-limits.mjs.
import { aboutFiles } from './walls-files.mjs';
import { aboutNetwork } from './walls-network.mjs';
import { aboutItself } from './walls-self.mjs';
import { tell } from './walls-try.mjs';

const given = JSON.parse(process.argv[2] ?? '{}');
await tell(
  { ...aboutItself(given.self), ...aboutNetwork(given.network), ...aboutFiles(given.files) },
  8000,
);
process.exit(0);
