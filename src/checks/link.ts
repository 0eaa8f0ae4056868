import { z } from 'zod';
import { zDockerName, zEndpoint } from '../language/fields.js';
import type { Outcome } from '../model/verdict.js';
import { isVantage, parseEndpoint } from '../places/endpoint.js';
import { valueAt, zFields, matchFields } from '../judging/json-path.js';
import { defineCheck, looksOnly } from './kind.js';
import { claims } from '../judging/claims.js';
import type { EndpointUse } from './kind.js';
import type { ProbeContext } from '../places/context.js';
import { listLinks } from '../facts/links.js';
import type { Link } from '../facts/links.js';
import { absent, describeMatcher, match, showValue, zMatcher } from '../judging/match.js';
import type { Matcher, MatchResult } from '../judging/match.js';
import { namespaceIds } from '../facts/netns-ids.js';
import { fail, inconclusive, pass } from '../judging/outcome.js';
import { overlayNamespace } from '../facts/overlay.js';
import { inNamespace, isVantageProblem, resolveVantage } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';

/**
 * Properties of a link by the words of `ip link`, each with its place in the JSON of `ip -j -d link`. Those that only one kind of
 * link has are read for that kind only: `info_data.id` is the VNI of a vxlan link, but the VLAN id of a vlan link.
 */
const properties = {
  name: { path: 'ifname', about: 'Name.' },
  index: { path: 'ifindex', about: 'Interface index.' },
  kind: {
    path: 'linkinfo.info_kind',
    about: 'Type: veth, bridge, vxlan, macvlan, vlan, …; absent for lo and for hardware.',
  },
  state: { path: 'operstate', about: 'Operational state: UP, DOWN, LOWERLAYERDOWN, UNKNOWN.' },
  flags: { path: 'flags', about: 'List of flags: UP (set up by somebody), LOWER_UP (has a carrier), MASTER, …' },
  mtu: { path: 'mtu', about: 'MTU in bytes.' },
  mac: { path: 'address', about: 'Hardware address.' },
  master: { path: 'master', about: 'Name of the bridge (or other master) that it is a port of.' },
  parent: { path: 'link', about: 'Name of the link that it sits on, where that is in the same namespace.' },
  'peer-index': { path: 'link_index', about: 'Index of the peer (veth) or parent in the namespace where that is.' },
  qdisc: { path: 'qdisc', about: 'Queueing discipline.' },
  txqlen: { path: 'txqlen', about: 'Length of the transmit queue, packets.' },
  alias: { path: 'ifalias', about: 'Alias set by somebody.' },
  promiscuity: { path: 'promiscuity', about: 'How many have set it promiscuous.' },
  vni: { path: 'linkinfo.info_data.id', of: 'vxlan', about: 'vxlan: network identifier.' },
  dstport: { path: 'linkinfo.info_data.port', of: 'vxlan', about: 'vxlan: UDP port of the tunnel.' },
  local: { path: 'linkinfo.info_data.local', of: 'vxlan', about: 'vxlan: address that the tunnel sends from.' },
  remote: { path: 'linkinfo.info_data.remote', of: 'vxlan', about: 'vxlan: the one other end, where there is one.' },
  vlan: { path: 'linkinfo.info_data.id', of: 'vlan', about: 'vlan: the id.' },
  'vlan-protocol': { path: 'linkinfo.info_data.protocol', of: 'vlan', about: 'vlan: 802.1Q or 802.1ad.' },
  mode: { path: 'linkinfo.info_data.mode', about: 'macvlan, ipvlan: bridge, private, vepa, passthru, l2, l3, …' },
  stp: {
    path: 'linkinfo.info_data.stp_state',
    of: 'bridge',
    about: 'bridge: 1 with the spanning tree protocol, 0 without.',
  },
  'vlan-filtering': {
    path: 'linkinfo.info_data.vlan_filtering',
    of: 'bridge',
    about: 'bridge: 1 when it filters VLANs.',
  },
  hairpin: {
    path: 'linkinfo.info_slave_data.hairpin',
    about: 'port of a bridge: whether frames may leave by the port they came in at.',
  },
} as const satisfies Record<string, { path: string; of?: string; about: string }>;
type Property = keyof typeof properties;

