// Stand-in for the Fly Machines API: its documented contract, strictly, over machines that are folders and processes here.
import { randomBytes } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { killJailed, runJailed } from './jail.mjs';
import { killMarked, markEnv } from './marked.mjs';

const packageRoot = fileURLToPath(new URL('../../', import.meta.url));
/** Folders of a machine that are its own; the image brings the first two. */
const OWN = ['/home/agent', '/workspace', '/tmp/cagematch', '/tmp/cagematch-out'];
const MAX_BODY_BYTES = 8 * 1024 * 1024;
const MAX_EXEC_S = 60;

const strings = z.record(z.string(), z.string());
const createSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/i)
    .optional(),
  region: z
    .string()
    .regex(/^[a-z]{3}$/)
    .optional(),
  skip_launch: z.boolean().optional(),
  skip_service_registration: z.boolean().optional(),
  skip_secrets: z.boolean().optional(),
  min_secrets_version: z.number().int().optional(),
  lease_ttl: z.number().int().optional(),
  config: z.strictObject({
    image: z.string(),
    env: strings.optional(),
    init: z
      .strictObject({
        exec: z.array(z.string()).optional(),
        entrypoint: z.array(z.string()).optional(),
        cmd: z.array(z.string()).optional(),
        tty: z.boolean().optional(),
        swap_size_mb: z.number().int().optional(),
      })
      .optional(),
    guest: z
      .strictObject({
        cpu_kind: z.enum(['shared', 'performance']),
        cpus: z.number().refine((cpus) => [1, 2, 4, 8, 16].includes(cpus), 'invalid number of CPUs'),
        memory_mb: z.number().int().multipleOf(256),
      })
      .refine(({ cpu_kind, cpus }) => cpu_kind !== 'shared' || cpus <= 8, 'invalid number of shared CPUs')
      .refine(({ cpu_kind, cpus, memory_mb }) => cpu_kind !== 'shared' || memory_mb <= cpus * 2048, 'too much memory for shared CPUs')
      .refine(({ cpu_kind, cpus, memory_mb }) => cpu_kind !== 'shared' || memory_mb >= cpus * 256, 'too little memory for shared CPUs')
      .optional(),
    files: z
      .array(
        z.strictObject({
          guest_path: z.string().startsWith('/'),
          raw_value: z.base64().optional(),
          secret_name: z.string().optional(),
          mode: z.number().int().min(0).max(0o7777).optional(),
        }),
      )
      .optional(),
    auto_destroy: z.boolean().optional(),
    restart: z.strictObject({ policy: z.enum(['no', 'always', 'on-failure']), max_retries: z.number().int().optional() }).optional(),
    metadata: strings.optional(),
    stop_config: z.strictObject({ timeout: z.string().optional(), signal: z.string().optional() }).optional(),
  }),
});
const execSchema = z
  .strictObject({
    command: z.array(z.string()).min(1).optional(),
    cmd: z.string().optional(),
    stdin: z.string().optional(),
    timeout: z.number().int().min(1).max(MAX_EXEC_S).optional(),
    container: z.string().optional(),
  })
  .refine(({ command, cmd }) => (command === undefined) !== (cmd === undefined), 'one of command and cmd');

/**
 * @typedef {z.infer<typeof createSchema>['config']} MachineConfig
 * @typedef {{type: string, status: string, source: string, timestamp: number, request?: object}} MachineEvent
 * @typedef {{
 *   id: string, name: string, state: string, region: string, instance_id: string, private_ip: string,
 *   created_at: string, updated_at: string, config: MachineConfig, events: MachineEvent[],
 * }} Machine
 * @typedef {{app?: string, token?: string, images?: (image: string) => boolean, beforeExec?: (count: number, machine: string) => 'die' | 'late' | undefined}} Options
 *   `images`: which images the registry has. `beforeExec`: what befalls the machine, or the call, at its nth exec.
 */

