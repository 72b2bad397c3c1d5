// A command's interface to the outside: the streams, the environment, the folder.
import type { Env } from '../lib/contract.js';

export interface Io {
  /**
   * The result for a person: one block of text, newline included. Terminal control sequences are
   * removed, except for our styles.
   */
  out(text: string): void;
  /**
   * The result for a program (JSON, CSV, HTML, Markdown …), already escaped as its format requires:
   * written unchanged.
   */
  document(text: string): void;
  /** For a person, as `out`: progress, notes. Secrets are redacted. */
  err(text: string): void;
  outIsTty: boolean;
  errIsTty: boolean;
  /** Current width of the terminal behind `err`; 100 if there is none. */
  errColumns(): number;
  cwd: string;
  /** The shell's environment; values from .env are used where it has none. */
  env: Env;
  /** The names whose values come from .env. */
  dotenv: ReadonlySet<string>;
  platform: NodeJS.Platform;
  uid: number | undefined;
  /** Ends the process at once. Only for a user who presses Ctrl-C repeatedly. */
  leave(code: number): never;
}

/** Exit codes; scripts depend on them. */
export const EXIT = {
  done: 0,
  failed: 1,
  badInput: 2,
  notReady: 3,
  cannotSay: 4,
  interrupted: 130,
} as const;

export function wantsColour(io: Io, tty: boolean): boolean {
  return tty && !io.env.NO_COLOR && io.env.TERM !== 'dumb';
}
