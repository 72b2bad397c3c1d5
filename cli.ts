#!/usr/bin/env node
// The binary: its process as the world of a command line. The only place that exits.
import { EXIT } from './commands/io.js';
import { main, report } from './commands/main.js';

/** A reader that closes the pipe early (`| head`), or a terminal that was closed. */
const READER_LEFT = ['EPIPE', 'EIO'];

const argv = process.argv.slice(2);
const unheard = listenForReaders();
// Node would print it as it is, secrets and all. Rejections that nobody handles come this way too.
process.on('uncaughtException', (error) => process.exit(report(error, argv, process.stderr)));
const code = await main(argv, {
  env: process.env,
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  leave: (code) => process.exit(code),
});
process.exitCode = unheard() ? EXIT.failed : code;

/** Of stdout what could not be written is said; of stderr nobody is left to tell, and saying so would fail again, without end. */
function listenForReaders(): () => boolean {
  let lost = false;
  process.stderr.on('error', () => {});
  process.stdout.on('error', ({ code = '' }: NodeJS.ErrnoException) => {
    if (READER_LEFT.includes(code) || lost) return;
    lost = true;
    // It may be told only when main has returned.
    process.exitCode = EXIT.failed;
    console.error(`✖ stdout cannot be written (${code})`);
  });
  return () => lost;
}
