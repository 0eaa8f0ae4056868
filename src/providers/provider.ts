import type { CapabilityName } from '../model/capability.js';
import type { EmitEvent } from '../model/events.js';
import type { Fault } from '../model/fault.js';
import type { SavedValue } from '../model/saved.js';
import type { LabPlan } from '../plan/lab-plan.js';
import type { SshTarget } from '../ssh/ssh.js';

/** Something that a machine, an image or an engine can or cannot do. Found by doing it, never by looking at a name. */
export interface Capability {
  /** As a scenario’s `requires` has it. */
  name: CapabilityName;
  have: boolean;
  /** One sentence: what was tried and what happened. */
  seen: string;
  /** How to mend it, where that is possible. */
  mend?: string;
}

/**
 * How hosts that share this machine's kernel are kept from the machine. `users`: root in a host is an unprivileged user of the
 * machine. `none`: it is root of the machine. `auto`: `users` where the machine can do it.
 */
export const isolationWishes = ['auto', 'users', 'none'] as const;
export type IsolationWish = (typeof isolationWishes)[number];

export interface UpOptions {
  /** Aborting makes `up` take away what it made so far, then reject with NETRIG_INTERRUPTED. */
  signal: AbortSignal;
  emit: EmitEvent;
  /** The scenario id that goes into events. */
  scenario: string;
  /** Hosts that exist already are to be looked at only; asked of no provider without `asks`. */
  readOnly?: boolean;
  /** For the local provider; default `auto`. */
  isolation?: IsolationWish;
}

/** What `netrig ps`, `exec`, `ssh` and `check` need to reach a lab from another process. JSON-serialisable. */
export interface LabRecord {
  id: string;
  title: string;
  provider: string;
  /** Process that holds the lab, with its start time in clock ticks since boot (field 22 of /proc/PID/stat), so that a reused pid is not mistaken for it. */
  holder: { pid: number; startTime: number };
  /** Where that pid means something: one boot, and a pid namespace of it. Left out by records of older versions. */
  space?: { bootId: string; pidNamespace: string };
  createdAt: string;
  state: 'starting' | 'up' | 'stopping';
  /** Whether the lab outlives the command that made it (`netrig up`, `--keep-on-fail`). */
  detached: boolean;
  plan: LabPlan;
  /** Absolute path of the scenario file, for `netrig check`. */
  scenarioFile?: string;
  /** Values that the steps of the scenario saved, for checks that come later. */
  saved?: Record<string, SavedValue>;
  /** Whatever the provider needs to make `SshTarget`s again. */
  access: unknown;
}

/** Something that a lab is made of, and that is no more. */
export interface DeadPart {
  /** What it was, for a sentence: "the guard of node1 (process 4711)". */
  what: string;
  /** The host that is gone with it; `null`: the lab as a whole. */
  host: string | null;
}

/** A limit that a host, or a lab, reached: what is seen in it from then on says nothing about the network. */
export interface LimitMet {
  /** `null`: the lab as a whole. */
  host: string | null;
  /** A sentence: `server reached its memory limit of 400 MB, …`. */
  text: string;
}

/** Breaks things of a running lab on purpose, from outside its hosts. */
export interface LabFaults {
  /** Why this fault cannot be had in this lab, with the capability that is missing; `null`: it can. */
  lacks(fault: Fault): Promise<string | null>;
  /**
   * Puts a fault in, and resolves once it has taken effect. Several may be in at once, also at the same link. Rejects with NETRIG_FAULT; then
   * all is as it was before. What is in when the lab goes down goes with it.
   */
  plant(fault: Fault): Promise<PlantedFault>;
  /** Whether a host is powered off just now: that it is dead then is no fault of the lab. */
  isOff(host: string): boolean;
  /** Whether the processes of a host stand still just now: it answers no session. Left out where none ever do. */
  isPaused?(host: string): boolean;
}

