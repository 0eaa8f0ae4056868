import { expect } from 'chai';
import { NetrigError } from '../../src/errors.js';
import type { Outcome } from '../../src/model/verdict.js';
import { parseEndpoint, type VantageEndpoint } from '../../src/places/endpoint.js';
import { resolveVantage, type Vantage } from '../../src/places/vantage.js';
import type { DeadPart, LimitMet } from '../../src/providers/provider.js';
import { starvationOf, type MachineState } from '../../src/run/starvation.js';
import type { ExecResult, HostConnection, RemoteProcess } from '../../src/ssh/ssh.js';
import { execResult, fakeConnection } from '../fakes/connection.js';
import { fakeLab, fakeProvider } from '../fakes/provider.js';
import { fakeRun, fakeScenario, type Attempted } from '../fakes/scenario.js';

const text = `
scenario: fake
title: A scenario without a lab
hosts: { a: { init: light }, b: { init: light } }
segments: { lan: { subnet: 10.0.0.0/24, hosts: { a: 10.0.0.1, b: 10.0.0.2 } } }
steps:
  - step: first
    on: a
    run: "true"
  - check: one
    ping: { from: a, to: b }
  - step: second
    on: a
    run: "true"
  - check: two
    ping: { from: a, to: b }
`;
const timedOut: Outcome = { verdict: 'fail', cause: 'timeout', reason: 'No answer.' };
const pass: Outcome = { verdict: 'pass', reason: 'It is so.' };
const verdicts = (outcomes: Record<string, Outcome>): Record<string, string> =>
  Object.fromEntries(Object.entries(outcomes).map(([title, { verdict }]) => [title, verdict]));

