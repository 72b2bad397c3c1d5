// The mode contract: the interface between a match and every runtime.
import type { WallPromises } from './kit/walls.js';

export type Env = Record<string, string>;

export type Isolation =
  | 'none'
  | 'os-sandbox'
  | 'container'
  | 'user-kernel'
  | 'microvm'
  | 'system-container'
  | 'remote-vm';

/** How a credential is delivered to the agent inside the sandbox. */
export type AuthPath = 'env' | 'file' | 'gateway' | 'runtime-proxy' | 'remote-secret';

/** An environment variable that a mode reads. `.env.example` is generated from these. */
export interface Input {
  help: string;
  secret?: boolean;
  example?: string;
}

/** A mode with one declared option changed; written `mode:id`. */
export interface Variant {
  id: string;
  isolation: Isolation;
  /** How the workspace gets in and out, where that differs from the mode. */
  workspace?: Mode['workspace'];
  /** Detected, but not known to work: run only when named explicitly. */
  onRequest?: boolean;
  /**
   * Exec'd processes run outside the variant's isolation, so its sandboxes cannot idle and take
   * runs by exec.
   */
  mainProcessOnly?: boolean;
}

/**
 * Settings that a match file or a caller may change for one entry; a mode declares which of these
 * it supports.
 */
export interface EntryOptions {
  /** The runtime's own name for a network: bridge, host, none … */
  network?: string | undefined;
  /** Keep the sandbox's /tmp in memory. */
  tmpfs?: boolean | undefined;
  cpus?: number | undefined;
  memoryMiB?: number | undefined;
  /** Which of the runtime's machines to use, by its name there. Absent: the machines take turns. */
  target?: string | undefined;
  /**
   * What the sandbox may connect to: only the gateway, also the internet, or also these domains
   * (`*.example.com` for all below one). Absent: whatever the mode allows by itself. A mode that
   * cannot enforce the value refuses it in `prepare`.
   */
  egress?: Egress | undefined;
}

export type Egress = 'gateway' | 'internet' | string[];

/**
 * What detection found out, for people and for the record; no mode reads it again. `client` names
 * the client that is measured, where a runtime has several; the table shows it.
 */
export type Facts = Record<string, string | number | boolean>;

/**
 * @typeParam S what the mode itself has to know of the runtime later on; plain JSON data, without
 *   secrets
 */
export type Detection<S = unknown> =
  | {
      status: 'ready';
      version: string;
      facts: Facts;
      /** Returned to the mode as `Context.state`. */
      state?: S;
      /**
       * Isolation of the entry without a variant, where this machine's settings make it differ from
       * what the mode declares.
       */
      isolation?: Isolation;
      variants?: Variant[];
      /** Same meaning as the mode's `elsewhere`, where only detection can determine it. */
      elsewhere?: true;
    }
  | {
      status: 'absent' | 'broken' | 'unconfigured' /** what was seen */;
      reason: string /** one command to type */;
      hint: string;
    };

/** How a process inside the sandbox finds the model's endpoint. */
export type Reach =
  | {
      via: 'address';
      /** The one host address that the gateway must listen on for this mode. */
      listen: string;
      /** The gateway's URL as seen from inside. */
      url(port: number): string;
      /** Releases whatever had to be held until the gateway was bound. */
      release?(): Promise<void>;
    }
  /** The guest cannot reach this host, so the same replay script runs beside the agent. */
  | { via: 'inside' };

export interface Labels {
  match: string;
  mode: string;
  /** The harness that created it (`lib/os/harness-id.ts`). */
  owner: string;
  /** The session that keeps it after its harness has ended. */
  session?: string;
}

/** Where a sandbox keeps the workspace and the agent's home, as the agent sees them. */
export interface Layout {
  workspace: string;
  home: string;
  /** Folder for temporary files, where the sandbox shares files with the host. */
  tmp?: string;
  /** PATH inside, where the sandbox does not have its own. */
  path?: string;
  /**
   * An in-memory folder that the user inside may write to, where there is one; secrets delivered as
   * files are stored there.
   */
  memory?: string;
}

/**
 * What the host provides for a run; a mode that shares the host's files uses these paths unchanged.
 */
export interface HostPaths {
  /** The workspace, absolute, owned by `user`. */
  workspace: string;
  /** A fresh agent home, absolute; exists only if the mode's layout names it. */
  home: string;
  /** A fresh folder for temporary files, absolute; removed with the run. */
  tmp: string;
  /** PATH, starting with the folders of the agent's binary and of this Node. */
  path: string;
}

