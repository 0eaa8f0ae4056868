import type { HostImage } from '../../images/host-image.js';
import { laySshdDown, layToolsDown, toolsBin } from './brought-tools.js';
import { toolsPlace } from './tools-place.js';

/**
 * What turns fresh namespaces into a host, as scripts for the static busybox of the host's own image, whose shell has mount,
 * mkdir and the like built in: nothing that they run comes from the machine but `setpriv`, `unshare`, `nsenter`, `perl` and
 * `/bin/cp`. They come by the environment, because an isolated host can't pass the closed directories (0700) of the machine.
 *
 * Descriptors: 0 is a pipe that says when to go on, 1 and 2 go to the console log, 3 is a pipe for what the holder must know.
 */

/** `users`: root in the host is an unprivileged id of the machine. `none`: root in the host is root of the machine. */
export type Isolation = 'users' | 'none';

/** How a busybox is started on a script that an environment variable holds. */
const run = (variable: string): string => `sh -c 'eval "$${variable}"'`;

/**
 * What the scripts know of the tree beneath a host: overlay layers over it, the topmost first, and the root of the image that
 * netrig's own tools come from, where the tree has none.
 */
export function treeEnvironment({
  root,
  layers,
  foreign,
}: Pick<HostImage, 'root' | 'layers' | 'foreign'>): Record<string, string> {
  const named = layers.map((layer, number) => [`NETRIG_LAYER_${number}`, layer] as const);
  return {
    NETRIG_IMAGE: root,
    NETRIG_TOOLS: foreign?.tools ?? '',
    // A busybox of netrig's, seen from the tree.
    NETRIG_INNER: foreign ? 'mnt/tools/bin/busybox' : 'bin/busybox',
    NETRIG_SYSTEMD: foreign?.systemd ?? '',
    NETRIG_LAYER_COUNT: String(layers.length),
    ...Object.fromEntries(named),
  };
}

/** Shell text that does something with each layer over the image, the topmost first: `$layer`, with its `$number` from 0. */
function eachLayer(command: string): string {
  return `number=0
while [ "$number" -lt "$NETRIG_LAYER_COUNT" ]; do
  eval "layer=\\$NETRIG_LAYER_$number"
  ${command}
  number=$((number + 1))
done`;
}

/**
 * Joins the host's cgroups (arguments before `--`) and makes its namespaces. `unshare` is killed when the holder ends,
 * and PID 1, so all of the host, when `unshare` is.
 */
export function enterScript(isolation: Isolation): string {
  // By its path: busybox has a setpriv too, without what is needed here.
  const kill = 'exec "$NETRIG_SETPRIV" --pdeathsig KILL unshare';
  return `set -eu
exec 2>&1
while [ "$1" != -- ]; do
  echo 0 >"$1/cgroup.procs"
  shift
done
${
  isolation === 'users'
    ? `${kill} --mount --propagation private "$NETRIG_BUSYBOX" ${run('NETRIG_PROVIDE')}`
    : `${kill} $NETRIG_UNSHARE --propagation private --fork --kill-child=KILL "$NETRIG_BUSYBOX" ${run('NETRIG_BOOT')}`
}
`;
}

/** Makes the devices of a host, or of what runs beside it, in mnt/nodes. NETRIG_SHIFTED is as below. */
export const deviceNodes = `if [ "$NETRIG_SHIFTED" = '-' ]; then
  # Without root of the machine no device can be made, but those of the machine that users may open can be bound.
  for node in null zero full random urandom tty net/tun fuse; do
    [ -w "/dev/$node" ] || continue
    : >"mnt/nodes/\${node##*/}"
    mount --bind "/dev/$node" "mnt/nodes/\${node##*/}"
  done
else
  for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 tun:10:200 fuse:10:229; do
    numbers=\${node#*:}
    mknod -m 666 "mnt/nodes/\${node%%:*}" c "\${numbers%:*}" "\${numbers#*:}"
  done
fi
`;