describe('The run of a scenario', () => {
  it('says what is planned first, and reports each item once', async () => {
    const { all, events } = fakeRun(fakeScenario(text, {}));
    expect(verdicts(await all())).to.deep.equal({ first: 'pass', one: 'pass', second: 'pass', two: 'pass' });
    expect(events[0]).to.include({ type: 'scenario:start', scenario: 'fake' });
    const ended = events.flatMap((event) => (event.type === 'item:end' ? [event.item] : []));
    expect(ended).to.have.members(['s01', 'c02', 's03', 'c04']);
    expect(ended).to.have.length(4);
    expect(events.at(-1)).to.include({ type: 'scenario:end' });
  });

  it('asks no engine whose version was stated before on the same lab: to ask may start it', async () => {
    const conditional = text
      .replace('hosts: { a: { init: light }, b: { init: light } }', 'hosts: { a: , b: { init: light } }')
      .replace('  - check: one\n', '  - check: one\n    when: { engine: ">=28" }\n');
    const engineVersions = new Map([['a', Promise.resolve('20.10.24')]]);
    const outcomes = await fakeRun(fakeScenario(conditional, {}), { engineVersions }).all();
    expect(outcomes['one']).to.include({ verdict: 'skipped' });
    expect(outcomes['one']!.reason).to.contain('here it is 20.10.24');
  });

  it('says that why was looked for in vain where hosts give no answer in time, and looks again for the next check', async () => {
    let silent = false;
    const answers = (): Promise<ExecResult> =>
      Promise.resolve(silent ? execResult({ exitCode: null, timedOut: true }) : execResult());
    const fails: Attempted = async (context) => {
      const source = (await resolveVantage(context, parseEndpoint('a', context.plan) as VantageEndpoint)) as Vantage;
      context.later!.request = { source, name: 'web.test', server: '10.0.0.2', replied: false, cause: 'timeout' };
      silent = true;
      return timedOut;
    };
    const lost = execResult({ exitCode: null, timedOut: true });
    const spawn = (): RemoteProcess => ({
      pgid: Promise.resolve(1),
      done: Promise.resolve(lost),
      kill: () => Promise.resolve(),
    });
    const connect = (): Promise<HostConnection> => Promise.resolve({ ...fakeConnection(answers), spawn });
    const outcomes = await fakeRun(fakeScenario(text, { checks: { one: fails, two: fails } }), { connect }).all();
    const why = 'why was looked for and not found: a gave no answer in time to what was asked';
    expect(outcomes['one']).to.include({ verdict: 'fail', cause: 'timeout', reason: `No answer. ${why}` });
    expect(outcomes['two']!.reason).to.contain(why);
  });

  describe('of which only a part may be told', () => {
    const diagnosis = {
      sentence: 'b drops it: rule 1 of chain INPUT',
      rootCause: 'filtered' as const,
      way: [{ place: 'b', in: 'eth0', out: null, did: 'dropped', state: 'broken' as const }],
      back: [],
      evidence: ['-A INPUT -j DROP'],
      mend: 'iptables -D INPUT 1',
      unlooked: [],
    };
    const failed: Outcome = {
      ...timedOut,
      reason: `No answer; ${diagnosis.sentence}`,
      expected: 'an answer',
      actual: 'none',
      output: [{ title: 'rules', text: '-A INPUT -j DROP' }],
      controls: [{ title: 'b pings itself', held: false, seen: 'DROP' }],
      diagnosis,
    };
    const run = async (tell: 'verdict' | 'seen' | 'way' | null) => {
      const scenario = fakeScenario(text, {
        checks: {
          one: async (context) => {
            await context.host('a').exec('iptables -S');
            return failed;
          },
        },
      });
      const { all, events } = fakeRun(scenario, { tell });
      const { one, two } = await all();
      const commands = events.filter((event) => event.type === 'command' && event.item === 'c02').length;
      return { one: one!, two: two!, record: JSON.stringify(events), commands };
    };

    it('has neither in its outcomes nor in its record what mends something', async () => {
      for (const tell of ['verdict', 'seen', 'way'] as const) {
        const { one, record } = await run(tell);
        expect(one.verdict).to.equal('fail');
        for (const secret of ['iptables -D', 'INPUT -j DROP', 'pings itself'])
          expect(record, tell).not.to.contain(secret);
      }
      expect((await run(null)).record)
        .to.contain('iptables -D')
        .and.contain('INPUT -j DROP');
    });

    it('says what was expected and seen, the way, or the verdict alone', async () => {
      const way = await run('way');
      expect(way.one).to.deep.include({ cause: 'timeout', reason: failed.reason, expected: 'an answer' });
      expect(way.one.diagnosis).to.deep.include({ way: diagnosis.way, mend: null, evidence: [] });
      const seen = await run('seen');
      expect(seen.one).to.deep.equal({
        verdict: 'fail',
        cause: 'timeout',
        reason: 'No answer',
        expected: 'an answer',
        actual: 'none',
      });
      expect(seen.record).not.to.contain('filtered').and.not.to.contain('drops it');
      const verdict = await run('verdict');
      expect(verdict.one).to.deep.equal({ verdict: 'fail', reason: 'It is not so.' });
      expect(verdict.two).to.include({ verdict: 'pass' });
      expect(verdict.record).not.to.contain('timeout');
      expect([seen.commands, verdict.commands]).to.deep.equal([1, 0]);
    });
  });

  it('a step that fails ends it, and says so of what comes after', async () => {
    const scenario = fakeScenario(text, { steps: { second: () => ({ verdict: 'fail', reason: 'No.' }) } });
    const outcomes = await fakeRun(scenario).all();
    expect(verdicts(outcomes)).to.deep.equal({ first: 'pass', one: 'pass', second: 'fail', two: 'skipped' });
    expect(outcomes['two']!.reason).to.contain('the step "second"');
  });

  it('a lab that does not come up is an error of the scenario: no item of it was tried, and each says why', async () => {
    const provider = fakeProvider({
      preflight: () => Promise.reject(new NetrigError('NETRIG_NO_ROOT', 'Not root.')),
    });
    const { all, events, run } = fakeRun(fakeScenario(text, {}), { provider });
    const outcomes = Object.values(await all());
    expect(outcomes).to.deep.equal(
      Array(4).fill({ verdict: 'skipped', reason: 'the lab did not come up (NETRIG_NO_ROOT)' }),
    );
    const end = events.at(-1);
    expect(end?.type === 'scenario:end' && end.error?.code).to.equal('NETRIG_NO_ROOT');
    expect(run.broke()).to.match(/^Not root\. .*\(NETRIG_NO_ROOT\)$/);
  });

  it('a lab that does not come up whole stays with --keep-on-fail', async () => {
    let downs = 0;
    const down = (): Promise<void> => Promise.resolve(void (downs += 1));
    const provider = fakeProvider({ up: (plan) => Promise.resolve(fakeLab(plan, { down })) });
    const connect = (): Promise<never> => Promise.reject(new NetrigError('NETRIG_SSH_CONNECT', 'No SSH to a.'));
    for (const [keepOnFail, expected] of [
      [true, 0],
      [false, 1],
    ] as const) {
      await fakeRun(fakeScenario(text, {}), { provider, connect, keepOnFail }).all();
      expect(downs).to.equal(expected);
    }
  });

  it('a host that says nothing leaves a check inconclusive, and never is it asked again to make it green', async function () {
    this.timeout(10_000);
    const scenario = fakeScenario(text, {
      checks: {
        one: async (context) => {
          await context.host('a').exec('hostname');
          return pass;
        },
      },
    });
    const check = scenario.items.find((item) => item.title === 'one')!;
    check.timeoutMs = 50;
    let connections = 0;
    const never = new Promise<never>(() => undefined);
    const { run } = fakeRun(scenario, {
      connect: () => ((connections += 1) === 1 ? never : Promise.reject(new Error('a second connection'))),
      // Provisioning would ask the host, too.
      checkOnly: true,
    });
    const outcome = await run.perform(check.id);
    expect(outcome.verdict).to.equal('inconclusive');
    expect(outcome.reason).to.match(/^a did not answer within \d+ ms/);
    expect(connections).to.equal(1);
    await run.finish();
  });
});

