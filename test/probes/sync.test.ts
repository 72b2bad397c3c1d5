// The truth table of a workspace's sync: whole and true on this host, and wrong in the one cell
// where a mode does something wrong.
import { describe, expect, test } from 'vitest';
import { monotonic } from '../../lib/clock.js';
import type { Mode } from '../../lib/contract.js';
import { GRID } from '../../lib/probes/sync/grid.js';
import { lookingFor, STALE_MS } from '../../lib/probes/sync/wait.js';
import host from '../../modes/host.js';
import { ARCHIVED, copying, nameOf, SMALL, spoiled, tableOf } from '../support/sync-row.js';

test('on the host every cell is told once, and a file that both sides share is the same on both', async () => {
  const { cells, failure, amiss } = await tableOf(host);
  expect(failure).toBeUndefined();
  expect(amiss).toEqual({});
  expect(cells.map(nameOf).sort()).toEqual(GRID.map(nameOf).sort());
  expect(new Set(cells.map(nameOf)).size).toBe(cells.length);
  const senseless = GRID.filter((pair) => pair.senseless !== undefined).map(nameOf);
  expect(cells.filter(({ verdict }) => verdict === 'not-applicable').map(nameOf)).toEqual(
    senseless,
  );
  for (const cell of cells.filter(
    ({ direction, verdict }) => direction.endsWith('-live') && verdict === 'same',
  ))
    expect(cell.latencyMs, nameOf(cell)).toBeGreaterThanOrEqual(0);
});

