// What a mode is: the agreement between the match and every runtime.
import type { WallPromises } from './kit/walls.js';

export type Env = Record<string, string>;

export type Isolation = 'none' | 'os-sandbox' | 'container' | 'user-kernel' | 'microvm' | 'system-container' | 'remote-vm';

/** How a credential gets to the agent inside. */
export type AuthPath = 'env' | 'file' | 'gateway' | 'runtime-proxy' | 'remote-secret';

/** A name that a mode reads from the environment. `.env.example` and the README are made from these. */
export interface Input {
  help: string;
  secret?: boolean;
  example?: string;
}

/** One declared option of a mode changed; written `mode:id`. */
export interface Variant {
  id: string;
  isolation: Isolation;
  /** How its workspace moves, where that is another way than its mode's. */
  workspace?: Mode['workspace'];
  /** Seen, but not known to work: run only when it is named. */
  onRequest?: boolean;
  /** What is exec'd stays outside of its walls: no sandbox of it can idle for runs. */
  mainProcessOnly?: boolean;
}

/** What a match file or a caller may change for one entry; a mode declares which of these it knows. */
export interface EntryOptions {
  /** The runtime's own name of a network: bridge, host, none … */
  network?: string | undefined;
  /** /tmp of the sandbox in memory. */
  tmpfs?: boolean | undefined;
  cpus?: number | undefined;
  memoryMiB?: number | undefined;
  /** Which of the runtime's machines, by its name there; absent: they take turns. */
  target?: string | undefined;
}

/** `client`: which one is measured, where a runtime has several; the table says it. */
export type Facts = Record<string, string | number | boolean>;

export type Detection =
  | {
      status: 'ready';
      version: string;
      facts: Facts;
      /** Of the entry without a variant, where this machine's settings make it another than the mode declares. */
      isolation?: Isolation;
      variants?: Variant[];
      /** As a mode's, where only what is found here tells. */
      elsewhere?: true;
    }
  | { status: 'absent' | 'broken' | 'unconfigured' /** what was seen */; reason: string /** one command to type */; hint: string };

/** How a process inside the sandbox finds the model's endpoint. */
export type Reach =
  | {
      via: 'address';
      /** The one host address that the gateway must listen on for this mode. */
      listen: string;
      /** The gateway's URL as seen from inside. */
      url(port: number): string;
      /** Gives back what had to be held until the gateway was bound. */
      release?(): Promise<void>;
    }
  /** The guest cannot reach this host: the same replay script runs beside the agent. */
  | { via: 'inside' };

export interface Labels {
  match: string;
  mode: string;
  /** The harness that made it (`lib/os/harness-id.ts`). */
  owner: string;
}

/** Where a sandbox keeps the workspace and the agent's home, as the agent sees them. */
export interface Layout {
  workspace: string;
  home: string;
  /** Folder for temporary files, where the sandbox shares the host's. */
  tmp?: string;
  /** PATH inside, where the sandbox does not bring its own. */
  path?: string;
  /** A folder in memory that whoever works inside may write to, where there is one: secrets that go as files lie there. */
  memory?: string;
}

/** What the host offers to a run; a mode that shares the host's files uses these paths as they are. */
export interface HostPaths {
  /** The workspace, absolute, owned by `user`. */
  workspace: string;
  /** A fresh agent home, absolute; there only where the mode names it in its layout. */
  home: string;
  /** A fresh folder for temporary files, absolute; gone with the run. */
  tmp: string;
  /** PATH with the agent's binary and this Node first. */
  path: string;
}

export interface Command {
  /** The program and its arguments; the program is looked up on PATH inside. */
  argv: [string, ...string[]];
  /** Set inside; complete: nothing of the host's environment is added. */
  env: Env;
  /** Set inside too, but its values must never reach an argv, a log or an inspectable record that outlives the run. */
  secretEnv: Env;
  /** Given to it on stdin, secret too; only for a mode that declares `file`. */
  stdin?: string;
  /** Absolute, as seen inside. */
  cwd: string;
}

/** A file that has to be inside, outside the workspace, before a command runs. */
interface GuestFile {
  /** Absolute, as seen inside. */
  path: string;
  /** Absolute, on this host. */
  source: string;
}

