// Reads a task from its folder: task.yaml, seed/, verify/, and a cassette if there is one. Every
// error message names its place.
import { createHash, randomBytes } from 'node:crypto';
import { lstatSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { z } from 'zod';
import { CagematchError, messageOf, nearest } from '../errors.js';
import type { Cassette } from '../model/cassette.js';
import { MOST_TYPED, readPlainFile } from '../os/plain-files.js';
import { withOpenDir } from '../os/safe-dir.js';
import { createJudge } from './judge.js';
import { keysAt, NONCE, TAKES, type TaskFile, taskSchema, VERIFY } from './schema.js';
import type { Task, Verifier } from './task.js';
import { EMPTY, filesOf, foldersOf, readTree, type Tree, withFile, writeTree } from './tree.js';
import { parseYaml, placeOf } from './yaml-file.js';

/** A task read from a folder. */
export interface FolderTask extends Task {
  /** Absolute path without symbolic links. */
  folder: string;
  /**
   * Hash that distinguishes it from another task with the same id.
   * @param cassette the cassette, if it provides the answers
   */
  digest(cassette?: Cassette): string;
}

const FILE = 'task.yaml';
/** Limits of the seed: every run writes it, and some runtimes send it over a network. */
const MOST_SEED = { files: 2000, bytes: 32 * 1024 ** 2 };
/** Limits of the verifier's files: some runtimes copy each of them separately. */
const MOST_VERIFY = { files: 50, bytes: 4 * 1024 ** 2 };
const ID = /^[a-z0-9][a-z0-9.-]{0,39}$/i;

/** True if the folder contains a task, valid or not. */
export function isTaskFolder(folder: string): boolean {
  return statSync(join(folder, FILE), { throwIfNoEntry: false })?.isFile() === true;
}

/**
 * @param name of the folder, for messages
 * @throws `bad-input`: one line that names the file, the place in it and the problem
 */
export function readTask(folder: string, name: string): FolderTask {
  const file = readTaskFile(folder, name);
  const seed =
    readTree(join(folder, 'seed'), `${name}/seed`, MOST_SEED) ?? without(folder, name, 'seed');
  const beside =
    readTree(join(folder, 'verify'), `${name}/verify`, MOST_VERIFY) ??
    without(folder, name, 'verify');
  checkTogether(file, seed, beside, `${name}/${FILE}`);
  const {
    prompt,
    nonce: nonceFile,
    expect = { written: [], files: [], printed: [] },
    verify,
  } = file;
  const cassette = cassetteIn(folder);
  const own = realpathSync(folder);
  return {
    id: idOf(file.id ?? basename(own), name),
    folder: own,
    prompt,
    ...(cassette === undefined ? {} : { cassette }),
    seed(workspace, owner) {
      const nonce = randomBytes(12).toString('hex');
      const bytes = Buffer.from(`${nonce}\n`);
      const whole =
        nonceFile === undefined
          ? seed
          : (withFile(seed, nonceFile, { bytes, executable: false }) ?? seed);
      const written = withOpenDir(workspace, (dir) => {
        writeTree(whole, dir, owner);
        return true;
      });
      if (!written) throw new Error('the workspace to be seeded is no folder');
      return { nonce };
    },
    ...createJudge(expect, new Set(filesOf(seed).map(({ path }) => path))),
    ...(verify === undefined
      ? {}
      : { verifier: verifierOf(verify as [string, ...string[]], beside) }),
    digest: (played) =>
      hashOf(
        JSON.stringify([
          prompt,
          nonceFile,
          expect,
          verify,
          listing(seed),
          listing(beside),
          played?.conversations,
        ]),
      ).slice(0, 16),
  };
}

/** Path of a task's cassette, whether or not it exists. */
export const cassettePath = (folder: string): string => join(folder, 'cassette.yaml');

function cassetteIn(folder: string): string | undefined {
  const path = cassettePath(folder);
  // Anything other than a regular file is rejected when it is read.
  return lstatSync(path, { throwIfNoEntry: false }) ? path : undefined;
}

function verifierOf(command: [string, ...string[]], files: Tree): Verifier {
  return {
    files,
    argv: (folder, nonce) => {
      const [program, ...args] = command.map((word) =>
        word.replaceAll(VERIFY, folder).replaceAll(NONCE, nonce),
      );
      return [program as string, ...args];
    },
  };
}

/** The paths, with hashes in place of the contents. */
function listing(tree: Tree) {
  return [
    foldersOf(tree).toSorted(),
    filesOf(tree).map(({ path, file }) => [path, file.executable, hashOf(file.bytes)]),
  ];
}

const hashOf = (content: string | Buffer) => createHash('sha256').update(content).digest('hex');

/** Returns an empty tree if the part does not exist; a link or a file in its place is an error. */
function without(folder: string, name: string, part: string): Tree {
  if (lstatSync(join(folder, part), { throwIfNoEntry: false }) === undefined) return EMPTY;
  throw new CagematchError(
    'bad-input',
    `${name}/${part} has to be a folder, and no link`,
    `ls -ld ${name}/${part}`,
  );
}

function readTaskFile(folder: string, name: string): TaskFile {
  const place = `${name}/${FILE}`;
  const content = parseYaml(readText(folder, name), place, `a ${FILE}`);
  const read = taskSchema.safeParse(content);
  if (read.success) return read.data;
  const { issues } = read.error;
  // A mistyped key also causes a missing-key issue; the unrecognized key is the more helpful one to
  // report.
  throw mistake(
    place,
    content,
    issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0],
  );
}

