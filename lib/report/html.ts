// A match as one self-contained HTML page: no script, no font, no request.
import type { Report } from './document.js';
import { burstSection } from './page/burst.js';
import { conditionsSection, doubtsNote } from './page/conditions.js';
import { costsFigure } from './page/costs.js';
import { lengthsSection, recommendation, title } from './page/head.js';
import { markup } from './page/markup.js';
import { pairsSection } from './page/pairs.js';
import { PATTERNS } from './page/patterns.js';
import { phasesFigure } from './page/phases.js';
import { placesSection } from './page/places.js';
import { rowsOf } from './page/rows.js';
import { shell } from './page/shell.js';
import { startupFigure } from './page/startup.js';
import { summaryTable } from './page/summary.js';
import { troublesSection } from './page/troubles.js';
import type { ProbeDocument } from './probe/document.js';
import { probeSections } from './probe/sections.js';

/**
 * The whole document, as text.
 * @param probes probes of the same machine, each of other parts; their tables follow the match's
 *   own
 */
export function renderHtml(report: Report, probes: readonly ProbeDocument[] = []): string {
  const rows = rowsOf(report);
  return shell(
    `cagematch ${report.match.id}`,
    markup`${PATTERNS}
${title(report)}
<main>
${doubtsNote(report)}
${recommendation(report, rows)}
${summaryTable(report, rows)}
${report.modes.length === 0 ? undefined : [startupFigure(report, rows), phasesFigure(report, rows), pairsSection(report, rows)]}
${lengthsSection(report)}
${burstSection(report, rows)}
${placesSection(report, rows)}
${report.modes.length === 0 ? undefined : costsFigure(report, rows)}
${probes.map((probe) => probeSections(probe, markup`Of probe ${probe.probe.id}, on the same machine.`))}
${troublesSection(report, rows)}
${conditionsSection(report, rows)}
</main>`,
    markup`Made by cagematch from the record of the match; the same as numbers: <code>cagematch report ${report.match.id} --format json</code>. Colours: Okabe and Ito’s palette; nothing is told by colour alone.`,
  );
}
