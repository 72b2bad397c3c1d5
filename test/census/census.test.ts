// Whose is what is there after a run and was not before: ours by a mark, nobody's by none, and
// never another's.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Of, openAudit } from '../../lib/census/census.js';
import { machineAt } from '../../lib/census/machine.js';
import { foreignFiles, leftInWorkspace } from '../../lib/census/workspace.js';
import type { Mode, Thing } from '../../lib/contract.js';
import host from '../../modes/host.js';
import { modeContext } from '../support/mode-context.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const NAME = 'cagematch-m1-docker-1';
const ID = 'ab12'.repeat(16);
const OTHER = 'cd34'.repeat(16);
const OWNER = '4711:some-boot';
/** Looks again, and does not wait. */
const AT_ONCE = [0, 0];

/** A machine of a test's own: /proc, cgroups and temporary files as folders. */
function aMachine() {
  const root = temporaryFolder();
  const at = (...parts: string[]) => join(root, ...parts);
  for (const folder of ['proc/self/ns', 'proc/net', 'cgroup/pids', 'run/netns', 'tmp'])
    mkdirSync(at(folder), { recursive: true });
  const mountsOf = (pid: string, ns: string) =>
    symlinkSync(`mnt:[${ns}]`, at('proc', pid, 'ns/mnt'));
  mountsOf('self', '1');
  const mounts: string[] = [];
  writeFileSync(at('proc/self/mountinfo'), '');
  return {
    machine: machineAt({
      proc: at('proc'),
      cgroup: at('cgroup'),
      run: at('run'),
      tmp: () => at('tmp'),
    }),
    at,
    mount(point: string, type = 'overlay', from = '/') {
      mounts.push(`1 1 0:1 ${from} ${point} rw - ${type} ${type} rw`);
      writeFileSync(at('proc/self/mountinfo'), `${mounts.join('\n')}\n`);
    },
    process(
      pid: number,
      given: {
        env?: string;
        argv?: string;
        cwd?: string;
        cgroup?: string;
        ns?: string;
        sockets?: string[];
      } = {},
    ) {
      for (const folder of ['ns', 'fd'])
        mkdirSync(at('proc', `${pid}`, folder), { recursive: true });
      writeFileSync(at('proc', `${pid}`, 'cmdline'), given.argv ?? 'sleep\x001000\0');
      writeFileSync(at('proc', `${pid}`, 'environ'), given.env ?? '');
      writeFileSync(at('proc', `${pid}`, 'cgroup'), given.cgroup ?? '0::/\n');
      symlinkSync(given.cwd ?? '/', at('proc', `${pid}`, 'cwd'));
      for (const [index, inode] of (given.sockets ?? []).entries())
        symlinkSync(`socket:[${inode}]`, at('proc', `${pid}`, 'fd', `${index}`));
      mountsOf(`${pid}`, given.ns ?? '1');
    },
  };
}

type Machine = ReturnType<typeof aMachine>;

/** What is left of one run. `during`: what happens between the two censuses. */
async function left(
  during: (machine: Machine, things: Thing[]) => void,
  overrides: Partial<Of> = {},
  first: (machine: Machine, things: Thing[]) => void = () => {},
) {
  const made = aMachine();
  const things: Thing[] = [{ kind: 'container', id: 'elder', marks: ['elder'] }];
  const mode: Mode = {
    ...host,
    isolation: 'container',
    list: async () => [],
    census: async () => [...things],
  };
  const ctx = { ...modeContext('host'), labels: { match: 'm1', mode: 'host', owner: OWNER } };
  first(made, things);
  const audit = openAudit(() => made.machine, AT_ONCE);
  const before = await audit.before({ mode, ctx });
  audit.launching();
  during(made, things);
  const folder = made.at('tmp/cagematch-run-x');
  return audit.after(
    before,
    { mode, ctx },
    { name: NAME, id: ID, folder, alone: true, staysUp: false, ...overrides },
  );
}

const kinds = (found: Awaited<ReturnType<typeof left>>) =>
  'gap' in found ? found : found.map(({ kind }) => kind);
const thing = (kind: string, id: string, ...marks: string[]): Thing => ({ kind, id, marks });

