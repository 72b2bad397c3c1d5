import type { Argv } from 'yargs';
import { EXIT, type Io } from './io.js';
export const builder = (argv: Argv) => argv;
export async function handler(_args: unknown, _io: Io): Promise<number> {
  return EXIT.done;
}