describe('A limit that a host reaches', () => {
  const words = 'a reached its memory limit of 400 MB';

  it('is the error of what was under way, with its name, even where that passed; what comes later is judged again', async () => {
    let met: LimitMet[] = [];
    const scenario = fakeScenario(text, {
      checks: {
        one: () => {
          met = [{ host: 'a', text: words }];
          return pass;
        },
      },
    });
    const provider = fakeProvider({
      up: (plan) => Promise.resolve(fakeLab(plan, { limitsMet: () => met.splice(0) })),
    });
    const outcomes = await fakeRun(scenario, { provider }).all();
    expect(verdicts(outcomes)).to.deep.equal({ first: 'pass', one: 'error', second: 'pass', two: 'pass' });
    expect(outcomes['one']!.reason).to.match(/^a reached its memory limit of 400 MB\. Meanwhile it came to pass: /);
  });
});

describe('The machinery of a lab that dies', () => {
  const dead: DeadPart = { what: 'the guard of the host b (pid 7)', host: 'b' };

  function dyingProvider(parts: () => DeadPart[]) {
    return fakeProvider({ up: (plan) => Promise.resolve(fakeLab(plan, { died: parts })) });
  }

  it('is the error of the check under way, skips the rest, and ends with exit status 3, naming what died', async () => {
    let now: DeadPart[] = [];
    const scenario = fakeScenario(text, {
      checks: {
        one: () => {
          now = [dead];
          return timedOut;
        },
      },
    });
    const { all, events } = fakeRun(scenario, { provider: dyingProvider(() => now) });
    const outcomes = await all();
    expect(verdicts(outcomes)).to.deep.equal({ first: 'pass', one: 'error', second: 'skipped', two: 'skipped' });
    expect(outcomes['one']!.reason).to.contain('this died: the guard of the host b (pid 7)');
    expect(outcomes['two']!.reason).to.equal('the lab broke (NETRIG_LAB_DIED)');
    const end = events.at(-1);
    expect(end?.type === 'scenario:end' && end.error?.code).to.equal('NETRIG_LAB_DIED');
  });

  it('is the error of the scenario even if every check had passed by then', async () => {
    let now: DeadPart[] = [];
    const scenario = fakeScenario(text, {
      checks: {
        two: () => {
          now = [{ what: 'the process that holds the segments (pid 9)', host: null }];
          return pass;
        },
      },
    });
    const { all, events } = fakeRun(scenario, { provider: dyingProvider(() => now) });
    await all();
    const end = events.at(-1);
    expect(end?.type === 'scenario:end' && end.error?.code).to.equal('NETRIG_LAB_DIED');
  });

  it('ends what is under way at once', async () => {
    let now: DeadPart[] = [];
    const scenario = fakeScenario(text, {
      steps: {
        first: (context) =>
          new Promise((resolve) => {
            now = [dead];
            context.signal.addEventListener('abort', () => resolve({ verdict: 'fail', reason: 'Stopped.' }));
          }),
      },
    });
    const outcomes = await fakeRun(scenario, { provider: dyingProvider(() => now) }).all();
    expect(outcomes['first']!.verdict).to.equal('error');
  });

  it('is none of a host that a step ends on purpose', async () => {
    let now: DeadPart[] = [];
    const scenario = fakeScenario(text, {
      steps: {
        second: (context) => {
          context.expectGone('b');
          now = [dead];
          return pass;
        },
      },
      checks: { two: () => timedOut },
    });
    const { all, events } = fakeRun(scenario, { provider: dyingProvider(() => now) });
    expect(verdicts(await all())).to.deep.equal({ first: 'pass', one: 'pass', second: 'pass', two: 'fail' });
    const end = events.at(-1);
    expect(end?.type === 'scenario:end' && end.error).to.equal(undefined);
  });
});

