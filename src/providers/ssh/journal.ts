import { sysctlPath } from '../../model/sysctl.js';
import { quoteArg, quoteArgv } from '../../ssh/quote.js';

/**
 * Where a machine keeps what one lab made on it. The directory is also the lock: there is one lab a machine at a time. It
 * survives a reboot, as the lines in /etc/hosts do.
 */
export const labDirectory = '/var/lib/netrig/lab';

/** What stands in the lab's directory on a machine: files by name. */
export interface LabFiles {
  /** `LAB CONTROLLER`: which lab, and the machine-id of where netrig runs. */
  owner: string;
  hostKey: string;
  authorizedKey: string;
}

export const sshdConfigFile = `${labDirectory}/sshd_config`;

/** For the sshd that netrig starts for each of its connections; the machine's own is not touched. */
const sshdConfig = [
  `HostKey ${labDirectory}/host_key`,
  `AuthorizedKeysFile ${labDirectory}/authorized_keys`,
  'PidFile none',
  // Root's account may be locked for passwords; PAM then still lets a key in.
  'UsePAM yes',
  'PermitRootLogin prohibit-password',
  'PasswordAuthentication no',
  'KbdInteractiveAuthentication no',
  'StrictModes no',
  'PrintMotd no',
  'UseDNS no',
  'Subsystem sftp internal-sftp',
  '',
].join('\n');

/** Exit status of `beginScript` where another lab has the machine; its owner is on standard output. */
export const machineTaken = 90;

/** Takes the machine for a lab and lays down its files. */
export function beginScript(files: LabFiles): string {
  const write = (name: string, content: string): string => `printf %s ${quoteArg(content)} >${labDirectory}/${name}`;
  return [
    'set -e',
    'umask 077',
    'mkdir -p /var/lib/netrig',
    `if ! mkdir ${labDirectory} 2>/dev/null; then cat ${labDirectory}/owner 2>/dev/null; exit ${machineTaken}; fi`,
    write('owner', `${files.owner}\n`),
    `: >${labDirectory}/undo`,
    write('host_key', files.hostKey),
    write('authorized_keys', `${files.authorizedKey}\n`),
    write('sshd_config', sshdConfig),
  ].join('\n');
}

/** One change to a machine: how it is seen that it is needed, done and taken back. Each is a line of shell. */
export interface Change {
  /** For people: `address 10.0.0.11/24 on ens4`. */
  what: string;
  /** Succeeds when nothing is to be done. */
  present?: string;
  /** `$old` in it becomes, before the change, what `before` has put there; everything else stands as it is. */
  undo: string;
  do: string;
}

/** Makes changes one after the other. What undoes each is on the machine's disk before the change is made. */
export function changeScript(changes: readonly (Change & { before?: string })[]): string {
  const lines = ['set -e', 'journal() { printf \'%s\\n\' "$1" >>' + labDirectory + '/undo; }'];
  for (const change of changes) {
    const body = [
      ...(change.before === undefined ? [] : [change.before]),
      `journal "${change.undo.replace(/[\\"`$]/g, '\\$&').replaceAll('\\$old', '$old')}"`,
      `{ ${change.do}; } 2>${labDirectory}/error || { printf '%s: ' ${quoteArg(change.what)} >&2; cat ${labDirectory}/error >&2; exit 1; }`,
      `printf 'did %s\\n' ${quoteArg(change.what)}`,
    ].join('\n');
    lines.push(change.present === undefined ? body : `if ! { ${change.present}; } >/dev/null 2>&1; then\n${body}\nfi`);
  }
  return lines.join('\n');
}

/** Says `left WHAT` for each line that could not be undone, and removes the directory when all could. */
const undoScript = `
[ -d ${labDirectory} ] || exit 0
owner=$(cat ${labDirectory}/owner 2>/dev/null)
[ -z "$1" ] || [ "\${owner%% *}" = "$1" ] || { echo "other $owner"; exit 0; }
failed=0
tac ${labDirectory}/undo 2>/dev/null >${labDirectory}/reversed
while IFS= read -r line; do
  if sh -c "$line" >/dev/null 2>${labDirectory}/error </dev/null; then echo "undid $line"; else failed=1; echo "left $line: $(head -n 1 ${labDirectory}/error)"; fi
done <${labDirectory}/reversed
[ "$failed" = 0 ] || exit 1
rm -rf ${labDirectory}
rmdir /var/lib/netrig 2>/dev/null
exit 0
`;

