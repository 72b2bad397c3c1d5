// Which connections an entry asks for, and the refusal where its mode cannot enforce them.
import type { Context, Egress } from '../contract.js';
import { CagematchError } from '../errors.js';

export type EgressKind = 'gateway' | 'internet' | 'domains';

function egressKind(egress: Egress): EgressKind {
  return typeof egress === 'string' ? egress : 'domains';
}

const REFUSALS: Record<EgressKind, string> = {
  gateway: 'cannot keep a sandbox from the internet',
  internet: 'gives a sandbox no way to the internet',
  domains: 'cannot limit a sandbox to some domains',
};

/**
 * @param title the mode, as a person names it
 * @param able what the mode can enforce on this machine, with this entry's other options
 * @throws `not-ready` if the entry asks for anything else
 */
export function requireEgress(
  { options: { egress } }: Pick<Context, 'options'>,
  title: string,
  able: readonly EgressKind[],
): void {
  if (egress === undefined || able.includes(egressKind(egress))) return;
  const hint =
    able.length === 0
      ? 'leave out egress'
      : `egress: ${able.map((kind) => (kind === 'domains' ? '[example.com]' : kind)).join(' | ')}`;
  throw new CagematchError('not-ready', `${title} ${REFUSALS[egressKind(egress)]}`, hint);
}
