import type { ProbeContext } from '../places/context.js';
import { beside, inside } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';
import { quoteArgv } from '../ssh/quote.js';

/**
 * Listens on a packet socket of a network namespace until one packet for an address comes in, before any packet filter of that
 * namespace sees it (packet(7)). Packets that leave (PACKET_OUTGOING, 4) do not count.
 *
 *     perl - arrive ADDRESS PROTOCOL PORT|- SOURCE…
 *
 * PROTOCOL is IP's number: 1 and 58 (echo requests only), 6, 17; or `arp`: a question for the address. Prints `ready`, then
 * `arrived SOURCE`.
 */
const arrivalProgram = String.raw`
use strict; use Socket qw(:DEFAULT inet_pton inet_ntop);
$| = 1;
my (undef, $address, $proto, $port, @from) = @ARGV;
my $six = $address =~ /:/ ? 1 : 0;
my $family = $six ? AF_INET6 : AF_INET;
my $want = inet_pton($family, $address);
my %from = map { inet_pton($_ =~ /:/ ? AF_INET6 : AF_INET, $_) => 1 } @from;
# AF_PACKET, and ETH_P_ALL in network order.
socket(my $s, 17, SOCK_DGRAM, unpack('S', pack('n', 3))) or die "no packet socket: $!\n";
print "ready\n";
for (;;) {
  my $who = recv($s, my $m, 2048, 0);
  die "nothing more to hear: $!\n" unless defined $who;
  my ($type, $direction) = (unpack('S n i S C', $who))[1, 4];
  next if $direction == 4;
  if ($proto eq 'arp') {
    # ETH_P_ARP, over Ethernet for IPv4; operation 1 asks (RFC 826).
    next unless $type == 0x0806 and length $m >= 28 and unpack('x6 n', $m) == 1;
    my ($src, $dst) = unpack('x14 a4 x6 a4', $m);
    next unless $dst eq $want and $from{$src};
    print 'arrived ', inet_ntop(AF_INET, $src), "\n";
    last;
  }
  next if length $m < 20 or (ord($m) >> 4) != ($six ? 6 : 4);
  my ($next, $src, $dst, $l4) = $six
    ? (unpack('C', substr($m, 6, 1)), substr($m, 8, 16), substr($m, 24, 16), substr($m, 40))
    : (unpack('C', substr($m, 9, 1)), substr($m, 12, 4), substr($m, 16, 4), substr($m, (ord($m) & 15) * 4));
  next unless $next == $proto and $dst eq $want and $from{$src};
  next if $proto == 1 and unpack('C', $l4) != 8 or $proto == 58 and unpack('C', $l4) != 128;
  next if $port ne '-' and unpack('x2 n', $l4) != $port;
  print 'arrived ', inet_ntop($family, $src), "\n";
  last;
}
`;

/** What is listened for. */
export interface Arrival {
  address: string;
  /** `arp`: a question for the address. */
  proto: 'icmp' | 'tcp' | 'udp' | 'arp';
  /** TCP and UDP. */
  port: number | null;
  /** Senders of which a packet counts. */
  from: readonly string[];
}

/**
 * Whether a packet of `send` comes in at `place`: listens there while it runs. Resolves to the sender's address, to `null` when
 * none came, or to why nobody could listen. Rejects only with NETRIG_SSH_*.
 */
export async function sawArrive(
  context: ProbeContext,
  place: Vantage,
  arrival: Arrival,
  send: () => Promise<unknown>,
): Promise<{ from: string } | { unknown: string } | null> {
  const six = arrival.address.includes(':');
  const number = { icmp: six ? 58 : 1, tcp: 6, udp: 17, arp: 'arp' }[arrival.proto];
  const argv = ['perl', '-', 'arrive', arrival.address, String(number), String(arrival.port ?? '-'), ...arrival.from];
  const over = new AbortController();
  let said = '';
  let ready: () => void = () => undefined;
  const isReady = new Promise<void>((resolve) => (ready = resolve));
  const listener = beside(place);
  const listening = listener.host
    .exec(inside(listener, quoteArgv(argv)), {
      stdin: arrivalProgram,
      timeoutMs: context.timeLeftMs(),
      signal: AbortSignal.any([context.signal, over.signal]),
      onOutput: (stream, chunk) => {
        if (stream !== 'stdout') return;
        said += chunk.toString('latin1');
        if (said.includes('ready')) ready();
      },
    })
    .finally(ready);
  await isReady;
  try {
    await send();
  } finally {
    over.abort();
  }
  const result = await listening;
  const from = /^arrived (\S+)$/m.exec(result.stdout)?.[1];
  if (from !== undefined) return { from };
  if (result.stdout.startsWith('ready')) return null;
  return { unknown: result.stderr.trim().split('\n').at(-1) || `exit status ${result.exitCode}` };
}
