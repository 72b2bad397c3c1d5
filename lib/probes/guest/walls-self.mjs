// Runs inside a sandbox: which user the agent is, which kernel it runs on, and what that kernel
// permits.
import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
} from 'node:fs';
import { release, version } from 'node:os';
import { join } from 'node:path';
import { closed, gap, inFolder, open, planted, run, why } from './walls-try.mjs';

// In bit order (linux/capability.h).
const CAPABILITIES = (
  'chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service net_broadcast ' +
  'net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource ' +
  'sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend ' +
  'audit_read perfmon bpf checkpoint_restore'
).split(' ');

/**
 * @param {{ markerDigest: string }} given
 * @returns {Record<string, () => import('./walls-try.mjs').Told |
 *   Promise<import('./walls-try.mjs').Told>>}
 */
export function aboutItself(given) {
  return {
    'host-kernel': () =>
      gap('not compared', {
        bootId: text('/proc/sys/kernel/random/boot_id'),
        release: release(),
        version: version(),
      }),
    root() {
      const uid = process.getuid?.();
      if (uid === undefined) return gap('no user ids on this system');
      return uid === 0 ? open('uid 0') : closed(`uid ${uid}`);
    },
    'root-on-host': () => gap('not compared', { uidMap: text('/proc/self/uid_map') }),
    capabilities() {
      const fields = status();
      if (!fields) return gap('no /proc/self/status here');
      const [effective, bounding] = [fields.CapEff, fields.CapBnd].map((bits) =>
        names(bits ?? '0'),
      );
      const evidence = `effective: ${some(effective ?? [])}; bounding: ${some(bounding ?? [])}; no-new-privileges ${fields.NoNewPrivs === undefined ? 'not reported' : fields.NoNewPrivs === '1' ? 'on' : 'off'}`;
      const gainable = fields.NoNewPrivs !== '1' && bounding?.length;
      return effective?.length || gainable ? open(evidence) : closed(evidence);
    },
    seccomp() {
      const fields = status();
      if (fields?.Seccomp === undefined)
        return gap('this kernel tells nothing of it in /proc/self/status');
      const filters =
        fields.Seccomp_filters === undefined ? '' : `, filters: ${fields.Seccomp_filters}`;
      return fields.Seccomp === '0'
        ? open(`Seccomp: 0${filters}`)
        : closed(`Seccomp: ${fields.Seccomp}${filters}`);
    },
    'new-privileges': newPrivileges,
    'user-namespaces': userNamespaces,
    'other-processes': () => otherProcesses(given.markerDigest),
    'kernel-settings': kernelSettings,
    mknod,
    'device-nodes': deviceNodes,
    'raw-sockets': rawSockets,
  };
}

