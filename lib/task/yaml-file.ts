// Parses a hand-written YAML file into plain values; a syntax error is reported with its line.
import { parseDocument } from 'yaml';
import { CagematchError, messageOf } from '../errors.js';

/**
 * @param name of the file, for messages
 * @param kind of the file, as at the start of a sentence: `a match file`
 * @throws `bad-input` with the line
 */
export function parseYaml(text: string, name: string, kind: string): unknown {
  const document = parseDocument(text);
  const [problem] = document.errors;
  if (problem) {
    const line = problem.linePos?.[0].line ?? 1;
    // The parser's message continues with the position and an excerpt.
    const what = messageOf(problem).replace(/ at line \d+, column \d+:?$/, '');
    throw new CagematchError(
      'bad-input',
      `${name} line ${line}: ${what}`,
      `correct line ${line}; ${kind} is YAML`,
    );
  }
  try {
    return document.toJS();
  } catch (error) {
    // Nested aliases, with which a small file can produce a very large value.
    throw new CagematchError(
      'bad-input',
      `${name}: ${messageOf(error)}`,
      'write it without aliases',
    );
  }
}

/** Formats a path, for example `modes[1].cpus`. */
export function placeOf(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) =>
      typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`,
    )
    .join('');
}
