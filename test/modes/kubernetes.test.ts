// The kubernetes mode against a stand-in for kubectl and the cluster behind it.
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Context } from '../../lib/contract.js';
import type { Report } from '../../lib/report/document.js';
import kubernetes from '../../modes/kubernetes.js';
import { withShellAgent } from '../support/agent-scripts.js';
import { contextOf, readAll, specOf } from '../support/call-mode.js';
import { cagematch, ownHouse, standSomewhere } from '../support/house.js';
import { modeContext } from '../support/mode-context.js';
import { standIn } from '../support/stand-ins/kubernetes.js';
import type { StandIn } from '../support/stand-ins/stand-in.js';

let stand: StandIn;
afterEach(() => stand.close());

const fileOf = (name: string) => join(stand.env.CAGEMATCH_STAND_IN_STATE ?? '', name);
/** Every call's arguments, as one text. */
const calls = () => readFileSync(fileOf('argv.jsonl'), 'utf8');
/** Objects of the cluster by kind; `Created`: all that there ever were. */
function objects(kind: string): Record<string, never>[] {
  try {
    return readdirSync(fileOf(kind)).map((name) =>
      JSON.parse(readFileSync(join(fileOf(kind), name), 'utf8')),
    );
  } catch {
    return [];
  }
}
const left = () => ['Job', 'Sandbox', 'Pod', 'Secret'].flatMap(objects);
const kubectl = (args: string[], input = '') =>
  execa('kubectl', ['--context=kind-stand-in', '--namespace=cagematch', ...args], {
    env: stand.env,
    extendEnv: false,
    reject: false,
    input,
  });

describe('a match', () => {
  const place = standSomewhere();
  afterAll(() => place.close());

  async function run(): Promise<{
    report: Report;
    row: Report['modes'][number] | undefined;
    exitCode: number | undefined;
  }> {
    const args = [
      'run',
      'kubernetes',
      '--model',
      'replay',
      '--runs',
      '1',
      '--timeout',
      '40',
      '--out',
      join(place.cwd, 'out'),
      '--json',
      '-',
    ];
    const { stdout, stderr, exitCode } = await cagematch(ownHouse, args, {
      cwd: place.cwd,
      env: stand.env,
    });
    expect(stdout, stderr).not.toBe('');
    const report = JSON.parse(stdout) as Report;
    return { report, row: report.modes[0], exitCode };
  }

  it('passes the whole task with the real agent, and leaves nothing; the secret is a mounted one, in no argument and no other manifest', async () => {
    stand = await standIn();
    const { row, exitCode } = await run();
    expect(row).toMatchObject({
      standIn: true,
      n: 1,
      passed: 1,
      leftovers: [],
      planted: [],
      sync: { in: 'yes', out: 'yes', live: 'no' },
    });
    expect(row?.auth).toEqual({ path: 'remote-secret', delivered: { gap: 'not-exercised' } });
    expect(row?.detection).toMatchObject({
      status: 'ready',
      version: 'v1.33.1-stand-in',
      facts: { context: 'kind-stand-in' },
    });
    expect(exitCode).toBe(0);
    expect(left()).toEqual([]);
    const made = objects('Created') as unknown as { kind: string; data?: Record<string, string> }[];
    const [data, ...others] = made.flatMap((object) =>
      object.kind === 'Secret' ? [object.data ?? {}] : [],
    );
    expect([Object.keys(data ?? {}), others]).toEqual([['CLAUDE_CODE_OAUTH_TOKEN'], []]);
    const base64 = Object.values(data ?? {})[0] ?? '';
    const secret = Buffer.from(base64, 'base64').toString();
    expect(secret.length).toBeGreaterThan(20);
    for (const text of [calls(), JSON.stringify(made.filter(({ kind }) => kind !== 'Secret'))]) {
      expect(text).not.toContain(secret);
      expect(text).not.toContain(base64);
    }
    expect(objects('Touched')).toEqual([]);
  });

  it('blames the sandbox when the agent runs out of memory, and says that of it', async () => {
    stand = await standIn({ CAGEMATCH_STAND_IN_FAULT: 'oom-killed@2' });
    stand.env = withShellAgent(stand.env);
    const { row, exitCode } = await run();
    const message = expect.stringContaining(
      'the pod was out of memory (OOMKilled, its limit is 4096 MiB)',
    );
    expect(row?.failures).toMatchObject([{ outcome: { cause: 'sandbox', message } }]);
    expect(row).toMatchObject({ passed: 0, leftovers: [] });
    expect(exitCode).toBe(1);
    expect(left()).toEqual([]);
  });

  it('runs nothing where the image cannot be pulled, blames the image, and leaves nothing', async () => {
    stand = await standIn({ CAGEMATCH_STAND_IN_FAULT: 'err-image-pull' });
    const { report } = await run();
    expect(JSON.stringify(report)).toMatch(
      /"cause":"image","message":"the cluster cannot get registry.example\/cagematch-runner:1 \(ErrImagePull\)/,
    );
    expect(left()).toEqual([]);
  });
});

