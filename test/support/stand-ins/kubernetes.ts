// The environment in which the kubernetes mode finds its stand-in: a `kubectl` that brings its own
// cluster, in a context that is named.
import { openStandIn, type StandIn } from './stand-in.js';

/**
 * @param env more of it: CAGEMATCH_STAND_IN_FAULT, CAGEMATCH_STAND_IN_CLASSES,
 *   CAGEMATCH_STAND_IN_CRD …
 */
export function standIn(env: Record<string, string> = {}): Promise<StandIn> {
  return openStandIn('kubectl', {
    CAGEMATCH_KUBE_CONTEXT: 'kind-stand-in',
    CAGEMATCH_KUBE_IMAGE: 'registry.example/cagematch-runner:1',
    ...env,
  });
}
