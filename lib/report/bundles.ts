// What agents committed in copied workspaces, worded the same in every form of the report.
import { runsNamed } from './cells.js';
import type { Report } from './document.js';

/** One line per row; the path of a bundle is relative to the match's folder. */
export function bundleLines({ modes }: Pick<Report, 'modes'>): string[] {
  return modes.flatMap(({ bundles }) => {
    const [first] = bundles;
    return first === undefined
      ? []
      : [
          `${runsNamed(bundles.map(({ run }) => run))}: what the agent committed is a git bundle in bundles/: git fetch ${first.file} '*:*'`,
        ];
  });
}
