import { z } from 'zod';
import { canonicalAddress, familyOf, isAddress } from '../model/cidr.js';
import type { Outcome } from '../model/verdict.js';
import { oneOrMany, zAddress, zDuration, zEndpoint, zPort, zTarget } from '../language/fields.js';
import { resolverControl, stackAlive } from '../judging/control.js';
import { recordTypes, reverseName } from '../probes/dns-message.js';
import type { RecordType } from '../probes/dns-message.js';
import { isVantage, parseEndpoint } from '../places/endpoint.js';
import { judge, zFails } from '../judging/expectation.js';
import { defineCheck, looksOnly } from './kind.js';
import type { EndpointUse } from './kind.js';
import type { ProbeContext } from '../places/context.js';
import { fail, inconclusive, pass } from '../judging/outcome.js';
import { resolveName } from '../probes/resolver.js';
import type { Resolution } from '../probes/resolver.js';
import { isTargetProblem, resolveTarget } from '../probes/target.js';
import { addressOn, isVantageProblem, resolveVantage } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';

const types = Object.keys(recordTypes) as [RecordType, ...RecordType[]];

const schema = z
  .strictObject({
    from: zEndpoint.describe('Where the question is asked.'),
    name: z.string().min(1).max(253).describe('The name to resolve; for type `PTR` an address will do.'),
    type: z.enum(types).default('A').describe('The record type asked for; `A` by default.'),
    server: zTarget
      .optional()
      .describe(
        'Ask this name server, and only it. Left out: as the source’s own resolver would (hosts file, resolv.conf, search list).',
      ),
    port: zPort.optional().describe('UDP port of that server; 53 by default.'),
    wait: zDuration.default(2000).describe('Time to wait for each server; 2 s by default.'),
    expect: z
      .union([
        z.literal('answer'),
        z.strictObject({ addresses: oneOrMany(zAddress).describe('Exactly these addresses, in any order.') }),
        z.strictObject({ is: zEndpoint.describe('Only addresses that this host or container has.') }),
        z.strictObject({
          records: oneOrMany(z.string().min(1)).describe(
            'Exactly these records of the type asked for, in any order: names without their last dot, `MX` and `SRV` with their numbers.',
          ),
        }),
        zFails,
      ])
      .default('answer')
      .describe('What the answer must be, or `fails` with the causes that will do.'),
    'answered-by': z
      .union([zAddress, z.literal('hosts file')])
      .optional()
      .describe(
        'The server that must have answered: `127.0.0.11` is the engine’s embedded one; `hosts file` where no server was asked.',
      ),
  })
  .check((check) => {
    if (check.value.port !== undefined && check.value.server === undefined)
      check.issues.push({
        code: 'custom',
        input: check.value,
        path: ['port'],
        continue: true,
        message: 'needs a server that has it: resolvers ask port 53',
      });
  });
type DnsSpec = z.output<typeof schema>;

type Expectation = Exclude<DnsSpec['expect'], 'answer'>;

function sorted(values: readonly string[]): string[] {
  return [...new Set(values)].sort();
}

const sameSet = (a: readonly string[], b: readonly string[]): boolean => sorted(a).join('\n') === sorted(b).join('\n');

/** Every address that an endpoint of the lab has, or a sentence why that can't be said. */
async function addressesOfEndpoint(
  context: ProbeContext,
  text: string,
): Promise<string[] | { unknown: string } | { absent: string }> {
  const endpoint = parseEndpoint(text, context.plan);
  if (endpoint.kind === 'host') {
    const host = context.plan.hosts.find(({ name }) => name === endpoint.host);
    return (host?.interfaces ?? []).flatMap(({ address }) =>
      address === null ? [] : [canonicalAddress(address.split('/')[0]!)],
    );
  }
  if (endpoint.kind !== 'container') return { unknown: `${text} has no addresses that the lab states` };
  const vantage = await resolveVantage(context, endpoint);
  if (isVantageProblem(vantage))
    return vantage.problem === 'no-engine' || vantage.problem === 'unreadable'
      ? { unknown: vantage.reason }
      : { absent: vantage.reason };
  return vantage
    .container!.networks.flatMap((network) => [addressOn(network, 4), addressOn(network, 6)])
    .flatMap((address) => (address === null ? [] : [canonicalAddress(address)]));
}

