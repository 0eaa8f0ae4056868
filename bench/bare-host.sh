# The inside of one bare host, from fresh namespaces to systemd as PID 1. Run by the static busybox of the image, whose shell
# has mount and mkdir built in. bare-lab.sh starts it, with BARE_* in the environment.
set -eu
# /proc is still the machine's: it has this process under the pid by which the machine knows it.
read -r pid rest </proc/self/stat

# The wire to the segment, while the machine's tools and its view of the segment's holder are at hand.
port=p-$BARE_NAME
/sbin/ip link add eth0 type veth peer name "$port" netns "/proc/$BARE_SEGMENT/ns/net"
nsenter --net="/proc/$BARE_SEGMENT/ns/net" ip link set "$port" master lan up
/sbin/ip -batch - <<END
link set lo up
address add $BARE_ADDRESS brd + dev eth0
link set eth0 up
END
echo "$pid" >"$BARE_STATE/$BARE_NAME.pid"

cd "$BARE_STATE/root"
mount -t tmpfs -o mode=755,size=50% bare .
cd "$BARE_STATE/root"
mkdir upper work host
mount -t overlay -o "lowerdir=$BARE_IMAGE,upperdir=upper,workdir=work" overlay host

if [ -n "$BARE_DOCKER" ]; then
  # overlay2 does not work on overlayfs: the engine's data go to the tmpfs, and the files of large layers are bound.
  mkdir docker
  for entry in "$BARE_DOCKER"/*; do
    [ "${entry##*/}" = overlay2 ] || /bin/cp -a "$entry" docker/
  done
  mkdir -m 710 docker/overlay2
  for layer in "$BARE_DOCKER"/overlay2/*; do
    id=${layer##*/}
    if [ "$id" = "$BARE_LARGE_LAYER" ]; then
      mkdir -m 710 "docker/overlay2/$id"
      for entry in "$layer"/*; do
        [ "${entry##*/}" = diff ] || /bin/cp -a "$entry" "docker/overlay2/$id/"
      done
      mkdir "docker/overlay2/$id/diff"
      mount -o bind "$layer/diff" "docker/overlay2/$id/diff"
      mount -o remount,bind,ro "docker/overlay2/$id/diff"
    else
      /bin/cp -a "$layer" docker/overlay2/
    fi
  done
  mkdir -p host/var/lib/docker
  mount -o rbind docker host/var/lib/docker
fi

cd host
mount -t proc proc proc
mount -o bind proc/sys proc/sys
mount -o bind proc/sys/net proc/sys/net
mount -o remount,bind,ro proc/sys
mount -t sysfs sysfs sys
mount -t tmpfs -o mode=755 dev dev
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
mount -t tmpfs -o mode=1777 shm dev/shm
mount -t mqueue mqueue dev/mqueue
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
mount -t tmpfs -o mode=755 run run
mkdir run/lock
mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup
for hierarchy in $BARE_HIERARCHIES; do
  mkdir "sys/fs/cgroup/${hierarchy%%=*}"
  mount -t cgroup -o "${hierarchy#*=}" cgroup "sys/fs/cgroup/${hierarchy%%=*}"
done
if [ -n "$BARE_UNIFIED" ]; then
  mkdir sys/fs/cgroup/unified
  mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
fi

hostname "$BARE_NAME"
echo "$BARE_NAME" >etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 %s\n%s' "$BARE_NAME" "$BARE_HOSTS" >etc/hosts
cp "$BARE_STATE/host_key" etc/ssh/ssh_host_ed25519_key
cp "$BARE_STATE/host_key.pub" etc/ssh/ssh_host_ed25519_key.pub
chmod 600 etc/ssh/ssh_host_ed25519_key
tr -d - </proc/sys/kernel/random/uuid >etc/machine-id
if [ -z "$BARE_DOCKER" ]; then
  for unit in docker.socket docker.service containerd.service; do ln -sf /dev/null "etc/systemd/system/$unit"; done
fi

mkdir .machine
pivot_root . .machine
cd /
umount -l /.machine
rmdir /.machine
exec /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=bare TERM=dumb \
  /lib/systemd/systemd --system --log-target=console --show-status=1 </dev/null
