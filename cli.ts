#!/usr/bin/env node
// The binary: its process is the `World` of a command line. The only place that exits.
import { EXIT } from './commands/io.js';
import { main, report } from './commands/main.js';

/**
 * Errors that mean the reader is gone: it closed the pipe early (`| head`), or the terminal was
 * closed.
 */
const READER_LEFT = ['EPIPE', 'EIO'];

const argv = process.argv.slice(2);
const unheard = listenForReaders();
// Node would print the error unredacted, including secrets. Unhandled rejections arrive here too.
process.on('uncaughtException', (error) => process.exit(report(error, argv, process.stderr)));
const code = await main(argv, {
  env: process.env,
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  leave: (code) => process.exit(code),
});
process.exitCode = unheard() ? EXIT.failed : code;

/**
 * Reports a failed write to stdout on stderr. A failed write to stderr cannot be reported: that
 * would fail again, without end.
 */
function listenForReaders(): () => boolean {
  let lost = false;
  process.stderr.on('error', () => {});
  process.stdout.on('error', ({ code = '' }: NodeJS.ErrnoException) => {
    if (READER_LEFT.includes(code) || lost) return;
    lost = true;
    // This event may arrive only after main has returned.
    process.exitCode = EXIT.failed;
    console.error(`✖ stdout cannot be written (${code})`);
  });
  return () => lost;
}
