import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { NetrigError } from '../../errors.js';
import { identify, isAlive, type ProcessIdentity, signalProcess, waitUntilGone } from '../../lab/process.js';
import { machineEnvironment } from '../shared/command.js';
import { makeDirectorySync } from '../../model/directory.js';

/** A libvirtd of netrig's own, with all its machines, in namespaces that end with this process. */
export interface PrivateLibvirtd {
  /** Ended by SIGKILL, all of it ends: the kernel kills a pid namespace with its first process. */
  guard: ProcessIdentity;
  /** PID 1 of its namespaces as this machine knows it. */
  init: ProcessIdentity;
}

const startMs = 20_000;
const endMs = 20_000;

/**
 * The first process of the namespaces. All that libvirt keeps is in the directory given, at the paths that it has compiled
 * in; bridges, addresses and dnsmasq of its networks are in the network namespace. It has no dbus, hence no firewalld,
 * polkit and machined.
 */
const initScript = `set -eu
cd "$1"
mount -t proc proc /proc
mount -t sysfs sysfs /sys
# What libvirt's networks forward between machines of one segment is no business of this machine's firewall.
for table in arp ip ip6; do
  file=/proc/sys/net/bridge/bridge-nf-call-\${table}tables
  [ ! -e "$file" ] || echo 0 >"$file"
done
ip link set dev lo up
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/libvirt /run/lock
for place in lib cache log; do mount -o bind "$place" "/var/$place/libvirt"; done
mount -o bind etc /etc/libvirt
/usr/sbin/libvirtd &
wait $!
`;

/** Machines run as root in namespaces of their own: no user, cgroup or security label to switch to. */
const qemuConfiguration = `user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
seccomp_sandbox = 0
`;

const libvirtdConfiguration = `auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_rw_perms = "0700"
`;

/** argv before a command that is to run where the private libvirtd is; killed with it. */
export function enterArguments(libvirtd: PrivateLibvirtd, directory: string): [string, ...string[]] {
  return [
    'nsenter',
    '--target',
    String(libvirtd.init.pid),
    '--mount',
    '--net',
    '--pid',
    '--uts',
    '--ipc',
    `--wdns=${directory}`,
    '--',
  ];
}

/** Where its socket is, seen from outside of its namespaces. */
function socketOf(init: ProcessIdentity): string {
  return `/proc/${init.pid}/root/run/libvirt/libvirt-sock`;
}

export function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/**
 * Starts it, with its state below `directory`. It does not keep this process from ending, and ends with it.
 * Rejects with NETRIG_VAGRANT_PROVIDER and its own words when it does not answer; nothing of it is left then.
 */
export async function startLibvirtd(directory: string, signal: AbortSignal): Promise<PrivateLibvirtd> {
  const state = join(directory, 'libvirt');
  for (const path of [
    'etc/qemu/networks',
    'lib/qemu',
    'lib/images',
    'lib/boot',
    'lib/dnsmasq',
    'lib/network',
    'cache/qemu',
    'log/qemu',
  ])
    makeDirectorySync(join(state, path), 0o700);
  writeFileSync(join(state, 'etc/qemu.conf'), qemuConfiguration);
  writeFileSync(join(state, 'etc/libvirtd.conf'), libvirtdConfiguration);
  const log = join(state, 'libvirtd.log');
  const out = openSync(log, 'a', 0o600);
  const namespaces = [
    '--mount',
    '--net',
    '--pid',
    '--uts',
    '--ipc',
    '--propagation',
    'private',
    '--fork',
    '--kill-child=KILL',
  ];
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', 'unshare', ...namespaces, 'sh', '-c', initScript, 'netrig-libvirtd', state],
    {
      stdio: ['ignore', out, out],
      detached: true,
      env: machineEnvironment,
    },
  );
  closeSync(out);
  child.unref();
  const failed = (why: string): NetrigError => {
    const words = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .slice(-5)
      .join('\n');
    return new NetrigError(
      'NETRIG_VAGRANT_PROVIDER',
      `netrig's own libvirtd did not start: ${why}.${words === '' ? '' : ` Its last words:\n${words}`}`,
      {
        hint: 'Start the libvirtd of this machine, or see whether root can make namespaces here (`netrig doctor --provider local`).',
      },
    );
  };
  let error: Error | undefined;
  child.once('error', (reason) => (error = reason));
  const guard = child.pid === undefined ? null : identify(child.pid);
  if (!guard) throw failed(error?.message ?? 'its process ended at once');
  const deadline = performance.now() + startMs;
  let init: ProcessIdentity | null = null;
  try {
    for (;;) {
      signal.throwIfAborted();
      if (!isAlive(guard)) throw failed('its process ended');
      init ??= childOf(guard);
      if (init && (await answers(socketOf(init)))) return { guard, init };
      if (performance.now() > deadline) throw failed(`nothing answered at its socket within ${startMs / 1000} s`);
      await pause(50);
    }
  } catch (reason) {
    await endLibvirtd({ guard, init: init ?? guard });
    throw reason;
  }
}

/** `unshare --fork` has one child: the first process of the namespaces. */
function childOf(parent: ProcessIdentity): ProcessIdentity | null {
  try {
    const pid = Number(readFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8').trim().split(' ')[0]);
    return pid > 0 ? identify(pid) : null;
  } catch {
    return null;
  }
}

/** Ends it and every machine and network that it has. Answers what did not end. */
export async function endLibvirtd(libvirtd: PrivateLibvirtd): Promise<ProcessIdentity[]> {
  // The first process first: with `unshare` gone, nobody would wait for it.
  signalProcess(libvirtd.init, 'SIGKILL');
  signalProcess(libvirtd.guard, 'SIGKILL');
  return waitUntilGone([libvirtd.init, libvirtd.guard], endMs);
}
