// What cagematch writes down holds no secret of the user's, in whatever shape it came by.
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openRecord } from '../../lib/record/write.js';
import { keepSecret, redact, shapesOf } from '../../lib/secrets.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';
import { listening } from '../support/loopback.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const SECRET = 'sk-ant-oat01-CANARY"%\\7b2f\u00e9-AA';
keepSecret(SECRET, 'THE_TOKEN');

describe('a secret is taken out of a text', () => {
  const base64 = (before: string, after: string) =>
    Buffer.from(`${before}${SECRET}${after}`).toString('base64');
  it.each([
    ['as it is', SECRET],
    ['in JSON', JSON.stringify({ told: SECRET })],
    ['in JSON within JSON', JSON.stringify({ line: JSON.stringify({ told: SECRET }) })],
    ['in a URL', `https://x/?token=${encodeURIComponent(SECRET)}&y`],
    ['as hex', Buffer.from(SECRET).toString('hex')],
    ['as upper-case hex', Buffer.from(SECRET).toString('hex').toUpperCase()],
    ['as base64', base64('', '')],
    ['as base64 with one byte before it', base64('x', '')],
    ['as base64 with two bytes before it, and some after it', base64('xy', 'more')],
    ['as base64 in the middle of a header', base64('user:', '\n')],
    ['as base64 for URLs', Buffer.from(`Bearer ${SECRET}`).toString('base64url')],
  ])('%s', (_what, text) => {
    const left = redact(text);
    expect(left).toContain('[redacted THE_TOKEN]');
    for (const shape of shapesOf(SECRET)) expect(left).not.toContain(shape);
    // Of base64 the letters at its two ends, which depend on what is beside it, say nothing of any
    // use.
    expect(left).not.toContain('CANARY');
  });

  it('and all else stays as it was', () => {
    const text = 'sk-ant-oat01-another [a+b]* \\d $& of no interest';
    expect(redact(text)).toBe(text);
    expect(redact(`${text}${SECRET}${text}`)).toBe(`${text}[redacted THE_TOKEN]${text}`);
  });

  it('one that is too short to be anybody’s secret takes nothing out', () => {
    keepSecret('the', 'SHORT');
    expect(redact('the other')).toBe('the other');
  });

  it('a name that would break JSON does not', () => {
    keepSecret('another-secret-entirely', 'apiKeyHelper in /odd "path"\\x');
    expect(JSON.parse(redact(JSON.stringify({ told: 'another-secret-entirely' })))).toEqual({
      told: '[redacted apiKeyHelper in /odd ?path??x]',
    });
  });
});

it('an event holds none, neither on disk nor where the report listens', () => {
  const folder = temporaryFolder();
  const received: unknown[] = [];
  const record = openRecord(folder, { onEvent: (event) => void received.push(event) });
  record.emit({ type: 'warning', code: 'told', message: `it said "${SECRET}"` });
  record.close();
  expect(received).toMatchObject([{ type: 'warning', message: 'it said "[redacted THE_TOKEN]"' }]);
  expect(JSON.parse(readFileSync(join(folder, 'events.jsonl'), 'utf8'))).toEqual(received[0]);
});

describe('a live match whose API repeats the credential in what it says', () => {
  const secret = `sk-ant-oat01-${'livecanary'.repeat(6)}-AA`;

  /** As some proxies do, which show the whole request that they would not take. */
  async function repeating(): Promise<string> {
    const server = createServer((req: IncomingMessage, res: ServerResponse) => {
      const echoed = `${req.headers.authorization} ${Buffer.from(`${req.headers.authorization}`).toString('base64')}`;
      res.writeHead(400, { 'content-type': 'application/json', 'x-should-retry': 'false' });
      res.end(
        JSON.stringify({
          type: 'error',
          error: { type: 'invalid_request_error', message: `refused: ${echoed}` },
        }),
      );
    });
    return `http://127.0.0.1:${await listening(server)}`;
  }

  it('shows it nowhere: not on the terminal, not in the record, not on the page, not in any export', async () => {
    const place = standSomewhere();
    onTestFinished(place.close);
    const env = {
      CLAUDE_CODE_OAUTH_TOKEN: secret,
      CAGEMATCH_UPSTREAM: await repeating(),
      HOME: temporaryFolder(),
    };
    const result = await cagematch(
      ownHouse,
      ['run', 'host', '--runs', '1', '--allow-host', '--json', 'out.json'],
      { cwd: place.cwd, env },
    );
    expect(result.stderr).toContain('model live');
    expect(result.exitCode).toBe(1);
    const [match = ''] = readdirSync(join(place.cwd, 'results'));
    const written = readdirSync(join(place.cwd, 'results', match)).map((file) =>
      readFileSync(join(place.cwd, 'results', match, file), 'utf8'),
    );
    const exported = await Promise.all(
      ['json', 'html', 'csv', 'markdown', 'table', 'trace'].map((format) =>
        cagematch(ownHouse, ['report', match, '--format', format], { cwd: place.cwd, env }),
      ),
    );
    const all = [
      result.stdout,
      result.stderr,
      readFileSync(join(place.cwd, 'out.json'), 'utf8'),
      ...written,
      ...exported.map(({ stdout }) => stdout),
    ];
    // The place where it would have stood is there.
    expect(
      all.filter((text) => text.includes('[redacted CLAUDE_CODE_OAUTH_TOKEN]')).length,
    ).toBeGreaterThan(2);
    for (const text of all) for (const shape of shapesOf(secret)) expect(text).not.toContain(shape);
  });
});
