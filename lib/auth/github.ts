// The user's credential for GitHub, which an agent that pushes would need.
import type { Env } from '../contract.js';
import { capture, succeeded, which } from '../os/exec.js';

export interface GitHubCredential {
  where: string;
  /** Never printed, stored, or put into an argv. */
  secret: string;
}

/** In gh's own order: GH_TOKEN, GITHUB_TOKEN, what gh has stored. */
export async function findGitHub(env: Env): Promise<GitHubCredential | undefined> {
  for (const name of ['GH_TOKEN', 'GITHUB_TOKEN']) {
    const secret = env[name];
    if (secret) return { where: name, secret };
  }
  if (which('gh', env) === undefined) return undefined;
  const asked = await capture(['gh', 'auth', 'token'], { env, timeoutMs: 10_000 });
  const secret = asked.stdout.trim();
  return succeeded(asked) && secret !== '' ? { where: 'gh auth', secret } : undefined;
}
