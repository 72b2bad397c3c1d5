// Lists everything a container runtime has on this machine, no matter who created it, by its client
// or by its daemon's socket. Independent of any one runtime.
import type { Thing } from '../../contract.js';
import { parseJson } from '../../json.js';
import { output } from '../../os/capture.js';
import type { Client } from './args.js';
import { askSocket } from './socket-api.js';

const QUICK_MS = 15_000;

/** The generated name of an anonymous volume. */
const ANONYMOUS = /^[0-9a-f]{64}$/;
/** The label that newer daemons put on anonymous volumes; it does not identify an owner. */
const ANONYMOUS_LABEL = 'com.docker.volume.anonymous';

type Labels = Record<string, string> | string | null | undefined;

/**
 * Makes four concurrent calls.
 * @throws `not-ready` if one of them fails, since its part would otherwise look empty
 */
export async function clientCensus(client: Client): Promise<Thing[]> {
  const ask = async (...args: string[]) => {
    const call = { env: client.env, cwd: '/', timeoutMs: QUICK_MS, code: 'not-ready' as const };
    const text = await output([...client.argv, ...args], call);
    return text.split('\n').filter(Boolean);
  };
  const [containers, volumes, networks, images] = await Promise.all([
    ask('ps', '--all', '--no-trunc', '--format', '{{.ID}} {{.Names}} {{json .Labels}}'),
    ask('volume', 'ls', '--format', '{{.Name}} {{json .Labels}}'),
    ask('network', 'ls', '--no-trunc', '--format', '{{.ID}} {{.Name}} {{json .Labels}}'),
    ask('image', 'ls', '--no-trunc', '--format', '{{.ID}} {{.Repository}}:{{.Tag}} {{.Digest}}'),
  ]);
  return [
    ...containers.map((line) => {
      const [id = '', name = '', labels] = fields(line, 3);
      return container(id, [name], parseLabels(labels));
    }),
    ...volumes.map((line) => {
      const [name = '', labels] = fields(line, 2);
      return volume(name, parseLabels(labels));
    }),
    ...networks.map((line) => {
      const [id = '', name = '', labels] = fields(line, 3);
      return network(id, name, parseLabels(labels));
    }),
    ...images.map((line) => {
      const [id = '', tag = '', digest = ''] = fields(line, 3);
      // The digest of an image that was never pulled adds nothing to the id.
      return image(id, tag.startsWith('<none>') && digest !== '<none>' ? [] : [tag]);
    }),
  ];
}

/**
 * As `clientCensus`, but from the daemon's socket, without starting a client.
 * @returns undefined if the daemon does not answer there
 */
export async function socketCensus(socketPath: string): Promise<Thing[] | undefined> {
  const [containers, volumes, networks, images] = await Promise.all([
    askSocket<{ Id: string; Names?: string[]; Labels?: Labels }[]>(
      socketPath,
      '/containers/json?all=1',
      QUICK_MS,
    ),
    askSocket<{ Volumes: { Name: string; Labels?: Labels }[] | null }>(
      socketPath,
      '/volumes',
      QUICK_MS,
    ),
    askSocket<{ Id: string; Name: string; Labels?: Labels }[]>(socketPath, '/networks', QUICK_MS),
    askSocket<{ Id: string; RepoTags?: string[] | null; RepoDigests?: string[] | null }[]>(
      socketPath,
      '/images/json',
      QUICK_MS,
    ),
  ]);
  if (!Array.isArray(containers) || !volumes || !Array.isArray(networks) || !Array.isArray(images))
    return undefined;
  return [
    ...containers.map((item) =>
      container(
        item.Id,
        (item.Names ?? []).map((name) => name.replace(/^\//, '')),
        item.Labels,
      ),
    ),
    ...(volumes.Volumes ?? []).map((found) => volume(found.Name, found.Labels)),
    ...networks.map((found) => network(found.Id, found.Name, found.Labels)),
    ...images.map((found) =>
      image(found.Id, [...(found.RepoTags ?? []), ...(found.RepoDigests ?? [])]),
    ),
  ];
}

function container(id: string, names: string[], labels: Labels): Thing {
  return { kind: 'container', id: names[0] ?? id, marks: [...names, id, ...labelWords(labels)] };
}

function volume(name: string, labels: Labels): Thing {
  const ownWords = labelWords(labels).filter((word) => !word.startsWith(`${ANONYMOUS_LABEL}=`));
  return {
    kind: 'volume',
    id: name,
    marks: [...(ANONYMOUS.test(name) ? [] : [name]), ...ownWords],
  };
}

function network(id: string, name: string, labels: Labels): Thing {
  return { kind: 'network', id: name, marks: [name, id, ...labelWords(labels)] };
}

function image(id: string, tags: string[]): Thing {
  const named = tags.filter((tag) => !tag.startsWith('<none>'));
  return { kind: 'image', id: named[0] ?? id, marks: named };
}

/** `key=value` words, from either of the two formats in which clients print labels. */
function labelWords(labels: Labels): string[] {
  if (typeof labels === 'string') return labels.split(',').filter(Boolean);
  return Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
}

function parseLabels(text: string | undefined): Labels {
  if (text === undefined || text === '') return undefined;
  return text.startsWith('"')
    ? (JSON.parse(text) as string)
    : parseJson<Record<string, string>>(text);
}

/** The line's first words, and the rest of the line as the last one; `count` in all. */
function fields(line: string, count: number): string[] {
  const parts = line.split(' ');
  return [...parts.slice(0, count - 1), parts.slice(count - 1).join(' ')];
}
