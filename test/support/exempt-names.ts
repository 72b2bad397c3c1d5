// Linters take a name that begins with `_` for one that is unused on purpose. This finds every such
// name that has no need for it.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BindingPattern, type ParamPattern, parseSync, Visitor } from 'oxc-parser';

/**
 * Every TypeScript and JavaScript file of these files and folders, with the path under which it was
 * found.
 */
export function readTexts(root: string, parts: readonly string[]): Map<string, string> {
  const files = parts.flatMap((part) =>
    /\.\w+$/.test(part)
      ? [part]
      : readdirSync(join(root, part), { recursive: true, encoding: 'utf8' })
          .filter((name) => /\.(ts|mjs)$/.test(name))
          .map((name) => `${part}/${name}`),
  );
  return new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));
}

/**
 * The declared names that begin with `_`, in order. The only ones left out are parameters before
 * one with another name: they cannot be omitted, and a linter still finds the last one if it is
 * unused.
 */
export function exemptNames(file: string, text: string): string[] {
  const { program, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  const found: { at: number; name: string }[] = [];
  const check = (pattern: Named | null | undefined) => {
    for (const { name, start } of pattern ? bindingsOf(pattern) : [])
      if (name.startsWith('_')) found.push({ at: start, name });
  };
  const checkFunction = ({ id, params }: { id?: Named | null; params: ParamPattern[] }) => {
    check(id);
    const lastUsed = params.findLastIndex((param) =>
      bindingsOf(param).some(({ name }) => !name.startsWith('_')),
    );
    params.forEach((param, index) => {
      if (index > lastUsed || param.type !== 'Identifier') check(param);
    });
  };
  const checkId = ({ id }: { id: Named | null }) => check(id);
  const checkLocal = ({ local }: { local: Named }) => check(local);
  new Visitor({
    VariableDeclarator: checkId,
    FunctionDeclaration: checkFunction,
    FunctionExpression: checkFunction,
    ArrowFunctionExpression: checkFunction,
    ClassDeclaration: checkId,
    ImportSpecifier: checkLocal,
    ImportDefaultSpecifier: checkLocal,
    ImportNamespaceSpecifier: checkLocal,
    CatchClause: ({ param }) => check(param),
    TSTypeAliasDeclaration: checkId,
    TSInterfaceDeclaration: checkId,
    TSEnumDeclaration: checkId,
    TSTypeParameter: ({ name }) => check(name),
  }).visit(program);
  return found.sort((a, b) => a.at - b.at).map(({ name }) => name);
}

type Named = BindingPattern | ParamPattern;

function bindingsOf(pattern: Named): { name: string; start: number }[] {
  switch (pattern.type) {
    case 'Identifier':
      return [pattern];
    case 'ObjectPattern':
      return pattern.properties.flatMap((property) =>
        bindingsOf(property.type === 'RestElement' ? property.argument : property.value),
      );
    case 'ArrayPattern':
      return pattern.elements.flatMap((element) =>
        element === null
          ? []
          : bindingsOf(element.type === 'RestElement' ? element.argument : element),
      );
    case 'AssignmentPattern':
      return bindingsOf(pattern.left);
    case 'RestElement':
      return bindingsOf(pattern.argument);
    case 'TSParameterProperty':
      return bindingsOf(pattern.parameter);
  }
}
