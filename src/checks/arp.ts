import { beside } from '../places/vantage.js';
import { z } from 'zod';
import { zEndpoint, zInterfaceName } from '../language/fields.js';
import { familyOf, parseCidr } from '../model/cidr.js';
import type { Control } from '../model/verdict.js';
import { askIp, lastLine, whyNoAnswer } from '../facts/answer.js';
import { zCount } from '../judging/claims.js';
import { describeWanted, failed, findings, matchSet } from '../judging/finding.js';
import { defineCheck, looksOnly } from './kind.js';
import type { ProbeContext } from '../places/context.js';
import { zMatcher } from '../judging/match.js';
import { fail, inconclusive, pass } from '../judging/outcome.js';
import { placeAt } from '../judging/place.js';
import type { Vantage } from '../places/vantage.js';

const zAddress4 = z.string().refine((text) => familyOf(text) === 4, 'must be an IPv4 address');

const zSpec = z.strictObject({
  from: zEndpoint.describe('Who asks: a host, a container or a network namespace.'),
  interface: zInterfaceName.describe('Interface that the question goes out by.'),
  address: zAddress4.describe('The IPv4 address that is asked for.'),
  questions: z
    .int()
    .min(1)
    .max(20)
    .default(2)
    .describe('How many requests are broadcast, one a second; each is listened after for a second.'),
  control: zAddress4
    .optional()
    .describe(
      'An address that must answer for “nobody” to count. Where left out, that of another host of the lab on the same segment.',
    ),
  expect: z
    .strictObject({
      answers: zCount
        .optional()
        .describe('How many different hardware addresses answer: 1 means that nobody else has the address.'),
      macs: zMatcher.optional().describe('The hardware addresses that answer, in lower case, in any order.'),
      absent: z.literal(true).optional().describe('Nobody answers.'),
    })
    .check((check) => {
      if (check.value.absent && Object.keys(check.value).length > 1)
        check.issues.push({
          code: 'custom',
          input: check.value,
          path: ['absent'],
          continue: true,
          message: 'does not go with answers or macs',
        });
    })
    .transform(({ absent: nobody, ...rest }): typeof rest & { none?: true } =>
      nobody === undefined ? rest : { ...rest, none: nobody },
    )
    .prefault({ answers: 1 }),
});
type Spec = z.output<typeof zSpec>;

const zLink = z.looseObject({ ifname: z.string(), flags: z.array(z.string()) });

/** What arping (iputils) printed. `macs`: those that answered for the address, each once, in lower case, in order. */
export interface ArpAnswers {
  sent: number;
  macs: string[];
}

