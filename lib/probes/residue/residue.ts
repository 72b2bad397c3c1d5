// Where credentials are left behind: one run of the agent per method of credential delivery, with a
// canary in place of the credential, and a search of every place where it could remain.
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { canary, variableOf } from '../../auth/deliver.js';
import { createSeeker, type Needle, needlesOf } from '../../census/search.js';
import { searchFolders } from '../../census/search-files.js';
import type { AuthPath, Command, Context, Env, Layout, Trace } from '../../contract.js';
import { parseJson } from '../../json.js';
import type { Gateway } from '../../model/gateway.js';
import { pour, succeeded, whyFailed } from '../../os/capture.js';
import type { Sweep } from '../../record/probe.js';
import { authOf, openModelAccess } from '../../sandbox/model-access.js';
import type { PlannedRow } from '../../sandbox/row.js';
import { commandFor } from '../../sandbox/run-folders.js';
import type { Task } from '../../task/task.js';
import { inSandbox, type ProbeSandbox, type Setting, type Subject } from '../sandbox.js';
import { type Finding, finding, searched, unseen } from './finding.js';
import { PLACES, type PlaceName } from './list.js';
import { type Watch, watchProcesses } from './watch.js';

export interface ResidueSettings {
  gateway: Gateway;
  task: Task;
  /** The row's context; `more` is added to the user's environment. */
  contextOf(entry: PlannedRow, more: Env): Context;
  /** Folder of this probe's own record. */
  folder: string;
}

/** For tests that plant a leak: additional uses of the credential in a run. */
export interface Plant extends Pick<Setting, 'spec'> {
  /** Before the agent is launched. */
  before?(secret: string): void;
  /** Changes the command that is started inside. */
  command?(command: Command, secret: string): Command;
  /** After the sandbox is gone, before the final searches. */
  after?(secret: string): void;
}

const SCRIPT = 'residue-look.mjs';
const TRACE_MS = 120_000;
/** Allows for timestamps in whole seconds, plus a margin. */
const MARGIN_MS = 1500;

/**
 * Reports one sweep per credential delivery method that the mode supports, in the mode's order.
 * @param more `paths`: limits the sweeps to these methods
 * @throws the same errors as opening a sandbox
 */
export async function probeResidue(
  subject: Subject,
  settings: ResidueSettings,
  tell: (sweep: Sweep) => void,
  more: Plant & { paths?: readonly AuthPath[] } = {},
): Promise<void> {
  const swept: Swept[] = [];
  try {
    for (const path of subject.entry.adapter.auth.filter(
      (method) => more.paths?.includes(method) ?? true,
    )) {
      if (subject.signal.aborted) return;
      if (subject.reach.via === 'inside')
        swept.push({ path, delivered: { gap: 'not-exercised' }, found: new Map(), needles: [] });
      else swept.push(await sweep(subject, settings, path, more));
    }
    if (!subject.signal.aborted) await lookInLayers(subject, swept);
  } finally {
    // Report what was found, even if a later step failed.
    for (const { path, delivered, found } of swept)
      tell({
        path,
        delivered,
        places: (Object.keys(PLACES) as PlaceName[]).flatMap((place) => found.get(place) ?? []),
      });
  }
}

interface Swept extends Omit<Sweep, 'places'> {
  found: Map<PlaceName, Finding>;
  needles: readonly Needle[];
}

