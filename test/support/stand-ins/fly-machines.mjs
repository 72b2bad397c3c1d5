// Machines of the Fly stand-in: each is a folder and processes of this machine, with the states and
// events of a real one.
import { randomBytes } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { killJailed, runJailed } from './jail.mjs';
import { killMarked, markEnv } from './marked.mjs';

const packageRoot = fileURLToPath(new URL('../../../', import.meta.url));
/** Folders of a machine that are its own; the image brings the first two. */
const OWN = ['/home/agent', '/workspace', '/tmp/cagematch', '/tmp/cagematch-out'];

/**
 * @typedef {{ image: string, env?: Record<string, string>, init?: {exec?: string[]}, auto_destroy?:
 *   boolean, metadata?: Record<string, string>, guest?: {cpu_kind?: string, cpus?: number,
 *   memory_mb?: number}, restart?: {policy?: string}, files?: {guest_path: string, raw_value?:
 *   string, mode?: number}[], }} MachineConfig
 * @typedef {{name?: string, region?: string, skip_launch?: boolean, config: MachineConfig}}
 *   CreateRequest
 * @typedef {{command?: string[], cmd?: string, stdin?: string, timeout?: number}} ExecRequest
 * @typedef {{id: string, type: string, status: string, source: string, timestamp: number, request?:
 *   object}} MachineEvent
 * @typedef {{ id: string, name: string, state: string, region: string, instance_id: string,
 *   private_ip: string, created_at: string, updated_at: string, config: MachineConfig, events:
 *   MachineEvent[], }} Machine
 * @typedef {Machine & {pid?: number, folder: string}} Kept
 */

export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {{code?: string, retryAfter?: number}} [fields] `code`: the API's own word for it
   */
  constructor(status, message, fields = {}) {
    super(message);
    this.status = status;
    this.fields = fields;
  }
}

/**
 * @param {{nowMs: () => number, bootMs: number}} options `nowMs`: the API's own clock; `bootMs`:
 *   how long a machine takes to start
 */
