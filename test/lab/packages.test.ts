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

  it('run as services, with the directories that they log to', async () => {
    const { dir, remove } = workDirectory({
      'lab.yaml': `scenario: web
title: nginx as its package leaves it
hosts: { server: { packages: [nginx-light], engine: false } }
steps:
  - check: It serves its page
    http: { from: server, url: "http://127.0.0.1/", expect: { status: 200, body: { contains: Welcome to nginx } } }
    within: 20s
  - check: Logs of what installed it are not there
    file: { on: server, path: /var/log/apt, expect: { absent: true } }
  - check: Its directory belongs to whom it says
    command: { on: server, run: stat -c %G /var/log/nginx, expect: { stdout: adm } }
`,
    });
    const run = await netrig(['run', 'lab.yaml'], { cwd: dir }).ended;
    expect(run.status, run.stdout + run.stderr).to.equal(0);
    expect(run.stdout).to.include('All 3 checks passed');
    remove();
  });

  it('which no release has are named, with near names, and nothing is left', async () => {
    const { dir, remove } = workDirectory({ 'lab.yaml': scenario('[dnsmaq-base]') });
    const run = await netrig(['run', 'lab.yaml'], { cwd: dir }).ended;
    expect(run.status).to.equal(2);
    expect(run.stdout).to.match(
      /^NETRIG_PACKAGE_UNKNOWN: .*lab\.yaml:\d+:\d+: .*no package "dnsmaq-base".*did you mean "dnsmasq-base"/m,
    );
    remove();
  });
});
