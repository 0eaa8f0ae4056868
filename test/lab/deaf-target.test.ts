import { expect } from 'chai';
import { latestOutcomes, netrig, workDirectory } from './netrig-command.js';

/** The rules have no interface in them, so that the server drops what it sends itself, too. */
const scenario = `scenario: deaf
title: A target whose rules drop its own probes, too
hosts:
  client: { init: light, routes: [{ to: 10.82.2.0/24, via: 10.82.1.1 }] }
  router: { init: light, sysctls: { net.ipv4.ip_forward: 1 } }
  server: { init: light, routes: [{ to: 10.82.1.0/24, via: 10.82.2.1 }] }
segments:
  west: { subnet: 10.82.1.0/24, hosts: { client: 10.82.1.10, router: 10.82.1.1 } }
  east: { subnet: 10.82.2.0/24, hosts: { server: 10.82.2.10, router: 10.82.2.1 } }
steps:
  - start: socat TCP-LISTEN:8080,fork,reuseaddr EXEC:cat
    on: server
    until: { tcp: "127.0.0.1:8080" }
  - run: iptables -A INPUT -p tcp --dport 8080 -j DROP; nft add table inet wall; nft 'add chain inet wall onward { type filter hook input priority 0; }'; nft add rule inet wall onward icmp type echo-request drop
    on: server
  - check: proven by iptables
    port: { from: client, to: server, port: 8080, expect: { fails: timeout } }
  - check: proven by nftables
    ping: { from: client, to: server, expect: { fails: timeout } }
  - check: open where nobody listens
    port: { from: client, to: server, port: 8081, expect: { fails: timeout } }
  - run: iptables -I FORWARD -p tcp --dport 8080 -j DROP
    on: router
  - check: open where the probe does not get there
    port: { from: client, to: server, port: 8080, expect: { fails: timeout } }
  - run: iptables -F FORWARD; ip route add blackhole 10.82.2.10
    on: router
  - check: open where nothing gets there
    ping: { from: client, to: server, expect: { fails: [timeout, host-unreachable] } }
`;

describe('A target whose rules drop its own probes, too', function () {
  this.timeout(120_000);

  it('has shown itself where the very probe met such a rule, and nowhere else', async () => {
    const { dir, remove } = workDirectory({ 'lab.yaml': scenario });
    const run = await netrig(['run', 'lab.yaml'], { cwd: dir }).ended;
    const outcomes = new Map(latestOutcomes(dir).map((one) => [one.item, one]));
    for (const [item, rule] of [
      ['c03', 'rule 1 of chain INPUT'],
      ['c04', 'rule 1 of chain onward'],
    ] as const) {
      expect(outcomes.get(item)?.verdict, run.stdout).to.equal('pass');
      expect(JSON.stringify(outcomes.get(item))).to.include(rule);
    }
    for (const item of ['c05', 'c07', 'c09']) expect(outcomes.get(item)?.verdict, run.stdout).to.not.equal('pass');
    remove();
  });
});
