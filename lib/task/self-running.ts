// Which files of a workspace run by themselves: when somebody opens the folder in an editor or an agent, enters it in a shell,
// runs git there, installs, commits or pushes. What waits to be called (a Makefile, a test, the program itself) is none of them,
// and neither are words that an agent reads (CLAUDE.md).

/** Looked at by name, so that no number of other files hides one and the workspace is not walked. Names below it are not known. */
export type Place =
  | { path: string; kind: 'file' }
  /** All below it, or what `wanted` says of a path below it; folders of a name in `skipped` are not entered. */
  | { path: string; kind: 'tree'; wanted?(below: string): boolean; skipped?: readonly string[] }
  /** Some keys of a JSON document: the rest of it runs nothing. */
  | { path: string; kind: 'keys'; keys: readonly string[] };

const file = (path: string): Place => ({ path, kind: 'file' });
const tree = (path: string): Place => ({ path, kind: 'tree' });

/** Filters, fsmonitor, textconv, external diffs, credential helpers, where hooks are, where the rest of the configuration is. */
const GIT_FILES = /(^|\/)(config|config\.worktree|commondir|gitdir|info\/attributes)$/;
/** `git init` itself puts samples there, which never run. */
const GIT_HOOK = /(^|\/)hooks\/(?!.*\.sample$)/;

/** Of a folder that git takes for a repository. @param at '' or a path that ends with a slash */
const repository = (at: string): Place[] => [
  ...['config', 'config.worktree', 'commondir', 'info/attributes'].map((name) => file(`${at}${name}`)),
  { path: `${at}hooks`, kind: 'tree', wanted: (below) => !below.endsWith('.sample') },
  ...['modules', 'worktrees'].map((name): Place => {
    const wanted = (below: string) => GIT_FILES.test(below) || GIT_HOOK.test(below);
    return { path: `${at}${name}`, kind: 'tree', wanted, skipped: ['objects', 'refs', 'logs'] };
  }),
];

export const PLACES: readonly Place[] = [
  // git: any command of its runs these. `.git` as a file or a link leads to a repository elsewhere.
  file('.git'),
  ...repository('.git/'),
  file('.gitattributes'),
  file('.gitmodules'),
  // With folders of git's names beside it, this makes the workspace itself a repository, whose configuration git obeys.
  file('HEAD'),
  // Agents.
  ...['.claude', '.cursor', '.codex', '.gemini', '.opencode'].map(tree),
  ...['.mcp.json', 'opencode.json'].map(file),
  // Editors.
  ...['.vscode', '.idea', '.devcontainer', '.zed'].map(tree),
  ...['.devcontainer.json', '.exrc', '.nvim.lua', '.nvimrc', '.vimrc', '.dir-locals.el'].map(file),
  // Shells.
  ...['.envrc', 'mise.toml', '.mise.toml'].map(file),
  tree('.mise'),
  // Installing.
  { path: 'package.json', kind: 'keys', keys: ['scripts', 'packageManager', 'gitHooks', 'husky', 'lint-staged', 'simple-git-hooks'] },
  ...['.npmrc', '.yarnrc', '.yarnrc.yml', '.pnpmfile.cjs', '.pnpmfile.mjs', 'binding.gyp', 'bunfig.toml'].map(file),
  ...['.yarn/plugins', '.yarn/releases'].map(tree),
  ...['.cargo/config', '.cargo/config.toml'].map(file),
  // Committing.
  ...['.husky', '.githooks'].map(tree),
  ...['.pre-commit-config.yaml', '.overcommit.yml', 'lefthook.yml', '.lefthook.yml', '.lintstagedrc', '.lintstagedrc.json'].map(file),
  // Pushing.
  ...['.github/workflows', '.github/actions', '.circleci', '.buildkite'].map(tree),
  ...['.gitlab-ci.yml', '.travis.yml', 'azure-pipelines.yml', 'bitbucket-pipelines.yml', 'Jenkinsfile'].map(file),
];
