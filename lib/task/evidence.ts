// The evidence for verdicts: files on this host, what the agent wrote, and what its commands
// printed.
import { type OpenDir, readOwn, withOpenDir } from '../os/safe-dir.js';
import type { Sync } from '../record/types.js';
import type { Transcript } from './transcript.js';

/** A longer file was not written with the Write tool. */
const MOST_BYTES = 4 * 1024 * 1024;

/** @param path in the workspace; every folder on the way must be a real folder, not a link */
export function isThere(workspace: string, path: string): boolean {
  return reach(workspace, path, (dir, name) => dir.look(name)?.isFile()) === true;
}

/** The text of a file; only if it is a regular file with a single hard link. */
export function textOf(workspace: string, path: string): string | undefined {
  return reach(workspace, path, (dir, name) => readOwn(dir, name, MOST_BYTES)?.toString('utf8'));
}

function reach<T>(
  workspace: string,
  path: string,
  act: (dir: OpenDir, name: string) => T,
): T | undefined {
  const enter = (dir: OpenDir, [name = '', ...rest]: string[]): T | undefined =>
    rest.length === 0 ? act(dir, name) : dir.folder(name, (inner) => enter(inner, rest));
  return withOpenDir(workspace, (dir) => enter(dir, path.split('/')));
}

/** The agent's last Write call for this path. The agent uses paths as seen inside the sandbox. */
export function lastWritten(
  { writes }: Transcript,
  path: string,
): Transcript['writes'][number] | undefined {
  return writes.findLast((write) => write.path === path || write.path.endsWith(`/${path}`));
}

/** The output of commands that succeeded. */
export function printed({ toolOutputs }: Transcript): string[] {
  return toolOutputs.flatMap(({ tool, isError, text }) =>
    tool === 'Bash' && !isError ? [text] : [],
  );
}

/**
 * Whether the workspace reached the inside: a nonce that a command printed must have been there.
 */
export function cameIn(transcript: Transcript, nonce: string): Sync['in'] {
  if (printed(transcript).some((text) => text.includes(nonce))) return 'yes';
  return transcript.toolOutputs.length > 0 ? 'no' : { gap: 'not-reached' };
}
