import { expect } from 'chai';
import { decodeSource, readSource } from '../../src/scenario/source.js';
import { lab, lines, validateText } from './scenario-fixtures.js';

const good = lab('  - check: they meet\n    ping: { from: node1, to: node2 }');

describe('scenario: the text of a file', () => {
  it('may begin with a byte order mark', () => {
    expect(lines(validateText(`\ufeff${good}`).diagnostics)).to.deep.equal([]);
    expect(lines(validateText(`\ufeff${good.replace('title:', 'titel:')}`).diagnostics)).to.include(
      '2:1 unknown key "titel"; did you mean "title"?',
    );
  });

  it('may have Windows line ends, and keeps its places', () => {
    const text = good.replaceAll('\n', '\r\n');
    expect(lines(validateText(text).diagnostics)).to.deep.equal([]);
    const { diagnostics } = validateText(text.replace('ping:', 'pign:'));
    expect(lines(diagnostics)).to.deep.equal(['7:5 unknown key "pign"; did you mean "ping"?']);
    expect(diagnostics[0]!.lines.every((row) => !row.text.includes('\r'))).to.equal(true);
  });

  it('must be UTF-8: the first wrong byte is named', () => {
    const bytes = Buffer.concat([
      Buffer.from('scenario: lab\ntitle: "gr\u00fcn '),
      Buffer.from([0xe4, 0x20]),
      Buffer.from('"\n'),
    ]);
    const decoded = decodeSource(bytes, 'lab.yaml');
    expect('diagnostics' in decoded && lines(decoded.diagnostics)).to.deep.equal([
      '2:14 the file is not UTF-8: byte 0xe4 stands for nothing here',
    ]);
  });

  it('must be UTF-8: a character cut off at the end is named too', () => {
    const decoded = decodeSource(Buffer.concat([Buffer.from('a: x'), Buffer.from([0xe4, 0xb8])]), 'lab.yaml');
    expect('diagnostics' in decoded && decoded.diagnostics[0]!.message).to.match(/^the file is not UTF-8/);
  });

  it('must not be UTF-16', () => {
    const decoded = decodeSource(Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(good, 'utf16le')]), 'lab.yaml');
    expect('diagnostics' in decoded && lines(decoded.diagnostics)).to.deep.equal([
      '1:1 the file is UTF-16: save it as UTF-8',
    ]);
  });

  it('is told of a text that a comma cut off', () => {
    const told = (body: string): string[] => {
      const step = lab(`  - { check: c, ping: ${body} }`);
      return lines(validateText(step).diagnostics).map((line) => line.replace(/^\S+ |; known here: [^;]*/g, ''));
    };
    const hint = '; a text with a comma needs quotes';
    expect(told('{ from: node1, to: node2, name: Odyssey, Iliad }')).to.include(`unknown key "Iliad"${hint}`);
    expect(told('{ from: node1, to: node2, name: a, Iliad, Aeneid }')).to.include(`unknown key "Aeneid"${hint}`);
    // With a value, after a text in quotes, or in a map of lines, it is a key.
    for (const other of ['Odyssey, Iliad: 1', '"Odyssey", Iliad', 'Odyssey, Iliad:'])
      expect(told(`{ from: node1, to: node2, name: ${other} }`)).to.include('unknown key "Iliad"');
  });

  it('is told of a comma that is missing between two keys', () => {
    const told = (text: string): string[] => lines(readSource(text, 'lab.yaml').diagnostics);
    const sentence = 'not YAML: block collections are not allowed within flow collections';
    expect(told('a: { port: 81 expect: { b: c } }')).to.deep.equal([
      `1:12 ${sentence}: is a comma missing before \`expect:\`?`,
    ]);
    expect(told('a: { text: two words expect: c }')).to.deep.equal([
      `1:12 ${sentence}: is a comma missing before \`expect:\`?`,
    ]);
    expect(told('a: { port: - 81 }').join()).to.not.match(/comma/);
  });

  it('is told of a key that is indented less than those of its item', () => {
    expect(lines(readSource('steps:\n  - check: one\n   ping: { from: a }\n', 'lab.yaml').diagnostics)).to.deep.equal([
      '3:1 this line is indented otherwise than the keys of the item above it: they start in one column',
    ]);
  });

  it('must not hold control characters', () => {
    expect(lines(validateText('scenario: lab\ntitle: a\u0000b\n').diagnostics)).to.deep.equal([
      '2:9 the control character U+0000 has no place in a scenario',
    ]);
  });

  for (const [what, text] of [
    ['flow lists', `a: ${'['.repeat(300_000)}`],
    ['flow maps', `a: ${'{b: '.repeat(100_000)}`],
    ['compact lists', '- '.repeat(300_000)],
    ['complex keys', '? '.repeat(300_000)],
    ['indented maps', Array.from({ length: 900 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
  ] as const) {
    it(`is refused for nesting that exhausts a stack: ${what}`, () => {
      const source = readSource(text, 'lab.yaml');
      expect(source.usable).to.equal(false);
      expect(source.diagnostics.map((one) => one.message)).to.deep.equal(['nested deeper than 64 levels']);
    });
  }

  it('is YAML 1.2: on, yes and 1:30 are words', () => {
    const { data } = readSource(
      'on: yes\ntime: 1:30\nport: 0o17\nnothing: ~\nlong: 10s\nmac: 02:42:00:00:00:01\n',
      'lab.yaml',
    );
    expect({ ...(data as object) }).to.deep.equal({
      on: 'yes',
      time: '1:30',
      port: 15,
      nothing: null,
      long: '10s',
      mac: '02:42:00:00:00:01',
    });
  });

  it('shares maps by anchors and merge keys', () => {
    const { data, diagnostics, diagnostic } = readSource(
      'a: &a { x: 1, y: 2 }\nb: { <<: *a, y: 3 }\nc: *a\nd: { <<: [*a, { z: 9 }] }\n',
      'lab.yaml',
    );
    expect(diagnostics).to.deep.equal([]);
    expect(JSON.parse(JSON.stringify(data))).to.deep.equal({
      a: { x: 1, y: 2 },
      b: { x: 1, y: 3 },
      c: { x: 1, y: 2 },
      d: { x: 1, y: 2, z: 9 },
    });
    // What was merged in is mended where it stands.
    expect(diagnostic(['b', 'x'], 'm')).to.include({ line: 1, column: 12 });
    expect(diagnostic(['b', 'y'], 'm')).to.include({ line: 2, column: 17 });
  });

  it('cannot reach the prototype of anything', () => {
    const { data } = readSource(
      'constructor: { prototype: { polluted: 1 } }\ntoString: 1\n__proto__: { polluted: 1 }\n',
      'lab.yaml',
    );
    expect(Object.getPrototypeOf(data)).to.equal(null);
    expect(({} as { polluted?: number }).polluted).to.equal(undefined);
    const { diagnostics } = validateText(good.replace('hosts:', 'constructor: 1\ntoString: 2\nhosts:'));
    expect(diagnostics.map((one) => one.path)).to.deep.equal(['constructor', 'toString']);
    expect(
      validateText(good.replace('hosts: {', 'hosts: { constructor: , hasOwnProperty: ,')).diagnostics.map(
        (one) => one.path,
      ),
    ).to.deep.equal(['hosts.hasOwnProperty']);
  });
});