class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {Record<string, string>} [headers]
   */
  constructor(status, message, headers = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

/**
 * Starts the server on a free port of the loopback.
 * @param {Options} [options]
 */
export async function startFlyApi({ app = 'cagematch-stand-in', token = 'fo1_stand-in', images = () => true, beforeExec } = {}) {
  const state = mkdtempSync(join(tmpdir(), 'cagematch-fly-'));
  /** @type {Map<string, Machine & {pid?: number, folder: string, execs: number}>} */
  const machines = new Map();
  /** @type {Set<() => void>} */
  const watchers = new Set();
  /** @type {{method: string, path: string, status: number, body: string}[]} */
  const requests = [];
  const allowance = createAllowance();

  /**
   * @param {Machine} machine
   * @param {string} to
   * @param {Omit<MachineEvent, 'timestamp' | 'status'>} event
   */
  function change(machine, to, event) {
    machine.state = to;
    machine.updated_at = new Date().toISOString();
    machine.events.unshift({ ...event, status: to, timestamp: Date.now() });
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

  /** The first process ends: the machine stops, and is removed where it was so made. @param {string} id */
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

  /** @param {string} folder */
  const mountsOf = (folder) => OWN.map((guest) => ({ guest, real: join(folder, guest) }));

  /** @param {unknown} body */
  function createMachine(body) {
    const { name, region = 'fra', config, skip_launch } = check(createSchema, body);
    if (!config.image.startsWith(`registry.fly.io/${app}:`) || !images(config.image))
      throw new Refused(400, `unable to resolve image ${config.image}: manifest unknown`);
    const id = randomBytes(7).toString('hex');
    if (name !== undefined && [...machines.values()].some((one) => one.name === name && one.state !== 'destroyed'))
      throw new Refused(409, `unique machine name violation, machine ID with name "${name}" already exists`);
    const folder = join(state, id);
    for (const { real } of mountsOf(folder)) mkdirSync(real, { recursive: true });
    cpSync(join(packageRoot, 'lib/task/home'), join(folder, 'home/agent'), { recursive: true });
    for (const file of config.files ?? []) {
      const mount = mountsOf(folder).find(({ guest }) => file.guest_path.startsWith(`${guest}/`));
      if (!mount || file.raw_value === undefined) throw new Refused(400, `stand-in: no file at ${file.guest_path}`);
      const path = join(mount.real, file.guest_path.slice(mount.guest.length));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, Buffer.from(file.raw_value, 'base64'));
      chmodSync(path, file.mode ?? 0o644);
    }
    const now = new Date().toISOString();
    const machine = {
      ...{ id, name: name ?? `machine-${id}`, state: 'created', region, instance_id: randomBytes(13).toString('hex').toUpperCase() },
      ...{ private_ip: 'fdaa::1', created_at: now, updated_at: now, config, events: /** @type {MachineEvent[]} */ ([]), folder, execs: 0 },
    };
    machines.set(id, machine);
    change(machine, 'created', { type: 'launch', source: 'user' });
    if (!skip_launch) setImmediate(() => boot(id));
    return shown(machine);
  }

  /** @param {string} id */
  function boot(id) {
    const machine = find(id);
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
    init.on('error', () => die(id, 127));
    init.on('exit', (code) => die(id, code ?? 137));
    change(machine, 'started', { type: 'start', source: 'flyd' });
  }

  /** @param {Machine & {folder: string}} machine */
  const guestEnv = (machine) => ({ HOME: '/home/agent', ...markEnv(machine.folder), ...machine.config.env });

  /** @param {string} id @param {URLSearchParams} query */
  function wait(id, query) {
    const machine = find(id);
    const wanted = query.get('state') ?? 'started';
    if (!['started', 'stopped', 'suspended', 'destroyed'].includes(wanted)) throw new Refused(400, `invalid_argument: state ${wanted}`);
    if (wanted === 'stopped' && !query.get('instance_id'))
      throw new Refused(400, 'invalid_argument: instance_id is required to wait for stopped');
    const timeoutS = Number(query.get('timeout') ?? 60);
    if (!Number.isInteger(timeoutS) || timeoutS < 1 || timeoutS > 60)
      throw new Refused(400, 'invalid_argument: invalid WaitMachineRequest.Timeout: value must be inside range [1s, 1m0s]');
    return new Promise((resolve, reject) => {
      const over = () => {
        clearTimeout(timer);
        watchers.delete(look);
      };
      const look = () => {
        if (machine.state !== wanted) return;
        over();
        resolve({ ok: true });
      };
      const timer = setTimeout(() => {
        over();
        reject(new Refused(408, 'deadline_exceeded: machine failed to reach desired state'));
      }, timeoutS * 1000);
      watchers.add(look);
      look();
    });
  }

  /** @param {string} id @param {unknown} body */
  function exec(id, body) {
    const machine = find(id);
    const { command, cmd, stdin = '', timeout = 30 } = check(execSchema, body);
    machine.execs += 1;
    const fate = beforeExec?.(machine.execs, id);
    if (fate === 'die') die(id, 137, true);
    if (fate === 'late') throw new Refused(408, 'deadline_exceeded: context deadline exceeded');
    if (machine.state !== 'started') throw new Refused(412, `failed_precondition: machine not started (${machine.state})`);
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
        // A machine that goes down takes the call with it. Zero and empty are left out, as Go leaves them out.
        if (machine.state !== 'started') return reject(new Refused(412, `failed_precondition: machine not started (${machine.state})`));
        const exit_code = code ?? 137;
        resolve({
          ...(exit_code === 0 ? {} : { exit_code }),
          ...(out.stdout && { stdout: out.stdout }),
          ...(out.stderr && { stderr: out.stderr }),
        });
      });
    });
  }

  /**
   * @param {string} method
   * @param {URL} url
   * @param {unknown} body
   */
  function route(method, url, body) {
    const [, ofApp, rest] = /^\/v1\/apps\/([^/]+)(\/.*)?$/.exec(url.pathname) ?? [];
    if (ofApp === undefined) throw new Refused(404, `no such route: ${url.pathname}`);
    if (ofApp !== app) throw new Refused(404, 'app not found');
    if (rest === undefined && method === 'GET') return { id: 'standin', name: app, status: 'deployed', organization: { slug: 'personal' } };
    const [, id, action] = /^\/machines(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(rest ?? '') ?? [];
    const name = `${method} ${id === undefined ? 'machines' : (action ?? 'machine')}`;
    allowance(`${name} ${id ?? app}`, name === 'GET machine' ? { perSecond: 5, burst: 10 } : { perSecond: 1, burst: 3 });
    switch (name) {
      case 'POST machines':
        return createMachine(body);
      case 'GET machines':
        return [...machines.values()].filter((machine) => machine.state !== 'destroyed' && bears(machine, url.searchParams)).map(shown);
      case 'GET machine':
        return shown(find(id ?? ''));
      case 'GET wait':
        return wait(id ?? '', url.searchParams);
      case 'POST exec':
        return exec(id ?? '', body);
      case 'DELETE machine': {
        const machine = find(id ?? '');
        if (machine.state === 'started' && url.searchParams.get('force') !== 'true')
          throw new Refused(412, 'failed_precondition: machine is running');
        destroy(machine.id);
        return { ok: true };
      }
      default:
        throw new Refused(404, `no such route: ${name}`);
    }
  }

  const server = createServer(async (req, res) => {
    const url = new URL(req.url ?? '/', 'http://stand-in');
    let text = '';
    let status = 200;
    /** @type {unknown} */
    let answer;
    /** @type {Record<string, string>} */
    let headers = {};
    try {
      for await (const chunk of req.setEncoding('utf8')) text += chunk;
      if (text.length > MAX_BODY_BYTES) throw new Refused(413, 'request body too large');
      if (![`Bearer ${token}`, `${token}`].includes(req.headers.authorization ?? ''))
        throw new Refused(401, 'Authenticate: token validation error');
      answer = await route(req.method ?? 'GET', url, text === '' ? undefined : JSON.parse(text));
    } catch (error) {
      status = error instanceof Refused ? error.status : 500;
      headers = error instanceof Refused ? error.headers : {};
      answer = { error: error instanceof Error ? error.message : String(error) };
    }
    requests.push({ method: req.method ?? '', path: url.pathname + url.search, status, body: text });
    res.writeHead(status, {
      'content-type': 'application/json',
      server: 'Fly/stand-in',
      'fly-request-id': randomBytes(8).toString('hex'),
      ...headers,
    });
    res.end(JSON.stringify(answer));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
  return {
    url,
    app,
    token,
    requests,
    /** Machines that are there. */
    machines: () => [...machines.values()].filter((machine) => machine.state !== 'destroyed').map(shown),
    /** A guest folder of a machine, on this machine. @param {string} id @param {string} guest */
    folderOf: (id, guest) => join(find(id).folder, guest),
    die,
    async close() {
      for (const machine of machines.values()) destroy(machine.id);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(() => resolve(undefined)));
      rmSync(state, { recursive: true, force: true });
    },
  };
}

/** What the API shows of a machine. @param {Machine} machine @returns {Machine} */
function shown({ id, name, state, region, instance_id, private_ip, created_at, updated_at, config, events }) {
  return { id, name, state, region, instance_id, private_ip, created_at, updated_at, config, events };
}

/**
 * @param {Machine} machine
 * @param {URLSearchParams} query
 */
function bears(machine, query) {
  return [...query].every(([key, value]) => {
    if (!key.startsWith('metadata.')) throw new Refused(400, `unknown parameter ${key}`);
    return machine.config.metadata?.[key.slice('metadata.'.length)] === value;
  });
}

/**
 * @template T
 * @param {z.ZodType<T>} schema
 * @param {unknown} body
 * @returns {T}
 */
function check(schema, body) {
  const read = schema.safeParse(body);
  if (read.success) return read.data;
  const issue = read.error.issues[0];
  throw new Refused(400, `invalid request body: ${issue?.path.join('.')}: ${issue?.message}`);
}

function createAllowance() {
  /** @type {Map<string, {left: number, atMs: number}>} */
  const buckets = new Map();
  return (/** @type {string} */ key, /** @type {{perSecond: number, burst: number}} */ { perSecond, burst }) => {
    const nowMs = performance.now();
    const { left, atMs } = buckets.get(key) ?? { left: burst, atMs: nowMs };
    const filled = Math.min(burst, left + ((nowMs - atMs) / 1000) * perSecond);
    if (filled < 1) throw new Refused(429, 'rate limit exceeded', { 'retry-after': '1' });
    buckets.set(key, { left: filled - 1, atMs: nowMs });
  };
}
