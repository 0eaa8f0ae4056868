import { expect } from 'chai';
import { latestOutcomes, netrig, workDirectory } from './netrig-command.js';

const scenario = (packages: string): string => `scenario: packages
title: Hosts with software of their own
hosts:
  r1: { packages: ${packages} }
  r2: { packages: ${packages}, init: light, engine: false }
  plain: { init: light }
segments:
  lan: { subnet: 10.85.0.0/24, hosts: [r1, r2, plain] }
steps:
  - step: The package is there
    on: [r1, r2]
    run: |
      command -v dnsmasq && dpkg -s dnsmasq-base | grep -q '^Status: install ok installed'
  - step: Its files can be removed
    on: r1
    run: rm /usr/sbin/dnsmasq && test ! -e /usr/sbin/dnsmasq
  - check: A host that did not ask for it has none
    file: { on: plain, path: /usr/sbin/dnsmasq, expect: { absent: true } }
  - check: What one host changes another does not see
    file: { on: r2, path: /usr/sbin/dnsmasq, expect: { mode: "0755" } }
`;

describe('Hosts with packages of their own', function () {
  this.timeout(300_000);

  for (const isolation of ['users', 'none']) {
    it(`have them from the start, isolation ${isolation}`, async () => {
      const { dir, remove } = workDirectory({ 'lab.yaml': scenario('[dnsmasq-base]') });
      const run = await netrig(['run', 'lab.yaml', '--isolation', isolation], { cwd: dir }).ended;
      expect(run.status, run.stdout + run.stderr).to.equal(0);
      expect(latestOutcomes(dir)).to.have.length(4);
      remove();
    });
  }

  it('which no release has are named, with near names, and nothing is left', async () => {
    const { dir, remove } = workDirectory({ 'lab.yaml': scenario('[dnsmaq-base]') });
    const run = await netrig(['run', 'lab.yaml'], { cwd: dir }).ended;
    expect(run.status).to.equal(2);
    expect(run.stdout + run.stderr).to.match(
      /NETRIG_PACKAGE_UNKNOWN.*no package "dnsmaq-base".*did you mean "dnsmasq-base"/,
    );
    remove();
  });
});
