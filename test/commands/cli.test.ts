// The whole command line through the built binary, on a machine that has no runtime but itself.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { identifier, thisPlace } from '../../lib/os/harness-id.js';
import { reportSchema } from '../../lib/report/document.js';
import { parseEvents } from '../../lib/report/report.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';

let place: ReturnType<typeof standSomewhere>;
beforeEach(() => {
  place = standSomewhere();
});
afterEach(() => place.close());

/** Node, a shell and the usual small programs; no docker, podman, incus, sbx, fly, bwrap. */
function barePath(): string {
  const folder = join(place.cwd, 'bin');
  mkdirSync(folder, { recursive: true });
  for (const program of [
    'sh',
    'env',
    'cat',
    'ls',
    'uname',
    'ps',
    'git',
    'bash',
    'rg',
    'sleep',
    'true',
  ]) {
    const real = ['/usr/bin', '/bin'].map((folder) => join(folder, program)).find(existsSync);
    if (real) link(join(folder, program), real);
  }
  return [
    folder,
    dirname(process.execPath).startsWith('/usr') ? nodeOnly() : dirname(process.execPath),
  ].join(delimiter);
}

/** A Node that lies among the machine's own programs is taken out from among them. */
function nodeOnly(): string {
  const folder = join(place.cwd, 'node');
  mkdirSync(folder, { recursive: true });
  link(join(folder, 'node'), process.execPath);
  return folder;
}

function link(path: string, real: string): void {
  if (existsSync(path)) return;
  writeFileSync(path, `#!/bin/sh\nexec ${real} "$@"\n`);
  chmodSync(path, 0o755);
}

const run = (args: string[], env: Record<string, string> = {}) =>
  cagematch(ownHouse, args, { cwd: place.cwd, env: { PATH: barePath(), ...env } });

describe('npm start on a bare machine', () => {
  it('runs the agent on the host, shows one table of 100 columns without escape codes, and says why every other runtime is absent', async () => {
    const { exitCode, stdout, stderr } = await run(['run', '--runs', '1']);
    expect(stderr).toContain('model replay (no credential was given)');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/- host\s+none\s+\d+\s+1\.00\s+1\/1\s+live\s+gateway\s+none/);
    for (const mode of ['native', 'docker', 'podman', 'incus'])
      expect(stdout).toMatch(new RegExp(`^ {2}\\S ${mode}: .+\\n {6}→ .+`, 'm'));
    const lines = stdout.split('\n');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: an escape is what must not be there
    expect(stdout + stderr).not.toMatch(/\u001b/);
  });

  it('leaves a record that reports again, the same, and nothing in the temporary folder', async () => {
    const tmp = join(place.cwd, 'tmp');
    mkdirSync(tmp);
    const { stdout, exitCode } = await run(['run', '--runs', '2', '--seed', '9'], { TMPDIR: tmp });
    expect(exitCode).toBe(0);
    expect(readdirSync(tmp)).toEqual([]);
    const [match = ''] = readdirSync(join(place.cwd, 'results'));
    const events = parseEvents(
      readFileSync(join(place.cwd, 'results', match, 'events.jsonl'), 'utf8'),
    );
    expect(events[0]).toMatchObject({ type: 'match-started', match, seed: 9, runs: 2 });
    expect(events.at(-1)).toMatchObject({ type: 'match-ended', how: 'done' });
    for (const args of [['report'], ['report', match]]) {
      const again = await run(args);
      expect(again.exitCode).toBe(0);
      expect(stdout.trim()).toBe(again.stdout.trim());
    }
  });

  it('is quiet where nobody watches: what is not published, and how it would be, stands before the way to the page', async () => {
    const page = '# Mine\n<!-- cagematch:match -->\nold\n<!-- /cagematch:match -->\nkept\n';
    writeFileSync(join(place.cwd, 'RESULTS.md'), page);
    const { stderr } = await run(['run', 'host', '--runs', '1', '--warmup', '0']);
    const [match = ''] = readdirSync(join(place.cwd, 'results'));
    expect(stderr.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^match /),
      'round 1 of 1: 1 of 1 runs passed so far',
      'not published: host has 1 runs that count, and a published row has at least 6; --publish writes RESULTS.md',
      `record: results/${match}; cagematch report ${match} --format html > page.html`,
    ]);
    expect(readFileSync(join(place.cwd, 'RESULTS.md'), 'utf8')).toBe(page);
  });

  it('names a record that lies elsewhere as a shell takes it', async () => {
    const { stderr } = await run(['run', 'host', '--runs', '1', '--out', "my matches'"]);
    const [match = ''] = readdirSync(join(place.cwd, "my matches'"));
    expect(stderr).toContain(
      `; cagematch report 'my matches'\\''/${match}' --format html > page.html\n`,
    );
  });

  it('prints nothing but the report on stdout with --json -', async () => {
    const { stdout, stderr, exitCode } = await run(['run', 'host', '--runs', '1', '--json', '-']);
    expect(exitCode).toBe(0);
    const report = reportSchema.parse(JSON.parse(stdout));
    expect(report.modes.map((mode) => [mode.entry, mode.passed, mode.n])).toEqual([['host', 1, 1]]);
    expect(report.runs[0]).toMatchObject({
      auth: { path: 'gateway', delivered: 'yes', header: 'authorization (oauth)' },
      sync: { in: 'yes', out: 'yes', live: 'yes' },
      leftovers: [],
    });
    expect(stderr).toContain('- host');
  });
});