describe('what bears our mark is left over:', () => {
  it.each<[string, (machine: Machine, things: Thing[]) => void, string[]]>([
    [
      'a container by its name',
      (_, things) => things.push(thing('container', NAME, NAME, ID)),
      ['container'],
    ],
    [
      'another container that bears the label of the match',
      (_, t) => t.push(thing('container', 'x', 'x', 'cagematch.match=m1')),
      ['container'],
    ],
    [
      'a network that is called after the sandbox',
      (_, t) => t.push(thing('network', `${NAME}-net`, `${NAME}-net`)),
      ['network'],
    ],
    [
      'a process with our label in its environment',
      (m) => m.process(50, { env: `CAGEMATCH_SANDBOX=${NAME}\0` }),
      ['process'],
    ],
    [
      'a process that works below the folder of the run',
      (m) => m.process(50, { cwd: m.at('tmp/cagematch-run-x/workspace') }),
      ['process'],
    ],
    [
      'a process in a cgroup of the container',
      (m) => m.process(50, { cgroup: `3:pids:/docker/${ID}\n`, ns: '9' }),
      ['process'],
    ],
    [
      'a mount below the folder of the run',
      (m) => m.mount(m.at('tmp/cagematch-run-x/workspace/m')),
      ['mount'],
    ],
    [
      'a mount by the id of the container',
      (m) => m.mount(`/var/lib/c/${ID}/shm`, 'tmpfs'),
      ['mount'],
    ],
    [
      'a cgroup by the id of the container',
      (m) => mkdirSync(m.at(`cgroup/pids/docker/${ID}`), { recursive: true }),
      ['cgroup'],
    ],
    [
      'a temporary folder of this harness',
      (m) => {
        mkdirSync(m.at('tmp/cagematch-leak-1'));
        writeFileSync(m.at('tmp/cagematch-leak-1/.owner'), OWNER);
      },
      ['folder'],
    ],
  ])('%s', async (_, during, expected) => {
    expect(kinds(await left(during))).toEqual(expected);
  });

  it('a port on which a process of the sandbox listens, by its address', async () => {
    const found = await left((made) => {
      made.process(50, { env: `CAGEMATCH_SANDBOX=${NAME}\0`, sockets: ['777'] });
      const line = (address: string, inode: number) =>
        `   0: ${address} 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 ${inode} 1\n`;
      writeFileSync(
        made.at('proc/net/tcp'),
        `head\n${line('0100007F:1F90', 777)}${line('0100007F:1F91', 778)}`,
      );
    });
    expect(found).toEqual([
      { kind: 'process', id: `${NAME} pid 50` },
      { kind: 'port', id: '127.0.0.1:8080' },
    ]);
  });
});

describe('what bears nobody’s mark is left over when nobody else was about:', () => {
  it.each<[string, (machine: Machine, things: Thing[]) => void, string]>([
    ['an anonymous volume', (_, things) => things.push(thing('volume', OTHER)), 'volume'],
    [
      'an image without a name',
      (_, things) => things.push(thing('image', `sha256:${OTHER}`)),
      'image',
    ],
    [
      'a network namespace',
      (m) => m.mount('/run/docker/netns/b510fb776cdb', 'nsfs', 'net:[1]'),
      'netns',
    ],
    ['a mount', (m) => m.mount(`/var/lib/c/overlay2/${OTHER}/merged`), 'mount'],
  ])('%s', async (_, during, kind) => {
    expect(kinds(await left(during))).toEqual([kind]);
    expect(kinds(await left(during, { alone: false })), 'in a wave').toEqual([]);
    const besides = (also: (machine: Machine, things: Thing[]) => void) =>
      left((made, things) => {
        during(made, things);
        also(made, things);
      });
    expect(
      kinds(await besides((_m, things) => things.push(thing('container', 'their', 'their')))),
      'a container came',
    ).toEqual([]);
    expect(kinds(await besides((_m, things) => things.shift())), 'a container went').toEqual([]);
    expect(
      kinds(await besides((made) => made.process(60, { ns: '9' }))),
      'a sandbox of another runtime',
    ).toEqual([]);
    const harness = (made: Machine) => made.process(61, { env: 'CAGEMATCH_OWNER=1:other-boot\0' });
    expect(kinds(await left(during, {}, harness)), 'another match').toEqual([]);
  });
});

describe('what is another’s is never ours:', () => {
  it.each<[string, (machine: Machine, things: Thing[]) => void]>([
    ['a container', (_, things) => things.push(thing('container', 'their', 'their', OTHER))],
    [
      'a container of another run with a longer number',
      (_, things) => things.push(thing('container', `${NAME}0`, `${NAME}0`, OTHER)),
    ],
    [
      'a container of another match',
      (_, things) => things.push(thing('container', 'x', 'x', 'cagematch.match=m12')),
    ],
    [
      'a volume with a name',
      (_, things) => things.push(thing('volume', 'their-data', 'their-data')),
    ],
    ['an image with a name', (_, things) => things.push(thing('image', 'their:1', 'their:1'))],
    ['a temporary folder', (m) => mkdirSync(m.at('tmp/their-folder'))],
    [
      'a temporary folder of another harness',
      (m) => {
        mkdirSync(m.at('tmp/cagematch-run-y'));
        writeFileSync(m.at('tmp/cagematch-run-y/.owner'), '4712:some-boot');
      },
    ],
    ['a process', (m) => m.process(50)],
    ['a mount with a name', (m) => m.mount('/media/usb')],
    ['a network namespace with a name', (m) => m.mount('/run/netns/theirs', 'nsfs', 'net:[1]')],
  ])('%s', async (_, during) => {
    expect(await left(during)).toEqual([]);
  });
});

