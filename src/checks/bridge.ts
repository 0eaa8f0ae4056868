import { z } from 'zod';
import { zDockerName, zEndpoint } from '../language/fields.js';
import type { Outcome } from '../model/verdict.js';
import { listLinks, possibleEnds } from '../facts/links.js';
import type { Link } from '../facts/links.js';
import { namespaceIds } from '../facts/netns-ids.js';
import { engineGet } from '../facts/engine.js';
import { describeWanted, failed, findings, matchSet } from '../judging/finding.js';
import type { Finding } from '../judging/finding.js';
import { matchFields, valueAt, zFields } from '../judging/json-path.js';
import { defineCheck, looksOnly } from './kind.js';
import { claims, zList } from '../judging/claims.js';
import type { EndpointUse } from './kind.js';
import type { ProbeContext } from '../places/context.js';
import { absent, zMatcher } from '../judging/match.js';
import type { Matcher } from '../judging/match.js';
import { fail, inconclusive, pass } from '../judging/outcome.js';
import { overlayNamespace } from '../facts/overlay.js';
import { placeAt } from '../judging/place.js';
import { inNamespace } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';

const portFacts = {
  state: {
    path: 'linkinfo.info_slave_data.state',
    about: 'forwarding, learning, listening, blocking, disabled (without a carrier).',
  },
  up: { path: 'flags', about: 'Whether it is set up and has a carrier.' },
  hairpin: { path: 'linkinfo.info_slave_data.hairpin', about: 'Whether frames may leave by it that came in by it.' },
  learning: { path: 'linkinfo.info_slave_data.learning', about: 'Whether the bridge learns addresses from it.' },
  flood: { path: 'linkinfo.info_slave_data.flood', about: 'Whether frames to unknown addresses leave by it.' },
  isolated: {
    path: 'linkinfo.info_slave_data.isolated',
    about: 'Whether it talks only to ports that are not isolated.',
  },
  cost: { path: 'linkinfo.info_slave_data.cost', about: 'Cost of the path, for the spanning tree.' },
  kind: { path: 'linkinfo.info_kind', about: 'Type of link: veth, vxlan, …; absent for hardware.' },
  mtu: { path: 'mtu', about: 'MTU in bytes.' },
} as const satisfies Record<string, { path: string; about: string }>;
type PortFact = keyof typeof portFacts;

const zPortFacts = z
  .strictObject(
    Object.fromEntries(
      Object.entries(portFacts).map(([name, { about }]) => [name, zMatcher.optional().describe(about)]),
    ) as unknown as Record<PortFact, z.ZodOptional<z.ZodType<Matcher>>>,
  )
  .refine((facts) => Object.keys(facts).length > 0, 'must name at least one property');

const zMember = z
  .union([
    zEndpoint,
    z.string().regex(/^[^\s/]{1,15}$/, 'must be an endpoint, such as node1/web, or the name of an interface'),
  ])
  .describe(
    'A container or network namespace one of whose veth pairs ends at the bridge (node1/web), or the name of a port (eth1).',
  );
const zMembers = z.array(zMember).refine((list) => new Set(list).size === list.length, 'names a member twice');

const lists = ['members', 'contains', 'lacks'] as const;

const zSpec = z
  .strictObject({
    on: zEndpoint.describe('Where the bridge is: a host, a container or a network namespace.'),
    interface: z
      .string()
      .min(1)
      .max(15)
      .optional()
      .describe('The bridge by its name. A bridge of the Linux kernel; those of Open vSwitch are for the check ovs.'),
    network: zDockerName
      .optional()
      .describe('The bridge of this network (driver bridge or overlay) of the host’s engine.'),
    expect: claims({
      absent: z.literal(true).optional().describe('There is no link of this name.'),
      members: zMembers.optional().describe('These and no other ports, in any order; [] for none.'),
      contains: zMembers.min(1).optional().describe('These, and perhaps others.'),
      not: z
        .strictObject({ contains: zMembers.min(1).describe('None of these.') })
        .optional()
        .describe('What must not be so.'),
      ports: zList.optional().describe('Set of the names of its ports; { length: 2 } for how many.'),
      each: zPortFacts.optional().describe('Properties that every port has; there must be one.'),
      port: z
        .record(zMember, zPortFacts)
        .optional()
        .describe('Properties of single members, by how they are written above.'),
      up: z
        .boolean()
        .optional()
        .describe('Whether it is set up and has a carrier, which a bridge has from one of its ports.'),
      stp: z.boolean().optional().describe('Whether it takes part in the spanning tree protocol.'),
      'vlan-filtering': z.boolean().optional().describe('Whether it filters VLANs.'),
      fields: zFields.optional().describe('Anything else in the JSON document of ip -j -d link of the bridge.'),
    }).default({}),
  })
  .transform(({ on, expect: { not, ...expect }, ...rest }) => ({
    ...rest,
    of: on,
    expect: (not === undefined ? expect : { ...expect, lacks: not.contains }) as typeof expect & { lacks?: string[] },
  }))
  .check((check) => {
    const { of, interface: name, network, expect } = check.value;
    const wrong = (path: (string | number)[], message: string): void =>
      void check.issues.push({ code: 'custom', input: check.value, path, continue: true, message });
    if ((name === undefined) === (network === undefined))
      wrong([], 'must say which bridge: exactly one of the keys interface and network');
    if (network !== undefined && of.includes('/')) wrong(['network'], 'goes with a host only');
    if (expect.absent && Object.keys(expect).length > 1) wrong(['expect'], 'a bridge that is absent has no properties');
    if (expect.absent && network !== undefined)
      wrong(['expect', 'absent'], 'goes with interface: the bridge of a network has no name that is known without it');
    const host = of.split('/')[0];
    const named: [(string | number)[], string][] = [
      ...lists.flatMap((list) =>
        (expect[list] ?? []).map((member, i): [(string | number)[], string] => [['expect', list, i], member]),
      ),
      ...Object.keys(expect.port ?? {}).map((member): [string[], string] => [['expect', 'port', member], member]),
    ];
    for (const [path, member] of named)
      if (member.includes('/') && member.split('/')[0] !== host)
        wrong(path, `is on another host than the bridge: a veth pair never leaves its kernel’s host`);
  });
