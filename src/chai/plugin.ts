import type { LabPlace } from '../api/lab.js';
import type { Outcome, ProbeCause } from '../model/verdict.js';

/** Anything with an endpoint in a lab: a host or a container. */
type Prober = Pick<LabPlace, 'endpoint' | 'lab'>;

/** Of every assertion that probes. */
export interface ProbeOptions {
  /** Tried again until it is so, for this many ms; default 0: tried once. */
  withinMs?: number;
}

/** `count` of echo requests, `size` of each in bytes of payload, and which address of the target is meant: the words of the check kind `ping`. */
export type PingOptions = ProbeOptions & { count?: number; size?: number; 'address-on'?: string };
/** `status` that the answer must have (default: any 2xx), and a text that its `body` must contain. */
export type HttpOptions = ProbeOptions & { status?: number; body?: string };

declare global {
  namespace Chai {
    interface Assertion {
      /** The subject pings the target (endpoint, address or name). With `.not`: it does not, shown with controls; name the cause by `failing`. */
      ping(target: string, options?: PingOptions): Promise<void>;
      /** TCP connects to the port of the target. */
      reachPort(target: string, port: number, options?: ProbeOptions): Promise<void>;
      /** The name resolves at the subject, to the addresses or endpoint given, if any. */
      resolve(name: string, addresses?: string[], options?: ProbeOptions): Promise<void>;
      /** The URL answers. */
      fetch(url: string, options?: HttpOptions): Promise<void>;
      /** The cause that a negated probe must fail with; without it, any failure of the network will do. */
      failing(cause: ProbeCause | ProbeCause[]): Assertion;
    }
  }
}

/** What a probe may come to, where `.not` names no cause. */
const anyNetworkFailure: ProbeCause[] = [
  'timeout',
  'refused',
  'reset',
  'no-route',
  'net-unreachable',
  'host-unreachable',
  'port-unreachable',
  'prohibited',
];
const anyNameFailure: ProbeCause[] = ['nxdomain', 'servfail', 'dns-refused', 'no-answer', 'unknown-host', 'timeout'];

function isProber(value: unknown): value is Prober {
  return typeof value === 'object' && value !== null && 'endpoint' in value && 'lab' in value;
}

/** The outcome of the first attempt that passes or cannot be made, or of the last one that began within this many ms. */
async function lastOutcome(attempt: () => Promise<Outcome>, withinMs: number): Promise<Outcome> {
  const deadline = performance.now() + withinMs;
  let outcome = await attempt();
  while (outcome.verdict !== 'pass' && outcome.verdict !== 'error' && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    outcome = await attempt();
  }
  return outcome;
}

/**
 * Chai assertions over a lab: `chai.use(netrigChai)`, then
 * `await expect(lab.host('node2').container('test1')).to.ping('test')`.
 *
 * They call the checks of scenario files. An outcome other than `pass` fails the assertion, with its cause and reason: also
 * `inconclusive`, and also under `.not`, which asks for a proven failure and not for the lack of a success.
 */
export function netrigChai(chai: Chai.ChaiStatic, util: Chai.ChaiUtils): void {
  const { Assertion } = chai;

  async function settle(
    assertion: object,
    attempt: () => Promise<Outcome>,
    withinMs: number | undefined,
  ): Promise<void> {
    const outcome = await lastOutcome(attempt, withinMs ?? 0);
    if (outcome.verdict === 'pass') return;
    const message = `${outcome.verdict}${outcome.cause ? ` (${outcome.cause})` : ''}: ${outcome.reason}`;
    throw new chai.AssertionError(
      message,
      { expected: outcome.expected, actual: outcome.actual, showDiff: false },
      util.flag(assertion, 'ssfi') as () => void,
    );
  }

  function proberOf(assertion: object): Prober {
    const subject: unknown = util.flag(assertion, 'object');
    if (!isProber(subject)) throw new TypeError('netrig/chai: the subject must be a host or a container of a Lab');
    return subject;
  }

  /** `{ fails: … }` for a negated assertion, nothing for a positive one. */
  function expectation(assertion: object, all: ProbeCause[]): { expect?: { fails: ProbeCause[] } } {
    if (!util.flag(assertion, 'negate')) return {};
    const named = util.flag(assertion, 'netrigCause') as ProbeCause | ProbeCause[] | undefined;
    return { expect: { fails: named === undefined ? all : Array.isArray(named) ? named : [named] } };
  }

  Assertion.addChainableMethod('failing', function failing(this: object, cause: ProbeCause | ProbeCause[]) {
    util.flag(this, 'netrigCause', cause);
  } as never);

  Assertion.addMethod('ping', function ping(this: object, target: string, options: PingOptions = {}) {
    const { endpoint, lab } = proberOf(this);
    const { withinMs, ...rest } = options;
    const spec = { from: endpoint, to: target, ...rest, ...expectation(this, anyNetworkFailure) };
    return settle(this, () => lab.check('ping', spec), withinMs);
  } as never);

  Assertion.addMethod('reachPort', function reachPort(
    this: object,
    target: string,
    port: number,
    options: ProbeOptions = {},
  ) {
    const { endpoint, lab } = proberOf(this);
    const spec = { from: endpoint, to: target, port, ...expectation(this, anyNetworkFailure) };
    return settle(this, () => lab.check('port', spec), options.withinMs);
  } as never);

  Assertion.addMethod('resolve', function resolve(
    this: object,
    name: string,
    addresses?: string[],
    options: ProbeOptions = {},
  ) {
    const { endpoint, lab } = proberOf(this);
    const negative = expectation(this, anyNameFailure);
    const spec = {
      from: endpoint,
      name,
      ...(addresses && !negative.expect ? { expect: { addresses } } : {}),
      ...negative,
    };
    return settle(this, () => lab.check('dns', spec), options.withinMs);
  } as never);

  Assertion.addMethod('fetch', function fetch(this: object, url: string, options: HttpOptions = {}) {
    const { endpoint, lab } = proberOf(this);
    const { withinMs, status, body } = options;
    const negative = expectation(this, anyNetworkFailure);
    const positive = {
      ...(status === undefined ? {} : { status }),
      ...(body === undefined ? {} : { body: { contains: body } }),
    };
    const spec = {
      from: endpoint,
      url,
      ...(negative.expect ? negative : Object.keys(positive).length > 0 ? { expect: positive } : {}),
    };
    return settle(this, () => lab.check('http', spec), withinMs);
  } as never);
}
