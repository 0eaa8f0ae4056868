import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { exerciseOf } from '../../src/exercise/exercise.js';
import type { ClassEventBody } from '../../src/classroom/events.js';
import { gradeClass, gradescopeResults, pointsNow, wideCsv } from '../../src/classroom/grades.js';
import { stepsAgain } from '../../src/classroom/host-reset.js';
import { lookBeforeJump } from '../../src/classroom/jump.js';
import { guided, playedTitle } from '../../src/classroom/play.js';
import { applyEvent, emptyState, workOf, type ClassState } from '../../src/classroom/state.js';
import type { Room } from '../../src/classroom/room.js';
import { zMinutes } from '../../src/classroom/routes.js';
import { leaveLab, wantLab } from '../../src/classroom/student.js';
import { decide, endFor, resetFor } from '../../src/classroom/teacher.js';
import { openTerminals } from '../../src/classroom/terminals.js';
import { stepsOf, stepStanding, stepsToRun } from '../../src/classroom/work-view.js';
import type { Verdict } from '../../src/model/verdict.js';
import {
  audienceWords,
  progressWords,
  roundWords,
  standing,
  timeGivenWords,
  verdictWord,
} from '../../src/pages/words.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { lab } from './scenario-fixtures.js';

const scenario = loadScenarioText(
  lab(
    `  - { role: solution, on: node1, run: "ip route add blackhole 192.0.2.0/24" }
  - { role: solution, on: [node1, node2], run: "iptables -A INPUT -p icmp -j DROP" }
  - { check: task, points: 4, ping: { from: node1, to: node2 } }
  - { check: guard, points: 2, guard: true, ping: { from: node1, to: node1 } }`,
    'exercise: { text: Mend it. }\n',
  ),
  '/labs/lab.yaml',
).scenarios[0]!;
const exercise = exerciseOf(scenario)!;
const settings = { id: 'x', file: '/labs/lab.yaml', opens: null, closes: null, late: null, feedback: 'way' as const };

function after(...events: ClassEventBody[]): ClassState {
  const state = emptyState();
  events.forEach((event, at) => applyEvent(state, { v: 1, n: at + 1, t: '2026-01-01T00:00:00.000Z', ...event }));
  return state;
}

const judged = (verdict: Verdict) => ({ verdict, reason: 'as seen', durationMs: 1 });
const about = { person: 'ada', exercise: 'x' };

describe('Points that a teacher sees', () => {
  const results = (task: Verdict, guard: Verdict) =>
    Object.fromEntries(exercise.checks.map((check) => [check.id, judged(check.guard ? guard : task)]));
  const points = (state: ClassState) => pointsNow(state, workOf(state, 'ada', 'x'), exercise, settings);

  it('are less those of a broken guard while the work is open', () => {
    expect(points(after({ type: 'watched', ...about, results: results('pass', 'pass') }))).to.equal(4);
    expect(points(after({ type: 'watched', ...about, results: results('pass', 'fail') }))).to.equal(2);
    expect(points(after({ type: 'watched', ...about, results: results('fail', 'fail') }))).to.equal(0);
  });

  it('are those of the grades once it was handed in, whatever became of the lab since', () => {
    const state = after(
      { type: 'round:asked', ...about, round: 'r1', kind: 'hand-in', tasks: exercise.checks.map(({ id }) => id) },
      { type: 'round:judged', round: 'r1', results: results('pass', 'fail') },
      { type: 'watched', ...about, results: results('pass', 'pass') },
    );
    const [graded] = gradeClass({
      state,
      students: [{ id: 'ada', name: 'Ada' }],
      exercises: [{ settings, of: () => exercise }],
    });
    expect(graded!.best!.points).to.equal(2);
    expect(points(state)).to.equal(2);
  });
});

