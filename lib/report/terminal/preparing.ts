// Output while rows are being prepared, for matches and probes alike; also warnings, whenever they
// occur.
import type { ProbeEvent } from '../../record/probe.js';
import type { MatchEvent } from '../../record/types.js';
import { listed, nameOf } from '../cells.js';
import type { Screen } from './screen.js';

export function createPreparing(screen: Screen) {
  const preparing = new Set<string>();
  const names = new Map<string, string>();
  return (event: MatchEvent | ProbeEvent): void => {
    if (event.type === 'warning') screen.line(`warning: ${event.message}`);
    if (event.type !== 'entered' && event.type !== 'prepared' && event.type !== 'unprepared')
      return;
    if (event.type === 'entered') {
      preparing.add(event.entry);
      names.set(event.entry, nameOf(event));
    } else preparing.delete(event.entry);
    if (event.type === 'prepared' && event.imageMs > 1000)
      screen.line(
        `${names.get(event.entry) ?? event.entry}: prepared in ${(event.imageMs / 1000).toFixed(1)} s`,
      );
    if (event.type === 'unprepared' && event.outcome.status === 'failed')
      screen.line(`${event.entry}: not prepared: ${event.outcome.message}`);
    screen.status(preparing.size > 0 ? `preparing ${listed([...preparing])}` : '');
  };
}
