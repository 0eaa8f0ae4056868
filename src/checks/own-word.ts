import { parseEndpoint } from '../places/endpoint.js';
import { sysctlPath } from '../model/sysctl.js';
import type { CheckKind } from './kind.js';

/** What a check takes for true that root of the host which it asks can bend, although probes are sent from beside. */
export interface OwnWord {
  /** Whose word it is: `the engine of server`. */
  of: string;
  /** What to ask instead, or besides. */
  instead: string;
}

type Of = (spec: unknown, hosts: string) => OwnWord | null;

const reached = 'a `ping`, `port`, `http` or `dns` from another host sees what the network does';
const programs =
  (instead: string): Of =>
  (_spec, hosts) => ({ of: `the programs of ${hosts}`, instead });
const nobody: Of = () => null;
const engine: Of = (_spec, hosts) => ({ of: `the engine of ${hosts}`, instead: reached });

function keysOf(spec: unknown, key: string): string[] {
  const value = (spec as Record<string, unknown>)[key];
  return typeof value === 'object' && value !== null ? Object.keys(value) : [];
}

/** By kind. Each has a row: who adds a kind says whom it believes. */
const rows: Readonly<Record<string, Of>> = {
  ping: nobody,
  mtu: nobody,
  dns: nobody,
  port: nobody,
  http: (spec, hosts) =>
    /^https:/i.test((spec as { url?: string }).url ?? '')
      ? { of: `the certificates that ${hosts} trusts`, instead: 'a `port` beside it sees that somebody listens' }
      : null,
  reach: nobody,
  command: programs(
    `look at what it is about by a kind of its own: \`address\`, \`route\`, \`link\`, \`file\` and \`sysctl\` of net.* are read by netrig’s own tools, and ${reached}`,
  ),
  address: nobody,
  link: nobody,
  bridge: (spec, hosts) =>
    (spec as { network?: string }).network === undefined
      ? null
      : { of: `the engine of ${hosts}`, instead: 'name the bridge by `interface`' },
  ovs: (_spec, hosts) => ({ of: `the Open vSwitch of ${hosts}`, instead: `${reached}; so does a \`capture\`` }),
  route: (spec, hosts) =>
    ['main', undefined].includes((spec as { table?: string }).table)
      ? null
      : {
          of: `the programs of ${hosts}`,
          instead: 'the route that the kernel takes for an address (`to: 10.0.0.1`) is read from beside',
        },
  docker: engine,
  capture: nobody,
  consul: (_spec, hosts) => ({
    of: `the agent that ${hosts} asks`,
    instead: 'a `dns` question for a name that it serves',
  }),
  process: programs(`a \`port\` from another host sees who listens`),
  service: programs(`a \`port\` or \`http\` from another host sees whether it serves`),
  file: (spec, hosts) =>
    /^\/(?:proc|sys|dev)(?:\/|$)/.test((spec as { path?: string }).path ?? '')
      ? { of: `the programs of ${hosts}`, instead: '`sysctl`, `link` and `address` ask the kernel' }
      : null,
  iptables: (spec, hosts) => ({
    of: `the programs of ${hosts}`,
    instead:
      (spec as { table?: string }).table === 'nat'
        ? 'a `capture` at the other end sees with which addresses packets come'
        : 'a `port` or `ping` through the rule, with `fails: timeout` or `refused`, sees what is let through',
  }),
  counter: programs('a `capture` sees the packets'),
  sysctl: (spec, hosts) =>
    [...keysOf(spec, 'values'), ...keysOf(spec, 'expect')].every((key) => sysctlPath(key).startsWith('/proc/sys/net/'))
      ? null
      : { of: `the programs of ${hosts}`, instead: 'parameters of net.* are read by netrig’s own tools' },
  netns: programs('a `link` or `address` in the namespace'),
  arp: nobody,
  neighbour: nobody,
  fdb: nobody,
  conntrack: nobody,
  ospf: (_spec, hosts) => ({
    of: `the routing daemon of ${hosts}`,
    instead: 'a `route` of the main table is read from the kernel, and a `ping` takes it',
  }),
  bgp: (_spec, hosts) => ({
    of: `the routing daemon of ${hosts}`,
    instead: 'a `route` of the main table is read from the kernel, and a `ping` takes it',
  }),
  tls: programs('a `port` beside it sees that somebody listens'),
  dhcp: nobody,
  throughput: programs('none: what is measured is measured by both ends'),
  availability: nobody,
};

/** Kinds that connect to whatever a name means where they start. */
const connecting = new Set(['ping', 'mtu', 'port', 'http', 'tls', 'throughput', 'availability']);

/**
 * A name that no host of the lab has means what the hosts file, or the server, of the place says where the probe starts: root there
 * makes it mean itself, and whoever answers is then whom the name means.
 */
function nameWord(
  kind: string,
  spec: unknown,
  lab: { hosts: { name: string }[] },
  targets: readonly string[],
): OwnWord | null {
  if (!connecting.has(kind)) return null;
  const { from, url, to } = spec as { from?: string; url?: string; to?: string };
  const asked = to === undefined && url !== undefined ? [new URL(url).hostname.replace(/^\[|\]$/g, '')] : targets;
  const [name] = asked.flatMap((text) => {
    const target = parseEndpoint(text, lab);
    return target.kind === 'name' ? [target.name] : [];
  });
  if (name === undefined || from === undefined) return null;
  return {
    of: `what ${from} takes ${name} for, by its hosts file or a name server`,
    instead: `a \`dns\` from ${from} with the address that ${name} must have, and the same at that address from another host`,
  };
}

/** Kinds that have a row. */
export const judgedKinds: readonly string[] = Object.keys(rows);

/**
 * Whose word a check takes that root of a host can bend, where netrig's own tools are beside the hosts; `null`: nobody's. A
 * container is found through the engine of its host.
 */
export function ownWord(kind: CheckKind, spec: unknown, hostNames: readonly string[]): OwnWord | null {
  const lab = { hosts: hostNames.map((name) => ({ name })) };
  const ends = kind.endpoints(spec).map(({ endpoint }) => parseEndpoint(endpoint, lab));
  const named = [...new Set(ends.flatMap((end) => ('host' in end ? [end.host] : [])))];
  const hosts = named.length > 0 ? named.join(' and ') : 'the hosts';
  const own = rows[kind.name]?.(spec, hosts) ?? null;
  if (own !== null) return own;
  const name = nameWord(
    kind.name,
    spec,
    lab,
    kind.endpoints(spec).flatMap(({ endpoint, role }) => (role === 'target' ? [endpoint] : [])),
  );
  if (name !== null) return name;
  const found = ends.flatMap((end) => (end.kind === 'container' ? [end] : []));
  if (found.length === 0) return null;
  const [first] = found;
  return {
    of: `the engine of ${first!.host}, which says what container ${first!.container} is`,
    instead: `the same from or to a host, where the exercise allows it`,
  };
}
