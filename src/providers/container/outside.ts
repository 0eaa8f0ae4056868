import { isIPv4 } from 'node:net';
import type Docker from 'dockerode';
import ipaddr from 'ipaddr.js';
import { isNetrigError } from '../../errors.js';
import { uplink } from '../../model/uplink.js';
import type { LabPlan } from '../../plan/lab-plan.js';
import { quoteArg } from '../../ssh/quote.js';
import { toolsPlace } from '../shared/tools-place.js';
import type { HostEngineImage } from './host.js';
import { ownPrograms } from './own-programs.js';
import { ask, changeMs, type EngineEndpoint, type EngineInfo, questionMs } from './engine.js';
import { withContainer } from './work-container.js';
import { makeInBlock, poolBlocks, usableBlocks } from './segments.js';

/**
 * The way of a host to the outside: a network of the engine, with its masquerading, as its containers have it.
 *
 *     host ── uplink0 ── gate0, a namespace beside the host's, out0 ── network of the engine ── outside
 *
 * The namespace between is where what must not pass ends: the loopback of the engine's machine, to which a machine that routes
 * it (`route_localnet`, which some engines and clusters set) would let a packet through, link-local addresses, at which clouds
 * give credentials, and other hosts that have a way out.
 */
export interface OutsideNetwork {
  id: string;
  /** In CIDR form. */
  subnet: string;
  /** The engine's machine on it. */
  gateway: string;
  /** Host → its address there. */
  ends: ReadonlyMap<string, string>;
  /** What the engine's containers ask for names; `null` where that has no IPv4 address. */
  nameServer: string | null;
  /** Networks beyond loopback and link-local ones that nothing gets to. */
  closed: string[];
}

/** What all that is done on one engine for one lab needs. */
interface Site {
  lab: string;
  endpoint: EngineEndpoint;
  engine: Docker;
  info: EngineInfo;
  labels: Record<string, string>;
  signal: AbortSignal;
}

/** The first name server of a resolv.conf(5) that another network namespace can ask over IPv4. */
export function nameServerIn(text: string): string | null {
  const servers = text.split('\n').flatMap((line) => /^nameserver\s+(\S+)/.exec(line)?.[1] ?? []);
  return servers.find((one) => isIPv4(one) && !one.startsWith('127.') && one !== '0.0.0.0') ?? null;
}

interface Route {
  dst?: string;
  dev?: string;
  gateway?: string;
}

/** The networks that a machine is on by the devices of its default routes, from `ip -json route`. */
export function networksBeside(text: string): string[] {
  const routes = JSON.parse(text) as Route[];
  const ways = routes.filter(({ dst }) => dst === 'default').map(({ dev }) => dev);
  return routes.flatMap(({ dst, dev, gateway }) =>
    dst !== undefined && dst !== 'default' && gateway === undefined && ways.includes(dev) ? [dst] : [],
  );
}

/** What a command says in a container of the engine that is gone afterwards. */
async function saidBy(
  site: Site,
  image: HostEngineImage,
  network: 'bridge' | 'host',
  command: string,
): Promise<string> {
  const { endpoint, labels, signal } = site;
  const what = 'look for its way to the outside';
  const box = `${image.foreign ? toolsPlace : ''}/bin/busybox`;
  const argv = [box, 'sh', '-c', command];
  const create = {
    Image: image.reference,
    Entrypoint: argv,
    Tty: true,
    Labels: labels,
    HostConfig: { NetworkMode: network },
  };
  return withContainer(site, what, create, async (container) => {
    await ask(endpoint, what, changeMs, container.start(), signal);
    await ask(endpoint, what, changeMs, container.wait(), signal);
    const said = container.logs({ stdout: true, stderr: true, follow: false });
    return String(await ask(endpoint, what, questionMs, said, signal)).replaceAll('\r', '');
  });
}

/** The engine writes its machine's name servers for containers of its own network; where there is none, the machine's are taken. */
async function nameServerOf(site: Site, image: HostEngineImage): Promise<string | null> {
  const command = 'cat /etc/resolv.conf';
  const text = await saidBy(site, image, 'bridge', command).catch((error: unknown) => {
    if (!isNetrigError(error, 'NETRIG_ENGINE_REFUSED')) throw error;
    return saidBy(site, image, 'host', command);
  });
  return nameServerIn(text);
}

/**
 * Around an engine in a virtual machine, such as Docker Desktop's, that machine's own network has addresses which lead to the
 * loopback of the computer outside (`host.docker.internal`); so nothing gets to that network.
 */
async function closedNetworks(site: Site, image: HostEngineImage): Promise<string[]> {
  if (process.platform === 'linux' && !/docker desktop/i.test(site.info.system)) return [];
  return networksBeside(await saidBy(site, image, 'host', `${ownPrograms}\n$at/bin/ip -4 -json route show`));
}

/**
 * Makes the network by which the hosts of a plan with `outside` reach the outside; `null` where none has it. `images`: those of its hosts. Rejects as `makeNetworks` does.
 */
