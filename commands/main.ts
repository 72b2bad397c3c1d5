// argv → command → exit code, in a given `World`; for the binary, that is its process.
import { readdirSync } from 'node:fs';
import { inspect } from 'node:util';
import type { Argv } from 'yargs';
import yargs from 'yargs';
import { CagematchError, messageOf, nearest } from '../lib/errors.js';
import { oneLine, terminalText } from '../lib/os/printable.js';
import { version } from '../lib/package.js';
import { redact } from '../lib/secrets.js';
import { EXIT, type Io } from './io.js';
import type { Declared } from './options.js';

interface CommandModule extends Declared {
  handler(args: unknown, io: Io): Promise<number>;
}

// Loaded on demand: `--help` should not wait for modules that it does not use.
const COMMANDS: { command: string; describe: string | false; load(): Promise<CommandModule> }[] = [
  {
    command: 'run [modes..]',
    describe: 'run the task in every runtime, and compare',
    load: () => import('./run.js'),
  },
  {
    command: 'detect [modes..]',
    describe: 'list the runtimes that are available',
    load: () => import('./detect.js'),
  },
  {
    command: 'doctor',
    describe: 'check prerequisites and suggest fixes',
    load: () => import('./doctor.js'),
  },
  {
    command: 'token [action] [mode]',
    describe: 'show the credential that a live run would use; push it to a runtime',
    load: () => import('./token.js'),
  },
  {
    command: 'build [mode]',
    describe: 'build the image or template of one mode, or of all',
    load: () => import('./build.js'),
  },
  {
    command: 'probe [modes..]',
    describe: 'verify file sync, isolation, credential leaks and overhead inside each sandbox',
    load: () => import('./probe.js'),
  },
  {
    command: 'report [match]',
    describe: 'show a past match or probe; default: the newest match',
    load: () => import('./report.js'),
  },
  {
    command: 'compare <base> <new>',
    describe: 'compare two matches',
    load: () => import('./compare.js'),
  },
  {
    command: 'record [mode]',
    describe:
      'run a task once with the live model, and keep the session as a cassette that replays it',
    load: () => import('./record.js'),
  },
  {
    command: 'clean [modes..]',
    describe: 'remove what crashed matches left behind',
    load: () => import('./clean.js'),
  },
  // For developers of cagematch itself.
  { command: 'docs', describe: false, load: () => import('./docs.js') },
];

/**
 * Maximum length of an error message, which may contain a command line, a key of a file or a task
 * id of any length.
 */
const MOST_SAID = 2000;

/** The environment in which a command line runs. */
export interface World {
  /** The shell's environment. */
  env: NodeJS.ProcessEnv;
  cwd: string;
  stdout: Output;
  stderr: Output;
  /** Ends the process at once. */
  leave(code: number): never;
}

