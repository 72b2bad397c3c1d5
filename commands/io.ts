// What a command may talk to: the streams, the environment, the folder.
import type { Env } from '../lib/contract.js';

export interface Io {
  /** The result for a person: one block of text, newline included. Whatever a terminal would obey is taken out of it, but our styles. */
  out(text: string): void;
  /** The result for a program (JSON, CSV, HTML, Markdown …), which escapes what its form asks for: written as it is. */
  document(text: string): void;
  /** For a person, as `out`: progress, notes. Secrets are redacted. */
  err(text: string): void;
  outIsTty: boolean;
  errIsTty: boolean;
  /** Of the terminal behind `err`, now; 100 where there is none. */
  errColumns(): number;
  cwd: string;
  /** The shell's environment with .env below it. */
  env: Env;
  /** The names that .env gave. */
  dotenv: ReadonlySet<string>;
  platform: NodeJS.Platform;
  uid: number | undefined;
  /** Ends the process at once. Only for the user who presses Ctrl-C again and again. */
  leave(code: number): never;
}

/** Exit codes; scripts depend on them. */
export const EXIT = { done: 0, failed: 1, badInput: 2, notReady: 3, cannotSay: 4, interrupted: 130 } as const;

export function wantsColour(io: Io, tty: boolean): boolean {
  return tty && !io.env.NO_COLOR && io.env.TERM !== 'dumb';
}
