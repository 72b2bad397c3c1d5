// What is kept, and what is left behind: by its owner, and by the session that keeps it.
import { expect, test } from 'vitest';
import { thisOwner } from '../../lib/os/owner.js';
import { isOrphan } from '../../lib/sandbox/orphans.js';

const DEAD = thisOwner().replace(/^\d+:([^:]+):\d+/, '1:$1:1');

test.each<[string, { owner?: string; session?: string }, boolean]>([
  ['whose harness lives is no orphan', { owner: thisOwner() }, false],
  ['whose harness has ended is an orphan', { owner: DEAD }, true],
  ['without an owner is an orphan', {}, true],
  [
    'that a session keeps is no orphan, though its harness has ended',
    { owner: DEAD, session: 's-known' },
    false,
  ],
  [
    'of a session that nobody knows any more is an orphan',
    { owner: DEAD, session: 's-forgotten' },
    true,
  ],
])('a sandbox %s', (_, labels, orphaned) => {
  expect(isOrphan({ labels }, (session) => session === 's-known')).toBe(orphaned);
});
