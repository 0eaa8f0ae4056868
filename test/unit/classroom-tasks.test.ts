import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { classDirectory, editedSince, recordedGrades } from '../../src/classroom/class.js';
import { loadClass } from '../../src/classroom/class-file.js';
import { recordName } from '../../src/classroom/classroom.js';
import { readCsv } from '../../src/classroom/csv.js';
import type { ClassEventBody } from '../../src/classroom/events.js';
import { gradeClass, longCsv } from '../../src/classroom/grades.js';
import { knownTasks, matchTasks, type KnownTask } from '../../src/classroom/tasks.js';
import { exerciseOf } from '../../src/exercise/exercise.js';
import type { Verdict } from '../../src/model/verdict.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { lab } from './scenario-fixtures.js';

const solve = '  - { on: node1, role: solution, run: "ip route add blackhole 192.0.2.0/24" }\n';
const more = '  - { step: Something more, on: node1, run: "true" }\n';
const task = {
  one: '  - { check: One, points: 4, ping: { from: node1, to: node2 } }\n',
  two: '  - { check: Two, points: 2, ping: { from: node2, to: node1 } }\n',
  three: '  - { check: Three, points: 1, port: { from: node1, to: node2, port: 80 } }\n',
};
const file = (...steps: string[]): string => lab(steps.join(''), 'exercise: { text: Mend it. }\n');
const exerciseIn = (text: string) => exerciseOf(loadScenarioText(text, '/labs/lab.yaml').scenarios[0]!)!;

const original = file(solve, task.one, task.two);

/** A class on the disk: its file, its exercise, and a record of one hand-in, in which the first task held and the second did not. */
class Recorded {
  readonly base = mkdtempSync(join(tmpdir(), 'ntrt-'));
  private readonly before = process.env['XDG_STATE_HOME'];

  constructor(titles: boolean) {
    process.env['XDG_STATE_HOME'] = this.base;
    writeFileSync(join(this.base, 'roster.csv'), 'id,name\nada,Ada\n');
    writeFileSync(join(this.base, 'class.yaml'), 'class: t\nroster: roster.csv\nexercises: [{ file: x.yaml }]\n');
    this.edit(original);
    const { checks } = exerciseIn(original);
    const ids = checks.map(({ id }) => id);
    const judged = (verdict: Verdict) => ({ verdict, reason: `as seen: ${verdict}`, durationMs: 1 });
    this.write([
      { type: 'class:started', class: 't', netrig: '0.1.0', pid: 1 },
      ...(titles ? [this.tasks(original)] : []),
      { type: 'round:asked', round: 'r1', person: 'ada', exercise: 'x', kind: 'hand-in', tasks: ids },
      { type: 'round:judged', round: 'r1', results: { [ids[0]!]: judged('pass'), [ids[1]!]: judged('fail') } },
    ]);
  }

  private events: ClassEventBody[] = [];

  tasks(text: string): ClassEventBody {
    return { type: 'exercise:tasks', exercise: 'x', tasks: knownTasks(exerciseIn(text)) };
  }

  write(events: ClassEventBody[]): void {
    this.events.push(...events);
    const directory = classDirectory('t');
    mkdirSync(directory, { recursive: true });
    const lines = this.events.map((event, at) =>
      JSON.stringify({ v: 1, n: at + 1, t: '2026-01-01T00:00:00.000Z', ...event }),
    );
    writeFileSync(join(directory, recordName), `${lines.join('\n')}\n`);
  }

  edit(text: string): void {
    writeFileSync(join(this.base, 'x.yaml'), text);
  }

  grades() {
    const grading = recordedGrades(loadClass(join(this.base, 'class.yaml')));
    const best = gradeClass(grading)[0]!.best!;
    return {
      points: best.points,
      verdicts: Object.fromEntries(best.tasks.map(({ title, verdict }) => [title, verdict])),
      undecided: best.undecided.length,
      gone: best.gone.map(({ title, verdict }) => `${title}: ${verdict}`),
      said: editedSince(grading),
      rows: readCsv(longCsv(grading)).map(({ cells }) => cells),
    };
  }

  end(): void {
    if (this.before === undefined) delete process.env['XDG_STATE_HOME'];
    else process.env['XDG_STATE_HOME'] = this.before;
    rmSync(this.base, { recursive: true, force: true });
  }
}

