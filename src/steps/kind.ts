import type { z } from 'zod';
import type { OwnFolders } from '../language/own-path.js';
import type { SavedValue } from '../model/saved.js';
import type { ProbeContext } from '../places/context.js';
import type { Outcome } from '../model/verdict.js';

/** Time for a step that names none, ms. */
export const defaultStepTimeoutMs = 60_000;

/** A process that a `start` step left running, with its log on the host. */
export interface BackgroundProcess {
  host: string;
  command: string;
  /** Process group id on the host. */
  pgid: number;
  /** Path of its combined output on the host. */
  log: string;
  /** Path of the file that says how it ended, once it has. */
  ended: string;
}

export interface StepContext extends ProbeContext {
  /** Hosts the step runs on (`on:`), one or several. */
  readonly on: string[];
  /** Where files beside the scenario are that the step names. */
  readonly folders: OwnFolders;
  /** Variables of the scenario, with `matrix` values; `${name}` is already replaced in the spec. */
  readonly background: BackgroundProcess[];
  /** Keeps a value for later steps and checks, which have it as `${name}`. */
  save(name: string, value: SavedValue): void;
  /** Says that the step ends this host on purpose (a power cut): its death is then no fault of the lab. */
  expectGone(host: string): void;
}

/** One kind of step: one file, one line in `steps/registry.ts`. A step must succeed; what it returns other than `pass` ends the scenario. */
export interface StepKind<Spec = unknown> {
  /** The key that marks it: `run`, `start`, `write`. */
  readonly name: string;
  readonly summary: string;
  readonly example: string;
  /** The step's own keys, the marking key included, without `step`, `on`, `timeout`, `when`. */
  readonly schema: z.ZodObject;
  describe(spec: Spec): string;
  /** Names of the values that the step saves for later ones. */
  saves?(spec: Spec): string[];
  /** Files beside the scenario that the step takes, for their mistakes to be told before anything runs; `mode`: permission bits are given. */
  ownFiles?(spec: Spec): { path: (string | number)[]; given: string; mode: boolean }[];
  /**
   * Whether taking the step again leaves the lab as taking it once does. A step always may change something, and always
   * must be able to fail; what it may not be is taken twice unasked.
   */
  readonly repeatable: boolean;
  run(spec: Spec, context: StepContext): Promise<Outcome>;
}

export function defineStep<Spec>(kind: StepKind<Spec>): StepKind<Spec> {
  return kind;
}