describe('bad input gets one clear line, a hint, exit 2, and loses nothing', () => {
  it.each([
    [['run', 'dcker'], /✖ unknown mode: dcker\nhint: did you mean docker\?/],
    [['run', '--rnus', '3'], /✖ unknown option of run: rnus\nhint: did you mean --runs\?/],
    [['rnu'], /✖ unknown command: rnu\nhint: did you mean run\?/],
    [['run', '--runs', '0'], /✖ --runs takes a whole number from 1 to 1000/],
    [['run', '--runs', 'many'], /✖ --runs takes a whole number from 1 to 1000/],
    [['run', '--runs', 'Auto'], /✖ --runs takes a whole number from 1 to 1000, or auto\nhint: /],
    [
      ['run', '--runs', '3', '--runs', '4'],
      /✖ --runs takes a whole number from 1 to 1000, or auto/,
    ],
    [['run', '--concurrency', '65'], /✖ --concurrency takes a whole number from 1 to 64\nhint: /],
    [['run', '--concurrency', '0'], /✖ --concurrency takes a whole number from 1 to 64/],
    [
      ['run', '--concurrency', '2', '--state', 'cold'],
      /✖ runs in the state cold cannot be at once: .*\nhint: --concurrency 1/,
    ],
    [['run', '--state', 'hot'], /✖ .*state.*hot.*prepared.*warm.*cold/],
    [['run', '--state', 'warm', '--state', 'cold'], /✖ --state is given more than once/],
    [['run', 'docker@'], /✖ docker@: there is no label after the @\nhint: docker@a/],
    [
      ['run', '--require', 'docker@a_b'],
      /✖ docker@a_b: a label is made of letters, digits and dashes\nhint: docker@a/,
    ],
    [['run', '-f', 'nosuch.yaml'], /✖ there is no match file nosuch\.yaml\nhint: /],
    [['run', '--file'], /✖ Not enough arguments following: file/],
    [['run', '--model', 'gpt'], /✖ .*model.*gpt.*auto/],
    [['run', '--timeout'], /✖ Not enough arguments following: timeout/],
    [
      ['run', 'host', '--target', 'm2'],
      /✖ --target m2 names a machine of a runtime, and no named mode has any .*\nhint: cagematch run incus --target m2/,
    ],
    [
      ['run', '--target', 'm2'],
      /✖ --target m2 names a machine of a runtime, and no mode is named\nhint: cagematch run incus/,
    ],
    [
      ['run', '--auth', 'plan', '--model', 'replay'],
      /✖ --auth says whose credential a live run uses, .*\nhint: leave out one/,
    ],
    [['run', '--model', 'live', '--auth', 'me'], /✖ .*auth.*me.*plan/],
    [
      ['run', '--model', 'live'],
      /✖ no credential was found in .*\nhint: set CLAUDE_CODE_OAUTH_TOKEN/,
    ],
    [['report', 'nosuch'], /✖ no record of a match or probe nosuch\nhint: cagematch run/],
    [['build', 'hots'], /✖ unknown mode: hots\nhint: did you mean host\?/],
    [['token', 'push', 'host'], /✖|no credential/],
    [[], /✖ name a command\nhint: cagematch --help/],
  ])('%j', async (args, message) => {
    const { exitCode, stdout, stderr } = await run(args);
    expect(stderr).toMatch(message);
    if (args[0] !== 'token') expect(exitCode).toBe(2);
    expect(stdout).toBe('');
    expect(existsSync(join(place.cwd, 'results'))).toBe(false);
  });

  it('a broken .env is named by its line, which is not shown', async () => {
    writeFileSync(join(place.cwd, '.env'), 'FINE=1\nsk-ant-secret-on-a-line-of-its-own\n');
    const { exitCode, stderr } = await run(['run', 'host']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('✖ .env line 2 is not NAME=value');
    expect(stderr).not.toContain('sk-ant');
  });

  it('an output folder that cannot be written ends it before the first launch', async () => {
    writeFileSync(join(place.cwd, 'taken'), '');
    const { exitCode, stderr } = await run(['run', 'host', '--out', 'taken']);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(
      /✖ the output folder .*taken.* cannot be written \(ENOTDIR\)\nhint: name another with --out DIR/,
    );
    expect(stderr).not.toContain('passed');
  });

  it('so does a file for the report', async () => {
    const { exitCode, stderr } = await run(['run', 'host', '--json', 'no/such/folder/out.json']);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(
      /✖ .*out\.json cannot be written \(ENOENT\)\nhint: name another with --json FILE/,
    );
    expect(stderr).not.toContain('passed');
  });

  it.each([
    ['run', 'host'],
    ['probe', 'host', '--only', 'walls'],
  ])('so does a temporary folder: %s %s', async (...args) => {
    const { exitCode, stderr } = await run(args, { TMPDIR: '/nonexistent/tmp' });
    expect(exitCode).toBe(2);
    expect(stderr).toBe(
      '✖ the temporary folder /nonexistent/tmp cannot be written (ENOENT)\nhint: free space, or set TMPDIR to another\n',
    );
  });

  it('a gateway port that is taken fails the row, names the port, and says how to be rid of it', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const { exitCode, stdout } = await run(['run', 'host', '--runs', '1'], {
      CAGEMATCH_GATEWAY_PORT: String(port),
    });
    server.close();
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(new RegExp(`port ${port} of 127\\.0\\.0\\.1 is taken`));
    expect(stdout).toContain('hint: unset CAGEMATCH_GATEWAY_PORT');
  });
});

