// Paths that a user or a stranger names: pipes, devices, links and endless files are refused at
// once.
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { makeFolders, openPlainFile, readPlainFile } from '../../lib/os/plain-files.js';
import { createLineReader } from '../../lib/record/read.js';
import { ownHouse } from '../support/house.js';
import { makePipe } from '../support/pipes.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { thrownBy } from '../support/thrown.js';

/** A line that is longer than any record has. The file is sparse: it takes no room on the disk. */
function endlessLine(path: string): void {
  const file = openSync(path, 'w');
  writeSync(file, '{"type":"');
  ftruncateSync(file, 1024 ** 4);
  closeSync(file);
}

const deviceLink = (path: string) => symlinkSync('/dev/zero', path);
const fileLink = (path: string) => symlinkSync('/etc/passwd', path);

const ENV = 'loadInputs(cwd, {})';
const TASK = "findTask('./t', cwd)";
const MATCH = "readMatchFile('m.yaml', cwd, new Map())";
const CASSETTE = "readCassette(cwd + '/cassette.yaml')";
const RECORD = "finishedFold(findRecord(undefined, 'results', cwd))";
const PROBE = "readProbe(findRecord('20270101-000000-x', 'results', cwd))";

/** What lies at a path, what is called, and what is said about it. */
const CASES: [path: string, make: (path: string) => void, call: string, message: string][] = [
  ['.env', makePipe, ENV, 'is a named pipe, not a plain file'],
  ['.env', deviceLink, ENV, 'is a device, not a plain file'],
  ['t/task.yaml', makePipe, TASK, 'is a named pipe'],
  ['t/task.yaml', fileLink, TASK, 'is a symbolic link'],
  ['t/task.yaml', endlessLine, TASK, 'has more than 1 MiB'],
  ['m.yaml', makePipe, MATCH, 'is a named pipe'],
  ['m.yaml', deviceLink, MATCH, 'is a device'],
  ['cassette.yaml', makePipe, CASSETTE, 'is a named pipe'],
  ['cassette.yaml', fileLink, CASSETTE, 'is a symbolic link'],
  ['cassette.yaml', endlessLine, CASSETTE, 'has more than 64 MiB'],
  ['results/20270101-000000-x/events.jsonl', makePipe, RECORD, 'is a named pipe'],
  ['results/20270101-000000-x/events.jsonl', deviceLink, RECORD, 'is a device'],
  ['results/20270101-000000-x/events.jsonl', endlessLine, RECORD, 'line 1 has more than 16 MiB'],
  ['results/20270101-000000-x/probe.jsonl', makePipe, PROBE, 'is a named pipe'],
  ['results/20270101-000000-x/probe.jsonl', makePipe, "probesBeside(cwd + '/results', {})", 'read'],
  ['a', () => {}, "openRecord('/proc/a/b', { onEvent() {} })", 'cannot be written (ENOENT)'],
];

test('whatever is no plain file, and whatever has no end, is refused without waiting', async () => {
  const places = CASES.map(([path, make, call]) => {
    const cwd = temporaryFolder();
    mkdirSync(dirname(join(cwd, path)), { recursive: true });
    make(join(cwd, path));
    return `async () => { const cwd = ${JSON.stringify(cwd)}; return ${call}; }`;
  });
  // In a process of its own: a call that blocks blocks all that is around it.
  const script = `
    import { findRecord, finishedFold, probesBeside, readProbe } from '${ownHouse.root}/dist/commands/records.js';
    import { loadInputs } from '${ownHouse.root}/dist/lib/sandbox/settings.js';
    import { openRecord } from '${ownHouse.root}/dist/lib/record/write.js';
    import { readMatchFile } from '${ownHouse.root}/dist/lib/match/file.js';
    import { readCassette } from '${ownHouse.root}/dist/lib/model/cassette.js';
    import { findTask } from '${ownHouse.root}/dist/lib/task/bundled.js';
    for (const call of [${places.join(', ')}])
      console.log(await Promise.resolve().then(call).then(() => 'read', (error) => error.message));`;
  const { stdout } = await execa(process.execPath, ['--input-type=module', '-e', script], {
    timeout: 50_000,
    reject: false,
  });
  const lines = stdout.split('\n');
  for (const [index, [path, , call, message]] of CASES.entries())
    expect(lines[index], `${call} of ${path}`).toContain(message);
});

test('a plain file is read whole, up to the bound; a link to one only where that is allowed', () => {
  const folder = temporaryFolder();
  const path = join(folder, 'file');
  writeFileSync(path, 'four');
  symlinkSync(path, join(folder, 'link'));
  expect(readPlainFile(path, { links: 'refuse', most: 4 }).toString()).toBe('four');
  expect(readPlainFile(join(folder, 'link'), { links: 'follow', most: 4 }).toString()).toBe('four');
  expect(thrownBy(() => openPlainFile(join(folder, 'link'), { links: 'refuse' }))).toMatchObject({
    code: 'bad-input',
  });
  expect(thrownBy(() => readPlainFile(path, { links: 'refuse', most: 3 }))).toMatchObject({
    code: 'bad-input',
  });
  expect(() => readPlainFile(join(folder, 'none'), { links: 'follow', most: 3 })).toThrow(/ENOENT/);
});

test('folders are made one by one; a file in the way is an error', () => {
  const folder = temporaryFolder();
  makeFolders(join(folder, 'a/b/c'));
  writeFileSync(join(folder, 'a/b/c/file'), 'x');
  makeFolders(join(folder, 'a/b/c'));
  expect(readFileSync(join(folder, 'a/b/c/file'), 'utf8')).toBe('x');
  expect(() => makeFolders(join(folder, 'a/b/c/file/d'))).toThrow(/ENOTDIR/);
});

test('a line that comes in a thousand pieces takes a thousand steps, and is refused when it has grown too long', () => {
  const reader = createLineReader(() => {});
  const piece = 'a'.repeat(16 * 1024);
  for (let count = 0; count < 1024; count += 1) reader.push(piece);
  expect(() => reader.push('a')).toThrow('line 1 has more than 16 MiB');
});
