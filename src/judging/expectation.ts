import { z } from 'zod';
import type { Cause, Control, Diagnosis, Measure, Outcome, ProbeCause } from '../model/verdict.js';
import { zCauses, zEndpoint, zTarget } from '../language/fields.js';
import type { Answerer, Look } from './identity.js';
import { inconclusive, withDiagnosis } from './outcome.js';

/** `expect: { fails: … }`: the probe must not succeed, and for one of the causes named. */
export const zFails = z.strictObject({
  fails: zCauses.describe('The cause, or the causes any of which will do, for which the probe must fail.'),
});

/** Which of its addresses a target is probed at. */
export const zAddressOn = z
  .string()
  .min(1)
  .describe(
    'Which address of the target is meant: that on this segment (of a host), network of an engine (of a container) or interface (of a network namespace).',
  );

/** A probe of the same kind that must succeed for a negative to count, in place of the target answering itself. */
export const zControl = z
  .strictObject({
    from: zEndpoint.describe('Where the control starts.'),
    to: zTarget.optional().describe('What it is sent to; the check’s own target where left out.'),
  })
  .describe(
    'A probe that must succeed for `fails` to count. Without one, the target must answer itself, and the way there must be shown to carry packets: by any other answer of the target, by the probe coming in at it and its answer having a way back, by a rule of the router in between that dropped it, or by what else that router carries.',
  );
export type ControlSpec = z.infer<typeof zControl>;

/** What one probe saw, before anyone compares it with what was expected. */
export type Sighting =
  | { saw: 'success'; text: string; measures?: Measure[] }
  | {
      saw: 'failure';
      cause: Cause;
      text: string;
      measures?: Measure[];
      /** The target answered all the same, only not enough: for a negative it is there. */
      answered?: boolean;
    }
  /** The probe could not know: missing tool, dead source, output that is not recognised. */
  | { saw: 'nothing'; text: string };

/** Causes that say a name could not be turned into an address, each in its own way. */
const unresolved: readonly Cause[] = ['unknown-host', 'nxdomain', 'servfail', 'no-answer', 'dns-refused'];

/** Whether a failure is one of those asked for. `unknown-host` asks for any way in which a name did not resolve. */
export function causeMeets(wanted: readonly ProbeCause[], seen: Cause): boolean {
  if (wanted.some((cause) => cause === seen)) return true;
  return wanted.includes('unknown-host') && unresolved.includes(seen);
}

function oneOf(causes: readonly string[]): string {
  return causes.length <= 1 ? (causes[0] ?? '') : `${causes.slice(0, -1).join(', ')} or ${causes.at(-1)}`;
}

interface Judgement {
  /** `null`: the probe must succeed. */
  fails: readonly ProbeCause[] | null;
  sighting: Sighting;
  /** What success means, for reports: "a reply from 10.10.10.12". */
  success: string;
  /** Whom the probe reached; whatever it saw of another than the target says nothing about the target. */
  reached?: (look: Look) => Promise<Answerer>;
  /** Runs for negatives that failed for a cause that was asked for. */
  controls: (cause: Cause) => Promise<Control[]>;
  /**
   * Runs for positives that failed, for negatives that succeeded (with the cause `present`), and where another answered
   * (`wrong-answer`): why, `null` when nothing more is known or somebody looks later.
   */
  diagnose?: (cause: Cause) => Promise<Diagnosis | null>;
  /** What steps broke in the lab before the probe, where it may be why a negative did not pass. Sends nothing. */
  onPurpose?: () => Diagnosis | null;
}

/**
 * The one place where what a connectivity probe saw becomes a verdict.
 *
 * What somebody else than the target answered decides nothing about the target. A negative to which the target gave any answer
 * fails with the cause `present`: what must not be there is there. A negative that failed for a cause that was not asked for fails.
 * One that failed as it must is worth nothing before its controls held: a dead target times out as well as a filtered one.
 */
export async function judge(judgement: Judgement): Promise<Outcome> {
  const { fails, sighting, success, reached, diagnose } = judgement;
  if (sighting.saw === 'nothing') return inconclusive(sighting.text);
  const answered = sighting.saw === 'success' || sighting.answered === true;
  // A positive that nobody answered fails, whoever was asked: the diagnosis says who.
  const answerer = (await reached?.(fails === null && !answered ? 'self' : 'all')) ?? { is: 'target' };
  if (answerer.is === 'unclear') return inconclusive(`${sighting.text}; but ${answerer.text}`);
  const measures = sighting.measures && sighting.measures.length > 0 ? { measures: sighting.measures } : {};
  if (answerer.is === 'other') {
    const another: Outcome = {
      verdict: 'fail',
      cause: 'wrong-answer',
      reason: answerer.text,
      expected: fails === null ? success : `failure: ${oneOf(fails)}`,
      actual: sighting.text,
      ...measures,
    };
    return withDiagnosis(another, answerer.follow ? ((await diagnose?.('wrong-answer')) ?? null) : null);
  }
  if (fails === null) {
    if (sighting.saw === 'success') return { verdict: 'pass', reason: sighting.text, ...measures };
    const failed: Outcome = {
      verdict: 'fail',
      cause: sighting.cause,
      reason: sighting.text,
      expected: success,
      actual: sighting.cause,
      ...measures,
    };
    return withDiagnosis(failed, (await diagnose?.(sighting.cause)) ?? null);
  }
  const expected = `failure: ${oneOf(fails)}`;
  if (sighting.saw === 'success' || answered) {
    const present: Outcome = {
      verdict: 'fail',
      cause: 'present',
      reason: `${sighting.text}, although it must fail with ${oneOf(fails)}`,
      expected,
      actual: 'success',
      ...measures,
    };
    return withDiagnosis(present, (await diagnose?.('present')) ?? null);
  }
  return judgeFailure(judgement, fails, sighting);
}

/** A negative that nobody answered: it failed as it must, for another cause, or for what proves nothing. */
async function judgeFailure(
  { controls, onPurpose }: Judgement,
  fails: readonly ProbeCause[],
  sighting: Extract<Sighting, { saw: 'failure' }>,
): Promise<Outcome> {
  const expected = `failure: ${oneOf(fails)}`;
  const measures = sighting.measures && sighting.measures.length > 0 ? { measures: sighting.measures } : {};
  // Another cause than those asked for is not what must be, whatever else holds.
  if (!causeMeets(fails, sighting.cause)) {
    const another: Outcome = {
      verdict: 'fail',
      cause: sighting.cause,
      reason: `${sighting.text}: that is ${sighting.cause}, not ${oneOf(fails)}`,
      expected,
      actual: sighting.cause,
      ...measures,
    };
    return withDiagnosis(another, onPurpose?.() ?? null);
  }
  const held = await controls(sighting.cause);
  const broken = held.filter((control) => !control.held);
  if (broken.length > 0) {
    const named = broken.map((control) => `${control.title}: ${control.seen}`).join('; ');
    const unproven: Outcome = {
      verdict: 'inconclusive',
      reason: `${sighting.text}, but a control did not hold, so that proves nothing: ${named}`,
      expected,
      actual: sighting.cause,
      controls: held,
    };
    return withDiagnosis(unproven, onPurpose?.() ?? null);
  }
  return {
    verdict: 'pass',
    cause: sighting.cause,
    reason: `${sighting.text}, as it must (${sighting.cause})`,
    expected,
    actual: sighting.cause,
    controls: held,
    ...measures,
  };
}
