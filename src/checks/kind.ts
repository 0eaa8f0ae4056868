import type { z } from 'zod';
import type { NamedPart } from '../language/fault.js';
import type { Outcome } from '../model/verdict.js';
import type { ProbeContext } from '../places/context.js';
import { inconclusive } from '../judging/outcome.js';
import { AbsenceUndecided } from '../judging/json-path.js';
import { patternBudgetMs, PatternUndecided, withPatternBudget } from '../judging/pattern.js';

/** A reference inside a scenario that must name something: checked before anything starts. */
export interface EndpointUse {
  /** The endpoint's text: `node1`, `node2/test1`, `node1/netns:blue`, or for targets also an address or a name. */
  endpoint: string;
  /** Where it stands below the kind's key: `['from']`, `['to', 0]`. */
  path: (string | number)[];
  /** A vantage must be a host, a container or a namespace; a target may also be an address or a name to resolve. */
  role: 'vantage' | 'target';
}

/** Why a check could not fail, whatever the lab does. */
export interface CannotFail {
  /** Below the kind's key: `['expect', 'packets', 'at-least']`. */
  path: (string | number)[];
  /** One sentence without its full stop: what is always true, and what to ask for instead. */
  why: string;
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
  /** Hosts and segments that the spec names otherwise than as endpoints, with paths below the kind's key: they must be there. */
  parts?(spec: Spec): NamedPart[];
  /** One line for reports: "node2/test1 pings test". */
  describe(spec: Spec): string;
  /** Default time for one attempt, ms. */
  readonly timeoutMs?: number;
  /**
   * What running it may change in the lab, as a sentence without its full stop ("a command may change something");
   * `null`: it only looks. What may change something is left out with `--check-only`.
   */
  mayChange(spec: Spec): string | null;
  /**
   * Whether running it again leaves the lab as running it once does, so that it may be tried again after its connection
   * broke. Without this function: what only looks is repeatable, all else is not.
   */
  repeatable?(spec: Spec): boolean;
  /**
   * Why nothing that a lab does could make a check of this spec fail, with the place below the kind's key; `null` where it
   * can. `validate` refuses a check that cannot fail. Without this function: every spec can fail.
   */
  cannotFail?(spec: Spec): CannotFail | null;
  run(spec: Spec, context: ProbeContext): Promise<Outcome>;
}

/** For kinds that only look: reading state, or sending what any host on a network must be able to take. */
export const looksOnly = (): null => null;

/** Whether a check may be run again without leaving the lab other than running it once does. */
export function isRepeatable(kind: CheckKind, spec: unknown): boolean {
  return kind.repeatable?.(spec) ?? kind.mayChange(spec) === null;
}

/** Makes a kind of it: whatever the kind matches, the patterns of one attempt have one budget of time, and a verdict when it is used up. */
export function defineCheck<Spec>(kind: CheckKind<Spec>): CheckKind<Spec> {
  return {
    ...kind,
    run: (spec, context) =>
      withPatternBudget(
        async () => {
          try {
            return await kind.run(spec, context);
          } catch (error) {
            if (error instanceof PatternUndecided || error instanceof AbsenceUndecided)
              return inconclusive(error.message);
            throw error;
          }
        },
        Math.min(patternBudgetMs, context.timeLeftMs()),
      ),
  };
}
