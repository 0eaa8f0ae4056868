import { z } from 'zod';
import { explain, attemptBetween } from '../reaching/attempt.js';
import type { Attempt, Prober, Sent } from '../reaching/attempt.js';
import { pathParts, readPath, firstBrokenHop } from '../facts/path.js';
import { zAddressOn } from '../judging/expectation.js';
import { describeMatcher, match, zMatcher } from '../judging/match.js';
import { fail, withDiagnosis } from '../judging/outcome.js';
import { zEndpoint, zTarget } from '../language/fields.js';
import type { Measure, Outcome } from '../model/verdict.js';
import type { ProbeContext } from '../places/context.js';
import { runScript, whyUnfinished } from '../places/script.js';
import { beside, inside } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';
import type { ResolvedTarget } from '../probes/target.js';
import { quoteArgv } from '../ssh/quote.js';
import { defineCheck, looksOnly } from './kind.js';
import { probeEndpoints } from './probe-endpoints.js';

const schema = z
  .strictObject({
    from: zEndpoint.describe('Where the packets are sent from.'),
    to: zTarget.describe('Where they go. A name is resolved from inside the source.'),
    'address-on': zAddressOn.optional(),
    family: z
      .union([z.literal(4), z.literal(6)])
      .optional()
      .describe('IP version for endpoints and names; 4 by default.'),
    expect: zMatcher.describe(
      'Bytes of the largest IP packet that is answered, its headers counted: `1450`, `{ at-least: 1280 }`.',
    ),
  })
  .transform(({ 'address-on': via, ...rest }) => ({ ...rest, via }));
type MtuSpec = z.output<typeof schema>;

/** Headers of IP and ICMP, bytes. */
const headers = (address: string): number => (address.includes(':') ? 48 : 28);

/**
 * Halves the sizes between one that passes and one that does not, by echo requests of its own: they are not to be fragmented, and
 * what the kernel remembers of the path's MTU is not asked (ip(7), ipv6(7): PMTUDISC_PROBE), which ping(8) can do since 2024 only.
 * Each size is tried twice before it counts as lost. Perl for the reason that `probes/connect-probe.ts` gives.
 *
 *     perl - largest ADDRESS
 *
 * prints `largest N`, the bytes of the largest payload; -1: not even an empty one passed.
 */
export const mtuProgram = String.raw`
use strict; use Socket qw(:DEFAULT inet_pton); use Errno; use Fcntl; use POSIX ();
my (undef, $address) = @ARGV;
my $six = $address =~ /:/ ? 1 : 0; my $dom = $six ? AF_INET6 : AF_INET;
sub now { return (POSIX::times())[0] / 100 }
my ($low, $high, $seq, $id) = (-1, 65508, 0, $$ & 0xffff);
socket(my $s, $dom, SOCK_RAW, $six ? 58 : 1) or die "$!\n";
setsockopt($s, $six ? 41 : 0, $six ? 23 : 10, pack('i', 3)); setsockopt($s, $six ? 41 : 0, $six ? 25 : 11, pack('i', 1));
fcntl($s, F_SETFL, fcntl($s, F_GETFL, 0) | O_NONBLOCK);
my $raw = inet_pton($dom, $address);
connect($s, $six ? pack_sockaddr_in6(0, $raw) : pack_sockaddr_in(0, $raw)) or do { print "largest -1\n"; exit };
sub once {
  my ($size) = @_; $seq++;
  my $data = pack('CCnnn', $six ? 128 : 8, 0, 0, $id, $seq) . ("\0" x $size);
  unless ($six) { my $even = length($data) % 2 ? $data . "\0" : $data; my $sum = 0; $sum += $_ for unpack('n*', $even); $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16; substr($data, 2, 2) = pack('n', ~$sum & 0xffff) }
  # An error that an earlier packet met is handed to the next call on the socket.
  getsockopt($s, SOL_SOCKET, SO_ERROR);
  defined send($s, $data, 0) or return 0;
  my $until = now() + 0.4;
  while ((my $left = $until - now()) > 0) {
    my $bits = ''; vec($bits, fileno($s), 1) = 1;
    select(my $ready = $bits, undef, undef, $left) > 0 or return 0;
    unless (defined recv($s, my $m, 65535, 0)) { next if $!{EAGAIN}; return 0 }
    else {
      my $o = $six ? 0 : (ord($m) & 15) * 4;
      my ($type, undef, undef, $of, $number) = unpack('CCnnn', substr($m, $o, 8));
      return 1 if defined $number and $type == ($six ? 129 : 0) and $of == $id and $number == $seq;
    }
  }
  return 0;
}
sub passes { my ($size) = @_; return once($size) || once($size) }
if (passes(0)) { $low = 0; while ($high - $low > 1) { my $size = int(($low + $high) / 2); if (passes($size)) { $low = $size } else { $high = $size } } }
print "largest $low\n";
`;

