// A server's clock is known as well as its answers tell it, and no better.
import { expect, it } from 'vitest';
import { createServerClock, describeSkew } from '../../modes/fly/server-clock.js';

const SECOND = Date.parse('2026-01-02T03:04:05Z');
const date = (ms: number) => new Date(ms).toUTCString();

/** @param aheadMs how far the server's clock is ahead */
function heardAt(aheadMs: number, ...sentMs: number[]) {
  // Our clock reads 0 when the wall's reads SECOND; a way there and back takes 20 ms, and half of
  // it is over when the server looks.
  const clock = createServerClock(
    () => SECOND,
    () => 0,
  );
  for (const ms of sentMs) clock.observe(date(SECOND + ms + 10 + aheadMs), ms, ms + 20);
  return clock;
}

it('one answer leaves a second and the way there and back open', () => {
  const ahead = heardAt(0, 0).ahead();
  expect(ahead?.withinMs).toBe(510);
  expect(Math.abs(ahead?.ms ?? Number.NaN)).toBeLessThanOrEqual(510);
});

it('each answer at another part of the second narrows it down, to the way there and back', () => {
  const ahead = heardAt(5000, ...Array.from({ length: 200 }, (_, at) => at * 137)).ahead();
  expect(ahead?.withinMs).toBeLessThan(20);
  expect(Math.abs((ahead?.ms ?? 0) - 5000)).toBeLessThanOrEqual(ahead?.withinMs ?? 0);
});

it('a stamp means no later moment than it can, and none that is impossible', () => {
  const clock = heardAt(-7_200_000, ...Array.from({ length: 50 }, (_, at) => at * 137));
  const happenedMs = 3000;
  const latest = clock.latest(SECOND + happenedMs - 7_200_000) ?? 0;
  expect(latest).toBeGreaterThanOrEqual(happenedMs);
  expect(latest).toBeLessThan(happenedMs + 50);
});

it('a clock that is set anew is believed anew', () => {
  const clock = heardAt(0, 0, 300, 600);
  clock.observe(date(SECOND + 60_000), 900, 920);
  expect(clock.ahead()?.ms).toBeGreaterThan(58_000);
});

it('a server that tells no time, or nonsense, leaves it unknown', () => {
  const clock = createServerClock();
  clock.observe(null, 0, 1);
  clock.observe('yesterday', 0, 1);
  expect([clock.ahead(), clock.latest(1), describeSkew(clock)]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

it('is told in words that stay the same while the clocks do', () => {
  for (const sent of [0, 400, 800]) {
    expect(describeSkew(heardAt(0, sent))).toBe("as this machine's, to the second");
    expect(describeSkew(heardAt(-90_000, sent, sent + 330, sent + 660))).toBe(
      "90 s behind this machine's",
    );
  }
});