/** `null` where arping sent nothing, or its lines and its own count of answers do not agree. */
export function parseArping(text: string, address: string): ArpAnswers | null {
  const sent = Number(/^Sent (\d+) probes? \(/m.exec(text)?.[1] ?? 0);
  const received = /^Received (\d+) response/m.exec(text)?.[1];
  const found = [...text.matchAll(/^(?:Unicast|Broadcast) reply from (\S+) \[([0-9A-F:]{17})\]/gim)];
  if (sent === 0 || received === undefined || Number(received) !== found.length) return null;
  return {
    sent,
    macs: [...new Set(found.filter(([, from]) => from === address).map(([, , mac]) => mac!.toLowerCase()))],
  };
}

/** What a command to a host takes beside the listening, ms. */
const overheadMs = 150;

/** Asks for one address, once a second for as long as `listenMs`. Rejects only with NETRIG_SSH_*. */
async function askWho(
  context: ProbeContext,
  vantage: Vantage,
  device: string,
  address: string,
  listenMs: number,
): Promise<ArpAnswers | { unknown: string }> {
  // -b: every request is broadcast; after the first answer arping would ask that one alone. No -c, with which it ends after so
  // many answers, not requests: the second owner of the address would go unheard (iputils 20210202 to 20250605).
  // It tells what it heard when it is interrupted, too; -w takes whole seconds only.
  const argv = ['timeout', '-s', 'INT', (listenMs / 1000).toFixed(3), 'arping', '-b', '-I', device, address];
  const place = beside(vantage);
  const result = await place.host.exec(place.enter(argv), {
    timeoutMs: Math.min(context.timeLeftMs(), listenMs + 10_000),
    signal: context.signal,
  });
  const why = whyNoAnswer('arping', result);
  if (why !== null) return { unknown: `arping gave no answer in ${vantage.label}: ${why}` };
  return (
    parseArping(result.stdout, address) ?? {
      unknown: `arping in ${vantage.label} asked nobody for ${address}: ${lastLine(result.stderr) || lastLine(result.stdout) || `exit status ${result.exitCode}`}`,
    }
  );
}

/** Addresses of other hosts of the lab that should hear what is asked there: they are on the host's segment of that interface. */
function neighbours(context: ProbeContext, vantage: Vantage, name: string, address: string): string[] {
  if (vantage.endpoint.kind !== 'host') return [];
  const segment = vantage.host.plan.interfaces.find((one) => one.name === name)?.segment;
  if (segment === undefined) return [];
  return context.plan.hosts
    .filter((one) => one.name !== vantage.host.name)
    .flatMap((one) => one.interfaces)
    .flatMap((one) => (one.segment === segment && one.address !== null ? [parseCidr(one.address)] : []))
    .flatMap((one) => (one !== null && one.family === 4 && one.address !== address ? [one.address] : []));
}

/** How long one may listen in what is left of the attempt, ms: an owner answers within milliseconds, two are told apart as soon. */
function listening(context: ProbeContext): number {
  return Math.max(100, context.timeLeftMs() - overheadMs);
}

/** Nobody's answer is worth something only where somebody could have answered. */
async function controlOf(spec: Spec, context: ProbeContext, vantage: Vantage, device: string): Promise<Control> {
  const candidates =
    spec.control === undefined
      ? neighbours(context, vantage, spec.interface, spec.address).slice(0, 3)
      : [spec.control];
  if (candidates.length === 0)
    return {
      title: 'somebody else answers there',
      held: false,
      seen: 'nobody is known who should: name an address with control',
    };
  let seen = '';
  for (const address of candidates) {
    const answers = await askWho(context, vantage, device, address, Math.min(1000, listening(context)));
    if (!('unknown' in answers) && answers.macs.length > 0)
      return { title: `${address} answers there`, held: true, seen: answers.macs.join(' and ') };
    seen = 'unknown' in answers ? answers.unknown : 'nobody answers';
  }
  return { title: `${candidates.join(' or ')} answers there`, held: false, seen };
}

export const arpCheck = defineCheck<Spec>({
  name: 'arp',
  summary:
    'Who answers when an IPv4 address is asked for on a wire: one interface, none, or two that have the same address.',
  example: `- check: nobody else on the wire has the container's address
  arp: { from: client, interface: eth0, address: 192.168.1.20, expect: { answers: 1 } }`,
  schema: zSpec as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 30_000,
  endpoints: (spec) => [{ endpoint: spec.from, path: ['from'], role: 'vantage' }],
  describe: (spec) =>
    `${spec.from} asks on ${spec.interface} who has ${spec.address}: ${spec.expect.none ? 'nobody' : describeWanted({ answers: spec.expect.answers, macs: spec.expect.macs }).join(', ')}`,
  async run(spec, context) {
    const vantage = await placeAt(context, spec.from);
    if ('verdict' in vantage) return vantage;
    const links = await askIp(context, vantage, ['link'], zLink);
    if ('unknown' in links) return inconclusive(links.unknown);
    if ('refusal' in links) return inconclusive(`the links of ${vantage.label} could not be listed: ${links.refusal}`);
    const link = links.items.find((one) => one.ifname === spec.interface);
    if (!link)
      return inconclusive(
        `${vantage.label} has no interface ${spec.interface}; it has ${links.items.map((one) => one.ifname).join(', ')}`,
      );
    if (!link.flags.includes('LOWER_UP') || !link.flags.includes('UP'))
      return inconclusive(`${spec.interface} of ${vantage.label} is down or has no carrier, so nobody could be asked`);
    // A machine may have another name for the interface than the scenario.
    const device =
      (vantage.endpoint.kind === 'host'
        ? vantage.host.plan.interfaces.find((one) => one.name === spec.interface)?.device
        : undefined) ?? spec.interface;
    // Where time is short, half of it at most: the control of a silence needs some, too.
    const left = listening(context);
    const listenMs = Math.min(spec.questions * 1000, Math.max(left / 2, left - 1000 - overheadMs));
    const answers = await askWho(context, vantage, device, spec.address, listenMs);
    if ('unknown' in answers) return inconclusive(answers.unknown);
    const { macs } = answers;
    const seen =
      macs.length === 0
        ? `nobody answers for ${spec.address}`
        : `${macs.join(' and ')} ${macs.length === 1 ? 'answers' : 'answer'} for ${spec.address}`;
    const asked = {
      title: `${vantage.label} asks on ${spec.interface}`,
      held: true,
      seen: `${answers.sent} requests sent`,
    };
    const wanted = spec.expect.none
      ? 'nobody'
      : describeWanted({ answers: spec.expect.answers, macs: spec.expect.macs }).join(', ');
    const wrong = spec.expect.none
      ? []
      : [
          ...findings({ answers: spec.expect.answers }, { answers: macs.length }),
          ...findings({ macs: spec.expect.macs }, { macs }, matchSet),
        ];
    if (macs.length === 0) {
      const control = await controlOf(spec, context, vantage, device);
      const controls = [asked, control];
      if (!control.held)
        return inconclusive(
          `${seen} on ${spec.interface} of ${vantage.label}, but a control did not hold, so that proves nothing: ${control.title}: ${control.seen}`,
          { expected: wanted, actual: 'nobody', controls },
        );
      if (wrong.length === 0) return pass(seen, { controls });
      return fail('no-answer', `${seen} on ${spec.interface} of ${vantage.label}`, {
        expected: wanted,
        actual: 'nobody',
        controls,
      });
    }
    const controls = [asked];
    if (spec.expect.none)
      return fail('present', `${seen}, where nobody should`, { expected: wanted, actual: macs.join(', '), controls });
    return wrong.length > 0 ? { ...failed(seen, wrong), controls } : pass(seen, { controls });
  },
});
