// The part of the caller's environment that a runtime's clients receive: what any program needs,
// and what their own mode declares.
import type { Env, Mode } from '../contract.js';

/**
 * Locations of programs and files, locale settings, and trusted certificates. None of these is a
 * secret.
 */
const COMMON = [
  ...['PATH', 'TMPDIR', 'TMP', 'TEMP', 'TZ', 'LANG', 'LANGUAGE', 'TERM', 'NO_COLOR'],
  ...['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR'],
  // On Windows, hardly any program starts without these.
  ...[
    'SystemRoot',
    'SystemDrive',
    'windir',
    'ComSpec',
    'PATHEXT',
    'ProgramFiles',
    'ProgramFiles(x86)',
    'ProgramData',
    'NUMBER_OF_PROCESSORS',
  ],
];
/** The caller's identity, and the locations of the caller's own files and services. */
const OF_CALLER = [
  ...['HOME', 'USER', 'LOGNAME', 'SHELL', 'DBUS_SESSION_BUS_ADDRESS'],
  ...['USERNAME', 'USERPROFILE', 'HOMEDRIVE', 'HOMEPATH', 'APPDATA', 'LOCALAPPDATA'],
];
const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'FTP_PROXY', 'NO_PROXY'];

/** Settings for the programs that stand in for a runtime in tests; no other program reads these. */
const STAND_INS = /^CAGEMATCH_STAND_IN_/;

const upper = (names: readonly string[]) => new Set(names.map((name) => name.toUpperCase()));
const common = upper(COMMON);
const ofCaller = upper(OF_CALLER);
const proxies = upper(PROXIES);

/**
 * Names are compared case-insensitively: Windows writes `Path`, and proxy variables occur in both
 * cases.
 */
function isCommon(name: string): boolean {
  return common.has(name.toUpperCase()) || name.startsWith('LC_') || STAND_INS.test(name);
}

/**
 * The environment for a mode and its clients; it contains no secret of another mode, and none of
 * the agent.
 */
export function clientEnv(env: Env, mode: Pick<Mode, 'inputs' | 'clientVariables'>): Env {
  const own = new Set([...Object.keys(mode.inputs), ...(mode.clientVariables ?? [])]);
  return only(env, (name) => own.has(name) || isClientVariable(name));
}

/** The environment for a program that belongs to no mode. */
export function programEnv(env: Env): Env {
  return only(env, isClientVariable);
}

function isClientVariable(name: string): boolean {
  return (
    isCommon(name) ||
    ofCaller.has(name.toUpperCase()) ||
    proxies.has(name.toUpperCase()) ||
    name.startsWith('XDG_')
  );
}

/**
 * The environment for processes that run as another user: nothing personal to the caller, and no
 * proxy URL that contains a password.
 * @param inputs the mode's own variables that these processes need
 */
export function otherUserEnv(env: Env, inputs: readonly string[] = []): Env {
  return only(
    env,
    (name, value) =>
      isCommon(name) ||
      inputs.includes(name) ||
      (proxies.has(name.toUpperCase()) && !value.includes('@')),
  );
}

function only(env: Env, wanted: (name: string, value: string) => boolean): Env {
  return Object.fromEntries(Object.entries(env).filter(([name, value]) => wanted(name, value)));
}
