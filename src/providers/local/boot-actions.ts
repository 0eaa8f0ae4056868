import type { HostImage } from '../../images/host-image.js';
import { outerIds } from '../../lab/outer-users.js';
import type { LabKeys } from '../../ssh/keys.js';
import { machineEnvironment } from '../shared/command.js';
import { laySshdDown, layToolsDown, serveStandardArgv, toolsBin } from '../shared/brought-tools.js';
import { deviceActions, deviceNumbers, devicesHere, nodeName } from './devices.js';
import { idsPerHost } from './id-ranges.js';
import {
  detach,
  enterAction,
  filterAction,
  mountAction,
  type namespaceFlags,
  runAction,
  unshareActions,
} from './machine-calls.js';
import { toolsPlace } from '../shared/tools-place.js';

/**
 * What turns fresh namespaces into a host, as actions of `machine-calls.ts`: one process from the machine's root to the host's
 * init. Where a shell is needed it is the static busybox of the host's own image, which has mount, mkdir and the like built in.
 *
 * Descriptors: 0 is a pipe that says when to go on, 1 goes to the console log, 3 is a pipe for what the holder must know, 4 is, of a
 * light host, the stream that its first sshd serves.
 */

/** `users`: root in the host is an unprivileged id of the machine. `none`: root in the host is root of the machine. */
export type Isolation = 'users' | 'none';

/** A host as its boot needs to know it. */
export interface BootPlan {
  name: string;
  init: 'systemd' | 'light';
  engine: boolean;
  image: Pick<HostImage, 'root' | 'layers' | 'foreign'>;
  /**
   * Of an isolated host: the machine's id that is 0 in it, and who mounts its overlay. `root` is for kernels before 6.6, whose
   * tmpfs has no user.* attributes for an overlay that the host mounts itself: there root of the machine mounts it, with
   * trusted.* ones.
   */
  users: { firstId: number; overlay: 'host' | 'root' } | null;
  /** Cgroups that it joins. */
  joined: readonly string[];
  /** An empty directory of the machine, for the mounts of a host that is not isolated. */
  mount: string;
  /** Bytes of its disk. */
  disk: number;
  machineId: string;
  /** What it sees of cgroups. */
  cgroups: { view: 'v2' | 'hybrid'; hierarchies: readonly { name: string; options: string }[]; unified: boolean };
  /** The engine's warmed data of its image; `null` where it gets none. */
  dockerData: string | null;
}

/** The environment of the actions, with what is not for the arguments of a process, which everybody on the machine can read, and what its shells need. */
export function bootEnvironment(
  { users, dockerData }: BootPlan,
  keys: LabKeys,
  boundLayers: readonly string[],
): Record<string, string> {
  return {
    PATH: machineEnvironment['PATH'] ?? '',
    NETRIG_HOST_KEY: `${keys.hostPrivateKey.trimEnd()}\n`,
    NETRIG_HOST_KEY_PUBLIC: `${keys.hostPublicKeyLine}\n`,
    NETRIG_LOGIN_KEY: `${keys.publicKeyLine}\n`,
    NETRIG_DOCKER_DATA: users === null ? (dockerData ?? '') : '../data',
    NETRIG_BOUND_LAYERS: boundLayers.join(' '),
  };
}

type Kinds = (keyof typeof namespaceFlags)[];

/** The namespaces of one boot, beside that of its mounts. */
const ownNamespaces = ({ init }: BootPlan): Kinds => [
  'pid',
  'uts',
  'ipc',
  'net',
  ...(init === 'systemd' ? (['cgroup'] as const) : []),
];

/** The user namespace by which the owners of the image are shifted; `-` without root of the machine, where it has the hosts' ids on disk. */
const shiftedBy = (): string => (outerIds() === null ? '=' : '-');

const joinGroups = ({ joined }: BootPlan): string[] => ['errors', ...joined.flatMap((path) => ['join', path])];

