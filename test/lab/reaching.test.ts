import { expect } from 'chai';
import { iptablesCheck } from '../../src/checks/iptables.js';
import { pingCheck } from '../../src/checks/ping.js';
import { portCheck } from '../../src/checks/port.js';
import { reachCheck } from '../../src/checks/reach.js';
import type { HostPlan } from '../../src/plan/lab-plan.js';
import { checkLab, lanHost, lanPlan } from './check-lab.js';

const image = process.env.NETRIG_TEST_IMAGE ?? 'debian-12';

/** guest ─ left ─ router ─ right ─ db, and a third on each side. */
function host(name: string, nics: Record<string, string>): HostPlan {
  return {
    ...lanHost(name, 1, image, 'light', null),
    interfaces: Object.entries(nics).map(([segment, address], at) => ({
      name: `eth${at}`,
      segment,
      address: `${address}/24`,
      mac: `02:00:0a:${address
        .split('.')
        .slice(1)
        .map((byte) => Number(byte).toString(16).padStart(2, '0'))
        .join(':')}`,
    })),
  };
}

const plan = {
  ...lanPlan('reaching', [
    host('guest', { left: '10.1.0.10' }),
    host('near', { left: '10.1.0.11' }),
    host('router', { left: '10.1.0.1', right: '10.2.0.1' }),
    host('db', { right: '10.2.0.10' }),
  ]),
  segments: [
    { name: 'left', subnet: '10.1.0.0/24', mtu: null },
    { name: 'right', subnet: '10.2.0.0/24', mtu: null },
  ],
};

