import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { outerIds } from '../../lab/outer-users.js';
import { ownRootWords } from '../../lab/own-root.js';
import { isAlive } from '../../lab/process.js';
import { hostProcBeside } from '../../model/beside.js';
import { generateLabKeys, type LabKeys } from '../../ssh/keys.js';
import type { SshTarget } from '../../ssh/ssh.js';
import { findProgram } from '../shared/command.js';
import { deviceActions, deviceNumbers } from './devices.js';
import { joinActions } from './enter.js';
import { detach, enterAction, filterAction, machineCalls, mountAction, unshareActions } from './machine-calls.js';
import type { HostAccess } from './transport.js';

/**
 * The helper beside a host: an sshd for one connection, which runs netrig's own probes. It has the network namespace, user
 * namespace, cgroups and system call filter of the host, but a pid namespace of its own, in which the host sees nobody, and a
 * mount namespace of its own on the host image as it was built, read-only. So whatever root of the host did to the programs of
 * the host, those of the probes are as they were, and they are bound by what binds the host.
 *
 * That it is an sshd gives probes the same time limits, signals and output limits as all other commands, many at once.
 *
 * It belongs to the process that opened it: it ends with the stream, with that process and with PID 1 of the host (a network
 * namespace that outlived its host would go on answering).
 */

/** Numbers and names of the devices that its programs have. */
const devices = deviceNumbers.filter(({ path }) => !path.includes('/') && path !== 'fuse');

/**
 * By root of the machine, in a mount namespace of its own: the image at IMAGE/mnt/tree, read-only, with owners as the host has
 * them. What follows gets a copy of that namespace, which belongs to the host's users, and in which these mounts are locked.
 */
function provide({ isolation, pid1 }: HostAccess, image: string): string[] {
  const tree =
    isolation === 'users'
      ? ['bind', outerIds() === null ? `/proc/${pid1.pid}/ns/user` : '-', image, 'mnt/tree']
      : [...mountAction('', '.', 'mnt/tree', 'bind'), ...mountAction('', '', 'mnt/tree', 'remount,bind,ro')];
  return [
    ...unshareActions('mount'),
    ...['cd', image],
    ...mountAction('tmpfs', 'netrig', 'mnt', 'mode=755,nosuid,noexec,size=64k'),
    ...['mkdir', '755', 'mnt/tree', 'mkdir', '755', 'mnt/nodes'],
    ...deviceActions(devices, 'mnt/nodes'),
    ...tree,
    ...(isolation === 'users' ? filterAction() : []),
  ];
}

/** With the host's user and network namespace. A proc of the host's processes can be mounted by one of them only: for a moment. */
function enterHost({ isolation, pid1 }: HostAccess): string[] {
  const of = (name: string): string => `/proc/${pid1.pid}/ns/${name}`;
  return [
    ...enterAction('net', of('net')),
    ...(isolation === 'users' ? [...enterAction('user', of('user')), 'root'] : []),
    'die',
    ...unshareActions('mount', 'ipc', 'uts'),
    ...['cd', 'mnt'],
    // A mount of its own, which can be moved to: the one beneath is locked.
    ...mountAction('', 'tree', 'tree', 'bind'),
    ...['cd', 'tree'],
    ...mountAction('tmpfs', 'netrig', 'mnt', 'mode=755,nosuid,nodev,size=64k'),
    ...['mkdir', '755', `.${hostProcBeside}`],
    ...['proc', of('pid'), `.${hostProcBeside}`],
  ];
}

