import { createHash } from 'node:crypto';
import { containerImageRecipes, type ContainerImageRecipe } from './container-images.js';
import { findHostImageRow, type HostImageRow } from './host-image.js';
import { NetrigError } from '../errors.js';

/** A file of the image, written as it stands. */
export interface ImageFile {
  path: string;
  mode: number;
  content: string;
}

/** Everything that decides what is in an image, apart from the versions that the mirror carries. Pure data. */
export interface ImageRecipe {
  /** Raised when the code that applies a recipe changes what comes out of it. */
  format: number;
  name: string;
  suite: string;
  packages: string[];
  dpkgOptions: string[];
  aptOptions: string[];
  /** Shell commands that mmdebstrap runs before the first package is unpacked; `$1` is the tree. */
  setupHooks?: string[];
  /** Paths (a directory counts with what it holds) that are removed from the tree. A star at the end stands for any rest of the name. */
  remove: string[];
  files: ImageFile[];
  /** Symbolic links, path → target; they replace what is there. */
  links: Record<string, string>;
  masked: string[];
  /** Unit files taken out of `*.wants` in /etc/systemd/system: installed, startable, not started at boot. */
  disabled: string[];
  /** Unit files put into a target's `.wants`. */
  enabled: { unit: string; target: string }[];
  containerImages: ContainerImageRecipe[];
}

const commonPackages = [
  // a host that boots
  'systemd',
  'systemd-sysv',
  'dbus',
  'kmod',
  'procps',
  'netbase',
  'sudo',
  'less',
  'openssh-server',
  'docker.io',
  'ca-certificates',
  'busybox-static',
  // what tutorials configure
  'iproute2',
  'iptables',
  'nftables',
  'bridge-utils',
  'openvswitch-switch',
  'ethtool',
  // what probes and people use; fping asks many addresses in one process
  'iputils-ping',
  'iputils-arping',
  'fping',
  'curl',
  'tcpdump',
  'socat',
] as const;

/**
 * Units that a lab host must not run, each group for its reason. Masked by a link to /dev/null, also where a suite has no
 * unit of that name: that costs nothing, and a package that gains one later does not surprise.
 */
