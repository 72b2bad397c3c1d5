// For guests that take one command at a time and answer when it has ended: runs long commands and
// moves whole folders by short commands. The scripts need only sh, tar and base64; their arguments
// are positional.
import { createHash, randomUUID } from 'node:crypto';
import { monotonic } from '../../clock.js';
import type { Command, ExecEvent, GuestScript, GuestShell } from '../../contract.js';
import { CagematchError } from '../../errors.js';
import { lineSplitter } from '../../os/lines.js';
import { lastLine } from '../../os/printable.js';

/**
 * In a guest that shares no files: the folder, outside the workspace, where our own commands leave
 * their output.
 */
export const MADE = '/tmp/cagematch-out';

/** How much is moved in or out by one command, in bytes, before base64. */
const CHUNK = 512 * 1024;
/** How long one poll of a command's output waits for more of it, in tenths of a second. */
const LOOK_TENTHS = 100;
/** How many consecutive polls may be late. */
const MAX_LATE = 5;

/** FILE: prints the file's SHA-256, using whichever program the guest has for it. */
const DIGEST = `digest() { { sha256sum "$1" 2>/dev/null || shasum -a 256 "$1"; } | cut -c 1-64; }`;

/** ARCHIVE FOLDER DIGEST: unpacks the archive into the folder if its digest matches. */
const UNPACK = `set -e
${DIGEST}
if [ "$(digest "$1")" != "$3" ]; then echo "the workspace did not arrive as it was sent" >&2; exit 1; fi
mkdir -p "$2"
tar -x -z -o -f "$1" -C "$2"`;

/** FILE N SIZE, with base64 on stdin: writes the Nth part of a file. */
const WRITE = `set -e
mkdir -p "\${1%/*}"
base64 -d | dd of="$1" bs="$3" seek="$2" conv=notrunc iflag=fullblock 2>/dev/null`;

/** FILE N SIZE: prints the Nth part of a file as one line of base64. */
const READ = `set -e
dd if="$1" bs="$3" skip="$2" count=1 2>/dev/null | base64 | tr -d '\\n'`;

/**
 * ARCHIVE N SIZE FOLDER [WITHOUT]: packs a folder, prints the archive's length and digest, then
 * continues like READ. It is not a failure if a file changes meanwhile.
 */
const PACK = `${DIGEST}
mkdir -p "\${1%/*}"
tar -c -z -f "$1" -C "$4" \${5:+--exclude="$5"} . || [ $? -eq 1 ] || exit 2
wc -c <"$1"
digest "$1"
${READ}`;

/**
 * BUNDLE N SIZE FOLDER KNOWN: bundles a repository's commits and prints as PACK does; a length of 0
 * if it has at most KNOWN commits.
 */
const COMMITS = `${DIGEST}
mkdir -p "\${1%/*}"
if [ "$(git -C "$4" rev-list --all --count 2>/dev/null || echo 0)" -le "$5" ]; then echo 0; exit 0; fi
git -C "$4" bundle create --quiet "$1" --all || exit 2
wc -c <"$1"
digest "$1"
${READ}`;

/** PATH…: copies the files `0`, `1` … of the folder `$from` to these paths, in this order. */
export const FILES_IN_PLACE = `at=0
for path in "$@"; do
  mkdir -p "\${path%/*}"
  cp "$from/$at" "$path"
  at=$((at + 1))
done`;

/**
 * FOLDER CWD COMMAND…: starts a command that outlives this script; its output, pid and exit code go
 * to files in the folder.
 */
const START = `folder=$1
umask 077
mkdir -p "$folder" && cd "$2" && : >"$folder/out" && : >"$folder/err" || exit 1
umask 022
shift 2
nohup $(command -v setsid) /bin/sh -c 'echo $$ >"$0/pid"; "$@" >>"$0/out" 2>>"$0/err"; echo $? >"$0/code.new"; mv "$0/code.new" "$0/code"' "$folder" "$@" </dev/null >/dev/null 2>&1 &`;

/**
 * FOLDER OUT ERR SIZE TENTHS: prints the command's output past the first OUT and ERR bytes; waits
 * up to TENTHS tenths of a second for it. Prints `runs|gone|<exit code> <out size> <err size>`,
 * then one line of base64 for each stream.
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
    await must(shell, 'launch-failed', {
      script: WRITE,
      args: [path, String(at), String(CHUNK)],
      stdin,
      repeatable: true,
    });
  }
}

/**
 * Unpacks an archive that was copied in, after checking its digest; the files are owned by the user
 * that commands run as.
 */
export async function unpackInside(
  shell: GuestShell,
  archive: Buffer,
  path: string,
  folder: string,
): Promise<void> {
  await must(shell, 'launch-failed', {
    script: UNPACK,
    args: [path, folder, sha256(archive)],
    repeatable: true,
  });
}

/** The maximum number of bytes accepted from a guest, since the guest itself states the size. */
const MAX_OUT = 1024 ** 3;

/**
 * Copies a folder out of the guest, as a gzipped tar archive. The guest made the archive, so it is
 * not trusted.
 * @param limits `most`: maximum number of bytes to accept; `without`: the name of a direct child of
 *   the folder to leave out
 */
