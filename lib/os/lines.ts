// Splits text that arrives in pieces into lines of bounded length.

/**
 * The longest line kept whole, in characters; the rest of a longer line is dropped, and the line
 * marked as cut.
 */
export const MAX_LINE = 4 * 1024 * 1024;

/** An overlong line is cut, and the rest of it is skipped without being buffered. */
export function lineSplitter(emit: (line: string) => void) {
  let rest = '';
  let cut = false;
  const end = () => {
    emit(cut ? `${rest} … [line cut]` : rest.endsWith('\r') ? rest.slice(0, -1) : rest);
    rest = '';
    cut = false;
  };
  return {
    push(text: string) {
      let from = 0;
      for (;;) {
        const at = text.indexOf('\n', from);
        const part = text.slice(from, at === -1 ? undefined : at);
        if (!cut) {
          rest += part;
          if (rest.length > MAX_LINE) {
            rest = rest.slice(0, MAX_LINE);
            cut = true;
          }
        }
        if (at === -1) return;
        end();
        from = at + 1;
      }
    },
    flush() {
      if (rest !== '') end();
    },
  };
}
