import { expect } from 'chai';
import { findings, reduceRun, worstVerdict, type RunModel } from '../../src/report/model.js';
import type { RunEvent } from '../../src/model/events.js';
import type { Verdict } from '../../src/model/verdict.js';
import {
  buildRun,
  command,
  failed,
  itemEnd,
  itemStart,
  overlayRun,
  passed,
  planned,
  runEnd,
  runStart,
  scenarioEnd,
  scenarioStart,
  type RunBuilder,
} from '../fixtures/runs/builder.js';

const items = [planned('s01', 'set up'), planned('c02', 'first'), planned('c03', 'second')];

function begun(): RunBuilder {
  return buildRun().add(runStart).add(scenarioStart('a', items));
}

function whole(...outcomes: Parameters<typeof itemEnd>[2][]): RunBuilder {
  const run = begun();
  outcomes.forEach((outcome, index) => run.add(itemEnd('a', items[index]?.id ?? '', outcome)));
  return run.add(scenarioEnd('a')).add(runEnd());
}

function seen(model: RunModel): [string, Verdict, string][] {
  return model.scenarios.flatMap((s) =>
    s.last.items.map((i): [string, Verdict, string] => [i.id, i.outcome.verdict, i.outcome.reason]),
  );
}

function codes(model: RunModel): string[] {
  return model.problems.map((p) => p.code);
}