export async function copyOut(
  shell: GuestShell,
  folder: string,
  path: string,
  { most = MAX_OUT, without }: { most?: number; without?: string } = {},
): Promise<Buffer> {
  const archive = await bringOut(shell, PACK, {
    folder,
    path,
    most,
    extraArgs: without === undefined ? [] : [`./${without}`],
  });
  if (archive === undefined)
    throw new CagematchError('collect-failed', `the guest returned nothing of ${folder}`);
  return archive;
}

/**
 * The commits on every branch of a repository in the guest, as a git bundle. The guest made the
 * bundle, so it is not trusted.
 * @param known how many commits the repository had at the start
 * @returns undefined if the folder is not a repository, or has no more commits than that
 */
export function bundleOut(
  shell: GuestShell,
  folder: string,
  path: string,
  known = 0,
): Promise<Buffer | undefined> {
  return bringOut(shell, COMMITS, { folder, path, most: MAX_OUT, extraArgs: [`${known}`] });
}

/**
 * Fetches the file that the script `make` creates, part by part; undefined if the script reports a
 * length of 0.
 */
async function bringOut(
  shell: GuestShell,
  make: string,
  {
    folder,
    path,
    most,
    extraArgs,
  }: { folder: string; path: string; most: number; extraArgs: string[] },
): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  let digest = '';
  for (let at = 0; at === 0 || at * CHUNK < size; at += 1) {
    const args = [path, String(at), String(CHUNK), folder, ...extraArgs];
    const printed = await must(shell, 'collect-failed', {
      script: at === 0 ? make : READ,
      args,
      repeatable: true,
    });
    const lines = printed.split('\n');
    if (at === 0) [size, digest] = [Number(lines.shift()), lines.shift() ?? ''];
    if (!Number.isSafeInteger(size) || size < 0)
      throw new CagematchError('collect-failed', `the guest reported no valid size for ${folder}`);
    if (size > most)
      throw new CagematchError(
        'collect-failed',
        `${folder} is ${size} bytes packed; ${most} are taken at the most`,
      );
    if (size === 0) return undefined;
    const part = Buffer.from(lines[0] ?? '', 'base64');
    if (part.length > CHUNK)
      throw new CagematchError(
        'collect-failed',
        `the guest returned more of ${folder} than was requested`,
      );
    parts.push(part);
  }
  const archive = Buffer.concat(parts);
  if (archive.length !== size)
    throw new CagematchError(
      'collect-failed',
      `${archive.length} of ${size} bytes of ${folder} came back`,
    );
  // Detects only damage in transit: a guest that lies can also lie about the digest.
  if (sha256(archive) !== digest)
    throw new CagematchError(
      'collect-failed',
      `${folder} did not come back as the guest packed it`,
    );
  return archive;
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function must(
  shell: GuestShell,
  code: CagematchError['code'],
  script: GuestScript,
): Promise<string> {
  const ran = await shell(script);
  if (ran.type === 'ran' && ran.code === 0) return ran.stdout;
  throw new CagematchError(
    code,
    ran.type === 'ran' ? `in the guest: ${lastMessage(ran)}` : ran.reason,
  );
}

function lastMessage(ran: { code: number; stderr: string }): string {
  return lastLine(ran.stderr) || `exit code ${ran.code}`;
}

/**
 * Runs a command of any duration: it is started detached, with its output in files, and polled. Its
 * secrets are passed on stdin and exist only in its environment: no argument and no file contains
 * them.
 * @param base a folder of the guest, outside the workspace, for the command's files
 */
export async function* runDetached(
  shell: GuestShell,
  base: string,
  command: Command,
  signal: AbortSignal,
): AsyncGenerator<ExecEvent> {
  const lost = (reason: string): ExecEvent => ({ type: 'lost', reason, atMs: monotonic() });
  const folder = `${base}/${randomUUID()}`;
  const lines: ExecEvent[] = [];
  const streams = (['stdout', 'stderr'] as const).map((name) =>
    takeBytes((text) => lines.push({ type: 'line', stream: name, text, atMs: monotonic() })),
  );
  const look = () => {
    const args = [
      folder,
      ...streams.map((stream) => String(stream.seen())),
      String(CHUNK),
      String(LOOK_TENTHS),
    ];
    return shell({ script: LOOK, args, repeatable: true });
  };
  const secrets = Object.entries(command.secretEnv);
  // Starting the command includes the first poll, since the number of calls may be limited.
  let seen = await shell({
    script: [
      ...secrets.map(([name]) => `IFS= read -r ${name}; export ${name}`),
      START,
      `set -- "$folder" 0 0 ${CHUNK} ${LOOK_TENTHS}`,
      LOOK,
    ].join('\n'),
    args: [
      folder,
      command.cwd,
      'env',
      ...Object.entries(command.env).map(([name, value]) => `${name}=${value}`),
      ...command.argv,
    ],
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
    if (seen.code !== 0)
      return yield lost(
        `the command could not be started, or its output is gone: ${lastMessage(seen)}`,
      );
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

/** Decodes base64 pieces into lines; a character may be split between two pieces. */
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