describe('What a teacher has to decide', () => {
  const [task, guard] = exercise.checks.map(({ id }) => id) as [string, string];
  const handIn = (
    person: string,
    round: string,
    verdicts: [Verdict, Verdict],
    reason = 'as seen',
  ): ClassEventBody[] => [
    { type: 'round:asked', person, exercise: 'x', round, kind: 'hand-in', tasks: [task, guard] },
    {
      type: 'round:judged',
      round,
      results: { [task]: { ...judged(verdicts[0]), reason }, [guard]: judged(verdicts[1]) },
    },
  ];
  const options = (state: ClassState, of: (person: string) => typeof exercise = () => exercise) => ({
    state,
    students: ['ada', 'bob', 'eve'].map((id) => ({ id, name: id })),
    exercises: [{ settings, of }],
  });
  const doubts = (state: ClassState) =>
    gradeClass(options(state)).flatMap((one) =>
      one.doubts.map(({ handIn: { round }, task: { task: about } }) => `${round} ${about}`),
    );
  const word = (round: string, about: string, credit: boolean): ClassEventBody => ({
    type: 'decided',
    round,
    task: about,
    credit,
    why: 'seen',
    by: 'teacher-1',
  });

  it('is also a hand-in that does not count yet, and would with that word', () => {
    const twice = [...handIn('ada', 'r1', ['inconclusive', 'pass']), ...handIn('ada', 'r2', ['fail', 'pass'])];
    expect(doubts(after(...twice))).to.deep.equal([`r1 ${task}`]);
    const later = [...handIn('ada', 'r1', ['fail', 'pass']), ...handIn('ada', 'r2', ['inconclusive', 'pass'])];
    expect(doubts(after(...later)), 'the first counts, and the second may be worth more').to.deep.equal([`r2 ${task}`]);
    const [graded] = gradeClass(options(after(...later, word('r2', task, true))));
    expect(graded!.best).to.include({ round: 'r2', points: 4 });
    expect(wideCsv(options(after(...later))).split('\r\n')[1]).to.equal('ada,ada,0,0,1,');
  });

  it('is nothing that cannot change a grade', () => {
    const state = after(...handIn('ada', 'r1', ['inconclusive', 'pass']), ...handIn('ada', 'r2', ['pass', 'pass']));
    expect(doubts(state)).to.deep.equal([]);
  });

  it('is the same for all who have the same doubt, whatever values they have', () => {
    const state = after(
      ...handIn('ada', 'r1', ['inconclusive', 'pass'], '10.0.0.7 does not say'),
      ...handIn('bob', 'r2', ['inconclusive', 'pass'], '10.0.0.70 does not say'),
      ...handIn('eve', 'r3', ['inconclusive', 'pass'], 'the control failed'),
    );
    const own = { ada: '10.0.0.7', bob: '10.0.0.70', eve: '10.0.0.8' };
    const of = (person: string) => ({ ...exercise, values: { client: own[person as keyof typeof own] } });
    const abouts = gradeClass(options(state, of)).flatMap((one) => one.doubts.map(({ about }) => about));
    expect(abouts).to.have.length(3);
    expect(abouts[0]).to.equal(abouts[1]).and.not.equal(abouts[2]);
  });

  it('is decided for several at once, all or none', async () => {
    const state = after(
      ...handIn('ada', 'r1', ['inconclusive', 'pass']),
      ...handIn('bob', 'r2', ['inconclusive', 'pass']),
      ...handIn('eve', 'r3', ['pass', 'pass']),
    );
    const written: ClassEventBody[] = [];
    const append = (event: ClassEventBody) => Promise.resolve(void written.push(event));
    const room = { book: { state, append } } as unknown as Room;
    const refused: unknown = await decide(room, 'teacher-1', [`r1:${task}`, `r3:${task}`], false, 'no').catch(
      (error: unknown) => error,
    );
    expect(String(refused)).to.contain('has a verdict');
    expect(written).to.deep.equal([]);
    await decide(room, 'teacher-1', [`r1:${task}`, `r2:${task}`, `r1:${task}`], false, 'the switch was down');
    expect(written).to.deep.equal([
      { ...word('r1', task, false), why: 'the switch was down' },
      { ...word('r2', task, false), why: 'the switch was down' },
    ]);
  });

  it('may also cost: of a guard, nobody is told that the score will not fall', () => {
    const said = (verdicts: [Verdict, Verdict]) => {
      const [graded] = gradeClass(options(after(...handIn('ada', 'r1', verdicts))));
      return (gradescopeResults(graded!, exercise) as { output: string }).output;
    };
    expect(said(['inconclusive', 'pass'])).to.contain('the score will not fall by them');
    expect(said(['pass', 'inconclusive'])).to.contain('the score may rise or fall by them');
  });
});

