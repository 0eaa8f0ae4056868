import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { parse, stringify } from 'yaml';
import { formerMessage, renamings } from '../../src/scenario/former-keys.js';
import type { Renaming } from '../../src/scenario/former-keys.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { migrateText } from '../../src/scenario/migrate.js';
import type { Data, DataMap } from '../../src/scenario/source.js';
import { isDataMap } from '../../src/scenario/source.js';

/** A value of the former language for a row of the table. */
function formerValue({ when }: Renaming): Data {
  const values: Data[] = ['a', true, false, 'none', 'different', { proto: 'udp' }];
  const value = values.find((one) => when?.(one) ?? true);
  if (value === undefined) throw new Error('no value of these tests is of the former language there');
  return value;
}

function nested(keys: readonly string[], value: Data): DataMap {
  const [key, ...rest] = keys;
  return { [key === '*' ? 'node1' : key!]: rest.length === 0 ? value : nested(rest, value) };
}

/** The part of a file that a row is about. */
function fileOf({ kind, former }: Renaming, value: Data): string {
  if (kind === null) return `# kept\n${stringify(nested(former, value))}`;
  return `# kept\nsteps:\n  - check: it is so # kept too\n    ${kind}: ${JSON.stringify(nested(former, value))}\n    within: 5s\n`;
}

function bodyOf(text: string, kind: string | null): Data {
  const data = parse(text) as DataMap;
  return kind === null ? data : ((data.steps as DataMap[])[0]![kind] ?? null);
}

function valueAt(data: Data | undefined, keys: readonly string[]): Data | undefined {
  return keys.reduce<Data | undefined>(
    (here, key) => (here as DataMap | undefined)?.[key === '*' ? 'node1' : key],
    data,
  );
}

