import type { HostPlan } from '../../plan/lab-plan.js';
import { addressLines } from '../shared/address-lines.js';
import { quoteArg } from '../../ssh/quote.js';
import { laySshdDown, layToolsDown } from '../shared/brought-tools.js';
import { toolsPlace } from '../shared/tools-place.js';
import { uplinkLines } from '../shared/uplink.js';
import { ownPrograms } from './own-programs.js';
import { gateLines, type OutsideNetwork } from './outside.js';
import type { SegmentNetwork } from './segments.js';

/** Where netrig's own files stand in a container until its boot script has used them. */
export const bootDirectory = '/.netrig-boot';
/** A pipe that the boot script reads: the host goes on when its interfaces are there. */
const goPipe = `${bootDirectory}/go`;

/** There, where there is any: the archive of what the host has from its start. */
export const ownFiles = 'own.tar';

/**
 * PID 1 of a host's container until the last line, which puts the host's own init in its place. Run by the image's static
 * busybox, or by that of netrig's tools where NETRIG_TOOLS says that the root file system is somebody's. Beyond what the local provider's script does, it takes back what the engine put into the container: its
 * resolver, its rules, its files over /etc/hosts and the like.
 */
export const bootScript = `set -eu
cd ${bootDirectory}
mkfifo -m 600 go
read -r line <go
[ "$line" = go ]

# Below /proc/sys and /sys, only what belongs to the network namespace may be written to: all else is the engine's machine's.
mount -o bind /proc/sys /proc/sys
mount -o bind /proc/sys/net /proc/sys/net
mount -o remount,bind,ro,nosuid,nodev,noexec /proc/sys
umount -l /sys/fs/cgroup
# The engine mounts it read-only as a whole, not only here; it is this network namespace's own.
mount -o remount,rw,nosuid,nodev,noexec /sys
mount -o bind /sys/devices/virtual/net /sys/devices/virtual/net
mount -o remount,bind,ro,nosuid,nodev,noexec /sys

# On a light host too: whoever looks at /sys/fs/cgroup there sees the host's own.
if [ "$NETRIG_CGROUP" = v2 ]; then
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
  mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
  while IFS=: read -r number controllers path; do
    if [ -z "$controllers" ]; then
      mkdir /sys/fs/cgroup/unified
      mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
    else
      mkdir "/sys/fs/cgroup/\${controllers#name=}"
      mount -t cgroup -o "$controllers" cgroup "/sys/fs/cgroup/\${controllers#name=}"
    fi
  done </proc/self/cgroup
fi

mkdir -p /dev/net
[ -e /dev/net/tun ] || mknod -m 666 /dev/net/tun c 10 200
[ -e /dev/fuse ] || mknod -m 666 /dev/fuse c 10 229

if [ -n "$NETRIG_TOOLS" ]; then
  # What is netrig's is not the host's to change.
  mount -o bind ${toolsPlace} ${toolsPlace}
  mount -o remount,bind,ro ${toolsPlace}
  NETRIG_HOST_KEY=$(cat host_key)
  NETRIG_LOGIN_KEY=$(cat login_key.pub)
  cd /
${laySshdDown}
${layToolsDown}
  cd ${bootDirectory}
fi
${ownPrograms}
# The engine's resolver for this container lives on in the namespace, but nothing leads to it any more.
for table in $(cat /proc/net/ip_tables_names 2>/dev/null); do
  $at/usr/sbin/iptables-legacy -t "$table" -F || true
  $at/usr/sbin/iptables-legacy -t "$table" -X || true
done
$at/usr/sbin/nft flush ruleset
for file in /etc/resolv.conf /etc/hostname /etc/hosts; do
  umount "$file" 2>/dev/null || true
  rm -f "$file"
done
rm -f /.dockerenv /etc/machine-id
echo "$NETRIG_HOST" >/etc/hostname
printf '127.0.0.1 localhost\\n::1 localhost ip6-localhost ip6-loopback\\n127.0.1.1 %s\\n' "$NETRIG_HOST" >/etc/hosts
echo "$NETRIG_MACHINE_ID" >/etc/machine-id
: >/etc/resolv.conf

if [ -z "$NETRIG_TOOLS" ]; then
mkdir -p -m 700 /root/.ssh
cp host_key /etc/ssh/ssh_host_ed25519_key
cp host_key.pub /etc/ssh/ssh_host_ed25519_key.pub
cp login_key.pub /root/.ssh/authorized_keys
chmod 600 /etc/ssh/ssh_host_ed25519_key /root/.ssh/authorized_keys
chmod 644 /etc/ssh/ssh_host_ed25519_key.pub
fi
# By its path: busybox has a tar of its own.
[ ! -e ${ownFiles} ] || $at/bin/tar --extract --same-permissions --numeric-owner --no-overwrite-dir --keep-directory-symlink --directory=/ --file=${ownFiles}
cd /
rm -rf ${bootDirectory}

if [ "$NETRIG_INIT" = systemd ]; then
  mount -t tmpfs -o mode=755,nosuid,nodev run /run
  mkdir /run/lock
  if [ "$NETRIG_ENGINE" = no ] && [ -z "$NETRIG_TOOLS" ]; then
    for unit in docker.socket docker.service containerd.service; do
      ln -sf /dev/null "/etc/systemd/system/$unit"
    done
  fi
  exec $box env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=netrig TERM=dumb SYSTEMD_COLORS=0 \\
    "\${NETRIG_SYSTEMD:-/lib/systemd/systemd}" --system --log-target=journal-or-kmsg --show-status=1
fi
if [ -n "$NETRIG_TOOLS" ]; then
  # As below; \`trap\` does it for what comes after exec, too.
  trap '' CHLD
  exec $box env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=netrig $box sleep 2147483647
fi
mkdir -p /run/sshd
# With SIGCHLD ignored the kernel reaps whatever is left to this PID 1 (sigaction(2)).
exec /usr/bin/env -i --ignore-signal=CHLD PATH=/usr/sbin:/usr/bin:/sbin:/bin container=netrig sleep infinity
`;

