import type { z } from 'zod';
import { zName } from '../../language/fields.js';
import type { HostFilePlan, HostPlan } from '../../plan/lab-plan.js';
import { nearest, shown, suggestion } from '../../language/wording.js';
import { familyOf, overlaps, parseCidr } from '../../model/cidr.js';
import { uplink } from '../../model/uplink.js';
import { overlapProblems, routeProblems, segmentAddresses, segmentProblems } from '../addressing.js';
import type { HostNetworks } from '../addressing.js';
import type { Path } from '../diagnostic.js';
import { dockerProblems } from '../docker-state-problems.js';
import { check as checkShape } from '../issues.js';
import { checkRecords } from '../name-records.js';
import { topKeys, zHost, zSegment } from '../schema.js';
import type { HostShape, SegmentShape } from '../schema.js';
import { isDataMap } from '../source.js';
import type { Data, DataMap } from '../source.js';
import { foreignRoot, hostImages, imageEngine, refusesEngine, whyNoEngine } from './engines.js';
import { limits, withinLimit } from './limits.js';
import type { Mistakes } from './mistakes.js';
import { ownFileAt } from './own-files.js';
import type { Reading } from './reading.js';

/** Hosts and segments of a scenario as far as they are sound. */
export interface DeclaredLab {
  /** Every host of the file, also those with mistakes of their own. */
  hostNames: ReadonlySet<string>;
  hosts: ReadonlyMap<string, HostShape>;
  segments: ReadonlyMap<string, SegmentShape>;
  /** Segments that are declared, also those with mistakes of their own; `null` where their names are not known either. */
  segmentNames: ReadonlySet<string> | null;
  /** The image of every host that has no mistake about it. */
  images: ReadonlyMap<string, string>;
  /** What hosts have from the start, by host, as far as it is there. */
  files: ReadonlyMap<string, HostFilePlan[]>;
  /** The root file systems that hosts are made of in place of an image, as far as they are there. */
  roots: ReadonlyMap<string, NonNullable<HostPlan['root']>>;
  /** Whether all of a host's addresses are known: no segment with mistakes may have it, too. */
  addressesKnown(host: string): boolean;
  /** Whether a host has an engine, as far as its image is known. */
  hasEngine(host: string): boolean;
}

/** Says that a key of the file itself is missing, unless it stands there misspelt. */
export function missingTop(mistakes: Mistakes, data: DataMap, key: string, message: string): void {
  const misspelt = Object.keys(data).some((other) => !topKeys.includes(other) && nearest(other, topKeys) === key);
  if (misspelt) mistakes.count();
  else mistakes.report([], message);
}

/** `; did you mean "node1"?`, or which hosts there are. */
export function hostHint(name: string, lab: Pick<DeclaredLab, 'hostNames'>): string {
  const names = [...lab.hostNames];
  const shownNames = names.length > 20 ? [...names.slice(0, 20), '…'] : names;
  return suggestion(name, names) || `; there are ${shownNames.join(', ')}`;
}

export function declaredLab(reading: Reading): DeclaredLab {
  const { mistakes, matrix, data } = reading;
  const hostNames = new Set(isDataMap(data.hosts) ? Object.keys(data.hosts) : []);
  const hosts = readHosts(data, mistakes);
  const segments = readSegments(data.segments ?? {}, hostNames, mistakes);
  const segmentNames = declaredSegments(data);
  const images = hostImages(hosts, matrix, mistakes.report);
  const hasEngine = (name: string): boolean => {
    const host = hosts.get(name);
    if (host === undefined || refusesEngine(host)) return false;
    const image = images.get(name);
    return image === undefined || imageEngine(image) !== null;
  };
  const roots = new Map([...hosts].flatMap(([name, host]) => rootOf(reading, name, host)));
  const files = new Map([...hosts].map(([name, host]) => [name, filesOf(reading, name, host)] as const));
  const partly = partlyKnown(segments, segmentNames, data.segments);
  const addressesKnown = (name: string): boolean => partly !== null && !partly.has(name);
  const lab = { hostNames, hosts, segments, segmentNames, addressesKnown, images, files, roots, hasEngine };
  checkNetworks(lab, mistakes);
  checkRecords(lab, mistakes.report);
  checkUplinks(lab, data.outside === true, mistakes);
  return lab;
}

