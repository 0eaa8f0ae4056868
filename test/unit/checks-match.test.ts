import { expect } from 'chai';
import { z } from 'zod';
import {
  AbsenceUndecided,
  type FieldResult,
  matchFields,
  parsePath,
  valueAt,
  zFields,
} from '../../src/judging/json-path.js';
import { absent, describeMatcher, match, zMatcher } from '../../src/judging/match.js';
import type { Matcher } from '../../src/judging/match.js';

describe('matchers', () => {
  const table: [matcher: Matcher, actual: unknown, ok: boolean][] = [
    ['global', 'global', true],
    ['global', 'swarm', false],
    [1450, 1450, true],
    [1450, '1450', true],
    [true, 'true', true],
    [true, 1, false],
    [0, false, false],
    [0, '', false],
    [null, null, true],
    [null, '', false],
    ['null', null, false],
    ['', '', true],
    ['[object Object]', {}, false],
    ['a,b', ['a', 'b'], false],
    [['a', 2], ['a', 2], true],
    [['a', 2], ['a', 2, 3], false],
    [[], [], true],
    [['a'], 'a', false],
    [{ matches: '^b$' }, 'a\nb\nc', true],
    [{ matches: '^b$' }, 'abc', false],
    [{ matches: '^15' }, 1500, true],
    [{ matches: 'x' }, null, false],
    [{ contains: '10' }, 'a 10 b', true],
    [{ contains: 'a' }, ['b', 'a'], true],
    [{ contains: 'a' }, ['ab'], false],
    [{ contains: { matches: '^a' } }, ['ab'], true],
    [{ contains: 'a' }, [], false],
    [{ contains: 'a' }, { a: 1 }, false],
    [{ not: 'a' }, 'b', true],
    [{ not: 'a' }, 'a', false],
    [{ not: { contains: 'UP' } }, ['LOWER_UP'], true],
    [{ 'one-of': ['a', { matches: '^b' }] }, 'bcd', true],
    [{ 'one-of': ['a', 'b'] }, 'c', false],
    [{ 'in-subnet': '10.0.0.0/24' }, '10.0.0.7', true],
    [{ 'in-subnet': '10.0.0.0/24' }, '10.0.0.7/16', true],
    [{ 'in-subnet': '10.0.0.0/24' }, '10.0.0.0/16', false],
    [{ 'in-subnet': '10.0.0.0/8' }, '10.0.0.0/24', true],
    [{ 'in-subnet': '10.0.0.0/24' }, '10.0.1.7', false],
    [{ 'in-subnet': '10.0.0.0/24' }, 'fd00::1', false],
    [{ 'in-subnet': 'fd00::/64' }, 'fd00::1', true],
    [{ 'in-subnet': '0.0.0.0/0' }, 'nonsense', false],
    [{ 'at-least': 1 }, 1, true],
    [{ 'at-least': 1, 'at-most': 5 }, 6, false],
    [{ 'at-least': 2 }, '10', true],
    [{ 'at-least': 2 }, '10 received', false],
    [{ length: 2 }, ['a', 'b'], true],
    [{ length: { 'at-least': 1 } }, { a: 1 }, true],
    [{ each: { 'at-least': 1 } }, [1, 2], true],
    [{ each: { 'at-least': 2 } }, [1, 2], false],
    [{ absent: true }, absent, true],
    [{ absent: true }, null, false],
    [{ absent: false }, null, true],
    [{ absent: false }, absent, false],
  ];
  for (const [matcher, actual, ok] of table) {
    it(`${JSON.stringify(matcher)} ${ok ? 'takes' : 'does not take'} ${actual === absent ? 'what is absent' : JSON.stringify(actual)}`, () => {
      expect(match(matcher, actual).ok).to.equal(ok);
    });
  }

  it('is never met, nor is its negation, by a value that cannot answer it', () => {
    const unfit: [Matcher, unknown][] = [
      ['a', absent],
      [{ matches: 'a' }, absent],
      [{ contains: 'a' }, 5],
      [{ 'in-subnet': '10.0.0.0/8' }, 10],
      [{ 'at-least': 1 }, 'many'],
      [{ each: 'a' }, []],
      [{ length: 1 }, 7],
      [['a'], absent],
      ['a', { a: 1 }],
    ];
    for (const [matcher, actual] of unfit) {
      expect(match(matcher, actual).ok, `${JSON.stringify(matcher)} itself`).to.equal(false);
      expect(match({ not: matcher }, actual).ok, `the negation of ${JSON.stringify(matcher)}`).to.equal(false);
    }
  });

  it('says what it saw and what was expected', () => {
    expect(match({ 'in-subnet': '10.0.0.0/24' }, '10.9.9.9').sentence).to.equal(
      'is "10.9.9.9", expected inside 10.0.0.0/24',
    );
    expect(match('global', absent).sentence).to.equal('is absent, expected "global"');
    expect(match(3, 3).sentence).to.equal('is 3');
    expect(describeMatcher({ not: { 'one-of': [1, { contains: 'x' }] } })).to.equal(
      'anything but one of 1, something that contains "x"',
    );
    expect(match('a', 'b'.repeat(5000)).sentence.length).to.be.below(400);
  });

  it('takes only what it knows', () => {
    for (const wrong of [
      { matches: '(' },
      { not: { matches: '[' } },
      { like: 'x' },
      {},
      { 'in-subnet': '10.0.0.300/24' },
      { 'at-least': '1' },
      { 'one-of': [] },
      undefined,
    ]) {
      expect(zMatcher.safeParse(wrong).success, JSON.stringify(wrong)).to.equal(false);
    }
    expect(JSON.stringify(zMatcher.safeParse({ not: { matches: '(' } }).error?.issues)).to.contain(
      'not a regular expression',
    );
  });

  it('has a JSON Schema', () => {
    const schema = z.toJSONSchema(z.strictObject({ a: zMatcher }), { io: 'input' });
    expect(schema.$defs).to.have.property('Matcher');
  });
});

