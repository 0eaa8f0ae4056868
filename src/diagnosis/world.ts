import { canonicalAddress, familyOf } from '../model/cidr.js';
import { engineError } from '../places/vantage.js';
import { readFrame } from './frames.js';
import type { SeenFrame } from './frames.js';
import type { Section } from './observer.js';
import { readSwitches } from './switches.js';
import type { Switch } from './switches.js';
import { readNft, readSaveSections, readTraces } from './rules.js';
import type { NftRules, SavedRules, Trace } from './rules.js';

export interface LinkAddress {
  address: string;
  prefix: number;
  scope: string;
  duplicate: boolean;
}

export interface Link {
  index: number;
  name: string;
  up: boolean;
  /** Its neighbours are not asked for, and not answered. */
  noArp: boolean;
  carrier: boolean;
  mtu: number;
  mac: string;
  master: string | null;
  /** `bridge`, `veth`, `vlan`, `vxlan`, `macvlan`, … `null` for what the kernel gives no kind. */
  kind: string | null;
  data: Record<string, unknown>;
  /** As a port of a bridge: STP state and flags. */
  port: Record<string, unknown> | null;
  /** The link below it, or the other end of a veth: by name in the same namespace, else by index in another one. */
  below: string | null;
  peerIndex: number | null;
  addresses: LinkAddress[];
}

export interface Route {
  type: string;
  dst: string;
  prefix: number;
  table: string;
  dev: string | null;
  gateway: string | null;
  metric: number;
  source: string | null;
  dead: boolean;
  hops: { gateway: string | null; dev: string | null }[];
  mtu: number | null;
}

export interface PolicyRule {
  priority: number;
  src: string;
  srcLen: number;
  dst: string;
  dstLen: number;
  iif: string | null;
  oif: string | null;
  mark: number | null;
  mask: number;
  not: boolean;
  table: string | null;
  action: string | null;
  /** `suppress_prefixlength`. */
  suppress: number | null;
  selective: boolean;
}

export interface Neighbour {
  dst: string;
  dev: string;
  mac: string | null;
  state: string[];
}

export interface Listener {
  proto: 'tcp' | 'udp';
  address: string;
  port: number;
  program: string;
  /** The interface that it is bound to, and to no other. */
  dev: string | null;
  /** TCP: connections that wait to be accepted, and how many may. */
  waiting: number;
  room: number;
  /** Processes that have the socket, each with its state as proc(5) has it (`S`, `T`, …). */
  processes: { pid: number; state: string }[];
}

/** A filter of traffic control that may drop packets. */
export interface QueueFilter {
  dev: string;
  side: 'ingress' | 'egress';
  /** `u32`, `flower`, `matchall`, … */
  kind: string;
  preference: number;
  /** Packets that its actions dropped while the probe was on its way. */
  dropped: number;
}

/** One network namespace of a lab, as it was when the probe was sent. */
export interface Space {
  host: string;
  inode: string;
  /** As scenarios write it: `server`, `server/web1`, `server/netns:blue`; `server (engine's 1-abc)` for those of an engine. */
  label: string;
  kind: 'host' | 'container' | 'netns' | 'engine';
  links: Link[];
  routes: { 4: Route[]; 6: Route[] };
  policy: { 4: PolicyRule[]; 6: PolicyRule[] };
  neighbours: Neighbour[];
  neighboursAfter: Neighbour[];
  proxies: string[];
  forwards: { mac: string; dev: string; remote: string | null; flags: string[] }[];
  vlans: { dev: string; id: number; end: number; pvid: boolean }[];
  /** Bridges of Open vSwitch, in the host's own namespace. */
  switches: Switch[];
  /** Queues of interfaces, with the packets that each dropped while the probe was on its way. */
  qdiscs: { dev: string; kind: string; dropped: number; options: Record<string, unknown> }[];
  queueFilters: QueueFilter[];
  listeners: Listener[];
  sysctls: Map<string, string>;
  nft: NftRules;
  saved: Map<string, SavedRules>;
  savedAfter: Map<string, SavedRules>;
  counters: Map<string, number>;
  countersAfter: Map<string, number>;
  conntrack: string[];
  conntrackAfter: string[];
  traced: boolean;
}

