import { expect } from 'chai';
import type { ProbeContext } from '../../src/places/context.js';
import type { Vantage } from '../../src/places/vantage.js';
import type { LabPlan } from '../../src/plan/lab-plan.js';
import { mtuProgram } from '../../src/checks/mtu.js';
import { explainUnacknowledged, readConnected } from '../../src/diagnosis/after-connection.js';
import { asTyped, mayMeet } from '../../src/diagnosis/explain-filter.js';
import { explainCause } from '../../src/diagnosis/diagnose.js';
import { explain, explainContent, explainSilence, explainSuccess } from '../../src/diagnosis/explain.js';
import { ownAddressMissing } from '../../src/diagnosis/explain-route.js';
import { buildCase } from '../../src/diagnosis/follow.js';
import type { Case } from '../../src/diagnosis/follow.js';
import { readFrame } from '../../src/diagnosis/frames.js';
import { explainNoOffer } from '../../src/diagnosis/leases.js';
import { lookup } from '../../src/diagnosis/lookup.js';
import { observerProgram, readSections } from '../../src/diagnosis/observer.js';
import type { Section } from '../../src/diagnosis/observer.js';
import { pcapng } from '../../src/diagnosis/pcapng.js';
import { probeProgram } from '../../src/diagnosis/probe.js';
import type { ProbeFate } from '../../src/diagnosis/probe.js';
import { connectProgram } from '../../src/probes/connect-probe.js';
import { rootCauseCatalogue } from '../../src/diagnosis/root-causes.js';
import { readNft, readSaveSections, readTraces } from '../../src/diagnosis/rules.js';
import { addToWorld, emptyWorld, soleHolder } from '../../src/diagnosis/world.js';
import type { Topology } from '../../src/model/events.js';
import { rootCauses } from '../../src/model/verdict.js';
import { topologySvg } from '../../src/report/topology-svg.js';
import { wayLine, wayMarks } from '../../src/report/way.js';

const mark = 62_000;
const isn = 0x01020304;

const bytesOf = (address: string): number[] => address.split('.').map(Number);
const macOf = (mac: string): number[] => mac.split(':').map((part) => parseInt(part, 16));

/** An Ethernet frame with a TCP segment. */
function tcp(srcMac: string, dstMac: string, src: string, dst: string, ports: [number, number], flags: number): string {
  const reply = flags !== 0x02;
  const data = Buffer.alloc(54);
  data.set([...macOf(dstMac), ...macOf(srcMac), 0x08, 0x00, 0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0], 0);
  data.set([...bytesOf(src), ...bytesOf(dst)], 26);
  data.writeUInt16BE(ports[0], 34);
  data.writeUInt16BE(ports[1], 36);
  data.writeUInt32BE(reply ? 7 : isn, 38);
  data.writeUInt32BE(reply ? isn + 1 : 0, 42);
  data.set([0x50, flags], 46);
  return data.toString('hex');
}

function arpRequest(srcMac: string, src: string, target: string): string {
  const data = Buffer.alloc(42);
  data.set([255, 255, 255, 255, 255, 255, ...macOf(srcMac), 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1], 0);
  data.set([...macOf(srcMac), ...bytesOf(src), 0, 0, 0, 0, 0, 0, ...bytesOf(target)], 22);
  return data.toString('hex');
}

interface Nic {
  name: string;
  mac: string;
  address?: string;
  flags?: string[];
  mtu?: number;
  kind?: string;
  data?: Record<string, unknown>;
  link?: string;
}

interface HostSpec {
  nics: Nic[];
  routes?: Record<string, unknown>[];
  rules?: Record<string, unknown>[];
  sysctl?: string[];
  neigh?: Record<string, unknown>[];
  listen?: string[];
  counters?: [before: string, after: string];
  save?: [before: string, after: string];
  filters?: [before: string, after: string];
  conntrack?: string;
  frames?: string[];
}

const loopback: Nic = { name: 'lo', mac: '00:00:00:00:00:00', address: '127.0.0.1/8' };

function sectionsOf(spec: HostSpec): Section[] {
  const at = (name: string, text: string, space = '1'): Section => ({ name, space, text });
  const nics = [loopback, ...spec.nics];
  const addresses = nics.map(({ name, mac, address, flags, mtu, kind, data, link }, index) => ({
    ifindex: index + 1,
    ifname: name,
    flags: flags ?? ['UP', 'LOWER_UP'],
    mtu: mtu ?? 1500,
    address: mac,
    ...(link === undefined ? {} : { link }),
    ...(kind === undefined ? {} : { linkinfo: { info_kind: kind, info_data: data ?? {} } }),
    addr_info:
      address === undefined
        ? []
        : [{ family: 'inet', local: address.split('/')[0], prefixlen: Number(address.split('/')[1]), scope: 'global' }],
  }));
  const connected = nics.flatMap(({ name, address, flags }) => {
    if (address === undefined || flags?.includes('UP') === false) return [];
    const [own, length] = address.split('/');
    const subnet = [...bytesOf(own!).slice(0, 3), 0].join('.');
    return [
      { dst: `${subnet}/${length}`, dev: name },
      { type: 'local', dst: own, dev: name, table: 'local' },
    ];
  });
  const policy = [
    { priority: 0, src: 'all', table: 'local' },
    ...(spec.rules ?? []),
    { priority: 32_766, src: 'all', table: 'main' },
  ];
  return [
    at('spaces', '1\thost\t-\t1\n', '0'),
    at('addr', JSON.stringify(addresses)),
    at('rule4', JSON.stringify(policy)),
    at('route4', JSON.stringify([...connected, ...(spec.routes ?? [])])),
    at('neigh', JSON.stringify(spec.neigh ?? [])),
    at('sysctl', (spec.sysctl ?? []).join('\n')),
    at('listen', (spec.listen ?? []).join('\n')),
    at('before-netstat', spec.counters?.[0] ?? ''),
    at('after-netstat', spec.counters?.[1] ?? ''),
    at('tc-before', spec.filters?.[0] ?? ''),
    at('tc-after', spec.filters?.[1] ?? ''),
    at('before-save', spec.save?.[0] ?? ''),
    at('after-save', spec.save?.[1] ?? ''),
    at('before-conntrack', spec.conntrack ?? ''),
    at('frames', (spec.frames ?? []).join('\n'), '0'),
  ];
}

/** A line of the observer: `type` 0 for a frame that came in, 4 for one that left. */
const frame = (time: number, ifindex: number, type: 0 | 3 | 4, hex: string): string =>
  `1 100.${String(time).padStart(9, '0')} ${ifindex} ${type} 1 0800 ${hex.length / 2} ${hex}`;

const plan: LabPlan = {
  title: 'unit',
  slug: 'unit',
  segments: [
    { name: 'left', subnet: '10.1.0.0/24', mtu: null },
    { name: 'right', subnet: '10.2.0.0/24', mtu: null },
  ],
  hosts: [
    ['client', 'left'],
    ['router', 'left', 'right'],
    ['server', 'right'],
  ].map(([name, ...segments]) => ({
    name: name!,
    image: 'debian-12',
    init: 'light' as const,
    engine: false,
    containerImages: [],
    interfaces: segments.map((segment, at) => ({ name: `eth${at}`, segment, address: null, mac: '' })),
    routes: [],
    sysctls: {},
  })),
  bootTimeoutMs: 1,
} as unknown as LabPlan;

const macs = {
  client: '02:00:00:00:00:01',
  left: '02:00:00:00:00:02',
  right: '02:00:00:00:00:03',
  server: '02:00:00:00:00:04',
};
const ends: [string, string] = ['10.1.0.10', '10.2.0.20'];
const syn = (from: string, to: string): string => tcp(from, to, ...ends, [mark, 80], 0x02);

