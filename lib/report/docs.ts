// Generated parts of documents about the modes, made from what the modes declare.
import type { Input, Mode } from '../contract.js';

type Declared = Pick<
  Mode,
  | 'id'
  | 'title'
  | 'letter'
  | 'isolation'
  | 'workspace'
  | 'auth'
  | 'inputs'
  | 'platforms'
  | 'summary'
>;

export const RUNTIMES_PAGE = 'docs/runtimes.md';
export const RUNTIMES_REGION = {
  begin: '<!-- cagematch:runtimes -->',
  end: '<!-- /cagematch:runtimes -->',
};

/** The table of runtimes. */
export function runtimesTable(modes: Iterable<Declared>): string {
  const rows = [...modes].map((mode) => {
    const cells = [
      `\`${mode.id}\``,
      mode.letter,
      mode.title,
      mode.isolation,
      mode.workspace,
      mode.auth.join(', '),
      mode.platforms.join(', '),
      mode.summary,
    ];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return [
    '| mode | letter | runtime | isolation | workspace | auth, in order | platforms | what it runs |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

/** The whole of `.env.example`. */
export function envExample(own: Record<string, Input>, modes: Iterable<Declared>): string {
  const parts = [
    [
      '# Copy to .env. Nothing here is needed for a replayed match.',
      '# Made by `npm run docs` from what the modes declare.',
    ].join('\n'),
    section('cagematch', own),
  ];
  const seen = new Set(Object.keys(own));
  for (const mode of modes) {
    const fresh = Object.fromEntries(
      Object.entries(mode.inputs).filter(([name]) => !seen.has(name)),
    );
    for (const name of Object.keys(fresh)) seen.add(name);
    if (Object.keys(fresh).length > 0) parts.push(section(mode.id, fresh));
  }
  return `${parts.join('\n\n')}\n`;
}

function section(title: string, inputs: Record<string, Input>): string {
  const lines = Object.entries(inputs).flatMap(([name, input]) => [
    `# ${input.help}${input.secret ? ' (secret)' : ''}`,
    `# ${name}=${input.example ?? ''}`,
  ]);
  return [`# --- ${title}`, ...lines].join('\n');
}
