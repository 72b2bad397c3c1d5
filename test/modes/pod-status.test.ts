// What a pod's status says, of the many ways in which a cluster can say it.
import { describe, expect, test } from 'vitest';
import {
  imageIn,
  type Pod,
  runs,
  troubleOf,
  whyJobFailed,
  whyUnscheduled,
} from '../../modes/kubernetes/pod-status.js';

const PLAN = { image: 'registry.example/x:1', options: {} };
const pod = (status: Pod['status'] = {}, metadata = {}): Pod => ({
  metadata: { name: 'p', ...metadata },
  spec: { nodeName: 'n1' },
  status,
});
const waiting = (reason: string, message?: string) =>
  pod({
    phase: 'Pending',
    containerStatuses: [
      { state: { waiting: { reason, ...(message === undefined ? {} : { message }) } } },
    ],
  });
const condition = (type: string, status: string, reason: string, message: string) => ({
  conditions: [{ type, status, reason, message }],
});
const why = (pod: Pod) => troubleOf(pod, PLAN, 'kubectl --context=c');

describe('a pod that may still run has no trouble:', () => {
  test.each([
    ['one that nobody has looked at', pod()],
    ['one whose container is made', waiting('ContainerCreating')],
    [
      'one without a node',
      pod({ phase: 'Pending', ...condition('PodScheduled', 'False', 'Unschedulable', 'no room') }),
    ],
    ['one that runs', pod({ phase: 'Running', containerStatuses: [{ state: { running: {} } }] })],
  ])('%s', (_, pod) => expect(why(pod)).toBeUndefined());
});

describe('a pod that will never run says why:', () => {
  test.each([
    [
      'image-unavailable',
      /cannot get registry.example\/x:1 \(ImagePullBackOff\): denied$/,
      waiting('ImagePullBackOff', 'denied'),
    ],
    [
      'launch-failed',
      /cannot start \(CreateContainerConfigError\): image will run as root$/,
      waiting('CreateContainerConfigError', 'image will run as root'),
    ],
    [
      'launch-failed',
      /taken off its node \(PreemptionByScheduler\): for another$/,
      pod(condition('DisruptionTarget', 'True', 'PreemptionByScheduler', 'for another')),
    ],
    [
      'launch-failed',
      /node n1 is lost: gone$/,
      pod({ message: 'gone', ...condition('DisruptionTarget', 'True', 'DeletionByPodGC', 'x') }),
    ],
    [
      'launch-failed',
      /out of memory \(OOMKilled, its limit is 4096 MiB\)$/,
      pod({
        containerStatuses: [
          { state: {}, lastState: { terminated: { reason: 'OOMKilled', exitCode: 137 } } },
        ],
      }),
    ],
    [
      'launch-failed',
      /has ended \(Error, exit code 3\)$/,
      pod({
        phase: 'Failed',
        containerStatuses: [{ state: { terminated: { reason: 'Error', exitCode: 3 } } }],
      }),
    ],
    [
      'launch-failed',
      /has ended \(UnexpectedAdmissionError\): no devices$/,
      pod({ phase: 'Failed', reason: 'UnexpectedAdmissionError', message: 'no\n devices' }),
    ],
    ['launch-failed', /being deleted$/, pod({ phase: 'Running' }, { deletionTimestamp: 'now' })],
  ])('%s %s', (code, message, pod) =>
    expect(why(pod)).toMatchObject({ code, message: expect.stringMatching(message) }),
  );
});

test('whether it runs, waits for a node, or its job is over is told apart', () => {
  const unscheduled = pod({
    phase: 'Pending',
    ...condition('PodScheduled', 'False', 'Unschedulable', 'no room'),
  });
  expect([runs(unscheduled), whyUnscheduled(unscheduled)]).toEqual([
    false,
    'the pod stays pending, unschedulable: no room',
  ]);
  const running = pod({
    phase: 'Running',
    ...condition('PodScheduled', 'True', '', ''),
    containerStatuses: [{ state: { running: {} } }],
  });
  expect([runs(running), whyUnscheduled(running)]).toEqual([true, undefined]);
  expect(whyJobFailed(pod(condition('Failed', 'True', 'DeadlineExceeded', 'too long')))).toBe(
    'DeadlineExceeded: too long',
  );
});

test('a digest is told where the node has told one', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  expect(imageIn(pod({ containerStatuses: [{ imageID: `registry.example/x@${digest}` }] }))).toBe(
    digest,
  );
  expect(imageIn(pod({ containerStatuses: [{ imageID: '' }] }))).toBeUndefined();
});
