import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { requireHostImageRow } from '../../src/images/recipe.js';
import { findMirror } from '../../src/images/mirror.js';
import { ensureHostImage } from '../../src/images/store.js';
import { findProgram } from '../../src/providers/shared/command.js';
import { tarOf } from '../../src/ssh/tar.js';
import type { TreeEntry } from '../../src/ssh/tree.js';
import { missing } from './local-labs.js';
import { latestOutcomes, netrig, workDirectory } from './netrig-command.js';

const signal = new AbortController().signal;
const root = { uid: 0, gid: 0 };

function run(...argv: [string, ...string[]]): void {
  const [program, ...words] = argv;
  const { status, stderr } = spawnSync(program, words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`);
}

const file = (path: string, text: string | Buffer, mode = 0o644): TreeEntry => ({
  kind: 'file',
  path,
  mode,
  content: Buffer.from(text),
});

async function busybox(): Promise<Buffer> {
  const image = await ensureHostImage('debian-12', { signal, progress: () => undefined });
  return readFileSync(join(image.root, 'bin', 'busybox'));
}

/** A tree of busybox alone, as an archive. */
async function busyboxTree(): Promise<TreeEntry[]> {
  return [
    { kind: 'directory', path: '/bin', mode: 0o755 },
    file('/bin/busybox', await busybox(), 0o755),
    ...['sh', 'cat', 'ls', 'test', 'echo'].map((name): TreeEntry => ({
      kind: 'link',
      path: `/bin/${name}`,
      target: 'busybox',
    })),
    file('/etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nguest:x:7:8::/:/bin/sh\n'),
    file('/etc/group', 'root:x:0:\nguests:x:8:\n'),
  ];
}

const scenario = (image: string, steps: string, more = ''): string => `scenario: foreign
title: A host of another root file system
hosts:
  own: { init: light }
  foreign: { image: ${image}${more} }
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

async function proves(dir: string, isolation = 'users'): Promise<void> {
  const ended = await netrig(['run', 'lab.yaml', '--isolation', isolation], { cwd: dir }).ended;
  expect(ended.status, ended.stdout + ended.stderr).to.equal(0);
  for (const { verdict, reason } of latestOutcomes(dir)) expect(verdict, reason).to.equal('pass');
}

(missing ? describe.skip : describe)(
  `Hosts of another root file system${missing ? ` (needs ${missing})` : ''}`,
  function () {
    this.timeout(300_000);

    const steps = `  - step: What is there is the tree, and what is laid over it is the host's own
    on: foreign
    run: |
      test "$(cat /etc/hostname)" = foreign
      test "$(ls /bin)" = "$(printf 'busybox\\ncat\\necho\\nls\\nsh\\ntest')"
      test "$(id -u)" = 0
      test "$PWD" = /root
      ! echo x >/.netrig/usr/x
      ip address show eth0 | grep -q 10.88.0.2
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
  - fault: { poweroff: foreign }
  - heal: all
  - step: What was written is there after a power cut
    on: foreign
    run: test "$(cat /srv/deep/given)" = given && ip address show eth0 | grep -q 10.88.0.2`;
    const given = `, files: { ./given: { to: /etc/given, owner: guest, mode: "0640" } }`;

    for (const isolation of ['users', 'none'])
      it(`a tree of busybox alone, from an archive, isolation ${isolation}`, async () => {
        const { dir, remove } = workDirectory({
          'lab.yaml': scenario('{ root: ./tree.tar }', steps, given),
          given: 'given\n',
        });
        writeFileSync(join(dir, 'tree.tar'), tarOf([{ entries: await busyboxTree(), owner: root }]));
        await proves(dir, isolation);
        remove();
      });

    it('a Debian without any of netrig’s packages, booted by its own systemd, from a directory', async () => {
      // Made once for all tries on this machine: it takes half a minute.
      const made = join(tmpdir(), 'netrig-test-debian');
      if (!existsSync(join(made, 'done'))) {
        mkdirSync(made, { recursive: true });
        const { lines, aptOptions } = await findMirror(requireHostImageRow('debian-12'), signal);
        const options = aptOptions.flatMap((option) => ['--aptopt', option]);
        const packages = ['--variant=essential', '--include=systemd,systemd-sysv,dbus'];
        run('mmdebstrap', '--quiet', ...packages, ...options, 'bookworm', join(made, 'tree'), ...lines);
        writeFileSync(join(made, 'done'), '');
      }
      const bare = `  - step: It has none of netrig's packages, and its systemd is up
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
      const { dir, remove } = workDirectory({ 'lab.yaml': scenario('{ root: ./tree }', bare, ', init: systemd') });
      run('cp', '--archive', join(made, 'tree'), join(dir, 'tree'));
      await proves(dir);
      remove();
    });

    const musl = findProgram('musl-gcc') === null ? ' (needs musl-gcc: Debian package musl-tools)' : '';
    (musl === '' ? it : it.skip)(`a program linked against musl, and no shell${musl}`, async () => {
      const { dir, remove } = workDirectory({
        'own.c': '#include <stdio.h>\nint main(void) { puts("linked against musl"); return 0; }\n',
        'lab.yaml': scenario(
          '{ root: ./tree.tar.gz }',
          `  - step: Its program runs by its own loader, in netrig's shell
    on: foreign
    run: |
      test "$(/bin/own)" = 'linked against musl'
      ! test -e /bin/sh`,
        ),
      });
      mkdirSync(join(dir, 'tree', 'bin'), { recursive: true });
      mkdirSync(join(dir, 'tree', 'lib'));
      run('musl-gcc', '-o', join(dir, 'tree', 'bin', 'own'), join(dir, 'own.c'));
      const loader = /interpreter: (\S+)\]/.exec(
        spawnSync('readelf', ['-l', join(dir, 'tree', 'bin', 'own')]).stdout.toString(),
      )?.[1];
      expect(loader).to.match(/^\/lib\/ld-musl-/);
      // Debian keeps it under the name of the triplet.
      const library = readdirSync('/usr/lib').find((name) => name.endsWith('-linux-musl'))!;
      cpSync(join('/usr/lib', library, 'libc.so'), join(dir, 'tree', loader!));
      run('tar', '-C', join(dir, 'tree'), '-czf', join(dir, 'tree.tar.gz'), '.');
      await proves(dir);
      remove();
    });

    /** Layers as blobs, with what names them. */
    function layout(kind: 'oci' | 'docker', layers: Buffer[]): Buffer {
      const blobs = layers.map((content) => ({ content, digest: createHash('sha256').update(content).digest('hex') }));
      const add = (content: string) => {
        const one = { content: Buffer.from(content), digest: createHash('sha256').update(content).digest('hex') };
        blobs.push(one);
        return { digest: `sha256:${one.digest}`, size: content.length };
      };
      const named = blobs.map(({ digest }) => `sha256:${digest}`);
      const entries: TreeEntry[] = [];
      if (kind === 'docker')
        entries.push(
          file('/manifest.json', JSON.stringify([{ Layers: named.map((one) => `blobs/sha256/${one.slice(7)}`) }])),
        );
      else {
        const manifest = add(JSON.stringify({ schemaVersion: 2, layers: named.map((digest) => ({ digest })) }));
        const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
        const index = add(
          JSON.stringify({
            manifests: [
              { digest: 'sha256:' + '0'.repeat(64), platform: { architecture: 'other', os: 'linux' } },
              { ...manifest, platform: { architecture, os: 'linux' } },
            ],
          }),
        );
        entries.push(
          file('/oci-layout', '{"imageLayoutVersion":"1.0.0"}'),
          file('/index.json', JSON.stringify({ manifests: [index] })),
        );
      }
      for (const { content, digest } of blobs) entries.push(file(`/blobs/sha256/${digest}`, content));
      return tarOf([{ entries, owner: root }]);
    }

    for (const kind of ['oci', 'docker'] as const)
      it(`an image of several layers, of an archive of ${kind}`, async () => {
        const lower = [
          ...(await busyboxTree()),
          file('/srv/gone', ''),
          file('/srv/kept', ''),
          file('/opt/a/old', ''),
          file('/opt/a/b/old', ''),
        ];
        const upper = [file('/srv/.wh.gone', ''), file('/opt/a/.wh..wh..opq', ''), file('/opt/a/new', 'new')];
        const archive = layout(kind, [
          tarOf([{ entries: lower, owner: root }]),
          tarOf([{ entries: upper, owner: root }]),
        ]);
        const { dir, remove } = workDirectory({
          'lab.yaml': scenario(
            '{ oci: ./image.tar }',
            `  - step: What a later layer takes away is gone
    on: foreign
    run: |
      test ! -e /srv/gone && test -e /srv/kept
      test "$(ls -A /opt/a)" = new
      test -z "$(find / -xdev -name '.wh.*')"`,
          ),
        });
        writeFileSync(join(dir, 'image.tar'), archive);
        await proves(dir);
        remove();
      });

    describe('that cannot be used are errors with their place, and nothing is left in the cache', () => {
      const one = (image: string, more = ''): string =>
        `scenario: foreign\ntitle: t\nhosts:\n  a: { image: ${image}${more} }\nsteps: [ { run: "true" } ]\n`;
      const failures: [string, string, (dir: string) => void | Promise<void>, RegExp][] = [
        [
          'an archive that is none',
          one('{ root: ./x }'),
          (dir) => writeFileSync(join(dir, 'x'), 'no archive'),
          /lab\.yaml:4:23: no host can be made of x: .*tar/,
        ],
        [
          'an image that is none',
          one('{ oci: ./x }'),
          (dir) => writeFileSync(join(dir, 'x'), tarOf([{ entries: [file('/a', '')], owner: root }])),
          /lab\.yaml:4:22: no host can be made of x: it is no archive of one OCI image/,
        ],
        [
          'an image whose layer is not in it',
          one('{ oci: ./x }'),
          (dir) =>
            writeFileSync(
              join(dir, 'x'),
              tarOf([{ entries: [file('/manifest.json', '[{"Layers":["gone.tar"]}]')], owner: root }]),
            ),
          /lab\.yaml:4:22: no host can be made of x: .*gone\.tar/,
        ],
        [
          'a layer out of the archive',
          one('{ oci: ./x }'),
          (dir) =>
            writeFileSync(
              join(dir, 'x'),
              tarOf([{ entries: [file('/manifest.json', '[{"Layers":["../../../etc/passwd"]}]')], owner: root }]),
            ),
          /its manifest names a layer "\.\.\/\.\.\/\.\.\/etc\/passwd"/,
        ],
        [
          'a link where the boot mounts',
          one('{ root: ./x }'),
          (dir) => {
            mkdirSync(join(dir, 'x'));
            symlinkSync('/proc', join(dir, 'x', 'proc'));
          },
          /lab\.yaml:4:23: no host can be made of x: \/proc is a link/,
        ],
        [
          'a systemd that is not there',
          one('{ root: ./x }', ', init: systemd'),
          (dir) => mkdirSync(join(dir, 'x')),
          /lab\.yaml:4:23: a is to boot systemd, and x has none/,
        ],
      ];
      for (const [what, text, put, message] of failures)
        it(what, async () => {
          const { dir, remove } = workDirectory({ 'lab.yaml': text });
          await put(dir);
          const ended = await netrig(['run', 'lab.yaml'], { cwd: dir }).ended;
          expect(ended.stdout + ended.stderr)
            .to.match(/NETRIG_HOST_ROOT/)
            .and.match(message);
          const cache = join(
            process.env['XDG_CACHE_HOME'] ?? join(process.env['HOME'] ?? '/root', '.cache'),
            'netrig',
            'trees',
          );
          expect(readdirSync(cache).filter((name) => name.startsWith('.build-x-'))).to.deep.equal([]);
          remove();
        });

      it('devices of an archive are no devices of a host', async () => {
        const { dir, remove } = workDirectory({
          'lab.yaml': scenario(
            '{ root: ./tree }',
            `  - step: No device is there\n    on: foreign\n    run: test ! -e /disk && test -c /dev/null`,
          ),
        });
        mkdirSync(join(dir, 'tree', 'bin'), { recursive: true });
        writeFileSync(join(dir, 'tree', 'bin', 'busybox'), await busybox());
        chmodSync(join(dir, 'tree', 'bin', 'busybox'), 0o755);
        run('mknod', '-m', '666', join(dir, 'tree', 'disk'), 'b', '7', '7');
        await proves(dir);
        remove();
      });
    });
  },
);
