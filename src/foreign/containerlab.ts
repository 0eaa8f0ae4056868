import path from 'node:path';
import { NetrigError } from '../errors.js';
import { emptyHost, inInterfaceOrder, interfaceNames, nameOf, settleSubnets } from './draft.js';
import type { Draft, DraftSegment } from './draft.js';
import { packagesOf } from './node-image.js';
import { ownFile } from './own-files.js';
import { readScript } from './shell-lines.js';
import { isMap, leaveOut, textList } from './yaml-file.js';
import type { Data, Path, YamlFile } from './yaml-file.js';

const nodeKeys = ['kind', 'image', 'group', 'binds', 'exec', 'sysctls', 'memory', 'cpu', 'labels', 'mgmt-ipv4'];

const whyNot: Readonly<Record<string, string>> = {
  ports: 'left out: hosts are reached at their addresses; give the segment a host of its own to come from',
  env: 'left out: set it in the lines that need it',
  cmd: 'left out: a host boots as Debian does; start the program in a step',
  entrypoint: 'left out: a host boots as Debian does; start the program in a step',
  'startup-delay': 'left out: hosts boot at once, and checks wait with `within`',
};

interface Node {
  /** Name in the topology. */
  own: string;
  host: string;
  kind: string;
  /** All keys, those of its group, kind and of the defaults taken in. */
  data: Data;
  path: Path;
}

const hosted = ['linux', 'ext-container', 'host'];
const switches = ['bridge', 'ovs-bridge'];

function nodesOf(topology: Data): Node[] {
  const layers = (node: Data): Data => {
    const defaults = isMap(topology.defaults) ? topology.defaults : {};
    const groups = isMap(topology.groups) ? topology.groups : {};
    const group = isMap(groups[String(node.group)]) ? (groups[String(node.group)] as Data) : {};
    const kind = String(node.kind ?? group.kind ?? defaults.kind ?? 'linux');
    const kinds = isMap(topology.kinds) ? topology.kinds : {};
    const ofKind = isMap(kinds[kind]) ? (kinds[kind] as Data) : {};
    return { ...defaults, ...ofKind, ...group, ...node, kind };
  };
  const nodes = isMap(topology.nodes) ? topology.nodes : {};
  const taken = new Set<string>();
  return Object.entries(nodes).map(([own, value]) => {
    const data = layers(isMap(value) ? value : {});
    const host = nameOf(own, taken);
    taken.add(host);
    return { own, host, kind: String(data.kind), data, path: ['topology', 'nodes', own] };
  });
}

interface End {
  node: Node;
  index: number;
}

/** `r1:eth1`, or `{ node: r1, interface: eth1 }`. */
function endOf(value: unknown, nodes: readonly Node[]): End | { why: string } {
  const [name = '', device = ''] = isMap(value)
    ? [String(value.node), String(value.interface)]
    : String(value).split(':');
  const node = nodes.find(({ own }) => own === name);
  if (!node) return { why: `it leads to ${name}, which is no node` };
  const index = /(\d+)$/.exec(device)?.[1];
  return index === undefined ? { why: `the interface ${device} has no number` } : { node, index: Number(index) };
}

function segmentsOf(source: YamlFile, topology: Data, nodes: readonly Node[], draft: Draft): DraftSegment[] {
  const bridges = new Map<string, DraftSegment>();
  const segments: DraftSegment[] = [];
  const taken = new Set(draft.hosts.keys());
  const named = (name: string): DraftSegment => {
    const segment = { name: nameOf(name, taken), subnets: [], members: [] };
    taken.add(segment.name);
    segments.push(segment);
    return segment;
  };
  for (const [at, link] of (Array.isArray(topology.links) ? (topology.links as unknown[]) : []).entries()) {
    const line = source.lineOf(['topology', 'links', at]);
    const lose = (why: string): void => void draft.lost.push({ file: source.file, line, what: 'a link', why });
    const endpoints = isMap(link) && Array.isArray(link.endpoints) ? (link.endpoints as unknown[]) : [];
    const ends = endpoints.map((one) => endOf(one, nodes));
    const wrong = ends.find((one) => 'why' in one);
    if (endpoints.length !== 2 || wrong !== undefined) {
      lose(`left out: ${wrong !== undefined && 'why' in wrong ? wrong.why : 'it has no two ends'}`);
      continue;
    }
    const [a, b] = ends as [End, End];
    const unknown = [a, b].find(({ node }) => !hosted.includes(node.kind) && !switches.includes(node.kind));
    if (unknown) {
      lose(`left out: ${unknown.node.own} is a ${unknown.node.kind}, which is no Linux host`);
      continue;
    }
    const bridge = [a, b].find(({ node }) => switches.includes(node.kind));
    const segment = bridge
      ? (bridges.get(bridge.node.own) ?? named(bridge.node.own))
      : named(`${a.node.host}-${b.node.host}`);
    if (bridge) bridges.set(bridge.node.own, segment);
    for (const { node, index } of [a, b])
      if (hosted.includes(node.kind)) segment.members.push({ host: node.host, index, addresses: [] });
    if (isMap(link))
      leaveOut(source, draft.lost, {
        path: ['topology', 'links', at],
        of: 'a link',
        data: link,
        known: ['endpoints', 'type'],
      });
  }
  return segments;
}

