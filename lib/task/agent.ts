// The agent's command line and environment, the same in every runtime.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Delivery } from '../auth/deliver.js';
import type { Command, Env, Layout } from '../contract.js';

/**
 * Print mode with machine-readable output. Permissions are skipped as in any unattended run;
 * restricting the agent is the sandbox's task. The workspace is untrusted: without
 * `--setting-sources`, its settings start programs and set the model's address (observed with
 * 2.1.329: `env` in `.claude/settings.json` takes precedence over the agent's environment, even
 * with `--bare`), and without both flags the servers in its `.mcp.json` are started.
 */
function agentArgv(prompt: string): [string, ...string[]] {
  const stream = ['--output-format', 'stream-json', '--verbose'];
  return [
    'claude',
    '-p',
    prompt,
    ...stream,
    '--dangerously-skip-permissions',
    '--setting-sources',
    'user',
    '--strict-mcp-config',
  ];
}

/**
 * @param mark a word unique to this run; a line that begins with it is ours, not the agent's
 * @param inside set if the model has to run next to the agent: paths in the guest
 */
export function agentCommand(options: {
  prompt: string;
  layout: Layout;
  mark: string;
  delivery: Delivery;
  gatewayUrl?: string;
  inside?: { script: string; cassette: string };
}): Command {
  const { layout, inside, mark, delivery } = options;
  const agent = agentArgv(options.prompt);
  const program: string[] = inside
    ? ['node', inside.script, inside.cassette, mark, '--', ...agent]
    : agent;
  const env: Env = {
    HOME: layout.home,
    LANG: 'C.UTF-8',
    // With this, one task makes three requests to the model and nothing else.
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    DISABLE_AUTOUPDATER: '1',
    // As root, the agent refuses to skip permissions without it. It is set everywhere, so that the
    // modes do not differ.
    IS_SANDBOX: '1',
    ...(layout.path === undefined ? {} : { PATH: layout.path }),
    // The agent keeps scratch files in its own folder; nothing from a run may stay on the host.
    ...(layout.tmp === undefined ? {} : { TMPDIR: layout.tmp, CLAUDE_CODE_TMPDIR: layout.tmp }),
    ...(options.gatewayUrl === undefined ? {} : { ANTHROPIC_BASE_URL: options.gatewayUrl }),
  };
  // Our first instruction inside; the host records the time when the line arrives.
  const begun = 'echo "$0 first-process"; ';
  const rest = { env, cwd: layout.workspace };
  if (delivery.how === 'env')
    return {
      argv: ['/bin/sh', '-c', `${begun}exec "$@"`, mark, ...program],
      secretEnv: { [delivery.variable]: delivery.secret },
      ...rest,
    };
  const places = [`${layout.home}/.claude/.credentials.json`, layout.memory ?? ''];
  const argv: Command['argv'] = [
    '/bin/sh',
    '-c',
    `${begun}${TAKE_CREDENTIALS}exec "$@" </dev/null`,
    mark,
    ...places,
    ...program,
  ];
  return { argv, secretEnv: {}, stdin: `${delivery.document}\n`, ...rest };
}

/**
 * Shell code with the arguments FILE MEMORY: writes one line of stdin to the file in which the
 * agent looks for a login, readable only by its own user. If there is an in-memory folder, the file
 * is created there and the agent's path is a link to it.
 */
const TAKE_CREDENTIALS = [
  'file=$1; memory=$2; shift 2; umask 077; mkdir -p "$(dirname "$file")"; IFS= read -r line; ',
  'if [ -n "$memory" ]; then ln -sf "$memory/cagematch-credentials.json" "$file"; file=$memory/cagematch-credentials.json; fi; ',
  'rm -f "$file"; printf "%s" "$line" >"$file"; unset line; umask 022; ',
].join('');

/**
 * The pinned agent's own binary, which needs no Node; undefined if the platform's package is not
 * installed. This resolves the platform package rather than its launcher, because npm omits the
 * launcher on Node 20.
 */
export function agentBinary(
  platform: NodeJS.Platform = process.platform,
  arch: string = process.arch,
): string | undefined {
  const require = createRequire(import.meta.url);
  for (const suffix of ['', '-musl']) {
    try {
      return join(
        dirname(
          require.resolve(`@anthropic-ai/claude-code-${platform}-${arch}${suffix}/package.json`),
        ),
        'claude',
      );
    } catch {
      // This package is not installed.
    }
  }
  return undefined;
}