describe('A lab that was there and ended', () => {
  const given: ClassEventBody[] = [
    { type: 'lab:wanted', ...about, stage: null },
    { type: 'lab:making', key: 'k1', exercise: 'x', person: 'ada', stage: null },
    { type: 'lab:made', key: 'k1', lab: 'k1-id' },
    { type: 'lab:given', key: 'k1', person: 'ada' },
  ];

  it('is no trouble where its student wanted that, and is where it was anybody else', () => {
    const own = after(...given, { type: 'lab:ended', key: 'k1', why: 'its student ended it', asked: true });
    expect(workOf(own, 'ada', 'x')).to.include({ lab: null, failed: null });
    const other = after(...given, { type: 'lab:ended', key: 'k1', why: 'a teacher ended it' });
    expect(workOf(other, 'ada', 'x')).to.include({ lab: null, failed: 'a teacher ended it', brokeMaking: false });
  });

  it('is not ended, and not begun again, while a hand-in is judged on it', async () => {
    const state = after(
      ...given,
      { type: 'person:known', person: 'ada', name: 'Ada', role: 'student' },
      {
        type: 'round:asked',
        ...about,
        round: 'r1',
        kind: 'hand-in',
        tasks: exercise.checks.map(({ id }) => id),
      },
    );
    const done: string[] = [];
    const room = {
      students: [{ id: 'ada', name: 'Ada' }],
      exercises: new Map([['x', { settings, of: () => exercise, example: exercise }]]),
      book: { state, append: ({ type }: ClassEventBody) => Promise.resolve(void done.push(type)) },
      pool: { end: () => Promise.resolve(void done.push('end')) },
    } as unknown as Room;
    for (const tried of [
      () => leaveLab(room, 'ada', 'x'),
      () => endFor(room, 'ada', 'x'),
      () => resetFor(room, 'ada', 'x', { stage: null, host: null }),
    ])
      expect(String(await tried().catch((error: unknown) => error))).to.contain('is being judged on this lab');
    expect(done).to.deep.equal([]);
  });
});

describe('Time that a teacher gives', () => {
  it('is whole minutes, ten days at most, and not none', () => {
    for (const minutes of [1, 10, 14_400, -5, -14_400]) expect(zMinutes.safeParse(minutes).data).to.equal(minutes);
    for (const minutes of [0, 1.5, 14_401, -14_401, 1e300])
      expect(zMinutes.safeParse(minutes).error?.issues[0]?.message).to.match(
        /^give whole minutes, 1 to 14400 \(ten days\), or below 0 to take so many back; got /,
      );
    expect(zMinutes.safeParse('5').success).to.equal(false);
  });
});

describe('Time that is taken back', () => {
  const closing = { ...settings, closes: Date.parse('2026-01-01T01:00:00.000Z'), late: null };
  const graded = (...events: ClassEventBody[]) =>
    gradeClass({
      state: after(...events),
      students: [{ id: 'ada', name: 'Ada' }],
      exercises: [{ settings: closing, of: () => exercise }],
    })[0]!.best!;
  const handIn: ClassEventBody = {
    type: 'round:asked',
    ...about,
    round: 'r1',
    kind: 'hand-in',
    tasks: exercise.checks.map(({ id }) => id),
  };
  const time = (minutes: number, to: 'all' | string[] = ['ada']): ClassEventBody => ({
    type: 'time:given',
    to,
    exercise: 'x',
    minutes,
  });

  it('makes nothing late that was handed in before; time given since makes a late one good', () => {
    expect(graded(handIn).late).to.equal(false);
    expect(graded(handIn, time(-70)).late).to.equal(false);
    expect(graded(time(-70), handIn).late).to.equal(true);
    expect(graded(time(-70), handIn, time(20)).late).to.equal(false);
    expect(graded(time(10), handIn, time(-80), time(-5, 'all')).late).to.equal(false);
  });
});