async function sweep(
  subject: Subject,
  settings: ResidueSettings,
  path: AuthPath,
  plant: Plant,
): Promise<Swept> {
  const { gateway, task, folder } = settings;
  const { adapter: mode } = subject.entry;
  const credential = canary();
  const { secret } = credential;
  const needles = needlesOf(secret);
  const sinceMs = Date.now() - MARGIN_MS;
  // Supplied like a user's own credential: in the environment that cagematch was started with.
  const ctx = settings.contextOf(subject.entry, { [variableOf(credential)]: secret });
  const row: Subject = { ...subject, ctx };
  const admitted = { mode, reach: row.reach, gateway, deliver: path, credential };
  const { tap, access } = openModelAccess(admitted, task.id);
  const watch = watchProcesses(needles, ctx.uid, ctx.platform);
  const found: Swept['found'] = new Map();
  const note = (entry: Finding) => found.set(entry.place, entry);
  const tail = `residue-${path}`;
  try {
    plant.before?.(secret);
    const setting: Setting = {
      tail,
      seed: (workspace) => void task.seed(workspace),
      command: ({ layout, script }) => {
        const { command, mark } = commandFor(
          { ...row, mode, task, name: row.nameOf(tail) },
          layout,
          access,
        );
        return lookCommand(plant.command?.(command, secret) ?? command, script(SCRIPT), {
          mark,
          needles: needles.map(({ shape, bytes }) => [
            shape,
            [...bytes.toString()].reverse().join(''),
          ]),
          sinceMs,
          ...whereInside(layout, mode.oneShot),
        });
      },
      ...(plant.spec ? { spec: plant.spec } : {}),
    };
    await inSandbox(row, [SCRIPT], setting, async (sandbox) => {
      for (const entry of await whileItRuns(row, sandbox, needles, watch)) note(entry);
      await sandbox.collect();
      const { workspace } = sandbox.host;
      note(searched('workspace', searchFolders([workspace], { needles, sinceMs })));
      note(
        searched(
          'run-folder',
          searchFolders([dirname(workspace)], { needles, sinceMs, skip: [workspace] }),
        ),
      );
    });
  } finally {
    gateway.closeTap(tap);
    for (const entry of watch.stop()) note(entry);
  }
  plant.after?.(secret);
  const findings = await follow('image', mode.traces?.(ctx, { name: row.nameOf(tail) }) ?? [], [
    needles,
  ]);
  for (const entry of findings ?? []) note(entry);
  note(
    searched(
      'host-files',
      searchFolders(hostFolders(ctx), {
        needles,
        sinceMs,
        skip: [folder],
        wanted: isHostState(ctx),
      }),
    ),
  );
  note(searched('record', searchFolders([folder], { needles, sinceMs })));
  const { delivered } = authOf(admitted, tap);
  return {
    path,
    delivered: delivered === 'yes' || delivered === 'no' ? delivered : { gap: 'not-reached' },
    found,
    needles,
  };
}

/** Searches for all canaries of the row in one pass, because an image is large. */
async function lookInLayers(
  { entry, ctx, nameOf }: Subject,
  swept: readonly Swept[],
): Promise<void> {
  const own = swept.filter(({ needles }) => needles.length > 0);
  const traces = entry.adapter.traces?.(ctx, { name: nameOf('residue') }) ?? [];
  const findings = await follow(
    'layers',
    traces,
    own.map(({ needles }) => needles),
  );
  for (const [index, entry] of (findings ?? []).entries()) own[index]?.found.set('layers', entry);
}

/**
 * Folders on this host; files in them that changed since the start are searched, whoever changed
 * them.
 */
function hostFolders({ env }: Context): string[] {
  const folders = [
    tmpdir(),
    '/tmp',
    '/var/tmp',
    '/dev/shm',
    '/run',
    '/var/log',
    ...(env.HOME ? [env.HOME] : []),
  ];
  return [...new Set(folders)].filter(
    (folder, _, all) => !all.some((other) => other !== folder && folder.startsWith(`${other}/`)),
  );
}

/**
 * A home may contain millions of files: what programs store there themselves is in dot folders, and
 * caches are skipped.
 */
function isHostState({ env }: Context): (name: string, path: string) => boolean {
  return (name, path) => !CACHES.has(name) && (path !== env.HOME || name.startsWith('.'));
}

const CACHES = new Set(['.cache', '.npm', '.cargo', '.rustup', '.nvm', 'node_modules']);

/** Runs the command, then the search, and exits with the command's exit code. */
function lookCommand(command: Command, script: string, argument: unknown): Command {
  const run =
    'script=$1; argument=$2; shift 2; "$@"; code=$?; node "$script" "$argument"; exit $code';
  return {
    ...command,
    argv: ['/bin/sh', '-c', run, 'sh', script, JSON.stringify(argument), ...command.argv],
  };
}

const GO = '.cagematch-go';

/**
 * If the sandbox shares the host's files, only its own folders are searched; otherwise its entire
 * file tree.
 */
