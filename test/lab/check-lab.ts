import { expect } from 'chai';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CheckKind } from '../../src/checks/kind.js';
import { isNetrigError } from '../../src/errors.js';
import type { Outcome } from '../../src/model/verdict.js';
import type { HostPlan, LabPlan } from '../../src/plan/lab-plan.js';
import { localProvider } from '../../src/providers/local/provider.js';
import type { RunningLab } from '../../src/providers/provider.js';
import { openSession } from '../../src/session/session.js';
import type { LabSession } from '../../src/session/session.js';

/** A host on the one segment of a lab for checks, `lan`, 10.10.10.0/24; `containerImages` are those of its engine, `null` for none. */
export function lanHost(
  name: string,
  number: number,
  image: string,
  init: HostPlan['init'],
  containerImages: string[] | null,
): HostPlan {
  return {
    name,
    image,
    init,
    engine: containerImages !== null,
    containerImages: containerImages ?? [],
    interfaces: [
      {
        name: 'eth0',
        segment: 'lan',
        address: `10.10.10.${number}/24`,
        mac: `02:00:0a:0a:0a:${number.toString(16).padStart(2, '0')}`,
      },
    ],
    routes: [],
    sysctls: {},
  };
}

export function lanPlan(slug: string, hosts: HostPlan[]): LabPlan {
  return {
    title: slug,
    slug,
    hosts,
    segments: [{ name: 'lan', subnet: '10.10.10.0/24', mtu: null }],
    bootTimeoutMs: 60_000,
  };
}

export interface Expected {
  verdict: Outcome['verdict'];
  cause?: string;
  reason?: RegExp;
}

/** What a test does with a lab that is up. */
export interface CheckLab {
  session(): LabSession;
  /** The directory that checks write their attachments to. */
  runDir(): string;
  /** One attempt of a check. Throws what the kind's schema does. */
  check<Spec>(kind: CheckKind<Spec>, body: unknown, timeoutMs?: number): Promise<Outcome>;
  /** `comesTo` by the host's own programs alone, as with a provider that has no helper beside its hosts. */
  believing<Spec>(expected: Expected, kind: CheckKind<Spec>, body: unknown, timeoutMs?: number): Promise<Outcome>;
  comesTo<Spec>(expected: Expected, kind: CheckKind<Spec>, body: unknown, timeoutMs?: number): Promise<Outcome>;
  passes<Spec>(kind: CheckKind<Spec>, body: unknown, reason?: RegExp): Promise<Outcome>;
  fails<Spec>(cause: string, kind: CheckKind<Spec>, body: unknown, reason?: RegExp): Promise<Outcome>;
  cannotKnow<Spec>(reason: RegExp, kind: CheckKind<Spec>, body: unknown): Promise<Outcome>;
  /** Standard output of a command that must succeed, without blanks around it. */
  run(on: string, command: string): Promise<string>;
}

/** To be called in a `describe`: its tests have the lab of `plan`, prepared, and it goes after them. Without root they are skipped. */
export function checkLab(plan: LabPlan, prepare: () => Promise<void>): CheckLab {
  let lab: RunningLab;
  let session: LabSession;
  let alone: LabSession | null = null;
  let runDir: string;
  let attempts = 0;

  before(async function () {
    this.timeout(240_000);
    try {
      await localProvider.preflight(plan);
    } catch (error) {
      if (!isNetrigError(error)) throw error;
      console.log(`      skipped: ${error.message}`);
      this.skip();
    }
    runDir = mkdtempSync(join(tmpdir(), 'netrig-checks-'));
    try {
      lab = await localProvider.up(plan, {
        signal: new AbortController().signal,
        emit: () => undefined,
        scenario: plan.slug,
      });
    } catch (error) {
      // Without a package source, a layer of packages that was not made before cannot be made.
      if (!isNetrigError(error, 'NETRIG_MIRROR_UNREACHABLE')) throw error;
      const packages = [...new Set(plan.hosts.flatMap((host) => host.packages ?? []))];
      console.log(`      skipped: no packages ${packages.join(', ')} to be had: ${error.message}`);
      this.skip();
    }
    session = openSession(lab);
    await prepare();
  });

  after(async function () {
    this.timeout(60_000);
    await alone?.close();
    if (session !== undefined) await session.close();
    if (lab !== undefined) await lab.down();
    if (runDir !== undefined) rmSync(runDir, { recursive: true, force: true });
  });

  const attempt = async <Spec>(
    from: LabSession,
    kind: CheckKind<Spec>,
    body: unknown,
    timeoutMs = kind.timeoutMs ?? 20_000,
  ): Promise<Outcome> => {
    attempts += 1;
    const context = from.context({
      signal: new AbortController().signal,
      timeoutMs,
      record: () => undefined,
      files: { runDir, folder: `c${attempts}` },
    });
    return kind.run(kind.schema.parse(body), context);
  };
  const requireOutcome = (outcome: Outcome, expected: Expected): Outcome => {
    expect({ verdict: outcome.verdict, cause: outcome.cause }, outcome.reason).to.deep.equal({
      verdict: expected.verdict,
      cause: expected.cause,
    });
    if (expected.reason !== undefined) expect(outcome.reason).to.match(expected.reason);
    return outcome;
  };

  const tools: CheckLab = {
    session: () => session,
    runDir: () => runDir,
    check: (kind, body, timeoutMs) => attempt(session, kind, body, timeoutMs),
    async believing(expected, kind, body, timeoutMs) {
      const { beside: _, ...bare } = lab;
      alone ??= openSession(bare);
      return requireOutcome(await attempt(alone, kind, body, timeoutMs), expected);
    },
    async comesTo(expected, kind, body, timeoutMs) {
      return requireOutcome(await attempt(session, kind, body, timeoutMs), expected);
    },
    passes: (kind, body, reason) =>
      tools.comesTo({ verdict: 'pass', ...(reason === undefined ? {} : { reason }) }, kind, body),
    fails: (cause, kind, body, reason) =>
      tools.comesTo({ verdict: 'fail', cause, ...(reason === undefined ? {} : { reason }) }, kind, body),
    cannotKnow: (reason, kind, body) => tools.comesTo({ verdict: 'inconclusive', reason }, kind, body),
    async run(on, command) {
      const result = await (await session.connection(on)).exec(command, { timeoutMs: 30_000 });
      expect(result.exitCode, `${command} on ${on}: ${result.stderr}`).to.equal(0);
      return result.stdout.trim();
    },
  };
  return tools;
}