export interface EngineContainer {
  id: string;
  name: string;
  status: string;
  exitCode: number | null;
  /** Why the engine could not start it the last time. */
  error: string | null;
  finishedAt: string | null;
  startedAt: string | null;
  /** How often the engine started it again by itself. */
  restarts: number;
  networkMode: string;
  /** Published ports that it is to have. */
  published: { proto: string; hostPort: number; hostIp: string; port: number }[];
  networks: { name: string; id: string; address: string; address6: string; aliases: string[] }[];
}

export interface Engine {
  /** Not running: its containers are known by what it has kept of them on disk. */
  running: boolean;
  containers: EngineContainer[];
  networks: EngineNetwork[];
  /** The address that it tells other engines of its own; absent or `null`: none, or not known. */
  advertised?: string | null;
}

export interface EngineNetwork {
  id: string;
  name: string;
  driver: string;
  internal: boolean;
  icc: boolean;
  masquerade: boolean;
}

export interface Sighting {
  space: Space;
  /** ms since the epoch, with a fraction. */
  timeMs: number;
  /** The same in ns: two ends of a veth are less than a microsecond apart. */
  timeNs: bigint;
  ifindex: number;
  way: 'in' | 'out' | 'other';
  frame: NonNullable<SeenFrame>;
  /** The bytes that were captured, how many there were on the wire, and the hardware type of the interface. */
  data: Buffer;
  wireBytes: number;
  hardware: number;
}

export interface World {
  spaces: Space[];
  engines: Map<string, Engine>;
  sightings: Sighting[];
  traces: (Trace & { where: Space })[];
  /** Hosts that were not looked at, and why. */
  unlooked: string[];
}

type Raw = Record<string, unknown>;

const text = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);
const number = (value: unknown): number | null => (typeof value === 'number' ? value : null);
const list = (value: unknown): Raw[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === 'object' && one !== null) : [];
const words = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
const object = (value: unknown): Raw => (typeof value === 'object' && value !== null ? (value as Raw) : {});

function json(source: string | undefined): Raw[] {
  if (source === undefined || source.trim() === '') return [];
  try {
    return list(JSON.parse(source));
  } catch {
    return [];
  }
}

const canonical = (address: string): string => (familyOf(address) === 0 ? address : canonicalAddress(address));

function readLink(raw: Raw): Link {
  const flags = words(raw.flags);
  const info = object(raw.linkinfo);
  return {
    index: number(raw.ifindex) ?? 0,
    name: text(raw.ifname) ?? '',
    up: flags.includes('UP'),
    noArp: flags.includes('NOARP'),
    carrier: !flags.includes('NO-CARRIER') && text(raw.operstate) !== 'LOWERLAYERDOWN',
    mtu: number(raw.mtu) ?? 0,
    mac: text(raw.address) ?? '',
    master: text(raw.master),
    kind: text(info.info_kind),
    data: object(info.info_data),
    port: info.info_slave_data === undefined ? null : object(info.info_slave_data),
    below: text(raw.link),
    peerIndex: number(raw.link_index),
    addresses: list(raw.addr_info).flatMap((one) => {
      const local = text(one.local);
      if (local === null) return [];
      return [
        {
          address: canonical(local),
          prefix: number(one.prefixlen) ?? 0,
          scope: text(one.scope) ?? '',
          duplicate: one.dadfailed === true,
        },
      ];
    }),
  };
}

