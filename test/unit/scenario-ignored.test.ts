import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadScenarioText } from '../../src/scenario/load.js';
import type { LoadOptions } from '../../src/scenario/load.js';

const lab = (steps: string, top = ''): string =>
  `scenario: x\ntitle: t\n${top}hosts:\n  a: { docker: { networks: [blue], containers: { web: { image: web, networks: [blue] } } } }\n  b:\nsegments: { lan: { subnet: 10.0.0.0/24, hosts: [a, b] } }\nsteps:\n${steps}`;

const said = (text: string, options: LoadOptions = {}): string[] =>
  loadScenarioText(text, '/labs/x.yaml', options).diagnostics.map(({ message }) => message);

describe('scenario: nothing is taken and then ignored', () => {
  const addressOn: [what: string, check: string, mistakes: string[]][] = [
    ['a segment', 'ping: { from: a, to: b, address-on: lan }', []],
    ['a network of an engine', 'port: { from: b, to: a/web, port: 80, address-on: blue }', []],
    ['the engine’s own bridge', 'ping: { from: a, to: a/web, address-on: bridge }', []],
    ['a network that a step makes', 'ping: { from: a, to: a/web, address-on: green }', []],
    ['an interface of a namespace', 'ping: { from: a, to: a/netns:ns1, address-on: veth9 }', []],
    [
      'nothing that there is',
      'ping: { from: a, to: b, address-on: lam }',
      ['no segment and no network "lam" in this scenario; did you mean "lan"?'],
    ],
    [
      'beside an address',
      'ping: { from: a, to: 10.0.0.2, address-on: lan }',
      ['picks one of several addresses, and 10.0.0.2 is one already'],
    ],
    [
      'beside a name',
      'port: { from: a, to: www.example.org, port: 80, address-on: lan }',
      ['picks an address of a host, container or namespace, and www.example.org is a name'],
    ],
    [
      'nothing that there is, of several members',
      'reach: { groups: { x: [a], y: [b] }, address-on: wan }',
      ['no segment and no network "wan" in this scenario; did you mean "lan"?'],
    ],
  ];
  for (const [what, check, mistakes] of addressOn) {
    it(`address-on: ${what}`, () => {
      const steps = `  - { on: a, run: "docker network create green; ip netns add ns1" }\n  - check: c\n    ${check}\n`;
      expect(said(lab(steps))).to.deep.equal(mistakes);
    });
  }

  it('two checks of one title are refused, naming the line of the first', () => {
    const steps = '  - { check: c, ping: { from: a, to: b } }\n  - { check: d, ping: { from: a, to: b } }\n';
    expect(said(lab(steps))).to.deep.equal([]);
    expect(said(lab(steps.replace('check: d', 'check: c')))).to.deep.equal([
      'the check of line 8 has the title "c" already: reports tell checks apart by it',
    ]);
  });

  it('images for engines where no host has one are refused', () => {
    const without =
      'scenario: x\ntitle: t\nimages: [busybox]\nhosts: { a: { init: light } }\nsteps: [{ check: c, ping: { from: a, to: 127.0.0.1 } }]\n';
    expect(said(without)).to.deep.equal(['no host of this scenario has an engine that could have them']);
    expect(said(without.replace('{ init: light }', ''))).to.deep.equal([]);
  });

  describe('containers and namespaces that nothing in the file makes', () => {
    const steps =
      '  - { check: c, ping: { from: a/there, to: b } }\n  - { check: d, ping: { from: a/netns:n, to: b } }\n';
    const unknown = ['no step creates the container there on a', 'no step creates the network namespace n on a'];
    it('are unknown on hosts that are made for the lab', () => expect(said(lab(steps))).to.deep.equal(unknown));
    it('may be there on machines that exist already', () => {
      expect(said(lab(steps, 'provider: ssh\n'))).to.deep.equal([]);
      expect(said(lab(steps), { provider: 'ssh' })).to.deep.equal([]);
      expect(said(lab(steps, 'provider: ssh\n'), { provider: 'local' })).to.deep.equal(unknown);
    });
    it('are of a host that there is, there too', () => {
      const message = said(lab(steps.replaceAll('a/', 'q/'), 'provider: ssh\n'));
      expect(message[0]).to.match(/^no host "q" in this scenario/);
    });
  });

  describe('names of --matrix', function () {
    this.timeout(60_000);
    let dir: string;
    const main = join(import.meta.dirname, '..', '..', 'program', 'cli', 'main.js');
    const netrig = (file: string, matrix: string) =>
      spawnSync(process.execPath, [main, 'run', '--matrix', matrix, file], {
        cwd: dir,
        encoding: 'utf8',
        env: { ...process.env, NO_COLOR: '1', XDG_STATE_HOME: join(dir, 'state') },
      });
    beforeEach(() => {
      dir = mkdtempSync(join(tmpdir(), 'netrig-ignored-'));
      const steps = 'steps: [{ check: c, ping: { from: a, to: "127.0.0.1" } }]\n';
      writeFileSync(join(dir, 'fixed.yaml'), `scenario: x\ntitle: t\nhosts: { a: { image: debian-12 } }\n${steps}`);
      writeFileSync(
        join(dir, 'matrix.yaml'),
        `scenario: x\ntitle: t\nmatrix: { speed: [1, 2] }\nhosts: { a: { image: debian-12 } }\n${steps.replace('c,', '"c ${speed}",')}`,
      );
    });
    afterEach(() => rmSync(dir, { recursive: true, force: true }));

    for (const [file, matrix, words] of [
      ['fixed.yaml', 'nope=1', 'None of these files has `nope` in its matrix: they have no matrix'],
      ['matrix.yaml', 'sped=1', 'None of these files has `sped` in its matrix: they have speed; did you mean "speed"?'],
      ['fixed.yaml', 'image=debian-11', 'Each host of these files names its image'],
    ] as const) {
      it(`${matrix} is wrong usage for ${file}`, () => {
        const ended = netrig(file, matrix);
        expect(ended.stderr).to.include(words);
        expect(ended.status).to.equal(2);
      });
    }
  });
});
