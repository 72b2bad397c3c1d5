// Lists the files of a workspace that execute by themselves: when someone opens the folder in an
// editor or an agent, enters it in a shell, runs git there, installs, commits or pushes. Files that
// have to be invoked (a Makefile, a test, the program itself) are not included, nor are texts that
// an agent reads (CLAUDE.md).

/**
 * A place that is looked up by its exact path, so that no number of other files can hide it and the
 * workspace is not walked. The same name in a subfolder is not detected.
 */
export type Place =
  | { path: string; kind: 'file' }
  /**
   * Everything below it, or the paths below it that `wanted` accepts; folders whose name is in
   * `skipped` are not entered.
   */
  | { path: string; kind: 'tree'; wanted?(below: string): boolean; skipped?: readonly string[] }
  /** Only some keys of a JSON document: the rest of it executes nothing. */
  | { path: string; kind: 'keys'; keys: readonly string[] };

const file = (path: string): Place => ({ path, kind: 'file' });
const tree = (path: string): Place => ({ path, kind: 'tree' });

/**
 * Files that configure filters, fsmonitor, textconv, external diffs, credential helpers, the hooks
 * path, or further configuration files.
 */
const GIT_FILES = /(^|\/)(config|config\.worktree|commondir|gitdir|info\/attributes)$/;
/** Hooks, except the samples from `git init`, which never run. */
const GIT_HOOK = /(^|\/)hooks\/(?!.*\.sample$)/;

/**
 * Places in a folder that git treats as a repository.
 * @param at '' or a path that ends with a slash
 */
const repository = (at: string): Place[] => [
  ...['config', 'config.worktree', 'commondir', 'info/attributes'].map((name) =>
    file(`${at}${name}`),
  ),
  { path: `${at}hooks`, kind: 'tree', wanted: (below) => !below.endsWith('.sample') },
  ...['modules', 'worktrees'].map((name): Place => {
    const wanted = (below: string) => GIT_FILES.test(below) || GIT_HOOK.test(below);
    return { path: `${at}${name}`, kind: 'tree', wanted, skipped: ['objects', 'refs', 'logs'] };
  }),
];

export const PLACES: readonly Place[] = [
  // git: any git command executes these. `.git` as a file or a link points to a repository
  // elsewhere.
  file('.git'),
  ...repository('.git/'),
  file('.gitattributes'),
  file('.gitmodules'),
  // Next to folders with git's names, this file makes the workspace itself a repository, whose
  // configuration git obeys.
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
  {
    path: 'package.json',
    kind: 'keys',
    keys: ['scripts', 'packageManager', 'gitHooks', 'husky', 'lint-staged', 'simple-git-hooks'],
  },
  ...[
    '.npmrc',
    '.yarnrc',
    '.yarnrc.yml',
    '.pnpmfile.cjs',
    '.pnpmfile.mjs',
    'binding.gyp',
    'bunfig.toml',
  ].map(file),
  ...['.yarn/plugins', '.yarn/releases'].map(tree),
  ...['.cargo/config', '.cargo/config.toml'].map(file),
  // Committing.
  ...['.husky', '.githooks'].map(tree),
  ...[
    '.pre-commit-config.yaml',
    '.overcommit.yml',
    'lefthook.yml',
    '.lefthook.yml',
    '.lintstagedrc',
    '.lintstagedrc.json',
  ].map(file),
  // Pushing.
  ...['.github/workflows', '.github/actions', '.circleci', '.buildkite'].map(tree),
  ...[
    '.gitlab-ci.yml',
    '.travis.yml',
    'azure-pipelines.yml',
    'bitbucket-pipelines.yml',
    'Jenkinsfile',
  ].map(file),
];
