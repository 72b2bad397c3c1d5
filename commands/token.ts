// `cagematch token`: the credential that a live run would use, shown masked, or given to a runtime that keeps its own.
import type { Argv } from 'yargs';
import { z } from 'zod';
import { type Credential, findCredential, mask } from '../lib/auth/find.js';
import { CagematchError } from '../lib/errors.js';
import { EXIT, type Io } from './io.js';
import { readSettings } from './settings.js';
import { survey } from './survey.js';

export const builder = (argv: Argv) =>
  argv
    .positional('action', {
      describe: 'show it, or push it to a mode that stores secrets',
      choices: ['show', 'push'] as const,
      default: 'show' as const,
    })
    .positional('mode', { describe: 'push: to which mode', type: 'string' })
    .option('json', { describe: 'as JSON, masked', boolean: true })
    .option('token-only', { describe: 'the secret alone, for a pipe', boolean: true })
    .option('export', { describe: 'a line for eval in a shell, secret included', boolean: true })
    .conflicts('json', ['token-only', 'export'])
    .conflicts('token-only', 'export');

const settingsSchema = z.object({
  action: z.enum(['show', 'push']),
  mode: z.string().optional(),
  json: z.boolean().default(false),
  tokenOnly: z.boolean().default(false),
  export: z.boolean().default(false),
});

export async function handler(args: unknown, io: Io): Promise<number> {
  const settings = readSettings(settingsSchema, args);
  const found = await findCredential(io.env, io.platform);
  if ('missing' in found) {
    if (settings.json) io.out(`${JSON.stringify({ found: false, looked: found.looked }, null, 2)}\n`);
    else
      io.err(
        `✖ no credential found; looked in:\n${found.looked.map((place) => `  ${place}`).join('\n')}\nhint: claude setup-token prints one; put it into .env as CLAUDE_CODE_OAUTH_TOKEN\n`,
      );
    return EXIT.failed;
  }
  const { credential } = found;
  if (settings.action === 'push') return push(credential, settings.mode, io);
  if (settings.tokenOnly) io.out(`${credential.secret}\n`);
  else if (settings.export) io.out(`export ${variableOf(credential)}='${credential.secret.replaceAll("'", "'\\''")}'\n`);
  else if (settings.json) io.out(`${JSON.stringify(describe(credential), null, 2)}\n`);
  else io.out(render(credential));
  return EXIT.done;
}

function variableOf(credential: Credential): string {
  return credential.kind === 'api-key' ? 'ANTHROPIC_API_KEY' : 'CLAUDE_CODE_OAUTH_TOKEN';
}

/** Everything but the secret. */
function describe(credential: Credential) {
  const { secret, expiresAt, ...rest } = credential;
  return {
    found: true,
    ...rest,
    masked: mask(secret),
    expiresAt: expiresAt?.toISOString() ?? null,
    expired: expiresAt === undefined ? null : expiresAt.getTime() < Date.now(),
  };
}

function render(credential: Credential): string {
  const { expiresAt } = credential;
  const lines = [
    ['kind', credential.kind === 'api-key' ? 'API key (billed by use)' : 'OAuth token (subscription)'],
    ['from', `${credential.source}: ${credential.where}`],
    ['token', mask(credential.secret)],
    [
      'expires',
      expiresAt === undefined ? 'not told by its source' : `${expiresAt.toISOString()} (${distance(expiresAt.getTime() - Date.now())})`,
    ],
    ['plan', credential.plan ?? 'not told by its source'],
    ['scopes', credential.scopes?.join(' ') || 'not told by its source'],
  ];
  return lines.map(([name = '', value]) => `${name.padEnd(8)} ${value}\n`).join('');
}

function distance(ms: number): string {
  const hours = Math.abs(ms) / 3_600_000;
  const text = hours < 48 ? `${hours.toFixed(1)} h` : `${Math.round(hours / 24)} days`;
  return ms < 0 ? `EXPIRED ${text} ago` : `in ${text}`;
}

async function push(credential: Credential, name: string | undefined, io: Io): Promise<number> {
  if (name === undefined) throw new CagematchError('bad-input', 'token push needs a mode', 'cagematch token push fly');
  const { detected, contextOf } = await survey(io, [name]);
  const [found] = detected;
  if (!found?.mode.pushSecret) throw new CagematchError('bad-input', `${name} stores no secrets of its own`, 'cagematch detect');
  if (found.detection.status !== 'ready') throw new CagematchError('not-ready', `${name}: ${found.detection.reason}`, found.detection.hint);
  io.out(`${await found.mode.pushSecret(contextOf(found), variableOf(credential), credential.secret)}\n`);
  return EXIT.done;
}
