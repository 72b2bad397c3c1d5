// Stand-in for kubectl and the cluster behind it: the documented flags of the commands that
// cagematch gives, refused as the real one does.
import { text } from 'node:stream/consumers';
import { runJailed } from './jail.mjs';
import {
  allOf,
  befall,
  create,
  envOf,
  fateOfExec,
  fault,
  find,
  mountsOf,
  Refused,
  remove,
  serverError,
  TYPES,
  userOf,
} from './kube-cluster.mjs';
import { codeOf, enter, leave, noteArgv, save } from './state.mjs';
import { parseFlags, Usage } from './strict-flags.mjs';

const VERSION = 'v1.33.1-stand-in';
const CONTEXTS = (process.env.CAGEMATCH_STAND_IN_CONTEXTS ?? 'kind-stand-in production')
  .split(' ')
  .filter(Boolean);
/** Of `kubectl options`. */
const GLOBAL = {
  context: { value: true },
  namespace: { short: 'n', value: true },
  kubeconfig: { value: true },
  'request-timeout': { value: true },
};
const OUTPUT = { output: { short: 'o', value: true } };
const SELECT = {
  selector: { short: 'l', value: true },
  'field-selector': { value: true },
  'ignore-not-found': {},
};
/**
 * By command; of `kubectl COMMAND --help`, without what needs more of a cluster than there is here.
 */
const FLAGS = {
  version: { ...OUTPUT, client: {} },
  config: OUTPUT,
  create: { ...OUTPUT, filename: { short: 'f', value: true }, validate: { value: true } },
  patch: { ...OUTPUT, type: { value: true }, patch: { short: 'p', value: true } },
  get: { ...OUTPUT, ...SELECT, watch: { short: 'w' }, 'sort-by': { value: true } },
  delete: {
    ...OUTPUT,
    ...SELECT,
    wait: {},
    timeout: { value: true },
    'grace-period': { value: true },
    force: {},
    cascade: { value: true },
  },
  exec: {
    container: { short: 'c', value: true },
    quiet: { short: 'q' },
    stdin: { short: 'i' },
    tty: { short: 't' },
  },
  logs: { ...SELECT, container: { short: 'c', value: true } },
};

/** @param {string} text */
const print = (text) => process.stdout.write(text);
/** @param {unknown} value */
const asJson = (value) => `${JSON.stringify(value, null, 4)}\n`;

/**
 * The part of kubectl's jsonpath that is asked here.
 * @param {any} object
 * @param {string} template
 * @returns {string}
 */
function jsonpath(object, template) {
  const [, before = '', inner = '', after = ''] =
    /^(.*?)\{range \.items\[\*\]\}(.*)\{end\}(.*)$/s.exec(template) ?? [];
  if (inner !== '')
    return (
      jsonpath(object, before) +
      object.items.map((/** @type {any} */ item) => jsonpath(item, inner)).join('') +
      jsonpath(object, after)
    );
  return template.replace(/\{([^}]*)\}/g, (_, /** @type {string} */ what) => {
    if (what.startsWith('"')) return JSON.parse(what);
    if (!/^(\.([\w-]|\\\.)+)+$/.test(what))
      throw new Refused(`error: error parsing jsonpath ${template}, unrecognized: ${what}`);
    const keys = what
      .slice(1)
      .split(/(?<!\\)\./)
      .map((key) => key.replaceAll('\\.', '.'));
    const value = keys.reduce((at, key) => at?.[key], object);
    return typeof value === 'object' ? JSON.stringify(value) : String(value ?? '');
  });
}

/** @param {any[]} objects @param {string} format @param {boolean} single */
function printAs(objects, format, single) {
  if (format === 'name') for (const object of objects) print(`${nameOf(object)}\n`);
  else if (format === 'json')
    print(asJson(single ? objects[0] : { apiVersion: 'v1', kind: 'List', items: objects }));
  else if (format.startsWith('jsonpath='))
    print(
      jsonpath(
        single ? objects[0] : { kind: 'List', items: objects },
        format.slice('jsonpath='.length),
      ),
    );
  else
    throw new Refused(
      `error: unable to match a printer suitable for the output format "${format}"`,
    );
}

/** @param {any} object */
function nameOf({ kind, apiVersion, metadata }) {
  const group = /** @type {string} */ (apiVersion ?? 'v1').split('/');
  return `${kind.toLowerCase()}${group.length > 1 ? `.${group[0]}` : ''}/${metadata.name}`;
}

/** `a=b,c` @param {any} object @param {string | undefined} selector */
function bears({ metadata }, selector) {
  return (selector ?? '').split(',').every((term) => {
    const [key = '', value] = term.split('=');
    return (
      key === '' ||
      (value === undefined
        ? metadata.labels?.[key] !== undefined
        : metadata.labels?.[key] === value)
    );
  });
}

