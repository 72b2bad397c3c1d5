// Who made something, and whether that harness has ended; and the folders of those that have.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { identifier, type Place, stateOf, thisPlace } from '../../lib/os/harness-id.js';
import { leftFolders, makeFolder, removeFolder, thisOwner } from '../../lib/os/owner.js';
import { leftAtHome } from '../../lib/probes/walls/planted.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** A pid that was somebody's a moment ago, and is nobody's. */
function deadPid(): number {
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  return pid;
}

function ownTmpdir(): string {
  const folder = temporaryFolder();
  vi.stubEnv('TMPDIR', folder);
  onTestFinished(() => void vi.unstubAllEnvs());
  return folder;
}

/**
 * A machine with these processes: by pid, the state and the start time as its `stat` file has them.
 */
function machine(
  processes: Record<number, { state?: string; start: number }>,
  overrides: Partial<Place> = {},
): Place {
  const proc = temporaryFolder();
  for (const [pid, { state = 'S', start }] of Object.entries(processes)) {
    mkdirSync(join(proc, pid));
    writeFileSync(
      join(proc, pid, 'stat'),
      `${pid} (a name) with () ${state} 1 ${pid} ${pid} ${'0 '.repeat(15)}${start} 0 0\n`,
    );
  }
  return { proc, boot: 'this-boot', host: 'this-host', pidNamespace: '4026531836', ...overrides };
}

// Above every pid that Linux gives, so that none of this machine is asked about by accident.
const PID = 2 ** 22 + 7;

