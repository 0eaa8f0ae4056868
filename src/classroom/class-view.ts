import type { ClassView, GradesView, StudentRow, UndecidedView } from './api.js';
import { gradeClass, pointsNow, pointsSeen, wasGiven, type GradingOptions } from './grades.js';
import { othersValuesOf } from './others-values.js';
import { exerciseFor, type Room } from './room.js';
import type { Work } from './state.js';
import { workOf } from './state.js';
import { closesAt } from './timing.js';
import { handInView, harmless } from './views.js';
import { helpView, summaryOf, terminalsOf } from './work-view.js';

export function gradingOf(room: Room): GradingOptions {
  return { state: room.book.state, students: room.students, exercises: [...room.exercises.values()] };
}

function labState(room: Room, work: Work): StudentRow['work'][number]['lab'] {
  if (work.wanted) return room.pool.place(work) ? 'queued' : 'starting';
  if (work.lab !== null) return 'up';
  return work.failed === null ? 'none' : 'failed';
}

function troubleOf({ wanted, lab, failed, resetFailed }: Work): string | null {
  if (lab !== null)
    return resetFailed && harmless(`${resetFailed.host} began again, and is not as it was: ${resetFailed.message}`);
  return wanted !== null || failed === null ? null : harmless(`There is no lab: ${failed}`);
}

function stuckMs(work: Work, done: boolean, now: number): number | null {
  if (work.progressAt === null || done || work.lab === null) return null;
  return Math.max(0, now - Date.parse(work.progressAt));
}

function rowWork(room: Room, person: string, id: string, now: number): StudentRow['work'][number] {
  const { book } = room;
  const { settings } = room.exercises.get(id)!;
  const exercise = exerciseFor(room, id, person);
  const work = workOf(book.state, person, id);
  const closes = closesAt(book.state, work, settings, exercise.timeMs);
  const seen = pointsSeen(exercise, work);
  const nameOf = (student: string): string => harmless(book.state.persons.get(student)?.name ?? student);
  return {
    exercise: id,
    lab: labState(room, work),
    begun: work.startedAt !== null || work.help !== null,
    resetting: work.resetting,
    trouble: troubleOf(work),
    places: terminalsOf(room, exercise, work),
    closesAt: closes === null ? null : new Date(closes).toISOString(),
    handedIn: handInView(book.state, work, exercise, settings),
    help: helpView(room, work),
    stuckMs: stuckMs(work, seen >= exercise.points, now),
    points: pointsNow(book.state, work, exercise, settings),
    of: exercise.points,
    tasks: Object.fromEntries(
      exercise.checks.map((check) => {
        const progress = work.tasks[check.id];
        return [
          check.id,
          {
            verdict: progress?.verdict ?? 'open',
            given: progress?.verdict === 'pass' && wasGiven(exercise, check, work),
            since: progress?.since ?? null,
            tries: progress?.tries ?? 0,
            hints: work.hints[check.id]?.length ?? 0,
            reason: progress && progress.verdict !== 'pass' ? harmless(progress.last.reason) : null,
          },
        ];
      }),
    ),
    others: othersValuesOf(book.state, work, room.exercises.get(id)!).map((one) => ({
      value: one.value,
      parameter: one.parameter,
      student: { id: one.student, name: nameOf(one.student) },
      where: harmless(one.where),
      text: harmless(one.text),
      at: one.at,
    })),
  };
}

function undecidedOf(room: Room): UndecidedView[] {
  return gradeClass(gradingOf(room)).flatMap(({ person, exercise, handIns, doubts }) =>
    doubts.map(({ handIn: { round, at }, nth, task: { task, title, reason }, about }) => ({
      id: `${round}:${task}`,
      person: { id: person, name: harmless(room.book.state.persons.get(person)?.name ?? person) },
      exercise,
      task,
      title,
      at,
      nth,
      of: handIns,
      reason: harmless(reason),
      about: harmless(about),
    })),
  );
}

/** The whole class, for its teachers: hidden tasks too. */
export function classView(room: Room, teacher: string): ClassView {
  const now = Date.now();
  const { state } = room.book;
  const ids = [...room.exercises.keys()];
  return {
    title: room.title,
    now: new Date(now).toISOString(),
    version: state.n,
    exercises: ids.map((id) => ({
      ...summaryOf(room, id, teacher),
      tasks: room.exercises.get(id)!.example.checks.map(({ id: task, title, points, stage, guard, shown }) => ({
        id: task,
        title,
        points,
        stage,
        guard,
        hidden: shown !== 'always',
      })),
      hosts: room.resetsHosts ? room.exercises.get(id)!.example.scenario.hosts.map(({ name }) => name) : [],
    })),
    students: room.students.map(({ id, name }) => ({
      person: { id, name: harmless(name) },
      joined: state.persons.get(id)?.joined ?? false,
      online: (room.online.get(id) ?? 0) > 0,
      work: ids.map((exercise) => rowWork(room, id, exercise, now)),
    })),
    labs: { ...room.pool.counts(), stalled: room.pool.stalled() },
    undecided: undecidedOf(room),
  };
}

export function gradesView(room: Room): GradesView {
  const graded = gradeClass(gradingOf(room));
  return {
    exercises: [...room.exercises.values()].map(({ settings, example }) => ({
      id: settings.id,
      title: example.title,
      of: example.points,
    })),
    rows: room.students.map(({ id, name }) => ({
      person: { id, name: harmless(name) },
      exercises: Object.fromEntries(
        graded
          .filter(({ person }) => person === id)
          .map(({ exercise, best, of, doubts }) => [
            exercise,
            {
              points: best?.points ?? 0,
              of,
              undecided: doubts.length,
              handedInAt: best?.at ?? null,
              late: best?.late ?? false,
            },
          ]),
      ),
    })),
  };
}
