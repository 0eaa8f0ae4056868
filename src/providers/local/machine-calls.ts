import { filterArguments } from './seccomp.js';

/**
 * Numbers of system calls by the kernel's tables, arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h:
 * the second is that of all architectures that came after it.
 */
const generic = {
  ...{ mount: 40, umount2: 39, pivot_root: 41, unshare: 97, setns: 268, prctl: 167, mknodat: 33 },
  ...{ setgroups: 159, setresgid: 149, setresuid: 147, capset: 91, sethostname: 161 },
};
const numbers: Partial<Record<NodeJS.Architecture, typeof generic>> = {
  x64: {
    ...{ mount: 165, umount2: 166, pivot_root: 155, unshare: 272, setns: 308, prctl: 157, mknodat: 259 },
    ...{ setgroups: 116, setresgid: 119, setresuid: 117, capset: 126, sethostname: 170 },
  },
  arm64: generic,
  riscv64: generic,
  loong64: generic,
};

function perlNumbers(architecture: NodeJS.Architecture): string {
  return Object.entries(numbers[architecture] ?? {})
    .map(([name, number]) => `${name} => ${number}`)
    .join(', ');
}

/**
 * System calls that make hosts, as one small program for perl, which is essential in Debian: a program of its own for each mount
 * and each device would take most of the time in which a host boots, and for some calls util-linux has none before 2.39
 * (idmapped mounts) and 2.40 (filters). Actions, in the order given, then a command that takes the program's place:
 *
 * - `join DIRECTORY`: into that cgroup. `try-join` goes on where that is not allowed.
 * - `bind USERNS SOURCE TARGET`: SOURCE, read-only, without devices, with its owners shifted by the map of the user namespace
 *   (mount_setattr(2)), bound to TARGET in this mount namespace. `-` for USERNS: with its owners as they are.
 * - `watch PID`: goes on in a child, which is killed when the process PID has ended; this one ends with the child.
 * - `filter NUMBER PROGRAM`: the system call filter of `seccomp.ts`, with SECCOMP_FILTER_FLAG_SPEC_ALLOW, as a filter must not
 *   cost hosts the speed that the machine has.
 * - `unshare FLAGS`, `enter FLAGS FILE`: new namespaces, or those of a file. `root`: as user and group 0, without further groups.
 * - `die`: is killed when its parent ends. Whatever changes the ids takes that back.
 * - `fork`: goes on in a child, which is killed when this one ends; this one closes descriptor 4 and ends as the child did.
 * - `mount TYPE SOURCE TARGET FLAGS DATA`, `umount FLAGS TARGET`, `pivot ROOT OLD`.
 * - `proc PIDNS TARGET`: a proc file system that shows the processes of that pid namespace.
 * - `users FIRST COUNT`: a user namespace in which 0 is the machine's id FIRST, and so on. It is `=` where a user namespace is asked
 *   for. It is made by that id, not by root: what the kernel counts for each user (inotify instances, keys, namespaces) is counted
 *   for the maker, so a host that uses its share up leaves that of root and of other hosts alone. CAP_SYS_ADMIN goes along because
 *   AppArmor, where it restricts user namespaces, asks for it; it is gone once the namespace is made.
 * - `back COUNT MOUNTS ROOT`: into the mount namespace and to the root of those descriptors; closes all that are given. `clear PATTERN`: unmounts all but those.
 * - `run COUNT WORDS`: a command. `errors`: they go where the output goes. `hostname NAME`.
 * - `made`: tells descriptor 3 this process's pid. `addresses IP TAR`: reads lines for `ip -batch`, then `go`, or `files` and an
 *   archive of files; then tells descriptor 3 `ready`.
 * - `serve COUNT WORDS`: begins a command whose input and output are descriptor 4, and has an environment of its own.
 * - `streams output`, `streams none`: what follows has no input and no descriptors 3 and 4; with `none`, no output, too.
 * - `reap`: what follows ignores SIGCHLD, with which the kernel reaps its children (sigaction(2)).
 * - `environment COUNT WORDS`: what follows has this one and no other.
 * - `cd`, `rmdir`, `remove`, `touch PATH`; `mkdirs MODE PATH`; `own ID PATH`; `pipe MODE PATH`; `write MODE TEXT PATH`; `mkdir MODE PATH`, `node MODE MAJOR MINOR PATH`, `link TARGET PATH`.
 * - `secret MODE VARIABLE PATH`: a file with the text of an environment variable: arguments can be read by everybody on a machine,
 *   and some files are keys. `forget`: what follows has no variable that begins with `NETRIG_`.
 *
 * It ends with status 70 and a sentence on standard error when one of them fails. Numbers from 424 on are the same on all
 * 64-bit architectures (include/uapi/asm-generic/unistd.h): open_tree 428, move_mount 429, pidfd_open 434, mount_setattr 442.
 */