describe('reaching, on a real router', function () {
  this.timeout(90_000);
  const { comesTo, run } = checkLab(plan, async () => {
    for (const one of ['guest', 'near']) await run(one, 'ip route add default via 10.1.0.1');
    await run('db', 'ip route add default via 10.2.0.1');
    await run('router', 'sysctl -qw net.ipv4.ip_forward=1');
    await run('db', 'setsid socat TCP-LISTEN:5432,fork,reuseaddr EXEC:cat >/dev/null 2>&1 </dev/null &');
    await run('db', 'setsid socat UDP-RECVFROM:8080,fork EXEC:cat >/dev/null 2>&1 </dev/null &');
    await run('db', 'for i in $(seq 100); do ss -Hlnt | grep -q :5432 && exit 0; sleep 0.05; done; exit 1');
  });
  const closed = { from: 'guest', to: 'db', port: 5432, expect: { fails: 'timeout' } };
  /** What `lines` change is changed back, whatever comes of the test. */
  async function during(on: string, [change, back]: [string, string], test: () => Promise<void>): Promise<void> {
    await run(on, change);
    try {
      await test();
    } finally {
      await run(on, back);
    }
  }

  it('a negative is nothing while the router drops everything', () =>
    during('router', ['iptables -P FORWARD DROP', 'iptables -P FORWARD ACCEPT'], async () => {
      await comesTo({ verdict: 'inconclusive', reason: /nothing shows that the gateway/ }, portCheck, closed);
      await comesTo({ verdict: 'inconclusive' }, pingCheck, { from: 'guest', to: 'db', expect: { fails: 'timeout' } });
      await comesTo({ verdict: 'inconclusive' }, reachCheck, { groups: { a: ['guest'], b: ['db'] } });
    }));
  it('nor while it is dead', () =>
    during('router', ['ip link set eth0 down', 'ip link set eth0 up; ping -qc 1 -w 20 10.1.0.10'], async () => {
      await run('guest', 'ip neigh flush all');
      await comesTo({ verdict: 'inconclusive', reason: /gateway 10\.1\.0\.1 does not answer/ }, portCheck, {
        ...closed,
        expect: { fails: ['timeout', 'host-unreachable'] },
      });
    }));
  it('it passes by a rule of the router that dropped the probe', () => {
    const rule = 'FORWARD -s 10.1.0.10 -d 10.2.0.10 -j DROP';
    return during('router', [`iptables -A ${rule}`, `iptables -D ${rule}`], async () => {
      const outcome = await comesTo({ verdict: 'pass', cause: 'timeout' }, portCheck, closed);
      expect(JSON.stringify(outcome.controls)).to.match(/router drops it by/);
    });
  });
  it('and by the probe coming in at a target that says nothing at all', () =>
    during('db', ['iptables -A INPUT -i eth0 -s 10.1.0.10 -j DROP', 'iptables -F INPUT'], async () => {
      for (const outcome of [
        await comesTo({ verdict: 'pass', cause: 'timeout' }, portCheck, closed),
        await comesTo({ verdict: 'pass', cause: 'timeout' }, pingCheck, {
          from: 'guest',
          to: 'db',
          expect: { fails: 'timeout' },
        }),
      ])
        expect(JSON.stringify(outcome.controls)).to.match(/comes in at db/);
      await comesTo({ verdict: 'pass' }, reachCheck, {
        groups: { a: ['guest'], b: ['db'] },
      });
    }));
  it('which proves nothing where its answers have no way back', async () => {
    for (const [on, change, back, why] of [
      [
        'db',
        'ip route add blackhole 10.1.0.0/24',
        'ip route del blackhole 10.1.0.0/24',
        /it has a blackhole route there/,
      ],
      [
        'db',
        'ip route add 10.1.0.0/24 via 10.2.0.66',
        'ip route del 10.1.0.0/24',
        /the gateway 10\.2\.0\.66 on eth0 answers no ARP request/,
      ],
      [
        'router',
        'ip route add unreachable 10.1.0.10',
        'ip route del unreachable 10.1.0.10',
        /comes in at db, but .*router has the route unreachable 10\.1\.0\.10/,
      ],
    ] as const)
      await during(on, [change, back], async () => {
        await comesTo({ verdict: 'inconclusive', reason: why }, portCheck, closed);
      });
  });
  it('nor does another answer where the router translates the probe to an address that nobody has', () => {
    const rule = 'PREROUTING -t nat -p tcp --dport 5432 -j DNAT --to-destination 10.2.0.99';
    return during('router', [`iptables -A ${rule}`, `iptables -D ${rule}`], async () => {
      await comesTo({ verdict: 'inconclusive', reason: /translates it to 10\.2\.0\.99/ }, portCheck, {
        ...closed,
        expect: { fails: ['timeout', 'host-unreachable'] },
      });
    });
  });
  it('nor does a route that a dead source has lost', () =>
    during('near', ['ip link set eth0 down', 'ip link set eth0 up; ip route add default via 10.1.0.1'], async () => {
      await comesTo({ verdict: 'inconclusive', reason: /eth0 carries packets: it is down/ }, portCheck, {
        from: 'near',
        to: 'db',
        port: 5432,
        expect: { fails: ['no-route', 'timeout'] },
      });
    }));
  it('a rule of iptables is not absent where nftables drops the same', () =>
    during(
      'router',
      [
        "nft add table ip f && nft add chain ip f onward '{ type filter hook forward priority 0; }' && nft add rule ip f onward tcp dport 80 drop",
        'nft delete table ip f',
      ],
      async () => {
        const spec = { on: 'router', chain: 'FORWARD', rule: { dport: 80, jump: 'DROP' }, expect: { absent: true } };
        await comesTo({ verdict: 'inconclusive', reason: /chain onward of table ip f/ }, iptablesCheck, spec);
        await comesTo({ verdict: 'pass' }, iptablesCheck, { ...spec, rule: { dport: 81, jump: 'DROP' } });
      },
    ));
  it('it passes by a rule of nftables, with a counter or without, that dropped the very probe', async () => {
    const chain = "nft add table inet f && nft add chain inet f onward '{ type filter hook forward priority 0; }'";
    for (const rule of ['ip saddr 10.1.0.10 drop', 'iifname eth0 oifname eth1 counter drop'])
      await during(
        'router',
        [`${chain} && nft add rule inet f onward ${rule}`, 'nft delete table inet f'],
        async () => {
          const outcome = await comesTo({ verdict: 'pass', cause: 'timeout' }, portCheck, closed);
          expect(JSON.stringify(outcome.controls)).to.match(/router drops it: rule 1 of chain onward \(inet f\)/);
        },
      );
    await during(
      'router',
      [`${chain} && nft add rule inet f onward counter drop`, 'nft delete table inet f'],
      async () => {
        await comesTo({ verdict: 'inconclusive', reason: /nothing shows that the gateway/ }, portCheck, closed);
      },
    );
  });
  it('and by another port that is refused', () => {
    const rule = 'INPUT -i eth0 -p tcp --dport 5432 -j DROP';
    return during('db', [`iptables -A ${rule}`, `iptables -D ${rule}`], async () => {
      const outcome = await comesTo({ verdict: 'pass', cause: 'timeout' }, portCheck, closed);
      expect(JSON.stringify(outcome.controls)).to.match(/answers pings|refuses TCP/);
    });
  });
  it('whoever else has the address and answers is named', () =>
    during('near', ['ip addr add 10.1.0.1/24 dev eth0', 'ip addr del 10.1.0.1/24 dev eth0'], async () => {
      await run(
        'guest',
        'ip neigh replace 10.1.0.1 lladdr 02:00:0a:01:00:0b dev eth0 nud reachable; ip neigh show 10.1.0.1',
      );
      const wrong = { verdict: 'fail', cause: 'wrong-answer', reason: /is near .* and not router/ } as const;
      await comesTo(wrong, pingCheck, { from: 'guest', to: 'router' });
      await comesTo({ verdict: 'fail', cause: 'wrong-answer' }, reachCheck, {
        groups: { all: ['guest', 'router'] },
      });
      await run('guest', 'ip neigh flush all');
    }));
  it('so is who answers in the target’s place over UDP', () =>
    during('db', ['ip addr add 10.2.0.20/24 dev eth0', 'ip addr del 10.2.0.20/24 dev eth0'], async () => {
      const probe = {
        from: 'guest',
        to: '10.2.0.20',
        port: 8080,
        proto: 'udp',
        send: 'hello',
        expect: { receive: 'hello' },
      };
      await comesTo({ verdict: 'pass' }, portCheck, { ...probe, to: 'db' });
      await comesTo(
        { verdict: 'fail', cause: 'wrong-answer', reason: /10\.2\.0\.10 port 8080 answered/ },
        portCheck,
        probe,
      );
    }));
  it('a host is asked for the addresses that a step gave it', () =>
    during(
      'near',
      ['ip -6 addr add fd00:1::11/64 dev eth0 nodad', 'ip -6 addr del fd00:1::11/64 dev eth0'],
      async () => {
        await run('guest', 'ip -6 addr add fd00:1::10/64 dev eth0 nodad');
        await comesTo({ verdict: 'pass', reason: /fd00:1::11/ }, pingCheck, { from: 'guest', to: 'near', family: 6 });
      },
    ));
  it('all pairs are probed at the addresses that hosts have, also where the plan says others, or none', async () => {
    const all = { groups: { all: ['guest', 'near'] } };
    const passes = async (more: object = {}): Promise<void> => {
      await comesTo({ verdict: 'pass', reason: /All 2 pairs/ }, reachCheck, { ...all, ...more });
    };
    const has = (address: string, before: string): string =>
      `ip addr del ${before}/24 dev eth0 && ip addr add ${address}/24 dev eth0 && ip route replace default via 10.1.0.1`;
    const other = ['ip addr add 10.1.0.11/32 dev eth0', 'ip addr del 10.1.0.11/32 dev eth0'] as [string, string];
    await during('near', [has('10.1.0.21', '10.1.0.11'), has('10.1.0.11', '10.1.0.21')], async () => {
      // The address of the plan is another one's now, who would answer for it.
      await during('router', other, passes);
      await comesTo({ verdict: 'fail', cause: 'present' }, reachCheck, { groups: { one: ['guest'], other: ['near'] } });
      const drop = (verb: string): string =>
        `iptables ${verb} INPUT -i eth0 -d 10.1.0.21 -p icmp --icmp-type 8 -j DROP`;
      await during('near', [drop('-A'), drop('-D')], async () => {
        await comesTo(
          { verdict: 'fail', cause: 'timeout', reason: /^1 of 2 pairs .*guest → near: timeout/ },
          reachCheck,
          all,
        );
      });
    });
    await run('guest', 'ip -6 addr replace fd00:2::10/64 dev eth0 nodad');
    const six = (verb: string): string => `ip -6 addr ${verb} fd00:2::11/64 dev eth0 nodad`;
    await during('near', [six('add'), six('del').replace(' nodad', '')], () => passes({ family: 6 }));
  });
  it('TCP is asked for its answer, and what it says is matched', async () => {
    const talk = { from: 'guest', to: 'db', port: 5432, send: 'who is there\n' };
    await comesTo({ verdict: 'pass' }, portCheck, { ...talk, expect: { receive: { contains: 'who is' } } });
    await comesTo({ verdict: 'fail', cause: 'wrong-answer' }, portCheck, { ...talk, expect: { receive: 'me' } });
  });
  it('every connectivity kind names a neighbour that does not answer host-unreachable', () =>
    during('near', ['ip link set eth0 arp off', 'ip link set eth0 arp on'], async () => {
      for (const [kind, body] of [
        [pingCheck, { from: 'guest', to: 'near' }],
        [portCheck, { from: 'guest', to: 'near', port: 80 }],
        [reachCheck, { groups: { x: ['guest'], y: ['near'] }, expect: { allow: ['x <-> y'] } }],
      ] as const) {
        await run('guest', 'ip neigh flush all');
        await comesTo({ verdict: 'fail', cause: 'host-unreachable' }, kind as typeof pingCheck, body);
      }
    }));
  it('a firewall that lets one port through shows with it that the way works; one that lets none through shows nothing', () =>
    during(
      'router',
      [
        "nft add table inet f && nft add chain inet f onward '{ type filter hook forward priority 0; policy drop; }' && nft add rule inet f onward ct state established accept && nft add rule inet f onward tcp dport 7001 accept",
        'nft delete table inet f',
      ],
      async () => {
        await run('db', 'setsid socat TCP-LISTEN:7001,fork,reuseaddr EXEC:cat >/dev/null 2>&1 </dev/null &');
        await run('db', 'for i in $(seq 100); do ss -Hlnt | grep -q :7001 && exit 0; sleep 0.05; done; exit 1');
        await comesTo({ verdict: 'pass', cause: 'timeout' }, portCheck, closed);
        await comesTo({ verdict: 'pass', cause: 'timeout' }, pingCheck, {
          from: 'guest',
          to: 'db',
          expect: { fails: 'timeout' },
        });
        await run('router', 'nft flush chain inet f onward');
        await comesTo({ verdict: 'inconclusive' }, portCheck, closed);
      },
    ));
});
