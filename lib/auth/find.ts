// Finds everything that the agent would use as a credential, in the agent's order of precedence.
import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Env } from '../contract.js';
import { parseJson } from '../json.js';
import { type Candidate, malformed, type Problem } from './credential.js';
import { LEGACY_KEY, LOGIN, readKeychain, serviceOf } from './keychain.js';

export interface CredentialSources {
  /** The shell's environment merged with .env; the shell takes precedence. */
  env: Env;
  platform: NodeJS.Platform;
  /** The names of the variables that came from .env. */
  dotenv?: ReadonlySet<string>;
}

export interface Found {
  /** The candidates in order; the agent takes the first that it can read. */
  candidates: Candidate[];
  /** Problems that do not prevent a run but should be reported. */
  warnings: Problem[];
  /** The places searched, for the message when nothing was found. */
  looked: string[];
}

/** If any of these is set, the agent uses that cloud's own credential chain. */
const CLOUDS = ['CLAUDE_CODE_USE_BEDROCK', 'CLAUDE_CODE_USE_VERTEX', 'CLAUDE_CODE_USE_FOUNDRY'];

/** Environment variables that take precedence over the settings, and those that come after them. */
const BEFORE = { ANTHROPIC_AUTH_TOKEN: 'auth-token', ANTHROPIC_API_KEY: 'api-key' } as const;
const AFTER = { CLAUDE_CODE_OAUTH_TOKEN: 'oauth' } as const;

/**
 * Searches in the agent's own order: cloud, ANTHROPIC_AUTH_TOKEN, ANTHROPIC_API_KEY, apiKeyHelper,
 * CLAUDE_CODE_OAUTH_TOKEN, login (observed with 2.1: only `x-api-key` is sent if both a key and a
 * plan's token are set).
 */
export async function findCredentials(sources: CredentialSources): Promise<Found> {
  const { env, platform } = sources;
  const folder = configFolder(env);
  const found: Found = { candidates: [], warnings: [], looked: [] };
  found.candidates.push(...clouds(sources), ...given(sources, BEFORE, found));
  found.candidates.push(
    ...helper(join(folder, 'settings.json'), found),
    ...given(sources, AFTER, found),
  );
  found.looked.push(
    `${[...Object.keys(AFTER), ...Object.keys(BEFORE)].join(', ')} in the environment and .env`,
  );
  if (platform === 'darwin') {
    for (const name of [LOGIN, LEGACY_KEY]) {
      const service = serviceOf(name, env);
      found.looked.push(`Keychain item "${service}"`);
      found.candidates.push(...(await fromKeychain(name, service, env)));
    }
  }
  const path = join(folder, '.credentials.json');
  found.looked.push(path);
  found.candidates.push(...fromFile(path, found));
  return found;
}

// An empty variable counts as unset: a path with an empty prefix would be searched for in the
// current folder.
function configFolder(env: Env): string {
  return env.CLAUDE_CONFIG_DIR || join(env.HOME || homedir(), '.claude');
}

function originOf(name: string, { dotenv }: CredentialSources): 'environment' | '.env' {
  return dotenv?.has(name) ? '.env' : 'environment';
}

function clouds(sources: CredentialSources): Candidate[] {
  return CLOUDS.filter((name) => /^(1|true|yes|on)$/i.test(sources.env[name] ?? '')).map(
    (name) => ({
      kind: 'cloud',
      source: originOf(name, sources),
      where: name,
    }),
  );
}

function given(
  sources: CredentialSources,
  names: Partial<Record<string, 'auth-token' | 'api-key' | 'oauth'>>,
  found: Found,
): Candidate[] {
  return Object.entries(names).flatMap(([name, kind]): Candidate[] => {
    const secret = sources.env[name];
    if (secret === undefined || kind === undefined) return [];
    if (secret === '') {
      found.warnings.push({
        text: `${name} is set, and empty: it counts as unset`,
        hint: `unset ${name}`,
      });
      return [];
    }
    const problem = malformed(secret, name);
    return [
      {
        kind,
        source: originOf(name, sources),
        where: name,
        secret,
        ...(problem ? { problem } : {}),
      },
    ];
  });
}

