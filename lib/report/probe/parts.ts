// Parts of several probes beside a match: each part is of the newest probe that tried it, and none is shown twice.
import { PROBES, type ProbeName } from '../../record/probe.js';
import type { ProbeDocument } from './document.js';

/** What of these parts a probe says, as if nothing else had been asked of it. */
export function partOf(document: ProbeDocument, parts: readonly ProbeName[]): ProbeDocument {
  const has = (what: ProbeName) => parts.includes(what);
  return {
    ...document,
    probe: { ...document.probe, only: document.probe.only.filter(has) },
    sync: has('sync') ? document.sync : {},
    walls: has('walls') ? document.walls : {},
    residue: has('residue') ? document.residue : {},
    tax: has('tax') ? document.tax : {},
    brokeOff: document.brokeOff.filter(({ what }) => what === 'prepare' || has(what)),
  };
}

/** In the order of the parts that each of them begins with, which is the order of their tables. */
export function inOrder(documents: readonly ProbeDocument[]): ProbeDocument[] {
  const first = ({ probe }: ProbeDocument) => Math.min(...probe.only.map((what) => PROBES.indexOf(what)));
  return [...documents].sort((a, b) => first(a) - first(b));
}