const program = String.raw`
my $none = '';
my %number = (${perlNumbers(process.arch)});
sub failed { my ($what) = @_; print STDERR "$what: $!\n"; exit 70 }
sub words { splice(@ARGV, 0, shift) }
sub make {
  my ($what, $name, @words) = @_;
  # ENOSYS
  if (!$number{$name}) { $! = 38; failed("$what: the number of $name is not known here") }
  syscall($number{$name}, @words) >= 0 or failed($what);
}
sub die_with_parent { make('a signal at the end of the parent', 'prctl', 1, 9, 0, 0, 0) }
my $users;
sub namespace {
  my ($path) = @_;
  return $users if $path eq '=';
  open(my $namespace, '<', $path) or failed($path);
  return $namespace;
}
sub enter {
  my ($flags, $path) = @_;
  make("entering $path", 'setns', fileno(namespace($path)), $flags + 0);
}
sub ran {
  my $child = fork();
  failed('fork') if !defined $child;
  if (!$child) { exec { $_[0] } @_ or failed($_[0]) }
  waitpid($child, 0);
  exit($? >> 8 || 70) if $?;
}
# Its own word counts: it may end well without having read everything, which perl's close of a pipe takes for a failure.
sub fed {
  my ($text, @words) = @_;
  pipe(my $read, my $write) or failed('pipe');
  my $child = fork();
  failed('fork') if !defined $child;
  if (!$child) {
    open(STDIN, '<&', $read) or failed('standard input');
    exec { $words[0] } @words or failed($words[0]);
  }
  close($read);
  local $SIG{PIPE} = 'IGNORE';
  print {$write} $text;
  close($write);
  waitpid($child, 0);
  exit($? >> 8 || 70) if $?;
}
sub told {
  # A copy that is closed at once: what follows has the descriptor, or not, as it is told.
  open(my $holder, '>&', 3) or failed('descriptor 3');
  syswrite($holder, "$_[0]\n");
}
sub mounted {
  my ($type, $source, $target, $flags, $data) = @_;
  make("mount of $source on $target", 'mount', $source, $target, $type, $flags + 0, $data);
}
sub ended_as {
  my ($child) = @_;
  waitpid($child, 0);
  # As the child did, be it by a signal.
  kill($? & 127, $$) if $? & 127;
  exit($? & 127 ? 128 + ($? & 127) : $? >> 8);
}
my %act = (
  join => sub { my ($directory) = words(1); joined($directory) or failed("joining $directory") },
  'try-join' => sub { joined(shift @ARGV) },
  bind => sub {
    my ($owners, $source, $target) = words(3);
    my ($flags, $users_number, $namespace) = (1 | 4, 0);
    if ($owners ne '-') {
      $namespace = namespace($owners);
      ($flags, $users_number) = ($flags | 0x100000, fileno($namespace));
    }
    my $tree = syscall(428, -100, $source, 0x80001);
    failed("open_tree $source") if $tree < 0;
    my $attributes = pack('Q4', $flags, 0, 0, $users_number);
    failed("a read-only mount of $source") if syscall(442, $tree, $none, 0x1000, $attributes, 32) < 0;
    failed("move_mount $target") if syscall(429, $tree, $none, -100, $target, 4) < 0;
  },
  watch => sub {
    my $watched = syscall(434, shift(@ARGV) + 0, 0);
    failed('pidfd_open') if $watched < 0;
    my $child = fork();
    failed('fork') if !defined $child;
    return if $child == 0;
    my $own = syscall(434, $child, 0);
    failed('pidfd_open') if $own < 0;
    my $ready = '';
    vec($ready, $_, 1) = 1 for ($watched, $own);
    select($ready, undef, undef, undef);
    kill('KILL', $child);
    waitpid($child, 0);
    exit($? >> 8);
  },
  filter => sub {
    my ($number, $code) = (shift @ARGV, pack('H*', shift @ARGV));
    my $filter = pack('S x6 P', length($code) / 8, $code);
    failed('the system call filter') if syscall($number + 0, 1, 4, $filter) < 0;
  },
  users => sub {
    my ($first, $count) = map { $_ + 0 } words(2);
    pipe(my $is_made, my $made) && pipe(my $may_end, my $end) or failed('pipe');
    my $child = fork();
    failed('fork') if !defined $child;
    if (!$child) {
      close($end);
      make('PR_SET_KEEPCAPS', 'prctl', 8, 1, 0, 0, 0);
      make('no further groups', 'setgroups', 0, 0);
      make("group $first", 'setresgid', $first, $first, $first);
      make("user $first", 'setresuid', $first, $first, $first);
      # Version 3; effective, permitted and inheritable, of 64 bits each: CAP_SYS_ADMIN.
      my ($header, $sets) = (pack('L l', 0x20080522, 0), pack('L6', 1 << 21, 1 << 21, 0, 0, 0, 0));
      make('capset', 'capset', $header, $sets);
      make('a user namespace', 'unshare', 0x10000000);
      syswrite($made, '.');
      sysread($may_end, my $nothing, 1);
      exit 0;
    }
    close($made);
    if (!sysread($is_made, my $dot, 1)) { waitpid($child, 0); exit 70 }
    for my $map ('uid_map', 'gid_map') {
      open(my $file, '>', "/proc/$child/$map") or failed($map);
      syswrite($file, "0 $first $count") or failed($map);
    }
    open($users, '<', "/proc/$child/ns/user") or failed('the user namespace');
    close($end);
    waitpid($child, 0);
  },
  unshare => sub { make('new namespaces', 'unshare', shift(@ARGV) + 0) },
  enter => sub { enter(words(2)) },
  root => sub {
    make('no further groups', 'setgroups', 0, 0);
    make('group 0', 'setresgid', 0, 0, 0);
    make('user 0', 'setresuid', 0, 0, 0);
  },
  die => \&die_with_parent,
  fork => sub {
    my $child = fork();
    failed('fork') if !defined $child;
    if ($child) { drop(4); ended_as($child) }
    die_with_parent();
  },
  mount => sub { mounted(words(5)) },
  umount => sub { my ($flags, $target) = words(2); make("umount $target", 'umount2', $target, $flags + 0) },
  pivot => sub { my ($root, $old) = words(2); make('pivot_root', 'pivot_root', $root, $old) },
  proc => sub {
    my ($space, $target) = words(2);
    my $child = fork();
    failed('fork') if !defined $child;
    if (!$child) {
      enter(0x20000000, $space);
      # Only what is made after that is in it.
      my $inside = fork();
      failed('fork') if !defined $inside;
      ended_as($inside) if $inside;
      mounted('proc', 'proc', $target, 2 | 4 | 8, $none);
      exit 0;
    }
    waitpid($child, 0);
    exit($? >> 8 || 70) if $?;
  },
  cd => sub { my ($path) = words(1); chdir($path) or failed($path) },
  rmdir => sub { my ($path) = words(1); rmdir($path) or failed($path) },
  mkdir => sub { my ($mode, $path) = words(2); mkdir($path) && chmod(oct($mode), $path) or failed($path) },
  node => sub {
    my ($mode, $major, $minor, $path) = words(4);
    make($path, 'mknodat', -100, $path, 0020000, $major * 256 + $minor);
    chmod(oct($mode), $path) or failed($path);
  },
  pipe => sub { my ($mode, $path) = words(2); make($path, 'mknodat', -100, $path, 0010000 | oct($mode), 0) },
  mkdirs => sub {
    my ($mode, $path) = words(2);
    for (my $at = index($path, '/', 1); $at > 0; $at = index($path, '/', $at + 1)) { mkdir(substr($path, 0, $at)) }
    return if -d $path;
    mkdir($path) && chmod(oct($mode), $path) or failed($path);
  },
  own => sub { my ($id, $path) = words(2); chown($id, $id, $path) or failed($path) },
  remove => sub { my ($path) = words(1); unlink($path) or $! == 2 or failed($path) },
  write => sub { my ($mode, $text, $path) = words(3); written(oct($mode), $text, $path) },
  secret => sub { my ($mode, $variable, $path) = words(3); written(oct($mode), $ENV{$variable}, $path) },
  touch => sub { my ($path) = words(1); open(my $file, '>>', $path) or failed($path) },
  hostname => sub { my ($name) = words(1); make('the host name', 'sethostname', $name, length($name)) },
  clear => sub {
    my ($kept) = words(1);
    open(my $mounts, '<', 'proc/self/mountinfo') or failed('proc/self/mountinfo');
    my @targets = map { (split / /)[4] } <$mounts>;
    close($mounts);
    for my $target (reverse @targets) {
      # Blanks are octal codes.
      $target =~ s/\\([0-7]{3})/chr(oct($1))/ge;
      syscall($number{umount2}, $target, 2) if $target !~ /^(?:$kept)$/;
    }
  },
  back => sub {
    my @kept = words(shift @ARGV);
    my ($space, $tree) = map { open(my $handle, '<', "/proc/self/fd/$_") or failed("descriptor $_"); $handle } @kept[0, 1];
    make('its mounts', 'setns', fileno($space), 0x20000);
    chdir($tree) && chroot('.') or failed('its root');
    for my $number (@kept) { drop($number) }
  },
  errors => sub { open(STDERR, '>&', \*STDOUT) or failed('standard error') },
  made => sub {
    # proc is still the machine's: it has this process under the pid by which the machine knows it.
    my ($pid) = split / /, readlink('/proc/self');
    told("made $pid");
  },
  run => sub { ran(words(shift @ARGV)) },
  addresses => sub {
    my ($ip, $tar) = words(2);
    my ($line, $text) = ('', '');
    for (;;) {
      # Byte by byte: what comes after these lines is not for us.
      if (!sysread(STDIN, my $byte, 1)) { print STDERR "the holder ended\n"; exit 70 }
      elsif ($byte ne "\n") { $line .= $byte }
      elsif ($line eq 'go' || $line eq 'files') { last }
      else { $text .= "$line\n"; $line = '' }
    }
    # What the lab brings along, before anything of the host runs.
    ran($tar, qw(--extract --same-permissions --numeric-owner --no-overwrite-dir --keep-directory-symlink --directory=/ --file=-)) if $line eq 'files';
    fed($text, $ip, '-batch', '-');
    told('ready');
  },
  streams => sub {
    my ($which) = words(1);
    open(STDIN, '<', '/dev/null') or failed('/dev/null');
    if ($which eq 'none') { open(STDOUT, '>', '/dev/null') && open(STDERR, '>', '/dev/null') or failed('/dev/null') }
    drop(3);
    drop(4);
  },
  serve => sub {
    my @words = words(shift @ARGV);
    my $child = fork();
    failed('fork') if !defined $child;
    if (!$child) {
      open(STDIN, '<&', 4) && open(STDOUT, '>&', 4) or failed('descriptor 4');
      drop(3);
      drop(4);
      %ENV = (PATH => '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin');
      exec { $words[0] } @words or failed($words[0]);
    }
    drop(4);
  },
  reap => sub { $SIG{CHLD} = 'IGNORE' },
  environment => sub { %ENV = map { split(/=/, $_, 2) } words(shift @ARGV) },
  forget => sub { delete @ENV{grep { /^NETRIG_/ } keys %ENV} },
  link => sub { my ($target, $path) = words(2); symlink($target, $path) or failed($path) },
);
sub drop {
  my ($number) = @_;
  open(my $handle, '<&=', $number) or return;
  close($handle);
}
sub joined {
  my ($directory) = @_;
  open(my $tasks, '>', "$directory/cgroup.procs") or return 0;
  return syswrite($tasks, '0');
}
sub written {
  my ($mode, $text, $path) = @_;
  umask(0777 & ~$mode);
  open(my $file, '>', $path) or failed($path);
  umask(0022);
  (print {$file} $text) && close($file) or failed($path);
}
umask(0022);
while (defined(my $action = shift @ARGV)) {
  last if $action eq '--';
  if (!$act{$action}) { print STDERR "no such action: $action\n"; exit 70 }
  $act{$action}->();
}
exec { $ARGV[0] } @ARGV or failed($ARGV[0]);
`;

