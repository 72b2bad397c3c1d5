// The only error that users get to see: what is wrong, and what to type next.
import leven from 'leven';

export type ErrorCode =
  | 'bad-input' // argv, .env, a cassette, an output folder: exit 2
  | 'not-ready' // a required runtime is missing: exit 3
  | 'image-unavailable' // an image or template is missing and cannot be built
  | 'launch-failed' // the runtime refused or lost the sandbox
  | 'collect-failed' // the workspace did not come back
  | 'destroy-failed' // the runtime still lists the sandbox
  | 'port-taken' // the gateway's address is in use
  | 'record-failed'; // events could not be written (disk full, folder gone)

export class CagematchError extends Error {
  override readonly name = 'CagematchError';

  /**
   * @param code the kind of failure, for callers that branch on it
   * @param message one line that describes what was observed
   * @param hint one command to type or one thing to change
   */
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly hint?: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/** The first line of a thrown value's message, for a row or a one-line message. */
export function messageOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return text.split('\n', 1)[0] ?? '';
}

/** The name closest to the word by edit distance; undefined if even that one is far off. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  const [best] = names
    .map((name) => ({ name, distance: leven(word, name) }))
    .sort(
      (a, b) =>
        a.distance - b.distance ||
        Number(b.name.startsWith(word)) - Number(a.name.startsWith(word)),
    );
  return best && best.distance <= Math.max(2, Math.floor(word.length / 2)) ? best.name : undefined;
}