type Spec = z.output<typeof zSpec>;

interface Found {
  place: Vantage;
  /** Of the namespace that the engine keeps for an overlay network. */
  path?: string;
  name: string;
}

async function findBridge(spec: Spec, context: ProbeContext): Promise<Found | Outcome> {
  const place = await placeAt(context, spec.of);
  if ('verdict' in place) return place;
  if (spec.network === undefined) return { place, name: spec.interface! };
  const answer = await engineGet(context, place.host, 'network', spec.network);
  if ('unknown' in answer) return inconclusive(answer.unknown);
  if ('missing' in answer)
    return fail('absent', `the engine of ${spec.of} has no network ${spec.network}, so there is no bridge of it`, {
      expected: `the network ${spec.network}`,
      actual: 'absent',
    });
  const network = z
    .object({ Id: z.string().min(12), Driver: z.string(), Options: z.record(z.string(), z.string()).nullish() })
    .safeParse(answer.document);
  if (!network.success)
    return inconclusive(`the engine of ${spec.of} describes the network ${spec.network} in a form that is not known`);
  const { Id, Driver, Options } = network.data;
  // The engine's own rule: an option names the bridge, else it is br- and the first twelve characters of the id.
  if (Driver === 'bridge')
    return { place, name: Options?.['com.docker.network.bridge.name'] ?? `br-${Id.slice(0, 12)}` };
  if (Driver !== 'overlay')
    return inconclusive(`the network ${spec.network} of ${spec.of} has the driver ${Driver}, which makes no bridge`);
  const namespace = await overlayNamespace(context, place.host, spec.network);
  if ('unknown' in namespace) return inconclusive(namespace.unknown);
  return {
    place: inNamespace(place, namespace.path, `${spec.of}, network ${spec.network}`),
    path: namespace.path,
    name: 'br0',
  };
}

const isUp = (link: Link): boolean => link.flags.includes('UP') && link.flags.includes('LOWER_UP');

function factsOf(port: Link): Record<PortFact, unknown> {
  const values = Object.fromEntries(
    (Object.keys(portFacts) as PortFact[]).map((name) => [name, valueAt(port, portFacts[name].path)]),
  ) as Record<PortFact, unknown>;
  return { ...values, up: isUp(port) };
}

/** Which ports are the ends of which of the named members. */
async function endsOf(
  context: ProbeContext,
  { place, path }: Found,
  ports: readonly Link[],
  members: readonly string[],
): Promise<Map<string, Link[]> | Outcome> {
  const ends = new Map<string, Link[]>();
  const claims: { member: string; vantage: Vantage; ports: Link[] }[] = [];
  for (const member of members) {
    if (!member.includes('/')) {
      ends.set(
        member,
        ports.filter((port) => port.ifname === member),
      );
      continue;
    }
    const vantage = await placeAt(context, member);
    if ('verdict' in vantage) return vantage;
    const links = await listLinks(context, vantage);
    if ('unknown' in links) return inconclusive(links.unknown);
    const possible = possibleEnds(ports, links);
    ends.set(member, []);
    if (possible.length > 0) claims.push({ member, vantage, ports: possible });
  }
  if (claims.length === 0) return ends;
  const ids = await namespaceIds(
    context,
    place,
    path,
    claims.map(({ vantage }) => vantage),
  );
  if ('unknown' in ids) return inconclusive(ids.unknown);
  claims.forEach(({ member, ports: possible }, i) =>
    ends.set(
      member,
      possible.filter((port) => port.link_netnsid === ids[i]),
    ),
  );
  return ends;
}