function readRoute(raw: Raw, family: 4 | 6): Route | null {
  const to = text(raw.dst);
  if (to === null) return null;
  const [address, length] = to === 'default' ? [family === 4 ? '0.0.0.0' : '::', '0'] : to.split('/');
  if (address === undefined || familyOf(address) === 0) return null;
  const via = text(raw.gateway) ?? text(object(raw.via).host);
  const flags = words(raw.flags);
  const hops = list(raw.nexthops).map((hop) => ({
    gateway: text(hop.gateway) ?? text(object(hop.via).host),
    dev: text(hop.dev),
  }));
  const metric = object(Array.isArray(raw.metrics) ? raw.metrics[0] : undefined);
  return {
    type: text(raw.type) ?? 'unicast',
    dst: canonical(address),
    prefix: length === undefined ? (family === 4 ? 32 : 128) : Number(length),
    table: text(raw.table) ?? 'main',
    dev: text(raw.dev) ?? hops[0]?.dev ?? null,
    gateway: via === null ? (hops[0]?.gateway ?? null) : canonical(via),
    metric: number(raw.metric) ?? 0,
    source: text(raw.prefsrc),
    // One whose interface has no carrier (`linkdown`) is used all the same, unless ignore_routes_with_linkdown makes it dead, too.
    dead: flags.includes('dead'),
    hops,
    mtu: number(metric.mtu),
  };
}

function readPolicy(raw: Raw): PolicyRule {
  const src = text(raw.src) ?? 'all';
  const dst = text(raw.dst) ?? 'all';
  const iif = text(raw.iif);
  const oif = text(raw.oif);
  const mark = text(raw.fwmark);
  const mask = text(raw.fwmask);
  return {
    priority: number(raw.priority) ?? 0,
    src,
    srcLen: number(raw.srclen) ?? (src.includes(':') ? 128 : 32),
    dst,
    dstLen: number(raw.dstlen) ?? (dst.includes(':') ? 128 : 32),
    iif,
    oif,
    mark: mark === null ? null : Number(mark),
    mask: mask === null ? 0xffffffff : Number(mask),
    not: raw.not !== undefined,
    table: text(raw.table),
    action: text(raw.action),
    suppress: number(raw.suppress_prefixlen),
    selective: src !== 'all' || dst !== 'all' || iif !== null || oif !== null || mark !== null,
  };
}

function readNeighbours(source: string | undefined): Neighbour[] {
  return json(source).map((raw) => ({
    dst: canonical(text(raw.dst) ?? ''),
    dev: text(raw.dev) ?? '',
    mac: text(raw.lladdr),
    state: words(raw.state),
  }));
}

function readQueues(before: string | undefined, after: string | undefined): Space['qdiscs'] {
  const name = (raw: Raw): string => `${text(raw.dev) ?? ''} ${text(raw.kind) ?? ''} ${text(raw.handle) ?? ''}`;
  const old = new Map(json(before).map((raw) => [name(raw), number(raw.drops) ?? 0]));
  return json(after).map((raw) => ({
    dev: text(raw.dev) ?? '',
    kind: text(raw.kind) ?? '',
    dropped: (number(raw.drops) ?? 0) - (old.get(name(raw)) ?? 0),
    options: object(raw.options),
  }));
}

/** Lines `DEV SIDE JSON`, as the observer prints the filters of traffic control. */
function filtersOf(source: string | undefined): Map<string, QueueFilter> {
  const found = new Map<string, QueueFilter>();
  for (const line of (source ?? '').split('\n')) {
    const [, dev, side, filters] = /^(\S+) (ingress|egress) (.*)$/.exec(line) ?? [];
    for (const raw of json(filters)) {
      const kind = text(raw.kind) ?? '';
      const options = object(raw.options);
      const drops = list(options.actions).map((action) => number(object(action.stats).drops) ?? 0);
      if (drops.length === 0) continue;
      const preference = number(raw.pref) ?? 0;
      found.set(`${dev} ${side} ${preference} ${text(options.fh) ?? String(found.size)}`, {
        dev: dev!,
        side: side as QueueFilter['side'],
        kind,
        preference,
        dropped: drops.reduce((sum, one) => sum + one, 0),
      });
    }
  }
  return found;
}

function readQueueFilters(before: string | undefined, after: string | undefined): QueueFilter[] {
  const old = filtersOf(before);
  return [...filtersOf(after)].map(([key, one]) => ({ ...one, dropped: one.dropped - (old.get(key)?.dropped ?? 0) }));
}

