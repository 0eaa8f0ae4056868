import { beside } from '../places/vantage.js';
import { z } from 'zod';
import { zEndpoint, zInterfaceName } from '../language/fields.js';
import type { Outcome } from '../model/verdict.js';
import { lastLine, whyNoAnswer } from '../facts/answer.js';
import { hardwareAddressesOf } from '../facts/link-owner.js';
import { listLinks } from '../facts/links.js';
import type { ProbeContext } from '../places/context.js';
import type { Vantage } from '../places/vantage.js';
import { claims, zCount } from '../judging/claims.js';
import { judgeEntries, noneWillDo } from '../judging/entries.js';
import { describeWanted } from '../judging/finding.js';
import { absent, describeMatcher, zMatcher } from '../judging/match.js';
import { fail, inconclusive } from '../judging/outcome.js';
import { placeAt } from '../judging/place.js';
import { defineCheck, looksOnly } from './kind.js';

const zMac = z
  .string()
  .regex(/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i, 'must be a hardware address, such as 02:00:00:00:00:01')
  .transform((mac) => mac.toLowerCase());

const zSpec = z
  .strictObject({
    on: zEndpoint.describe('Where the bridge or tunnel is: a host, a container or a network namespace.'),
    interface: zInterfaceName.describe(
      'A bridge of the Linux kernel (all of its entries), one of its ports, or a VXLAN interface.',
    ),
    mac: zMac.optional().describe('The hardware address; 00:00:00:00:00:00 stands for all that is not known.'),
    'mac-of': zEndpoint.optional().describe('Those of the interfaces of this host, container or network namespace.'),
    vlan: z.int().min(1).max(4094).optional().describe('Only entries of this VLAN.'),
    expect: claims({
      absent: z.literal(true).optional().describe('There is no such entry.'),
      count: zCount.optional().describe('How many such entries there are; at least one where left out.'),
      port: zMatcher.optional().describe('The port that frames for it leave by.'),
      dst: zMatcher.optional().describe('VXLAN: the other end of the tunnel that they are sent to.'),
      state: zMatcher
        .optional()
        .describe('learned (which ages), static, or permanent (the interface’s own, or one made by hand).'),
    })
      .check((check) => {
        if (check.value.absent && Object.keys(check.value).length > 1)
          check.issues.push({
            code: 'custom',
            input: check.value,
            path: ['absent'],
            continue: true,
            message: 'an entry that is absent has no properties',
          });
      })
      .default({})
      .describe('Properties that one of these entries has.'),
  })
  .check((check) => {
    const { mac, 'mac-of': owner } = check.value;
    if ((mac === undefined) === (owner === undefined))
      check.issues.push({
        code: 'custom',
        input: check.value,
        path: [],
        continue: true,
        message: 'must have exactly one of the keys mac and mac-of',
      });
  });
type Spec = z.output<typeof zSpec>;

const zEntries = z.array(
  z.looseObject({
    mac: z.string(),
    ifname: z.string().optional(),
    dst: z.string().optional(),
    vlan: z.number().optional(),
    /** Empty for what a bridge has learned. */
    state: z.string().default(''),
    flags: z.array(z.string()).default([]),
  }),
);
type Entry = z.output<typeof zEntries>[number];

const stateOf = (entry: Entry): string => (entry.state === '' ? 'learned' : entry.state);

const show = (entry: Entry): string =>
  `${entry.mac}${entry.ifname === undefined ? '' : ` by ${entry.ifname}`}${entry.dst === undefined ? '' : ` to ${entry.dst}`}${entry.vlan === undefined ? '' : `, VLAN ${entry.vlan}`}, ${stateOf(entry)}`;

