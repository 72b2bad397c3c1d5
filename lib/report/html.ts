// A match as one HTML page that needs nothing but itself: no script, no font, no request.
import type { Report } from './document.js';
import { burstSection } from './page/burst.js';
import { conditionsSection } from './page/conditions.js';
import { costsFigure } from './page/costs.js';
import { recommendation, title } from './page/head.js';
import { markup } from './page/markup.js';
import { pairsSection } from './page/pairs.js';
import { PATTERNS } from './page/patterns.js';
import { phasesFigure } from './page/phases.js';
import { rowsOf } from './page/rows.js';
import { startupFigure } from './page/startup.js';
import { STYLE } from './page/style.js';
import { summaryTable } from './page/summary.js';
import { troublesSection } from './page/troubles.js';

/** The whole document, as text. */
export function renderHtml(report: Report): string {
  const rows = rowsOf(report);
  const page = markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>cagematch ${report.match.id}</title>
<style>${STYLE}</style>
</head>
<body>
${PATTERNS}
${title(report)}
<main>
${recommendation(report, rows)}
${summaryTable(report, rows)}
${report.modes.length === 0 ? undefined : [startupFigure(report, rows), phasesFigure(report, rows), pairsSection(report, rows)]}
${burstSection(report, rows)}
${report.modes.length === 0 ? undefined : costsFigure(report, rows)}
${troublesSection(report, rows)}
${conditionsSection(report, rows)}
</main>
<footer><p>Made by cagematch from the record of the match; the same as numbers: <code>cagematch report ${report.match.id} --format json</code>. Colours: Okabe and Ito’s palette; nothing is told by colour alone.</p></footer>
</body>
</html>
`;
  return page.toString();
}
