// What somebody who mistyped a name probably meant.
import leven from 'leven';

/** The nearest of the names, unless even that is far off. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  const [best] = names
    .map((name) => ({ name, distance: leven(word, name) }))
    .sort((a, b) => a.distance - b.distance || Number(b.name.startsWith(word)) - Number(a.name.startsWith(word)));
  return best && best.distance <= Math.max(2, Math.floor(word.length / 2)) ? best.name : undefined;
}
