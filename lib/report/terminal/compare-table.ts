// Two matches compared, for a person at a terminal of 100 columns; the verdict is the last line.
import { isGap } from '../../record.js';
import { type ComparedRow, type ComparisonDocument, MEASURES, type Measure, type Measured } from '../compare/comparison.js';
import { ENOUGH_TO_SEPARATE } from '../statistics.js';
import { borderless, fitted, plain, type Style, trimmed, wrap } from './lines.js';

export function renderComparison(document: ComparisonDocument, style: Style = plain): string {
  const { differences, notCompared, onlyIn, warnings } = document;
  const block = (title: string, lines: string[]) => (lines.length === 0 ? [] : [[style.bold(title), ...lines].join('\n')]);
  const differing = (blocks: boolean) =>
    differences
      .filter((one) => one.blocks === blocks)
      .flatMap(({ of, what, base, new: next }) => wrap(`${of === 'match' ? '' : `${of} `}${what}: ${base} → ${next}`, '  ', '      '));
  const missing = [
    ...notCompared.flatMap(({ entry, why }) => wrap(`${entry}: ${why}`, '  ', '      ')),
    ...onlyIn.base.map((entry) => `  ${entry}: only in BASE`),
    ...onlyIn.new.map((entry) => `  ${entry}: only in NEW`),
  ];
  const verdict = document.verdict === 'regression' ? style.bad : document.verdict === 'none' ? style.good : style.bold;
  return `${[
    `BASE ${document.base.match}, NEW ${document.new.match}: task ${document.task}, state ${document.state}, model ${document.model}`,
    renderRows(document.rows, style),
    ...block('not compared', missing),
    ...block('differs, and could be the reason', differing(true)),
    ...block('differs too', differing(false)),
    ...warnings.map((warning) => wrap(`warning: ${warning}`, '', '  ').join('\n')),
    wrap(document.sentence, '', '  ').map(verdict).join('\n'),
  ].join('\n\n')}\n`;
}

function renderRows(rows: ComparedRow[], style: Style): string {
  const head = ['mode', 'what', 'base', 'new', 'new/base [95 %]', 'verdict'];
  const table = borderless(head.map(style.bold), ['left', 'left', 'right', 'right', 'right', 'left']);
  for (const row of rows) {
    const { base, new: next, lost } = row.passes;
    for (const [index, name] of MEASURES.entries()) {
      const shown = index > 0 ? '' : row.standIn ? `${row.entry} (stand-in)` : row.entry;
      table.push([shown, name === 'tax' ? 'tax ×' : `${name} ms`, ...cells(name, row.measures[name], style)]);
    }
    table.push(['', 'passed', `${base.passed}/${base.n}`, `${next.passed}/${next.n}`, '', lost ? style.bad('fails') : '']);
  }
  return trimmed(fitted(table));
}

function cells(name: Measure, measure: Measured, style: Style): [string, string, string, string] {
  if (isGap(measure)) return ['–', '–', '–', ''];
  const { base, new: next, n, ratio, ci95, direction } = measure;
  const amount = (value: number) => (name === 'tax' ? value.toFixed(2) : String(Math.round(value)));
  const range = isGap(ci95) ? ratio.toFixed(2) : `${ratio.toFixed(2)} [${ci95[0].toFixed(2)}–${ci95[1].toFixed(2)}]`;
  const count = n.base === n.new ? `${n.base}` : `${n.base} and ${n.new}`;
  const apart = `not separable at n=${count}${isGap(direction) ? `: at least ${ENOUGH_TO_SEPARATE} are needed` : ''}`;
  const said = direction === 'slower' ? style.bad('slower') : direction === 'faster' ? style.good('faster') : style.faint(apart);
  return [amount(base), amount(next), range, said];
}
