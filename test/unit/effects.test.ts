import { expect } from 'chai';
import { isRepeatable } from '../../src/checks/kind.js';
import { checkKinds } from '../../src/checks/registry.js';
import type { RunEventBody } from '../../src/model/events.js';
import { createScenarioRun } from '../../src/run/scenario-run.js';
import { builtInKinds } from '../../src/scenario/kinds.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { stepKinds } from '../../src/steps/registry.js';
import { fakeProvider } from '../fakes/provider.js';

const text = `
scenario: look
title: Only looking
hosts: { a: { init: light } }
segments: { lan: { subnet: 10.0.0.0/24, hosts: { a: 10.0.0.1 } } }
steps:
  - check: a command
    command: { on: a, run: rm -rf /srv/data }
  - check: a command while packets are captured
    capture: { on: a, interface: eth0, during: { command: { on: a, run: rm -rf /srv/data } }, expect: { packets: { at-least: 1 } } }
  - check: a command while a counter is watched
    counter: { on: a, chain: INPUT, policy: true, during: { command: { on: a, run: rm -rf /srv/data } }, expect: { packets: { at-least: 1 } } }
  - check: a request that deletes
    http: { from: a, url: "http://10.0.0.1/orders/1", method: DELETE }
  - check: a request that orders, while packets are captured
    capture: { on: a, interface: eth0, during: { http: { from: a, url: "http://10.0.0.1/orders", method: POST } }, expect: { packets: { at-least: 1 } } }
  - check: a request that asks
    http: { from: a, url: "http://10.0.0.1/orders/1" }
`;

describe('Effects that kinds declare', () => {
  it('--check-only runs no command and no request that may change something, wherever it stands', async () => {
    const { scenarios, diagnostics } = loadScenarioText(text, '/tmp/look.yaml');
    expect(diagnostics.map((one) => one.message)).to.deep.equal([]);
    const events: RunEventBody[] = [];
    const run = createScenarioRun(scenarios[0]!, {
      provider: fakeProvider(),
      emit: (event) => events.push(event),
      runDir: '/nowhere',
      signal: new AbortController().signal,
      checkOnly: true,
    });
    const reasons: string[] = [];
    for (const item of run.items) {
      const outcome = await run.perform(item.id);
      reasons.push(outcome.verdict === 'skipped' ? outcome.reason : 'was run');
    }
    await run.finish();
    const command = 'a command may change something, so it is not run with --check-only';
    expect(reasons).to.deep.equal([
      command,
      command,
      command,
      'an HTTP DELETE may change something, so it is not run with --check-only',
      'an HTTP POST may change something, so it is not run with --check-only',
      'was run',
    ]);
    expect(events.flatMap((event) => (event.type === 'item:start' ? [event.item] : []))).to.deep.equal(['c06']);
  });

  it('what may change something is not tried again by itself; what only looks is', () => {
    const kind = (name: string) => checkKinds.find((one) => one.name === name)!;
    expect(isRepeatable(kind('command'), {})).to.equal(false);
    expect(isRepeatable(kind('http'), { method: 'POST' })).to.equal(false);
    expect(isRepeatable(kind('http'), { method: 'GET' })).to.equal(true);
    expect(isRepeatable(kind('ping'), {})).to.equal(true);
    expect(stepKinds.filter((one) => one.repeatable).map((one) => one.name)).to.deep.equal(['write', 'copy', 'heal']);
  });

  it('a kind says of a spec that it cannot fail, and the file is refused at that place', () => {
    const vacuous = {
      ...builtInKinds.checks.find((one) => one.name === 'ping')!,
      cannotFail: () => ({ path: ['to'], why: 'a host always reaches itself' }),
    };
    const { diagnostics } = loadScenarioText(
      `scenario: self\ntitle: t\nhosts: { a: {} }\nsteps:\n  - check: x\n    ping: { from: a, to: a }\n`,
      '/tmp/self.yaml',
      { kinds: { steps: builtInKinds.steps, checks: [vacuous] } },
    );
    expect(diagnostics).to.have.length(1);
    expect(diagnostics[0]!.message).to.equal('this check cannot fail: a host always reaches itself');
    expect([diagnostics[0]!.line, diagnostics[0]!.column]).to.deep.equal([6, 26]);
  });
});
