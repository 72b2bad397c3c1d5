// Content that reaches a sandbox through a read-only folder: the agent's home, files, and the
// workspace if nothing else brings it in.
import { copyFileSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Context, LaunchSpec } from '../../lib/contract.js';
import { pack } from '../../lib/kit/guest/archive.js';
import { FILES_IN_PLACE } from '../../lib/kit/guest/shell.js';
import { own } from '../../lib/os/own.js';
import { removeTree } from '../../lib/os/remove-tree.js';

/**
 * Fills the folder, which lies beside the workspace in the run's own folder and is removed with it.
 * @param include `workspace`: include the files of the workspace
 */
export async function fillFolder(
  ctx: Context,
  spec: LaunchSpec,
  include: { workspace: boolean },
): Promise<string> {
  const folder = join(dirname(spec.host.workspace), `${spec.name}-in`);
  removeTree(folder);
  mkdirSync(folder);
  cpSync(join(ctx.packageRoot, 'lib/task/home'), join(folder, 'home'), { recursive: true });
  for (const [at, file] of spec.files.entries())
    copyFileSync(file.source, join(folder, String(at)));
  if (include.workspace)
    writeFileSync(join(folder, 'workspace.tgz'), await pack(spec.host.workspace));
  own(folder, spec.user, ctx.uid);
  return folder;
}

/**
 * Arguments: FROM HOME WORKSPACE PATH…. Puts in place the home, one file for each PATH, and the
 * workspace archive if there is one. A `.git` in that archive replaces the one in the workspace.
 */
const COPY_IN = `set -e
from=$1 home=$2 workspace=$3
shift 3
mkdir -p "$home" /tmp
cp -R "$from/home/." "$home"
${FILES_IN_PLACE}
if [ -f "$from/workspace.tgz" ]; then
  if tar -t -z -f "$from/workspace.tgz" | grep -q -x '\\./\\.git/\\{0,1\\}'; then rm -rf "$workspace/.git"; fi
  tar -x -z -o -f "$from/workspace.tgz" -C "$workspace"
fi`;

/**
 * The command, run inside, that puts everything in its place.
 * @param folder path of the folder as seen inside
 */
export function copyInCommand(
  folder: string,
  home: string,
  workspace: string,
  { files }: LaunchSpec,
): string[] {
  return [
    '/bin/sh',
    '-c',
    COPY_IN,
    'cagematch',
    folder,
    home,
    workspace,
    ...files.map(({ path }) => path),
  ];
}
