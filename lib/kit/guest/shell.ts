// Guests that take one command at a time and answer when it is over: long commands and whole folders by way of short ones.
// The scripts are plain sh, tar and base64; arguments go by position.
import { createHash, randomUUID } from 'node:crypto';
import { monotonic } from '../../clock.js';
import type { Command, ExecEvent } from '../../contract.js';
import { CagematchError } from '../../errors.js';
import { lineSplitter } from '../../os/exec.js';
import { lastLine } from '../../os/printable.js';

type Ran =
  | { type: 'ran'; code: number; stdout: string; stderr: string }
  /** The guest did not answer within its bound; it may answer the next time. */
  | { type: 'late'; reason: string }
  /** There is no guest any more, or no way to it. */
  | { type: 'lost'; reason: string };

interface Script {
  script: string;
  args: string[];
  stdin?: string;
  /** Running it twice does no harm. */
  repeatable: boolean;
}

/** Runs `/bin/sh -c script name args…` in the guest. Never throws. */
export type GuestShell = (script: Script) => Promise<Ran>;

/** In a guest that shares no files: where commands of ours leave what they make, outside the workspace. */
export const MADE = '/tmp/cagematch-out';

/** What goes in or out in one command, in bytes, before base64. */
const CHUNK = 512 * 1024;
/** How long a look at a command's output waits for more of it, in tenths of a second. */
const LOOK_TENTHS = 100;
/** How many looks in a row may be late. */
const MAX_LATE = 5;

/** FILE: prints its SHA-256, by whichever program the guest has for that. */
const DIGEST = `digest() { { sha256sum "$1" 2>/dev/null || shasum -a 256 "$1"; } | cut -c 1-64; }`;

/** ARCHIVE FOLDER DIGEST */
const UNPACK = `set -e
${DIGEST}
if [ "$(digest "$1")" != "$3" ]; then echo "the workspace did not arrive as it was sent" >&2; exit 1; fi
mkdir -p "$2"
tar -x -z -o -f "$1" -C "$2"`;

/** FILE N SIZE, base64 on stdin: writes the Nth part of a file. */
const WRITE = `set -e
mkdir -p "\${1%/*}"
base64 -d | dd of="$1" bs="$3" seek="$2" conv=notrunc iflag=fullblock 2>/dev/null`;

/** FILE N SIZE: prints the Nth part of a file in base64 on one line. */
const READ = `set -e
dd if="$1" bs="$3" skip="$2" count=1 2>/dev/null | base64 | tr -d '\\n'`;

/**
 * ARCHIVE N SIZE FOLDER [WITHOUT]: packs a folder, prints the archive's length and digest, then as READ. That a file changed
 * meanwhile is no failure.
 */
const PACK = `${DIGEST}
mkdir -p "\${1%/*}"
tar -c -z -f "$1" -C "$4" \${5:+--exclude="$5"} . || [ $? -eq 1 ] || exit 2
wc -c <"$1"
digest "$1"
${READ}`;

/** BUNDLE N SIZE FOLDER KNOWN: what is committed in a repository, printed as PACK does; a length of 0 where there are no more than KNOWN commits. */
const COMMITS = `${DIGEST}
mkdir -p "\${1%/*}"
if [ "$(git -C "$4" rev-list --all --count 2>/dev/null || echo 0)" -le "$5" ]; then echo 0; exit 0; fi
git -C "$4" bundle create --quiet "$1" --all || exit 2
wc -c <"$1"
digest "$1"
${READ}`;

/** PATH…: the files `0`, `1` … of the folder `$from` are copied there, in this order. */
export const FILES_IN_PLACE = `at=0
for path in "$@"; do
  mkdir -p "\${path%/*}"
  cp "$from/$at" "$path"
  at=$((at + 1))
done`;

/** FOLDER CWD COMMAND…: starts a command that outlives this script; output, pid and exit code go into files of the folder. */
const START = `folder=$1
umask 077
mkdir -p "$folder" && cd "$2" && : >"$folder/out" && : >"$folder/err" || exit 1
umask 022
shift 2
nohup $(command -v setsid) /bin/sh -c 'echo $$ >"$0/pid"; "$@" >>"$0/out" 2>>"$0/err"; echo $? >"$0/code.new"; mv "$0/code.new" "$0/code"' "$folder" "$@" </dev/null >/dev/null 2>&1 &`;