describe('A lab that begins at a later stage', () => {
  const staged = exerciseOf(
    loadScenarioText(
      lab(
        `  - { role: solution, stage: there, on: node1, run: "ip route add blackhole 192.0.2.0/24" }
  - { check: first, stage: there, points: 3, ping: { from: node1, to: node2 } }
  - { role: solution, stage: back, on: node2, run: "ip route add blackhole 192.0.2.0/24" }
  - { check: second, stage: back, points: 5, ping: { from: node2, to: node1 } }`,
        'exercise: { text: Mend it., stages: { there: There, back: Back } }\n',
      ),
      '/labs/staged.yaml',
    ).scenarios[0]!,
  )!;
  const [first, second] = staged.checks.map(({ id }) => id) as [string, string];
  const lab1 = (key: string, stage: string | null): ClassEventBody[] => [
    { type: 'lab:wanted', ...about, stage },
    { type: 'lab:making', key, exercise: 'x', person: 'ada', stage },
    { type: 'lab:made', key, lab: `${key}-id` },
    { type: 'lab:given', key, person: 'ada' },
  ];
  const all = { [first]: judged('pass'), [second]: judged('pass') };
  const handIn: ClassEventBody[] = [
    { type: 'round:asked', ...about, round: 'r1', kind: 'hand-in', tasks: [first, second] },
    { type: 'round:judged', round: 'r1', results: all },
  ];
  const graded = (state: ClassState) =>
    gradeClass({
      state,
      students: [{ id: 'ada', name: 'Ada' }],
      exercises: [{ settings, of: () => staged }],
    })[0]!.best!;
  const open = (state: ClassState) => pointsNow(state, workOf(state, 'ada', 'x'), staged, settings);

  it('gives no points for what had been solved for the student, open or handed in, and says so', () => {
    const jumped = after(...lab1('k1', 'back'), ...handIn);
    expect(graded(jumped).points).to.equal(5);
    expect(graded(jumped).tasks.map(({ verdict, points }) => [verdict, points])).to.deep.equal([
      ['given', 0],
      ['pass', 5],
    ]);
    expect(graded(jumped).tasks[0]!.told).to.match(/began at a later stage/);
    expect(graded(jumped).undecided).to.deep.equal([]);
    expect(open(after(...lab1('k1', 'back'), { type: 'watched', ...about, results: all }))).to.equal(5);
  });

  it('gives them where the student had done it before, by whatever it was seen, or does it later on', () => {
    const own: ClassEventBody[] = [
      ...lab1('k1', null),
      { type: 'watched', ...about, results: { [first]: judged('pass') } },
      { type: 'lab:ended', key: 'k1', why: 'begun again' },
    ];
    expect(graded(after(...own, ...lab1('k2', 'back'), ...handIn)).points).to.equal(8);
    const later = after(...lab1('k1', 'back'), ...handIn, { type: 'lab:ended', key: 'k1', why: '' });
    expect(graded(later).points).to.equal(5);
    expect(graded(after(...lab1('k1', null), ...handIn)).points).to.equal(8);
    expect(graded(after(...lab1('k1', 'there'), ...handIn)).points).to.equal(8);
  });

  describe('asked for while another one is up', () => {
    let state: ClassState;
    let written: ClassEventBody[];
    let judge: (round: string) => ClassEventBody | null;
    let room: Room;

    function happen(event: ClassEventBody): Promise<void> {
      written.push(event);
      applyEvent(state, { v: 1, n: state.n + 1, t: '2026-01-01T00:00:00.000Z', ...event });
      const next = event.type === 'round:asked' ? judge(event.round) : null;
      if (next) setImmediate(() => void happen(next));
      return Promise.resolve();
    }

    function begin(...events: ClassEventBody[]): void {
      state = after(...events, { type: 'person:known', person: 'ada', name: 'Ada', role: 'student' });
      written = [];
      room = {
        solo: false,
        ending: new AbortController().signal,
        exercises: new Map([['x', { settings, of: () => staged, example: staged }]]),
        book: { state, append: happen },
      } as unknown as Room;
    }
    const types = (): string[] => written.map(({ type }) => type);

    beforeEach(() => {
      judge = (round) => ({ type: 'round:judged', round, results: { [first]: judged('pass') } });
    });

    it('has what was done on that one looked at before, and gives its points', async () => {
      begin(...lab1('k1', null));
      await wantLab(room, 'ada', 'x', 'back', true);
      expect(types()).to.deep.equal(['round:asked', 'round:judged', 'lab:wanted']);
      expect(written[0]).to.deep.include({ kind: 'try', tasks: [first] });
      for (const event of lab1('k2', 'back').slice(1)) void happen(event);
      for (const event of handIn) void happen(event);
      expect(graded(state).points).to.equal(8);
    });

    it('has nothing looked at that was seen before, or that the lab came with', async () => {
      begin(...lab1('k1', null), { type: 'watched', ...about, results: { [first]: judged('pass') } });
      await wantLab(room, 'ada', 'x', 'back', true);
      begin(...lab1('k1', 'back'));
      await wantLab(room, 'ada', 'x', 'back', true);
      begin(...lab1('k1', null));
      await wantLab(room, 'ada', 'x', null, true);
      begin(...lab1('k1', null));
      await wantLab(room, 'ada', 'x', 'there', true);
      expect(types()).to.deep.equal(['lab:wanted']);
    });

    it('waits for a look that takes long, and has none done twice', async () => {
      begin(...lab1('k1', null));
      judge = () => null;
      const late = async (): Promise<string> =>
        lookBeforeJump(room, 'ada', 'x', 'back', 1).then(
          () => 'looked at',
          (error: unknown) => (error as Error).message,
        );
      expect(await late()).to.contain('your lab is as it was');
      expect(await late()).to.contain('your lab is as it was');
      expect(types()).to.deep.equal(['round:asked']);
      const [asked] = written;
      if (asked?.type !== 'round:asked') throw new Error('no round was asked for');
      await happen({ type: 'round:judged', round: asked.round, results: { [first]: judged('pass') } });
      expect(await late()).to.equal('looked at');
      expect(types()).to.deep.equal(['round:asked', 'round:judged']);
    });
  });

  it('leaves the last word to the teacher', () => {
    const decided: ClassEventBody = {
      type: 'decided',
      round: 'r1',
      task: first,
      credit: true,
      why: 'shown in class',
      by: 'eve',
    };
    expect(graded(after(...lab1('k1', 'back'), ...handIn, decided)).points).to.equal(8);
  });
});