/**
 * For an isolated host, run by root of the machine in a mount namespace of its own, before the host's: what only root can
 * provide, on IMAGE/mnt, which every image has: device nodes, and the image and its engine's data with shifted owners. The
 * host's mount namespace belongs to the host's user namespace and begins as a copy of this one, in which these mounts are
 * locked (mount_namespaces(7)): what is read-only here stays so for the host's root. Nothing is written to the image.
 *
 * NETRIG_SHIFTED is the user namespace whose map shifts the owners; `-` where netrig runs without root of the machine: there
 * the image has the hosts' ids on disk.
 */
export const provideScript = `set -eu
cd "$NETRIG_IMAGE"
mount -t tmpfs -o mode=755,nosuid,noexec,size=64k netrig mnt
mkdir mnt/lower mnt/layers mnt/data mnt/nodes mnt/host
${eachLayer('mkdir "mnt/layers/$number"')}
[ -z "$NETRIG_TOOLS" ] || mkdir mnt/tools
${deviceNodes}mount -o remount,ro mnt
set -- bind "$NETRIG_SHIFTED" "$NETRIG_IMAGE" mnt/lower
${eachLayer('set -- "$@" bind "$NETRIG_SHIFTED" "$layer" "mnt/layers/$number"')}
[ -z "$NETRIG_TOOLS" ] || set -- "$@" bind "$NETRIG_SHIFTED" "$NETRIG_TOOLS" mnt/tools
[ -z "$NETRIG_DOCKER_DATA" ] || set -- "$@" bind "$NETRIG_SHIFTED" "$NETRIG_DOCKER_DATA" mnt/data
exec "$NETRIG_PERL" -e "$NETRIG_CALLS" -- "$@" $NETRIG_FILTER -- "$NETRIG_BUSYBOX" ${run('NETRIG_ENTER_USERS')}
`;

/**
 * The last of root's own, then the host's user namespace and the others, which belong to it.
 *
 * NETRIG_OVERLAY is \`root\` on kernels before 6.6, whose tmpfs has no user.* attributes for an overlay that the host mounts
 * itself: there root of the machine mounts it, with trusted.* ones.
 */
export const enterUsersScript = `set -eu
if [ "$NETRIG_OVERLAY" = root ]; then
  mount -t tmpfs -o "mode=755,nodev,size=$NETRIG_SIZE,uid=$NETRIG_FIRST_ID,gid=$NETRIG_FIRST_ID" netrig mnt/host
  mkdir mnt/host/upper mnt/host/work mnt/host/root
  chown "$NETRIG_FIRST_ID:$NETRIG_FIRST_ID" mnt/host/*
  lower=
${eachLayer('lower=${lower}mnt/layers/$number:')}
  mount -t overlay -o "nodev,lowerdir=\${lower}mnt/lower,upperdir=mnt/host/upper,workdir=mnt/host/work" overlay mnt/host/root
fi
# By their paths: the busybox of Debian 11 has an nsenter of its own. The change of ids takes the parent-death signal away, so
# it is asked for after it.
exec "$NETRIG_NSENTER" --user="$NETRIG_USERS" "$NETRIG_SETPRIV" --pdeathsig KILL \\
  unshare $NETRIG_UNSHARE --propagation private --fork --kill-child=KILL "$NETRIG_INNER" ${run('NETRIG_BOOT')}
`;

const ownRoot = `
cd "$NETRIG_MOUNT"
mount -t tmpfs -o "mode=755,size=$NETRIG_SIZE" netrig .
cd "$NETRIG_MOUNT"
mkdir lower layers upper work root
# Bound here so that no path with a comma or a colon has to go into overlay's options.
mount -o bind "$NETRIG_IMAGE" lower
lower=
${eachLayer('mkdir "layers/$number"; mount -o bind "$layer" "layers/$number"; lower=${lower}layers/$number:')}
mount -t overlay -o "lowerdir=\${lower}lower,upperdir=upper,workdir=work" overlay root
tools=tools
if [ -n "$NETRIG_TOOLS" ]; then
  mkdir tools
  mount -o bind "$NETRIG_TOOLS" tools
  mount -o remount,bind,ro tools
fi
`;

