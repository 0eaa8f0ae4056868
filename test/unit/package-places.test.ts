import { expect } from 'chai';
import { isNetrigError, NetrigError } from '../../src/errors.js';
import { placedError, unknownPackage } from '../../src/images/package-layer.js';
import { planLab } from '../../src/plan/plan.js';
import { loadScenarioText } from '../../src/scenario/load.js';

const text = `scenario: lab
title: A lab
hosts: { a: { packages: [frr, nginxx-not-here] }, b: { packages: curl }, c: }
steps:
  - { run: "true", on: a }
`;

describe('packages of hosts', () => {
  const { scenarios } = loadScenarioText(text, '/nowhere/lab.yaml');
  const [a, b, c] = planLab(scenarios[0]!).hosts;
  const places = a!.packagePlaces!;

  it('have the place where the scenario names them', () => {
    expect(places['frr']).to.match(/lab\.yaml:3:26$/);
    expect(places['nginxx-not-here']).to.match(/lab\.yaml:3:31$/);
    expect(b!.packagePlaces!['curl']).to.match(/lab\.yaml:3:66$/);
    expect(c).to.not.have.property('packagePlaces');
  });

  it('that do not exist are an error at that place', () => {
    const unknown = unknownPackage(
      { suite: 'bookworm', name: 'debian-12' },
      'E: Unable to locate package nginxx-not-here\nnetrig-name nginx-not-there\n',
    );
    const placed = placedError(unknown, a!.packages!, places);
    expect(isNetrigError(placed, 'NETRIG_PACKAGE_UNKNOWN')).to.equal(true);
    expect((placed as NetrigError).message).to.match(/lab\.yaml:3:31: bookworm has no package "nginxx-not-here"/);
  });

  it('that may not be fetched are an error with their names and the place of the first', () => {
    const offline = new NetrigError('NETRIG_OFFLINE', 'packages of Debian bookworm: nobody is to be asked');
    const placed = placedError(offline, a!.packages!, places) as NetrigError;
    expect(placed.code).to.equal('NETRIG_OFFLINE');
    expect(placed.message).to.match(/lab\.yaml:3:26: packages of Debian bookworm: .* \(frr nginxx-not-here\)$/);
    const other = new Error('another');
    expect(placedError(other, ['frr'], places)).to.equal(other);
  });
});