it('what was there before the run is not left over by it', async () => {
  expect(
    await left(
      () => {},
      {},
      (_, things) =>
        things.push(thing('volume', OTHER), thing('network', 'x', 'cagematch.match=m1')),
    ),
  ).toEqual([]);
});

it('a sandbox that should be gone is left over although it was there before, and one that stays up is not', async () => {
  const idle = (_: Machine, things: Thing[]) =>
    void things.push(thing('container', NAME, NAME, ID));
  expect(kinds(await left(() => {}, { staysUp: true }, idle))).toEqual([]);
  expect(kinds(await left(() => {}, { staysUp: false }, idle))).toEqual(['container']);
});

it('what goes a moment later is not left over', async () => {
  let looks = 0;
  const mode: Mode = {
    ...host,
    async census() {
      looks += 1;
      return looks === 2 ? [thing('container', NAME, NAME)] : [];
    },
  };
  const ctx = modeContext('host');
  const audit = openAudit(() => aMachine().machine, AT_ONCE);
  const before = await audit.before({ mode, ctx });
  audit.launching();
  expect(
    await audit.after(before, { mode, ctx }, { name: NAME, alone: true, staysUp: false }),
  ).toEqual([]);
  expect(looks).toBe(3);
});

it('a census after a run serves as the one before the next of the same row, until something is launched', async () => {
  let calls = 0;
  const mode: Mode = {
    ...host,
    async census() {
      calls += 1;
      return [thing('volume', `${calls}`, 'named')];
    },
  };
  const ctx = modeContext('host');
  const audit = openAudit(() => aMachine().machine, AT_ONCE);
  const run = async () => {
    const before = await audit.before({ mode, ctx });
    audit.launching();
    await audit.after(before, { mode, ctx }, { name: NAME, alone: true, staysUp: false });
  };
  await run();
  await run();
  expect(calls).toBe(3);
  await audit.before({ mode: { ...mode, id: 'other' }, ctx });
  expect(calls).toBe(4);
});

describe('what could not be looked at is a gap, never none:', () => {
  const looked = async (mode: Mode, machine: Machine | undefined) => {
    const ctx = modeContext('host');
    const audit = openAudit(() => machine?.machine, AT_ONCE);
    const before = await audit.before({ mode, ctx });
    return audit.after(before, { mode, ctx }, { name: NAME, alone: true, staysUp: false });
  };
  const broken = () => Promise.reject(new Error('no daemon'));

  it('a runtime that does not answer', async () => {
    expect(await looked({ ...host, census: broken }, aMachine())).toEqual({ gap: 'not-reported' });
    expect(await looked({ ...host, list: broken }, aMachine())).toEqual({ gap: 'not-reported' });
  });

  it('a machine that does not tell', async () => {
    expect(await looked({ ...host, census: async () => [] }, undefined)).toEqual({
      gap: 'platform',
    });
    expect(
      await looked({ ...host, elsewhere: true, list: async () => [] }, undefined),
      'nothing of it is here',
    ).toEqual([]);
  });
});

describe('a workspace', () => {
  it('names files that belong neither to the user inside nor to the caller, and follows no link', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'workspace/deep'), { recursive: true });
    writeFileSync(join(folder, 'workspace/deep/file'), '');
    symlinkSync('/', join(folder, 'workspace/link'));
    const me = process.getuid?.() ?? 0;
    expect(foreignFiles(join(folder, 'workspace'), [me])).toEqual([]);
    expect(
      foreignFiles(join(folder, 'workspace'), [me + 1])
        .map(({ id }) => id)
        .toSorted(),
    ).toEqual(['deep', 'deep/file', 'link'].map((path) => `${path} (uid ${me})`));
  });

  it('names a few of many, and says how many more there are', () => {
    const folder = temporaryFolder();
    for (let index = 0; index < 25; index += 1) writeFileSync(join(folder, `${index}`), '');
    const found = foreignFiles(folder, [-1]);
    expect(found).toHaveLength(11);
    expect(found.at(-1)).toEqual({ kind: 'foreign-file', id: 'and 15 more' });
  });
});

it('the credential in a workspace is a leftover, told with its place and shape', () => {
  const folder = temporaryFolder();
  const secret = 'sk-ant-oat01-0123456789abcdefghijklmnopqrstuvwxyz';
  mkdirSync(join(folder, 'logs'));
  writeFileSync(join(folder, 'logs/curl.txt'), `x-api-key: ${secret}`);
  writeFileSync(join(folder, 'auth.b64'), Buffer.from(`user:${secret}`).toString('base64'));
  writeFileSync(join(folder, 'plain.txt'), 'sk-ant-oat01-');
  const me = process.getuid?.();
  expect(
    leftInWorkspace(folder, [me], secret).toSorted((a, b) => a.id.localeCompare(b.id)),
  ).toEqual([
    { kind: 'credential', id: 'auth.b64 (base64)' },
    { kind: 'credential', id: 'logs/curl.txt (raw)' },
  ]);
  expect(leftInWorkspace(folder, [me], 'sk-ant-oat01-another-one-altogether')).toEqual([]);
});