export interface Command {
  /** The program and its arguments; the program is looked up on PATH inside. */
  argv: [string, ...string[]];
  /** The complete environment inside: nothing of the host's environment is added. */
  env: Env;
  /**
   * Also set inside, but these values must never reach an argv, a log or an inspectable record that
   * outlives the run.
   */
  secretEnv: Env;
  /** Passed on stdin, and secret as well; only for a mode that declares `file`. */
  stdin?: string;
  /** Absolute, as seen inside. */
  cwd: string;
}

/**
 * A file that has to exist inside the sandbox, but outside the workspace, before a command runs.
 */
interface GuestFile {
  /** Absolute, as seen inside. */
  path: string;
  /** Absolute, on this host. */
  source: string;
}

export interface LaunchSpec {
  /** Unique on this machine; the sandbox carries this name. */
  name: string;
  host: HostPaths;
  files: GuestFile[];
  /** Owner of the workspace's files: the user inside the sandbox should have this id. */
  user: { uid: number; gid: number };
  /**
   * The gateway's port on the address that `reach` returned; absent when the model is replayed
   * inside.
   */
  gatewayPort?: number;
  /**
   * If given, the runtime's own one-shot form is launched with it. If absent, the sandbox idles and
   * accepts `exec`.
   */
  command?: Command;
  /**
   * Secrets of the command that will be exec'd, for a runtime that needs them before the sandbox
   * exists.
   */
  secretEnv?: Env;
  /**
   * After this time, in ms, the sandbox may end and remove itself, so that none stays that is paid
   * for. Absent: longer than any run takes. Runtimes on this machine keep a sandbox until it is
   * destroyed.
   */
  maxLifeMs?: number;
}

/** A client's call that has to be given a terminal. */
export interface TerminalCall {
  argv: [string, ...string[]];
  /** The client's complete environment. */
  env: Env;
  /** The client's working directory, absolute. */
  cwd: string;
}

/** A short shell script for a guest: `/bin/sh -c script name args…`. */
export interface GuestScript {
  script: string;
  args: string[];
  stdin?: string;
  /** The script is safe to run twice. */
  repeatable: boolean;
}

type GuestAnswer =
  | { type: 'ran'; code: number; stdout: string; stderr: string }
  /** The guest did not answer within the time limit; it may answer next time. */
  | { type: 'late'; reason: string }
  /** The guest is gone or unreachable. */
  | { type: 'lost'; reason: string };

/** Runs a short script in a guest. Never throws. */
export type GuestShell = (script: GuestScript) => Promise<GuestAnswer>;

export type ExecEnd =
  | { type: 'exit'; code: number }
  | { type: 'signal'; name: string }
  /** The runtime can no longer determine how the command ended. */
  | { type: 'lost'; reason: string };

/** `atMs` is on the clock of `lib/clock.ts`, at arrival. */
export type ExecEvent =
  | { type: 'line'; stream: 'stdout' | 'stderr'; text: string; atMs: number }
  | (ExecEnd & { atMs: number });

/** Lines as they arrive, then exactly one end event. */
export type ExecStream = AsyncIterable<ExecEvent>;

/**
 * Identifies a sandbox: plain JSON data without secrets. A handle that was written down works in
 * another process as it did in the one that launched the sandbox. Every member of a mode also
 * accepts a handle with nothing but the name, and then asks the runtime for the rest; it refuses
 * with `not-ready` where only the launch could have known it.
 */
export interface Handle {
  /** The sandbox's name, as given in the spec. */
  name: string;
  /** The runtime's own full id, where it differs from the name and was reported at launch. */
  id?: string;
  /**
   * Which of the runtime's machines the sandbox is on, by the machine's name there, where there are
   * several.
   */
  place?: string;
  /** How many commits the runtime itself has made in the workspace's repository. */
  commits?: number;
}

/** A sandbox that has just been launched. */
export interface Launched<H extends Handle = Handle> {
  handle: H;
  /** The one-shot command's output, when the spec had a command. */
  process?: ExecStream;
  /**
   * When the sandbox began to run, on the clock of `lib/clock.ts`; set where the runtime's own
   * timestamp beats waiting for it.
   */
  runningAtMs?: number;
}