describe('Words of the pages', () => {
  it('call a guard that failed broken, and a task not yet done', () => {
    expect(verdictWord('fail', true).word).to.equal('broken');
    expect(verdictWord('pass', true).word).to.equal('holds');
    expect(verdictWord('fail', false).word).to.equal('not yet');
    expect(verdictWord('pass', false).word).to.equal('done');
    expect(verdictWord('open', true).word).to.equal(verdictWord('open', false).word);
  });

  it('call a task that came with the lab no task that was done', () => {
    expect(verdictWord('pass', false, true)).to.deep.equal({ sign: '–', word: 'came with the lab, no points' });
    const tasks = ['a', 'b'].map((id) => ({ id, guard: false }));
    const states = [
      { id: 'a', verdict: 'pass' as const, given: true },
      { id: 'b', verdict: 'pass' as const, given: false },
    ];
    expect(progressWords(tasks, states)).to.equal('1 of 2 done');
  });

  it('say that somebody handed in beside that they ask for help', () => {
    const row = { joined: true, online: true };
    const help = { since: '2026-01-01T00:00:00.000Z', note: '', before: 0 };
    const at = '2026-01-01T00:00:00.000Z';
    const counts = { nth: 1, at, late: false, points: 2, sum: '', undecided: 0 };
    const handedIn = { times: 1, lastAt: at, judging: false, counts, of: 4 };
    const work = { begun: true, lab: 'up' as const, stuckMs: null };
    expect(standing(row, { ...work, help, handedIn })).to.equal('handed in; asks for help');
    expect(standing(row, { ...work, help, handedIn: null })).to.equal('asks for help');
    expect(
      standing(row, { ...work, help: null, handedIn: { ...handedIn, counts: { ...counts, late: true } } }),
    ).to.equal('handed in, late');
    expect(standing(row, { ...work, help: null, handedIn: null })).to.equal('at work');
    expect(standing(row, undefined)).to.equal('not begun');
    const nothing = { begun: false, lab: 'none' as const, stuckMs: null, help: null, handedIn: null };
    expect(standing(row, nothing)).to.equal('not begun');
    expect(standing({ joined: false, online: false }, nothing)).to.equal('not joined');
    expect(standing({ joined: true, online: false }, { ...nothing, begun: true })).to.equal('away');
  });
});