/** The entries of an interface that is there. */
async function entriesOf(
  context: ProbeContext,
  place: Vantage,
  name: string,
  isBridge: boolean,
): Promise<Entry[] | { unknown: string }> {
  const argv = ['bridge', '-j', 'fdb', 'show', isBridge ? 'br' : 'dev', name];
  const keepBytes = 8 << 20;
  const from = beside(place);
  const result = await from.host.exec(from.enter(argv), {
    timeoutMs: Math.min(context.timeLeftMs(), 10_000),
    signal: context.signal,
    keepBytes,
  });
  const unknown = (why: string): { unknown: string } => ({
    unknown: `the forwarding database of ${name} on ${place.label} could not be read: ${why}`,
  });
  const why = whyNoAnswer('bridge', result);
  if (why !== null) return unknown(why);
  if (result.exitCode !== 0) return unknown(lastLine(result.stderr) || `exit status ${result.exitCode}`);
  if (result.stdoutBytes > keepBytes) return unknown(`${result.stdoutBytes} bytes are more than is read`);
  let raw: unknown;
  try {
    raw = JSON.parse(result.stdout.trim() === '' ? '[]' : result.stdout);
  } catch {
    return unknown('bridge printed no JSON');
  }
  const entries = zEntries.safeParse(raw);
  if (!entries.success) return unknown('it holds something in a form that is not known');
  // Asked for one interface, older versions do not repeat its name.
  return entries.data.map((entry) => ({ ...entry, ifname: entry.ifname ?? name }));
}

async function run(spec: Spec, context: ProbeContext): Promise<Outcome> {
  const place = await placeAt(context, spec.on);
  if ('verdict' in place) return place;
  const links = await listLinks(context, place);
  if ('unknown' in links) return inconclusive(links.unknown);
  const link = links.find(({ ifname }) => ifname === spec.interface);
  const { absent: none, count, ...wanted } = spec.expect;
  if (link === undefined) {
    const reason = `${place.label} has no interface ${spec.interface}; it has ${links.map(({ ifname }) => ifname).join(', ')}`;
    // "No entry of an interface that is not there" would be true of every misspelt name.
    return noneWillDo(spec.expect)
      ? inconclusive(reason)
      : fail('absent', reason, { expected: spec.interface, actual: 'absent' });
  }
  const entries = await entriesOf(context, place, spec.interface, link.linkinfo?.info_kind === 'bridge');
  if ('unknown' in entries) return inconclusive(entries.unknown);
  const macs = spec.mac === undefined ? await hardwareAddressesOf(context, spec['mac-of']!) : [spec.mac];
  if ('unknown' in macs) return inconclusive(macs.unknown);
  return judgeEntries({
    what: `entry for ${spec.mac ?? `a hardware address of ${spec['mac-of']} (${macs.join(', ')})`} in the forwarding database of ${spec.interface} on ${spec.on}`,
    found: entries.filter(
      (entry) => macs.includes(entry.mac.toLowerCase()) && (spec.vlan === undefined || entry.vlan === spec.vlan),
    ),
    listed: entries.length,
    show,
    valuesOf: (entry) => ({ port: entry.ifname, dst: entry.dst ?? absent, state: stateOf(entry) }),
    expect: { absent: none, count },
    wanted,
    near: `it has ${entries.length} entries`,
  });
}

export const fdbCheck = defineCheck<Spec>({
  name: 'fdb',
  summary:
    'The forwarding database of a bridge or a VXLAN interface leads, or does not lead, to a hardware address by the port or tunnel end expected.',
  example: `- check: frames for node2's container go into the tunnel to node2
  fdb: { on: node1, interface: vxlan0, mac: "02:42:0a:00:00:03", expect: { dst: 10.10.10.12 } }`,
  schema: zSpec as unknown as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 20_000,
  endpoints: (spec) => [
    { endpoint: spec.on, path: ['on'], role: 'vantage' },
    ...(spec['mac-of'] === undefined ? [] : [{ endpoint: spec['mac-of'], path: ['mac-of'], role: 'vantage' as const }]),
  ],
  describe: (spec) => {
    const { absent: none, count, ...wanted } = spec.expect;
    const what = `${spec.interface} of ${spec.on}`;
    const mac = spec.mac ?? `the hardware addresses of ${spec['mac-of']}`;
    if (none) return `${what} has no entry for ${mac}`;
    return `${what} has ${count === undefined ? 'an entry' : `${describeMatcher(count)} entries`} for ${mac}${describeWanted(
      wanted,
    )
      .map((part) => `, ${part}`)
      .join('')}`;
  },
  run,
});
