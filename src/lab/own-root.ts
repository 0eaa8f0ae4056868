import { spawnSync } from 'node:child_process';
import { NetrigError } from '../errors.js';

/**
 * In a chroot the kernel makes no user namespace (user_namespaces(7): EPERM), and what enters a mount namespace that was made
 * there comes out in the root of that namespace, not of the chroot (setns(2)): a container's process would be outside. So in a
 * chroot whatever makes namespaces begins in a mount namespace of its own whose root is the chroot's directory, by
 * pivot_root(2). Paths stay what they are, and the machine's own mounts are not touched.
 *
 * The arguments are the numbers of unshare, setns, mount, umount2 and pivot_root, then the command that takes the program's
 * place. `NETRIG_OWN_ROOT` tells that command what was done: `moved`, or `kept` where the root was right. It ends with a sentence on
 * standard error and status 71 in a chroot that it cannot make good, 70 where it cannot find out. open_tree is 428 and move_mount 429 on all 64-bit architectures.
 */
const program = String.raw`
use strict;
my ($unshare, $setns, $mount, $umount, $pivot) = map { $_ + 0 } splice(@ARGV, 0, 5);
my ($none, $slash, $dot) = ('', '/', '.');
my $status = 70;
sub failed { my ($what) = @_; print STDERR "$what: $!\n"; exit $status }
sub mounted {
  my ($handle) = @_;
  open(my $notes, '<', fileno($handle)) or failed('/proc/self/fdinfo');
  my ($id) = grep { /^mnt_id:/ } <$notes>;
  return join(' ', $id, (stat($handle))[1]);
}
syscall($unshare, 0x20000) == 0 or failed('a mount namespace');
open(my $about, '<', '/proc/self/fdinfo') or failed('/proc/self/fdinfo');
open(my $space, '<', '/proc/self/ns/mnt') or failed('/proc/self/ns/mnt');
open(my $root, '<', '/') or failed('/');
# Joining the namespace that one is in already leads out of a chroot.
syscall($setns, fileno($space), 0x20000) == 0 or failed('the root of the mount namespace');
open(my $top, '<', '/') or failed('/');
chdir($about) or failed('/proc/self/fdinfo');
$ENV{NETRIG_OWN_ROOT} = mounted($root) eq mounted($top) ? 'kept' : 'moved';
if ($ENV{NETRIG_OWN_ROOT} eq 'moved') {
  $status = 71;
  # Private first: nothing that follows may reach the machine's own mounts.
  syscall($mount, $none, $slash, $none, 0x44000, 0) == 0 or failed('private mounts');
  my $tree = syscall(428, fileno($root), $none, 0x89001);
  failed('a copy of the mounts of the chroot') if $tree < 0;
  syscall(429, $tree, $none, fileno($root), $none, 0x44) == 0 or failed('a mount of the chroot on itself');
  open(my $copy, '<&=', $tree) or failed('the root of the chroot');
  chdir($copy) or failed('the root of the chroot');
  syscall($pivot, $dot, $dot) == 0 or failed('pivot_root');
  syscall($umount, $dot, 2) == 0 or failed('umount of the root outside the chroot');
}
chdir('/') or failed('/');
exec { $ARGV[0] } @ARGV or failed($ARGV[0]);
`;

/** unshare, setns, mount, umount2, pivot_root: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h. */
const numbers: Partial<Record<NodeJS.Architecture, readonly string[]>> = {
  x64: ['272', '308', '165', '166', '155'],
  arm64: ['97', '268', '40', '39', '41'],
};

const inChroot = 71;

/** Whether this process is in a chroot, and if so whether that can be made good. */
export type OwnRoot =
  | { state: 'kept'; words: readonly [] }
  | { state: 'moved'; words: readonly string[] }
  | { state: 'stuck'; why: string };

function look(): OwnRoot {
  const calls = numbers[process.arch];
  if (process.getuid?.() !== 0 || !calls) return { state: 'kept', words: [] };
  const words = ['perl', '-e', program, '--', ...calls];
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/sbin:/sbin` };
  const show = ['/bin/sh', '-c', 'echo "$NETRIG_OWN_ROOT"'];
  const result = spawnSync(words[0]!, [...words.slice(1), ...show], { env, encoding: 'utf8', timeout: 10_000 });
  if (result.stdout?.trim() === 'moved') return { state: 'moved', words };
  if (result.status === inChroot) return { state: 'stuck', why: result.stderr.trim() };
  // Where even a mount namespace cannot be made, whoever makes the next one says so.
  return { state: 'kept', words: [] };
}

export const chrootMend =
  'Run netrig outside of the chroot, or where that tree is the root of a mount namespace, as in a container (pivot_root).';

let own: OwnRoot | undefined;

/** Looks once for each process. */
export function ownRoot(): OwnRoot {
  own ??= look();
  return own;
}

/**
 * The words before a command that makes namespaces of this machine; none where this process is in no chroot.
 *
 * Throws NETRIG_CAPABILITY in a chroot that cannot be made good.
 */
export function ownRootWords(root: OwnRoot = ownRoot()): readonly string[] {
  if (root.state !== 'stuck') return root.words;
  throw new NetrigError(
    'NETRIG_CAPABILITY',
    `netrig runs in a chroot, where no lab host is kept in, and cannot make the chroot the root of a mount namespace: ${root.why}.`,
    { hint: chrootMend },
  );
}
