import { defineConfig } from 'vitest/config';

/**
 * Files whose rows need the machine to themselves: bubblewrap mounts all of the host again, and fails where a container's
 * mount goes away meanwhile; faults and audits look at what is left on the machine.
 */
const ALONE = ['test/conformance.test.ts'];

export default defineConfig({
  test: {
    // Two cores, and runs that are timed.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    retry: 0,
    projects: [
      {
        extends: true,
        test: { name: 'together', include: ['test/**/*.test.ts'], exclude: ALONE, sequence: { groupOrder: 0 } },
      },
      {
        extends: true,
        test: { name: 'alone', include: ALONE, fileParallelism: false, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