const usersRoot = `
# The working directory is the image. -P: else the shell goes by the absolute path, which may be closed to us.
cd -P mnt/host
if [ "$NETRIG_OVERLAY" = root ]; then
  # A mount of its own, which can be moved to: the one beneath is locked.
  mount -o bind root root
else
  cd -P ..
  mount -t tmpfs -o "mode=755,size=$NETRIG_SIZE" netrig host
  cd -P host
  mkdir upper work root
  lower=
${eachLayer('lower=${lower}../layers/$number:')}
  mount -t overlay -o "userxattr,lowerdir=\${lower}../lower,upperdir=upper,workdir=work" overlay root
fi
[ -z "$NETRIG_DOCKER_DATA" ] || NETRIG_DOCKER_DATA=../data
tools=../tools
`;

/** Where layers of the engine's images that are bound read-only into a host lie there. */
const boundLayersPlace = '/var/lib/netrig/layers';

const engineData = (isolation: Isolation): string => `
if [ -n "$NETRIG_DOCKER_DATA" ]; then
  # overlay2 refuses to work on overlayfs; the tmpfs beneath it will do.
  mkdir docker
  for entry in "$NETRIG_DOCKER_DATA"/*; do
    [ "\${entry##*/}" = overlay2 ] || /bin/cp -a "$entry" docker/
  done
  if [ -d "$NETRIG_DOCKER_DATA/overlay2" ]; then
    mkdir -m 710 docker/overlay2
    # One cp for all that is copied: each further image would cost a process otherwise.
    (
      set --
      for layer in "$NETRIG_DOCKER_DATA"/overlay2/*; do
        id=\${layer##*/}
        case " $NETRIG_BOUND_LAYERS " in *" $id "*) ;; *) set -- "$@" "$layer" ;; esac
      done
      [ $# -eq 0 ] || /bin/cp -a "$@" docker/overlay2/
    )
    # An engine that ends unmounts what is below its data: what is bound lies beside it, and a link leads there.
    mkdir -m 710 bound
    for id in $NETRIG_BOUND_LAYERS; do
      layer=$NETRIG_DOCKER_DATA/overlay2/$id
      mkdir -m 710 "docker/overlay2/$id" "bound/$id"
      ln -s "${boundLayersPlace}/$id" "docker/overlay2/$id/diff"
      (
        set --
        for entry in "$layer"/*; do [ "\${entry##*/}" = diff ] || set -- "$@" "$entry"; done
        /bin/cp -a "$@" "docker/overlay2/$id/"
      )
      mount -o bind "$layer/diff" "bound/$id"
      ${isolation === 'users' ? ': # read-only, and locked, already' : 'mount -o remount,bind,ro "bound/$id"'}
    done
  fi
fi

if [ -n "$NETRIG_TOOLS" ]; then
  mkdir -m 755 root${toolsPlace}
  mount -o bind "$tools" root${toolsPlace}
fi
cd -P root
if [ -n "$NETRIG_DOCKER_DATA" ]; then
  mkdir -p var/lib/docker
  mount -o rbind ../docker var/lib/docker
  if [ -d ../bound ]; then
    mkdir -p ${boundLayersPlace.slice(1)}
    mount -o rbind ../bound ${boundLayersPlace.slice(1)}
  fi
fi
`;

const ownKernelFiles = `
# Below /proc/sys and /sys, only what belongs to the network namespace may be written to: all else is the machine's.
mount -t proc -o nosuid,nodev,noexec proc proc
mount -o bind proc/sys proc/sys
mount -o bind proc/sys/net proc/sys/net
mount -o remount,bind,ro,nosuid,nodev,noexec proc/sys
mount -t sysfs -o nosuid,nodev,noexec sysfs sys
mount -o bind sys/devices/virtual/net sys/devices/virtual/net
mount -o remount,bind,ro,nosuid,nodev,noexec sys
mount -t tmpfs -o mode=755,nosuid dev dev
mkdir -m 755 dev/pts dev/shm dev/mqueue dev/net
umask 0
mknod dev/null c 1 3
mknod dev/zero c 1 5
mknod dev/full c 1 7
mknod dev/random c 1 8
mknod dev/urandom c 1 9
mknod dev/tty c 5 0
mknod dev/net/tun c 10 200
mknod dev/fuse c 10 229
umask 22
`;