const healthy = (): Record<string, HostSpec> => ({
  client: {
    nics: [{ name: 'eth0', mac: macs.client, address: '10.1.0.10/24' }],
    routes: [{ dst: 'default', gateway: '10.1.0.1', dev: 'eth0' }],
    neigh: [{ dst: '10.1.0.1', dev: 'eth0', lladdr: macs.left, state: ['REACHABLE'] }],
    frames: [frame(1000, 2, 4, syn(macs.client, macs.left))],
  },
  router: {
    nics: [
      { name: 'eth0', mac: macs.left, address: '10.1.0.1/24' },
      { name: 'eth1', mac: macs.right, address: '10.2.0.1/24' },
    ],
    sysctl: ['ipv4/ip_forward\t1', 'ipv4/conf/eth0/forwarding\t1', 'ipv4/conf/eth1/forwarding\t1'],
    neigh: [{ dst: '10.2.0.20', dev: 'eth1', lladdr: macs.server, state: ['REACHABLE'] }],
    frames: [frame(2000, 2, 0, syn(macs.client, macs.left)), frame(3000, 3, 4, syn(macs.right, macs.server))],
  },
  server: {
    nics: [{ name: 'eth0', mac: macs.server, address: '10.2.0.20/24' }],
    routes: [{ dst: 'default', gateway: '10.2.0.1', dev: 'eth0' }],
    neigh: [{ dst: '10.2.0.1', dev: 'eth0', lladdr: macs.right, state: ['REACHABLE'] }],
    listen: ['tcp LISTEN 0 9 0.0.0.0:80 0.0.0.0:* users:(("httpd",pid=9,fd=3))'],
    frames: [frame(4000, 2, 0, syn(macs.right, macs.server))],
  },
});

function told(hosts: Record<string, HostSpec>, fate: ProbeFate = { fate: 'silent' }) {
  const world = emptyWorld();
  for (const [host, spec] of Object.entries(hosts)) addToWorld(world, host, sectionsOf(spec));
  const probe = {
    proto: 'tcp' as const,
    address: ends[1],
    port: 80,
    mark,
    waitMs: 1,
    size: 56,
    df: false,
    payload: Buffer.alloc(0),
  };
  const source = { label: 'client', endpoint: { kind: 'host', host: 'client' }, container: null } as unknown as Vantage;
  return buildCase({ world, probe, fate }, source, plan, 'server')!;
}

/** Frames stop at the router. */
function stopsAtRouter(hosts: Record<string, HostSpec>): Record<string, HostSpec> {
  hosts['router']!.frames = hosts['router']!.frames!.slice(0, 1);
  hosts['server']!.frames = [];
  return hosts;
}

