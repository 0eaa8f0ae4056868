import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findMirror } from '../../src/images/mirror.js';
import { requireHostImageRow } from '../../src/images/recipe.js';
import { ensureHostImage } from '../../src/images/store.js';
import type { TreeEntry } from '../../src/ssh/tree.js';

/** Root file systems that are not netrig's, and what must be so on a host of one, whatever provider made it. */

const { signal } = new AbortController();

export function textFile(path: string, text: string | Buffer, mode = 0o644): TreeEntry {
  return { kind: 'file', path, mode, content: Buffer.from(text) };
}

export async function busybox(): Promise<Buffer> {
  const { root } = await ensureHostImage('debian-12', { signal, progress: () => undefined });
  return readFileSync(join(root, 'bin', 'busybox'));
}

/** A tree of busybox alone. */
export async function busyboxTree(): Promise<TreeEntry[]> {
  return [
    { kind: 'directory', path: '/bin', mode: 0o755 },
    textFile('/bin/busybox', await busybox(), 0o755),
    ...['sh', 'cat', 'ls', 'test', 'echo'].map((name): TreeEntry => ({
      kind: 'link',
      path: `/bin/${name}`,
      target: 'busybox',
    })),
    textFile('/etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nguest:x:7:8::/:/bin/sh\n'),
    textFile('/etc/group', 'root:x:0:\nguests:x:8:\n'),
  ];
}

/** A Debian without any of netrig's packages, as a directory; made once for all tries on this machine: it takes half a minute. */
export async function bareDebian(): Promise<string> {
  const made = join(tmpdir(), 'netrig-test-debian');
  const tree = join(made, 'tree');
  if (existsSync(tree)) return tree;
  const { lines, aptOptions } = await findMirror(requireHostImageRow('debian-12'), signal);
  const options = aptOptions.flatMap((option) => ['--aptopt', option]);
  const packages = ['--variant=essential', '--include=systemd,systemd-sysv,dbus'];
  // Under a name of its own until it is whole: another process may be making it.
  const making = mkdtempSync(`${made}-`);
  const words = ['--quiet', ...packages, ...options, 'bookworm', join(making, 'tree'), ...lines];
  const { status, stderr } = spawnSync('mmdebstrap', words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  try {
    renameSync(making, made);
  } catch (error) {
    rmSync(making, { recursive: true });
    if (!existsSync(tree)) throw error;
  }
  return tree;
}

/** `more`: further keys of the host. */
export const foreignScenario = (image: string, steps: string, more = ''): string => `scenario: foreign
title: A host of another root file system
hosts:
  own: { image: debian-12, init: light }
  foreign: { image: ${image}${more === '' ? '' : `, ${more}`} }
segments: { lan: { subnet: 10.88.0.0/24, hosts: { own: 10.88.0.1, foreign: 10.88.0.2 } } }
steps:
${steps}
  - check: It reaches another host by name
    ping: { from: foreign, to: own }
  - check: It is reached by its name
    ping: { from: own, to: foreign }
  - check: What does not listen refuses
    port: { from: own, to: foreign, port: 4444, expect: { fails: refused } }
  - check: Its addresses are those of the plan
    address: { on: foreign, interface: eth0, expect: { is: 10.88.0.2 } }
`;

/** The file that `inBusybox` asks for. */
export const givenFile = 'files: { ./given: { to: /etc/given, owner: guest, mode: "0640" } }';

/** `also`: one more command in the tree. */
export const inBusybox = (
  also: string,
): string => `  - step: What is there is the tree, and what is laid over it is the host's own
    on: foreign
    run: |
      test "$(cat /etc/hostname)" = foreign
      test "$(ls /bin)" = "$(printf 'busybox\\ncat\\necho\\nls\\nsh\\ntest')"
      test "$(id -u)" = 0
      test "$PWD" = /root
      ! echo x >/.netrig/usr/x
      ${also}
      test "$(stat -c "%a %u:%g" /etc/given)" = "640 7:8"
  - step: Files go there by SFTP
    on: foreign
    copy: ./given
    to: /srv/deep/given
    owner: guest
  - step: They are there
    on: foreign
    run: test "$(cat /srv/deep/given)" = given && test "$(stat -c %u:%g /srv/deep/given)" = 7:8
  - step: A process in the background
    on: foreign
    start: nc -l -p 7000 -e cat
    until: { tcp: 127.0.0.1:7000 }
`;

export const inDebian = `  - step: It has none of netrig's packages, and its systemd is up
    on: foreign
    run: |
      for name in openssh-server iproute2 iputils-ping; do ! dpkg -s "$name" 2>/dev/null || exit 1; done
      test "$(cat /proc/1/comm)" = systemd
      timeout 60 sh -c 'until systemctl is-system-running | grep -qE "running|degraded"; do sleep 0.2; done'
      systemctl list-units --failed --no-legend
      test "$(systemctl is-active dbus.socket)" = active
  - step: A service of its own
    on: foreign
    run: systemd-run --unit=own sleep 100 && systemctl is-active own`;
