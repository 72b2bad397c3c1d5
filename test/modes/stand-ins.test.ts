// Stand-ins refuse what the real command lines refuse, with the same exit code: asked of both,
// wherever the real one answers.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { capture } from '../../lib/os/capture.js';
import { machineEnv } from '../support/machine-env.js';
import { openStandIn, type StandIn } from '../support/stand-ins/stand-in.js';

const NOT_THERE = 'cagematch-no-such-thing';

/** What is asked, and the code that the real one was seen to exit with. */
const CASES: Record<string, { asks: string[]; cases: [number, ...string[]][] }> = {
  docker: {
    asks: ['info', '--format', '{{.ServerVersion}}'],
    cases: [
      [125, 'run', '--no-such-flag', 'image'],
      [125, 'run', '--rm', '--pull', 'never', NOT_THERE],
      [125, 'run', '--rm', '--pull', 'sometimes', NOT_THERE],
      [125, 'run', '--rm', '--memory', '4q', NOT_THERE],
      [1, 'no-such-command'],
      [1, 'exec', NOT_THERE, 'true'],
      [1, 'image', 'inspect', NOT_THERE],
      [1, 'inspect', '--type', 'container', NOT_THERE],
      [1, 'network', 'inspect', NOT_THERE],
      [1, 'ps', '--filter', 'no-such-filter=1'],
      [0, 'rm', '--force', NOT_THERE],
      [1, 'rm', NOT_THERE],
      [0, 'ps', '--all', '--quiet', '--filter', `name=^${NOT_THERE}$`],
    ],
  },
  podman: {
    asks: ['info', '--format', 'json'],
    cases: [
      [125, 'run', '--no-such-flag', 'image'],
      [125, 'run', '--rm', '--pull', 'never', NOT_THERE],
      [125, 'no-such-command'],
      [125, 'exec', NOT_THERE, 'true'],
      [125, 'image', 'inspect', NOT_THERE],
      [125, 'inspect', '--type', 'container', NOT_THERE],
      [125, 'network', 'inspect', NOT_THERE],
      [125, 'ps', '--filter', 'no-such-filter=1'],
      [0, 'rm', '--force', NOT_THERE],
      [0, 'ps', '--all', '--quiet', '--filter', `name=^${NOT_THERE}$`],
    ],
  },
  incus: {
    asks: ['query', '/1.0'],
    cases: [
      [1, 'no-such-command'],
      [1, 'launch', '--no-such-flag', 'image'],
      [1, 'launch', NOT_THERE, `${NOT_THERE}-instance`],
      [1, 'query', `/1.0/instances/${NOT_THERE}`],
      [1, 'exec', NOT_THERE, '--', 'true'],
      [1, 'image', 'info', NOT_THERE],
      [1, 'image', 'delete', NOT_THERE],
      [1, 'stop', '--force', NOT_THERE],
      [1, 'publish', NOT_THERE, '--alias', NOT_THERE],
      [1, 'delete', '--force', NOT_THERE],
      [1, 'file', 'push', '/no/such/file', `${NOT_THERE}/tmp/file`],
    ],
  },
  kubectl: {
    // No cluster is asked.
    asks: ['version', '--client', '--output=json'],
    cases: [
      [1, 'no-such-command'],
      [1, 'exec', '--no-such-flag', NOT_THERE],
      [1, `--context=${NOT_THERE}`, 'get', 'pods'],
      [
        1,
        `--context=${NOT_THERE}`,
        'delete',
        'jobs,pods',
        '--selector=a=b',
        '--ignore-not-found',
        '--wait',
        '--timeout=1s',
      ],
      [0, 'config', 'get-contexts', '--output=name'],
    ],
  },
};

const real = machineEnv;

describe.each(Object.entries(CASES))('%s', async (program, { asks, cases }) => {
  const answers = await capture([program, ...asks], { env: real, timeoutMs: 5000, cwd: '/' });
  const isReal =
    answers.end.type === 'exit' && answers.end.code === 0 && answers.stdout.trim() !== '';
  let standIn: StandIn;
  beforeAll(async () => {
    standIn = await openStandIn(program);
  });
  afterAll(() => standIn.close());

  describe.each(['stand-in', 'real'])('%s', (which) => {
    test.skipIf(which === 'real' && !isReal).each(cases)(
      'exits %i: %s %s %s %s %s',
      async (code, ...args) => {
        const env = which === 'real' ? real : standIn.env;
        const result = await capture([program, ...args], {
          env,
          timeoutMs: 20_000,
          cwd: '/',
          input: '',
        });
        expect(result.end).toEqual({ type: 'exit', code });
        if (code !== 0) expect(result.stderr.trim()).not.toBe('');
      },
    );
  });
});