describe('a pod', () => {
  const NAME = 'cagematch-20260102-030405-abcd-kubernetes-1';
  let ctx: ReturnType<typeof contextOf>;
  let spec: ReturnType<typeof specOf>;
  async function open(env: Record<string, string> = {}, overrides: Partial<Context> = {}) {
    stand = await standIn(env);
    ctx = contextOf('kubernetes', stand.env, overrides);
  }
  beforeEach(() => {
    spec = specOf(NAME);
  });
  afterEach(async () => {
    await ctx.close();
    spec.close();
  });
  const sh = (script: string) => ({
    argv: ['sh', '-c', script] as [string, ...string[]],
    env: {},
    secretEnv: {},
    cwd: '/workspace',
  });

  it('tells lines, errors and the exit code of a command apart, and gives secrets that were mounted as well as others', async () => {
    await open();
    const { handle } = await kubernetes.launch(ctx, { ...spec, secretEnv: { MOUNTED: 's3cret' } });
    const command = {
      ...sh('echo "$MOUNTED $TYPED"; printf "complaint" >&2; exit 7'),
      secretEnv: { TYPED: 'typed', MOUNTED: 's3cret' },
    };
    const ran = await readAll(kubernetes.exec(ctx, handle, command));
    expect(ran).toEqual({
      stdout: ['s3cret typed'],
      stderr: ['complaint'],
      end: { type: 'exit', code: 7 },
    });
    expect(calls()).not.toMatch(/s3cret|typed/);
    expect(objects('Secret')).toMatchObject([
      { metadata: { name: NAME, ownerReferences: [{ kind: 'Job', name: NAME }] }, immutable: true },
    ]);
    await kubectl(['delete', `job/${NAME}`]);
    expect(left()).toEqual([]);
  });

  it('brings the workspace there and back, byte for byte, deletions included; a link to this host is refused', async () => {
    await open();
    const noise = randomBytes(1_300_000);
    writeFileSync(join(spec.host.workspace, 'noise.bin'), noise);
    writeFileSync(join(spec.host.workspace, 'doomed.txt'), '');
    const { handle } = await kubernetes.launch(ctx, spec);
    await readAll(
      kubernetes.exec(
        ctx,
        handle,
        sh('rm doomed.txt; cp noise.bin more.bin; ln -s noise.bin link'),
      ),
    );
    await kubernetes.collect(ctx, handle, spec.host.workspace);
    expect(readdirSync(spec.host.workspace).sort()).toEqual(['link', 'more.bin', 'noise.bin']);
    expect(readFileSync(join(spec.host.workspace, 'more.bin')).equals(noise)).toBe(true);
    const pods = fileOf('pods-of-cluster');
    symlinkSync('/etc/passwd', join(pods, readdirSync(pods)[0] ?? '', 'workspace/out'));
    const refused = {
      code: 'collect-failed',
      message: expect.stringContaining('"./out" is a link that leaves the workspace'),
    };
    await expect(kubernetes.collect(ctx, handle, spec.host.workspace)).rejects.toMatchObject(
      refused,
    );
  });

  it.each([
    [
      'unschedulable',
      'launch-failed',
      /stays pending, unschedulable: 0\/3 nodes are available: 3 Insufficient memory/,
    ],
    [
      'err-image-pull',
      'image-unavailable',
      /cannot get registry.example\S+ \(ErrImagePull\): failed to pull .* not found/,
    ],
    ['quota', 'launch-failed', /the cluster makes no pod: FailedCreate: .* exceeded quota: small/],
    [
      'no-handler',
      'launch-failed',
      /the pod does not start: FailedCreatePodSandBox: .* no runtime for "kata" is configured/,
    ],
    ['forbidden', 'launch-failed', /jobs.batch is forbidden: User "somebody" cannot create/],
    ['oom-killed@1', 'launch-failed', /the workspace does not get in: the pod was out of memory/],
  ])(
    'that is met by %s does not launch, in the words of the cluster, and leaves nothing',
    async (fault, code, message) => {
      // Long enough for a client to start on a busy machine.
      await open({ CAGEMATCH_STAND_IN_FAULT: fault, CAGEMATCH_KUBE_WAIT: '3' });
      const failure = { code, message: expect.stringMatching(message) };
      await expect(
        kubernetes.launch(ctx, { ...spec, secretEnv: { A: 'b' } }),
      ).rejects.toMatchObject(failure);
      await kubernetes.destroy(ctx, { name: NAME });
      expect(left()).toEqual([]);
    },
  );

  it.each([
    ['oom-killed', /^the pod was out of memory \(OOMKilled, its limit is 1024 MiB\)$/],
    ['evicted', /^the pod was evicted: The node was low on resource: memory\.$/],
    ['deadline', /^the pod was over its deadline: Pod was active on the node longer/],
    ['node-lost', /^the pod's node node-1 is lost: Kubelet stopped posting node status\.$/],
    ['exec-breaks', /^the connection was lost: error: .*connection reset by peer$/],
    ['exec-zero', /^the connection was lost: the client ended with code 0$/],
  ])(
    'that is met by %s under a command loses it, says why, and invents no code',
    async (fault, reason) => {
      await open({ CAGEMATCH_STAND_IN_FAULT: `${fault}@2` }, { options: { memoryMiB: 1024 } });
      const { handle } = await kubernetes.launch(ctx, spec);
      const { end } = await readAll(kubernetes.exec(ctx, handle, sh('exec sleep 60')));
      expect(end).toEqual({ type: 'lost', reason: expect.stringMatching(reason) });
      await kubernetes.destroy(ctx, handle);
      await kubernetes.destroy(ctx, handle);
      expect(left()).toEqual([]);
    },
  );

  it('that starts slowly is waited for', async () => {
    await open({ CAGEMATCH_STAND_IN_FAULT: 'slow-start', CAGEMATCH_KUBE_WAIT: '2' });
    const { handle } = await kubernetes.launch(ctx, spec);
    expect((await readAll(kubernetes.exec(ctx, handle, sh('exit 3')))).end).toEqual({
      type: 'exit',
      code: 3,
    });
  });

  it('is hardened, bounded, labelled, and goes by itself some day', async () => {
    await open({}, { variant: 'kata-qemu', options: { cpus: 0.5, memoryMiB: 256 } });
    await kubernetes.launch(ctx, spec);
    const [job] = objects('Job') as unknown as {
      metadata: object;
      spec: { template: { spec: object } };
    }[];
    expect(job?.metadata).toMatchObject({
      labels: { 'cagematch.match': ctx.labels.match, 'cagematch.mode': 'kubernetes' },
      annotations: { 'cagematch.owner': ctx.labels.owner },
    });
    expect(job?.spec).toMatchObject({
      backoffLimit: 0,
      ttlSecondsAfterFinished: 300,
      activeDeadlineSeconds: 25 * 3600,
    });
    expect(job?.spec.template.spec).toMatchObject({
      runtimeClassName: 'kata-qemu',
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          resources: {
            limits: { cpu: '500m', memory: '256Mi' },
            requests: { cpu: '250m', memory: '256Mi' },
          },
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    });
  });

  it('is made by a Sandbox where the cluster has that and the variant asks for it', async () => {
    await open(
      { CAGEMATCH_STAND_IN_CRD: 'sandboxes' },
      { variant: 'agent-sandbox', state: { sandboxApi: 'v1beta1', otherNames: {} } },
    );
    const { handle } = await kubernetes.launch(ctx, { ...spec, secretEnv: { SECRET: 's3cret' } });
    expect(objects('Job')).toEqual([]);
    expect(
      (
        await readAll(
          kubernetes.exec(ctx, handle, {
            ...sh('echo "$SECRET"'),
            secretEnv: { SECRET: 's3cret' },
          }),
        )
      ).stdout,
    ).toEqual(['s3cret']);
    expect((await kubernetes.list(ctx)).map(({ kind }) => kind).sort()).toEqual([
      'pod',
      'sandbox',
      'secret',
    ]);
    await kubernetes.destroy(ctx, handle);
    expect(left()).toEqual([]);
  });

  it("of another machine's is not listed: whether its harness lives cannot be told from here", async () => {
    await open();
    await kubernetes.launch(ctx, spec);
    expect((await kubernetes.list(ctx)).map(({ id }) => id.split('/')[0]).sort()).toEqual([
      `${NAME} job`,
      `${NAME} pod`,
    ]);
    for (const [kind, file] of ['Job', 'Pod'].flatMap((type) =>
      readdirSync(fileOf(type)).map((name) => [type, name] as const),
    )) {
      const path = join(fileOf(kind), file);
      writeFileSync(
        path,
        readFileSync(path, 'utf8').replace(
          /"cagematch.host":"[^"]*"/g,
          '"cagematch.host":"elsewhere"',
        ),
      );
    }
    expect(await kubernetes.list(ctx)).toEqual([]);
    await kubernetes.destroy(ctx, { name: NAME });
    expect(left()).toEqual([]);
  });
});

