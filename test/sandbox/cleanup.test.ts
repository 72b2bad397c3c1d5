// Signals: the first ones stop a match in order; once no sandbox is left, one ends the process.
import { expect, onTestFinished, test, vi } from 'vitest';
import { onInterrupt } from '../../lib/sandbox/interrupts.js';

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  '%s ends the process at the third time, and at the first once no sandbox is left',
  (name) => {
    const leave = vi.fn(() => {
      throw new Error('left');
    });
    const messages: string[] = [];
    const first = onInterrupt((line) => messages.push(line), leave as never);
    process.emit(name);
    process.emit(name);
    expect({
      aborted: first.signal.aborted,
      lines: messages.length,
      left: leave.mock.calls.length,
    }).toEqual({
      aborted: true,
      lines: 2,
      left: 0,
    });
    expect(() => process.emit(name)).toThrow('left');
    first.dispose();

    const second = onInterrupt((line) => messages.push(line), leave as never);
    onTestFinished(second.dispose);
    second.sandboxesGone();
    expect(() => process.emit(name)).toThrow('left');
    expect(messages.length).toBe(2);
  },
);
