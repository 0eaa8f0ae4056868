import type { z } from 'zod';
import type { Attachment, Outcome } from '../model/verdict.js';
import type { HostPlan, LabPlan } from '../plan/lab-plan.js';
import type { ExecOptions, ExecResult, RemoteProcess } from '../ssh/ssh.js';

/** A lab host as steps and checks see it. Every command becomes a transcript of the step or check that ran it. */
export interface ProbeHost {
  readonly name: string;
  readonly plan: HostPlan;
  exec(command: string | readonly string[], options?: ExecOptions): Promise<ExecResult>;
  spawn(command: string | readonly string[], options?: ExecOptions): RemoteProcess;
  writeFile(path: string, content: string | Buffer, options?: { mode?: number }): Promise<void>;
  readFile(path: string, options?: { maxBytes?: number }): Promise<Buffer>;
}

/** What a check may use. There is no other way to the lab. */
export interface ProbeContext {
  readonly plan: LabPlan;
  /** Throws NETRIG_HOST_UNKNOWN; validated scenarios name known hosts only. */
  host(name: string): ProbeHost;
  /** Aborted when the run is interrupted or the check's time is over. */
  readonly signal: AbortSignal;
  /** Milliseconds left for this attempt. */
  readonly timeLeftMs: () => number;
  /** Keeps a file with the run; `name` becomes part of the file's name. */
  attach(title: string, name: string, mime: string, data: Buffer): Promise<Attachment>;
}

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
