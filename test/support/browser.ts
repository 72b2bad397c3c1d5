// A real headless Chromium, spoken to by its DevTools protocol over two pipes; no library, no open
// port.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { expect } from 'vitest';
import { isProgram } from '../../lib/os/path-search.js';
import { temporaryFolder } from './temporary-folder.js';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/**
 * The browser's program: the one that CAGEMATCH_BROWSER names, else the first on PATH; undefined
 * where there is none.
 */
export function findBrowser(env: NodeJS.ProcessEnv): string | undefined {
  if (env.CAGEMATCH_BROWSER) return env.CAGEMATCH_BROWSER;
  const folders = (env.PATH ?? '').split(delimiter).filter(Boolean);
  return folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find(isProgram);
}

/**
 * Where the rig is up and CI asks, there has to be a browser: green may not mean that the page was
 * never opened.
 */
export const browserIsRequired = (env: NodeJS.ProcessEnv): boolean =>
  env.CI === 'true' && (env.CAGEMATCH_BASE_IMAGE ?? env.CAGEMATCH_BROWSER) !== undefined;

type Params = Record<string, unknown>;
interface Message {
  id?: number;
  method?: string;
  params?: Params;
  result?: Params;
  error?: { message: string };
}

/** What a page did besides showing itself. */
interface Seen {
  /** URLs that were asked for, the page itself included. */
  requests: string[];
  /** Lines of the console, exceptions and violated policies. */
  complaints: string[];
}

export interface Tab {
  /** Loads and waits until it is there. */
  open(url: string): Promise<Seen>;
  look(width: number, scheme: 'light' | 'dark', medium?: 'screen' | 'print'): Promise<void>;
  /** The value of an expression, as JSON. */
  evaluate<T>(expression: string): Promise<T>;
}

/** Writes and opens it; what it asked for beside itself, and all it complained about. */
export async function openPage(
  tab: Tab,
  html: string,
): Promise<{ strangers: string[]; complaints: string[] }> {
  const path = join(temporaryFolder(), 'page.html');
  writeFileSync(path, html);
  const url = pathToFileURL(path).href;
  const { requests, complaints } = await tab.open(url);
  expect(requests).toContain(url);
  return {
    strangers: requests.filter((request) => request !== url && request !== 'data:,'),
    complaints,
  };
}

export interface Browser {
  version: string;
  tab(): Promise<Tab>;
  close(): Promise<void>;
}

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--no-first-run',
  '--remote-debugging-pipe',
  '--hide-scrollbars',
];

export async function startBrowser(program: string): Promise<Browser> {
  const folder = mkdtempSync(join(tmpdir(), 'browser-of-cagematch-'));
  const env = { ...process.env, HOME: folder };
  const child = spawn(program, [...FLAGS, `--user-data-dir=${folder}`], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
    env,
  });
  const ended = new Promise<string>((resolve) => {
    let output = '';
    child.stderr?.on('data', (chunk) => {
      output = (output + chunk).slice(-2000);
    });
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) =>
      resolve(`the browser ended (${signal ?? code}): ${output}`),
    );
  });
  const wire = connect(child, ended);
  const { product } = await wire.call('Browser.getVersion');
  return {
    version: String(product),
    tab: () => openTab(wire),
    async close() {
      await wire.call('Browser.close').catch(() => child.kill());
      await ended;
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

interface Wire {
  call(method: string, params?: Params, sessionId?: string): Promise<Params>;
  onEvent(listen: (method: string, params: Params) => void): void;
}

/** Messages are JSON, each ended by a NUL. */
function connect(child: ChildProcess, ended: Promise<string>): Wire {
  const [, , , out, back] = child.stdio as unknown as [
    unknown,
    unknown,
    unknown,
    Writable,
    Readable,
  ];
  const waiting = new Map<number, { resolve(result: Params): void; reject(error: Error): void }>();
  const listeners: ((method: string, params: Params) => void)[] = [];
  let last = 0;
  let rest = '';
  let over: string | undefined;
  back.setEncoding('utf8').on('data', (chunk: string) => {
    const messages = (rest + chunk).split('\0');
    rest = messages.pop() ?? '';
    for (const text of messages) take(JSON.parse(text));
  });
  out.on('error', () => {});
  ended.then((reason) => {
    over = reason;
    for (const { reject } of waiting.values()) reject(new Error(reason));
  });
  function take({ id, method, params, result, error }: Message): void {
    if (method !== undefined) for (const listen of listeners) listen(method, params ?? {});
    if (id === undefined) return;
    if (error) waiting.get(id)?.reject(new Error(error.message));
    else waiting.get(id)?.resolve(result ?? {});
    waiting.delete(id);
  }
  return {
    call: (method, params = {}, sessionId) =>
      new Promise((resolve, reject) => {
        if (over !== undefined) return reject(new Error(over));
        last += 1;
        waiting.set(last, { resolve, reject });
        out.write(
          `${JSON.stringify({ id: last, method, params, ...(sessionId === undefined ? {} : { sessionId }) })}\0`,
        );
      }),
    onEvent: (listen) => listeners.push(listen),
  };
}

/** One tab at a time is enough here: events are not told apart by session. */
async function openTab(wire: Wire): Promise<Tab> {
  const { targetId } = await wire.call('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await wire.call('Target.attachToTarget', { targetId, flatten: true });
  const call = (method: string, params?: Params) => wire.call(method, params, String(sessionId));
  let seen: Seen = { requests: [], complaints: [] };
  let loaded = () => {};
  wire.onEvent((method, params) => {
    if (method === 'Network.requestWillBeSent')
      seen.requests.push(String((params.request as Params).url));
    if (method === 'Log.entryAdded') seen.complaints.push(String((params.entry as Params).text));
    if (method === 'Runtime.consoleAPICalled') seen.complaints.push(JSON.stringify(params.args));
    if (method === 'Runtime.exceptionThrown')
      seen.complaints.push(JSON.stringify(params.exceptionDetails));
    if (method === 'Page.loadEventFired') loaded();
  });
  for (const domain of ['Page', 'Network', 'Log', 'Runtime']) await call(`${domain}.enable`);
  return {
    async open(url) {
      seen = { requests: [], complaints: [] };
      const there = new Promise<void>((resolve) => {
        loaded = resolve;
      });
      const { errorText } = await call('Page.navigate', { url });
      if (errorText !== undefined) throw new Error(`${url}: ${errorText}`);
      await there;
      // Two frames: what the style asks for is asked for when it is drawn.
      await call('Runtime.evaluate', {
        expression:
          'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))',
        awaitPromise: true,
      });
      return seen;
    },
    async look(width, scheme, medium = 'screen') {
      await call('Emulation.setDeviceMetricsOverride', {
        width,
        height: 900,
        deviceScaleFactor: 1,
        mobile: width < 600,
      });
      await call('Emulation.setEmulatedMedia', {
        media: medium,
        features: [{ name: 'prefers-color-scheme', value: scheme }],
      });
    },
    async evaluate<T>(expression: string) {
      const { result, exceptionDetails } = await call('Runtime.evaluate', {
        expression,
        returnByValue: true,
        awaitPromise: true,
      });
      if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
      return (result as Params).value as T;
    },
  };
}