/** One interface of the plan: what the engine gave the container for it, and the tunnel that it becomes. */
export interface GivenInterface {
  /** The plan's name, `eth0`. */
  name: string;
  /** The MAC address under which the engine made its interface. */
  mac: string;
  network: SegmentNetwork;
}

/** A network namespace inside the host's container, where the engine's interfaces are out of the way. */
const wireSpace = '/run/netrig-wire';
/** Not the well-known one: a host's own overlay networks use that. */
const tunnelPort = 14789;

/**
 * Run in the container beside its waiting PID 1. The engine's interfaces, found by their MACs, go into a namespace of their
 * own, which a mount keeps; each gets a VXLAN interface there that comes back to the host under the plan's name, with its
 * MAC, MTU and addresses. (A VXLAN interface keeps sending through the namespace that it was made in.) The way to the outside
 * comes last; then PID 1 goes on.
 */
export function wireScript(
  host: HostPlan,
  given: readonly GivenInterface[],
  wayOut: { mac: string; network: OutsideNetwork } | null = null,
): string {
  // By their paths: busybox has an `ip` of its own, with less in it.
  const lines = [
    'set -eu',
    ownPrograms,
    'find_nic() {',
    '  for nic in /sys/class/net/*; do',
    '    if [ "$(cat "$nic/address")" = "$1" ]; then echo "${nic##*/}"; return; fi',
    '  done',
    '  echo "the engine said that it made an interface with the address $1, and there is none" >&2',
    '  exit 1',
    '}',
    // No IPv6 is the engine's default for a container; the lab's hosts are like others.
    'for each in /proc/sys/net/ipv6/conf/*/disable_ipv6; do [ ! -e "$each" ] || echo 0 >"$each"; done',
  ];
  if (given.length > 0) {
    lines.push(
      `: >${wireSpace}`,
      `$at/usr/bin/unshare --net=${wireSpace} $box true`,
      `wire() { $at/usr/bin/nsenter --net=${wireSpace} "$@"; }`,
    );
    lines.push(
      'wire $box sh -c \'for each in /proc/sys/net/ipv6/conf/*/disable_ipv6; do [ ! -e "$each" ] || echo 1 >"$each"; done\'',
    );
  }
  given.forEach(({ mac, network, name }, index) => {
    const own = network.ends.get(host.name) ?? '';
    const peers = [...network.ends.values()].filter((end) => end !== own);
    const planned = host.interfaces.find((one) => one.name === name)?.mac ?? mac;
    lines.push(
      `nic=$(find_nic ${quoteArg(mac)})`,
      `$at/bin/ip link set dev "$nic" down name under${index}`,
      `$at/bin/ip link set dev under${index} netns ${wireSpace}`,
    );
    lines.push(
      'wire $at/bin/ip -batch - <<END',
      `address add ${own}/${network.prefix} dev under${index}`,
      `link set dev under${index} up`,
      `link add name tunnel${index} address ${planned} mtu ${network.mtu} type vxlan id ${network.vni} local ${own} dev under${index} dstport ${tunnelPort}`,
      'END',
    );
    if (peers.length > 0) {
      lines.push(
        'wire $at/sbin/bridge -batch - <<END',
        ...peers.map((peer) => `fdb append 00:00:00:00:00:00 dev tunnel${index} dst ${peer}`),
        'END',
      );
    }
    lines.push(`wire $at/bin/ip link set dev tunnel${index} netns 1`);
  });
  // Only now: the engine's interfaces may have had these names.
  given.forEach(({ name }, index) => lines.push(`$at/bin/ip link set dev tunnel${index} name ${quoteArg(name)}`));
  if (wayOut) lines.push(...gateLines(host.name, wayOut.mac, wayOut.network));
  lines.push('$at/bin/ip -batch - <<END', ...addressLines(host), ...(wayOut ? uplinkLines : []), 'END');
  // A VXLAN interface never tells of a carrier, so that its state would stay UNKNOWN, which a card's is not.
  given.forEach(({ name }) => lines.push(`$at/bin/ip link set dev ${quoteArg(name)} state up`));
  lines.push(`until [ -p ${goPipe} ]; do sleep 0.02; done`, `echo go >${goPipe}`);
  return lines.join('\n');
}
