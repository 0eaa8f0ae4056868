import { createRequire } from 'node:module';
import type * as chai from 'chai';
import { messageOf, NetrigError } from '../errors.js';
import type { EmitEvent } from '../model/events.js';
import type { Outcome } from '../model/verdict.js';
import { wishFor } from '../providers/isolation-wish.js';
import { keepSavedValues } from '../lab/store.js';
import { providerNamed } from '../providers/registry.js';
import { itemsOf } from '../run/planned-items.js';
import { createScenarioRun, isAsExpected, type ScenarioRun } from '../run/scenario-run.js';
import type { RunSettings } from '../run/run-settings.js';
import { formatDiagnostics, loadScenarioFileSync } from '../scenario/load.js';
import { toldOf } from '../scenario/handed-out.js';
import type { Scenario } from '../scenario/scenario.js';
import { isSelected, suiteTitle, testTitle } from './selection.js';

export interface SuiteOptions {
  /** `null` while files are being loaded by stock Mocha: the run begins after that. */
  settings: () => RunSettings | null;
  emit: EmitEvent;
  signal: AbortSignal;
  /** How a kept lab comes to be (`--keep-on-fail`): one that outlives this process. */
  upDetached: (scenario: Scenario) => Parameters<typeof createScenarioRun>[1]['up'];
}

/** Loaded when the first check has failed, and in the middle of what cannot wait for a module. */
const assertionError = (): typeof chai.AssertionError =>
  (createRequire(import.meta.url)('chai') as typeof chai).AssertionError;

/** Thrown inside a Mocha test for every verdict that is neither pass nor skipped. */
function failureOf(scenario: Scenario, title: string, line: number, outcome: Outcome): Error {
  const what =
    outcome.verdict === 'fail' && outcome.cause
      ? `${outcome.cause}: `
      : outcome.verdict === 'fail'
        ? ''
        : `${outcome.verdict}: `;
  const message = `${what}${outcome.reason}`;
  const error =
    outcome.verdict === 'fail'
      ? new (assertionError())(message, {
          showDiff: false,
          ...(outcome.expected === undefined
            ? {}
            : { expected: outcome.expected, actual: outcome.actual ?? outcome.reason }),
        })
      : new Error(message);
  // The place that a reader wants is in the YAML file, not in netrig.
  error.stack = `${error.name}: ${message}\n    at ${title} (${scenario.file}:${line}:1)`;
  return error;
}

function labFailure(scenario: Scenario, message: string): Error {
  const error = new Error(message);
  error.stack = `${error.name}: ${message}\n    at ${scenario.id} (${scenario.file}:1:1)`;
  return error;
}

function defineScenario(scenario: Scenario, options: SuiteOptions): void {
  describe(suiteTitle(scenario), function suite() {
    this.timeout(0);
    let run: ScenarioRun | null = null;

    function started(): ScenarioRun {
      if (run) return run;
      const settings = options.settings();
      if (!settings)
        throw new NetrigError('NETRIG_INTERNAL', 'A scenario began before its run did.', {
          hint: 'Load netrig by `mocha --require netrig/register`.',
        });
      const provider = providerNamed(settings.provider ?? scenario.provider ?? 'local');
      run = createScenarioRun(scenario, {
        provider,
        emit: options.emit,
        runDir: settings.runDir,
        signal: options.signal,
        attempt: settings.attempt,
        keepOnFail: settings.keepOnFail,
        isolation: wishFor(settings.isolation, scenario.file),
        checkOnly: settings.checkOnly,
        tell: toldOf(scenario),
        ...(settings.bail ? { notAskedFor: 'the run stopped at the first check that did not pass (--bail)' } : {}),
        ...(settings.keepOnFail
          ? {
              up: options.upDetached(scenario),
              onSaved: (lab, values) => keepSavedValues(lab.id, values),
            }
          : {}),
      });
      return run;
    }

    before(() => {
      started();
    });

    /** Whether a test has failed by an error, and so may have told that of the lab. */
    let erred = false;
    for (const item of itemsOf(scenario)) {
      const title = testTitle(item);
      it(title, async function test() {
        const outcome = await started().perform(item.id);
        erred ||= outcome.verdict === 'error';
        if (outcome.verdict === 'skipped') {
          this.test!.title = `${title} (skipped: ${outcome.reason})`;
          this.skip();
        }
        if (isAsExpected(item, outcome)) {
          if (outcome.verdict !== 'pass') this.test!.title = `${title} (warning: ${outcome.reason})`;
          return;
        }
        throw failureOf(scenario, item.title, item.source.line, outcome);
      });
    }

    after('the lab came up, and is gone', async () => {
      await run?.finish();
      const broke = run?.broke() ?? null;
      // Its items were skipped, and that fails nothing by itself.
      if (broke !== null && !erred) throw labFailure(scenario, broke);
    });
  });
}

/**
 * Defines the suites of one scenario file with Mocha's `describe` and `it`.
 *
 * @throws NETRIG_SCENARIO_INVALID with every mistake of the file.
 */
export function defineScenarioFile(file: string, options: SuiteOptions): void {
  const settings = options.settings();
  const loaded = loadScenarioFileSync(file, settings ? { matrix: settings.matrix, provider: settings.provider } : {});
  if (loaded.diagnostics.length > 0) {
    throw new NetrigError(
      'NETRIG_SCENARIO_INVALID',
      `${loaded.diagnostics.length} ${loaded.diagnostics.length === 1 ? 'mistake' : 'mistakes'} in ${file}\n${formatDiagnostics(loaded.diagnostics, { color: false })}`,
    );
  }
  for (const scenario of loaded.scenarios) {
    if (!settings || isSelected(scenario, settings)) defineScenario(scenario, options);
  }
}

/** A suite for a file that the run had chosen and that is no scenario file any more: its one test fails, and the record says why. */
export function defineBrokenFile(file: string, error: unknown, emit: EmitEvent): void {
  describe(file, () => {
    it('is a scenario file', () => {
      const text = `${file} was changed after the run had chosen it: ${messageOf(error)}`;
      emit({ type: 'log', scenario: null, level: 'error', text });
      throw error instanceof Error ? error : new Error(text);
    });
  });
}
