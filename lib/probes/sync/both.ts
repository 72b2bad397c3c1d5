// Concurrent changes: both sides change one file at the same time; which change remains, and which
// is lost.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BOTH, bothFolder, openBoth, textsIn } from '../guest/sync-both.mjs';
import type { ProbeSandbox } from '../sandbox.js';
import type { Finding, Ledger } from './grid.js';
import { give } from './seed.js';
import { until } from './wait.js';

type Texts = Record<string, string>;

interface Conflict {
  /** The result that two processes on one machine would produce if the host's change came first. */
  texts: Texts;
  /** How the guest's change ends in that case: `done`, or an error code. */
  guest: string;
  meaning: string;
  /** Whether each side's change is still present. */
  kept(texts: Texts): { host: boolean; guest: boolean };
}

const CONFLICTS: Record<string, Conflict> = {
  append: {
    texts: { file: 'start\noutside\ninside\n' },
    guest: 'done',
    meaning: 'both lines are kept',
    kept: ({ file = '' }) => ({ host: file.includes('outside'), guest: file.includes('inside') }),
  },
  modify: {
    texts: { file: 'outside inside\n' },
    guest: 'done',
    meaning: 'both wrote to parts of the one file, and both parts are kept',
    kept: ({ file = '' }) => ({ host: file.startsWith('outside'), guest: file.includes('inside') }),
  },
  'replace-by-rename': {
    texts: { file: 'inside' },
    guest: 'done',
    meaning: "the later one, the guest's, stands; the host's is lost",
    kept: ({ file }) => ({ host: file === 'outside', guest: file === 'inside' }),
  },
  delete: {
    texts: {},
    guest: 'done',
    meaning: "the host's removal stands; what the guest wrote to the file that it had open is lost",
    kept: ({ file }) => ({ host: file === undefined, guest: file?.includes('inside') === true }),
  },
  rename: {
    texts: { 'by-outside': 'start' },
    guest: 'ENOENT',
    meaning: "the host's name stands; the guest is told ENOENT",
    kept: (texts) => ({ host: 'by-outside' in texts, guest: 'by-inside' in texts }),
  },
  create: {
    texts: { file: 'outside' },
    guest: 'EEXIST',
    meaning: "the host's file stands; the guest is told EEXIST",
    kept: ({ file }) => ({ host: file === 'outside', guest: file === 'inside' }),
  },
};

interface GuestReport {
  ready?: boolean;
  /** True if the guest saw that the host was done. */
  told?: boolean;
  ended?: Record<string, string>;
  texts?: Record<string, Texts>;
}

/**
 * @param waitMs how long the guest waits for the host to be done, in ms; it may be unable to see
 *   that
 * @returns a function that judges the state after collect
 */
export async function probeBoth(
  sandbox: ProbeSandbox,
  ledger: Ledger,
  boundMs: number,
  waitMs: number,
): Promise<() => void> {
  const { workspace } = sandbox.host;
  const go = 'sync/go';
  const host = openBoth(workspace, 'outside');
  let guest: GuestReport = {};
  for await (const { value } of sandbox.ask<GuestReport>('sync-both.mjs', { go, waitMs })) {
    if (value.ready) {
      host.act(() => rmSync(join(workspace, bothFolder('delete'), 'file')));
      for (const cell of Object.keys(BOTH)) give(join(workspace, bothFolder(cell)), sandbox.user);
      writeFileSync(join(workspace, go), '');
    } else guest = value;
  }
  const live = new Map<string, Texts>();
  for (const [cell, { texts }] of Object.entries(CONFLICTS)) {
    const here = () => textsIn(join(workspace, bothFolder(cell)));
    await until(() => (same(here(), texts) ? true : undefined), guest.told ? boundMs / 3 : 0);
    live.set(cell, here());
  }
  return () => {
    for (const [cell, conflict] of Object.entries(CONFLICTS)) {
      const inside = guest.texts?.[cell] ?? {};
      const after = textsIn(join(workspace, bothFolder(cell)));
      const finding = weigh(conflict, {
        ended: guest.ended?.[cell] ?? 'unknown',
        inside,
        live: live.get(cell) ?? {},
        after,
      });
      ledger.say({ direction: 'both', cell }, finding);
    }
  };
}

function weigh(
  conflict: Conflict,
  { ended, inside, live, after }: { ended: string; inside: Texts; live: Texts; after: Texts },
): Finding {
  const wanted = conflict.texts;
  if ([inside, live, after].every((texts) => same(texts, wanted)) && ended === conflict.guest)
    return { verdict: 'same', detail: conflict.meaning };
  const kept = conflict.kept(after);
  const due = conflict.kept(wanted);
  const lost = [
    ...(due.host && !kept.host ? ["the host's change"] : []),
    ...((due.guest || (ended === 'done' && conflict.guest !== 'done')) && !kept.guest
      ? ["the guest's change"]
      : []),
  ];
  const seen = `inside ${describe(inside)}, on the host ${describe(live)}, after collect ${describe(after)}`;
  const guest =
    ended === conflict.guest
      ? ''
      : `; the guest's change ended with ${ended}, not ${conflict.guest}`;
  return {
    verdict: lost.length > 0 ? 'lost' : 'differs',
    detail: `${lost.length > 0 ? `${lost.join(' and ')} is lost: ` : ''}${seen}${guest}`,
  };
}

function same(texts: Texts, other: Texts): boolean {
  return JSON.stringify(sorted(texts)) === JSON.stringify(sorted(other));
}

function sorted(texts: Texts): [string, string][] {
  return Object.entries(texts).sort(([a], [b]) => (a < b ? -1 : 1));
}

function describe(texts: Texts): string {
  const words = sorted(texts).map(([name, text]) => `${name}=${JSON.stringify(text)}`);
  return words.length === 0 ? 'nothing' : words.join(' ');
}