describe('A machine that has no time', () => {
  const starvation = () => 'a load of 30.0 on 2 processors';
  const cutAttempt = async (context: { host(name: string): { exec(command: string): Promise<unknown> } }) => {
    await new Promise((resolve) => setTimeout(resolve, 60));
    await context.host('a').exec('late');
    return timedOut;
  };

  it('a step that ran out of its longer time is an error, not a failure of the lab', async () => {
    const given: number[] = [];
    const scenario = fakeScenario(text, {
      steps: {
        first: (context) => {
          given.push(context.timeLeftMs());
          return timedOut;
        },
      },
    });
    const outcomes = await fakeRun(scenario, { starvation }).all();
    expect(given[0]).to.be.above(2 * 60_000);
    expect(outcomes['first']!.verdict).to.equal('error');
    expect(outcomes['first']!.reason).to.contain('starved (a load of 30.0 on 2 processors)');
  });

  it('without starvation the same step fails', async () => {
    const scenario = fakeScenario(text, { steps: { first: () => timedOut } });
    expect((await fakeRun(scenario).all())['first']).to.deep.equal(timedOut);
  });

  it('a check gets one longer try, whose outcome counts', async () => {
    const given: number[] = [];
    const scenario = fakeScenario(text, {
      checks: {
        one: (context) => {
          given.push(context.timeLeftMs());
          return given.length === 1 ? timedOut : pass;
        },
      },
    });
    const outcomes = await fakeRun(scenario, { starvation }).all();
    expect(outcomes['one']!.verdict).to.equal('pass');
    expect(given).to.have.length(2);
    expect(given[1]!).to.be.above(2 * given[0]!);
  });

  it('what had its time is the verdict, although the last attempt was cut short', async () => {
    let made = 0;
    const scenario = fakeScenario(text, {
      checks: {
        one: async (context) => {
          made += 1;
          if (made === 1) return { verdict: 'fail', cause: 'wrong-value', reason: 'It is wrong.' };
          await new Promise((resolve) => setTimeout(resolve, context.timeLeftMs() + 5));
          return cutAttempt(context);
        },
      },
    });
    const check = scenario.items.find((item) => item.title === 'one')!;
    if (check.kind === 'check') check.withinMs = 200;
    const outcomes = await fakeRun(scenario, { starvation }).all();
    expect(outcomes['one']).to.include({ verdict: 'fail', cause: 'wrong-value' });
  });

  it('what becomes true only with more time than `within` is not known, never passed', async () => {
    let made = 0;
    const scenario = fakeScenario(text, { checks: { one: () => ((made += 1) === 1 ? timedOut : pass) } });
    const check = scenario.items.find((item) => item.title === 'one')!;
    if (check.kind === 'check') check.withinMs = 1;
    const outcomes = await fakeRun(scenario, { starvation }).all();
    expect(outcomes['one']!.verdict).to.equal('inconclusive');
  });

  it('a check that runs out of its longer time, too, is inconclusive', async () => {
    const scenario = fakeScenario(text, {
      checks: {
        one: async (context) => {
          await new Promise((resolve) => setTimeout(resolve, context.timeLeftMs() + 5));
          return cutAttempt(context);
        },
      },
    });
    const check = scenario.items.find((item) => item.title === 'one')!;
    check.timeoutMs = 30;
    const outcomes = await fakeRun(scenario, { starvation }).all();
    expect(outcomes['one']!.verdict).to.equal('inconclusive');
    expect(outcomes['one']!.reason).to.contain('starved');
  });

  const calm = { cpu: 'some avg10=3.00 avg60=1.00 avg300=0.00 total=1\n', memory: null, io: null };
  const rows: [string, MachineState, string | null][] = [
    ['an idle machine', { pressure: calm, load: 0.3, processors: 2 }, null],
    ['pressure figures count more than the load', { pressure: calm, load: 40, processors: 2 }, null],
    [
      'processors that are all used, and shared by a few',
      { pressure: { ...calm, cpu: 'some avg10=97.20 avg60=1.00 avg300=0.00 total=1\n' }, load: 5, processors: 2 },
      null,
    ],
    [
      'processors that many wait for',
      { pressure: { ...calm, cpu: 'some avg10=97.20 avg60=1.00 avg300=0.00 total=1\n' }, load: 30, processors: 2 },
      'for 97 % of the last 10 s something waited for cpu',
    ],
    [
      'memory that keeps everybody waiting',
      {
        pressure: {
          ...calm,
          memory: 'some avg10=90.00 avg60=1 avg300=0 total=1\nfull avg10=35.00 avg60=1 avg300=0 total=1\n',
        },
        load: 1,
        processors: 2,
      },
      'for 35 % of the last 10 s everything waited for memory',
    ],
    [
      'a busy machine without pressure figures',
      { pressure: { cpu: null, memory: null, io: null }, load: 6, processors: 2 },
      null,
    ],
    [
      'an overloaded one without pressure figures',
      { pressure: { cpu: null, memory: null, io: null }, load: 30, processors: 2 },
      'a load of 30.0 on 2 processors',
    ],
  ];
  for (const [title, state, wanted] of rows) it(title, () => expect(starvationOf(state)).to.equal(wanted));
});

describe('Commands of many attempts', () => {
  it('the record has those of the first attempt and of the verdict', async () => {
    let made = 0;
    const scenario = fakeScenario(text, {
      checks: {
        one: async (context) => {
          made += 1;
          await context.host('a').exec('look');
          return made < 12 ? { verdict: 'fail', cause: 'absent', reason: 'Not there.' } : pass;
        },
      },
    });
    const check = scenario.items.find((item) => item.title === 'one')!;
    if (check.kind === 'check') check.withinMs = 30_000;
    // Between attempts time passes: not in a test.
    const { all, events } = fakeRun(scenario);
    expect((await all())['one']!.verdict).to.equal('pass');
    const commands = events.filter((event) => event.type === 'command' && event.item === check.id);
    expect(commands).to.have.length(2);
  }).timeout(30_000);
});
