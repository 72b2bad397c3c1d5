// A sandbox that is paid for ends by itself: after the time that its launch gives, or after a day.
import { expect, test } from 'vitest';
import type { Labels } from '../../lib/contract.js';
import { jobOf, type PodPlan } from '../../modes/kubernetes/pod-manifest.js';

const labels: Labels = { match: 'm', mode: 'kubernetes', owner: 'o' };
const plan: PodPlan = { name: 'n', image: 'i', labels, options: {}, secrets: {} };

test.each([
  ['after the time that is given, in whole seconds', 90_500, 91],
  ['after 25 hours, where none is given', undefined, 25 * 3600],
])('a Job and its pod end %s', (_, maxLifeMs, seconds) => {
  expect(jobOf({ ...plan, maxLifeMs })).toMatchObject({
    spec: {
      activeDeadlineSeconds: seconds,
      template: { spec: { activeDeadlineSeconds: seconds } },
    },
  });
});
