/** Something that is broken in a lab on purpose, on the wire or at a host’s power, from outside the hosts. */
export type Fault =
  /** The links of hosts to a segment. `carrier`: they see that the link is down. `silence`: it looks up, and nothing passes. */
  | { kind: 'cut'; segment: string; hosts: readonly string[]; as: 'carrier' | 'silence' }
  /** Only hosts of the same group reach each other on the segment; those that are in no group make one more. */
  | { kind: 'partition'; segment: string; groups: readonly (readonly string[])[] }
  /** Of the frames from and to the hosts, each is lost with this probability. */
  | { kind: 'loss'; segment: string; hosts: readonly string[]; percent: number }
  /** All processes of the host end at once, and its links with them. */
  | { kind: 'poweroff'; host: string };

export type WireFault = Exclude<Fault, { kind: 'poweroff' }>;

const listed = (hosts: readonly string[]): string => hosts.join(', ');

/** Stands for the hosts of a segment where they are not named one by one. */
export const allHosts = 'all hosts';

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
    case 'poweroff':
      return `${fault.host} is powered off`;
  }
}
