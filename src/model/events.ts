import type { Attachment, Outcome } from './verdict.js';

/** One planned step or check of a scenario. */
export interface PlannedItem {
  /** Stable inside its scenario: `s03` for steps, `c07` for checks, numbered in the order of the file. */
  id: string;
  kind: 'step' | 'check';
  /** The kind's name in the language: `run`, `ping`, … */
  type: string;
  title: string;
  /** One line that says what will be done or probed, made from the YAML by the kind. */
  detail: string;
  line: number;
  column: number;
  covers: string[];
  /** The shared file that `line` counts in; absent: the scenario’s own file. */
  file?: string;
  /** Markdown for readers of the reports. */
  text?: string;
  /** Of `finally`: runs after everything else, whatever became of it. */
  last?: true;
  /** A check that does not hold is a warning, and the run is as good as without it. */
  level?: 'warning';
}

/** What reports draw: planned before anything starts. */
export interface Topology {
  hosts: {
    name: string;
    image: string;
    init: string;
    /** It had a way to the outside. */
    outside?: true;
    interfaces: { name: string; segment: string; address: string }[];
  }[];
  segments: { name: string; subnet: string; mtu?: number }[];
}

/** Containers and networks that a host's engine had at the end of the scenario, for the drawing. */
export interface EngineState {
  host: string;
  /** As the engine itself states it, `''` where it could not be asked. */
  version: string;
  networks: { name: string; driver: string; scope: string; subnet: string }[];
  containers: {
    name: string;
    image: string;
    state: string;
    networks: { name: string; address: string }[];
    ports: string[];
  }[];
}

/** One command that ran on a lab host. Output is cut to the head and tail that the SSH layer keeps. */
export interface Transcript {
  host: string;
  /** Run by the helper beside the host, by programs that the host's root can't touch; without it, it is the host's own word. */
  beside?: true;
  command: string;
  exitCode: number | null;
  signal?: string;
  timedOut?: boolean;
  durationMs: number;
  stdout: string;
  stderr: string;
  /** Bytes that the command really wrote; larger than what is kept when output was cut. */
  stdoutBytes: number;
  stderrBytes: number;
}

export type PhaseName = 'image' | 'boot' | 'provision' | 'teardown';

/** All that a run of a scenario will be about. */
export interface ScenarioPlan {
  /** Unique in the run: the scenario's name, with matrix values: `ports[image=debian-12]`. */
  scenario: string;
  file: string;
  title: string;
  description: string;
  /** Markdown for readers of the reports. */
  text?: string;
  tags: string[];
  covers: string[];
  matrix: Record<string, string>;
  provider: string;
  planned: PlannedItem[];
  topology: Topology;
}

/**
 * The events of a run, in the order they happened; one JSON object a line in `run.jsonl`. Every report is made from them.
 *
 * `scenario:plan` of every chosen scenario is written before the first of them starts: what has no record after that is an
 * error, never silence.
 */
export type RunEventBody =
  | { type: 'run:start'; netrig: string; node: string; kernel: string; argv: string[]; cwd: string }
  | ({ type: 'scenario:plan' } & ScenarioPlan)
  | ({ type: 'scenario:start'; attempt: number } & ScenarioPlan)
  | {
      type: 'phase';
      scenario: string;
      phase: PhaseName;
      state: 'start' | 'end';
      host?: string;
      text: string;
      durationMs?: number;
    }
  /** How the hosts of the lab are kept from the machine; from the provider whose hosts share the machine's kernel. */
  | { type: 'isolation'; scenario: string; mode: 'users' | 'none'; text: string }
  | { type: 'item:start'; scenario: string; item: string }
  | { type: 'command'; scenario: string; item: string | null; transcript: Transcript }
  | { type: 'item:end'; scenario: string; item: string; outcome: Outcome; attempts: number; durationMs: number }
  | { type: 'engine'; scenario: string; state: EngineState }
  | { type: 'log'; scenario: string | null; level: 'info' | 'warn' | 'error'; text: string }
  /** So many events before this one could not be written (disk full): the record has a hole here. */
  | { type: 'lost'; events: number }
  | { type: 'artifact'; scenario: string; item: string | null; attachment: Attachment }
  /** `stays`: the lab is still up, by this id. */
  | {
      type: 'scenario:end';
      scenario: string;
      durationMs: number;
      error?: { code: string; message: string };
      stays?: string;
    }
  /** `failures`: how many tests Mocha counted as failed; one of them that no item of the record shows is an error. */
  | { type: 'run:end'; durationMs: number; interrupted: boolean; failures?: number };

/** `t`: ISO 8601 time. `pid`: the process that wrote it (a parallel run has several writers). */
export type RunEvent = RunEventBody & { v: 1; t: string; pid: number };

export type EmitEvent = (event: RunEventBody) => void;
