// A login that was found on this host serves many live runs at once, and is neither written to nor
// refreshed by any, whichever way they get its token.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readCassette } from '../../lib/model/cassette.js';
import { serveReplay } from '../../lib/model/replay.mjs';
import type { Report } from '../../lib/report/document.js';
import { bundledTask } from '../../lib/task/bundled.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';
import { listening } from '../support/loopback.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const ACCESS = `sk-ant-oat01-${'access'.repeat(12)}-AA`;
const REFRESH = `sk-ant-ort01-${'refresh'.repeat(12)}-AA`;

/** A home with a login of half an hour, as the agent itself writes it. */
function loggedIn() {
  const home = temporaryFolder();
  mkdirSync(join(home, '.claude'));
  const path = join(home, '.claude/.credentials.json');
  const login = {
    accessToken: ACCESS,
    refreshToken: REFRESH,
    expiresAt: Date.now() + 30 * 60_000,
    scopes: ['user:inference'],
  };
  writeFileSync(path, JSON.stringify({ claudeAiOauth: login }), { mode: 0o600 });
  const looks = () => {
    const { ino, mode, mtimeMs, ctimeMs } = statSync(path);
    return {
      sha256: createHash('sha256').update(readFileSync(path)).digest('hex'),
      ino,
      mode,
      mtimeMs,
      ctimeMs,
    };
  };
  return { home, looks };
}

/** The API, which answers from the cassette of the task. */
async function api() {
  const cassette = readCassette(bundledTask('hello').cassette);
  const requests: { path: string; authorization: string | undefined }[] = [];
  const server = createServer((req, res) => {
    requests.push({
      path: (req.url ?? '').split('?')[0] ?? '',
      authorization: req.headers.authorization,
    });
    void serveReplay(req, res, cassette);
  });
  return { requests, url: `http://127.0.0.1:${await listening(server)}` };
}

/** Of three rows, one, two and four runs at once: 63 runs where there is time for them. */
const ROUNDS = process.env.CI ? 3 : 1;

test('many runs on every way, up to four at once, leave it byte for byte as it was; every request to the API carries it, and its end is told before', async () => {
  const place = standSomewhere();
  onTestFinished(place.close);
  const { home, looks } = loggedIn();
  const before = looks();
  const { requests, url } = await api();
  const options = [
    '--deliver',
    'all',
    '--model',
    'live',
    '--allow-host',
    '--runs',
    `${ROUNDS}`,
    '--warmup',
    '0',
    '--concurrency',
    '4',
  ];
  const args = ['run', 'host', ...options, '--json', '-'];
  const { stdout, stderr, exitCode } = await cagematch(ownHouse, args, {
    cwd: place.cwd,
    env: { HOME: home, CAGEMATCH_UPSTREAM: url },
  });
  expect(stderr).toMatch(/credentials\.json expires in (29|30) min/);
  expect(exitCode).toBe(0);
  const { runs, modes, warnings } = JSON.parse(stdout) as Omit<Report, 'runs'> & {
    runs: { outcome: { status: string } }[];
  };
  expect(modes.map(({ auth }) => auth)).toEqual(
    ['gateway', 'env', 'file'].map((path) => ({
      path,
      delivered: 'yes',
      header: 'authorization (oauth)',
    })),
  );
  expect(runs.length).toBe(21 * ROUNDS);
  expect(runs.filter(({ outcome }) => outcome.status !== 'passed')).toEqual([]);
  expect(warnings).toContainEqual(expect.objectContaining({ code: 'credential' }));
  expect(looks()).toEqual(before);
  expect(new Set(requests.map(({ authorization }) => authorization))).toEqual(
    new Set([`Bearer ${ACCESS}`]),
  );
  expect([...new Set(requests.map(({ path }) => path))]).toEqual(['/v1/messages']);
  for (const secret of [ACCESS, REFRESH]) expect(stdout + stderr).not.toContain(secret);
}, 300_000);
