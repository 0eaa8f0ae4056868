import type { z } from 'zod';
import type { OwnFolders } from '../language/own-path.js';
import type { SavedValue } from '../model/saved.js';
import type { ProbeContext } from '../places/context.js';
import type { Outcome } from '../model/verdict.js';
import type { Fault } from '../model/fault.js';
import type { NamedPart } from '../language/fault.js';

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

/** A fault as a step asks for it. */
export interface FaultOrder {
  /** For `heal:`. */
  name: string | null;
  fault: Fault;
  /** Healed by itself after so many ms; `null`: when somebody heals it, or at the end. */
  forMs: number | null;
  /** It comes and goes, once in so many ms; `null`: it stays. */
  everyMs: number | null;
}

/** Breaks things of the lab on purpose, and heals them. */
export interface LabBreaker {
  /** Rejects with NETRIG_FAULT. The outcome is `skipped` where the provider cannot do it. */
  plant(order: FaultOrder): Promise<Outcome>;
  /** A fault that whoever puts it in heals, sooner or later. Rejects with NETRIG_FAULT. The outcome is `skipped`. */
  plantForAWhile(fault: Fault, everyMs: number | null): Promise<Outcome | { heal(): Promise<void> }>;
  /** The fault of that name, or all (`null`). Rejects with NETRIG_FAULT. */
  heal(name: string | null, signal: AbortSignal): Promise<Outcome>;
  /** What is in just now, in the order it came. */
  planted(): readonly FaultOrder[];
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
  readonly breaker: LabBreaker;
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
  /** What a person types into a shell of the host to do the same; left out where nothing does. */
  typed?(spec: Spec): string;
  /** It is about the lab as a whole, and has no `on`. */
  readonly ofLab?: true;
  /** Hosts and segments that the spec names: they must be there. */
  parts?(spec: Spec): NamedPart[];
  /** The name of a fault: that it gives, or that an earlier step must have given. */
  faultName?(spec: Spec): { gives: string } | { needs: string } | null;
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
