#!/usr/bin/env node
// argv → command → exit code. The only place that exits.
import { readdirSync } from 'node:fs';
import { inspect } from 'node:util';
import type { Argv } from 'yargs';
import yargs from 'yargs';
import { EXIT, type Io } from './commands/io.js';
import { CagematchError, messageOf } from './lib/errors.js';
import { nearest } from './lib/nearest.js';
import { version } from './lib/package.js';
import { oneLine, terminalText } from './lib/printable.js';
import { redact } from './lib/secrets.js';

interface CommandModule {
  builder(argv: Argv): Argv;
  handler(args: unknown, io: Io): Promise<number>;
}

// Loaded only when it is the one: `--help` should not wait for what it does not use.
const COMMANDS: { command: string; describe: string | false; load(): Promise<CommandModule> }[] = [
  { command: 'run [modes..]', describe: 'run the task in every runtime, and compare', load: () => import('./commands/run.js') },
  { command: 'detect [modes..]', describe: 'say which runtimes are here', load: () => import('./commands/detect.js') },
  { command: 'doctor', describe: 'look closely at what runs need, and say how to mend it', load: () => import('./commands/doctor.js') },
  {
    command: 'token [action] [mode]',
    describe: 'show the credential that a live run would use; push it to a runtime',
    load: () => import('./commands/token.js'),
  },
  { command: 'build [mode]', describe: 'build the image or template of one mode, or of all', load: () => import('./commands/build.js') },
  {
    command: 'probe [modes..]',
    describe: 'try from inside: do files come back, what can be reached, what does work cost',
    load: () => import('./commands/probe.js'),
  },
  {
    command: 'report [match]',
    describe: 'show a past match or probe again; the newest match by default',
    load: () => import('./commands/report.js'),
  },
  { command: 'compare <base> <new>', describe: 'hold two matches against each other', load: () => import('./commands/compare.js') },
  {
    command: 'record [mode]',
    describe: 'run a task once with the live model, and keep the session as a cassette that replays it',
    load: () => import('./commands/record.js'),
  },
  { command: 'clean [modes..]', describe: 'remove what crashed matches have left', load: () => import('./commands/clean.js') },
  // For those who work on cagematch itself.
  { command: 'docs', describe: false, load: () => import('./commands/docs.js') },
];

/** A command line, a key of a file or an id of a task may stand in an error, and may be of any length. */
const MOST_SAID = 2000;

/** A reader that closes the pipe early (`| head`), or a terminal that was closed. */
const READER_LEFT = ['EPIPE', 'EIO'];

process.exitCode = await main(process.argv.slice(2));

async function main(argv: string[]): Promise<number> {
  const debug = argv.includes('--debug');
  const unheard = listenForReaders();
  // Node would print it as it is, secrets and all. Rejections that nobody handles come this way too.
  process.on('uncaughtException', (error) => process.exit(report(error, debug)));
  try {
    const code = await dispatch(argv);
    return unheard() ? EXIT.failed : code;
  } catch (error) {
    return report(isUsage(error) ? badUsage(error.message, argv, []) : error, debug);
  }
}

/** Of stdout what could not be written is said; of stderr nobody is left to tell, and saying so would fail again, without end. */
function listenForReaders(): () => boolean {
  let lost = false;
  process.stderr.on('error', () => {});
  process.stdout.on('error', ({ code = '' }: NodeJS.ErrnoException) => {
    if (READER_LEFT.includes(code) || lost) return;
    lost = true;
    // It may be told only when main has returned.
    process.exitCode = EXIT.failed;
    console.error(`✖ stdout cannot be written (${code})`);
  });
  return () => lost;
}