describe('a match file', () => {
  const write = (text: string) => writeFileSync(join(place.cwd, 'match.yaml'), text);

  it('gives rows and settings; a flag that is typed wins, one that is not does not', async () => {
    write(
      'runs: 2\nwarmup: 1\nseed: 7\nmodel: replay\nconcurrency: 3\nmodes: [host@a, {mode: host, label: b, state: warm}]\n',
    );
    const { stdout, exitCode, stderr } = await run([
      'run',
      '-f',
      'match.yaml',
      '--dry-run',
      '--runs',
      '1',
      '--require',
      'host',
    ]);
    expect(stderr).toBe('');
    expect(exitCode).toBe(0);
    const [seed, first, second, open, model, levels, warmup, round, ...rest] = stdout
      .trimEnd()
      .split('\n');
    expect(seed).toBe('seed 7');
    expect(first).toMatch(/^row host@a +none +prepared +hello +\(required\)$/);
    expect(second).toMatch(/^row host@b +none +warm +hello +\(required\)$/);
    expect(open).toMatch(/^no isolation: host@a host@b; /);
    expect(model).toBe('model replay: --model replay');
    expect(levels).toMatch(/^levels.*: 1 2 3$/);
    const turns = (line = '') =>
      line
        .replace(/^[a-z-]+ 1: /, '')
        .split(' ')
        .sort();
    expect([warmup?.slice(0, 10), round?.slice(0, 8)]).toEqual(['warm-up 1:', 'round 1:']);
    for (const line of [warmup, round])
      expect(turns(line)).toEqual([
        'host@a',
        'host@a*2',
        'host@a*3',
        'host@b',
        'host@b*2',
        'host@b*3',
      ]);
    expect(rest).toEqual([]);
    expect(existsSync(join(place.cwd, 'results'))).toBe(false);
  });

  it('that says `runs: auto` goes on to 50 rounds at most', async () => {
    write('runs: auto\nmodes: [host]\n');
    const { stdout } = await run(['run', '-f', 'match.yaml', '--dry-run']);
    expect(stdout).toContain('rounds until every interval is within 5 %, at most 50');
    expect(stdout.match(/^round \d+: host$/gm)).toHaveLength(50);
  });

  it('enters every row once for each --task', async () => {
    const { stdout } = await run([
      'run',
      'host',
      '--task',
      'hello',
      '--task',
      'refactor',
      '--dry-run',
    ]);
    expect(stdout).toMatch(/^row host@hello +none +prepared +hello$/m);
    expect(stdout).toMatch(/^row host@refactor +none +prepared +refactor$/m);
  });

  it('shows the options of its rows with --dry-run', async () => {
    const bin = join(place.cwd, 'bin');
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, 'docker'), '#!/bin/sh\necho \'{"ServerVersion":"1.0"}\'\n', {
      mode: 0o755,
    });
    write('modes: [{mode: docker, label: a, network: host, tmpfs: true, cpus: 1.5, memory: 2g}]\n');
    const { stdout } = await run(['run', '-f', 'match.yaml', '--dry-run']);
    expect(stdout).toMatch(
      /^row docker@a container prepared hello network host, tmpfs yes, cpus 1\.5, memory 2048 MiB$/m,
    );
  });

  it('shows on which machine a row is to be, as --target says it for rows that say nothing of their own', async () => {
    const bin = join(place.cwd, 'bin');
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, 'incus'), `#!/bin/sh\necho '{"auth":"trusted"}'\n`, { mode: 0o755 });
    write('modes: [host, {mode: incus, label: a}, {mode: incus, label: b, target: m1}]\n');
    const { stdout } = await run(['run', '-f', 'match.yaml', '--target', 'm2', '--dry-run']);
    expect(stdout).toMatch(
      /^row host +none +prepared hello\nrow incus@a \S+ prepared hello on m2\nrow incus@b \S+ prepared hello on m1$/m,
    );
  });

  it('may leave the rows to the command line, but not name them beside it', async () => {
    write('seed: 7\n');
    expect((await run(['run', 'host', '-f', 'match.yaml', '--dry-run'])).stdout).toMatch(
      /^seed 7\nrow host /,
    );
    write('modes: [host@a]\n');
    const { stderr, exitCode } = await run(['run', 'host', '-f', 'match.yaml']);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/^✖ rows are named twice: host here, and modes in match\.yaml\nhint: /);
  });

  it('with a mistake is bad input that names file, place and key', async () => {
    write('modes: [host, {mode: docker, netwrok: host}]\n');
    const { stderr, exitCode } = await run(['run', '-f', 'match.yaml']);
    expect(exitCode).toBe(2);
    expect(stderr).toBe(
      '✖ match.yaml: modes[1]: unknown key netwrok\nhint: did you mean network?\n',
    );
  });
});

