// Recording: the real agent and an API that a test plays make a session, its cassette is what was
// said, and it replays elsewhere.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { replayAnswer } from '../../lib/model/answers.js';
import { type Cassette, cassetteText, readCassette } from '../../lib/model/cassette.js';
import { createGateway } from '../../lib/model/gateway.js';
import { serveReplay } from '../../lib/model/replay.mjs';
import { agentVersion } from '../../lib/package.js';
import { detectAll } from '../../lib/sandbox/detect.js';
import { loadModes } from '../../lib/sandbox/registry.js';
import { shapesOf } from '../../lib/secrets.js';
import { bundledTask } from '../../lib/task/bundled.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';
import { machineEnv } from '../support/machine-env.js';
import { modeContext } from '../support/mode-context.js';
import { entryOf, PASSED, runScriptedMatch } from '../support/scripted-match.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { openUpstream, TRUSTED } from '../support/upstream.js';

const SECRET = 'the-users-own-token-of-great-worth';
const bundled = (id: string) => readCassette(bundledTask(id).cassette);

type Before = Parameters<typeof openUpstream>[1];

/** One recording in a folder of its own. */
async function record(
  cassette: Cassette,
  task = 'hello',
  options: { before?: Before; args?: string[]; out?: string } = {},
) {
  const place = standSomewhere();
  onTestFinished(place.close);
  const upstream = await openUpstream(cassette, options.before);
  const args = [
    'record',
    'host',
    '--allow-host',
    '--task',
    task,
    '--out',
    options.out ?? 'session.yaml',
    '--timeout',
    '40',
    ...(options.args ?? []),
  ];
  const env = {
    CLAUDE_CODE_OAUTH_TOKEN: SECRET,
    CAGEMATCH_UPSTREAM: upstream.url,
    HOME: temporaryFolder(),
    ...TRUSTED,
  };
  const ended = await cagematch(ownHouse, args, { cwd: place.cwd, env });
  const path = join(place.cwd, 'session.yaml');
  return {
    ...ended,
    ...upstream,
    path,
    cwd: place.cwd,
    files: () => readdirSync(place.cwd),
    text: () => readFileSync(path, 'utf8'),
  };
}

/** Exchanges of a model that does something of its own before it does the task. */
function withFirst(...first: Cassette['conversations'][number]['exchanges']): Cassette {
  const cassette = bundled('hello');
  const [main] = cassette.conversations;
  const [write, run, ...rest] = main?.exchanges ?? [];
  if (!write || !run) throw new Error('the cassette of hello has changed');
  return {
    ...cassette,
    conversations: [
      { exchanges: [...first, { content: write.content }, { content: run.content }, ...rest] },
    ],
  };
}

/** What tools print may differ: grep looks at files in any order. */
const withoutTexts = (conversations: Cassette['conversations']) =>
  conversations.map(({ exchanges, ...talk }) => ({
    ...talk,
    exchanges: exchanges.map(({ results, ...exchange }) => ({
      ...exchange,
      results: results?.map(({ tool, outcome }) => ({ tool, outcome })),
    })),
  }));

const bash = (command: string) => ({
  type: 'tool_use' as const,
  name: 'Bash',
  input: { command, description: 'Look' },
});