describe('Labs of a file with a matrix', () => {
  it('are told apart by its values, where their titles do not', () => {
    expect(playedTitle({ title: 'BGP', matrix: { daemon: 'frr', as: '65001' } })).to.equal(
      'BGP (daemon: frr, as: 65001)',
    );
    expect(playedTitle({ title: 'BGP by frr', matrix: { daemon: 'frr' } })).to.equal('BGP by frr');
    expect(playedTitle({ title: 'BGP', matrix: {} })).to.equal('BGP');
  });
});

describe('Steps of a guided lab', () => {
  const course = guided(scenario);
  const steps = stepsOf(course);
  const [first, second] = steps.map(({ id }) => id) as [string, string];
  const typed = (step: string, on: string): ClassEventBody => ({ type: 'step:typed', ...about, step, on });
  const run = (step: string, ok: boolean): ClassEventBody => ({ type: 'step:run', ...about, step, ok, output: '' });
  const work = (...events: ClassEventBody[]) => workOf(after(...events), 'ada', 'x');
  const told = (...events: ClassEventBody[]) => steps.map((step) => stepStanding(step, work(...events)));
  const upTo = (...events: ClassEventBody[]) =>
    stepsToRun(course, work(...events), second, true).map(({ id, on }) => ({ id, on }));

  it('stand as typed where they were typed on each of their hosts', () => {
    expect(told()).to.deep.equal(['open', 'open']);
    expect(told(typed(first, 'node1'), typed(second, 'node1'))).to.deep.equal(['typed', 'open']);
    expect(told(typed(second, 'node1'), typed(second, 'node2'))).to.deep.equal(['open', 'typed']);
    // What was done last counts.
    expect(told(run(first, false), typed(first, 'node1'))[0]).to.equal('typed');
    expect(told(typed(first, 'node1'), run(first, false))[0]).to.equal('failed');
  });

  it('are not run a second time by those after them', () => {
    const both = ['node1', 'node2'];
    expect(upTo()).to.deep.equal([
      { id: first, on: ['node1'] },
      { id: second, on: both },
    ]);
    expect(upTo(typed(first, 'node1'))).to.deep.equal([{ id: second, on: both }]);
    expect(upTo(run(first, true), typed(second, 'node1'))).to.deep.equal([{ id: second, on: ['node2'] }]);
    expect(upTo(run(first, true), typed(second, 'node1'), typed(second, 'node2'))).to.deep.equal([]);
    expect(upTo(run(first, false), run(second, true))).to.deep.equal([{ id: first, on: ['node1'] }]);
  });

  it('are run again where that one is asked for', () => {
    const [only, ...more] = stepsToRun(course, work(typed(first, 'node1')), first, false);
    expect([only!.id, only!.on, more]).to.deep.equal([first, ['node1'], []]);
  });
});

describe('The set-up in a guided lab', () => {
  const load = (stages: string, steps: string) =>
    guided(loadScenarioText(lab(steps, `exercise: { text: Mend it.${stages} }\n`), '/labs/lab.yaml').scenarios[0]!);
  const run = 'on: node1, run: "true"';

  it('is nobody’s to run: it is there from the start', () => {
    const course = load(
      '',
      `  - { ${run} }\n  - { role: solution, ${run} }\n  - { check: a, points: 1, ping: { from: node1, to: node2 } }`,
    );
    const [first, second] = course.scenario.items.map(({ id }) => id);
    expect(stepsOf(course).map(({ id }) => id)).to.deep.equal([second]);
    const work = workOf(after(), 'ada', 'x');
    expect(stepsToRun(course, work, second!, true).map(({ id }) => id)).to.deep.equal([second]);
    expect(first).not.to.equal(second);
  });

  it('is what a host that begins again gets, with what made the lab, on that host alone', () => {
    const course = load(
      ', stages: { one: One, two: Two }',
      [
        '  - { on: [node1, node2], run: "true" }',
        `  - { stage: one, role: solution, ${run} }`,
        '  - { check: a, stage: one, points: 1, ping: { from: node1, to: node2 } }',
        `  - { stage: two, ${run} }`,
        `  - { stage: two, role: solution, ${run} }`,
        '  - { check: b, stage: two, points: 1, ping: { from: node1, to: node2 } }',
      ].join('\n'),
    );
    const ids = course.scenario.items.flatMap(({ id, kind }) => (kind === 'step' ? [id] : []));
    const again = (host: string, began: string | null, reached: string | null) =>
      stepsAgain(course, host, { began, reached }).map(({ id, on }) => [id, on.join()]);
    expect(again('node1', null, null)).to.deep.equal([[ids[0], 'node1']]);
    expect(again('node2', null, 'two')).to.deep.equal([[ids[0], 'node2']]);
    // The solution of the first stage is the student's own, where the lab was not begun behind it.
    expect(again('node1', null, 'two')).to.deep.equal([
      [ids[0], 'node1'],
      [ids[2], 'node1'],
    ]);
    expect(again('node1', 'two', 'two')).to.deep.equal([
      [ids[0], 'node1'],
      [ids[1], 'node1'],
      [ids[2], 'node1'],
    ]);
  });
});