export function openMachines({ nowMs, bootMs }) {
  const state = mkdtempSync(join(tmpdir(), 'cagematch-fly-'));
  /** @type {Map<string, Kept>} */
  const machines = new Map();
  /** @type {Set<() => void>} */
  const watchers = new Set();
  /** @type {Set<NodeJS.Timeout>} */
  const booting = new Set();

  /**
   * @param {Machine} machine
   * @param {string} to
   * @param {Pick<MachineEvent, 'type' | 'source' | 'request'>} event
   */
  function change(machine, to, event) {
    machine.state = to;
    machine.updated_at = new Date(nowMs()).toISOString();
    machine.events.unshift({
      id: randomBytes(13).toString('hex'),
      ...event,
      status: to,
      timestamp: Math.round(nowMs()),
    });
    for (const look of [...watchers]) look();
  }

  /** @param {string} id */
  function find(id) {
    const machine = machines.get(id);
    if (!machine) throw new Refused(404, `machine not found: ${id}`);
    return machine;
  }

  /** @param {string} id */
  function destroy(id, source = 'user') {
    const machine = find(id);
    if (machine.state === 'destroyed') return;
    change(machine, 'destroyed', { type: 'destroy', source });
    killMarked(machine.folder);
    killJailed(machine.pid);
    rmSync(machine.folder, { recursive: true, force: true });
  }

  /**
   * The first process ends: the machine stops, and is removed where it was so made.
   * @param {string} id
   */
  function die(id, exitCode = 137, oomKilled = false) {
    const machine = find(id);
    if (machine.state !== 'started') return;
    killMarked(machine.folder);
    const exit = {
      exit_code: exitCode,
      guest_exit_code: exitCode,
      oom_killed: oomKilled,
      requested_stop: false,
      restarting: false,
      signal: -1,
    };
    change(machine, 'stopped', { type: 'exit', source: 'flyd', request: { exit_event: exit } });
    if (machine.config.auto_destroy) destroy(id, 'flyd');
  }

  /** Its host is gone, and nobody knows of it any more. @param {string} id */
  function vanish(id) {
    destroy(id, 'flyd');
    machines.delete(id);
  }

  /** @param {string} folder */
  const mountsOf = (folder) => OWN.map((guest) => ({ guest, real: join(folder, guest) }));

  /** @param {CreateRequest} request */
  function create({ name, region = 'ams', config, skip_launch }) {
    refuseNonsense(name, config);
    const id = randomBytes(7).toString('hex');
    if (
      name !== undefined &&
      [...machines.values()].some(
        (machine) => machine.name === name && machine.state !== 'destroyed',
      )
    )
      throw new Refused(
        409,
        `unique machine name violation, machine ID with name "${name}" already exists`,
      );
    const folder = join(state, id);
    for (const { real } of mountsOf(folder)) mkdirSync(real, { recursive: true });
    cpSync(join(packageRoot, 'lib/task/home'), join(folder, 'home/agent'), { recursive: true });
    for (const file of config.files ?? []) {
      const mount = mountsOf(folder).find(({ guest }) => file.guest_path.startsWith(`${guest}/`));
      if (!mount || file.raw_value === undefined)
        throw new Refused(400, `stand-in: no file at ${file.guest_path}`);
      const path = join(mount.real, file.guest_path.slice(mount.guest.length));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, Buffer.from(file.raw_value, 'base64'));
      chmodSync(path, file.mode ?? 0o644);
    }
    const now = new Date(nowMs()).toISOString();
    const machine = {
      ...{
        id,
        name: name ?? `machine-${id}`,
        state: 'created',
        region,
        instance_id: randomBytes(13).toString('hex').toUpperCase(),
      },
      ...{
        private_ip: 'fdaa::1',
        created_at: now,
        updated_at: now,
        config,
        events: /** @type {MachineEvent[]} */ ([]),
        folder,
      },
    };
    machines.set(id, machine);
    change(machine, 'created', { type: 'launch', source: 'user' });
    if (!skip_launch) {
      const timer = setTimeout(() => {
        booting.delete(timer);
        boot(machine);
      }, bootMs);
      booting.add(timer);
    }
    return shown(machine);
  }

  /** @param {Kept} machine */
  function boot(machine) {
    if (machine.state !== 'created') return;
    change(machine, 'starting', { type: 'start', source: 'flyd' });
    const init = runJailed({
      argv: machine.config.init?.exec ?? ['/bin/false'],
      env: guestEnv(machine),
      cwd: '/workspace',
      mounts: mountsOf(machine.folder),
      stdio: 'ignore',
    });
    if (init.pid !== undefined) Object.assign(machine, { pid: init.pid });
    // One that is forgotten by then has nobody who could be told.
    const over = (/** @type {number} */ code) => machines.has(machine.id) && die(machine.id, code);
    init.on('error', () => over(127));
    init.on('exit', (code) => over(code ?? 137));
    change(machine, 'started', { type: 'start', source: 'flyd' });
  }

  /** @param {Kept} machine */
  const guestEnv = (machine) => ({
    HOME: '/home/agent',
    ...markEnv(machine.folder),
    ...machine.config.env,
  });

  /** @param {string} id @param {URLSearchParams} query */
  function wait(id, query) {
    const machine = find(id);
    const wanted = query.get('state') ?? 'started';
    if (wanted === 'stopped' && !query.get('instance_id') && !query.get('version'))
      throw new Refused(400, 'invalid_argument: instance_id is required to wait for stopped');
    return new Promise((resolve, reject) => {
      const over = () => {
        clearTimeout(timer);
        watchers.delete(look);
      };
      const look = () => {
        if (machine.state !== wanted) return;
        over();
        resolve({ ok: true, state: machine.state, version: machine.instance_id });
      };
      const timer = setTimeout(
        () => {
          over();
          reject(new Refused(408, 'deadline_exceeded: machine failed to reach desired state'));
        },
        Number(query.get('timeout') ?? 60) * 1000,
      );
      watchers.add(look);
      look();
    });
  }

  /** @param {string} id @param {ExecRequest} request */
  function exec(id, { command, cmd, stdin = '', timeout = 30 }) {
    const machine = find(id);
    if ((command === undefined) === (cmd === undefined))
      throw new Refused(400, 'invalid_argument: one of command and cmd');
    if (machine.state !== 'started')
      throw new Refused(412, `failed_precondition: machine not started (${machine.state})`);
    const child = runJailed({
      argv: command ?? (cmd ?? '').split(' '),
      env: guestEnv(machine),
      cwd: '/workspace',
      mounts: mountsOf(machine.folder),
      stdio: 'pipe',
    });
    const out = { stdout: '', stderr: '' };
    for (const name of /** @type {const} */ (['stdout', 'stderr']))
      child[name]?.setEncoding('utf8').on('data', (text) => (out[name] += text));
    child.stdin?.on('error', () => {});
    child.stdin?.end(stdin);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        killJailed(child.pid);
        reject(new Refused(408, `deadline_exceeded: command did not end within ${timeout}s`));
      }, timeout * 1000);
      child.on('error', (error) => {
        clearTimeout(timer);
        resolve({ exit_code: 127, stderr: error.message });
      });
      child.on('close', (code) => {
        clearTimeout(timer);
        // A machine that goes down takes the call with it. Zero and empty are left out, as Go
        // leaves them out.
        if (machine.state !== 'started')
          return reject(
            new Refused(412, `failed_precondition: machine not started (${machine.state})`),
          );
        const exit_code = code ?? 137;
        resolve({
          ...(exit_code === 0 ? {} : { exit_code }),
          ...(out.stdout && { stdout: out.stdout }),
          ...(out.stderr && { stderr: out.stderr }),
        });
      });
    });
  }

  return {
    create,
    wait,
    exec,
    die,
    vanish,
    /** @param {string} id */
    show: (id) => shown(find(id)),
    /** Machines that are there. @param {URLSearchParams} [query] */
    list: (query = new URLSearchParams()) =>
      [...machines.values()]
        .filter((machine) => machine.state !== 'destroyed' && bears(machine, query))
        .map(shown),
    /** @param {string} id @param {boolean} force */
    remove(id, force) {
      if (find(id).state === 'started' && !force)
        throw new Refused(412, 'failed_precondition: machine is running');
      destroy(id);
    },
    /** A guest folder of a machine, on this machine. @param {string} id @param {string} guest */
    folderOf: (id, guest) => join(find(id).folder, guest),
    close() {
      for (const timer of booting) clearTimeout(timer);
      for (const machine of machines.values()) destroy(machine.id);
      rmSync(state, { recursive: true, force: true });
    },
  };
}