describe('what was recorded', () => {
  test.each(['hello', 'refactor'])(
    'is what the API said, with what the tools did, and nothing of this machine: %s',
    async (id) => {
      const { stdout, stderr, exitCode, text, path, files, requests } = await record(
        bundled(id),
        id,
      );
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      expect(stdout).toMatch(
        /\d+ exchanges, \d+ tool calls, 0 sub-agents; recorded with the agent \S+ in host, and replayed there once\n$/,
      );
      const { conversations, agent } = readCassette(path);
      expect(withoutTexts(conversations)).toEqual(withoutTexts(bundled(id).conversations));
      expect(agent).toBe(agentVersion);
      expect(files()).toEqual(['session.yaml']);
      expect(new Set(requests.map(({ authorization }) => authorization))).toEqual(
        new Set([`Bearer ${SECRET}`]),
      );
      expect(new Set(requests.map(({ version }) => version))).toEqual(new Set(['2.0']));
      // Of the replay that proves it, nothing reaches the API.
      expect(requests.length).toBe(conversations[0]?.exchanges.length);
      for (const shape of shapesOf(SECRET)) expect(text()).not.toContain(shape);
      expect(text()).not.toMatch(
        /cagematch-|toolu_|msg_|\/tmp\/|[0-9a-f]{24}|[0-9a-f]{8}-[0-9a-f]{4}-/,
      );
    },
  );

  test('holds no secret that a tool has printed, in no shape, and no id; a person can read it', async () => {
    const print = [
      // The agent takes it out of its tools' environment, but not out of its own.
      "tr '\\0' '\\n' < /proc/$PPID/environ | grep ^CLAUDE_CODE_OAUTH_TOKEN",
      "tr '\\0' '\\n' < /proc/$PPID/environ | grep ^CLAUDE_CODE_OAUTH_TOKEN | cut -d= -f2 | base64 -w0",
      'echo "$HOME $PWD $TMPDIR $(cat nonce.txt)"',
    ];
    const answer = `It is ${SECRET}, or ${Buffer.from(SECRET).toString('base64')}, or sk-ant-oat01-${'x'.repeat(30)}; {{cwd}} is no place.`;
    const cassette = withFirst(
      { content: print.map(bash) },
      {
        content: [{ type: 'text', text: answer.replace('{{cwd}}', '{{open}}cwd}}') }, bash('true')],
      },
    );
    const { text, exitCode, stderr, path } = await record(cassette);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    for (const shape of shapesOf(SECRET)) expect(text()).not.toContain(shape);
    expect(text()).not.toMatch(/cagematch-[\w-]{10}|xxxxx|\/tmp\/|[0-9a-f]{24}/);
    const exchanges = readCassette(path).conversations[0]?.exchanges ?? [];
    expect(exchanges[1]?.content[0]).toEqual({
      type: 'text',
      text: 'It is [redacted CLAUDE_CODE_OAUTH_TOKEN], or [redacted CLAUDE_CODE_OAUTH_TOKEN]A==, or [redacted credential]; {{open}}cwd}} is no place.',
    });
    expect(exchanges[1]?.results?.map((result) => result.text)).toEqual([
      'CLAUDE_CODE_OAUTH_TOKEN=[redacted token of the run]',
      expect.stringMatching(/^\[redacted token of the run\].{0,4}$/),
      '{{home}} {{cwd}} {{tmp}} {{nonce}}',
    ]);
  });

  test('is one exchange where the API was busy first; an answer that broke off is none; --force overwrites', async () => {
    const over = join(temporaryFolder(), 'over.yaml');
    writeFileSync(over, 'what was there\n');
    const { exitCode, stderr, requests } = await record(bundled('hello'), 'hello', {
      out: over,
      args: ['--force'],
      before(turn, _req, res) {
        if (turn === 2)
          res
            .writeHead(429, { 'retry-after': '0', 'content-type': 'application/json' })
            .end('{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}');
        const half =
          'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_half","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}\n\n';
        if (turn === 4)
          res
            .writeHead(200, { 'content-type': 'text/event-stream' })
            .write(half, () => res.destroy());
        return turn === 2 || turn === 4;
      },
    });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(requests.length).toBeGreaterThanOrEqual(5);
    expect(readCassette(over).conversations).toEqual(bundled('hello').conversations);
  });
});

