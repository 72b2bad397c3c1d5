// Chooses the model that answers the agent, with the reason.
import {
  chooseCredential,
  conflictOf,
  conflictText,
  takenOf,
  type Wish,
} from '../lib/auth/choose.js';
import type { Credential, Problem } from '../lib/auth/credential.js';
import { type Found, findCredentials } from '../lib/auth/find.js';
import { CagematchError } from '../lib/errors.js';
import { readOwnInputs, shownUpstream } from '../lib/sandbox/settings.js';
import type { Io } from './io.js';

export interface ChosenModel {
  name: 'replay' | 'live';
  /** The reason, in one line. */
  why: string;
  credential?: Credential;
  /** Problems to report before the match. */
  warnings: Problem[];
}

/**
 * @throws `bad-input` if a live run was requested and there is not exactly one credential for it
 */
export async function chooseModel(
  wish: 'auto' | 'replay' | 'live',
  auth: Wish,
  io: Io,
): Promise<ChosenModel> {
  if (wish === 'replay') return { name: 'replay', why: '--model replay', warnings: [] };
  const found = await findCredentials(io);
  const stays = wish === 'auto' && auth === undefined ? whyReplay(found) : undefined;
  if (stays !== undefined) return { name: 'replay', why: stays, warnings: [] };
  const { credential, warnings } = await chooseCredential(found, auth, io.env);
  const upstream = shownUpstream(readOwnInputs(io.env).upstream);
  checkUpstream(credential, upstream, io);
  const asked = [
    ...(wish === 'live' ? ['--model live'] : []),
    ...(auth === undefined ? [] : [`--auth ${auth}`]),
  ].join(' ');
  const why =
    asked === ''
      ? `${credential.where} was given; --model replay costs nothing`
      : `${asked}, credential from ${credential.where}`;
  return {
    name: 'live',
    why: upstream === undefined ? why : `${why}; the API is asked at ${upstream}`,
    credential,
    warnings,
  };
}

/**
 * The .env of the current folder may come from a stranger, so an address in it does not receive a
 * credential from another source.
 * @throws `bad-input` if it would
 */
function checkUpstream(credential: Credential, upstream: string | undefined, { dotenv }: Io): void {
  if (upstream === undefined || !dotenv.has('CAGEMATCH_UPSTREAM') || credential.source === '.env')
    return;
  throw new CagematchError(
    'bad-input',
    `.env sets CAGEMATCH_UPSTREAM to ${upstream}, and the credential (${credential.where}) does not come from that .env`,
    `export CAGEMATCH_UPSTREAM=${upstream} where you trust it, or --model replay`,
  );
}

/**
 * Why `auto` stays with replay: it goes live only with a credential provided on purpose, and only
 * if it is clear who pays.
 */
function whyReplay(found: Found): string | undefined {
  const conflict = conflictOf(found);
  if (conflict) return `${conflictText(conflict)}; --auth plan or --auth api-key goes live`;
  const [first] = takenOf(found);
  if (!first) return 'no credential was given';
  if (first.kind === 'cloud')
    return `${first.where} is set, and cagematch forwards to no cloud provider`;
  if (first.source === 'environment' || first.source === '.env') return undefined;
  return `a ${first.kind === 'oauth' ? 'login' : 'credential'} was found in ${first.where}; --model live would use it`;
}