async function dispatch(argv: string[]): Promise<number> {
  let code: number = EXIT.done;
  const cli = yargs(argv)
    .scriptName('cagematch')
    .version(version)
    .usage('$0 <command>\n\nRuns the same coding-agent task in every sandbox you have, and tells you what each one costs.')
    .option('debug', { describe: 'show a stack with an error', boolean: true, global: true, hidden: true })
    .demandCommand(1, 'name a command')
    .strict()
    .wrap(100)
    .epilogue(`modes: ${modeNames().join(' ')}`)
    .exitProcess(false)
    .fail((message, error) => {
      if (error && !isUsage(error)) throw error;
      throw badUsage(message, argv, optionNames(cli));
    });
  for (const { command, describe, load } of COMMANDS) {
    cli.command({
      command,
      describe,
      builder: (async (inner: Argv) => (await load()).builder(inner)) as never,
      handler: async (args) => {
        code = await (await load()).handler(args, await makeIo());
      },
    });
  }
  await cli.parseAsync();
  return code;
}

function modeNames(): string[] {
  return readdirSync(new URL('modes/', import.meta.url)).flatMap((file) =>
    /^[a-z0-9-]+\.(js|ts|mjs)$/.test(file) ? [file.replace(/\.\w+$/, '')] : [],
  );
}

async function makeIo(): Promise<Io> {
  const { ignoredLine, loadInputs } = await import('./lib/match/config.js');
  const { realTemporaryFolder } = await import('./lib/plain-files.js');
  const temporary = realTemporaryFolder(process.env.TMPDIR);
  if (temporary !== undefined) process.env.TMPDIR = temporary;
  const { ignored, ...inputs } = await loadInputs(process.cwd(), process.env);
  const line = ignoredLine(ignored);
  if (line !== undefined) process.stderr.write(`${line}\n`);
  return {
    out: (text) => void process.stdout.write(terminalText(text)),
    document: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(terminalText(redact(text))),
    outIsTty: process.stdout.isTTY === true,
    errIsTty: process.stderr.isTTY === true,
    errColumns: () => process.stderr.columns || 100,
    cwd: process.cwd(),
    ...inputs,
    platform: process.platform,
    uid: process.getuid?.(),
    leave: (code) => process.exit(code),
  };
}

/** yargs throws some of its complaints, from deep inside, as errors of its own. */
function isUsage(error: unknown): error is Error {
  return error instanceof Error && error.name === 'YError';
}

/** The options known at this moment: the command's own and the global ones. */
function optionNames(cli: Argv): string[] {
  const { key } = (cli as unknown as { getOptions(): { key: Record<string, unknown> } }).getOptions();
  return Object.keys(key);
}

/**
 * yargs says what is wrong; the hint says what was perhaps meant.
 * @param options the options that the command knows
 */
function badUsage(message: string, argv: string[], options: string[]): CagematchError {
  const commands = COMMANDS.map((one) => one.command.split(' ')[0] ?? '');
  const command = commands.find((name) => name === argv[0]);
  const unknown = /^Unknown arguments?: ([^, ]+)/.exec(message)?.[1];
  if (unknown === undefined)
    return new CagematchError('bad-input', message.replace(/\s+/g, ' '), `cagematch ${command ?? ''} --help`.replace('  ', ' '));
  if (command === undefined) {
    const meant = nearest(unknown, commands);
    return new CagematchError('bad-input', `unknown command: ${unknown}`, meant ? `did you mean ${meant}?` : 'cagematch --help');
  }
  const meant = nearest(
    unknown,
    options.filter((name) => name.length > 1),
  );
  return new CagematchError(
    'bad-input',
    `unknown option of ${command}: ${unknown}`,
    meant ? `did you mean --${meant}?` : `cagematch ${command} --help`,
  );
}

function report(error: unknown, debug: boolean): number {
  const say = (text: string) => console.error(oneLine(text, MOST_SAID));
  if (debug) console.error(terminalText(redact(inspect(error))));
  if (error instanceof CagematchError) {
    say(`✖ ${error.message}`);
    if (error.hint !== undefined) say(`hint: ${error.hint}`);
    return error.code === 'bad-input' ? EXIT.badInput : error.code === 'not-ready' ? EXIT.notReady : EXIT.failed;
  }
  say(`✖ ${messageOf(error)}`);
  say('hint: this is a fault of cagematch; --debug shows where');
  return EXIT.failed;
}
