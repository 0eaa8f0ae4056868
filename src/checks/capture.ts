import { z } from 'zod';
import { canonicalAddress, isAddress } from '../model/cidr.js';
import { formatDuration } from '../model/duration.js';
import type { Attachment, Control, Outcome } from '../model/verdict.js';
import { vantagePattern } from '../language/endpoint.js';
import { zDockerName, zDuration, zEndpoint, zName } from '../language/fields.js';
import { addressesOf } from '../facts/addresses.js';
import { lastLine } from '../facts/answer.js';
import { isVantage, parseEndpoint } from '../places/endpoint.js';
import { trafficKinds, zTraffic } from './during.js';
import { claims, zCount } from '../judging/claims.js';
import { defineCheck } from './kind.js';
import type { EndpointUse } from './kind.js';
import type { ProbeContext } from '../places/context.js';
import { absent, describeMatcher, match, zMatcher } from '../judging/match.js';
import type { Matcher } from '../judging/match.js';
import { fail, inconclusive, pass } from '../judging/outcome.js';
import { overlayVni } from '../facts/overlay.js';
import {
  beaconFor,
  mostPackets,
  readDropped,
  sendBeacon,
  startCapture,
  stopCapture,
} from '../probes/packet-capture.js';
import type { RunningCapture } from '../probes/packet-capture.js';
import { describeFrame, vxlanPorts } from '../probes/pcap.js';
import type { Frame, Packet } from '../probes/pcap.js';
import { isVantageProblem, resolveVantage } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';

const zAddressField = zMatcher
  .refine(
    (matcher) => typeof matcher !== 'string' || isAddress(matcher) || vantagePattern.test(matcher),
    'must be an address, an endpoint of the lab (host, host/container) or a matcher',
  )
  .describe('An address, an endpoint (any address that it has), or a matcher.');

const frameFields = {
  src: zAddressField.optional(),
  dst: zAddressField.optional(),
  proto: zMatcher.optional().describe('icmp, icmpv6, tcp, udp, arp, …, or the number of the IP protocol.'),
  sport: zMatcher.optional().describe('Source port.'),
  dport: zMatcher.optional().describe('Destination port.'),
  'src-mac': zMatcher.optional().describe('Hardware address of the sender.'),
  'dst-mac': zMatcher.optional().describe('Hardware address of the receiver.'),
  ethertype: zMatcher.optional().describe('ipv4, ipv6, arp, or the number as 0x88cc.'),
  vlan: zMatcher.optional().describe('Id of the outermost VLAN tag; absent in untagged frames.'),
  ttl: zMatcher.optional().describe('TTL or hop limit.'),
  'icmp-type': zMatcher
    .optional()
    .describe('Type of an ICMP message: 8 request, 0 reply, 3 unreachable (ICMPv6: 128, 129, 1).'),
  'tcp-flags': zMatcher
    .optional()
    .describe('Letters of FSRPAU: S is a request for a connection, SA its acceptance, RA a refusal.'),
};

const zInner = z
  .strictObject(frameFields)
  .refine((fields) => Object.keys(fields).length > 0, 'must name at least one field')
  .meta({ id: 'FrameFields' });
const zPacket = z
  .strictObject({
    ...frameFields,
    vni: z
      .union([
        z.strictObject({
          network: zDockerName.describe('An overlay network.'),
          on: zName.optional().describe('The host whose kernel is asked; the capture’s own where left out.'),
        }),
        zMatcher,
      ])
      .optional()
      .describe(
        'VXLAN network identifier: a number, or that which the kernel has for an overlay network: { network: ov_net1 }.',
      ),
    inner: zInner.optional().describe('Fields of the frame inside a VXLAN packet.'),
  })
  .refine((fields) => Object.keys(fields).length > 0, 'must name at least one field')
  .meta({ id: 'PacketFields' });
type PacketFields = z.output<typeof zPacket>;
type FrameFields = z.output<typeof zInner>;