/**
 * For an isolated host, by root of the machine in a mount namespace of its own, before the host's: what only root can provide, on
 * IMAGE/mnt, which every image has: device nodes, and the image and its engine's data with shifted owners. The host's mount
 * namespace belongs to the host's user namespace and begins as a copy of this one, in which these mounts are locked
 * (mount_namespaces(7)): what is read-only here stays so for the host's root. Nothing is written to the image.
 */
export function provideActions({
  image,
  users,
  dockerData,
  disk,
}: Pick<BootPlan, 'image' | 'users' | 'dockerData' | 'disk'>): string[] {
  const { root, layers, foreign } = image;
  const bind = (source: string, target: string): string[] => ['bind', shiftedBy(), source, target];
  const made = ['lower', 'layers', 'data', 'nodes', 'host', ...(foreign ? ['tools'] : [])];
  return [
    ...['users', String(users!.firstId), String(idsPerHost)],
    ...unshareActions('mount'),
    ...['cd', root],
    ...mountAction('tmpfs', 'netrig', 'mnt', 'mode=755,nosuid,noexec,size=64k'),
    ...made.flatMap((name) => ['mkdir', '755', `mnt/${name}`]),
    ...layers.flatMap((_, number) => ['mkdir', '755', `mnt/layers/${number}`]),
    ...deviceActions(deviceNumbers, 'mnt/nodes'),
    ...mountAction('', '', 'mnt', 'remount,ro'),
    ...bind(root, 'mnt/lower'),
    ...layers.flatMap((layer, number) => bind(layer, `mnt/layers/${number}`)),
    ...(foreign ? bind(foreign.tools, 'mnt/tools') : []),
    ...(dockerData === null ? [] : bind(dockerData, 'mnt/data')),
    ...filterAction(),
    ...(users!.overlay === 'root' ? overlayByRoot(layers.length, users!.firstId, disk) : []),
  ];
}

const lowerOf = (count: number, before: string): string =>
  [...Array.from({ length: count }, (_, number) => `${before}layers/${number}`), `${before}lower`].join(':');

function overlayByRoot(layers: number, firstId: number, disk: number): string[] {
  const directories = ['upper', 'work', 'root'].map((name) => `mnt/host/${name}`);
  const over = `lowerdir=${lowerOf(layers, 'mnt/')},upperdir=mnt/host/upper,workdir=mnt/host/work`;
  return [
    ...mountAction('tmpfs', 'netrig', 'mnt/host', `mode=755,nodev,size=${disk},uid=${firstId},gid=${firstId}`),
    ...directories.flatMap((path) => ['mkdir', '755', path, 'own', String(firstId), path]),
    ...mountAction('overlay', 'overlay', 'mnt/host/root', `nodev,${over}`),
  ];
}

/** The host's user namespace and the others, which belong to it. The change of ids takes the parent-death signal away, so it is asked for after it. */
export const enterUsers = (kinds: Kinds): string[] => [
  ...enterAction('user', '='),
  ...['root', 'die'],
  ...unshareActions('mount', ...kinds),
  'fork',
];

/** The root of a host that is not isolated, at MOUNT/root. */
function ownRoot({ image, mount, disk }: BootPlan): string[] {
  const { root, layers, foreign } = image;
  const over = `lowerdir=${lowerOf(layers.length, '')},upperdir=upper,workdir=work`;
  return [
    ...mountAction('tmpfs', 'netrig', mount, `mode=755,size=${disk}`),
    ...['cd', mount],
    ...['lower', 'layers', 'upper', 'work', 'root'].flatMap((name) => ['mkdir', '755', name]),
    // Bound here so that no path with a comma or a colon has to go into overlay's options.
    ...mountAction('', root, 'lower', 'bind'),
    ...layers.flatMap((layer, number) => [
      ...['mkdir', '755', `layers/${number}`],
      ...mountAction('', layer, `layers/${number}`, 'bind'),
    ]),
    ...mountAction('overlay', 'overlay', 'root', over),
    ...(foreign
      ? [
          ...['mkdir', '755', 'tools'],
          ...mountAction('', foreign.tools, 'tools', 'bind'),
          ...mountAction('', '', 'tools', 'remount,bind,ro'),
        ]
      : []),
  ];
}