describe('netrig migrate, key by key of the table', () => {
  for (const row of renamings) {
    const { kind, former, now, value, also } = row;
    it(`${kind ?? 'file'}: ${formerMessage(row)}`, () => {
      const before = formerValue(row);
      const text = fileOf(row, before);
      const { text: after, changed } = migrateText(text);
      expect(changed).to.have.length(1);
      const body = bodyOf(after, kind);
      if (now?.at(-1) === '1') expect(valueAt(body, now.slice(0, -1))).to.include(before);
      else if (now !== null) expect(valueAt(body, now)).to.deep.equal(value === undefined ? before : value(before));
      for (const one of also ?? []) expect(valueAt(body, one.path)).to.deep.equal(one.value);
      if (now === null || now.join() !== former.join())
        expect(valueAt(body, former)).to.satisfy(
          (left: Data) => left === undefined || isDataMap(left) || former[0] === 'info',
        );
      expect(after).to.match(/^# kept\n/);
      if (kind !== null)
        expect(after)
          .to.include('it is so # kept too\n')
          .and.to.match(/\n {4}within: 5s\n$/);
      expect(migrateText(after).changed, 'nothing is left').to.deep.equal([]);
      const said = loadScenarioText(text, '/labs/former.yaml').diagnostics.map(({ message }) => message);
      expect(said).to.deep.equal([formerMessage(row)]);
    });
  }
});

describe('netrig migrate', () => {
  const rewritten = (body: string): string => migrateText(`steps:\n${body}`).text.slice('steps:\n'.length);

  const rewrites: [what: string, before: string, after: string][] = [
    [
      'keeps comments, order and spelling',
      `  - check: a  # one\n    # two\n    link:\n      of: node1   # three\n      interface: 'eth0'\n      expect: { peer: { of: node1/web, mtu: 1500 } }\n`,
      `  - check: a  # one\n    # two\n    link:\n      on: node1   # three\n      interface: 'eth0'\n      expect: { peer: { on: node1/web, mtu: 1500 } }\n`,
    ],
    [
      'puts claims together below expect, where the first of them stood',
      `  - { check: a, route: { of: n, to: default, via: 10.0.0.1, dev: eth0 } }\n`,
      `  - { check: a, route: { on: n, to: default, expect: { via: 10.0.0.1, dev: eth0 } } }\n`,
    ],
    [
      'adds to an expect that is there, and takes the place of a word that says the default',
      `  - { check: a, dns: { from: n, name: x, answered-by: 127.0.0.11, expect: { fails: nxdomain } } }\n  - { check: b, ping: { from: n, to: m, expect: reply, min-received: 1 } }\n`,
      `  - { check: a, dns: { from: n, name: x, expect: { fails: nxdomain, answered-by: 127.0.0.11 } } }\n  - { check: b, ping: { from: n, to: m, expect: { min-received: 1 } } }\n`,
    ],
    [
      'makes one list of two places',
      `  - { check: a, netns: { of: n/a, and: n, expect: different } }\n`,
      `  - { check: a, netns: { on: [n/a, n], expect: { not: same } } }\n`,
    ],
    [
      'reaches into the traffic that another check watches',
      `  - check: a\n    capture:\n      on: n\n      interface: eth0\n      during: { ping: { from: n, to: m, via: lan } }\n      expect: { none: true }\n`,
      `  - check: a\n    capture:\n      on: n\n      interface: eth0\n      during: { ping: { from: n, to: m, address-on: lan } }\n      expect: { absent: true }\n`,
    ],
    [
      'takes both apart where the watching check is written anew',
      `  - { check: a, capture: { on: n, interface: eth0, expect: { none: { dst: 10.0.0.1 } }, during: { ping: { from: n, to: m, via: lan } } } }\n`,
      `  - { check: a, capture: { on: n, interface: eth0, expect: { not: { some: { dst: 10.0.0.1 } } }, during: { ping: { from: n, to: m, address-on: lan } } } }\n`,
    ],
    [
      'leaves a block a block, at its own indentation',
      `  - check: a\n    consul:\n        on: n\n        # how many\n        kv:\n            prefix: x/\n            count: 2\n    within: 5s\n`,
      `  - check: a\n    consul:\n        on: n\n        # how many\n        kv:\n          prefix: x/\n        expect: { count: 2 }\n    within: 5s\n`,
    ],
    [
      'changes a body once that stands behind an alias',
      `  - { check: a, process: &p { of: n, name: x } }\n  - { check: b, process: *p }\n`,
      `  - { check: a, process: &p { on: n, name: x } }\n  - { check: b, process: *p }\n`,
    ],
    [
      'leaves words of the same name in other places alone',
      `  - { on: n, run: "ip route add default via 10.0.0.1" }\n  - { check: via, http: { from: n, url: "http://m/", headers: { via: x } } }\n`,
      `  - { on: n, run: "ip route add default via 10.0.0.1" }\n  - { check: via, http: { from: n, url: "http://m/", headers: { via: x } } }\n`,
    ],
  ];
  for (const [what, before, after] of rewrites) {
    it(what, () => {
      expect(rewritten(before)).to.equal(after);
      expect(rewritten(after), 'a second time nothing').to.equal(after);
    });
  }

  it('leaves what is no YAML, or no map, as it is', () => {
    for (const text of ['steps: [', '- a\n', '', 'steps: 5\n', 'steps: [{ link: 5 }]\n'])
      expect(migrateText(text)).to.deep.equal({ text, changed: [], lines: [] });
  });

  describe('as a command', function () {
    this.timeout(60_000);
    let dir: string;
    const main = join(import.meta.dirname, '..', '..', 'program', 'cli', 'main.js');
    const netrig = (...args: string[]) =>
      spawnSync(process.execPath, [main, 'migrate', ...args], {
        cwd: dir,
        encoding: 'utf8',
        env: { ...process.env, NO_COLOR: '1' },
      });
    const former = `scenario: x\ntitle: t\nhosts: { a: }\nsteps:\n  - { check: c, process: { of: a, name: x } }\n`;

    beforeEach(() => {
      dir = mkdtempSync(join(tmpdir(), 'netrig-migrate-'));
      writeFileSync(join(dir, 'x.yaml'), former);
    });
    afterEach(() => rmSync(dir, { recursive: true, force: true }));

    it('shows the lines that would change, and writes nothing', () => {
      const ended = netrig('.');
      expect(ended.stdout).to.equal(
        'x.yaml:5\n-   - { check: c, process: { of: a, name: x } }\n+   - { check: c, process: { on: a, name: x } }\n1 of 1 file to rewrite: netrig migrate --write does it\n',
      );
      expect(ended.status).to.equal(0);
      expect(netrig('--check', '.').status).to.equal(1);
      expect(readFileSync(join(dir, 'x.yaml'), 'utf8')).to.equal(former);
    });

    it('writes with --write, after which --check is content', () => {
      expect(netrig('--write', 'x.yaml')).to.deep.include({ status: 0, stdout: 'x.yaml: 1 place rewritten\n' });
      expect(readFileSync(join(dir, 'x.yaml'), 'utf8')).to.equal(former.replace('of: a', 'on: a'));
      expect(netrig('--check', '.')).to.deep.include({
        status: 0,
        stdout: '1 file: nothing of the former language\n',
      });
      expect(netrig('--check', '--write', '.').status).to.equal(2);
    });

    it('names what it cannot reach, and ends with 1', () => {
      writeFileSync(
        join(dir, 'x.yaml'),
        former.replace('hosts:', 'x-p: &p { of: a }\nhosts:').replace('of: a, name: x }', '<<: *p, name: x }'),
      );
      const ended = netrig('--write', '.');
      expect(ended.status).to.equal(1);
      expect(ended.stderr).to.match(/^x\.yaml:3: `of` is `on` now, and it stands where it cannot be rewritten/);
    });
  });
});