describe('What stops a packet, by what was seen of it', () => {
  it('says the last place and no cause where nothing stands against the packet', () => {
    const found = explain(told(stopsAtRouter(healthy())))!;
    expect(found.rootCause).to.equal(null);
    expect(found.sentence).to.equal('it came to router by eth0, and was not seen any further');
    expect(found.way.map(({ place, in: came, out }) => [place, came, out])).to.deep.equal([
      ['client', null, 'eth0'],
      ['router', 'eth0', null],
    ]);
  });

  it('forwarding that is off at the host that got it', () => {
    const hosts = stopsAtRouter(healthy());
    hosts['router']!.sysctl = ['ipv4/ip_forward\t0', 'ipv4/conf/eth0/forwarding\t0'];
    const found = explain(told(hosts))!;
    expect(found.rootCause).to.equal('forwarding-off');
    expect(found.sentence).to.equal('router got it on eth0 and does not forward: net.ipv4.ip_forward is 0');
    expect(found.way.at(-1)).to.include({ place: 'router', state: 'broken' });
  });

  it('a route that leads to a host which is no router: the route, not what that host forwards', () => {
    const back = (): Record<string, HostSpec> => {
      const hosts = stopsAtRouter(healthy());
      hosts['router']!.routes = [{ dst: '10.2.0.0/25', gateway: '10.1.0.10', dev: 'eth0' }];
      hosts['router']!.frames!.push(frame(3000, 2, 4, syn(macs.left, macs.client)));
      hosts['client']!.frames!.push(frame(4000, 2, 0, syn(macs.left, macs.client)));
      return hosts;
    };
    for (const forwarding of [0, 1]) {
      const hosts = back();
      hosts['client']!.sysctl = [`ipv4/ip_forward\t${forwarding}`, `ipv4/conf/eth0/forwarding\t${forwarding}`];
      expect(explain(told(hosts))!).to.include({
        rootCause: 'wrong-route',
        sentence: "router's route to 10.2.0.0/25 leads to client, which is no router",
        mend: 'ip route replace 10.2.0.0/25 dev eth1, on router',
      });
    }
    const far = back();
    far['router']!.nics[1]!.address = '10.9.0.1/24';
    far['next'] = {
      nics: [
        { name: 'eth0', mac: '02:00:00:00:00:05', address: '10.9.0.2/24' },
        { name: 'eth1', mac: '02:00:00:00:00:06', address: '10.2.0.1/24' },
      ],
      sysctl: ['ipv4/ip_forward\t1', 'ipv4/conf/eth0/forwarding\t1'],
    };
    expect(explain(told(far))!.mend).to.equal('ip route replace 10.2.0.0/25 via 10.9.0.2, on router');
  });

  it('forwarding that is off at a router between two subnets on one wire, or with a way on by another one', () => {
    const hosts = stopsAtRouter(healthy());
    hosts['router']!.sysctl = [];
    hosts['router']!.nics = [hosts['router']!.nics[0]!];
    hosts['router']!.routes = [{ dst: '10.2.0.0/24', dev: 'eth0' }];
    expect(explain(told(hosts))!.rootCause).to.equal('forwarding-off');
    hosts['router']!.routes = [];
    expect(explain(told(hosts))!).to.include({
      rootCause: 'wrong-route',
      sentence: "client's default route leads to router, which is no router",
    });
  });

  it('a route that refuses, a policy rule, and no route at all', () => {
    const refusing = stopsAtRouter(healthy());
    refusing['router']!.routes = [{ type: 'blackhole', dst: '10.2.0.20' }];
    expect(explain(told(refusing))!.sentence).to.equal('router has the route blackhole 10.2.0.20, which refuses it');
    const ruled = stopsAtRouter(healthy());
    ruled['router']!.rules = [{ priority: 100, src: '10.1.0.10', action: 'prohibit' }];
    expect(explain(told(ruled))!).to.include({
      rootCause: 'policy-rule',
      sentence: 'a policy rule of router refuses it: rule 100: from 10.1.0.10 prohibit',
    });
    const lost = stopsAtRouter(healthy());
    lost['router']!.nics[1] = { name: 'eth1', mac: macs.right, address: '10.3.0.1/24' };
    expect(explain(told(lost))!).to.include({ rootCause: 'no-route', sentence: 'router has no route to 10.2.0.20' });
  });

  it('an address that is missing, or whose prefix leaves out the neighbour, where a route is missing', () => {
    const bare = healthy();
    bare['client']!.nics[0] = { name: 'eth0', mac: macs.client };
    bare['client']!.routes = [];
    bare['client']!.frames = bare['router']!.frames = bare['server']!.frames = [];
    expect(explain(told(bare))!).to.include({
      rootCause: 'no-route',
      sentence: 'client has no route to 10.2.0.20; eth0 of client has no IPv4 address',
      mend: 'ip addr add ADDRESS/24 dev eth0, on client, and its routes again',
    });
    const words = 'eth1 of router has the address 10.2.0.1/30, and segment right is 10.2.0.0/24';
    const mend = 'ip addr add 10.2.0.1/24 dev eth1, and ip addr del 10.2.0.1/30 dev eth1, on router';
    const narrow = stopsAtRouter(healthy());
    narrow['router']!.nics[1]!.address = '10.2.0.1/30';
    // The connected route of these tests has 24 bits, whatever the address has.
    const seen = told(narrow);
    const router = seen.world.spaces.find(({ label }) => label === 'router')!;
    router.routes[4] = router.routes[4].filter(({ dst }) => dst !== '10.2.0.0');
    expect(explain(seen)!).to.include({
      rootCause: 'no-route',
      sentence: `router has no route to 10.2.0.20; ${words}`,
      mend,
    });
    // A port of a bridge has none, and another segment's has nothing to do with it.
    expect(ownAddressMissing(seen, router, '10.66.0.1')).to.equal(null);
    router.links[1]!.addresses = [];
    expect(ownAddressMissing(seen, router, '10.66.0.1')).to.equal(null);
    router.links[1]!.master = 'br0';
    expect(ownAddressMissing(seen, router, '10.1.0.10')).to.equal(null);
  });

  it('a route whose interface has no carrier is used all the same, unless the kernel says that it is dead', () => {
    const world = emptyWorld();
    const routes = [
      { dst: 'default', gateway: '10.1.0.1', dev: 'eth0' },
      { dst: '10.2.0.0/24', dev: 'br0', flags: ['linkdown'] },
      { dst: '10.3.0.0/24', dev: 'br0', flags: ['dead', 'linkdown'] },
    ];
    addToWorld(world, 'client', sectionsOf({ nics: [], routes }));
    const by = (to: string): string | null => {
      const found = lookup(world.spaces[0]!, { to, from: null, iif: null });
      return found.found === 'route' ? found.route.dev : null;
    };
    expect(['10.2.0.9', '10.3.0.9'].map(by)).to.deep.equal(['br0', 'eth0']);
  });

  it('the same on the way back', () => {
    const hosts = healthy();
    hosts['server']!.routes = [];
    const seen = told(hosts);
    seen.world.spaces.find(({ label }) => label === 'server')!.links[1]!.addresses = [];
    expect(
      ownAddressMissing(
        seen,
        seen.world.spaces.find(({ label }) => label === 'server')!,
        '10.1.0.10',
      )!.words,
    ).to.equal('eth0 of server has no IPv4 address');
  });

  it('the route of a router that sends redirects for it, and the redirect only where no route says so any more', () => {
    const astray = (route: string): Record<string, HostSpec> => {
      const hosts = stopsAtRouter(healthy());
      const other = '02:00:00:00:00:09';
      hosts['router']!.routes = [{ dst: '10.2.0.20', gateway: route, dev: 'eth0' }];
      hosts['router']!.frames = [];
      hosts['other'] = {
        nics: [{ name: 'eth0', mac: other, address: '10.1.0.30/24' }],
        frames: [frame(2000, 2, 0, syn(macs.client, other))],
      };
      hosts['client']!.frames = [frame(1000, 2, 4, syn(macs.client, other))];
      hosts['client']!.neigh!.push({ dst: '10.1.0.30', dev: 'eth0', lladdr: other, state: ['REACHABLE'] });
      return hosts;
    };
    expect(explain(told(astray('10.1.0.30')))!).to.include({
      rootCause: 'wrong-route',
      sentence: "router's route to 10.2.0.20 leads to other, which is no router",
    });
    expect(explain(told(astray('10.1.0.77')))!.sentence).to.match(
      /^client sends it to other \(10\.1\.0\.30\), as an ICMP redirect told it/,
    );
  });

  it('an address that two have, also where the probe is answered when it is sent again', () => {
    const hosts = healthy();
    hosts['other'] = { nics: [{ name: 'eth0', mac: '02:00:00:00:00:09', address: '10.1.0.10/24' }] };
    const twice = told(hosts, { fate: 'answered' });
    twice.plan = { ...plan, hosts: [...plan.hosts, { ...plan.hosts[0]!, name: 'other' }] };
    expect(explainCause(twice, 'timeout')!).to.include({
      rootCause: 'address-twice',
      sentence: 'client and other both have 10.1.0.10 on segment left',
    });
  });

  it('what was sent on a connection and is not acknowledged, rather than that the way is free', async () => {
    const hosts = healthy();
    const answer = (from: string, to: string): string => tcp(from, to, ends[1], ends[0], [80, mark], 0x12);
    hosts['server']!.frames!.push(frame(5000, 2, 4, answer(macs.server, macs.right)));
    hosts['client']!.frames!.push(frame(7000, 2, 0, answer(macs.left, macs.client)));
    const seen = told(hosts, { fate: 'answered' });
    const plain = explainCause(seen, 'timeout')!;
    const said = (at: string, queued: number, besides = ''): Promise<string | null> => {
      const own: Record<string, string> = {
        client: `FIN-WAIT-1 0 ${at === 'client' ? queued : 0} 10.1.0.10:40000 10.2.0.20:80\n${besides}\n`,
        server: `LISTEN 0 9 0.0.0.0:80 0.0.0.0:*\nESTAB 0 ${at === 'server' ? queued : 0} [::ffff:10.2.0.20]:80 [::ffff:10.1.0.10]:40000\n`,
      };
      const host = (name: string): object => ({
        name,
        exec: () => Promise.resolve({ exitCode: 0, stdout: own[name] }),
      });
      const context = { plan, host, timeLeftMs: () => 1000 } as unknown as ProbeContext;
      return explainUnacknowledged(context, seen, 40_000, plain).then((found) => found?.sentence ?? null);
    };
    expect(await said('client', 74)).to.equal(
      'the connection is taken, and what client sends on it then is lost: 74 bytes of it are not acknowledged by server',
    );
    expect(await said('server', 4000)).to.match(/what server sends on it then is lost: 4000 bytes .* by client$/);
    // The end of a connection is acknowledged, too, and says nothing of a request.
    expect(await said('client', 1)).to.equal(null);
    expect(await said('nobody', 0)).to.equal(null);
    // What an earlier connection left behind is not taken for this one.
    expect(await said('nobody', 0, 'FIN-WAIT-1 0 74 10.1.0.10:40001 10.2.0.20:80')).to.equal(null);
  });

  it('an interface that is down, rather than the route that went with it', () => {
    const hosts = stopsAtRouter(healthy());
    hosts['router']!.nics[1]!.flags = [];
    expect(explain(told(hosts))!).to.include({
      rootCause: 'link-down',
      sentence: 'eth1 of router is down, so it cannot pass',
    });
  });

  it('reverse path filtering only where the kernel counted it', () => {
    const name = 'TcpExt: A IPReversePathFilter\nTcpExt:';
    for (const [after, cause] of [
      [1, 'rp-filter'],
      [0, null],
    ] as const) {
      const hosts = stopsAtRouter(healthy());
      hosts['router']!.sysctl!.push('ipv4/conf/all/rp_filter\t1');
      hosts['router']!.routes = [{ dst: '10.1.0.10', dev: 'eth1' }];
      hosts['router']!.counters = [`${name} 0 0`, `${name} 0 ${after}`];
      expect(explain(told(hosts))!.rootCause).to.equal(cause);
    }
  });

  it('a rule of legacy iptables by its counter, and only one that fits the packet', () => {
    const rules = (packets: number): string =>
      `# legacy ip\n*filter\n:FORWARD ACCEPT [5:300]\n[${packets}:0] -A FORWARD -p udp -j DROP\n[${packets}:0] -A FORWARD -p tcp -m tcp --dport 80 -j DROP\nCOMMIT\n`;
    const hosts = stopsAtRouter(healthy());
    hosts['router']!.save = [rules(0), rules(1)];
    expect(explain(told(hosts))!.sentence).to.equal(
      'router drops it: rule 2 of chain FORWARD (filter), `-p tcp --dport 80 -j DROP`',
    );
  });

  it('a network of an engine that has addresses of a segment, rather than the rule that keeps such networks apart', () => {
    const bridge = 'br-0123456789ab';
    const rules = (packets: number): string =>
      `# legacy ip\n*filter\n:DOCKER-ISOLATION-STAGE-2 - [0:0]\n[${packets}:0] -A DOCKER-ISOLATION-STAGE-2 -o ${bridge} -j DROP\nCOMMIT\n`;
    const seen = (address: string): Case => {
      const hosts = stopsAtRouter(healthy());
      hosts['router']!.save = [rules(0), rules(1)];
      hosts['router']!.nics.push({ name: bridge, mac: '02:00:00:00:00:08', address, kind: 'bridge' });
      const c = told(hosts);
      const network = {
        id: '0123456789abcdef',
        name: 'clash',
        driver: 'bridge',
        internal: false,
        icc: true,
        masquerade: true,
      };
      c.world.engines.set('router', { running: true, containers: [], networks: [network] });
      return c;
    };
    expect(explain(seen('10.2.0.1/27'))!).to.include({
      rootCause: 'wrong-route',
      sentence: `router takes 10.2.0.20 for a neighbour on ${bridge} (network clash of the engine, where it has 10.2.0.1/27), but server has it on segment right`,
    });
    expect(explain(seen('10.77.0.1/24'))!.rootCause).to.equal('filtered');
  });

  it('an answer that has no route back', () => {
    const hosts = healthy();
    hosts['server']!.routes = [];
    expect(explain(told(hosts))!).to.include({
      rootCause: 'no-way-back',
      sentence: 'server gets it, but has no route back to 10.1.0.10',
    });
  });

  it('an answer that has no route back, also where nobody listens: a refusal would have come', () => {
    const hosts = healthy();
    hosts['server']!.routes = [];
    hosts['server']!.listen = [];
    expect(explain(told(hosts))!.rootCause).to.equal('no-way-back');
  });

  it('nobody listens, another address is listened on, and what does listen', () => {
    const reset = tcp(macs.server, macs.right, ends[1], ends[0], [80, mark], 0x14);
    const refusedBy = (listen: string[]): Record<string, HostSpec> => {
      const hosts = healthy();
      hosts['server']!.listen = listen;
      hosts['server']!.frames!.push(frame(5000, 2, 4, reset));
      return hosts;
    };
    const fate: ProbeFate = { fate: 'error', where: 'remote', errno: 'ECONNREFUSED' };
    expect(explain(told(refusedBy([]), fate))!.sentence).to.equal('on server, nobody listens on tcp port 80');
    const local = explain(
      told(refusedBy(['tcp LISTEN 0 9 127.0.0.1:80 0.0.0.0:* users:(("httpd",pid=9,fd=3))']), fate),
    )!;
    expect(local.rootCause).to.equal('listens-elsewhere');
    expect(local.sentence).to.equal('httpd of server listens on 127.0.0.1 port 80 only, not on 10.2.0.20');
  });

  it('a gateway that is nobody, and a far address taken for a neighbour', () => {
    const asked = (hosts: Record<string, HostSpec>, target: string): Record<string, HostSpec> => {
      hosts['client']!.neigh = [{ dst: target, dev: 'eth0', state: ['FAILED'] }];
      hosts['client']!.frames = [frame(1000, 2, 4, arpRequest(macs.client, '10.1.0.10', target))];
      hosts['router']!.frames = [];
      hosts['server']!.frames = [];
      return hosts;
    };
    const nobody = asked(healthy(), '10.1.0.9');
    nobody['client']!.routes = [{ dst: 'default', gateway: '10.1.0.9', dev: 'eth0' }];
    expect(explain(told(nobody))!).to.include({ rootCause: 'wrong-route' });
    expect(explain(told(nobody))!.sentence).to.contain('leads to the gateway 10.1.0.9, which nobody has');
    const wide = asked(healthy(), '10.2.0.20');
    wide['client']!.routes = [{ dst: '10.0.0.0/8', dev: 'eth0' }];
    expect(explain(told(wide))!.sentence).to.equal(
      'client takes 10.2.0.20 for a neighbour on eth0 (segment left), but server has it on segment right',
    );
  });

  it('routers that send it to each other, by a TTL that falls', () => {
    const hosts = healthy();
    const again = (ttl: number): string => {
      const data = Buffer.from(syn(macs.client, macs.left), 'hex');
      data[22] = ttl;
      return data.toString('hex');
    };
    hosts['router']!.frames = [64, 62, 60].map((ttl, at) => frame(2000 + at * 100, 2, 0, again(ttl)));
    hosts['server']!.frames = [63, 61, 59].map((ttl, at) => frame(2050 + at * 100, 2, 0, again(ttl)));
    expect(explain(told(hosts))!).to.include({
      rootCause: 'routing-loop',
      sentence: 'router and server send it to each other until its TTL is used up',
    });
  });

  it('a TTL that is used up at a router', () => {
    const hosts = stopsAtRouter(healthy());
    const data = Buffer.from(syn(macs.client, macs.left), 'hex');
    data[22] = 1;
    hosts['router']!.frames = [frame(2000, 2, 0, data.toString('hex'))];
    expect(explain(told(hosts))!.sentence).to.equal(
      'router got it on eth0 and may not pass it on: its TTL is 1 (client sent it with 64)',
    );
  });

  it('a router is not called the wrong one where it is its own route that is missing', () => {
    const hosts = stopsAtRouter(healthy());
    hosts['router']!.nics[1] = { name: 'eth1', mac: macs.right, address: '10.3.0.1/24' };
    hosts['other'] = {
      nics: [
        { name: 'eth0', mac: '02:00:00:00:00:09', address: '10.1.0.40/24' },
        { name: 'eth1', mac: '02:00:00:00:00:0a', address: '10.2.0.40/24' },
      ],
    };
    expect(explain(told(hosts))!).to.include({ rootCause: 'no-route', sentence: 'router has no route to 10.2.0.20' });
  });

  it('a neighbour entry that leads to somebody who has not the address', () => {
    const hosts = stopsAtRouter(healthy());
    hosts['client']!.routes = [{ dst: 'default', gateway: '10.1.0.7', dev: 'eth0' }];
    hosts['client']!.neigh = [{ dst: '10.1.0.7', dev: 'eth0', lladdr: macs.left, state: ['PERMANENT'] }];
    hosts['gateway'] = { nics: [{ name: 'eth0', mac: '02:00:00:00:00:07', address: '10.1.0.7/24' }] };
    expect(explain(told(hosts))!).to.include({
      rootCause: 'neighbour-wrong',
      sentence:
        'client sends it to the MAC address of router, which it has for 10.1.0.7 by a static entry; gateway has 10.1.0.7',
    });
  });

  it('somebody on the way who has the address, too', () => {
    const hosts = stopsAtRouter(healthy());
    hosts['router']!.nics.push({ name: 'dum0', mac: '02:00:00:00:00:08', address: '10.2.0.20/32' });
    expect(explain(told(hosts))!.sentence).to.equal(
      'router has the address 10.2.0.20, too, and takes for itself what is meant for server',
    );
  });

  it('a smaller MTU at the receiver than at the sender', () => {
    const hosts = healthy();
    hosts['server']!.frames = [];
    hosts['server']!.nics[0]!.mtu = 30;
    expect(explain(told(hosts))!.sentence).to.equal(
      'it has 40 bytes, and eth0 of server takes at most 30, without a word to the sender',
    );
  });

  it('a service that is bound to an interface, takes IPv6 only, has a full queue, or is stopped', () => {
    const reset = tcp(macs.server, macs.right, ends[1], ends[0], [80, mark], 0x14);
    const listening = (line: string, ...more: string[]): string | undefined => {
      const hosts = healthy();
      hosts['server']!.listen = [line];
      hosts['server']!.frames!.push(...more);
      return explain(told(hosts, { fate: 'silent' }))?.sentence;
    };
    const no = frame(5000, 2, 4, reset);
    const by = 'users:(("httpd",pid=9,fd=3))';
    expect(listening(`tcp LISTEN 0 9 0.0.0.0%lo:80 0.0.0.0:* ${by}`, no)).to.equal(
      'httpd of server listens on port 80 of interface lo only, and it came by eth0',
    );
    expect(listening(`tcp LISTEN 0 9 [::]:80 [::]:* ${by}`, no)).to.equal(
      'httpd of server listens on :: port 80 only, not on 10.2.0.20',
    );
    expect(listening(`tcp LISTEN 10 9 *:80 *:* ${by}`)).to.equal(
      'httpd of server listens on port 80 and does not accept: 10 connections wait for it, and its queue is full',
    );
    expect(listening(`tcp LISTEN 9 9 *:80 *:* ${by}`)).not.to.match(/queue/);
  });

  it('a filter of traffic control whose action dropped packets meanwhile', () => {
    const filter = (drops: number): string =>
      `eth0 ingress ${JSON.stringify([{ protocol: 'ip', pref: 49152, kind: 'matchall', options: { actions: [{ kind: 'gact', stats: { packets: 9, drops } }] } }])}\n`;
    const hosts = stopsAtRouter(healthy());
    hosts['router']!.filters = [filter(3), filter(4)];
    expect(explain(told(hosts))!.sentence).to.equal(
      'router drops it: the tc filter 49152 (matchall) at ingress of eth0',
    );
    hosts['router']!.filters = [filter(3), filter(3)];
    expect(explain(told(hosts))!.rootCause).to.equal(null);
  });

  it('VLAN ids that differ', () => {
    const hosts = healthy();
    hosts['client'] = {
      nics: [
        { name: 'eth0', mac: macs.client },
        { name: 'eth0.10', mac: macs.client, address: '10.2.0.1/24', kind: 'vlan', data: { id: 10 }, link: 'eth0' },
      ],
      neigh: [{ dst: '10.2.0.20', dev: 'eth0.10', state: ['FAILED'] }],
      frames: [frame(1000, 3, 4, arpRequest(macs.client, '10.2.0.1', '10.2.0.20'))],
    };
    hosts['router'] = { nics: [] };
    hosts['server'] = {
      nics: [
        { name: 'eth0', mac: macs.server },
        { name: 'eth0.20', mac: macs.server, address: '10.2.0.20/24', kind: 'vlan', data: { id: 20 }, link: 'eth0' },
      ],
    };
    expect(explain(told(hosts))!).to.include({
      rootCause: 'vlan-mismatch',
      sentence: 'eth0.10 of client is in VLAN 10, eth0.20 of server is in VLAN 20',
    });
  });

  it('claims nothing about who has an address while a host was not looked at', () => {
    const hosts = healthy();
    hosts['client']!.routes = [{ dst: 'default', gateway: '10.1.0.9', dev: 'eth0' }];
    hosts['client']!.neigh = [{ dst: '10.1.0.9', dev: 'eth0', state: ['FAILED'] }];
    hosts['client']!.frames = [frame(1000, 2, 4, arpRequest(macs.client, '10.1.0.10', '10.1.0.9'))];
    for (const name of ['router', 'server']) hosts[name]!.frames = [];
    const c = told(hosts);
    c.world.unlooked.push('other: it has no perl');
    const found = explain(c)!;
    expect(found.rootCause).to.equal(null);
    expect(found.unlooked).to.deep.equal(['other: it has no perl']);
  });

  it('by which way a packet came through, where it must not', () => {
    const hosts = healthy();
    const answer = (from: string, to: string): string => tcp(from, to, ends[1], ends[0], [80, mark], 0x12);
    hosts['server']!.frames!.push(frame(5000, 2, 4, answer(macs.server, macs.right)));
    const found = explainSuccess(told(hosts, { fate: 'answered' }))!;
    expect(found.sentence).to.equal('its way was client → router → server');
    expect(explain(told(hosts, { fate: 'answered' }))).to.equal(null);
  });

  it('no word of silence, nor of an answer that came by now, where another one than the target answered', () => {
    const answered = told(healthy(), { fate: 'answered' });
    expect(explainCause(answered, 'timeout')!.sentence).to.match(/takes the connection, so the way there and back is/);
    expect(explainCause(answered, 'wrong-answer')).to.equal(null);
    expect(explainCause(told(healthy()), 'wrong-answer')).to.equal(null);
    const hosts = stopsAtRouter(healthy());
    hosts['router']!.sysctl = ['ipv4/ip_forward\t0', 'ipv4/conf/eth0/forwarding\t0'];
    expect(explainCause(told(hosts), 'wrong-answer')!.rootCause).to.equal('forwarding-off');
  });
});

