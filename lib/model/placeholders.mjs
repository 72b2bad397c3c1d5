// Placeholders `{{name}}` in a cassette for what differs from run to run: inserted when recording,
// filled in when replaying.

/**
 * @typedef {'cwd' | 'cwd-slug' | 'home' | 'tmp' | 'nonce' | 'session' | `agent-${number}`} Name
 * @typedef {Partial<Record<Name, string>>} Values
 */

// `{{open}}` escapes two braces that already preceded one of our names.
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
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, mapStrings(item, change)]),
  );
}

/**
 * @template T
 * @param {T} value
 * @param {Values} values
 * @returns {{filled: T, unknown: Set<string>}} `unknown`: placeholders in the value that have no
 *   value to insert
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
 * The inverse of `fill`: replaces values with placeholders.
 * @param {[Name, string][]} known several values may have the same name
 * @returns {(text: string) => string}
 */
export function abstracter(known) {
  const names = new Map(
    known.filter(([, value]) => value !== '').map(([name, value]) => [value, name]),
  );
  // Longest first: a home may lie in the workspace. A path must end at a name boundary: `/work`
  // does not match in `/workshop`.
  const values = [...names.keys()].sort((a, b) => b.length - a.length);
  const shapes = values.map((value) => {
    const plain = value.replace(SPECIAL, '\\$&');
    return value.startsWith('/') ? `(?<![\\w.-])${plain}(?![\\w-])` : plain;
  });
  const pattern = new RegExp([`\\{\\{(?=${NAMES}\\}\\})`, ...shapes].join('|'), 'g');
  return (text) =>
    text.replace(pattern, (found) => (found === '{{' ? '{{open}}' : `{{${names.get(found)}}}`));
}

/**
 * The form of a working directory that the agent uses to name its own folders.
 * @param {string} path
 */
export function slugOf(path) {
  return path.replace(/[^a-zA-Z0-9]/g, '-');
}
