// Which model answers the agent, and why.
import { findCredential, givenCredential } from '../lib/auth/find.js';
import { CagematchError } from '../lib/errors.js';
import type { Io } from './io.js';

/** One line always says which model answers, and why. */
export async function chooseModel(wish: 'auto' | 'replay' | 'live', io: Io) {
  const given = givenCredential(io.env);
  if (wish === 'replay') return { name: 'replay' as const, why: '--model replay' };
  if (wish === 'live') {
    const found = await findCredential(io.env, io.platform);
    if ('missing' in found)
      throw new CagematchError(
        'bad-input',
        `--model live needs a credential, and none was found in ${found.looked.join(', ')}`,
        'set CLAUDE_CODE_OAUTH_TOKEN in .env (claude setup-token prints one)',
      );
    return { name: 'live' as const, why: `--model live, credential from ${found.credential.where}`, credential: found.credential };
  }
  if (given) return { name: 'live' as const, why: `${given.where} was given; --model replay costs nothing`, credential: given };
  const found = await findCredential(io.env, io.platform);
  const why = 'missing' in found ? 'no credential was given' : `a login was found in ${found.credential.where}; --model live would use it`;
  return { name: 'replay' as const, why };
}