async function compare(
  context: ProbeContext,
  spec: DnsSpec,
  expected: Exclude<Expectation, { fails: unknown }> | null,
  answer: Resolution & { saw: 'answer' },
): Promise<Outcome> {
  const said = answer.records.filter((record) => record.type === spec.type).map((record) => record.data);
  const values = answer.addresses.length > 0 ? answer.addresses.map(canonicalAddress) : said;
  const seen = `${spec.name} is ${values.join(', ')} at ${spec.from}, says ${answer.by}`;
  const actual = values.join(', ');
  const wrong = (wanted: string): Outcome =>
    fail('wrong-answer', `${seen}; expected ${wanted}`, { expected: wanted, actual });
  const by = spec['answered-by'];
  if (by !== undefined && (isAddress(by) ? canonicalAddress(by) !== answer.by : by !== answer.by)) {
    return fail('wrong-answer', `${seen}; expected that ${by} says so`, {
      expected: `an answer by ${by}`,
      actual: `an answer by ${answer.by}`,
    });
  }
  if (expected === null) return pass(seen);
  if ('addresses' in expected) {
    const wanted = expected.addresses.map(canonicalAddress);
    return sameSet(wanted, values) ? pass(seen, { expected: wanted.join(', '), actual }) : wrong(wanted.join(', '));
  }
  if ('records' in expected) {
    const wanted = expected.records.map((record) => record.replace(/\.$/, ''));
    return sameSet(wanted, values) ? pass(seen, { expected: wanted.join(', '), actual }) : wrong(wanted.join(', '));
  }
  const own = await addressesOfEndpoint(context, expected.is);
  if ('unknown' in own) return inconclusive(`${seen}, but ${own.unknown}`);
  if ('absent' in own)
    return fail('wrong-answer', `${seen}, but ${own.absent}`, { expected: `an address of ${expected.is}`, actual });
  const wanted = `an address of ${expected.is} (${own.join(', ') || 'it has none'})`;
  return values.length > 0 && values.every((value) => own.includes(value))
    ? pass(`${seen}: ${expected.is}`, { expected: wanted, actual })
    : wrong(wanted);
}

async function serverAddress(context: ProbeContext, source: Vantage, server: string): Promise<string | Outcome> {
  const target = await resolveTarget(context, source, parseEndpoint(server, context.plan));
  if (!isTargetProblem(target)) return target.address;
  return inconclusive(`name server ${server} could not be found: ${target.reason}`);
}

/** Kind `dns`. The question is asked from inside the vantage's network namespace, in DNS's own wire format. */
export const dnsCheck = defineCheck<DnsSpec>({
  name: 'dns',
  summary:
    'A name resolves at a vantage to what it should, as its own resolver would do it, or fails to for a named cause.',
  example:
    '- check: the embedded server knows web\n  dns: { from: node1/app, name: web, expect: { is: node1/web }, answered-by: 127.0.0.11 }',
  schema: schema as z.ZodType<DnsSpec>,
  mayChange: looksOnly,
  timeoutMs: 40_000,
  endpoints(spec) {
    const uses: EndpointUse[] = [{ endpoint: spec.from, path: ['from'], role: 'vantage' }];
    if (spec.server !== undefined) uses.push({ endpoint: spec.server, path: ['server'], role: 'target' });
    if (typeof spec.expect === 'object' && 'is' in spec.expect)
      uses.push({ endpoint: spec.expect.is, path: ['expect', 'is'], role: 'target' });
    return uses;
  },
  describe(spec) {
    const question = `${spec.name}${spec.type === 'A' ? '' : ` (${spec.type})`} at ${spec.from}${spec.server === undefined ? '' : `, asked of ${spec.server}${spec.port === undefined ? '' : `, port ${spec.port}`}`}`;
    if (spec.expect === 'answer') return `${question} resolves`;
    if ('fails' in spec.expect) return `${question} does not resolve`;
    if ('is' in spec.expect) return `${question} is ${spec.expect.is}`;
    return `${question} is ${('addresses' in spec.expect ? spec.expect.addresses : spec.expect.records).join(', ')}`;
  },
  async run(spec, context) {
    const from = parseEndpoint(spec.from, context.plan);
    if (!isVantage(from)) return inconclusive(`${spec.from} is no place a probe can start from`);
    const source = await resolveVantage(context, from);
    if (isVantageProblem(source)) return inconclusive(`the source is not there: ${source.reason}`);
    const server = spec.server === undefined ? undefined : await serverAddress(context, source, spec.server);
    if (typeof server === 'object') return server;
    const name = spec.type === 'PTR' && familyOf(spec.name) !== 0 ? reverseName(spec.name) : spec.name;
    const resolution = await resolveName(context, source, name, {
      type: spec.type,
      waitMs: spec.wait,
      ...(server === undefined ? {} : { server, ...(spec.port === undefined ? {} : { port: spec.port }) }),
    });
    const expected = spec.expect === 'answer' ? null : spec.expect;
    if (resolution.saw === 'answer' && (expected === null || !('fails' in expected)))
      return compare(context, spec, expected, resolution);
    const asked = resolution.saw === 'failure' ? resolution.server : null;
    return judge({
      fails: expected !== null && 'fails' in expected ? expected.fails : null,
      sighting:
        resolution.saw === 'answer'
          ? {
              saw: 'success',
              text: `${spec.name} resolves at ${spec.from} to ${resolution.addresses.join(', ') || resolution.records.map(({ data }) => data).join(', ')}, says ${resolution.by}`,
            }
          : resolution,
      success: `an answer for ${spec.name}`,
      controls: async () =>
        Promise.all([
          stackAlive(context, source),
          resolverControl(context, source, asked, resolution.saw === 'failure' && resolution.replied, spec.port),
        ]),
    });
  },
});
