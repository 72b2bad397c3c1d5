import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { defineConfig } from 'vitest/config';

const hasBubblewrap = (process.env.PATH ?? '').split(delimiter).some((folder) => {
  try {
    accessSync(join(folder, 'bwrap'), constants.X_OK);
    return true;
  } catch {
    return false;
  }
});

/**
 * Files whose rows need the machine to themselves: bubblewrap mounts all of the host again, and
 * fails where a container's mount goes away meanwhile. Where there is none, stand-ins are
 * exercised, which mostly wait: they need not be waited for. And what cuts the cluster's cable must
 * be the only one there.
 */
const ALONE = hasBubblewrap
  ? ['test/modes/conformance.test.ts', 'test/modes/incus-cluster.test.ts']
  : [];

/**
 * Files that replace a module of Node's: what they load must be loaded anew, and no other file may
 * get it.
 */
const ISOLATED = ['test/sandbox/hostile-moments.test.ts'];

/**
 * Files that exercise runtimes or stand-ins of them: they hold our calls of other programs rather
 * than what differs between versions of Node, so CI leaves them out on all Nodes but one.
 */
const RUNTIMES = [
  'test/modes/{docker-sandbox*,evict,fly*,incus,krun,kubernetes,live-inside,options,stand-in-matches,stand-ins}.test.ts',
  'test/kit/{moments,oci-client}.test.ts',
  'test/census/leftovers.test.ts',
  'test/match/faults/*.test.ts',
  'test/model/{live-login,recording}.test.ts',
  'test/probes/{probe-command,residue,sync,tax,walls}.test.ts',
  'test/sandbox/{clean,hostile-workspace,interrupt}.test.ts',
  'test/task/{project-settings,refactor}.test.ts',
  ...(hasBubblewrap ? [] : ['test/modes/{conformance,incus-cluster}.test.ts']),
];

export default defineConfig({
  test: {
    // For two cores. Stand-ins mostly wait for other processes; real runtimes are timed.
    maxWorkers: hasBubblewrap ? 2 : 3,
    // What runs beside each other waits for other processes.
    maxConcurrency: 10,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    retry: 0,
    // Loading the product takes a second of CPU: a worker loads it once for all its files.
    isolate: false,
    globalSetup: 'test/support/own-temporary-folder.ts',
    projects: [
      {
        extends: true,
        test: {
          name: 'together',
          include: ['test/**/*.test.ts'],
          exclude: [...ALONE, ...ISOLATED, ...RUNTIMES],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'runtimes', include: RUNTIMES, sequence: { groupOrder: 0 } },
      },
      {
        extends: true,
        test: { name: 'isolated', include: ISOLATED, isolate: true, sequence: { groupOrder: 0 } },
      },
      ...(ALONE.length === 0
        ? []
        : [
            {
              extends: true as const,
              test: {
                name: 'alone',
                include: ALONE,
                fileParallelism: false,
                sequence: { groupOrder: 1 },
              },
            },
          ]),
    ],
  },
});
