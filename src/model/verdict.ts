/** What netrig can say about one step or check. `error` means netrig or the lab broke, never that the network did. */
export const verdicts = ['pass', 'fail', 'inconclusive', 'error', 'skipped'] as const;
/** One of `verdicts`. */
export type Verdict = (typeof verdicts)[number];

/**
 * Why a probe did not do what it was asked to: a closed set, so that an expectation can name the failure it wants.
 *
 * The network causes follow what the sender sees: `no-route` is the sender's own kernel (ENETUNREACH before anything was
 * sent), `net-unreachable` and `host-unreachable` an ICMP answer (RFC 792 codes 0 and 1; an unanswered ARP request shows as
 * `host-unreachable` too), `prohibited` ICMP codes 9, 10 and 13.
 */
export const causes = [
  'timeout',
  'refused',
  'reset',
  'no-route',
  'net-unreachable',
  'host-unreachable',
  'port-unreachable',
  'prohibited',
  'too-big',
  'unknown-host',
  'nxdomain',
  'servfail',
  'dns-refused',
  'no-answer',
  'wrong-answer',
  'tls',
  'http-status',
  'wrong-value',
  'absent',
  'present',
  'exit-status',
] as const;
/** One of `causes`. */
export type Cause = (typeof causes)[number];

/** Causes that a connectivity probe (ping, port, http, dns) can meet and that `expect: { fails: … }` may name. */
export const probeCauses = [
  'timeout',
  'refused',
  'reset',
  'no-route',
  'net-unreachable',
  'host-unreachable',
  'port-unreachable',
  'prohibited',
  'too-big',
  'unknown-host',
  'nxdomain',
  'servfail',
  'dns-refused',
  'no-answer',
  'tls',
] as const satisfies readonly Cause[];
/** A cause that a connectivity probe can meet, and that `expect: { fails: … }` may name. */
export type ProbeCause = (typeof probeCauses)[number];

/** What a probe met, for the page of reference. */
export const probeCauseMeanings: Readonly<Record<ProbeCause, string>> = {
  timeout: 'No answer came in time.',
  refused: 'The answer is that nobody listens there: a TCP RST on connecting, or ICMP “port unreachable”.',
  reset: 'A connection that stood was ended by a TCP RST.',
  'no-route': 'The sender’s own kernel has no route, or a `blackhole` one: nothing was sent.',
  'net-unreachable': 'A router has no route, or the packet’s TTL was used up (ICMP).',
  'host-unreachable':
    'Nobody on the last segment, or none that is the next hop, answers for the address (ICMP, or the sender’s own ARP or neighbour discovery).',
  'port-unreachable': 'ICMP “port unreachable” on a `ping`.',
  prohibited: 'ICMP “administratively prohibited”, or the sender’s own kernel does not let it out.',
  'too-big': 'The packet is larger than the MTU on the way, and must not be cut up.',
  'unknown-host':
    'A name did not resolve, whatever the way: `fails: unknown-host` takes `nxdomain`, `servfail`, `dns-refused` and `no-answer`, too.',
  nxdomain: 'The name server says that there is no such name.',
  servfail: 'The name server says that it failed (SERVFAIL).',
  'dns-refused': 'The name server does not answer this sender (REFUSED).',
  'no-answer':
    'There is an answer without what was asked for: a name without such a record, a connection that ends without a word.',
  tls: 'The connection stands, and TLS over it does not.',
};

/** A probe that shows another probe could have succeeded. */
export interface Control {
  /** What was tried, as a sentence: "node2/outsider pings its own address". */
  title: string;
  /** Whether it came out as it must; where one did not, a failure of the probe proves nothing. */
  held: boolean;
  /** What was seen. */
  seen: string;
}

/** A number worth keeping over time. */
export interface Measure {
  /** What was measured: `rtt`, `loss`. Within one check it stands for one thing. */
  name: string;
  /** In `unit`. */
  value: number;
  /** `percent`: 0 to 100. */
  unit: 'ms' | 'bytes' | 'count' | 'percent';
  /** The check is about this figure: people are told it beside a `pass`, too. */
  judged?: true;
}

/**
 * What can stop a packet in a lab: a closed set. What each looks like, how it is known and how to mend it stands in
 * `diagnosis/root-causes.ts`, from which `docs/causes.md` is made.
 */
