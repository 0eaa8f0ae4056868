import { looksOnly, type CheckKind } from '../../src/checks/kind.js';
import type { RunEventBody } from '../../src/model/events.js';
import type { Outcome } from '../../src/model/verdict.js';
import type { ProbeContext } from '../../src/places/context.js';
import { createScenarioRun, type ScenarioRun, type ScenarioRunOptions } from '../../src/run/scenario-run.js';
import { builtInKinds } from '../../src/scenario/kinds.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import type { Scenario } from '../../src/scenario/scenario.js';
import { openSession } from '../../src/session/session.js';
import type { StepContext, StepKind } from '../../src/steps/kind.js';
import type { HostConnection } from '../../src/ssh/ssh.js';
import { fakeConnection } from './connection.js';
import { fakeProvider } from './provider.js';

export type Attempted = (context: ProbeContext) => Outcome | Promise<Outcome>;
export type Taken = (context: StepContext) => Outcome | Promise<Outcome>;

/** The scenario of a text whose `ping` checks and `run` steps do what the test says, by their title. */
export function fakeScenario(
  text: string,
  doing: { checks?: Record<string, Attempted>; steps?: Record<string, Taken> },
): Scenario {
  const ping = builtInKinds.checks.find((kind) => kind.name === 'ping')!;
  const run = builtInKinds.steps.find((kind) => kind.name === 'run')!;
  const { scenarios, diagnostics } = loadScenarioText(text, '/tmp/fake.yaml');
  if (diagnostics.length > 0) throw new Error(diagnostics.map((one) => `${one.line}: ${one.message}`).join('\n'));
  const [scenario] = scenarios;
  const items = scenario!.items.map((item) => {
    if (item.kind === 'check') {
      const attempt = doing.checks?.[item.title] ?? (() => ({ verdict: 'pass' as const, reason: 'It is so.' }));
      const type: CheckKind = { ...ping, mayChange: looksOnly, run: async (_, context) => attempt(context) };
      return { ...item, type };
    }
    const take = doing.steps?.[item.title] ?? (() => ({ verdict: 'pass' as const, reason: 'Done.' }));
    const type: StepKind = { ...run, run: async (_, context) => take(context) };
    return { ...item, type };
  });
  return { ...scenario!, items };
}

export interface FakeRun {
  run: ScenarioRun;
  events: RunEventBody[];
  /** Performs every item, finishes, and gives the outcomes by title. */
  all(): Promise<Record<string, Outcome>>;
  texts(): string[];
}

/** A run of a scenario without any lab: its provider makes nothing, its hosts answer every command with exit status 0. */
export function fakeRun(
  scenario: Scenario,
  options: Partial<ScenarioRunOptions> & { connect?: () => Promise<HostConnection> } = {},
): FakeRun {
  const events: RunEventBody[] = [];
  const { connect = () => Promise.resolve(fakeConnection()), ...rest } = options;
  const run = createScenarioRun(scenario, {
    provider: fakeProvider(),
    emit: (event) => events.push(event),
    runDir: '/nowhere',
    signal: new AbortController().signal,
    openSession: (lab) => openSession(lab, connect),
    starvation: () => null,
    ...rest,
  });
  return {
    run,
    events,
    async all() {
      const outcomes: Record<string, Outcome> = {};
      for (const item of run.items) outcomes[item.title] = await run.perform(item.id);
      await run.finish();
      return outcomes;
    },
    texts: () => events.flatMap((event) => (event.type === 'log' ? [event.text] : [])),
  };
}
