import type { ProbeCause } from '../model/verdict.js';
import { quoteArgv } from '../ssh/quote.js';

/**
 * One program that opens many TCP connections or sends many UDP datagrams at once and says, for each, what the kernel said:
 * errno by name, and the ICMP message that caused it, read from a raw socket. errno alone can't tell an unanswered ARP
 * request from an administrative prohibition: Linux turns ICMP codes 1, 9, 10 and 13 into the same EHOSTUNREACH.
 *
 * Perl because every Debian has `perl-base` (Essential: yes) with Socket, Errno and POSIX in it, which no other tool that
 * gives exact errno values is. Handed over on standard input, with the targets as arguments:
 *
 *     perl - tcp|talk|framed|udp WAIT_MS TRIES FROM_PORT|- [ADDRESS PORT PAYLOAD_HEX|-]…
 *
 * `tcp` ends with the connection; `talk` sends the payload over it and waits for what comes back; `framed` waits for a whole
 * message with its length in the two bytes before it, as DNS has it over TCP (RFC 1035, 4.2.2), however it is cut up. UDP sockets are not connected:
 * an answer from another address than the one asked is heard, too.
 *
 * One line a target: `N open MS`, `N data MS HEX`, `N other MS ADDRESS PORT`, `N mute MS` and `N closed MS` (a connection over which
 * nothing came), `N error local|remote ERRNO [icmp TYPE CODE SENDER]`, `N silent`; last `done`.
 */
