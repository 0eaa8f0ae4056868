import { expect } from 'chai';
import { latestOutcomes, netrig, workDirectory } from './netrig-command.js';

const scenario = `scenario: names
title: Names, and an outside of its own
hosts:
  ns: { init: light, dns: { www.example.org: 10.78.0.80, db.example.org: client, two.example.org: [10.78.0.5, "fd00::5"] } }
  client: { init: light }
  full:
  world: { init: light, outside: { simulated: { www.example.com: 93.184.216.34, dns.google: 8.8.8.8 } } }
segments:
  lan: { subnet: 10.78.0.0/24, hosts: { ns: 10.78.0.1, client: 10.78.0.3 } }
  wan: { subnet: 10.79.0.0/24, hosts: { full: 10.79.0.4, world: 10.79.0.1 } }
steps:
  - check: a name has its address
    dns: { from: client, name: www.example.org, expect: { addresses: 10.78.0.80, answered-by: 10.78.0.1 } }
  - check: that of a host is the host’s
    dns: { from: client, name: db.example.org, expect: { addresses: 10.78.0.3 } }
  - check: of both families
    dns: { from: client, name: two.example.org, type: AAAA, expect: { addresses: "fd00::5" } }
  - check: another one does not exist
    dns: { from: client, name: nothing.example.org, expect: { fails: nxdomain } }
  - check: the name server asks itself
    dns: { from: ns, name: www.example.org, expect: { addresses: 10.78.0.80 } }
  - check: the world is reached by address
    ping: { from: full, to: 8.8.8.8 }
  - check: and by name
    ping: { from: full, to: www.example.com }
  - check: it serves a page
    http: { from: full, url: "http://93.184.216.34/", expect: { body: { contains: world stands for the outside } } }
  - step: A container
    on: full
    run: docker run -dit --name box busybox
  - check: which reaches it too, by NAT
    ping: { from: full/box, to: www.example.com }
  - fault: { poweroff: ns }
  - heal: all
  - check: after a power cut, names are there again
    dns: { from: client, name: www.example.org, expect: { addresses: 10.78.0.80 } }
`;

const together = `scenario: together
title: A name server beside an outside that is simulated
hosts:
  ns: { init: light, dns: { web.lab.example: client } }
  world: { init: light, outside: { simulated: { www.example.com: 93.184.216.34 } } }
  both: { init: light, dns: { app.lab.example: far }, outside: { simulated: { www.example.net: 198.51.100.7 } } }
  client: { init: light }
  far: { init: light }
segments:
  lan: { subnet: 10.78.0.0/24, hosts: { ns: 10.78.0.53, world: 10.78.0.1, client: 10.78.0.3 } }
  wan: { subnet: 10.79.0.0/24, hosts: { both: 10.79.0.1, far: 10.79.0.4 } }
steps:
  - check: "\${name} has its address"
    for:
      - { from: client, name: web.lab.example, address: 10.78.0.3 }
      - { from: client, name: www.example.com, address: 93.184.216.34 }
      - { from: far, name: app.lab.example, address: 10.79.0.4 }
      - { from: far, name: www.example.net, address: 198.51.100.7 }
    dns: { from: "\${from}", name: "\${name}", expect: { addresses: "\${address}" } }
  - check: and the address its name
    dns: { from: client, name: 93.184.216.34, type: PTR, expect: { records: www.example.com } }
  - check: what neither knows does not exist
    dns: { from: client, name: nothing.example.com, expect: { fails: nxdomain } }
  - check: the outside answers by name
    ping: { from: client, to: www.example.com }
  - fault: { poweroff: world }
  - check: the name server knows the outside’s names by asking, not by heart
    dns: { from: client, name: www.example.com, wait: 500ms, expect: { fails: [timeout, servfail] }, control: { name: web.lab.example } }
`;

describe('Names of a lab, and an outside that is simulated', function () {
  this.timeout(180_000);

  it('are there in one line each', async () => {
    const { dir, remove } = workDirectory({ 'lab.yaml': scenario });
    const run = await netrig(['run', 'lab.yaml'], { cwd: dir }).ended;
    expect(run.status, run.stdout + run.stderr).to.equal(0);
    expect(latestOutcomes(dir)).to.have.length(13);
    remove();
  });

  it('go together, on two hosts or on one', async () => {
    const { dir, remove } = workDirectory({ 'lab.yaml': together });
    const run = await netrig(['run', 'lab.yaml'], { cwd: dir }).ended;
    expect(run.status, run.stdout + run.stderr).to.equal(0);
    expect(latestOutcomes(dir)).to.have.length(9);
    remove();
  });
});
