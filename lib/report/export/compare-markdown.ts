// A comparison as Markdown, for a comment on a change. The verdict comes first.
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
import { type ComparisonDocument, MEASURES } from '../compare/comparison.js';
import {
  bullets,
  code,
  type Markdown,
  markdown,
  document as page,
  section,
  table,
} from './markdown-text.js';

export function renderComparisonMarkdown(document: ComparisonDocument): string {
  const { differences, warnings, sentence } = document;
  const pace = paceSentence(document);
  const differing = (blocks: boolean) =>
    differences.filter((difference) => difference.blocks === blocks).map(differenceWords);
  return `${page([
    markdown`**${sentence}**`,
    '',
    `${headLine(document)}.`,
    ...(pace === undefined ? [] : ['', pace]),
    '',
    rowTable(document),
    ...section('Not compared:', bullets(missingLines(document))),
    ...section('Differs, and may change a number:', bullets(differing(true))),
    ...section('Differs too:', bullets(differing(false))),
    ...section('Warnings:', bullets(warnings)),
  ])}\n`;
}

function rowTable(document: ComparisonDocument): Markdown {
  const rows = document.rows.flatMap(({ entry, standIn, measures, passes }) => {
    const name = standIn ? markdown`${code(entry)} (stand-in)` : code(entry);
    const { base, new: next } = passes;
    return [
      ...MEASURES.flatMap((what) => {
        const measure = measures[what];
        if (isGap(measure) && measure.gap === 'not-applicable') return [];
        return [
          [
            name,
            measureName(document, what),
            ...measureCells(document, measure),
            changeWords(measure),
          ],
        ];
      }),
      [
        name,
        'passed',
        `${base.passed}/${base.n}`,
        `${next.passed}/${next.n}`,
        '',
        passesWords(passes),
      ],
    ];
  });
  return table(['mode', 'what', 'base', 'new', 'new/base [95 %]', 'verdict'], rows);
}
