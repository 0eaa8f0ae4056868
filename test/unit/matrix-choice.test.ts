import { expect } from 'chai';
import { loadScenarioText } from '../../src/scenario/load.js';

const yaml = (head: string, image: string): string => `${head}
scenario: choice
title: Which images
hosts: { a: { ${image} }, b: { init: light } }
segments: { lan: { subnet: 10.0.0.0/24, hosts: [a, b] } }
steps:
  - check: x
    ping: { from: a, to: b }
`;

function ids(text: string, matrix?: Record<string, string[]>): string[] {
  const loaded = loadScenarioText(text, '/choice.yaml', matrix ? { matrix } : {});
  expect(loaded.diagnostics).to.deep.equal([]);
  return loaded.scenarios.map((scenario) => scenario.id);
}

describe('Matrix values asked for on the command line', () => {
  it('choose among those that the file declares', () => {
    const declared = yaml('matrix: { image: [debian-11, debian-12, debian-13] }', '');
    expect(ids(declared)).to.have.length(3);
    expect(ids(declared, { image: ['debian-13', 'debian-sid'] })).to.deep.equal(['choice[image=debian-13]']);
    expect(ids(declared, { image: ['debian-sid'] })).to.deep.equal([]);
  });

  it('set the image where a file leaves it open', () => {
    const open = yaml('', '');
    expect(ids(open)).to.deep.equal(['choice']);
    expect(ids(open, { image: ['debian-11', 'debian-sid'] })).to.deep.equal([
      'choice[image=debian-11]',
      'choice[image=debian-sid]',
    ]);
    const { scenarios } = loadScenarioText(open, '/choice.yaml', { matrix: { image: ['debian-sid'] } });
    expect(scenarios[0]!.hosts.map((host) => host.image)).to.deep.equal(['debian-sid', 'debian-sid']);
  });

  it('leave a file alone whose hosts all name their image', () => {
    const fixed = yaml('', 'image: debian-11').replace('b: { init: light }', 'b: { image: debian-11, init: light }');
    expect(ids(fixed, { image: ['debian-12', 'debian-13'] })).to.deep.equal(['choice']);
  });

  it('may be what a condition waits for; one that no image meets is a mistake', () => {
    const conditional = (range: string): string =>
      yaml('', '').replace('  - check: x\n', `  - check: x\n    when: { engine: "${range}" }\n`);
    expect(ids(conditional('>=28'))).to.deep.equal(['choice']);
    const never = loadScenarioText(conditional('<1'), '/choice.yaml');
    expect(never.diagnostics.map(({ message }) => message).join()).to.contain('this can never hold here');
    expect(
      loadScenarioText(
        yaml('matrix: { image: [debian-11, debian-12] }', '').replace(
          '  - check: x\n',
          '  - check: x\n    when: { engine: ">=28" }\n',
        ),
        '/choice.yaml',
      ).diagnostics,
    ).to.have.length(1);
  });

  it('say nothing about names that a file does not have', () => {
    expect(ids(yaml('', ''), { flavour: ['a'] })).to.deep.equal(['choice']);
  });
});
