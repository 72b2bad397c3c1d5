// The little of Go's templates that `--format` is asked for: paths, `json`, `index`. Anything else
// is refused.

/** @param {string} template @param {unknown} value */
export function render(template, value) {
  if (/\{\{[^}]*$/.test(template))
    throw new Error('template parsing error: template: :1: unclosed action');
  return template.replace(/\{\{(.*?)\}\}/g, (_, action) => evaluate(action.trim(), value));
}

/** @param {string} action @param {unknown} value @returns {string} */
function evaluate(action, value) {
  if (action.startsWith('json '))
    return JSON.stringify(term(action.slice(5).trim(), value) ?? null);
  const found = term(action, value);
  return typeof found === 'object' ? JSON.stringify(found) : String(found);
}

/** @param {string} text @param {unknown} value @returns {unknown} */
function term(text, value) {
  const grouped = /^\((.*)\)((?:\.\w+)*)$/.exec(text);
  if (grouped) return path(grouped[2] ?? '', term(grouped[1] ?? '', value));
  const indexed = /^index (\S+) (?:(\d+)|"(.*)")$/.exec(text);
  if (indexed) {
    const whole = /** @type {any} */ (path(indexed[1] ?? '', value));
    return whole?.[indexed[2] ?? indexed[3] ?? ''];
  }
  if (/^(\.|(\.\w+)+)$/.test(text)) return path(text, value);
  throw new Error(
    `template parsing error: template: :1: function "${text.split(' ')[0]}" not defined`,
  );
}

/** @param {string} text @param {unknown} value */
function path(text, value) {
  let found = /** @type {any} */ (value);
  for (const name of text.split('.').filter(Boolean)) {
    if (typeof found === 'object' && found !== null && !(name in found)) {
      throw new Error(`template: :1: can't evaluate field ${name}`);
    }
    found = found?.[name];
  }
  return found;
}
