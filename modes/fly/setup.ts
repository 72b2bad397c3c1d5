// The setup steps, from nothing to a working row.
import type { Context, SetupStep } from '../../lib/contract.js';
import { appOf, askForApp, createHint, label, NAME_APP, tokenHint } from './api.js';
import { CLI, INSTALL } from './image.js';
import { placesOf } from './one-program.js';

/** The steps from a new account to a first machine. */
export async function setup(ctx: Context): Promise<SetupStep[]> {
  const app = appOf(ctx);
  const { status } = await askForApp(ctx, false);
  // A response of "forbidden" or "not found" means that the token itself was accepted.
  const taken = status === 200 || status === 403 || status === 404;
  const token = !ctx.env.FLY_API_TOKEN
    ? 'not set'
    : status === 401
      ? 'refused'
      : taken
        ? 'taken'
        : 'not checked: no answer';
  return [
    {
      text: "Fly's command line is on PATH (it builds and pushes; machines do not need it)",
      done: placesOf(CLI, ctx).length > 0,
      hint: INSTALL,
    },
    {
      text: 'you are signed in there',
      done: status === 200 ? true : undefined,
      hint: 'fly auth login',
    },
    {
      text: `an app is named${app === undefined ? '' : `: ${app}`}`,
      done: app !== undefined,
      hint: NAME_APP,
    },
    {
      text: 'the app is there',
      done: taken ? status === 200 : undefined,
      hint: createHint(app ?? 'NAME'),
    },
    {
      text: `FLY_API_TOKEN: ${token}`,
      done: token === 'not checked: no answer' ? undefined : taken,
      hint: `${tokenHint(app ?? 'NAME')}, and put it into .env as FLY_API_TOKEN`,
    },
    {
      text: `the image is in its registry: ${label(ctx)}`,
      done: undefined,
      hint: 'npm run fly:build',
    },
  ];
}
