// Groups rows with the same finding, so that it is printed once.

/** Groups of items whose keys are equal as JSON, in the order of each group's first item. */
export function alike<T>(items: readonly T[], key: (item: T) => unknown): [T, ...T[]][] {
  const groups = new Map<string, [T, ...T[]]>();
  for (const item of items) {
    const name = JSON.stringify(key(item));
    const group = groups.get(name);
    if (group) group.push(item);
    else groups.set(name, [item]);
  }
  return [...groups.values()];
}

/** With at least this many rows, the missing rows are named instead if there are only a few. */
const MANY = 5;

/**
 * The rows that share a finding. If these are all rows or all but a few: `every` is true, and
 * `named` are the exceptions.
 */
export function scopeOf(
  entries: readonly string[],
  all: readonly string[],
): { every: boolean; named: readonly string[] } {
  const missing = all.filter((entry) => !entries.includes(entry));
  const every =
    all.length > 1 && (missing.length === 0 || (all.length >= MANY && missing.length <= 2));
  return { every, named: every ? missing : entries };
}

/** `every row`, `every row but a, b`, or `a, b`. */
export function whose(
  entries: readonly string[],
  all: readonly string[],
  name: (entry: string) => string,
): string {
  const { every, named } = scopeOf(entries, all);
  const names = named.map(name).join(', ');
  if (!every) return names;
  return named.length === 0 ? 'every row' : `every row but ${names}`;
}
