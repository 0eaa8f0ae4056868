import { z } from 'zod';
import { diagnose } from '../diagnosis/diagnose.js';
import { canonicalAddress, familyOf, isAddress } from '../model/cidr.js';
import type { Outcome } from '../model/verdict.js';
import { oneOrMany, zAddress, zDuration, zEndpoint, zPort, zTarget } from '../language/fields.js';
import { addressesOf } from '../facts/addresses.js';
import { stackAlive } from '../judging/control.js';
import { failedQuestionControl, questionControl, zQuestionControl } from '../judging/resolver-control.js';
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
import type { ResolvedTarget } from '../probes/target.js';
import { watchTarget } from '../judging/own-answer.js';
import { strangerAt } from '../reaching/stranger.js';
import { addressOn, isVantageProblem, resolveVantage } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';

const types = Object.keys(recordTypes) as [RecordType, ...RecordType[]];

const zAnsweredBy = z
  .union([zAddress, z.literal('hosts file')])
  .describe(
    'The server that must have answered, also that there is no such name: `127.0.0.11` is the engine’s embedded one; `hosts file` where no server was asked.',
  );

type Claim = { addresses: string[] } | { is: string } | { records: string[] } | z.output<typeof zFails>;

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
    port: zPort
      .optional()
      .describe(
        'Port of that server, of UDP and, where the answer does not fit into a datagram, of TCP; 53 by default.',
      ),
    wait: zDuration.default(2000).describe('Time to wait for each server; 2 s by default.'),
    expect: z
      .union([
        z.literal('answer'),
        z.strictObject({
          addresses: oneOrMany(zAddress).describe('Exactly these addresses, in any order.'),
          'answered-by': zAnsweredBy.optional(),
        }),
        z.strictObject({
          is: zEndpoint.describe('Only addresses that this host or container has.'),
          'answered-by': zAnsweredBy.optional(),
        }),
        z.strictObject({
          records: oneOrMany(z.string().min(1)).describe(
            'Exactly these records of the type asked for, in any order: names without their last dot, `MX` and `SRV` with their numbers.',
          ),
          'answered-by': zAnsweredBy.optional(),
        }),
        zFails.extend({ 'answered-by': zAnsweredBy.optional() }),
        z.strictObject({ 'answered-by': zAnsweredBy }),
      ])
      .default('answer')
      .describe('What the answer must be, or `fails` with the causes that will do.'),
    control: zQuestionControl.optional(),
  })
  .transform(({ expect, ...rest }) => {
    if (expect === 'answer') return { ...rest, expect, 'answered-by': undefined };
    const { 'answered-by': by, ...claim } = expect;
    return {
      ...rest,
      expect: Object.keys(claim).length === 0 ? ('answer' as const) : (claim as Claim),
      'answered-by': by,
    };
  })
  .check((check) => {
    const { port, server, expect, control, 'answered-by': by } = check.value;
    const wrong = (path: string[], message: string): void =>
      void check.issues.push({ code: 'custom', input: check.value, path, continue: true, message });
    const negative = typeof expect === 'object' && 'fails' in expect;
    if (port !== undefined && server === undefined)
      wrong(['port'], 'needs a server that has it: resolvers ask port 53');
    if (control !== undefined && !negative) wrong(['control'], 'goes with fails: an answer proves itself');
    if (by === 'hosts file' && negative)
      wrong(['expect', 'answered-by'], 'no hosts file says that there is no such name');
  });
type DnsSpec = z.output<typeof schema>;

type Expectation = Exclude<DnsSpec['expect'], 'answer'>;

function sorted(values: readonly string[]): string[] {
  return [...new Set(values)].sort();
}

const sameSet = (a: readonly string[], b: readonly string[]): boolean => sorted(a).join('\n') === sorted(b).join('\n');

