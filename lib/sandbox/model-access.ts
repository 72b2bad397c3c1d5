// How a run's agent gets to the model: what it has to present, which way that reaches it, and what the gateway saw of it.

import type { Credential } from '../auth/credential.js';
import { asFile, asProxied, asToken, asVariable } from '../auth/deliver.js';
import type { AuthPath, Mode, Reach } from '../contract.js';
import type { Gateway, Tap } from '../model/gateway.js';
import type { Auth } from '../record/types.js';
import type { Entrance } from './run-folders.js';

/** What a run is told of it. */
export interface Admission {
  mode: Pick<Mode, 'auth'>;
  reach: Reach;
  gateway: Gateway;
  /** Which way the row asks for. */
  deliver: AuthPath;
  /** The live API, where the guest asks it itself: its base URL. */
  upstream?: string;
  /** The user's own in live, a canary in replay: what goes into a guest that is to have it. */
  credential: Credential;
}

/**
 * On the way `gateway` the guest gets a token that is worth nothing elsewhere; as a variable or a file it gets the credential
 * itself. Where the model is replayed inside, nothing but that replay's own token goes in; where the guest asks the live API
 * itself, the credential does, or a word in its place that the runtime's own proxy knows.
 * @param task its id
 */
export function openEntrance(given: Admission, task: string): { tap: Tap; entrance: Entrance } {
  const { gateway, reach, deliver, credential } = given;
  if (given.upstream !== undefined) {
    const delivery = deliver === 'runtime-proxy' ? asProxied() : asVariable(credential);
    return { tap: gateway.openTap(task), entrance: { delivery, path: '', upstream: given.upstream } };
  }
  const own = reach.via === 'address' && (deliver === 'env' || deliver === 'file');
  const tap = own ? gateway.openTap(task, credential.secret) : gateway.openTap(task);
  const delivery = !own ? asToken(tap.token) : deliver === 'env' ? asVariable(credential) : asFile(credential);
  return { tap, entrance: { delivery, path: tap.path } };
}

/** The way that it went. */
export function wayOf({ mode, reach, deliver }: Pick<Admission, 'mode' | 'reach' | 'deliver'>): Auth['path'] {
  // A guest that cannot reach the gateway was not shown its way.
  return reach.via === 'inside' && deliver === 'gateway' ? (mode.auth.find((path) => path !== 'gateway') ?? 'env') : deliver;
}

/**
 * By the fingerprint of what arrived; where the guest asks the API itself, by that of what its agent presented on the way. Where the
 * replay runs beside the agent, the way was not used at all.
 */
export function authOf(given: Pick<Admission, 'mode' | 'reach' | 'deliver' | 'upstream'>, tap: Tap): Auth {
  const path = wayOf(given);
  if (given.reach.via === 'inside' && given.upstream === undefined) return { path, delivered: { gap: 'not-exercised' } };
  if (!tap.credential) return { path, delivered: tap.stranger ? 'no' : { gap: 'not-reached' } };
  return { path, delivered: 'yes', header: `${tap.credential.header}${tap.credential.oauth ? ' (oauth)' : ''}` };
}