describe('Why nobody offers an address', () => {
  const everybody = 'ff:ff:ff:ff:ff:ff';
  /** A datagram from one port of DHCP to the other. */
  function datagram(srcMac: string, src: string, from: number, to: number): string {
    const data = Buffer.alloc(60);
    data.set([...macOf(everybody), ...macOf(srcMac), 0x08, 0x00, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0], 0);
    data.set([...bytesOf(src), ...bytesOf('255.255.255.255')], 26);
    data.writeUInt16BE(from, 34);
    data.writeUInt16BE(to, 36);
    data.writeUInt16BE(26, 38);
    return data.toString('hex');
  }
  const question = datagram(macs.client, '0.0.0.0', 68, 67);
  const segment = (): Record<string, HostSpec> => ({
    client: { nics: [{ name: 'eth0', mac: macs.client }], frames: [frame(1000, 2, 4, question)] },
    router: {
      nics: [{ name: 'eth0', mac: macs.left, address: '10.1.0.1/24' }],
      listen: ['udp UNCONN 0 0 0.0.0.0:67 0.0.0.0:* users:(("dhcpd",pid=9,fd=3))'],
      frames: [frame(2000, 2, 0, question)],
    },
    server: { nics: [{ name: 'eth0', mac: macs.server, address: '10.2.0.20/24' }] },
  });
  function said(
    hosts: Record<string, HostSpec>,
    fate: ProbeFate = { fate: 'silent' },
  ): ReturnType<typeof explainNoOffer> {
    const world = emptyWorld();
    for (const [host, spec] of Object.entries(hosts)) addToWorld(world, host, sectionsOf(spec));
    const probe = {
      ...{ proto: 'udp' as const, address: '255.255.255.255', port: 67, mark: 68, waitMs: 1, size: 56, df: false },
      payload: Buffer.alloc(0),
    };
    const source = {
      label: 'client',
      endpoint: { kind: 'host', host: 'client' },
      container: null,
    } as unknown as Vantage;
    return explainNoOffer(buildCase({ world, probe, fate }, source, plan)!);
  }

  it('names no cause where a server got the question, and says which', () => {
    expect(said(segment())!).to.include({
      rootCause: null,
      sentence: 'the question came to router, where dhcpd listens on udp port 67, and no offer came of it',
    });
    expect(said(segment(), { fate: 'answered' })).to.equal(null);
  });

  it('nobody who listens, and the server that is on another segment', () => {
    const hosts = segment();
    hosts['server']!.listen = hosts['router']!.listen!;
    hosts['router']!.listen = [];
    expect(said(hosts)!).to.include({
      rootCause: 'nobody-listens',
      sentence:
        'the question came to router, and it does not listen on udp port 67, where servers and relays of DHCP do; server does, and did not get it',
      mend: 'a relay on this segment that passes questions on to server, or server on this segment',
    });
    hosts['server']!.listen = [];
    expect(said(hosts)!.sentence).to.match(/where servers and relays of DHCP do$/);
  });

  it('a server of another interface, and one whose interface is down', () => {
    const other = segment();
    other['router']!.listen = ['udp UNCONN 0 0 0.0.0.0%eth1:67 0.0.0.0:* users:(("dhcpd",pid=9,fd=3))'];
    expect(said(other)!).to.include({
      rootCause: 'listens-elsewhere',
      sentence: 'router got the question by eth0, and dhcpd there listens on udp port 67 of interface eth1 only',
    });
    const down = segment();
    down['router']!.nics[0]!.flags = [];
    down['router']!.frames = [];
    expect(said(down)!).to.include({
      rootCause: 'link-down',
      sentence: 'eth0 of router is down, so the question cannot pass',
    });
  });

  it('an offer that is lost on its way, and a question that nobody got', () => {
    const lost = segment();
    lost['router']!.frames!.push(frame(3000, 2, 4, datagram(macs.left, '10.1.0.1', 67, 68)));
    expect(said(lost)!).to.include({ rootCause: null, sentence: 'the offer was last seen at eth0 of router' });
    const alone = segment();
    alone['router']!.frames = [];
    expect(said(alone)!.sentence).to.equal('the question left client, and came to no other place of the lab');
    alone['client']!.frames = [];
    expect(said(alone)).to.equal(null);
  });
});