const usersKernelFiles = `
# Nothing is made read-only here: what is not the host's, the kernel refuses by id. New ones are allowed only while a proc and a
# sysfs with nothing mounted over them are in sight, so before pivot_root.
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o nosuid,nodev,noexec sysfs sys
mount -t tmpfs -o mode=755,nosuid dev dev
mkdir -m 755 dev/pts dev/shm dev/mqueue dev/net
for node in null zero full random urandom tty net/tun fuse; do
  [ -e "../../nodes/\${node##*/}" ] || continue
  : >"dev/$node"
  mount -o bind "../../nodes/\${node##*/}" "dev/$node"
done
# For the same reason a spare one of each stays: ip netns exec takes the old /sys away before it mounts a new one. They are where
# LXC keeps its own, a name that docker run --privileged passes over when it looks for devices.
mkdir -p -m 755 dev/.lxc/proc dev/.lxc/sys
mount -t proc -o nosuid,nodev,noexec proc dev/.lxc/proc
mount -t sysfs -o nosuid,nodev,noexec sysfs dev/.lxc/sys
# Users may ping, by this, where the image's ping has no privilege; systemd's own value for it names ids that do not exist here.
echo 0 65535 >proc/sys/net/ipv4/ping_group_range
`;

/** PID 1 until the last line, which puts the host's own init in its place. */
export function bootScript(isolation: Isolation): string {
  return `set -eu
# /proc is still the machine's: it has this process under the pid by which the machine knows it.
read -r pid rest </proc/self/stat
echo "made $pid" >&3
${isolation === 'users' ? usersRoot : ownRoot}${engineData(isolation)}${isolation === 'users' ? usersKernelFiles : ownKernelFiles}${runtimeFiles}${ownTree}${startInit}`;
}

/** What a host has from its boot to its end: devices, keys, and where systemd finds what it needs. */
const runtimeFiles = `
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev shm dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr

if [ -n "$NETRIG_TOOLS" ]; then
${laySshdDown}
else
mkdir -p -m 700 root/.ssh
umask 77
rm -f etc/ssh/ssh_host_ed25519_key etc/ssh/ssh_host_ed25519_key.pub root/.ssh/authorized_keys
echo "$NETRIG_HOST_KEY" >etc/ssh/ssh_host_ed25519_key
echo "$NETRIG_LOGIN_KEY" >root/.ssh/authorized_keys
umask 22
echo "$NETRIG_HOST_KEY_PUBLIC" >etc/ssh/ssh_host_ed25519_key.pub
fi

if [ "$NETRIG_INIT" = systemd ]; then
  mount -t mqueue mqueue dev/mqueue
  # Until its journal runs, systemd writes to the kernel's log: the holder reads it here, and it is not the machine's.
  mknod -m 600 dev/kmsg p
  mount -t tmpfs -o mode=755,nosuid,nodev run run
  mkdir run/lock
  if [ "$NETRIG_CGROUP" = v2 ]; then
    mount -t cgroup2 cgroup2 sys/fs/cgroup
  else
    mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup
    for hierarchy in $NETRIG_HIERARCHIES; do
      mkdir "sys/fs/cgroup/\${hierarchy%%=*}"
      mount -t cgroup -o "\${hierarchy#*=}" cgroup "sys/fs/cgroup/\${hierarchy%%=*}"
    done
    if [ -n "$NETRIG_UNIFIED" ]; then
      mkdir sys/fs/cgroup/unified
      mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
    fi
  fi
fi
`;

