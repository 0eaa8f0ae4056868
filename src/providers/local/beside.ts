import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { join } from 'node:path';
import { outerIds } from '../../lab/outer-users.js';
import { ownRootWords } from '../../lab/own-root.js';
import { isAlive } from '../../lab/process.js';
import { hostProcBeside } from '../../model/beside.js';
import { generateLabKeys, type LabKeys } from '../../ssh/keys.js';
import type { SshTarget } from '../../ssh/ssh.js';
import { findProgram, machineEnvironment } from '../shared/command.js';
import { deviceNodes, type Isolation } from './boot-script.js';
import { joinActions } from './enter.js';
import { filterAction, machineCalls } from './machine-calls.js';
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

/** How a busybox is started on a script that an environment variable holds. */
const run = (variable: string): string => `sh -c 'eval "$${variable}"'`;

/**
 * By root of the machine, in a mount namespace of its own: the image at IMAGE/mnt/tree, read-only, with owners as the host has
 * them. What follows gets a copy of that namespace, which belongs to the host's users, and in which these mounts are locked.
 */
const provide = (isolation: Isolation): string => `set -eu
cd "$NETRIG_IMAGE"
mount -t tmpfs -o mode=755,nosuid,noexec,size=64k netrig mnt
mkdir mnt/tree mnt/nodes
${deviceNodes}${
  isolation === 'users'
    ? 'exec "$NETRIG_PERL" -e "$NETRIG_CALLS" -- bind "$NETRIG_SHIFTED" "$NETRIG_IMAGE" mnt/tree $NETRIG_FILTER -- '
    : 'mount -o bind . mnt/tree\nmount -o remount,bind,ro mnt/tree\nexec '
}"$NETRIG_NSENTER" ${isolation === 'users' ? '--user="/proc/$NETRIG_PID1/ns/user" ' : ''}--net="/proc/$NETRIG_PID1/ns/net" \\
  "$NETRIG_SETPRIV" --pdeathsig KILL "$NETRIG_UNSHARE" --mount --ipc --uts --propagation private bin/busybox ${run('NETRIG_ENTERED')}
`;

/** With the host's user and network namespace. A proc of the host's processes can be mounted by one of them only: for a moment. */
const enteredScript = `set -eu
cd -P mnt
# A mount of its own, which can be moved to: the one beneath is locked.
mount -o bind tree tree
cd -P tree
mount -t tmpfs -o mode=755,nosuid,nodev,size=64k netrig mnt
mkdir .${hostProcBeside}
"$NETRIG_NSENTER" --pid="/proc/$NETRIG_PID1/ns/pid" bin/busybox mount -t proc -o nosuid,nodev,noexec proc .${hostProcBeside}
exec "$NETRIG_UNSHARE" --pid --fork --kill-child=KILL bin/busybox ${run('NETRIG_SERVE')}
`;

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

/** As PID 1 of the helper's own pid namespace, which ends with it. The shell stays: it reaps what commands leave behind. */
const serveScript = `set -eu
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t tmpfs -o mode=755,nosuid,size=64k dev dev
for node in null zero full random urandom tty; do
  : >"dev/$node"
  mount -o bind "../nodes/$node" "dev/$node"
done
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=755,nosuid,nodev,size=1m run run
mount -t tmpfs -o mode=1777,nosuid,nodev,size=64m tmp tmp
mkdir run/sshd run/lock run/machine
mkdir -m 700 run/netrig
umask 77
printf '%s\\n' "$NETRIG_HOST_KEY" >run/netrig/host_key
printf '%s\\n' "$NETRIG_LOGIN_KEY" >run/netrig/login_key.pub
printf '%s' "$NETRIG_SSHD_CONFIG" >run/netrig/sshd_config
umask 22
pivot_root . run/machine
cd /
umount -l /run/machine
rmdir /run/machine
/usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
  /usr/sbin/sshd -i -e -f /run/netrig/sshd_config <&3 >&3 2>/dev/null 3>&-
:
`;

const pathOf = (program: string): string => findProgram(program) ?? program;

function helperEnvironment(access: HostAccess, image: string, keys: LabKeys): Record<string, string> {
  const [perl, , program] = machineCalls;
  return {
    PATH: machineEnvironment['PATH'] ?? '',
    NETRIG_IMAGE: image,
    NETRIG_PID1: String(access.pid1.pid),
    // As in `boot-script.ts`.
    NETRIG_SHIFTED: outerIds() === null ? `/proc/${access.pid1.pid}/ns/user` : '-',
    NETRIG_PROVIDE: provide(access.isolation),
    NETRIG_ENTERED: enteredScript,
    NETRIG_SERVE: serveScript,
    NETRIG_PERL: pathOf(perl),
    NETRIG_CALLS: program,
    NETRIG_FILTER: filterAction().join(' '),
    NETRIG_NSENTER: pathOf('nsenter'),
    NETRIG_SETPRIV: pathOf('setpriv'),
    NETRIG_UNSHARE: pathOf('unshare'),
    NETRIG_HOST_KEY: keys.hostPrivateKey.trimEnd(),
    NETRIG_LOGIN_KEY: keys.publicKeyLine,
    NETRIG_SSHD_CONFIG: sshdConfig,
  };
}

/** Starts a helper; its stream ends when the helper does. Rejects when the host is gone. */
async function startHelper(access: HostAccess, image: string, keys: LabKeys, signal: AbortSignal): Promise<Duplex> {
  if (!isAlive(access.pid1)) throw new Error('its PID 1 is gone');
  const [perl, ...words] = machineCalls;
  const actions = [...joinActions(access.entered), 'watch', String(access.pid1.pid)];
  const shell = [join(image, 'bin', 'busybox'), 'sh', '-c', 'eval "$NETRIG_PROVIDE"'];
  const unshare = [pathOf('unshare'), '--mount', '--propagation', 'private', ...shell];
  const [program = '', ...own] = [...ownRootWords(), pathOf(perl)];
  const child = spawn(
    program,
    [...own, ...words, ...actions, '--', ...unshare],
    // Descriptor 3 is a socket in both directions, where 0 and 1 would be two pipes.
    { stdio: ['ignore', 'ignore', 'pipe', 'pipe'], env: helperEnvironment(access, image, keys), detached: true },
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
