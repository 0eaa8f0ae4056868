import type { Cause, Diagnosis, Outcome, ProbeCause } from '../model/verdict.js';
import { brokenBySteps } from '../diagnosis/broken-by-steps.js';
import { diagnose, diagnoseNow, type PacketRequest } from '../diagnosis/diagnose.js';
import { faultText } from '../model/fault.js';
import type { PathEvidence } from '../facts/path.js';
import { networkControls, stackAlive } from '../judging/control.js';
import { failedQuestionControl } from '../judging/resolver-control.js';
import { judge } from '../judging/expectation.js';
import type { ControlSpec, Sighting } from '../judging/expectation.js';
import { whoAnswers } from '../judging/identity.js';
import type { Answerer, Look } from '../judging/identity.js';
import { watchTarget } from '../judging/own-answer.js';
import { fail, inconclusive, withDiagnosis } from '../judging/outcome.js';
import type { Service } from '../judging/same-path.js';
import type { ProbeContext } from '../places/context.js';
import { keptApart } from '../places/kept-apart.js';
import { isVantage, parseEndpoint } from '../places/endpoint.js';
import type { Vantage } from '../places/vantage.js';
import { resolveProbe } from '../probes/probe-ends.js';
import { sendUnlimited } from './limited-refusals.js';
import { plannedOwner } from '../probes/target.js';
import type { ResolvedTarget } from '../probes/target.js';

/** What one probe came to, with the sender's own view of the way. */
export interface Sent {
  sighting: Sighting;
  path: PathEvidence | null;
  /** Who answered, or said no, when it was not the sender's own kernel. */
  answeredBy: string | null;
  /** TCP: the source port of the connection that was made, where that is known. */
  connectedFrom?: number | undefined;
  /** Whether what answered was the target, by what came in at it; left out where nobody looked, or nothing answered. */
  answerer?: Answerer;
}

/** What a connectivity kind is to those who judge it. */
export interface Prober {
  /** `null`: the probe must succeed; else for which causes it must fail. */
  fails: readonly ProbeCause[] | null;
  /** What success means, for reports: "a reply from 10.10.10.12". */
  success: (to: string) => string;
  service: Service;
  /** TCP, UDP: the source port, where it matters. */
  fromPort?: number;
  /** ICMP: bytes of payload, and whether it must not be fragmented. */
  size?: number;
  df?: boolean;
  send: (source: Vantage, target: ResolvedTarget) => Promise<Sent>;
  /** How long `send` waits for an answer that does not come, ms. */
  waitMs: number;
  /** A plain probe of the kind, for controls; `send` where left out. */
  control?: (source: Vantage, target: ResolvedTarget) => Promise<Sighting>;
  /** The probe as a person would type it at the source; left out where there is no short way to. */
  again?: (source: Vantage, target: ResolvedTarget) => string | null;
  author: ControlSpec | null;
  /** What a reader can do where no control is found, of a kind that takes none. */
  hint?: string;
  /** A negative is worth nothing while the target does not answer itself, also where it refused. */
  needsTarget?: boolean;
  /** Default `each`. `never`: whoever judges many pairs has one of them explained. */
  diagnosed?: 'each' | 'never';
}

interface Ends {
  source: Vantage;
  target: ResolvedTarget;
}

/** Whom the probe reached, by the sender's neighbour table and by what came in at the target. */
async function reachedBy(context: ProbeContext, { source, target }: Ends, sent: Sent, look: Look): Promise<Answerer> {
  const byPath = await whoAnswers(context, source, target, sent.path, look);
  return look === 'all' && byPath.is !== 'other' && sent.answerer?.is === 'other' ? sent.answerer : byPath;
}

/** Something answered as the target, with a yes or a no. */
const spokeAsTarget = ({ sighting, answeredBy }: Sent, { address }: ResolvedTarget): boolean =>
  sighting.saw === 'success' || (sighting.saw === 'failure' && (sighting.answered === true || answeredBy === address));

