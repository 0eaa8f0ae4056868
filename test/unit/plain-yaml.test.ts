import { expect } from 'chai';
import fc from 'fast-check';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Path } from '../../src/scenario/diagnostic.js';
import { readPlainYaml } from '../../src/scenario/plain-yaml.js';
import { readSource, type Data, type ScenarioSource } from '../../src/scenario/source.js';

const scenarios = join(import.meta.dirname, '..', '..', '..', 'scenarios');

function yamlBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return yamlBelow(path);
    return entry.name.endsWith('.yaml') ? [readFileSync(path, 'utf8')] : [];
  });
}

const texts = yamlBelow(scenarios);

function pathsIn(data: Data, path: Path = []): Path[] {
  if (typeof data !== 'object' || data === null) return [path];
  return [
    path,
    ...Object.entries(data).flatMap(([key, value]) =>
      pathsIn(value, [...path, Array.isArray(data) ? Number(key) : key]),
    ),
  ];
}

/** All that can be asked of a source. */
function seenOf(source: ScenarioSource): unknown {
  return {
    diagnostics: source.diagnostics.map(({ message, line, column }) => ({ message, line, column })),
    usable: source.usable,
    data: source.data,
    entries: pathsIn(source.data).map((path) => ({
      path,
      spelling: source.spelling(path),
      place: source.place(path),
      marks: (['key', 'value'] as const).map((at) => {
        const { line, column, length } = source.diagnostic(path, '', at);
        return { line, column, length };
      }),
    })),
  };
}

/** A marker of the document's end changes nothing before it, and is for the package. */
const byPackage = (text: string): unknown => seenOf(readSource(`${text}...\n`, 'lab.yaml'));

describe('plain YAML, in one pass', () => {
  it('is what scenarios are made of', () => {
    const plain = texts.filter((text) => readPlainYaml(text) !== null);
    expect(texts).to.have.length.above(50);
    expect(plain.length / texts.length).to.be.above(0.95);
  });

  it('has the values and places that the package has', () => {
    for (const text of texts.filter((one) => readPlainYaml(one) !== null))
      expect(seenOf(readSource(text, 'lab.yaml'))).to.deep.equal(byPackage(text));
  });

  it('is left to the package where it is more than plain, or wrong', () => {
    const others = [
      'a: &x 1\n',
      'a: *x\n',
      'a: !text 1\n',
      'a: 1\na: 2\n',
      'a: b: c\n',
      'a: one\n  two\n',
      'a: "one\n  two"\n',
      'a: "\\u0041"\n',
      'a: |2\n   x\n',
      'a: >\n  x\n   y\n',
      'a: [1, 2\n',
      'a: { b: 1\n}\n',
      'a: { b }\n',
      'a: 0x10\n',
      'a:\tb\n',
      '? a\n: b\n',
      '<<: { a: 1 }\n',
      '~: 1\n',
      '- a\n',
      'a\n',
      '',
      '# nothing\n',
      'a: 1',
      'a: 1\r\n',
      'a: 1\n---\nb: 2\n',
      '%YAML 1.2\n---\na: 1\n',
      'a:\n   b: 1\n  c: 2\n',
    ];
    for (const text of others) expect(readPlainYaml(text), text).to.equal(null);
  });

  it('is the same by both where a scenario was changed at random', function () {
    this.timeout(60_000);
    const pieces = [
      ...[
        ' ',
        '  ',
        '\n',
        '\n\n',
        '\n  ',
        '\t',
        ':',
        ': ',
        '- ',
        '-',
        '#',
        ' #',
        '{',
        '}',
        '[',
        ']',
        ',',
        '?',
        '%',
        '@',
      ],
      ...["'", '"', '`', '\\', '|', '>', '|-', '>-', '|+', '&a', '*a', '!x', '<<', '---', '...', '$', '${x}', '# c\n'],
      ...[
        '~',
        'null',
        'true',
        '1.5',
        '0x1',
        '-1',
        '1e3',
        '.5',
        '.inf',
        'a: b',
        'key:',
        '{ a: b }',
        '[ a, b ]',
        '"x"',
        'é',
      ],
    ];
    const change = fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      cut: fc.integer({ min: 0, max: 4 }),
      put: fc.constantFrom('', ...pieces),
    });
    let plain = 0;
    const property = fc.property(
      fc.constantFrom(...texts),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 2, max: 40 }),
      fc.array(change, { minLength: 1, maxLength: 3 }),
      (whole, from, count, changes) => {
        const lines = whole.split('\n');
        const tops = lines.flatMap((line, index) => (/^[a-z]/.test(line) ? [index] : []));
        const first = tops[Math.floor(from * (tops.length - 1))]!;
        let text = `${lines.slice(first, first + count).join('\n')}\n`;
        for (const { at, cut, put } of changes) {
          const index = Math.floor(at * text.length);
          text = text.slice(0, index) + put + text.slice(index + cut);
        }
        if (readPlainYaml(text) === null) return;
        plain += 1;
        expect(seenOf(readSource(text, 'lab.yaml')), text).to.deep.equal(byPackage(text));
      },
    );
    fc.assert(property, { numRuns: 1500 });
    expect(plain).to.be.above(100);
  });
});
