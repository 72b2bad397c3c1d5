// What the tasks have in common: a seed of new files with a nonce, and what their verdicts rest on.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { hold } from '../held.js';
import type { Sync } from '../record.js';
import type { Transcript } from './transcript.js';

/** Only ever new files: where an agent has been before, a name may be a link to anywhere on this host. */
export function seedWith(workspace: string, files: Readonly<Record<string, string>>): { nonce: string } {
  const nonce = randomBytes(12).toString('hex');
  for (const [name, text] of Object.entries({ ...files, 'nonce.txt': `${nonce}\n` }))
    writeFileSync(join(workspace, name), text, { flag: 'wx' });
  return { nonce };
}

export function isThere(workspace: string, name: string): boolean {
  return hold(workspace, (held) => held.look(name)?.isFile()) === true;
}

/** What the agent last gave the Write tool for a file of that name. */
export function lastWritten({ writes }: Transcript, name: string): string | undefined {
  return writes.findLast((write) => basename(write.path) === name)?.content;
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
