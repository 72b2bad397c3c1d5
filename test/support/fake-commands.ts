// Programs that a test puts on PATH: small shell scripts that do what one test needs, and nothing
// else of the machine beside them.
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { quoted } from '../../lib/os/quoted.js';
import { temporaryFolder } from './temporary-folder.js';

/** A folder for PATH. @param scripts the body of a shell script by the program's name */
export function fakeCommands(scripts: Record<string, string>): string {
  const folder = temporaryFolder();
  // They may be called as another user.
  chmodSync(folder, 0o755);
  for (const [name, body] of Object.entries(scripts))
    writeProgram(join(folder, name), `#!/bin/sh\n${body}\n`);
  return folder;
}

export function writeProgram(path: string, text: string): void {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

/**
 * The body of a program that says something and ends. Programs it needs are named whole: PATH is
 * the test's own.
 */
export function printing(output: { stdout?: string; stderr?: string; code?: number }): string {
  const print = (text: string | undefined, to: string) =>
    text === undefined ? [] : [`printf '%s\\n' ${quoted(text)}${to}`];
  return [
    ...print(output.stdout, ''),
    ...print(output.stderr, ' >&2'),
    `exit ${output.code ?? 0}`,
  ].join('\n');
}

export { quoted };