/**
 * FOLDER OUT ERR SIZE TENTHS: what the command has printed past OUT and ERR bytes, waiting for it TENTHS tenths of a second.
 * Prints `runs|gone|<exit code> <out size> <err size>`, then one line of base64 for either stream.
 */
const LOOK = `tenths=$5
while :; do
  how=runs
  if [ -f "$1/pid" ] && ! kill -0 "$(cat "$1/pid")" 2>/dev/null; then how=gone; fi
  if [ -f "$1/code" ]; then how=$(cat "$1/code"); fi
  out=$(($(wc -c <"$1/out"))) err=$(($(wc -c <"$1/err")))
  if [ "$how" != runs ] || [ "$out" -gt "$2" ] || [ "$err" -gt "$3" ] || [ "$tenths" -le 0 ]; then break; fi
  tenths=$((tenths - 1))
  sleep 0.1
done
echo "$how $out $err"
tail -c +$(($2 + 1)) "$1/out" | head -c "$4" | base64 | tr -d '\\n'
echo
tail -c +$(($3 + 1)) "$1/err" | head -c "$4" | base64 | tr -d '\\n'`;

/** Puts an archive into the guest, part by part. */
export async function copyIn(shell: GuestShell, archive: Buffer, path: string): Promise<void> {
  for (let at = 0; at * CHUNK < archive.length; at += 1) {
    const stdin = archive.subarray(at * CHUNK, (at + 1) * CHUNK).toString('base64');
    await must(shell, 'launch-failed', { script: WRITE, args: [path, String(at), String(CHUNK)], stdin, repeatable: true });
  }
}

/** Unpacks an archive that was brought in, once it is seen to be whole; the files are owned by whoever commands run as. */
export async function unpackInside(shell: GuestShell, archive: Buffer, path: string, folder: string): Promise<void> {
  await must(shell, 'launch-failed', { script: UNPACK, args: [path, folder, sha256(archive)], repeatable: true });
}

/** So much is taken from a guest: it says itself how much there is. */
const MAX_OUT = 1024 ** 3;

/**
 * A folder of the guest, as a gzipped tar archive made by the guest: not to be trusted.
 * @param limits `most`: bytes that are taken; `without`: a name right in it that stays behind
 */
export async function copyOut(
  shell: GuestShell,
  folder: string,
  path: string,
  { most = MAX_OUT, without }: { most?: number; without?: string } = {},
): Promise<Buffer> {
  const archive = await bringOut(shell, PACK, { folder, path, most, more: without === undefined ? [] : [`./${without}`] });
  if (archive === undefined) throw new CagematchError('collect-failed', `the guest gives nothing of ${folder}`);
  return archive;
}

/**
 * What was committed in a folder of the guest, on every branch, as a git bundle made by the guest: not to be trusted.
 * @param known how many commits it came with
 * @returns undefined where it is no repository, or has no more than these
 */
export function bundleOut(shell: GuestShell, folder: string, path: string, known = 0): Promise<Buffer | undefined> {
  return bringOut(shell, COMMITS, { folder, path, most: MAX_OUT, more: [`${known}`] });
}