const zSpec = z
  .strictObject({
    on: zEndpoint.describe(
      'Where packets are captured: a host, a container or a network namespace. Its own tcpdump is not needed, the host’s is.',
    ),
    interface: z.string().min(1).max(15).optional().describe('Interface; any for all of them.'),
    segment: zName.optional().describe('Instead of interface: the host’s interface on this segment.'),
    filter: z.string().min(1).optional().describe('Filter in the syntax of pcap-filter(7): udp port 4789.'),
    during: zTraffic.optional().describe('The check that runs while packets are captured, and must itself pass.'),
    listen: zDuration.optional().describe('Instead of during: how long to listen to what goes on by itself.'),
    'vxlan-port': z
      .int()
      .min(1)
      .max(65535)
      .optional()
      .describe(`UDP port that carries VXLAN, where it is none of ${vxlanPorts.join(', ')}.`),
    expect: claims({
      packets: zCount
        .optional()
        .describe('How many packets; with some, how many of those. At least one where nothing is said.'),
      some: zPacket.optional().describe('There are packets like this.'),
      each: zPacket.optional().describe('Every captured packet is like this.'),
      not: z
        .strictObject({ some: zPacket.describe('There are packets like this.') })
        .optional()
        .describe('What must not be so: no packet is like this.'),
      absent: z.literal(true).optional().describe('Nothing is captured.'),
    })
      .check((check) => {
        const { not, absent: nothing, ...rest } = check.value;
        const key = nothing === undefined ? 'not' : 'absent';
        const others = Object.keys(rest).length + (not !== undefined && nothing !== undefined ? 1 : 0);
        if (check.value[key] !== undefined && others > 0)
          check.issues.push({
            code: 'custom',
            input: check.value,
            path: [key],
            continue: true,
            message: 'does not go with anything else',
          });
      })
      .transform(({ not, absent: nothing, ...rest }): typeof rest & { none?: true | PacketFields } => {
        if (nothing !== undefined) return { ...rest, none: nothing };
        return not === undefined ? rest : { ...rest, none: not.some };
      })
      .default({}),
  })
  .check((check) => {
    const { interface: name, segment, during, listen, on } = check.value;
    const wrong = (path: string[], message: string): void =>
      void check.issues.push({ code: 'custom', input: check.value, path, continue: true, message });
    if ((name === undefined) === (segment === undefined))
      wrong([], 'must have exactly one of the keys interface and segment');
    if (segment !== undefined && on.includes('/')) wrong(['segment'], 'goes with a host only');
    if ((during === undefined) === (listen === undefined))
      wrong([], 'must have exactly one of the keys during and listen');
  });
type Spec = z.output<typeof zSpec>;
type Expect = Spec['expect'];

const shownPackets = 20;

const frameValues: Record<keyof typeof frameFields, (frame: Frame) => unknown> = {
  src: (frame) => frame.src,
  dst: (frame) => frame.dst,
  proto: (frame) => frame.proto,
  sport: (frame) => frame.sport,
  dport: (frame) => frame.dport,
  'src-mac': (frame) => frame.srcMac,
  'dst-mac': (frame) => frame.dstMac,
  ethertype: (frame) => frame.ethertype,
  vlan: (frame) => frame.vlans[0],
  ttl: (frame) => frame.ttl,
  'icmp-type': (frame) => frame.icmpType,
  'tcp-flags': (frame) => frame.tcpFlags,
};

function hasFields(fields: FrameFields, frame: Frame): boolean {
  return (Object.keys(frameValues) as (keyof FrameFields)[]).every((name) => {
    const matcher = fields[name];
    return matcher === undefined || match(matcher, frameValues[name](frame) ?? absent).ok;
  });
}

/** Packet fields with everything looked up: nothing is left but matchers. */
interface ReadyFields {
  frame: FrameFields;
  vni?: Matcher;
  inner?: FrameFields;
  text: string;
}

export function isLike(fields: ReadyFields, frame: Frame): boolean {
  if (!hasFields(fields.frame, frame)) return false;
  if (fields.vni !== undefined && !match(fields.vni, frame.vni ?? absent).ok) return false;
  return fields.inner === undefined || (frame.inner !== undefined && hasFields(fields.inner, frame.inner));
}

