import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { requireHostImageRow } from '../../src/images/recipe.js';
import { engineReference } from '../../src/providers/container/image.js';
import { startEngine, type TestEngine } from './container-engine.js';
import { missing, onHost } from './local-labs.js';
import { type Ended, latestOutcomes, netrig, workDirectory } from './netrig-command.js';
import { outsideScenario } from './outside-attempts.js';

/**
 * What stands for the outside, and for the machine of an engine: a web server and a name server at an address of the outside, web
 * servers on the loopback of a machine that would route it, and a way out whose packets are counted.
 */
const machine = `set -eu
# Nothing is to be sent that nobody asked for.
echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6
mkdir -p /srv/out /srv/loop
echo outside >/srv/out/index.html
echo loopback >/srv/loop/index.html
ip address add 192.0.2.1/32 dev lo
ip route add default via 10.20.9.254
ip neighbour add 10.20.9.254 dev eth0 lladdr 0a:00:00:00:00:01 nud permanent
busybox httpd -p 192.0.2.1:8080 -h /srv/out
busybox httpd -p 127.0.0.1:8081 -h /srv/loop
busybox httpd -p 127.0.0.2:8082 -h /srv/loop
dnsmasq --no-resolv --no-hosts --bind-interfaces --listen-address=192.0.2.1 --address=/anything.example/192.0.2.1
echo nameserver 192.0.2.1 >/etc/resolv.conf
echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
curl -sf http://127.0.0.1:8081/ && curl -sf http://127.0.0.2:8082/
`;

/** The control of what follows: a container on a network of the engine's that has nothing between gets to that loopback. */
const plain = `docker run --rm --cap-add NET_ADMIN --sysctl net.ipv4.conf.all.route_localnet=1 ${engineReference(requireHostImageRow('debian-12'))} /bin/bash -c '
ip address del 127.0.0.1/8 dev lo
ip route flush table local type local 127.0.0.0/8
ip route add 127.0.0.0/8 via $(ip route show default | cut -d" " -f3) dev eth0
curl -sf --max-time 5 --interface eth0 http://127.0.0.1:8081/'`;

/** What stands for a package source: it is written down, and nobody is asked. */
const mirror = 'http://mirror.example/debian/';

const opened = `
  - step: Names and pages of the outside, and package sources
    on: [a, b]
    run: |
      curl -sf http://192.0.2.1:8080/ | grep -x outside
      curl -sf http://anything.example:8080/ | grep -x outside
      grep -qx 'deb ${mirror} bookworm main' /etc/apt/sources.list
  - step: A container has it, too
    on: a
    run: docker run --rm busybox wget -q -O - http://192.0.2.1:8080/ | grep -x outside
  - step: The loopback of the engine’s machine is out of reach, whatever routes root of the host makes
    on: [a, b]
    run: |
      for port in 8081 8082; do
        for address in 198.18.255.2 198.18.255.3 127.0.0.1 127.0.0.2 0.0.0.0; do
          ! timeout 1 curl -s "http://$address:$port/" || exit 1
        done
      done
      echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
      ip address del 127.0.0.1/8 dev lo
      ip route flush table local type local 127.0.0.0/8 || true
      ip route add 127.0.0.0/8 via 198.18.255.2 dev uplink0
      for port in 8081 8082; do
        for address in 127.0.0.1 127.0.0.2; do
          ! timeout 1 curl -s --interface uplink0 "http://$address:$port/" || exit 1
        done
      done
  - step: Routes of the lab win
    on: b
    run: |
      ip route get 203.0.113.9 | grep -q 'dev uplink0'
      ip route add default via 10.86.0.1
      ip route get 203.0.113.9 | grep -q 'dev eth0'
      ip route del default via 10.86.0.1
  - step: Beside the lab’s interfaces there is one, whose other end is out of sight
    on: b
    run: |
      [ "$(ip -json link show | grep -o '"ifname":"[^"]*"' | sort | tr -d '\\n')" = '"ifname":"eth0""ifname":"lo""ifname":"uplink0"' ]
  - step: A packet for somewhere
    on: b
    run: timeout 1 bash -c 'echo x >/dev/udp/203.0.113.9/9'
`;

(missing ? describe.skip : describe)(
  `The way to the outside of hosts as containers${missing ? ` (needs ${missing})` : ''}`,
  function () {
    this.timeout(300_000);
    let state: string;
    let engine: TestEngine;

    before(async () => {
      state = mkdtempSync(join(tmpdir(), 'netrig-state-'));
      engine = await startEngine('v2', { packages: ['dnsmasq-base'] });
      const made = await onHost(engine.lab, 'engine', machine);
      expect(made.stdout, made.stderr).to.equal('loopback\nloopback\n');
    });
    after(async () => {
      await engine?.end();
      rmSync(state, { recursive: true });
    });

    async function sent(): Promise<number> {
      const { stdout } = await onHost(engine.lab, 'engine', 'cat /sys/class/net/eth0/statistics/tx_packets');
      return Number(stdout);
    }

    async function run(outside: boolean): Promise<Ended & { verdicts: string[]; sent: number; report: string }> {
      const { dir, remove } = workDirectory({ 'lab.yaml': outsideScenario(outside ? opened : null) });
      try {
        const env = { DOCKER_HOST: engine.uri, XDG_STATE_HOME: state, NETRIG_DEBIAN_MIRROR: mirror };
        const before = await sent();
        // Nobody is asked for packages: the machine's sources are not what this is about.
        const words = ['run', 'lab.yaml', '--provider', 'container', '--offline'];
        const ended = await netrig(words, { cwd: dir, env }).ended;
        const verdicts = latestOutcomes(dir).map(({ verdict }) => verdict);
        const report = readFileSync(join(dir, 'reports/latest/summary.md'), 'utf8');
        return { ...ended, verdicts, report, sent: (await sent()) - before };
      } finally {
        remove();
      }
    }

    it('is none unless a scenario says so: no packet leaves the machine, and nothing of it is reached', async () => {
      const sealed = await run(false);
      expect(sealed.verdicts, sealed.stdout + sealed.stderr).to.deep.equal(['pass', 'pass']);
      expect(sealed.sent).to.equal(0);
      expect(sealed.report).not.to.contain('outside in');
      expect(await engine.left()).to.deep.equal([]);
    });

    it('reaches the outside and nothing on the machine’s loopback; reports say who had it', async () => {
      const open = await run(true);
      expect(open.verdicts, open.stdout + open.stderr).to.deep.equal(Array.from({ length: 8 }, () => 'pass'));
      const control = await onHost(engine.lab, 'engine', plain);
      expect(control.stdout, control.stderr).to.equal('loopback\n');
      // The control of the count above: a packet that leaves is seen.
      expect(open.sent).to.be.greaterThan(0);
      expect(open.report).to.contain('A way to the outside in outside: a, b.');
      expect(open.stdout + open.stderr).to.contain(
        'A way to the outside, by the machine of the Docker engine engine: a, b.',
      );
      expect(await engine.left()).to.deep.equal([]);
    });
  },
);
