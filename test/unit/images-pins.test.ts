import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { lockFileOf, parsePins, printPins } from '../../src/images/lock-file.js';
import { hostPackagesPin, requireDigest, requireVersions, type Pins } from '../../src/images/pins.js';
import { planLab } from '../../src/plan/plan.js';
import { loadScenarioText } from '../../src/scenario/load.js';

const digest = `sha256:${'a'.repeat(64)}`;
const pins: Pins = {
  images: { 'docker.io/library/nginx:alpine': digest, 'archive saved:latest': digest },
  packages: { 'debian-12: frr': { frr: '8.4', libyang2: '2.1' } },
};

describe('Lock files', () => {
  it('are read as they are written', () => {
    expect(parsePins(printPins(pins))).to.deep.equal(pins);
    expect(lockFileOf('/labs/lab.yaml')).to.equal('/labs/lab.lock.json');
  });

  it('that are none say why', () => {
    expect(parsePins('{')).to.deep.equal({ problem: 'it is not JSON' });
    expect(parsePins('{"version": 2, "images": {}, "packages": {}}'))
      .to.have.property('problem')
      .that.matches(/^version: /);
    expect(parsePins('{"version": 1, "images": {"a": "b"}, "packages": {}}'))
      .to.have.property('problem')
      .that.matches(/^images\.a: /);
  });

  it('refuse other content, and let through what they do not name', () => {
    requireDigest(pins, 'archive saved:latest', digest);
    requireDigest(pins, 'archive other:latest', 'sha256:b');
    requireDigest(undefined, 'archive saved:latest', 'sha256:b');
    expect(() => requireDigest(pins, 'archive saved:latest', 'sha256:b')).to.throw(/is sha256:b now, and sha256:aaa/);
    const key = hostPackagesPin('debian-12', ['frr', 'frr']);
    requireVersions(pins, key, { libyang2: '2.1', frr: '8.4' });
    requireVersions(pins, 'debian-13: frr', {});
    expect(() => requireVersions(pins, key, { frr: '8.5', more: '1' })).to.throw(
      /debian-12: frr are not those that were locked: frr 8\.4 in the lock file, 8\.5 here; libyang2 2\.1 in the lock file, \(none\) here; more \(none\) in the lock file, 1 here$/,
    );
  });

  it('beside a scenario go with its plan; broken ones are a mistake', () => {
    const folder = mkdtempSync(join(tmpdir(), 'netrig-lock-'));
    try {
      const text = 'scenario: lab\ntitle: A lab\nhosts: { a: , b: { init: light } }\nsteps: [{ on: a, run: "true" }]\n';
      const load = () => loadScenarioText(text, join(folder, 'lab.yaml'));
      expect(planLab(load().scenarios[0]!).hosts[0]).not.to.have.property('pins');
      writeFileSync(join(folder, 'lab.lock.json'), printPins(pins));
      expect(planLab(load().scenarios[0]!).hosts.map((host) => host.pins)).to.deep.equal([pins, undefined]);
      writeFileSync(join(folder, 'lab.lock.json'), '[]');
      expect(load().diagnostics.map((one) => `${one.line} ${one.message}`)[0]).to.match(
        /^1 the lock file lab\.lock\.json beside it cannot be used/,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
