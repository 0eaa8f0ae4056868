import { hostProcBeside } from '../../model/beside.js';
import { toolsPlace } from './tools-place.js';

/**
 * Hosts whose root file system is not netrig's have netrig's own tools in a place of their own: the tree of its Debian image,
 * read-only, with its loader and libraries. Its sshd runs there, in a mount namespace of each connection in which that tree is the
 * root, so that nothing depends on what the host has. What it runs goes back into the host.
 */

/** The tmpfs on the tools' /mnt: what is of this host. As the host sees it, and as sshd does. */
const own = `${toolsPlace}/mnt`;
const ownOfSshd = '/mnt';

/** Programs of the tools that netrig, and steps, may call in the host; after the host's own, by the end of PATH. */
const programs = ['bash', 'curl', 'getent', 'ip', 'ping', 'ss', 'tar'] as const;

export const toolsBin = `${own}/bin`;

const sshdConfig = `HostKey ${ownOfSshd}/host_key
AuthorizedKeysFile ${ownOfSshd}/login_key.pub
ForceCommand ${ownOfSshd}/into
UsePAM no
UseDNS no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
PrintLastLog no
SetEnv LANG=C.UTF-8
MaxSessions 64
LogLevel QUIET
Subsystem sftp netrig-sftp`;

/** From a session of sshd into the host: its command, its shell, or its files. \`@SHELL@\` and the like are put in when the host boots. */
const intoScript = `#!/bin/busybox sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:${toolsBin}
into="/usr/bin/nsenter --mount=/proc/1/ns/mnt --"
case "$SSH_ORIGINAL_COMMAND" in
  netrig-sftp) exec $into @LOADER@ --library-path @LIBRARY@ ${toolsPlace}/usr/lib/openssh/sftp-server ;;
  "") exec $into @SHELL@ -c "cd /root; exec @SHELL@ -i" ;;
  *) exec $into @SHELL@ -c "cd /root 2>/dev/null; eval \\"\\$1\\"" sh "$SSH_ORIGINAL_COMMAND" ;;
esac`;

/** Of the boot script, as root of the host in the tree that is to be its root: what is of this host, over the tools' /mnt. */
export const laySshdDown = `
# A host that is started again has it.
if ! [ -e .${own}/sshd_config ]; then
mount -t tmpfs -o mode=755,nosuid,nodev,size=1m tmpfs .${own}
umask 77
printf '%s\\n' "$NETRIG_HOST_KEY" >.${own}/host_key
printf '%s\\n' "$NETRIG_LOGIN_KEY" >.${own}/login_key.pub
umask 22
printf '%s\\n' '${sshdConfig}' >.${own}/sshd_config
mkdir .${toolsBin}
fi
`;

/** Of the boot script, once the tree is the root: programs at the end of PATH, and the way of sessions into the host. */
export const layToolsDown = `
if ! [ -e ${own}/into ]; then
for loader in ${toolsPlace}/usr/lib/*-linux-gnu*/ld-linux*.so.*; do break; done
shell="${toolsPlace}/bin/busybox sh"
if [ -x /bin/sh ] && /bin/sh -c : 2>/dev/null; then shell=/bin/sh; fi
${toolsPlace}/bin/busybox --install -s ${toolsBin}
for program in ${programs.join(' ')}; do
  rm -f "${toolsBin}/$program"
  printf '#!${toolsPlace}/bin/busybox sh\\nexec %s --library-path %s ${toolsPlace}/usr/bin/%s "$@"\\n' "$loader" "\${loader%/*}" "$program" >"${toolsBin}/$program"
  chmod 755 "${toolsBin}/$program"
done
printf '%s\\n' '${intoScript}' | sed "s|@SHELL@|$shell|g; s|@LOADER@|$loader|; s|@LIBRARY@|\${loader%/*}|" >${own}/into
chmod 755 ${own}/into
fi
`;

/** In a mount namespace of the connection's own. `streams`: redirections that make the connection sshd's standard streams. */
const serveScript = (streams: string): string => `set -e
mount --make-rprivate /
cd ${toolsPlace}
mount -t tmpfs -o mode=755,nosuid,nodev,size=1m tmpfs run
mkdir run/sshd
mount -o rbind /proc proc
mount -o rbind /dev dev
exec chroot . /usr/sbin/sshd -i -e -f ${ownOfSshd}/sshd_config 2>/dev/null ${streams}
`;

const serveBy = (streams: string): readonly string[] => [
  ...[`${toolsPlace}/bin/busybox`, 'unshare', '-m'],
  ...[`${toolsPlace}/bin/busybox`, 'sh', '-c', serveScript(streams)],
];

/** The argv that serves one connection, in the host: that of descriptor 3. */
export const serveArgv = serveBy('<&3 >&3 3>&-');

/** Likewise, for the connection that its standard input and output are. */
export const serveStandardArgv = serveBy('');

/** What stays among the tools, and does not go into the host, for probes: with the host's network, and its processes to look at. */
const besideScript = `set -e
mount --make-rprivate /
cd ${toolsPlace}
mount -t tmpfs -o mode=755,nosuid,nodev,size=1m tmpfs run
mount -t tmpfs -o mode=1777,nosuid,nodev,size=64m tmpfs tmp
mkdir run/sshd
mount -o rbind /dev dev
mount -o rbind /proc proc
mount -o rbind /sys sys
mkdir -p .${hostProcBeside}
mount -o rbind /proc .${hostProcBeside}
exec chroot . /usr/sbin/sshd -i -e -f ${ownOfSshd}/sshd_config -o ForceCommand=none 2>/dev/null
`;

/** The argv that serves one connection beside the host, on its standard input and output. */
export const serveBesideArgv: readonly string[] = [
  ...[`${toolsPlace}/bin/busybox`, 'unshare', '-m'],
  ...[`${toolsPlace}/bin/busybox`, 'sh', '-c', besideScript],
];
