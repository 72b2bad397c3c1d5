// Watches the processes of this machine during a run: their command lines and the environments of
// other users' processes.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { type Needle, shapesIn } from '../../census/search.js';
import { isBelow } from '../../os/process-tree.js';
import { type Finding, finding, unseen } from './finding.js';

const EVERY_MS = 20;

export interface Watch {
  /** Root processes of the sandbox; environments below these belong to the guest. */
  inside(roots: readonly number[]): void;
  /** Scans once more and returns the findings of all scans. */
  stop(): Finding[];
}

/**
 * Searches the command lines and environments in /proc repeatedly until `stop`.
 * @param uid of the caller, undefined if there is none
 */
export function watchProcesses(
  needles: readonly Needle[],
  uid: number | undefined,
  platform: NodeJS.Platform,
): Watch {
  if (platform !== 'linux')
    return {
      inside() {},
      stop: () =>
        (['argv', 'others-environ'] as const).map((place) =>
          unseen(place, 'this platform has no /proc'),
        ),
    };
  const argv = new Map<string, { where: string; shape: string }>();
  const environ: typeof argv = new Map();
  const seen = new Set<number>();
  let roots: readonly number[] = [];
  let looks = 0;
  const note = (found: typeof argv, where: string, shapes: string[]) => {
    for (const shape of shapes) found.set(`${where} ${shape}`, { where, shape });
  };
  const look = () => {
    looks += 1;
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      const pid = Number(name);
      try {
        const line = readFileSync(`/proc/${name}/cmdline`);
        if (line.length === 0) continue;
        seen.add(pid);
        const program = basename(line.toString('utf8').split('\0')[0] ?? '');
        note(argv, `${program} (pid ${pid})`, shapesIn(line, needles));
        const owner = statSync(`/proc/${name}`).uid;
        if (owner === uid || roots.length === 0) continue;
        const shapes = shapesIn(readFileSync(`/proc/${name}/environ`), needles);
        if (shapes.length > 0 && isBelow(pid, roots) === false)
          note(environ, `${program} (pid ${pid}, uid ${owner})`, shapes);
      } catch {
        // The process is gone, or we may not read it.
      }
    }
  };
  look();
  const timer = setInterval(look, EVERY_MS);
  return {
    inside(found) {
      roots = found;
    },
    stop() {
      clearInterval(timer);
      look();
      const looked = `${looks} looks at ${seen.size} processes`;
      return [
        finding('argv', [...argv.values()], looked),
        roots.length === 0
          ? unseen('others-environ', 'which processes are the sandbox could not be told')
          : finding('others-environ', [...environ.values()], looked),
      ];
    },
  };
}
