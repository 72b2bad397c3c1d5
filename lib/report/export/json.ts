// The report as JSON. Runs are written as they are read back: all of them at once may not fit into
// memory.
import { printableJson } from '../../os/printable.js';
import type { Report } from '../document.js';
import { without } from '../rows.js';
import type { Exporter } from './csv.js';

/**
 * Writes what `JSON.stringify(report, null, 2)` would if the report contained the pushed runs.
 * @param report without runs
 */
export function createJson(write: (text: string) => void, report: Report): Exporter {
  // No string within JSON contains a raw newline, so this line is the document's own.
  const [before = '', after = ''] = printableJson(
    JSON.stringify({ ...report, runs: [] }, null, 2),
  ).split(/(?<=\n {2}"runs": \[)(?=\],?\n)/);
  let first = true;
  write(before);
  return {
    push(event) {
      if (event.type !== 'run-ended') return;
      const text = printableJson(JSON.stringify(without(event), null, 2)).replaceAll(
        '\n',
        '\n    ',
      );
      write(`${first ? '' : ','}\n    ${text}`);
      first = false;
    },
    end: () => write(`${first ? '' : '\n  '}${after}\n`),
  };
}
