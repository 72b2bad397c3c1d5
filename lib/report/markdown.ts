// The match as Markdown, and the generated region of RESULTS.md.
import { type ClockName, isGap } from '../record.js';
import type { ModeReport, Report } from './document.js';
import { authShort, nameOf, printable, ratioHead, syncShort } from './table.js';

const REGION = { begin: '<!-- cagematch:match -->', end: '<!-- /cagematch:match -->' };

const PHASES: ClockName[] = ['launch', 'firstProcess', 'startup', 'work', 'exit', 'collect', 'teardown', 'total'];

export function renderMarkdown(report: Report): string {
  const { match } = report;
  const { host } = match;
  return [
    `Match \`${match.id}\`: task \`${match.task}\`, ${match.runs} round${match.runs === 1 ? '' : 's'} in seeded random order (seed ${match.seed}), state ${match.state}, model ${match.model}.`,
    '',
    table(
      ['mode', 'isolation', 'startup ms [95 %]', ratioHead(report), 'passed', 'sync', 'auth', 'leftovers'],
      report.modes.map((mode) => [
        `${mode.letter} ${nameOf(mode)}`,
        mode.isolation,
        interval(mode.startupMs),
        isGap(mode.startupRatio) ? '–' : mode.startupRatio.toFixed(2),
        `${mode.passed}/${mode.n}`,
        syncShort(mode.sync),
        authShort(mode),
        isGap(mode.leftovers) ? '–' : mode.leftovers.length === 0 ? 'none' : String(mode.leftovers.length),
      ]),
    ),
    '',
    'Medians in ms, phase by phase:',
    '',
    table(
      ['mode', ...PHASES],
      report.modes.map((mode) => [nameOf(mode), ...PHASES.map((name) => median(mode, name))]),
    ),
    ...section(
      'Failed runs:',
      report.modes.flatMap((mode) =>
        mode.failures.map(({ run, outcome }) =>
          outcome.status === 'failed' ? `- \`${run}\`: ${outcome.cause}: ${text(outcome.message)}` : '',
        ),
      ),
    ),
    ...section(
      'Not here:',
      report.absent.map((one) => `- ${one.letter} \`${one.entry}\`: ${text(one.reason)} → ${code(one.hint)}`),
    ),
    ...section(
      'Warnings:',
      report.warnings.map((warning) => `- ${text(warning.message)}`),
    ),
    '',
    `Environment: ${host.cpu}, ${host.cores} cores, ${host.memoryGiB} GiB; ${host.os}, kernel ${host.kernel}, cgroup ${host.cgroup}, virtualization ${host.virtualization}; cagematch ${match.versions.cagematch}, agent ${match.versions.agent}, Node ${match.versions.node}; ${runtimeVersions(report)}.`,
  ].join('\n');
}

function runtimeVersions(report: Report): string {
  const seen = new Map<string, string>();
  for (const mode of report.modes) if (mode.detection.status === 'ready') seen.set(mode.title, mode.detection.version);
  return [...seen].map(([title, version]) => `${title} ${version}`).join(', ');
}

function section(title: string, lines: string[]): string[] {
  return lines.length === 0 ? [] : ['', title, '', ...lines];
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Words that others chose: no markup of theirs, and no marker that would end our region. */
function text(words: string): string {
  return printable(words).replaceAll('<', '&lt;');
}

/** A span of code; one that holds backticks needs more of them around it. */
function code(words: string): string {
  const plain = printable(words).replaceAll('<!--', '< !--');
  return plain.includes('`') ? `\`\` ${plain} \`\`` : `\`${plain}\``;
}

function interval(summary: ModeReport['startupMs']): string {
  if (isGap(summary)) return '–';
  const middle = Math.round(summary.median);
  return isGap(summary.ci95) ? `${middle}` : `${middle} [${Math.round(summary.ci95[0])}–${Math.round(summary.ci95[1])}]`;
}

function median(mode: ModeReport, name: ClockName): string {
  const summary = mode.phasesMs[name];
  return summary === undefined || isGap(summary) ? '–' : String(Math.round(summary.median));
}

/** The document with what stands between two markers replaced; undefined where it has no such markers. */
export function replaceRegion(document: string, content: string, region: { begin: string; end: string } = REGION): string | undefined {
  const begin = document.indexOf(region.begin);
  const end = document.indexOf(region.end);
  if (begin === -1 || end < begin) return undefined;
  return `${document.slice(0, begin + region.begin.length)}\n${content}\n${document.slice(end)}`;
}
