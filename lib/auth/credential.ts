// A credential: its kind, who pays for it, where it was found, and how much of it may be shown.

/**
 * `auth-token`: a bearer token for a service that replaces the API. `api-key-helper`: a user's
 * command that prints a key. `cloud`: the agent uses a cloud provider's own credential chain, of
 * which we hold nothing.
 */
type Kind = 'cloud' | 'auth-token' | 'api-key' | 'api-key-helper' | 'oauth';

/** Who pays: a subscription that is paid for anyway, the API by use, or a cloud account. */
export type Payer = 'plan' | 'api' | 'cloud';

export interface Problem {
  /** A one-line description, without the secret. */
  text: string;
  hint: string;
}

/** Something that the agent would use as a credential. */
export interface Candidate {
  kind: Kind;
  source: 'environment' | '.env' | 'settings' | 'keychain' | 'file';
  /** Exact location: a variable's name, a Keychain service, or a path. */
  where: string;
  /**
   * Never printed, stored, or put into an argv. Absent for a helper, a cloud, or a credential that
   * cannot be read.
   */
  secret?: string;
  /** For a helper: the shell command. */
  command?: string;
  expiresAt?: Date;
  plan?: string;
  scopes?: string[];
  /** Set if the credential exists but would not work. */
  problem?: Problem;
}

/** A credential that can be used. */
export interface Credential extends Candidate {
  kind: Exclude<Kind, 'cloud'>;
  secret: string;
}

export function payerOf({ kind }: Candidate): Payer {
  return kind === 'oauth' ? 'plan' : kind === 'cloud' ? 'cloud' : 'api';
}

/**
 * True if the agent would take it, valid or not. The agent skips one that cannot be read and tries
 * the next.
 */
export function isTaken({ kind, secret, command }: Candidate): boolean {
  return kind === 'cloud' || secret !== undefined || command !== undefined;
}

export function hasExpired({ expiresAt }: Candidate): boolean {
  return expiresAt !== undefined && expiresAt.getTime() < Date.now();
}

/** @returns the problem, if no HTTP header can carry the text of the secret */
export function malformed(secret: string, name: string): Problem | undefined {
  if (/[\r\n]/.test(secret))
    return { text: `${name} holds a line break`, hint: `set ${name} again, as one line` };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  if (/[\u0000- \u007f-\uffff]/.test(secret))
    return {
      text: `${name} holds a space or a character that no header can carry`,
      hint: `set ${name} again, without quotes and spaces`,
    };
  return undefined;
}

/** Shows enough of a secret to recognise it, but never enough to use it. */
export function mask(secret: string): string {
  return secret.length > 40 ? `${secret.slice(0, 13)}…${secret.slice(-4)}` : '…';
}