describe('Grades of an exercise that was edited since it was handed in', () => {
  let recorded: Recorded;
  beforeEach(() => (recorded = new Recorded(true)));
  afterEach(() => recorded.end());
  const asBefore = { One: 'pass', Two: 'fail' };

  it('are the same with a step more before the tasks, and with one less', () => {
    recorded.edit(file(more, solve, task.one, more, task.two));
    expect(recorded.grades()).to.deep.include({ points: 4, verdicts: asBefore, undecided: 0, gone: [], said: [] });
    recorded.edit(file(task.one, task.two));
    expect(recorded.grades()).to.deep.include({ points: 4, verdicts: asBefore, said: [] });
  });

  it('are the same with the tasks in another order, and with new points', () => {
    recorded.edit(file(solve, task.two, task.one.replace('points: 4', 'points: 5')));
    expect(recorded.grades()).to.deep.include({ points: 5, verdicts: asBefore, undecided: 0, said: [] });
  });

  it('leave a new task undecided, and say so', () => {
    recorded.edit(file(solve, task.three, task.one, task.two));
    const found = recorded.grades();
    expect(found).to.deep.include({ points: 4, verdicts: { Three: 'open', ...asBefore }, undecided: 1, gone: [] });
    expect(found.said.join()).to.match(/the task “Three” was not there in 1 of 1 hand-in; in these it is undecided/);
    expect(found.rows.find((cells) => cells.includes('Three'))!.join()).to.match(/did not have this task/);
  });

  it('name a task that was taken out, and credit no other one by it', () => {
    recorded.edit(file(solve, task.two, task.three));
    const found = recorded.grades();
    expect(found).to.deep.include({ points: 0, verdicts: { Two: 'fail', Three: 'open' }, gone: ['One: pass'] });
    expect(found.said.join()).to.match(/the task “One”, judged in 1 of 1 hand-in, is not in the exercise any more/);
    expect(found.rows.find((cells) => cells.includes('One'))!.join()).to.match(/no task of the exercise any more/);
  });

  it('find a task with another title by its check, and one with another check by its title', () => {
    recorded.edit(file(solve, task.two, task.one.replace('check: One', 'check: The first one')));
    expect(recorded.grades().verdicts).to.deep.equal({ Two: 'fail', 'The first one': 'pass' });
    recorded.edit(file(solve, task.two, task.one.replace('node2 }', 'node2, count: 3 }')));
    expect(recorded.grades().verdicts).to.deep.equal({ Two: 'fail', One: 'pass' });
  });

  it('credit nobody where titles were exchanged', () => {
    const exchanged = [task.one.replace('One', 'Two'), task.two.replace('Two', 'One')];
    recorded.edit(file(solve, ...exchanged));
    const found = recorded.grades();
    expect(found).to.deep.include({ points: 0, verdicts: { One: 'open', Two: 'open' }, undecided: 2 });
    expect(found.gone).to.deep.equal(['One: pass', 'Two: fail']);
  });

  it('come back with the file of before, also where the class was started with another one meanwhile', () => {
    const without = file(more, solve, task.three);
    recorded.write([recorded.tasks(without)]);
    recorded.edit(without);
    expect(recorded.grades()).to.deep.include({ points: 0, gone: ['One: pass', 'Two: fail'] });
    recorded.edit(original);
    expect(recorded.grades()).to.deep.include({ points: 4, verdicts: asBefore, gone: [], said: [] });
  });

  it('keep the word of a teacher with its task', () => {
    const [, two] = exerciseIn(original).checks.map(({ id }) => id);
    recorded.write([{ type: 'decided', round: 'r1', task: two!, credit: true, why: 'seen by hand', by: 'teacher-1' }]);
    recorded.edit(file(more, task.two, solve, task.one));
    expect(recorded.grades()).to.deep.include({ points: 6, verdicts: { One: 'pass', Two: 'credited' } });
  });
});

describe('Grades from a record that has no titles of tasks', () => {
  let recorded: Recorded;
  beforeEach(() => (recorded = new Recorded(false)));
  afterEach(() => recorded.end());

  it('go by the places where these are those of the file, and say so', () => {
    const found = recorded.grades();
    expect(found).to.deep.include({ points: 4, verdicts: { One: 'pass', Two: 'fail' }, gone: [] });
    expect(found.said.join()).to.match(/are taken to be of the tasks in the order of the file/);
  });

  it('credit no task where the places are others', () => {
    recorded.edit(file(more, solve, task.one, task.two));
    const found = recorded.grades();
    expect(found).to.deep.include({ points: 0, verdicts: { One: 'open', Two: 'open' }, undecided: 2 });
    expect(found.said.join()).to.match(/what was seen then counts for no task, and is undecided/);
  });
});

describe('Tasks that are found again', () => {
  const letters = fc.constantFrom('a', 'b', 'c');
  const tasks = fc
    .array(fc.record({ title: letters, stage: fc.constantFrom(null, 's'), what: letters }), { maxLength: 6 })
    .map((all): KnownTask[] => all.map((one, at) => ({ ...one, id: `c${at}` })));

  it('are one for one, have the title or the check of before, and are all there in an exercise that is the same', () => {
    fc.assert(
      fc.property(tasks, tasks, (before, now) => {
        const found = [...matchTasks(before, now)];
        const pairs = found.map(([from, to]) => [
          before.find(({ id }) => id === from)!,
          now.find(({ id }) => id === to)!,
        ]);
        expect(new Set(found.map(([, to]) => to)).size).to.equal(found.length);
        for (const [one, other] of pairs)
          expect(one!.title === other!.title || one!.what === other!.what).to.equal(true);
        expect([...matchTasks(before, before)]).to.have.deep.members(before.map(({ id }) => [id, id]));
      }),
    );
  });
});
