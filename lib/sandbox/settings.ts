// The environment and .env, validated before anything starts.
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'dotenv';
import { z } from 'zod';
import type { Env } from '../contract.js';
import { CagematchError, messageOf } from '../errors.js';
import { MOST_TYPED, readPlainFile } from '../os/plain-files.js';
import { packageRoot } from '../package.js';

/** What cagematch itself reads; each mode declares its own `inputs` beside these. */
export const OWN_INPUTS = {
  CLAUDE_CODE_OAUTH_TOKEN: {
    help: 'subscription token; given here, `--model auto` goes live',
    secret: true,
  },
  ANTHROPIC_API_KEY: {
    help: 'API key; billed by use. Where a plan is found as well, --auth says which is meant',
    secret: true,
  },
  ANTHROPIC_AUTH_TOKEN: {
    help: 'bearer token for what stands in for the API; wins over both',
    secret: true,
  },
  CAGEMATCH_GATEWAY_PORT: {
    help: 'fixed port for the gateway, for firewalls that need one; default: a free one',
    example: '8787',
  },
  CAGEMATCH_UPSTREAM: {
    help: 'base URL of the API in live mode, https off this machine; default: https://api.anthropic.com; from .env with a credential of that .env only',
  },
};

const DEFAULT_UPSTREAM = 'https://api.anthropic.com';

const notAPort = 'a port is a whole number from 0 to 65535';
const ownSchema = z.object({
  CAGEMATCH_GATEWAY_PORT: z
    .string()
    .regex(/^\d{1,5}$/, notAPort)
    .transform(Number)
    .refine((port) => port <= 65535, notAPort)
    .optional(),
  CAGEMATCH_UPSTREAM: z
    .url({ protocol: /^https?$/, error: 'not a URL that begins with https://' })
    .refine(isGuarded, 'has to begin with https://, since it is not on this machine')
    .optional(),
});

/**
 * True for https or this machine. Credentials are sent to this URL, so nobody on the way may see or
 * change the traffic.
 */
function isGuarded(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return (
    protocol === 'https:' || /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)
  );
}

export interface Inputs {
  /** The shell's variables, and those taken from .env, which have lower precedence. */
  env: Env;
  /** Names of the variables whose value comes from .env. */
  dotenv: ReadonlySet<string>;
  /** Names of the variables that are set only in .env and were not taken from it. */
  ignored: string[];
}

/**
 * The process environment combined with .env; a variable set in the shell takes precedence. The
 * current folder may belong to a stranger, and a variable can make a client run a program
 * (DOCKER_CONFIG, NODE_OPTIONS) or connect to another host (DOCKER_HOST, FLY_FLAPS_BASE_URL). So
 * only cagematch's own inputs are taken from .env, and inputs of modes only if the folder is
 * cagematch's own.
 * @throws `bad-input` that names the line of a broken .env
 */
export async function loadInputs(cwd: string, processEnv: NodeJS.ProcessEnv): Promise<Inputs> {
  const fromShell = Object.fromEntries(
    Object.entries(processEnv).filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
  const inFile = Object.entries(readDotenv(join(cwd, '.env'))).filter(
    ([name]) => !(name in fromShell),
  );
  const allowed = inFile.length > 0 && isOwnFolder(cwd) ? await inputsOfModes() : new Set<string>();
  const isTaken = (name: string) =>
    name in OWN_INPUTS || allowed.has(name) || (allowed.size > 0 && name.startsWith('CAGEMATCH_'));
  const fromFile = Object.fromEntries(inFile.filter(([name]) => isTaken(name)));
  return {
    env: { ...fromFile, ...fromShell },
    dotenv: new Set(Object.keys(fromFile)),
    ignored: inFile.flatMap(([name]) => (isTaken(name) ? [] : [name])),
  };
}

function isOwnFolder(cwd: string): boolean {
  return realpathSync(cwd) === realpathSync(packageRoot);
}

async function inputsOfModes(): Promise<Set<string>> {
  // Imported only here, so that a command that needs no mode does not have to wait until all modes
  // are loaded.
  const { loadModes } = await import('./registry.js');
  return new Set([...(await loadModes()).values()].flatMap(({ inputs }) => Object.keys(inputs)));
}

/** How many ignored variables are named, since a project's own .env may contain many. */
const MOST_NAMED = 5;

/** One line about the variables that were not taken from .env; undefined if there are none. */
export function ignoredLine(ignored: readonly string[]): string | undefined {
  if (ignored.length === 0) return undefined;
  const more = ignored.length > MOST_NAMED ? ` and ${ignored.length - MOST_NAMED} more` : '';
  return `ignored from .env: ${ignored.slice(0, MOST_NAMED).join(', ')}${more}; export them in your shell where they are meant for cagematch`;
}

/** All variables of a .env file, whatever program they are meant for. */
export function readDotenv(path: string): Env {
  let text: string;
  try {
    text = readPlainFile(path, { links: 'follow', most: MOST_TYPED }).toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new CagematchError(
      'bad-input',
      `.env cannot be read: ${messageOf(error)}`,
      `check ${path}`,
    );
  }
  const bad = firstBadLine(text);
  if (bad)
    throw new CagematchError(
      'bad-input',
      `.env line ${bad} is not NAME=value`,
      'see .env.example for what may stand there',
    );
  // In a template, an empty value means "not set".
  return Object.fromEntries(Object.entries(parse(text)).filter(([, value]) => value !== ''));
}

/**
 * Number of the first invalid line: dotenv skips such lines silently. Only the number is reported,
 * since the line may contain a secret.
 */
function firstBadLine(text: string): number | undefined {
  let open: { quote: string; line: number } | undefined;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (open !== undefined) {
      if (line.includes(open.quote)) open = undefined;
      continue;
    }
    if (/^\s*(#.*)?$/.test(line)) continue;
    const value = /^\s*(?:export\s+)?[\w.-]+\s*=(.*)$/.exec(line)?.[1]?.trim();
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
    throw new CagematchError(
      'bad-input',
      `${issue?.path.join('.')}: ${issue?.message}`,
      'correct it in .env or the environment',
    );
  }
  return {
    gatewayPort: read.data.CAGEMATCH_GATEWAY_PORT ?? 0,
    upstream: read.data.CAGEMATCH_UPSTREAM ?? DEFAULT_UPSTREAM,
  };
}

/**
 * A non-default upstream in a form that is safe to show, without a user name and password.
 * Undefined for the API itself.
 */
export function shownUpstream(upstream: string): string | undefined {
  if (upstream === DEFAULT_UPSTREAM) return undefined;
  const { protocol, host, pathname } = new URL(upstream);
  return `${protocol}//${host}${pathname === '/' ? '' : pathname}`;
}