describe('nothing is written', () => {
  test('over a cassette that is there, before anybody is asked anything', async () => {
    const there = join(temporaryFolder(), 'there.yaml');
    writeFileSync(there, 'what was there\n');
    const first = await record(bundled('hello'), 'hello', { out: there });
    expect(first).toMatchObject({
      exitCode: 2,
      stderr: `✖ ${there} is there already\nhint: --force to overwrite it, or --out FILE for another\n`,
      requests: [],
    });
    expect(readFileSync(there, 'utf8')).toBe('what was there\n');
  });

  test('of a run that did not pass', async () => {
    const { exitCode, stderr, files } = await record(
      withFirst({ content: [{ type: 'text', text: 'I would rather not.' }] }),
    );
    expect(stderr).toBe(
      '✖ nothing was written: the run failed: agent: the agent never wrote hello.mjs\n',
    );
    expect(exitCode).toBe(1);
    expect(files()).toEqual([]);
  });

  test('where it would be taken for good, of a session that does not replay', async () => {
    // Of two sub-agents with the same words a replay cannot tell which one asks.
    const agent = {
      type: 'tool_use' as const,
      name: 'Agent',
      input: { description: 'x', prompt: 'Do it', run_in_background: false },
    };
    const once = withFirst({ content: [agent] }, { content: [agent] });
    const part = (command: string) => ({
      opens: 'Do it',
      exchanges: [
        { content: [bash(command)] },
        { content: [{ type: 'text' as const, text: 'ok' }] },
      ],
    });
    const [first, second] = [part('mkdir made'), part('rmdir made')].map((conversation) => ({
      ...once,
      conversations: [...once.conversations, conversation],
    }));
    const agents: unknown[] = [];
    const { exitCode, stderr, files } = await record(once, 'hello', {
      before(_turn, req, res) {
        const who = req.headers['x-claude-code-agent-id'];
        if (who !== undefined && !agents.includes(who)) agents.push(who);
        void serveReplay(req, res, (agents.indexOf(who) === 1 ? second : first) as Cassette);
        return true;
      },
    });
    expect(stderr).toMatch(
      /^several sub-agents were given the same words, .*: Do it\n✖ it was recorded, but does not replay; kept as .*session\.yaml\.unproven: cassette: /,
    );
    expect(stderr).toMatch(
      /sub-agent "Do it", request 2: Bash was to succeed, and failed: "Exit code 1 mkdir: .* File exists"\n$/,
    );
    expect(exitCode).toBe(1);
    expect(files()).toEqual(['session.yaml.unproven']);
  });

  test('of what is asked and said in a live run that is not recorded', async () => {
    const place = standSomewhere();
    onTestFinished(place.close);
    const words = ['a-word-that-only-the-model-says', 'a-word-that-only-a-tool-prints'];
    const { url } = await openUpstream(
      withFirst({
        content: [
          { type: 'text', text: words[0] as string },
          bash(`echo ${words[1]?.replace('only', "on''ly")}`),
        ],
      }),
    );
    const given = {
      CLAUDE_CODE_OAUTH_TOKEN: SECRET,
      CAGEMATCH_UPSTREAM: url,
      HOME: temporaryFolder(),
      ...TRUSTED,
    };
    const { exitCode, stdout, stderr } = await cagematch(
      ownHouse,
      ['run', 'host', '--runs', '1', '--allow-host', '--debug'],
      {
        cwd: place.cwd,
        env: given,
      },
    );
    expect(exitCode).toBe(0);
    const files = readdirSync(place.cwd, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    expect(files.map(({ name }) => name)).toContain('events.jsonl');
    const all = [
      stdout,
      stderr,
      ...files.map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'utf8')),
    ].join('\n');
    for (const word of [
      ...words,
      'Create a file named hello.mjs',
      'Primary working directory',
      SECRET,
    ])
      expect(all).not.toContain(word);
  });
});

/**
 * Modes of this machine that are ready, whichever way their agents reach the model; the one without
 * walls is always there.
 */
const env = machineEnv;
const base = { env, uid: process.getuid?.(), platform: process.platform };
const ready = (
  await detectAll((await loadModes()).values(), (mode) => modeContext(mode.id, base))
).flatMap(({ mode, detection, runtimeState }) =>
  detection.status === 'ready' ? [{ mode, runtimeState }] : [],
);

/** A match of the hello task that another cassette replays, in each of these modes once. */
async function replay(path: string, where = ready) {
  const cassette = readCassette(path);
  const gateway = createGateway(replayAnswer(cassette));
  onTestFinished(() => gateway.close());
  const entries = where.map(({ mode, runtimeState }) =>
    entryOf(mode, { entry: mode.id, mode: mode.id, isolation: mode.isolation, runtimeState }),
  );
  const { runs, eventsOf } = await runScriptedMatch(entries, {
    taskOf: () => ({ ...bundledTask('hello'), cassette: path }),
    gateway,
    contextOf: ({ mode, runtimeState: state }) => modeContext(mode, { ...base, state }),
    timeoutMs: 60_000,
  });
  // An image that cannot be had here is no fault of the cassette.
  const imageless = eventsOf('unprepared').filter(
    ({ outcome }) => outcome.status === 'failed' && outcome.cause === 'image',
  );
  expect(eventsOf('unprepared')).toEqual(imageless);
  return runs;
}