function endpointFields(fields: FrameFields): { name: 'src' | 'dst'; text: string }[] {
  return (['src', 'dst'] as const).flatMap((name) => {
    const text = fields[name];
    return typeof text === 'string' && !isAddress(text) ? [{ name, text }] : [];
  });
}

function describeFields(fields: FrameFields): string {
  return (Object.entries(fields) as [string, Matcher][])
    .map(([name, matcher]) => `${name} ${describeMatcher(matcher)}`)
    .join(', ');
}

function describePacket({ vni, inner, ...frame }: PacketFields): string {
  const parts = [
    describeFields(frame),
    vni === undefined ? '' : `VNI ${isNetworkVni(vni) ? `of ${vni.network}` : describeMatcher(vni)}`,
    inner === undefined ? '' : `with ${describeFields(inner)} inside`,
  ];
  return parts.filter((part) => part !== '').join(', ');
}

function isNetworkVni(
  vni: Matcher | { network: string; on?: string | undefined },
): vni is { network: string; on?: string | undefined } {
  return typeof vni === 'object' && vni !== null && !Array.isArray(vni) && 'network' in vni;
}

async function readyFrame(context: ProbeContext, fields: FrameFields): Promise<FrameFields | { unknown: string }> {
  const ready = { ...fields };
  for (const name of ['src', 'dst'] as const)
    if (typeof ready[name] === 'string' && isAddress(ready[name])) ready[name] = canonicalAddress(ready[name]);
  for (const { name, text } of endpointFields(fields)) {
    const endpoint = parseEndpoint(text, context.plan);
    if (!isVantage(endpoint)) return { unknown: `${text} is no host, container or network namespace of the lab` };
    const vantage = await resolveVantage(context, endpoint);
    if (isVantageProblem(vantage)) return { unknown: vantage.reason };
    const listed = await addressesOf(context, vantage);
    if ('unknown' in listed) return listed;
    const addresses = listed.addresses.filter((one) => one.scope !== 'host').map((one) => one.address);
    if (addresses.length === 0) return { unknown: `${text} has no address to look for` };
    ready[name] = { 'one-of': addresses };
  }
  return ready;
}

async function readyFields(
  context: ProbeContext,
  vantage: Vantage,
  fields: PacketFields,
): Promise<ReadyFields | { unknown: string }> {
  const { vni, inner, ...frame } = fields;
  const readyOuter = await readyFrame(context, frame);
  if ('unknown' in readyOuter) return readyOuter as { unknown: string };
  const ready: ReadyFields = { frame: readyOuter, text: describePacket(fields) };
  if (vni !== undefined) {
    if (isNetworkVni(vni)) {
      const found = await overlayVni(context, vni.on === undefined ? vantage.host : context.host(vni.on), vni.network);
      if ('unknown' in found) return found;
      ready.vni = found.vni;
      ready.text = `${ready.text} (${found.vni})`;
    } else ready.vni = vni;
  }
  if (inner !== undefined) {
    const readyInner = await readyFrame(context, inner);
    if ('unknown' in readyInner) return readyInner as { unknown: string };
    ready.inner = readyInner;
  }
  return ready;
}

/** Whether more packets can only make it truer: then nothing has to be waited for once it is true. */
export function growsTruer(expect: Expect): boolean {
  if (expect.none !== undefined || expect.each !== undefined) return false;
  const { packets } = expect;
  if (packets === undefined) return true;
  return (
    typeof packets === 'object' &&
    packets !== null &&
    !Array.isArray(packets) &&
    Object.keys(packets).every((key) => key === 'at-least') &&
    // What is true of nothing would be true before anything was looked at.
    (packets['at-least'] ?? 0) > 0
  );
}

interface Ready {
  packets: Matcher;
  some: ReadyFields | null;
  each: ReadyFields | null;
  none: ReadyFields | true | null;
}

type Judged =
  | { met: true; text: string }
  | { met: false; certain: boolean; cause: 'absent' | 'present' | 'wrong-value'; text: string; expected: string };

const count = (n: number): string => (n === 1 ? '1 packet' : `${n} packets`);

