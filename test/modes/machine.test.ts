// What a machine is, read where it says so.
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { lackIn, lackOfKvm, readMachine } from '../../modes/docker-sandbox/machine.js';
import { temporaryFolder } from '../support/temporary-folder.js';

it('a Linux says its distribution and whether KVM is there', () => {
  const folder = temporaryFolder();
  const places = { release: join(folder, 'os-release'), kvm: join(folder, 'kvm') };
  writeFileSync(places.release, 'NAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n');
  const without = readMachine('linux', places);
  expect(without).toMatchObject({
    distribution: { id: 'ubuntu', version: '24.04' },
    kvm: 'absent',
  });
  expect(lackOfKvm(without)).toMatchObject({ reason: 'this machine has no /dev/kvm' });
  writeFileSync(places.kvm, '');
  expect(lackOfKvm(readMachine('linux', places))).toBeUndefined();
});

it.skipIf(process.getuid?.() === 0)(
  'a KVM that is not open to its user is another lack than none',
  () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'kvm'), '');
    chmodSync(join(folder, 'kvm'), 0);
    expect(
      readMachine('linux', { release: join(folder, 'none'), kvm: join(folder, 'kvm') }),
    ).toMatchObject({
      distribution: { id: 'unknown', version: 'unknown' },
      kvm: 'closed',
    });
  },
);

it('a closed KVM names the command that opens it', () => {
  const closed = {
    platform: 'linux' as const,
    arch: 'x64',
    release: '6.8',
    kvm: 'closed' as const,
  };
  expect(lackOfKvm(closed)?.hint).toMatch(/^sudo usermod -aG kvm \$USER/);
});

it('another platform has neither', () => {
  expect(Object.keys(readMachine('darwin'))).toEqual(['platform', 'arch', 'release']);
});

const UBUNTU = { first: '24.04', called: 'Ubuntu 24.04', distribution: 'ubuntu', kvm: true };
const MAC = { first: '23', called: 'macOS 14', arch: { is: 'arm64', called: 'Apple silicon' } };
const WINDOWS = { first: '10.0.22000', called: 'Windows 11' };
const linux = (id: string, version: string) =>
  ({
    platform: 'linux',
    arch: 'x64',
    release: '6.8',
    distribution: { id, version },
    kvm: 'open',
  }) as const;
const other = (platform: 'darwin' | 'win32', release: string, arch: string) => ({
  platform,
  release,
  arch,
});

it.each([
  [linux('ubuntu', '24.04'), UBUNTU, undefined],
  [linux('ubuntu', '26.04'), UBUNTU, undefined],
  [{ ...linux('ubuntu', '24.10'), kvm: 'closed' } as const, UBUNTU, 'KVM is not open to this user'],
  [
    linux('ubuntu', '22.04'),
    UBUNTU,
    'sbx is supported on Ubuntu 24.04 and later, and this is ubuntu 22.04',
  ],
  [
    linux('debian', '99'),
    UBUNTU,
    'sbx is supported on Ubuntu 24.04 and later, and this is debian 99',
  ],
  [
    linux('ubuntu', 'unknown'),
    UBUNTU,
    'sbx is supported on Ubuntu 24.04 and later, and this is ubuntu unknown',
  ],
  [other('darwin', '23.0.0', 'arm64'), MAC, undefined],
  [
    other('darwin', '22.6.0', 'arm64'),
    MAC,
    'sbx is supported on macOS 14 and later, and this is darwin 22.6.0',
  ],
  [other('darwin', '25.1.0', 'x64'), MAC, 'sbx needs Apple silicon, and this Node is for x64'],
  [other('win32', '10.0.26100', 'x64'), WINDOWS, undefined],
  [
    other('win32', '10.0.19045', 'x64'),
    WINDOWS,
    'sbx is supported on Windows 11 and later, and this is win32 10.0.19045',
  ],
  [linux('debian', '12'), undefined, undefined],
])('on %j with the need %j it lacks: %s', (machine, need, reason) => {
  expect(lackIn(machine, 'sbx', need)?.reason).toBe(reason);
});