/** What `make` has made, part by part; undefined where it says that there is nothing. */
async function bringOut(
  shell: GuestShell,
  make: string,
  { folder, path, most, more }: { folder: string; path: string; most: number; more: string[] },
): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  let digest = '';
  for (let at = 0; at === 0 || at * CHUNK < size; at += 1) {
    const args = [path, String(at), String(CHUNK), folder, ...more];
    const printed = await must(shell, 'collect-failed', { script: at === 0 ? make : READ, args, repeatable: true });
    const lines = printed.split('\n');
    if (at === 0) [size, digest] = [Number(lines.shift()), lines.shift() ?? ''];
    if (!Number.isSafeInteger(size) || size < 0) throw new CagematchError('collect-failed', `the guest tells no size of ${folder}`);
    if (size > most) throw new CagematchError('collect-failed', `${folder} is ${size} bytes packed; ${most} are taken at the most`);
    if (size === 0) return undefined;
    const part = Buffer.from(lines[0] ?? '', 'base64');
    if (part.length > CHUNK) throw new CagematchError('collect-failed', `the guest gives more of ${folder} than it was asked for`);
    parts.push(part);
  }
  const archive = Buffer.concat(parts);
  if (archive.length !== size) throw new CagematchError('collect-failed', `${archive.length} of ${size} bytes of ${folder} came back`);
  // Against what happens on the way only: a guest that lies, lies about its digest too.
  if (sha256(archive) !== digest) throw new CagematchError('collect-failed', `${folder} did not come back as the guest packed it`);
  return archive;
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function must(shell: GuestShell, code: CagematchError['code'], script: Script): Promise<string> {
  const ran = await shell(script);
  if (ran.type === 'ran' && ran.code === 0) return ran.stdout;
  throw new CagematchError(code, ran.type === 'ran' ? `in the guest: ${lastWords(ran)}` : ran.reason);
}

function lastWords(ran: { code: number; stderr: string }): string {
  return lastLine(ran.stderr) || `exit code ${ran.code}`;
}

/**
 * A command of any length: started detached, into files, and looked at again and again.
 * Its secrets go in on stdin and live in its environment alone: they are in no argument and in no file.
 * @param base folder of the guest, outside the workspace, where its files may lie
 */
export async function* runDetached(shell: GuestShell, base: string, command: Command, signal: AbortSignal): AsyncGenerator<ExecEvent> {
  const lost = (reason: string): ExecEvent => ({ type: 'lost', reason, atMs: monotonic() });
  const folder = `${base}/${randomUUID()}`;
  const lines: ExecEvent[] = [];
  const streams = (['stdout', 'stderr'] as const).map((name) =>
    takeBytes((text) => lines.push({ type: 'line', stream: name, text, atMs: monotonic() })),
  );
  const look = () => {
    const args = [folder, ...streams.map((stream) => String(stream.seen())), String(CHUNK), String(LOOK_TENTHS)];
    return shell({ script: LOOK, args, repeatable: true });
  };
  const secrets = Object.entries(command.secretEnv);
  // The start looks too: calls may be few.
  let seen = await shell({
    script: [
      ...secrets.map(([name]) => `IFS= read -r ${name}; export ${name}`),
      START,
      `set -- "$folder" 0 0 ${CHUNK} ${LOOK_TENTHS}`,
      LOOK,
    ].join('\n'),
    args: [folder, command.cwd, 'env', ...Object.entries(command.env).map(([name, value]) => `${name}=${value}`), ...command.argv],
    stdin: secrets.map(([, value]) => `${value}\n`).join(''),
    repeatable: false,
  });
  if (seen.type === 'late') return yield lost(seen.reason);
  for (let late = 0; ; seen = await look()) {
    if (signal.aborted) return yield lost('interrupted');
    if (seen.type === 'late' && late < MAX_LATE) {
      late += 1;
      continue;
    }
    if (seen.type !== 'ran') return yield lost(seen.reason);
    if (seen.code !== 0) return yield lost(`the command could not be started, or its output is gone: ${lastWords(seen)}`);
    late = 0;
    const [head = '', ...chunks] = seen.stdout.split('\n');
    const [how = '', ...sizes] = head.split(' ');
    for (const [at, stream] of streams.entries()) stream.take(chunks[at] ?? '');
    yield* lines.splice(0);
    if (how === 'runs' || streams.some((stream, at) => stream.seen() < Number(sizes[at]))) continue;
    for (const stream of streams) stream.end();
    yield* lines.splice(0);
    return yield /^\d+$/.test(how)
      ? { type: 'exit', code: Number(how), atMs: monotonic() }
      : lost('the command is gone and left no exit code');
  }
}

/** Base64 in, lines out; a character may be cut in two between one piece and the next. */
function takeBytes(emit: (line: string) => void) {
  const split = lineSplitter(emit);
  const decoder = new TextDecoder();
  let seen = 0;
  return {
    seen: () => seen,
    take(base64: string) {
      const bytes = Buffer.from(base64, 'base64');
      seen += bytes.length;
      split.push(decoder.decode(bytes, { stream: true }));
    },
    end: split.flush,
  };
}
