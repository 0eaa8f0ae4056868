# What the bare scripts share: hosts of namespaces by the plain recipe, entered by nsenter. Sourced by bash.
#
#   BARE_IMAGE   root tree of a host image          BARE_DOCKER   its warmed engine data, or empty
#
# All that a lab is made of ends with the script: processes by their parent-death signal, the rest by the trap.
set -u
here=$(dirname -- "${BASH_SOURCE[0]}")
PATH=$PATH:/usr/sbin:/sbin
export BARE_IMAGE BARE_STATE BARE_SEGMENT BARE_HIERARCHIES BARE_UNIFIED BARE_HOSTS BARE_LARGE_LAYER=
BARE_HOSTS=
BARE_STATE=$(mktemp -d "/tmp/netrig-bare-$$-XXXXXX")
hosts=()
cgroups=()
hierarchies=()
segment_holder=

fail() {
  echo "bare: $*" >&2
  exit 1
}

end_lab() {
  trap '' INT TERM
  # Bash tells of each background process that a signal ended.
  exec 2>/dev/null
  local host pid
  for host in "${hosts[@]}"; do
    pid=$(cat "$BARE_STATE/$host.pid" 2>/dev/null) && kill -KILL "$pid" 2>/dev/null
  done
  [ -z "$segment_holder" ] || kill -KILL "$segment_holder" 2>/dev/null
  # Their `unshare` ends after PID 1 has, and PID 1 after all else in the host.
  wait 2>/dev/null
  local tries
  for tries in $(seq 200); do
    [ ${#cgroups[@]} -gt 0 ] || break
    find "${cgroups[@]}" -depth -type d -exec rmdir {} + 2>/dev/null && break
    sleep 0.02
    local left=() path
    for path in "${cgroups[@]}"; do [ ! -d "$path" ] || left+=("$path"); done
    cgroups=("${left[@]}")
  done
  rm -rf "$BARE_STATE"
}
trap end_lab EXIT
trap 'exit 130' INT TERM

# The machine's version 1 hierarchies and, where it is mounted beside them, version 2: each host gets a group of its own.
BARE_UNIFIED=
BARE_HIERARCHIES=
find_cgroups() {
  local target type options seen=' '
  while read -r target type options; do
    case $type in
      cgroup2) [ -n "$BARE_UNIFIED" ] || { BARE_UNIFIED=$target; hierarchies+=("$target"); } ;;
      cgroup)
        options=$(tr , '\n' <<<"$options" | grep -E '^(cpu|cpuacct|cpuset|memory|devices|freezer|blkio|pids|net_cls|net_prio|perf_event|hugetlb|rdma|misc|name=.*)$' | paste -sd ,)
        case $options in name=*) options=none,$options ;; esac
        case $seen in *" $options "*) continue ;; esac
        seen="$seen$options "
        hierarchies+=("$target")
        BARE_HIERARCHIES="$BARE_HIERARCHIES ${target##*/}=$options" ;;
    esac
  done < <(awk '$5 ~ "^/sys/fs/cgroup/" { for (i = 6; i <= NF; i++) if ($i == "-") print $5, $(i + 1), $(i + 3) }' /proc/self/mountinfo)
}
find_cgroups

# A bridge in a network namespace of its own.
make_segment() {
  mkfifo "$BARE_STATE/segment"
  setpriv --pdeathsig KILL unshare --net sh -c 'ip link add lan up type bridge stp_state 0 forward_delay 0 mcast_snooping 0; echo ready >"$0"; exec sleep infinity' "$BARE_STATE/segment" &
  segment_holder=$!
  read -r _ <"$BARE_STATE/segment"
  BARE_SEGMENT=$segment_holder
  mkdir "$BARE_STATE/root"
  ssh-keygen -q -t ed25519 -N '' -C bare -f "$BARE_STATE/host_key"
}

# Layers above 16 MB are bound, not copied. One of the image's is.
find_large_layer() {
  local size path
  while read -r size path; do
    [ "$size" -lt 16384 ] || { path=${path%/diff}; BARE_LARGE_LAYER=${path##*/}; }
  done < <(du -sk "$BARE_DOCKER"/overlay2/*/diff 2>/dev/null)
}

# start_host NAME ADDRESS/PREFIX [DOCKER-DATA]: all of it in the background.
start_host() {
  local name=$1 groups
  groups=("${hierarchies[@]/%//netrig-bare-$$-$name}")
  cgroups+=("${groups[@]}")
  hosts+=("$name")
  (
    trap - EXIT
    mkdir "${groups[@]}"
    for group in "${groups[@]}"; do
      # A new cpuset of version 1 has neither processors nor memory nodes, and nothing can join it before it does.
      for file in cpuset.cpus cpuset.mems; do
        [ ! -e "$group/$file" ] || { read -r value <"${group%/*}/$file" && echo "$value" >"$group/$file"; }
      done
      echo "$BASHPID" >"$group/cgroup.procs"
    done
    export BARE_NAME=$name BARE_ADDRESS=$2 BARE_DOCKER=${3:-}
    exec setpriv --pdeathsig KILL unshare --mount --pid --uts --ipc --net --cgroup --propagation private --fork --kill-child=KILL \
      "$BARE_IMAGE/bin/busybox" sh "$here/bare-host.sh" </dev/null >"$BARE_STATE/$name.console" 2>&1
  ) &
}

# Until each host's sshd has said its banner: what netrig, too, takes for "up".
wait_for_ssh() {
  perl -MIO::Socket::UNIX -e '
    my ($state, @hosts) = @ARGV;
    my $until = time + 60;
    my @children = map { my $host = $_; my $child = fork; $child or waits($host); $child } @hosts;
    sub waits {
      my ($host) = @_;
      while (time < $until) {
        if (open my $file, "<", "$state/$host.pid") {
          chomp(my $pid = <$file> // "");
          my $socket = $pid && IO::Socket::UNIX->new(Peer => "/proc/$pid/root/run/netrig-ssh.sock");
          exit 0 if $socket && (<$socket> // "") =~ /^SSH-/;
        }
        select undef, undef, undef, 0.025;
      }
      exit 1;
    }
    my $bad = 0;
    for (@children) { waitpid $_, 0; $bad ||= $?; }
    exit($bad ? 1 : 0);
  ' "$BARE_STATE" "${hosts[@]}" || { tail -n 5 "$BARE_STATE"/*.console >&2; fail "not all hosts answer SSH"; }
}

# on HOST COMMAND…: in all namespaces of the host.
on() {
  local pid
  read -r pid <"$BARE_STATE/$1.pid"
  shift
  nsenter --all --target "$pid" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"
}
