import { canonicalAddress, contains, familyOf, parseCidr } from '../../src/model/cidr.js';
import type { Asked, Said } from './lab.js';
import { arpingText, fpingAlive, fpingSilent, pingText } from './sayings.js';
import { engineMac, holds, ownersOf, routeOf } from './world.js';
import type { FakePlace, World } from './world.js';

const loopback = { mac: '00:00:00:00:00:00', addresses: ['127.0.0.1/8', '::1/128'] };

function linkList(place: FakePlace): object[] {
  return [['lo', loopback] as const, ...place.links].map(([ifname, { mac, addresses }], at) => ({
    ifindex: at + 1,
    ifname,
    flags: ifname === 'lo' ? ['LOOPBACK', 'UP', 'LOWER_UP'] : ['BROADCAST', 'MULTICAST', 'UP', 'LOWER_UP'],
    mtu: 1500,
    operstate: 'UP',
    link_type: ifname === 'lo' ? 'loopback' : 'ether',
    address: mac,
    addr_info: addresses.map((one) => {
      const { address, prefix, family } = parseCidr(one)!;
      return {
        family: family === 4 ? 'inet' : 'inet6',
        local: address,
        prefixlen: prefix,
        scope: ifname === 'lo' ? 'host' : address.startsWith('fe80') ? 'link' : 'global',
      };
    }),
  }));
}

function neighbours(world: World, place: FakePlace): object[] {
  return world.places.flatMap((other) =>
    other === place
      ? []
      : [...other.links.values()].flatMap(({ mac, addresses }) =>
          addresses.flatMap((one) => {
            const address = one.split('/')[0]!;
            const dev = [...place.links].find(([, link]) =>
              link.addresses.some((own) => contains(parseCidr(own)!, address)),
            )?.[0];
            return dev === undefined ? [] : [{ dst: address, dev, lladdr: mac, state: ['REACHABLE'] }];
          }),
        ),
  );
}

function ip(world: World, asked: Asked): Said | null {
  const { place, argv } = asked;
  const words = argv.slice(1).filter((word) => !word.startsWith('-'));
  const family = argv.includes('-6') ? 6 : argv.includes('-4') ? 4 : 0;
  const [object, verb] = words;
  if (object === 'route' && verb === 'get') {
    const address = words[2]!;
    const route = routeOf(place, address);
    if (!route) return { stderr: 'RTNETLINK answers: Network is unreachable\n', exitCode: 2 };
    const { dev, source, gateway, local } = route;
    return JSON.stringify([
      {
        ...(local ? { type: 'local' } : {}),
        dst: address,
        ...(gateway ? { gateway } : {}),
        dev,
        prefsrc: source,
        flags: [],
      },
    ]);
  }
  if (object === 'neigh') return JSON.stringify(neighbours(world, place));
  // No link of the fake world has a type of its own (vrf, vlan, …).
  if (object === 'link')
    return JSON.stringify(
      words.includes('type') ? [] : linkList(place).map((link) => ({ ...link, addr_info: undefined })),
    );
  if (object?.startsWith('a')) {
    const to = words[words.indexOf('to') + 1];
    const only = words.includes('to') ? to!.split('/')[0]! : null;
    return JSON.stringify(
      (linkList(place) as { addr_info: { local: string; scope: string }[] }[]).map((link) => ({
        ...link,
        addr_info: link.addr_info.filter(
          ({ local, scope }) =>
            (family === 0 || familyOf(local) === family) &&
            (!words.includes('global') || scope === 'global') &&
            (only === null || (familyOf(only) !== 0 && canonicalAddress(local) === canonicalAddress(only))),
        ),
      })),
    );
  }
  return null;
}

function inspectOf(world: World, host: string, name: string): object | null {
  const containers = Object.entries(world.hosts[host]?.containers ?? {});
  const at = containers.findIndex(([one]) => one === name);
  if (at < 0) return null;
  const { on, state = 'running', inspect = {} } = containers[at]![1];
  const running = state !== 'exited';
  return {
    Id: `${host}${name}`.padEnd(64, '0'),
    Name: `/${name}`,
    State: { Status: state, Running: running, Paused: state === 'paused', Pid: running ? 1000 + at : 0, ExitCode: 0 },
    HostConfig: { NetworkMode: Object.keys(on)[0] ?? 'none', PortBindings: {} },
    Config: { Image: 'busybox', Hostname: name },
    NetworkSettings: {
      Ports: {},
      Networks: Object.fromEntries(
        Object.entries(on).map(([network, cidr]) => {
          const { address, prefix } = parseCidr(cidr)!;
          // Networks of one engine; a name with a colon is one network for all engines (overlay).
          const id = network.includes(':') ? network : `${network}-of-${host}`;
          return [
            network,
            {
              NetworkID: id,
              IPAddress: address,
              IPPrefixLen: prefix,
              Gateway: '',
              MacAddress: engineMac(address),
              Aliases: [],
            },
          ];
        }),
      ),
    },
    ...inspect,
  };
}

