// Reads a source tree's imports with a real parser, and holds them to the directions that docs/design.md names.
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
  return new Map(files.map((file) => readSource(root, file)).map((source) => [source.path, source]));
}

function readSource(root: string, file: string): Source {
  const text = readFileSync(file, 'utf8');
  const { program, module, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  const dynamic = module.dynamicImports.map(({ moduleRequest }) => text.slice(moduleRequest.start + 1, moduleRequest.end - 1));
  const specifiers = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) => entries.flatMap(({ moduleRequest }) => moduleRequest?.value ?? [])),
    // A path that is computed names no file here (the registry reads the folder).
    ...dynamic.filter((_, index) => /^['"`]/.test(text.slice(module.dynamicImports[index]?.moduleRequest.start ?? 0))),
  ];
  const source: Source = { path: pathIn(root, file), imports: [], outside: [], literals: [] };
  for (const specifier of new Set(specifiers)) {
    if (specifier.startsWith('.')) source.imports.push(pathIn(root, sourceOf(resolve(dirname(file), specifier))));
    else source.outside.push(specifier);
  }
  new Visitor({
    Literal(node) {
      if (typeof node.value === 'string' && !specifiers.includes(node.value)) source.literals.push(node.value);
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

type Floor = 'cli' | 'commands' | 'server' | 'modes' | 'wing' | 'ground' | 'elsewhere';

function floorOf(path: string): Floor {
  if (path === 'cli.ts') return 'cli';
  const [top = '', ...rest] = path.split('/');
  if (top === 'commands' || top === 'server' || top === 'modes') return top;
  if (top === 'lib') return rest.length > 1 ? 'wing' : 'ground';
  return 'elsewhere';
}

/** What each floor may import, itself included. */
const MAY: Record<Floor, Floor[]> = {
  cli: ['cli', 'commands', 'wing', 'ground'],
  commands: ['commands', 'server', 'wing', 'ground'],
  server: ['server', 'wing', 'ground'],
  wing: ['wing', 'ground'],
  modes: ['ground'],
  ground: ['ground'],
  elsewhere: ['elsewhere'],
};

/** What a report may not lead to: it has to build on a machine with no runtime. */
const RUNS_THINGS = /^(lib\/exec\.ts|lib\/match\/run\.ts|modes\/.*)$/;

/** Every edge that points the wrong way, one sentence each; empty when the directions hold. */
export function violations(sources: Map<string, Source>): string[] {
  const modeIds = [...sources.keys()].flatMap((path) => /^modes\/([^/]+)\.\w+$/.exec(path)?.[1] ?? []);
  const found: string[] = [];
  for (const source of sources.values()) {
    const floor = floorOf(source.path);
    for (const target of source.imports) {
      const ownPart = /^modes\/[^/]+\//.test(target) && ownerOf(target) === ownerOf(source.path);
      if (!ownPart && !MAY[floor].includes(floorOf(target))) found.push(`${source.path} imports ${target}`);
    }
    if (source.path.startsWith('lib/report/')) {
      const way = wayTo(sources, source.path);
      if (way) found.push(`${source.path} leads to ${way.at(-1)}: ${way.join(' → ')}`);
    }
    if (!source.path.startsWith('lib/')) continue;
    for (const literal of source.literals) {
      const id = modeIds.find((one) => literal === one || literal.startsWith(`${one}:`));
      if (id !== undefined) found.push(`${source.path} names the mode ${id}`);
    }
  }
  return found;
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
