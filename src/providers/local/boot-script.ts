/**
 * What turns fresh namespaces into a host, as two scripts for the static busybox of the host's own image, whose shell has
 * mount, mkdir and the like built in: nothing that they run comes from the machine but `setpriv`, `unshare` and `/bin/cp`.
 *
 * Descriptors: 0 is a pipe that says when to go on, 1 and 2 the console log, 3 a pipe for what the holder must know.
 */

/**
 * Joins the host's cgroups (arguments before `--`) and makes its namespaces. `unshare` is killed when the holder ends,
 * and PID 1, so all of the host, when `unshare` is.
 */
export const enterScript = `set -eu
while [ "$1" != -- ]; do
  echo 0 >"$1/cgroup.procs"
  shift
done
# By its path: busybox has a setpriv too, without what is needed here.
exec "$NETRIG_SETPRIV" --pdeathsig KILL unshare $NETRIG_UNSHARE --propagation private --fork --kill-child=KILL "$NETRIG_BUSYBOX" sh "$NETRIG_BOOT"
`;

/** PID 1 until the last line, which puts the host's own init in its place. */
export const bootScript = `set -eu
# /proc is still the machine's: it has this process under the pid by which the machine knows it.
read -r pid rest </proc/self/stat
echo "made $pid" >&3

cd "$NETRIG_MOUNT"
mount -t tmpfs -o "mode=755,size=$NETRIG_SIZE" netrig .
cd "$NETRIG_MOUNT"
mkdir lower upper work root
# Bound here so that no path with a comma or a colon has to go into overlay's options.
mount -o bind "$NETRIG_IMAGE" lower
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay root

if [ -n "$NETRIG_DOCKER_DATA" ]; then
  # overlay2 refuses to work on overlayfs; the tmpfs beneath it will do.
  mkdir docker
  for entry in "$NETRIG_DOCKER_DATA"/*; do
    [ "\${entry##*/}" = overlay2 ] || /bin/cp -a "$entry" docker/
  done
  if [ -d "$NETRIG_DOCKER_DATA/overlay2" ]; then
    mkdir -m 710 docker/overlay2
    for layer in "$NETRIG_DOCKER_DATA"/overlay2/*; do
      id=\${layer##*/}
      case " $NETRIG_BOUND_LAYERS " in
        *" $id "*)
          mkdir -m 710 "docker/overlay2/$id"
          for entry in "$layer"/*; do
            [ "\${entry##*/}" = diff ] || /bin/cp -a "$entry" "docker/overlay2/$id/"
          done
          mkdir "docker/overlay2/$id/diff"
          mount -o bind "$layer/diff" "docker/overlay2/$id/diff"
          mount -o remount,bind,ro "docker/overlay2/$id/diff"
          ;;
        *) /bin/cp -a "$layer" docker/overlay2/ ;;
      esac
    done
  fi
fi

cd root
if [ -n "$NETRIG_DOCKER_DATA" ]; then
  mkdir -p var/lib/docker
  mount -o rbind ../docker var/lib/docker
fi
# Below /proc/sys and /sys, only what belongs to the network namespace may be written to: all else is the machine's.
mount -t proc -o nosuid,nodev,noexec proc proc
mount -o bind proc/sys proc/sys
mount -o bind proc/sys/net proc/sys/net
mount -o remount,bind,ro,nosuid,nodev,noexec proc/sys
mount -t sysfs -o nosuid,nodev,noexec sysfs sys
mount -o bind sys/devices/virtual/net sys/devices/virtual/net
mount -o remount,bind,ro,nosuid,nodev,noexec sys
mount -t tmpfs -o mode=755,nosuid dev dev
umask 0
mknod dev/null c 1 3
mknod dev/zero c 1 5
mknod dev/full c 1 7
mknod dev/random c 1 8
mknod dev/urandom c 1 9
mknod dev/tty c 5 0
mkdir -m 755 dev/pts dev/shm dev/mqueue dev/net
mknod dev/net/tun c 10 200
mknod dev/fuse c 10 229
umask 22
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev shm dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr

mkdir -p -m 700 root/.ssh
cp "$NETRIG_KEYS/host_key" etc/ssh/ssh_host_ed25519_key
cp "$NETRIG_KEYS/host_key.pub" etc/ssh/ssh_host_ed25519_key.pub
cp "$NETRIG_KEYS/login_key.pub" root/.ssh/authorized_keys
chmod 600 etc/ssh/ssh_host_ed25519_key root/.ssh/authorized_keys

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

mkdir -p .machine
pivot_root . .machine
cd /
umount -l /.machine
rmdir /.machine

# From here on links in the image's tree lead nowhere but into it.
hostname "$NETRIG_HOST"
rm -f /etc/hostname /etc/hosts /etc/machine-id /etc/resolv.conf
echo "$NETRIG_HOST" >/etc/hostname
printf '127.0.0.1 localhost\\n::1 localhost ip6-localhost ip6-loopback\\n127.0.1.1 %s\\n' "$NETRIG_HOST" >/etc/hosts
echo "$NETRIG_MACHINE_ID" >/etc/machine-id
: >/etc/resolv.conf
if [ "$NETRIG_INIT" = systemd ]; then
  if [ "$NETRIG_ENGINE" = no ]; then
    for unit in docker.socket docker.service containerd.service; do
      ln -sf /dev/null "/etc/systemd/system/$unit"
    done
  fi
else
  mkdir -p /run/sshd
fi

# The holder sends the addresses when the interfaces are there; a pipe that ends without the last line means that it died.
addresses=
while read -r line && [ "$line" != go ]; do
  addresses="$addresses$line
"
done
[ "$line" = go ]
/sbin/ip -batch - <<END
$addresses
END

echo ready >&3
if [ "$NETRIG_INIT" = systemd ]; then
  exec /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=netrig TERM=dumb \\
    /lib/systemd/systemd --system --log-target=journal-or-kmsg --show-status=0 </dev/null 3>&-
fi
# With SIGCHLD ignored the kernel reaps whatever is left to this PID 1 (sigaction(2)).
exec /usr/bin/env -i --ignore-signal=CHLD PATH=/usr/sbin:/usr/bin:/sbin:/bin container=netrig sleep infinity </dev/null 3>&-
`;