/** `ss -Hlntuwp`: netid, state, queues, local address and port, peer, processes. */
function readListeners(source: string | undefined, states: string | undefined): Listener[] {
  const known = new Map((states ?? '').split('\n').map((line) => line.split('\t') as [string, string]));
  return (source ?? '').split('\n').flatMap((line) => {
    const [proto, , waiting, room, local, , ...rest] = line.trim().split(/\s+/);
    const [, host, , dev, port] = /^(\[[^\]]*\]|[^%]*?)(%(.+))?:(\d+)$/.exec(local ?? '') ?? [];
    if ((proto !== 'tcp' && proto !== 'udp') || host === undefined) return [];
    const users = rest.join(' ');
    return [
      {
        proto,
        address: host.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, ''),
        port: Number(port),
        program: /"([^"]+)"/.exec(users)?.[1] ?? '',
        dev: dev ?? null,
        waiting: proto === 'tcp' ? Number(waiting) : 0,
        room: proto === 'tcp' ? Number(room) : 0,
        processes: [...users.matchAll(/pid=(\d+)/g)].map(([, pid]) => ({
          pid: Number(pid),
          state: known.get(pid!) ?? '?',
        })),
      },
    ];
  });
}

/** `/proc/net/snmp`, `netstat` (a line of names, a line of values) and `snmp6` (a name and a value a line). */
function readCounters(sections: readonly (string | undefined)[]): Map<string, number> {
  const found = new Map<string, number>();
  let names: string[] = [];
  for (const line of sections.join('\n').split('\n')) {
    const single = /^(\w+)\s+(\d+)$/.exec(line);
    const [head, ...values] = line.split(' ');
    if (single) found.set(single[1]!, Number(single[2]));
    else if (head?.endsWith(':')) {
      if (values.every((value) => /^-?\d+$/.test(value))) {
        values.forEach((value, at) => found.set(`${head.slice(0, -1)}.${names[at] ?? ''}`, Number(value)));
        names = [];
      } else names = values;
    }
  }
  return found;
}

function readSpace(host: string, inode: string, label: string, kind: Space['kind'], at: Map<string, string>): Space {
  const saved = readSaveSections(at.get('before-save') ?? '');
  const both = <Item>(read: (family: 4 | 6) => Item): { 4: Item; 6: Item } => ({ 4: read(4), 6: read(6) });
  return {
    host,
    inode,
    label,
    kind,
    links: json(at.get('addr')).map(readLink),
    routes: both((family) =>
      json(at.get(`route${family}`)).flatMap((raw) => {
        const route = readRoute(raw, family);
        return route ? [route] : [];
      }),
    ),
    policy: both((family) =>
      json(at.get(`rule${family}`))
        .map(readPolicy)
        .sort((a, b) => a.priority - b.priority),
    ),
    neighbours: readNeighbours(at.get('neigh')),
    neighboursAfter: readNeighbours(at.get('neigh-after')),
    proxies: json(at.get('proxy')).flatMap((raw) => text(raw.dst) ?? []),
    forwards: json(at.get('fdb')).map((raw) => ({
      mac: text(raw.mac) ?? '',
      dev: text(raw.ifname) ?? '',
      remote: text(raw.dst),
      flags: [...words(raw.flags), text(raw.state) ?? ''],
    })),
    vlans: json(at.get('vlan')).flatMap((raw) =>
      list(raw.vlans).map((one) => ({
        dev: text(raw.ifname) ?? '',
        id: number(one.vlan) ?? 0,
        end: number(one.vlanEnd) ?? number(one.vlan) ?? 0,
        pvid: words(one.flags).includes('PVID'),
      })),
    ),
    switches: readSwitches(at.get('ovs'), at.get('flows-before'), at.get('flows-after'), at.has('ovs-runs')),
    qdiscs: readQueues(at.get('qdisc'), at.get('qdisc-after')),
    queueFilters: readQueueFilters(at.get('tc-before'), at.get('tc-after')),
    listeners: readListeners(at.get('listen'), at.get('states')),
    sysctls: new Map(
      (at.get('sysctl') ?? '').split('\n').flatMap((line): [string, string][] => {
        const [name, value] = line.split('\t');
        return name !== undefined && value !== undefined ? [[name, value]] : [];
      }),
    ),
    nft: readNft(at.get('nft') ?? '', saved),
    saved,
    savedAfter: readSaveSections(at.get('after-save') ?? ''),
    counters: readCounters([at.get('before-snmp'), at.get('before-netstat'), at.get('before-snmp6')]),
    countersAfter: readCounters([at.get('after-snmp'), at.get('after-netstat'), at.get('after-snmp6')]),
    conntrack: (at.get('before-conntrack') ?? '').split('\n'),
    conntrackAfter: (at.get('after-conntrack') ?? '').split('\n'),
    traced: at.has('traced'),
  };
}

