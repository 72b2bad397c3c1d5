// Chooses the credential of a live run. The agent would take the first one; if that would bill
// someone unexpectedly, the user has to decide.
import type { Env } from '../contract.js';
import { CagematchError } from '../errors.js';
import { capture, succeeded, whyFailed } from '../os/capture.js';
import { keepSecret } from '../secrets.js';
import {
  type Candidate,
  type Credential,
  isTaken,
  malformed,
  type Problem,
  payerOf,
} from './credential.js';
import type { Found } from './find.js';

/**
 * `plan`: a subscription's token. `api-key`: any credential that is billed by use. Undefined: the
 * agent's own order, provided that it causes no unexpected bill.
 */
export const AUTHS = ['plan', 'api-key'] as const;
export type Wish = (typeof AUTHS)[number] | undefined;

/** A token with less time left than this, in ms, may expire during the match. */
const NEAR_MS = 60 * 60_000;

/**
 * @returns the credential to use, and warnings to print first
 * @throws `bad-input` if there is none, if it cannot work, or if it would bill the API although a
 *   plan is available
 */
export async function chooseCredential(
  found: Found,
  wish: Wish,
  env: Env,
): Promise<{ credential: Credential; warnings: Problem[] }> {
  const candidate = pick(found, wish);
  if (candidate.problem) throw refusal(candidate.problem);
  const left = (candidate.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY) - Date.now();
  const renew =
    'start claude once, which renews its login, or put what claude setup-token prints into .env';
  if (left <= 0)
    throw refusal({
      text: `the token in ${candidate.where} expired at ${candidate.expiresAt?.toISOString()}`,
      hint: renew,
    });
  const near = {
    text: `the token in ${candidate.where} expires in ${Math.ceil(left / 60_000)} min, perhaps within the match`,
    hint: renew,
  };
  const credential = await resolveCredential(candidate, env);
  keepSecret(credential.secret, credential.where);
  return { credential, warnings: [...found.warnings, ...(left < NEAR_MS ? [near] : [])] };
}

/** The credentials that the agent would take, in order of precedence. */
export function takenOf({ candidates }: Found): Candidate[] {
  return candidates.filter(isTaken);
}

/** All problems with the credentials found, each with a hint. */
export function complaintsOf(found: Found): Problem[] {
  const conflict = conflictOf(found);
  return [
    ...(conflict
      ? [{ text: conflictText(conflict), hint: 'say --auth plan or --auth api-key in a live run' }]
      : []),
    ...found.candidates.flatMap(({ problem }) => (problem ? [problem] : [])),
    ...found.warnings,
  ];
}

/** The credential that takes precedence over the plan's, if both exist. */
export function conflictOf(found: Found): { first: Candidate; plan: Candidate } | undefined {
  const taken = takenOf(found);
  const [first] = taken;
  const plan = taken.find((candidate) => payerOf(candidate) === 'plan');
  return first && plan && first !== plan ? { first, plan } : undefined;
}

/** A one-line description of the conflict. */
export function conflictText({ first, plan }: { first: Candidate; plan: Candidate }): string {
  const bills = payerOf(first) === 'cloud' ? 'bill a cloud account' : 'bill the API';
  return `${first.where} would win over the plan's token in ${plan.where}, and ${bills}`;
}

function pick(found: Found, wish: Wish): Candidate {
  const taken = takenOf(found);
  if (wish !== undefined) {
    const payer = wish === 'plan' ? 'plan' : 'api';
    const chosen = taken.find((candidate) => payerOf(candidate) === payer);
    if (chosen) return chosen;
    const what = wish === 'plan' ? "a plan's token" : 'an API key';
    throw refusal(
      unread(found) ?? {
        text: `--auth ${wish} needs ${what}, and none was found in ${found.looked.join(', ')}`,
        hint: SETUP,
      },
    );
  }
  const conflict = conflictOf(found);
  if (conflict)
    throw refusal({ text: conflictText(conflict), hint: '--auth plan, or --auth api-key' });
  const [first] = taken;
  if (!first)
    throw refusal(
      unread(found) ?? {
        text: `no credential was found in ${found.looked.join(', ')}`,
        hint: SETUP,
      },
    );
  if (first.kind === 'cloud')
    throw refusal({
      text: `${first.where} is set, and a live run cannot forward to a cloud provider`,
      hint: `unset ${first.where}`,
    });
  return first;
}

const SETUP = 'set CLAUDE_CODE_OAUTH_TOKEN in .env (claude setup-token prints one)';

/** Why the existing credential could not be read. */
function unread({ candidates }: Found): Problem | undefined {
  return candidates.find((candidate) => !isTaken(candidate))?.problem;
}

async function resolveCredential(candidate: Candidate, env: Env): Promise<Credential> {
  const { kind, secret, command, where } = candidate;
  if (kind === 'cloud') throw new Error('a cloud holds no credential');
  if (secret !== undefined) return { ...candidate, kind, secret };
  const result = await capture(['/bin/sh', '-c', command ?? ''], { env, timeoutMs: 30_000 });
  const key = result.stdout.trim();
  if (!succeeded(result) || key === '') {
    // Its output may contain the key, so leave it out of the message.
    const how =
      result.failure || !succeeded(result)
        ? whyFailed({ ...result, stdout: '', stderr: '' })
        : 'it printed nothing';
    throw refusal({ text: `${where} gave no key: ${how}`, hint: 'run the command by hand' });
  }
  const problem = malformed(key, `what ${where} printed`);
  if (problem) throw refusal({ ...problem, hint: 'run the command by hand' });
  return { ...candidate, kind, secret: key };
}

function refusal({ text, hint }: Problem): CagematchError {
  return new CagematchError('bad-input', text, hint);
}
