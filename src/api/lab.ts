import { setMaxListeners } from 'node:events';
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { temporaryDirectory } from '../lab/temporary.js';
import type { CheckKind } from '../checks/kind.js';
import { checkKinds } from '../checks/registry.js';
import { forgetDiagnoses } from '../diagnosis/diagnose.js';
import { NetrigError } from '../errors.js';
import { chooseScenario } from '../labs/up.js';
import type { Outcome } from '../model/verdict.js';
import type { LabSession } from '../session/session.js';
import { wishFor } from '../providers/isolation-wish.js';
import type { IsolationWish } from '../providers/provider.js';
import { providerNamed } from '../providers/registry.js';
import { createScenarioRun, type ScenarioRun } from '../run/scenario-run.js';
import { formatDiagnostics, loadScenarioFile } from '../scenario/load.js';
import { withoutSteps } from '../scenario/without-steps.js';
import type { ExecOptions, ExecResult } from '../ssh/ssh.js';

/** A host of a lab that is up. */
export interface LabHost {
  /** As the scenario calls it. */
  readonly name: string;
  /**
   * Runs a command on the host: an argv array as it stands, or a string for the host's shell. How it ends is in the result,
   * whatever its exit status.
   *
   * @throws NETRIG_SSH_LOST when the connection ends under it, NETRIG_USAGE for a NUL in the command.
   */
  exec(command: string | readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /**
   * Writes a file, whole or not at all, with the directories above it. `mode`: permission bits (`0o755`); default: those of the
   * file that is there, else 0644. A symlink at `path` is replaced.
   *
   * @throws NETRIG_SFTP for what the host's file system says, NETRIG_SSH_LOST.
   */
  writeFile(path: string, content: string | Buffer, options?: { mode?: number }): Promise<void>;
  /**
   * The whole file, of at most 64 MiB.
   *
   * @throws NETRIG_SFTP for a longer one, or for what the host's file system says; NETRIG_SSH_LOST.
   */
  readFile(path: string): Promise<Buffer>;
  /** A container of the host's engine, by name. Nothing is asked of the engine yet. */
  container(name: string): LabPlace;
  /** Probes start here: `expect(lab.host('node1')).to.ping('node2')`. */
  readonly endpoint: string;
  /** The lab that it is in. */
  readonly lab: Lab;
}

/** Anything that a probe can start from. */
export interface LabPlace {
  /** As scenarios write it: `node1`, `node1/web`. */
  readonly endpoint: string;
  /** The lab that it is in. */
  readonly lab: Lab;
  /** As on a host; a string is for the `sh` of the place. What the engine refuses is in the result too. */
  exec(command: string | readonly string[], options?: ExecOptions): Promise<ExecResult>;
}

/** How a lab is brought up. */
export interface LabOptions {
  /** Over what the scenario asks for; default `local`. */
  provider?: string;
  /** Which scenario of the file: must be said where a matrix makes several: `ports[image=debian-12]`. */
  scenario?: string;
  /** `false`: hosts and segments only; none of the steps of the file is taken. Default `true`. */
  steps?: boolean;
  /**
   * How hosts of the local provider are kept from the machine; default: as `netrig run` does, isolated wherever the machine can,
   * and always for a file from outside the working directory.
   */
  isolation?: IsolationWish;
  /** Aborted, it calls off the bringing up, and checks that are under way. */
  signal?: AbortSignal;
}

/**
 * A lab that is up, for TypeScript programs and tests. It goes down with `down()`, at the end of an `await using` block, or
 * with this process.
 */
export class Lab implements AsyncDisposable {
  readonly #run: ScenarioRun;
  readonly #session: LabSession;
  readonly #signal: AbortSignal;
  readonly #files: string;

  private constructor(run: ScenarioRun, session: LabSession, signal: AbortSignal, files: string) {
    this.#run = run;
    this.#session = session;
    this.#signal = signal;
    this.#files = files;
  }

