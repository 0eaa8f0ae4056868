import { expect } from 'chai';
import { readCsv } from '../../src/classroom/csv.js';
import type { ClassEventBody } from '../../src/classroom/events.js';
import { studentPage } from '../../src/classroom/grade-files.js';
import { gradeClass, gradescopeResults, longCsv, othersCsv, wideCsv } from '../../src/classroom/grades.js';
import { othersIn } from '../../src/classroom/others-values.js';
import { applyEvent, emptyState, workOf, type ClassState } from '../../src/classroom/state.js';
import { TypedLines } from '../../src/classroom/typed-lines.js';
import { judgedTask } from '../../src/classroom/rounds.js';
import { handInView, taskState } from '../../src/classroom/views.js';
import { exerciseOf } from '../../src/exercise/exercise.js';
import type { Verdict } from '../../src/model/verdict.js';
import { handInWords, progressWords, sinceWords, timeWords } from '../../src/pages/words.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { lab } from './scenario-fixtures.js';

const exercise = exerciseOf(
  loadScenarioText(
    lab(
      `  - { on: node1, run: "ip route add blackhole 192.0.2.0/24" }
  - { check: task, points: 4, ping: { from: node1, to: node2 } }
  - { check: guard, points: 2, guard: true, ping: { from: node1, to: node1 } }`,
      'exercise: { text: Mend it. }\n',
    ),
    '/labs/lab.yaml',
  ).scenarios[0]!,
)!;
const settings = { id: 'x', file: '/labs/lab.yaml', opens: null, closes: null, late: null, feedback: 'way' as const };
const about = { person: 'ada', exercise: 'x' };
const at = '2026-01-01T00:00:00.000Z';

function after(...events: ClassEventBody[]): ClassState {
  const state = emptyState();
  events.forEach((event, index) => applyEvent(state, { v: 1, n: index + 1, t: at, ...event }));
  return state;
}

const judged = (verdict: Verdict) => ({ verdict, reason: 'as seen', durationMs: 1 });

function handIn(round: string, task: Verdict | null, actual?: string): ClassEventBody[] {
  const tasks = exercise.checks.map(({ id }) => id);
  const results = Object.fromEntries(
    exercise.checks.map(({ id, guard }) => [
      id,
      guard ? judged('pass') : { ...judged(task ?? 'pass'), ...(actual === undefined ? {} : { actual }) },
    ]),
  );
  return [
    { type: 'round:asked', ...about, round, kind: 'hand-in', tasks },
    ...(task === null ? [] : [{ type: 'round:judged' as const, round, results }]),
  ];
}

describe('A task that is about a figure', () => {
  const measures = [{ name: 'longest gap', value: 812, unit: 'ms' as const, judged: true as const }];
  const stateOf = (verdict: Verdict, level: 'verdict' | 'seen') => {
    const task = exercise.checks[0]!;
    const results = { [task.id]: judgedTask({ verdict, reason: 'as seen', measures }, 5400) };
    const state = after({ type: 'watched', ...about, results });
    return taskState(task, workOf(state, 'ada', 'x'), level).measured;
  };

  it('says it when it passed, where more than verdicts may be known', () => {
    expect(stateOf('pass', 'seen')).to.equal('longest gap 812 ms');
    expect(stateOf('pass', 'verdict')).to.equal(null);
    expect(stateOf('fail', 'seen')).to.equal(null);
  });
});

describe('What a student is told of hand-ins', () => {
  const told = (...events: ClassEventBody[]): string | null => {
    const state = after(...events);
    const view = handInView(state, workOf(state, 'ada', 'x'), exercise, settings);
    const students = [{ id: 'ada', name: 'Ada' }];
    const [graded] = gradeClass({ state, students, exercises: [{ settings, of: () => exercise }] });
    // The page and the grades have one rule.
    if (view?.counts) expect(view.counts.points).to.equal(graded!.best!.points);
    return view && handInWords(view);
  };

  it('is the one that counts, the best of all, as in the grades', () => {
    expect(told()).to.equal(null);
    expect(told(...handIn('r1', 'pass'))).to.equal('Handed in: 4 of 4 points.');
    expect(told(...handIn('r1', 'fail'), ...handIn('r2', 'pass'), ...handIn('r3', 'fail'))).to.equal(
      'Counts: the best of 3 hand-ins (number 2): 4 of 4 points.',
    );
  });

  it('says what is being judged beside what counts meanwhile', () => {
    expect(told(...handIn('r1', null))).to.equal('Handed in; it is being judged.');
    expect(told(...handIn('r1', 'pass'), ...handIn('r2', null))).to.equal(
      'Counts: the best of 2 hand-ins (number 1): 4 of 4 points. The last one is being judged.',
    );
  });

  it('says what nobody could judge, and takes it for no 0', () => {
    expect(told(...handIn('r1', 'inconclusive'))).to.equal(
      'Handed in: 0 of 4 points. 1 task of it could not be judged: a teacher looks at it.',
    );
    expect(told(...handIn('r1', null), { type: 'round:broken', round: 'r1', message: 'gone' })).to.match(
      /could not be judged: a teacher looks at it/,
    );
  });

  it('says since when a verdict stands, by the reader’s clock', () => {
    expect(sinceWords(null)).to.equal('');
    expect(sinceWords(new Date(2026, 0, 2, 9, 4, 7).toISOString())).to.equal('since 09:04:07');
  });

  it('counts tasks as done, and guards apart', () => {
    const states = (task: Verdict, guard: Verdict) =>
      exercise.checks.map((check) => ({ id: check.id, verdict: check.guard ? guard : task }));
    expect(progressWords(exercise.checks, states('fail', 'pass'))).to.equal('0 of 1 done');
    expect(progressWords(exercise.checks, states('pass', 'fail'))).to.equal(
      '1 of 1 done, 1 that must stay so is broken',
    );
    const guards = exercise.checks.filter(({ guard }) => guard);
    expect(progressWords(guards, states('pass', 'pass'))).to.equal('');
  });
});