describe('rows under labels', () => {
  it('are run and reported each on its own, and the record tells what they are', async () => {
    const { stdout, exitCode } = await run([
      'run',
      'host@a',
      'host@B',
      '--runs',
      '1',
      '--require',
      'host',
      '--json',
      '-',
    ]);
    expect(exitCode).toBe(0);
    const report = reportSchema.parse(JSON.parse(stdout));
    expect(
      report.modes.map(({ entry, mode, label, required, passed }) => [
        entry,
        mode,
        label,
        required,
        passed,
      ]),
    ).toEqual([
      ['host@a', 'host', 'a', true, 1],
      ['host@B', 'host', 'B', true, 1],
    ]);
    expect(report.match).toMatchObject({
      state: 'prepared',
      until: 'count',
      concurrency: 1,
      runs: 1,
    });
  });
});

describe('a runtime that is required and not ready', () => {
  it('ends it with exit 3, its reason and its hint, before anything is run', async () => {
    const { exitCode, stderr, stdout } = await run(['run', '--require', 'host,docker']);
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/✖ required but not ready: docker: no docker command on PATH\nhint: /);
    expect(stdout).toBe('');
    expect(existsSync(join(place.cwd, 'results'))).toBe(false);
  });

  it('is exit 3 too when it is all that was named', async () => {
    const { exitCode, stderr } = await run(['run', 'podman']);
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/✖ nothing to run: podman: no podman command on PATH/);
  });
});

