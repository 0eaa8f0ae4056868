import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { isNetrigError, NetrigError } from '../../src/errors.js';
import { classifyBuildFailure } from '../../src/images/build-failure.js';
import { emptyLogs, placedError, unknownPackage } from '../../src/images/package-layer.js';
import { planLab } from '../../src/plan/plan.js';
import { loadScenarioText } from '../../src/scenario/load.js';

const text = `scenario: lab
title: A lab
hosts: { a: { packages: [frr, nginxx-not-here] }, b: { packages: curl }, c: }
steps:
  - { run: "true", on: a }
`;

describe('packages of hosts', () => {
  it('leave no logs of what installed them, but the directories for their own', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'netrig-logs-'));
    mkdirSync(join(folder, 'nginx/old'), { recursive: true });
    writeFileSync(join(folder, 'dpkg.log'), 'x');
    writeFileSync(join(folder, 'nginx/old/error.log'), 'x');
    await emptyLogs(folder);
    await emptyLogs(join(folder, 'none'));
    expect(readdirSync(folder, { recursive: true }).sort()).to.deep.equal(['nginx', 'nginx/old']);
    rmSync(folder, { recursive: true });
  });

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

  it('that the mirror’s index names and the mirror has not are an error at that place', () => {
    const output =
      'E: Failed to fetch http://mirror.example/debian-security/pool/updates/main/f/frr/frr_7.5.1-1.1%2bdeb11u4_amd64.deb  404  Not Found [IP: 192.0.2.1 80]\n';
    const context = { image: 'the packages for debian-11', step: 'apt-get', cache: '/c', logFile: '/l' };
    const placed = placedError(classifyBuildFailure(output, context), ['curl', 'frr'], places) as NetrigError;
    expect(placed.code).to.equal('NETRIG_MIRROR_UNREACHABLE');
    expect(placed.message).to.match(
      /lab\.yaml:3:26: building the packages for debian-11 .*names frr 7\.5\.1-1\.1\+deb11u4, and the mirror has no such file/,
    );
    expect(placed.hint).to.include('another image');
  });

  it('that may not be fetched are an error with their names and the place of the first', () => {
    const offline = new NetrigError('NETRIG_OFFLINE', 'packages of Debian bookworm: nobody is to be asked');
    const placed = placedError(offline, a!.packages!, places) as NetrigError;
    expect(placed.code).to.equal('NETRIG_OFFLINE');
    expect(placed.message).to.match(/lab\.yaml:3:26: packages of Debian bookworm: .* \(frr nginxx-not-here\)$/);
    const cachedOf = (...names: string[]): string =>
      (placedError(offline, a!.packages!, places, new Set(names)) as NetrigError).message;
    expect(cachedOf('frr', 'curl')).to.match(/lab\.yaml:3:31: .*: nginxx-not-here was never fetched$/);
    expect(cachedOf('frr', 'nginxx-not-here')).to.match(/each of frr nginxx-not-here was fetched, but for another set/);
    const other = new Error('another');
    expect(placedError(other, ['frr'], places)).to.equal(other);
  });
});
