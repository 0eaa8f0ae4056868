import { quoteArgv } from '../ssh/quote.js';
import type { ProbeContext } from '../places/context.js';
import { beside, inside } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';

/**
 * Sends one probe that the observers know again: a TCP connection attempt or UDP datagram from a given source port, an echo request with a
 * given identifier. Perl for the reason that `probes/connect-probe.ts` gives; what is not in every Debian's `perl-base` (Time::HiRes
 * is not) is not used, so that the clock is that of times(2), in hundredths of a second.
 *
 *     perl - PROTO ADDRESS PORT MARK WAIT_MS SIZE DF PAYLOAD_HEX
 *
 * Where fragments are allowed (DF 0), the packet is sent as ping(8) sends it: it may be fragmented by the sender, once that
 * knows of a smaller MTU, and by nobody else (ip(7): IP_PMTUDISC_WANT).
 *
 * The packet is sent once more shortly before the end. Its first sending may fall into the last second of a search for a neighbour,
 * in which no more questions are asked (neigh_timer_handler()); by the second, that search has failed, and a new one begins.
 *
 * prints one line: `open`, `data`, `silent`, `error local|remote ERRNO`.
 */
export const probeProgram = String.raw`
use strict; use Socket qw(:DEFAULT inet_pton inet_ntop); use Errno; use Fcntl; use POSIX ();
$| = 1;
my ($proto, $address, $port, $mark, $wait, $size, $df, $hex) = @ARGV;
my $six = $address =~ /:/ ? 1 : 0; my $dom = $six ? AF_INET6 : AF_INET;
sub now { return (POSIX::times())[0] / 100 }
sub errname { local $! = $_[0] + 0; for (sort keys %!) { return $_ if $!{$_} } return "errno$_[0]" }
sub at { my ($p, $a) = @_; return $six ? pack_sockaddr_in6($p, $a) : pack_sockaddr_in($p, $a) }
my $raw = inet_pton($dom, $address);
sub out { print "$_[0]\n"; exit 0 }
socket(my $s, $dom, $proto eq 'tcp' ? SOCK_STREAM : $proto eq 'udp' ? SOCK_DGRAM : SOCK_RAW, $proto eq 'icmp' ? ($six ? 58 : 1) : 0) or out('error local ' . errname($!));
setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
setsockopt($s, $six ? 41 : 0, $six ? 25 : 11, pack('i', 1)) if $proto ne 'tcp';
setsockopt($s, $six ? 41 : 0, $six ? 23 : 10, pack('i', $df ? 2 : 1)) if $proto eq 'icmp';
bind($s, at($mark, $six ? "\0" x 16 : INADDR_ANY)) or out('error local ' . errname($!)) if $proto ne 'icmp';
fcntl($s, F_SETFL, fcntl($s, F_GETFL, 0) | O_NONBLOCK);
my $left = $wait / 1000; my $until = now() + $left;
sub ready { my ($bits, $which, $end) = @_; $left = ($end || $until) - now(); return 0 if $left <= 0;
  my ($r, $w) = ($bits, $bits); return $which eq 'r' ? select($r, undef, undef, $left) : select(undef, $w, undef, $left) }
my $bits = ''; vec($bits, fileno($s), 1) = 1;
unless (connect($s, at($proto eq 'icmp' ? 0 : $port, $raw)) or $!{EINPROGRESS}) { out('error ' . ($!{ECONNREFUSED} ? 'remote ' : 'local ') . errname($!)) }
if ($proto eq 'tcp') {
  out('silent') unless ready($bits, 'w') > 0;
  my $e = unpack('i', getsockopt($s, SOL_SOCKET, SO_ERROR));
  if ($e == Errno::EHOSTUNREACH() and socket(my $second, $dom, SOCK_STREAM, 0)) {
    setsockopt($second, SOL_SOCKET, SO_REUSEADDR, 1); close $s; fcntl($second, F_SETFL, O_NONBLOCK);
    bind($second, at($mark, $six ? "\0" x 16 : INADDR_ANY)) and connect($second, at($port, $raw));
    select(undef, undef, undef, 0.06);
  }
  out($e ? 'error remote ' . errname($e) : 'open');
}
my $data = pack('H*', $hex);
if ($proto eq 'icmp') {
  my $body = $size > 0 ? substr('netrig looks for the way ' x (1 + $size / 25), 0, $size) : '';
  my $sum = 0; $data = pack('CCnnn', $six ? 128 : 8, 0, 0, $mark, 1) . $body;
  unless ($six) { my $even = length($data) % 2 ? $data . "\0" : $data; $sum += $_ for unpack('n*', $even); $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16; substr($data, 2, 2) = pack('n', ~$sum & 0xffff) }
}
defined send($s, $data, 0) or out('error ' . ($!{ECONNREFUSED} ? 'remote ' : 'local ') . errname($!));
my $again = 0;
my $mid = $until - 0.06;
while (1) {
  my $n = ready($bits, 'r', $again ? $until : $mid);
  if ($n <= 0) { out('silent') if $again++; send($s, $data, 0); next }
  my $who = recv($s, my $m, 65535, 0);
  unless (defined $who) {
    next if $!{EAGAIN};
    my ($no, $name) = ($!{EHOSTUNREACH}, errname($!));
    if ($no and !$again++) { send($s, $data, 0); select(undef, undef, undef, 0.06) }
    out("error remote $name");
  }
  out('data') if $proto eq 'udp';
  my $o = $six ? 0 : (ord($m) & 15) * 4;
  my ($type, $code, undef, $id) = unpack('CCnn', substr($m, $o, 6));
  out('data') if defined $id and $id == $mark and $type == ($six ? 129 : 0);
}
`;

export interface MarkedProbe {
  proto: 'icmp' | 'tcp' | 'udp';
  address: string;
  port: number;
  /** TCP, UDP: source port. ICMP: identifier. */
  mark: number;
  waitMs: number;
  /** ICMP: bytes of payload. */
  size: number;
  df: boolean;
  payload: Buffer;
}

/** What the probe met; `unknown` with why when it could not be sent. */
export type ProbeFate =
  | { fate: 'answered' | 'silent' }
  | { fate: 'error'; where: 'local' | 'remote'; errno: string }
  | { fate: 'unknown'; why: string };

export async function sendMarked(context: ProbeContext, source: Vantage, probe: MarkedProbe): Promise<ProbeFate> {
  const { proto, address, port, mark, waitMs, size, df, payload } = probe;
  const hex = payload.length === 0 ? '' : payload.toString('hex');
  const words = [proto, address, port, mark, waitMs, size, df ? 1 : 0, hex].map(String);
  const shell = quoteArgv(['perl', '-', ...words]);
  const from = beside(source);
  const result = await from.host.exec(inside(from, shell), {
    stdin: probeProgram,
    timeoutMs: waitMs + 3000,
    signal: context.signal,
  });
  const line = result.stdout.trim();
  const error = /^error (local|remote) (\w+)$/.exec(line);
  if (error) return { fate: 'error', where: error[1] as 'local' | 'remote', errno: error[2]! };
  if (line === 'open' || line === 'data') return { fate: 'answered' };
  if (line === 'silent') return { fate: 'silent' };
  return { fate: 'unknown', why: result.stderr.trim().split('\n').at(-1) ?? `exit status ${result.exitCode}` };
}