describe('detection', () => {
  async function detect(env: Record<string, string>) {
    stand = await standIn(env);
    const ctx = contextOf('kubernetes', stand.env);
    const found = await kubernetes.detect(ctx);
    await ctx.close();
    return found;
  }

  it.each([
    [
      'no context',
      { CAGEMATCH_KUBE_CONTEXT: '' },
      /no context is named, and the current one is never taken/,
      /=<kind-stand-in \| production>$/,
    ],
    [
      'another context',
      { CAGEMATCH_KUBE_CONTEXT: 'prod' },
      /kubectl has no context prod$/,
      /=<kind-stand-in \| production>$/,
    ],
    [
      'no context at all',
      { CAGEMATCH_KUBE_CONTEXT: '', CAGEMATCH_STAND_IN_CONTEXTS: '' },
      /no context is named/,
      /^kubectl config set-context/,
    ],
    [
      'no image',
      { CAGEMATCH_KUBE_IMAGE: '' },
      /CAGEMATCH_KUBE_IMAGE names no runner image/,
      /^docker tag cagematch-runner:\S+ /,
    ],
    [
      'a wait that is none',
      { CAGEMATCH_KUBE_WAIT: 'long' },
      /CAGEMATCH_KUBE_WAIT is no number of seconds: long/,
      /CAGEMATCH_KUBE_WAIT=60/,
    ],
  ])('with %s asks no cluster, and says what to set', async (_, env, reason, hint) => {
    const found = await detect(env);
    expect(found).toEqual({
      status: 'unconfigured',
      reason: expect.stringMatching(reason),
      hint: expect.stringMatching(hint),
    });
    expect(calls()).not.toContain('--context');
    expect(calls().trim().split('\n')).toHaveLength(1);
  });

  it.each([
    [
      'no such namespace',
      { CAGEMATCH_KUBE_NAMESPACE: 'nowhere' },
      'unconfigured',
      /no namespace nowhere/,
      /^kubectl --context=kind-stand-in create namespace nowhere$/,
    ],
    [
      'no answer',
      { CAGEMATCH_STAND_IN_FAULT: 'no-cluster' },
      'broken',
      /does not answer: .*refused/,
      /cluster-info$/,
    ],
    [
      'refused credentials',
      { CAGEMATCH_STAND_IN_FAULT: 'unauthorized' },
      'broken',
      /refuses kubectl's credentials/,
      /auth whoami$/,
    ],
  ])('of a cluster with %s says so', async (_, env, status, reason, hint) => {
    expect(await detect(env)).toEqual({
      status,
      reason: expect.stringMatching(reason),
      hint: expect.stringMatching(hint),
    });
  });

  it('does not ask for the right to look at a namespace', async () => {
    expect(await detect({ CAGEMATCH_STAND_IN_FAULT: 'blinkered' })).toMatchObject({
      status: 'ready',
    });
  });

  it('finds RuntimeClasses and the Sandbox API as variants; what is not known to run the image waits to be named', async () => {
    const found = await detect({
      CAGEMATCH_STAND_IN_CLASSES: 'gvisor kata-qemu wasmtime',
      CAGEMATCH_STAND_IN_CRD: 'sandboxes',
    });
    const variants = [
      { id: 'gvisor', isolation: 'user-kernel' },
      { id: 'kata-qemu', isolation: 'microvm' },
      { id: 'wasmtime', isolation: 'container', onRequest: true },
      { id: 'agent-sandbox', isolation: 'container' },
    ];
    expect(found).toMatchObject({
      status: 'ready',
      facts: { sandboxApi: 'v1beta1', namespace: 'cagematch' },
      variants,
    });
  });

  it('takes a RuntimeClass for what its handler is, and refuses one whose exec stays outside of its machine', async () => {
    const found = await detect({ CAGEMATCH_STAND_IN_CLASSES: 'strong=kata small=krun crun' });
    expect(found).toMatchObject({
      facts: { otherNames: 'strong=kata small=krun' },
      variants: [
        { id: 'strong', isolation: 'microvm' },
        { id: 'small', isolation: 'microvm', mainProcessOnly: true, onRequest: true },
        { id: 'crun', isolation: 'container', onRequest: true },
      ],
    });
    const { state } = found as { state: unknown };
    const given = (variant: string) => modeContext('kubernetes', { variant, state });
    await expect(kubernetes.prepare(given('small'))).rejects.toMatchObject({
      code: 'not-ready',
      message:
        "small runs a container's first process in its machine, and what is exec'd beside it",
    });
    expect(kubernetes.walls?.(given('strong'))).toMatchObject({ 'host-kernel': 'closed' });
    expect(kubernetes.walls?.(given('crun'))).not.toMatchObject({ 'host-kernel': 'closed' });
  });
});