/** The undo script for one lab, or for whatever lab is there (`''`). */
export function undoScriptFor(lab: string): string {
  return `set -- ${quoteArg(lab)}\n${undoScript}`;
}

/** Says who has the machine: `LAB CONTROLLER`, or nothing. */
export const ownerScript = `cat ${labDirectory}/owner 2>/dev/null || true`;

/** Succeeds where a Debian package is installed. */
export function packageThere(name: string): string {
  return `dpkg-query -W -f '\${db:Status-Status}' -- ${quoteArg(name)} 2>/dev/null | grep -qx installed`;
}

/**
 * Debian packages, with those that come along: at the end, what was not there before is purged. What is to be purged is known once
 * apt is done; where it was stopped on its way, it is all that came since.
 */
export function packagesChange(packages: readonly string[]): Change & { before: string } {
  const list = "dpkg-query -W -f '\${db:Status-Status} \${Package}\\n' | sed -n 's/^installed //p' | LC_ALL=C sort -u";
  const [before, added] = [`${labDirectory}/packages-before`, `${labDirectory}/packages-added`];
  const apt = 'DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet -o Dpkg::Options::=--force-confold';
  const install = `${apt} --no-install-recommends install -- ${quoteArgv(packages)}`;
  const difference = `${list} | LC_ALL=C comm -13 ${before} - >${added}`;
  return {
    what: `packages ${packages.join(' ')}`,
    present: `( ${packages.map(packageThere).join(' && ')} )`,
    before: `${list} >${before}`,
    // The lists of sources may be older than what is there by now.
    do: `( ${install} || { apt-get --quiet update && ${install}; } ) >${labDirectory}/apt 2>&1 </dev/null || { grep '^E:' ${labDirectory}/apt >&2; false; } && ${difference}`,
    undo: `[ -e ${added} ] || ${difference}; [ ! -s ${added} ] || ${apt} purge -- $(cat ${added})`,
  };
}

export function addressChange(device: string, address: string): Change {
  const bare = address.split('/')[0]!;
  const there = `ip -o address show dev ${quoteArg(device)} to ${quoteArg(bare)} | grep -q .`;
  return {
    what: `address ${address} on ${device}`,
    present: there,
    do: quoteArgv(['ip', 'address', 'add', address, 'dev', device]),
    undo: `ip address del ${address} dev ${device} 2>/dev/null || ! ${there}`,
  };
}

export function upChange(device: string): Change {
  return {
    what: `interface ${device} up`,
    present: `ip -o link show dev ${quoteArg(device)} up | grep -q .`,
    do: quoteArgv(['ip', 'link', 'set', device, 'up']),
    undo: `ip link set ${device} down 2>/dev/null || [ ! -e /sys/class/net/${device} ]`,
  };
}

export function mtuChange(device: string, mtu: number): Change & { before: string } {
  return {
    what: `MTU ${mtu} on ${device}`,
    present: `[ "$(cat /sys/class/net/${device}/mtu)" = ${mtu} ]`,
    before: `old=$(cat /sys/class/net/${device}/mtu)`,
    do: quoteArgv(['ip', 'link', 'set', device, 'mtu', String(mtu)]),
    undo: `ip link set ${device} mtu $old 2>/dev/null || [ ! -e /sys/class/net/${device} ]`,
  };
}

/** The name that the scenario has for an interface, beside the machine's own (Linux 5.5). */
export function nameChange(device: string, name: string): Change {
  return {
    what: `${name} as another name of ${device}`,
    present: `ip -j link show dev ${quoteArg(device)} | grep -q ${quoteArg(`"${name}"`)}`,
    do: quoteArgv(['ip', 'link', 'property', 'add', 'dev', device, 'altname', name]),
    undo: `ip link property del dev ${device} altname ${name} 2>/dev/null || ! ip link show dev ${name}`,
  };
}

export interface Tunnel {
  device: string;
  mac: string;
  vni: number;
  port: number;
  /** The machine's own address under the tunnel. */
  local: string;
  /** Addresses of the other machines under it. */
  peers: readonly string[];
  mtu: number | null;
}

