// Changes that the host makes to the workspace, before launch and while the sandbox runs, as the
// guest sees them.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { monotonic } from '../../clock.js';
import { messageOf } from '../../errors.js';
import { folderOf, inFolder, OVER } from '../guest/sync-kinds.mjs';
import { type Look, look } from '../guest/sync-look.mjs';
import type { ProbeSandbox } from '../sandbox.js';
import { type Eyes, type Glance, openEyes } from './eyes.js';
import { type Finding, kindsOf, type Ledger } from './grid.js';
import { agrees, judge, type Kind } from './judge.js';
import { give, type Seeded } from './seed.js';
import { STALE_MS, stale, unseen, until } from './wait.js';

/** How long a guest that does not share the host's files may take for its first answer. */
const READY_MS = 60_000;
/**
 * In a copied workspace, the watcher cannot be told to end, so it ends on its own after this time.
 */
const LIFE_MS = 60_000;
const SIDES = { makers: 'on the host', seers: 'inside' };
const LIVE = { ...SIDES, live: true };

interface Change {
  kind: Kind;
  before: Look;
  made: Look;
  /** Times just before and just after the change was made. */
  fromMs: number;
  atMs: number;
}

/** @param boundMs how long to wait for a change, in ms */
export async function probeIncoming(
  sandbox: ProbeSandbox,
  seeded: Seeded,
  ledger: Ledger,
  boundMs: number,
): Promise<void> {
  const { workspace } = sandbox.host;
  const [once, watched] = (['in', 'in-live'] as const).map((direction) =>
    kindsOf(direction).map(({ cell }) => ({ direction, cell })),
  );
  const eyes = openEyes(sandbox, {
    once: once ?? [],
    watched: watched ?? [],
    events: [{ direction: 'in-live', cell: 'watch' }],
    lifeMs: LIFE_MS,
  });
  try {
    await until(() => eyes.readyAtMs() ?? eyes.ended(), READY_MS);
    const readyAtMs = eyes.readyAtMs();
    if (readyAtMs === undefined)
      throw eyes.ended() ?? new Error(`the watcher inside said nothing for ${READY_MS / 1000} s`);
    await changeLive(sandbox, seeded, eyes, ledger, boundMs);
    await judgeSeeded(seeded, eyes, ledger, readyAtMs, boundMs);
  } finally {
    writeFileSync(join(workspace, OVER), '');
  }
}

/**
 * Makes the changes one by one and waits for each; once a change fails to arrive, the remaining
 * ones are awaited together.
 */
async function changeLive(
  { host: { workspace }, user }: ProbeSandbox,
  seeded: Seeded,
  eyes: Eyes,
  ledger: Ledger,
  boundMs: number,
): Promise<void> {
  const changes: Change[] = [];
  let patient = true;
  for (const kind of kindsOf('in-live')) {
    const pair = { direction: 'in-live' as const, cell: kind.cell };
    const folder = join(workspace, folderOf(pair.direction, pair.cell));
    const fromMs = monotonic();
    try {
      kind.change(inFolder(folder));
    } catch (error) {
      ledger.say(pair, {
        verdict: 'gap',
        detail: `the host could not make it: ${messageOf(error)}`,
      });
      continue;
    }
    const atMs = monotonic();
    give(folder, user);
    const change = { kind, before: seeded.before(pair), made: look(folder), fromMs, atMs };
    changes.push(change);
    if (patient && (await until(() => arrival(change, eyes), boundMs)) === undefined)
      patient = false;
  }
  if (!patient)
    await until(
      () => (changes.every((change) => arrival(change, eyes) !== undefined) ? true : undefined),
      boundMs,
    );
  for (const change of changes)
    ledger.say({ direction: 'in-live', cell: change.kind.cell }, judgeLive(change, eyes, boundMs));
}

/** When the change was seen inside, or when its event arrived. */
function arrival(change: Change, eyes: Eyes): number | undefined {
  if (change.kind.cell !== 'watch') return firstAgreeing(change, eyes)?.atMs;
  return eyes.events({ direction: 'in-live', cell: 'watch' }).find((atMs) => atMs >= change.fromMs);
}

