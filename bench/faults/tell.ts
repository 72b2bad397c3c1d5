// Formats one episode as a few lines, and all episodes as one table.
import type { Episode } from './episode.js';

export function storyOf(episode: Episode, whole: boolean): string {
  const { draw, struck, during, exit, ended, before, left, lost, wrong, match, tookMs } = episode;
  const bad = left.length + lost.length + wrong.length;
  const where = draw.kind.startsWith('model')
    ? `from request ${draw.fromRequest + 1}`
    : `${draw.moment} of run ${draw.run} + ${draw.delayMs} ms`;
  const head = `${bad === 0 ? 'ok ' : 'BAD'} #${draw.index} ${draw.kind}, ${draw.entry}, ${where}: ${struck ?? 'nothing to strike'}${during ? ` in ${during.phase} of ${during.run}` : ''}; exit ${exit}, ${ended.length} runs ended, ${before.length} left before clean, ${left.length} after, ${Math.round(tookMs / 1000)} s`;
  if (!whole) return head;
  const outcomes = ended.map(
    ({ run, outcome }) =>
      `    ${run}: ${outcome.status === 'passed' ? 'passed' : `${outcome.cause}: ${outcome.message}`}`,
  );
  return [
    head,
    `    match ${match ?? 'none'}, rows ${draw.entry} ${draw.other}`,
    ...outcomes,
    ...before.map((line) => `    before clean: ${line}`),
    ...left.map((line) => `    LEFT: ${line}`),
    ...lost.map((line) => `    LOST: ${line}`),
    ...wrong.map((line) => `    WRONG: ${line}`),
  ].join('\n');
}

/** A Markdown table with one line per kind of fault. */
export function tableOf(played: Episode[]): string[] {
  const kinds = [...new Set(played.map(({ draw }) => draw.kind))].sort();
  const rows = kinds.map((kind) => {
    const ofKind = played.filter(({ draw }) => draw.kind === kind);
    const causes = new Map<string, number>();
    for (const { outcome } of ofKind.flatMap(({ ended }) => ended)) {
      const word = outcome.status === 'passed' ? 'passed' : outcome.cause;
      causes.set(word, (causes.get(word) ?? 0) + 1);
    }
    const counts = [...causes]
      .sort((a, b) => b[1] - a[1])
      .map(([cause, count]) => `${cause} ${count}`);
    const sum = (count: (episode: Episode) => number) =>
      ofKind.reduce((total, episode) => total + count(episode), 0);
    const cells = [
      kind,
      ofKind.length,
      ofKind.filter(({ struck }) => struck !== undefined).length,
      counts.join(', ') || '–',
      sum(({ before }) => before.length),
      sum(({ left }) => left.length),
      sum(({ lost }) => lost.length),
      sum(({ wrong }) => wrong.length),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    '| fault | matches | struck | outcomes of ended runs | left before `clean` | left after | lost | wrong blame |',
    '|---|---|---|---|---|---|---|---|',
    ...rows,
  ];
}
