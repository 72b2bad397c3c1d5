// A runtime whose machine holds one process only, through the whole command line: what needs exec
// is refused with its cause, the rest runs.
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ProbeDocument } from '../../lib/report/probe/document.js';
import { fakeCommands, printing } from '../support/fake-commands.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';
import { standIn } from '../support/stand-ins/podman.js';
import type { StandIn } from '../support/stand-ins/stand-in.js';

/** A stand-in isolates by nothing, so that any runtime that it is told to use is as good. */
const PODMAN = `[ "$1" = --runtime ] && { echo "$2" >> "$CAGEMATCH_STAND_IN_STATE/told"; shift 2; }
exec ${fileURLToPath(new URL('../support/stand-ins/bin/podman', import.meta.url))} "$@"`;

const place = standSomewhere();
let podman: StandIn;
beforeAll(async () => {
  podman = await standIn();
});
afterAll(async () => {
  await podman.close();
  place.close();
});

function run(...args: string[]) {
  const PATH = [
    fakeCommands({ podman: PODMAN, krun: printing({ stdout: 'krun version 1.15' }) }),
    podman.env.PATH,
  ].join(delimiter);
  return cagematch(ownHouse, args, { cwd: place.cwd, env: { ...podman.env, PATH } });
}

/** Its virtual machine needs a device of this machine, whoever plays the runtime. */
const hasDevice = existsSync('/dev/kvm');

test('warm, it has no row, and the reason is told', async () => {
  const { exitCode, stderr } = await run(
    'run',
    'podman:krun',
    '--state',
    'warm',
    '--model',
    'replay',
  );
  expect(exitCode).toBe(3);
  expect(stderr).toContain(
    "podman:krun: what is exec'd in a sandbox of it that idles runs outside of its walls",
  );
  expect(stderr).toContain('--state prepared');
});

test.skipIf(!hasDevice)('prepared, it runs the task as the container’s first process', async () => {
  const { exitCode, stdout, stderr } = await run(
    'run',
    'podman:krun',
    '--runs',
    '1',
    '--model',
    'replay',
  );
  expect(exitCode, stderr).toBe(0);
  expect(stdout).toMatch(/^A podman:krun \(stand-in\) +microvm +\d.* 1\/1 /m);
  expect(readFileSync(join(podman.env.CAGEMATCH_STAND_IN_STATE ?? '', 'told'), 'utf8')).toMatch(
    /^(krun\n)+$/,
  );
});

test.skipIf(!hasDevice)(
  'what a probe tries by exec breaks off with the cause, and is never told as if it had been inside',
  async () => {
    const { stdout } = await run(
      'probe',
      'podman:krun',
      '--only',
      'walls,tax',
      '--rounds',
      '1',
      '--json',
      '-',
    );
    const document = JSON.parse(stdout) as ProbeDocument;
    const reason =
      "krun runs a container's first process in its machine, and what is exec'd beside it";
    expect(document.brokeOff).toMatchObject(
      ['walls', 'tax'].map((what) => ({ entry: 'podman:krun', what, reason })),
    );
    expect(document.walls['podman:krun'] ?? []).toEqual([]);
    expect(
      (document.tax['podman:krun'] ?? []).filter((measurement) => !('gap' in measurement)),
    ).toEqual([]);
  },
);