/** The root of an isolated host, at mnt/host/root of the image, which is the working directory. */
function usersRoot({ image, users, disk }: Pick<BootPlan, 'image' | 'users' | 'disk'>): string[] {
  // A mount of its own, which can be moved to: the one beneath is locked.
  if (users!.overlay === 'root') return ['cd', 'mnt/host', ...mountAction('', 'root', 'root', 'bind')];
  const over = `userxattr,lowerdir=${lowerOf(image.layers.length, '../')},upperdir=upper,workdir=work`;
  return [
    ...['cd', 'mnt'],
    ...mountAction('tmpfs', 'netrig', 'host', `mode=755,size=${disk}`),
    ...['cd', 'host'],
    ...['upper', 'work', 'root'].flatMap((name) => ['mkdir', '755', name]),
    ...mountAction('overlay', 'overlay', 'root', over),
  ];
}

/** Where layers of the engine's images that are bound read-only into a host lie there. */
const boundLayersPlace = '/var/lib/netrig/layers';

/** In the directory beside the root: the engine's data, of NETRIG_DOCKER_DATA and NETRIG_BOUND_LAYERS. */
const engineData = (isolation: Isolation): string => `set -eu
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
mkdir -p root/var/lib/docker
mount -o rbind docker root/var/lib/docker
if [ -d bound ]; then
  mkdir -p root${boundLayersPlace}
  mount -o rbind bound root${boundLayersPlace}
fi
`;

/** The busybox that shells of the boot are, seen from beside the host's root: the paths of the machine may be closed to an isolated host. */
function busyboxBeside({ image, users }: BootPlan): string {
  if (users === null) return `${image.foreign ? 'tools' : 'lower'}/bin/busybox`;
  return image.foreign ? '../tools/bin/busybox' : '../../bin/busybox';
}

/** The engine's data and netrig's tools, where there are any, and into the root. */
function filled(plan: BootPlan): string[] {
  const { image, users, dockerData } = plan;
  const isolation = users === null ? 'none' : 'users';
  const tools = users === null ? 'tools' : '../tools';
  return [
    ...(image.foreign
      ? ['mkdirs', '755', `root${toolsPlace}`, ...mountAction('', tools, `root${toolsPlace}`, 'bind')]
      : []),
    ...(dockerData === null ? [] : runAction(busyboxBeside(plan), 'sh', '-c', engineData(isolation))),
    ...['cd', 'root'],
  ];
}

const below = (directory: string, names: readonly string[]): string[] =>
  names.flatMap((name) => ['mkdir', '755', `${directory}/${name}`]);

/** Below /proc/sys and /sys, only what belongs to the network namespace may be written to: all else is the machine's. */
const ownKernelFiles: readonly string[] = [
  ...mountAction('proc', 'proc', 'proc', 'nosuid,nodev,noexec'),
  ...mountAction('', 'proc/sys', 'proc/sys', 'bind'),
  ...mountAction('', 'proc/sys/net', 'proc/sys/net', 'bind'),
  ...mountAction('', '', 'proc/sys', 'remount,bind,ro,nosuid,nodev,noexec'),
  ...mountAction('sysfs', 'sysfs', 'sys', 'nosuid,nodev,noexec'),
  ...mountAction('', 'sys/devices/virtual/net', 'sys/devices/virtual/net', 'bind'),
  ...mountAction('', '', 'sys', 'remount,bind,ro,nosuid,nodev,noexec'),
  ...mountAction('tmpfs', 'dev', 'dev', 'mode=755,nosuid'),
  ...below('dev', ['pts', 'shm', 'mqueue', 'net']),
  ...deviceNumbers.flatMap(({ path, major, minor }) => ['node', '666', String(major), String(minor), `dev/${path}`]),
];

/** Users may ping, by this, where the image's ping has no privilege; systemd's own value for it names ids that do not exist here. */
const everybodyPings = ['write', '644', '0 65535', 'proc/sys/net/ipv4/ping_group_range'];

/**
 * A spare proc and a spare sysfs: ip netns exec takes the old /sys away before it mounts a new one, which is allowed only while
 * one with nothing mounted over it is in sight. They are where LXC keeps its own, a name that docker run --privileged passes over
 * when it looks for devices.
 */
