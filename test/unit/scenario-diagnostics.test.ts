import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { mistakeCount } from '../../src/cli/load-or-print.js';
import { namedCapabilities } from '../../src/model/capability.js';
import { renamings } from '../../src/scenario/former-keys.js';
import { keysAt } from '../../src/scenario/issues.js';
import { builtInKinds } from '../../src/scenario/kinds.js';
import { codeFrame, diagnosticsToJson, distinctDiagnostics, formatDiagnostics } from '../../src/scenario/diagnostic.js';
import type { Diagnostic } from '../../src/scenario/diagnostic.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { checkFrameKeys } from '../../src/scenario/schema.js';
import { fixtures, lab, lines, validateFixture, validateText } from './scenario-fixtures.js';

/** Beside each fixture `NAME.yaml` stands `NAME.expected`: one `line:column message` a line, all that is wrong with it. */
const update = process.env.UPDATE_EXPECTED === '1';

function expectInside(text: string, diagnostics: readonly Diagnostic[]): void {
  const rows = text.replace(/^\ufeff/, '').split('\n');
  for (const { line, column, length, message } of diagnostics) {
    expect(line, message).to.be.within(1, rows.length);
    expect(column, message).to.be.within(1, rows[line - 1]!.length + 1);
    expect(length, message).to.be.at.least(1);
    expect(message, message).to.not.match(/undefined|\[object|Invalid input|\.$/);
  }
}

describe('scenario: mistakes and their places', () => {
  for (const folder of ['bad', 'yaml']) {
    for (const name of readdirSync(path.join(fixtures, folder)).filter((file) => file.endsWith('.yaml'))) {
      it(`${folder}/${name}`, () => {
        const file = path.join(folder, name);
        const { scenarios, diagnostics } = validateFixture(file);
        const expectedFile = path.join(fixtures, file.replace(/\.yaml$/, '.expected'));
        const seen = `${lines(diagnostics).join('\n')}\n`;
        if (update) writeFileSync(expectedFile, seen);
        expect(seen).to.equal(readFileSync(expectedFile, 'utf8'));
        expect(scenarios).to.deep.equal([]);
        expect(diagnostics).to.not.deep.equal([]);
        expectInside(readFileSync(path.join(fixtures, file), 'utf8'), diagnostics);
      });
    }
  }

  it('are not told again by what follows from them', () => {
    const told = (hosts: string, steps: string, top = ''): string[] =>
      lines(
        loadScenarioText(`scenario: lab\ntitle: A lab\n${top}hosts: ${hosts}\nsteps:\n${steps}`, '/nowhere/lab.yaml')
          .diagnostics,
      );
    const step = '  - run: "true"\n';
    const short = told('{ a: { docker: { containers: { c: { image: busybox } } } } }', step, 'images: [busybox]\n');
    expect(short).to.have.length(1);
    expect(short[0]).to.match(/^4:/);
    const ping = '  - { check: it answers, ping: { from: a/web, to: 10.0.0.1 } }\n';
    const unsound = told('{ a: { docker: { containers: { web: { image: busybox, wrong: 1 } } } } }', ping);
    expect(unsound).to.have.length(1);
    expect(unsound[0]).to.match(/unknown key "wrong"/);
    const fault = '  - { fault: { cut: { segment: lan, hosts: nowhere }, name: pa } }\n';
    const healed = told('{ a: }', `${fault}  - { heal: pa }\n`);
    expect(healed.join('\n')).to.not.match(/no fault before it/);
    expect(healed).to.not.deep.equal([]);
    // Whatever does not follow is told beside them.
    expect(told('{ a: }', `${fault}  - { heal: pb }\n`).join('\n')).to.match(/no fault before it is called "pb"/);
    expect(told('{ a: { init: light } }', step, 'images: [busybox]\n').join('\n')).to.match(/no host of this scenario/);
    expect(told('{ a: }', ping).join('\n')).to.match(/no step creates the container web on a/);
  });

  it('name a capability that no provider knows, and the one that was meant', () => {
    const told = (requires: string): string[] =>
      lines(
        validateText(`scenario: lab\ntitle: A lab\nrequires: ${requires}\nhosts: { a: }\nsteps: [{ run: "true" }]\n`)
          .diagnostics,
      );
    for (const name of namedCapabilities) expect(told(name), name).to.deep.equal([]);
    expect(told('machine:r1')).to.deep.equal([]);
    expect(told('[kernel:veth, kernel:vxlann]')).to.deep.equal([
      '3:25 no provider knows the capability "kernel:vxlann"; did you mean "kernel:vxlan"?',
    ]);
    // Those of its kind, where none is like it.
    expect(told('kernel:quantum').join('\n')).to.match(/^3:11 .*; there is kernel:overlayfs, .*, kernel:esp$/);
    expect(told('something').join('\n')).to.match(/; such are kernel:8021q and engine; `netrig doctor` names all$/);
    expect(told('4').join('\n')).to.match(/^3:11 expected a capability such as kernel:8021q, got 4$/);
  });

  it('of a cause that there is none of are one mistake, in every kind that takes causes', () => {
    const kinds: Record<string, string> = {
      ping: 'from: a, to: b',
      port: 'from: a, to: b, port: 80',
      http: 'from: a, url: "http://b/"',
      dns: 'from: a, server: b, name: web.lab',
      tls: 'from: a, to: b, port: 443',
    };
    const told = (kind: string, expected: string): string[] =>
      loadScenarioText(
        `scenario: lab\ntitle: A lab\nhosts: { a: , b: }\nsteps: [{ check: c, ${kind}: { ${kinds[kind]}, expect: ${expected} } }]\n`,
        '/nowhere/lab.yaml',
      ).diagnostics.map(({ message }) => message);
    const takeCauses = builtInKinds.checks.filter(
      ({ schema }) => schema.safeParse({}).success === false && keysAt(schema, ['expect']).includes('fails'),
    );
    expect(Object.keys(kinds).sort()).to.deep.equal(takeCauses.map(({ name }) => name).sort());
    for (const kind of Object.keys(kinds)) {
      const one = 'no cause "timeot"; did you mean "timeout"?';
      expect(told(kind, '{ fails: timeot }'), kind).to.deep.equal([one]);
      expect(told(kind, '{ fails: [refused, timeot] }'), kind).to.deep.equal([one]);
      expect(told(kind, '{ fails: timeout }'), kind).to.deep.equal([]);
      expect(told(kind, '{ fail: timeout }'), kind).to.deep.equal(['unknown key "fail"; did you mean "fails"?']);
    }
    expect(told('http', '{ statuss: 200 }')).to.deep.equal(['unknown key "statuss"; did you mean "status"?']);
    expect(told('http', '{ fails: timeout, status: 200 }')).to.deep.equal(['"status" does not go with "fails"']);
  });

  it('of a key of `expect` one level too high, or two, say where it belongs, in every kind', () => {
    const told = (kind: string, body: string, beside = ''): string[] =>
      loadScenarioText(
        `scenario: lab\ntitle: A lab\nhosts: { a: , b: }\nsteps: [{ check: c, ${kind}: { ${body} }${beside} }]\n`,
        '/nowhere/lab.yaml',
      ).diagnostics.map(({ message }) => message);
    let seen = 0;
    for (const { name, schema } of builtInKinds.checks) {
      const own = [...keysAt(schema, []), ...checkFrameKeys];
      const former = renamings.map((one) => one.former.at(-1));
      for (const key of keysAt(schema, ['expect'])) {
        if (own.includes(key) || former.includes(key)) continue;
        seen += 1;
        expect(told(name, `${key}: 1`), `${name}: ${key}`).to.include(`\`${key}\` belongs under \`expect:\``);
        if ([...builtInKinds.checks, ...builtInKinds.steps].some((kind) => kind.name === key)) continue;
        expect(told(name, '', `, ${key}: 1`), `${name} beside ${key}`).to.include(
          `\`${key}\` belongs under \`expect:\` of \`${name}:\``,
        );
      }
    }
    expect(seen).to.be.greaterThan(30);
    const port = 'from: a, to: b, port: 80';
    expect(told('port', `${port}, recieve: x`)).to.deep.equal([
      'unknown key "recieve"; did you mean "receive"? It belongs under `expect:`',
    ]);
    // A word that is near to a key of the map itself was meant there.
    expect(told('port', `${port}, famly: 4`)).to.deep.equal(['unknown key "famly"; did you mean "family"?']);
    for (const [value, list] of [
      ['timeout', 'timeout'],
      ['refusd', 'refused'],
      ['[timeout, host-unreachable]', '[timeout, host-unreachable]'],
    ])
      expect(told('port', `${port}, expect: ${value}`)).to.deep.equal([
        `a cause belongs under \`fails\`: \`expect: { fails: ${list} }\``,
      ]);
    expect(told('port', `${port}, expect: opne`)).to.deep.equal(['expected open, or a map, got "opne"']);
  });

  it('of a variable that refers to another one are one mistake, at its very value', () => {
    for (const [vars, place] of [
      ['vars:\n  y: 1\n  x: "${y}"', '5:6'],
      ['vars: { y: 1, x: "${y}" }', '3:18'],
    ] as const)
      expect(
        lines(
          validateText(
            `scenario: lab\ntitle: A lab\n${vars}\nhosts: { a: , b: }\nsteps: [{ check: c, ping: { from: a, to: b, count: "${'${x}'}" } }]\n`,
          ).diagnostics,
        ),
      ).to.deep.equal([`${place} values of variables cannot refer to other variables`]);
  });

  it('of routes: those of the two families are two, and one is one however it is written', () => {
    const told = (routes: string): string[] =>
      lines(
        validateText(
          `scenario: lab\ntitle: A lab\nhosts: { a: { routes: [${routes}] }, r: }\nsegments: { lan: { subnet: [10.1.0.0/24, "fd01::/64"], hosts: { a: [10.1.0.10, "fd01::10"], r: [10.1.0.1, "fd01::1"] } } }\nsteps: [{ check: c, ping: { from: a, to: r } }]\n`,
        ).diagnostics,
      );
    const [four, six] = ['{ to: default, via: 10.1.0.1 }', '{ to: default, via: "fd01::1" }'];
    expect(told(`${four}, ${six}`)).to.deep.equal([]);
    expect(told(`${six}, ${six}`)).to.have.length(1);
    expect(told(`${six}, { to: "::/0", via: "fd01::1" }`)).to.have.length(1);
    expect(told(`${four}, { to: 0.0.0.0/0, via: 10.1.0.1 }`)).to.have.length(1);
  });

  it('of a file that several scenarios take in are told once', () => {
    const file = path.join(fixtures, 'bad', 'none.yaml');
    const [one] = loadScenarioText(
      'scenario: lab\ntitle: A lab\nhosts: { a: }\nsteps: [{ runn: "true" }]\n',
      file,
    ).diagnostics;
    const loaded = [{ diagnostics: [one!] }, { diagnostics: [{ ...one!, path: 'steps[3]' }] }, { diagnostics: [] }];
    expect(mistakeCount(loaded)).to.equal('1 mistake in 2 of 3 files');
    expect(distinctDiagnostics(loaded.flatMap(({ diagnostics }) => diagnostics))).to.deep.equal([one]);
  });

  it('of a segment leave open what depends on it, and nothing else', () => {
    const told = (segments: string, hosts = ''): string[] =>
      lines(
        loadScenarioText(
          `scenario: lab
title: A lab
hosts: { a: { routes: [{ to: 10.9.0.0/24, via: 10.50.2.1 }], dns: { web.lab: b } }, b: ${hosts}}
${segments}
steps:
  - { fault: { cut: { segment: hall, hosts: a }, name: pa } }
`,
          '/nowhere/lab.yaml',
        ).diagnostics,
      );
    const sound = 'segments: { hall: { subnet: 10.50.2.0/24, hosts: { a: 10.50.2.2, b: 10.50.2.1 } } }';
    expect(told(sound)).to.deep.equal([]);
    expect(told(sound.replace('subnet:', 'subnets:'))).to.deep.equal([
      '4:21 unknown key "subnets"; did you mean "subnet"?',
    ]);
    expect(told(sound.replace('hosts:', 'hostss:'))).to.deep.equal([
      '4:43 unknown key "hostss"; did you mean "hosts"?',
    ]);
    expect(told(sound.replace('segments:', 'segmentz:'))).to.deep.equal([
      '4:1 unknown key "segmentz"; did you mean "segments"?',
    ]);
    // What a sound part of the lab says is judged as ever.
    expect(told(sound.replaceAll('hall', 'hull')).join('\n')).to.match(/no segment "hall" .*did you mean "hull"/);
    expect(told(sound.replace('{ a: 10.50.2.2, b:', '{ b:')).join('\n')).to.match(/is on no segment of a, which is on/);
    expect(told(sound.replace('subnet:', 'subnets:').replace('{ a: 10.50.2.2, b:', '{ b:')).join('\n')).to.match(
      /is on no segment of a, which is on none/,
    );
  });

  it('of a subnet say why no host can be found in it', () => {
    const told = (subnet: string, address: string): string[] =>
      lines(
        loadScenarioText(
          `scenario: lab\ntitle: A lab\nhosts: { a: }\nsegments: { s: { subnet: "${subnet}", hosts: { a: "${address}" } } }\nsteps:\n  - { check: up, ping: { from: a, to: a } }\n`,
          '/nowhere/lab.yaml',
        ).diagnostics,
      );
    // Seen on a lab: nobody is reached at such an address without the name of an interface.
    expect(told('fe80::/64', 'fe80::1').join('\n')).to.match(
      /^4:26 fe80::\/64 is link-local: .*; take one of fd00::\/8/,
    );
    expect(told('::ffff:10.0.0.0/120', '::ffff:10.0.0.1').join('\n')).to.match(/write the IPv4 subnet/);
    for (const [subnet, address] of [
      ['169.254.0.0/16', '169.254.1.1'],
      ['240.0.0.0/24', '240.0.0.1'],
      ['fd00::/64', 'fd00::1'],
    ] as const)
      expect(told(subnet, address)).to.deep.equal([]);
  });

  it('name one mistake where another word stands for a missing key', () => {
    const told = (check: string): string[] =>
      lines(
        loadScenarioText(
          `scenario: lab\ntitle: A lab\nhosts: { a: }\nsteps:\n  - { check: up, ${check} }\n`,
          '/nowhere/lab.yaml',
        ).diagnostics,
      ).map((line) => line.replace(/; known here: .*/, ''));
    expect(told('service: { name: ssh, on: a }')).to.deep.equal(['5:29 unknown key "name": write "unit"']);
    // Two of them, a value that would not do, or nothing missing: each is told by itself.
    expect(told('service: { name: ssh, kind: x, on: a }')).to.have.length(3);
    expect(told('service: { name: [ssh], on: a }')).to.have.length(2);
    expect(told('service: { unit: ssh, name: ssh, on: a }')).to.deep.equal(['5:40 unknown key "name"']);
  });

  it('are sorted by place, and each is said once for all matrix combinations', () => {
    const { diagnostics } = validateText(
      lab('  - { run: x, on: nod1 }', 'matrix: { image: [debian-11, debian-12, debian-13] }\ntags: Bad\n'),
    );
    expect(lines(diagnostics)).to.deep.equal([
      '4:7 expected a tag of lower-case letters, digits and dashes, got "Bad"',
      '8:19 no host "nod1" in this scenario; did you mean "node1"?',
    ]);
  });

  it('have a place inside the file wherever it is cut off or damaged', function () {
    this.timeout(120_000);
    const whole = readFileSync(path.join(fixtures, 'good/whole.yaml'), 'utf8');
    const junk = ['\t', '"', ': ', '- ', '{', '}', '&a ', '*a', '!', '${x}', '\r\n', '#', '\u4e2d', '<<: 1\n', '%'];
    let broken = 0;
    for (let at = 0; at < whole.length; at += 23) {
      const damaged = [
        whole.slice(0, at),
        whole.slice(0, at) + junk[at % junk.length]! + whole.slice(at),
        whole.slice(0, at) + whole.slice(at + 9),
      ];
      for (const text of damaged) {
        const { diagnostics, scenarios } = validateText(text);
        expectInside(text, diagnostics);
        expect(scenarios.length > 0).to.equal(diagnostics.length === 0);
        if (diagnostics.length > 0) broken += 1;
      }
    }
    expect(broken).to.be.greaterThan(100);
  });

  it('show the lines around the place, with a caret below', () => {
    const { diagnostics } = validateText(lab('  - { run: ip link, onn: node1 }'));
    expect(formatDiagnostics(diagnostics)).to.include(
      [
        'lab.yaml:6:21: unknown key "onn"; did you mean "on"? (steps[0].onn)',
        '  4 | segments: { lan: { subnet: 10.0.0.0/24, hosts: [node1, node2] } }',
        '  5 | steps:',
        '> 6 |   - { run: ip link, onn: node1 }',
        '    |                     ^^^',
      ].join('\n'),
    );
  });

  it('count wide characters and tabs as a terminal shows them', () => {
    const { diagnostics } = validateText(
      'scenario: lab\ntitle: "\u7f51\u6865"\nhosts: { node1: }\nsteps: [{ step: "\u7f51\u6865\tx", rum: x }]\n',
    );
    expect(codeFrame(diagnostics[0]!)).to.include(
      `> 4 | steps: [{ step: "\u7f51\u6865\tx", rum: x }]\n    | ${' '.repeat(17)}    \t    ^^^`,
    );
  });

  it('cut long lines to the place of the mistake', () => {
    const { diagnostics } = validateText(lab(`  - { run: "${'x'.repeat(500)}", onn: node1 }`));
    const frame = codeFrame(diagnostics[0]!).split('\n');
    const at = frame.findIndex((row) => row.startsWith('>'));
    expect(frame[at]!.length).to.be.below(130);
    expect(frame[at]!.slice(frame[at + 1]!.indexOf('^'), frame[at + 1]!.indexOf('^') + 3)).to.equal('onn');
  });

  it('never hand control sequences of a file to the terminal', () => {
    const { diagnostics } = validateText(
      'scenario: lab\ntitle: "\\e[2J\\u202e"\nhosts: { "n\\e[31m": }\nsteps: [{ run: x }]\n',
    );
    expect(diagnostics).to.not.deep.equal([]);
    expect(formatDiagnostics(diagnostics)).to.not.match(/[\u0000-\u0009\u000b-\u001f\u202e]/);
  });

  it('are coloured only when asked', () => {
    const { diagnostics } = validateText('x: 1\n');
    expect(formatDiagnostics(diagnostics, { color: false })).to.not.include('\u001b[');
    expect(formatDiagnostics(diagnostics, { color: true })).to.include('\u001b[');
  });

  it('are plain data for programs', () => {
    const { diagnostics } = validateText(lab('  - { run: ip link, onn: node1 }'));
    const [first] = JSON.parse(JSON.stringify(diagnosticsToJson(diagnostics))) as Record<string, unknown>[];
    expect(first).to.include({
      file: 'lab.yaml',
      line: 6,
      column: 21,
      length: 3,
      path: 'steps[0].onn',
      message: 'unknown key "onn"; did you mean "on"?',
    });
    expect(first!.frame).to.include('> 6 |');
  });
});
