import type { DiagnosisRequest } from '../diagnosis/diagnose.js';
import type { Fault } from '../model/fault.js';
import type { LabBreaker } from '../steps/kind.js';
import type { Attachment } from '../model/verdict.js';
import type { HostPlan, LabPlan } from '../plan/lab-plan.js';
import type { TreeEntry, TreeOwner } from '../ssh/tree.js';
import type { ExecOptions, ExecResult, RemoteProcess } from '../ssh/ssh.js';

export interface ProbeExecOptions extends ExecOptions {
  /**
   * The command takes away what the check itself left on the host: it is run although the check's time is over, and has
   * some seconds of its own.
   */
  cleansUp?: boolean;
}

/**
 * A lab host as steps and checks see it. Every command becomes a transcript of the step or check that ran it.
 *
 * No command outlives the time of its step or attempt: the context ends it then (`timedOut`), whatever `timeoutMs` says.
 * Where the host does not even answer the order to end it, the call rejects with NETRIG_SSH_SILENT.
 */
export interface ProbeHost {
  readonly name: string;
  readonly plan: HostPlan;
  /** The helper beside the host (`RunningLab.beside`), where its provider has one: the host's network, and none of its files. */
  readonly beside?: ProbeHost;
  exec(command: string | readonly string[], options?: ProbeExecOptions): Promise<ExecResult>;
  spawn(command: string | readonly string[], options?: ExecOptions): RemoteProcess;
  writeFile(path: string, content: string | Buffer, options?: { mode?: number }): Promise<void>;
  /** All of it or nothing, as `HostConnection.putTree`. */
  putTree(entries: readonly TreeEntry[], owner: TreeOwner | null): Promise<void>;
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
  /**
   * Where a diagnosis is asked for, to be made once all attempts are over: an attempt that is tried again must not pay for it.
   * Without it, diagnoses are made at once.
   */
  readonly later?: { request: DiagnosisRequest | null };
  /**
   * Called when a probe is over, before its controls and its diagnosis send anything: whoever counts or captures what the probe
   * sends has seen all of it then.
   */
  readonly probeOver?: () => Promise<unknown>;
  /** Faults that steps put in and nobody has healed yet; see `keptApart`. */
  readonly planted?: () => readonly Fault[];
  /** Puts faults in; where nobody can, it is left out. */
  readonly breaker?: LabBreaker;
  /** Nothing in the lab may be changed, not even for a moment (`--check-only`). */
  readonly readOnly?: true;
  /** Keeps a file with the run; `name` becomes part of the file's name. */
  attach(title: string, name: string, mime: string, data: Buffer): Promise<Attachment>;
}
