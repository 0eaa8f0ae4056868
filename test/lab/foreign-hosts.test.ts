import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { expect } from 'chai';
import { findProgram } from '../../src/providers/shared/command.js';
import { tarOf } from '../../src/ssh/tar.js';
import type { TreeEntry } from '../../src/ssh/tree.js';
import {
  bareDebian,
  busybox,
  busyboxTree,
  foreignScenario,
  givenFile,
  inBusybox,
  inDebian,
  textFile,
} from './foreign-trees.js';
import { missing } from './local-labs.js';
import { latestOutcomes, netrig, workDirectory } from './netrig-command.js';

const root = { uid: 0, gid: 0 };

function run(...argv: [string, ...string[]]): void {
  const [program, ...words] = argv;
  const { status, stderr } = spawnSync(program, words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`);
}

async function proves(dir: string, isolation = 'users'): Promise<void> {
  const ended = await netrig(['run', 'lab.yaml', '--isolation', isolation], { cwd: dir }).ended;
  expect(ended.status, ended.stdout + ended.stderr).to.equal(0);
  for (const { verdict, reason } of latestOutcomes(dir)) expect(verdict, reason).to.equal('pass');
}

(missing ? describe.skip : describe)(
  `Hosts of another root file system${missing ? ` (needs ${missing})` : ''}`,
  function () {
    this.timeout(300_000);

    const steps = `${inBusybox('ip address show eth0 | grep -q 10.88.0.2')}  - fault: { poweroff: foreign }
  - heal: all
  - step: What was written is there after a power cut
    on: foreign
    run: test "$(cat /srv/deep/given)" = given && ip address show eth0 | grep -q 10.88.0.2`;

    for (const isolation of ['users', 'none'])
      it(`a tree of busybox alone, from an archive, isolation ${isolation}`, async () => {
        const { dir, remove } = workDirectory({
          'lab.yaml': foreignScenario('{ root: ./tree.tar }', steps, givenFile),
          given: 'given\n',
        });
        writeFileSync(join(dir, 'tree.tar'), tarOf([{ entries: await busyboxTree(), owner: root }]));
        await proves(dir, isolation);
        remove();
      });

    it('a Debian without any of netrig’s packages, booted by its own systemd, from a directory', async () => {
      const { dir, remove } = workDirectory({
        'lab.yaml': foreignScenario('{ root: ./tree }', inDebian, 'init: systemd'),
      });
      run('cp', '--archive', await bareDebian(), join(dir, 'tree'));
      await proves(dir);
      remove();
    });

    const musl = findProgram('musl-gcc') === null ? ' (needs musl-gcc: Debian package musl-tools)' : '';
    (musl === '' ? it : it.skip)(`a program linked against musl, and no shell${musl}`, async () => {
      const { dir, remove } = workDirectory({
        'own.c': '#include <stdio.h>\nint main(void) { puts("linked against musl"); return 0; }\n',
        'lab.yaml': foreignScenario(
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
          textFile('/manifest.json', JSON.stringify([{ Layers: named.map((one) => `blobs/sha256/${one.slice(7)}`) }])),
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
          textFile('/oci-layout', '{"imageLayoutVersion":"1.0.0"}'),
          textFile('/index.json', JSON.stringify({ manifests: [index] })),
        );
      }
      for (const { content, digest } of blobs) entries.push(textFile(`/blobs/sha256/${digest}`, content));
      return tarOf([{ entries, owner: root }]);
    }

    for (const kind of ['oci', 'docker'] as const)
      it(`an image of several layers, of an archive of ${kind}`, async () => {
        const lower = [
          ...(await busyboxTree()),
          textFile('/srv/gone', ''),
          textFile('/srv/kept', ''),
          textFile('/opt/a/old', ''),
          textFile('/opt/a/b/old', ''),
        ];
        const upper = [
          textFile('/srv/.wh.gone', ''),
          textFile('/opt/a/.wh..wh..opq', ''),
          textFile('/opt/a/new', 'new'),
        ];
        const archive = layout(kind, [
          tarOf([{ entries: lower, owner: root }]),
          tarOf([{ entries: upper, owner: root }]),
        ]);
        const { dir, remove } = workDirectory({
          'lab.yaml': foreignScenario(
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
          (dir) => writeFileSync(join(dir, 'x'), tarOf([{ entries: [textFile('/a', '')], owner: root }])),
          /lab\.yaml:4:22: no host can be made of x: it is no archive of one OCI image/,
        ],
        [
          'an image whose layer is not in it',
          one('{ oci: ./x }'),
          (dir) =>
            writeFileSync(
              join(dir, 'x'),
              tarOf([{ entries: [textFile('/manifest.json', '[{"Layers":["gone.tar"]}]')], owner: root }]),
            ),
          /lab\.yaml:4:22: no host can be made of x: .*gone\.tar/,
        ],
        [
          'a layer out of the archive',
          one('{ oci: ./x }'),
          (dir) =>
            writeFileSync(
              join(dir, 'x'),
              tarOf([{ entries: [textFile('/manifest.json', '[{"Layers":["../../../etc/passwd"]}]')], owner: root }]),
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
          'lab.yaml': foreignScenario(
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
