// What the verdicts rest on: files that are on this host, what the agent wrote, and what its commands printed.
import { type Held, hold, readOwn } from '../os/safe-dir.js';
import type { Sync } from '../record/types.js';
import type { Transcript } from './transcript.js';

/** What is longer was not written with the Write tool. */
const MOST_BYTES = 4 * 1024 * 1024;

/** @param path in the workspace; every folder on the way is one, and no link */
export function isThere(workspace: string, path: string): boolean {
  return reach(workspace, path, (held, name) => held.look(name)?.isFile()) === true;
}

/** The text of a file, as long as it is a plain one with one name. */
export function textOf(workspace: string, path: string): string | undefined {
  return reach(workspace, path, (held, name) => readOwn(held, name, MOST_BYTES)?.toString('utf8'));
}

function reach<T>(workspace: string, path: string, act: (held: Held, name: string) => T): T | undefined {
  const enter = (held: Held, [name = '', ...rest]: string[]): T | undefined =>
    rest.length === 0 ? act(held, name) : held.folder(name, (inner) => enter(inner, rest));
  return hold(workspace, (held) => enter(held, path.split('/')));
}

/** What the agent last gave the Write tool for a file of that path; it names files by where they are inside. */
export function lastWritten({ writes }: Transcript, path: string): Transcript['writes'][number] | undefined {
  return writes.findLast((write) => write.path === path || write.path.endsWith(`/${path}`));
}

/** What commands printed that ended well. */
export function printed({ toolOutputs }: Transcript): string[] {
  return toolOutputs.flatMap(({ tool, isError, text }) => (tool === 'Bash' && !isError ? [text] : []));
}

/** A nonce that a command has printed was in the workspace inside. */
export function cameIn(transcript: Transcript, nonce: string): Sync['in'] {
  if (printed(transcript).some((text) => text.includes(nonce))) return 'yes';
  return transcript.toolOutputs.length > 0 ? 'no' : { gap: 'not-reached' };
}
