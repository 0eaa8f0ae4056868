import { expect } from 'chai';
import { planLab } from '../../src/plan/plan.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { provision } from '../../src/session/provision.js';
import { openSession } from '../../src/session/session.js';
import { execResult, fakeConnection } from '../fakes/connection.js';
import { fakeLab } from '../fakes/provider.js';

/** What provisioning asks the one host of a scenario to do, or the mistakes of the scenario. */
async function provisioned(
  host: string,
  step = '{ check: x, ping: { from: a, to: 127.0.0.1 } }',
  top = '',
): Promise<{ script: string; mistakes: string[] }> {
  const text = `scenario: p\ntitle: t\n${top}hosts: { a: ${host} }\nsteps: [ ${step} ]\n`;
  const { scenarios, diagnostics } = loadScenarioText(text, '/tmp/p.yaml');
  if (diagnostics.length > 0) return { script: '', mistakes: diagnostics.map((one) => one.message) };
  const connection = fakeConnection();
  const session = openSession(fakeLab(planLab(scenarios[0]!)), () => Promise.resolve(connection));
  await provision(session, new AbortController().signal);
  return { script: connection.asked.map(({ command }) => String(command)).join('\n'), mistakes: [] };
}

describe('Provisioning', () => {
  const starts = 'systemctl start docker.service';

  it('starts the engine of a host that has one, as a Debian host does', async () => {
    expect((await provisioned('{}')).script).to.contain(starts);
    expect((await provisioned('{ engine: started }')).script).to.contain(starts);
    expect((await provisioned('{ engine: ">=20" }')).script).to.contain(starts);
  });

  it('leaves it to the first docker command where the scenario says so, and starts none where there is none', async () => {
    expect((await provisioned('{ engine: on-demand }')).script).not.to.contain('docker');
    expect((await provisioned('{ engine: false }')).script).not.to.contain('docker');
    expect((await provisioned('{ init: light }')).script).not.to.contain('docker');
  });

  it('a light host has no engine to start, now or later', async () => {
    for (const engine of ['started', 'on-demand'])
      expect((await provisioned(`{ init: light, engine: ${engine} }`)).mistakes).to.deep.equal([
        'a light host has no engine: leave out `engine`, or `init: light`',
      ]);
  });

  it('lets an engine pull what it has where a step types that, and nowhere else', async () => {
    const mirror = '--registry-mirror=http://127.0.0.1:6500';
    const script = async (host: string, run: string, top = ''): Promise<string> =>
      (await provisioned(host, `{ on: a, run: ${run} }`, top)).script;
    expect(await script('{}', 'docker pull nginx:alpine')).to.contain(mirror);
    expect(await script('{}', '"docker pull -q busybox; docker run busybox true"')).to.contain(mirror);
    for (const [host, run, top] of [
      ['{}', 'docker run nginx true'],
      ['{}', 'docker pull quay.io/some/thing'],
      ['{}', 'docker pull 10.0.0.9:5000/thing'],
      ['{ outside: true }', 'docker pull nginx'],
      ['{}', 'docker pull nginx', 'outside: true\n'],
      ['{ engine: false }', 'docker pull nginx'],
    ] as const)
      expect(await script(host, run, top), host + run).not.to.contain('6500');
  });

  it('writes a sysctl whose interface has a dot in its name where the kernel has it', async () => {
    const { script } = await provisioned('{ init: light, sysctls: { net/ipv4/conf/eth0.100/rp_filter: 0 } }');
    expect(script).to.contain('>/proc/sys/net/ipv4/conf/eth0.100/rp_filter');
  });

  it('says which host was not to be provisioned, and why', async () => {
    const { scenarios } = loadScenarioText(
      'scenario: p\ntitle: t\nhosts: { a: {} }\nsteps: [ { check: x, ping: { from: a, to: 127.0.0.1 } } ]\n',
      '/tmp/p.yaml',
    );
    const connection = fakeConnection(() =>
      Promise.resolve(execResult({ exitCode: 1, stderr: 'its engine does not start\n' })),
    );
    const session = openSession(fakeLab(planLab(scenarios[0]!)), () => Promise.resolve(connection));
    const error = await provision(session, new AbortController().signal).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(String(error)).to.contain('Provisioning a failed: its engine does not start.');
  });
});