/** The verdict on a probe that was sent. Rejects only with NETRIG_HOST_UNKNOWN and NETRIG_SSH_*. */
export function judgeSent(context: ProbeContext, prober: Prober, ends: Ends, sent: Sent): Promise<Outcome> {
  const { source, target } = ends;
  const { sighting, path, answeredBy } = sent;
  const { service, fails } = prober;
  return judge({
    fails,
    sighting,
    success: prober.success(target.address),
    reached: (look) => reachedBy(context, ends, sent, look),
    controls: (cause) =>
      networkControls({
        context,
        source,
        target,
        cause,
        answeredBy,
        path,
        author: prober.author,
        ...(prober.hint === undefined ? {} : { hint: prober.hint }),
        many: prober.diagnosed === 'never',
        service,
        needsTarget: prober.needsTarget ?? false,
        followed: () => diagnoseNow(context, requestOf(prober, ends, sent, cause)),
        send: prober.control ?? (async (a, b) => (await prober.send(a, b)).sighting),
      }),
    diagnose: async (cause) =>
      prober.diagnosed === 'never'
        ? null
        : ((cause === 'wrong-answer' ? null : onPurpose(context, ends)) ??
          (await explain(context, prober, ends, sent, cause))),
    onPurpose: () =>
      prober.diagnosed === 'never'
        ? null
        : (onPurpose(context, ends, fails, sighting.saw === 'failure' ? sighting.cause : null) ??
          faultsBesides(context, ends)),
  });
}

const noMoreKnown = { rootCause: null, way: [], back: [], unlooked: [] };

/**
 * Whether a probe came to one of two causes and only the other one was asked for, where both are the same fault: who has just
 * spoken with the next hop sends to it in vain; who has not learns that nobody answers for it.
 */
function neighbourDecides(fails: readonly ProbeCause[], seen: Cause): boolean {
  const others: Partial<Record<Cause, ProbeCause>> = { timeout: 'host-unreachable', 'host-unreachable': 'timeout' };
  const other = others[seen];
  return other !== undefined && fails.includes(other) && !fails.some((cause) => cause === seen);
}

/** What a step of the scenario broke between the ends needs no looking for. `fails` and `seen`: for what a probe must fail, and what it came to. */
function onPurpose(
  context: ProbeContext,
  { source, target }: Ends,
  fails: Prober['fails'] = null,
  seen: Cause | null = null,
): Diagnosis | null {
  const { planted = () => [], plan } = context;
  const to = target.owner?.host.name ?? plannedOwner(plan, target.address);
  const why = to === null ? null : keptApart(plan, planted(), source.host.name, to);
  if (why === null) return null;
  const either = fails !== null && seen !== null && neighbourDecides(fails, seen);
  return {
    ...noMoreKnown,
    ...brokenBySteps('the way', why),
    mend: either
      ? '`fails: [host-unreachable, timeout]`: which of the two it is depends on whether the next hop’s MAC address is still known'
      : 'put a `heal:` step before the check',
  };
}

/** Faults that steps put in and that do not keep the ends apart for certain: they may be why it fails, and need not. */
function faultsBesides({ planted = () => [] }: ProbeContext, { source, target }: Ends): Diagnosis | null {
  const faults = planted();
  if (faults.length === 0) return null;
  const left = target.owner === null ? '' : `, which leaves a way from ${source.label} to ${target.label}`;
  const told = brokenBySteps('something', faults.map(faultText));
  return {
    ...noMoreKnown,
    ...told,
    sentence: `${told.sentence}${left}`,
    mend: 'a `control:` that shows what the check is about, or a `heal:` step before it',
  };
}

/** Why the probe came to what it came to; see `diagnose`. */
export function explain(
  context: ProbeContext,
  prober: Prober,
  ends: Ends,
  sent: Sent,
  cause: Cause,
): Promise<Diagnosis | null> {
  return diagnose(context, requestOf(prober, ends, sent, cause));
}

function requestOf(
  { service, fromPort, size, df }: Prober,
  { source, target }: Ends,
  { path, answeredBy, connectedFrom }: Sent,
  cause: Cause,
): PacketRequest {
  return {
    source,
    target,
    proto: service.proto,
    ...(service.port === null ? {} : { port: service.port }),
    ...(fromPort === undefined ? {} : { fromPort }),
    ...(connectedFrom === undefined ? {} : { connectedFrom }),
    ...(size === undefined ? {} : { size }),
    ...(df === undefined ? {} : { df }),
    cause,
    answeredBy,
    path,
  };
}

/** A command is ended by its attempt's clock a little before that clock is read here, ms. */
const nearlyOverMs = 50;

/**
 * For a probe that must succeed and was ended before its own wait was over, because its attempt had less time than that: no
 * success came within the time there was. (For one that must fail it proves nothing: the answer may have been on its way.)
 */
function outOfTime(context: ProbeContext, prober: Prober, sent: Sent, leftMs: number): string | null {
  const clipped = leftMs < prober.waitMs && context.timeLeftMs() < nearlyOverMs;
  if (prober.fails !== null || sent.sighting.saw !== 'nothing' || !clipped) return null;
  return `${sent.sighting.text}; nothing had come by then`;
}

