import { expect } from 'chai';
import { z } from 'zod';
import type { CheckKind } from '../../src/checks/kind.js';
import type { RunEventBody } from '../../src/model/events.js';
import type { Outcome } from '../../src/model/verdict.js';
import { createScenarioRun } from '../../src/run/scenario-run.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import type { StepKind } from '../../src/steps/kind.js';
import { fakeProvider } from '../fakes/provider.js';

const pass: Outcome = { verdict: 'pass', reason: 'Done.' };
const fail: Outcome = { verdict: 'fail', cause: 'exit-status', reason: 'It exited with 1.' };

/** A run of a scenario whose steps and checks do nothing but say what they are told to, by their text. */
function runOf(text: string, over: Record<string, (signal: AbortSignal) => Outcome | Promise<Outcome>> = {}) {
  const ran: string[] = [];
  const events: RunEventBody[] = [];
  const controller = new AbortController();
  const act = async (name: string, signal: AbortSignal): Promise<Outcome> => {
    ran.push(name);
    return (await over[name]?.(signal)) ?? pass;
  };
  const run: StepKind = {
    name: 'run',
    summary: '',
    example: '',
    schema: z.strictObject({ run: z.string() }),
    repeatable: false,
    describe: (spec) => (spec as { run: string }).run,
    run: (spec, context) => act((spec as { run: string }).run, context.signal),
  } as StepKind;
  const look = {
    name: 'look',
    summary: '',
    example: '',
    schema: z.string(),
    endpoints: () => [],
    describe: String,
    run: (spec: unknown, context: { signal: AbortSignal }) => act(String(spec), context.signal),
  } as unknown as CheckKind;
  const loaded = loadScenarioText(text, '/labs/lab.yaml', { kinds: { steps: [run], checks: [look] } });
  expect(loaded.diagnostics).to.deep.equal([]);
  const scenario = { ...loaded.scenarios[0]!, hosts: [], segments: [] };
  const made = createScenarioRun(scenario, {
    provider: fakeProvider(),
    emit: (event) => void events.push(event),
    runDir: '/nowhere',
    signal: controller.signal,
  });
  const verdicts = (): string[] =>
    events.flatMap((event) => (event.type === 'item:end' ? [`${event.item} ${event.outcome.verdict}`] : []));
  return { made, ran, controller, verdicts };
}

const text = `scenario: lab
title: A lab
hosts: { node1: }
steps:
  - run: first
  - check: it is so
    look: check
  - run: second
finally:
  - run: undo second
  - run: undo first
`;

describe('Steps of `finally`', () => {
  it('run after all others, and are planned and reported as they are', async () => {
    const { made, ran, verdicts } = runOf(text);
    for (const item of made.items) await made.perform(item.id);
    await made.finish();
    expect(ran).to.deep.equal(['first', 'check', 'second', 'undo second', 'undo first']);
    expect(verdicts()).to.deep.equal(['s01 pass', 'c02 pass', 's03 pass', 's04 pass', 's05 pass']);
  });

  it('run after a step that failed, each whatever became of the one before', async () => {
    const { made, ran, verdicts } = runOf(text, { first: () => fail, 'undo second': () => fail });
    for (const item of made.items) await made.perform(item.id);
    await made.finish();
    expect(ran).to.deep.equal(['first', 'undo second', 'undo first']);
    expect(verdicts()).to.deep.equal(['s01 fail', 'c02 skipped', 's03 skipped', 's04 fail', 's05 pass']);
  });

  it('run where a selection left them out', async () => {
    const { made, ran } = runOf(text);
    await made.perform('c02');
    await made.finish();
    expect(ran).to.deep.equal(['first', 'check', 'undo second', 'undo first']);
  });

  it('run after the run was interrupted, with a signal of their own', async () => {
    const aborted: boolean[] = [];
    const { made, ran, controller, verdicts } = runOf(text, {
      check: () => {
        controller.abort();
        return fail;
      },
      'undo first': (signal) => {
        aborted.push(signal.aborted);
        return pass;
      },
    });
    for (const item of made.items.slice(0, 2)) await made.perform(item.id);
    await made.finish();
    expect(ran).to.deep.equal(['first', 'check', 'undo second', 'undo first']);
    expect(aborted).to.deep.equal([false]);
    expect(verdicts()).to.deep.equal(['s01 pass', 'c02 error', 's04 pass', 's05 pass', 's03 skipped']);
  });

  it('do not run where nothing ran before them', async () => {
    const { made, ran, verdicts } = runOf(text);
    await made.finish();
    expect(ran).to.deep.equal([]);
    expect(verdicts().every((one) => one.endsWith('skipped'))).to.equal(true);
  });
});

describe('Conditions on variables, in a run', () => {
  it('leave an item out where they do not hold, with what is so', async () => {
    const { made, ran } = runOf(`scenario: lab
title: A lab
vars: { mode: nat }
hosts: { node1: }
steps:
  - for: [{ kind: nat }, { kind: routed }]
    run: set up \${kind}
    when: { vars: { kind: [nat] } }
`);
    await made.perform('s01');
    const outcome = await made.perform('s02');
    expect(ran).to.deep.equal(['set up nat']);
    expect(outcome).to.deep.equal({ verdict: 'skipped', reason: 'only for kind nat; here it is routed' });
  });
});