/** The tree becomes the host's root, and the host somebody of its own. */
const ownTree = `
mkdir -p .machine
pivot_root . .machine
cd /
umount -l /.machine
rmdir /.machine

# From here on links in the image's tree lead nowhere but into it.
rm -f /etc/hostname /etc/hosts /etc/machine-id /etc/resolv.conf
echo "$NETRIG_HOST" >/etc/hostname
printf '127.0.0.1 localhost\\n::1 localhost ip6-localhost ip6-loopback\\n127.0.1.1 %s\\n' "$NETRIG_HOST" >/etc/hosts
echo "$NETRIG_MACHINE_ID" >/etc/machine-id
: >/etc/resolv.conf
if [ "$NETRIG_INIT" = systemd ]; then
  # systemd gives a unit 15 % of the processes that its cgroup may have. Here that is the host's limit, far below a machine's:
  # what reaches it is to be the host, whose limit is reported by name, and not one of its units.
  mkdir -p /etc/systemd/system.conf.d
  printf '[Manager]\nDefaultTasksMax=infinity\n' >/etc/systemd/system.conf.d/netrig.conf
  if [ "$NETRIG_ENGINE" = no ] && [ -z "$NETRIG_TOOLS" ]; then
    for unit in docker.socket docker.service containerd.service; do
      ln -sf /dev/null "/etc/systemd/system/$unit"
    done
  fi
fi
# containerd looks whether there is garbage after fifty times what it took to collect it. On a file system in memory that is
# a hundredth of a second, for ever: by this it is minutes.
if [ "$NETRIG_ENGINE" != no ] && [ -z "$NETRIG_TOOLS" ] && [ -f /etc/containerd/config.toml ]; then
  grep -q gc.v1.scheduler /etc/containerd/config.toml ||
    printf '\n[plugins."io.containerd.gc.v1.scheduler"]\n  pause_threshold = 0.000001\n' >>/etc/containerd/config.toml
fi
`;

const startInit = `
ip=/sbin/ip tar=/bin/tar
if [ -n "$NETRIG_TOOLS" ]; then
${layToolsDown}
ip=${toolsBin}/ip tar=${toolsBin}/tar
fi
hostname "$NETRIG_HOST"
[ "$NETRIG_INIT" = systemd ] || mkdir -p /run/sshd
# The holder sends the addresses when the interfaces are there; a pipe that ends without the last line means that it died.
addresses=
while read -r line && [ "$line" != go ] && [ "$line" != files ]; do
  addresses="$addresses$line
"
done
[ "$line" = go ] || [ "$line" = files ]
# What the lab brings along follows as an archive, before anything of the host runs. By its path: busybox has a tar of its own.
[ "$line" = go ] || "$tar" --extract --same-permissions --numeric-owner --no-overwrite-dir --keep-directory-symlink --directory=/ --file=-
"$ip" -batch - <<END
$addresses
END

echo ready >&3
if [ -n "$NETRIG_TOOLS" ]; then
  # With SIGCHLD ignored, as below; \`trap\` does it for what comes after exec, too.
  [ "$NETRIG_INIT" = systemd ] || trap '' CHLD
  set -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=netrig TERM=dumb
  [ "$NETRIG_INIT" != systemd ] || exec ${toolsPlace}/bin/busybox "$@" "$NETRIG_SYSTEMD" --system --log-target=journal-or-kmsg --show-status=0 </dev/null 3>&-
  exec ${toolsPlace}/bin/busybox "$@" ${toolsPlace}/bin/busybox sleep 2147483647 </dev/null >/dev/null 2>&1 3>&-
fi
if [ "$NETRIG_INIT" = systemd ]; then
  exec /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=netrig TERM=dumb \\
    /lib/systemd/systemd --system --log-target=journal-or-kmsg --show-status=0 </dev/null 3>&-
fi
# With SIGCHLD ignored the kernel reaps whatever is left to this PID 1 (sigaction(2)).
exec /usr/bin/env -i --ignore-signal=CHLD PATH=/usr/sbin:/usr/bin:/sbin:/bin container=netrig sleep infinity </dev/null >/dev/null 2>&1 3>&-
`;

/** How `restartScript` gets what is left of the host: its mount namespace, its root directory, its user namespace. */
export const keptDescriptors = { mount: 4, root: 5, users: 6 } as const;

const kept = (name: keyof typeof keptDescriptors): string => `/proc/self/fd/${keptDescriptors[name]}`;