/** The ends of a check, as scenarios write them. */
export interface EndsSpec {
  from: string;
  to: string;
  via?: string | undefined;
  family?: 4 | 6 | undefined;
}

/** What was found at the ends of a check, and what the probe between them came to. */
export interface Attempt {
  source: Vantage;
  target: ResolvedTarget;
  sent: Sent;
}

type Settle = (attempt: Attempt) => Promise<Outcome | null> | Outcome | null;

/** Why the answer is not the one that is meant, where it may be by what is tracked of packets that went before. */
async function withContent(
  context: ProbeContext,
  prober: Prober,
  { source, target, sent }: Attempt,
  own: Outcome,
): Promise<Outcome> {
  if (own.cause !== 'wrong-answer' || prober.fromPort === undefined) return own;
  const request = requestOf(prober, { source, target }, sent, own.cause);
  return withDiagnosis(own, await diagnose(context, { ...request, content: true }));
}

/** What the kind makes of the answer, which says nothing of the target where another one gave it. */
async function settled(context: ProbeContext, prober: Prober, attempt: Attempt, settle: Settle): Promise<Outcome> {
  const own = await settle(attempt);
  const stranger = attempt.sent.answerer?.is === 'other';
  if (own !== null && own.verdict !== 'pass' && !stranger) return withContent(context, prober, attempt, own);
  const judged = await judgeSent(context, prober, attempt, attempt.sent);
  if (own !== null && own.verdict !== 'pass') return judged.cause === 'wrong-answer' ? judged : own;
  return own !== null && judged.verdict === 'pass' ? own : judged;
}

/**
 * One attempt of a connectivity kind, from its two ends to its verdict: finds the source, resolves the target from there, sends,
 * and judges. `settle` may decide first by what was seen (`null`: it does not); what it lets pass the target must have answered itself. Rejects only with NETRIG_HOST_UNKNOWN and NETRIG_SSH_*.
 */
export async function attemptBetween(
  context: ProbeContext,
  spec: EndsSpec,
  prober: Prober,
  settle: Settle = () => null,
): Promise<Outcome> {
  const from = parseEndpoint(spec.from, context.plan);
  if (!isVantage(from)) return inconclusive(`${spec.from} is no place a probe can start from`);
  const ends = await resolveProbe(context, from, parseEndpoint(spec.to, context.plan), {
    via: spec.via,
    family: spec.family,
  });
  const success = prober.success(spec.to);
  switch (ends.state) {
    case 'unknown':
      return inconclusive(ends.reason);
    case 'unresolved': {
      const { source, failure } = ends;
      return judge({
        fails: prober.fails,
        sighting: { saw: 'failure', cause: failure.cause, text: failure.reason },
        success,
        controls: async () => [
          await stackAlive(context, source),
          await failedQuestionControl(context, source, {
            name: spec.to,
            type: spec.family === 6 ? 'AAAA' : 'A',
            cause: failure.cause,
            server: failure.server,
            replied: failure.replied,
          }),
        ],
        diagnose: (cause) =>
          diagnose(context, {
            source,
            name: spec.to,
            server: failure.server,
            replied: failure.replied,
            cause,
          }),
      });
    }
    case 'absent':
      return prober.fails === null
        ? fail(ends.cause, ends.reason, { expected: success, actual: ends.cause })
        : inconclusive(`${ends.reason}, so nothing could be proven about reaching it`);
    case 'found': {
      const { source, target } = ends;
      const leftMs = context.timeLeftMs();
      const isOwn = await watchTarget(context, source, target, prober.service.proto);
      const answer = await sendUnlimited(context, {
        host: source.host.name,
        proto: prober.service.proto,
        mustFail: prober.fails !== null,
        waitMs: prober.waitMs,
        send: () => prober.send(source, target),
      });
      const sent = spokeAsTarget(answer, target) ? { ...answer, answerer: await isOwn() } : answer;
      await context.probeOver?.();
      const tooLate = outOfTime(context, prober, sent, leftMs);
      if (tooLate) return fail('timeout', tooLate, { expected: success, actual: 'timeout' });
      const outcome = await settled(context, prober, { source, target, sent }, settle);
      const command = outcome.verdict === 'pass' ? null : (prober.again?.(source, target) ?? null);
      return command === null ? outcome : { ...outcome, again: { on: source.label, command } };
    }
  }
}
