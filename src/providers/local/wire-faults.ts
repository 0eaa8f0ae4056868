import { NetrigError } from '../../errors.js';
import type { WireFault } from '../../model/fault.js';
import type { HostPlan, LabPlan, SegmentPlan } from '../../plan/lab-plan.js';
import { queueLines } from '../shared/queue-lines.js';
import { bridgeLine, bridgeName, portName } from './segments.js';

/**
 * Faults on the wire, as the state that they make of a lab's bridges and ports: whatever comes and goes, the state follows from the
 * faults that are in, so taking one out leaves exactly what the others make.
 */

/** One host's end of a segment, on the side of the segment. */
interface PortState {
  up: boolean;
  /** The bridge that it is a port of; `null`: of none, so that nothing passes although the link is up. */
  master: string | null;
}

export interface WireState {
  /** Ports that are not as they are without faults, by name, with the host whose they are. */
  ports: ReadonlyMap<string, PortState & { host: string }>;
  /** Bridges beyond those of the segments, by name. */
  bridges: ReadonlyMap<string, SegmentPlan>;
  /** Rules of the table that loses frames. */
  rules: readonly string[];
  /** Ports that send to their host in another way: by name, the lines for `tc -batch` that make it so. */
  queues: ReadonlyMap<string, { host: string; lines: readonly string[] }>;
}

export const noFaults: WireState = { ports: new Map(), bridges: new Map(), rules: [], queues: new Map() };

/** The table in which frames are lost, in the namespace of the segments. */
const table = 'netrig_faults';
/** Frames are lost by ten-thousandths, so that 0.01 % can be had. */
const lossSteps = 10_000;

interface Port {
  name: string;
  host: string;
  segment: SegmentPlan;
  bridge: string;
}

function portsOf(plan: LabPlan): Port[] {
  return plan.hosts.flatMap((host: HostPlan, hostIndex) =>
    host.interfaces.flatMap((nic) => {
      const index = plan.segments.findIndex((segment) => segment.name === nic.segment);
      const segment = plan.segments[index];
      if (!segment) return [];
      const bridge = bridgeName(index, segment.name);
      return [{ name: portName(hostIndex, host.name, nic.name), host: host.name, segment, bridge }];
    }),
  );
}

/** The group of a host among those of a partition; the hosts that no group names are one more. */
function groupOf(host: string, groups: readonly (readonly string[])[]): number {
  const index = groups.findIndex((group) => group.includes(host));
  return index < 0 ? groups.length : index;
}

/** A bridge for each part of a segment beyond the first, which keeps the segment's own. */
function partBridges(ports: readonly Port[], segments: readonly SegmentPlan[], faults: readonly WireFault[]) {
  const byPart = new Map<string, string>();
  const bridges = new Map<string, SegmentPlan>();
  const masters = new Map<string, string>();
  segments.forEach((segment, index) => {
    const partitions = faults.flatMap((fault) =>
      fault.kind === 'partition' && fault.segment === segment.name ? [fault.groups] : [],
    );
    if (partitions.length === 0) return;
    let parts = 0;
    for (const port of ports) {
      if (port.segment !== segment) continue;
      const part = `${segment.name} ${partitions.map((groups) => groupOf(port.host, groups)).join('.')}`;
      let bridge = byPart.get(part);
      if (bridge === undefined) {
        bridge = parts === 0 ? port.bridge : `part+${index}.${parts}`;
        if (parts > 0) bridges.set(bridge, segment);
        parts += 1;
        byPart.set(part, bridge);
      }
      masters.set(port.name, bridge);
    }
  });
  return { bridges, masters };
}

const quoted = (names: readonly string[]): string => `{ ${names.map((name) => `"${name}"`).join(', ')} }`;

/** Each frame from or to one of the ports is lost with that probability, once. */
function lossRules(ports: readonly string[], percent: number): string[] {
  const lost = Math.round((percent / 100) * lossSteps);
  const drop = lost >= lossSteps ? 'drop' : `numgen random mod ${lossSteps} < ${lost} drop`;
  return [`iifname ${quoted(ports)} ${drop}`, `iifname != ${quoted(ports)} oifname ${quoted(ports)} ${drop}`];
}

