// The kinds of work whose cost inside is measured, in the order in which they run, and what one
// operation of each does.

export interface Kind {
  /** Name in the record and in tables; the guest's loop has the same name. */
  probe: string;
  /** What one operation does, in one sentence. */
  meaning: string;
}

const MIB8 = '8 MiB in pieces of 128 KiB';
const RANDOM = '256 blocks of 4 KiB at random places of a file of 8 MiB';
const TMP = 'in the folder for temporary files inside, wherever that lies';

/**
 * Reads are served from a page cache, the host's or the sandbox's own, because the data was written
 * a moment before.
 */
export const KINDS: readonly Kind[] = [
  { probe: 'process-spawn', meaning: 'starts `true` and waits until it has ended.' },
  {
    probe: 'small-files',
    meaning:
      'creates 2,000 files of 100 bytes in the workspace, asks for their state, reads and removes them.',
  },
  {
    probe: 'read-files',
    meaning:
      'asks for the state of 500 files of 100 bytes in the workspace and reads them, from the cache.',
  },
  {
    probe: 'git-init',
    meaning: 'makes an empty repository in the workspace, with the git that is there.',
  },
  {
    probe: 'git-status',
    meaning: 'asks for the status of a clean repository of 300 files in the workspace.',
  },
  {
    probe: 'git-commit',
    meaning: 'commits one changed file of a repository of 300 files in the workspace.',
  },
  {
    probe: 'sequential-write',
    meaning: `writes ${MIB8} to a file in the workspace and brings it to disk (fsync).`,
  },
  {
    probe: 'sequential-read',
    meaning: `reads ${MIB8} of a file in the workspace, from the cache.`,
  },
  {
    probe: 'random-write',
    meaning: `writes ${RANDOM} in the workspace and brings them to disk (fdatasync).`,
  },
  { probe: 'random-read', meaning: `reads ${RANDOM} in the workspace, from the cache.` },
  {
    probe: 'tmp-sequential-write',
    meaning: `writes ${MIB8} to a file ${TMP}, and asks for it on disk (fsync).`,
  },
  { probe: 'tmp-sequential-read', meaning: `reads ${MIB8} of a file ${TMP}, from the cache.` },
  {
    probe: 'tmp-random-write',
    meaning: `writes ${RANDOM} ${TMP}, and asks for them on disk (fdatasync).`,
  },
  { probe: 'tmp-random-read', meaning: `reads ${RANDOM} ${TMP}, from the cache.` },
  {
    probe: 'unpack',
    meaning:
      'unpacks a gzipped tarball of 400 files, 1.6 MB, into the workspace in JavaScript, as npm does.',
  },
  {
    probe: 'loopback-http',
    meaning:
      'asks a server in the same process for 1 KiB by HTTP over a new connection on 127.0.0.1.',
  },
  {
    probe: 'dns',
    meaning: 'asks a name server in the same process for a name by UDP on 127.0.0.1.',
  },
  {
    probe: 'name-lookup',
    meaning: 'asks the system (getaddrinfo) for localhost, which stands in /etc/hosts.',
  },
  { probe: 'cpu-hash', meaning: 'hashes 1 MiB with SHA-256.' },
  { probe: 'memory-bandwidth', meaning: 'copies 64 MiB from one buffer to another.' },
];