describe('report: events to a model', () => {
  const inconclusive = { verdict: 'inconclusive' as const, reason: 'ping is missing' };
  const error = { verdict: 'error' as const, reason: 'NETRIG_SSH_LOST' };
  const skipped = { verdict: 'skipped' as const, reason: 'kernel:8021q is missing' };

  const table: { title: string; run: RunBuilder; exit: number; verdicts: Verdict[]; codes?: string[] }[] = [
    { title: 'all passed', run: whole(passed, passed, passed), exit: 0, verdicts: ['pass', 'pass', 'pass'] },
    {
      title: 'passed with a skip',
      run: whole(passed, passed, skipped),
      exit: 0,
      verdicts: ['pass', 'pass', 'skipped'],
    },
    {
      title: 'a failure',
      run: whole(passed, failed('timeout', 'no reply'), passed),
      exit: 1,
      verdicts: ['pass', 'fail', 'pass'],
    },
    {
      title: 'an inconclusive check is not green',
      run: whole(passed, passed, inconclusive),
      exit: 1,
      verdicts: ['pass', 'pass', 'inconclusive'],
    },
    {
      title: 'an error before a failure',
      run: whole(passed, failed('timeout', 'no reply'), error),
      exit: 3,
      verdicts: ['pass', 'fail', 'error'],
    },
    {
      title: 'every check skipped proves nothing',
      run: whole(passed, skipped, skipped),
      exit: 1,
      verdicts: ['pass', 'skipped', 'skipped'],
      codes: ['NETRIG_NOTHING_RAN'],
    },
    {
      title: 'a run without a scenario proves nothing',
      run: buildRun().add(runStart).add(runEnd()),
      exit: 1,
      verdicts: [],
      codes: ['NETRIG_NOTHING_RAN'],
    },
    {
      title: 'steps alone prove nothing',
      run: buildRun()
        .add(runStart)
        .add(scenarioStart('a', [planned('s01', 'x')]))
        .add(itemEnd('a', 's01', passed))
        .add(scenarioEnd('a'))
        .add(runEnd()),
      exit: 1,
      verdicts: ['pass'],
      codes: ['NETRIG_NOTHING_RAN'],
    },
    {
      title: 'a lab error with everything skipped',
      run: begun()
        .add(scenarioEnd('a', { code: 'NETRIG_HOST_BOOT', message: 'node1 did not boot' }))
        .add(runEnd()),
      exit: 3,
      verdicts: ['skipped', 'skipped', 'skipped'],
      codes: ['NETRIG_HOST_BOOT'],
    },
    {
      title: 'a lab error after all passed is still a lab error',
      run: begun()
        .add(itemEnd('a', 's01', passed))
        .add(itemEnd('a', 'c02', passed))
        .add(itemEnd('a', 'c03', passed))
        .add(scenarioEnd('a', { code: 'NETRIG_CLEANUP', message: 'a namespace is left' }))
        .add(runEnd()),
      exit: 3,
      verdicts: ['pass', 'pass', 'pass'],
      codes: ['NETRIG_CLEANUP'],
    },
    {
      title: 'a failed step is a failure, not a lab error',
      run: begun()
        .add(itemEnd('a', 's01', failed('exit-status', 'exit 2')))
        .add(scenarioEnd('a', { code: 'NETRIG_STEP_FAILED', message: 's01' }))
        .add(runEnd()),
      exit: 1,
      verdicts: ['fail', 'skipped', 'skipped'],
      codes: [],
    },
    {
      title: 'an interruption before an error',
      run: begun()
        .add(itemEnd('a', 's01', error))
        .add(itemStart('a', 'c02'))
        .add(scenarioEnd('a', { code: 'NETRIG_INTERRUPTED', message: 'Ctrl-C' }))
        .add(runEnd(true)),
      exit: 130,
      verdicts: ['error', 'skipped', 'skipped'],
    },
    {
      title: 'an interruption without a last word of the scenario',
      run: begun()
        .add(itemEnd('a', 's01', passed))
        .add(runEnd(true)),
      exit: 130,
      verdicts: ['pass', 'skipped', 'skipped'],
    },
    {
      title: 'an interruption after all passed',
      run: begun()
        .add(itemEnd('a', 's01', passed))
        .add(itemEnd('a', 'c02', passed))
        .add(itemEnd('a', 'c03', passed))
        .add(scenarioEnd('a'))
        .add(runEnd(true)),
      exit: 130,
      verdicts: ['pass', 'pass', 'pass'],
    },
    {
      title: 'a killed run',
      run: begun()
        .add(itemEnd('a', 's01', passed))
        .add(itemStart('a', 'c02')),
      exit: 3,
      verdicts: ['pass', 'error', 'error'],
      codes: ['NETRIG_INTERNAL'],
    },
    {
      title: 'a killed worker of a run that went on',
      run: begun()
        .add(itemEnd('a', 's01', passed))
        .add(itemEnd('a', 'c02', passed))
        .add({ type: 'run:end', durationMs: 5, interrupted: false }, 1),
      exit: 3,
      verdicts: ['pass', 'pass', 'error'],
    },
    {
      title: 'an item that netrig forgot',
      run: begun()
        .add(itemEnd('a', 's01', passed))
        .add(itemEnd('a', 'c02', passed))
        .add(scenarioEnd('a'))
        .add(runEnd()),
      exit: 3,
      verdicts: ['pass', 'pass', 'error'],
    },
    {
      title: 'a killed worker that had reported all',
      run: begun()
        .add(itemEnd('a', 's01', passed))
        .add(itemEnd('a', 'c02', passed))
        .add(itemEnd('a', 'c03', passed))
        .add(runEnd()),
      exit: 3,
      verdicts: ['pass', 'pass', 'pass'],
      codes: ['NETRIG_INTERNAL'],
    },
  ];
  for (const row of table) {
    it(`${row.title}: exit ${row.exit}`, () => {
      const model = reduceRun(row.run.events);
      expect(seen(model).map(([, verdict]) => verdict)).to.deep.equal(row.verdicts);
      expect(model.exitCode).to.equal(row.exit);
      expect(model.totals.reported).to.equal(model.totals.planned);
      expect(model.totals.planned).to.equal(row.verdicts.length);
      expect(seen(model).every(([, , reason]) => reason.length > 0)).to.equal(true);
      if (row.codes) expect(codes(model)).to.deep.equal(row.codes);
    });
  }

  it('names the failed step, the lab error, the interruption and the dead process as reasons', () => {
    const step = reduceRun(
      begun()
        .add(itemEnd('a', 's01', failed('exit-status', 'exit 2')))
        .add(scenarioEnd('a'))
        .add(runEnd()).events,
    );
    expect(seen(step)[1]?.[2]).to.equal('because step s01 failed: set up');
    expect(step.skipReasons).to.deep.equal([{ reason: 'because step s01 failed: set up', count: 2 }]);
    const lab = reduceRun(
      begun()
        .add(itemStart('a', 's01'))
        .add(scenarioEnd('a', { code: 'NETRIG_SSH_LOST', message: 'node1 is gone' }))
        .add(runEnd()).events,
    );
    expect(seen(lab).map(([, verdict, reason]) => [verdict, reason])).to.deep.equal([
      ['error', 'the lab broke while this was under way: NETRIG_SSH_LOST: node1 is gone'],
      ['skipped', 'the lab broke before this was reached: NETRIG_SSH_LOST'],
      ['skipped', 'the lab broke before this was reached: NETRIG_SSH_LOST'],
    ]);
    const interrupted = reduceRun(begun().add(itemStart('a', 's01')).add(runEnd(true)).events);
    expect(seen(interrupted).map(([, , reason]) => reason)).to.deep.equal([
      'the run was interrupted while this was under way',
      'the run was interrupted before this was reached',
      'the run was interrupted before this was reached',
    ]);
    const died = reduceRun(begun().add(itemStart('a', 's01')).add(runEnd(), 1).events);
    expect(seen(died)[0]?.[2]).to.equal('the process that ran this scenario (pid 100) died while this was under way');
  });

  it('counts the last attempt, keeps the earlier ones and says flaky where they differ', () => {
    const run = whole(passed, failed('timeout', 'no reply'), passed);
    run.events.pop();
    run.add(scenarioStart('a', items, { attempt: 2 }));
    for (const item of items) run.add(itemEnd('a', item.id, passed));
    const model = reduceRun(run.add(scenarioEnd('a')).add(runEnd()).events);
    expect(model.exitCode).to.equal(0);
    expect(model.totals).to.include({ planned: 3, pass: 3, fail: 0 });
    const [scenario] = model.scenarios;
    expect(scenario?.earlier.map((a) => [a.attempt, a.verdict])).to.deep.equal([[1, 'fail']]);
    expect(scenario?.flaky).to.equal(true);
    expect(scenario?.last.items.map((i) => i.flaky)).to.deep.equal([false, true, false]);
    expect(model.flaky).to.equal(1);
  });

  it('does not call flaky what was skipped in one attempt, nor attempts that agree', () => {
    const run = buildRun().add(runStart);
    for (const attempt of [1, 2]) {
      run
        .add(scenarioStart('a', items, { attempt }))
        .add(itemEnd('a', 's01', failed('exit-status', 'exit 1')))
        .add(scenarioEnd('a'));
    }
    const model = reduceRun(run.add(runEnd()).events);
    expect(model.scenarios[0]?.flaky).to.equal(false);
    expect(model.flaky).to.equal(0);
  });

  it('keeps scenarios of interleaved workers apart', () => {
    const run = buildRun().add(runStart, 1).add(scenarioStart('a', items), 2).add(scenarioStart('b', items), 3);
    for (const item of items) {
      run.add(itemStart('b', item.id), 3).add(itemStart('a', item.id), 2);
      run
        .add(command('a', item.id, { command: `a ${item.id}` }), 2)
        .add(command('b', item.id, { command: `b ${item.id}` }), 3);
      run.add(itemEnd('a', item.id, passed), 2).add(itemEnd('b', item.id, failed('refused', 'refused')), 3);
    }
    const model = reduceRun(run.add(scenarioEnd('b'), 3).add(scenarioEnd('a'), 2).add(runEnd(), 1).events);
    expect(model.scenarios.map((s) => [s.id, s.verdict, s.last.pid])).to.deep.equal([
      ['a', 'pass', 2],
      ['b', 'fail', 3],
    ]);
    expect(model.scenarios.map((s) => s.last.items.map((i) => i.transcripts.map((t) => t.command)))).to.deep.equal([
      [['a s01'], ['a c02'], ['a c03']],
      [['b s01'], ['b c02'], ['b c03']],
    ]);
  });

  it('calls an item that was never planned, or reported twice, a fault of netrig', () => {
    const twice = reduceRun(
      begun()
        .add(itemEnd('a', 's01', passed))
        .add(itemEnd('a', 'c02', passed))
        .add(itemEnd('a', 'c02', failed('timeout', 'x')))
        .add(itemEnd('a', 'c02', passed))
        .add(itemEnd('a', 'c03', passed))
        .add(scenarioEnd('a'))
        .add(runEnd()).events,
    );
    expect(seen(twice)[1]?.[1]).to.equal('fail');
    expect(twice.exitCode).to.equal(3);
    const alien = reduceRun(whole(passed, passed, passed).add(itemEnd('a', 'c99', passed)).events);
    expect(alien.totals.planned).to.equal(3);
    expect(alien.exitCode).to.equal(3);
  });

  it('says that lines of the record are torn, and is not green then', () => {
    const model = reduceRun(whole(passed, passed, passed).events, { tornLines: 1 });
    expect(codes(model)).to.include('NETRIG_REPORT_WRITE');
    expect(model.exitCode).to.equal(3);
  });

  it('keeps phases, engines, artifacts and logs, also those from before the scenario began', () => {
    const run = buildRun().add(runStart);
    run.add({ type: 'phase', scenario: 'a', phase: 'image', state: 'start', text: 'building debian-11' }).wait(700);
    run.add({ type: 'phase', scenario: 'a', phase: 'image', state: 'end', text: 'debian-11 is built' });
    const early = reduceRun(run.add(scenarioStart('a', items)).add(scenarioEnd('a')).add(runEnd()).events);
    expect(early.scenarios[0]?.last.phases).to.have.length(1);
    expect(early.scenarios[0]?.last.phases[0]).to.include({
      phase: 'image',
      durationMs: 700,
      text: 'debian-11 is built',
    });
    const model = reduceRun(overlayRun().events);
    const last = model.scenarios[0]?.last;
    expect(last?.phases.filter((p) => p.host !== null).map((p) => [p.host, p.durationMs])).to.deep.equal([
      ['node1', 1900],
      ['node2', 1900],
      ['client', 1900],
    ]);
    expect(last?.engines.map((e) => e.host)).to.deep.equal(['node1', 'node2']);
    expect(last?.artifacts.map((a) => a.file)).to.deep.equal(['artifacts/node2-console.log']);
    expect(last?.items.find((i) => i.id === 'c10')?.artifacts.map((a) => a.file)).to.deep.equal([
      'artifacts/c10 lan.pcap',
    ]);
    expect(last?.transcripts.map((t) => t.command)).to.deep.equal(['docker load']);
    expect(last?.logs.map((l) => l.level)).to.deep.equal(['warn']);
    expect(findings(model).map(({ item }) => [item.id, item.outcome.verdict])).to.deep.equal([
      ['c08', 'fail'],
      ['c09', 'fail'],
      ['c13', 'inconclusive'],
      ['c15', 'error'],
    ]);
  });

  it('reports an error of a scenario that never started', () => {
    const model = reduceRun(
      buildRun()
        .add(runStart)
        .add(scenarioEnd('ghost', { code: 'NETRIG_SEGMENT', message: 'no bridge' }))
        .add(runEnd()).events,
    );
    expect(codes(model)).to.include('NETRIG_SEGMENT');
    expect(model.exitCode).to.equal(3);
  });

  it('is pure: the same events give the same model, at every cut of the stream planned equals reported', () => {
    const { events } = overlayRun();
    expect(reduceRun(events)).to.deep.equal(reduceRun(structuredClone(events) as RunEvent[]));
    for (let n = 0; n <= events.length; n += 1) {
      const model = reduceRun(events.slice(0, n));
      expect(model.totals.reported).to.equal(model.totals.planned);
      expect(
        model.totals.pass + model.totals.fail + model.totals.inconclusive + model.totals.error + model.totals.skipped,
      ).to.equal(model.totals.planned);
      if (n < events.length) expect(model.exitCode, `cut after ${n} events`).to.not.equal(0);
    }
  });

  it('ranks verdicts', () => {
    expect(worstVerdict(['pass', 'skipped'])).to.equal('pass');
    expect(worstVerdict(['pass', 'inconclusive', 'fail'])).to.equal('fail');
    expect(worstVerdict(['fail', 'error'])).to.equal('error');
    expect(worstVerdict([])).to.equal('skipped');
  });
});
