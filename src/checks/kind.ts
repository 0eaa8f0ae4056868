import type { z } from 'zod';
import type { Outcome } from '../model/verdict.js';
import type { ProbeContext } from '../places/context.js';

/** A reference inside a scenario that must name something: checked before anything starts. */
export interface EndpointUse {
  /** The endpoint's text: `node1`, `node2/test1`, `node1/netns:blue`, or for targets also an address or a name. */
  endpoint: string;
  /** Where it stands below the kind's key: `['from']`, `['to', 0]`. */
  path: (string | number)[];
  /** A vantage must be a host, a container or a namespace; a target may also be an address or a name to resolve. */
  role: 'vantage' | 'target';
}

/**
 * One kind of check: one file, one line in `checks/registry.ts`.
 *
 * `run` is one attempt. It never throws for what the network does; it returns `inconclusive` when the probe could not know
 * (dead source, missing tool, output it does not recognise, failed control) and lets NETRIG_SSH_* errors pass through.
 */
export interface CheckKind<Spec = unknown> {
  readonly name: string;
  /** What it proves, one sentence, for the reference page. */
  readonly summary: string;
  /** A short YAML example for the reference page: the body of one list item of `steps:`. */
  readonly example: string;
  readonly schema: z.ZodType<Spec>;
  endpoints(spec: Spec): EndpointUse[];
  /** One line for reports: "node2/test1 pings test". */
  describe(spec: Spec): string;
  /** Default time for one attempt, ms. */
  readonly timeoutMs?: number;
  run(spec: Spec, context: ProbeContext): Promise<Outcome>;
}

export function defineCheck<Spec>(kind: CheckKind<Spec>): CheckKind<Spec> {
  return kind;
}