const names = (list: readonly string[]): string => list.join(', ') || 'none';

function judgeMembers(spec: Spec, ports: readonly Link[], ends: ReadonlyMap<string, Link[]>): Finding[] {
  const { members, contains, lacks } = spec.expect;
  const isThere = (member: string): boolean => (ends.get(member)?.length ?? 0) > 0;
  const owners = (port: Link): string => {
    const own = [...ends].filter(([, list]) => list.includes(port)).map(([member]) => member);
    return own.length === 0 || own[0] === port.ifname ? port.ifname : `${port.ifname} (${own.join(', ')})`;
  };
  const actual = names(ports.map(owners));
  const wrong: Finding[] = [];
  if (members !== undefined) {
    const missing = members.filter((member) => !isThere(member));
    const covered = new Set(members.flatMap((member) => ends.get(member) ?? []));
    const strange = ports.filter((port) => !covered.has(port)).map(owners);
    const parts = [
      ...(missing.length === 0 ? [] : [`lack ${missing.join(', ')}`]),
      ...(strange.length === 0 ? [] : [`have ${strange.join(', ')}, which must not be there`]),
    ];
    if (parts.length > 0)
      wrong.push({ name: 'members', sentence: parts.join(' and '), expected: names(members), actual });
  }
  const missing = (contains ?? []).filter((member) => !isThere(member));
  if (missing.length > 0)
    wrong.push({
      name: 'members',
      sentence: `lack ${missing.join(', ')}; they are ${actual}`,
      expected: `with ${names(contains ?? [])}`,
      actual,
    });
  const there = (lacks ?? []).filter(isThere);
  if (there.length > 0)
    wrong.push({
      name: 'members',
      sentence: `have ${there.join(', ')}, which must not be there`,
      expected: `without ${names(lacks ?? [])}`,
      actual,
    });
  return wrong;
}

const bridgeOf = (spec: Spec): string =>
  spec.interface === undefined
    ? `the bridge of the network ${spec.network} of ${spec.of}`
    : `the bridge ${spec.interface} of ${spec.of}`;

/** What is said of each port, and of single ones. */
function judgePorts({ each, port }: Spec['expect'], ports: readonly Link[], ends: Map<string, Link[]>): Finding[] {
  const wrong: Finding[] = [];
  const named = (one: Link, facts: z.output<typeof zPortFacts>, name: string): Finding[] =>
    findings(facts, factsOf(one)).map((finding) => ({ ...finding, name: `${finding.name} of ${name}` }));
  if (each !== undefined && ports.length === 0)
    wrong.push({
      name: 'ports',
      sentence: 'are none, so that nothing is true of each',
      expected: 'at least one',
      actual: 'none',
    });
  if (each !== undefined) wrong.push(...ports.flatMap((one) => named(one, each, one.ifname)));
  for (const [member, facts] of Object.entries(port ?? {})) {
    const own = ends.get(member) ?? [];
    if (own.length === 0)
      wrong.push({
        name: 'ports',
        sentence: `lack one of ${member}`,
        expected: member,
        actual: names(ports.map((one) => one.ifname)),
      });
    wrong.push(...own.flatMap((one) => named(one, facts, `${one.ifname} (${member})`)));
  }
  return wrong;
}

/** What is said of the bridge itself. */
function judgeBridge(expect: Spec['expect'], bridge: Link): Finding[] {
  const { fields, up, stp, 'vlan-filtering': filtering } = expect;
  const flag = (path: string): unknown => {
    const value = valueAt(bridge, path);
    return typeof value === 'number' ? value !== 0 : value;
  };
  return [
    ...findings(
      { up, stp, 'vlan-filtering': filtering },
      {
        up: isUp(bridge),
        stp: flag('linkinfo.info_data.stp_state'),
        'vlan-filtering': flag('linkinfo.info_data.vlan_filtering'),
      },
    ),
    ...(fields === undefined
      ? []
      : matchFields(fields, bridge).flatMap(({ ok, path, ...rest }) => (ok ? [] : [{ name: path, ...rest }]))),
  ];
}

/** "veth1 of node1/web (forwarding)" */
function showPort(one: Link, ends: Map<string, Link[]>): string {
  const own = [...ends]
    .filter(([member, list]) => list.includes(one) && member !== one.ifname)
    .map(([member]) => member);
  const state = factsOf(one).state;
  return `${one.ifname}${own.length === 0 ? '' : ` of ${own.join(', ')}`}${state === absent ? '' : ` (${String(state)})`}`;
}