const spares: readonly string[] = [
  ...mountAction('proc', 'proc', 'dev/.lxc/proc', 'nosuid,nodev,noexec'),
  ...mountAction('sysfs', 'sysfs', 'dev/.lxc/sys', 'nosuid,nodev,noexec'),
];

/** Nothing is made read-only here: what is not the host's, the kernel refuses by id. For the reason that \`spares\` has, it is done before pivot_root. */
function usersKernelFiles(): string[] {
  return [
    ...mountAction('proc', 'proc', 'proc', 'nosuid,nodev,noexec'),
    ...mountAction('sysfs', 'sysfs', 'sys', 'nosuid,nodev,noexec'),
    ...mountAction('tmpfs', 'dev', 'dev', 'mode=755,nosuid'),
    ...below('dev', ['pts', 'shm', 'mqueue', 'net']),
    ...devicesHere().flatMap((device) => [
      ...['touch', `dev/${device.path}`],
      ...mountAction('', `../../nodes/${nodeName(device)}`, `dev/${device.path}`, 'bind'),
    ]),
    ...['mkdirs', '755', 'dev/.lxc/proc', 'mkdirs', '755', 'dev/.lxc/sys'],
    ...spares,
    ...everybodyPings,
  ];
}

/** Of an earlier boot. Devices cannot be made by the host's users: its /dev stays, but for what belongs to one boot. */
const usersKernelFilesAgain: readonly string[] = [
  ...['umount', detach, 'proc'],
  ...mountAction('proc', 'proc', 'proc', 'nosuid,nodev,noexec'),
  ...['umount', detach, 'sys'],
  ...mountAction('sysfs', 'sysfs', 'sys', 'nosuid,nodev,noexec'),
  ...['umount', detach, 'dev/.lxc/proc', 'umount', detach, 'dev/.lxc/sys'],
  ...spares,
  ...['ptmx', 'fd', 'stdin', 'stdout', 'stderr', 'kmsg'].flatMap((name) => ['remove', `dev/${name}`]),
  ...['pts', 'shm', 'mqueue'].flatMap((name) => ['mkdirs', '755', `dev/${name}`]),
  ...everybodyPings,
];

function cgroupMounts({ view, hierarchies, unified }: BootPlan['cgroups']): string[] {
  if (view === 'v2') return mountAction('cgroup2', 'cgroup2', 'sys/fs/cgroup');
  return [
    ...mountAction('tmpfs', 'cgroup', 'sys/fs/cgroup', 'mode=755'),
    ...hierarchies.flatMap(({ name, options }) => [
      ...['mkdir', '755', `sys/fs/cgroup/${name}`],
      ...mountAction('cgroup', 'cgroup', `sys/fs/cgroup/${name}`, options),
    ]),
    ...(unified
      ? ['mkdir', '755', 'sys/fs/cgroup/unified', ...mountAction('cgroup2', 'cgroup2', 'sys/fs/cgroup/unified')]
      : []),
  ];
}

const sshdKeys: readonly string[] = [
  ...['mkdirs', '700', 'root/.ssh'],
  ...['etc/ssh/ssh_host_ed25519_key', 'etc/ssh/ssh_host_ed25519_key.pub', 'root/.ssh/authorized_keys'].flatMap(
    (path) => ['remove', path],
  ),
  ...['secret', '600', 'NETRIG_HOST_KEY', 'etc/ssh/ssh_host_ed25519_key'],
  ...['secret', '600', 'NETRIG_LOGIN_KEY', 'root/.ssh/authorized_keys'],
  ...['secret', '644', 'NETRIG_HOST_KEY_PUBLIC', 'etc/ssh/ssh_host_ed25519_key.pub'],
];

