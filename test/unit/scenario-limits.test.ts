import { expect } from 'chai';
import fc from 'fast-check';
import { overlaps, parseCidr } from '../../src/model/cidr.js';
import { SubnetIndex } from '../../src/model/subnet-index.js';
import { indexText, wordsOf } from '../../src/scenario/passes/step-texts.js';
import { maxMistakes } from '../../src/scenario/passes/mistakes.js';
import { lab, validateText } from './scenario-fixtures.js';

const rows = (count: number, row: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => row(index)).join('\n');

const head = 'scenario: big\ntitle: A big lab\n';
const one = 'steps: [{ check: it answers, ping: { from: h0, to: 127.0.0.1 } }]\n';

describe('scenario: what a file may hold', function () {
  this.timeout(60_000);

  const tooLarge: [string, string, string][] = [
    ['hosts', `${head}hosts:\n${rows(1001, (i) => `  h${i}:`)}\n${one}`, '1001 hosts: a file holds at most 1000'],
    [
      'segments',
      `${head}hosts: { h0: }\nsegments:\n${rows(1001, (i) => `  s${i}: { subnet: 10.${i >> 8}.${i & 255}.0/24, hosts: [h0] }`)}\n${one}`,
      '1001 segments: a file holds at most 1000',
    ],
    [
      'steps and checks',
      `${head}hosts: { h0: }\nsteps:\n${rows(5001, (i) => `  - { run: echo ${i} }`)}\n`,
      '5001 steps and checks: a file holds at most 5000',
    ],
    [
      'variables',
      `${head}hosts: { h0: }\nvars:\n${rows(60_000, (i) => `  v${i}: 1`)}\n${one}`,
      '60000 variables: a file holds at most 1000',
    ],
    [
      'names in the matrix',
      `${head}hosts: { h0: }\nmatrix:\n${rows(17, (i) => `  v${i}: [1]`)}\n${one}`,
      '17 names in the matrix: a file holds at most 16',
    ],
    [
      'published ports',
      `${head}hosts:\n  h0:\n    docker:\n      containers:\n        web:\n          image: web\n          ports:\n${rows(2001, (i) => `            - "${i + 1}:80"`)}\n${one}`,
      '2001 published ports: a host has at most 2000',
    ],
  ];
  for (const [what, text, sentence] of tooLarge) {
    it(`says that there are too many ${what}`, () => {
      const { scenarios, diagnostics } = validateText(text);
      expect(scenarios).to.deep.equal([]);
      expect(diagnostics.map((diagnostic) => diagnostic.message)).to.include(sentence);
    });
  }

  it('takes as many hosts as there may be, all on one segment', () => {
    const hosts = Array.from({ length: 1000 }, (_, index) => `h${index}`);
    const text = `${head}hosts: { ${hosts.map((host) => `${host}: `).join(', ')} }\nsegments: { lan: { subnet: 10.0.0.0/16, hosts: [${hosts.join(', ')}] } }\n${one}`;
    const { scenarios, diagnostics } = validateText(text);
    expect(diagnostics).to.deep.equal([]);
    expect(Object.keys(scenarios[0]!.segments[0]!.hosts)).to.have.length(1000);
  });

  for (const [what, row] of [
    ['unknown keys', (i: number) => `k${i}: 1`],
    ['keys that stand there twice', (i: number) => `k${i % 10}: 1`],
  ] as const) {
    it(`shows the first of 60000 ${what}, and says how many there are beside them`, () => {
      const { diagnostics } = validateText(`${head}${rows(60_000, row)}\n`);
      expect(diagnostics).to.have.length(maxMistakes + 1);
      expect(diagnostics.at(-1)!.message).to.match(/^\d{5} further mistakes are not shown: mend these first$/);
    });
  }

  it('counts a mistake once that every combination of the matrix makes', () => {
    const many = rows(maxMistakes, (i) => `  - { check: "x ${i} \${a}", ping: { from: gone, to: node1 } }`);
    const { diagnostics } = validateText(lab(many, 'matrix: { a: [1, 2, 3] }\n'));
    expect(diagnostics).to.have.length(maxMistakes);
  });
});

describe('scenario: what the passes look things up in', () => {
  it('finds an overlap exactly where two subnets share addresses', () => {
    const byte = fc.integer({ min: 0, max: 3 });
    const v4 = fc
      .tuple(byte, byte, fc.integer({ min: 4, max: 32 }))
      .map(([a, b, prefix]) => parseCidr(`10.${a * 64}.${b * 64}.0/${prefix}`)!);
    const v6 = fc
      .tuple(byte, fc.integer({ min: 12, max: 128 }))
      .map(([a, prefix]) => parseCidr(`fd00:${a.toString(16)}000::/${prefix}`)!);
    fc.assert(
      fc.property(fc.array(fc.oneof(v4, v6), { minLength: 1, maxLength: 8 }), fc.oneof(v4, v6), (taken, subnet) => {
        const index = new SubnetIndex<number>();
        taken.forEach((other, at) => index.add(other, at));
        const found = index.overlapping(subnet);
        const any = taken.some((other) => other.family === subnet.family && overlaps(other, subnet));
        expect(found !== undefined).to.equal(any);
        if (found !== undefined) expect(overlaps(taken[found]!, subnet)).to.equal(true);
      }),
    );
  });

  it('takes a word for one that stands for itself, not for a part of a longer name', () => {
    const words = wordsOf('docker stop web. ; ping web.local my-web web2 /web/ "box"');
    expect([...words]).to.include.members(['web', 'web.local', 'my-web', 'web2', 'box']);
    expect([...words]).to.not.include('local');
    expect(wordsOf('a.'.repeat(100_000)).size).to.be.at.most(64);
  });

  it('knows of names that the shell puts together what the text says of them', () => {
    const text = indexText('docker run --name web$i x\nip netns add "blue$i"\ndocker run --name=box y');
    expect(text).to.deep.include({
      containerNames: ['web', 'box'],
      containerPrefixes: ['web'],
      compose: false,
      computedNetns: true,
    });
  });
});