/** A host that was powered off is started again: other namespaces and cgroups, the same users and the same disk. */
export function restartScript(isolation: Isolation): string {
  const again = `"$NETRIG_SETPRIV" --pdeathsig KILL unshare $NETRIG_UNSHARE --fork --kill-child=KILL bin/busybox ${run('NETRIG_REENTER')}`;
  return `set -eu
exec 2>&1
while [ "$1" != -- ]; do
  echo 0 >"$1/cgroup.procs"
  shift
done
# Where a busybox is, for those who may not pass the closed directories on the way.
cd "\${NETRIG_TOOLS:-$NETRIG_IMAGE}"
${
  isolation === 'users'
    ? `exec "$NETRIG_PERL" -e "$NETRIG_CALLS" -- $NETRIG_FILTER -- "$NETRIG_NSENTER" --user=${kept('users')} ${again}`
    : `exec ${again}`
}
`;
}

/** As PID 1, with the root of the machine still, and a proc that has it under the pid by which the machine knows it. */
export const reenterScript = `set -eu
read -r pid rest </proc/self/stat
echo "made $pid" >&3
# Until there is a proc of its own, busybox does not find itself there, and somebody's tree may have no mount.
[ -z "$NETRIG_TOOLS" ] || export PATH="$PATH:${toolsBin}"
exec "$NETRIG_NSENTER" --mount=${kept('mount')} --root=${kept('root')} "\${NETRIG_TOOLS:+${toolsPlace}}/bin/busybox" ${run('NETRIG_BOOT')}
`;

/** Devices cannot be made by the host's users: its /dev stays, but for what belongs to one boot. */
const usersKernelFilesAgain = `
umount -l proc
mount -t proc -o nosuid,nodev,noexec proc proc
umount -l sys
mount -t sysfs -o nosuid,nodev,noexec sysfs sys
umount -l dev/.lxc/proc dev/.lxc/sys
mount -t proc -o nosuid,nodev,noexec proc dev/.lxc/proc
mount -t sysfs -o nosuid,nodev,noexec sysfs dev/.lxc/sys
rm -f dev/ptmx dev/fd dev/stdin dev/stdout dev/stderr dev/kmsg
mkdir -p dev/pts dev/shm dev/mqueue
echo 0 65535 >proc/sys/net/ipv4/ping_group_range
`;

/** PID 1 on the disk of an earlier boot, whose processes are all gone, but not its mounts. */
export function restartedBootScript(isolation: Isolation): string {
  // What a boot mounts goes with it. Layers of the engine that are bound from the image belong to the disk.
  const stays = isolation === 'users' ? '/ | /proc | /sys | /dev | /dev/.lxc/* | /dev/net/* | /dev/[!mps]* | ' : '/ | ';
  return `set -eu
cd /
# Without a proc that is alive, busybox does not find itself, and takes what the host has: util-linux's umount of 2.41 unmounts
# nothing then, and may be anybody's.
busybox="\${NETRIG_TOOLS:+${toolsPlace}}/bin/busybox"
mount() { "$busybox" mount "$@"; }
umount() { "$busybox" umount "$@"; }
# Over the old one, which shows the processes of a namespace that is no more.
mount -t proc -o nosuid,nodev,noexec proc proc
mounts=
while read -r id parent device root target rest; do
  case "$target" in
    ${stays}${toolsPlace} | ${toolsPlace}/mnt | /var/lib/docker | ${boundLayersPlace} | ${boundLayersPlace}/*) ;;
    *) mounts="$target
$mounts" ;;
  esac
done <proc/self/mountinfo
${isolation === 'users' ? 'umount -l proc\n' : ''}while read -r target; do
  # Names with blanks are written with octal codes; what is below something that went is gone already.
  [ -z "$target" ] || umount -l "$(printf %b "$target")" 2>/dev/null || :
done <<END
$mounts
END
[ "$NETRIG_INIT" = systemd ] || rm -rf run/* run/.[!.]*
${isolation === 'users' ? usersKernelFilesAgain : ownKernelFiles}${runtimeFiles}${startInit}`;
}