function judgeAbsence(place: Vantage, name: string, bridge: Link | undefined, all: string): Outcome {
  if (bridge !== undefined)
    return fail(
      'present',
      `${place.label} has ${name} (${bridge.linkinfo?.info_kind ?? 'no virtual link'}), which must not be there`,
      { expected: 'absent', actual: all },
    );
  return pass(`${place.label} has no ${name}; its links: ${all}`, {
    controls: [{ title: `the links of ${place.label} can be listed`, held: true, seen: all }],
  });
}

async function run(spec: Spec, context: ProbeContext): Promise<Outcome> {
  const found = await findBridge(spec, context);
  if ('verdict' in found) return found;
  const { place, name } = found;
  const links = await listLinks(context, place);
  if ('unknown' in links) return inconclusive(links.unknown);
  const bridge = links.find((link) => link.ifname === name);
  const all = links.map((link) => link.ifname).join(', ');
  if (spec.expect.absent) return judgeAbsence(place, name, bridge, all);
  if (bridge === undefined)
    return fail('absent', `${place.label} has no bridge ${name}; its links: ${all}`, { expected: name, actual: all });
  const kind = bridge.linkinfo?.info_kind;
  if (kind !== 'bridge')
    return fail(
      'wrong-value',
      `${name} of ${place.label} is ${kind === undefined ? 'no virtual link' : `of the type ${kind}`}, not a bridge`,
      { expected: 'bridge', actual: kind ?? 'none' },
    );
  const ports = links.filter((link) => link.master === name);
  const { members, contains, lacks, port } = spec.expect;
  const ends = await endsOf(context, found, ports, [
    ...new Set([...(members ?? []), ...(contains ?? []), ...(lacks ?? []), ...Object.keys(port ?? {})]),
  ]);
  if ('verdict' in ends) return ends;
  const wrong: Finding[] = [
    ...judgeMembers(spec, ports, ends),
    ...findings({ ports: spec.expect.ports }, { ports: ports.map((one) => one.ifname) }, matchSet),
    ...judgeBridge(spec.expect, bridge),
    ...judgePorts(spec.expect, ports, ends),
  ];
  const owned = ports.map((one) => showPort(one, ends)).join(', ');
  const seen = `the bridge ${name} of ${place.label} has ${ports.length === 0 ? 'no ports' : `the ports ${owned}`}`;
  if (wrong.length > 0) return failed(seen, wrong);
  const negative = lacks !== undefined || members?.length === 0;
  return pass(
    seen,
    negative ? { controls: [{ title: `the links of ${place.label} can be listed`, held: true, seen: all }] } : {},
  );
}

export const bridgeCheck = defineCheck<Spec>({
  name: 'bridge',
  summary:
    'A bridge of the Linux kernel has (or lacks) certain ports, told by the containers and namespaces at their other ends, in the states expected.',
  example: `- check: both containers hang on the network's bridge, and nothing else does
  bridge:
    on: node1
    network: net1
    expect: { members: [node1/one, node1/two], each: { state: forwarding }, stp: false }`,
  schema: zSpec as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 30_000,
  endpoints: (spec): EndpointUse[] => [
    { endpoint: spec.of, path: ['on'], role: 'vantage' },
    ...lists.flatMap((list) =>
      (spec.expect[list] ?? []).flatMap((member, i): EndpointUse[] =>
        member.includes('/') ? [{ endpoint: member, path: ['expect', list, i], role: 'vantage' }] : [],
      ),
    ),
    ...Object.keys(spec.expect.port ?? {}).flatMap((member): EndpointUse[] =>
      member.includes('/') ? [{ endpoint: member, path: ['expect', 'port', member], role: 'vantage' }] : [],
    ),
  ],
  describe: (spec) => {
    const { absent: none, members, contains, lacks, ports, each, port, fields, ...plain } = spec.expect;
    if (none) return `${spec.of} has no bridge ${spec.interface}`;
    const wanted = [
      ...(members === undefined
        ? []
        : [members.length === 0 ? 'has no port' : `has the ports of ${members.join(', ')} and no other`]),
      ...(contains === undefined ? [] : [`has the ports of ${contains.join(', ')}`]),
      ...(lacks === undefined ? [] : [`has no port of ${lacks.join(', ')}`]),
      ...describeWanted({ ports, ...plain }),
      ...(each === undefined ? [] : [`each port: ${describeWanted(each).join(', ')}`]),
      ...Object.entries(port ?? {}).map(([member, facts]) => `port of ${member}: ${describeWanted(facts).join(', ')}`),
      ...describeWanted(fields ?? {}),
    ];
    return `${bridgeOf(spec)}${wanted.length === 0 ? ' is there' : ` ${wanted.join('; ')}`}`;
  },
  run,
});
