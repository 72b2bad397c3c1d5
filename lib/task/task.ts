// What a task is: a prompt, a seed workspace, and a verifier that trusts only what it can check.
import type { Outcome, Sync } from '../record.js';
import type { Transcript } from './transcript.js';

/** The tasks that there are, by id. */
export const TASKS = ['hello', 'refactor'] as const;

export interface Task {
  id: string;
  prompt: string;
  /** Absolute path of the cassette that replays it. */
  cassette: string;
  /** Writes the seed into an empty workspace, new files only (`wx`), no folders; returns what only this run can know. */
  seed(workspace: string): { nonce: string };
  /** Is the agent's file on the host already? Looked at before the agent has ended. */
  arrived(workspace: string): boolean;
  /**
   * @param workspace on the host, after collect; nothing in it is ever executed
   */
  verify(workspace: string, nonce: string, transcript: Transcript): { outcome: Outcome; sync: Omit<Sync, 'live'> };
}