describe('What runs on a host', () => {
  // Time::HiRes is in the perl-base of Debian 12, and not of Debian 11.
  const inPerlBase = ['strict', 'Errno', 'Fcntl', 'POSIX', 'Socket'];
  for (const [name, program] of Object.entries({ observerProgram, probeProgram, connectProgram, mtuProgram }))
    it(`${name} takes no module that perl-base of every Debian has not`, () => {
      const used = [...program.matchAll(/(?:^|[;\n]) *use ([A-Za-z:]+)/g)].map(([, module]) => module);
      expect(used).to.include('strict');
      expect(used.filter((module) => !inPerlBase.includes(module!))).to.deep.equal([]);
      expect(program).not.to.match(/\bTime::/);
    });
});

describe('What a diagnosis reads', () => {
  it('sections, leaving out what was cut off', () => {
    const raw = Buffer.from('@ one 0 3\na\nb\nready\n@ two 7 2\nxy\n@ three 7 9\nxy');
    expect(readSections(raw)).to.deep.equal([
      { name: 'one', space: '0', text: 'a\nb' },
      { name: 'two', space: '7', text: 'xy' },
    ]);
  });

  it('the two ends of a connection, of either family', () => {
    const lines = [
      'ESTAB 0 36 10.0.0.1:22 10.0.0.9:51000',
      'LISTEN 0 5 *:80 *:*',
      'SYN-SENT 0 1 [fd01:0::1]:4000 [fd02::2]:80',
      '',
    ];
    expect(readConnected(lines.join('\n'))).to.deep.equal([
      {
        unacknowledged: 36,
        local: { address: '10.0.0.1', port: 22 },
        peer: { address: '10.0.0.9', port: 51000 },
      },
      {
        unacknowledged: 1,
        local: { address: 'fd01::1', port: 4000 },
        peer: { address: 'fd02::2', port: 80 },
      },
    ]);
  });

  it('the largest segment that a SYN asks for, and none of what is no SYN or is cut', () => {
    const head = tcp(macs.client, macs.left, ...ends, [mark, 80], 0x02);
    const read = (options: string, offset: string, flags = '02'): number | undefined => {
      const data = Buffer.from(`${head.slice(0, 92)}${offset}${flags}${head.slice(96)}${options}`, 'hex');
      const found = readFrame(data, 1);
      return found && 'packet' in found ? found.packet.mss : undefined;
    };
    expect(read('020405b4', '60')).to.equal(1460);
    expect(read('0101080a00000001000000000204 0514'.replace(' ', ''), '90')).to.equal(1300);
    expect(read('020405b4', '60', '10')).to.equal(undefined);
    expect(read('0204', '60')).to.equal(undefined);
    expect(read('00020405', '60')).to.equal(undefined);
    expect(read('', '50')).to.equal(undefined);
  });

  it('frames that are cut anywhere, without a throw', () => {
    const whole = Buffer.from(syn(macs.client, macs.left), 'hex');
    for (let length = 0; length <= whole.length; length += 1) readFrame(whole.subarray(0, length), 1);
    const read = readFrame(whole, 1);
    expect(read && 'packet' in read ? read.packet : null).to.include({ src: ends[0], dport: 80, seq: isn, flags: 2 });
  });

  it('the packet inside a VXLAN packet', () => {
    const inner = Buffer.from(syn(macs.client, macs.server), 'hex');
    const outer = Buffer.alloc(50 + inner.length);
    Buffer.from(tcp(macs.left, macs.right, '10.5.0.1', '10.5.0.2', [5555, 4789], 0x02), 'hex').copy(outer, 0, 0, 42);
    outer[23] = 17;
    outer.set([0x08, 0, 0, 0, 0, 0, 42, 0], 42);
    inner.copy(outer, 50);
    const read = readFrame(outer, 1);
    expect(read && 'packet' in read ? read.packet.around : null).to.deep.equal([
      { src: '10.5.0.1', dst: '10.5.0.2', dport: 4789, dstMac: '02:00:00:00:00:03', vni: 42 },
    ]);
    expect(read && 'packet' in read ? read.packet.dst : null).to.equal(ends[1]);
  });

  it('rules by their handles, those of iptables in its own words', () => {
    const saved = readSaveSections(
      '# nft ip\n*filter\n:FORWARD DROP [0:0]\n[0:0] -A FORWARD -s 10.1.0.10/32 -j DROP\nCOMMIT\n# nft ip6\n',
    );
    const listing =
      'table ip filter { # handle 2\n\tchain FORWARD { # handle 6\n\t\ttype filter hook forward priority filter; policy drop;\n\t\tip saddr 10.1.0.10 counter packets 0 bytes 0 drop # handle 9\n\t}\n}\ntable inet wall { # handle 3\n\tchain a { # handle 1\n\t\ttcp dport 80 drop # handle 4\n\t}\n}\n';
    const { rules, policies } = readNft(listing, saved);
    expect(rules.get('ip filter FORWARD 9')).to.include({
      tool: 'iptables',
      place: 1,
      text: '-s 10.1.0.10/32 -j DROP',
    });
    expect(rules.get('inet wall a 4')).to.include({ tool: 'nft', table: 'inet wall', text: 'tcp dport 80 drop' });
    expect(policies.get('ip filter FORWARD')?.policy).to.equal('drop');
    expect(asTyped('-s 10.1.0.10/32 -p tcp -m tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable')).to.equal(
      '-s 10.1.0.10 -p tcp --dport 80 -j REJECT',
    );
  });

  it('whether a rule may be meant for a packet', () => {
    const packet = { src: '10.1.0.10', dst: '10.2.0.20', proto: 'tcp', dport: 80 };
    for (const rule of [
      '-j DROP',
      '-p tcp -j DROP',
      '-s 10.1.0.0/24 -j DROP',
      '! -s 10.3.0.0/16 -j DROP',
      '-p tcp --dport 80 -j DROP',
    ])
      expect(mayMeet(rule, packet), rule).to.equal(true);
    for (const rule of [
      '-p udp -j DROP',
      '-s 10.3.0.0/24 -j DROP',
      '-p tcp --dport 443 -j DROP',
      '! -d 10.2.0.20 -j DROP',
    ])
      expect(mayMeet(rule, packet), rule).to.equal(false);
  });

  it('the longest prefix, by the order of policy rules', () => {
    const world = emptyWorld();
    const routes = [
      { dst: 'default', gateway: '10.1.0.1', dev: 'eth0' },
      { dst: '10.2.0.0/16', gateway: '10.1.0.2', dev: 'eth0' },
      { dst: '10.2.0.0/24', gateway: '10.1.0.3', dev: 'eth0', flags: ['dead'] },
      { dst: 'default', gateway: '10.1.0.9', dev: 'eth0', table: '77' },
    ];
    const nics = [{ name: 'eth0', mac: macs.client, address: '10.1.0.10/24' }];
    addToWorld(
      world,
      'h',
      sectionsOf({ nics, routes, rules: [{ priority: 9, src: '10.6.0.0', srclen: 16, table: '77' }] }),
    );
    const gateway = (from: string | null): string | null => {
      const found = lookup(world.spaces[0]!, { to: '10.2.0.20', from, iif: null });
      return found.found === 'route' ? found.route.gateway : null;
    };
    expect(gateway(null)).to.equal('10.1.0.2');
    expect(gateway('10.6.0.1')).to.equal('10.1.0.9');
  });

  it('nothing from messages of nftables that are cut', () => {
    expect(readTraces('7 00\n7 \nx')).to.deep.equal([]);
  });

  it('captures as pcapng with the place and interface in the name', () => {
    const file = pcapng(told(healthy()).world.sightings);
    expect(file.readUInt32LE(0)).to.equal(0x0a0d0d0a);
    expect(file.includes('router:eth1')).to.equal(true);
    let blocks = 0;
    for (let at = 0; at < file.length; at += file.readUInt32LE(at + 4)) {
      const length = file.readUInt32LE(at + 4);
      expect(length % 4).to.equal(0);
      expect(file.readUInt32LE(at + length - 4)).to.equal(length);
      blocks += 1;
    }
    expect(blocks).to.equal(1 + 4 + 4);
  });
});