/** @param {string} path */
function text(path) {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** @returns {Record<string, string> | undefined} */
function status() {
  const lines = text('/proc/self/status');
  return lines === undefined
    ? undefined
    : Object.fromEntries(lines.split('\n').map((line) => line.split(/:\s*/, 2)));
}

/** @param {string} bits in hexadecimal */
function names(bits) {
  const set = BigInt(`0x${bits}`);
  return Array.from({ length: 64 }, (_, bit) => bit).flatMap((bit) =>
    (set >> BigInt(bit)) & 1n ? [CAPABILITIES[bit] ?? `bit ${bit}`] : [],
  );
}

/** @param {string[]} all */
function some(all) {
  if (all.length === 0) return 'none';
  return all.length > 14
    ? `${all.length} (${all.slice(0, 3).join(' ')} … ${all.includes('sys_admin') ? 'sys_admin …' : ''})`
    : all.join(' ');
}

const SETUID = ['su', 'sudo', 'passwd', 'mount', 'newgrp', 'chsh'].flatMap((name) =>
  ['/usr/bin/', '/bin/'].map((folder) => folder + name),
);

async function newPrivileges() {
  const flag = status()?.NoNewPrivs;
  const there = [...new Set(SETUID.filter(isSetuid).map((path) => path.split('/').at(-1)))];
  const words = `NoNewPrivs: ${flag ?? 'not reported'}; setuid programs there: ${there.join(' ') || 'none'}`;
  if (flag === '1') return closed(words);
  // passwd reads the caller's line of /etc/shadow, which only a setuid program can.
  const tried =
    there.includes('passwd') && process.getuid?.() !== 0
      ? await run(['passwd', '-S'], { timeoutMs: 2000 })
      : undefined;
  const evidence =
    tried === undefined
      ? words
      : `${words}; passwd -S ${tried.code === 0 ? 'read a file of root' : `did not: ${tried.words}`}`;
  if (flag === '0' || tried?.code === 0) return open(evidence);
  return tried === undefined ? gap(evidence) : closed(evidence);
}

/** @param {string} path */
function isSetuid(path) {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && (found.mode & 0o4000) !== 0 && found.uid === 0;
}

/** System call number of `unshare`, which differs between x86-64 and arm64. */
const UNSHARE = new Map([
  ['x64', 272],
  ['arm64', 97],
]).get(process.arch);

async function userNamespaces() {
  const made = await run(['unshare', '--user', '--map-root-user', 'true'], { timeoutMs: 3000 });
  if (!made.missing)
    return made.code === 0
      ? open('unshare --user --map-root-user: made')
      : closed(made.words || `unshare ended with ${made.code}`);
  if (UNSHARE === undefined) return gap('no unshare command here');
  const perl = await run(['perl', '-e', `syscall(${UNSHARE}, 0x10000000) == 0 or die "$!\\n"`], {
    timeoutMs: 3000,
  });
  if (perl.missing) return gap('neither unshare nor perl here to try with');
  return perl.code === 0
    ? open('unshare(CLONE_NEWUSER) by perl: made')
    : closed(`unshare(CLONE_NEWUSER) by perl: ${perl.words}`);
}

/** @param {string} digest */
function otherProcesses(digest) {
  let pids;
  try {
    pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch (error) {
    return gap(`no /proc here: ${why(error)}`);
  }
  if (pids.length === 0) return gap('no processes in /proc here');
  const marker = pids.find((pid) => planted(text(`/proc/${pid}/cmdline`) ?? '', [digest]) > 0);
  if (marker === undefined)
    return closed(`${pids.length} processes seen, the probe’s marker of this host not among them`);
  return open(
    `${pids.length} processes seen, the probe’s marker of this host among them; it ${signalled(Number(marker))}`,
  );
}

/** @param {number} pid */
function signalled(pid) {
  try {
    process.kill(pid, 0);
    return 'may be signalled';
  } catch (error) {
    return `may not be signalled (${why(error)})`;
  }
}

/** Files are opened and closed, never written. */
function kernelSettings() {
  const settings = [
    '/proc/sys/kernel/core_pattern',
    '/proc/sys/vm/panic_on_oom',
    '/proc/sysrq-trigger',
  ];
  const tried = settings.map((path) => ({ path, said: opened(path, constants.O_WRONLY) }));
  const could = tried.filter(({ said }) => said === true).map(({ path }) => path);
  if (could.length > 0) return open(`opened for writing: ${could.join(' ')}`);
  return closed(tried.map(({ path, said }) => `${path}: ${said}`).join('; '));
}

/**
 * @param {string} path
 * @param {number} flags
 * @returns {true | string} the reason, if it cannot be opened
 */
function opened(path, flags) {
  try {
    closeSync(openSync(path, flags | constants.O_NONBLOCK));
    return true;
  } catch (error) {
    return why(error);
  }
}

function mknod() {
  return inFolder(async (folder) => {
    const path = join(folder, 'node');
    const made = await run(['mknod', path, 'c', '1', '3'], { timeoutMs: 2000 });
    if (made.missing) return gap('no mknod command here');
    if (made.code !== 0) return closed(made.words || `mknod ended with ${made.code}`);
    const said = opened(path, constants.O_RDWR);
    return said === true
      ? open('a node of the null device made and opened')
      : closed(`a node was made, but not to be opened: ${said}`);
  });
}

const USUAL =
  /^(null|zero|full|random|urandom|tty|console|ptmx|pts|fd|shm|mqueue|core|stdin|stdout|stderr|log|initctl|hugepages)$/;
/**
 * Devices that can be opened without side effects: a watchdog, for example, would restart the
 * machine.
 */
const HARMLESS =
  /^((sd|vd|xvd|hd)[a-z]+\d*|nvme\d+n\d+(p\d+)?|(loop|dm-|ram|zram)\d+|mem|kmsg|kvm|fuse|tun)$/;

function deviceNodes() {
  let found;
  try {
    found = ['', 'net/', 'mapper/'].flatMap((folder) => {
      if (folder !== '' && !isFolder(`/dev/${folder}`)) return [];
      return readdirSync(`/dev/${folder}`).map((name) => ({ name, path: `/dev/${folder}${name}` }));
    });
  } catch (error) {
    return gap(`no /dev here: ${why(error)}`);
  }
  const devices = found.filter(({ name, path }) => !USUAL.test(name) && isDevice(path));
  if (devices.length === 0) return closed('only the usual ones in /dev');
  const tried = devices.filter(({ name }) => HARMLESS.test(name));
  const may = tried
    .filter(({ path }) => opened(path, constants.O_RDONLY) === true)
    .map(({ path }) => path);
  const untried = devices.filter(({ name, path }) => !HARMLESS.test(name) && mayRead(path)).length;
  const more = untried > 0 ? `; ${untried} more not tried, as opening them may do something` : '';
  if (may.length > 0)
    return open(
      `opened: ${may.slice(0, 6).join(' ')}${may.length > 6 ? ` and ${may.length - 6} more` : ''}${more}`,
    );
  const seen = devices.slice(0, 6).map(({ path }) => path);
  return closed(
    `there, but not to be opened: ${seen.join(' ')}${devices.length > 6 ? ` and ${devices.length - 6} more` : ''}${more}`,
  );
}

/** @param {string} path */
function isFolder(path) {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** @param {string} path */
function isDevice(path) {
  try {
    const found = statSync(path);
    return found.isBlockDevice() || found.isCharacterDevice();
  } catch {
    return false;
  }
}

/** @param {string} path */
function mayRead(path) {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** Sockets are created and closed; nothing is sent. */
async function rawSockets() {
  if (process.platform !== 'linux') return gap('not tried: AF_PACKET is Linux’ own');
  const perl = (/** @type {string} */ family) =>
    run(['perl', '-e', `socket(S, ${family}) or die "$!\\n"`], { timeoutMs: 3000 });
  const python = (/** @type {string} */ family) =>
    run(['python3', '-c', `import socket; socket.socket(${family})`], { timeoutMs: 3000 });
  for (const by of [perl, python]) {
    const [link, icmp] = await Promise.all([by('17, 3, 0'), by('2, 3, 1')]);
    if (link.missing) continue;
    const evidence = `AF_PACKET: ${link.code === 0 ? 'made' : link.words}; raw ICMP: ${icmp.code === 0 ? 'made' : icmp.words}`;
    return link.code === 0 || icmp.code === 0 ? open(evidence) : closed(evidence);
  }
  return gap('neither perl nor python3 here to make one with');
}
