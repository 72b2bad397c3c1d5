// What is known of OCI runtimes by their names, and what is refused of them.
import { describe, expect, test } from 'vitest';
import {
  knownRuntime,
  otherNames,
  otherNamesFact,
  requireDevice,
  runtimeNamed,
} from '../../lib/kit/oci/runtimes.js';
import { thrownBy } from '../support/thrown.js';

describe('what an OCI runtime isolates by', () => {
  test.each([
    ['crun', 'container'],
    ['crun-wasm', 'container'],
    ['runc', 'container'],
    ['youki', 'container'],
    ['runsc', 'user-kernel'],
    ['gvisor', 'user-kernel'],
    ['io.containerd.runsc.v1', 'user-kernel'],
    ['kata-qemu', 'microvm'],
    ['io.containerd.kata-fc.v2', 'microvm'],
    ['krun', 'microvm'],
    ['crun-krun', 'microvm'],
    ['firecracker', 'microvm'],
  ])('%s: %s', (name, isolation) => expect(knownRuntime(name)?.isolation).toBe(isolation));

  test('is not known of others', () => {
    for (const name of ['nvidia', 'wasmtime', '', undefined])
      expect(knownRuntime(name)).toBeUndefined();
  });

  test('is told by the program before the name: a name is whatever somebody liked', () => {
    expect(knownRuntime('krun', 'runc')).toMatchObject({ isolation: 'microvm' });
    const others = otherNames([
      ['small', ['krun']],
      ['crun', ['crun']],
      ['nvidia', ['nvidia-container-runtime']],
      ['runc', ['crun']],
    ]);
    expect(others).toEqual({ small: 'krun', runc: 'crun' });
    expect(otherNamesFact(others)).toEqual({ otherNames: 'small=krun runc=crun' });
    expect(runtimeNamed('small', others)).toMatchObject({
      isolation: 'microvm',
      mainProcessOnly: true,
    });
    expect(runtimeNamed('crun', others)).toMatchObject({ isolation: 'container' });
    expect(otherNames([['crun', ['crun']]])).toEqual({});
  });
});

describe('a runtime of virtual machines', () => {
  const refusal = (name: string, devices: string[]) =>
    thrownBy(() => requireDevice(name, knownRuntime(name), (path) => devices.includes(path)));

  test('is refused where its device is not there, in words that name both', () => {
    expect(refusal('krun', [])).toMatchObject({
      code: 'not-ready',
      message:
        'krun needs /dev/kvm for its virtual machine, which is not there, or not for this user',
      hint: 'ls -l /dev/kvm',
    });
    expect(refusal('kata-qemu', [])).toMatchObject({
      message: expect.stringContaining('kata-qemu needs /dev/kvm or /dev/mshv'),
    });
  });

  test('is not refused where it is, and neither is one that makes none, nor one whose machines are elsewhere', () => {
    for (const [name, devices] of [
      ['krun', ['/dev/kvm']],
      ['kata', ['/dev/mshv']],
      ['kata-remote', []],
      ['runsc', []],
      ['crun', []],
      ['nvidia', []],
    ] as const)
      expect(() =>
        requireDevice(name, knownRuntime(name), (path) =>
          (devices as readonly string[]).includes(path),
        ),
      ).not.toThrow();
  });
});