/** Every address that an endpoint of the lab has, by what its own kernel says; what its engine says besides. */
async function addressesOfEndpoint(
  context: ProbeContext,
  text: string,
): Promise<{ own: string[]; stated: string[] } | { unknown: string } | { absent: string }> {
  const endpoint = parseEndpoint(text, context.plan);
  if (!isVantage(endpoint)) return { unknown: `${text} is no host, container or network namespace of the lab` };
  const vantage = await resolveVantage(context, endpoint);
  if (isVantageProblem(vantage))
    return vantage.problem === 'no-engine' || vantage.problem === 'unreadable'
      ? { unknown: vantage.reason }
      : { absent: vantage.reason };
  const listed = await addressesOf(context, vantage);
  if ('unknown' in listed) return listed;
  return {
    own: listed.addresses.filter(({ scope }) => scope !== 'host').map(({ address }) => address),
    stated: (vantage.container?.networks ?? [])
      .flatMap((network) => [addressOn(network, 4), addressOn(network, 6)])
      .flatMap((address) => (address === null ? [] : [canonicalAddress(address)])),
  };
}

/** "web", or "web (asked as web.example.org)" where a domain of the search list made it resolve. */
function askedName(spec: DnsSpec, resolution: Resolution & { saw: 'answer' }): string {
  const plain = spec.name.replace(/\.$/, '').toLowerCase();
  const asked = resolution.name.replace(/\.$/, '');
  return asked.toLowerCase() === plain || spec.type === 'PTR' ? spec.name : `${spec.name} (asked as ${asked})`;
}

/** The one who had to say so, where it was another one; `null` where all is well. */
function wrongAnswerer(spec: DnsSpec, by: string | null): string | null {
  const wanted = spec['answered-by'];
  if (wanted === undefined) return null;
  return (isAddress(wanted) ? canonicalAddress(wanted) : wanted) === by ? null : wanted;
}