describe('paths into JSON documents', () => {
  const document = {
    Name: 'ov_net1',
    IPAM: { Config: [{ Subnet: '10.0.0.0/24' }, { Gateway: '10.0.0.1' }] },
    Labels: { 'com.example.role': 'lab', 'a"b': 1 },
    Ports: { '80/tcp': [{ HostPort: '8080' }] },
    Nothing: null,
    Empty: [],
  };
  const values: [string, unknown][] = [
    ['Name', 'ov_net1'],
    ['IPAM.Config[0].Subnet', '10.0.0.0/24'],
    ['IPAM.Config[1].Subnet', absent],
    ['IPAM.Config[2]', absent],
    ['IPAM.Config[*].Subnet', ['10.0.0.0/24', absent]],
    ['Labels."com.example.role"', 'lab'],
    ['Labels."a\\"b"', 1],
    ['Labels.com.example.role', absent],
    ['Ports."80/tcp"[0].HostPort', '8080'],
    ['Ports[*][0].HostPort', ['8080']],
    ['Nothing', null],
    ['Nothing.more', absent],
    ['Empty[*]', []],
    ['Name[0]', absent],
    ['Name.length', absent],
    ['constructor', absent],
    ['__proto__', absent],
    ['toString', absent],
    ['Missing[*]', absent],
  ];
  for (const [path, value] of values)
    it(`${path} is ${value === absent ? 'absent' : JSON.stringify(value)}`, () =>
      expect(valueAt(document, path)).to.deep.equal(value));

  it('may begin with an index', () => expect(valueAt([{ a: 1 }], '[0].a')).to.equal(1));

  it('refuses what is no path, and says where', () => {
    for (const wrong of [
      '',
      '.',
      'a..b',
      'a.',
      'a[',
      'a[x]',
      'a[-1]',
      'a b',
      '"a',
      'a[0]b',
      'a."\\q"',
      'a[1.5]',
      '$.a',
      'a[]',
    ])
      expect(() => parsePath(wrong), wrong).to.throw(/at character \d+ of the path/);
    expect(zFields.safeParse({ 'a..b': 1 }).error?.issues[0]?.message).to.match(/a key was expected at character 3/);
    expect(zFields.safeParse({}).success).to.equal(false);
  });

  it('shows an element that lacks the rest of the path', () => {
    const [result] = matchFields({ 'IPAM.Config[*].Subnet': { each: { 'in-subnet': '10.0.0.0/8' } } }, document);
    expect(result?.ok).to.equal(false);
    expect(result?.actual).to.equal('["10.0.0.0/24","(absent)"]');
  });

  it('never finds two missing things equal', () => {
    expect(matchFields({ 'No.Such': { not: 'x' } }, document)[0]?.ok).to.equal(false);
    expect(matchFields({ 'No.Such': null }, document)[0]?.ok).to.equal(false);
    expect(matchFields({ Such: { absent: true } }, document)[0]?.ok).to.equal(true);
  });

  describe('absence below what is missing', () => {
    const network = { Options: { 'com.docker.bridge.name': 'docker1' }, Labels: null, Config: [{ a: 1 }], Name: 'n1' };
    const judged = (path: string): boolean | string => {
      try {
        return matchFields({ [path]: { absent: true } }, network)[0]!.ok;
      } catch (error) {
        if (!(error instanceof AbsenceUndecided)) throw error;
        return error.message;
      }
    };

    for (const path of ['No.Such', 'Name.first', 'Options[0]', 'Config.a', 'Config[1].a', 'Labels.a.b'])
      it(`is not shown by ${path}`, () =>
        expect(judged(path))
          .to.be.a('string')
          .that.matches(/ is not there to have it$/));

    for (const path of ['Such', 'Options.name', 'Options."com.docker"', 'Labels.a', 'Config[1]'])
      it(`is shown by ${path}`, () => expect(judged(path)).to.equal(true));

    it('tells how a key with dots is written, of what is absent and of what has to be there', () => {
      const hint = '; a key with dots is written in quotes: Options."com.docker.bridge.name"';
      expect(judged('Options.com.docker.bridge.name')).to.equal(
        `whether Options.com.docker.bridge.name is absent is not shown: Options.com is not there to have it${hint}`,
      );
      const [positive] = matchFields({ 'Options.com.docker.bridge.name': 'docker1' }, network);
      expect(positive).to.deep.include({ ok: false, sentence: `is absent, expected "docker1"${hint}` });
    });

    it('is not shown of each of several, but what one of them has is', () => {
      const of = (matcher: Matcher): FieldResult[] =>
        matchFields({ 'Nets[*].Own.key': matcher }, { Nets: [{ Own: { key: 1 } }, {}] });
      expect(() => matchFields({ 'Config[*].b.c': { each: { absent: true } } }, network)).to.throw(AbsenceUndecided);
      expect(of({ contains: 1 })[0]?.ok).to.equal(true);
    });

    it('leaves a field that does not hold its word', () => {
      const results = matchFields({ 'No.Such': { absent: true }, Name: 'other' }, network);
      expect(results.map(({ ok }) => ok)).to.deep.equal([true, false]);
    });
  });
});