/** The lines for `tc -batch` that lead from the queues of one state to those of another. */
export function queueChanges(from: WireState, to: WireState, isThere: (host: string) => boolean): string[] {
  const same = (port: string): boolean =>
    from.queues.get(port)?.lines.join('\n') === to.queues.get(port)?.lines.join('\n');
  const changed = [...new Set([...from.queues.keys(), ...to.queues.keys()])].filter((port) => !same(port));
  return changed.flatMap((port) => {
    const [before, after] = [from.queues.get(port), to.queues.get(port)];
    if (!isThere((before ?? after)!.host)) return [];
    return [...(before ? [`qdisc delete dev ${port} root`] : []), ...(after?.lines ?? [])];
  });
}

function queuesOf(ports: readonly Port[], faults: readonly WireFault[]): WireState['queues'] {
  const queues = new Map<string, { host: string; lines: readonly string[] }>();
  for (const { name, host, segment } of ports) {
    const lines = queueLines(
      name,
      faults.filter(
        (fault) => fault.kind !== 'partition' && fault.segment === segment.name && fault.hosts.includes(host),
      ),
    );
    if (lines.length > 0) queues.set(name, { host, lines });
  }
  return queues;
}

/** What faults make of the ports and bridges of a lab. */
export function wireState(plan: LabPlan, faults: readonly WireFault[]): WireState {
  const all = portsOf(plan);
  const at = (fault: { segment: string; hosts: readonly string[] }): Port[] =>
    all.filter((port) => port.segment.name === fault.segment && fault.hosts.includes(port.host));
  const { bridges, masters } = partBridges(all, plan.segments, faults);
  const down = new Set<string>();
  const silent = new Set<string>();
  const rules: string[] = [];
  for (const fault of faults) {
    if (fault.kind === 'partition') continue;
    const names = at(fault).map((port) => port.name);
    if (fault.kind === 'cut') for (const name of names) (fault.as === 'carrier' ? down : silent).add(name);
    if (fault.kind === 'loss') rules.push(...lossRules(names, fault.percent));
  }
  const ports = new Map<string, PortState & { host: string }>();
  for (const { name, host, bridge } of all) {
    const master = silent.has(name) ? null : (masters.get(name) ?? bridge);
    const up = !down.has(name);
    if (!up || master !== bridge) ports.set(name, { up, master, host });
  }
  return { ports, bridges, rules, queues: queuesOf(all, faults) };
}

/**
 * The lines for `ip -batch` that lead from one state to another. `isThere`: a host that is off has no ports.
 */
export function wireFaultLines(
  plan: LabPlan,
  from: WireState,
  to: WireState,
  isThere: (host: string) => boolean,
): string[] {
  const usual = new Map(portsOf(plan).map(({ name, host, bridge }) => [name, { up: true, master: bridge, host }]));
  const changed = [...new Set([...from.ports.keys(), ...to.ports.keys()])];
  return [
    ...[...to.bridges].filter(([name]) => !from.bridges.has(name)).map(([name, segment]) => bridgeLine(name, segment)),
    ...changed.flatMap((name) => {
      const port = to.ports.get(name) ?? usual.get(name);
      if (!port) throw new NetrigError('NETRIG_INTERNAL', `The lab has no port ${name}.`);
      if (!isThere(port.host)) return [];
      const master = port.master === null ? 'nomaster' : `master ${port.master}`;
      return [`link set dev ${name} ${master} ${port.up ? 'up' : 'down'}`];
    }),
    ...[...from.bridges.keys()].filter((name) => !to.bridges.has(name)).map((name) => `link delete dev ${name}`),
  ];
}

/** The lines that take all of a host’s links away. */
export function goneLines(plan: LabPlan, host: string): string[] {
  return portsOf(plan).flatMap((port) => (port.host === host ? [`link delete dev ${port.name}`] : []));
}

/** The text for `nft -f` that replaces the rules of a state, in one transaction. */
export function lossTable({ rules }: WireState): string {
  // A table must be there to be deleted; `add` does nothing to one that is.
  const clean = `add table bridge ${table}\ndelete table bridge ${table}\n`;
  if (rules.length === 0) return clean;
  const lines = rules.map((rule) => `    ${rule}\n`).join('');
  return `${clean}table bridge ${table} {\n  chain forward {\n    type filter hook forward priority 0; policy accept;\n${lines}  }\n}\n`;
}
