// Fills for the parts of a run: Okabe and Ito's colours, each with its own hatching, so that the
// parts differ without colour too.
import { markup } from './markup.js';

/** Included once per page; the style refers to the fills by their ids. */
export const PATTERNS = markup`<svg width="0" height="0" aria-hidden="true" class="defs"><defs>
<pattern id="fill-boot" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="c-boot" width="6" height="6"/><line class="h-boot" x1="0" x2="0" y1="0" y2="6"/></pattern>
<pattern id="fill-unsplit" width="6" height="6" patternUnits="userSpaceOnUse"><rect class="c-boot" width="6" height="6"/><path class="h-boot" d="M0 0H6M0 0V6"/></pattern>
<pattern id="fill-end" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><rect class="c-end" width="6" height="6"/><line class="h-end" x1="0" x2="0" y1="0" y2="6"/></pattern>
<pattern id="fill-work" width="5" height="5" patternUnits="userSpaceOnUse"><rect class="c-work" width="5" height="5"/><circle class="h-work" cx="2.5" cy="2.5" r="0.9"/></pattern>
<pattern id="fill-collect" width="4" height="4" patternUnits="userSpaceOnUse"><rect class="c-collect" width="4" height="4"/><line class="h-collect" x1="0" x2="4" y1="2" y2="2"/></pattern>
</defs></svg>`;
