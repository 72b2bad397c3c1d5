// A YAML file that a person has written: read into plain values; what is no YAML is told with its line.
import { parseDocument } from 'yaml';
import { CagematchError, messageOf } from '../errors.js';

/**
 * @param name of the file, for people
 * @param kind what it is, as a sentence begins with it: `a match file`
 * @throws `bad-input` with the line
 */
export function parseYaml(text: string, name: string, kind: string): unknown {
  const document = parseDocument(text);
  const [problem] = document.errors;
  if (problem) {
    const line = problem.linePos?.[0].line ?? 1;
    // The parser's own words go on with the place and a picture of it.
    const what = messageOf(problem).replace(/ at line \d+, column \d+:?$/, '');
    throw new CagematchError('bad-input', `${name} line ${line}: ${what}`, `correct line ${line}; ${kind} is YAML`);
  }
  try {
    return document.toJS();
  } catch (error) {
    // Aliases of aliases, of which a small file can make a very large value.
    throw new CagematchError('bad-input', `${name}: ${messageOf(error)}`, 'write it without aliases');
  }
}

/** `modes[1].cpus` */
export function placeOf(path: readonly PropertyKey[]): string {
  return path.map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`)).join('');
}
