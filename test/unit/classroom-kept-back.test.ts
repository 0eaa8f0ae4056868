import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { withoutOwnPaths } from '../../src/classroom/own-paths.js';
import { emptyState, applyEvent, workOf, type ClassState } from '../../src/classroom/state.js';
import type { ClassEventBody, JudgedTask } from '../../src/classroom/events.js';
import { taskState } from '../../src/classroom/views.js';
import { exerciseOf } from '../../src/exercise/exercise.js';
import { labsDirectory } from '../../src/lab/store.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { lab } from './scenario-fixtures.js';

const exercise = exerciseOf(
  loadScenarioText(
    lab(
      `  - check: task
    points: 4
    hint: { timeout: Look at the filter., refused: Look at the server. }
    ping: { from: node1, to: node2 }`,
      'exercise: { text: Mend it. }\n',
    ),
    '/labs/lab.yaml',
  ).scenarios[0]!,
)!;
const [check] = exercise.checks;
const kept = join(dirname(labsDirectory()), 'classes', 'networks', 'rounds', 'r1');

describe('What students are not told', () => {
  it('is any path of the machine of the class; those of their hosts are', () => {
    expect(withoutOwnPaths(`ENOSPC: no space left on device, mkdir '${kept}'`)).to.equal(
      "ENOSPC: no space left on device, mkdir 'a file of the class’s machine'",
    );
    expect(withoutOwnPaths(`${kept}/x.json, ${kept}: full`)).not.to.contain('networks');
    const theirs = '/root/word is not there; /etc/resolv.conf, /tmp/x';
    expect(withoutOwnPaths(theirs)).to.equal(theirs);
    expect(withoutOwnPaths(theirs, ['/'])).to.equal(theirs);
  });

  it('is a path in what is said of a task that could not be judged, at any level', () => {
    const judged: JudgedTask = { verdict: 'error', reason: `open '${kept}'`, actual: kept, durationMs: 1 };
    const state = emptyState();
    const results = { [check!.id]: judged };
    const event: ClassEventBody = { type: 'watched', person: 'ada', exercise: 'door', results };
    applyEvent(state, { v: 1, n: 1, t: '2026-11-28T10:00:00.000Z', ...event });
    for (const level of ['verdict', 'seen', 'way'] as const)
      expect(JSON.stringify(taskState(check!, workOf(state, 'ada', 'door'), level)), level)
        .to.contain('class’s machine')
        .and.not.contain(kept);
  });
});

describe('The next hint of a task', () => {
  let state: ClassState;
  const happen = (event: ClassEventBody): void =>
    applyEvent(state, { v: 1, n: state.n + 1, t: '2026-11-28T10:00:00.000Z', ...event });
  const judged = (cause: JudgedTask['cause']): void =>
    happen({
      type: 'watched',
      person: 'ada',
      exercise: 'door',
      results: { [check!.id]: { verdict: 'fail', reason: 'no', durationMs: 1, ...(cause ? { cause } : {}) } },
    });
  const next = (): string => taskState(check!, workOf(state, 'ada', 'door'), 'seen').nextHint;

  beforeEach(() => (state = emptyState()));

  it('is there for what was seen last, once; not before anything was, and not twice', () => {
    expect(next()).to.equal('later');
    judged('timeout');
    expect(next()).to.equal('now');
    happen({ type: 'hint:opened', person: 'ada', exercise: 'door', task: check!.id, text: 'Look at the filter.' });
    expect(next(), 'it is open; the other is for something else').to.equal('later');
    judged('refused');
    expect(next()).to.equal('now');
    happen({ type: 'hint:opened', person: 'ada', exercise: 'door', task: check!.id, text: 'Look at the server.' });
    expect(next()).to.equal('none');
  });
});