const zProperties = Object.fromEntries(
  Object.entries(properties).map(([name, { about }]) => [name, zMatcher.optional().describe(about)]),
) as unknown as Record<Property, z.ZodOptional<z.ZodType<Matcher>>>;

const zSelect = z
  .strictObject(zProperties)
  .refine((fields) => Object.keys(fields).length > 0, 'must name at least one property');

const zSpec = z
  .strictObject({
    on: zEndpoint.describe('Where the link is: a host, a container or a network namespace.'),
    network: zDockerName
      .optional()
      .describe('Look in the namespace that the engine of this host keeps for this overlay network.'),
    interface: z.string().min(1).max(15).optional().describe('The link by its name.'),
    select: zSelect.optional().describe('The link by its properties; exactly one may have them.'),
    expect: claims({
      ...zProperties,
      absent: z.literal(true).optional().describe('There is no such link.'),
      up: z.boolean().optional().describe('Whether it is set up and has a carrier (flags UP and LOWER_UP).'),
      ports: zMatcher.optional().describe('bridge: list of the names of its ports.'),
      peer: z
        .strictObject({ on: zEndpoint.describe('Where the other end is.'), ...zProperties })
        .optional()
        .describe('veth: where the other end is (on the same host), and its properties.'),
      fields: zFields.optional().describe('Anything else in the JSON document of ip -j -d link.'),
    }).default({}),
  })
  .transform(({ on, expect: { peer, ...expect }, ...rest }) => {
    if (peer === undefined) return { ...rest, of: on, expect: { ...expect, peer } };
    const { on: other, ...properties } = peer;
    return { ...rest, of: on, expect: { ...expect, peer: { ...properties, of: other } } };
  })
  .check((check) => {
    const { interface: name, select, expect, of, network } = check.value;
    const wrong = (path: string[], message: string): void =>
      void check.issues.push({ code: 'custom', input: check.value, path, continue: true, message });
    if (name === undefined && select === undefined) wrong([], 'must say which link: interface or select');
    const claimed = Object.entries(expect).filter(([, claim]) => claim !== undefined);
    if (expect.absent && claimed.length > 1) wrong(['expect'], 'a link that is absent has no properties');
    if (network !== undefined && of.includes('/')) wrong(['network'], 'goes with a host only');
    if (expect.peer !== undefined && expect.peer.of.split('/')[0] !== of.split('/')[0])
      wrong(['expect', 'peer', 'on'], 'must be on the same host: a veth pair never leaves its kernel’s host');
  });
type Spec = z.output<typeof zSpec>;

/** A property of a link, or `absent`. */
export function propertyOf(link: unknown, name: Property): unknown {
  const property: { path: string; of?: string } = properties[name];
  if (property.of !== undefined && valueAt(link, 'linkinfo.info_kind') !== property.of) return absent;
  return valueAt(link, property.path);
}

/** Those of the named properties that are not as they should be. */
function wrongProperties(
  wanted: Partial<Record<Property, Matcher>>,
  link: unknown,
): ({ name: string } & MatchResult)[] {
  return (Object.keys(properties) as Property[]).flatMap((name) => {
    const matcher = wanted[name];
    if (matcher === undefined) return [];
    const value = propertyOf(link, name);
    const caseless = name === 'mac' && typeof matcher === 'string' ? matcher.toLowerCase() : matcher;
    const result = match(caseless, value);
    return result.ok ? [] : [{ name, ...result }];
  });
}

function describeSelect(select: NonNullable<Spec['select']>): string {
  return (Object.entries(select) as [string, Matcher][])
    .map(([name, matcher]) => `${name} ${describeMatcher(matcher)}`)
    .join(' and ');
}

function describeLink(spec: Spec): string {
  const which = spec.interface !== undefined ? spec.interface : `a link with ${describeSelect(spec.select ?? {})}`;
  return spec.interface !== undefined && spec.select !== undefined
    ? `${which} with ${describeSelect(spec.select)}`
    : which;
}

