// The environment of this machine as a user in the project's own folder has it: the shell's, and
// what the rig wrote into .env.
import type { Env } from '../../lib/contract.js';
import { packageRoot } from '../../lib/package.js';
import { loadInputs } from '../../lib/sandbox/settings.js';

export const machineEnv: Env = (await loadInputs(packageRoot, process.env)).env;