describe('an owner', () => {
  test('that is this process, or another that runs, is alive', () => {
    expect(stateOf(thisOwner())).toBe('alive');
    expect(stateOf(identifier(process.ppid))).toBe('alive');
    expect(stateOf(identifier(1)), 'pid 1 is another user’s, mostly').toBe('alive');
  });

  test('that has ended is dead', () => {
    expect(stateOf(identifier(deadPid()))).toBe('dead');
  });

  test.skipIf(process.platform !== 'linux')(
    'that was killed is dead, also while its parent has not waited for it',
    async () => {
      const parent = spawn('sh', ['-c', 'sleep 300 & echo $!; exec sleep 300'], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      onTestFinished(() => void parent.kill('SIGKILL'));
      const child = Number(await new Promise((resolve) => parent.stdout.once('data', resolve)));
      const owner = identifier(child);
      expect(stateOf(owner)).toBe('alive');
      process.kill(child, 'SIGKILL');
      await vi.waitFor(() => expect(stateOf(owner)).toBe('dead'));
      expect(() => process.kill(child, 0), 'a zombie').not.toThrow();
    },
  );

  test('is another process than one that has its pid, but started at another time', () => {
    const owner = identifier(PID, machine({ [PID]: { start: 100 } }));
    expect(stateOf(owner, machine({ [PID]: { start: 100 } }))).toBe('alive');
    expect(stateOf(owner, machine({ [PID]: { start: 101 } }))).toBe('dead');
    expect(stateOf(owner, machine({ [PID]: { start: 100, state: 'Z' } })), 'a zombie').toBe('dead');
    expect(stateOf(owner, machine({}))).toBe('dead');
  });

  test('of an earlier boot of this machine is dead, though its pid is somebody’s again', () => {
    const owner = identifier(PID, machine({ [PID]: { start: 100 } }, { boot: 'earlier' }));
    expect(stateOf(owner, machine({ [PID]: { start: 100 } }))).toBe('dead');
  });

  test('of another machine or PID namespace is foreign, whoever has its pid here', () => {
    for (const overrides of [
      { host: 'another' },
      { host: 'another', boot: 'another' },
      { pidNamespace: '4026532000' },
    ]) {
      const owner = identifier(PID, machine({ [PID]: { start: 100 } }, overrides));
      expect(stateOf(owner, machine({ [PID]: { start: 100 } })), JSON.stringify(overrides)).toBe(
        'foreign',
      );
      expect(stateOf(owner, machine({}, {})), JSON.stringify(overrides)).toBe('foreign');
    }
  });

  test('of the form without machine is read as before in this boot, and is foreign in another', () => {
    expect(stateOf(`${PID}:this-boot`, machine({ [PID]: { start: 100 } }))).toBe('alive');
    expect(stateOf(`${PID}:this-boot`, machine({}))).toBe('dead');
    expect(stateOf(`${PID}:another-boot`, machine({ [PID]: { start: 100 } }))).toBe('foreign');
  });

  test('of a boot that is known by its minute is the same a drift of the clock later', () => {
    const mac = { pidNamespace: undefined, host: 'mac' };
    const owner = identifier(PID, machine({ [PID]: { start: 1 } }, { ...mac, boot: 'boot-1000' }));
    expect(stateOf(owner, machine({ [PID]: { start: 1 } }, { ...mac, boot: 'boot-1001' }))).toBe(
      'alive',
    );
    expect(stateOf(owner, machine({ [PID]: { start: 1 } }, { ...mac, boot: 'boot-1009' }))).toBe(
      'dead',
    );
  });

  test.each(['', '0', '-1', 'x', '1.5', ' '])('whose pid is none is dead: %j', (pid) => {
    const { boot, pidNamespace, host } = thisPlace();
    expect(stateOf(`${pid}:${boot}`)).toBe('dead');
    expect(stateOf(`${pid}:${boot}::${pidNamespace}:${host}`)).toBe('dead');
  });

  test('tells nothing that identifies the machine to others', () => {
    expect(thisPlace().host).toMatch(/^[0-9a-f]{12}$/);
  });
});

describe('a folder', () => {
  test('of a live owner is not stale', () => {
    ownTmpdir();
    const folder = makeFolder('run');
    expect(existsSync(folder)).toBe(true);
    expect(leftFolders('dead')).toEqual([]);
    removeFolder(folder);
    expect(existsSync(folder)).toBe(false);
  });

  test('is stale when its owner is dead, and only then', () => {
    const tmp = ownTmpdir();
    const make = (name: string, owner?: string) => {
      mkdirSync(join(tmp, name));
      if (owner !== undefined) writeFileSync(join(tmp, name, '.owner'), owner);
    };
    make('cagematch-run-dead', identifier(deadPid()));
    make('cagematch-run-rebooted', identifier(process.pid, { ...thisPlace(), boot: 'earlier' }));
    make('cagematch-run-foreign', identifier(process.pid, { ...thisPlace(), host: 'another' }));
    make('cagematch-run-alive', thisOwner());
    make('cagematch-run-nobodys');
    make('cagematch-run-begun', '');
    make('of-somebody-else', identifier(deadPid()));
    writeFileSync(join(tmp, 'cagematch-file'), '');
    expect(leftFolders('dead').sort()).toEqual([
      join(tmp, 'cagematch-run-dead'),
      join(tmp, 'cagematch-run-rebooted'),
    ]);
    expect(leftFolders('foreign')).toEqual([join(tmp, 'cagematch-run-foreign')]);
  });

  test('whose owner died before it could sign is told by its name', () => {
    const tmp = ownTmpdir();
    const [dead, alive] = [
      `cagematch-run-${deadPid()}-AbC123`,
      `cagematch-run-${process.pid}-AbC123`,
    ];
    for (const name of [dead, alive]) mkdirSync(join(tmp, name));
    writeFileSync(join(tmp, dead, '.owner'), '');
    expect(leftFolders('dead')).toEqual([join(tmp, dead)]);
  });

  test('of another user is theirs to remove: it is passed over, and the others are found', () => {
    if (process.getuid?.() !== 0) return;
    const tmp = ownTmpdir();
    for (const [name, uid, mode] of [
      ['cagematch-run-1-closed', 0, 0o700],
      ['cagematch-clients-1-open', 0, 0o755],
      ['cagematch-run-own', 65534, 0o700],
    ] as const) {
      mkdirSync(join(tmp, name));
      if (mode !== 0o700 || uid !== 0)
        writeFileSync(join(tmp, name, '.owner'), identifier(deadPid()));
      chownSync(join(tmp, name), uid, uid);
      chmodSync(join(tmp, name), mode);
    }
    const own = join(tmp, 'cagematch-run-own');
    chownSync(join(own, '.owner'), 65534, 65534);
    const getuid = vi.spyOn(process, 'getuid').mockReturnValue(65534);
    try {
      expect(leftFolders('dead')).toEqual([own]);
    } finally {
      getuid.mockRestore();
    }
  });

  test('that a killed probe has planted at home is found, and nothing else of the home', () => {
    const home = temporaryFolder();
    const planted = makeFolder('walls', home);
    expect(leftAtHome(home, 'dead'), 'this process lives').toEqual([]);
    writeFileSync(join(planted, '.owner'), identifier(deadPid()));
    mkdirSync(join(home, `cagematch-notes-${deadPid()}-mine`));
    expect(leftAtHome(home, 'dead')).toEqual([planted]);
    expect(leftAtHome(join(home, 'absent'), 'dead')).toEqual([]);
  });

  test('is removed with all that is in it, and removing it twice is no error', () => {
    ownTmpdir();
    const folder = makeFolder('run');
    mkdirSync(join(folder, 'a/b'), { recursive: true });
    writeFileSync(join(folder, 'a/b/c'), '');
    removeFolder(folder);
    removeFolder(folder);
    expect(existsSync(folder)).toBe(false);
  });
});
