import { join } from 'node:path';
import { AssertionError, expect, use } from 'chai';
import { isNetrigError, Lab } from 'netrig';
import { netrigChai } from 'netrig/chai';
import { leftovers, workDirectory } from './netrig-command.js';

use(netrigChai);

const yaml = `
scenario: api-lab
title: A lab for the TypeScript API
hosts:
  server: { image: debian-12, docker: { networks: { blue: {} , red: {} }, containers: { web: { image: web, networks: [blue], ports: ["8080:80"] }, peer: { image: busybox, networks: [blue], command: sleep 600 }, loner: { image: busybox, networks: [red], command: sleep 600 } } } }
  visitor: { image: debian-12, init: light }
segments: { lan: { subnet: 10.83.0.0/24, hosts: { server: 10.83.0.1, visitor: 10.83.0.2 } } }
steps:
  - on: visitor
    run: echo done >/step
`;

async function refused(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof AssertionError) return error;
    throw error;
  }
  throw new Error('the assertion held');
}

describe('The TypeScript API and the Chai plug-in', function () {
  this.timeout(120_000);
  const { dir, remove } = workDirectory({ 'api.yaml': yaml });
  let lab: Lab;

  before(async () => {
    lab = await Lab.up(join(dir, 'api.yaml'));
  });
  after(async () => {
    await lab.down();
    await lab.down();
    expect(leftovers('api-lab')).to.deep.equal([]);
    remove();
  });

  it('brings the lab up with its steps done', async () => {
    expect((await lab.host('visitor').readFile('/step')).toString()).to.equal('done\n');
    expect(lab.hosts.map((host) => host.name)).to.deep.equal(['server', 'visitor']);
  });

  it('runs commands as argv, without a shell in between', async () => {
    const result = await lab.host('visitor').exec(['echo', '$HOME', "it's"]);
    expect(result).to.include({ exitCode: 0, stdout: "$HOME it's\n", timedOut: false });
    const inside = await lab.host('server').container('peer').exec(['hostname']);
    expect(inside.stdout).to.match(/^[0-9a-f]{12}\n$/);
  });

  it('an unknown host is an error with a code', () => {
    expect(() => lab.host('nobody'))
      .to.throw()
      .that.satisfies((error: unknown) => isNetrigError(error, 'NETRIG_HOST_UNKNOWN'));
  });

  it('check gives an outcome for the network’s failures, and an error for a wrong specification', async () => {
    const outcome = await lab.check('port', { from: 'visitor', to: 'server', port: 9 });
    expect(outcome).to.include({ verdict: 'fail', cause: 'refused' });
    const error = await lab.check('port', { from: 'visitor', port: 'ninety' }).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(isNetrigError(error, 'NETRIG_USAGE')).to.equal(true);
  });

  it('ping: holds, and fails with cause and reason', async () => {
    await expect(lab.host('visitor')).to.ping('server');
    await expect(lab.host('server').container('peer')).to.ping('web');
    const error = await refused(expect(lab.host('visitor')).to.ping('10.83.0.77'));
    expect(error.message).to.match(/^fail \(host-unreachable\)/);
  });

  it('not.ping: a proven failure, never the lack of a source', async () => {
    await expect(lab.host('server').container('loner')).not.to.ping('server/web');
    await refused(expect(lab.host('visitor')).not.to.ping('server'));
    const error = await refused(expect(lab.host('server').container('ghost')).not.to.ping('server/web'));
    expect(error.message).to.match(/^inconclusive/);
  });

  it('reachPort, failing, resolve, fetch', async () => {
    await expect(lab.host('visitor')).to.reachPort('server', 8080, { withinMs: 5000 });
    await expect(lab.host('visitor')).not.failing('refused').to.reachPort('server', 8081);
    const wrong = await refused(expect(lab.host('visitor')).not.failing('timeout').to.reachPort('server', 8081));
    expect(wrong.message).to.contain('refused');
    await expect(lab.host('server').container('peer')).to.resolve('web');
    await expect(lab.host('visitor')).to.fetch('http://10.83.0.1:8080/', { status: 200, body: 'web on' });
    const status = await refused(expect(lab.host('visitor')).to.fetch('http://10.83.0.1:8080/', { status: 404 }));
    expect(status.message).to.contain('http-status');
  });

  it('a lab whose step fails does not stay', async () => {
    const bad = workDirectory({ 'bad.yaml': yaml.replace('api-lab', 'api-bad').replace('echo done >/step', 'exit 4') });
    const error = await Lab.up(join(bad.dir, 'bad.yaml')).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(isNetrigError(error, 'NETRIG_STEP_FAILED')).to.equal(true);
    expect(leftovers('api-bad')).to.deep.equal([]);
    bad.remove();
  });
});