/** What a host has from its boot to its end: devices, keys, and where systemd finds what it needs. */
function runtimeFiles({ image, init, cgroups }: BootPlan): string[] {
  return [
    ...mountAction('devpts', 'devpts', 'dev/pts', 'newinstance,ptmxmode=0666,mode=620,gid=5'),
    ...mountAction('tmpfs', 'shm', 'dev/shm', 'mode=1777,nosuid,nodev'),
    ...['link', 'pts/ptmx', 'dev/ptmx', 'link', '/proc/self/fd', 'dev/fd'],
    ...['link', 'fd/0', 'dev/stdin', 'link', 'fd/1', 'dev/stdout', 'link', 'fd/2', 'dev/stderr'],
    ...(image.foreign ? runAction(`.${toolsPlace}/bin/busybox`, 'sh', '-euc', laySshdDown) : sshdKeys),
    ...(init === 'systemd'
      ? [
          ...mountAction('mqueue', 'mqueue', 'dev/mqueue'),
          // Until its journal runs, systemd writes to the kernel's log: the holder reads it here, and it is not the machine's.
          ...['pipe', '600', 'dev/kmsg'],
          ...mountAction('tmpfs', 'run', 'run', 'mode=755,nosuid,nodev'),
          ...['mkdir', '755', 'run/lock'],
          ...cgroupMounts(cgroups),
        ]
      : []),
  ];
}

/**
 * systemd gives a unit 15 % of the processes that its cgroup may have. Here that is the host's limit, far below a machine's: what
 * reaches it is to be the host, whose limit is reported by name, and not one of its units.
 */
const managerConfig: readonly string[] = [
  ...['mkdirs', '755', '/etc/systemd/system.conf.d'],
  ...['write', '644', '[Manager]\nDefaultTasksMax=infinity\n', '/etc/systemd/system.conf.d/netrig.conf'],
];

const noEngine = ['docker.socket', 'docker.service', 'containerd.service']
  .map((unit) => `/etc/systemd/system/${unit}`)
  .flatMap((path) => ['remove', path, 'link', '/dev/null', path]);

/**
 * What containerd does again and again for nobody. It looks whether there is garbage after fifty times what it took to collect it:
 * on a file system in memory that is a hundredth of a second, and by this it is minutes. It asks every ten seconds which containers
 * it is to restart, which are containers of other clients than the engine. Its interface for Kubernetes looks every second, and is
 * off in Docker's own package, too.
 */
const engineConfig = `config=/etc/containerd/config.toml
[ ! -f "$config" ] || grep -qE 'gc.v1.scheduler|^disabled_plugins' "$config" || {
  sed -i '1i disabled_plugins = ["io.containerd.grpc.v1.cri"]' "$config"
  cat >>"$config" <<'END'

[plugins."io.containerd.gc.v1.scheduler"]
  pause_threshold = 0.000001

[plugins."io.containerd.internal.v1.restart"]
  interval = "1h"
END
}
`;

/** The tree becomes the host's root, and the host somebody of its own. */
function ownTree({ name, init, engine, image, machineId }: BootPlan): string[] {
  const hosts = `127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 ${name}\n`;
  const files = { hostname: `${name}\n`, hosts, 'machine-id': `${machineId}\n`, 'resolv.conf': '' };
  return [
    ...['mkdirs', '755', '.machine', 'pivot', '.', '.machine', 'cd', '/'],
    ...['umount', detach, '/.machine', 'rmdir', '/.machine'],
    // From here on links in the image's tree lead nowhere but into it.
    ...Object.entries(files).flatMap(([file, text]) => [
      ...['remove', `/etc/${file}`],
      ...['write', '644', text, `/etc/${file}`],
    ]),
    ...(init === 'systemd' ? managerConfig : []),
    ...(init === 'systemd' && !engine && !image.foreign ? noEngine : []),
    ...(engine && !image.foreign ? runAction('/bin/busybox', 'sh', '-euc', engineConfig) : []),
  ];
}

const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const counted = (words: readonly string[]): string[] => [String(words.length), ...words];

/** One sshd, for the connection that its standard input and output are. */
const lightSshd = ['/bin/sh', '-c', 'exec /usr/sbin/sshd -i -e 2>>/var/log/sshd.log'];

