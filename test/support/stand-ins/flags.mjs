// Flags as Go's pflag reads them: what is not in the list is refused, as the real command line
// does.

/**
 * @typedef {{bool?: string[], valued?: string[]}} FlagList names, each with its short letter after
 *   a blank: `'detach d'`
 * @typedef {{flags: Map<string, string[]>, rest: string[], has(name: string): boolean, last(name:
 *   string): string | undefined, all(name: string): string[]}} Flags
 */

/** A flag that the real command line would not take. */
export class BadFlag extends Error {}

/**
 * @param {string[]} args
 * @param {FlagList} list
 * @param {{interspersed?: boolean}} [options] `interspersed`: flags may follow operands (not for
 *   `run` and `exec`)
 * @returns {Flags}
 */
export function parseFlags(args, list, { interspersed = true } = {}) {
  /** @type {Map<string, {name: string, valued: boolean}>} */
  const known = new Map();
  for (const [entries, valued] of /** @type {[string[], boolean][]} */ ([
    [list.bool ?? [], false],
    [list.valued ?? [], true],
  ])) {
    for (const entry of entries) {
      const [name = '', short] = entry.split(' ');
      known.set(`--${name}`, { name, valued });
      if (short !== undefined) known.set(`-${short}`, { name, valued });
    }
  }
  /** @type {Map<string, string[]>} */
  const flags = new Map();
  /** @type {string[]} */
  const rest = [];
  /** @param {string} name @param {string} value */
  const add = (name, value) => flags.set(name, [...(flags.get(name) ?? []), value]);
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? '';
    if (word === '--') {
      rest.push(...args.slice(at + 1));
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      if (!interspersed) {
        rest.push(...args.slice(at));
        break;
      }
      rest.push(word);
      continue;
    }
    const equals = word.startsWith('--') ? word.indexOf('=') : -1;
    const written = equals === -1 ? word : word.slice(0, equals);
    const flag = known.get(written.startsWith('--') ? written : written.slice(0, 2));
    if (!flag) {
      throw new BadFlag(
        word.startsWith('--')
          ? `unknown flag: ${written}`
          : `unknown shorthand flag: '${word[1]}' in ${word}`,
      );
    }
    if (!flag.valued) {
      if (written.startsWith('--')) add(flag.name, equals === -1 ? 'true' : word.slice(equals + 1));
      else {
        add(flag.name, 'true');
        // `-it` is `-i -t`.
        if (word.length > 2)
          args = [...args.slice(0, at + 1), `-${word.slice(2)}`, ...args.slice(at + 1)];
      }
      continue;
    }
    if (equals !== -1) add(flag.name, word.slice(equals + 1));
    else if (!written.startsWith('--') && word.length > 2)
      add(flag.name, word.slice(2).replace(/^=/, ''));
    else {
      at += 1;
      const value = args[at];
      if (value === undefined) throw new BadFlag(`flag needs an argument: ${word}`);
      add(flag.name, value);
    }
  }
  return {
    flags,
    rest,
    has: (name) => flags.get(name)?.at(-1) === 'true',
    last: (name) => flags.get(name)?.at(-1),
    all: (name) => flags.get(name) ?? [],
  };
}
