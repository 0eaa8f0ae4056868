import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { startEngine, type TestEngine } from './container-engine.js';
import { missing } from './local-labs.js';
import { latestOutcomes, netrig, workDirectory } from './netrig-command.js';

const lab = `scenario: container-faults
title: What an engine can break between its containers
hosts:
  a: { image: debian-12, init: light }
  b: { image: debian-12, init: light }
  c: { image: debian-12, engine: false }
segments:
  lan: { subnet: 10.86.0.0/24, hosts: { a: 10.86.0.1, b: 10.86.0.2, c: 10.86.0.3 } }
steps:
  - check: all reach each other
    reach: { groups: { all: [a, b, c] } }
  - fault: { cut: { segment: lan, hosts: a } }
  - step: a sees that its link is down
    on: a
    run: grep -qx 0 /sys/class/net/eth0/carrier
  - check: nobody reaches a
    ping: { from: b, to: a, expect: { fails: [host-unreachable, timeout] } }
  - check: the others are not touched
    ping: { from: b, to: c }
  - heal: all
  - check: a is back
    ping: { from: a, to: c }
  - fault: { cut: { segment: lan, hosts: a, as: silence }, name: hang }
  - step: a sees nothing of it
    on: a
    run: grep -qx 1 /sys/class/net/eth0/carrier
  - check: b does not reach a
    ping: { from: b, to: a, expect: { fails: [host-unreachable, timeout] } }
  - check: nor a c
    ping: { from: a, to: c, expect: { fails: [host-unreachable, timeout] } }
  - fault: { partition: { segment: lan, groups: [[a, b], [c]] } }
  - heal: hang
  - check: within its part a is reached
    ping: { from: b, to: a }
  - check: beyond it is not
    ping: { from: b, to: c, expect: { fails: [host-unreachable, timeout] } }
  - heal: all
  - check: all reach each other again
    reach: { groups: { all: [a, b, c] } }
  - step: Something runs
    on: c
    run: setsid sleep 1000 >/dev/null 2>&1 &
  - fault: { pause: c, name: still }
  - check: its kernel goes on
    ping: { from: a, to: c }
  - heal: still
  - check: it goes on
    process: { on: c, name: sleep }
  - fault: { kill: { host: c, process: sleep } }
  - check: it is gone
    process: { on: c, name: sleep, expect: { absent: true } }
  - fault: { loss: { segment: lan, percent: 50 } }
`;

const title = `Faults of hosts as containers${missing === null ? '' : ` (needs ${missing})`}`;

(missing === null ? describe : describe.skip)(title, function () {
  this.timeout(600_000);
  let engine: TestEngine;
  let state: string;

  before(async () => {
    state = mkdtempSync(join(tmpdir(), 'netrig-state-'));
    engine = await startEngine('v2');
  });
  after(async () => {
    await engine?.end();
    rmSync(state, { recursive: true, force: true });
  });

  it('cut, part, pause and kill, and are healed one by one', async () => {
    const { dir, remove } = workDirectory({ 'lab.yaml': lab });
    const env = { DOCKER_HOST: engine.uri, XDG_STATE_HOME: state };
    const run = await netrig(['run', 'lab.yaml', '--provider', 'container'], { cwd: dir, env }).ended;
    const verdicts = latestOutcomes(dir).map(({ item, verdict, reason }) => `${verdict} ${item} ${reason}`);
    expect(
      verdicts.filter((one) => !one.startsWith('pass')),
      run.stdout + run.stderr,
    ).to.have.length(1);
    expect(verdicts.at(-1)).to.match(/^skipped/);
    expect(await engine.left()).to.deep.equal([]);
    remove();
  });
});
