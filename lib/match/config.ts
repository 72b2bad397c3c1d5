// The environment and .env, checked before anything starts.
import { join } from 'node:path';
import { parse } from 'dotenv';
import { z } from 'zod';
import type { Env } from '../contract.js';
import { CagematchError, messageOf } from '../errors.js';
import { MOST_TYPED, readPlainFile } from '../plain-files.js';

/** What cagematch itself reads; each mode declares its own `inputs` beside these. */
export const OWN_INPUTS = {
  CLAUDE_CODE_OAUTH_TOKEN: { help: 'subscription token; given here, `--model auto` goes live', secret: true },
  ANTHROPIC_API_KEY: { help: 'API key; billed by use. Where a plan is found as well, --auth says which is meant', secret: true },
  ANTHROPIC_AUTH_TOKEN: { help: 'bearer token for what stands in for the API; wins over both', secret: true },
  CAGEMATCH_GATEWAY_PORT: { help: 'fixed port for the gateway, for firewalls that need one; default: a free one', example: '8787' },
  CAGEMATCH_UPSTREAM: { help: 'base URL of the API in live mode; default: https://api.anthropic.com' },
};

/** Names of the agent's own credentials. */
export const CREDENTIALS: readonly string[] = Object.entries(OWN_INPUTS).flatMap(([name, input]) => ('secret' in input ? [name] : []));

const notAPort = 'a port is a whole number from 0 to 65535';
const ownSchema = z.object({
  CAGEMATCH_GATEWAY_PORT: z
    .string()
    .regex(/^\d{1,5}$/, notAPort)
    .transform(Number)
    .refine((port) => port <= 65535, notAPort)
    .optional(),
  CAGEMATCH_UPSTREAM: z.url({ protocol: /^https?$/, error: 'not a URL that begins with https:// or http://' }).optional(),
});

/**
 * The process environment with .env below it: what is set in the shell wins. `dotenv`: the names that .env gave.
 * @throws `bad-input` that names the line of a broken .env
 */
export function loadInputs(cwd: string, processEnv: NodeJS.ProcessEnv): { env: Env; dotenv: ReadonlySet<string> } {
  const fromShell = Object.fromEntries(Object.entries(processEnv).filter((pair): pair is [string, string] => pair[1] !== undefined));
  const fromFile = readDotenv(join(cwd, '.env'));
  return { env: { ...fromFile, ...fromShell }, dotenv: new Set(Object.keys(fromFile).filter((name) => !(name in fromShell))) };
}

/** The same, for whom it does not matter which of them gave what. */
export function loadEnv(cwd: string, processEnv: NodeJS.ProcessEnv): Env {
  return loadInputs(cwd, processEnv).env;
}

function readDotenv(path: string): Env {
  let text: string;
  try {
    text = readPlainFile(path, { links: 'follow', most: MOST_TYPED }).toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new CagematchError('bad-input', `.env cannot be read: ${messageOf(error)}`, `check ${path}`);
  }
  const bad = firstBadLine(text);
  if (bad) throw new CagematchError('bad-input', `.env line ${bad} is not NAME=value`, 'see .env.example for what may stand there');
  // An empty value is how a template says "not set".
  return Object.fromEntries(Object.entries(parse(text)).filter(([, value]) => value !== ''));
}

/** dotenv passes over what it cannot read; a user would rather know. The number only: the line may hold a secret. */
function firstBadLine(text: string): number | undefined {
  let open: { quote: string; line: number } | undefined;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (open !== undefined) {
      if (line.includes(open.quote)) open = undefined;
      continue;
    }
    if (/^\s*(#.*)?$/.test(line)) continue;
    const value = /^\s*(?:export\s+)?[\w.-]+\s*=\s*(.*?)\s*$/.exec(line)?.[1];
    if (value === undefined) return index + 1;
    const quote = /^(["'`])/.exec(value)?.[1];
    if (quote !== undefined && !value.slice(1).includes(quote)) open = { quote, line: index + 1 };
  }
  return open?.line;
}

/** @throws `bad-input` that names the variable; an empty one counts as unset */
export function readOwnInputs(env: Env): { gatewayPort: number; upstream: string } {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const read = ownSchema.safeParse(given);
  if (!read.success) {
    const issue = read.error.issues[0];
    throw new CagematchError('bad-input', `${issue?.path.join('.')}: ${issue?.message}`, 'correct it in .env or the environment');
  }
  return { gatewayPort: read.data.CAGEMATCH_GATEWAY_PORT ?? 0, upstream: read.data.CAGEMATCH_UPSTREAM ?? 'https://api.anthropic.com' };
}