/** What the captured packets come to. `certain`: no packet that might have been missed could change it. */
export function judgePackets(ready: Ready, packets: readonly Packet[]): Judged {
  const seen = (list: readonly Packet[]): string =>
    list.length === 0
      ? 'nothing was captured'
      : `captured: ${list
          .slice(0, 3)
          .map((packet) => describeFrame(packet.frame))
          .join('; ')}${list.length > 3 ? `; and ${list.length - 3} more` : ''}`;
  if (ready.none !== null) {
    const none = ready.none;
    const offenders = none === true ? packets : packets.filter((packet) => isLike(none, packet.frame));
    const what = none === true ? 'nothing' : `nothing with ${none.text}`;
    return offenders.length === 0
      ? { met: true, text: `${what} was captured` }
      : {
          met: false,
          certain: true,
          cause: 'present',
          text: `${count(offenders.length)} that must not be there: ${seen(offenders)}`,
          expected: what,
        };
  }
  const { some, each } = ready;
  if (each !== null) {
    const others = packets.filter((packet) => !isLike(each, packet.frame));
    if (others.length > 0)
      return {
        met: false,
        certain: true,
        cause: 'wrong-value',
        text: `${others.length} of ${count(packets.length)} are not like ${each.text}: ${seen(others)}`,
        expected: `every packet with ${each.text}`,
      };
  }
  const counted = some === null ? packets : packets.filter((packet) => isLike(some, packet.frame));
  const like = some === null ? '' : ` with ${some.text}`;
  const enough = match(ready.packets, counted.length);
  if (enough.ok && (each === null || packets.length > 0))
    return {
      met: true,
      text: `${count(counted.length)}${like}${each === null ? '' : `, each with ${each.text}`}, such as ${counted[0] === undefined ? 'none' : describeFrame(counted[0].frame)}`,
    };
  return {
    met: false,
    certain: false,
    cause: counted.length === 0 ? 'absent' : 'wrong-value',
    text: `${counted.length === 0 ? 'no packet' : count(counted.length)}${like}, expected ${describeMatcher(ready.packets)}; ${seen(packets)}`,
    expected: `${describeMatcher(ready.packets)} packets${like}`,
  };
}

async function readyExpectation(
  context: ProbeContext,
  vantage: Vantage,
  expect: Expect,
): Promise<Ready | { unknown: string }> {
  const look = async (fields: PacketFields | undefined): Promise<ReadyFields | null | { unknown: string }> =>
    fields === undefined ? null : readyFields(context, vantage, fields);
  const [some, each, none] = await Promise.all([
    look(expect.some),
    look(expect.each),
    expect.none === true ? Promise.resolve(true as const) : look(expect.none),
  ]);
  for (const one of [some, each, none]) if (one !== null && one !== true && 'unknown' in one) return one;
  return {
    packets: expect.packets ?? { 'at-least': 1 },
    some: some as ReadyFields | null,
    each: each as ReadyFields | null,
    none: none as ReadyFields | true | null,
  };
}

function interfaceOf(spec: Spec, context: ProbeContext): string | { unknown: string } {
  if (spec.interface !== undefined) return spec.interface;
  const host = context.plan.hosts.find((one) => one.name === spec.on);
  const found = host?.interfaces.find((one) => one.segment === spec.segment);
  return found?.name ?? { unknown: `${spec.on} has no interface on the segment ${spec.segment}` };
}