describe('Whose an address is that a scenario writes out', () => {
  it('is told where one alone has it', () => {
    const hosts = healthy();
    expect(soleHolder(told(hosts).world, ends[1])).to.equal('server');
    expect(soleHolder(told(hosts).world, '10.9.9.9')).to.equal(null);
    hosts['router']!.nics.push({ name: 'eth2', mac: '02:00:00:00:00:06', address: `${ends[1]}/24` });
    expect(soleHolder(told(hosts).world, ends[1])).to.equal(null);
  });
});

describe('Addresses that are translated on the way', () => {
  const nobody = '10.2.0.99';

  /** Rules of iptables at the router, the last of which drops the packet after it was translated. */
  function droppedAfter(target: string, rules: readonly string[]): Case {
    const hosts = stopsAtRouter(healthy());
    const saved = rules.map((rule) => `[0:0] -A FORWARD ${rule}`).join('\n');
    const listing = rules.map((_, at) => `\t\tx # handle ${at + 5}`).join('\n');
    const c = told(hosts, { fate: 'error', where: 'remote', errno: 'EHOSTUNREACH' });
    const router = c.world.spaces.find(({ label }) => label === 'router')!;
    router.nft = readNft(
      `table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n${listing}\n\t}\n}\n`,
      readSaveSections(`# nft ip\n*filter\n:FORWARD DROP [0:0]\n${saved}\nCOMMIT\n# nft ip6\n`),
    );
    const packet = Buffer.from(tcp(macs.client, macs.left, ends[0], target, [mark, 22], 0x02), 'hex');
    const drops = rules.at(-1)!.includes('-j ACCEPT') ? null : rules.length + 4;
    c.world.traces.push({
      ...{ space: '1', id: 1, family: 'ip', table: 'filter', chain: 'FORWARD', handle: drops, where: router },
      ...{ type: drops === null ? 'policy' : 'rule', verdict: 'drop', policy: drops === null ? 'drop' : null },
      ...{ network: packet.subarray(14, 34), transport: packet.subarray(34), iif: 2, oif: 3, mark: null },
    });
    return c;
  }

  it('a rule that drops whatever the target is stops the packet; that nobody has the target comes besides', () => {
    for (const rule of ['-p tcp -m tcp --dport 22 -j REJECT --reject-with icmp-admin-prohibited', '-j DROP']) {
      const found = explain(droppedAfter(nobody, [rule]))!;
      expect(found.rootCause, rule).to.equal('filtered');
      expect(found.sentence).to.match(/^router (?:rejects|drops) it: rule 1 of chain FORWARD \(filter\)/);
      expect(found.sentence).to.match(/; besides, router translates it to 10\.2\.0\.99, which nobody has$/);
      expect(found.mend).to.match(/-D FORWARD 1; mend the rule on router that translates to 10\.2\.0\.99$/);
      expect(found.way.at(-1)).to.include({ place: 'router', state: 'broken' });
    }
  });

  it('one that asks where the packet goes, or drops what no such rule accepts, shows that the target is wrong', () => {
    for (const rules of [
      ['! -i docker0 -o docker0 -j DROP'],
      ['-d 10.2.0.20/32 -j ACCEPT', '-j DROP'],
      ['-d 10.2.0.20/32 -j ACCEPT'],
    ])
      expect(explain(droppedAfter(nobody, rules))!, rules.join()).to.include({
        rootCause: 'nat-wrong',
        sentence: 'router translates it to 10.2.0.99, which nobody has',
      });
  });

  it('a drop after a translation to somebody is a drop', () => {
    const found = explain(droppedAfter('10.2.0.20', ['! -i eth0 -o eth1 -j DROP']))!;
    expect(found.rootCause).to.equal('filtered');
    expect(found.sentence).not.to.include('besides');
  });

  /** The router leads what is for the server to somebody beside the client, who answers by himself; `over`: by the router. */
  function ledBack(over: boolean): Record<string, HostSpec> {
    const hosts = healthy();
    const [near, mac] = ['10.1.0.30', '02:00:00:00:00:08'];
    const led = tcp(macs.left, mac, ends[0], near, [mark, 80], 0x02);
    const answer = (from: string, to: string): string => tcp(from, to, near, ends[0], [80, mark], 0x12);
    const back = over ? answer(macs.left, macs.client) : answer(mac, macs.client);
    hosts['router']!.frames = [
      hosts['router']!.frames![0]!,
      frame(3000, 2, 4, led),
      ...(over ? [frame(5500, 2, 0, answer(mac, macs.left)), frame(5700, 2, 4, back)] : []),
    ];
    hosts['near'] = {
      nics: [{ name: 'eth0', mac, address: `${near}/24` }],
      listen: ['tcp LISTEN 0 9 0.0.0.0:80 0.0.0.0:* users:(("httpd",pid=9,fd=3))'],
      frames: [frame(4000, 2, 0, led), frame(5000, 2, 4, over ? answer(mac, macs.left) : back)],
    };
    hosts['client']!.frames!.push(frame(6000, 2, 0, back));
    return hosts;
  }

  it('an answer that comes past who translated the question is told as that, with the address that it comes from', () => {
    const found = explain(told(ledBack(false)))!;
    expect(found).to.include({
      rootCause: 'asymmetric-way-back',
      sentence:
        'the answer comes to client straight from 10.1.0.30, and client has asked 10.2.0.20: router translated the question, and the answer does not pass it',
      mend: 'iptables -t nat -A POSTROUTING -s 10.1.0.10 -d 10.1.0.30 -j MASQUERADE, on router',
    });
  });

  it('an answer that passes who translated the question, and is not translated back, is told as that', () => {
    expect(explain(told(ledBack(true)))!).to.include({
      rootCause: 'nat-wrong',
      sentence:
        'the answer comes to client from 10.1.0.30, and client has asked 10.2.0.20: router translated the question, and lets the answer pass without translating it back',
    });
  });

  /** The router translates the sender's address; the answer ends at another one, which has no route to that. */
  function answerTo(translated: string): Record<string, HostSpec> {
    const hosts = healthy();
    const next = '02:00:00:00:00:05';
    const leaves = tcp(macs.right, macs.server, translated, ends[1], [mark, 80], 0x02);
    const back = tcp(macs.server, next, ends[1], translated, [80, mark], 0x12);
    hosts['router']!.frames = [hosts['router']!.frames![0]!, frame(3000, 3, 4, leaves)];
    hosts['server']!.routes = [{ dst: 'default', gateway: '10.2.0.2', dev: 'eth0' }];
    hosts['server']!.frames = [frame(4000, 2, 0, leaves), frame(5000, 2, 4, back)];
    hosts['next'] = {
      nics: [
        { name: 'eth0', mac: next, address: '10.2.0.2/24' },
        { name: 'eth1', mac: '02:00:00:00:00:07', address: '10.8.0.1/24' },
      ],
      sysctl: ['ipv4/ip_forward\t1', 'ipv4/conf/eth0/forwarding\t1', 'ipv4/conf/eth1/forwarding\t1'],
      frames: [frame(6000, 2, 0, back)],
    };
    return hosts;
  }

  it('an answer to an address that nobody has ends where no route leads to it: the translation is wrong', () => {
    const found = explain(told(answerTo('172.31.9.9')))!;
    expect(found).to.include({
      rootCause: 'nat-wrong',
      sentence: 'router translates the sender’s address to 172.31.9.9, which nobody has, so that no answer comes back',
      mend: 'mend the rule on router that translates to 172.31.9.9',
    });
    expect(found.evidence[0]).to.equal('next has no route to 172.31.9.9.');
  });

  it('one to an address that somebody has, or that was not translated, lacks a way back', () => {
    const owned = answerTo('10.7.0.1');
    owned['router']!.nics.push({ name: 'eth2', mac: '02:00:00:00:00:06', address: '10.7.0.1/24' });
    expect(explain(told(owned))!.rootCause).to.equal('no-way-back');
    expect(explain(told(answerTo(ends[0])))!.rootCause).to.equal('no-way-back');
  });

  it('which of the two it is, is left open where the one who may have translated it was not looked at', () => {
    const hosts = answerTo('172.31.9.9');
    delete hosts['router'];
    const c = told(hosts);
    c.world.unlooked.push('router: it gave no answer in time');
    expect(explain(c)!).to.include({
      rootCause: 'no-way-back',
      sentence: 'next gets it, but has no route back to 172.31.9.9, which nobody has who was looked at',
      mend: null,
    });
  });

  const tracked = (to: string): string =>
    `ipv4     2 tcp      6 25 src=${ends[0]} dst=${ends[1]} sport=${mark} dport=80 src=${to} dst=${ends[0]} sport=80 dport=${mark} mark=0 zone=0 use=2`;

  function answeredBy(to: string, rules: readonly string[], legacy = false): Case {
    const hosts = healthy();
    const saved = rules.map((rule) => `[0:0] -A PREROUTING ${rule}`).join('\n');
    hosts['router']!.conntrack = tracked(to);
    if (legacy) hosts['router']!.save = [`# legacy ip\n*nat\n${saved}\nCOMMIT\n`, ''];
    const c = told(hosts, { fate: 'answered' });
    const { rules: known } = c.world.spaces.find(({ label }) => label === 'router')!.nft;
    if (!legacy)
      rules.forEach((text, at) =>
        known.set(`ip nat PREROUTING ${at}`, {
          ...{
            tool: text.includes('-j ') ? 'iptables' : 'nft',
            table: 'nat',
            chain: 'PREROUTING',
            place: at + 1,
            text,
          },
        }),
      );
    return c;
  }

  it('an answer of somebody to whom a tracked connection goes on leading, and no rule any more', () => {
    const other = '-d 10.2.0.20/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.2.0.30';
    for (const rules of [
      [],
      [other],
      ['-j DNAT --to-destination 10.2.0.1'],
      ['-p udp -j DNAT --to-destination 10.2.0.10'],
      ['tcp dport 80 dnat to 10.2.0.30:80'],
    ]) {
      const found = explainContent(answeredBy('10.2.0.10', rules))!;
      expect(found.rootCause, rules.join()).to.equal('conntrack-stale');
      expect(found.sentence).to.match(/^router goes on translating the connection from port 62000 to 10\.2\.0\.10/);
    }
    expect(explainContent(answeredBy('10.2.0.10', [other], true))?.rootCause).to.equal('conntrack-stale');
  });

  it('and nothing of one to whom a rule may lead, or who has the address', () => {
    for (const rule of [
      '-p tcp -m tcp --dport 80 -j DNAT --to-destination 10.2.0.10:80',
      '-j DNAT --to-destination 10.2.0.9-10.2.0.12',
      '-p tcp -j REDIRECT --to-ports 3128',
      'tcp dport 80 dnat to 10.2.0.10:80',
      'dnat to jhash ip saddr mod 2 map { 0 : 10.2.0.10, 1 : 10.2.0.20 }',
    ])
      expect(explainContent(answeredBy('10.2.0.10', [rule])), rule).to.equal(null);
    expect(explainContent(answeredBy('10.2.0.10', ['-j DNAT --to-destination 10.2.0.10'], true))).to.equal(null);
    expect(explainContent(answeredBy(ends[1], []))).to.equal(null);
  });
});