async function compare(
  context: ProbeContext,
  spec: DnsSpec,
  expected: Exclude<Expectation, { fails: unknown }> | null,
  answer: Resolution & { saw: 'answer' },
): Promise<Outcome> {
  const said = answer.records.filter((record) => record.type === spec.type).map((record) => record.data);
  const values = answer.addresses.length > 0 ? answer.addresses.map(canonicalAddress) : said;
  const seen = `${askedName(spec, answer)} is ${values.join(', ')} at ${spec.from}, says ${answer.by}`;
  const actual = values.join(', ');
  const wrong = (wanted: string): Outcome =>
    fail('wrong-answer', `${seen}; expected ${wanted}`, { expected: wanted, actual });
  const by = wrongAnswerer(spec, answer.by);
  if (by !== null) {
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
  return compareOwner(context, expected.is, values, seen);
}

/** Whether the name leads to who is meant: to addresses that it really has, whatever its engine says. */
async function compareOwner(
  context: ProbeContext,
  owner: string,
  values: readonly string[],
  seen: string,
): Promise<Outcome> {
  const actual = values.join(', ');
  const found = await addressesOfEndpoint(context, owner);
  if ('unknown' in found) return inconclusive(`${seen}, but ${found.unknown}`);
  if ('absent' in found)
    return fail('wrong-answer', `${seen}, but ${found.absent}`, { expected: `an address of ${owner}`, actual });
  const { own, stated } = found;
  const wanted = `an address of ${owner} (${own.join(', ') || 'it has none'})`;
  if (values.length > 0 && values.every((value) => own.includes(value)))
    return pass(`${seen}: ${owner}`, { expected: wanted, actual });
  const lost = values.filter((value) => stated.includes(value) && !own.includes(value));
  const why =
    lost.length === 0 ? '' : `; its engine says that it has ${lost.join(', ')}, but none of its interfaces does`;
  return fail('wrong-answer', `${seen}; expected ${wanted}${why}`, { expected: wanted, actual });
}

async function serverAddress(
  context: ProbeContext,
  source: Vantage,
  server: string,
): Promise<ResolvedTarget | Outcome> {
  const target = await resolveTarget(context, source, parseEndpoint(server, context.plan));
  if (!isTargetProblem(target)) return target;
  return inconclusive(`name server ${server} could not be found: ${target.reason}`);
}

function endpointsOf(spec: DnsSpec): EndpointUse[] {
  const uses: EndpointUse[] = [{ endpoint: spec.from, path: ['from'], role: 'vantage' }];
  if (spec.server !== undefined) uses.push({ endpoint: spec.server, path: ['server'], role: 'target' });
  if (typeof spec.expect === 'object' && 'is' in spec.expect)
    uses.push({ endpoint: spec.expect.is, path: ['expect', 'is'], role: 'target' });
  if (spec.control?.from !== undefined)
    uses.push({ endpoint: spec.control.from, path: ['control', 'from'], role: 'vantage' });
  if (spec.control?.server !== undefined)
    uses.push({ endpoint: spec.control.server, path: ['control', 'server'], role: 'target' });
  return uses;
}

/** A question that was not answered, or that was and must not be: with its controls, and by who had to say so. */
async function judgeFailure(
  context: ProbeContext,
  spec: DnsSpec,
  source: Vantage,
  name: string,
  resolution: Resolution,
): Promise<Outcome> {
  const fails = typeof spec.expect === 'object' && 'fails' in spec.expect ? spec.expect.fails : null;
  const failed = resolution.saw === 'failure' ? resolution : null;
  const outcome = await judge({
    fails,
    sighting:
      resolution.saw === 'answer'
        ? {
            saw: 'success',
            text: `${askedName(spec, resolution)} resolves at ${spec.from} to ${resolution.addresses.join(', ') || resolution.records.map(({ data }) => data).join(', ')}, says ${resolution.by}`,
          }
        : resolution,
    success: `an answer for ${spec.name}`,
    controls: async (cause) => {
      await context.probeOver?.();
      return Promise.all([
        stackAlive(context, source),
        spec.control === undefined
          ? failedQuestionControl(context, source, {
              name,
              type: spec.type,
              cause,
              server: failed?.server ?? null,
              port: spec.port,
              replied: failed?.replied ?? false,
            })
          : questionControl(context, source, { name, type: spec.type }, spec.control),
      ]);
    },
    diagnose: async (cause) =>
      failed === null
        ? null
        : diagnose(context, {
            source,
            name,
            server: failed.server,
            replied: failed.replied,
            cause,
            ...(spec.port === undefined ? {} : { port: spec.port }),
            ...(failed.stream ? { stream: true } : {}),
          }),
  });
  const answerer = failed?.replied ? failed.server : null;
  const by = wrongAnswerer(spec, answerer);
  if (fails === null || failed === null || outcome.verdict !== 'pass' || by === null) return outcome;
  return {
    ...outcome,
    verdict: 'fail',
    cause: 'wrong-answer',
    reason: `${failed.text}; expected that ${by} says so`,
    expected: `an answer by ${by}`,
    actual: answerer === null ? 'nobody answered' : `an answer by ${answerer}`,
  };
}

/** Kind `dns`. The question is asked from inside the vantage's network namespace, in DNS's own wire format. */
export const dnsCheck = defineCheck<DnsSpec>({
  name: 'dns',
  summary:
    'A name resolves at a vantage to what it should, as its own resolver would do it, or fails to for a named cause.',
  example:
    '- check: the embedded server knows web\n  dns: { from: node1/app, name: web, expect: { is: node1/web, answered-by: 127.0.0.11 } }',
  schema: schema as z.ZodType<DnsSpec>,
  mayChange: looksOnly,
  timeoutMs: 40_000,
  endpoints: endpointsOf,
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
    if (server !== undefined && 'verdict' in server) return server;
    const name = spec.type === 'PTR' && familyOf(spec.name) !== 0 ? reverseName(spec.name) : spec.name;
    const isOwn = server === undefined ? null : await watchTarget(context, source, server, 'udp');
    const resolution = await resolveName(context, source, name, {
      type: spec.type,
      waitMs: spec.wait,
      ...(server === undefined
        ? {}
        : { server: server.address, ...(spec.port === undefined ? {} : { port: spec.port }) }),
    });
    const replied = resolution.saw === 'answer' || (resolution.saw === 'failure' && resolution.replied);
    const stranger =
      replied && server !== undefined && isOwn !== null
        ? await strangerAt(context, source, server, `an answer of ${server.label}`, isOwn, {
            source,
            name,
            server: server.address,
            replied,
            cause: 'wrong-answer',
            ...(spec.port === undefined ? {} : { port: spec.port }),
          })
        : null;
    if (stranger) return stranger;
    const expected = spec.expect === 'answer' ? null : spec.expect;
    if (resolution.saw === 'answer' && (expected === null || !('fails' in expected)))
      return compare(context, spec, expected, resolution);
    return judgeFailure(context, spec, source, name, resolution);
  },
});