const placeOf = (spec: Spec): string =>
  spec.network === undefined ? spec.of : `${spec.of}’s namespace of the network ${spec.network}`;

/** A network namespace; `path` is its file where the engine keeps it for an overlay network. */
type Place = Vantage & { path?: string };

async function find(context: ProbeContext, text: string, network?: string): Promise<Place | Outcome> {
  const endpoint = parseEndpoint(text, context.plan);
  if (!isVantage(endpoint)) return inconclusive(`${text} is no host, container or network namespace of the lab`);
  const vantage = await resolveVantage(context, endpoint);
  if (isVantageProblem(vantage)) return inconclusive(vantage.reason);
  if (network === undefined) return vantage;
  const namespace = await overlayNamespace(context, vantage.host, network);
  if ('unknown' in namespace) return inconclusive(namespace.unknown);
  return { ...inNamespace(vantage, namespace.path, `${text}, network ${network}`), path: namespace.path };
}

interface Wrong {
  name: string;
  sentence: string;
  expected: string;
  actual: string;
}

/**
 * The other end of a veth: the link of the peer's namespace that has the index we point to, and points back to ours. Indexes
 * are counted in every namespace anew, so that the kernel is asked which namespace it means.
 */
async function judgePeer(
  context: ProbeContext,
  place: Place,
  link: Link,
  peer: NonNullable<Spec['expect']['peer']>,
): Promise<Wrong[] | Outcome> {
  if (propertyOf(link, 'kind') !== 'veth')
    return [
      {
        name: 'kind',
        sentence: `is ${showValue(propertyOf(link, 'kind'))}, which has no peer`,
        expected: '"veth"',
        actual: showValue(propertyOf(link, 'kind')),
      },
    ];
  const vantage = await find(context, peer.of);
  if ('verdict' in vantage) return vantage;
  const links = await listLinks(context, vantage);
  if ('unknown' in links) return inconclusive(links.unknown);
  const { of: _of, ...wanted } = peer;
  const index = propertyOf(link, 'peer-index');
  // A pair within one namespace is told by names, and has no id of a namespace.
  const within = link.link_netnsid === undefined ? propertyOf(link, 'parent') : undefined;
  const other = links.find(
    (one) =>
      propertyOf(one, 'kind') === 'veth' &&
      (within === undefined
        ? one.ifindex === index && propertyOf(one, 'peer-index') === link.ifindex
        : one.ifname === within),
  );
  const ids = other === undefined ? [] : await namespaceIds(context, place, place.path, [vantage]);
  if ('unknown' in ids) return inconclusive(ids.unknown);
  if (other === undefined || ids[0] !== (link.link_netnsid ?? 'same')) {
    const actual =
      links
        .filter((one) => propertyOf(one, 'kind') === 'veth')
        .map((one) => one.ifname)
        .join(', ') || 'no veth';
    return [
      {
        name: 'peer',
        sentence: `is not in ${peer.of} (which has ${actual})`,
        expected: `a veth with index ${showValue(index)} in ${peer.of}`,
        actual,
      },
    ];
  }
  return wrongProperties(wanted, other).map((one) => ({ ...one, name: `${one.name} of the peer ${other.ifname}` }));
}

