// `cagematch token`: the credential that a live run would use, shown masked, or pushed to a runtime
// that stores its own.

import { z } from 'zod';
import { AUTHS, chooseCredential, complaintsOf, takenOf } from '../lib/auth/choose.js';
import {
  type Candidate,
  type Credential,
  hasExpired,
  mask,
  payerOf,
} from '../lib/auth/credential.js';
import { variableOf } from '../lib/auth/deliver.js';
import { type Found, findCredentials } from '../lib/auth/find.js';
import { findGitHub, type GitHubCredential } from '../lib/auth/github.js';
import { CagematchError } from '../lib/errors.js';
import { jsonDocument } from '../lib/json.js';
import { printable } from '../lib/os/printable.js';
import { quoted } from '../lib/os/quoted.js';
import { wrap } from '../lib/report/terminal/lines.js';
import { EXIT, type Io } from './io.js';
import { argument, choice, flag, readSettings } from './options.js';
import { survey } from './survey.js';

/** A flag without a default, which yargs would take for typed and report as a conflict. */
const exclusive = (describe: string, conflicts: string[]) =>
  flag(describe, { default: undefined, conflicts });

export const options = {
  action: {
    yargs: {
      describe: 'show the credential, or push it to a mode that stores secrets',
      choices: ['show', 'push'],
      default: 'show',
    },
    schema: z.enum(['show', 'push']),
    positional: true as const,
  },
  mode: argument('push: the mode to push to'),
  auth: choice('which credential, if there are several', AUTHS),
  json: exclusive('as JSON, masked', ['token-only', 'export']),
  tokenOnly: exclusive('only the secret, for a pipe', ['export']),
  export: exclusive('an export line for eval in a shell, including the secret', []),
};

export async function handler(args: unknown, io: Io): Promise<number> {
  const settings = readSettings(options, args);
  const found = await findCredentials(io);
  if (settings.action === 'push' || settings.tokenOnly || settings.export) {
    const { credential, warnings } = await chooseCredential(found, settings.auth, io.env);
    for (const { text, hint } of warnings) io.err(`! ${printable(text)}\n  → ${printable(hint)}\n`);
    if (settings.action === 'push') return push(credential, settings.mode, io);
    if (settings.tokenOnly) io.document(`${credential.secret}\n`);
    else io.document(`export ${variableOf(credential)}=${quoted(credential.secret)}\n`);
    return EXIT.done;
  }
  const github = await findGitHub(io.env);
  if (settings.json) io.document(jsonDocument(describe(found, github)));
  else io.out(render(found, github));
  return takenOf(found).length > 0 ? EXIT.done : EXIT.failed;
}

/** Everything but the secrets. The candidate that the agent would take comes first. */
function describe(found: Found, github: GitHubCredential | undefined) {
  const [first, ...others] = takenOf(found);
  return {
    found: first !== undefined,
    ...(first ? shown(first) : { looked: found.looked }),
    others: others.map(shown),
    warnings: complaintsOf(found),
    github: github ? { where: github.where, masked: mask(github.secret) } : null,
  };
}

function shown(candidate: Candidate) {
  const { secret, expiresAt, problem, command, ...rest } = candidate;
  return {
    ...rest,
    payer: payerOf(candidate),
    masked: secret === undefined ? null : mask(secret),
    expiresAt: expiresAt?.toISOString() ?? null,
    expired: expiresAt === undefined ? null : hasExpired(candidate),
  };
}

function render(found: Found, github: GitHubCredential | undefined): string {
  const [first, ...others] = takenOf(found);
  const rows = first
    ? [
        ...about(first),
        ...others.map((candidate) => ['also', `${candidate.where}: ${KINDS[candidate.kind]}`]),
      ]
    : [
        ['found', 'no credential that the agent could use'],
        ...found.looked.map((place) => ['looked', place]),
      ];
  if (github) rows.push(['github', `${mask(github.secret)} (${github.where})`]);
  const lines = rows.map(([name = '', value = '']) =>
    wrap(value, `${name.padEnd(8)} `, ' '.repeat(9)),
  );
  const notes = complaintsOf(found).map(({ text, hint }) => [
    ...wrap(text, '! ', '  '),
    ...wrap(hint, '  → ', '    '),
  ]);
  if (!first)
    notes.push(['→ claude setup-token prints one; put it into .env as CLAUDE_CODE_OAUTH_TOKEN']);
  return [...lines, ...notes]
    .flat()
    .map((line) => `${line}\n`)
    .join('');
}

const KINDS: Record<Candidate['kind'], string> = {
  cloud: "a cloud provider's own credentials (billed there)",
  'auth-token': 'bearer token for what stands in for the API',
  'api-key': 'API key (billed by use)',
  'api-key-helper': 'a command that prints an API key (billed by use)',
  oauth: 'OAuth token (subscription)',
};

function about({ kind, source, where, secret, expiresAt, plan, scopes }: Candidate): string[][] {
  const shownOr = (value: string | undefined) => value || 'not told by its source';
  return [
    ['kind', KINDS[kind]],
    ['from', `${source}: ${where}`],
    ...(secret === undefined ? [] : [['token', mask(secret)]]),
    ...(kind !== 'oauth'
      ? []
      : [
          [
            'expires',
            shownOr(
              expiresAt &&
                `${expiresAt.toISOString()} (${distance(expiresAt.getTime() - Date.now())})`,
            ),
          ],
          ['plan', shownOr(plan)],
          ['scopes', shownOr(scopes?.join(' '))],
        ]),
  ];
}

function distance(ms: number): string {
  const hours = Math.abs(ms) / 3_600_000;
  const text = hours < 48 ? `${hours.toFixed(1)} h` : `${Math.round(hours / 24)} days`;
  return ms < 0 ? `EXPIRED ${text} ago` : `in ${text}`;
}

async function push(credential: Credential, name: string | undefined, io: Io): Promise<number> {
  if (name === undefined)
    throw new CagematchError('bad-input', 'token push needs a mode', 'cagematch token push fly');
  const { detected, contextOf } = await survey(io, [name]);
  const [found] = detected;
  if (!found?.mode.pushSecret)
    throw new CagematchError(
      'bad-input',
      `${name} stores no secrets of its own`,
      'cagematch detect',
    );
  if (found.detection.status !== 'ready')
    throw new CagematchError(
      'not-ready',
      `${name}: ${found.detection.reason}`,
      found.detection.hint,
    );
  io.out(
    `${await found.mode.pushSecret(contextOf(found), variableOf(credential), credential.secret)}\n`,
  );
  return EXIT.done;
}
