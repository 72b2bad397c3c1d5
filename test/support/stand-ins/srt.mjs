// Stand-in for `srt`: its flags and its settings file are held to the real ones; the command then
// runs as it is. It keeps no state: like the real one it is given the command's environment and no
// other.
import { readFileSync } from 'node:fs';
import { BadFlag, parseFlags } from './flags.mjs';
import { runJailed } from './jail.mjs';

/** @param {string} message @returns {never} */
function refuse(message) {
  process.stderr.write(`error: ${message}\n`);
  process.exit(1);
}

/** @type {Record<string, string[]>} what has to be there, and be a list of words */
const LISTS = {
  network: ['allowedDomains', 'deniedDomains'],
  filesystem: ['denyRead', 'allowWrite', 'denyWrite'],
};

/** @param {string} path */
function checkSettings(path) {
  try {
    const settings = JSON.parse(readFileSync(path, 'utf8'));
    for (const [part, lists] of Object.entries(LISTS)) {
      for (const list of lists) {
        if (
          !Array.isArray(settings[part]?.[list]) ||
          settings[part][list].some((/** @type {unknown} */ word) => typeof word !== 'string')
        )
          refuse(
            `Invalid configuration in ${path}: ${part}.${list}: Invalid input: expected array`,
          );
      }
    }
  } catch (error) {
    refuse(
      `Failed to load settings from ${path}: ${error instanceof Error ? error.message : error}`,
    );
  }
}

try {
  const { rest, has, last } = parseFlags(process.argv.slice(2), {
    bool: ['version V', 'debug d', 'help h'],
    valued: ['settings s', 'c c', 'control-fd'],
  });
  if (has('version')) {
    process.stdout.write('0.0.78-stand-in\n');
  } else {
    const settings = last('settings');
    if (settings !== undefined) checkSettings(settings);
    const command = last('c') ?? rest.join(' ');
    if (command === '')
      refuse('No command specified. Use -c <command> or provide command arguments.');
    const env = Object.fromEntries(
      Object.entries(process.env).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, value]],
      ),
    );
    const child = runJailed({
      argv: ['/bin/sh', '-c', command],
      env,
      cwd: process.cwd(),
      mounts: [],
      stdio: 'inherit',
    });
    child.once('exit', (code, signal) => {
      process.exitCode = code ?? (signal === 'SIGKILL' ? 137 : 143);
    });
  }
} catch (error) {
  if (error instanceof BadFlag) refuse(error.message.replace('unknown flag:', 'unknown option'));
  throw error;
}