/** Its addresses and its files, when the holder sends them, and its init. */
function startInit({ name, init, image }: BootPlan): string[] {
  const { foreign } = image;
  const variables = [
    init === 'systemd' || foreign ? `PATH=${systemPath}` : 'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
    ...['container=netrig', 'TERM=dumb'],
  ];
  const systemd = foreign ? (foreign.systemd ?? '') : '/lib/systemd/systemd';
  const stays = foreign ? [`${toolsPlace}/bin/busybox`, 'sleep', '2147483647'] : ['sleep', 'infinity'];
  return [
    ...(foreign ? runAction(`${toolsPlace}/bin/busybox`, 'sh', '-euc', layToolsDown) : []),
    ...['hostname', name],
    ...(init === 'systemd' ? [] : ['mkdirs', '755', '/run/sshd']),
    ...['addresses', ...(foreign ? [`${toolsBin}/ip`, `${toolsBin}/tar`] : ['/sbin/ip', '/bin/tar'])],
    ...(init === 'systemd' ? [] : ['serve', ...counted(foreign ? serveStandardArgv : lightSshd)]),
    ...['streams', init === 'systemd' ? 'output' : 'none'],
    ...(init === 'systemd' ? [] : ['reap']),
    ...['environment', ...counted(variables)],
    '--',
    ...(init === 'systemd' ? [systemd, '--system', '--log-target=journal-or-kmsg', '--show-status=0'] : stays),
  ];
}

/** The first boot of a host. It is killed when the holder ends, and PID 1, so all of the host, when it is. */
export function bootActions(plan: BootPlan): string[] {
  const kinds = ownNamespaces(plan);
  return [
    ...joinGroups(plan),
    'die',
    ...(plan.users === null
      ? [...unshareActions('mount', ...kinds), 'fork']
      : [...provideActions(plan), ...enterUsers(kinds)]),
    'made',
    ...(plan.users === null ? ownRoot(plan) : usersRoot(plan)),
    ...filled(plan),
    ...(plan.users === null ? ownKernelFiles : usersKernelFiles()),
    ...runtimeFiles(plan),
    ...ownTree(plan),
    ...startInit(plan),
  ];
}

/** How `restartActions` get what is left of the host: its mount namespace, its root directory, its user namespace. */
const keptDescriptors = { mount: 5, root: 6, users: 7 } as const;

/** What of the mounts of an earlier boot stays. What a boot mounts goes with it; layers of the engine that are bound from the image belong to the disk. */
function staying(isolated: boolean): string {
  const always = ['/', toolsPlace, `${toolsPlace}/mnt`, '/var/lib/docker', boundLayersPlace, `${boundLayersPlace}/.*`];
  const users = ['/proc', '/sys', '/dev', '/dev/\\.lxc/.*', '/dev/net/.*', '/dev/[^mps].*'];
  return [...always, ...(isolated ? users : [])].join('|');
}

/** A host that was powered off is started again: other namespaces and cgroups, the same users and the same disk. */
export function restartActions(plan: BootPlan): string[] {
  const isolated = plan.users !== null;
  const { mount, root, users } = keptDescriptors;
  const descriptors = [mount, root, ...(isolated ? [users] : [])].map(String);
  const busybox = plan.image.foreign ? `${toolsPlace}/bin/busybox` : 'bin/busybox';
  return [
    ...joinGroups(plan),
    ...(isolated ? [...filterAction(), ...enterAction('user', `/proc/self/fd/${users}`), 'root'] : []),
    'die',
    ...unshareActions(...ownNamespaces(plan)),
    ...['fork', 'made'],
    ...['back', String(descriptors.length), ...descriptors, 'cd', '/'],
    // Over the old one, which shows the processes of a namespace that is no more.
    ...mountAction('proc', 'proc', 'proc', 'nosuid,nodev,noexec'),
    ...['clear', staying(isolated)],
    ...(plan.init === 'systemd' ? [] : runAction(busybox, 'sh', '-c', '"$0" rm -rf run/* run/.[!.]*', busybox)),
    ...(isolated ? ['umount', detach, 'proc', ...usersKernelFilesAgain] : ownKernelFiles),
    ...runtimeFiles(plan),
    ...startInit(plan),
  ];
}
