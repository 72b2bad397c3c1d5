// Whatever the fly mode and its stand-in say to each other is in the published contract of the
// Machines API; what is not fails the test.
import { afterEach, expect, it, vi } from 'vitest';
import fly from '../../modes/fly.js';
import { contextOf, specOf } from '../support/call-mode.js';
import { standIn } from '../support/stand-ins/fly.js';
import type { Fate } from '../support/stand-ins/fly-api.mjs';

const NAME = 'cagematch-20260102-030405-abcd-fly-1';

afterEach(() => vi.unstubAllGlobals());

/** As a mistake in the mode would: what it sends is changed on the way. */
function plant(change: (address: URL, body: Record<string, unknown> | undefined) => void): void {
  const send = globalThis.fetch;
  vi.stubGlobal('fetch', (to: URL, init: RequestInit = {}) => {
    const address = new URL(to);
    const body = typeof init.body === 'string' ? JSON.parse(init.body) : undefined;
    change(address, body);
    return send(address, body ? { ...init, body: JSON.stringify(body) } : init);
  });
}

async function launchOnce(fate?: Fate): Promise<{ failed: unknown; closing: Promise<void> }> {
  const stand = await standIn({
    befalls: ({ operation }) => (operation === 'Machines_show' ? fate : undefined),
  });
  const ctx = contextOf('fly', stand.env);
  const spec = specOf(NAME);
  try {
    const { handle } = await fly.launch(ctx, spec);
    await fly.destroy(ctx, handle);
    return { failed: undefined, closing: stand.close() };
  } catch (failed) {
    return { failed, closing: stand.close() };
  } finally {
    await ctx.close();
    spec.close();
  }
}

it('a launch and its end say nothing that the contract forbids', async () => {
  const { failed, closing } = await launchOnce();
  expect(failed).toBeUndefined();
  await closing;
});

it.each<[string, (address: URL, body: Record<string, unknown> | undefined) => void, RegExp]>([
  [
    'a number as a text',
    (_, body) => body?.config && Object.assign(body.config, { guest: { cpus: '2' } }),
    /cpus must be integer/,
  ],
  [
    'a field that the API does not have',
    (_, body) => body?.config && Object.assign(body, { zone: 'a' }),
    /additional properties \(zone\)/,
  ],
  [
    'no image',
    (_, body) => body?.config && delete (body.config as { image?: string }).image,
    /required property 'image'/,
  ],
  [
    'a policy of its own invention',
    (_, body) => body?.config && Object.assign(body.config, { restart: { policy: 'never' } }),
    /one of the allowed values/,
  ],
  [
    'a longer wait',
    (to) => to.searchParams.has('timeout') && to.searchParams.set('timeout', '90'),
    /timeout: it must be <= 60/,
  ],
  [
    'another command than a list',
    (_, body) => body?.command && Object.assign(body, { command: 'sh' }),
    /command must be array/,
  ],
])(
  'planted: a request with %s ends the launch, and fails the test that it was sent in',
  async (_, change, message) => {
    plant(change);
    const { failed, closing } = await launchOnce();
    await expect(closing).rejects.toThrow(message);
    expect(failed).toMatchObject({ code: 'launch-failed' });
  },
);

it('planted: an answer that the API never gives fails the test too', async () => {
  const { closing } = await launchOnce({ instead: { id: 7, state: 'destroyed' } });
  await expect(closing).rejects.toThrow(
    /the stand-in's own answer: Machines_show 200: \/id must be string/,
  );
});
