// Ctrl-C and its like: the first one stops the match in order, sandboxes and record included; more of them only hurry.
import { killAll } from '../os/exec.js';

/** How often it may be pressed before cagematch leaves at once, whatever is left behind. */
const PATIENCE = 3;

export interface Interrupt {
  signal: AbortSignal;
  /** Called when no sandbox is left: nothing has to be stopped in order any more, and the next signal ends the process at once. */
  sandboxesGone(): void;
  /** Takes the listeners off. */
  dispose(): void;
}

/**
 * One listener per signal.
 * @param leave ends the process at once; for the user who will not wait
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
    else say('still removing sandboxes; once more leaves at once (cagematch clean removes the rest)');
    controller.abort();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of signals) process.on(name, listener);
  // A mode that waits for ever may hold nothing that keeps Node running; it would leave without cleaning up.
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
