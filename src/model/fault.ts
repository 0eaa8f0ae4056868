import { formatDuration } from './duration.js';

/** Something that is broken in a lab on purpose, on the wire or at a host’s power, from outside the hosts. */
export type Fault =
  /** The links of hosts to a segment. `carrier`: they see that the link is down. `silence`: it looks up, and nothing passes. */
  | { kind: 'cut'; segment: string; hosts: readonly string[]; as: 'carrier' | 'silence' }
  /** Only hosts of the same group reach each other on the segment; those that are in no group make one more. */
  | { kind: 'partition'; segment: string; groups: readonly (readonly string[])[] }
  /** Of the frames from and to the hosts, each is lost with this probability. */
  | { kind: 'loss'; segment: string; hosts: readonly string[]; percent: number }
  /** Frames to the hosts come later: `delay` all by so much, `jitter` each by chance between nothing and that. */
  | { kind: 'delay' | 'jitter'; segment: string; hosts: readonly string[]; byMs: number }
  /** Of the frames to the hosts, each comes with a wrong bit, or twice, with this probability. */
  | { kind: 'corrupt' | 'duplicate'; segment: string; hosts: readonly string[]; percent: number }
  /** To each of the hosts no more comes than that. */
  | { kind: 'rate'; segment: string; hosts: readonly string[]; bitsPerSecond: number }
  /** All processes of the host end at once, and its links with them. */
  | { kind: 'poweroff'; host: string }
  /** All processes of the host stand still; its kernel goes on answering and forwarding. */
  | { kind: 'pause'; host: string }
  /** The processes of that command name end at once; nothing is left to heal. */
  | { kind: 'kill'; host: string; process: string }
  /** The host's clock goes wrong by so much. */
  | { kind: 'clock'; host: string; byMs: number };

export type HostFault = Extract<Fault, { host: string }>;
export type WireFault = Exclude<Fault, HostFault>;

export const isHostFault = (fault: Fault): fault is HostFault => 'host' in fault;

const listed = (hosts: readonly string[]): string => hosts.join(', ');

/** Stands for the hosts of a segment where they are not named one by one. */
export const allHosts = 'all hosts';

const rateUnits = { kbit: 1e3, mbit: 1e6, gbit: 1e9 } as const;

/** Parses `512kbit`, `1.5mbit`, `1gbit` (thousands, per second) to bits per second; `null` for anything else. */
export function parseRate(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(kbit|mbit|gbit)$/.exec(text);
  return match ? Math.round(Number(match[1]) * rateUnits[match[2] as keyof typeof rateUnits]) : null;
}

function rateText(bits: number): string {
  const unit = bits >= 1e9 ? 'gbit' : bits >= 1e6 ? 'mbit' : 'kbit';
  return `${bits / rateUnits[unit]} ${unit}/s`;
}

/** What is broken, as a clause: "r1 is cut off from core (no carrier)". */
export function faultText(fault: Fault): string {
  switch (fault.kind) {
    case 'cut': {
      const verb = fault.hosts.length === 1 && fault.hosts[0] !== allHosts ? 'is' : 'are';
      const how = fault.as === 'carrier' ? 'no carrier' : 'silence';
      return `${listed(fault.hosts)} ${verb} cut off from ${fault.segment} (${how})`;
    }
    case 'partition':
      return `${fault.segment} is partitioned (${[...fault.groups.map(listed), 'all others'].join(' | ')})`;
    case 'loss':
      return `${fault.segment} loses ${fault.percent} % of the frames from and to ${listed(fault.hosts)}`;
    case 'delay':
      return `frames of ${fault.segment} to ${listed(fault.hosts)} come ${formatDuration(fault.byMs)} later`;
    case 'jitter':
      return `frames of ${fault.segment} to ${listed(fault.hosts)} come up to ${formatDuration(fault.byMs)} later`;
    case 'corrupt':
      return `${fault.percent} % of the frames of ${fault.segment} to ${listed(fault.hosts)} are corrupted`;
    case 'duplicate':
      return `${fault.percent} % of the frames of ${fault.segment} to ${listed(fault.hosts)} come twice`;
    case 'rate':
      return `no more than ${rateText(fault.bitsPerSecond)} of ${fault.segment} comes to ${listed(fault.hosts)}`;
    case 'poweroff':
      return `${fault.host} is powered off`;
    case 'pause':
      return `${fault.host} is paused`;
    case 'kill':
      return `${fault.process} on ${fault.host} is killed`;
    case 'clock':
      return `the clock of ${fault.host} is ${formatDuration(Math.abs(fault.byMs))} ${fault.byMs < 0 ? 'behind' : 'ahead'}`;
  }
}
