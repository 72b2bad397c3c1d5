// What differs from run to run stands in a cassette as `{{name}}`: taken out of what is recorded, put into what is replayed.

/**
 * @typedef {'cwd' | 'cwd-slug' | 'home' | 'tmp' | 'nonce' | 'session' | `agent-${number}`} Name
 * @typedef {Partial<Record<Name, string>>} Values
 */

// `{{open}}` stands for two braces that were there already before one of our names.
const NAMES = '(?:open|cwd-slug|cwd|home|tmp|nonce|session|agent-\\d+)';
const PLACEHOLDER = new RegExp(`\\{\\{(${NAMES})\\}\\}`, 'g');

/**
 * @param {unknown} value
 * @param {(text: string) => string} change
 * @returns {unknown} the value with every string in it changed
 */
export function mapStrings(value, change) {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((item) => mapStrings(item, change));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapStrings(item, change)]));
}

/**
 * @template T
 * @param {T} value
 * @param {Values} values
 * @returns {{filled: T, unknown: Set<string>}} `unknown`: names that stand in it, and that have no value
 */
export function fill(value, values) {
  /** @type {Set<string>} */
  const unknown = new Set();
  const filled = mapStrings(value, (text) =>
    text.replace(PLACEHOLDER, (whole, name) => {
      const known = name === 'open' ? '{{' : values[/** @type {Name} */ (name)];
      if (known === undefined) unknown.add(name);
      return known ?? whole;
    }),
  );
  return { filled: /** @type {T} */ (filled), unknown };
}

const SPECIAL = /[\\^$.*+?()[\]{}|]/g;

/**
 * The other way round.
 * @param {[Name, string][]} known several values may have the same name
 * @returns {(text: string) => string}
 */
export function abstracter(known) {
  const names = new Map(known.filter(([, value]) => value !== '').map(([name, value]) => [value, name]));
  // The longest first: a home may lie in the workspace. A path ends where a name ends: `/work` is not in `/workshop`.
  const values = [...names.keys()].sort((a, b) => b.length - a.length);
  const shapes = values.map((value) => {
    const plain = value.replace(SPECIAL, '\\$&');
    return value.startsWith('/') ? `(?<![\\w.-])${plain}(?![\\w-])` : plain;
  });
  const pattern = new RegExp([`\\{\\{(?=${NAMES}\\}\\})`, ...shapes].join('|'), 'g');
  return (text) => text.replace(pattern, (found) => (found === '{{' ? '{{open}}' : `{{${names.get(found)}}}`));
}

/**
 * As the agent names folders of its own after a working directory.
 * @param {string} path
 */
export function slugOf(path) {
  return path.replace(/[^a-zA-Z0-9]/g, '-');
}