export const connectProgram = String.raw`
use strict; use Socket qw(:DEFAULT inet_pton inet_ntop getnameinfo IPPROTO_TCP IPPROTO_UDP); use Errno; use Fcntl;
$| = 1;
my ($proto, $wait, $tries, $from, @args) = @ARGV;
my ($udp, $framed, @p, %icmp, %raw) = ($proto eq 'udp', $proto eq 'framed');
my $talk = $framed || $proto eq 'talk';
sub errname { local $! = $_[0] + 0; for (sort keys %!) { return $_ if $!{$_} } return "errno$_[0]" }
sub calm { my $f = fcntl($_[0], F_GETFL, 0); fcntl($_[0], F_SETFL, $f | O_NONBLOCK) }
sub drain {
  for my $six (keys %raw) {
    while (defined(my $who = recv($raw{$six}, my $m, 2048, 0))) {
      my $o = $six ? 0 : (ord($m) & 15) * 4;
      my ($type, $code) = unpack('CC', substr($m, $o, 2));
      next unless defined $code and ($six ? $type >= 1 && $type <= 3 : $type == 3 || $type == 11);
      my $q = substr($m, $o + 8);
      my ($next, $dst, $l4) = $six
        ? (unpack('C', substr($q, 6, 1)), substr($q, 24, 16), substr($q, 40))
        : (unpack('C', substr($q, 9, 1)), substr($q, 16, 4), substr($q, (ord($q) & 15) * 4));
      next unless length($l4) >= 4 and $next == ($udp ? 17 : 6);
      my ($sport, $dport) = unpack('nn', $l4);
      my $from = $six ? inet_ntop(AF_INET6, (unpack_sockaddr_in6($who))[1]) : inet_ntop(AF_INET, (unpack_sockaddr_in($who))[1]);
      $icmp{"$dport $dst $sport"} = "icmp $type $code $from";
    }
  }
}
sub settle {
  my ($t, $text) = @_;
  print "$t->{n} $text\n"; close $t->{s} if $t->{s}; $t->{over} = 1;
}
sub remote {
  my ($t, $err) = @_;
  my $name = errname($err);
  my $me = getsockname($t->{s});
  my $sport = $me ? ($t->{six} ? unpack_sockaddr_in6($me) : unpack_sockaddr_in($me)) : 0;
  $sport = $t->{sport} if $t->{sport};
  drain();
  my $why = $icmp{"$t->{port} $t->{raw} $sport"};
  settle($t, "error remote $name" . ($why ? " $why" : ''));
}
sub opened {
  my ($t, $ms) = @_;
  return settle($t, sprintf('open %.3f', $ms)) unless $talk;
  $t->{open} = sprintf('%.3f', $ms);
  syswrite($t->{s}, $t->{load}) if length $t->{load};
}
my $n = 0;
while (my ($address, $port, $hex) = splice(@args, 0, 3)) {
  my $six = $address =~ /:/ ? 1 : 0;
  my $raw = inet_pton($six ? AF_INET6 : AF_INET, $address);
  my $t = { n => $n++, six => $six, port => $port, raw => $raw, load => $hex eq '-' ? '' : pack('H*', $hex) };
  push @p, $t;
  if (!exists $raw{$six} and socket(my $r, $six ? AF_INET6 : AF_INET, SOCK_RAW, $six ? 58 : 1)) { calm($r); $raw{$six} = $r }
  unless (socket($t->{s}, $six ? AF_INET6 : AF_INET, $udp ? SOCK_DGRAM : SOCK_STREAM, 0)) { settle($t, 'error local ' . errname($!)); next }
  calm($t->{s});
  if ($from ne '-') {
    # A port that is used again must not wait until an old connection from it is forgotten: it ends with a reset (socket(7): SO_LINGER).
    setsockopt($t->{s}, SOL_SOCKET, SO_REUSEADDR, 1); setsockopt($t->{s}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)) unless $udp;
    bind($t->{s}, $six ? pack_sockaddr_in6($from, "\0" x 16) : pack_sockaddr_in($from, INADDR_ANY)) or do { settle($t, 'error local ' . errname($!)); next };
  }
  # IP_RECVERR: a UDP socket hears of every ICMP error, not only of those that the kernel takes for final.
  setsockopt($t->{s}, $six ? 41 : 0, $six ? 25 : 11, pack('i', 1)) if $udp;
  $t->{to} = $six ? pack_sockaddr_in6($port, $raw) : pack_sockaddr_in($port, $raw);
  next if $udp;
  my $ok = connect($t->{s}, $t->{to});
  my $err = $! + 0;
  if (!$ok and !$!{EINPROGRESS}) { $err == Errno::ECONNREFUSED() ? remote($t, $err) : settle($t, 'error local ' . errname($err)); next }
  my $me = getsockname($t->{s});
  $t->{sport} = $me ? ($six ? (unpack_sockaddr_in6($me))[0] : (unpack_sockaddr_in($me))[0]) : 0;
  opened($t, 0) if $ok;
}
my ($elapsed, $sent) = (0, 0);
while (grep { !$_->{over} } @p) {
  if ($udp and $sent < $tries and $elapsed >= $sent * $wait / $tries) {
    $sent++;
    for my $t (grep { !$_->{over} } @p) {
      my $sent_now = send($t->{s}, $t->{load}, 0, $t->{to});
      my $err = $! + 0;
      my $me = getsockname($t->{s});
      $t->{sport} = $t->{six} ? (unpack_sockaddr_in6($me))[0] : (unpack_sockaddr_in($me))[0] if $me;
      next if defined $sent_now;
      # An error that an earlier datagram met is handed to the next call on the socket.
      $sent > 1 || $err == Errno::ECONNREFUSED() ? remote($t, $err) : settle($t, 'error local ' . errname($err));
    }
  }
  my ($r, $w) = ('', '');
  for my $t (grep { !$_->{over} } @p) { vec($udp || $t->{open} ? $r : $w, fileno($t->{s}), 1) = 1 }
  my $end = $udp && $sent < $tries ? $sent * $wait / $tries : $wait;
  last if $elapsed >= $end and $end >= $wait;
  my $span = ($end - $elapsed) / 1000;
  $span = 0 if $span < 0;
  my ($found, $left) = select($r, $w, undef, $span);
  $elapsed += ($span - $left) * 1000;
  $elapsed = $end if !$found;
  for my $t (grep { !$_->{over} } @p) {
    if ($udp and vec($r, fileno($t->{s}), 1)) {
      if (defined(my $who = recv($t->{s}, my $m, 65535, 0))) {
        my ($port, $raw) = $t->{six} ? unpack_sockaddr_in6($who) : unpack_sockaddr_in($who);
        if ($port == $t->{port} and $raw eq $t->{raw}) { settle($t, sprintf('data %.3f %s', $elapsed, length $m ? unpack('H*', $m) : '-')) }
        else { $t->{other} ||= sprintf('other %.3f %s %d', $elapsed, inet_ntop($t->{six} ? AF_INET6 : AF_INET, $raw), $port) }
      } elsif (!$!{EAGAIN}) { remote($t, $! + 0) }
    } elsif ($t->{open} and vec($r, fileno($t->{s}), 1)) {
      my $got = sysread($t->{s}, my $m, 65536);
      $t->{got} .= $m if $got;
      if ($got and $framed and (length $t->{got} < 2 or length $t->{got} < 2 + unpack('n', $t->{got}))) { next }
      if ($got) { settle($t, sprintf('data %.3f %s', $elapsed, unpack('H*', $t->{got}))) }
      elsif (defined $got) { settle($t, "closed $t->{open}") }
      elsif (!$!{EAGAIN}) { remote($t, $! + 0) }
    } elsif (!$udp and !$t->{open} and vec($w, fileno($t->{s}), 1)) {
      my $e = getsockopt($t->{s}, SOL_SOCKET, SO_ERROR);
      my $err = defined $e ? unpack('i', $e) : $! + 0;
      $err ? remote($t, $err) : opened($t, $elapsed);
    }
  }
}
settle($_, $_->{other} || ($_->{open} ? "mute $_->{open}" : 'silent')) for grep { !$_->{over} } @p;
print "done\n";
`;