export const linkCheck = defineCheck<Spec>({
  name: 'link',
  summary: 'A network link exists (or does not) and has the properties expected: type, state, MTU, master, VNI, peer.',
  example: `- check: the overlay's interface leaves room for VXLAN
  link: { on: node1/test, interface: eth0, expect: { kind: veth, mtu: 1450, up: true } }`,
  schema: zSpec as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 20_000,
  endpoints: (spec): EndpointUse[] => [
    { endpoint: spec.of, path: ['on'], role: 'vantage' },
    ...(spec.expect.peer === undefined
      ? []
      : [{ endpoint: spec.expect.peer.of, path: ['expect', 'peer', 'on'], role: 'vantage' } satisfies EndpointUse]),
  ],
  describe: (spec) => {
    if (spec.expect.absent) return `${placeOf(spec)} has no ${describeLink(spec).replace(/^a /, '')}`;
    const { peer, fields, ...plain } = spec.expect;
    const wanted = [
      ...Object.entries(plain).map(([name, matcher]) => `${name} ${describeMatcher(matcher as Matcher)}`),
      ...(peer === undefined ? [] : [`its peer in ${peer.of}`]),
      ...Object.entries(fields ?? {}).map(([path, matcher]) => `${path} ${describeMatcher(matcher)}`),
    ];
    return `${placeOf(spec)} has ${describeLink(spec)}${wanted.length === 0 ? '' : `: ${wanted.join(', ')}`}`;
  },
  async run(spec, context) {
    const vantage = await find(context, spec.of, spec.network);
    if ('verdict' in vantage) return vantage;
    const links = await listLinks(context, vantage);
    if ('unknown' in links) return inconclusive(links.unknown);
    const names = links.map((link) => link.ifname).join(', ');
    const place = placeOf(spec);
    const found = links.filter(
      (link) =>
        (spec.interface === undefined || link.ifname === spec.interface) &&
        (spec.select === undefined || wrongProperties(spec.select, link).length === 0),
    );
    if (spec.expect.absent) {
      const control = { title: `the links of ${place} can be listed`, held: true, seen: names };
      return found.length === 0
        ? pass(`${place} has no ${describeLink(spec).replace(/^a /, '')}; its links: ${names}`, { controls: [control] })
        : fail('present', `${place} has ${found.map((link) => link.ifname).join(', ')}, which must not be there`, {
            expected: 'absent',
            actual: names,
          });
    }
    const link = found[0];
    if (link === undefined)
      return fail('absent', `${place} has no ${describeLink(spec).replace(/^a /, '')}; its links: ${names}`, {
        expected: describeLink(spec),
        actual: names,
      });
    if (found.length > 1)
      return inconclusive(
        `${place} has ${found.length} links that ${describeLink(spec)} could mean: ${found.map((one) => one.ifname).join(', ')}`,
      );
    const { absent: _absent, up, ports, peer, fields, ...wanted } = spec.expect;
    const wrong: Wrong[] = wrongProperties(wanted, link);
    if (up !== undefined) {
      const isUp = link.flags.includes('UP') && link.flags.includes('LOWER_UP');
      if (isUp !== up)
        wrong.push({
          name: 'up',
          sentence: `is ${isUp} (flags ${link.flags.join(', ')}), expected ${up}`,
          expected: String(up),
          actual: String(isUp),
        });
    }
    if (ports !== undefined) {
      const own =
        propertyOf(link, 'kind') === 'bridge'
          ? links.filter((one) => propertyOf(one, 'master') === link.ifname).map((one) => one.ifname)
          : absent;
      const result = match(ports, own);
      if (!result.ok) wrong.push({ name: 'ports', ...result });
    }
    for (const { path, ...result } of fields === undefined ? [] : matchFields(fields, link))
      if (!result.ok) wrong.push({ name: path, ...result });
    if (peer !== undefined) {
      const judged = await judgePeer(context, vantage, link, peer);
      if (!Array.isArray(judged)) return judged;
      wrong.push(...judged);
    }
    if (wrong.length > 0) {
      return fail(
        'wrong-value',
        `${link.ifname} of ${place}: ${wrong.map((one) => `${one.name} ${one.sentence}`).join('; ')}`,
        {
          expected: wrong.map((one) => `${one.name}: ${one.expected}`).join('\n'),
          actual: wrong.map((one) => `${one.name}: ${one.actual}`).join('\n'),
        },
      );
    }
    const kind = propertyOf(link, 'kind');
    return pass(
      `${place} has ${link.ifname}${kind === absent ? '' : ` (${String(kind)})`}: MTU ${showValue(propertyOf(link, 'mtu'))}, state ${String(propertyOf(link, 'state') === absent ? 'unknown' : propertyOf(link, 'state'))}`,
    );
  },
});
