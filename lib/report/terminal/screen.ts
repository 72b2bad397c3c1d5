// A terminal with one line that changes in place; without a terminal, only the permanent lines are
// written.
import { printable } from '../../os/printable.js';

export interface Screen {
  /** Writes a permanent line. */
  line(text: string): void;
  /** Changes in place, below the permanent lines; shown on a terminal only. */
  status(text: string): void;
  /** Removes the status. */
  clear(): void;
}

export function createScreen(
  write: (text: string) => void,
  live: boolean,
  columns: () => number,
): Screen {
  let shown = 0;
  let status = '';
  // A line as wide as the terminal would wrap on some terminals.
  const draw = (text: string) => {
    const cut = text.slice(0, Math.max(0, columns() - 1));
    if (cut === '' && shown === 0) return;
    write(
      `\r${cut}${' '.repeat(Math.max(0, Math.min(shown, columns() - 1) - cut.length))}${cut === '' ? '\r' : ''}`,
    );
    shown = cut.length;
  };
  return {
    line(text: string) {
      draw('');
      write(`${printable(text)}\n`);
      if (live) draw(status);
    },
    status(text: string) {
      if (!live) return;
      status = printable(text);
      draw(status);
    },
    clear() {
      status = '';
      draw('');
    },
  };
}