export interface LaunchSpec {
  /** Unique on this machine; the sandbox bears it. */
  name: string;
  host: HostPaths;
  files: GuestFile[];
  /** Owner of the workspace's files: whoever works inside should have this id. */
  user: { uid: number; gid: number };
  /** The gateway's port on the address that `reach` named; absent when the model is inside. */
  gatewayPort?: number;
  /** Given: launch the runtime's own one-shot form with it. Absent: the sandbox idles and takes `exec`. */
  command?: Command;
  /** Of the command that will be exec'd, for a runtime that has to have secrets before the sandbox is there. */
  secretEnv?: Env;
}

export type ExecEnd =
  | { type: 'exit'; code: number }
  | { type: 'signal'; name: string }
  /** The runtime can no longer say how the command ended. */
  | { type: 'lost'; reason: string };

/** `atMs` is on the clock of `lib/clock.ts`, at arrival. */
export type ExecEvent = { type: 'line'; stream: 'stdout' | 'stderr'; text: string; atMs: number } | (ExecEnd & { atMs: number });

/** Lines as they come, then exactly one end. */
export type ExecStream = AsyncIterable<ExecEvent>;

export interface Handle {
  /** The sandbox's name, as given in the spec. */
  name: string;
  /** The runtime's own, whole, where it is another than the name and was told at launch. */
  id?: string;
  /** Which of the runtime's machines it is on, by its name there, where there are several. */
  place?: string;
  /** The one-shot command's output, when the spec had a command. */
  process?: ExecStream;
  /** When the sandbox began to run, on the clock of `lib/clock.ts`, where the runtime itself tells it better than our waiting for it. */
  runningAtMs?: number;
}

/** Something of ours that the runtime still lists. */
export interface Listed {
  /** What `destroyListed` takes. */
  id: string;
  /** container, instance, machine, process … */
  kind: string;
  labels: Partial<Labels>;
}

/** Something that a runtime has on this machine, whoever made it. */
export interface Thing {
  /** container, image, volume, network, instance … */
  kind: string;
  id: string;
  /** Words by which it can be told whose it is: its names and labels, and of what it belongs to. */
  marks: string[];
}

/** What sandboxes are made from. */
export interface PreparedImage {
  /** The digest or fingerprint by which the runtime knows it; a rebuild has another. */
  image?: string;
  /** A digest of what it is made of: the same for every build of the same recipe on the same base. */
  content?: string;
}

/** A command that prints what a runtime has written down. `layers`: the bytes of the image itself. */
export interface Trace {
  of: 'inspect' | 'logs' | 'image' | 'layers';
  /** What is asked, in a few words. */
  says: string;
  argv: [string, ...string[]];
  env: Env;
}

/** One step of what a user has to do once, in order, before a runtime is ready. */
export interface SetupStep {
  text: string;
  /** Undefined: it cannot be seen from here. */
  done: boolean | undefined;
  /** One command to type. */
  hint: string;
}

/** Something that is opened once a match, shared by its runs, and closed at its end. */
export interface Closable {
  close(): Promise<void> | void;
}

export interface Context {
  /** Of the user's environment, what this mode's clients need (`lib/os/client-env.ts`): its own secrets, no other mode's, none of the agent's. */
  env: Env;
  platform: NodeJS.Platform;
  /** Undefined where the platform has no user ids. */
  uid: number | undefined;
  /** Root of this package: Dockerfile, agent home. */
  packageRoot: string;
  /** Version of the agent CLI that images install. */
  agentVersion: string;
  /** The agent CLI of that version on this machine, absolute; undefined where it is not installed. */
  agentBinary: string | undefined;
  labels: Labels;
  variant: string | undefined;
  /** Only those that the mode declares are ever set. */
  options: EntryOptions;
  /** What `detect` said. Empty before it. */
  facts: Facts;
  signal: AbortSignal;
  /** Says a line to the user while something long goes on (an image build). */
  say(line: string): void;
  /** The match's own copy of something: opened at the first call with this key, closed when the match ends. */
  keep<T extends Closable>(key: string, open: () => Promise<T> | T): Promise<T>;
}