describe('Hosts that gave no answer in time', () => {
  const without = (hosts: Record<string, HostSpec>, ...names: string[]): Record<string, HostSpec> =>
    Object.fromEntries(Object.entries(hosts).filter(([name]) => !names.includes(name)));
  /** What is seen where those hosts were not looked at. */
  function unseen(hosts: Record<string, HostSpec>, names: string[], fate: ProbeFate = { fate: 'silent' }): Case {
    const c = told(without(hosts, ...names), fate);
    c.world.unlooked.push(...names.map((name) => `${name}: it gave no answer in time`));
    return c;
  }

  it('are named as not looked at where the packet was seen last before them, and nothing is said of them', () => {
    expect(explain(unseen(healthy(), ['server']))!).to.include({
      rootCause: null,
      sentence: 'it left router by eth1; what became of it then is not known, for server was not looked at',
    });
    expect(explain(unseen(healthy(), ['router', 'server']))!.sentence).to.equal(
      'it left client by eth0; what became of it then is not known, for router and server were not looked at',
    );
    expect(explain(unseen(stopsAtRouter(healthy()), ['server']))!.sentence).to.equal(
      'it came to router by eth0, and was not seen any further; server was not looked at',
    );
  });

  it('nor is the way said to be free over them', () => {
    expect(explainSilence(unseen(healthy(), ['server'], { fate: 'answered' }))!.sentence).to.equal(
      '10.2.0.20 takes the connection; server was not looked at',
    );
    const router = unseen(healthy(), ['router'], { fate: 'answered' });
    expect(explainSilence(router)!.sentence).to.equal(
      'server (10.2.0.20) takes the connection; router was not looked at',
    );
    expect(explainSilence(told(healthy(), { fate: 'answered' }))!.sentence).to.equal(
      'server (10.2.0.20) takes the connection, so the way there and back is free',
    );
  });
});