interface Output {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

/** @returns the exit code; errors are printed on `stderr` and never thrown */
export async function main(argv: string[], world: World): Promise<number> {
  try {
    return await dispatch(argv, world);
  } catch (error) {
    return report(isUsage(error) ? badUsage(error.message, argv, []) : error, argv, world.stderr);
  }
}

async function dispatch(argv: string[], world: World): Promise<number> {
  let code: number = EXIT.done;
  const cli = yargs(argv)
    .scriptName('cagematch')
    .locale('en')
    .version(version)
    .usage(
      '$0 <command>\n\nRuns the same coding-agent task in every sandbox you have, and tells you what each one costs.',
    )
    .option('debug', {
      describe: 'show a stack with an error',
      boolean: true,
      global: true,
      hidden: true,
    })
    .demandCommand(1, 'name a command')
    .strict()
    // yargs composes the help in every command; without a width that costs next to nothing.
    .wrap(argv.some((word) => word.includes('help')) ? 100 : null)
    .epilogue(`modes: ${modeNames().join(' ')}`)
    .exitProcess(false)
    // The message is null for what a handler threw.
    .fail((message, error) => {
      throw message ? badUsage(message, argv, optionNames(cli)) : error;
    });
  for (const { command, describe, load } of COMMANDS) {
    cli.command({
      command,
      describe,
      builder: async (inner: Argv) =>
        (await import('./options.js')).addOptions(inner, await load()),
      handler: async (args) => {
        code = await (await load()).handler(args, await makeIo(world));
      },
    });
  }
  await cli.parseAsync();
  return code;
}

function modeNames(): string[] {
  return readdirSync(new URL('../modes/', import.meta.url)).flatMap((file) =>
    /^[a-z0-9-]+\.(js|ts|mjs)$/.test(file) ? [file.replace(/\.\w+$/, '')] : [],
  );
}

async function makeIo({ env, cwd, stdout, stderr, leave }: World): Promise<Io> {
  const { ignoredLine, loadInputs } = await import('../lib/sandbox/settings.js');
  const { realTemporaryFolder } = await import('../lib/os/plain-files.js');
  const temporary = realTemporaryFolder(env.TMPDIR);
  if (temporary !== undefined) process.env.TMPDIR = temporary;
  const { ignored, ...inputs } = await loadInputs(cwd, env);
  const line = ignoredLine(ignored);
  if (line !== undefined) stderr.write(`${line}\n`);
  return {
    out: (text) => void stdout.write(terminalText(text)),
    document: (text) => void stdout.write(text),
    err: (text) => void stderr.write(terminalText(redact(text))),
    outIsTty: stdout.isTTY === true,
    errIsTty: stderr.isTTY === true,
    errColumns: () => stderr.columns || 100,
    cwd,
    ...inputs,
    platform: process.platform,
    uid: process.getuid?.(),
    leave,
  };
}

/** yargs throws some usage errors, from deep inside, as errors of its own class. */
function isUsage(error: unknown): error is Error {
  return error instanceof Error && error.name === 'YError';
}

/** The options known at this moment: the command's own and the global ones. */
function optionNames(cli: Argv): string[] {
  const { key } = (
    cli as unknown as { getOptions(): { key: Record<string, unknown> } }
  ).getOptions();
  return Object.keys(key);
}

/**
 * Makes an error of a yargs message; the hint suggests what was perhaps meant.
 * @param options the options that the command has
 */
function badUsage(message: string, argv: string[], options: string[]): CagematchError {
  const commands = COMMANDS.map((candidate) => candidate.command.split(' ')[0] ?? '');
  const command = commands.find((name) => name === argv[0]);
  const unknown = /^Unknown arguments?: ([^, ]+)/.exec(message)?.[1];
  if (unknown === undefined)
    return new CagematchError(
      'bad-input',
      message.replace(/\s+/g, ' '),
      `cagematch ${command ?? ''} --help`.replace('  ', ' '),
    );
  if (command === undefined) {
    const meant = nearest(unknown, commands);
    return new CagematchError(
      'bad-input',
      `unknown command: ${unknown}`,
      meant ? `did you mean ${meant}?` : 'cagematch --help',
    );
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

/** Prints the error, and a hint on what to do about it. @returns the exit code */
export function report(error: unknown, argv: string[], stderr: Output): number {
  const say = (text: string) => stderr.write(`${oneLine(text, MOST_SAID)}\n`);
  if (argv.includes('--debug')) stderr.write(`${terminalText(redact(inspect(error)))}\n`);
  if (error instanceof CagematchError) {
    say(`✖ ${error.message}`);
    if (error.hint !== undefined) say(`hint: ${error.hint}`);
    return error.code === 'bad-input'
      ? EXIT.badInput
      : error.code === 'not-ready'
        ? EXIT.notReady
        : EXIT.failed;
  }
  say(`✖ ${messageOf(error)}`);
  say('hint: this is a fault of cagematch; --debug shows where');
  return EXIT.failed;
}
