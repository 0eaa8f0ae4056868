import { join } from 'node:path';
import { requireSuccess } from './container-image-build.js';
import { runCommand, type BuildCommandOptions } from './build-command.js';

/**
 * Raises all owners below some directories by one: without root of the machine, a tree is made by root of the outer namespace,
 * 0, and a host's ids begin at 1 there. Changing an owner takes set-id bits and file capabilities away (chown(2)); they are put
 * back, the latter as those of the hosts' root: `struct vfs_ns_cap_data` of linux/capability.h, revision 3.
 *
 * Numbers of lgetxattr(2) and lsetxattr(2) are given, as perl-base has no module for them.
 */
const program = String.raw`
use strict;
my ($get, $set, $chown) = (shift, shift, shift);
my $name = "security.capability";
my %done;
sub raise {
  my ($path) = @_;
  my @about = lstat($path) or die "$path: $!\n";
  my ($device, $inode, $mode, $links, $user, $group) = @about;
  if (-d _) {
    opendir(my $directory, $path) or die "$path: $!\n";
    raise("$path/$_") for grep { $_ ne '.' && $_ ne '..' } readdir $directory;
    closedir $directory;
  } elsif ($links > 1) {
    return if $done{$inode}++;
  }
  my $link = ($mode & 0170000) == 0120000;
  my $capability = "\0" x 64;
  my $size = ($mode & 0170000) == 0100000 ? syscall($get + 0, $path, $name, $capability, 64) : -1;
  if ($link) {
    syscall($chown + 0, -100, $path, $user + 1, $group + 1, 0x100) == 0 or die "$path: $!\n";
  } else {
    chown($user + 1, $group + 1, $path) or die "$path: $!\n";
    if ($mode & 06000) { chmod($mode & 07777, $path) or die "$path: $!\n" }
  }
  if ($size >= 20) {
    my ($magic, @words) = unpack('V5', $capability);
    my $value = pack('V6', 0x03000000 | ($magic & 1), @words, 1);
    syscall($set + 0, $path, $name, $value, length $value, 0) == 0 or die "the capabilities of $path: $!\n";
  }
}
raise($_) for @ARGV;
`;

/** lgetxattr, lsetxattr, fchownat: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h. */
const numbers: Partial<Record<NodeJS.Architecture, readonly string[]>> = {
  x64: ['192', '189', '260'],
  arm64: ['9', '6', '54'],
};

/** Gives what was built in some directories of an image to the hosts that are made of it. Throws `BuildStepFailure`. */
export async function giveToHosts(
  directory: string,
  names: readonly string[],
  context: BuildCommandOptions,
): Promise<void> {
  const calls = numbers[process.arch];
  if (!calls) throw new Error(`the numbers of the system calls of ${process.arch} are not known`);
  const paths = names.map((name) => join(directory, name));
  requireSuccess(
    'give the image to its hosts',
    await runCommand(['perl', '-e', program, '--', ...calls, ...paths], context),
  );
}
