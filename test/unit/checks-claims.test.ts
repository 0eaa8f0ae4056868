import { expect } from 'chai';
import { checkKindNamed } from '../../src/checks/registry.js';
import { holdsForAll } from '../../src/judging/claims.js';
import type { Domain } from '../../src/judging/claims.js';
import type { Matcher } from '../../src/judging/match.js';
import { loadScenarioText } from '../../src/scenario/load.js';

describe('claims that cannot fail', () => {
  const table: [domain: Domain, matcher: Matcher, holds: boolean][] = [
    ['count', { 'at-least': 0 }, true],
    ['count', { 'at-least': -3 }, true],
    ['count', { not: -1 }, true],
    ['count', { absent: false }, true],
    ['count', { 'one-of': [0, { 'at-least': 1 }] }, true],
    ['count', { 'at-least': 1 }, false],
    ['count', { 'at-most': 0 }, false],
    ['count', 0, false],
    ['count', { not: 48_213 }, false],
    ['count', { 'at-least': 0, 'at-most': 48_213 }, false],
    ['count', { not: 0.5 }, false],
    ['count', { 'at-least': 0.25 }, false],
    ['text', { matches: '.*' }, true],
    ['text', { matches: '^' }, true],
    ['text', { contains: '' }, true],
    ['text', { length: { 'at-least': 0 } }, true],
    ['text', { absent: false }, true],
    ['text', { not: { contains: 'error' } }, false],
    ['text', { not: { matches: 'error' } }, false],
    ['text', { matches: '(a+)+' }, false],
    ['text', { 'one-of': ['a', { matches: 'x*' }] }, true],
    ['text', { matches: '.' }, false],
    ['text', '', false],
    ['text', { 'at-least': 0 }, false],
    ['list', { length: { 'at-least': 0 } }, true],
    ['list', { length: 0 }, false],
    ['list', { contains: 'lo' }, false],
  ];
  for (const [domain, matcher, holds] of table) {
    it(`${JSON.stringify(matcher)} ${holds ? 'holds' : 'does not hold'} for every ${domain}`, () =>
      expect(holdsForAll(domain, matcher)).to.equal(holds));
  }

  const refused: [kind: string, body: string, at: string, words: string][] = [
    ['command', '{ on: a, run: "false", expect: { exit: any } }', 'exit', 'any cannot fail'],
    ['command', '{ on: a, run: "false", expect: {} }', 'expect', 'says nothing'],
    ['command', '{ on: a, run: "false", expect: { stdout: { matches: ".*" } } }', 'stdout', 'cannot fail: any text'],
    ['process', '{ on: a, name: x, expect: { count: { at-least: 0 } } }', 'count', 'cannot fail: any number'],
    ['process', '{ on: a, name: x, expect: {} }', 'expect', 'says nothing'],
    ['capture', '{ on: a, segment: lan, listen: 1s, expect: { packets: { at-least: 0 } } }', 'packets', 'cannot fail'],
    ['capture', '{ on: a, segment: lan, listen: 1s, expect: {} }', 'expect', 'says nothing'],
    [
      'counter',
      '{ on: a, interface: lo, direction: rx, during: { ping: { from: a, to: b } }, expect: { packets: { at-least: 0 } } }',
      'packets',
      'cannot fail',
    ],
    ['bridge', '{ on: a, interface: br0, expect: {} }', 'expect', 'says nothing'],
    ['bridge', '{ on: a, interface: br0, expect: { ports: { length: { at-least: 0 } } } }', 'ports', 'any list'],
    ['link', '{ on: a, interface: br0, expect: {} }', 'expect', 'says nothing'],
    ['docker', '{ on: a, network: bridge, expect: {} }', 'expect', 'says nothing'],
    ['route', '{ on: a, to: default, expect: {} }', 'expect', 'says nothing'],
    ['address', '{ on: a, interface: eth0, expect: {} }', 'expect', 'says nothing'],
    ['port', '{ from: a, to: b, port: 80, expect: {} }', 'expect', 'says nothing'],
    ['file', '{ on: a, path: /etc/hosts, expect: {} }', 'expect', 'says nothing'],
    ['file', '{ on: a, path: /etc/hosts, expect: { size: { at-least: 0 } } }', 'size', 'any number'],
    ['iptables', '{ on: a, chain: INPUT, expect: {} }', 'expect', 'says nothing'],
    ['iptables', '{ on: a, chain: INPUT, expect: { count: { at-least: 0 } } }', 'count', 'any number'],
    ['service', '{ on: a, unit: docker, expect: {} }', 'expect', 'says nothing'],
    ['ovs', '{ on: a, expect: { bridges: { length: { at-least: 0 } } } }', 'bridges', 'any list'],
    ['http', '{ from: a, url: "http://b/", expect: {} }', 'expect', 'says nothing'],
    ['http', '{ from: a, url: "http://b/", expect: { body: { contains: "" } } }', 'body', 'any text'],
    [
      'arp',
      '{ from: a, interface: eth0, address: 10.0.0.2, expect: { answers: { at-least: 0 } } }',
      'answers',
      'any number',
    ],
    [
      'throughput',
      '{ from: a, to: b, compared-to: { from: b, to: a }, expect: { ratio: { at-least: 0 } } }',
      'ratio',
      'any number',
    ],
    ['consul', '{ on: a, expect: { members: { count: { at-least: 0 } } } }', 'count', 'any number'],
  ];
  for (const [kind, body, at, words] of refused) {
    it(`${kind} ${body} is refused at ${at}`, () => {
      const { diagnostics } = loadScenarioText(
        `scenario: x\ntitle: t\nhosts: { a: , b: }\nsegments: { lan: { subnet: 10.0.0.0/24, hosts: [a, b] } }\nsteps:\n  - check: c\n    ${kind}: ${body}\n`,
        '/labs/x.yaml',
      );
      expect(diagnostics.map(({ message }) => message).join('\n')).to.include(words);
      const [first] = diagnostics;
      expect(
        `    ${kind}: ${body}`
          .slice(0, first!.column - 1)
          .trimEnd()
          .endsWith(`${at}:`),
        first!.message,
      ).to.equal(true);
    });
  }

  it('the same without an expectation, where that says what is expected, is taken', () => {
    for (const [kind, spec] of [
      ['command', { on: 'a', run: 'true' }],
      ['process', { on: 'a', name: 'x' }],
      ['bridge', { on: 'a', interface: 'br0' }],
      ['http', { from: 'a', url: 'http://b/' }],
      ['capture', { on: 'a', interface: 'eth0', listen: '1s' }],
    ] as const)
      expect(checkKindNamed(kind)!.schema.safeParse(spec).success, kind).to.equal(true);
  });
});

describe('keys below expect', () => {
  const company: [expected: string, message: string][] = [
    ['{ fails: timeout, min-received: 1 }', '"fails" does not go with "min-received"'],
    ['{ fails: timeout, min-recieved: 1 }', 'unknown key "min-recieved"; did you mean "min-received"?'],
    ['{ fials: timeout }', 'unknown key "fials"; did you mean "fails"?'],
  ];
  for (const [expected, message] of company) {
    it(`never propose the very key that they refuse: ${expected}`, () => {
      const { diagnostics } = loadScenarioText(
        `scenario: x\ntitle: t\nhosts: { a: , b: }\nsegments: { lan: { subnet: 10.0.0.0/24, hosts: [a, b] } }\nsteps:\n  - { check: c, ping: { from: a, to: b, expect: ${expected} } }\n`,
        '/labs/x.yaml',
      );
      expect(diagnostics.map((one) => one.message)).to.include(message);
      expect(diagnostics.map((one) => one.message).join('\n')).to.not.match(/unknown key ("[^"]*"); did you mean \1/);
    });
  }
});
