import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { packTree } from '../../src/images/containers/docker-archive.js';
import { archiveFile } from '../../src/images/containers/container-archive.js';
import { imagesDirectory } from '../../src/images/cache-directory.js';
import { ensureHostImage } from '../../src/images/store.js';

/** Container images and a registry of the tests' own, which need none of the Internet. */

/** A cache of its own, with the host images of the real one: what these tests fetch is new to it, and goes with it. */
export function ownCache(): { environment: NodeJS.ProcessEnv; containers(): string[]; remove(): void } {
  const home = mkdtempSync(join(dirname(imagesDirectory()), '.test-'));
  mkdirSync(join(home, 'netrig'));
  symlinkSync(imagesDirectory(), join(home, 'netrig/images'));
  return {
    environment: { XDG_CACHE_HOME: home },
    containers() {
      try {
        return readdirSync(join(home, 'netrig/containers')).filter((name) => !/^\.(?:lock|users)/.test(name));
      } catch {
        return [];
      }
    },
    remove: () => rmSync(home, { recursive: true, force: true }),
  };
}

/** An archive as `docker save` writes it, of an image with a static busybox and a file that says `text`. */
export async function savedImage(name: string, text: string): Promise<{ file: string; remove(): void }> {
  const directory = mkdtempSync(join(tmpdir(), 'netrig-saved-'));
  const signal = new AbortController().signal;
  const { root } = await ensureHostImage('debian-12', { signal, progress: () => undefined });
  const tree = join(directory, 'tree');
  mkdirSync(join(tree, 'bin'), { recursive: true });
  mkdirSync(join(tree, 'etc'));
  copyFileSync(join(root, 'bin/busybox'), join(tree, 'bin/busybox'));
  for (const applet of ['sh', 'cat', 'sleep']) symlinkSync('busybox', join(tree, 'bin', applet));
  writeFileSync(join(tree, 'etc/said'), `${text}\n`);
  const log = process.stdout;
  const config = { Cmd: ['sleep', '100000'], Env: ['PATH=/bin'] };
  await packTree(tree, { name, config }, { directory, signal, log });
  return { file: join(directory, archiveFile), remove: () => rmSync(directory, { recursive: true, force: true }) };
}

export interface Registry {
  /** `127.0.0.1:PORT`. */
  address: string;
  /** Puts an archive there, by a name with a tag; answers the digest. */
  push(archive: string, name: string): string;
  stop(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** A registry on loopback; with a password where one is given (user `tester`). */
export async function startRegistry(password?: string): Promise<Registry> {
  const directory = mkdtempSync(join(tmpdir(), 'netrig-registry-'));
  const address = `127.0.0.1:${await freePort()}`;
  const auth: string[] = [];
  if (password !== undefined) {
    // The registry takes bcrypt only, which Debian's crypt(3) can.
    const program = 'print crypt($ARGV[0], q($2y$05$abcdefghijklmnopqrstuu))';
    const hash = spawnSync('perl', ['-e', program, password], { encoding: 'utf8' }).stdout;
    writeFileSync(join(directory, 'users'), `tester:${hash}\n`);
    auth.push(`auth: { htpasswd: { realm: test, path: ${join(directory, 'users')} } }`);
  }
  const config = [
    'version: 0.1',
    'log: { level: error }',
    `storage: { filesystem: { rootdirectory: ${join(directory, 'data')} } }`,
    `http: { addr: "${address}" }`,
    ...auth,
  ];
  writeFileSync(join(directory, 'config.yml'), config.join('\n'));
  const child = spawn('docker-registry', ['serve', join(directory, 'config.yml')], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  for (let tries = 0; ; tries += 1) {
    if (
      await fetch(`http://${address}/v2/`).then(
        () => true,
        () => false,
      )
    )
      break;
    if (tries > 100 || child.exitCode !== null) throw new Error('the registry did not start');
    await pause(50);
  }
  return {
    address,
    push(archive, name) {
      const digest = join(directory, 'digest');
      const login = password === undefined ? [] : ['--dest-creds', `tester:${password}`];
      const target = `docker://${address}/${name}`;
      const result = spawnSync(
        'skopeo',
        [
          'copy',
          '--quiet',
          '--dest-tls-verify=false',
          ...login,
          '--digestfile',
          digest,
          `docker-archive:${archive}`,
          target,
        ],
        { encoding: 'utf8' },
      );
      if (result.status !== 0) throw new Error(result.stderr);
      return spawnSync('cat', [digest], { encoding: 'utf8' }).stdout.trim();
    },
    async stop() {
      child.kill('SIGKILL');
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
