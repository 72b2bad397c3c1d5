// Command lines for stand-ins: what is not documented is refused, as the real clients refuse it.

/**
 * @typedef {Record<string, {short?: string, value?: boolean}>} FlagSpec `value`: the flag takes
 *   one; else it is a switch
 */

export class Usage extends Error {}

/**
 * @param {string[]} args
 * @param {FlagSpec} spec
 * @param {{interspersed?: boolean}} [options] false: the first positional ends the flags, as in
 *   `exec`
 * @returns {{flags: Record<string, string[]>, rest: string[]}} a switch that is set has the value
 *   `true`
 */
export function parseFlags(args, spec, { interspersed = true } = {}) {
  /** @type {Record<string, string[]>} */
  const flags = {};
  /** @type {string[]} */
  const rest = [];
  const todo = [...args];
  for (let word = todo.shift(); word !== undefined; word = todo.shift()) {
    if (word === '--') return { flags, rest: [...rest, ...todo] };
    if (!word.startsWith('-') || word === '-') {
      rest.push(word);
      if (!interspersed) return { flags, rest: [...rest, ...todo] };
      continue;
    }
    const [, long, inline] = /^--([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
    const names = long === undefined ? [...word.slice(1)] : [long];
    for (const given of names) {
      const name = long ?? Object.keys(spec).find((name) => spec[name]?.short === given);
      const known = name === undefined ? undefined : spec[name];
      if (name === undefined || known === undefined)
        throw new Usage(
          long === undefined
            ? `unknown shorthand flag: '${given}' in ${word}`
            : `unknown flag: --${long}`,
        );
      const value = known.value ? (inline ?? todo.shift()) : 'true';
      if (value === undefined) throw new Usage(`flag needs an argument: --${name}`);
      flags[name] = [...(flags[name] ?? []), value];
    }
  }
  return { flags, rest };
}
