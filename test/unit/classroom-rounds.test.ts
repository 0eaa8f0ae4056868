import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { openBook, type ClassBook } from '../../src/classroom/book.js';
import { openRecord } from '../../src/classroom/record.js';
import { createRounds, type Rounds } from '../../src/classroom/rounds.js';
import { workOf } from '../../src/classroom/state.js';
import { exerciseOf, type Exercise } from '../../src/exercise/exercise.js';
import type { Outcome } from '../../src/model/verdict.js';
import type { RunningLab } from '../../src/providers/provider.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import type { LabSession } from '../../src/session/session.js';

const text = `scenario: two
title: Two tasks
exercise: { text: Make it so. }
hosts: { one: { init: light } }
steps:
  - step: solve
    role: solution
    on: one
    run: "true"
  - { check: first, points: 1, command: { on: one, run: "true" } }
  - { check: second, points: 1, command: { on: one, run: "true" } }
`;

/** Until it is so; the test's own time ends it. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await delay(2);
}

describe('Rounds of checks', () => {
  let directory: string;
  let book: ClassBook;
  let rounds: Rounds;
  let exercise: Exercise;
  /** Rounds that are under way, by what they look at: how each ends is up to the test. */
  let under: { tasks: string[]; signal: AbortSignal; end: () => void }[];
  let putOff: string[];

  function begin(atOnce: number): void {
    rounds = createRounds({
      book,
      atOnce,
      directory: join(directory, 'rounds'),
      exercise: () => exercise,
      running: () => Promise.resolve({} as RunningLab),
      session: () => Promise.resolve({} as LabSession),
      onProgress: () => undefined,
      onPutOff: (person) => void putOff.push(person),
      perform: (_lab, { scenario }, wanted, { signal }) => {
        const tasks = scenario.items.filter(wanted).map(({ id }) => id);
        const outcome: Outcome = { verdict: 'pass', reason: 'so it is' };
        return new Promise((resolve) => {
          const end = (): void => {
            under = under.filter((one) => one.signal !== signal);
            resolve(new Map(tasks.map((id) => [id, { outcome, durationMs: 1 }])));
          };
          under.push({ tasks, signal, end });
          signal.addEventListener('abort', end);
        });
      },
    });
  }

  const ids = (): string[] => exercise.checks.map(({ id }) => id);
  const ask = (person: string, tasks: string[], round = `${person}-${tasks.join('-')}`): void => {
    void book.append({ type: 'round:asked', round, person, exercise: 'two', kind: 'try', tasks });
    rounds.wake();
  };
  const verdicts = (person: string): string[] => Object.keys(workOf(book.state, person, 'two').tasks);

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'netrig-test-rounds-'));
    book = openBook(openRecord(join(directory, 'record.jsonl')));
    exercise = exerciseOf(loadScenarioText(text, '/labs/two.yaml', { catalogue: null }).scenarios[0]!)!;
    [under, putOff] = [[], []];
    for (const person of ['ada', 'bob', 'eve']) {
      void book.append({ type: 'lab:wanted', person, exercise: 'two', stage: null });
      void book.append({ type: 'lab:making', key: person, exercise: 'two', person, stage: null });
      void book.append({ type: 'lab:made', key: person, lab: `two-${person}` });
      void book.append({ type: 'lab:given', key: person, person });
    }
  });

  afterEach(async () => {
    await rounds.close();
    await book.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it('that are asked for go before one that nobody asked for, on the same lab', async () => {
    begin(1);
    rounds.watch('ada', 'two', ids());
    await until(() => under.length === 1);
    expect(under[0]!.tasks).to.deep.equal(ids());
    ask('ada', [ids()[1]!]);
    const round = [...book.state.waiting][0]!;
    expect(rounds.standing(round), 'nobody is told to wait for what nobody asked for').to.include({ before: 0 });
    await until(() => under[0]?.tasks.length === 1);
    expect(under.map(({ tasks }) => tasks)).to.deep.equal([[ids()[1]]]);
    expect(verdicts('ada'), 'what was given up is no verdict').to.deep.equal([]);
    expect(putOff).to.deep.equal(['ada']);
    under[0]!.end();
    await until(() => book.state.waiting.size === 0);
    expect(verdicts('ada')).to.deep.equal([ids()[1]]);
  });

  it('that are asked for make room for themselves among those that nobody asked for, on other labs', async () => {
    begin(2);
    rounds.watch('ada', 'two', ids());
    rounds.watch('bob', 'two', ids());
    await until(() => under.length === 2);
    ask('eve', ids());
    await until(() => putOff.length > 0 && under.length === 2);
    expect(putOff).to.deep.equal(['ada']);
    for (const { end } of under) end();
    await until(() => book.state.waiting.size === 0 && verdicts('bob').length > 0);
    expect(verdicts('eve')).to.deep.equal(ids());
    expect(verdicts('bob')).to.deep.equal(ids());
    expect(verdicts('ada')).to.deep.equal([]);
  });

  it('that nobody asked for are put off while somebody waits, and those that were asked for go in their order', async () => {
    begin(1);
    ask('ada', ids());
    ask('bob', ids());
    ask('ada', [ids()[0]!]);
    await until(() => under.length === 1);
    rounds.watch('eve', 'two', ids());
    expect(putOff).to.deep.equal(['eve']);
    const befores = [...book.state.waiting].map((round) => rounds.standing(round).before);
    expect(befores).to.deep.equal([0, 1, 2]);
    expect(under.map(({ signal }) => signal.aborted)).to.deep.equal([false]);
    const order: string[] = [];
    book.onEvent((event) => {
      if (event.type === 'round:judged') order.push(book.state.rounds.get(event.round)!.person);
    });
    for (let left = 3; left > 0; left -= 1) {
      await until(() => under.length === 1);
      under[0]!.end();
      await until(() => book.state.waiting.size < left);
    }
    expect(order).to.deep.equal(['ada', 'bob', 'ada']);
  });
});