/** One way to use one runtime. Functions only; a failed operation throws `CagematchError`. */
export interface Mode<H extends Handle = Handle> {
  /** The file's name. */
  id: string;
  title: string;
  /** The family's letter in tables. */
  letter: string;
  isolation: Isolation;
  workspace: 'bind' | 'copy';
  /** Its sandboxes are on other machines: they share no files with this one, and what they use is not seen from here. */
  elsewhere?: true;
  /** In order of preference. */
  auth: [AuthPath, ...AuthPath[]];
  inputs: Record<string, Input>;
  /**
   * Names that the runtime's client reads from the caller's shell, and that are no inputs of ours. `.env` never sets these: some name
   * programs that the client then runs.
   */
  clientVariables?: readonly string[];
  platforms: NodeJS.Platform[];
  /** One line: what this mode runs. The legend and the README show it. */
  summary: string;
  /** True where the runtime has a one-shot form (`docker run`); false where it is launch, then exec. */
  oneShot: boolean;
  /** Which options an entry of this mode may have; absent: none. */
  options?: (keyof EntryOptions)[];
  /** Asks the runtime itself. Never throws; the caller bounds it to 5 s. */
  detect(ctx: Context): Promise<Detection>;
  /** The way there, for `doctor`; present where it is longer than one command. Never throws. */
  setup?(ctx: Context): Promise<SetupStep[]>;
  /** Image or template present. Idempotent. `rebuild` builds it again. */
  prepare(ctx: Context, options?: { rebuild?: boolean }): Promise<PreparedImage>;
  /** Image or template gone, as on a machine that never had it; present where `prepare` makes one. Idempotent. */
  evict?(ctx: Context): Promise<void>;
  reach(ctx: Context): Promise<Reach>;
  layout(ctx: Context, host: HostPaths): Layout;
  /** Who has to own the workspace, where that is neither the caller nor, for root, the image's user. */
  owner?(ctx: Context): { uid: number; gid: number } | undefined;
  /** Resolves when the runtime reports the sandbox running. On throw, nothing is left that `reap` would not find. */
  launch(ctx: Context, spec: LaunchSpec): Promise<H>;
  exec(ctx: Context, handle: H, command: Command): ExecStream;
  /** Workspace out. `bind`: nothing to do. */
  collect(ctx: Context, handle: H, into: string): Promise<void>;
  /**
   * What was committed in the workspace, as a git bundle that the guest's own git makes; undefined: nothing. Present where it is copied.
   * @param came whether a repository came back with it
   */
  bundle?(ctx: Context, handle: H, came: boolean): Promise<Buffer | undefined>;
  /**
   * Idempotent; resolves when the runtime no longer lists the sandbox.
   * `goneAtMs`: since when, where the runtime itself tells it.
   */
  destroy(ctx: Context, handle: H): Promise<{ goneAtMs?: number }>;
  /**
   * Roots of the trees of processes on this host that are the sandbox: its monitor, sentry or VMM and all below, the runtime's
   * client not. Present where this host can see them.
   */
  processes?(ctx: Context, handle: H): Promise<number[]>;
  /** What the image and this one idle sandbox take on disk, in bytes; present where the runtime tells it. */
  disk?(ctx: Context, handle: H): Promise<{ imageBytes?: number; sandboxBytes?: number }>;
  /** Memory that its machines have free together, in bytes; present where they are elsewhere and can be asked. */
  room?(ctx: Context): Promise<number | undefined>;
  /** Everything that bears our labels, of any match and owner. */
  list(ctx: Context): Promise<Listed[]>;
  /** Removes one of what `list` gave. */
  reap(ctx: Context, listed: Listed): Promise<void>;
  /** The name of the runner image or template that this version of ours uses; present where there is one. */
  runner?(ctx: Context): string;
  /** All that this runtime has on the machine and that a run could leave there, whoever made it; present where it can be asked. */
  census?(ctx: Context): Promise<Thing[]>;
  /** How to ask what the runtime has written down of a sandbox; present where it writes anything down. */
  traces?(ctx: Context, handle: H): Trace[];
  /** What the settings that a sandbox is launched with promise, wall by wall (`lib/kit/walls.ts` names them); of others nothing is promised. */
  walls?(ctx: Context): WallPromises;
  /** argv of an interactive terminal inside. */
  shell(ctx: Context, handle: H): string[];
  /** Stores a credential with the runtime; present where `remote-secret` means one that was stored before the match. */
  pushSecret?(ctx: Context, name: string, value: string): Promise<string>;
}

/** Gives a mode its types and forgets the handle's own, so that the match holds modes of all kinds. */
export function defineMode<H extends Handle>(mode: Mode<H>): Mode {
  return mode as unknown as Mode;
}
