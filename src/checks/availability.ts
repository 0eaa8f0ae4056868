import { z } from 'zod';
import { zAddressOn } from '../judging/expectation.js';
import { fail, inconclusive } from '../judging/outcome.js';
import { describeFault, faultOf, partsOfFault, zFaultForAWhile } from '../language/fault.js';
import { zDuration, zEndpoint, zTarget } from '../language/fields.js';
import { formatDuration } from '../model/duration.js';
import type { Measure, Outcome } from '../model/verdict.js';
import type { ProbeContext } from '../places/context.js';
import { isVantage, parseEndpoint } from '../places/endpoint.js';
import type { Vantage } from '../places/vantage.js';
import { beside } from '../places/vantage.js';
import { gapsIn, readAnswer, type Answer, type Gap } from '../probes/answer-times.js';
import { resolveProbe } from '../probes/probe-ends.js';
import type { ResolvedTarget } from '../probes/target.js';
import { watchTarget } from '../judging/own-answer.js';
import type { OwnAnswer } from '../judging/own-answer.js';
import { strangerAt } from '../reaching/stranger.js';
import { defineCheck } from './kind.js';

/** Time between two requests, ms. */
const intervalMs = 50;
/** Answers before anything is broken: so that it is known what there is to lose. */
const firstAnswers = 5;
/** How long they may take to come, ms. */
const firstMs = 3000;
/** How long it is watched once a fault is healed, ms: mending costs answers, too. */
const afterMs = 2000;
/** The same of a host that was off: its programs begin only then, and may take over again what went well without them. */
const afterBootMs = 10_000;
/** How often it is looked whether a time is over, ms. */
const lookMs = 25;
const defaultWatchMs = 10_000;

const schema = z
  .strictObject({
    from: zEndpoint.describe('Where the echo requests are sent from, one every 50 ms.'),
    to: zTarget.describe('Where they go. A name is resolved from inside the source.'),
    'address-on': zAddressOn.optional(),
    family: z
      .union([z.literal(4), z.literal(6)])
      .optional()
      .describe('IP version for endpoints and names; 4 by default.'),
    during: zFaultForAWhile
      .optional()
      .describe(
        'A fault that is put in once answers come, as in a `fault:` step, and healed after `for`. Without it, only what is going on already is watched.',
      ),
    lasts: zDuration
      .optional()
      .describe(
        'How long is watched where there is no `during`; default 10s. With it, `for` and `after` say how long.',
      ),
    after: zDuration
      .optional()
      .describe(
        'How long is watched once the fault of `during` is healed, for what goes wrong only when all is as before: a router that takes over again before it has its routes, a port of a bridge that learns first. Default 2s; 10s after `poweroff` and `restart`, counted from when the host is up.',
      ),
    'loses-at-most': zDuration.describe('The longest time without an answer that will do.'),
  })
  .refine((spec) => spec.during === undefined || spec.lasts === undefined, {
    error: '`during` says how long is watched: leave `lasts` out',
    path: ['lasts'],
  })
  .refine((spec) => spec.during !== undefined || spec.after === undefined, {
    error: 'nothing is healed without `during`: `lasts` says how long is watched',
    path: ['after'],
  })
  .transform(({ 'address-on': via, 'loses-at-most': atMost, ...rest }) => ({ ...rest, via, atMost }));
type AvailabilitySpec = z.output<typeof schema>;

/** The stream of requests, and what has come of it so far. */
interface Stream {
  answers: Answer[];
  /** When the last answer was heard, by this process's clock, ms. */
  heardAt: number;
  /** Why it ended by itself; `null` while it goes on. */
  ended: string | null;
  stop(): Promise<void>;
}

function startStream(context: ProbeContext, source: Vantage, { address }: ResolvedTarget): Stream {
  const from = beside(source);
  const argv = ['env', 'LC_ALL=C', 'ping', '-n', '-D', '-i', String(intervalMs / 1000), address];
  const stream: Stream = { answers: [], heardAt: performance.now(), ended: null, stop: async () => undefined };
  let rest = '';
  const process = from.host.spawn(from.enter(argv), {
    signal: context.signal,
    onOutput: (which, chunk) => {
      if (which !== 'stdout') return;
      const lines = (rest + chunk.toString('utf8')).split('\n');
      rest = lines.pop()!;
      const answers = lines.flatMap((line) => readAnswer(line, address) ?? []);
      if (answers.length === 0) return;
      stream.answers.push(...answers);
      stream.heardAt = performance.now();
    },
  });
  const over = process.done.then(
    ({ exitCode, stderr }) => {
      stream.ended = stderr.trim().split('\n').at(-1) || `its ping ended with status ${exitCode}`;
    },
    (error: unknown) => {
      stream.ended = String(error);
    },
  );
  stream.stop = async () => {
    await process.kill('INT');
    await over;
  };
  return stream;
}

