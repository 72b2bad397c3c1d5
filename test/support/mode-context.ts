// What a mode is given in a test: the environment, platform and user that the test wants, and
// nothing of this machine's.
import type { Context } from '../../lib/contract.js';
import { contextFor, createKeeper } from '../../lib/sandbox/context.js';

/**
 * @param given parts of the context that the test decides; by default an ordinary user on Linux
 *   with nothing on PATH
 */
export function modeContext(mode: string, given: Partial<Context> = {}): Context {
  const base = {
    env: { PATH: '/nonexistent' },
    platform: 'linux' as const,
    uid: 1000,
    match: 'none',
    signal: new AbortController().signal,
    say: () => {},
  };
  return { ...contextFor(base, createKeeper(), { id: mode, inputs: {} }), ...given };
}