/** Reads only the user's own settings; those in a checkout are not trusted. */
function helper(path: string, found: Found): Candidate[] {
  const text = read(path);
  if (typeof text !== 'string') return [];
  const settings = parseJson<{ apiKeyHelper?: unknown }>(text);
  if (settings === undefined) {
    found.warnings.push({
      text: `${path} is not JSON: an apiKeyHelper in it would be unseen`,
      hint: `mend or remove ${path}`,
    });
    return [];
  }
  const command = settings?.apiKeyHelper;
  return typeof command === 'string' && command !== ''
    ? [{ kind: 'api-key-helper', source: 'settings', where: `apiKeyHelper in ${path}`, command }]
    : [];
}

async function fromKeychain(name: string, service: string, env: Env): Promise<Candidate[]> {
  const stored = await readKeychain(service, env);
  if (stored === undefined) return [];
  const at = { source: 'keychain', where: service } as const;
  if ('problem' in stored)
    return [{ kind: name === LOGIN ? 'oauth' : 'api-key', ...at, problem: stored.problem }];
  if (name === LOGIN)
    return login(stored.text, { ...at, called: `the Keychain item "${service}"` });
  return stored.text === '' ? [] : [{ kind: 'api-key', ...at, secret: stored.text }];
}

function fromFile(path: string, found: Found): Candidate[] {
  const text = read(path);
  if (text === undefined) return [];
  const at = { source: 'file', where: path } as const;
  if (typeof text !== 'string')
    return [
      {
        kind: 'oauth',
        ...at,
        problem: { text: `${path} cannot be read (${text.code})`, hint: `check ${path}` },
      },
    ];
  // On Windows the file mode does not show this.
  if (
    process.platform !== 'win32' &&
    ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o077) !== 0
  )
    found.warnings.push({
      text: `${path} can be read by other users of this machine`,
      hint: `chmod 600 ${path}`,
    });
  return login(text, { ...at, called: path });
}

function read(path: string): string | { code: string } | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR' ? undefined : { code };
  }
}

const loginSchema = z.object({
  accessToken: z.string().min(1),
  expiresAt: z.number().nullish(),
  scopes: z.array(z.string()).nullish(),
  subscriptionType: z.string().nullish(),
});

/** Parses a login. A document without a login is not an error. */
function login(
  text: string,
  at: { source: 'keychain' | 'file'; where: string; called: string },
): Candidate[] {
  const { called, ...place } = at;
  const renew = 'claude /login writes it anew';
  const unreadable = (what: string): Candidate[] => [
    { kind: 'oauth', ...place, problem: { text: `${called} ${what}`, hint: renew } },
  ];
  const parsed = parseJson<{ claudeAiOauth?: unknown }>(text);
  if (parsed === undefined || parsed === null || typeof parsed !== 'object')
    return unreadable('is not JSON that could hold a login');
  if (parsed.claudeAiOauth === undefined) return [];
  const blob = loginSchema.safeParse(parsed.claudeAiOauth);
  if (!blob.success)
    return unreadable(
      `holds a login that is not whole (${blob.error.issues[0]?.path.join('.') || 'claudeAiOauth'})`,
    );
  const { accessToken, expiresAt, scopes, subscriptionType } = blob.data;
  const problem = malformed(accessToken, `the token in ${called}`);
  return [
    {
      kind: 'oauth',
      ...place,
      secret: accessToken,
      ...(typeof expiresAt === 'number' ? { expiresAt: new Date(expiresAt) } : {}),
      ...(subscriptionType ? { plan: subscriptionType } : {}),
      ...(scopes ? { scopes } : {}),
      ...(problem ? { problem: { ...problem, hint: renew } } : {}),
    },
  ];
}