describe('a session with sub-agents, several tools at once, errors, and one that goes on in the background', () => {
  const agent = (prompt: string, overrides: object = {}) => ({
    type: 'tool_use' as const,
    name: 'Agent',
    input: { description: 'a part', prompt, subagent_type: 'general-purpose', ...overrides },
  });
  const write = (name: string) => ({
    type: 'tool_use' as const,
    name: 'Write',
    input: { file_path: `{{cwd}}/${name}`, content: `${name}\n` },
  });
  const textBlock = (text: string) => ({ type: 'text' as const, text });
  const part = (name: string) => ({
    opens: `Write {{cwd}}/${name}`,
    exchanges: [
      { content: [write(name), bash(`test "$(cat nonce.txt)" && cat {{cwd}}/${name}`)] },
      { content: [bash('ls nothing-of-that-name')] },
      { content: [textBlock(`${name} is there`)] },
    ],
  });
  const now = { run_in_background: false };
  const main = withFirst(
    {
      content: [
        textBlock('Two at once.'),
        agent('Write {{cwd}}/one, with care', now),
        agent('Write {{cwd}}/two', now),
      ],
    },
    {
      content: [
        agent('Write {{cwd}}/three'),
        bash('cat one two && exit 3'),
        { type: 'tool_use', name: 'Read', input: { file_path: '{{cwd}}/nothing' } },
      ],
    },
    { content: [textBlock('The third goes on.')] },
  );
  const session = {
    ...main,
    conversations: [...main.conversations, part('one'), part('two'), part('three')],
  };

  test('is recorded as it was, and replays in every mode that is ready here', async () => {
    // The third is answered when the main agent has said its last word: only then is there news for
    // it.
    let mainEnded = () => {};
    const last = new Promise<void>((resolve) => {
      mainEnded = resolve;
    });
    const agents: unknown[] = [];
    let mainRequests = 0;
    const { exitCode, stdout, stderr, path } = await record(session, 'hello', {
      before(_turn, req, res) {
        const who = req.headers['x-claude-code-agent-id'];
        if (who === undefined) mainRequests += 1;
        if (who === undefined && mainRequests === 3) res.once('close', mainEnded);
        if (who !== undefined && !agents.includes(who)) agents.push(who);
        if (agents.indexOf(who) !== 2) return false;
        void last.then(() => serveReplay(req, res, session));
        return true;
      },
    });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(/15 exchanges, 16 tool calls, 3 sub-agents/);
    const recorded = readCassette(path);
    const [first, ...others] = recorded.conversations;
    expect(others.map(({ opens }) => opens).sort()).toEqual([
      'Write {{cwd}}/one, with care',
      'Write {{cwd}}/three',
      'Write {{cwd}}/two',
    ]);
    expect(
      others.map(({ exchanges }) =>
        exchanges.map(({ results }) => results?.map(({ tool, outcome }) => `${tool} ${outcome}`)),
      ),
    ).toEqual(
      Array.from({ length: 3 }, () => [undefined, ['Write ok', 'Bash ok'], ['Bash error']]),
    );
    expect(first?.exchanges[2]?.results?.map(({ tool, outcome }) => `${tool} ${outcome}`)).toEqual([
      'Agent ok',
      'Bash error',
      'Read error',
    ]);
    expect(first?.exchanges.map(({ notified }) => notified)).toEqual([
      undefined,
      undefined,
      undefined,
      1,
      undefined,
      undefined,
    ]);
    const runs = await replay(path);
    for (const { entry, outcome, sync } of runs)
      expect({ entry, outcome, sync }).toEqual({
        entry,
        outcome: PASSED,
        sync: expect.objectContaining({ in: 'yes', out: 'yes' }),
      });
    expect(runs.map(({ entry }) => entry)).toContain('host');
  }, 240_000);
});

describe('a replay that goes another way ends, and says where', () => {
  const [main] = bundled('hello').conversations;
  const [write, run, end] = main?.exchanges ?? [];
  if (!write || !run || !end) throw new Error('the cassette of hello has changed');
  const host = ready.filter(({ mode }) => mode.id === 'host');
  const sub = {
    ...write,
    content: [
      {
        type: 'tool_use' as const,
        name: 'Agent',
        input: { description: 'x', prompt: 'Look about' },
      },
    ],
  };

  test.each([
    [
      'a tool did otherwise',
      [write, { ...run, results: [{ tool: 'Write', outcome: 'error', text: 'EACCES' }] }, end],
      /main, request 2: Write was to fail \("EACCES"\), and succeeded$/,
    ],
    [
      'it is too short',
      [write, { content: run.content }],
      /main, request 3: the cassette goes no further than request 2$/,
    ],
    [
      'a sub-agent is none of its own',
      [sub, ...[write, run, end].map(({ content }) => ({ content }))],
      /no conversation of the cassette .* "Look about"$/,
    ],
  ] as [string, Cassette['conversations'][number]['exchanges'], RegExp][])(
    '%s',
    async (_what, exchanges, message) => {
      const path = join(temporaryFolder(), 'other.yaml');
      writeFileSync(path, cassetteText({ ...bundled('hello'), conversations: [{ exchanges }] }));
      const startedMs = performance.now();
      const [result] = await replay(path, host);
      expect(result?.outcome).toEqual({
        status: 'failed',
        cause: 'cassette',
        message: expect.stringMatching(message),
      });
      expect(performance.now() - startedMs).toBeLessThan(15_000);
    },
  );
});
