/**
 * What root of a lab host might try on the machine and on other labs, as one program for the host's perl: a line for each
 * attempt, `NAME | reached: …` or `NAME | refused: …`.
 *
 * Those of `harmless` change nothing where they succeed: they write back the value they read, and open without writing. They
 * are tried without isolation, too, to show that a line can say "reached". The others are for isolated hosts alone. Numbers of
 * system calls are those of x86-64.
 */
const frame = String.raw`
use strict;
$| = 1;
my $none = '';
sub attempt {
  my ($name, $code) = @_;
  my $seen = eval { $code->() };
  my $why = $@;
  $why =~ s/ at \S+ line.*//s;
  print "$name | ", defined $seen ? "reached: $seen" : "refused: $why", "\n";
}
sub slurp { my ($file) = @_; open(my $in, '<', $file) or die "$!"; local $/; my $text = <$in>; defined $text or die "$!"; chomp $text; $text }
sub write_back { my ($file) = @_; my $text = slurp($file); $text = $1 if $text =~ /\[(\w+)\]/; open(my $out, '>', $file) or die "$!"; syswrite($out, "$text\n") or die "$!"; "wrote $text back" }
sub call { my $result = syscall(shift, @_); $result < 0 and die "$!"; $result }
sub run { my $said = qx{($_[0]) 2>&1}; chomp $said; $? and die(($said =~ /([^\n]*)$/)[0] || "exit status $?"); $said }
sub device { my ($numbers) = @_; my $path = "/x/device"; unlink $path; run("mknod $path $numbers"); open(my $in, '<', $path) or die "$!"; "opened $numbers" }
mkdir '/x'; mkdir '/x/mount';
sub mounted { my ($type, $source, $code) = @_; run("mount -t $type $source /x/mount"); my $seen = eval { $code->() }; my $why = $@; system('umount -l /x/mount'); defined $seen or die $why; $seen }
`;

const harmless = String.raw`
attempt 'kernel log: read', sub { my $room = ' ' x 65536; call(103, 3, $room, 65536) . ' bytes' };
attempt 'kernel log: its device', sub { device('c 1 11') };
attempt 'memory of the machine: its device', sub { run('mknod /x/mem c 1 1'); 'made' };
attempt 'loop device', sub { run('mknod /x/loop b 7 0'); 'made' };
attempt 'sysctl kernel.core_pattern', sub { mounted('proc', 'proc', sub { write_back('/x/mount/sys/kernel/core_pattern') }) };
attempt 'sysctl fs.file-max', sub { mounted('proc', 'proc', sub { write_back('/x/mount/sys/fs/file-max') }) };
attempt 'sysctl vm.overcommit_memory', sub { mounted('proc', 'proc', sub { write_back('/x/mount/sys/vm/overcommit_memory') }) };
attempt 'sysfs: huge pages', sub { mounted('sysfs', 'sysfs', sub { write_back('/x/mount/kernel/mm/transparent_hugepage/enabled') }) };
attempt 'bpf: programs of the machine', sub { my $given = pack('L4 x100', 0, 0, 0, 0); my $got = syscall(321, 11, $given, 16); $got < 0 && $!{ENOENT} or $got >= 0 or die "$!"; 'listed' };
attempt 'perf: the whole machine', sub { my $given = pack('LLQQQQ', 1, 112, 0, 0, 0, 0) . ("\0" x 72); call(298, $given, -1, 0, -1, 0); 'opened' };
attempt 'priority above others', sub { call(141, 0, 0, -20); 'taken' };
attempt 'another network namespace, by its handle', sub {
  # From Linux 6.18 on a namespace has a file handle; that of the first network namespace is a constant.
  my $handle = pack('Ll', 16, 0xf1) . pack('QLL', 3, 0x40000000, 4026531833);
  call(304, -10003, $handle, 0); 'opened' };
attempt 'own limit of processes', sub { my ($file) = grep { -e } map { "$_/pids.max" } '/sys/fs/cgroup/pids', '/sys/fs/cgroup'; $file or die 'no such file'; write_back($file) };
attempt 'own limit of memory', sub { my ($file) = grep { -e } '/sys/fs/cgroup/memory/memory.limit_in_bytes', '/sys/fs/cgroup/memory.max'; $file or die 'no such file'; write_back($file) };
attempt 'vsock', sub { call(41, 40, 1, 0); 'a socket' };
attempt 'system calls of 32 bits', sub {
  # getpid(2) by its number for 32-bit programs, 20: machine code in memory of its own, whose answer lies behind it.
  my $at = call(9, 0, 4096, 7, 0x22, -1, 0);
  my $code = "\xb8\x14\0\0\0" . "\xcd\x80" . "\x48\xba" . pack('Q', $at + 2048) . "\x89\x02" . "\xc3";
  open(my $memory, '+<', '/proc/self/mem') or die "$!";
  sysseek($memory, $at, 0);
  syswrite($memory, $code) or die "$!";
  my $child = open(my $said, '-|') // die "$!";
  if (!$child) {
    DynaLoader::dl_install_xsub('main::old_call', $at);
    eval { old_call() };
    my $got = unpack('l', unpack('P4', pack('Q', $at + 2048)));
    print $got == $$ ? 'done' : $got;
    exit;
  }
  my $got = <$said> // 'killed';
  $got eq 'done' or die "errno $got"; 'getpid' };
attempt 'io_uring', sub { my $given = "\0" x 120; call(425, 4, $given); 'a ring' };
`;

