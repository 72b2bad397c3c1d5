// This mode's use of the Machines API: its client, and its errors as messages with hints.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../../lib/contract.js';
import { CagematchError } from '../../lib/errors.js';
import { imageName } from '../../lib/kit/oci/image.js';
import { type Answer, type HttpApi, hasSucceeded, openHttpApi, whyRefused } from './http-api.js';

/**
 * The API's rate limit for every action on one machine, and on one app; reading a machine has a
 * higher limit.
 */
const ACTION = { perSecond: 1, burst: 3 };

const READING = { perSecond: 5, burst: 10 };

const QUICK_MS = 15_000;

const NO_TOKEN = 'FLY_API_TOKEN is not set';

export interface Machine {
  id: string;
  name: string;
  state: string;
  region?: string;
  config?: { metadata?: Record<string, string> };
  events?: {
    type?: string;
    status?: string;
    timestamp?: number;
    request?: { exit_event?: { exit_code?: number; oom_killed?: boolean } };
  }[];
}

export function appOf(ctx: Context): string | undefined {
  if (ctx.env.CAGEMATCH_FLY_APP) return ctx.env.CAGEMATCH_FLY_APP;
  try {
    return /^\s*app\s*=\s*["']([^"']+)["']/m.exec(
      readFileSync(join(ctx.packageRoot, 'fly.toml'), 'utf8'),
    )?.[1];
  } catch {
    return undefined;
  }
}

interface Request {
  method: 'GET' | 'POST' | 'DELETE';
  /** Path relative to the app. */
  path: string;
  /** Key of the rate limit: the action, and the machine if it concerns only one. */
  key: string;
  pace?: typeof ACTION;
  body?: unknown;
  timeoutMs?: number;
  repeatable?: boolean;
}

/** One client per match, because all runs share the API's rate limit. */
export function client(ctx: Context): Promise<HttpApi> {
  const token = ctx.env.FLY_API_TOKEN ?? '';
  const base = ctx.env.FLY_FLAPS_BASE_URL ?? 'https://api.machines.dev';
  return ctx.keep<HttpApi>(`api ${base}`, () =>
    openHttpApi(base, token.startsWith('FlyV1 ') ? token : `Bearer ${token}`),
  );
}

export async function call(ctx: Context, request: Request): Promise<Answer> {
  if (!ctx.env.FLY_API_TOKEN) return { status: undefined, reason: NO_TOKEN };
  const { method, path, body, repeatable } = request;
  return (await client(ctx)).call({
    method,
    path: `/v1/apps/${encodeURIComponent(appOf(ctx) ?? '')}${path}`,
    ...(body === undefined ? {} : { body }),
    pace: { key: request.key, ...(request.pace ?? ACTION) },
    timeoutMs: request.timeoutMs ?? QUICK_MS,
    repeatable: repeatable ?? method !== 'POST',
    signal: ctx.signal,
  });
}

export async function must<T>(
  ctx: Context,
  code: CagematchError['code'],
  request: Request,
): Promise<T> {
  const answer = await call(ctx, request);
  if (hasSucceeded(answer)) return answer.body as T;
  const trouble = diagnose(appOf(ctx) ?? '', answer);
  throw new CagematchError(code, trouble.reason, trouble.hint);
}

/**
 * True if the region, or the organization's quota there, is exhausted: the status code does not
 * distinguish either case.
 */
export function isFull(answer: Answer): boolean {
  if (answer.status === undefined) return false;
  const { status } = (answer.body ?? {}) as { status?: string };
  return status === 'insufficient_capacity' || FULL.test(whyRefused(answer));
}

const FULL =
  /insufficient (resources|capacity|memory|cpus)|no capacity|at capacity|could not reserve resource|over the allowed quota/i;

export function diagnose(
  app: string,
  answer: Answer,
): { broken: boolean; reason: string; hint: string } {
  const message = whyRefused(answer);
  if (message === NO_TOKEN) return { broken: false, reason: message, hint: tokenHint(app) };
  if (answer.status === undefined)
    return {
      broken: true,
      reason: `the Machines API does not answer: ${message}`,
      hint: 'check the network, or FLY_FLAPS_BASE_URL',
    };
  if (answer.status === 401)
    return { broken: false, reason: `Fly.io refuses the token (${message})`, hint: tokenHint(app) };
  if (answer.status === 403 || (answer.status === 404 && !/machine|manifest|image/i.test(message)))
    return {
      broken: false,
      reason: `the token sees no Fly.io app ${app} (${message})`,
      hint: createHint(app),
    };
  return {
    broken: true,
    reason: `the Machines API does not answer as it should: ${message}`,
    hint: 'see status.flyio.net',
  };
}

/** @param repeatable false if nothing bounds the waiting time */
export function askForApp(ctx: Context, repeatable = true): Promise<Answer> {
  return call(ctx, {
    method: 'GET',
    path: '',
    key: 'app',
    pace: READING,
    timeoutMs: 4500,
    repeatable,
  });
}

export function whyNoMachine(ctx: Context, answer: Answer): CagematchError {
  const message = whyRefused(answer);
  if (/manifest|unable to (resolve|pull)|image .*not found/i.test(message))
    return new CagematchError(
      'image-unavailable',
      `Fly.io cannot get ${imageOf(ctx)} (${message})`,
      'npm run fly:build',
    );
  if (/\bregion\b/i.test(message))
    return new CagematchError(
      'launch-failed',
      `Fly.io refuses the region (${message})`,
      'fly platform regions',
    );
  const trouble = diagnose(appOf(ctx) ?? '', answer);
  return new CagematchError('launch-failed', trouble.reason, trouble.hint);
}

export const NAME_APP = 'set CAGEMATCH_FLY_APP, or app in fly.toml';

export function createHint(app: string): string {
  return `fly apps create ${app}`;
}

export function tokenHint(app: string): string {
  return `fly tokens create deploy -a ${app} -x 720h`;
}

/** The regions in order of preference; if there are none, the API chooses the nearest. */
export function regionsOf(ctx: Context): string[] {
  return (ctx.env.FLY_REGION ?? '').split(',').flatMap((region) => region.trim() || []);
}

export function get(ctx: Context, id: string): Promise<Answer> {
  return call(ctx, { method: 'GET', path: `/machines/${id}`, key: `get ${id}`, pace: READING });
}

export function imageOf(ctx: Context): string {
  return `registry.fly.io/${appOf(ctx)}:${label(ctx)}`;
}

export function label(ctx: Context): string {
  return imageName(ctx, undefined).split(':')[1] ?? 'latest';
}