function whereInside(
  layout: Layout,
  waits: boolean,
): { folders: string[]; alone: boolean; waitFor?: string } {
  const shares = layout.path !== undefined;
  const own = [layout.home, layout.workspace, ...(layout.tmp === undefined ? [] : [layout.tmp])];
  return {
    folders: shares ? own : ['/'],
    alone: !shares,
    ...(waits ? { waitFor: `${layout.workspace}/${GO}` } : {}),
  };
}

const hitsSchema = z.array(z.strictObject({ where: z.string(), shape: z.string() }));
const lookedSchema = z.strictObject({
  hits: z.strictObject({ environ: hitsSchema, files: hitsSchema }),
  so: z.strictObject({
    files: z.number(),
    read: z.number(),
    bytes: z.number(),
    left: z.boolean(),
    processes: z.number(),
  }),
});

/**
 * Reads the sandbox's output to its end; when the search inside is done, queries the runtime's
 * traces of the sandbox.
 */
async function whileItRuns(
  row: Subject,
  sandbox: ProbeSandbox,
  needles: readonly Needle[],
  watch: Watch,
): Promise<Finding[]> {
  const { adapter: mode } = row.entry;
  const output = createSeeker(needles);
  const findings: Finding[] = [];
  let lines = 0;
  let reported = false;
  for await (const event of sandbox.begun ?? []) {
    if (event.type !== 'line') break;
    lines += 1;
    output.push(`${event.text}\n`);
    const [mark = '', what = '', rest = ''] =
      /^(@\S+) (\S+) ?(.*)$/.exec(event.text)?.slice(1) ?? [];
    if (event.stream !== 'stdout' || mark !== `@${sandbox.handle.name}`) continue;
    if (what === 'first-process')
      watch.inside((await mode.processes?.(sandbox.ctx, sandbox.handle).catch(() => [])) ?? []);
    if (what !== 'looked') continue;
    reported = true;
    findings.push(...insideOf(rest));
    const traces = mode.traces?.(sandbox.ctx, sandbox.handle) ?? [];
    for (const source of ['inspect', 'logs'] as const) {
      findings.push(...((await follow(source, traces, [needles])) ?? []));
    }
    if (mode.oneShot) writeFileSync(join(sandbox.host.workspace, GO), '', { flag: 'wx' });
  }
  const hits = output.found().map((shape) => ({ where: 'a line of the sandbox', shape }));
  const silent = ['guest-environ', 'guest-files'] as const;
  return [
    finding('output', hits, `${lines} lines`),
    ...(reported
      ? findings
      : [...findings, ...silent.map((place) => unseen(place, 'the look inside told nothing'))]),
  ];
}

function insideOf(text: string): Finding[] {
  const read = lookedSchema.safeParse(parseJson(text));
  if (!read.success) return [];
  const { hits, so: totals } = read.data;
  return [
    totals.processes === 0
      ? unseen('guest-environ', 'there is no /proc inside')
      : finding('guest-environ', hits.environ, `${totals.processes} processes`),
    searched('guest-files', { ...totals, hits: hits.files }),
  ];
}

/** One finding per secret; undefined if the runtime has no such trace. */
async function follow(
  source: Trace['source'],
  traces: readonly Trace[],
  secrets: readonly (readonly Needle[])[],
): Promise<Finding[] | undefined> {
  const queried = traces.filter((trace) => trace.source === source);
  if (queried.length === 0 || secrets.length === 0) return undefined;
  const hits = secrets.map((): Finding['hits'] => []);
  let bytes = 0;
  let silent: string | undefined;
  for (const { query: where, argv, env } of queried) {
    const seekers = secrets.map(createSeeker);
    const push = (chunk: Uint8Array | string) => {
      for (const seeker of seekers) seeker.push(chunk);
    };
    const ran = await pour(argv, { env, cwd: '/', timeoutMs: TRACE_MS }, (chunk) => {
      bytes += chunk.byteLength;
      push(chunk);
    });
    push(ran.stderr);
    if (!succeeded(ran)) silent = `${where}: ${whyFailed(ran)}`;
    for (const [index, seeker] of seekers.entries())
      hits[index]?.push(...seeker.found().map((shape) => ({ where, shape })));
  }
  const looked = `${queried.map(({ query }) => query).join(', ')}: ${Math.round(bytes / 1024)} KiB`;
  return hits.map((own) =>
    silent !== undefined && own.length === 0
      ? unseen(source, silent)
      : finding(source, own, looked),
  );
}
