import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { imagesDirectory } from '../../src/images/cache-directory.js';
import { noteUse } from '../../src/images/use.js';
import { generateLabKeys, type LabKeys } from '../../src/ssh/keys.js';
import type { SshTarget } from '../../src/ssh/ssh.js';

/**
 * A real sshd for tests: one `sshd -i` per connection on a socket pair, so without a port. Its configuration and keys are
 * its own. As root it runs in a mount namespace of its own, so that what it needs in /run is not made on the machine.
 */
export interface TestServer {
  target: SshTarget;
  keys: LabKeys;
  /** What runs the sshd of each connection, oldest first. As root the sshd is that very process: everything execs. */
  servers: ChildProcess[];
  /** Kills, without a word to anybody, the processes of sshd that serve the connections; not the commands they started. */
  kill(): void;
  /** What sshd wrote to its log. */
  log(): string;
  close(): Promise<void>;
}

/** Where a root file system with an sshd is: `/`, or a host image's tree, which takes root to enter. */
export type SshdRoot = string;

/** The first usable sshd: the machine's own, else one in a host image of the cache or in `NETRIG_TEST_SSHD_ROOT`. */
export async function findSshdRoot(): Promise<{ root: SshdRoot } | { missing: string }> {
  const named = process.env['NETRIG_TEST_SSHD_ROOT'];
  const candidates = named !== undefined ? [named] : ['/', ...(isRoot() ? cachedTrees() : [])];
  const root = candidates.find((tree) => existsSync(path.join(tree, 'usr/sbin/sshd')));
  if (root === undefined)
    return {
      missing: `no sshd: looked for usr/sbin/sshd in ${candidates.join(', ')} (package openssh-server, or a host image in the cache)`,
    };
  // So that nobody rebuilds or removes the image under a running test.
  if (path.dirname(path.dirname(root)) === imagesDirectory()) await noteUse(path.dirname(root));
  return { root };
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** The root file systems of the finished host images: one that is still being built has no manifest yet. */
function cachedTrees(): string[] {
  const images = imagesDirectory();
  if (!existsSync(images)) return [];
  return readdirSync(images)
    .map((name) => path.join(images, name))
    .filter((image) => existsSync(path.join(image, 'image.json')))
    .map((image) => path.join(image, 'root'));
}

export interface TestServerOptions {
  root: SshdRoot;
  /** More lines for sshd_config; the first value of a keyword counts, so these come first. */
  config?: string;
  /** Without the SFTP subsystem when `false`. */
  sftp?: boolean;
  /** Shell lines run as root inside the server's root before sshd starts. */
  prepare?: string;
}

export function startTestServer(options: TestServerOptions): TestServer {
  const keys = generateLabKeys('test');
  const directory = mkdtempSync(path.join(tmpdir(), 'netrig-sshd-'));
  const seenInside = isRoot() ? '/run/netrig-test' : directory;
  writeFileSync(path.join(directory, 'host_key'), keys.hostPrivateKey, { mode: 0o600 });
  writeFileSync(path.join(directory, 'authorized_keys'), `${keys.publicKeyLine}\n`, { mode: 0o600 });
  writeFileSync(
    path.join(directory, 'sshd_config'),
    [
      options.config ?? '',
      `HostKey ${seenInside}/host_key`,
      `AuthorizedKeysFile ${seenInside}/authorized_keys`,
      'StrictModes no',
      'UsePAM no',
      'PermitRootLogin yes',
      'PasswordAuthentication no',
      'PidFile none',
      'UseDNS no',
      'PrintMotd no',
      'LogLevel VERBOSE',
      options.sftp === false ? '' : 'Subsystem sftp internal-sftp',
      '',
    ].join('\n'),
  );

  const sshd = `exec /usr/sbin/sshd -i -e -f ${seenInside}/sshd_config <&3 >&3 3<&-`;
  // sshd looks at its own path to start itself again, and wants /run/sshd for its unprivileged half.
  const inside = `umask 022; mount -t proc proc /proc; mount -t tmpfs tmpfs /run; mkdir -m 755 /run/sshd; cp -r "$1" /run/netrig-test; ${options.prepare ?? ''}\n${sshd}`;
  const rooted = [
    'set -e',
    'root=$1 conf=$2 inside=$3',
    'if [ "$root" = / ]; then exec sh -ec "$inside" sh "$conf"; fi',
    'mount -t tmpfs tmpfs /mnt; mkdir /mnt/upper /mnt/work /mnt/root',
    'mount -t overlay overlay -o "lowerdir=$root,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root',
    'mount --rbind /dev /mnt/root/dev; cp -r "$conf" /mnt/root/conf',
    'exec chroot /mnt/root sh -ec "$inside" sh /conf',
  ].join('\n');
  const [program, ...args] = isRoot()
    ? ([
        'unshare',
        '-m',
        '--propagation',
        'private',
        'sh',
        '-c',
        rooted,
        'sh',
        options.root,
        directory,
        inside,
      ] as const)
    : (['sh', '-c', sshd] as const);

  const servers: ChildProcess[] = [];
  let log = '';
  const open = async (): Promise<Duplex> => {
    const server = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    });
    servers.push(server);
    server.stderr?.on('data', (chunk: Buffer) => {
      log += chunk.toString();
    });
    return server.stdio[3] as Duplex;
  };
  return {
    keys,
    servers,
    log: () => log,
    kill() {
      // From OpenSSH 9.8 on root's connection has a monitor (the process we started) and a child that holds the socket.
      for (const { pid } of servers)
        for (const one of pid === undefined ? [] : [...sshdChildren(pid), pid]) process.kill(one, 'SIGKILL');
    },
    target: {
      host: 'node1',
      username: userInfo().username,
      privateKey: keys.privateKey,
      hostKey: keys.hostPublicKey,
      open,
    },
    async close() {
      for (const { pid, exitCode, signalCode } of servers) {
        if (pid !== undefined && exitCode === null && signalCode === null)
          for (const child of sshdChildren(pid)) process.kill(child, 'SIGKILL');
      }
      await Promise.all(
        servers.map(async (server) => {
          if (server.exitCode !== null || server.signalCode !== null) return;
          const gone = new Promise((resolve) => server.once('exit', resolve));
          server.kill('SIGKILL');
          await gone;
        }),
      );
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** The children of a live process that are sshd's own. */
function sshdChildren(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
      .trim()
      .split(' ')
      .map(Number)
      .filter((child) => child > 0 && /^sshd/.test(readFileSync(`/proc/${child}/comm`, 'latin1')));
  } catch {
    return [];
  }
}