describe('Points that guards take off', () => {
  const guarded = exerciseOf(
    loadScenarioText(
      lab(
        `  - { check: task, points: 3, ping: { from: node1, to: node2 } }
  - { check: more, points: 5, ping: { from: node1, to: node2 } }
  - { check: the door stays shut, points: 2, guard: true, ping: { from: node1, to: node1 } }
  - { check: the secret one, points: 2, guard: true, shown: never, ping: { from: node2, to: node2 } }`,
        'exercise: { text: Mend it. }\n',
      ),
      '/labs/lab.yaml',
    ).scenarios[0]!,
  )!;
  const late = { ...settings, closes: Date.parse(at) - 1000, late: { until: Date.parse(at) + 1000, factor: 0.5 } };

  function of(verdicts: Verdict[], how: typeof settings | typeof late = settings) {
    const tasks = guarded.checks.map(({ id }) => id);
    const results = Object.fromEntries(tasks.map((id, index) => [id, judged(verdicts[index]!)]));
    const state = after(
      { type: 'round:asked', ...about, round: 'r1', kind: 'hand-in', tasks },
      { type: 'round:judged', round: 'r1', results },
    );
    const options = {
      state,
      students: [{ id: 'ada', name: 'Ada' }],
      exercises: [{ settings: how, of: () => guarded, drawn: new Map() }],
    };
    const [graded] = gradeClass(options);
    return {
      words: handInWords(handInView(state, workOf(state, 'ada', 'x'), guarded, how)!),
      page: studentPage({ id: 'ada', name: 'Ada' }, [graded!], new Map()),
      results: gradescopeResults(graded!, guarded) as { score: number; output: string },
      long: longCsv(options),
      wide: wideCsv(options),
    };
  }

  it('are explained to whoever handed in, a hidden guard without its name', () => {
    const sum =
      '3 earned, 2 taken off by “the door stays shut”, 2 taken off by a guard that is not shown; points are never below 0.';
    const { words, page, results, long, wide } = of(['pass', 'fail', 'fail', 'fail']);
    expect(words).to.equal(`Handed in: 0 of 8 points. ${sum}`);
    expect(page).to.contain(sum).and.contain('<td>A guard that is not shown</td>').and.not.contain('the secret one');
    expect(results).to.include({ score: 0, output: sum });
    // The teacher's files name it.
    expect(long).to.contain('the secret one').and.contain('-2');
    expect(wide).to.contain('ada,Ada,0,0,');
  });

  it('are not spoken of where none took any, and not of the floor where it was not met', () => {
    expect(of(['pass', 'fail', 'pass', 'pass']).words).to.equal('Handed in: 3 of 8 points.');
    expect(of(['pass', 'pass', 'fail', 'pass']).words).to.equal(
      'Handed in: 6 of 8 points. 8 earned, 2 taken off by “the door stays shut”.',
    );
  });

  it('are taken off before what is late is multiplied', () => {
    const { words, long } = of(['pass', 'pass', 'fail', 'pass'], late);
    expect(words).to.equal(
      'Handed in, late: 3 of 8 points. 8 earned, 2 taken off by “the door stays shut”; times 0.5, since it was late.',
    );
    // The rows add to what the sheet has.
    const points = readCsv(long).map(({ cells }) => cells[6]);
    expect(points).to.deep.equal(['points', '1.5', '2.5', '-1', '0']);
  });
});

describe('What students are told in their grades', () => {
  it('is as much as on the page of the class: what was seen, or the verdict alone, and a teacher’s word', () => {
    const [task, guard] = exercise.checks.map(({ id }) => id) as [string, string];
    const why = { sentence: 'node1 has no route', mend: 'add one' };
    const failed = { ...judged('fail'), reason: `no answer; ${why.sentence}`, why };
    const asked: ClassEventBody = { type: 'round:asked', ...about, round: 'r1', kind: 'hand-in', tasks: [task, guard] };
    const state = after(
      asked,
      { type: 'round:judged', round: 'r1', results: { [task]: failed, [guard]: judged('inconclusive') } },
      { type: 'decided', round: 'r1', task: guard, credit: true, why: 'held when I looked', by: 'teacher-1' },
    );
    const of = (feedback: 'verdict' | 'seen' | 'way'): { page: string; results: string; long: string } => {
      const students = [{ id: 'ada', name: 'Ada' }];
      const grading = { state, students, exercises: [{ settings: { ...settings, feedback }, of: () => exercise }] };
      const graded = gradeClass(grading);
      return {
        page: studentPage(students[0]!, graded, new Map()),
        results: JSON.stringify(gradescopeResults(graded[0]!, exercise)),
        long: longCsv(grading),
      };
    };
    for (const level of ['verdict', 'seen', 'way'] as const) {
      const { page, results, long } = of(level);
      for (const told of [page, results]) {
        expect(told.includes('no answer'), level).to.equal(level !== 'verdict');
        expect(told.includes(why.sentence), level).to.equal(level === 'way');
        expect(told, level).to.contain('held when I looked');
      }
      expect(long, level).to.contain(why.sentence);
    }
  });
});

