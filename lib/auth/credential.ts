// A credential: what kind it is, who pays for it, where it was found, and how much of it may be shown.

/**
 * `auth-token`: a bearer token for whatever stands in for the API. `api-key-helper`: a command of the user's that prints a key.
 * `cloud`: the agent asks a cloud provider's own chain, nothing of which we hold.
 */
type Kind = 'cloud' | 'auth-token' | 'api-key' | 'api-key-helper' | 'oauth';

/** Who pays: a subscription that is paid for anyhow, the API by use, or a cloud account. */
export type Payer = 'plan' | 'api' | 'cloud';

export interface Problem {
  /** One line, without the secret. */
  text: string;
  hint: string;
}

/** Something that the agent would take for a credential. */
export interface Candidate {
  kind: Kind;
  source: 'environment' | '.env' | 'settings' | 'keychain' | 'file';
  /** Where exactly: a variable's name, a Keychain service, a path. */
  where: string;
  /** Never printed, stored, or put into an argv. Absent: a helper's, a cloud's, or one that cannot be read. */
  secret?: string;
  /** Of a helper: the shell command. */
  command?: string;
  expiresAt?: Date;
  plan?: string;
  scopes?: string[];
  /** It is there, and would not work. */
  problem?: Problem;
}

/** One that can be used. */
export interface Credential extends Candidate {
  kind: Exclude<Kind, 'cloud'>;
  secret: string;
}

export function payerOf({ kind }: Candidate): Payer {
  return kind === 'oauth' ? 'plan' : kind === 'cloud' ? 'cloud' : 'api';
}

/** Would the agent take it, good or bad? What cannot even be read is passed over for the next. */
export function isTaken({ kind, secret, command }: Candidate): boolean {
  return kind === 'cloud' || secret !== undefined || command !== undefined;
}

export function hasExpired({ expiresAt }: Candidate): boolean {
  return expiresAt !== undefined && expiresAt.getTime() < Date.now();
}

/** @returns what is wrong with the text of a secret: no header can carry it */
export function malformed(secret: string, name: string): Problem | undefined {
  if (/[\r\n]/.test(secret)) return { text: `${name} holds a line break`, hint: `set ${name} again, as one line` };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  if (/[\u0000- \u007f-\uffff]/.test(secret))
    return { text: `${name} holds a space or a character that no header can carry`, hint: `set ${name} again, without quotes and spaces` };
  return undefined;
}

/** Enough of a secret to recognise it by, never enough to use it. */
export function mask(secret: string): string {
  return secret.length > 40 ? `${secret.slice(0, 13)}…${secret.slice(-4)}` : '…';
}