describe('what a mode does wrong is seen where it was done, and nowhere else', () => {
  /** `at` is `sync/in` or `sync/out`, before which the bulk and the shapes have other names. */
  const WRONGS: [script: (at: string) => string, cell: string, verdict: string][] = [
    [(at) => `rm ${at}.create/file`, 'create', 'lost'],
    [(at) => `chmod 644 ${at}.mode-bits/private`, 'mode-bits', 'differs'],
    [(at) => `touch ${at}.mtime/file`, 'mtime', 'differs'],
    [
      (at) =>
        `rm ${at}.symlink-relative/link; cp ${at}.symlink-relative/file ${at}.symlink-relative/link`,
      'symlink-relative',
      'differs',
    ],
    [(at) => `ln -sfn /etc/passwd ${at}.symlink-absolute/link`, 'symlink-absolute', 'differs'],
    [(at) => `rm ${at}.symlink-dangling/link`, 'symlink-dangling', 'lost'],
    [
      (at) =>
        `cp ${at}.hardlink/file ${at}.hardlink/new; mv ${at}.hardlink/new ${at}.hardlink/file`,
      'hardlink',
      'differs',
    ],
    [(at) => `rmdir ${at}.empty-folder/folder`, 'empty-folder', 'lost'],
    [(at) => `mv ${at}.spaces/* ${at}.spaces/a_name`, 'spaces', 'lost'],
    [
      (at) => `mv ${at}.unicode-nfc/* "${at}.unicode-nfc/$(printf 'cafe\\314\\201')"`,
      'unicode-nfc',
      'lost',
    ],
    [
      (at) => `mv ${at}.unicode-nfd/* "${at}.unicode-nfd/$(printf 'caf\\303\\251')"`,
      'unicode-nfd',
      'lost',
    ],
    [(at) => `rm ${at}.case-only/README`, 'case-only', 'differs'],
    [(at) => `rm ${at}.dotfile/.hidden`, 'dotfile', 'lost'],
    [(at) => `rm ${at}.gitignored/build.log`, 'gitignored', 'lost'],
    [
      (at) =>
        `cp --sparse=never ${at}.sparse/holes ${at}.sparse/new; mv ${at}.sparse/new ${at}.sparse/holes`,
      'sparse',
      'differs',
    ],
    [
      (at) =>
        `printf x | dd of=${at.replace(/(in|out)$/, 'big.$1')} bs=1 seek=1500000 conv=notrunc 2>/dev/null`,
      'big-file',
      'differs',
    ],
    [(at) => `rm -r ${at.replace(/(in|out)$/, 'shapes')}/shape-plain/src`, 'shape-plain', 'lost'],
    [
      (at) => `rm ${at.replace(/(in|out)$/, 'shapes')}/shape-nested-git/inner/.git/index`,
      'shape-nested-git',
      'lost',
    ],
    [
      (at) => `rm ${at.replace(/(in|out)$/, 'shapes')}/shape-shallow/.git/shallow`,
      'shape-shallow',
      'lost',
    ],
  ];

  /**
   * Nowhere else, and on neither side of the same cell: what one test does to a cell on the way in,
   * it does not do on the way out.
   */
  const wrongs = (direction: 'in' | 'out', these = WRONGS) =>
    Object.fromEntries(these.map(([, cell, verdict]) => [`${direction} ${cell}`, verdict]));
  const EXECUTE_BITS = 'find . -type f -perm /111 -exec chmod a-x {} +';

  test('execute bits that do not go in, and many things that do not come back', async () => {
    const lost = [...WRONGS.map(([script]) => script('sync/out')), 'rm sync/many.out/f00007'].join(
      '\n',
    );
    const { amiss, detail } = await tableOf(spoiled({ launch: EXECUTE_BITS, collect: lost }));
    expect(amiss).toEqual({ 'in exec-bit': 'differs', ...wrongs('out'), 'out many-files': 'lost' });
    expect(detail('out mode-bits')).toBe('private: mode 600 inside, mode 644 on the host');
    expect(detail('out symlink-relative')).toBe(
      'link: link to file inside, file of 6 bytes on the host',
    );
    expect(detail('out unicode-nfc')).toBe(
      'caf%c3%a9: file of 5 bytes inside, not there on the host; cafe%cc%81: not there inside, file of 5 bytes on the host',
    );
    expect(detail('out many-files')).toBe('1 of 40 not there on the host (f00007)');
  });

  test('execute bits that do not come back, and many things that do not go in', async () => {
    const these = WRONGS.filter(([, cell]) => !cell.startsWith('shape'));
    const commands = 'echo changed >sync/shapes/shape-submodule/kept.txt; rm sync/many.in/f00039';
    const lost = [...these.map(([script]) => script('sync/in')), commands].join('\n');
    const { amiss, detail } = await tableOf(spoiled({ launch: lost, collect: EXECUTE_BITS }));
    // The host looks at the live cells before collect: those were right.
    expect(amiss).toEqual({
      'out exec-bit': 'differs',
      ...wrongs('in', these),
      'in many-files': 'lost',
      'in shape-submodule': 'differs',
    });
    expect(detail('out exec-bit')).toBe(
      'tool: executable (111) inside, not executable on the host',
    );
    expect(detail('in shape-submodule')).toBe(
      'git status says " M kept.txt" inside, nothing on the host',
    );
    expect(detail('in many-files')).toBe('1 of 40 not there inside (f00039)');
  });
});

/** Most of it will not come, however long one waits. */
const QUICK = { ...SMALL, boundMs: 300 };
const LIVE = GRID.filter(
  ({ direction, senseless }) => direction.endsWith('-live') && senseless === undefined,
).map(nameOf);

test('a mode that copies shows no change while it runs, and brings all of them back but where both sides made one', async () => {
  const { amiss, detail, cells } = await tableOf(copying(), QUICK);
  expect(amiss).toEqual({
    ...Object.fromEntries(LIVE.map((name) => [name, 'lost'])),
    'in big-file': 'gap',
    'out big-file': 'gap',
    'both append': 'lost',
    'both modify': 'lost',
    'both delete': 'lost',
    'both rename': 'lost',
    'both create': 'lost',
    'both replace-by-rename': 'differs',
  });
  expect(detail('in-live create')).toBe(
    'file: file of 7 bytes on the host, not there inside; not within 0.3 s',
  );
  expect(detail('both append')).toMatch(
    /^the host's change is lost: inside file="start\\ninside\\n", on the host file="start\\noutside\\n"/,
  );
  // How long all came back is known for each that came.
  for (const cell of cells.filter(
    ({ direction, verdict }) => direction === 'out' && verdict === 'same',
  ))
    expect(cell.latencyMs, nameOf(cell)).toBeGreaterThan(0);
});