describe('the stand-in refuses what the real API does not take:', () => {
  const container = { name: 'agent', image: 'registry.example/x:1', command: ['sleep', '9'] };
  const job = (change: { metadata?: object; spec?: object; pod?: object }) => ({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'planted', ...change.metadata },
    spec: {
      template: {
        metadata: {},
        spec: { restartPolicy: 'Never', containers: [container], ...change.pod },
      },
      ...change.spec,
    },
  });

  it('fields of its own, labels, names, quantities and policies out of their rules', async () => {
    stand = await standIn();
    const create = async (manifest: object) =>
      (await kubectl(['create', '-f', '-', '-o', 'name'], JSON.stringify(manifest))).stderr;
    expect(await create(job({ spec: { ttl: 3 } }))).toContain(
      'strict decoding error: unknown field "spec.ttl"',
    );
    expect(await create(job({ metadata: { labels: { 'cagematch.owner': '12:ab' } } }))).toContain(
      'is invalid: metadata.labels.cagematch.owner',
    );
    expect(await create(job({ metadata: { name: 'A_b' } }))).toContain('is invalid: metadata.name');
    expect(await create(job({ pod: { restartPolicy: 'Always' } }))).toContain(
      'valid values: "OnFailure", "Never"',
    );
    const resources = { limits: { memory: '4g' } };
    expect(await create(job({ pod: { containers: [{ ...container, resources }] } }))).toContain(
      'quantities must match',
    );
    expect(left()).toEqual([]);
    // The job may be there; its pod may not.
    expect(await create(job({}))).toBe('');
    expect(objects('Pod')).toEqual([]);
    expect(JSON.stringify(objects('Event'))).toContain(
      'violates PodSecurity \\"restricted:latest\\": allowPrivilegeEscalation != false',
    );
  });

  it('a call that names no context, or one that is not there', async () => {
    stand = await standIn();
    const bare = await execa('kubectl', ['get', 'pods', '-o', 'name'], {
      env: stand.env,
      extendEnv: false,
      reject: false,
    });
    expect(bare).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('no --context') });
  });
});