function firstAgreeing({ kind, made, fromMs }: Change, eyes: Eyes): Glance | undefined {
  const glances = eyes.glances({ direction: 'in-live', cell: kind.cell });
  return glances.find((glance) => glance.atMs >= fromMs && agrees(kind, made, glance.look));
}

function judgeLive(change: Change, eyes: Eyes, boundMs: number): Finding {
  const pair = { direction: 'in-live' as const, cell: change.kind.cell };
  const seen = eyes.glances(pair).at(-1)?.look ?? {};
  const seenAtMs = arrival(change, eyes);
  if (!change.kind.made(change.made))
    return {
      verdict: 'gap',
      detail: "this host's own file system did not make it as it was meant",
    };
  if (seenAtMs === undefined) {
    if (change.kind.cell !== 'watch') {
      const ended = eyes.ended();
      if (ended) return { verdict: 'gap', detail: ended.message };
      return unseen(judge(change.kind, { ...LIVE, ...change, seen }), boundMs);
    }
    const there = agrees(change.kind, change.made, seen)
      ? 'the file is seen inside, but no event came'
      : 'neither the file nor an event came';
    return {
      verdict: 'lost',
      detail: `${eyes.refused() ?? there}, not within ${boundMs / 1000} s`,
    };
  }
  const latencyMs = Math.max(0, seenAtMs - change.atMs);
  if (change.kind.cell === 'watch') return { verdict: 'same', latencyMs };
  const glance = firstAgreeing(change, eyes);
  // Only a look that began long after the change and missed it makes the change stale; a guest that
  // was merely delayed does not.
  const vainMs = glance && eyes.vainBefore(glance);
  if (vainMs !== undefined && vainMs - change.atMs > STALE_MS)
    return { verdict: 'stale', latencyMs, detail: stale(latencyMs) };
  return { ...judge(change.kind, { ...LIVE, ...change, seen: glance?.look ?? seen }), latencyMs };
}

async function judgeSeeded(
  seeded: Seeded,
  eyes: Eyes,
  ledger: Ledger,
  readyAtMs: number,
  boundMs: number,
): Promise<void> {
  for (const kind of kindsOf('in')) {
    const pair = { direction: 'in' as const, cell: kind.cell };
    const made = seeded.made(pair);
    const failed = seeded.failed(pair);
    if (failed !== undefined || !kind.made(made)) {
      ledger.say(pair, {
        verdict: 'gap',
        detail: failed ?? "this host's own file system did not make it as it was meant",
      });
      continue;
    }
    const matching = () => eyes.glances(pair).find((glance) => agrees(kind, made, glance.look));
    const first = eyes.glances(pair)[0];
    const seen = matching() ?? (await until(matching, readyAtMs + boundMs - monotonic()));
    const finding = judge(kind, {
      ...SIDES,
      before: seeded.before(pair),
      made,
      seen: (seen ?? eyes.glances(pair).at(-1))?.look ?? {},
    });
    if (seen && first && seen !== first && seen.atMs - readyAtMs > STALE_MS)
      ledger.say(pair, { verdict: 'stale', detail: stale(seen.atMs - first.atMs) });
    else ledger.say(pair, kind.cell === 'owner' ? ownerInside(finding, seen?.look, eyes) : finding);
  }
}

/** The numeric owner may be the same and yet be a different user inside. */
function ownerInside(finding: Finding, seen: Look | undefined, eyes: Eyes): Finding {
  const { uid, gid } = eyes.user();
  const owner = seen?.file;
  if (
    finding.verdict !== 'same' ||
    !owner ||
    uid === undefined ||
    (owner.uid === uid && owner.gid === gid)
  )
    return finding;
  return {
    verdict: 'differs',
    detail: `it belongs to ${owner.uid}:${owner.gid} inside, and who works there is ${uid}:${gid}`,
  };
}
