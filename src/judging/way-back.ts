import type { Diagnosis, RootCause } from '../model/verdict.js';
import { neighbourSilent, pathParts, readPath } from '../facts/path.js';
import type { PathEvidence } from '../facts/path.js';
import type { ProbeContext } from '../places/context.js';
import { runScript } from '../places/script.js';
import type { PartResult, ScriptPart } from '../places/script.js';
import { beside, inside } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';
import { quoteArgv } from '../ssh/quote.js';

/**
 * What keeps any packet from going that way, and is no rule that somebody made against this one: where the following of a probe
 * ends at it, the probe could not have succeeded.
 */
const brokenWays: readonly RootCause[] = [
  'no-route',
  'wrong-route',
  'route-refuses',
  'routing-loop',
  'neighbour-silent',
  'neighbour-wrong',
  'address-missing',
  'address-twice',
  'mac-twice',
  'link-down',
  'no-carrier',
  'not-a-bridge-port',
  'port-not-forwarding',
  'vlan-mismatch',
  'tunnel-mismatch',
  'forwarding-off',
  'nat-missing',
  'nat-wrong',
  'no-way-back',
];

/** Why a probe that was followed could not have succeeded, whatever filter stands in its way; `null` where that is not shown. */
export function brokenWay(found: Diagnosis | null): string | null {
  const cause = found?.rootCause ?? null;
  return cause !== null && brokenWays.includes(cause) ? found!.sentence : null;
}

function ask(
  context: ProbeContext,
  owner: Vantage,
  parts: readonly ScriptPart[],
): Promise<ReadonlyMap<string, PartResult>> {
  const place = beside(owner);
  return runScript(place.host, [...parts], {
    timeoutMs: context.timeLeftMs(),
    signal: context.signal,
    wrap: (shell) => inside(place, shell),
  }).then((said) => said.parts);
}

/** The kernel's words for routes that refuse: RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT, and no route at all (rtnetlink(7)). */
const refusals: Record<string, string> = {
  'Invalid argument': 'has a blackhole route there',
  'No route to host': 'has an unreachable route there',
  'Permission denied': 'has a route there that prohibits it',
  'Network is unreachable': 'has no route there',
};

function refusedBy(path: PathEvidence | null): string | null {
  return path?.route && 'refused' in path.route ? (refusals[path.route.refused] ?? null) : null;
}

/**
 * Why no answer of the owner of `address` can get as far as its next hop on the way back to `to`, by its own kernel's word, as a
 * clause; `null` where nothing shows that. Sends one echo request to the next hop. Rejects only with NETRIG_SSH_*.
 */
export async function noWayBack(
  context: ProbeContext,
  owner: Vantage,
  address: string,
  to: string,
): Promise<string | null> {
  const family = to.includes(':') ? '-6' : '-4';
  const [plain, ...around] = pathParts(to);
  const own: ScriptPart = {
    name: 'route',
    shell: quoteArgv(['ip', '-j', family, 'route', 'get', to, 'from', address]),
  };
  const said = await ask(context, owner, [
    own,
    { ...plain!, name: 'any' },
    { name: 'vrf', shell: quoteArgv(['ip', '-j', 'link', 'show', 'type', 'vrf']), errors: 'apart' },
    ...around,
  ]);
  // What belongs to a VRF is looked up in its own table, which this question does not choose.
  if (said.get('vrf')?.output.includes('"ifname"')) return null;
  const path = readPath(said, to);
  const why = refusedBy(path);
  const answer = `${owner.label} can send no answer to ${to}`;
  if (why !== null) {
    // "Invalid argument" is also said of a source address that is not its own: then nothing is known.
    const any = said.get('any');
    const both = readPath(new Map(any ? [['route', any]] : []), to);
    return why === refusals['Invalid argument'] && refusedBy(both) === null ? null : `${answer}: it ${why}`;
  }
  if (!path?.route || 'refused' in path.route || path.route.local || path.nextHop === null) return null;
  if (path.link && !(path.link.up && path.link.carrier))
    return `${answer}: its link ${path.link.name} ${path.link.up ? 'has no carrier' : 'is down'}`;
  // Asked once more: an entry that failed long ago says little.
  const again = await ask(context, owner, [
    { name: 'ping', shell: quoteArgv(['ping', '-n', '-c', '1', '-W', '0.7', path.nextHop]), errors: 'apart' },
    own,
    ...around,
  ]);
  if (!neighbourSilent(readPath(again, to))) return null;
  const asked = family === '-6' ? 'neighbour solicitation' : 'ARP request';
  return `${answer}: ${path.route.gateway === null ? '' : 'the gateway '}${path.nextHop} on ${path.route.dev} answers no ${asked}`;
}
