// Settings that an administrator of this machine has set for the agent. They apply in sandboxes
// that see this machine's own files.
import type { Env } from '../contract.js';
import { messageOf } from '../errors.js';
import { parseJson } from '../json.js';
import { MOST_TYPED, readPlainFile } from '../os/plain-files.js';

const PLACES: Partial<Record<NodeJS.Platform, string>> = {
  linux: '/etc/claude-code/managed-settings.json',
  darwin: '/Library/Application Support/ClaudeCode/managed-settings.json',
};

/**
 * One line about the managed settings of this machine: the file and the names of its settings,
 * never the values.
 * @param path of the settings; defaults to the agent's own location
 * @returns undefined if there are none
 */
export function managedSettings(
  platform: NodeJS.Platform,
  path = PLACES[platform],
): string | undefined {
  if (path === undefined) return undefined;
  let text: string;
  try {
    text = readPlainFile(path, { links: 'follow', most: MOST_TYPED }).toString('utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR'
      ? undefined
      : `managed settings of the agent cannot be read: ${messageOf(error)}`;
  }
  const settings = parseJson<{ env?: Env }>(text);
  if (typeof settings !== 'object' || settings === null)
    return `${path}, the managed settings of the agent, is not JSON`;
  const keys = Object.keys(settings).flatMap((key) =>
    key === 'env' ? Object.keys(settings.env ?? {}).map((name) => `env.${name}`) : [key],
  );
  return keys.length === 0
    ? undefined
    : `${path} sets ${keys.slice(0, 10).join(', ')} for the agent`;
}
