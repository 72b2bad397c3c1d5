// Ctrl-C and similar signals: the first one stops the match in an orderly way, including its
// sandboxes and its record; repeated ones end the process sooner.
import { killAll } from '../os/children.js';

/** The number of interrupts at which cagematch exits at once, whatever is left behind. */
const PATIENCE = 3;

export interface Interrupt {
  signal: AbortSignal;
  /**
   * To be called when no sandbox is left: no orderly stop is needed any more, and the next signal
   * ends the process at once.
   */
  sandboxesGone(): void;
  /** Removes the listeners. */
  dispose(): void;
}

/**
 * Installs one listener per signal.
 * @param leave ends the process at once, for a user who does not want to wait
 */
export function onInterrupt(say: (line: string) => void, leave: () => never): Interrupt {
  const controller = new AbortController();
  let pressed = 0;
  let leavesAt = PATIENCE;
  const listener = () => {
    pressed += 1;
    if (pressed >= leavesAt) {
      killAll();
      leave();
    }
    if (pressed === 1) say('stopping: sandboxes are being removed, finished runs are kept');
    else
      say('still removing sandboxes; once more leaves at once (cagematch clean removes the rest)');
    controller.abort();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of signals) process.on(name, listener);
  // A mode that waits forever may hold nothing that keeps Node running, and Node would exit without
  // cleaning up.
  const awake = setInterval(() => {}, 2 ** 30);
  return {
    signal: controller.signal,
    sandboxesGone: () => {
      leavesAt = 0;
    },
    dispose: () => {
      clearInterval(awake);
      for (const name of signals) process.off(name, listener);
    },
  };
}
