import { createHash } from 'node:crypto';
import { familyOf, parseCidr } from '../model/cidr.js';
import type { Scenario } from '../scenario/scenario.js';
import type { HostPlan, InterfacePlan, LabPlan } from './lab-plan.js';

const maxSlugLength = 24;

/** The plan of a validated scenario's lab. Pure: the same scenario gives the same plan, to the byte. */
export function planLab(scenario: Scenario): LabPlan {
  const macs = new Set<string>();
  const hosts = scenario.hosts.map((host): HostPlan => {
    const interfaces: InterfacePlan[] = [];
    for (const segment of scenario.segments) {
      if (!Object.hasOwn(segment.hosts, host.name)) continue;
      const [address = null, ...further] = (segment.hosts[host.name] ?? []).map((one) =>
        inSubnet(one, segment.subnets),
      );
      const mac = macAddress(`${scenario.name}/${host.name}/${segment.name}`, macs);
      macs.add(mac);
      interfaces.push({
        name: `eth${interfaces.length}`,
        segment: segment.name,
        address,
        ...(further.length === 0 ? {} : { further }),
        mac,
      });
    }
    return {
      name: host.name,
      image: host.image,
      ...(host.root ? { root: host.root } : {}),
      init: host.init,
      engine: host.engine,
      ...(host.engineOnDemand ? { engineOnDemand: true } : {}),
      containerImages: host.engine ? [...scenario.containerImages] : [],
      ...(host.engine && scenario.wantedImages.length > 0 ? { wantedImages: [...scenario.wantedImages] } : {}),
      ...(scenario.pins && (host.engine || host.packages.length > 0) ? { pins: scenario.pins } : {}),
      interfaces,
      routes: host.routes.map(({ to, via }) => ({ to, via })),
      sysctls: { ...host.sysctls },
      ...(host.packages.length > 0 ? { packages: [...new Set(host.packages)].sort() } : {}),
      ...(host.packagePlaces ? { packagePlaces: host.packagePlaces } : {}),
      ...(host.files.length > 0 ? { files: host.files } : {}),
      ...(host.outside ? { outside: true } : {}),
      ...(host.engine && host.pulls && !host.outside ? { pullsWhatItHas: true } : {}),
      ...(host.records ? { records: host.records } : {}),
      ...(host.standsFor.length > 0 ? { standsFor: host.standsFor } : {}),
      ...(host.limits ? { limits: host.limits } : {}),
    };
  });
  askEachOther(hosts);
  return {
    title: scenario.id,
    slug: slugOf(scenario.id),
    hosts,
    segments: scenario.segments.map(({ name, subnets: [subnet, ...further], mtu }) => ({
      name,
      subnet: subnet!,
      ...(further.length === 0 ? {} : { further }),
      mtu,
    })),
    bootTimeoutMs: scenario.bootTimeoutMs,
    ...(scenario.limits ? { limits: scenario.limits } : {}),
  };
}

const bare = (address: string): string => address.split('/')[0]!;

/** Hosts of one sort that are on the segments of another host, with their addresses there. */
function neighbours(host: HostPlan, others: readonly HostPlan[]): { other: HostPlan; address: string }[] {
  return host.interfaces.flatMap(({ segment }) =>
    others
      .filter((other) => other !== host)
      .flatMap((other) => other.interfaces.map((nic) => ({ other, nic })))
      .flatMap(({ other, nic }) =>
        nic.segment === segment && nic.address !== null ? [{ other, address: bare(nic.address) }] : [],
      ),
  );
}

/** The names of whoever stands for the outside, for a name server beside it: a resolver that is asked first must know them, too. */
function outsideNames(server: HostPlan, outside: readonly HostPlan[]): NonNullable<HostPlan['passesOn']> {
  const seen = new Set<HostPlan>();
  return neighbours(server, outside).flatMap(({ other, address: to }) => {
    if (seen.has(other)) return [];
    seen.add(other);
    return [{ names: (other.records ?? []).map(({ name }) => name), addresses: other.standsFor ?? [], to }];
  });
}

/** Whether the host has a default route of that address's family. */
function hasDefaultLike({ routes }: HostPlan, address: string): boolean {
  return routes.some(
    ({ to, via }) => (to === 'default' || parseCidr(to)?.prefix === 0) && familyOf(via) === familyOf(address),
  );
}

/**
 * Hosts ask the name servers on their segments, which ask whoever stands for the outside there for its names; and they send to
 * that one what they have no other way for.
 */
function askEachOther(hosts: HostPlan[]): void {
  const servers = hosts.filter(({ records }) => records !== undefined);
  const outside = hosts.filter(({ standsFor }) => standsFor !== undefined);
  for (const host of hosts) {
    const asked = host.records ? ['127.0.0.1'] : neighbours(host, servers).map(({ address }) => address);
    if (asked.length > 0 && !host.outside) host.asks = asked;
    const passesOn = host.records && !host.standsFor ? outsideNames(host, outside) : [];
    if (passesOn.length > 0) host.passesOn = passesOn;
    const [gateway] = neighbours(host, outside);
    if (gateway !== undefined && !host.outside && !host.standsFor && !hasDefaultLike(host, gateway.address))
      host.routes = [...host.routes, { to: 'default', via: gateway.address }];
  }
}

/** An address with the prefix of the subnet of its family. */
function inSubnet(address: string, subnets: readonly string[]): string {
  const subnet = subnets.map((text) => parseCidr(text)!).find(({ family }) => family === familyOf(address))!;
  return `${address}/${subnet.prefix}`;
}

/** `ports[image=debian-12]` becomes `ports-debian-12`: the keys of a matrix are left out, its values kept. */
function slugOf(id: string): string {
  const slug = id
    .toLowerCase()
    .replace(/(?<=[[,])[^=\],]*=/g, '')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, maxSlugLength)
    .replace(/-+$/, '');
  return slug === '' ? 'lab' : slug;
}

/**
 * A unicast MAC address with the locally-administered bit set (IEEE 802): the same for the same place in a scenario, so that
 * captures of two runs can be compared. It begins with 0a:6e, since Docker's own addresses begin with 02:42.
 */
function macAddress(place: string, taken: ReadonlySet<string>): string {
  for (let salt = 0; ; salt += 1) {
    const digest = createHash('sha256').update(`${place}#${salt}`).digest();
    const mac = ['0a', '6e', ...[0, 1, 2, 3].map((index) => digest[index]!.toString(16).padStart(2, '0'))].join(':');
    if (!taken.has(mac)) return mac;
  }
}