interface MtuSent extends Sent {
  /** Bytes of the largest IP packet; `null`: none came through. */
  largest: number | null;
}

async function measure(context: ProbeContext, source: Vantage, target: ResolvedTarget): Promise<MtuSent> {
  const from = beside(source);
  const { parts, exec } = await runScript(
    from.host,
    [{ name: 'search', shell: quoteArgv(['perl', '-', 'largest', target.address]) }, ...pathParts(target.address)],
    {
      timeoutMs: context.timeLeftMs(),
      signal: context.signal,
      stdin: mtuProgram,
      wrap: (shell) => inside(from, shell),
    },
  );
  const found = /^largest (-?\d+)$/m.exec(parts.get('search')?.output ?? '')?.[1];
  const path = readPath(parts, target.address);
  if (found === undefined) {
    const text = `the packets from ${source.label} were not finished: ${whyUnfinished(exec)}`;
    return { sighting: { saw: 'nothing', text }, path: null, answeredBy: null, largest: null };
  }
  const payload = Number(found);
  if (payload < 0) {
    const broken = firstBrokenHop(path, source.label, target.address);
    const text = `${target.label} does not answer ${source.label}, whatever the size${broken === null ? '' : `; ${broken}`}`;
    return { sighting: { saw: 'failure', cause: 'timeout', text }, path, answeredBy: null, largest: null };
  }
  const largest = payload + headers(target.address);
  const measures: Measure[] = [{ name: 'path MTU', value: largest, unit: 'bytes', judged: true }];
  const text = `packets of up to ${largest} bytes come from ${source.label} to ${target.label} unfragmented`;
  return { sighting: { saw: 'success', text, measures }, path, answeredBy: target.address, largest };
}

/** Another size than expected; with the link that is too small, where more was to pass. */
async function settle(spec: MtuSpec, context: ProbeContext, prober: Prober, attempt: Attempt): Promise<Outcome | null> {
  const { largest, sighting } = attempt.sent as MtuSent;
  if (largest === null || sighting.saw !== 'success') return null;
  const matched = match(spec.expect, largest);
  if (matched.ok) return null;
  const failed = fail('wrong-value', `${sighting.text}: that ${matched.sentence}`, {
    expected: describeMatcher(spec.expect),
    actual: String(largest),
  });
  if (match(spec.expect, largest + 1).ok || largest < expectedLeast(spec.expect)) {
    const size = largest + 1 - headers(attempt.target.address);
    const found = await explain(context, { ...prober, size, df: true }, attempt, attempt.sent, 'too-big');
    return withDiagnosis({ ...failed, measures: sighting.measures ?? [] }, found);
  }
  return { ...failed, measures: sighting.measures ?? [] };
}

/** What was wanted at least, where the expectation is a number. */
function expectedLeast(expected: MtuSpec['expect']): number {
  if (typeof expected === 'number') return expected;
  const least =
    typeof expected === 'object' && expected !== null && 'at-least' in expected ? expected['at-least'] : undefined;
  return typeof least === 'number' ? least : 0;
}

/** Kind `mtu`: RFC 1191's path MTU, measured by echo requests that may not be fragmented. */
export const mtuCheck = defineCheck<MtuSpec>({
  name: 'mtu',
  summary: 'The largest IP packet that comes from one place to another unfragmented.',
  example: '- check: the tunnel takes its 50 bytes\n  mtu: { from: node1/app, to: node2/web, expect: 1450 }',
  schema: schema as z.ZodType<MtuSpec>,
  mayChange: looksOnly,
  timeoutMs: 60_000,
  endpoints: probeEndpoints,
  describe: ({ from, to, expect, via }) =>
    `the largest packet from ${from} to ${to}${via === undefined ? '' : ` via ${via}`} has ${describeMatcher(expect)} bytes`,
  async run(spec, context) {
    const prober: Prober = {
      fails: null,
      success: (to) => `packets of ${describeMatcher(spec.expect)} bytes reach ${to}`,
      service: { proto: 'icmp', port: null },
      send: (source, target) => measure(context, source, target),
      waitMs: 0,
      again: (_, { address }) => quoteArgv(['ping', '-n', '-c', '1', '-M', 'do', '-s', '1472', address]),
      author: null,
    };
    return attemptBetween(context, spec, prober, (attempt) => settle(spec, context, prober, attempt));
  },
});