describe('detect', () => {
  it('--json tells of every mode, and nothing else', async () => {
    const { stdout, exitCode } = await run(['detect', '--json']);
    expect(exitCode).toBe(0);
    const rows = JSON.parse(stdout) as {
      mode: string;
      letter: string;
      detection: { status: string; reason?: string; hint?: string };
    }[];
    expect(rows.map((row) => row.mode).sort()).toEqual(
      readdirSync('modes')
        .flatMap((file) => /^(.+)\.ts$/.exec(file)?.[1] ?? [])
        .sort(),
    );
    expect(rows.find((row) => row.mode === 'host')?.detection.status).toBe('ready');
    for (const { detection } of rows)
      if (detection.status !== 'ready')
        expect([detection.reason, detection.hint]).toEqual([
          expect.stringMatching(/^[^\n]+$/),
          expect.stringMatching(/^[^\n]+$/),
        ]);
  });
});

describe('doctor', () => {
  it('is content with a bare machine, and tells how to get more', async () => {
    const { stdout, exitCode } = await run(['doctor']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/✓ host: /);
    expect(stdout).toMatch(/✗ docker: no docker command on PATH\n {4}→ /);
  });
});

describe('token', () => {
  const secret = 'sk-ant-oat01-abcdefghijklmnopqrstuvwxyz0123456789';

  it('show prints source, expiry, plan and scopes, and masks the secret', async () => {
    const home = join(place.cwd, 'home');
    mkdirSync(join(home, '.claude'), { recursive: true });
    const blob = {
      claudeAiOauth: {
        accessToken: secret,
        refreshToken: 'no',
        expiresAt: Date.parse('2020-01-01T00:00:00Z'),
        scopes: ['user:inference'],
        subscriptionType: 'max',
      },
    };
    writeFileSync(join(home, '.claude/.credentials.json'), JSON.stringify(blob));
    const { stdout, stderr, exitCode } = await run(['token', 'show'], { HOME: home });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/plan\s+max\nscopes\s+user:inference/);
    expect(stdout).toMatch(/expires\s+2020-01-01T00:00:00.000Z \(EXPIRED \d+ days ago\)/);
    expect(stdout + stderr).not.toContain(secret);
  });

  it('--token-only is for a pipe: the secret and nothing else', async () => {
    const { stdout } = await run(['token', 'show', '--token-only'], {
      CLAUDE_CODE_OAUTH_TOKEN: secret,
    });
    expect(stdout).toBe(`${secret}\n`);
  });

  it('a login that was merely found does not make a match live; the line names the flag that would', async () => {
    const home = join(place.cwd, 'home');
    mkdirSync(join(home, '.claude'), { recursive: true });
    writeFileSync(
      join(home, '.claude/.credentials.json'),
      JSON.stringify({ claudeAiOauth: { accessToken: secret } }),
    );
    const { stderr, exitCode } = await run(['run', 'host', '--runs', '1'], { HOME: home });
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/model replay \(a login was found in .*; --model live would use it\)/);
  });

  it('show tells what else is there, what beats the plan, and of GitHub; no secret of it', async () => {
    const env = {
      CLAUDE_CODE_OAUTH_TOKEN: secret,
      ANTHROPIC_API_KEY: `sk-ant-api03-${'k'.repeat(40)}`,
      GH_TOKEN: `ghp_${'g'.repeat(40)}`,
    };
    const { stdout, exitCode } = await run(['token', 'show'], env);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(
      /^kind {5}API key \(billed by use\)\nfrom {5}environment: ANTHROPIC_API_KEY\n/,
    );
    expect(stdout).toMatch(/^also {5}CLAUDE_CODE_OAUTH_TOKEN: OAuth token \(subscription\)$/m);
    expect(stdout).toMatch(/^github {3}ghp_ggggggggg….* \(GH_TOKEN\)$/m);
    expect(stdout).toMatch(
      /^! ANTHROPIC_API_KEY would win over the plan's token in CLAUDE_CODE_OAUTH_TOKEN, and bill the API\n {2}→ .*--auth plan/m,
    );
    const json = await run(['token', 'show', '--json'], env);
    expect(JSON.parse(json.stdout)).toMatchObject({
      found: true,
      kind: 'api-key',
      payer: 'api',
      others: [{ where: 'CLAUDE_CODE_OAUTH_TOKEN', payer: 'plan' }],
      warnings: [{ hint: expect.stringContaining('--auth') }],
      github: { where: 'GH_TOKEN' },
    });
    for (const value of Object.values(env)) expect(stdout + json.stdout).not.toContain(value);
  });

  it('where a key would beat the plan, nothing is handed out and nothing goes live until --auth says which', async () => {
    const env = { CLAUDE_CODE_OAUTH_TOKEN: secret, ANTHROPIC_API_KEY: 'sk-key' };
    const refused =
      /✖ ANTHROPIC_API_KEY would win over the plan's token .*\nhint: --auth plan, or --auth api-key\n/;
    for (const args of [
      ['token', 'show', '--export'],
      ['run', 'host', '--model', 'live'],
    ]) {
      const { stdout, stderr, exitCode } = await run(args, env);
      expect([exitCode, stdout]).toEqual([2, '']);
      expect(stderr).toMatch(refused);
    }
    expect((await run(['token', 'show', '--token-only', '--auth', 'plan'], env)).stdout).toBe(
      `${secret}\n`,
    );
    expect((await run(['token', 'show', '--export', '--auth', 'api-key'], env)).stdout).toBe(
      "export ANTHROPIC_API_KEY='sk-key'\n",
    );
    const auto = await run(['run', 'host', '--runs', '1'], env);
    expect(auto.exitCode).toBe(0);
    expect(auto.stderr).toMatch(
      /model replay \(ANTHROPIC_API_KEY would win over .*--auth plan or --auth api-key goes live\)/,
    );
  });

  it('a credential given on purpose makes it live, and then the host needs --allow-host', async () => {
    const { stderr, exitCode } = await run(['run', 'host'], { CLAUDE_CODE_OAUTH_TOKEN: secret });
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/no walls at all\nhint: --allow-host/);
    expect(stderr).not.toContain(secret);
  });
});