function engine(world: World, { place, argv }: Asked): Said | null {
  const url = argv.find((word) => word.startsWith('http://docker/'));
  if (url === undefined) return null;
  const path = url.slice('http://docker'.length);
  const names = Object.keys(world.hosts[place.host]?.containers ?? {});
  if (path.startsWith('/containers/json')) {
    const listed = names.map(
      (name) => inspectOf(world, place.host, name) as { State: { Running: boolean; Status: string } },
    );
    return JSON.stringify(
      listed.flatMap((one, at) =>
        one.State.Running ? [{ ...one, Names: [`/${names[at]}`], State: one.State.Status }] : [],
      ),
    );
  }
  const name = /^\/containers\/([^/]+)\/json$/.exec(path)?.[1];
  if (name === undefined) return null;
  return JSON.stringify(
    inspectOf(world, place.host, decodeURIComponent(name)) ?? { message: `No such container: ${name}` },
  );
}

/** In a healthy world what is sent to somebody comes in there. */
function arrival({ place, argv }: Asked): Said {
  return holds(place, argv[3]!) ? `ready\narrived ${argv[6]}\n` : 'ready\n';
}

function namespaceAddresses(world: World, { place }: Asked): string {
  return world.places
    .filter(({ label }) => label.startsWith(`${place.host}/netns:`))
    .map((one) => `netns ${one.label.split(':')[1]}\n${JSON.stringify(linkList(one))}\n`)
    .join('');
}

function namespacePath(world: World, { place, argv }: Asked): string {
  const name = argv
    .find((word) => word.startsWith('/run/netns/'))
    ?.split('/')
    .at(-1);
  return name !== undefined && name in (world.hosts[place.host]?.namespaces ?? {}) ? `/run/netns/${name}` : '';
}

/** What a healthy world's tools say; `null` where the world knows nothing of it. */
export function answerByWorld(world: World, asked: Asked): Said | null {
  const { tool, place, address, part } = asked;
  const there = address !== null && (address.startsWith('127.') || ownersOf(world, address).length > 0);
  switch (tool) {
    case 'ping': {
      const sent = Number(asked.argv[asked.argv.indexOf('-c') + 1]);
      if (routeOf(place, address!) === null) return { stderr: 'ping: connect: Network is unreachable\n', exitCode: 2 };
      return { stdout: pingText(address!, { sent, received: there ? sent : 0 }), exitCode: there ? 0 : 1 };
    }
    case 'fping':
      return there ? fpingAlive(address!) : fpingSilent(address!);
    case 'perl':
      if (asked.argv[2] === 'arrive') return arrival(asked);
      if (address === null) return null;
      return routeOf(place, address) === null
        ? 'error local ENETUNREACH'
        : there
          ? 'error remote ECONNREFUSED'
          : 'silent';
    case 'arping': {
      const device = asked.argv[asked.argv.indexOf('-I') + 1]!;
      const macs = ownersOf(world, address!, place).flatMap((owner) =>
        [...owner.links.values()].filter((link) => holds({ ...owner, links: new Map([['', link]]) }, address!)),
      );
      return {
        stdout: arpingText(
          address!,
          device,
          macs.map(({ mac }) => mac),
        ),
        exitCode: macs.length > 0 ? 0 : 1,
      };
    }
    case 'ip':
      return ip(world, asked);
    case 'curl':
      return engine(world, asked);
    case 'readlink':
      return `net:[${world.places.indexOf(place) + 1}]\n`;
    case 'iptables-save':
    case 'ip6tables-save':
    case 'nft':
    case 'ss':
    case 'cat':
      return '';
    case 'if':
      return '';
    case 'for':
      // The look-up of a named namespace's file.
      if (part === 'namespaces') return namespaceAddresses(world, asked);
      return part === 'path' ? namespacePath(world, asked) : null;
    default:
      return null;
  }
}
