// Reads a source tree's imports with a real parser, and holds them to the directions that
// docs/design.md names.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { parseSync, Visitor } from 'oxc-parser';

export interface Source {
  /** Relative to the root, with `/`. */
  path: string;
  /** Files of the tree that it imports. */
  imports: string[];
  /** Names of packages and of Node's own modules. */
  outside: string[];
  /** Every text that stands between quotes, other than where an import names its file. */
  literals: string[];
}

const PARTS = ['cli.ts', 'commands', 'lib', 'modes', 'server'];

/** Every TypeScript and JavaScript source of a tree, by path. */
export function readSources(root: string): Map<string, Source> {
  const files = PARTS.filter((part) => existsSync(join(root, part))).flatMap((part) => {
    const path = join(root, part);
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path, { recursive: true, encoding: 'utf8' })
      .map((name) => join(path, name))
      .filter((name) => /\.(ts|mjs)$/.test(name) && !name.endsWith('.d.ts'));
  });
  return new Map(
    files.map((file) => readSource(root, file)).map((source) => [source.path, source]),
  );
}

function readSource(root: string, file: string): Source {
  const text = readFileSync(file, 'utf8');
  const { program, module, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  const dynamic = module.dynamicImports.map(({ moduleRequest }) =>
    text.slice(moduleRequest.start + 1, moduleRequest.end - 1),
  );
  const specifiers = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) =>
      entries.flatMap(({ moduleRequest }) => moduleRequest?.value ?? []),
    ),
    // A path that is computed names no file here (the registry reads the folder).
    ...dynamic.filter((_, index) =>
      /^['"`]/.test(text.slice(module.dynamicImports[index]?.moduleRequest.start ?? 0)),
    ),
  ];
  const source: Source = { path: pathIn(root, file), imports: [], outside: [], literals: [] };
  for (const specifier of new Set(specifiers)) {
    if (specifier.startsWith('.'))
      source.imports.push(pathIn(root, sourceOf(resolve(dirname(file), specifier))));
    else source.outside.push(specifier);
  }
  new Visitor({
    Literal(node) {
      if (typeof node.value === 'string' && !specifiers.includes(node.value))
        source.literals.push(node.value);
    },
    TemplateElement(node) {
      source.literals.push(node.value.cooked ?? node.value.raw);
    },
  }).visit(program);
  return source;
}

/** TypeScript's imports name the file that will be there once it is compiled. */
function sourceOf(path: string): string {
  const typed = path.replace(/\.js$/, '.ts');
  return existsSync(typed) ? typed : path;
}

function pathIn(root: string, file: string): string {
  return relative(root, file).replaceAll('\\', '/');
}

/** What belongs to one mode alone: `modes/alpha.ts`, and all in `modes/alpha/`. */
const ownerOf = (path: string) => /^modes\/([^/.]+)/.exec(path)?.[1];

/** What in lib/ is for everybody: the stones, this machine, and the kit for authors of modes. */
const GROUND = /^lib\/([^/]+|(os|kit)\/.+)$/;
const WINGS = [
  'record',
  'statistics',
  'report',
  'auth',
  'model',
  'task',
  'census',
  'sandbox',
  'match',
  'probes',
  'session',
] as const;
const BELOW_SANDBOX = ['auth', 'model', 'task', 'statistics', 'record', 'ground'] as const;

type Floor =
  | (typeof WINGS)[number]
  | 'cli'
  | 'commands'
  | 'server'
  | 'modes'
  | 'ground'
  | 'elsewhere';

function floorOf(path: string): Floor {
  if (path === 'cli.ts') return 'cli';
  const [top = '', wing] = path.split('/');
  if (top === 'commands' || top === 'server' || top === 'modes') return top;
  if (GROUND.test(path)) return 'ground';
  return (top === 'lib' && WINGS.find((name) => name === wing)) || 'elsewhere';
}