export const rootCauses = [
  'no-route',
  'wrong-route',
  'route-refuses',
  'policy-rule',
  'routing-loop',
  'ttl-too-small',
  'neighbour-silent',
  'neighbour-wrong',
  'address-missing',
  'address-twice',
  'mac-twice',
  'link-down',
  'no-carrier',
  'link-loss',
  'link-delay',
  'not-a-bridge-port',
  'port-not-forwarding',
  'vlan-mismatch',
  'tunnel-mismatch',
  'mtu',
  'forwarding-off',
  'rp-filter',
  'filtered',
  'nat-missing',
  'nat-wrong',
  'conntrack-stale',
  'nobody-listens',
  'listens-elsewhere',
  'container-not-running',
  'queue-full',
  'process-stopped',
  'no-way-back',
  'asymmetric-way-back',
  'resolver-unreachable',
  'resolver-wrong',
  'name-not-here',
  'answer-from-another',
  'sysctl-refuses',
] as const;
export type RootCause = (typeof rootCauses)[number];

/** One place that a packet passes, or does not pass. */
export interface Hop {
  /** A host, container or namespace as scenarios write it. */
  place: string;
  /** Interface by which it came; `null` at the source. */
  in: string | null;
  /** Interface by which it left; `null` where it did not leave. */
  out: string | null;
  /** What was done with it there: `sent`, `routed`, `bridged`, `delivered`, `DNAT 172.17.0.2:80`, … */
  did: string;
  /** `seen`: it was observed here. `broken`: here it was stopped. `unseen`: the way leads here, but it was not seen. */
  state: 'seen' | 'broken' | 'unseen';
}

/** Why a packet did not get where it should (or got where it should not), as far as evidence carries. */
export interface Diagnosis {
  /** A clause, complete in itself: "server drops it: rule 1 of chain DOCKER-USER, …". */
  sentence: string;
  /** `null`: the last place is known, the reason is not. */
  rootCause: RootCause | null;
  /** The way there, in order; empty where it is not known. */
  way: Hop[];
  /** The way of the answer. */
  back: Hop[];
  /** The rule that stopped it, in the words of its tool; left out where a policy, or something else, did. */
  rule?: string;
  /** What was seen that shows it, a sentence each. */
  evidence: string[];
  /** How to mend it; `null` where nothing certain can be said. */
  mend: string | null;
  /** What could not be looked at, and why. */
  unlooked: string[];
}

/** Some lines of what a program wrote. */
export interface ProgramOutput {
  /** `standard error`, `node1: log of "consul agent"`. */
  title: string;
  /** Several lines, without escape sequences taken away: reports make them harmless. */
  text: string;
}

/** A file that belongs to an outcome (a capture, a log). */
export interface Attachment {
  /** For readers of the reports. */
  title: string;
  /** Relative to the run's directory. */
  file: string;
  /** Media type: `text/plain`. */
  mime: string;
}

/** A command to type again. */
export interface Rerun {
  /** Host, container or namespace as scenarios write it. */
  on: string;
  /** For a shell of that place. */
  command: string;
}

/** What one step or one attempt at a check came to. */
export interface Outcome {
  /** What it came to. */
  verdict: Verdict;
  /** Present on every `fail`; on a `pass` when a failure was what the check expected. */
  cause?: Cause;
  /** One sentence, complete in itself: what was seen. */
  reason: string;
  /** What had to be true, for a reader who compares. */
  expected?: string;
  /** What was true. */
  actual?: string;
  /** The probe as a person would type it: `{ on: 'client', command: 'ping -c 2 10.2.0.20' }`. Without controls and diagnosis. */
  again?: Rerun;
  /** What was tried besides, to know that the probe could have come out otherwise. */
  controls?: Control[];
  /** Round-trip times, rates, counts: what is worth comparing with earlier runs. */
  measures?: Measure[];
  /** Captures, logs. */
  attachments?: Attachment[];
  /** Why the network did what it did, where somebody looked. */
  diagnosis?: Diagnosis;
  /** What programs wrote that says more than `reason`: lines, shown as they are. */
  output?: ProgramOutput[];
  /** A table for reports, for checks that see many things at once (the grid of `reach`). The first row is the heading. */
  table?: string[][];
}

/** Process exit statuses of the `netrig` command. */
export const exitStatus = { passed: 0, failed: 1, usage: 2, lab: 3, interrupted: 130 } as const;