/**
 * What the API's schema leaves open and Fly.io does not sell.
 * @param {string | undefined} name
 * @param {MachineConfig} config
 */
function refuseNonsense(name, { guest = {} }) {
  const { cpu_kind = 'shared', cpus = 1, memory_mb = cpus * 256 } = guest;
  const shared = cpu_kind === 'shared';
  if (name !== undefined && !/^[a-z0-9][a-z0-9-]{0,62}$/i.test(name))
    throw new Refused(400, `invalid machine name ${name}`);
  if (!['shared', 'performance'].includes(cpu_kind))
    throw new Refused(400, `invalid cpu_kind ${cpu_kind}`);
  if (![1, 2, 4, 8, 16].includes(cpus) || (shared && cpus > 8))
    throw new Refused(400, `invalid number of CPUs ${cpus}`);
  if (memory_mb % 256 !== 0 || (shared && (memory_mb > cpus * 2048 || memory_mb < cpus * 256)))
    throw new Refused(400, `invalid memory size ${memory_mb} for ${cpus} CPUs`);
}

/** What the API shows of a machine. @param {Machine} machine @returns {Machine} */
function shown({
  id,
  name,
  state,
  region,
  instance_id,
  private_ip,
  created_at,
  updated_at,
  config,
  events,
}) {
  return {
    id,
    name,
    state,
    region,
    instance_id,
    private_ip,
    created_at,
    updated_at,
    config,
    events: [...events],
  };
}

/** @param {Machine} machine @param {URLSearchParams} query */
function bears(machine, query) {
  return [...query].every(([key, value]) => {
    if (!key.startsWith('metadata.')) throw new Refused(400, `stand-in: no filter ${key}`);
    return machine.config.metadata?.[key.slice('metadata.'.length)] === value;
  });
}