const masked = [
  // no terminals and no logins but SSH; logind waits for a seat and costs half a second of boot
  'getty.target',
  'getty@.service',
  'getty-static.service',
  'console-getty.service',
  'container-getty@.service',
  'serial-getty@.service',
  'systemd-logind.service',
  'dbus-org.freedesktop.login1.service',
  'systemd-ask-password-console.path',
  'systemd-ask-password-wall.path',
  'systemd-update-utmp.service',
  'systemd-update-utmp-runlevel.service',
  // devices and modules belong to the machine
  'systemd-udevd.service',
  'systemd-udevd-control.socket',
  'systemd-udevd-kernel.socket',
  'systemd-udevd-varlink.socket',
  'systemd-udev-trigger.service',
  'systemd-udev-settle.service',
  'systemd-udev-load-credentials.service',
  'systemd-modules-load.service',
  'modprobe@.service',
  'kmod-static-nodes.service',
  'systemd-tmpfiles-setup-dev.service',
  'systemd-tmpfiles-setup-dev-early.service',
  'systemd-binfmt.service',
  'systemd-pstore.service',
  'systemd-random-seed.service',
  'systemd-boot-system-token.service',
  'systemd-boot-random-seed.service',
  'systemd-rfkill.socket',
  'systemd-rfkill.service',
  'systemd-pcrphase.service',
  'systemd-pcrphase-sysinit.service',
  'systemd-pcrmachine.service',
  'systemd-pcrlock-make-policy.service',
  'systemd-pcrextend.socket',
  'systemd-tpm2-setup.service',
  'systemd-tpm2-setup-early.service',
  'systemd-hwdb-update.service',
  'systemd-hibernate-clear.service',
  // the network is the lab's: nothing configures it but the scenario
  'systemd-networkd.service',
  'systemd-networkd.socket',
  'systemd-networkd-wait-online.service',
  'systemd-resolved.service',
  'systemd-timesyncd.service',
  'networking.service',
  'ifupdown-pre.service',
  // the host's mounts are made before it boots. With mount units, hosts booted by the dozen hang now and then
  'dev-hugepages.mount',
  'dev-mqueue.mount',
  'sys-kernel-debug.mount',
  'sys-kernel-tracing.mount',
  'sys-kernel-config.mount',
  'sys-fs-fuse-connections.mount',
  'proc-sys-fs-binfmt_misc.automount',
  'proc-sys-fs-binfmt_misc.mount',
  'run-lock.mount',
  'tmp.mount',
  'systemd-remount-fs.service',
  'remote-fs.target',
  'remote-cryptsetup.target',
  // first-boot and update work: the image is finished
  'systemd-firstboot.service',
  'systemd-machine-id-commit.service',
  'systemd-sysusers.service',
  'systemd-update-done.service',
  'ldconfig.service',
  'systemd-journal-flush.service',
  'systemd-journal-catalog-update.service',
  'systemd-journald-audit.socket',
  'sshd-keygen.service',
  // housekeeping of machines that run for weeks
  'apt-daily.timer',
  'apt-daily.service',
  'apt-daily-upgrade.timer',
  'apt-daily-upgrade.service',
  'dpkg-db-backup.timer',
  'dpkg-db-backup.service',
  'e2scrub_all.timer',
  'e2scrub_reap.service',
  'fstrim.timer',
  'man-db.timer',
  'systemd-tmpfiles-clean.timer',
  'logrotate.timer',
  'uuidd.socket',
  'uuidd.service',
  'systemd-initctl.socket',
  // SSH comes by netrig-ssh.socket and by the plain ssh.service; these would listen in other places as well
  'ssh.socket',
  'sshd-unix-local.socket',
  'sshd-vsock.socket',
  'systemd-ssh-generator.socket',
] as const;

/**
 * The socket is a file, so that no address, firewall rule or route of a scenario can cut netrig off. One sshd a connection,
 * as inetd would start it.
 */
const sshSocket = `[Unit]
Description=netrig's way in: SSH over a unix socket
DefaultDependencies=no
Before=sockets.target

[Socket]
ListenStream=/run/netrig-ssh.sock
SocketMode=0600
Accept=yes
MaxConnections=256
`;

/** KillMode=process: what a step leaves running in the background outlives the connection. */
const sshService = `[Unit]
Description=netrig's SSH connection
CollectMode=inactive-or-failed

[Service]
ExecStart=-/usr/sbin/sshd -i
StandardInput=socket
StandardError=journal
KillMode=process
SyslogIdentifier=netrig-sshd
`;

/** The first value of a keyword wins in sshd, so a file in sshd_config.d goes before what is set here. */
function sshdConfig(row: HostImageRow): string {
  return [
    'Include /etc/ssh/sshd_config.d/*.conf',
    'UseDNS no',
    // PAM asks logind for a session and takes longer than the key exchange
    'UsePAM no',
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'X11Forwarding no',
    'PrintMotd no',
    'PrintLastLog no',
    'SetEnv LANG=C.UTF-8',
    'MaxSessions 64',
    'MaxStartups 200:30:400',
    'LoginGraceTime 30',
    // one line a connection, with its key: connections can be counted
    'LogLevel VERBOSE',
    'Subsystem sftp internal-sftp',
    ...row.sshdOptions,
    '',
  ].join('\n');
}

const journald = `[Journal]
Storage=volatile
RuntimeMaxUse=16M
ReadKMsg=no
Audit=no
ForwardToSyslog=no
ForwardToConsole=no
`;