export interface ConnectTarget {
  address: string;
  port: number;
  /** UDP: what the datagram holds; `talk` and `framed`: what is sent over the connection. Default empty. */
  payload?: Buffer;
}

/** An ICMP or ICMPv6 message that ended an attempt. */
export interface IcmpAnswer {
  type: number;
  code: number;
  from: string;
}

export type ConnectSighting =
  | { saw: 'open'; ms: number }
  | { saw: 'data'; ms: number; data: Buffer }
  /** UDP: an answer, but not from the address and port that were asked. */
  | { saw: 'other'; ms: number; from: string; port: number }
  /** `talk`, `framed`: the connection was accepted, and then nothing came until the time was over (`mute`), or until the peer closed it. */
  | { saw: 'mute'; ms: number }
  | { saw: 'closed'; ms: number }
  /** `local`: the sender's own kernel refused before anything was sent. */
  | { saw: 'error'; where: 'local' | 'remote'; errno: string; icmp: IcmpAnswer | null }
  | { saw: 'silent' };

export interface ConnectProbe {
  proto: 'tcp' | 'talk' | 'framed' | 'udp';
  waitMs: number;
  /** UDP: how often the datagram is sent, evenly over the wait. */
  tries?: number;
  /** The source port; any, where left out. One target then. */
  fromPort?: number;
  targets: readonly ConnectTarget[];
}

/** The shell command for a probe. It reads its program, `connectProgram`, from standard input. */
export function connectCommand(probe: ConnectProbe): string {
  const targets = probe.targets.flatMap(({ address, port, payload }) => [
    address,
    String(port),
    payload && payload.length > 0 ? payload.toString('hex') : '-',
  ]);
  return quoteArgv([
    'perl',
    '-',
    probe.proto,
    String(Math.max(1, Math.round(probe.waitMs))),
    String(probe.tries ?? 1),
    String(probe.fromPort ?? '-'),
    ...targets,
  ]);
}

const linePattern =
  /^(\d+) (?:(silent)|open (\d+(?:\.\d+)?)|data (\d+(?:\.\d+)?) (-|[0-9a-f]+)|other (?<otherMs>\d+(?:\.\d+)?) (?<from>[0-9a-f.:]+) (?<port>\d+)|(?<accepted>mute|closed) (?<acceptedMs>\d+(?:\.\d+)?)|error (?<where>local|remote) (?<errno>[A-Z][A-Z0-9]*|errno\d+)(?: icmp (?<type>\d+) (?<code>\d+) (?<sender>[0-9a-f.:]+))?)$/;