test('what an archive refuses is lost with the reason, and keeps no other cell from coming back', async () => {
  const { cells, failure, detail } = await tableOf(copying(ARCHIVED), QUICK);
  expect(failure).toBeUndefined();
  const amiss = cells.filter(
    ({ direction, verdict }) =>
      ['in', 'out'].includes(direction) && !['same', 'not-applicable'].includes(verdict),
  );
  expect(Object.fromEntries(amiss.map((cell) => [nameOf(cell), cell.verdict]))).toEqual({
    'in big-file': 'gap',
    'in mode-bits': 'differs',
    'in sparse': 'differs',
    'out big-file': 'gap',
    'out mode-bits': 'differs',
    'out sparse': 'differs',
    'out case-only': 'lost',
    'out symlink-absolute': 'lost',
  });
  expect(detail('out mode-bits')).toBe('read-only: mode 444 inside, mode 644 on the host');
  expect(detail('out symlink-absolute')).toMatch(
    /^nothing of the workspace comes back with it: .* is a link that leaves the workspace$/,
  );
});

test('changes that come late are stale, and those that never come are lost', async () => {
  // What is brought in was taken a while before, so that no change arrives at once.
  const late =
    'mkdir -p "$1.late"; sleep 0.2; cp -a "$1.late/." "$1/sync/"; cp -a sync/in-live.* "$1.late/"';
  const { cells } = await tableOf(copying(undefined, late), { ...SMALL, boundMs: 3000 });
  const verdictOf = (name: string) => cells.find((cell) => nameOf(cell) === name);
  expect(verdictOf('in-live create')).toMatchObject({
    verdict: 'stale',
    detail: expect.stringMatching(/^not there at first, but \d+ ms later$/),
  });
  expect(verdictOf('in-live append')).toMatchObject({ verdict: 'stale' });
  expect(verdictOf('in-live delete')).toMatchObject({ verdict: 'lost' });
  expect(verdictOf('in create')).toMatchObject({ verdict: 'same' });
  expect(verdictOf('out-live create')).toMatchObject({ verdict: 'lost' });
});

test('a change is not stale because the look that saw it took long; it is where a late look did not see it', () => {
  const slowly = lookingFor(() => {
    for (const endMs = monotonic() + STALE_MS + 10; monotonic() < endMs; );
    return true;
  }, monotonic());
  expect(slowly.again()).toBeDefined();
  expect(slowly.isStale()).toBe(false);
  let there = false;
  const late = lookingFor(() => there, monotonic() - STALE_MS - 10);
  expect(late.again()).toBeUndefined();
  there = true;
  expect(late.again()).toBeDefined();
  expect(late.isStale()).toBe(true);
});

test('a script of ours that fails inside costs its own cells, and the rest are tried', async () => {
  const failing: Mode = {
    ...host,
    exec(ctx, handle, command) {
      const argv = command.argv.map((word) =>
        word.endsWith('sync-hands.mjs') ? '/nothing/there.mjs' : word,
      ) as typeof command.argv;
      return host.exec(ctx, handle, { ...command, argv });
    },
  };
  const { cells, failure, amiss, detail } = await tableOf(failing);
  expect(String(failure)).toContain('ended inside with exit 1');
  expect(detail('out create')).toContain("Cannot find module '/nothing/there.mjs'");
  const out = GRID.filter(
    ({ direction, cell, senseless }) =>
      direction.startsWith('out') && senseless === undefined && !/^(shape|many|big)-/.test(cell),
  );
  expect(amiss).toEqual(Object.fromEntries(out.map((pair) => [nameOf(pair), 'gap'])));
  expect(cells).toHaveLength(GRID.length);
});

test('a sandbox that cannot be opened leaves no cell empty: each says why', async () => {
  const broken = { ...host, launch: () => Promise.reject(new Error('no such runtime today')) };
  const { cells, failure, amiss } = await tableOf(broken);
  expect(failure).toMatchObject({ message: 'no such runtime today' });
  expect(cells.map(nameOf).sort()).toEqual(GRID.map(nameOf).sort());
  expect(new Set(Object.values(amiss))).toEqual(new Set(['gap']));
  for (const cell of cells.filter(({ verdict }) => verdict === 'gap'))
    expect(cell.detail).toBe('no such runtime today');
});
