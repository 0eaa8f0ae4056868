import { expect } from 'chai';
import fc from 'fast-check';
import { drawParameters, exampleValues, othersValuesIn } from '../../src/scenario/parameters.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { lab, lines } from './scenario-fixtures.js';

const declared = {
  host: { address: '10.20.30.0/24', except: ['10.20.30.1'] },
  port: { port: { from: 8000, to: 8999 } },
  word: { word: ['alder', 'birch', 'cedar'] },
};
const from = { secret: 'class', exercise: 'door' };
const roster = (count: number): string[] => Array.from({ length: count }, (_, index) => `s${index}`);

describe('parameters of an exercise', () => {
  it('are the same for the same secret, exercise and student', () => {
    const first = drawParameters(declared, from, roster(3));
    expect(drawParameters(declared, from, roster(3))).to.deep.equal(first);
    const values = (of: typeof from): string => JSON.stringify([...drawParameters(declared, of, roster(3)).values()]);
    const here = JSON.stringify([...first.values()]);
    expect(values({ ...from, secret: 'other' })).not.to.equal(here);
    expect(values({ ...from, exercise: 'other' })).not.to.equal(here);
  });

  it('are told apart where names run into each other', () => {
    const of = (exercise: string, student: string) =>
      drawParameters({ n: { integer: { from: 0, to: 999_999 } } }, { secret: 'x', exercise }, [student]).get(student);
    expect(of('a', 'bc')).not.to.deep.equal(of('ab', 'c'));
  });

  it('lie in their ranges, and no two students have one value where there are enough', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 253 }), (secret, count) => {
        const drawn = [...drawParameters(declared, { secret, exercise: 'door' }, roster(count)).values()];
        const hosts = drawn.map((one) => String(one.host));
        const ports = drawn.map((one) => Number(one.port));
        expect(new Set(hosts).size).to.equal(count);
        expect(new Set(ports).size).to.equal(count);
        expect(new Set(drawn.map((one) => JSON.stringify(one))).size).to.equal(count);
        for (const host of hosts) {
          const last = Number(host.replace('10.20.30.', ''));
          expect(last).to.be.within(2, 254);
        }
        for (const port of ports) expect(port).to.be.within(8000, 8999);
      }),
      { numRuns: 30 },
    );
  });

  it('differ as a whole where no single one has values enough', () => {
    const few = { word: { word: ['alder', 'birch', 'cedar'] }, n: { integer: { from: 1, to: 4 } } };
    const drawn = [...drawParameters(few, from, roster(12)).values()];
    expect(new Set(drawn.map((one) => JSON.stringify(one))).size).to.equal(12);
    expect(() => drawParameters(few, from, roster(13))).to.throw(/12 different values, and there are 13 students/);
  });

  it('of students who are there already do not change when others come', () => {
    const before = drawParameters(declared, from, roster(20));
    const after = drawParameters(declared, from, roster(25));
    for (const [student, values] of before) expect(after.get(student)).to.deep.equal(values);
  });

  it('use the whole of a range', () => {
    const drawn = drawParameters({ n: { integer: { from: -2, to: 2 } } }, from, roster(5));
    expect([...drawn.values()].map((one) => Number(one.n)).sort((a, b) => a - b)).to.deep.equal([-2, -1, 0, 1, 2]);
    const pair = drawParameters({ a: { address: '10.0.0.0/31' } }, from, roster(2));
    expect([...pair.values()].map((one) => one.a).sort()).to.deep.equal(['10.0.0.0', '10.0.0.1']);
    const quad = drawParameters({ a: { address: '10.0.0.0/29', except: ['10.0.0.1', '10.0.0.4'] } }, from, roster(4));
    expect([...quad.values()].map((one) => one.a).sort()).to.deep.equal([
      '10.0.0.2',
      '10.0.0.3',
      '10.0.0.5',
      '10.0.0.6',
    ]);
  });

  it('show in the answer of somebody else', () => {
    const drawn = new Map([
      ['ann', { host: '10.20.30.7', port: 8100, n: 7, word: 'alder' }],
      ['bob', { host: '10.20.30.70', port: 8200, n: 8, word: 'birch' }],
      ['eve', { host: '10.20.30.9', port: 8300, n: 9, word: 'birch' }],
    ]);
    const told = (text: string, common = ''): string[] =>
      othersValuesIn('ann', drawn, common)(text).map(({ student, parameter }) => `${student}’s ${parameter}`);
    expect(told('ip addr add 10.20.30.70/24 dev eth0; nc -l 8200')).to.deep.equal(['bob’s host', 'bob’s port']);
    expect(told('curl http://10.20.30.70:8200/')).to.deep.equal(['bob’s host', 'bob’s port']);
    // Her own, a longer one, a word that two have, and what is too short to tell.
    expect(told('10.20.30.7 8100 10.20.30.99 18200 birch 8')).to.deep.equal([]);
    // What stands in the exercise for everybody is nobody's mark.
    expect(told('nc -l 8200', 'The old service is at port 8200.')).to.deep.equal([]);
  });
});

describe('parameters in a scenario', () => {
  const text = (
    parameters: string,
    steps = '  - { check: a, points: 1, port: { from: node1, to: node2, port: "${p}" } }',
  ) => lab(steps, `exercise: { text: "Open \${p}." }\nparameters: ${parameters}\n`);
  const load = (yaml: string, parameters?: Record<string, number>) =>
    loadScenarioText(yaml, '/labs/lab.yaml', parameters ? { parameters } : {});

  it('are variables with the values of a student, else with examples', () => {
    const one = load(text('{ p: { port: 8000..8999 } }'), { p: 8123 }).scenarios[0]!;
    expect(one.items[0]!.spec).to.include({ port: 8123 });
    expect(one.exercise).to.deep.include({ text: 'Open 8123.', values: { p: 8123 } });
    const example = load(text('{ p: { port: 8000..8999 } }')).scenarios[0]!;
    expect(example.exercise!.values).to.deep.equal(exampleValues(example.exercise!.declared, 'lab'));
  });

  for (const [what, parameters, mistake] of [
    ['two forms', '{ p: { port: 1..9, integer: 1..9 } }', /this is integer and port/],
    ['no form', '{ p: {} }', /a parameter is one of/],
    ['an empty range', '{ p: { port: 9..1 } }', /the range is empty/],
    ['ports that there are not', '{ p: { port: 1..70000 } }', /ports are 1 to 65535/],
    ['exceptions of no subnet', '{ p: { port: 1..9, except: 10.0.0.1 } }', /`except` goes with `address`/],
    ['a name that is taken', '{ p: { port: 1..9 } }\nvars: { p: 3 }', /`p` is declared in `vars` or `secrets` already/],
    ['one that nothing uses', '{ p: { port: 1..9 }, q: { port: 1..9 } }', /`q` is used nowhere/],
    ['a value that was not drawn', '{ p: { port: 1..9 }, q: { port: 1..9 } }', /no value was drawn for `q`/],
  ] as const)
    it(`name ${what}`, () => {
      const { diagnostics } = load(text(parameters), what.includes('drawn') ? { p: 3 } : undefined);
      expect(lines(diagnostics).join('\n')).to.match(mistake);
    });
});