function readText(folder: string, name: string): string {
  const stats = statSync(folder, { throwIfNoEntry: false });
  if (!stats)
    throw new CagematchError(
      'bad-input',
      `there is no task folder ${name}`,
      `it is looked for at ${folder}`,
    );
  if (!stats.isDirectory())
    throw new CagematchError(
      'bad-input',
      `${name} is no folder; a task is one`,
      `it needs ${FILE} and seed/`,
    );
  try {
    return readPlainFile(join(folder, FILE), { links: 'refuse', most: MOST_TYPED }).toString(
      'utf8',
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new CagematchError(
        'bad-input',
        `${name} holds no ${FILE}`,
        `${name}/${FILE}: prompt, expect; docs/tasks.md shows one`,
      );
    throw new CagematchError(
      'bad-input',
      `${name}/${FILE} cannot be read: ${messageOf(error)}`,
      `check ${join(folder, FILE)}`,
    );
  }
}

function mistake(
  place: string,
  content: unknown,
  given: z.core.$ZodIssue | undefined,
): CagematchError {
  // For a value that may be a text or an object, report the alternative that matched further.
  const issue = (given?.code === 'invalid_union' ? nestedIn(given) : undefined) ?? given;
  const path = issue?.path ?? [];
  const at = path.length === 0 ? place : `${place}: ${placeOf(path)}`;
  if (issue?.code === 'unrecognized_keys') {
    const [unknown = ''] = issue.keys;
    const known = keysAt(path);
    const meant = nearest(unknown, known);
    return refusal(
      `${at}: unknown key ${unknown}`,
      meant ? `did you mean ${meant}?` : `keys: ${known.join(' ')}`,
    );
  }
  const key = path.findLast((part) => typeof part === 'string');
  const takes = key === undefined ? undefined : TAKES[key];
  if (!takes) return refusal(`${place}: a task is made of keys`, 'prompt: Write hello.mjs.');
  const value = path.reduce(
    (inner, part) => (inner as Record<PropertyKey, unknown> | undefined)?.[part],
    content,
  );
  if (value === undefined) return refusal(`${place}: ${placeOf(path)} is missing`, takes.example);
  return refusal(`${at} takes ${takes.words}`, takes.example);
}

function nestedIn({
  path,
  errors,
}: Extract<z.core.$ZodIssue, { code: 'invalid_union' }>): z.core.$ZodIssue | undefined {
  const further = errors
    .flat()
    .find((issue) => issue.path.length > 0 || issue.code === 'unrecognized_keys');
  return further && { ...further, path: [...path, ...further.path] };
}

const refusal = (message: string, hint: string) => new CagematchError('bad-input', message, hint);

/** Checks that the parts, each valid on its own, are consistent with each other. */
function checkTogether(
  { nonce, expect, verify }: TaskFile,
  seed: Tree,
  beside: Tree,
  place: string,
): void {
  const judged = expect ? expect.written.length + expect.files.length + expect.printed.length : 0;
  if (judged === 0 && verify === undefined)
    throw refusal(
      `${place}: nothing is expected and nothing verified, so that every run would pass`,
      TAKES.expect?.example ?? '',
    );
  if (nonce !== undefined && !withFile(seed, nonce, { bytes: Buffer.alloc(0), executable: false }))
    throw refusal(
      `${place}: nonce: ${nonce} stands in seed/ already, or below a file there`,
      'nonce: nonce.txt',
    );
  if (nonce === undefined && JSON.stringify([expect, verify]).includes(NONCE))
    throw refusal(
      `${place}: ${NONCE} is used, and no file is named that gets it`,
      'nonce: nonce.txt',
    );
  const places = (verify ?? []).some((word) => word.includes(VERIFY));
  const isEmpty = filesOf(beside).length === 0;
  if (places && isEmpty)
    throw refusal(
      `${place}: verify names ${VERIFY}, and there is nothing in verify/`,
      'put the files into verify/',
    );
  if (!places && !isEmpty)
    throw refusal(
      `${place}: there are files in verify/ that the command verify does not name`,
      TAKES.verify?.example ?? '',
    );
}

function idOf(id: string, name: string): string {
  if (ID.test(id)) return id;
  const clean = id.replace(/[^a-z0-9.]+/gi, '-').replace(/^[-.]+|-+$/g, '');
  throw refusal(
    `${name}: ${id} is no id for a task: ${TAKES.id?.words}`,
    `id: ${clean.slice(0, 40) || 'my-task'}`,
  );
}