function declaredSegments(data: DataMap): ReadonlySet<string> | null {
  const misspelt = Object.keys(data).some((key) => !topKeys.includes(key) && nearest(key, topKeys) === 'segments');
  if (data.segments === undefined) return misspelt ? null : new Set();
  return isDataMap(data.segments) ? new Set(Object.keys(data.segments)) : null;
}

function rootOf(reading: Reading, name: string, host: HostShape): [string, NonNullable<HostPlan['root']>][] {
  const foreign = foreignRoot(host);
  if (foreign === null) return [];
  const { kind, given } = foreign;
  const at = ['hosts', name, 'image', kind];
  const own = ownFileAt(reading, at, given, false, 'value');
  if (own === null) return [];
  if (kind === 'oci' && own.directory) {
    reading.mistakes.report(at, `${given} is a directory: an OCI image is one file, an archive`);
    return [];
  }
  const { file, line, column } = reading.source.diagnostic(at, '');
  return [[name, { kind, path: own.path, place: `${file}:${line}:${column}` }]];
}

/** What a host has from the start, with what is not there reported. */
function filesOf(reading: Reading, name: string, host: HostShape): HostFilePlan[] {
  return host.files.flatMap(({ from, ...rest }) => {
    const at = ['hosts', name, 'files', from];
    const own = ownFileAt(reading, at, from, rest.mode !== undefined, 'key');
    if (own === null) return [];
    const { file, line, column } = reading.source.diagnostic(at, '', 'key');
    return [{ from: own.path, ...rest, place: `${file}:${line}:${column}` }];
  });
}

function checkName(mistakes: Mistakes, name: string, path: Path): void {
  const named = checkShape(zName as z.ZodType<string>, name, path);
  if (!named.ok) named.problems.forEach((problem) => mistakes.report(problem.path, problem.message, 'key'));
}

function readHosts(data: DataMap, mistakes: Mistakes): Map<string, HostShape> {
  const hosts = new Map<string, HostShape>();
  const shapes = data.hosts;
  if (shapes === undefined) {
    const message = '"hosts" is missing: a map from the names of the hosts, such as `hosts: { node1: }`';
    missingTop(mistakes, data, 'hosts', message);
    return hosts;
  }
  if (!isDataMap(shapes)) {
    mistakes.report(['hosts'], `expected a map from the names of the hosts, got ${shown(shapes)}`);
    return hosts;
  }
  const names = Object.keys(shapes);
  if (names.length === 0) mistakes.report(['hosts'], 'a lab has at least one host');
  if (!withinLimit(mistakes.report, ['hosts'], 'hosts', names.length, limits.hosts)) return hosts;
  for (const [name, shape] of Object.entries(shapes)) {
    checkName(mistakes, name, ['hosts', name]);
    const parsed = mistakes.parse(zHost as z.ZodType<HostShape>, shape ?? {}, ['hosts', name]);
    if (!parsed.ok) continue;
    // Whether somebody's tree has a systemd is known once it is unpacked only.
    const light = foreignRoot(parsed.value) !== null && !(isDataMap(shape) && 'init' in shape);
    hosts.set(name, light ? { ...parsed.value, init: 'light' } : parsed.value);
  }
  return hosts;
}

