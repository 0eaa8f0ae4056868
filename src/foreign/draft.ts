import YAML from 'yaml';
import { networkAddress, overlaps, parseCidr } from '../model/cidr.js';

/** A lab of another tool on its way to a scenario. */

/** Something that has no place in the scenario. */
export interface Loss {
  /** The file that it stands in, as the user named it or relative to that. */
  file: string;
  line: number | null;
  /** What it is: "the startup-config of r1". */
  what: string;
  /** Why it was left out, or what it became: one clause. */
  why: string;
}

export interface DraftHost {
  /** Systemd where services are to run; light hosts boot in a fraction of the time. */
  systemd: boolean;
  packages: string[];
  /** Own files by their paths beside the scenario. */
  files: Record<string, string>;
  sysctls: Record<string, string>;
  limits: Record<string, string | number>;
  docker?: object;
}

/** The place of one host on a segment. */
export interface Member {
  host: string;
  /** The number of its interface in the lab that is imported: 1 for eth1. */
  index: number;
  /** Addresses with prefix lengths, at most one of each family. */
  addresses: string[];
}

export interface DraftSegment {
  name: string;
  /** Subnets; empty: any will do. */
  subnets: string[];
  members: Member[];
}

export interface DraftScript {
  title: string;
  on: string;
  run: string;
}

export interface Draft {
  name: string;
  title: string;
  description: string | null;
  /** Container images that are to be built. */
  images?: Record<string, object>;
  hosts: Map<string, DraftHost>;
  segments: DraftSegment[];
  scripts: DraftScript[];
  /** Written as they stand, after the scripts. */
  checks: object[];
  lost: Loss[];
}

export const emptyHost = (): DraftHost => ({ systemd: false, packages: [], files: {}, sysctls: {}, limits: {} });

/** A name as scenarios take it, of one that another tool takes. */
export function nameOf(text: string, taken: ReadonlySet<string> = new Set()): string {
  const base =
    text
      .toLowerCase()
      .replace(/[^a-z0-9-]+/g, '-')
      .replace(/^[^a-z]+/, '')
      .replace(/-+$/, '')
      .slice(0, 28) || 'x';
  let name = base;
  for (let n = 2; taken.has(name); n += 1) name = `${base}-${n}`;
  return name;
}

/**
 * Segments in an order in which each host's interfaces have their numbers, as far as there is one: netrig numbers them in the
 * order of the file.
 */
export function inInterfaceOrder(segments: readonly DraftSegment[]): DraftSegment[] {
  const left = [...segments];
  const ordered: DraftSegment[] = [];
  const earliest = (segment: DraftSegment): boolean =>
    segment.members.every(({ host, index }) =>
      left.every((other) => other === segment || other.members.every((one) => one.host !== host || one.index > index)),
    );
  while (left.length > 0) {
    const next = left.find(earliest) ?? left[0]!;
    ordered.push(next);
    left.splice(left.indexOf(next), 1);
  }
  return ordered;
}

/** The names that interfaces of a host have in the scenario, by the numbers that they had. */
export function interfaceNames(segments: readonly DraftSegment[], host: string): Map<number, string> {
  const own = segments.flatMap(({ members }) => members.filter((one) => one.host === host));
  return new Map(own.map(({ index }, at) => [index, `eth${at}`]));
}

/** A subnet of documentation's size that no segment has. */
function freeSubnet(segments: readonly DraftSegment[]): string {
  const used = segments.flatMap(({ subnets }) => subnets.flatMap((one) => parseCidr(one) ?? []));
  for (let n = 0; n < 256; n += 1) {
    const subnet = `10.250.${n}.0/24`;
    if (!used.some((one) => overlaps(one, parseCidr(subnet)!))) return subnet;
  }
  return '10.251.0.0/24';
}

/** Gives each segment the subnets of its members' addresses; those that fit none of them are lines of a script again. */
export function settleSubnets(
  segments: readonly DraftSegment[],
  stray: (member: Member, address: string) => void,
): void {
  for (const segment of segments) {
    const taken = new Set<string>();
    for (const member of segment.members)
      member.addresses = member.addresses.filter((address) => {
        const cidr = parseCidr(address)!;
        const subnet = `${networkAddress(cidr)}/${cidr.prefix}`;
        const other = segment.subnets.find((one) => parseCidr(one)!.family === cidr.family);
        const fits = cidr.prefix < (cidr.family === 4 ? 31 : 127) && (other === undefined || other === subnet);
        if (!fits || taken.has(address)) {
          stray(member, address);
          return false;
        }
        taken.add(address);
        if (other === undefined) segment.subnets.push(subnet);
        return true;
      });
    if (segment.subnets.length === 0) segment.subnets.push(freeSubnet(segments));
  }
}

