import { faultText, isHostFault, type Fault } from '../model/fault.js';
import type { Diagnosis, RootCause } from '../model/verdict.js';
import { keptApart } from '../places/kept-apart.js';
import type { LabPlan } from '../plan/lab-plan.js';
import { plannedOwner } from '../probes/target.js';
import { isVantage, parseEndpoint } from '../places/endpoint.js';
import { soTheWayIsFree } from './explain.js';

/** One fault in the sentence; of several their number, and a line each. */
export function brokenBySteps(
  what: 'the way' | 'something',
  faults: readonly string[],
): Pick<Diagnosis, 'sentence' | 'evidence'> {
  if (faults.length === 1) return { sentence: `a step broke ${what} on purpose: ${faults[0]!}`, evidence: [] };
  const several =
    what === 'the way' ? `the way on purpose, by ${faults.length} faults` : `${faults.length} things on purpose`;
  return { sentence: `steps broke ${several}`, evidence: faults.map((fault) => `${fault}.`) };
}

/** An end of a check, as it names it. */
interface NamedEnd {
  endpoint: string;
  role: 'vantage' | 'target';
}

/** Hosts at one side of a check; `null`: not all of them are known by name or address. */
function hostsOf(plan: LabPlan, ends: readonly NamedEnd[], role: NamedEnd['role']): string[] | null {
  const hosts = ends
    .filter((end) => end.role === role)
    .map(({ endpoint }) => {
      const parsed = parseEndpoint(endpoint, plan);
      if (isVantage(parsed)) return parsed.host;
      return parsed.kind === 'address' ? plannedOwner(plan, parsed.address) : null;
    });
  return hosts.length === 0 || hosts.includes(null) ? null : hosts.filter((host) => host !== null);
}

/** Segments, with the hosts there, over which a packet or its answer was seen to go. */
function seenOn(plan: LabPlan, found: Diagnosis | null): Set<string> {
  const hops = [...(found?.way ?? []), ...(found?.back ?? [])];
  return new Set(
    hops.flatMap(({ place, in: came, out }) => {
      const host = plan.hosts.find(({ name }) => name === place.split('/')[0]);
      const used = host?.interfaces.filter(({ name }) => name === came || name === out) ?? [];
      return used.flatMap(({ segment }) => [`${segment} ${host!.name}`, segment]);
    }),
  );
}

/** Whether a fault can have a part in what came to pass between two hosts. */
function hasPart(plan: LabPlan, fault: Fault, from: string, to: string, seen: ReadonlySet<string>): boolean {
  if (isHostFault(fault)) {
    if (fault.host === from || fault.host === to) return true;
    const forwards = (plan.hosts.find(({ name }) => name === fault.host)?.interfaces.length ?? 0) > 1;
    return fault.kind === 'poweroff' && forwards;
  }
  const { segment } = fault;
  if (fault.kind === 'partition') return seen.has(segment) || keptApart(plan, [fault], from, to) !== null;
  const cut: Fault = { kind: 'cut', segment, hosts: fault.hosts, as: 'silence' };
  const seenThere = fault.hosts.some(
    (host) => seen.has(`${segment} ${host}`) || (seen.has(segment) && (host === from || host === to)),
  );
  return seenThere || keptApart(plan, [cut], from, to) !== null;
}

/** What a probe finds out by what does not come: a fault that lets some frames pass makes it up as well. */
const bySilence: readonly (RootCause | null)[] = [null, 'link-loss', 'link-delay'];

/**
 * What was found out of a check that failed, with the faults that steps put in and that may have a part in it. Where the cause
 * is nothing that was seen to stop a packet, they are what is said first.
 *
 * @param said why the check failed, in its own words: a fault that they name is not named once more.
 */
export function withFaults(
  plan: LabPlan,
  faults: readonly Fault[],
  ends: readonly NamedEnd[],
  found: Diagnosis | null,
  said = '',
): Diagnosis | null {
  if (faults.length === 0 || ends.length === 0) return found;
  const [sources, targets] = [hostsOf(plan, ends, 'vantage'), hostsOf(plan, ends, 'target')];
  const seen = seenOn(plan, found);
  const near = faults.filter(
    (fault) =>
      sources === null ||
      targets === null ||
      sources.some((from) => targets.some((to) => hasPart(plan, fault, from, to, seen))),
  );
  const texts = near.map(faultText).filter((text) => !said.includes(text));
  if (texts.length === 0) return found;
  if (found !== null && !bySilence.includes(found.rootCause))
    return {
      ...found,
      evidence: [...found.evidence, ...texts.map((text) => `Besides, a step broke something on purpose: ${text}.`)],
    };
  const { sentence, evidence } = brokenBySteps('something', texts);
  const base = found ?? { rootCause: null, way: [], back: [], unlooked: [], evidence: [], mend: null, sentence: '' };
  const seenOnce = base.sentence.replace(soTheWayIsFree, '');
  return {
    ...base,
    sentence: seenOnce === '' ? sentence : `${sentence}; of one packet that was followed: ${seenOnce}`,
    evidence: [...evidence, ...base.evidence],
    mend: base.mend ?? 'a `heal:` step before the check, or an expectation that allows for the fault',
  };
}
