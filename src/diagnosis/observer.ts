import { engineRunsPerl, runningEngineCurl } from '../places/engine.js';
import { quoteArgv } from '../ssh/quote.js';

/**
 * The program that looks at one host while a probe is on its way: in every network namespace of the host it reads what is set
 * up there, captures the frames of the probe, and lets nftables tell which rules they met.
 *
 * Perl for the reason that `probes/connect-probe.ts` gives, with what every Debian’s `perl-base` has. One process serves all namespaces of a host: it enters each
 * (setns(2)), opens a packet socket (packet(7)) and a netlink socket of nftables' trace group there, and goes back. A socket
 * stays in the namespace that it was opened in.
 *
 *     perl - watch LIFE_S SPORT_HEX ID_HEX PROTO VERSION TRACE
 *
 * prints sections, then the line `ready`; at SIGTERM, or when its life is over, what it saw, then the line `end`. What it adds to a namespace is
 * one nftables table of its own (`netrig_trace`), only where rules exist, removed again before it ends.
 *
 * A section is a line `@ NAME NAMESPACE BYTES`, then so many bytes and a newline. Its sections: `spaces`, `engine`, `stopped`
 * (the host), and for each namespace those that `world.ts` reads.
 */
export const observerProgram = String.raw`
use strict; use Fcntl; use Socket; use POSIX ();
$| = 1; binmode STDOUT;
my ($mode, $life, $sport, $id, $proto, $family, $trace) = @ARGV;
my %setns = (x86_64 => 308, aarch64 => 268, riscv64 => 268);
my $nr = $setns{(POSIX::uname())[4]};
my $stop = 0; $SIG{TERM} = sub { $stop = 1 }; $SIG{INT} = $SIG{TERM}; $SIG{HUP} = $SIG{TERM}; $SIG{PIPE} = $SIG{TERM};
sub now { return (POSIX::times())[0] / 100 }
sub slurp { my ($f) = @_; open(my $h, '<', $f) or return ''; local $/; my $t = <$h>; return defined $t ? $t : '' }
sub section { my ($name, $ns, $text) = @_; print "@ $name $ns ", length $text, "\n", $text, "\n" }
my (%space, @order, %tunnels);
sub add {
  my ($path, $what) = @_;
  my @s = stat $path or return;
  my $ino = $s[1];
  unless ($space{$ino}) { open(my $h, '<', $path) or return; $space{$ino} = { ino => $ino, h => $h, names => [], pids => [], path => $path }; push @order, $ino }
  push @{$space{$ino}{names}}, $what if $what ne '' and !grep { $_ eq $what } @{$space{$ino}{names}};
  return $space{$ino};
}
my $own = add('/proc/self/ns/net', 'host') or die "no network namespace can be read\n";
my ($dockerd, $ovs, $switching) = (0, 0, 0);
for my $p (sort { $a <=> $b } map { m{^/proc/(\d+)$} ? $1 : () } glob '/proc/[0-9]*') {
  my $comm = slurp("/proc/$p/comm"); chomp $comm;
  $dockerd = 1 if ${engineRunsPerl}; $ovs = 1 if $comm eq 'ovsdb-server'; $switching = 1 if $comm eq 'ovs-vswitchd';
  my $s = add("/proc/$p/ns/net", '') or next;
  push @{$s->{pids}}, $p if @{$s->{pids}} < 50;
  next if $s == $own;
  $s->{container} = $1 if !$s->{container} and slurp("/proc/$p/cgroup") =~ /([0-9a-f]{64})/;
}
for my $dir ('/run/netns', '/run/docker/netns', '/var/run/docker/netns') {
  for my $f (sort glob "$dir/*") { my ($n) = $f =~ m{([^/]+)$}; add($f, $dir eq '/run/netns' ? "netns:$n" : "engine:$n") }
}
splice(@order, 60);
section('spaces', 0, join '', map { my $s = $space{$_}; "$s->{ino}\t" . join(',', @{$s->{names}}) . "\t" . ($s->{container} || '-') . "\t" . join(',', @{$s->{pids}}) . "\n" } @order);
sub enter { my ($s) = @_; return 1 if @order == 1; return 0 unless defined $nr; return syscall($nr, fileno($s->{h}), 0x40000000) == 0 }
sub leave { enter($own) }
sub inside { my ($s, $cmd) = @_; my $pid = open(my $h, '-|'); return '' unless defined $pid;
  unless ($pid) { $SIG{TERM} = 'IGNORE'; enter($s) or POSIX::_exit(1); open(STDERR, '>', '/dev/null'); open(STDIN, '<', '/dev/null'); exec('sh', '-c', $cmd); POSIX::_exit(127) }
  return $h }
sub reads { my ($h) = @_; return '' unless ref $h; local $/; my $t = <$h>; close $h; return defined $t ? $t : '' }
sub procfiles { my ($s, $tag) = @_;
  enter($s) or return;
  section("$tag-snmp", $s->{ino}, slurp('/proc/net/snmp'));
  section("$tag-netstat", $s->{ino}, slurp('/proc/net/netstat'));
  section("$tag-snmp6", $s->{ino}, slurp('/proc/net/snmp6'));
  if (open(my $c, '<', '/proc/net/nf_conntrack')) { my ($n, $t) = (0, ''); while (defined(my $l = <$c>)) { last if ++$n > 400; $t .= $l } section("$tag-conntrack", $s->{ino}, $t) }
  if ($tag eq 'before') {
    my $t = '';
    for my $f (glob('/proc/sys/net/ipv4/conf/*/{forwarding,rp_filter,arp_ignore,arp_filter,arp_accept,proxy_arp,accept_local,route_localnet}'), glob('/proc/sys/net/ipv6/conf/*/{forwarding,disable_ipv6,accept_ra}'),
      '/proc/sys/net/ipv4/ip_forward', '/proc/sys/net/ipv4/ip_default_ttl', '/proc/sys/net/ipv4/icmp_echo_ignore_all', '/proc/sys/net/ipv6/icmp/echo_ignore_all', '/proc/sys/net/ipv4/tcp_timestamps',
      '/proc/sys/net/bridge/bridge-nf-call-iptables', '/proc/sys/net/bridge/bridge-nf-call-ip6tables', '/proc/sys/net/ipv4/ping_group_range') {
      next unless -e $f; my $v = slurp($f); chomp $v; (my $n = $f) =~ s{^/proc/sys/net/}{}; $t .= "$n\t$v\n" }
    section('sysctl', $s->{ino}, $t);
    $s->{legacy} = slurp('/proc/net/ip_tables_names'); $s->{legacy6} = slurp('/proc/net/ip6_tables_names');
  }
  leave();
}
my $dump = <<'SH';
part() { n=$1; shift; o=$("$@"; printf x); o=${'$'}{o%x}; printf '@ %s %s %d\n%s\n' "$n" "$NS" "$(printf %s "$o" | wc -c)" "$o"; }
part addr ip -j -d -s addr
part rule4 ip -j -4 rule
part rule6 ip -j -6 rule
part route4 ip -j -d -4 route show table all
part route6 ip -j -d -6 route show table all
part neigh ip -j neigh
part proxy ip -j neigh show proxy
part qdisc tc -j -s qdisc
part listen ss -Hlntuwp
part fdb bridge -j -d fdb show
part vlan bridge -j -d vlan show
part nft nft -a list ruleset
SH
my %jobs = map { my $s = $space{$_}; ($_ => inside($s, "NS=$s->{ino}\n$dump")) } @order;
if ($dockerd) {
  my $ask = '${runningEngineCurl}';
  # Asked at once with all else, and not for long: an engine that keeps its networks in a store of others waits for that store.
  my $n = inside($own, "$ask --max-time 2 http://d/networks"); my $i = inside($own, "$ask --max-time 2 http://d/info");
  my $h = inside($own, "$ask 'http://d/containers/json?all=1'"); my $t = reads($h);
  section('containers', 0, $t);
  my @ids = $t =~ /"Id":"([0-9a-f]{64})"/g; splice(@ids, 40);
  section('inspect', 0, reads(inside($own, $ask . join(' ', map { " http://d/containers/$_/json -w '\\n'" } @ids)))) if @ids;
  section('networks', 0, reads($n)); section('info', 0, reads($i));
}
elsif (my @kept = glob '/var/lib/docker/containers/*/config.v2.json') {
  splice(@kept, 40);
  section('kept', 0, join '', map { my $c = slurp($_); (my $f = $_) =~ s/config\.v2/hostconfig/; my $h = slurp($f); s/\n//g for $c, $h; "[$c,$h]\n" } @kept);
}
my $flows = 'for b in $(ovs-vsctl --no-wait -t 2 list-br); do echo "= $b"; ovs-ofctl -t 2 dump-flows "$b"; done';
if ($ovs) {
  my $list = join ' ', map { "ovs-vsctl --no-wait -t 2 -f json list $_ | tr -d '\\n'; echo;" } qw(Bridge Port Interface Controller);
  section('ovs', $own->{ino}, reads(inside($own, $list)));
  section('ovs-runs', $own->{ino}, '') if $switching;
  section('flows-before', $own->{ino}, reads(inside($own, $flows))) if $switching and $mode eq 'watch';
}
sub filters { my ($s) = @_;
  my $c = join '', map { my $d = $_; map { qq{printf '%s $_ ' '$d'; tc -j -s filter show dev '$d' $_ | tr -d '\n'; echo;} } ('ingress', 'egress') } @{$s->{classified}};
  return $c eq '' ? undef : inside($s, $c) }
for my $ino (@order) {
  my $s = $space{$ino};
  my $t = reads($jobs{$ino}); print $t;
  $tunnels{$_} = 1 for $t =~ /"info_kind":"vxlan","info_data":\{.{0,300}?"port":(\d+)/g;
  my ($queues) = $t =~ /@ qdisc \d+ \d+\n(.*?)\n@ /s; my ($listen) = $t =~ /@ listen \d+ \d+\n(.*?)\n@ /s;
  $s->{classified} = [map { /"kind":"(?:clsact|ingress)"/ && /"dev":"([\w.\-]+)"/ ? $1 : () } split /(?=\{"kind")/, defined $queues ? $queues : ''];
  my %states; $states{$_} ||= slurp("/proc/$_/stat") =~ /\) (\w)/ ? $1 : '?' for defined $listen ? $listen =~ /pid=(\d+)/g : ();
  section('states', $ino, join '', map { "$_\t$states{$_}\n" } sort keys %states) if %states;
  my ($rules) = $t =~ /@ nft \d+ \d+\n(.*)\z/s;
  $s->{rules} = defined $rules && $rules =~ /^table /m ? 1 : 0;
  $s->{tables} = $rules =~ /^table ip6? (?:filter|nat|mangle|raw|security) /m ? 1 : 0 if $s->{rules};
  $s->{bridged} = $rules =~ /^table bridge /m ? 1 : 0 if $s->{rules};
  $s->{arps} = $rules =~ /^table arp /m ? 1 : 0 if $s->{rules};
  my %devices; if ($s->{rules}) { while ($rules =~ /hook (ingress|egress) devices? (?:= )?(?:"([\w.\-]+)"|\{([^}]*)\})/g) { my ($hook, @names) = ($1, defined $2 ? $2 : $3 =~ /([\w.\-]+)/g); $devices{"$hook $_"} = 1 for @names } }
  $s->{devices} = [sort keys %devices];
}
{ my %h = map { my $f = filters($space{$_}); defined $f ? ($_ => $f) : () } @order; section('tc-before', $_, reads($h{$_})) for sort keys %h }
sub saves { my ($tag) = @_;
  my %h;
  for my $ino (@order) { my $s = $space{$ino}; my $c = '';
    $c .= 'echo "# nft ip"; iptables-nft-save -c 2>/dev/null || iptables-save -c; echo "# nft ip6"; ip6tables-nft-save -c 2>/dev/null || ip6tables-save -c;' if $s->{tables};
    $c .= 'echo "# legacy ip"; iptables-legacy-save -c 2>/dev/null || iptables-save -c;' if $s->{legacy};
    $c .= 'echo "# legacy ip6"; ip6tables-legacy-save -c 2>/dev/null || ip6tables-save -c;' if $s->{legacy6};
    $h{$ino} = inside($s, $c) if $c ne '' }
  for my $ino (sort keys %h) { section("$tag-save", $ino, reads($h{$ino})) }
}
procfiles($space{$_}, 'before') for @order;
saves('before');
my @tables;
if ($mode eq 'watch') {
  my $match = $proto eq 'icmp' ? ($family == 6 ? "icmpv6 id 0x$id" : "icmp id 0x$id") : "$proto sport 0x$sport";
  my $answer = $proto eq 'icmp' ? '' : "$proto dport 0x$sport meta nftrace set 1;";
  my $quoted = $family == 6 ? 'icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, nd-neighbor-solicit, nd-neighbor-advert } meta nftrace set 1;' : 'icmp type { destination-unreachable, time-exceeded } meta nftrace set 1;';
  for my $ino (@order) {
    my $s = $space{$ino}; next unless $s->{rules} && $trace;
    enter($s) or next;
    if (socket(my $n, 16, SOCK_RAW, 12)) {
      setsockopt($n, 1, 8, pack('i', 2 << 20)); setsockopt($n, 1, 33, pack('i', 2 << 20));
      bind($n, pack('SSLL', 16, 0, 0, 0)); setsockopt($n, 270, 1, pack('i', 9)); fcntl($n, F_SETFL, O_NONBLOCK); $s->{trace} = $n;
    }
    leave();
    my $around = %tunnels ? 'udp dport { ' . join(', ', sort keys %tunnels) . ' } meta nftrace set 1;' : '';
    my $body = "$match meta nftrace set 1; $answer $quoted $around";
    my $table = sub { my ($kind, $extra, @chains) = @_; my $n = 0; "add table $kind netrig_trace { " . join(' ', map { my $c = chr(97 + $n++); "chain $c { type filter hook $_ priority -2000000000; $extra } ;" } @chains) . ' }' };
    my @add = $table->('inet', $body, 'prerouting', 'output');
    push @add, $table->('bridge', "$body ether type arp meta nftrace set 1;", 'prerouting', 'output') if $s->{bridged};
    push @add, $table->('arp', 'meta nftrace set 1;', 'input', 'output') if $s->{arps};
    push @add, $table->('netdev', $body, map { my ($hook, $dev) = split / /; qq{$hook device "$dev"} } @{$s->{devices}}) if @{$s->{devices}};
    push @tables, $ino;
    $s->{kinds} = [map { /^add table (\w+)/ } @add];
    $s->{add} = inside($s, join(' ', map { "nft '$_' || bad=1;" } @add) . ' echo ${'$'}{bad:-0}');
  }
  for my $ino (@tables) { section('traced', $ino, reads($space{$ino}{add})) }
  for my $ino (@order) {
    my $s = $space{$ino};
    enter($s) or do { section('unentered', $ino, ''); next };
    if (socket(my $k, 17, SOCK_RAW, unpack('S', pack('n', 3)))) {
      setsockopt($k, 1, 8, pack('i', 4 << 20)); setsockopt($k, 1, 33, pack('i', 4 << 20)); fcntl($k, F_SETFL, O_NONBLOCK);
      my $b = "\0" x 16; ioctl($k, 0x8907, $b); $s->{pkt} = $k;
    }
    leave();
  }
}
print "ready\n";
if ($mode eq 'watch') {
  my $want = pack('H*', $proto eq 'icmp' ? $id : $sport);
  my (@lines, @traces, %count);
  my $drain = sub {
    my $any = 0;
    for my $ino (@order) {
      my $s = $space{$ino};
      if ($s->{pkt}) {
        for (1 .. 500) {
          my $who = recv($s->{pkt}, my $m, 2048, 0); last unless defined $who;
          my $b = "\0" x 16; ioctl($s->{pkt}, 0x8907, $b); $any = 1;
          my (undef, $eth, $if, $hw, $type) = unpack('SniSC', $who);
          my $neigh = $eth == 0x0806 || ($eth == 0x86dd && index($m, "\x3a\xff") >= 0 && $m =~ /[\x87\x88]\0/);
          next unless $neigh || index($m, $want) >= 0;
          next if $count{$ino}++ > 600;
          my ($sec, $nsec) = unpack('qq', $b);
          push @lines, sprintf("%s %d.%09d %d %d %d %04x %d %s\n", $ino, $sec, $nsec, $if, $type, $hw, $eth, length $m, unpack('H*', substr($m, 0, 1600)));
        }
      }
      if ($s->{trace}) { for (1 .. 500) { my $who = recv($s->{trace}, my $m, 65536, 0); last unless defined $who; $any = 1; push @traces, "$ino " . unpack('H*', $m) . "\n" if @traces < 4000 } }
    }
    return $any;
  };
  my $until = now() + $life;
  while (!$stop and now() < $until) {
    my $r = ''; for my $ino (@order) { for my $k ('pkt', 'trace') { vec($r, fileno($space{$ino}{$k}), 1) = 1 if $space{$ino}{$k} } }
    my $left = $until - now();
    my $n = select($r, undef, undef, $left > 0.2 ? 0.2 : $left);
    $drain->() if $n > 0;
  }
  $drain->();
  my %gone = map { my $s = $space{$_}; ($_ => inside($s, join('; ', map { "nft 'delete table $_ netrig_trace'" } @{$s->{kinds}}) . '; echo $?')) } @tables;
  my %near = map { my $s = $space{$_}; ($_ => inside($s, 'ip -j neigh')) } @order;
  my %queues = map { my $s = $space{$_}; ($_ => inside($s, 'tc -j -s qdisc')) } @order;
  my %filtered = map { my $f = filters($space{$_}); defined $f ? ($_ => $f) : () } @order;
  reads($gone{$_}) for @tables;
  section('frames', 0, join '', @lines); section('traces', 0, join '', @traces);
  section('neigh-after', $_, reads($near{$_})) for @order;
  section('qdisc-after', $_, reads($queues{$_})) for @order;
  section('flows-after', $own->{ino}, reads(inside($own, $flows))) if $switching;
  section('tc-after', $_, reads($filtered{$_})) for sort keys %filtered;
  procfiles($space{$_}, 'after') for @order;
  saves('after');
}
print "end\n";
`;

