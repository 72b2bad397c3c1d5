// A task: a prompt, a seed workspace, a judge that executes nothing, and optionally a verifier that
// runs in a sandbox.

import type { Owner } from '../os/own.js';
import type { Outcome, Sync } from '../record/types.js';
import type { Transcript } from './transcript.js';
import type { Tree } from './tree.js';

export interface Task {
  id: string;
  prompt: string;
  /** Absolute path of the cassette that replays it; if absent, only a live model can do it. */
  cassette?: string;
  /**
   * Writes the seed into an empty workspace, creating new files only. Returns a nonce that only
   * this run can know.
   * @param owner of the files; defaults to the caller
   */
  seed(workspace: string, owner?: Owner): { nonce: string };
  /**
   * True if the agent's file is already on the host; checked before the agent has ended. Absent if
   * there is no such file.
   */
  arrived?(workspace: string): boolean;
  /** @param workspace on the host, after collect; nothing in it is ever executed */
  judge(
    workspace: string,
    nonce: string,
    transcript: Transcript,
  ): { outcome: Outcome; sync: Omit<Sync, 'live'> };
  /** Decides the outcome if the judge has found no fault. */
  verifier?: Verifier;
}

/**
 * A command that runs in its own sandbox, on the workspace as it came back; exit code 0 means
 * passed.
 */
export interface Verifier {
  /** The verifier's files, placed next to the workspace; no agent ever sees them. */
  files: Tree;
  /** @param folder path of these files, as seen inside */
  argv(folder: string, nonce: string): [string, ...string[]];
}