/** As PID 1 of the helper's own pid namespace, which ends with it. */
const serve: readonly string[] = [
  ...[...unshareActions('pid'), 'fork'],
  ...mountAction('proc', 'proc', 'proc', 'nosuid,nodev,noexec'),
  ...mountAction('sysfs', 'sysfs', 'sys', 'ro,nosuid,nodev,noexec'),
  ...mountAction('tmpfs', 'dev', 'dev', 'mode=755,nosuid,size=64k'),
  ...devices.flatMap(({ path }) => [
    ...['touch', `dev/${path}`],
    ...mountAction('', `../nodes/${path}`, `dev/${path}`, 'bind'),
  ]),
  ...['link', '/proc/self/fd', 'dev/fd'],
  ...mountAction('tmpfs', 'run', 'run', 'mode=755,nosuid,nodev,size=1m'),
  ...mountAction('tmpfs', 'tmp', 'tmp', 'mode=1777,nosuid,nodev,size=64m'),
  ...['sshd', 'lock', 'machine'].flatMap((name) => ['mkdir', '755', `run/${name}`]),
  ...['mkdir', '700', 'run/netrig'],
  ...['secret', '600', 'NETRIG_HOST_KEY', 'run/netrig/host_key'],
  ...['secret', '600', 'NETRIG_LOGIN_KEY', 'run/netrig/login_key.pub'],
  ...['secret', '600', 'NETRIG_SSHD_CONFIG', 'run/netrig/sshd_config'],
  ...['pivot', '.', 'run/machine', 'cd', '/', 'umount', detach, '/run/machine', 'rmdir', '/run/machine'],
  'forget',
  // The shell stays: it reaps what commands leave behind.
  ...['--', '/bin/busybox', 'sh', '-c'],
  '/usr/sbin/sshd -i -e -f /run/netrig/sshd_config <&3 >&3 2>/dev/null 3>&-\n:\n',
];

const sshdConfig = `HostKey /run/netrig/host_key
AuthorizedKeysFile /run/netrig/login_key.pub
UsePAM no
UseDNS no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
PrintLastLog no
SetEnv LANG=C.UTF-8
MaxSessions 64
LogLevel QUIET
Subsystem sftp internal-sftp
`;

function helperEnvironment(keys: LabKeys): Record<string, string> {
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    NETRIG_HOST_KEY: keys.hostPrivateKey,
    NETRIG_LOGIN_KEY: keys.publicKeyLine,
    NETRIG_SSHD_CONFIG: sshdConfig,
  };
}

/** Starts a helper; its stream ends when the helper does. Rejects when the host is gone. */
async function startHelper(access: HostAccess, image: string, keys: LabKeys, signal: AbortSignal): Promise<Duplex> {
  if (!isAlive(access.pid1)) throw new Error('its PID 1 is gone');
  const [perl, ...words] = machineCalls;
  const actions = [
    ...joinActions(access.entered),
    ...['watch', String(access.pid1.pid)],
    ...provide(access, image),
    ...enterHost(access),
    ...serve,
  ];
  const [program = '', ...own] = [...ownRootWords(), findProgram(perl) ?? perl];
  const child = spawn(
    program,
    [...own, ...words, ...actions],
    // Descriptor 3 is a socket in both directions, where 0 and 1 would be two pipes.
    { stdio: ['ignore', 'ignore', 'pipe', 'pipe'], env: helperEnvironment(keys), detached: true },
  );
  const stream = child.stdio[3] as Duplex;
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2000)));
  child.on('error', (error) => stream.destroy(error));
  child.on('close', () => stream.destroy(said.trim() === '' ? undefined : new Error(said.trim())));
  await once(child, 'spawn', { signal });
  signal.throwIfAborted();
  // The pid may have become another process's on the way.
  if (!isAlive(access.pid1)) {
    stream.destroy();
    throw new Error('its PID 1 is gone');
  }
  return stream;
}

/** How to reach a helper beside the host; `null` for a lab of a version that did not write down the host's image. */
export function besideTarget(host: string, access: HostAccess): SshTarget | null {
  const { image } = access;
  if (image === undefined) return null;
  const keys = generateLabKeys(`beside ${host}`);
  return {
    host,
    username: 'root',
    privateKey: keys.privateKey,
    hostKey: keys.hostPublicKey,
    open: (signal) => startHelper(access, image, keys, signal),
  };
}