export interface PlantedFault {
  /**
   * Takes the fault out, and resolves once that has taken effect: a host that was powered off answers SSH, with what was on its disk,
   * and is to be provisioned again. Safe to call twice. Rejects with NETRIG_FAULT, or the reason of `signal`; then it may be tried again.
   */
  heal(signal: AbortSignal): Promise<void>;
}

export interface RunningLab {
  readonly id: string;
  readonly plan: LabPlan;
  readonly record: LabRecord;
  /** One per host of the plan. */
  target(host: string): SshTarget;
  /**
   * A place with the host's network and the programs of netrig's own image, out of reach of the host's root: probes are sent from
   * there, so that a program that was replaced on the host bends no verdict. Called once for each connection. It has the host's
   * proc file system at `hostProcBeside`. `null`, or left out: there is none, and the host's own programs are believed.
   */
  beside?(host: string): SshTarget | null;
  /**
   * What of the machinery that this provider made for the lab is not alive any more: empty while all is well. Looks at once,
   * without asking a host. A provider that has nothing to watch leaves it out.
   */
  died?(): DeadPart[];
  /** Hosts have their `files` when `up` resolves; where it is left out, provisioning puts them there. */
  readonly hasFiles?: true;
  /** The last lines of a host's console (boot messages), for error reports. */
  console(host: string): Promise<string>;
  /** The limits that were reached since this was asked last; of providers that set any. */
  limitsMet?(): LimitMet[];
  /** Of a provider that can break things on purpose. */
  readonly faults?: LabFaults | undefined;
  /**
   * Makes one host anew: what ran on it and what was written to its disk is gone, its links are as planned. Resolves once it
   * answers SSH; it is to be provisioned again. Rejects with NETRIG_HOST_RESET, and may be tried again then; with the reason of
   * `signal`. Of a provider that can.
   */
  resetHost?(host: string, signal: AbortSignal): Promise<void>;
  /** Takes everything away; safe to call twice. Rejects with NETRIG_CLEANUP naming what is left. */
  down(): Promise<void>;
}

/** Result of sweeping up after dead holders. */
export interface SweepReport {
  /** Labs whose leftovers were removed, with what was removed, one line each. */
  removed: { lab: string; what: string[] }[];
  /** What could not be removed, with the reason. */
  left: { lab: string; what: string; why: string }[];
}

export interface CapabilityOptions {
  /** Make nothing that stays, such as an image: what cannot be tried without is said to be so. */
  onlyLook?: boolean;
  /** Where something must be made or booted to try it in: aborting takes that away and rejects. */
  signal?: AbortSignal;
  /** One line for each thing that takes a while. */
  progress?(line: string): void;
}

/** Turns planned hosts and segments into hosts that answer SSH, and takes everything away again. */
export interface Provider {
  readonly name: string;
  /** Hosts of one lab serve the next labs of the same process, so that a run is quickest with one lab after another. */
  readonly reusesHosts?: boolean;
  /** Its labs have `resetHost`. */
  readonly resetsHosts?: true;
  /** What this machine can do through this provider. */
  capabilities(options?: CapabilityOptions): Promise<Capability[]>;
  /** Throws a coded error when the plan cannot be brought up here at all (no root, missing tool), before anything is made. */
  preflight(plan: LabPlan): Promise<void>;
  /** Host images that the plan needs are built first, with `phase` events of phase `image`. */
  up(plan: LabPlan, options: UpOptions & { detached?: boolean; scenarioFile?: string }): Promise<RunningLab>;
  /** A lab that another process holds. Throws NETRIG_LAB_GONE when its hosts are not there any more. */
  attach(record: LabRecord): Promise<RunningLab>;
  /** Takes down a lab held by another process: asks its holder, and finishes what a dead holder left. */
  destroy(record: LabRecord): Promise<void>;
  /** Finds labs of this provider whose holder is dead and removes what is left of them. Never touches a lab whose holder lives. */
  sweep(): Promise<SweepReport>;
  /** For a provider that changes what was there before it: what it would change, for the question asked before the first change. */
  asks?(): Promise<string>;
}
