import { beside } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';
import type { ProbeContext } from '../places/context.js';
import { lastLine, whyNoAnswer } from '../facts/answer.js';

/** What one DHCP server offers (RFC 2131, RFC 2132). */
export interface DhcpOffer {
  /** Its server identifier: who it says it is. */
  server: string;
  address: string;
  mask: string | null;
  router: string[];
  dns: string[];
  domain: string | null;
  /** Seconds. */
  lease: number | null;
  mtu: number | null;
  /** The relay agent that passed the question on; `null`: the server is on the segment itself. */
  relay: string | null;
  /** From the question to the offer, ms. */
  ms: number;
}

/**
 * Sends one DHCPDISCOVER by a packet socket, as clients do that have no address yet, and listens until a second after the first
 * offer: `perl - INTERFACE WAIT_MS XID_HEX`, with the program on standard input. It asks with the interface's own hardware
 * address, so that it is offered what a client there would be; a question takes no lease. Lines: `offer MS HEX` with the BOOTP
 * message, `down` where the interface has no carrier, `none` where there is no such interface; last `done`.
 *
 * The time is what select(2) says is left: perl-base has no finer clock.
 * Numbers from linux/sockios.h (SIOCGIFINDEX, SIOCGIFHWADDR, SIOCGIFFLAGS) and linux/if_packet.h; IFF_UP is 1, IFF_RUNNING 64.
 */
const discoverProgram = String.raw`
use strict; use Socket;
$| = 1;
my ($name, $wait, $xid) = @ARGV;
socket(my $s, 17, SOCK_DGRAM, unpack('S', pack('n', 0x0800))) or die "no packet socket: $!\n";
my $request = pack('a16 x24', $name);
my $ask = sub { my $r = $request; ioctl($s, $_[0], $r) ? substr($r, 16, 16) : undef };
my $got = $ask->(0x8933);
unless (defined $got) { print "none\ndone\n"; exit }
my $index = unpack('i', $got);
my $mac = substr($ask->(0x8927), 2, 6);
my $flags = unpack('S', $ask->(0x8913));
unless (($flags & 65) == 65) { print "down\ndone\n"; exit }
my $to = pack('S n i S C C a8', 17, 0x0800, $index, 0, 0, 6, "\xff" x 6);
bind($s, pack('S n i S C C a8', 17, 0x0800, $index, 0, 0, 0, '')) or die "the packet socket was not bound: $!\n";
sub sum { my $d = $_[0]; $d .= "\0" if length($d) % 2; my $n = 0; $n += $_ for unpack('n*', $d); $n = ($n >> 16) + ($n & 0xffff) while $n >> 16; ~$n & 0xffff }
my $options = "\x63\x82\x53\x63" . pack('C3', 53, 1, 1) . pack('C2 C a6', 61, 7, 1, $mac) . pack('C2 C7', 55, 7, 1, 3, 6, 15, 26, 51, 54) . "\xff";
my $bootp = pack('C4 a4 n2 x16 a16 x192', 1, 1, 6, 0, pack('H8', $xid), 0, 0x8000, $mac) . $options;
$bootp .= "\0" x (300 - length $bootp) if length $bootp < 300;
my $length = 8 + length $bootp;
my ($from, $all) = ("\0" x 4, "\xff" x 4);
my $udp = pack('n4', 68, 67, $length, 0);
my $check = sum($from . $all . pack('n2', 17, $length) . $udp . $bootp);
substr($udp, 6, 2) = pack('n', $check || 0xffff);
my $ip = pack('C2 n3 C2 n a4 a4', 0x45, 0, 20 + $length, 0, 0, 64, 17, 0, $from, $all);
substr($ip, 10, 2) = pack('n', sum($ip));
my ($now, $end, $next) = (0, $wait / 1000, 0);
while ($now < $end) {
  if ($now >= $next) { send($s, $ip . $udp . $bootp, 0, $to) or die "not sent: $!\n"; $next = $now + 2 }
  my $until = $next < $end ? $next : $end;
  my $bits = ''; vec($bits, fileno($s), 1) = 1;
  my ($found, $left) = select($bits, undef, undef, $until - $now);
  $now = $found > 0 ? $until - $left : $until;
  next unless $found > 0;
  recv($s, my $packet, 4096, 0);
  next unless length($packet) > 28 and ord(substr($packet, 9, 1)) == 17;
  my $head = (ord($packet) & 15) * 4;
  my ($sport, $dport) = unpack('n2', substr($packet, $head, 4));
  my $message = substr($packet, $head + 8);
  next unless $sport == 67 and $dport == 68 and length($message) > 240 and unpack('H8', substr($message, 4, 4)) eq $xid;
  printf "offer %.1f %s\n", $now * 1000, unpack('H*', $message);
  $end = $now + 1 if $now + 1 < $end; $next = $end;
}
print "done\n";
`;

