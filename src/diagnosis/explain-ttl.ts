import type { Case, Step } from './follow.js';
import { finding } from './finding.js';
import type { Finding } from './finding.js';

/** Routers that a packet came to again and again, with a TTL that fell. */
export function circling(c: Case): Finding | null {
  for (const [steps, name] of [
    [c.again.forward, 'it'],
    [c.again.reply, 'the answer'],
  ] as const) {
    const visits = new Map<string, { label: string; ttls: Set<number> }>();
    for (const { space, link, way, packet } of steps) {
      if (way !== 'in' || packet.around.length > 0) continue;
      const key = `${space.host} ${space.inode} ${link.index}`;
      const visit = visits.get(key) ?? { label: space.label, ttls: new Set<number>() };
      visits.set(key, { ...visit, ttls: visit.ttls.add(packet.ttl) });
    }
    const round = [
      ...new Set([...visits.values()].filter(({ ttls }) => ttls.size > 2).map(({ label }) => label)),
    ].sort();
    if (round.length < 2) continue;
    const last = steps.findLast(({ space }) => round.includes(space.label))!;
    const to = last.packet.dst;
    return finding(
      last.space,
      'routing-loop',
      `${round.slice(0, -1).join(', ')} and ${round.at(-1)!} send ${name} to each other until its TTL is used up`,
      {
        evidence: [`It came to each of them more than twice.`],
        mend: `a route to ${to} on the one of ${round.join(', ')} that is nearer to it: ip route get ${to}`,
      },
    );
  }
  return null;
}

/** The packet came to a router with a TTL that is used up there (RFC 1812, 5.3.1). */
export function usedUp(c: Case, step: Step, name: string): Finding | null {
  const { space, link, packet } = step;
  const steps = name === 'it' ? c.forward : c.reply;
  const sent = steps[0]?.packet.ttl ?? packet.ttl;
  const word = c.errors.some(
    ({ packet: { type, src }, space: at }) => at === space && src !== '' && (type === 11 || type === 3),
  );
  if (packet.ttl > 1 && !(word && timeExceeded(c, space.label))) return null;
  const six = packet.dst.includes(':');
  const knob = six ? `net.ipv6.conf.IF.hop_limit` : 'net.ipv4.ip_default_ttl';
  const [who, ttl] = [steps[0]?.space.label ?? '?', packet.ttl > 1 ? 'set to 1 there' : `${packet.ttl} as it comes in`];
  return finding(
    space,
    'ttl-too-small',
    packet.ttl > 1
      ? `${space.label} got ${name} on ${link.name} and may not pass it on: a rule there sets its TTL to no more than 1`
      : `${space.label} got ${name} on ${link.name} and may not pass it on: its TTL is ${packet.ttl} (${who} sent it with ${sent})`,
    {
      evidence: [`The TTL is ${ttl}; a router passes on what has more than 1.`],
      mend:
        packet.ttl > 1
          ? `take the rule that sets the TTL away on ${space.label}: iptables -t mangle -S`
          : `sysctl -w ${knob}=64 on ${who}`,
    },
  );
}

/** Whether a place said that a packet’s time was exceeded (ICMP type 11; ICMPv6 type 3). */
function timeExceeded(c: Case, label: string): boolean {
  const first = c.errors[0];
  if (!first || first.space.label !== label || first.way !== 'out') return false;
  const { type, src } = first.packet;
  return type === (src.includes(':') ? 3 : 11);
}