async function runCapture(spec: Spec, context: ProbeContext): Promise<Outcome> {
  const endpoint = parseEndpoint(spec.on, context.plan);
  if (!isVantage(endpoint)) return inconclusive(`${spec.on} is no host, container or network namespace of the lab`);
  const vantage = await resolveVantage(context, endpoint);
  if (isVantageProblem(vantage)) return inconclusive(vantage.reason);
  const name = interfaceOf(spec, context);
  if (typeof name !== 'string') return inconclusive(name.unknown);
  const [ready, beacon] = await Promise.all([
    readyExpectation(context, vantage, spec.expect),
    beaconFor(context, vantage, name),
  ]);
  if ('unknown' in ready) return inconclusive(ready.unknown);
  const capture = startCapture(vantage, context, {
    interface: name,
    filter: spec.filter,
    beacon: 'none' in beacon ? null : beacon,
    vxlanPorts: spec['vxlan-port'] === undefined ? vxlanPorts : [spec['vxlan-port']],
  });
  const place = `${name} of ${spec.on}`;
  try {
    // tcpdump says so after the filter is set and the socket bound: from here on nothing is missed.
    if (!(await capture.until(() => /listening on /.test(capture.stderr()), Math.min(10_000, context.timeLeftMs())))) {
      capture.rethrow();
      const words =
        capture
          .stderr()
          .split('\n')
          .find((line) => line.startsWith('tcpdump: ')) ?? lastLine(capture.stderr());
      return inconclusive(
        `packets on ${place} could not be captured: ${words || ('none' in beacon ? beacon.none : 'tcpdump did not begin to listen')}`,
      );
    }
    // libpcap filters the first packet after that itself, and version 1.11 finds no tag then.
    if (/\bvlan\b/.test(spec.filter ?? '') && !('none' in beacon)) await sendBeacon(context, vantage, capture, beacon);
    const met = (): boolean => judgePackets(ready, capture.packets).met;
    const enough = (): boolean => growsTruer(spec.expect) && met();
    let over: Promise<Control | null> | null = null;
    /** Ends the capture, once, with a frame of its own where it has not seen enough by itself. */
    const ended = async (): Promise<Control | null> => {
      const control: Control | null = enough()
        ? null
        : 'none' in beacon
          ? { title: 'the capture can be shown to see what there is', held: false, seen: beacon.none }
          : await sendBeacon(context, vantage, capture, beacon);
      await stopCapture(capture);
      return control;
    };
    const end = (): Promise<Control | null> => (over ??= ended());
    let probe: Outcome | null = null;
    if (spec.during === undefined) await capture.until(enough, Math.min(spec.listen ?? 0, context.timeLeftMs()));
    else {
      const kind = trafficKinds[spec.during.name]!;
      // What its controls send is not what is captured.
      probe = await kind.run(spec.during.spec, { ...context, probeOver: end });
    }
    const control = await end();
    capture.rethrow();
    const attachments: Attachment[] = [];
    if (capture.bytes().length > 0)
      attachments.push(
        await context.attach(
          `Packets on ${place}`,
          `${spec.on.replaceAll(/[^a-z0-9]+/gi, '-')}-${name.replaceAll(/[^a-z0-9]+/gi, '-')}.pcap`,
          'application/vnd.tcpdump.pcap',
          capture.bytes(),
        ),
      );
    return judgeCapture(spec, ready, capture, control, probe, attachments, place);
  } finally {
    await stopCapture(capture);
  }
}

function judgeCapture(
  spec: Spec,
  ready: Ready,
  capture: RunningCapture,
  control: Control | null,
  probe: Outcome | null,
  attachments: Attachment[],
  place: string,
): Outcome {
  const { packets } = capture;
  const begin = packets[0]?.timeMs ?? 0;
  const table = [
    ['after', 'packet'],
    ...packets
      .slice(0, shownPackets)
      .map((packet) => [formatDuration(packet.timeMs - begin), describeFrame(packet.frame)]),
  ];
  const extra = {
    attachments,
    measures: [{ name: 'packets', value: packets.length, unit: 'count' as const }, ...(probe?.measures ?? [])],
    ...(control === null && probe?.controls === undefined
      ? {}
      : { controls: [...(control === null ? [] : [control]), ...(probe?.controls ?? [])] }),
    ...(packets.length === 0 ? {} : { table }),
  };
  if (probe !== null && probe.verdict !== 'pass') {
    const reason = `the ${spec.during?.name} during the capture: ${probe.reason}`;
    const { cause, expected, actual } = probe;
    return {
      verdict: probe.verdict,
      ...(cause === undefined ? {} : { cause }),
      reason,
      ...(expected === undefined ? {} : { expected }),
      ...(actual === undefined ? {} : { actual }),
      ...extra,
    };
  }
  const damaged = capture.damaged();
  if (damaged !== null) return inconclusive(`the packets on ${place} could not be read: ${damaged}`, extra);
  const dropped = readDropped(capture.stderr());
  const whole = control !== null && control.held && dropped === 0 && packets.length < mostPackets;
  const why = (): string =>
    packets.length >= mostPackets
      ? `the capture ended at its limit of ${mostPackets} packets`
      : dropped === null
        ? `tcpdump did not say whether it missed packets: ${lastLine(capture.stderr())}`
        : dropped > 0
          ? `the kernel dropped ${count(dropped)} before they were captured`
          : `${control?.title ?? 'the capture'}: ${control?.seen ?? 'it was not asked'}`;
  const judged = judgePackets(ready, packets);
  if (judged.met) {
    if (whole || growsTruer(spec.expect)) return pass(`${place}: ${judged.text}`, extra);
    return inconclusive(`${place}: ${judged.text}, but packets may have been missed: ${why()}`, extra);
  }
  if (whole || judged.certain)
    return fail(judged.cause, `${place}: ${judged.text}`, {
      expected: judged.expected,
      actual: count(packets.length),
      ...extra,
    });
  return inconclusive(`${place}: ${judged.text}; but packets may have been missed: ${why()}`, extra);
}