/** Waits until something is so, or `ms` have passed, or the stream or the attempt is over. Answers whether it is so. */
async function until(context: ProbeContext, stream: Stream, ms: number, isSo: () => boolean): Promise<boolean> {
  const end = performance.now() + ms;
  while (!isSo() && stream.ended === null && !context.signal.aborted && performance.now() < end)
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  return isSo();
}

/** Everything between the first answers and the last: `null`, or why it could not be done. */
async function watch(spec: AvailabilitySpec, context: ProbeContext, stream: Stream): Promise<Outcome | null> {
  const never = (): boolean => false;
  const { during } = spec;
  if (during === undefined) {
    await until(context, stream, spec.lasts ?? defaultWatchMs, never);
    return null;
  }
  if (!context.breaker) return { verdict: 'skipped', reason: 'No fault can be put in here.' };
  const planted = await context.breaker.plantForAWhile(faultOf(during, context.plan), during.flap?.every ?? null);
  if ('verdict' in planted) return planted;
  try {
    await until(context, stream, during.for ?? 0, never);
  } finally {
    await planted.heal();
  }
  const boots = during.poweroff !== undefined || during.restart !== undefined;
  await until(context, stream, spec.after ?? (boots ? afterBootMs : afterMs), never);
  return null;
}

const seconds = (ms: number): string => formatDuration(Math.round(ms));

/** The verdict on what was seen. `openMs`: how long no answer had come when it was over. Exported for tests. */
export function judgeAvailability(
  answers: readonly Answer[],
  openMs: number,
  { source, target, atMost }: { source: string; target: string; atMost: number },
): Outcome {
  const gaps = gapsIn(answers, intervalMs);
  const longest: Gap | undefined = gaps[0];
  const last = answers.at(-1)?.sequence ?? 0;
  const lost = Math.max(0, last - new Set(answers.map(({ sequence }) => sequence)).size);
  const measures: Measure[] = [
    { name: 'longest gap', value: Math.round(Math.max(longest?.lasted ?? 0, openMs)), unit: 'ms', judged: true },
    { name: 'answers', value: answers.length, unit: 'count' },
    { name: 'lost', value: lost, unit: 'count' },
  ];
  const expected = `no more than ${seconds(atMost)} without an answer of ${target}`;
  if (openMs > atMost)
    return fail('timeout', `${target} no longer answers ${source}: nothing came in the last ${seconds(openMs)}`, {
      expected,
      actual: `${seconds(openMs)} and more`,
      measures,
    });
  if (longest === undefined)
    return { verdict: 'pass', reason: `${target} answered ${source} all the time, ${answers.length} times`, measures };
  const others = gaps.length > 1 ? `, the longest of ${gaps.length} gaps` : '';
  const seen = `${target} did not answer ${source} for ${seconds(longest.lasted)}${others}`;
  if (longest.lasted <= atMost) return { verdict: 'pass', reason: seen, expected, measures };
  // Gaps that were the network's doing for as long as they must not be.
  const certain = gaps.find((gap) => gap.atLeast > atMost);
  if (certain) return fail('timeout', seen, { expected, actual: seconds(certain.lasted), measures });
  return {
    ...inconclusive(
      `${seen}, but for ${seconds(longest.lasted - longest.atLeast)} of that nothing was sent: ${source} was late itself`,
    ),
    expected,
    measures,
  };
}

/** The verdict where somebody else answers at the target's address; see `strangerAt`. */
function another(
  context: ProbeContext,
  { source, target }: { source: Vantage; target: ResolvedTarget },
  isOwn: OwnAnswer,
): Promise<Outcome | null> {
  return strangerAt(context, source, target, `answers of ${target.label}`, isOwn, {
    source,
    target,
    proto: 'icmp',
    cause: 'wrong-answer',
    answeredBy: null,
    path: null,
  });
}

