import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { notSeenBefore } from './grades.js';
import { Refusal } from './problem.js';
import { exerciseFor, type Room } from './room.js';
import { workKey, workOf, type Round } from './state.js';

/** How long whoever goes to a later stage waits for the look at what they did, ms. */
const lookMs = 45_000;

/** The last look of each work, which may have taken longer than anybody waited. */
const looks = new WeakMap<Room, Map<string, { lab: string; round: string }>>();

/**
 * Looks at what a lab has before it is given up for one that begins at a later stage: what is done on it, and was never seen, would
 * give no points any more. Hidden tasks are looked at, too.
 *
 * @param waitMs How long is waited.
 * @throws Refusal where it is not over by then; the next time it is not done anew.
 */
export async function lookBeforeJump(
  room: Room,
  person: string,
  id: string,
  stage: string,
  waitMs = lookMs,
): Promise<void> {
  const { state } = room.book;
  const work = workOf(state, person, id);
  if (room.solo || work.lab === null || work.resetting !== null) return;
  const { lab } = work;
  const under = looks.get(room) ?? new Map<string, { lab: string; round: string }>();
  looks.set(room, under);
  const before = under.get(workKey(person, id));
  let round = before?.lab === lab ? state.rounds.get(before.round) : undefined;
  if (round === undefined) {
    const begun = state.labs.get(lab)?.stage ?? null;
    const tasks = notSeenBefore(exerciseFor(room, id, person), work, begun, stage);
    if (tasks.length === 0) return;
    const key = randomUUID();
    await room.book.append({ type: 'round:asked', round: key, person, exercise: id, kind: 'try', tasks });
    round = state.rounds.get(key)!;
    under.set(workKey(person, id), { lab, round: key });
  }
  await over(round, waitMs, room.ending);
  under.delete(workKey(person, id));
}

async function over(round: Round, waitMs: number, signal: AbortSignal): Promise<void> {
  const end = performance.now() + waitMs;
  while (round.state === 'waiting') {
    if (signal.aborted || performance.now() > end)
      throw new Refusal(
        'not-now',
        'What you did is still being looked at, so that it counts; your lab is as it was. Go to the stage once that is over.',
      );
    await delay(Math.min(50, waitMs));
  }
}