describe('A way in reports', () => {
  const hop = (place: string, out: string | null, did: string, state: 'seen' | 'broken' = 'seen') => ({
    place,
    in: 'eth0',
    out,
    did,
    state,
  });

  it('is one line that ends where the packet was stopped', () => {
    const way = [hop('client', 'eth0', 'sent'), hop('r1', 'eth1', 'routed'), hop('server', null, 'got it', 'broken')];
    expect(wayLine({ way, back: [] })).to.equal('client ─eth0→ r1 (routed) ─eth1→ server ─╳');
    const back = [hop('server', 'eth0', 'answered'), hop('r1', null, 'got it', 'broken')];
    expect(wayLine({ way, back })).to.equal('answer: server ─eth0→ r1 ─╳');
    expect(wayLine({ way: [], back: [] })).to.equal('');
  });

  it('marks the hosts and interfaces of the drawing, and nothing where it stays on one host', () => {
    const way = [
      hop('node1/app', 'eth0', 'sent'),
      hop('node1', 'eth1', 'routed'),
      hop('node2', null, 'got it', 'broken'),
    ];
    const marks = wayMarks({ way, back: [] })!;
    expect([...marks.hosts]).to.deep.equal([
      ['node1', 'passed'],
      ['node2', 'broken'],
    ]);
    expect(marks.interfaces.has('node1 eth1')).to.equal(true);
    expect(wayMarks({ way: way.slice(0, 2), back: [] })).to.equal(null);
    const topology = {
      hosts: ['node1', 'node2'].map((name) => ({
        name,
        image: 'debian-12',
        init: 'light',
        interfaces: [{ name: 'eth1', segment: 'lan', address: '' }],
      })),
      segments: [{ name: 'lan', subnet: '10.0.0.0/24' }],
    };
    const svg = topologySvg(topology as unknown as Topology, [], 't', marks);
    expect(svg.match(/class="host way-broken"/g)).to.have.length(1);
    expect(svg.match(/class="way-wire"/g)).to.have.length(1);
  });
});

describe('Root causes', () => {
  it('each have a meaning, a look, a proof and a way to mend', () => {
    expect(Object.keys(rootCauseCatalogue).sort()).to.deep.equal([...rootCauses].sort());
    for (const entry of Object.values(rootCauseCatalogue))
      for (const text of Object.values(entry)) expect(text.length).to.be.greaterThan(5);
  });
});