/** `eth0` of every node leads to the management network: with it, the others keep their numbers. */
function managementSegment(source: YamlFile, draft: Draft): DraftSegment {
  const mgmt = isMap(source.data.mgmt) ? source.data.mgmt : {};
  const subnet = String(mgmt['ipv4-subnet'] ?? mgmt.ipv4_subnet ?? '172.20.20.0/24');
  return {
    name: nameOf('mgmt', new Set([...draft.hosts.keys(), ...draft.segments.map(({ name }) => name)])),
    subnets: [subnet === 'auto' ? '172.20.20.0/24' : subnet],
    members: [...draft.hosts.keys()].map((host) => ({ host, index: 0, addresses: [] })),
  };
}

function takeBinds(source: YamlFile, node: Node, folder: string, draft: Draft): void {
  const host = draft.hosts.get(node.host)!;
  for (const [at, bind] of textList(node.data.binds).entries()) {
    const [from = '', to = ''] = bind.split(':');
    const own = ownFile(folder, from.replace(/__clabNodeName__/g, node.own));
    if ('why' in own) {
      const line = source.lineOf([...node.path, 'binds', at]);
      draft.lost.push({
        file: source.file,
        line,
        what: `the bind ${bind} of ${node.own}`,
        why: `left out: ${own.why}`,
      });
      continue;
    }
    host.files[own.path] = own.directory && !to.endsWith('/') ? `${to}/` : to;
  }
}

function takeImage(source: YamlFile, node: Node, draft: Draft): void {
  const image = typeof node.data.image === 'string' ? node.data.image : null;
  const packages = image === null ? [] : packagesOf(image);
  const host = draft.hosts.get(node.host)!;
  host.packages.push(...(packages ?? []));
  if (host.packages.length > 0) host.systemd = true;
  if (packages !== null) return;
  draft.lost.push({
    file: source.file,
    line: source.lineOf([...node.path, 'image']),
    what: `the image ${image} of ${node.own}`,
    why: 'a plain Debian host in its place: name under `packages` what it must have',
  });
}

function takeNode(source: YamlFile, node: Node, folder: string, draft: Draft): string[] {
  const host = emptyHost();
  draft.hosts.set(node.host, host);
  takeImage(source, node, draft);
  takeBinds(source, node, folder, draft);
  const { sysctls, memory, cpu } = node.data;
  for (const [key, value] of Object.entries(isMap(sysctls) ? sysctls : {}))
    if (/^net[./]/.test(key)) host.sysctls[key] = String(value);
    else
      draft.lost.push({
        file: source.file,
        line: source.lineOf([...node.path, 'sysctls', key]),
        what: `the sysctl ${key} of ${node.own}`,
        why: 'left out: a host owns those under net',
      });
  if (typeof cpu === 'number') host.limits.cpus = cpu;
  if (typeof memory === 'string' || typeof memory === 'number')
    host.limits.memory = String(memory).replace(/\s*([kmg])i?b?$/i, (_, unit: string) => unit.toUpperCase());
  leaveOut(source, draft.lost, { path: node.path, of: node.own, data: node.data, known: nodeKeys, why: whyNot });
  return textList(node.data.exec);
}

