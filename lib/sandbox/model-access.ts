// A run's access to the model: the credential that its agent presents, how the credential is
// delivered, and what the gateway saw of it.

import type { Credential } from '../auth/credential.js';
import { asFile, asProxied, asToken, asVariable } from '../auth/deliver.js';
import type { AuthPath, Mode, Reach } from '../contract.js';
import type { Gateway, Tap } from '../model/gateway.js';
import type { Auth } from '../record/types.js';
import type { ModelAccess } from './run-folders.js';

/** The inputs that determine a run's access to the model. */
export interface ModelAccessRequest {
  mode: Pick<Mode, 'auth'>;
  reach: Reach;
  gateway: Gateway;
  /** The delivery that the row asks for. */
  deliver: AuthPath;
  /** Base URL of the live API, if the guest calls it directly. */
  upstream?: string;
  /**
   * The user's own credential in live mode, a canary in replay; delivered only to a guest that is
   * to have it.
   */
  credential: Credential;
}

/**
 * With delivery by `gateway`, the guest receives a token that is worthless elsewhere; as a variable
 * or a file, it receives the credential itself. If the model is replayed inside, only that replay's
 * own token goes in. If the guest calls the live API directly, the credential goes in, or a
 * placeholder that the runtime's own proxy replaces.
 * @param task the task's id
 */
export function openModelAccess(
  given: ModelAccessRequest,
  task: string,
): { tap: Tap; access: ModelAccess } {
  const { gateway, reach, deliver, credential } = given;
  if (given.upstream !== undefined) {
    const delivery = deliver === 'runtime-proxy' ? asProxied() : asVariable(credential);
    return { tap: gateway.openTap(task), access: { delivery, path: '', upstream: given.upstream } };
  }
  const own = reach.via === 'address' && (deliver === 'env' || deliver === 'file');
  const tap = own ? gateway.openTap(task, credential.secret) : gateway.openTap(task);
  const delivery = !own
    ? asToken(tap.token)
    : deliver === 'env'
      ? asVariable(credential)
      : asFile(credential);
  return { tap, access: { delivery, path: tap.path } };
}

/** The delivery that was actually used. */
export function deliveryOf({
  mode,
  reach,
  deliver,
}: Pick<ModelAccessRequest, 'mode' | 'reach' | 'deliver'>): Auth['path'] {
  // A guest that cannot reach the gateway cannot have used the `gateway` delivery.
  return reach.via === 'inside' && deliver === 'gateway'
    ? (mode.auth.find((path) => path !== 'gateway') ?? 'env')
    : deliver;
}

/**
 * Whether the credential was delivered, by the fingerprint of the one that arrived at the gateway
 * or, if the guest calls the API directly, of the one that its agent presented on the way. If the
 * replay runs beside the agent, the delivery was not exercised at all.
 */
export function authOf(
  given: Pick<ModelAccessRequest, 'mode' | 'reach' | 'deliver' | 'upstream'>,
  tap: Tap,
): Auth {
  const path = deliveryOf(given);
  if (given.reach.via === 'inside' && given.upstream === undefined)
    return { path, delivered: { gap: 'not-exercised' } };
  if (!tap.credential) return { path, delivered: tap.stranger ? 'no' : { gap: 'not-reached' } };
  return {
    path,
    delivered: 'yes',
    header: `${tap.credential.header}${tap.credential.oauth ? ' (oauth)' : ''}`,
  };
}
