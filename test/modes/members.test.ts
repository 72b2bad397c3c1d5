// Which machine of a runtime's takes the next sandbox, and word of one that is lost; the runtime's
// answers are the test's, time is not.
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { stream } from '../../lib/os/stream.js';
import { type Member, untilLost, watchMembers } from '../../modes/incus/members.js';
import { thrownBy } from '../support/thrown.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const there = (...names: string[]): Member[] =>
  names.map((name) => ({ name, online: true, status: 'Online: Fully operational' }));
const offline = (name: string): Member => ({
  name,
  online: false,
  status: 'Offline: No heartbeat for 20 s',
});

async function watching(first: Member[]) {
  const answers: (Member[] | Error)[] = [first];
  const members = await watchMembers(async () => {
    const answer = answers.at(-1) as Member[] | Error;
    if (answer instanceof Error) throw answer;
    return answer;
  });
  onTestFinished(() => members.close());
  /** The runtime says this from now on, and is asked once more. */
  const reports = async (answer: Member[] | Error, looks = 1) => {
    answers.push(answer);
    await vi.advanceTimersByTimeAsync(2000 * looks);
  };
  return { members, reports };
}

describe('a place for the next sandbox', () => {
  test('is the member that holds the fewest of ours, in turns where they hold as many', async () => {
    const { members } = await watching(there('m1', 'm2', 'm3'));
    expect(['a', 'b', 'c', 'd'].map((name) => members.place(name))).toEqual([
      'm1',
      'm2',
      'm3',
      'm1',
    ]);
    members.left('b');
    members.left('c');
    expect(['e', 'f', 'g'].map((name) => members.place(name))).toEqual(['m2', 'm3', 'm2']);
  });

  test('is not always the first one, where each sandbox is gone before the next', async () => {
    const { members } = await watching(there('m1', 'm2'));
    const places = ['a', 'b', 'c', 'd'].map((name) => {
      const place = members.place(name);
      members.left(name);
      return place;
    });
    expect(places).toEqual(['m1', 'm2', 'm1', 'm2']);
  });

  test('is the one that was asked for', async () => {
    const { members } = await watching(there('m1', 'm2'));
    expect(['a', 'b'].map((name) => members.place(name, 'm2'))).toEqual(['m2', 'm2']);
  });

  test('is on a member to which the way broke off only where there is no other, until the runtime has had time to miss it', async () => {
    const { members } = await watching(there('m1', 'm2'));
    members.place('a', 'm2');
    members.suspect('a');
    expect(['b', 'c'].map((name) => members.place(name))).toEqual(['m1', 'm1']);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(members.place('d')).toBe('m2');
    const { members: alone } = await watching(there('m1'));
    alone.place('a');
    alone.suspect('a');
    expect(alone.place('b')).toBe('m1');
  });

  test('is never on a member that is offline; asking for that one says why not, and which there are', async () => {
    const { members, reports } = await watching([...there('m1'), offline('m2')]);
    expect(['a', 'b'].map((name) => members.place(name))).toEqual(['m1', 'm1']);
    expect(thrownBy(() => members.place('c', 'm2'))).toMatchObject({
      code: 'launch-failed',
      message: 'member m2 is lost: Offline: No heartbeat for 20 s',
      hint: 'target: m1',
    });
    await reports([offline('m1'), offline('m2')]);
    expect(thrownBy(() => members.place('d'))).toMatchObject({
      code: 'launch-failed',
      message: 'no member is online',
    });
  });
});

describe('a sandbox whose member', () => {
  test('goes offline is lost, in the runtime’s words; those on the others are not', async () => {
    const { members, reports } = await watching(there('m1', 'm2'));
    const [here, gone] = [members.place('a'), members.place('b')];
    const onLost = vi.fn();
    void members.lost('b').then(onLost);
    await reports(there('m1', 'm2'));
    expect([here, gone, members.whyLost('b'), onLost.mock.calls]).toEqual([
      'm1',
      'm2',
      undefined,
      [],
    ]);
    await reports([...there('m1'), offline('m2')]);
    expect(onLost.mock.calls).toEqual([['member m2 is lost: Offline: No heartbeat for 20 s']]);
    expect([members.whyLost('a'), members.whyLost('b')]).toEqual([
      undefined,
      'member m2 is lost: Offline: No heartbeat for 20 s',
    ]);
  });

  test('was removed from the cluster is lost too', async () => {
    const { members, reports } = await watching(there('m1', 'm2'));
    members.place('a', 'm2');
    await reports(there('m1'));
    expect(members.whyLost('a')).toBe('member m2 is lost: it is no longer a member');
  });

  test('comes back is not lost any more', async () => {
    const { members, reports } = await watching(there('m1', 'm2'));
    members.place('a', 'm2');
    await reports([...there('m1'), offline('m2')]);
    await reports(there('m1', 'm2'));
    expect(members.whyLost('a')).toBeUndefined();
  });

  test('cannot be asked after is lost when the runtime was silent three times, and not before', async () => {
    const { members, reports } = await watching(there('m1'));
    members.place('a');
    await reports(new Error('no answer in time'), 2);
    expect(members.whyLost('a')).toBeUndefined();
    await reports(new Error('no answer in time'));
    expect(members.whyLost('a')).toBe('no answer in time');
    expect(thrownBy(() => members.place('b'))).toMatchObject({ message: 'no answer in time' });
    await reports(there('m1'));
    expect(members.place('b')).toBe('m1');
  });
});

test('a client that says nothing any more ends when its sandbox is lost, with the reason', async () => {
  vi.useRealTimers();
  let lose: (reason: string) => void = () => {};
  const lost = new Promise<string>((resolve) => {
    lose = resolve;
  });
  const client = stream(['sh', '-c', 'echo working; exec sleep 300'], {
    env: { PATH: process.env.PATH ?? '' },
  });
  const seen: unknown[] = [];
  for await (const event of untilLost(client, lost)) {
    seen.push(event);
    if (event.type === 'line') lose('member m2 is lost');
  }
  expect(seen).toMatchObject([{ text: 'working' }, { type: 'lost', reason: 'member m2 is lost' }]);
  expect(await client.ended).toMatchObject({ type: 'signal' });
});