function readSegments(shapes: Data, hostNames: ReadonlySet<string>, mistakes: Mistakes): Map<string, SegmentShape> {
  const segments = new Map<string, SegmentShape>();
  if (!isDataMap(shapes)) {
    mistakes.report(['segments'], `expected a map from the names of the segments, got ${shown(shapes)}`);
    return segments;
  }
  if (!withinLimit(mistakes.report, ['segments'], 'segments', Object.keys(shapes).length, limits.segments))
    return segments;
  for (const [name, shape] of Object.entries(shapes)) {
    const path = ['segments', name];
    checkName(mistakes, name, path);
    const parsed = mistakes.parse(zSegment as z.ZodType<SegmentShape>, shape, path);
    if (!parsed.ok) continue;
    mistakes.tell(segmentProblems(parsed.value, path, hostNames));
    segments.set(name, parsed.value);
  }
  mistakes.tell(overlapProblems(segments));
  return segments;
}

/** The segments that each host is on, with its address there. */
function networksOf(lab: DeclaredLab): Map<string, HostNetworks['segments']> {
  const networks = new Map<string, HostNetworks['segments']>([...lab.hosts.keys()].map((name) => [name, []]));
  for (const [segment, shape] of lab.segments) {
    for (const [host, addresses] of Object.entries(segmentAddresses(shape)))
      for (const text of shape.subnet) {
        const subnet = parseCidr(text)!;
        const address = addresses?.find((one) => familyOf(one) === subnet.family) ?? null;
        networks.get(host)?.push({ name: segment, subnet, address });
      }
  }
  return networks;
}

/** What lies where hosts with a way to the outside have the network to it: told before anything starts. */
function checkUplinks(lab: DeclaredLab, outside: boolean, mistakes: Mistakes): void {
  const own = parseCidr(uplink.subnet)!;
  const collides = (text: string): boolean => {
    const subnet = parseCidr(text);
    return subnet !== null && overlaps(own, subnet);
  };
  const complain = (path: Path, text: string, host: string): void =>
    mistakes.report(
      path,
      `${text} collides with ${uplink.subnet}, by which ${host} reaches the outside: take another subnet, or \`outside: false\``,
    );
  for (const [name, host] of lab.hosts) {
    if (!(host.outside ?? outside)) continue;
    for (const [segment, shape] of lab.segments)
      if (Object.hasOwn(segmentAddresses(shape), name))
        shape.subnet.filter(collides).forEach((text) => complain(['segments', segment, 'subnet'], text, name));
    for (const [network, shape] of Object.entries(host.docker?.networks ?? {}))
      shape.ipam.config.forEach(({ subnet }, index) => {
        if (subnet !== undefined && collides(subnet))
          complain(['hosts', name, 'docker', 'networks', network, 'ipam', 'config', index, 'subnet'], subnet, name);
      });
  }
}

/** Hosts that may be on a segment with mistakes of its own: with which address is not known. `null`: any host may be. */
function partlyKnown(
  segments: ReadonlyMap<string, SegmentShape>,
  segmentNames: ReadonlySet<string> | null,
  shapes: Data | undefined,
): ReadonlySet<string> | null {
  if (segmentNames === null) return null;
  const found = new Set<string>();
  for (const name of segmentNames) {
    if (segments.has(name)) continue;
    const shape = isDataMap(shapes) ? shapes[name] : undefined;
    const hosts = isDataMap(shape) ? shape.hosts : undefined;
    if (Array.isArray(hosts)) hosts.forEach((host) => found.add(String(host)));
    else if (isDataMap(hosts)) Object.keys(hosts).forEach((host) => found.add(host));
    else return null;
  }
  return found;
}

function checkNetworks(lab: DeclaredLab, mistakes: Mistakes): void {
  const segments = networksOf(lab);
  for (const [name, host] of lab.hosts) {
    const networks = { name, host, segments: segments.get(name)! };
    mistakes.tell(routeProblems({ ...networks, allKnown: lab.addressesKnown(name) }));
    mistakes.tell(dockerProblems(networks));
    if (host.docker !== undefined && !lab.hasEngine(name))
      mistakes.report(['hosts', name, 'docker'], `${name} has no engine${whyNoEngine(host)}`, 'key');
  }
}
