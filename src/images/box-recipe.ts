import type { HostImageRow } from './host-image.js';
import { type ImageFile, type ImageRecipe, imageRecipe } from './recipe.js';

/** The disk's size as a guest sees it; on the machine it takes what is written to it. */
export const diskGigabytes = 6;

/**
 * Vagrant's version of a box built then. The content key is in the box's name; but each build makes keys of its own, and what
 * Vagrant and the pools of a libvirtd keep of an earlier one would not let anybody in. They tell boxes apart by version.
 */
export function boxVersion(builtAt: string): string {
  return `1.0.${Math.floor(Date.parse(builtAt) / 1000)}`;
}

/** Vagrant's libvirt boxes, version 1: one disk named box.img. */
export const boxMetadata = `${JSON.stringify({ provider: 'libvirt', format: 'qcow2', virtual_size: diskGigabytes })}\n`;

export const boxVagrantfile = `# A box of netrig: root logs in with the key that was made with the box.
Vagrant.configure("2") do |config|
  config.ssh.username = "root"
  config.ssh.insert_key = false
  config.vm.synced_folder ".", "/vagrant", disabled: true
end
`;

/** What the initial file system must load to find the disk and the network cards, and nothing else: a small one boots sooner. */
const initramfsModules = ['virtio', 'virtio_ring', 'virtio_pci', 'virtio_blk', 'virtio_net', 'ext4', 'crc32c_generic'];

/** Written before the kernel's package makes the initial file system, as a shell command of mmdebstrap's. */
const initramfsHook = [
  'mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/etc/initramfs-tools/hooks"',
  `printf 'MODULES=list\\nCOMPRESS=zstd\\nRESUME=none\\n' >"$1/etc/initramfs-tools/conf.d/netrig"`,
  `printf '#!/bin/sh\\n[ "$1" = prereqs ] && exit 0\\n. /usr/share/initramfs-tools/hook-functions\\nfor module in ${initramfsModules.join(' ')}; do force_load $module; done\\n' >"$1/etc/initramfs-tools/hooks/netrig"`,
  'chmod 755 "$1/etc/initramfs-tools/hooks/netrig"',
].join(' && ');

/**
 * The way in. Vagrant's own network card goes into a network namespace of this service's, where nothing but the way in is:
 * a host has its lab's interfaces and no other, and no address, route or rule of a scenario can cut netrig off. Each
 * connection becomes one to the socket where systemd starts sshd, which is in the host's own namespaces.
 */
const management = `#!/bin/sh
set -eu
card=eth0
# Started again, it finds the card where the end of its last namespace left it; by then eth0 may be the lab's.
[ ! -e /run/netrig-management ] || card=mgmt0
main() { nsenter --target 1 --net -- "$@"; }
main ip link set dev "$card" down
: >/run/netrig-management
[ "$card" = mgmt0 ] || main ip link set dev "$card" name mgmt0
main ip link set dev mgmt0 netns $$
ip link set dev lo up
ip link set dev mgmt0 up
busybox udhcpc -f -i mgmt0 -s /usr/local/lib/netrig/lease -x hostname:netrig -t 20 -T 1 -A 2 &
exec socat TCP-LISTEN:22,fork,reuseaddr,nodelay UNIX-CONNECT:/run/netrig-ssh.sock
`;

/** What udhcpc runs: the address, and nothing of routes and names. */
const lease = `#!/bin/sh
case "$1" in
  bound | renew) exec ip address replace "$ip/\${mask:-24}" dev "$interface" ;;
  deconfig) exec ip address flush dev "$interface" ;;
esac
`;

const managementUnit = `[Unit]
Description=netrig's way in: SSH from the network of Vagrant
After=netrig-ssh.socket
Wants=netrig-ssh.socket

[Service]
ExecStart=/usr/local/lib/netrig/management
PrivateNetwork=yes
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
`;

/** Stands for the version of the kernel, which is known once its package is there. */
export const kernelPlaceholder = '@KERNEL@';

/**
 * net.ifnames=0: the first network card, Vagrant's own, is eth0 on every hypervisor. The console is a serial line, which a
 * hypervisor can write to a file. mitigations=off: emulated processors pay most for them, and a lab has one user. apparmor=0:
 * hosts of the other providers have none, and where the kernel has it the engine wants its tools.
 */
const bootConfiguration = `DEFAULT linux
TIMEOUT 1
PROMPT 0
LABEL linux
  KERNEL /boot/vmlinuz-${kernelPlaceholder}
  APPEND initrd=/boot/initrd.img-${kernelPlaceholder} root=/dev/vda1 rw net.ifnames=0 console=ttyS0 quiet mitigations=off apparmor=0
`;

const boxFiles: ImageFile[] = [
  { path: 'etc/systemd/system/netrig-management.service', mode: 0o644, content: managementUnit },
  { path: 'usr/local/lib/netrig/management', mode: 0o755, content: management },
  { path: 'usr/local/lib/netrig/lease', mode: 0o755, content: lease },
  { path: 'etc/hostname', mode: 0o644, content: 'netrig\n' },
  { path: 'boot/extlinux/extlinux.conf', mode: 0o644, content: bootConfiguration },
];

/** Units that a host of namespaces must not run and a machine with a kernel of its own needs: device nodes of modules not loaded yet, kernel file systems. */
const unmasked: readonly string[] = [
  'kmod-static-nodes.service',
  'systemd-tmpfiles-setup-dev.service',
  'systemd-tmpfiles-setup-dev-early.service',
  'systemd-modules-load.service',
  'modprobe@.service',
  'dev-hugepages.mount',
  'dev-mqueue.mount',
  'sys-kernel-debug.mount',
  'sys-kernel-tracing.mount',
  'sys-kernel-config.mount',
  'sys-fs-fuse-connections.mount',
];

/** The recipe of the box that carries a host image: the same system, with a kernel, and a disk to boot it from. */
export function boxRecipe(row: HostImageRow): ImageRecipe {
  const base = imageRecipe(row);
  return {
    ...base,
    name: `vagrant-${row.name}`,
    packages: [...base.packages, 'initramfs-tools', 'zstd', 'linux-image-cloud-amd64'],
    setupHooks: [initramfsHook],
    masked: base.masked.filter((unit) => !unmasked.includes(unit)),
    files: [...base.files.filter((file) => !boxFiles.some((own) => own.path === file.path)), ...boxFiles],
    enabled: [...base.enabled, { unit: 'netrig-management.service', target: 'multi-user.target' }],
  };
}
