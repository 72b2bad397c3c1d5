// What a machine is, read where it says so.
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { isBefore, lackOfKvm, readMachine } from '../lib/machine.js';
import { temporaryFolder } from './temporary-folder.js';

it('a Linux says its distribution and whether KVM is there', () => {
  const folder = temporaryFolder();
  const places = { release: join(folder, 'os-release'), kvm: join(folder, 'kvm') };
  writeFileSync(places.release, 'NAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n');
  const without = readMachine('linux', places);
  expect(without).toMatchObject({ distribution: { id: 'ubuntu', version: '24.04' }, kvm: 'absent' });
  expect(lackOfKvm(without)).toMatchObject({ reason: 'this machine has no /dev/kvm' });
  writeFileSync(places.kvm, '');
  expect(lackOfKvm(readMachine('linux', places))).toBeUndefined();
});

it.skipIf(process.getuid?.() === 0)('a KVM that is not open to its user is another lack than none', () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'kvm'), '');
  chmodSync(join(folder, 'kvm'), 0);
  expect(readMachine('linux', { release: join(folder, 'none'), kvm: join(folder, 'kvm') })).toMatchObject({
    distribution: { id: 'unknown', version: 'unknown' },
    kvm: 'closed',
  });
});

it('a closed KVM names the command that opens it', () => {
  const closed = { platform: 'linux' as const, arch: 'x64', release: '6.8', kvm: 'closed' as const };
  expect(lackOfKvm(closed)?.hint).toMatch(/^sudo usermod -aG kvm \$USER/);
});

it('another platform has neither', () => {
  expect(Object.keys(readMachine('darwin'))).toEqual(['platform', 'arch', 'release']);
});

it.each([
  ['24.04', '24.04', false],
  ['22.04', '24.04', true],
  ['24.10', '24.04', false],
  ['26.04', '24.04', false],
  ['22.6.0', '23', true],
  ['23.0.0', '23', false],
  ['10.0.19045', '10.0.22000', true],
  ['10.0.26100', '10.0.22000', false],
  ['unknown', '24.04', true],
])('%s before %s: %s', (version, first, before) => {
  expect(isBefore(version, first)).toBe(before);
});