/** Something that carries our labels and that the runtime still lists. */
export interface Listed {
  /** Identifies the thing to `reap`. */
  id: string;
  /** container, instance, machine, process … */
  kind: string;
  labels: Partial<Labels>;
  /**
   * `stopped`: still there, but takes no command. `unknown`: the runtime does not report it, or it
   * is not a sandbox.
   */
  state: 'running' | 'stopped' | 'unknown';
  /** Which of the runtime's machines it is on, where there are several. */
  place?: string;
}

/** Something that a runtime has on this machine, no matter who created it. */
export interface Thing {
  /** container, image, volume, network, instance … */
  kind: string;
  id: string;
  /**
   * Words that identify its owner: its own names and labels, and those of whatever it belongs to.
   */
  marks: string[];
}

/** The image or template that sandboxes are made from. */
export interface PreparedImage {
  /**
   * The digest or fingerprint by which the runtime identifies the image; a rebuild has a different
   * one.
   */
  image?: string;
  /**
   * A digest of the image's ingredients: identical for every build of the same recipe on the same
   * base.
   */
  content?: string;
}

/**
 * A command that prints what a runtime has recorded about a sandbox. `layers`: the bytes of the
 * image itself.
 */
export interface Trace {
  source: 'inspect' | 'logs' | 'image' | 'layers';
  /** A short description of the query. */
  query: string;
  argv: [string, ...string[]];
  env: Env;
}

/** One of the one-time steps, in order, that a user has to take before a runtime is ready. */
export interface SetupStep {
  text: string;
  /** Undefined: cannot be determined from here. */
  done: boolean | undefined;
  /** One command to type. */
  hint: string;
}

/**
 * A resource that is opened once per match, shared by the match's runs, and closed when the match
 * ends.
 */
export interface Closable {
  close(): Promise<void> | void;
}

/** @typeParam S the mode's own state, as its `detect` returned it */
export interface Context<S = unknown> {
  /**
   * The part of the user's environment that this mode's clients need (`lib/os/client-env.ts`): the
   * mode's own secrets, none of another mode, none of the agent.
   */
  env: Env;
  platform: NodeJS.Platform;
  /** Undefined where the platform has no user ids. */
  uid: number | undefined;
  /** Root of this package, which contains the Dockerfile and the agent home. */
  packageRoot: string;
  /** Version of the agent CLI that images install. */
  agentVersion: string;
  /**
   * Absolute path of the agent CLI of that version on this machine; undefined where it is not
   * installed.
   */
  agentBinary: string | undefined;
  labels: Labels;
  variant: string | undefined;
  /** Only options that the mode declares are ever set. */
  options: EntryOptions;
  /** The state that `detect` returned. Undefined before detection, and where the mode has none. */
  state: S | undefined;
  signal: AbortSignal;
  /** Shows the user a line during something that takes long, such as an image build. */
  say(line: string): void;
  /**
   * A resource shared by the whole match: opened at the first call with this key, closed when the
   * match ends.
   */
  keep<T extends Closable>(key: string, open: () => Promise<T> | T): Promise<T>;
}

/**
 * One way to use one runtime. Functions only; a failed operation throws `CagematchError`.
 * @typeParam H what identifies a sandbox
 * @typeParam S what the mode has to know of the runtime once it was detected
 */
