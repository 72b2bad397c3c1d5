// JSON that another program printed.

/** Undefined where it is no JSON. The shape is what the caller expects, not what was checked. */
export function parseJson<T = unknown>(text: string): T | undefined {
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}
