import { filterArguments } from './seccomp.js';

/**
 * System calls for which util-linux has no program before 2.39 (idmapped mounts) and 2.40 (filters), as one small program for
 * perl, which is essential in Debian. Actions, in the order given, then a command that takes the program's place:
 *
 * - `join DIRECTORY`: into that cgroup. `try-join` goes on where that is not allowed.
 * - `bind USERNS SOURCE TARGET`: SOURCE, read-only, without devices, with its owners shifted by the map of the user namespace
 *   (mount_setattr(2)), bound to TARGET in this mount namespace. `-` for USERNS: with its owners as they are.
 * - `watch PID`: goes on in a child, which is killed when the process PID has ended; this one ends with the child.
 * - `filter NUMBER PROGRAM`: the system call filter of `seccomp.ts`, with SECCOMP_FILTER_FLAG_SPEC_ALLOW, as a filter must not
 *   cost hosts the speed that the machine has.
 *
 * It ends with status 70 and a sentence on standard error when one of them fails. Numbers from 424 on are the same on all
 * 64-bit architectures (include/uapi/asm-generic/unistd.h): open_tree 428, move_mount 429, pidfd_open 434, mount_setattr 442.
 */
const program = String.raw`
use strict;
my $none = '';
sub failed { my ($what) = @_; print STDERR "$what: $!\n"; exit 70 }
while (defined(my $action = shift)) {
  last if $action eq '--';
  if ($action eq 'join' || $action eq 'try-join') {
    my $directory = shift;
    my $tasks;
    my $joined = open($tasks, '>', "$directory/cgroup.procs") && syswrite($tasks, "0");
    failed("joining $directory") if !$joined && $action eq 'join';
  } elsif ($action eq 'bind') {
    my ($users, $source, $target) = (shift, shift, shift);
    my ($flags, $number, $namespace) = (1 | 4, 0);
    if ($users ne '-') {
      open($namespace, '<', $users) or failed($users);
      ($flags, $number) = ($flags | 0x100000, fileno($namespace));
    }
    my $tree = syscall(428, -100, $source, 0x80001);
    failed("open_tree $source") if $tree < 0;
    my $attributes = pack('Q4', $flags, 0, 0, $number);
    failed("a read-only mount of $source") if syscall(442, $tree, $none, 0x1000, $attributes, 32) < 0;
    failed("move_mount $target") if syscall(429, $tree, $none, -100, $target, 4) < 0;
  } elsif ($action eq 'watch') {
    my $watched = syscall(434, shift(@ARGV) + 0, 0);
    failed('pidfd_open') if $watched < 0;
    my $child = fork();
    failed('fork') if !defined $child;
    next if $child == 0;
    my $own = syscall(434, $child, 0);
    failed('pidfd_open') if $own < 0;
    my $ended = '';
    vec($ended, $_, 1) = 1 for ($watched, $own);
    select($ended, undef, undef, undef);
    kill('KILL', $child);
    waitpid($child, 0);
    exit($? >> 8);
  } elsif ($action eq 'filter') {
    my ($number, $code) = (shift, pack('H*', shift));
    my $filter = pack('S x6 P', length($code) / 8, $code);
    failed('the system call filter') if syscall($number + 0, 1, 4, $filter) < 0;
  } else {
    print STDERR "no such action: $action\n";
    exit 70;
  }
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
