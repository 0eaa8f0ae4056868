import { relative, resolve } from 'node:path';
import {
  classDirectory,
  editedSince,
  giveNewLink,
  holderOf,
  recordedGrades,
  startClass,
  stopClass,
} from '../../classroom/class.js';
import { loadClass, type ClassFile } from '../../classroom/class-file.js';
import { writeGrades } from '../../classroom/grade-files.js';
import { gradeClass } from '../../classroom/grades.js';
import { believedOf } from '../../exercise/believed.js';
import { believedLine } from '../../exercise/proof-page.js';
import { rehearse as rehearseClass, type Rehearsal } from '../../classroom/rehearse.js';
import { overWords } from '../../classroom/timing.js';
import { NetrigError } from '../../errors.js';
import { formatDuration } from '../../model/duration.js';
import { netrigVersion } from '../../model/version.js';
import { formatSize } from '../../model/size.js';
import { exitStatus } from '../../model/verdict.js';
import { onInterrupt } from '../../run/interrupt.js';
import { err, note, out, print, printJson, tell } from '../terminal.js';

/** What the server says when it is told to end. `netrig class stop` ends it by SIGTERM, and takes away the labs itself. */
export function endingWords(signal: string): string {
  return signal === 'SIGTERM'
    ? 'the server of the class ends'
    : 'the server of the class ends; its labs and terminals stay until `netrig class stop`';
}

/** `netrig class start`: holds the class until Ctrl-C or `netrig class stop`. */
export async function start(file: string, flags: { newLinks?: boolean }): Promise<number> {
  const interrupt = onInterrupt((signal) => note(endingWords(signal)));
  const started = await startClass(loadClass(file), {
    newLinks: flags.newLinks ?? false,
    version: netrigVersion,
    warn: (text) => note(text),
  });
  print`${started.url}`;
  for (const { settings, example } of started.room.exercises.values()) {
    const over = overWords(settings, Date.now());
    if (over !== null) tell`${err.yellow(over)}`;
    for (const one of believedOf(example))
      tell`${err.yellow(believedLine({ file: relative(process.cwd(), settings.file) }, one))}`;
  }
  const { room } = started;
  for (const one of editedSince({ state: room.book.state, exercises: [...room.exercises.values()] }))
    tell`${err.yellow(one)}`;
  for (const { name, role, code } of started.links) if (role === 'teacher') tell`${name}: ${started.url}/join#${code}`;
  if (started.linksFile !== null) tell`${err.dim('the links of all, nowhere else:')} ${started.linksFile}`;
  tell`${err.dim(`Ctrl-C ends the server; netrig class stop ${file} ends the class`)}`;
  if (!interrupt.signal.aborted)
    await new Promise<void>((done) => interrupt.signal.addEventListener('abort', () => done(), { once: true }));
  await started.end();
  interrupt.dispose();
  return exitStatus.passed;
}

interface Status {
  class: string;
  url: string | null;
  running: boolean;
  students: number;
  joined: number;
  labs: number;
  handedIn: Record<string, number>;
  undecided: number;
}

function statusOf(file: ClassFile): Status {
  const holding = holderOf(classDirectory(file.name));
  const grading = recordedGrades(file);
  const { state } = grading;
  const graded = gradeClass(grading);
  return {
    class: file.name,
    url: holding?.url ?? null,
    running: holding !== null,
    students: file.students.length,
    joined: file.students.filter(({ id }) => state.persons.get(id)?.joined).length,
    labs: [...state.labs.values()].filter((lab) => lab.state === 'up').length,
    handedIn: Object.fromEntries(
      file.exercises.map(({ id }) => [
        id,
        graded.filter(({ exercise, best }) => exercise === id && best !== null).length,
      ]),
    ),
    undecided: graded.reduce((sum, { best }) => sum + (best?.undecided.length ?? 0), 0),
  };
}

/** `netrig class status`. */
export async function status(file: string, flags: { json?: boolean }): Promise<number> {
  const found = statusOf(loadClass(file));
  if (flags.json) printJson(found);
  else {
    print`${found.class}: ${found.running ? out.green(`runs at ${found.url ?? 'an address that it has not said yet'}`) : out.yellow('does not run')}`;
    print`${found.joined} of ${found.students} students came; labs that are up: ${found.labs}`;
    for (const [exercise, count] of Object.entries(found.handedIn)) print`${exercise}: handed in by ${count}`;
    if (found.undecided > 0) print`${out.yellow(`verdicts that wait for a person: ${found.undecided}`)}`;
  }
  return exitStatus.passed;
}