/** The recipe of one row of the table. */
export function imageRecipe(row: HostImageRow): ImageRecipe {
  return {
    format: 1,
    name: row.name,
    suite: row.suite,
    packages: [...commonPackages, ...row.packages],
    dpkgOptions: [
      'path-exclude=/usr/share/man/*',
      'path-exclude=/usr/share/doc/*',
      'path-exclude=/usr/share/locale/*',
      'path-exclude=/usr/share/info/*',
      'force-unsafe-io',
    ],
    aptOptions: ['Acquire::Languages "none"', 'Acquire::Check-Valid-Until "false"', 'APT::Install-Recommends "false"'],
    remove: [
      // the builder's own: mirrors, proxies and names of the machine that built the image
      'etc/apt/apt.conf.d/99mmdebstrap',
      'etc/apt/sources.list',
      'etc/apt/sources.list.d',
      'etc/apt/auth.conf.d',
      'var/log/apt',
      'var/log/alternatives.log',
      'var/log/bootstrap.log',
      'var/log/dpkg.log',
      'var/log/fontconfig.log',
      // what every host must have of its own
      'etc/ssh/ssh_host_*',
      'etc/openvswitch/conf.db',
      'etc/openvswitch/system-id.conf',
      'etc/docker/key.json',
      'var/lib/dbus/machine-id',
      'var/lib/systemd/random-seed',
      'var/lib/docker',
      'var/lib/containerd',
    ],
    files: [
      { path: 'etc/fstab', mode: 0o644, content: '' },
      { path: 'etc/resolv.conf', mode: 0o644, content: '' },
      { path: 'etc/hostname', mode: 0o644, content: '' },
      { path: 'etc/machine-id', mode: 0o444, content: '' },
      { path: 'etc/hosts', mode: 0o644, content: '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' },
      { path: 'etc/motd', mode: 0o644, content: '' },
      { path: 'etc/ssh/sshd_config', mode: 0o644, content: sshdConfig(row) },
      { path: 'etc/systemd/system/netrig-ssh.socket', mode: 0o644, content: sshSocket },
      { path: 'etc/systemd/system/netrig-ssh@.service', mode: 0o644, content: sshService },
      // sshd refuses to work without its empty directory, which goes when ssh.service stops unless it is told not to
      { path: 'etc/tmpfiles.d/netrig-sshd.conf', mode: 0o644, content: 'd /run/sshd 0755 root root\n' },
      {
        path: 'etc/systemd/system/ssh.service.d/netrig.conf',
        mode: 0o644,
        content: '[Service]\nRuntimeDirectoryPreserve=yes\n',
      },
      { path: 'etc/systemd/journald.conf.d/netrig.conf', mode: 0o644, content: journald },
    ],
    links: { 'etc/systemd/system/default.target': '/lib/systemd/system/multi-user.target' },
    masked: [...masked, ...row.masked],
    disabled: [
      // the first docker command starts the engine by docker.socket, and the engine wants containerd
      'docker.service',
      'containerd.service',
      'openvswitch-switch.service',
      'consul.service',
    ],
    enabled: [
      { unit: 'netrig-ssh.socket', target: 'sockets.target' },
      { unit: 'docker.socket', target: 'sockets.target' },
      { unit: 'ssh.service', target: 'multi-user.target' },
    ],
    containerImages: row.containerImages.map((name) => {
      const recipe = containerImageRecipes.find((one) => one.name === name);
      if (recipe === undefined)
        throw new NetrigError(
          'NETRIG_INTERNAL',
          `host image ${row.name} names the container image ${name}, which has no recipe`,
        );
      return recipe;
    }),
  };
}

/** Twelve hexadecimal digits that change when anything in the recipe does: part of the cache directory's name. */
export function recipeKey(recipe: ImageRecipe): string {
  return createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 12);
}

/** The row of that name. Throws NETRIG_IMAGE_UNKNOWN. */
export function requireHostImageRow(name: string): HostImageRow {
  const row = findHostImageRow(name);
  if (row === undefined)
    throw new NetrigError('NETRIG_IMAGE_UNKNOWN', `there is no host image named ${JSON.stringify(name)}`);
  return row;
}