/** What each floor may import besides itself. */
const MAY: Record<Floor, readonly Floor[]> = {
  cli: ['commands', 'ground'],
  commands: ['server', ...WINGS, 'ground'],
  server: [...WINGS, 'ground'],
  session: ['sandbox', ...BELOW_SANDBOX],
  match: ['sandbox', 'census', ...BELOW_SANDBOX],
  probes: ['sandbox', 'census', ...BELOW_SANDBOX],
  sandbox: BELOW_SANDBOX,
  census: ['task', 'record', 'ground'],
  task: ['model', 'auth', 'record', 'ground'],
  model: ['auth', 'record', 'ground'],
  auth: ['record', 'ground'],
  report: ['statistics', 'record', 'ground'],
  statistics: ['record', 'ground'],
  record: ['ground'],
  modes: ['ground'],
  ground: [],
  elsewhere: [],
};

/** What a report may not lead to: it has to build on a machine with no runtime. */
const RUNS_THINGS = /^(lib\/os\/exec\.ts|lib\/match\/run\.ts|modes\/.*)$/;

/**
 * Every edge that points the wrong way, every circle, and what stands in the wrong place, one
 * sentence each; empty when all is well.
 */
export function violations(sources: Map<string, Source>): string[] {
  const modeIds = [...sources.keys()].flatMap(
    (path) => /^modes\/([^/]+)\.\w+$/.exec(path)?.[1] ?? [],
  );
  const found: string[] = [];
  for (const source of sources.values()) {
    const floor = floorOf(source.path);
    for (const target of source.imports) {
      const own =
        floorOf(target) === floor && (floor !== 'modes' || isOwnPart(source.path, target));
      if (!own && !MAY[floor].includes(floorOf(target)))
        found.push(`${source.path} imports ${target}`);
    }
    if (source.path.startsWith('lib/report/')) {
      const way = wayTo(sources, source.path);
      if (way) found.push(`${source.path} leads to ${way.at(-1)}: ${way.join(' → ')}`);
    }
    if (!source.path.startsWith('lib/')) continue;
    const mode = onlyModeOf(sources, source.path);
    if (mode !== undefined) found.push(`${source.path} serves the mode ${mode} alone`);
    for (const literal of source.literals) {
      const id = modeIds.find((modeId) => literal === modeId || literal.startsWith(`${modeId}:`));
      if (id !== undefined) found.push(`${source.path} names the mode ${id}`);
    }
  }
  return [...found, ...circles(sources)];
}

const isOwnPart = (from: string, target: string) =>
  /^modes\/[^/]+\//.test(target) && ownerOf(target) === ownerOf(from);

/**
 * The mode that is the only one to import a file of lib/; undefined where there are several, or
 * others.
 */
function onlyModeOf(sources: Map<string, Source>, path: string): string | undefined {
  const importers = [...sources.values()]
    .filter(({ imports }) => imports.includes(path))
    .map((source) => source.path);
  const modes = new Set(importers.map((importer) => ownerOf(importer)));
  return modes.size === 1 ? [...modes][0] : undefined;
}

/** Files that import each other, over however many others; each circle once. */
function circles(sources: Map<string, Source>): string[] {
  const found = new Map<string, string>();
  const done = new Set<string>();
  const walk = (path: string, way: string[]) => {
    const at = way.indexOf(path);
    if (at !== -1) {
      const circle = way.slice(at);
      found.set([...circle].sort().join(' '), `a circle: ${[...circle, path].join(' → ')}`);
      return;
    }
    if (done.has(path)) return;
    for (const next of sources.get(path)?.imports ?? []) walk(next, [...way, path]);
    done.add(path);
  };
  for (const path of sources.keys()) walk(path, []);
  return [...found.values()];
}

/** The shortest way from a file to one that runs things, if there is any. */
function wayTo(sources: Map<string, Source>, from: string): string[] | undefined {
  const ways = [[from]];
  const seen = new Set([from]);
  for (let way = ways.shift(); way; way = ways.shift()) {
    for (const next of sources.get(way.at(-1) ?? '')?.imports ?? []) {
      if (seen.has(next)) continue;
      seen.add(next);
      if (RUNS_THINGS.test(next)) return [...way, next];
      ways.push([...way, next]);
    }
  }
  return undefined;
}
