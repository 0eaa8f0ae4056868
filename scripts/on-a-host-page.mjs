// npm run on-a-host: writes docs/on-a-host.md anew from the host images in the cache, building those that are missing.
import { spawnSync } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, say } from './setup.mjs';

const page = join('docs', 'on-a-host.md');

/** What people look for on a host, by what it is for. */
const wanted = {
  'Links, addresses, routes': 'ip ss bridge tc nstat ethtool brctl ovs-vsctl route ifconfig netstat arp vconfig tunctl',
  'Filters and translation': 'iptables ip6tables iptables-legacy nft conntrack ipset ipvsadm',
  Probes:
    'ping arping fping tcpdump socat curl dig host nslookup nc wget traceroute tracepath mtr telnet nmap iperf3 getent',
  Engine: 'docker dockerd containerd runc docker-proxy docker-compose consul',
  System: 'systemctl journalctl ps top pgrep sysctl modprobe sudo su strace lsof file man',
  'Shells, languages, text': 'bash dash busybox perl python3 awk sed grep find less vi vim nano jq hexdump xxd',
  Archives: 'tar gzip bzip2 xz zstd unzip',
  'Packages and remote': 'apt-get dpkg git ssh sshd scp rsync openssl',
  'Routing daemons and servers': 'vtysh bird dnsmasq dhclient nginx wg',
};

const cli = join(root, 'dist', 'program', 'cli', 'main.js');
const netrig = (...args) =>
  spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

function images() {
  const listed = JSON.parse(netrig('images', 'list', '--json').stdout).filter(({ name }) => !name.includes(':'));
  const missing = listed.filter(({ state }) => state !== 'ready').map(({ name }) => name);
  if (missing.length === 0) return listed;
  if (netrig('images', 'build', ...missing).status !== 0) process.exit(3);
  return images();
}

const folders = ['usr/bin', 'usr/sbin', 'bin', 'sbin'];

/** Whether the tree has the program; links are not followed, since they lead from the tree’s own root. */
function has(tree, program) {
  return folders.some((folder) => lstatSync(join(tree, folder, program), { throwIfNoEntry: false }) !== undefined);
}

/** Upstream version of a package of the tree. */
function version(tree, name) {
  const status = readFileSync(join(tree, 'var', 'lib', 'dpkg', 'status'), 'utf8');
  const paragraph = status.split('\n\n').find((one) => one.startsWith(`Package: ${name}\n`)) ?? '';
  const [, full] = /^Version: (?:\d+:)?(\S+)$/m.exec(paragraph) ?? [];
  // Debian's revision changes with every update; the release's upstream version does not.
  return full?.replace(/[-+~][^-]*$/, '').replace(/(\d+\.\d+)\..*/, '$1') ?? '–';
}

const row = (cells) => `| ${cells.join(' | ')} |`;

function table(trees, names) {
  return [
    row(['', ...trees.map(({ name }) => name)]),
    row(['---', ...trees.map(() => '---')]),
    ...names.map((name) => row([`\`${name}\``, ...trees.map(({ tree }) => (has(tree, name) ? 'yes' : '–'))])),
  ].join('\n');
}

const list = images();
const trees = list
  .filter(({ directory }) => readdirSync(directory).includes('root'))
  .map(({ name, directory, engineVersion, containerImages }) => ({
    name,
    engineVersion,
    containerImages,
    tree: join(directory, 'root'),
  }));
const everywhereMissing = (names) => names.filter((name) => trees.every(({ tree }) => !has(tree, name)));
const all = Object.values(wanted).flatMap((names) => names.split(' '));
const applets = trees.map(({ tree }) =>
  spawnSync(
    join(
      tree,
      folders.find((folder) => lstatSync(join(tree, folder, 'busybox'), { throwIfNoEntry: false })),
      'busybox',
    ),
    ['--list'],
    { encoding: 'utf8' },
  ).stdout.split('\n'),
);
const inBusybox = everywhereMissing(all).filter((name) => applets.every((names) => names.includes(name)));

const text = `# What is on a host

Generated from the host images by \`npm run on-a-host\`.

Hosts are Debian releases with a fixed set of packages and no way to the outside, so that what is not here cannot be installed by a step; \`outside: true\` gives one, \`packages:\` of a host puts further Debian packages into it, \`files:\` what lies beside the scenario ([reference](scenario-reference.md#hosts)). Containers need none of it, since probes in a container’s network run with the host’s programs.

**Missing on all of them**: ${everywhereMissing(all)
  .map((name) => `\`${name}\``)
  .join(', ')}.

**As applets of busybox**, by \`busybox NAME\`: ${inBusybox.map((name) => `\`${name}\``).join(', ')}.

| In place of | Type |
| --- | --- |
| \`ifconfig\`, \`route\`, \`arp\` | \`ip address\`, \`ip route\`, \`ip neighbour\` |
| \`netstat -tlnp\` | \`ss -tlnp\` |
| \`nc -l 9000\`, \`nc HOST 9000\` | \`socat - TCP-LISTEN:9000\`, \`socat - TCP:HOST:9000\` |
| \`wget -O- URL\` | \`curl -s URL\` |
| \`traceroute HOST\` | \`busybox traceroute HOST\`, or \`netrig trace\` from outside |
| a web server | \`busybox httpd -f -p 80 -h DIRECTORY\` |

## Versions

${row(['', ...trees.map(({ name }) => name)])}
${row(['---', ...trees.map(() => '---')])}
${row(['Docker Engine', ...trees.map(({ engineVersion }) => engineVersion)])}
${row(['container images', ...trees.map(({ containerImages }) => containerImages.map((name) => `\`${name}\``).join(' '))])}
${['systemd', 'iproute2', 'iptables', 'openssh-server'].map((name) => row([name, ...trees.map(({ tree }) => version(tree, name))])).join('\n')}

The kernel is that of the machine (of each host’s own virtual machine with \`--provider vagrant\`). \`iptables\` is the variant that writes nftables; \`iptables-legacy\` is there, too.

## Programs

${Object.entries(wanted)
  .map(([what, names]) => `### ${what}\n\n${table(trees, names.split(' '))}`)
  .join('\n\n')}

## In containers

| Image | Has |
| --- | --- |
| \`busybox\` | the applets of busybox (\`ip\`, \`ping\`, \`nslookup\`, \`wget\`, \`httpd\`, …), \`sh\` |
| \`web\` | the same, and \`serve-web\`: a web server at port 80 whose page says \`web on HOSTNAME\`; its files are in \`/www\` |
| \`consul\` | the same, and \`consul\` |

## How a host differs from a machine

- **Files** lie in memory and go with the lab; the size is half of the host’s memory (\`limits.disk\`).
- **containerd** does nothing for nobody, by three settings in \`/etc/containerd/config.toml\`: it looks for garbage every two seconds at most (with its files in memory it would do so a hundred times a second, for ever), and once an hour for containers of other clients that it is to restart; its interface for Kubernetes (CRI) is off, as in Docker’s own package. Who needs that one takes the line \`disabled_plugins\` out and restarts containerd: \`sed -i /^disabled_plugins/d /etc/containerd/config.toml; systemctl restart containerd docker\`.
- **No consoles and no logind, no udev, no network manager, no timers for housekeeping**: nothing configures the network but the scenario. \`init: light\` hosts have no systemd at all: no \`systemctl\`, no engine, no SSH server on the segment.
- **Modules** belong to the machine: \`modprobe\` does nothing. \`requires: [kernel:…]\` names what a lab needs.
- **The engine** is there from the start; what it needs of the registry is in its store already.
`;
writeFileSync(join(root, page), text);
say(page);
