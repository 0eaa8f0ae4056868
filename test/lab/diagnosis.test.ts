import { expect } from 'chai';
import type { Lab } from '../../src/api/lab.js';
import { docker } from '../faults/docker.js';
import { routed } from '../faults/routed.js';
import { labUp, plantAndAsk } from '../faults/plant.js';

/**
 * All that a look could change on a host, in every namespace, without counters, timers and the states of neighbours.
 * `nft list ruleset` holds the rules of iptables, too.
 */
const dump = `
look() {
  ip -d addr | sed -E -e '/valid_lft/d' -e 's/_timer +[0-9.]+//g'; ip rule; ip -6 rule; ip route show table all; ip -6 route show table all | sed -e 's/expires [0-9]*sec//'
  nft list ruleset | sed -e 's/counter packets [0-9]* bytes [0-9]*/counter/'
  bridge link; bridge fdb | sort; cat /proc/sys/net/ipv4/conf/*/forwarding /proc/sys/net/ipv4/conf/*/rp_filter
}
look
for p in $(docker ps -q 2>/dev/null); do
  nsenter -t $(docker inspect -f '{{.State.Pid}}' $p) -n sh -c "ip addr | sed -e '/valid_lft/d'; ip route show table all; nft list ruleset | sed -e 's/counter packets [0-9]* bytes [0-9]*/counter/'"
done
docker ps -a --format '{{.Names}} {{.State}}' 2>/dev/null; docker network ls --format '{{.ID}} {{.Name}}' 2>/dev/null
ls /run /tmp /var/tmp | grep -i netrig
ps -eo args | grep -c '[p]erl - watch'
`;

async function dumps(lab: Lab): Promise<Record<string, string>> {
  const all = await Promise.all(
    lab.hosts.map(async (host): Promise<[string, string]> => [host.name, (await host.exec(dump)).stdout]),
  );
  return Object.fromEntries(all);
}

describe('Why a probe fails', function () {
  this.timeout(120_000);
  for (const family of [routed, docker]) {
    describe(`in the lab ${family.name}`, () => {
      let lab: Lab;
      before(async () => {
        lab = await labUp(family);
      });
      after(() => lab.down());

      for (const fault of family.faults.filter((one) => one.fast)) {
        it(`is named: ${fault.name}`, async () => {
          const { named, words } = await plantAndAsk(lab, fault);
          expect(named, words).to.equal(true);
        });
      }

      it('is found without a change to any host', async () => {
        await lab.check('ping', { from: 'client', to: 'server' });
        // Duplicate address detection goes on for a second or two after a lab came up.
        for (const host of lab.hosts)
          await host.exec('for i in $(seq 50); do ip -6 addr | grep -q tentative || break; sleep 0.1; done; sleep 0.3');
        await lab.host('r1').exec('iptables -A FORWARD -p tcp --dport 9 -j DROP');
        const before = await dumps(lab);
        const told = await lab.check('port', { from: 'client', to: 'server', port: 9, wait: '300ms' });
        const after = await dumps(lab);
        await lab.host('r1').exec('iptables -F FORWARD');
        expect(told.diagnosis?.rootCause).to.equal('filtered');
        expect(before['r1']).to.contain('FORWARD');
        for (const host of Object.keys(before)) {
          const [was, is] = [before[host]!.split('\n'), after[host]!.split('\n')];
          const changed = is.flatMap((line, at) => (line === was[at] ? [] : [`${was[at] ?? ''} → ${line}`]));
          expect(changed.join('\n'), host).to.equal('');
          expect(is.length).to.equal(was.length);
        }
      });
    });
  }

  it('is asked for once in a lab until something changes it', async () => {
    const lab = await labUp(routed);
    try {
      await lab.host('r1').exec('iptables -A FORWARD -p tcp --dport 9 -j DROP');
      const spec = { from: 'client', to: 'server', port: 9, wait: '300ms' };
      const first = await lab.check('port', spec);
      const second = await lab.check('port', spec);
      // The very same finding, not an equal one.
      expect(second.diagnosis).to.equal(first.diagnosis);
      await lab.host('r1').exec('iptables -F FORWARD');
      const third = await lab.check('port', spec);
      expect(third.diagnosis?.rootCause).to.equal('nobody-listens');
    } finally {
      await lab.down();
    }
  });
});