export async function makeOutside(
  site: Site,
  plan: LabPlan,
  images: readonly HostEngineImage[],
): Promise<OutsideNetwork | null> {
  const hosts = plan.hosts.filter((host) => host.outside);
  if (hosts.length === 0) return null;
  const { lab, labels } = site;
  // Not the block of `uplink`: an engine's machine may be a host that has one itself.
  const own = ipaddr.parse(uplink.address);
  const blocks = usableBlocks(plan, Math.floor(Math.random() * poolBlocks)).filter(
    (block) => !own.match(ipaddr.parseCIDR(block)),
  );
  const made = await makeInBlock(site, 'the way to the outside', blocks, (subnet) => ({
    // No segment can have a name with a dot.
    Name: `netrig-${lab}.outside`,
    Driver: 'bridge',
    CheckDuplicate: true,
    Internal: false,
    EnableIPv6: false,
    IPAM: { Driver: 'default', Config: [{ Subnet: subnet, Gateway: addressIn(subnet, 1) }] },
    Options: {
      'com.docker.network.bridge.enable_ip_masquerade': 'true',
      // Hosts meet on the segments of their lab, and nowhere else.
      'com.docker.network.bridge.enable_icc': 'false',
    },
    Labels: labels,
  }));
  const image = images[0] ?? { reference: '' };
  const [nameServer, closed] = await Promise.all([nameServerOf(site, image), closedNetworks(site, image)]);
  return {
    id: made.id,
    subnet: made.block,
    gateway: addressIn(made.block, 1),
    ends: new Map(hosts.map(({ name }, index) => [name, addressIn(made.block, index + 2)])),
    nameServer,
    closed,
  };
}

/** The I-th address of a block of the pool. */
function addressIn(block: string, index: number): string {
  const [a = 0, b = 0, c = 0] = ipaddr.IPv4.parse(block.split('/')[0]!).toByteArray();
  return `${a}.${b}.${c + Math.floor(index / 256)}.${index % 256}`;
}

/** The namespace between a host and the engine's network; below a /run that a host's systemd covers. */
const gateSpace = '/run/netrig-gate';
/** A routing table of that namespace: what comes from the host goes by it, and answers by the usual one. */
const table = 100;

/** What nobody in a lab has to do with, whatever a machine's routes say. */
const never: readonly string[] = ['127.0.0.0/8', '169.254.0.0/16', uplink.subnet];

/**
 * Lines for the script that wires a host: its way out, from the engine's interface, which has that MAC, to `uplink0`.  `find_nic`,
 * `$at` and `$box` are that script's.
 */
export function gateLines(host: string, mac: string, network: OutsideNetwork): string[] {
  const own = network.ends.get(host) ?? '';
  const prefix = network.subnet.split('/')[1]!;
  const { gateway, nameServer } = network;
  const closed = [...never, network.subnet, ...network.closed];
  const asked = nameServer !== null && closed.some((one) => ipaddr.parse(nameServer).match(ipaddr.parseCIDR(one)));
  // The host's name for it, and itself where it is behind a wall: of both, only questions for names get there.
  const servers = new Set([uplink.nameServer, ...(asked ? [nameServer] : [])]);
  const names = ['udp', 'tcp'].map(
    (protocol) =>
      `    iifname "gate0" ip daddr ${uplink.nameServer} ${protocol} dport 53 dnat to ${nameServer ?? uplink.nameServer}`,
  );
  return [
    `: >${gateSpace}`,
    `$at/usr/bin/unshare --net=${gateSpace} $box true`,
    `gate() { $at/usr/bin/nsenter --net=${gateSpace} "$@"; }`,
    `nic=$(find_nic ${quoteArg(mac)})`,
    '$at/bin/ip link set dev "$nic" down name out0',
    `$at/bin/ip link set dev out0 netns ${gateSpace}`,
    `$at/bin/ip link add name ${uplink.device} type veth peer name gate0`,
    `$at/bin/ip link set dev gate0 netns ${gateSpace}`,
    // A new namespace may begin with what the machine has set for itself.
    `gate $box sh -c 'cd /proc/sys/net; echo 1 >ipv4/ip_forward
for each in ipv4/conf/*/route_localnet ipv4/conf/*/rp_filter ipv4/conf/*/accept_source_route; do echo 0 >"$each"; done
for each in ipv6/conf/*/disable_ipv6; do [ ! -e "$each" ] || echo 1 >"$each"; done'`,
    'gate $at/bin/ip -batch - <<END',
    `address add ${own}/${prefix} dev out0`,
    'link set dev out0 up',
    `address add ${uplink.gateway}/24 dev gate0`,
    'link set dev gate0 up',
    `rule add iif gate0 lookup ${table}`,
    `route add default via ${gateway} dev out0 table ${table}`,
    ...closed.map((subnet) => `route add prohibit ${subnet} table ${table}`),
    ...[...servers].map((one) => `route add ${one} via ${gateway} dev out0 table ${table}`),
    // Nobody has that address: an engine's machine may itself be a host whose name server has it.
    `neighbour add proxy ${uplink.nameServer} dev gate0`,
    'END',
    'gate $at/usr/sbin/nft -f - <<END',
    'table ip netrig {',
    '  chain names {',
    '    type nat hook prerouting priority -100;',
    ...(nameServer === null ? [] : names),
    '  }',
    '  chain out {',
    '    type nat hook postrouting priority 100;',
    '    oifname "out0" masquerade',
    '  }',
    '  chain walls {',
    '    type filter hook forward priority 0;',
    '    iifname "out0" ct state { established, related } accept',
    '    iifname "out0" drop',
    ...(nameServer === null ? [] : [`    ip daddr ${nameServer} meta l4proto { tcp, udp } th dport 53 accept`]),
    `    ip daddr { ${closed.join(', ')} } drop`,
    '  }',
    '}',
    'END',
  ];
}