describe('The process that keeps terminals', () => {
  let base: string;
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'ntrk-'));
  });
  afterEach(() => rmSync(base, { recursive: true, force: true }));

  const answers = (path: string): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(path);
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });

  it('ends where its class let go of it and then ends it', async () => {
    const path = join(base, 'terminals');
    const terminals = openTerminals(path);
    const order = { lab: 'no-such-lab', place: 'node1', size: { cols: 80, rows: 24 }, cast: null, title: '' };
    const refused = await terminals.open(order).then(
      () => null,
      (error: unknown) => error,
    );
    expect(refused).to.be.instanceOf(Error);
    expect(await answers(path)).to.equal(true);
    terminals.close();
    await terminals.quit();
    expect(await answers(path)).to.equal(false);
  });
});

describe('What a teacher is told of what was done', () => {
  const students = [{ person: { id: 'ada', name: 'Ada' } }, { person: { id: 'bob', name: 'Bob' } }];

  it('says to whom', () => {
    expect(audienceWords('all', students)).to.equal('all 2 students');
    expect(audienceWords('all', students.slice(1))).to.equal('the one student');
    expect(audienceWords(['bob'], students)).to.equal('Bob');
    expect(audienceWords(['bob', 'eve'], students), 'who is there no more, by their id').to.equal('Bob, eve');
  });

  it('says whether time was given or taken back', () => {
    expect(timeGivenWords('Bob', 10, 'A door')).to.equal('10 minutes more for Bob: A door.');
    expect(timeGivenWords('Bob', -1, 'A door')).to.equal('1 minute less for Bob: A door.');
  });
});

describe('What a student is told of a round that is over', () => {
  const tasks = [
    { id: 'c1', title: 'A ping', guard: false },
    { id: 'c2', title: 'A page', guard: false },
    { id: 'c3', title: 'A filter', guard: true },
  ];
  const states = (...verdicts: ('pass' | 'fail' | 'error')[]) =>
    verdicts.map((verdict, at) => ({ id: `c${at + 1}`, verdict }));
  const round = (...ids: string[]) => ({ kind: 'try' as const, tasks: ids });

  it('is the word on the one task that it was about', () => {
    expect(roundWords(round('c2'), tasks, states('pass', 'fail', 'fail'))).to.equal('Checked: “A page” – not yet.');
    expect(roundWords(round('c1'), tasks, states('pass', 'fail', 'fail'))).to.equal('Checked: “A ping” – done.');
    expect(roundWords(round('c3'), tasks, states('pass', 'fail', 'fail'))).to.equal('Checked: “A filter” – broken.');
  });

  it('names what is not as it should be, by its kind', () => {
    expect(roundWords(round('c1', 'c2', 'c3'), tasks, states('pass', 'pass', 'pass'))).to.equal(
      'Checked: all 3 are as they should be.',
    );
    expect(roundWords(round('c1', 'c2', 'c3'), tasks, states('fail', 'error', 'fail'))).to.equal(
      'Checked: 0 of 3 are as they should be; not yet: “A ping”; could not be judged: the lab broke: “A page”; broken: “A filter”.',
    );
  });

  it('is nothing of tasks that are not shown', () => {
    expect(roundWords(round('c9'), tasks, states('pass'))).to.equal(null);
  });
});
