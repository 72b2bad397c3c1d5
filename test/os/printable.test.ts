// Text that others wrote is made safe to show, in linear time, and secrets are redacted before
// anything is cut.
import { describe, expect, it, test } from 'vitest';
import {
  lastLine,
  oneLine,
  printable,
  printableJson,
  terminalText,
} from '../../lib/os/printable.js';
import { keepSecret, redact, shapesOf } from '../../lib/secrets.js';

const ESC = '\u001b';

describe('printable', () => {
  it.each([
    ['a colour', `a${ESC}[1;31mb${ESC}[0mc`, 'abc'],
    ['the clipboard', `a${ESC}]52;c;QQ==\u0007b`, 'ab'],
    ['a title that ends as a string does', `a${ESC}]0;t${ESC}\\b`, 'ab'],
    ['a device control string', `a${ESC}Pq#0${ESC}\\b`, 'ab'],
    ['a C1 sequence', 'a\u009b31mb\u009d0;t\u009cc', 'abc'],
    ['a reset', `a${ESC}cb`, 'ab'],
    ['a lone escape at the end', `a${ESC}`, 'a'],
    ['a line end, a tab and a NUL', 'a\r\nb\tc\u0000d', 'a b c d'],
    ['a line separator', 'a\u2028b', 'a b'],
    ['a turn of direction', 'a\u202eb\u2066c', 'a\ufffdb\ufffdc'],
    ['what nobody sees', 'a\u200bb\u{e0041}c\u3164d', 'a\ufffdb\ufffdc\ufffdd'],
    ['half of a character', 'a\ud800b', 'a\ufffdb'],
  ])('leaves nothing of %s', (_what, text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  it('keeps what an unfinished sequence would have hidden', () => {
    expect(printable(`a${ESC}]0;title and all the rest`)).toBe('a0;title and all the rest');
  });

  it('keeps letters of any script, and whole characters beyond 16 bits', () => {
    const text = 'Größe – 你好 שלום 🚀 e\u0301';
    expect(printable(text)).toBe(text);
  });
});

describe('in linear time, over 400 kB', () => {
  const MANY = 400_000;
  const fill = (piece: string) => piece.repeat(Math.ceil(MANY / piece.length));
  it.each([
    ['the parameters of one sequence', `${ESC}[${fill(';?')}`],
    ['parameters outside of a sequence', `${ESC}${fill(';?')}`],
    ['sequences that are never finished', fill(`${ESC}[`)],
    ['strings that are never finished', fill(`${ESC}]0;`)],
    ['one string that is never finished', `${ESC}]${fill('a')}`],
    ['intermediate bytes', fill(`${ESC} `)],
    ['spaces', `${fill(' ')}x`],
    ['line ends', fill('\n')],
    ['controls', fill('\u0000')],
    ['turns of direction', fill('\u202e')],
  ])('%s', (_what, text) => {
    const begunMs = performance.now();
    for (const show of [printable, oneLine, lastLine, terminalText, printableJson, redact])
      show(text);
    // In quadratic time, as Node 20's own function has it, this takes minutes at the least.
    expect(performance.now() - begunMs).toBeLessThan(20_000);
  });
});

describe('one line', () => {
  it('is of bounded length, shows that it was cut, and never ends in half of a character', () => {
    expect(oneLine('a'.repeat(400))).toBe(`${'a'.repeat(299)}…`);
    expect(oneLine(`${'a'.repeat(298)}🚀🚀`)).toBe(`${'a'.repeat(298)}…`);
    expect(oneLine('a'.repeat(300))).toBe('a'.repeat(300));
  });

  it('of a text in many lines is the last one that has words', () => {
    expect(lastLine('first\nlast\n \n\n')).toBe('last');
    expect(lastLine('\n')).toBe('');
  });
});

describe('a secret that a cut goes through', () => {
  const secret = `sk-ant-oat01-${Buffer.from('a secret of the usual length, with letters that no other has').toString('base64url')}-AA`;
  keepSecret(secret, 'CUT_TOKEN');
  /** Every stretch of 20 letters of it. */
  const pieces = Array.from({ length: secret.length - 19 }, (_, at) => secret.slice(at, at + 20));
  const expectNoPiece = (text: string) =>
    expect(pieces.filter((piece) => text.includes(piece))).toEqual([]);

  test('leaves no piece of it, wherever the cut is', () => {
    for (let before = 150; before < 320; before += 1) {
      const line = oneLine(`${'f'.repeat(before)}${secret}${'f'.repeat(300)}`);
      expectNoPiece(line);
      expect(line.length).toBeLessThanOrEqual(300);
    }
  });

  test('is redacted where its end, its beginning or both were cut off by others, from 20 letters on', () => {
    for (let from = 0; from < secret.length; from += 1) {
      for (const to of [from + 20, from + 33, secret.length]) {
        if (to > secret.length) continue;
        const left = redact(`words ${secret.slice(from, to)} words`);
        if (to - from >= 20) expect(left).toBe('words [redacted CUT_TOKEN] words');
        else expect(left).toBe(`words ${secret.slice(from, to)} words`);
      }
    }
  });

  test('is redacted where escape sequences stood within it', () => {
    const parted = [...secret].join(`${ESC}[0m`);
    expect(oneLine(`said ${parted}`)).toBe('said [redacted CUT_TOKEN]');
  });

  test('is redacted in pieces of its base64 and hex forms', () => {
    for (const shape of shapesOf(secret))
      expect(redact(`x ${shape.slice(3, -5)} y`)).toBe('x [redacted CUT_TOKEN] y');
  });

  test('is redacted twice in one text, and all between stays', () => {
    expect(redact(`${secret}, ${secret.slice(0, 30)}|${secret.slice(30)}`)).toBe(
      '[redacted CUT_TOKEN], [redacted CUT_TOKEN]|[redacted CUT_TOKEN]',
    );
  });
});

test('JSON for others has neither C1 controls nor turns of direction in it, and says the same', () => {
  const value = { 'k\u202ey': 'a\u009bb\u202ec\u2028d\u{e0041}e' };
  const json = printableJson(JSON.stringify(value));
  expect(json).toMatch(/^[\u0020-\u007e]+$/);
  expect(JSON.parse(json)).toEqual(value);
});

describe('the last border before a terminal', () => {
  it('keeps lines and our own styles, and nothing else that steers', () => {
    expect(terminalText(`${ESC}[1mbold${ESC}[22m\n  a${ESC}[5mb\rc\u202ed${ESC}]0;x\u0007\n`)).toBe(
      `${ESC}[1mbold${ESC}[22m\n  ab c\ufffdd\n`,
    );
  });
  it('keeps the carriage returns at both ends of a text, by which a line changes in place', () => {
    expect(terminalText('\rstatus\r')).toBe('\rstatus\r');
    expect(terminalText('\r')).toBe('\r');
  });
});