/**
 * A containerlab topology of Linux nodes. Throws NETRIG_IMPORT for a file that is none.
 *
 * @param folder Where the file lies; paths in it are relative to that.
 */
export function fromContainerlab(source: YamlFile, folder: string): Draft {
  const topology = source.data.topology;
  if (!isMap(topology) || !isMap(topology.nodes))
    throw new NetrigError('NETRIG_IMPORT', `${source.file} has no topology with nodes.`);
  const own = String(source.data.name ?? path.basename(folder));
  const draft: Draft = {
    name: nameOf(own),
    title: `${own}, from a containerlab topology`,
    description: null,
    hosts: new Map(),
    segments: [],
    scripts: [],
    checks: [],
    lost: [],
  };
  leaveOut(source, draft.lost, {
    path: [],
    of: 'the file',
    data: source.data,
    known: ['name', 'topology', 'mgmt', 'prefix'],
  });
  const nodes = nodesOf(topology);
  const scripts = new Map<string, string[]>();
  for (const node of nodes) {
    if (hosted.includes(node.kind)) scripts.set(node.host, takeNode(source, node, folder, draft));
    else if (!switches.includes(node.kind))
      draft.lost.push({
        file: source.file,
        line: source.lineOf(node.path),
        what: `the node ${node.own}`,
        why: `left out: a ${node.kind} is no Linux host`,
      });
  }
  if (draft.hosts.size === 0) throw new NetrigError('NETRIG_IMPORT', `${source.file} has no Linux node.`);
  draft.segments = segmentsOf(source, topology, nodes, draft);
  const ends = draft.segments.flatMap(({ members }) => members);
  for (const [host, { sysctls }] of draft.hosts)
    if (ends.filter((one) => one.host === host).length > 1) sysctls['net.ipv4.ip_forward'] ??= '1';
  if (ends.every(({ index }) => index > 0) && ends.length > 0) draft.segments.unshift(managementSegment(source, draft));
  finish(source.file, draft, scripts);
  return draft;
}

/** Addresses of scripts go to the segments, and what is left of them becomes steps. */
export function finish(file: string, draft: Draft, scripts: ReadonlyMap<string, readonly string[]>): void {
  draft.segments = inInterfaceOrder(draft.segments);
  const rest = new Map<string, string[]>();
  for (const [host, lines] of scripts) {
    const names = interfaceNames(draft.segments, host);
    const renamed = (text: string): string =>
      text.replace(/\beth(\d+)\b/g, (all, index: string) => names.get(Number(index)) ?? all);
    for (const [index, name] of names)
      if (`eth${index}` !== name)
        draft.lost.push({
          file,
          line: null,
          what: `eth${index} of ${host}`,
          why: `it is ${name} here; the lines of its steps say so`,
        });
    const parts = readScript(lines.join('\n'));
    const left: string[] = [];
    for (const { index, address } of parts.addresses) {
      const member = draft.segments
        .flatMap(({ members }) => members)
        .find((one) => one.host === host && one.index === index);
      const six = address.includes(':');
      if (member && !member.addresses.some((one) => one.includes(':') === six)) member.addresses.push(address);
      else left.push(`ip addr add ${address} dev eth${index}`);
    }
    for (const { command } of parts.missing)
      draft.lost.push({
        file,
        line: null,
        what: `\`${command}\` in the commands of ${host}`,
        why: 'hosts here do not have it: write the line with `ip`',
      });
    for (const line of parts.unread)
      draft.lost.push({
        file,
        line: null,
        what: `\`${line}\` in the commands of ${host}`,
        why: 'a step as it is, not read: what it does to addresses is not known before it runs',
      });
    rest.set(host, [...left, ...parts.rest].map(renamed));
    if (parts.rest.some((line) => /\b(systemctl|service|\/etc\/init\.d\/)/.test(line)))
      draft.hosts.get(host)!.systemd = true;
  }
  settleSubnets(draft.segments, ({ host, index }, address) => {
    const name = interfaceNames(draft.segments, host).get(index) ?? `eth${index}`;
    rest.set(host, [`ip addr add ${address} dev ${name}`, ...(rest.get(host) ?? [])]);
  });
  for (const [host, lines] of rest)
    if (lines.length > 0)
      draft.scripts.push({ title: `What ${host} does when it starts`, on: host, run: `${lines.join('\n')}\n` });
}