const dotted = (bytes: Buffer): string => [...bytes].join('.');

/** The options of a BOOTP message, by their codes; an option that stands twice is one (RFC 3396). */
function optionsOf(message: Buffer): Map<number, Buffer> | null {
  if (message.readUInt32BE(236) !== 0x63_82_53_63) return null;
  const found = new Map<number, Buffer>();
  for (let at = 240; at < message.length && message[at] !== 255;) {
    const code = message[at]!;
    if (code === 0) {
      at += 1;
      continue;
    }
    const length = message[at + 1];
    if (length === undefined || at + 2 + length > message.length) return null;
    const value = message.subarray(at + 2, at + 2 + length);
    found.set(code, Buffer.concat([found.get(code) ?? Buffer.alloc(0), value]));
    at += 2 + length;
  }
  return found;
}

/** `null` for what is no DHCPOFFER of an address. */
export function readOffer(message: Buffer, ms: number): DhcpOffer | null {
  if (message.length < 240 || message[0] !== 2) return null;
  const options = optionsOf(message);
  const server = options?.get(54);
  if (!options || options.get(53)?.[0] !== 2 || server?.length !== 4) return null;
  const list = (code: number): string[] => {
    const value = options.get(code) ?? Buffer.alloc(0);
    return Array.from({ length: Math.floor(value.length / 4) }, (_, at) => dotted(value.subarray(at * 4, at * 4 + 4)));
  };
  const lease = options.get(51);
  const mtu = options.get(26);
  const relay = dotted(message.subarray(24, 28));
  return {
    server: dotted(server),
    address: dotted(message.subarray(16, 20)),
    mask: list(1)[0] ?? null,
    router: list(3),
    dns: list(6),
    domain: options.get(15)?.toString('utf8').replace(/\0+$/, '') ?? null,
    lease: lease?.length === 4 ? lease.readUInt32BE(0) : null,
    mtu: mtu?.length === 2 ? mtu.readUInt16BE(0) : null,
    relay: relay === '0.0.0.0' ? null : relay,
    ms,
  };
}

/** All offers, in the order in which they came; or why nobody could be asked. Rejects only with what `exec` does. */
export async function discoverDhcp(
  context: ProbeContext,
  place: Vantage,
  device: string,
  waitMs: number,
): Promise<{ offers: DhcpOffer[] } | { unknown: string }> {
  const from = beside(place);
  const xid = Math.floor(Math.random() * 2 ** 32)
    .toString(16)
    .padStart(8, '0');
  const result = await from.host.exec(from.enter(['perl', '-', device, String(waitMs), xid]), {
    timeoutMs: Math.min(waitMs + 5000, context.timeLeftMs()),
    signal: context.signal,
    stdin: discoverProgram,
  });
  const why = whyNoAnswer('perl', result);
  if (why !== null) return { unknown: `no question could be sent from ${place.label}: ${why}` };
  const lines = result.stdout.trim().split('\n');
  if (result.exitCode !== 0 || lines.at(-1) !== 'done')
    return { unknown: `no question could be sent from ${place.label}: ${lastLine(result.stderr) || 'it was cut off'}` };
  if (lines[0] === 'none') return { unknown: `${place.label} has no interface ${device}` };
  if (lines[0] === 'down') return { unknown: `${device} of ${place.label} is down, or has no carrier` };
  const offers = lines.slice(0, -1).map((line) => {
    const [, ms, hex] = /^offer (\d+\.\d) ([0-9a-f]+)$/.exec(line) ?? [];
    return hex === undefined ? undefined : readOffer(Buffer.from(hex, 'hex'), Number(ms));
  });
  if (offers.includes(undefined))
    return { unknown: `the probe at ${place.label} said something that is not understood: ${lines[0]!.slice(0, 80)}` };
  return { offers: offers.filter((one): one is DhcpOffer => one !== null && one !== undefined) };
}