/**
 * @param {string} word `TYPE/NAME`, or a type by any of its names
 * @returns {{kind: string, name?: string | undefined}}
 */
function typed(word) {
  const [type = '', name] = word.split('/');
  const known = Object.entries(TYPES).find(([plural, kind]) =>
    [plural, kind.toLowerCase()].includes(type),
  );
  if (!known || (known[1] === 'Sandbox' && !sandboxes()))
    throw new Refused(`error: the server doesn't have a resource type "${type}"`);
  return { kind: known[1], name };
}

const sandboxes = () => process.env.CAGEMATCH_STAND_IN_CRD === 'sandboxes';

/**
 * What the cluster has beside the namespace's own.
 * @param {string} what
 * @param {string} namespace
 */
function cluster(what, namespace) {
  switch (what) {
    case `namespace/${namespace}`:
      if (fault === 'blinkered')
        throw serverError(
          'Forbidden',
          `namespaces "${namespace}" is forbidden: User "somebody" cannot get resource "namespaces"`,
        );
      if (namespace !== 'cagematch')
        throw serverError('NotFound', `namespaces "${namespace}" not found`);
      return { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
    case 'runtimeclasses': {
      const names = (process.env.CAGEMATCH_STAND_IN_CLASSES ?? '').split(' ').filter(Boolean);
      // `name=handler`, where they differ.
      const items = names
        .map((term) => term.split('='))
        .map(([name, handler = name]) => ({ kind: 'RuntimeClass', metadata: { name }, handler }));
      return { kind: 'List', items };
    }
    case 'crd/sandboxes.agents.x-k8s.io':
      if (!sandboxes())
        throw serverError(
          'NotFound',
          'customresourcedefinitions.apiextensions.k8s.io "sandboxes.agents.x-k8s.io" not found',
        );
      return {
        kind: 'CustomResourceDefinition',
        metadata: { name: 'x' },
        spec: { versions: [{ name: 'v1beta1', served: true, storage: true }] },
      };
    default:
      return undefined;
  }
}

/** @param {Record<string, string[]>} flags @param {string[]} rest @param {string} namespace */
async function get(flags, [what = '', ...names], namespace) {
  const format = flags.output?.at(-1) ?? 'wide';
  const resource = cluster(what, namespace);
  if (resource) return resource.items ? print(asJson(resource)) : printAs([resource], format, true);
  if (what === 'events') {
    const fields = Object.fromEntries(
      (flags['field-selector']?.at(-1) ?? '').split(',').map((term) => term.split('=')),
    );
    const events = allOf('Event').filter(
      ({ type, involvedObject }) =>
        type === fields.type && involvedObject.name === fields['involvedObject.name'],
    );
    return printAs(events, format, false);
  }
  const wanted = what.split(',').map(typed);
  const selector = flags.selector?.at(-1);
  const now = () =>
    wanted.flatMap(({ kind, name }) =>
      name ? [find(kind, name)] : allOf(kind).filter((object) => bears(object, selector)),
    );
  if (names.length > 0) throw new Refused('stand-in: names only as TYPE/NAME');
  if (!flags.watch)
    return printAs(now(), format, wanted.length === 1 && wanted[0]?.name !== undefined);
  if (wanted.length > 1)
    throw new Refused(
      'error: watch is only supported on individual resources and resource collections',
    );
  // For a minute, in case that nobody is left to end it.
  const until = Date.now() + 60_000;
  /** @type {Map<string, string>} */
  const printed = new Map();
  while (Date.now() < until) {
    for (const object of now()) {
      if (printed.get(object.metadata.uid) !== asJson(object)) print(asJson(object));
      printed.set(object.metadata.uid, asJson(object));
    }
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}

/** @param {Record<string, string[]>} flags @param {string[]} rest */
async function exec(flags, [target = '', ...argv]) {
  if (argv.length === 0)
    throw new Refused('error: you must specify at least one command for the container');
  if (flags.tty && !process.stdin.isTTY)
    process.stderr.write(
      'Unable to use a TTY - input is not a terminal or the right kind of file\n',
    );
  if (!['agent', undefined].includes(flags.container?.at(-1)))
    throw serverError('BadRequest', `container ${flags.container} is not valid`);
  const job = target.startsWith('job/') ? find('Job', target.slice(4)).metadata.uid : undefined;
  const pod = job
    ? allOf('Pod').find((candidate) => candidate.metadata.ownerReferences[0].uid === job)
    : find('Pod', target);
  const { name, uid } = pod.metadata;
  const fate = fateOfExec(name);
  const stdio = /** @type {const} */ ([flags.stdin ? 'inherit' : 'ignore', 'inherit', 'inherit']);
  // What befalls a pod befalls it under the command, however soon that would have ended: it waits
  // for its end.
  const stoppable = fate ? ['/bin/sh', '-c', 'kill -STOP $$; exec "$@"', 'sh', ...argv] : argv;
  const child = runJailed({
    argv: stoppable,
    env: envOf(pod),
    cwd: '/workspace',
    mounts: mountsOf(pod),
    stdio: [...stdio],
    user: userOf(pod),
  });
  enter(uid, child.pid);
  if (fate) setImmediate(() => befallen(name, fate));
  const code = await codeOf(child).finally(() => leave(uid, child.pid));
  // Kubelet and API server are gone, or the pod is: nobody sends a code, and the client is left
  // with a stream that has ended.
  if (fate) return fate === 'exec-zero' ? 0 : broken();
  if (code !== 0) process.stderr.write(`command terminated with exit code ${code}\n`);
  return code;
}

/** @param {string} name @param {string} fate */
function befallen(name, fate) {
  if (['exec-breaks', 'exec-zero'].includes(fate)) {
    process.exitCode = fate === 'exec-zero' ? 0 : broken();
    process.exit();
  }
  befall(name, fate);
}

function broken() {
  process.stderr.write(
    'error: error reading from error stream: next reader: read tcp 127.0.0.1:50000->127.0.0.1:6443: connection reset by peer\n',
  );
  return 1;
}

/** @param {string[]} args @returns {Promise<number>} */
async function main(args) {
  const leading = parseFlags(args, GLOBAL, { interspersed: false });
  const command = /** @type {keyof typeof FLAGS} */ (leading.rest[0] ?? '');
  if (!(command in FLAGS)) throw new Refused(`error: unknown command "${command}" for "kubectl"`);
  const own = parseFlags(leading.rest.slice(1), { ...GLOBAL, ...FLAGS[command] });
  const { rest } = own;
  const flags = { ...leading.flags, ...own.flags };
  const format = flags.output?.at(-1) ?? 'wide';
  if (command === 'version' && flags.client)
    return done(print(asJson({ clientVersion: { gitVersion: VERSION } })));
  if (command === 'config') {
    if (rest[0] !== 'get-contexts' || format !== 'name')
      throw new Refused(`error: unknown command "${rest[0]}"`);
    return done(print(CONTEXTS.map((name) => `${name}\n`).join('')));
  }
  const context = flags.context?.at(-1);
  if (context === undefined)
    throw new Refused('stand-in: no --context: this would be whatever cluster was used last');
  if (!CONTEXTS.includes(context)) throw new Refused(`error: context "${context}" does not exist`);
  if (context === 'production') save('Touched', 'production', { args });
  if (fault === 'no-cluster')
    throw new Refused(
      'The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?',
    );
  if (fault === 'unauthorized')
    throw new Refused('error: You must be logged in to the server (Unauthorized)');
  const namespace = flags.namespace?.at(-1) ?? 'default';
  switch (command) {
    case 'version':
      return done(
        print(
          asJson({
            clientVersion: { gitVersion: VERSION },
            serverVersion: { gitVersion: VERSION },
          }),
        ),
      );
    case 'create': {
      if (flags.filename?.at(-1) !== '-') throw new Refused('error: must specify one of -f and -k');
      if (fault === 'forbidden')
        throw serverError(
          'Forbidden',
          'jobs.batch is forbidden: User "somebody" cannot create resource "jobs"',
        );
      const given = JSON.parse(await text(process.stdin));
      cluster(`namespace/${namespace}`, namespace);
      for (const item of given.kind === 'List' ? given.items : [given])
        printAs([await create(item, namespace)], format, true);
      return 0;
    }
    case 'patch': {
      const { kind, name = '' } = typed(rest[0] ?? '');
      if (flags.type?.at(-1) !== 'merge')
        throw new Refused('stand-in: patches only with --type=merge');
      const object = find(kind, name);
      save(kind, name, {
        ...object,
        metadata: { ...object.metadata, ...JSON.parse(flags.patch?.at(-1) ?? '{}').metadata },
      });
      return done(printAs([object], format, true));
    }
    case 'get':
      return done(await get(flags, rest, namespace));
    case 'delete': {
      const wanted = (rest[0] ?? '').split(',').map(typed);
      const selector = flags.selector?.at(-1);
      if (selector === undefined && wanted.some(({ name }) => name === undefined))
        throw new Refused('error: resource(s) were provided, but no name was specified');
      for (const { kind, name } of wanted)
        for (const item of name
          ? [find(kind, name)]
          : allOf(kind).filter((object) => bears(object, selector)))
          remove(item);
      return 0;
    }
    case 'exec':
      return exec(flags, rest);
    case 'logs':
      return 0;
  }
}

/** @type {(shown: unknown) => number} */
const done = () => 0;

noteArgv();
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Usage || error instanceof Refused)) throw error;
  process.stderr.write(
    error instanceof Usage
      ? `error: ${error.message}\nSee 'kubectl --help' for usage.\n`
      : `${error.message}\n`,
  );
  process.exitCode = 1;
}