describe('How much time there is', () => {
  const closes = '2026-01-01T10:00:00.000Z';
  const late = { until: '2026-01-01T11:00:00.000Z', factor: 0.5 };
  const told = (at: string, how: typeof late | null) => timeWords(closes, how, Date.parse(`2026-01-01T${at}:00.000Z`));

  it('says until when a late hand-in is taken, and what it counts', () => {
    expect(told('09:59', late)).to.equal('1:00 left');
    expect(told('10:30', late)).to.match(
      /^time is up; handing in is possible until \d\d:00 and counts 50 % of its points$/,
    );
    for (const over of [told('11:01', late), told('10:01', null)]) expect(over).to.match(/nothing is taken any more/);
  });
});

describe('Values of other students', () => {
  const drawn = new Map([
    ['ada', { port: 8100 }],
    ['bob', { port: 8200 }],
    ['eve', { port: 8300 }],
  ]);
  const given = { settings, of: () => exercise, drawn };
  const grading = (state: ClassState) => ({
    state,
    students: [...drawn.keys()].map((id) => ({ id, name: id.toUpperCase() })),
    exercises: [given],
  });
  const typed: ClassEventBody = {
    type: 'others:typed',
    ...about,
    place: 'node1',
    line: 'nc -l 8200',
    values: [{ student: 'bob', parameter: 'port', value: '8200' }],
  };

  it('are named with where they were met, in every file for the teacher, and take no points', () => {
    const options = grading(after(typed, typed, ...handIn('r1', 'pass', 'it listens at 8300')));
    const [ada, bob] = gradeClass(options);
    expect(ada!.others.map(({ student, value, where }) => [student, value, where])).to.deep.equal([
      ['bob', '8200', 'typed at node1'],
      ['eve', '8300', 'seen by "task"'],
    ]);
    expect(bob!.others).to.deep.equal([]);
    expect(ada!.best!.points).to.equal(4);
    expect(wideCsv(options)).to.contain('x: 8200, the port of bob, typed at node1: nc -l 8200');
    expect(othersCsv(options).split('\r\n').slice(1, -1)).to.deep.equal([
      `ada,ADA,x,8200,port,bob,BOB,typed at node1,nc -l 8200,${at}`,
      `ada,ADA,x,8300,port,eve,EVE,"seen by ""task""",as seen,${at}`,
    ]);
  });

  it('are told to the student without whose they are', () => {
    const own = gradeClass(grading(after(typed, ...handIn('r1', 'pass')))).slice(0, 1);
    const page = studentPage({ id: 'ada', name: 'Ada' }, own, new Map());
    expect(page).to.contain('8200 (port)').and.contain('They take no points').and.not.contain('bob');
  });

  it('are found in lines that were typed, and one that is one’s own is none', () => {
    const found = (line: string) => othersIn(given, 'ada', line).map(({ student }) => student);
    expect(found('iptables -A INPUT -p tcp --dport 8200 -j ACCEPT')).to.deep.equal(['bob']);
    expect(found('nc -l 8100')).to.deep.equal([]);
  });
});

describe('Lines that were typed', () => {
  const lines = (...chunks: string[]): string[] => {
    const typed = new TypedLines();
    return chunks.flatMap((chunk) => typed.take(Buffer.from(chunk)));
  };

  it('are what was sent off, in however many pieces it came', () => {
    expect(lines('nc -l', ' 82', '00\r', 'ls\r\r')).to.deep.equal(['nc -l 8200', 'ls']);
  });

  it('are without what was erased or given up', () => {
    expect(lines('nc -l 8300\x7f\x7f\x7f200\r')).to.deep.equal(['nc -l 8200']);
    expect(lines('8300\x15ls\r', '8300\x03\r')).to.deep.equal(['ls']);
    expect(lines('é\x7fa\r')).to.deep.equal(['a']);
  });

  it('have nothing of keys that are no text, and of the marks around a paste', () => {
    expect(lines('\x1b[200~nc -l 8200\x1b[201~\r')).to.deep.equal(['nc -l 8200']);
    expect(lines('\x1b[A\x1bOBls\x1b[1;5D\r')).to.deep.equal(['ls']);
  });

  it('do not grow without end', () => {
    expect(lines(`${'x'.repeat(100_000)}\r`)[0]).to.have.length(4096);
  });
});