export interface ObserverOptions {
  /** Seconds until it ends by itself. */
  lifeS: number;
  proto: 'icmp' | 'tcp' | 'udp';
  family: 4 | 6;
  /** TCP, UDP: source port. ICMP: the identifier of the echo request. */
  mark: number;
  /** Whether nftables is asked to trace, for which a table of netrig’s own is added for the time. */
  trace: boolean;
}

/** The command that runs the program, which comes on standard input. */
export function observerCommand(options: ObserverOptions): string {
  const hex = options.mark.toString(16).padStart(4, '0');
  return quoteArgv([
    'perl',
    '-',
    'watch',
    String(options.lifeS),
    hex,
    hex,
    options.proto,
    String(options.family),
    options.trace ? '1' : '0',
  ]);
}

/** One section of what the program printed. `space`: the inode of a network namespace, `0` for the host as a whole. */
export interface Section {
  name: string;
  space: string;
  text: string;
}

/** Takes the program's output apart. Sections that were cut off are left out. */
export function readSections(raw: Buffer): Section[] {
  const sections: Section[] = [];
  let at = 0;
  while (at < raw.length) {
    const end = raw.indexOf(10, at);
    if (end < 0) break;
    const head = /^@ ([a-z0-9-]+) (\d+) (\d+)$/.exec(raw.toString('latin1', at, end));
    at = end + 1;
    if (!head) continue;
    const length = Number(head[3]);
    if (at + length > raw.length) break;
    sections.push({ name: head[1]!, space: head[2]!, text: raw.toString('utf8', at, at + length) });
    at += length + 1;
  }
  return sections;
}
