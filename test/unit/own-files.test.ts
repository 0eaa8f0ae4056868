import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { planLab } from '../../src/plan/plan.js';
import { loadScenarioFileSync, loadScenarioText } from '../../src/scenario/load.js';
import type { StepItem } from '../../src/scenario/scenario.js';
import { provision } from '../../src/session/provision.js';
import { openSession } from '../../src/session/session.js';
import { readOwnFiles } from '../../src/ssh/own-files.js';
import { ownerIn } from '../../src/ssh/owner.js';
import { tarOf } from '../../src/ssh/tar.js';
import { readTree, type TreeEntry } from '../../src/ssh/tree.js';
import { execResult, fakeConnection } from '../fakes/connection.js';
import { fakeLab } from '../fakes/provider.js';

describe('Files beside a scenario', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'netrig-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function put(files: Record<string, string>): void {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
      writeFileSync(path.join(folder, name), text);
    }
  }

  function load(hostKeys: string, step = 'run: "true"') {
    put({
      'lab.yaml': `scenario: lab
title: t
hosts:
  a:
    init: light
${hostKeys}
steps:
  - ${step}
`,
    });
    const loaded = loadScenarioFileSync(path.join(folder, 'lab.yaml'));
    return { ...loaded, placed: loaded.diagnostics.map((one) => `${one.line}:${one.column} ${one.message}`) };
  }

  describe('are found', () => {
    it('with what is said of them, in the order of the file', () => {
      put({ 'frr/r1/frr.conf': 'x', key: 'y' });
      const { scenarios, placed } = load(
        '    files:\n      ./frr/r1/: /etc/frr/\n      key: { to: /etc/key, owner: "frr:adm", mode: "0640" }',
      );
      expect(placed).to.deep.equal([]);
      expect(planLab(scenarios[0]!).hosts[0]!.files).to.deep.equal([
        { from: path.join(folder, 'frr/r1'), to: '/etc/frr/', place: `${path.join(folder, 'lab.yaml')}:7:7` },
        {
          from: path.join(folder, 'key'),
          to: '/etc/key',
          owner: 'frr:adm',
          mode: 0o640,
          place: `${path.join(folder, 'lab.yaml')}:8:7`,
        },
      ]);
    });

    for (const [given, message] of [
      ['../secret', '../secret lies outside the scenario’s folder: what goes to hosts lies in it or below'],
      [
        'inside/../../secret',
        'inside/../../secret lies outside the scenario’s folder: what goes to hosts lies in it or below',
      ],
      ['./leads-out', './leads-out lies outside the scenario’s folder: what goes to hosts lies in it or below'],
      ['./out/passwd', './out/passwd lies outside the scenario’s folder: what goes to hosts lies in it or below'],
      [
        '/etc/passwd',
        'expected a file or directory beside the scenario such as ./conf/nginx.conf, by a relative path, got "/etc/passwd"',
      ],
      ['./pipe', './pipe is neither a file nor a directory'],
      ['./nothing', /^there is no file or directory .*nothing$/],
    ] as const) {
      it(`and refused with their place: ${given}`, () => {
        symlinkSync('/etc/passwd', path.join(folder, 'leads-out'));
        symlinkSync('/etc', path.join(folder, 'out'));
        spawnSync('mkfifo', [path.join(folder, 'pipe')]);
        const host = load(`    files: { "${given}": /etc/x }`).placed;
        const step = load('    engine: false', `{ copy: "${given}", to: /etc/x }`).placed;
        expect(host).to.have.length(1);
        expect(step).to.have.length(1);
        for (const [text, place] of [
          [host[0]!, '6:14'],
          [step[0]!, '8:13'],
        ] as const) {
          expect(text.slice(0, text.indexOf(' '))).to.equal(place);
          if (typeof message === 'string') expect(text.slice(text.indexOf(' ') + 1)).to.equal(message);
          else expect(text.slice(text.indexOf(' ') + 1)).to.match(message);
        }
      });
    }

    it('and a directory has no mode, a target no `..` and is absolute', () => {
      put({ 'conf/x': '' });
      expect(load('    files: { ./conf: { to: /etc/x, mode: "0644" } }').placed).to.deep.equal([
        '6:14 ./conf is a directory: `mode` is for a file',
      ]);
      expect(load('    engine: false', '{ copy: ./conf, to: /etc/x, mode: "0644" }').placed).to.deep.equal([
        '8:13 ./conf is a directory: `mode` is for a file',
      ]);
      expect(load('    engine: false', '{ copy: ./conf, to: etc/x }').placed[0]).to.match(
        /expected an absolute path on the host/,
      );
      expect(load('    engine: false', '{ copy: ./conf, to: /etc/../x }').placed[0]).to.match(/goes without `\.\.`/);
    });

    it('from the folder of the shared file that names them, and not outside the scenario’s', () => {
      put({
        'parts/base.yaml':
          'shared: A host\nhosts: { a: { files: { ./conf/x: /etc/x } } }\nsteps:\n  - { copy: ../top, to: /etc/top }\n  - { copy: ../../top, to: /etc/top }\n',
        'parts/conf/x': '',
        top: '',
        'lab.yaml': 'scenario: lab\ntitle: t\nextends: parts/base.yaml\nhosts: { a: { init: light } }\nsteps: []\n',
      });
      const file = path.join(folder, 'lab.yaml');
      const messages = loadScenarioFileSync(file).diagnostics.map(
        (one) => `${path.basename(one.file)}:${one.line} ${one.message}`,
      );
      expect(messages).to.deep.equal([
        'base.yaml:5 ../../top lies outside the scenario’s folder: what goes to hosts lies in it or below',
      ]);
      put({
        'parts/base.yaml': readFileSync(path.join(folder, 'parts/base.yaml'), 'utf8').replace(
          /^.*\.\.\/\.\.\/top.*\n/m,
          '',
        ),
      });
      const { scenarios } = loadScenarioFileSync(file);
      expect(scenarios[0]!.hosts[0]!.files[0]!.from).to.equal(path.join(folder, 'parts/conf/x'));
      expect((scenarios[0]!.items[0] as StepItem).folders).to.deep.equal({
        from: path.join(folder, 'parts'),
        root: folder,
      });
    });

    it('not where a text is validated without its file', () => {
      const text =
        'scenario: lab\ntitle: t\nhosts: { a: { files: { ./x: /etc/x } } }\nsteps: [ { copy: ./y, to: /y } ]\n';
      expect(loadScenarioText(text, '/nowhere/lab.yaml').diagnostics).to.deep.equal([]);
    });
  });

  describe('are read', () => {
    it('with their modes; a file goes into a directory under its own name, of a directory what is in it', async () => {
      put({ 'd/one': 'x', 'd/sub/two': 'yy' });
      chmodSync(path.join(folder, 'd/one'), 0o4750);
      chmodSync(path.join(folder, 'd/sub'), 0o700);
      symlinkSync('../../etc/passwd', path.join(folder, 'd/link'));
      const shown = (entries: TreeEntry[]): string[] =>
        entries.map((one) => `${one.path} ${one.kind === 'link' ? one.target : one.mode.toString(8)}`);
      const top = lstatSync(path.join(folder, 'd')).mode & 0o7777;
      expect(shown(await readTree(path.join(folder, 'd'), '/etc/frr/'))).to.deep.equal([
        `/etc/frr ${top.toString(8)}`,
        '/etc/frr/link ../../etc/passwd',
        '/etc/frr/one 4750',
        '/etc/frr/sub 700',
        `/etc/frr/sub/two ${(lstatSync(path.join(folder, 'd/sub/two')).mode & 0o7777).toString(8)}`,
      ]);
      expect(shown(await readTree(path.join(folder, 'd/one'), '/etc/'))).to.deep.equal(['/etc/one 4750']);
      expect(shown(await readTree(path.join(folder, 'd/one'), '/etc/x', 0o600))).to.deep.equal(['/etc/x 600']);
    });

    it('but for what is neither file, directory nor link, with the place in the scenario', async () => {
      put({ 'd/one': 'x' });
      spawnSync('mkfifo', [path.join(folder, 'd/pipe')]);
      const error = await readOwnFiles({ from: path.join(folder, 'd'), to: '/x', place: 'lab.yaml:3:4' }).catch(String);
      expect(error).to.match(/^NetrigError: lab\.yaml:3:4: .*d\/pipe is neither a file, a directory nor a link\.$/);
    });
  });

  describe('make an archive', () => {
    const unpack = (archive: Buffer): string => {
      const to = path.join(folder, 'unpacked');
      mkdirSync(to);
      const { status, stderr } = spawnSync('tar', ['-x', '-p', '-C', to, '-f', '-'], { input: archive });
      expect(status, String(stderr)).to.equal(0);
      return to;
    };

    it('that tar unpacks, with long names and owners beyond seven octal digits', () => {
      const long = `/${'ä'.repeat(90)}/${'b'.repeat(120)}`;
      const archive = tarOf([
        {
          entries: [
            { kind: 'directory', path: '/d', mode: 0o750 },
            { kind: 'file', path: '/d/suid', mode: 0o4711, content: Buffer.from('x') },
            { kind: 'link', path: '/d/link', target: long },
            { kind: 'file', path: long, mode: 0o644, content: Buffer.from('long') },
          ],
          owner: { uid: 3_000_000, gid: 4_000_000 },
        },
      ]);
      const listed = spawnSync('tar', ['-t', '-v', '--numeric-owner', '-f', '-'], { input: archive, encoding: 'utf8' });
      expect(listed.stdout.match(/ 3000000\/4000000 /g)).to.have.length(4);
      const to = path.join(folder, 'unpacked');
      mkdirSync(to);
      spawnSync('tar', ['-x', '-p', '--no-same-owner', '-C', to, '-f', '-'], { input: archive });
      expect(lstatSync(path.join(to, 'd')).mode & 0o7777).to.equal(0o750);
      expect(lstatSync(path.join(to, 'd/suid')).mode & 0o777).to.equal(0o711);
      expect(readlinkSync(path.join(to, 'd/link'))).to.equal(long);
      expect(readFileSync(path.join(to, long), 'utf8')).to.equal('long');
    });

    it('of whatever names and contents', () => {
      const name = fc
        .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
        .filter((text) => !/[/\0]/.test(text) && text !== '.' && text !== '..' && Buffer.byteLength(text) < 200);
      fc.assert(
        fc.property(
          fc.uniqueArray(fc.tuple(name, fc.uint8Array({ maxLength: 2000 })), {
            selector: ([one]) => one.normalize(),
            maxLength: 5,
          }),
          (files) => {
            const owner = { uid: process.getuid!(), gid: process.getgid!() };
            const entries = files.map(([one, content]): TreeEntry => ({
              kind: 'file',
              path: `/d/${one}`,
              mode: 0o644,
              content: Buffer.from(content),
            }));
            const to = unpack(tarOf([{ entries, owner }]));
            try {
              for (const [one, content] of files)
                expect(readFileSync(path.join(to, 'd', one)).equals(Buffer.from(content))).to.equal(true);
            } finally {
              rmSync(to, { recursive: true });
            }
          },
        ),
        { numRuns: 25 },
      );
      expect(existsSync(path.join(folder, 'unpacked'))).to.equal(false);
    });
  });

  it('have owners by name and number; a user’s own group where none is named', () => {
    const passwd = 'root:x:0:0::/root:/bin/sh\nfrr:x:105:110::/:/bin/false\n';
    const group = 'root:x:0:\nfrr:x:110:\nadm:x:4:\n';
    for (const [given, wanted] of [
      ['frr', { uid: 105, gid: 110 }],
      ['frr:adm', { uid: 105, gid: 4 }],
      ['frr:7', { uid: 105, gid: 7 }],
      ['1000', { uid: 1000, gid: 1000 }],
      ['1000:adm', { uid: 1000, gid: 4 }],
      ['bind', { message: 'there is no user bind' }],
      ['frr:bind', { message: 'there is no group bind' }],
    ] as const)
      expect(ownerIn(given, passwd, group), given).to.deep.equal(wanted);
  });

  describe('are put there by provisioning', () => {
    async function provisioned(hasFiles: boolean, getent = '') {
      put({ x: 'content' });
      const { scenarios } = load('    files: { ./x: { to: /etc/x, owner: frr } }');
      const puts: unknown[] = [];
      const connection = fakeConnection((command) =>
        Promise.resolve(execResult({ stdout: Array.isArray(command) && command[0] === 'getent' ? getent : '' })),
      );
      connection.putTree = (...given) => {
        puts.push(given, connection.asked.length);
        return Promise.resolve();
      };
      const lab = { ...fakeLab(planLab(scenarios[0]!)), ...(hasFiles ? { hasFiles: true as const } : {}) };
      const session = openSession(lab, () => Promise.resolve(connection));
      const error = await provision(session, new AbortController().signal).then(() => null, String);
      return { puts, error };
    }

    it('before anything else, with the owner that the host knows', async () => {
      const { puts, error } = await provisioned(false, 'frr:x:105:110::/:/bin/false\n');
      expect(error).to.equal(null);
      const [[entries, owner], asked] = puts as [[TreeEntry[], unknown], number];
      expect(entries.map((one) => one.path)).to.deep.equal(['/etc/x']);
      expect(owner).to.deep.equal({ uid: 105, gid: 110 });
      // The question for the owner alone came first.
      expect(asked).to.equal(1);
    });

    it('not where the provider did it already', async () => {
      expect(await provisioned(true)).to.deep.equal({ puts: [], error: null });
    });

    it('not under an owner that the host does not know', async () => {
      const { puts, error } = await provisioned(false);
      expect(puts).to.deep.equal([]);
      expect(error).to.match(/lab\.yaml:6:14: frr owns no file on a: there is no user frr\./);
    });
  });
});