const forIsolated = String.raw`
my $secret = $ENV{SECRET};
attempt 'disk of the machine: its device', sub { device("b $ENV{DISK}") };
attempt 'disk of the machine: mounted', sub { run("mknod /x/disk b $ENV{DISK}"); mounted($ENV{DISK_TYPE}, '-o ro /x/disk', sub { slurp("/x/mount$secret") }) };
attempt 'file of the machine, by its path', sub { slurp($secret) };
attempt 'file of the machine, by PID 1 of its own', sub { slurp("/proc/1/root$secret") };
attempt 'memory of the machine: read', sub { device('c 1 1') };
attempt 'memory of the machine: kcore', sub { open(my $in, '<', '/proc/kcore') or die "$!"; sysread($in, my $text, 16) or die "$!"; 'read' };
attempt 'ports of the machine', sub { call(173, 0x80, 1, 1); 'open' };
attempt 'a module', sub { call(175, $none, 0, $none); 'loaded' };
attempt 'clock: set', sub { my $zone = pack('ll', 0, 0); call(164, 0, $zone); 'set' };
attempt 'clock: tuned', sub { my $now = pack('L x204'); call(159, $now); my $tuned = pack('L x204', 0x4000); substr($tuned, 88, 8) = substr($now, 88, 8); call(159, $tuned); 'tuned' };
attempt 'sysrq', sub { open(my $out, '>', '/proc/sysrq-trigger') or die "$!"; 'open for writing' };
attempt 'processes of the machine', sub { my ($pid) = grep { -e "/proc/$_/cmdline" && slurp("/proc/$_/cmdline") =~ /m[o]cha/ } map { m{(\d+)} } glob '/proc/[0-9]*'; $pid or die 'not in sight'; "in sight: $pid" };
attempt 'file systems of the machine, by inode', sub {
  my @disks = grep { $_->[1] =~ /^(?:ext4|btrfs|xfs) / } map { my ($mount, $type) = split ' - '; [(split ' ', $mount)[4], $type] } split /\n/, slurp('/proc/self/mountinfo');
  @disks or die 'none is mounted here';
  opendir(my $directory, $disks[0][0]) or die "$!";
  my $handle = pack('Ll', 8, 1) . pack('LL', 2, 0);
  call(304, fileno($directory), $handle, 0); 'opened' };
attempt 'image: made writable', sub {
  my @lower = grep { m{/overlay2/.*/diff$} } map { (split ' ')[4] } split /\n/, slurp('/proc/self/mountinfo');
  @lower or die 'no layer is bound here';
  run("mount -o remount,bind,rw $lower[0]"); 'remounted' };
attempt 'image: the mount of the root file system taken away', sub { run('umount -l /dev/null'); my $under = slurp('/proc/self/mountinfo'); $under =~ m{ /dev/null } ? 'still there' : die 'only its own went' };
attempt 'keyring of the machine’s root', sub { my ($type, $name) = ("user\0", "netrig-attack\0"); my $id = call(250, 10, -4, $type, $name, 0); my $text = ' ' x 64; my $size = call(250, 11, $id, $text, 64); substr($text, 0, $size) };
attempt 'abstract socket of the machine', sub { my $fd = call(41, 1, 1, 0); my $address = pack('S', 1) . "\0netrig-attack"; call(42, $fd, $address, length $address); 'connected' };
attempt 'interfaces of the machine', sub { my @more = grep { !/^(?:lo|eth\d+|docker0|veth\w+)$/ } map { m{([^/]+)$} } glob '/sys/class/net/*'; @more or die 'only its own'; "@more" };
attempt 'cgroup: devices allowed', sub { my $file = '/sys/fs/cgroup/devices/devices.allow'; open(my $out, '>', $file) or die "$!"; syswrite($out, "a\n") or die "$!"; 'written' };
attempt 'cgroup: an agent on release', sub { my ($file) = grep { -e } map { "$_/release_agent" } glob '/sys/fs/cgroup/*'; $file or die 'no such file'; write_back($file) };
attempt 'cgroup: the groups above', sub { run('unshare -C sh -c "mount -t cgroup -o pids c /x/mount && test -e /x/mount/netrig*"'); 'in sight' };
attempt 'own limit of open files', sub { my $limit = pack('QQ', 1 << 30, 1 << 30); call(160, 7, $limit); 'raised' };
`;

