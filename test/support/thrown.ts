// The error of ours that something threw, to be looked at; any other is thrown on.
import { CagematchError } from '../../lib/errors.js';

export function thrownBy(act: () => unknown): CagematchError {
  try {
    act();
  } catch (error) {
    if (error instanceof CagematchError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
