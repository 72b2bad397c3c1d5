// Parts of several probes shown with a match: each part is taken from the newest probe that tried
// it, and none is shown twice.
import { PROBES, type ProbeName } from '../../record/probe.js';
import type { ProbeDocument } from './document.js';

/** A probe's findings for these parts, as if no others had been requested. */
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

/** Sorted by the first part of each document, which is the order of their tables. */
export function inOrder(documents: readonly ProbeDocument[]): ProbeDocument[] {
  const first = ({ probe }: ProbeDocument) =>
    Math.min(...probe.only.map((what) => PROBES.indexOf(what)));
  return [...documents].sort((a, b) => first(a) - first(b));
}
