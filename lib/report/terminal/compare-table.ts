// A comparison of two matches for a person at a terminal of 100 columns. The verdict is the last
// line.
import { isGap } from '../../record/types.js';
import {
  changeWords,
  differenceWords,
  headLine,
  measureCells,
  measureName,
  missingLines,
  paceSentence,
  passesWords,
} from '../compare/cells.js';
import { type ComparedRow, type ComparisonDocument, MEASURES } from '../compare/comparison.js';
import { borderless, fitted, plain, type Style, trimmed, wrap } from './lines.js';

export function renderComparison(document: ComparisonDocument, style: Style = plain): string {
  const { differences, warnings } = document;
  const block = (title: string, lines: string[]) =>
    lines.length === 0 ? [] : [[style.bold(title), ...lines].join('\n')];
  const indented = (lines: string[]) => lines.flatMap((line) => wrap(line, '  ', '      '));
  const differing = (blocks: boolean) =>
    indented(differences.filter((difference) => difference.blocks === blocks).map(differenceWords));
  const verdict = { regression: style.bad, none: style.good, 'cannot-say': style.bold }[
    document.verdict
  ];
  const pace = paceSentence(document);
  return `${[
    wrap(headLine(document), '', '  ').join('\n'),
    ...(pace === undefined ? [] : [wrap(pace, '', '  ').join('\n')]),
    renderRows(document, style),
    ...block('not compared', indented(missingLines(document))),
    ...block('differs, and may change a number', differing(true)),
    ...block('differs too', differing(false)),
    ...warnings.map((warning) => wrap(`warning: ${warning}`, '', '  ').join('\n')),
    wrap(document.sentence, '', '  ').map(verdict).join('\n'),
  ].join('\n\n')}\n`;
}

function renderRows(document: ComparisonDocument, style: Style): string {
  const head = ['mode', 'what', 'base', 'new', 'new/base [95 %]', 'verdict'];
  const table = borderless(head.map(style.bold), [
    'left',
    'left',
    'right',
    'right',
    'right',
    'left',
  ]);
  for (const row of document.rows) {
    const shown = row.standIn ? `${row.entry} (stand-in)` : row.entry;
    const lines = MEASURES.flatMap((name) => {
      const measure = row.measures[name];
      if (isGap(measure) && measure.gap === 'not-applicable') return [];
      return [
        [
          measureName(document, name),
          ...measureCells(document, measure),
          coloured(changeWords(measure), style),
        ],
      ];
    });
    lines.push(passesLine(row, style));
    for (const [index, cells] of lines.entries()) table.push([index === 0 ? shown : '', ...cells]);
  }
  return trimmed(fitted(table));
}

function passesLine({ passes }: ComparedRow, style: Style): string[] {
  const { base, new: next } = passes;
  return [
    'passed',
    `${base.passed}/${base.n}`,
    `${next.passed}/${next.n}`,
    '',
    coloured(passesWords(passes), style),
  ];
}

function coloured(words: string, style: Style): string {
  if (words === 'slower' || words === 'fewer pass') return style.bad(words);
  return words === 'faster' || words === 'more pass' ? style.good(words) : style.faint(words);
}
