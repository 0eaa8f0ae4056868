import type { Diagnosis, Hop } from '../model/verdict.js';

function hopWords({ place, did }: Hop): string {
  return did === 'sent' || did === 'answered' || did === 'got it' || did === 'not reached'
    ? place
    : `${place} (${did})`;
}

/**
 * A packet's way as one line: `client ─eth0→ r1 (routed) ─eth1→ server ─╳`. `''` where no way is known. Where it is the answer
 * that is lost, its way is told.
 */
export function wayLine(diagnosis: Pick<Diagnosis, 'way' | 'back'>): string {
  const lost = diagnosis.back.some(({ state }) => state === 'broken');
  const hops = lost ? diagnosis.back : diagnosis.way;
  if (hops.length === 0) return '';
  const parts = hops.map((hop, at) => {
    const words = hopWords(hop);
    if (hop.state === 'broken') return hop.did === 'not reached' ? `╳ ${words}` : `${words} ─╳`;
    const next = hops[at + 1];
    return next === undefined ? words : `${words} ─${hop.out ?? ''}→`;
  });
  return `${lost ? 'answer: ' : ''}${parts.join(' ')}`;
}

/** What of a drawing of the lab belongs to a packet's way. */
export interface WayMarks {
  /** By host: it passed there, or was stopped there. */
  hosts: ReadonlyMap<string, 'passed' | 'broken'>;
  /** Interfaces, as `HOST INTERFACE`. */
  interfaces: ReadonlySet<string>;
}

/** `null` where the way does not leave one host: there is nothing to draw. */
export function wayMarks(diagnosis: Pick<Diagnosis, 'way' | 'back'>): WayMarks | null {
  const hosts = new Map<string, 'passed' | 'broken'>();
  const interfaces = new Set<string>();
  for (const { place, in: came, out, state } of [...diagnosis.way, ...diagnosis.back]) {
    const host = place.split('/')[0]!;
    if (state === 'broken' || !hosts.has(host)) hosts.set(host, state === 'broken' ? 'broken' : 'passed');
    for (const name of [came, out]) if (name !== null && place === host) interfaces.add(`${host} ${name}`);
  }
  return hosts.size > 1 ? { hosts, interfaces } : null;
}
