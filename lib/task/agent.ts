// The agent's command line and environment, the same in every runtime.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Delivery } from '../auth/deliver.js';
import type { Command, Env, Layout } from '../contract.js';

/**
 * Print mode with a machine-readable stream. Permissions are skipped as in any unattended run; the walls are the sandbox's
 * business. Nobody has trusted the workspace: without `--setting-sources` its settings start programs and set the model's address
 * (observed of 2.1.329: `env` in `.claude/settings.json` wins over the agent's environment, even with `--bare`), and without both
 * flags the servers of its `.mcp.json` are started.
 */
function agentArgv(prompt: string): [string, ...string[]] {
  const stream = ['--output-format', 'stream-json', '--verbose'];
  return ['claude', '-p', prompt, ...stream, '--dangerously-skip-permissions', '--setting-sources', 'user', '--strict-mcp-config'];
}

/**
 * @param mark a word that only this run knows; a line that begins with it is ours, not the agent's
 * @param inside set where the model has to run beside the agent: paths in the guest
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
  const program: string[] = inside ? ['node', inside.script, inside.cassette, mark, '--', ...agent] : agent;
  const env: Env = {
    HOME: layout.home,
    LANG: 'C.UTF-8',
    // One task is then three requests to the model and nothing else.
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    DISABLE_AUTOUPDATER: '1',
    // The agent refuses to skip permissions as root without it; the same everywhere, so that no mode differs.
    IS_SANDBOX: '1',
    ...(layout.path === undefined ? {} : { PATH: layout.path }),
    // The agent keeps scratch files in a folder of its own; nothing of a run may stay on the host.
    ...(layout.tmp === undefined ? {} : { TMPDIR: layout.tmp, CLAUDE_CODE_TMPDIR: layout.tmp }),
    ...(options.gatewayUrl === undefined ? {} : { ANTHROPIC_BASE_URL: options.gatewayUrl }),
  };
  // The first instruction of ours inside; the host stamps the line when it arrives.
  const begun = 'echo "$0 first-process"; ';
  const rest = { env, cwd: layout.workspace };
  if (delivery.how === 'env')
    return { argv: ['/bin/sh', '-c', `${begun}exec "$@"`, mark, ...program], secretEnv: { [delivery.variable]: delivery.secret }, ...rest };
  const places = [`${layout.home}/.claude/.credentials.json`, layout.memory ?? ''];
  const argv: Command['argv'] = ['/bin/sh', '-c', `${begun}${TAKE_CREDENTIALS}exec "$@" </dev/null`, mark, ...places, ...program];
  return { argv, secretEnv: {}, stdin: `${delivery.document}\n`, ...rest };
}

/**
 * FILE MEMORY: one line of stdin becomes the file where the agent looks for a login, for its own user alone. Where there is a folder
 * in memory, the file lies there and the agent's place is a link to it.
 */
const TAKE_CREDENTIALS = [
  'file=$1; memory=$2; shift 2; umask 077; mkdir -p "$(dirname "$file")"; IFS= read -r line; ',
  'if [ -n "$memory" ]; then ln -sf "$memory/cagematch-credentials.json" "$file"; file=$memory/cagematch-credentials.json; fi; ',
  'rm -f "$file"; printf "%s" "$line" >"$file"; unset line; umask 022; ',
].join('');

/**
 * The pinned agent's own binary, which needs no Node, or undefined when the platform's package was not installed.
 * The platform package is asked for, not its launcher: npm leaves the launcher out on Node 20.
 */
export function agentBinary(platform: NodeJS.Platform = process.platform, arch: string = process.arch): string | undefined {
  const require = createRequire(import.meta.url);
  for (const suffix of ['', '-musl']) {
    try {
      return join(dirname(require.resolve(`@anthropic-ai/claude-code-${platform}-${arch}${suffix}/package.json`)), 'claude');
    } catch {
      // Not this one.
    }
  }
  return undefined;
}