/** The whole program; `all` for isolated hosts, or the harmless part and those named, which open and ask, for others. */
export function attackProgram(which: 'harmless' | 'all' | readonly string[]): string {
  const [before = '', ...more] = forIsolated.split(/^(?=attempt )/m);
  const chosen = more.filter(
    (text) => which === 'all' || (which !== 'harmless' && which.some((name) => text.startsWith(`attempt '${name}'`))),
  );
  // "Errno" names the errors for %!.
  return `use Errno; use DynaLoader; ${frame}${harmless}${before}${chosen.join('')}`;
}

/** Whatever a host can use up, each until it is refused or 100 000 are had; how many that were. */
export const exhaustProgram = String.raw`
use strict;
$| = 1;
sub until_refused { my ($name, $code) = @_; my $count = 0; $count += 1 while $count < 100_000 && $code->($count); print "$name | $count ($!)\n" }
my @held;
until_refused('inotify', sub { my $fd = syscall(253); push @held, $fd; $fd >= 0 });
until_refused('files', sub { open(my $in, '<', '/dev/null') or return 0; push @held, $in; 1 });
@held = ();
# Keys, in a keyring of this process: each counts for the user.
until_refused('keys', sub { my ($type, $name, $text) = ("user\0", "k$_[0]\0", 'x' x 100); syscall(248, $type, $name, $text, 100, -2) >= 0 });
# Sockets take descriptors, too, and memory of the kernel beside them.
until_refused('sockets', sub { my $fd = syscall(41, 1, 1, 0); push @held, $fd; $fd >= 0 });
syscall(3, $_) for @held;
@held = ();
# A datagram to each address of a network that nobody is on: each is looked for, and takes a place in the neighbour table.
# From many ports, they are tracked connections, where the host's rules look at those.
system('ip address add 10.99.0.1/16 dev eth0; iptables -I OUTPUT -m conntrack --ctstate INVALID -j DROP');
my $sent = sub { socket(my $udp, 2, 2, 0); defined send($udp, 'x', 0x40, pack('S n C4 x8', 2, 9, 10, 99, 1 + int($_[0] / 250), 1 + $_[0] % 250)) };
my ($neighbours, $refused) = (0, 0);
for my $count (0 .. 1999) { $sent->($count) ? $neighbours++ : $refused++ }
print "neighbours | $neighbours ($refused refused)\n";
my ($tracked) = (0);
for my $port (1024 .. 21023) { my $one; socket($one, 2, 2, 0); bind($one, pack('S n C4 x8', 2, $port, 127, 0, 0, 1)); $tracked++ if defined send($one, 'x', 0x40, pack('S n C4 x8', 2, 9, 127, 0, 0, 1)); close $one }
print "connections | $tracked (", (qx{cat /proc/sys/net/netfilter/nf_conntrack_count} =~ /(\d+)/)[0] // 'unknown', " tracked)\n";
system('iptables -D OUTPUT 1; ip address del 10.99.0.1/16 dev eth0');
until_refused('processes', sub { my $pid = fork; defined $pid or return 0; $pid or do { sleep 2; exit }; 1 });
1 while wait > 0;
`;

/** The lines of either program, by name. */
export function linesOf(stdout: string): Map<string, string> {
  return new Map(
    stdout.split('\n').flatMap((line) => {
      const [name, ...rest] = line.split(' | ');
      return rest.length > 0 ? [[name!, rest.join(' | ')] as const] : [];
    }),
  );
}