export interface Mode<H extends Handle = Handle, S = unknown> {
  /** Same as the file's name. */
  id: string;
  title: string;
  /** The letter of the mode's family in tables. */
  letter: string;
  isolation: Isolation;
  workspace: 'bind' | 'copy';
  /**
   * The sandboxes are on other machines: they share no files with this one, and their resource
   * usage is not visible from here.
   */
  elsewhere?: true;
  /** In order of preference. */
  auth: [AuthPath, ...AuthPath[]];
  inputs: Record<string, Input>;
  /**
   * Environment variables that the runtime's client reads from the caller's shell and that are not
   * inputs of ours. `.env` never sets these, since some name programs that the client then runs.
   */
  clientVariables?: readonly string[];
  platforms: NodeJS.Platform[];
  /** One line that describes what this mode runs; shown in the legend and in docs/runtimes.md. */
  summary: string;
  /**
   * True if the runtime has a one-shot form (`docker run`); false if a run is a launch followed by
   * an exec.
   */
  oneShot: boolean;
  /** Which options an entry of this mode may set; absent: none. */
  options?: (keyof EntryOptions)[];
  /** Queries the runtime itself. Never throws; the caller limits it to 5 s. */
  detect(ctx: Context<S>): Promise<Detection<S>>;
  /**
   * The steps to a ready runtime, for `doctor`; present where one command is not enough. Never
   * throws.
   */
  setup?(ctx: Context<S>): Promise<SetupStep[]>;
  /** Makes sure that the image or template is present. Idempotent. `rebuild` builds it again. */
  prepare(ctx: Context<S>, options?: { rebuild?: boolean }): Promise<PreparedImage>;
  /**
   * Removes the image or template, as on a machine that never had it; present where `prepare` makes
   * one. Idempotent.
   */
  evict?(ctx: Context<S>): Promise<void>;
  reach(ctx: Context<S>): Promise<Reach>;
  layout(ctx: Context<S>, host: HostPaths): Layout;
  /**
   * Required owner of the workspace, where that is neither the caller nor, for root, the image's
   * user.
   */
  owner?(ctx: Context<S>): { uid: number; gid: number } | undefined;
  /**
   * Resolves when the runtime reports that the sandbox is running. If it throws, nothing is left
   * that `list` and `reap` would miss.
   */
  launch(ctx: Context<S>, spec: LaunchSpec): Promise<Launched<H>>;
  exec(ctx: Context<S>, handle: H, command: Command): ExecStream;
  /** Copies the workspace out. `bind`: nothing to do. */
  collect(ctx: Context<S>, handle: H, into: string): Promise<void>;
  /**
   * Runs short commands, each limited to `boundMs`, at less cost than `exec`; present where `exec`
   * is slow.
   */
  guestShell?(ctx: Context<S>, handle: H, boundMs: number): GuestShell;
  /**
   * Destroys the sandbox. Idempotent; resolves when the runtime no longer lists it.
   * `goneAtMs`: when the sandbox was gone, where the runtime itself reports that.
   */
  destroy(ctx: Context<S>, handle: H): Promise<{ goneAtMs?: number }>;
  /**
   * Roots of the process trees on this host that make up the sandbox: its monitor, sentry or VMM
   * and everything below, but not the runtime's client. Present where this host can see them.
   */
  processes?(ctx: Context<S>, handle: H): Promise<number[]>;
  /**
   * Disk usage of the image and of this one idle sandbox, in bytes; present where the runtime
   * reports it.
   */
  disk?(ctx: Context<S>, handle: H): Promise<{ imageBytes?: number; sandboxBytes?: number }>;
  /**
   * Total free memory of the runtime's machines, in bytes; present where they are elsewhere and can
   * be queried.
   */
  room?(ctx: Context<S>): Promise<number | undefined>;
  /** Everything that carries our labels, from any match and owner. */
  list(ctx: Context<S>): Promise<Listed[]>;
  /** Removes one item that `list` returned. */
  reap(ctx: Context<S>, listed: Listed): Promise<void>;
  /**
   * The name of the runner image or template that this version of cagematch uses; present where
   * there is one.
   */
  runner?(ctx: Context<S>): string;
  /**
   * Everything this runtime has on the machine that a run could have left behind, whoever made it;
   * present where it can be queried.
   */
  census?(ctx: Context<S>): Promise<Thing[]>;
  /**
   * Commands that print what the runtime has recorded about a sandbox; present where it records
   * anything.
   */
  traces?(ctx: Context<S>, handle: H): Trace[];
  /**
   * What the launch settings of a sandbox promise, wall by wall (`lib/kit/walls.ts` names them);
   * nothing is promised for missing walls.
   */
  walls?(ctx: Context<S>): WallPromises;
  /**
   * How to run a command inside with a terminal: its stdin, stdout and stderr are the terminal's.
   * The command's secrets reach it as with `exec`: none of them is in the argv.
   */
  terminal(ctx: Context<S>, handle: H, command: Omit<Command, 'stdin'>): Promise<TerminalCall>;
  /**
   * Stores a credential with the runtime; present where `remote-secret` means a secret that was
   * stored before the match.
   */
  pushSecret?(ctx: Context<S>, name: string, value: string): Promise<string>;
}

/** Type-checks a mode and erases its own types, so that a match can hold modes of all kinds. */
export function defineMode<H extends Handle, S = unknown>(mode: Mode<H, S>): Mode {
  return mode as unknown as Mode;
}
