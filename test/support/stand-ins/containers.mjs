// Two container command lines, Docker's and Podman's, held to what the real ones accept, answer and
// exit with.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { followEvents, noteEvent } from './event-log.mjs';
import { BadFlag, parseFlags } from './flags.mjs';
import { runJailed } from './jail.mjs';
import { own } from './own.mjs';
import {
  claim,
  codeOf,
  enter,
  forget,
  inState,
  isAlive,
  killInside,
  leave,
  load,
  loadAll,
  noteArgv,
  save,
} from './state.mjs';
import { render } from './template.mjs';

/**
 * @typedef {'docker' | 'podman'} Dialect
 * @typedef {{id: string, name: string, image: string, labels: Record<string, string>, mounts:
 *   {guest: string, real: string}[], env: Record<string, string>, user: string, workdir: string,
 *   rm: boolean, createdAt: string, startedAt: string, pid?: number, client?: number}} Container
 */

class Refused extends Error {
  /** @param {number} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const RUN = {
  bool: ['rm', 'detach d', 'init', 'interactive i', 'tty t', 'privileged', 'read-only'],
  valued: [
    'name',
    'label l',
    'user u',
    'network',
    'net',
    'volume v',
    'mount',
    'workdir w',
    'env e',
    'env-file',
    'pull',
    'runtime',
    'cap-drop',
    'cap-add',
    'security-opt',
    'pids-limit',
    'memory m',
    'memory-swap',
    'cpus',
    'tmpfs',
    'ulimit',
    'hostname h',
    'entrypoint',
    'add-host',
    'stop-timeout',
    'cidfile',
    'platform',
    'userns',
    'publish p',
  ],
};
const RUN_PODMAN = {
  bool: [...RUN.bool, 'http-proxy', 'replace'],
  valued: [...RUN.valued.filter((name) => name !== 'runtime'), 'annotation', 'timeout'],
};
const EXEC = {
  bool: ['detach d', 'interactive i', 'tty t', 'privileged'],
  valued: ['env e', 'env-file', 'user u', 'workdir w'],
};

/** @param {Dialect} dialect */
export async function main(dialect) {
  noteArgv();
  const docker = dialect === 'docker';
  const args = process.argv.slice(2);
  const [command = '', ...rest] = args;
  const commands = commandsOf(dialect);
  const two = `${command} ${rest[0] ?? ''}`;
  const named = command in commands ? command : two in commands ? two : undefined;
  try {
    if (command === '--version')
      return void process.stdout.write(
        `${docker ? 'Docker version' : 'podman version'} ${VERSION}\n`,
      );
    if (named === undefined) {
      throw docker
        ? new Refused(
            1,
            `docker: unknown command: docker ${command}\n\nRun 'docker --help' for more information`,
          )
        : new Refused(
            125,
            `Error: unrecognized command \`podman ${command}\`\n\nTry 'podman --help' for more information`,
          );
    }
    process.exitCode = await commands[named]?.(named === two ? rest.slice(1) : rest);
  } catch (error) {
    if (error instanceof BadFlag) {
      process.stderr.write(
        docker
          ? `${error.message}\n\nUsage:  docker ${named} [OPTIONS]\n\nRun 'docker ${named} --help' for more information\n`
          : `Error: ${error.message}\nSee 'podman ${named} --help'\n`,
      );
      process.exitCode = 125;
    } else {
      const message = error instanceof Error ? error.message : String(error);
      process.stderr.write(`${message}\n`);
      process.exitCode = error instanceof Refused ? error.code : docker ? 1 : 125;
    }
  }
}

const VERSION = '28.0-stand-in';
const GATEWAY = '127.0.0.1';

/**
 * @param {Dialect} dialect
 * @returns {Record<string, (args: string[]) => Promise<number> | number>}
 */
function commandsOf(dialect) {
  const docker = dialect === 'docker';
  /** @param {string} text */
  const out = (text) => process.stdout.write(`${text}\n`);
  /** What a problem with an operand costs: the daemon's own code, or Podman's. */
  const problem = docker ? 1 : 125;

  /** @param {string} name */
  const imageOf = (name) => load('images', name) ?? load('images', `${name}:latest`);

  /** @param {string} template @param {unknown} value */
  const format = (template, value) => {
    if (template === 'json') return JSON.stringify(value);
    try {
      return render(template, value);
    } catch (error) {
      throw new Refused(docker ? 64 : 125, error instanceof Error ? error.message : String(error));
    }
  };

  /**
   * @param {string} action
   * @param {Container} container
   * @param {Record<string, string>} [fields]
   */
  const emit = (action, container, fields = {}) => {
    const now = new Date();
    const attributes = {
      ...container.labels,
      image: container.image,
      name: container.name,
      ...fields,
    };
    const event = docker
      ? {
          status: action,
          id: container.id,
          from: container.image,
          Type: 'container',
          Action: action,
          Actor: { ID: container.id, Attributes: attributes },
          scope: 'local',
          time: Math.floor(now.getTime() / 1000),
          timeNano: now.getTime() * 1e6,
        }
      : {
          ID: container.id,
          Image: container.image,
          Name: container.name,
          Status: action,
          Time: now.toISOString(),
          Type: 'container',
          Attributes: container.labels,
        };
    noteEvent({
      action,
      name: container.name,
      labels: container.labels,
      at: now.getTime() / 1000,
      event,
    });
  };

  /**
   * Ends what runs in it and takes it off the list; false when another call did so first.
   * @param {Container} container
   * @param {number} code
   */
  const remove = (container, code) => {
    killInside(container.id);
    if (!forget('containers', container.name)) return false;
    emit(docker ? 'die' : 'died', container, { exitCode: String(code) });
    emit(docker ? 'destroy' : 'remove', container);
    return true;
  };

  /** @returns {Container[]} */
  const containers = () =>
    loadAll('containers').filter((container) => {
      // What removes itself is gone once its command is, also when its client was killed.
      if (
        !container.rm ||
        container.pid === undefined ||
        isAlive(container.pid) ||
        isAlive(container.client)
      )
        return true;
      remove(container, 137);
      return false;
    });

  /** @param {string} wanted */
  const find = (wanted) =>
    containers().find(
      ({ id, name }) => name === wanted || (wanted.length >= 4 && id.startsWith(wanted)),
    );

  /** @param {string[]} filters @param {string[]} known */
  const matcher = (filters, known) => {
    const pairs = filters.map((filter) => {
      const at = filter.indexOf('=');
      return {
        key: at === -1 ? filter : filter.slice(0, at),
        value: at === -1 ? '' : filter.slice(at + 1),
      };
    });
    for (const { key } of pairs) {
      if (!known.includes(key))
        throw new Refused(
          problem,
          docker
            ? `Error response from daemon: Invalid filter '${key}'`
            : `Error: ${key} is an invalid filter`,
        );
    }
    return pairs;
  };

  /** @param {string} wanted @param {Record<string, string>} labels */
  const hasLabel = (wanted, labels) => {
    const [key = '', value] = wanted.split('=', 2);
    return value === undefined ? key in labels : labels[key] === value;
  };

  /** `-e NAME` takes the value out of the client's own environment. @param {string[]} given */
  const readEnv = (given) =>
    Object.fromEntries(
      given.flatMap((entry) => {
        const at = entry.indexOf('=');
        if (at !== -1) return [[entry.slice(0, at), entry.slice(at + 1)]];
        const value = process.env[entry];
        return value === undefined ? [] : [[entry, value]];
      }),
    );

  /** @param {string} user */
  const userOf = (user) => {
    const [uid = '', gid = uid] = user.split(':');
    return /^\d+$/.test(uid) ? { uid: Number(uid), gid: Number(gid) } : undefined;
  };

  /** @param {string[]} args */
  async function run(args) {
    const { rest, has, last, all } = parseFlags(args, docker ? RUN : RUN_PODMAN, {
      interspersed: false,
    });
    /** @param {string} text */
    const refuse = (text) =>
      new Refused(
        125,
        docker
          ? `docker: ${text}\n\nRun 'docker run --help' for more information`
          : `Error: ${text}`,
      );
    /** @param {string} text */
    const daemon = (text) => refuse(docker ? `Error response from daemon: ${text}` : text);
    const [imageName, ...given] = rest;
    if (imageName === undefined)
      throw new BadFlag(`"${dialect} run" requires at least 1 argument.`);
    const pull = last('pull') ?? 'missing';
    if (!['always', 'missing', 'never', ...(docker ? [] : ['newer'])].includes(pull))
      throw refuse(`invalid pull option: '${pull}': must be one of "always", "missing" or "never"`);
    for (const size of [last('memory'), last('memory-swap')])
      if (size !== undefined && !/^(-1|\d+[bkmgBKMG]?b?)$/.test(size))
        throw new BadFlag(`invalid argument "${size}" for "-m, --memory" flag: invalid suffix`);
    for (const option of all('security-opt'))
      if (
        !/^(no-new-privileges(:true|:false|=true|=false)?|(label|seccomp|apparmor|systempaths)[=:].+)$/.test(
          option,
        )
      )
        throw daemon(`invalid --security-opt: "${option}"`);
    const runtime = last('runtime');
    if (runtime !== undefined && runtime !== 'runc')
      throw daemon(`Unknown runtime specified ${runtime}`);
    const network = last('network') ?? last('net') ?? 'bridge';
    if (
      !(
        docker
          ? /^(bridge|host|none|default)$/
          : /^(bridge|host|none|podman|private|slirp4netns(:.*)?|pasta(:.*)?)$/
      ).test(network)
    )
      throw daemon(
        docker
          ? `network ${network} not found`
          : `unable to find network with name or ID ${network}: network not found`,
      );
    const image = imageOf(imageName);
    if (!image)
      throw daemon(docker ? `No such image: ${imageName}` : `${imageName}: image not known`);
    const mounts = all('volume').map((volume) => {
      const [source = '', guest = '', options] = volume.split(':');
      if (!isAbsolute(source)) throw daemon(`invalid volume specification: '${volume}'`);
      if (!isAbsolute(guest))
        throw daemon(
          `invalid volume specification: '${volume}': invalid mount config for type "bind": invalid mount path`,
        );
      if (options !== undefined && !/^(ro|rw|z|Z|U|cached|delegated|consistent|,)+$/.test(options))
        throw daemon(`invalid mode: ${options}`);
      if (!existsSync(source)) {
        if (!docker) throw daemon(`statfs ${source}: no such file or directory`);
        mkdirSync(source, { recursive: true });
      }
      return { guest, real: source };
    });
    const id = randomBytes(32).toString('hex');
    const name = last('name') ?? `stand-in-${id.slice(0, 8)}`;
    if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name))
      throw daemon(`Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
    const home = inState('homes', id);
    /** @type {Container} */
    const container = {
      id,
      name,
      image: imageName,
      labels: Object.fromEntries(
        all('label').map((label) => [label.split('=', 1)[0], label.slice(label.indexOf('=') + 1)]),
      ),
      // What is not mounted is the image's own.
      mounts: [
        ...mounts,
        ...[
          { guest: '/home/agent', real: home },
          { guest: '/workspace', real: join(home, '.workspace') },
        ].filter(({ guest }) => !mounts.some((mount) => mount.guest === guest)),
      ],
      // Podman hands the client's proxies on unless it is told not to.
      env: {
        HOME: '/home/agent',
        HOSTNAME: id.slice(0, 12),
        ...(docker || last('http-proxy') === 'false' ? {} : proxies()),
        ...readEnv(all('env')),
      },
      user: last('user') ?? '1000:1000',
      workdir: last('workdir') ?? '/workspace',
      rm: has('rm'),
      createdAt: new Date().toISOString(),
      startedAt: new Date().toISOString(),
      client: process.pid,
    };
    if (!claim('containers', name, container)) {
      const other = load('containers', name)?.id ?? '';
      throw daemon(
        docker
          ? `Conflict. The container name "/${name}" is already in use by container "${other}". You have to remove (or rename) that container to be able to reuse that name.`
          : `creating container storage: the container name "${name}" is already in use by ${other}. You have to remove that container to be able to reuse that name: that name is already in use`,
      );
    }
    await cp(image.home, home, { recursive: true });
    mkdirSync(join(home, '.workspace'));
    own(home, userOf(container.user));
    emit('create', container);
    const argv = given.length > 0 ? given : ['sh'];
    const child = runJailed({
      argv,
      env: container.env,
      cwd: container.workdir,
      mounts: container.mounts,
      stdio: has('detach')
        ? 'ignore'
        : [has('interactive') ? 'inherit' : 'ignore', 'inherit', 'inherit'],
      user: userOf(container.user),
    });
    const code = codeOf(child);
    const { pid } = child;
    if (pid !== undefined) {
      save('containers', name, { ...container, pid });
      enter(id, pid);
    }
    const missing = pid === undefined;
    // With an init, it is the init that starts, and that does not find the program.
    if (!missing || has('init')) emit('start', container);
    if (missing) {
      await code.catch(() => {});
      if (has('init'))
        process.stderr.write(
          docker
            ? `[FATAL tini (7)] exec ${argv[0]} failed: No such file or directory\n`
            : `ERROR (catatonit:6): failed to exec pid1: No such file or directory\n`,
        );
      const exit = has('init') && !docker ? 1 : 127;
      if (container.rm || !has('init')) remove(container, exit);
      if (has('init')) return exit;
      throw new Refused(
        127,
        `${docker ? 'docker: Error response from daemon: ' : 'Error: '}unable to start container process: exec: "${argv[0]}": executable file not found in $PATH`,
      );
    }
    if (has('detach')) {
      child.unref();
      code.catch(() => {});
      out(id);
      return 0;
    }
    const exit = await code;
    // Removed by another call: it was killed.
    if (load('containers', name)?.id !== id) return 137;
    if (container.rm) remove(container, exit);
    return exit;
  }

  /** @param {string[]} args */
  async function exec(args) {
    const { rest, has, last, all } = parseFlags(args, EXEC, { interspersed: false });
    const [name = '', ...argv] = rest;
    if (argv.length === 0) throw new BadFlag(`"${dialect} exec" requires at least 2 arguments.`);
    if (has('tty') && !process.stdin.isTTY && docker)
      throw new Refused(1, 'the input device is not a TTY');
    const container = find(name);
    if (!container)
      throw docker
        ? new Refused(1, `Error response from daemon: No such container: ${name}`)
        : new Refused(
            125,
            `Error: no container with name or ID "${name}" found: no such container`,
          );
    if (!isAlive(container.pid))
      throw docker
        ? new Refused(1, `Error response from daemon: Container ${container.id} is not running`)
        : new Refused(
            255,
            'Error: can only create exec sessions on running containers: container state improper',
          );
    const child = runJailed({
      argv,
      env: { ...container.env, ...readEnv(all('env')) },
      cwd: last('workdir') ?? container.workdir,
      mounts: container.mounts,
      stdio: [has('interactive') ? 'inherit' : 'ignore', 'inherit', 'inherit'],
      user: userOf(last('user') ?? container.user),
    });
    if (child.pid === undefined) {
      await codeOf(child).catch(() => {});
      throw new Refused(
        docker ? 126 : 127,
        `${docker ? 'OCI runtime exec failed: exec failed' : 'Error: runc: exec failed'}: unable to start container process: exec: "${argv[0]}": executable file not found in $PATH: unknown`,
      );
    }
    enter(container.id, child.pid);
    const code = await codeOf(child);
    if (process.env.CAGEMATCH_STAND_IN_DEAF_EXEC !== undefined && code === 137) await forever();
    leave(container.id, child.pid);
    return code;
  }

  /** @param {string[]} args */
  async function build(args) {
    const { rest, last, all } = parseFlags(args, {
      bool: ['no-cache', 'quiet q', 'pull', 'rm', 'force-rm'],
      valued: [
        'tag t',
        'network',
        'build-arg',
        'file f',
        'target',
        'platform',
        'iidfile',
        'label',
        'cache-from',
      ],
    });
    const [folder] = rest;
    if (folder === undefined || rest.length > 1)
      throw new Refused(1, `ERROR: "${dialect} build" requires exactly 1 argument.`);
    const recipe = last('file') ?? join(folder, 'Dockerfile');
    if (!existsSync(recipe))
      throw new Refused(
        problem,
        `unable to evaluate symlinks in Dockerfile path: lstat ${recipe}: no such file or directory`,
      );
    const text = readFileSync(recipe, 'utf8');
    const declared = [...text.matchAll(/^ARG (\w+)/gm)].map(([, name]) => name);
    const given = all('build-arg').map((arg) => arg.split('=', 1)[0] ?? '');
    for (const name of given)
      if (!declared.includes(name))
        process.stderr.write(`[Warning] One or more build-args [${name}] were not consumed\n`);
    if (declared.includes('AGENT_VERSION') && !given.includes('AGENT_VERSION'))
      throw new Refused(1, 'The command returned a non-zero code: 1');
    const id = `sha256:${randomBytes(32).toString('hex')}`;
    // The one COPY that a run can see: the agent's home.
    const copied = /^COPY (\S+) \/home\/agent\/$/m.exec(text)?.[1];
    const home = inState('image-homes', id.slice(7, 19));
    mkdirSync(home, { recursive: true });
    if (copied !== undefined) await cp(join(folder, copied), home, { recursive: true });
    for (const tag of all('tag'))
      save('images', tag.includes(':') ? tag : `${tag}:latest`, { id, name: tag, home });
    out(`Successfully built ${id.slice(7, 19)}`);
    return 0;
  }

  /** @param {string[]} args */
  function ps(args) {
    const { rest, has, last, all } = parseFlags(args, {
      bool: ['all a', 'quiet q', 'no-trunc', 'latest l', 'size s'],
      valued: ['filter f', 'format', 'last n'],
    });
    if (rest.length > 0)
      throw new Refused(docker ? 1 : 125, `"${dialect} ps" accepts no arguments.`);
    const filters = matcher(all('filter'), ['name', 'label', 'id', 'status', 'ancestor']);
    const shown = containers().filter(
      (container) =>
        (has('all') || isAlive(container.pid)) &&
        filters.every(({ key, value }) =>
          key === 'name'
            ? new RegExp(value).test(container.name)
            : key === 'label'
              ? hasLabel(value, container.labels)
              : key === 'id'
                ? container.id.startsWith(value)
                : key === 'status'
                  ? value === (isAlive(container.pid) ? 'running' : 'exited')
                  : container.image === value,
        ),
    );
    for (const container of shown) {
      const id = has('no-trunc') ? container.id : container.id.slice(0, 12);
      const template = last('format');
      out(
        has('quiet')
          ? id
          : format(template ?? '{{.ID}} {{.Names}}', {
              ID: id,
              Names: container.name,
              Image: container.image,
              Labels: container.labels,
            }),
      );
    }
    return 0;
  }

  /** @param {string[]} args */
  function inspect(args) {
    const { rest, last } = parseFlags(args, { bool: ['size s'], valued: ['type', 'format f'] });
    let code = 0;
    /** @type {unknown[]} */
    const found = [];
    for (const wanted of rest) {
      const container = find(wanted);
      if (!container) {
        process.stderr.write(
          docker
            ? `Error response from daemon: No such container: ${wanted}\n`
            : `Error: inspecting object: no such container ${wanted}\n`,
        );
        code = problem;
        continue;
      }
      const running = isAlive(container.pid);
      found.push({
        Id: container.id,
        Name: docker ? `/${container.name}` : container.name,
        Created: container.createdAt,
        State: {
          Status: running ? 'running' : 'exited',
          Running: running,
          Pid: running ? container.pid : 0,
          StartedAt: container.startedAt,
        },
        Config: {
          Labels: container.labels,
          Image: container.image,
          User: container.user,
          WorkingDir: container.workdir,
        },
      });
    }
    const template = last('format');
    if (template === undefined) out(JSON.stringify(found, null, 2));
    else for (const item of found) out(format(template, item));
    return code;
  }

  /** @param {string[]} args */
  function rm(args) {
    const { rest, has } = parseFlags(args, {
      bool: ['force f', 'volumes v', 'link l'],
      valued: docker ? [] : ['time t'],
    });
    let code = 0;
    for (const wanted of rest) {
      const container = find(wanted);
      if (!container) {
        if (docker)
          process.stderr.write(`Error response from daemon: No such container: ${wanted}\n`);
        if (!has('force')) code = 1;
      } else if (isAlive(container.pid) && !has('force')) {
        process.stderr.write(
          `Error response from daemon: cannot remove container "/${container.name}": container is running\n`,
        );
        code = docker ? 1 : 2;
      } else {
        remove(container, 137);
        out(wanted);
      }
    }
    return code;
  }

  /** @param {string[]} args */
  async function events(args) {
    const { last, all } = parseFlags(args, {
      bool: docker ? [] : ['stream', 'no-trunc'],
      valued: ['since', 'until', 'filter f', 'format'],
    });
    if (process.env.CAGEMATCH_STAND_IN_NO_EVENTS !== undefined)
      throw new Refused(1, 'the stand-in was told to tell no events');
    const filters = matcher(all('filter'), ['label', 'event', 'container', 'type', 'image']);
    const since = Number(last('since') ?? Date.now() / 1000);
    const keys = [...new Set(filters.map(({ key }) => key))];
    /**
     * Filters of one key are alternatives.
     * @param {{action: string, name: string, labels: Record<string, string>, at: number, event:
     *   unknown}} entry
     */
    const wanted = (entry) =>
      entry.at >= since &&
      keys.every((key) =>
        filters
          .filter((filter) => filter.key === key)
          .some(({ value }) =>
            key === 'label'
              ? hasLabel(value, entry.labels)
              : key === 'event'
                ? entry.action === value
                : key === 'container'
                  ? entry.name === value
                  : key === 'type'
                    ? value === 'container'
                    : true,
          ),
      );
    const end = followEvents((entry) => {
      if (wanted(entry)) out(format(last('format') ?? '{{json .}}', entry.event));
    });
    if (last('until') === undefined) await forever();
    end();
    return 0;
  }

  /**
   * `volume` and `network`: made, listed, inspected, removed.
   * @param {'volume' | 'network'} kind
   * @param {Record<string, unknown>[]} builtin
   */
  const keeps = (kind, builtin) => {
    const all = () => [...builtin, ...loadAll(`${kind}s`)];
    return {
      [`${kind} create`]: (/** @type {string[]} */ args) => {
        const { rest, all: given } = parseFlags(args, { bool: [], valued: ['label'] });
        const name = rest[0] ?? randomBytes(32).toString('hex');
        const labels = Object.fromEntries(
          given('label').map((label) => [
            label.split('=', 1)[0],
            label.slice(label.indexOf('=') + 1),
          ]),
        );
        save(`${kind}s`, name, { ID: randomBytes(32).toString('hex'), Name: name, Labels: labels });
        out(name);
        return 0;
      },
      [`${kind} ls`]: (/** @type {string[]} */ args) => {
        const {
          has,
          last,
          all: given,
        } = parseFlags(args, { bool: ['quiet q', 'no-trunc'], valued: ['filter f', 'format'] });
        const filters = matcher(given('filter'), ['label']);
        for (const thing of all().filter(({ Labels }) =>
          filters.every(({ value }) => hasLabel(value, Labels)),
        ))
          out(has('quiet') ? thing.Name : format(last('format') ?? '{{.Name}}', thing));
        return 0;
      },
      [`${kind} rm`]: (/** @type {string[]} */ args) => {
        const { rest } = parseFlags(args, { bool: ['force f'], valued: [] });
        for (const name of rest)
          if (!forget(`${kind}s`, name)) throw new Refused(1, `Error: No such ${kind}: ${name}`);
        return 0;
      },
      [`${kind} inspect`]: (/** @type {string[]} */ args) => {
        const { rest, last } = parseFlags(args, { valued: ['format f'] });
        for (const name of rest) {
          const thing = all().find(({ Name }) => Name === name);
          if (!thing)
            throw new Refused(
              problem,
              `Error${docker ? ' response from daemon' : ''}: ${kind} ${name} not found`,
            );
          out(format(last('format') ?? 'json', thing));
        }
        return 0;
      },
    };
  };
  const bridge = {
    ID: '0'.repeat(64),
    Name: docker ? 'bridge' : 'podman',
    Driver: 'bridge',
    Labels: {},
    ...(docker
      ? { IPAM: { Config: [{ Subnet: '127.0.0.0/8', Gateway: GATEWAY }] } }
      : { Subnets: [{ Subnet: '127.0.0.0/8', Gateway: GATEWAY }] }),
  };

  return {
    ...keeps('volume', []),
    ...keeps('network', [bridge]),
    run,
    exec,
    build,
    ps,
    inspect,
    rm,
    events,
    'container inspect': inspect,
    info: (args) => {
      const { last } = parseFlags(args, { valued: ['format f'] });
      out(format(last('format') ?? 'json', docker ? DOCKER_INFO : podmanInfo()));
      return 0;
    },
    version: () => {
      out(`Version: ${VERSION}`);
      return 0;
    },
    'image inspect': (args) => {
      const { rest, last } = parseFlags(args, { valued: ['format f', 'platform'] });
      for (const name of rest) {
        const image = imageOf(name);
        if (!image)
          throw new Refused(
            problem,
            docker
              ? `\nError response from daemon: no such image: ${name}: No such image: ${name}`
              : `Error: inspecting object: ${name}: image not known`,
          );
        const [base, env] = ['sha256:a-base', ['PATH=/usr/bin:/bin', 'NODE_VERSION=22.1.0']];
        // Layers of one's own are another in every build.
        out(
          format(last('format') ?? 'json', {
            Id: image.id,
            RepoTags: [name],
            RootFS: { Layers: [base, image.id] },
            Config: { Env: env },
          }),
        );
      }
      return 0;
    },
    'image ls': (args) => {
      const { last } = parseFlags(args, {
        bool: ['no-trunc', 'quiet q', 'digests'],
        valued: ['format'],
      });
      for (const { id, name } of loadAll('images')) {
        const [repository = '', tag = 'latest'] = name.split(':');
        out(
          format(last('format') ?? '{{.ID}}', {
            ID: id,
            Repository: repository,
            Tag: tag,
            Digest: '<none>',
          }),
        );
      }
      return 0;
    },
    'image rm': (args) => {
      const { rest, has } = parseFlags(args, {
        bool: ['force f', ...(docker ? ['no-prune'] : ['all a', 'ignore i'])],
      });
      if (rest.length === 0)
        throw new Refused(
          problem,
          docker
            ? '"docker image rm" requires at least 1 argument.'
            : 'Error: image name or ID must be specified',
        );
      for (const name of rest) {
        const image = imageOf(name);
        if (!image)
          throw new Refused(
            1,
            docker
              ? `Error response from daemon: No such image: ${name}`
              : `Error: ${name}: image not known`,
          );
        const user = containers().find((container) => container.image === name);
        if (user && !has('force'))
          throw new Refused(
            docker ? 1 : 2,
            docker
              ? `Error response from daemon: conflict: unable to remove repository reference "${name}" (must force) - container ${user.id.slice(0, 12)} is using its referenced image ${image.id.slice(7, 19)}`
              : `Error: image used by ${user.id}: image is in use by a container`,
          );
        // Podman's force takes the containers too.
        if (user && !docker) remove(user, 137);
        forget('images', name.includes(':') ? name : `${name}:latest`);
        out(`Untagged: ${name}`);
      }
      return 0;
    },
  };
}

const DOCKER_INFO = {
  ServerVersion: VERSION,
  OperatingSystem: 'stand-in',
  Driver: 'stand-in',
  CgroupVersion: '2',
  DefaultRuntime: 'runc',
  Runtimes: { runc: { path: 'runc' } },
  ServerErrors: [],
};

function podmanInfo() {
  return {
    host: {
      security: { rootless: false },
      serviceIsRemote: false,
      ociRuntime: { name: 'stand-in' },
      cgroupVersion: 'v2',
      networkBackend: 'netavark',
    },
    store: { graphDriverName: 'stand-in' },
    version: { Version: VERSION },
  };
}

function forever() {
  return new Promise(() => setInterval(() => {}, 2 ** 30));
}

function proxies() {
  const names = ['http_proxy', 'https_proxy', 'ftp_proxy', 'no_proxy'].flatMap((name) => [
    name,
    name.toUpperCase(),
  ]);
  return Object.fromEntries(
    names.flatMap((name) =>
      process.env[name] === undefined ? [] : [[name, process.env[name] ?? '']],
    ),
  );
}