/** The words that run the program, up to its first action. */
export const machineCalls = ['perl', '-e', program, '--'] as const;

/** The action that sets the filter; nothing on an architecture that it is not written down for. */
export function filterAction(): string[] {
  const words = filterArguments();
  return words ? ['filter', ...words] : [];
}

/** Flags of mount(2), of which the rest of a mount's options is for the file system; include/uapi/linux/mount.h. */
const mountFlags: Readonly<Record<string, number>> = {
  ro: 1,
  nosuid: 2,
  nodev: 4,
  noexec: 8,
  remount: 32,
  bind: 4096,
  rbind: 4096 | 16384,
  private: 1 << 18,
  rprivate: (1 << 18) | 16384,
};

/** The action of a mount with the options of mount(8). */
export function mountAction(type: string, source: string, target: string, options = ''): string[] {
  const words = options.split(',').filter((word) => word !== '');
  const flags = words.reduce((sum, word) => sum | (mountFlags[word] ?? 0), 0);
  const data = words.filter((word) => mountFlags[word] === undefined).join(',');
  return ['mount', type, source, target, String(flags), data];
}

/** Flags of unshare(2) and setns(2); include/uapi/linux/sched.h. */
export const namespaceFlags = {
  mount: 0x20000,
  cgroup: 0x2000000,
  uts: 0x4000000,
  ipc: 0x8000000,
  user: 0x10000000,
  pid: 0x20000000,
  net: 0x40000000,
} as const;

/** The actions after which this process has namespaces of those kinds of its own; with one of mounts, what is mounted there stays there. */
export function unshareActions(...kinds: readonly (keyof typeof namespaceFlags)[]): string[] {
  const flags = kinds.reduce((sum, kind) => sum | namespaceFlags[kind], 0);
  const apart = kinds.includes('mount') ? mountAction('', '', '/', 'rprivate') : [];
  return ['unshare', String(flags), ...apart];
}

/** The action that enters the namespace of that kind of a process of the machine. */
export function enterAction(kind: keyof typeof namespaceFlags, file: string): string[] {
  return ['enter', String(namespaceFlags[kind]), file];
}

/** The flag of `umount` for what is in use still: MNT_DETACH. */
export const detach = '2';

/** The action that runs a command to its end, which must be a good one. */
export const runAction = (...words: readonly string[]): string[] => ['run', String(words.length), ...words];