  /**
   * Brings up the lab of a scenario file and takes its steps; its checks are left to the caller.
   *
   * @throws NETRIG_SCENARIO_INVALID, NETRIG_USAGE where several scenarios fit, NETRIG_STEP_FAILED, or what the provider throws. Nothing stays behind then.
   */
  static async up(file: string, options: LabOptions = {}): Promise<Lab> {
    const loaded = await loadScenarioFile(resolve(file));
    if (loaded.diagnostics.length > 0)
      throw new NetrigError('NETRIG_SCENARIO_INVALID', formatDiagnostics(loaded.diagnostics));
    const found = chooseScenario(loaded.scenarios, file, options.scenario);
    const scenario = options.steps === false ? withoutSteps(found) : found;
    const signal = options.signal ?? new AbortController().signal;
    // Every host and command of the lab listens to it: many are no leak.
    setMaxListeners(0, signal);
    const files = temporaryDirectory('lab');
    const run = createScenarioRun(scenario, {
      provider: providerNamed(options.provider ?? scenario.provider ?? 'local'),
      emit: () => undefined,
      runDir: files,
      isolation: wishFor(options.isolation ?? 'auto', file),
      signal,
    });
    const failed = await run.applySteps();
    const session = run.session();
    if (failed === null && session) return new Lab(run, session, signal, files);
    await run.finish();
    await rm(files, { recursive: true, force: true });
    throw (
      failed ??
      new NetrigError(
        'NETRIG_CAPABILITY',
        `The lab of ${scenario.id} cannot be brought up here: it needs ${scenario.requires.join(', ')}.`,
      )
    );
  }

  /** By which `netrig ls` lists it. */
  get id(): string {
    return this.#session.lab.id;
  }

  /** All of them, in the order of the scenario. */
  get hosts(): LabHost[] {
    return this.#session.lab.plan.hosts.map((plan) => this.host(plan.name));
  }

  /** One of them, by the scenario's name for it. @throws NETRIG_HOST_UNKNOWN */
  host(name: string): LabHost {
    const session = this.#session;
    if (!session.lab.plan.hosts.some((plan) => plan.name === name)) {
      throw new NetrigError(
        'NETRIG_HOST_UNKNOWN',
        `The lab ${session.lab.id} has no host "${name}"; it has ${session.lab.plan.hosts.map((plan) => plan.name).join(', ')}.`,
      );
    }
    const lab: Lab = this;
    return {
      name,
      endpoint: name,
      lab,
      exec: async (command, options) => {
        // Whatever is run may change the lab.
        forgetDiagnoses(session.lab.plan);
        return (await session.connection(name)).exec(command, options);
      },
      writeFile: async (path, content, options) => (await session.connection(name)).writeFile(path, content, options),
      readFile: async (path) => (await session.connection(name)).readFile(path),
      container: (container) => ({
        endpoint: `${name}/${container}`,
        lab,
        exec: async (command, options) =>
          (await session.connection(name)).exec(
            [
              'docker',
              'exec',
              ...(options?.stdin === undefined ? [] : ['-i']),
              container,
              ...(typeof command === 'string' ? ['sh', '-c', command] : command),
            ],
            options,
          ),
      }),
    };
  }

  /**
   * Makes one check, by the same code and with the same specification as a check of a scenario file:
   * `lab.check('ping', { from: 'node1', to: 'node2' })`. `timeoutMs`: how long it may take; default: that of the kind, mostly 15,000.
   *
   * @throws NETRIG_USAGE when the specification is wrong, NETRIG_SSH_* when the lab breaks. The network's failures are in the outcome.
   */
  async check(kind: string, spec: Record<string, unknown>, options: { timeoutMs?: number } = {}): Promise<Outcome> {
    const found = (checkKinds as readonly CheckKind[]).find((one) => one.name === kind);
    if (!found)
      throw new NetrigError(
        'NETRIG_USAGE',
        `There is no kind of check "${kind}"; there are ${checkKinds.map((one) => one.name).join(', ')}.`,
      );
    const checked = found.schema.safeParse(spec);
    if (!checked.success)
      throw new NetrigError(
        'NETRIG_USAGE',
        `${kind}: ${checked.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')}`,
      );
    const timeoutMs = options.timeoutMs ?? found.timeoutMs ?? 15_000;
    return found.run(
      checked.data,
      this.#session.context({
        signal: AbortSignal.any([this.#signal, AbortSignal.timeout(Math.ceil(timeoutMs + 5000))]),
        timeoutMs,
        record: () => undefined,
      }),
    );
  }

  /** Takes the lab down. Safe to call twice. @throws NETRIG_CLEANUP */
  async down(): Promise<void> {
    await this.#run.finish();
    await rm(this.#files, { recursive: true, force: true });
    // What went wrong while the lab was taken down is in its events; a caller of this wants to be told.
    await this.#session.lab.down();
  }

  /** As `down()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.down();
  }
}