/** `netrig class link`: the link alone goes to stdout. */
export async function link(file: string, person: string): Promise<number> {
  const given = await giveNewLink(loadClass(file), person, { warn: (text) => note(text) });
  print`${given.url}/join#${given.link.code}`;
  tell`${err.dim(`the new link of ${given.link.name}; the one of before is good no more`)}`;
  return exitStatus.passed;
}

/** `netrig class stop`. */
export async function stop(file: string): Promise<number> {
  const grades = await stopClass(loadClass(file), { warn: (text) => note(text) });
  print`${grades}`;
  return exitStatus.passed;
}

/** `netrig class regrade`: from the record, with points and tasks as the files have them now. */
export async function regrade(file: string, flags: { output: string; json?: boolean }): Promise<number> {
  const grading = recordedGrades(loadClass(file));
  const directory = resolve(flags.output);
  writeGrades(directory, grading);
  for (const one of editedSince(grading)) tell`${err.yellow(one)}`;
  const graded = gradeClass(grading);
  if (flags.json) printJson(graded);
  else {
    const undecided = graded.reduce((sum, { best }) => sum + (best?.undecided.length ?? 0), 0);
    print`${directory}`;
    if (undecided > 0) tell`${err.yellow(`verdicts that wait for a person: ${undecided}, in undecided.csv`)}`;
  }
  return exitStatus.passed;
}

function showRehearsal(exercise: string, rehearsal: Rehearsal): void {
  const { students, memory, cpu } = rehearsal;
  const failed = students.filter(({ problem }) => problem !== null);
  const most = (pick: (one: (typeof students)[number]) => number): string =>
    formatDuration(Math.max(...students.map(pick)));
  print`${exercise}: ${students.length - failed.length} of ${students.length} students solved it and got all points`;
  for (const { student, problem } of failed) print`${out.red(`  ${student}: ${problem ?? ''}`)}`;
  print`  slowest start ${most(({ startMs }) => startMs)}, slowest solution ${most(({ solveMs }) => solveMs)}, longest wait for verdicts ${most(({ judgeMs }) => judgeMs)}`;
  print`  memory: ${formatSize(Math.round(memory.each))} a lab, ${formatSize(memory.least)} of ${formatSize(memory.total)} left at the least`;
  print`  processors: ${Math.round(cpu.busy * 100)} % busy on average; the labs took ${Math.round(cpu.idle * 1000) / 10} % of one while nobody did anything`;
  if (rehearsal.firstLimit) print`  first limit: ${rehearsal.firstLimit.what}, at ${rehearsal.firstLimit.at} students`;
}

/** `netrig class rehearse`: ends with 1 where a student did not get all points. */
export async function rehearse(
  file: string,
  flags: { students: number; exercise?: string; json?: boolean },
): Promise<number> {
  const loaded = loadClass(file);
  const exercises = loaded.exercises
    .map(({ id }) => id)
    .filter((id) => flags.exercise === undefined || id === flags.exercise);
  if (exercises.length === 0)
    throw new NetrigError('NETRIG_USAGE', `The class has no exercise "${flags.exercise ?? ''}".`, {
      hint: `It has ${loaded.exercises.map(({ id }) => id).join(', ')}.`,
    });
  const interrupt = onInterrupt(() => note('interrupted, taking the labs down'));
  const told: Record<string, Rehearsal> = {};
  for (const exercise of exercises) {
    if (interrupt.signal.aborted) break;
    told[exercise] = await rehearseClass(loaded, exercise, {
      students: flags.students,
      signal: interrupt.signal,
      warn: (text) => note(text),
      progress: (text) => note(text),
    });
    if (!flags.json) showRehearsal(exercise, told[exercise]);
  }
  interrupt.dispose();
  if (flags.json) printJson(told);
  if (interrupt.signal.aborted) return exitStatus.interrupted;
  return Object.values(told).every(({ students }) => students.every(({ problem }) => problem === null))
    ? exitStatus.passed
    : exitStatus.failed;
}
