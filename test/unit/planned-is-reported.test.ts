import { expect } from 'chai';
import fc from 'fast-check';
import type { PlannedItem, RunEvent, RunEventBody, ScenarioPlan } from '../../src/model/events.js';
import { reduceRun } from '../../src/report/model.js';

/** How one process that runs a scenario ends. */
interface Worker {
  items: number;
  /** How many of its events it wrote before it died; all of them where that is more. */
  wrote: number;
  /** What the file had become when it was read. */
  file: 'as planned' | 'gone' | 'fewer items' | 'changed items';
}

interface Record {
  workers: Worker[];
  /** Lines of the whole record that are there; all where that is more. */
  lines: number;
  /** Whether a line after the cut says how many are missing, as a full disk that has room again makes it. */
  told: boolean;
  /** Lines that a killed writer or a full disk tore. */
  torn: number[];
  ended: boolean;
}

const stamp = { v: 1, t: '2026-01-01T00:00:00.000Z', pid: 7 } as const;

function item(number: number, title: string): PlannedItem {
  const id = `c${String(number).padStart(2, '0')}`;
  return { id, kind: 'check', type: 'ping', title, detail: 'a pings b', line: number, column: 1, covers: [] };
}

function planOf(name: string, items: number, title = 'it answers'): ScenarioPlan {
  return {
    scenario: name,
    file: `/${name}.yaml`,
    title: name,
    description: '',
    tags: [],
    covers: [],
    matrix: {},
    provider: 'local',
    planned: Array.from({ length: items }, (_, index) => item(index + 1, title)),
    topology: { hosts: [], segments: [] },
  };
}

/** What a process writes that runs the scenario as its file now is. */
function written({ scenario, ...plan }: ScenarioPlan): RunEventBody[] {
  const items = plan.planned.flatMap(({ id }): RunEventBody[] => [
    { type: 'item:start', scenario, item: id },
    { type: 'item:end', scenario, item: id, outcome: { verdict: 'pass', reason: 'yes' }, attempts: 1, durationMs: 1 },
  ]);
  return [
    { type: 'scenario:start', scenario, attempt: 1, ...plan },
    ...items,
    { type: 'scenario:end', scenario, durationMs: 1 },
  ];
}

function eventsOf(worker: Worker, name: string): RunEventBody[] {
  if (worker.file === 'gone') return [];
  const items = worker.file === 'fewer items' ? worker.items - 1 : worker.items;
  const plan = planOf(name, items, worker.file === 'changed items' ? 'something else' : 'it answers');
  return written(plan).slice(0, worker.wrote);
}

/** The record's lines as they come to be, and whether all that was planned has really been run and written. */
function recordOf(record: Record): { plans: ScenarioPlan[]; events: RunEvent[]; torn: number; whole: boolean } {
  const plans = record.workers.map((worker, index) => planOf(`s${index}`, worker.items));
  const all: RunEventBody[] = [
    { type: 'run:start', netrig: '0', node: '', kernel: '', argv: [], cwd: '/' },
    ...plans.map((plan): RunEventBody => ({ type: 'scenario:plan', ...plan })),
  ];
  const head = all.length;
  const streams = record.workers.map((worker, index) => eventsOf(worker, `s${index}`));
  for (let at = 0; streams.some((stream) => at < stream.length); at += 1)
    for (const stream of streams) all.push(...stream.slice(at, at + 1));
  // Workers that died fail a test of Mocha's; a file that changed may not.
  const died = streams.filter((stream, index) => stream.length < 2 + 2 * record.workers[index]!.items).length;
  const endEvent: RunEventBody = { type: 'run:end', durationMs: 1, interrupted: false, failures: died };
  if (record.ended) all.push(endEvent);
  // The plan is in the file before the first worker starts: what is cut or torn comes after it.
  const cut = Math.max(head, record.lines);
  const kept = all.slice(0, cut);
  const missing = all.length - kept.length;
  const tornAt = new Set(record.torn.filter((at) => at >= head && at < kept.length));
  const events = kept.filter((_, index) => !tornAt.has(index));
  if (missing > 0 && record.told) events.push({ type: 'lost', events: missing }, endEvent);
  const whole =
    record.ended &&
    missing === 0 &&
    tornAt.size === 0 &&
    record.workers.every((worker) => worker.file === 'as planned' && worker.wrote >= 2 + 2 * worker.items);
  return { plans, events: events.map((event) => ({ ...stamp, ...event })), torn: tornAt.size, whole };
}

const aWorker: fc.Arbitrary<Worker> = fc.record({
  items: fc.integer({ min: 1, max: 4 }),
  wrote: fc.oneof(fc.constant(99), fc.integer({ min: 0, max: 10 })),
  file: fc.oneof(
    { weight: 4, arbitrary: fc.constant('as planned' as const) },
    { weight: 1, arbitrary: fc.constantFrom('gone' as const, 'fewer items' as const, 'changed items' as const) },
  ),
});
const aRecord: fc.Arbitrary<Record> = fc.record({
  workers: fc.array(aWorker, { minLength: 1, maxLength: 5 }),
  lines: fc.oneof(fc.constant(999), fc.integer({ min: 0, max: 60 })),
  told: fc.boolean(),
  torn: fc.oneof(fc.constant<number[]>([]), fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 3 })),
  ended: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
});

describe('What is planned is reported, however a worker, a file or the record dies', () => {
  it('each planned item has one outcome, and nothing but a whole run is green', () =>
    fc.assert(
      fc.property(aRecord, (record) => {
        const { plans, events, torn, whole } = recordOf(record);
        const model = reduceRun(events, { tornLines: torn });
        expect(model.totals.planned).to.equal(model.totals.reported);
        for (const plan of plans) {
          const scenario = model.scenarios.filter((one) => one.id === plan.scenario);
          expect(scenario).to.have.length(1);
          const titles = scenario[0]!.last.items.map((one) => `${one.id} ${one.title}`);
          for (const { id, title } of plan.planned)
            expect(titles.filter((one) => one === `${id} ${title}`)).to.have.length(1);
        }
        expect(model.exitCode === 0).to.equal(whole);
        if (!whole) expect(model.exitCode).to.equal(3);
      }),
      { numRuns: 1000 },
    ));

  it('a failure that Mocha counted and the record does not show is never green', () => {
    const plan = planOf('s', 1);
    const events: RunEventBody[] = [
      { type: 'run:start', netrig: '0', node: '', kernel: '', argv: [], cwd: '/' },
      { type: 'scenario:plan', ...plan },
      ...written(plan),
      { type: 'run:end', durationMs: 1, interrupted: false, failures: 1 },
    ];
    const model = reduceRun(events.map((event) => ({ ...stamp, ...event })));
    expect(model.exitCode).to.equal(3);
    expect(model.problems.map((one) => one.message)).to.deep.equal([
      'Mocha counted 1 failure that the record does not show',
    ]);
  });

  it('an interruption before a scenario began leaves its items skipped, with that reason', () => {
    const events: RunEventBody[] = [
      { type: 'scenario:plan', ...planOf('s', 2) },
      { type: 'run:end', durationMs: 1, interrupted: true },
    ];
    const model = reduceRun(events.map((event) => ({ ...stamp, ...event })));
    expect(model.totals).to.include({ planned: 2, skipped: 2 });
    expect(model.exitCode).to.equal(130);
  });
});