describe('clean', () => {
  it('says so when nothing of ours is left', async () => {
    const { stdout, exitCode } = await run(['clean', 'host', '--dry-run']);
    expect(exitCode).toBe(0);
    expect(stdout).toBe('nothing of ours is left\n');
  });

  it('shows what a dead match left with --dry-run, and removes it without', async () => {
    const tmp = join(place.cwd, 'tmp');
    const left = join(tmp, 'cagematch-run-abc');
    mkdirSync(left, { recursive: true });
    writeFileSync(
      join(left, '.owner'),
      identifier(999_999, { ...thisPlace(), boot: 'another-boot' }),
    );
    const shown = await run(['clean', '--dry-run'], { TMPDIR: tmp });
    expect(shown.stdout).toContain(`would remove folder ${left}`);
    expect(existsSync(left)).toBe(true);
    const removed = await run(['clean'], { TMPDIR: tmp });
    expect(removed.stdout).toContain(`removed folder ${left}`);
    expect(existsSync(left)).toBe(false);
  });
});

it('--help names every command and every mode', async () => {
  const { stdout, exitCode } = await run(['--help']);
  expect(exitCode).toBe(0);
  for (const word of [
    'run',
    'detect',
    'doctor',
    'token',
    'build',
    'report',
    'clean',
    ...readdirSync('modes').map((file) => file.replace('.ts', '')),
  ])
    expect(stdout).toContain(word);
});