/** A VXLAN link to the other machines, with head-end replication: no multicast is asked of the network below. */
export function tunnelChange(tunnel: Tunnel, lab: string): Change {
  const { device, vni, port, local, peers, mac, mtu } = tunnel;
  const mark = `netrig ${lab}`;
  const commands = [
    quoteArgv([
      'ip',
      'link',
      'add',
      device,
      'address',
      mac,
      'type',
      'vxlan',
      'id',
      String(vni),
      'dstport',
      String(port),
      'local',
      local,
    ]),
    quoteArgv(['ip', 'link', 'set', device, 'alias', mark]),
    ...(mtu === null ? [] : [quoteArgv(['ip', 'link', 'set', device, 'mtu', String(mtu)])]),
    ...peers.map((peer) => quoteArgv(['bridge', 'fdb', 'append', '00:00:00:00:00:00', 'dev', device, 'dst', peer])),
    quoteArgv(['ip', 'link', 'set', device, 'up']),
  ];
  return {
    what: `VXLAN ${vni} as ${device}`,
    do: commands.join(' && '),
    // Only a link that carries the lab's mark is ours to remove.
    undo: `[ ! -e /sys/class/net/${device} ] || ! grep -qx '${mark}' /sys/class/net/${device}/ifalias || ip link del ${device}`,
  };
}

/** Before provisioning sets a sysctl: its value is kept and set back. Nothing is changed here. */
export function sysctlNote(key: string): Change & { before: string } {
  const path = sysctlPath(key);
  return {
    what: `sysctl ${key}`,
    before: `old=$(cat ${quoteArg(path)})`,
    do: 'true',
    undo: `printf '%s' '$old' >${path}`,
  };
}

/** Before provisioning sets a route: the one that was there is set back, or the new one removed. Nothing is changed here. */
export function routeNote(to: string, via: string): Change & { before: string } {
  const show = `ip route show exact ${to}`;
  return {
    what: `route to ${to}`,
    before: `old=$(${show} | head -n 1 | sed 's/ linkdown//; s/ dead//')`,
    do: 'true',
    undo: `if [ -n '$old' ]; then ip route replace $old; else ip route del ${to} via ${via} 2>/dev/null || [ -z "$(${show})" ]; fi`,
  };
}

/** Before provisioning names the lab's hosts in /etc/hosts: its lines go again, others stay. */
export function hostsNote(first: string, last: string): Change {
  return {
    what: 'names of the lab’s hosts in /etc/hosts',
    do: 'true',
    // Written over, not replaced: in a container the file is a mount.
    undo: `sed '/^${first}$/,/^${last}$/d' /etc/hosts >${labDirectory}/hosts && cat ${labDirectory}/hosts >/etc/hosts`,
  };
}

/** What an engine holds before the lab, so that what the lab's steps left on it can be told. One that begins by its socket begins. */
export const engineNote = `
if [ -S /run/docker.sock ] && docker version >/dev/null 2>&1; then
  docker ps -aq --no-trunc >${labDirectory}/containers
  docker network ls -q --no-trunc >${labDirectory}/networks
  docker volume ls -q >${labDirectory}/volumes
fi
`;

/** Says `KIND NAME removed` or `KIND NAME left` for each object of the engine that was not there before the lab. */
export function engineLeftScript(remove: boolean): string {
  const done = (command: string): string =>
    remove
      ? `if ${command} "$id" >/dev/null 2>&1; then echo "$kind $name removed"; else echo "$kind $name left"; fi`
      : 'echo "$kind $name left"';
  const kind = (name: string, list: string, format: string, command: string): string =>
    `kind=${name}; ${list} | while read -r id; do grep -qxF "$id" ${labDirectory}/${name}s && continue; name=$(${format} "$id" 2>/dev/null | sed 's|^/||'); [ -n "$name" ] || continue; ${done(command)}; done`;
  return [
    `[ -f ${labDirectory}/networks ] || exit 0`,
    kind('container', 'docker ps -aq --no-trunc', "docker inspect --format '{{.Name}}'", 'docker rm -f -v'),
    kind(
      'network',
      'docker network ls -q --no-trunc',
      "docker network inspect --format '{{.Name}}'",
      'docker network rm',
    ),
    kind('volume', 'docker volume ls -q', "docker volume inspect --format '{{.Name}}'", 'docker volume rm'),
  ].join('\n');
}
