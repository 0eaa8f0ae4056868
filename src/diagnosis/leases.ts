import type { Diagnosis } from '../model/verdict.js';
import type { ProbeContext } from '../places/context.js';
import type { Vantage } from '../places/vantage.js';
import { discoverDhcp } from '../probes/dhcp-discover.js';
import { stations, tracedDrop } from './explain-filter.js';
import { linkDown } from './explain-link.js';
import { stoppedProcess } from './explain-local.js';
import { finding } from './finding.js';
import type { Finding } from './finding.js';
import { buildCase, hopsOf } from './follow.js';
import type { Case, Step } from './follow.js';
import { observe } from './observe.js';
import { sameWire } from './wire.js';
import type { Listener, Space } from './world.js';

/** A question for an address (DHCPDISCOVER) that nobody made an offer to. */
export interface LeaseRequest {
  source: Vantage;
  /** The interface by which it asks. */
  device: string;
}

/** Ports of DHCP (RFC 2131, 4.1), and where its questions go: to everybody on the segment. */
const ports = { server: 67, client: 68 } as const;
const everybody = '255.255.255.255';

/** How long an offer is waited for while all hosts look, ms. */
const waitMs = 1000;

const listenerOf = ({ listeners }: Space, device: string | null): Listener | undefined =>
  listeners.find(
    ({ proto, port, dev }) =>
      proto === 'udp' && port === ports.server && (device === null || dev === null || dev === device),
  );

const labelsOf = (spaces: readonly Space[]): string => {
  const labels = spaces.map(({ label }) => label);
  return labels.length > 4 ? `${labels.slice(0, 4).join(', ')} and ${labels.length - 4} more` : labels.join(', ');
};

/** Nobody who got the question listens for it where it came. */
function nobodyAsked(c: Case, came: readonly Step[]): Finding {
  const bound = came.find(({ space }) => listenerOf(space, null));
  if (bound) {
    const { program, dev } = listenerOf(bound.space, null)!;
    return finding(
      bound.space,
      'listens-elsewhere',
      `${bound.space.label} got the question by ${bound.link.name}, and ${program || 'a process'} there listens on udp port ${ports.server} of interface ${dev!} only`,
      { mend: `let ${program || 'it'} of ${bound.space.label} serve ${bound.link.name}` },
    );
  }
  const heard = [...new Set(came.map(({ space }) => space))];
  const who = heard.length === 1 ? 'it does not listen' : 'none of them listens';
  const words = `the question came to ${labelsOf(heard)}, and ${who} on udp port ${ports.server}, where servers and relays of DHCP do`;
  const other = c.world.spaces.find((space) => !heard.includes(space) && listenerOf(space, null));
  if (c.world.unlooked.length > 0) return finding(null, null, words);
  return finding(heard[0]!, 'nobody-listens', other ? `${words}; ${other.label} does, and did not get it` : words, {
    mend: other
      ? `a relay on this segment that passes questions on to ${other.label}, or ${other.label} on this segment`
      : 'start the DHCP server, or a relay to it, on a host of this segment',
  });
}

/** A server on the segment whose interface is down. */
function serverDown(c: Case): Finding | null {
  const asked = c.forward[0]!;
  for (const space of c.world.spaces)
    for (const link of space.links)
      if (
        space !== c.source &&
        listenerOf(space, link.name) &&
        sameWire(c.world, c.plan, asked, { space, link }) === true
      ) {
        const down = linkDown({ space, link }, 'the question', c.world);
        if (down) return down;
      }
  return null;
}

function whyNoOffer(c: Case): Finding | null {
  const all = stations(c);
  const came = c.forward.filter(({ way, space }) => way === 'in' && space !== c.source);
  const servers = came.filter(({ space, link }) => listenerOf(space, link.name));
  const places = servers.map(({ space }) => space);
  const atServers = all.filter(({ trace }) => places.includes(trace.where) || trace.family === 'bridge');
  const dropped = tracedDrop('reply', all) ?? tracedDrop('forward', atServers);
  if (dropped) return { ...dropped, sentence: dropped.sentence.replace(/ drops it:/, ' drops the question:') };
  const last = c.reply.at(-1);
  if (last) return finding(last.space, null, `the offer was last seen at ${last.link.name} of ${last.space.label}`);
  const down = servers.length === 0 ? serverDown(c) : null;
  if (down) return down;
  if (came.length === 0)
    return finding(c.source, null, `the question left ${c.source.label}, and came to no other place of the lab`);
  for (const { space, packet } of servers) {
    const stopped = stoppedProcess(c, space, packet);
    if (stopped) return stopped;
  }
  const [first] = servers;
  if (!first) return nobodyAsked(c, came);
  const program = listenerOf(first.space, first.link.name)!.program || 'a process';
  return finding(
    first.space,
    null,
    `the question came to ${first.space.label}, where ${program} listens on udp port ${ports.server}, and no offer came of it`,
    {
      mend: `what ${program} of ${first.space.label} says of it: whether it has a pool for this segment, and an address left in it`,
    },
  );
}

/** What was seen of a question that nobody made an offer to. Pure. */
export function explainNoOffer(c: Case): Diagnosis | null {
  if (c.fate.fate === 'answered' || c.forward.length === 0) return null;
  const stop = whyNoOffer(c);
  if (!stop) return null;
  // To everybody is many ways: the one that matters is drawn.
  const mine = ({ space }: Step): boolean => space === c.source || space === stop.at;
  const way = hopsOf(c.forward.filter(mine), 'sent');
  return {
    sentence: stop.sentence,
    rootCause: stop.rootCause,
    way: way.map((hop) => (hop.place === stop.at?.label && stop.at !== c.source ? { ...hop, state: 'broken' } : hop)),
    back: hopsOf(c.reply, 'answered'),
    evidence: stop.evidence,
    mend: stop.mend,
    unlooked: c.world.unlooked,
  };
}

/** Asks once more while all hosts look; `null` where an offer comes now, or nothing certain can be said. */
export async function explainLease(context: ProbeContext, { source, device }: LeaseRequest): Promise<Diagnosis | null> {
  const target = { address: everybody, family: 4 as const, label: everybody, how: '', owner: null };
  const request = { source, target, proto: 'udp' as const, port: ports.server, fromPort: ports.client };
  const observation = await observe(
    context,
    { ...request, cause: 'no-answer', answeredBy: null, path: null },
    async () => {
      const answer = await discoverDhcp(context, source, device, waitMs);
      if ('unknown' in answer) return { fate: 'unknown', why: answer.unknown };
      return { fate: answer.offers.length > 0 ? 'answered' : 'silent' };
    },
  );
  const c = buildCase(observation, source, context.plan);
  return c ? explainNoOffer(c) : null;
}
