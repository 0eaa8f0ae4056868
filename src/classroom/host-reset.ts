import { messageOf } from '../errors.js';
import type { Exercise } from '../exercise/exercise.js';
import { atStart } from '../exercise/views.js';
import type { StepItem } from '../scenario/scenario.js';
import { provisionHost } from '../session/provision.js';
import { Refusal } from './problem.js';
import { performOn } from './rounds.js';
import { exerciseFor, type Room } from './room.js';
import type { Work } from './state.js';
import { workKey, workOf } from './state.js';
import { stepsOf } from './work-view.js';

/** For one host, from its end until its set-up is done again, ms. */
const resetMs = 300_000;

/**
 * The steps that make a host again what it was: of those that made the lab, and of the set-up of stages that were reached since, what
 * is done on this host. Each is done there alone: the other hosts have it already.
 *
 * @param began The stage from which the lab was begun.
 * @param reached The stage whose set-up the lab has.
 */
export function stepsAgain(
  { scenario }: Exercise,
  host: string,
  { began, reached }: { began: string | null; reached: string | null },
): StepItem[] {
  const made = new Set(atStart(scenario, began).items.map(({ id }) => id));
  const since = new Set(atStart(scenario, reached ?? began).items.map(({ id }) => id));
  return scenario.items.flatMap((item) => {
    if (item.kind !== 'step' || item.last || item.type.ofLab === true || !item.on.includes(host)) return [];
    const wanted = made.has(item.id) || (item.role !== 'solution' && since.has(item.id));
    return wanted ? [{ ...item, on: [host] }] : [];
  });
}

/** What a host has again of what the file says of it: the declared state of its engine, then its steps. */
function exerciseAgain(exercise: Exercise, host: string, steps: readonly StepItem[]): Exercise {
  const { scenario } = exercise;
  const hosts = scenario.hosts.map((one) =>
    one.name === host ? one : { ...one, docker: { networks: {}, containers: {} } },
  );
  return { ...exercise, scenario: { ...scenario, hosts, items: [...steps] } };
}

/**
 * Makes one host of a person's lab anew. What is asked is written down at once, and done meanwhile.
 *
 * @throws Refusal
 */
export async function resetHost(room: Room, person: string, id: string, host: string): Promise<void> {
  const exercise = exerciseFor(room, id, person);
  const work = workOf(room.book.state, person, id);
  if (!room.resetsHosts)
    throw new Refusal('not-allowed', 'One host alone cannot be begun again here; begin the lab again.');
  if (!exercise.scenario.hosts.some(({ name }) => name === host))
    throw new Refusal('not-found', 'The lab has no such host.');
  if (work.lab === null || work.wanted !== null) throw new Refusal('not-now', 'There is no lab; start one.');
  if (work.resetting !== null) throw new Refusal('not-now', `${work.resetting} is being begun again; wait for it.`);
  if (room.stepping.has(workKey(person, id))) throw new Refusal('not-now', 'A step is being run; wait for it.');
  if ([...room.book.state.waiting].some((one) => one.person === person && one.exercise === id))
    throw new Refusal('not-now', 'The tasks are being looked at on this lab; wait for it.');
  await room.book.append({ type: 'host:resetting', person, exercise: id, key: work.lab, host });
  void doReset(room, person, id, work.lab, host);
}

/** Goes on with what was begun before this process was. */
export function resumeResets(room: Room): void {
  for (const { person, exercise, lab, resetting } of room.book.state.works.values())
    if (resetting !== null && lab !== null) void doReset(room, person, exercise, lab, resetting);
}

async function doReset(room: Room, person: string, id: string, key: string, host: string): Promise<void> {
  const exercise = exerciseFor(room, id, person);
  let failed: string | null;
  try {
    failed = await makeAgain(room, exercise, workOf(room.book.state, person, id), key, host);
  } catch (error) {
    failed = messageOf(error);
  }
  // A class that ends leaves it to the next one.
  if (room.ending.aborted) return;
  const { lab, wanted } = workOf(room.book.state, person, id);
  // With a lab that is ended meanwhile its hosts go, and nothing has failed.
  if (failed !== null && lab === key && wanted === null) room.warn(`${host} of ${person}: ${failed}`);
  const steps = stepsOf(exercise)
    .filter(({ on }) => on.includes(host))
    .map((step) => step.id);
  await room.book.append({ type: 'host:reset', person, exercise: id, key, host, steps, failed });
}

/** Resolves to why its set-up failed; `null`: the host is as it was. */
async function makeAgain(
  room: Room,
  exercise: Exercise,
  work: Work,
  key: string,
  host: string,
): Promise<string | null> {
  const signal = AbortSignal.any([room.ending, AbortSignal.timeout(resetMs)]);
  const lab = await room.pool.running(key);
  if (!lab.resetHost) throw new Error('this lab cannot begin one host again');
  await lab.resetHost(host, signal);
  const session = await room.places.session(key);
  await provisionHost(
    session,
    lab.plan.hosts.find(({ name }) => name === host)!,
    signal,
  );
  const began = room.book.state.labs.get(key)?.stage ?? null;
  const steps = stepsAgain(exercise, host, { began, reached: work.stage });
  const outcomes = await performOn(lab, exerciseAgain(exercise, host, steps), () => true, {
    directory: room.casts,
    signal,
    session,
    declared: true,
  });
  const bad = [...outcomes.values()].find(({ outcome }) => outcome.verdict !== 'pass');
  return bad ? `the set-up failed: ${bad.outcome.reason}` : null;
}