function packetSpecs(expect: Expect): { path: (string | number)[]; fields: PacketFields }[] {
  return (['some', 'each', 'none'] as const).flatMap((key) => {
    const fields = expect[key];
    return fields === undefined || fields === true ? [] : [{ path: ['expect', key], fields }];
  });
}

export const captureCheck = defineCheck<Spec>({
  name: 'capture',
  summary:
    'Packets seen on an interface while another check runs: which there are, what every one is like, or that there are none.',
  example: `- check: the traffic is VXLAN with the network's own identifier
  capture:
    on: node1
    segment: lan
    filter: udp port 4789
    during: { ping: { from: node1/test, to: node2/test1 } }
    expect: { each: { dst: { in-subnet: 10.10.10.0/24 }, vni: { network: ov_net1 } }, some: { inner: { src: node1/test, dst: node2/test1 } } }`,
  schema: zSpec as unknown as z.ZodType<Spec>,
  mayChange: ({ during }) => (during === undefined ? null : trafficKinds[during.name]!.mayChange(during.spec)),
  timeoutMs: 40_000,
  endpoints: (spec): EndpointUse[] => {
    const uses: EndpointUse[] = [{ endpoint: spec.on, path: ['on'], role: 'vantage' }];
    const { during } = spec;
    if (during !== undefined)
      for (const use of trafficKinds[during.name]!.endpoints(during.spec))
        uses.push({ ...use, path: ['during', during.name, ...use.path] });
    for (const { path, fields } of packetSpecs(spec.expect)) {
      const { vni, inner, ...frame } = fields;
      for (const { name, text } of endpointFields(frame))
        uses.push({ endpoint: text, path: [...path, name], role: 'vantage' });
      for (const { name, text } of inner === undefined ? [] : endpointFields(inner))
        uses.push({ endpoint: text, path: [...path, 'inner', name], role: 'vantage' });
      if (vni !== undefined && isNetworkVni(vni) && vni.on !== undefined)
        uses.push({ endpoint: vni.on, path: [...path, 'vni', 'on'], role: 'vantage' });
    }
    return uses;
  },
  describe: (spec) => {
    const { packets, some, each, none } = spec.expect;
    const wanted =
      none === true
        ? 'nothing'
        : none !== undefined
          ? `nothing with ${describePacket(none)}`
          : [
              `${packets === undefined ? 'packets' : `${describeMatcher(packets)} packets`}${some === undefined ? '' : ` with ${describePacket(some)}`}`,
              each === undefined ? '' : `each with ${describePacket(each)}`,
            ]
              .filter((part) => part !== '')
              .join(', ');
    const when =
      spec.during === undefined
        ? `within ${formatDuration(spec.listen ?? 0)}`
        : `while ${trafficKinds[spec.during.name]!.describe(spec.during.spec)}`;
    return `${spec.interface ?? spec.segment} of ${spec.on} shows ${wanted}${spec.filter === undefined ? '' : ` (${spec.filter})`} ${when}`;
  },
  run: runCapture,
});