function readContainer(raw: Raw): EngineContainer {
  const state = object(raw.State);
  const settings = object(raw.HostConfig);
  return {
    id: text(raw.Id) ?? '',
    name: (text(raw.Name) ?? '').replace(/^\//, ''),
    status: state.Paused === true ? 'paused' : (text(state.Status) ?? ''),
    exitCode: number(state.ExitCode),
    error: engineError(text(state.Error) ?? ''),
    finishedAt: text(state.FinishedAt),
    startedAt: text(state.StartedAt),
    restarts: number(raw.RestartCount) ?? 0,
    networkMode: text(settings.NetworkMode) ?? '',
    published: Object.entries(object(settings.PortBindings)).flatMap(([key, bindings]) => {
      const [port, proto] = key.split('/');
      return list(bindings).map((one) => ({
        proto: proto ?? 'tcp',
        hostPort: Number(text(one.HostPort) ?? 0),
        hostIp: text(one.HostIp) ?? '',
        port: Number(port),
      }));
    }),
    networks: Object.entries(object(object(raw.NetworkSettings).Networks)).map(([name, one]) => {
      const network = object(one);
      return {
        name,
        id: text(network.NetworkID) ?? '',
        // One that does not run has none; it is to have the one that it was made with.
        address: text(network.IPAddress) ?? text(object(network.IPAMConfig).IPv4Address) ?? '',
        address6: text(network.GlobalIPv6Address) ?? text(object(network.IPAMConfig).IPv6Address) ?? '',
        aliases: [...words(network.Aliases), ...words(network.DNSNames)],
      };
    }),
  };
}

function readNetwork(raw: Raw): EngineNetwork {
  const options = object(raw.Options);
  return {
    id: text(raw.Id) ?? '',
    name: text(raw.Name) ?? '',
    driver: text(raw.Driver) ?? '',
    internal: raw.Internal === true,
    icc: options['com.docker.network.bridge.enable_icc'] !== 'false',
    masquerade: options['com.docker.network.bridge.enable_ip_masquerade'] !== 'false',
  };
}

const ways: Record<number, Sighting['way']> = { 3: 'other', 4: 'out' };

function readSighting(line: string, spaces: ReadonlyMap<string, Space>): Sighting | null {
  const [inode, time, ifindex, type, hardware, , length, hex] = line.split(' ');
  const space = spaces.get(inode ?? '');
  if (!space || hex === undefined) return null;
  const data = Buffer.from(hex, 'hex');
  const frame = readFrame(data, Number(hardware));
  if (!frame) return null;
  return {
    space,
    timeMs: Number(time) * 1000,
    timeNs: BigInt((time ?? '0').replace('.', '')),
    ifindex: Number(ifindex),
    way: ways[Number(type)] ?? 'in',
    frame,
    data,
    wireBytes: Number(length),
    hardware: Number(hardware),
  };
}

/** The address by which an engine is known to others of its overlay networks: `ClusterAdvertise`, or that of its node in a swarm. */
function readAdvertised(info: string | undefined): string | null {
  const [raw] = json(info === undefined || info.trim() === '' ? undefined : `[${info}]`);
  const said = text(raw?.ClusterAdvertise)?.replace(/:\d+$/, '') ?? text(object(raw?.Swarm).NodeAddr);
  return said !== null && said !== undefined && familyOf(said) !== 0 ? canonical(said) : null;
}

/** What the observers of all hosts printed, as one world. `addToWorld` is called once for each host. */
export function emptyWorld(): World {
  return { spaces: [], engines: new Map(), sightings: [], traces: [], unlooked: [] };
}

export function addToWorld(world: World, host: string, sections: readonly Section[]): void {
  const of = new Map<string, Map<string, string>>();
  for (const { space, name, text: content } of sections) {
    const at = of.get(space) ?? new Map<string, string>();
    of.set(space, at.set(name, content));
  }
  const common = of.get('0') ?? new Map<string, string>();
  const containers = (common.get('inspect') ?? '')
    .split('\n')
    .flatMap((line) => (line.trim() === '' ? [] : json(`[${line}]`).map(readContainer)));
  if (common.has('containers'))
    world.engines.set(host, {
      running: true,
      containers,
      networks: json(common.get('networks')).map(readNetwork),
      advertised: readAdvertised(common.get('info')),
    });
  else if (common.has('kept'))
    world.engines.set(host, {
      running: false,
      networks: [],
      containers: common
        .get('kept')!
        .split('\n')
        .flatMap((line) => {
          const [config, settings] = json(line);
          return config && settings ? [readContainer({ ...config, HostConfig: settings })] : [];
        }),
    });
  const mine = new Map<string, Space>();
  for (const line of (common.get('spaces') ?? '').split('\n')) {
    const [inode, names = '', container] = line.split('\t');
    if (inode === undefined || inode === '') continue;
    const named = names.split(',');
    const owner = containers.find(({ id }) => id === container);
    const blue = named.find((name) => name.startsWith('netns:'));
    const engine = named.find((name) => name.startsWith('engine:'))?.slice('engine:'.length);
    const [label, kind]: [string, Space['kind']] = named.includes('host')
      ? [host, 'host']
      : owner
        ? [`${host}/${owner.name}`, 'container']
        : blue !== undefined
          ? [`${host}/${blue}`, 'netns']
          : [`${host}/netns:${engine ?? inode}`, 'engine'];
    mine.set(inode, readSpace(host, inode, label, kind, of.get(inode) ?? new Map<string, string>()));
  }
  world.spaces.push(...mine.values());
  for (const line of (common.get('frames') ?? '').split('\n')) {
    const seen = readSighting(line, mine);
    if (seen) world.sightings.push(seen);
  }
  for (const trace of readTraces(common.get('traces') ?? '')) {
    const where = mine.get(trace.space);
    if (where) world.traces.push({ ...trace, where });
  }
  world.sightings.sort((a, b) => (a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : 0));
}

/** How much a kernel's counter rose while the probe was on its way; 0 for one that it does not have. */
export function rose(space: Space, counter: string): number {
  return (space.countersAfter.get(counter) ?? 0) - (space.counters.get(counter) ?? 0);
}

export function linkOf(space: Space, ifindex: number): Link | null {
  return space.links.find(({ index }) => index === ifindex) ?? null;
}

export function linkNamed(space: Space, name: string | null): Link | null {
  return space.links.find((link) => link.name === name) ?? null;
}

export function hasAddress(space: Space, address: string): boolean {
  return space.links.some((link) => link.addresses.some((one) => one.address === address));
}

/** Everybody who has the address, with the link that has it. */
export function holdersOf(world: World, address: string): { space: Space; link: Link }[] {
  return world.spaces.flatMap((space) =>
    space.links
      .filter((link) => link.addresses.some((one) => one.address === address))
      .map((link) => ({ space, link })),
  );
}

/** Whose an address is, by name, where one alone has it: of a probe to an address that the scenario writes out. */
export function soleHolder(world: World, address: string): string | null {
  const labels = new Set(holdersOf(world, address).map(({ space }) => space.label));
  return labels.size === 1 ? [...labels][0]! : null;
}
