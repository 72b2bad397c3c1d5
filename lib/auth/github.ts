// The user's GitHub credential, which an agent that pushes needs.
import type { Env } from '../contract.js';
import { capture, succeeded } from '../os/capture.js';
import { which } from '../os/path-search.js';

export interface GitHubCredential {
  where: string;
  /** Never printed, stored, or put into an argv. */
  secret: string;
}

/** Searches in gh's own order: GH_TOKEN, GITHUB_TOKEN, gh's stored token. */
export async function findGitHub(env: Env): Promise<GitHubCredential | undefined> {
  for (const name of ['GH_TOKEN', 'GITHUB_TOKEN']) {
    const secret = env[name];
    if (secret) return { where: name, secret };
  }
  if (which('gh', env) === undefined) return undefined;
  const result = await capture(['gh', 'auth', 'token'], { env, timeoutMs: 10_000 });
  const secret = result.stdout.trim();
  return succeeded(result) && secret !== '' ? { where: 'gh auth', secret } : undefined;
}
