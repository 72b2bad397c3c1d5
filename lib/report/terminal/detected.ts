// The runtimes that were detected here, for a person.
import type { z } from 'zod';
import type { detectionSchema } from '../../record/types.js';
import { borderless, fitted, type Style, trimmed, wrap } from './lines.js';

export interface DetectedRow {
  mode: string;
  letter: string;
  title: string;
  isolation: string;
  standIn: boolean;
  detection: z.infer<typeof detectionSchema>;
}

export function renderDetected(rows: readonly DetectedRow[], style: Style): string {
  const table = borderless(['mode', 'isolation', 'status', 'version', 'variants'].map(style.bold), [
    'left',
    'left',
    'left',
    'left',
    'left',
  ]);
  for (const { mode, letter, isolation, detection, standIn } of rows) {
    const ready = detection.status === 'ready';
    const variants = ready
      ? (detection.variants ?? []).map((variant) => `${mode}:${variant.id}`).join(' ')
      : '';
    table.push([
      `${letter} ${mode}${standIn ? ' (stand-in)' : ''}`,
      isolation,
      (ready ? style.good : style.bad)(detection.status),
      ready ? detection.version : '–',
      variants,
    ]);
  }
  const missing = rows.flatMap(({ mode, detection }) =>
    detection.status === 'ready'
      ? []
      : [
          ...wrap(`${mode}: ${detection.reason}`, '  ', '      '),
          ...wrap(detection.hint, '      → ', '        '),
        ],
  );
  return `${trimmed(fitted(table))}\n${missing.length > 0 ? `\n${missing.join('\n')}\n` : ''}`;
}
