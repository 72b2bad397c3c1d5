// What a task is: a prompt, a seed workspace, a judge that only looks, and, where it has one, a verifier that is run in a sandbox.

import type { Owner } from '../os/own.js';
import type { Outcome, Sync } from '../record/types.js';
import type { Transcript } from './transcript.js';
import type { Tree } from './tree.js';

export interface Task {
  id: string;
  prompt: string;
  /** Absolute path of the cassette that replays it; absent: only a live model can do it. */
  cassette?: string;
  /**
   * Writes the seed into an empty workspace, new files only; returns what only this run can know.
   * @param owner whose the files are to be; absent: the caller's
   */
  seed(workspace: string, owner?: Owner): { nonce: string };
  /** Is the agent's file on the host already? Looked at before the agent has ended; absent: there is no such file. */
  arrived?(workspace: string): boolean;
  /** @param workspace on the host, after collect; nothing in it is ever executed */
  judge(workspace: string, nonce: string, transcript: Transcript): { outcome: Outcome; sync: Omit<Sync, 'live'> };
  /** Has the last word where the judge has found nothing wrong. */
  verifier?: Verifier;
}

/** A command that is run in a sandbox of its own, on the workspace as it came back; it passes with exit code 0. */
export interface Verifier {
  /** What is laid beside the workspace for it; no agent ever sees these files. */
  files: Tree;
  /** @param folder where these files are, as seen inside */
  argv(folder: string, nonce: string): [string, ...string[]];
}