const bare = (address: string): string => address.split('/')[0]!;
const oneOrList = <Item>(items: readonly Item[]): Item | readonly Item[] | null =>
  items.length === 0 ? null : items.length === 1 ? items[0]! : items;

function hostData(host: DraftHost): object | null {
  const data = {
    ...(host.systemd ? (host.docker ? {} : { engine: false }) : { init: 'light' }),
    ...(host.packages.length > 0 ? { packages: host.packages } : {}),
    ...(Object.keys(host.sysctls).length > 0 ? { sysctls: host.sysctls } : {}),
    ...(Object.keys(host.limits).length > 0 ? { limits: host.limits } : {}),
    ...(Object.keys(host.files).length > 0 ? { files: host.files } : {}),
    ...(host.docker ? { docker: host.docker } : {}),
  };
  return Object.keys(data).length > 0 ? data : null;
}

/** Two hosts of a segment that have addresses there reach each other: what the lab is for, at least. */
function segmentChecks({ segments }: Draft): object[] {
  return segments.flatMap(({ name, members }) => {
    const [first, ...others] = members.filter(({ addresses }) => addresses.length > 0);
    if (first === undefined) return [];
    return others.map(({ host, addresses }) => ({
      check: `${first.host} and ${host} reach each other on ${name}`,
      ping: {
        from: first.host,
        to: host,
        'address-on': name,
        ...(addresses.some((one) => !one.includes(':')) ? {} : { family: 6 }),
      },
      within: '30s',
    }));
  });
}

/** Says where nothing of the lab can be checked as it stands. `file`: what it was imported from. */
export function sayWithoutChecks(draft: Draft, file: string): void {
  if (draft.checks.length > 0 || segmentChecks(draft).length > 0) return;
  // A scenario has a step at least.
  if (draft.scripts.length === 0)
    for (const on of [...draft.hosts.keys()].slice(0, 1))
      draft.scripts.push({ title: `What addresses ${on} has`, on, run: 'ip address\n' });
  draft.lost.push({
    file,
    line: null,
    what: 'checks',
    why: 'there are none, because no two hosts of a segment have addresses that could be read: write the addresses at `segments`, or a check; without one a run proves nothing (NETRIG_NOTHING_RAN)',
  });
}

/** Small maps and lists of plain values on one line, as people write them. */
function flowWhereShort(_: unknown, node: YAML.YAMLMap | YAML.YAMLSeq, path: readonly unknown[]): void {
  const values = YAML.isMap(node) ? node.items.map(({ value }) => value) : node.items;
  const plain = values.every((one) => one === null || (YAML.isScalar(one) && !String(one.value).includes('\n')));
  // Below the document, its map and one pair: what stands at the top stays a block.
  if (path.length > 4 && plain && values.length > 0 && JSON.stringify(node).length < 90) node.flow = true;
}

/** The draft as a scenario file, with what was lost in comments at its beginning. `source`: what it was imported from. */
export function scenarioText(draft: Draft, source: string): string {
  const segments = Object.fromEntries(
    draft.segments.map(({ name, subnets, members }) => [
      name,
      {
        subnet: oneOrList(subnets),
        hosts: Object.fromEntries(members.map(({ host, addresses }) => [host, oneOrList(addresses.map(bare))])),
      },
    ]),
  );
  const document = new YAML.Document({
    scenario: draft.name,
    title: draft.title,
    ...(draft.description === null ? {} : { description: draft.description }),
    ...(Object.keys(draft.images ?? {}).length > 0 ? { images: draft.images } : {}),
    hosts: Object.fromEntries([...draft.hosts].map(([name, host]) => [name, hostData(host)])),
    ...(draft.segments.length > 0 ? { segments } : {}),
    steps: [
      ...draft.scripts.map(({ title, on, run }) => ({ step: title, on, run })),
      ...draft.checks,
      ...segmentChecks(draft),
    ],
  });
  YAML.visit(document, { Collection: flowWhereShort });
  const lines = [
    ` Imported from ${source} by \`netrig import\`.`,
    ...(draft.lost.length === 0 ? [] : [' What could not be carried over, or only in another way:']),
    ...draft.lost.map(({ file, line, what, why }) => ` - ${file}${line === null ? '' : `:${line}`}: ${what}: ${why}`),
  ];
  document.commentBefore = lines.join('\n');
  return document.toString({ lineWidth: 0, nullStr: '~' });
}