/** Reads the program's output: one sighting a target, in their order; `null` when it is not complete to the last line. */
export function readConnectOutput(output: string, targets: number): ConnectSighting[] | null {
  const lines = output.trimEnd().split('\n');
  if (lines.pop() !== 'done' || lines.length !== targets) return null;
  const sightings: (ConnectSighting | undefined)[] = Array.from({ length: targets });
  for (const line of lines) {
    const match = linePattern.exec(line);
    if (!match) return null;
    const index = Number(match[1]);
    if (index >= targets || sightings[index]) return null;
    if (match[2] !== undefined) sightings[index] = { saw: 'silent' };
    else if (match[3] !== undefined) sightings[index] = { saw: 'open', ms: Number(match[3]) };
    else if (match[4] !== undefined)
      sightings[index] = {
        saw: 'data',
        ms: Number(match[4]),
        data: match[5] === '-' ? Buffer.alloc(0) : Buffer.from(match[5]!, 'hex'),
      };
    else if (match.groups?.otherMs !== undefined)
      sightings[index] = {
        saw: 'other',
        ms: Number(match.groups.otherMs),
        from: match.groups.from!,
        port: Number(match.groups.port),
      };
    else if (match.groups?.accepted !== undefined)
      sightings[index] = { saw: match.groups.accepted as 'mute' | 'closed', ms: Number(match.groups.acceptedMs) };
    else {
      const { where, errno, type, code, sender } = match.groups!;
      const icmp = type === undefined ? null : { type: Number(type), code: Number(code), from: sender! };
      sightings[index] = { saw: 'error', where: where as 'local' | 'remote', errno: errno!, icmp };
    }
  }
  return sightings as ConnectSighting[];
}

/** The cause that an ICMP destination-unreachable message stands for (RFC 792, RFC 1812 5.2.7.1, RFC 4443 3.1 and 3.2); `null` for others. */
export function icmpCause(type: number, code: number, family: 4 | 6): ProbeCause | null {
  if (family === 6) {
    if (type === 2) return 'too-big';
    // A hop limit that ran out means a loop: nothing carries packets to that network.
    if (type === 3) return 'net-unreachable';
    if (type !== 1) return null;
    return (
      (
        {
          0: 'net-unreachable',
          1: 'prohibited',
          2: 'net-unreachable',
          3: 'host-unreachable',
          4: 'port-unreachable',
          5: 'prohibited',
          6: 'prohibited',
        } as const
      )[code] ?? null
    );
  }
  if (type === 11) return 'net-unreachable';
  if (type !== 3) return null;
  return (
    (
      {
        0: 'net-unreachable',
        1: 'host-unreachable',
        3: 'port-unreachable',
        4: 'too-big',
        6: 'net-unreachable',
        7: 'host-unreachable',
        9: 'prohibited',
        10: 'prohibited',
        13: 'prohibited',
      } as const
    )[code] ?? null
  );
}

/** `null` where the error is one that no network makes (the probe itself is broken). */
export function causeOfError(sighting: ConnectSighting & { saw: 'error' }, family: 4 | 6): ProbeCause | null {
  const said = sighting.icmp ? icmpCause(sighting.icmp.type, sighting.icmp.code, family) : null;
  // A port that nobody listens on is "refused" to a user, whether TCP said so by RST or an ICMP message did.
  if (said !== null) return said === 'port-unreachable' ? 'refused' : said;
  switch (sighting.errno) {
    case 'ECONNREFUSED':
      return 'refused';
    case 'ECONNRESET':
      return 'reset';
    case 'ENETUNREACH':
      return sighting.where === 'local' ? 'no-route' : 'net-unreachable';
    case 'EHOSTUNREACH':
      return 'host-unreachable';
    case 'EACCES':
    case 'EPERM':
      // An OUTPUT rule that drops, or a `prohibit` route.
      return 'prohibited';
    case 'EINVAL':
      // What Linux says on connecting through a `blackhole` route.
      return sighting.where === 'local' ? 'no-route' : null;
    case 'EMSGSIZE':
    // What Linux says of a packet that fits the route, but not the device below it (a bridge port with a smaller MTU).
    case 'ENOBUFS':
      return 'too-big';
    case 'ETIMEDOUT':
      return 'timeout';
    default:
      return null;
  }
}

/** What was seen, as a clause: "10.10.10.12 port 81: refused". */
export function describeError(sighting: ConnectSighting & { saw: 'error' }): string {
  if (sighting.icmp)
    return `${sighting.icmp.from} answered with ICMP type ${sighting.icmp.type} code ${sighting.icmp.code}`;
  return sighting.where === 'local'
    ? `the sender's own kernel answered ${sighting.errno}`
    : `the connection attempt ended with ${sighting.errno}`;
}