/** The same of the answers that come now: of some, so that what was on its way already does not count. */
async function answersLater(
  context: ProbeContext,
  stream: Stream,
  ends: { source: Vantage; target: ResolvedTarget },
): Promise<Outcome | null> {
  const isOwn = await watchTarget(context, ends.source, ends.target, 'icmp');
  const heard = stream.answers.length;
  const some = await until(context, stream, firstMs, () => stream.answers.length >= heard + firstAnswers);
  return another(context, ends, some ? isOwn : () => Promise.resolve({ is: 'target' }));
}

async function attempt(spec: AvailabilitySpec, context: ProbeContext): Promise<Outcome> {
  const from = parseEndpoint(spec.from, context.plan);
  if (!isVantage(from)) return inconclusive(`${spec.from} is no place a probe can start from`);
  const ends = await resolveProbe(context, from, parseEndpoint(spec.to, context.plan), {
    via: spec.via,
    family: spec.family,
  });
  if (ends.state === 'unknown') return inconclusive(ends.reason);
  if (ends.state === 'absent') return fail(ends.cause, ends.reason);
  if (ends.state === 'unresolved') return fail(ends.failure.cause, ends.failure.reason);
  const { source, target } = ends;
  const isOwn = await watchTarget(context, source, target, 'icmp');
  const stream = startStream(context, source, target);
  let openMs = 0;
  try {
    const begun = await until(context, stream, firstMs, () => stream.answers.length >= firstAnswers);
    if (!begun && stream.ended === null)
      return fail('timeout', `${target.label} did not answer ${source.label} before anything was broken`, {
        expected: `an answer of ${target.label}`,
      });
    // Once more when all is over: who took the address over in between answers just as well.
    const stranger = begun ? await another(context, { source, target }, isOwn) : null;
    if (stranger) return stranger;
    const hindered = stream.ended === null ? await watch(spec, context, stream) : null;
    if (hindered) return hindered;
    // A gap that is open at the end is watched until it is over, or longer than it may be.
    await until(
      context,
      stream,
      spec.atMost + 2 * intervalMs,
      () => performance.now() - stream.heardAt < 2 * intervalMs,
    );
    openMs = performance.now() - stream.heardAt;
    const successor = openMs < 2 * intervalMs ? await answersLater(context, stream, { source, target }) : null;
    if (successor) return successor;
    if (stream.ended !== null) return inconclusive(`the requests of ${source.label} ended early: ${stream.ended}`);
  } finally {
    await stream.stop();
  }
  if (context.signal.aborted || context.timeLeftMs() <= 1)
    return inconclusive('the time of the attempt was over before all was seen: give it a longer `timeout`');
  const open = openMs < 2 * intervalMs ? 0 : openMs - intervalMs;
  return judgeAvailability(stream.answers, open, {
    source: source.label,
    target: target.label,
    atMost: spec.atMost,
  });
}

/** Kind `availability`: see `judgeAvailability`. */
export const availabilityCheck = defineCheck<AvailabilitySpec>({
  name: 'availability',
  summary:
    'While something breaks, a target goes on answering: an echo request is sent every 50 ms, and no time without an answer is longer than allowed. The longest is in the reports.',
  example: `- check: the loss of r2 costs the client less than three seconds
  availability:
    from: client
    to: server
    during: { poweroff: r2, for: 10s }
    loses-at-most: 3s`,
  schema: schema as z.ZodType<AvailabilitySpec>,
  timeoutMs: 120_000,
  mayChange: ({ during }) => (during === undefined ? null : 'a fault changes the lab'),
  repeatable: ({ during }) => during === undefined,
  endpoints: (spec) => [
    { endpoint: spec.from, path: ['from'], role: 'vantage' },
    { endpoint: spec.to, path: ['to'], role: 'target' },
  ],
  parts: ({ during }) => (during === undefined ? [] : partsOfFault(during, ['during'])),
  describe: (spec) =>
    `${spec.to} answers ${spec.from} with no gap longer than ${formatDuration(spec.atMost)}${spec.during === undefined ? '' : ` while ${describeFault(spec.during)}`}${spec.after === undefined ? '' : ` and for ${formatDuration(spec.after)} after that`}`,
  run: attempt,
});
