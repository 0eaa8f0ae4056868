import type { Row } from './lab.js';

/** What a namespace counted, by `Ip.InReceives`; the rest is 0. */
export type Counted = Record<string, number>;

const groups: Record<string, string[]> = {
  Ip: ['Forwarding', 'InReceives', 'InDelivers'],
  Icmp: ['InMsgs', 'InEchos'],
  Tcp: ['RtoAlgorithm', 'PassiveOpens', 'InSegs'],
  Udp: ['InDatagrams', 'NoPorts', 'InErrors'],
};
const six: Record<string, string[]> = {
  Ip6: ['InReceives', 'InDelivers', 'InDiscards'],
  Icmp6: ['InMsgs', 'InEchos'],
  Udp6: ['InDatagrams', 'NoPorts', 'InErrors'],
};

/** /proc/net/snmp and /proc/net/snmp6 of it, one after the other. */
export function receivedText(counted: Counted): string {
  const of = (group: string, name: string): number => counted[`${group}.${name}`] ?? 0;
  const four = Object.entries(groups).flatMap(([group, names]) => [
    `${group}: ${names.join(' ')}`,
    `${group}: ${names.map((name) => of(group, name)).join(' ')}`,
  ]);
  const lines = Object.entries(six).flatMap(([group, names]) =>
    names.map((name) => `${`${group}${name}`.padEnd(32)}\t${of(group, name)}`),
  );
  return `${[...four, ...lines].join('\n')}\n`;
}

/** A place whose counters grow by `noise` between two readings. */
export function receives(at: string, noise: Counted): Row {
  let read = 0;
  return {
    at,
    tool: 'cat',
    about: '/proc/net/snmp',
    says: () => {
      read += 1;
      return receivedText(Object.fromEntries(Object.entries(noise).map(([name, by]) => [name, 100 + read * by])));
    },
  };
}
