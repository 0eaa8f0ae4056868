import { expect } from 'chai';
import { hostDrafts, segmentDrafts, variableDrafts } from '../../src/mutate/declarations.js';
import { ScenarioSource, type Draft } from '../../src/mutate/draft.js';
import { inFileOrder, mutationsOf } from '../../src/mutate/generate.js';
import { doInJobs } from '../../src/mutate/jobs.js';
import { judge, verdictOf, type Ran } from '../../src/mutate/judge.js';
import { mutantOf } from '../../src/mutate/run-mutants.js';
import { stepDrafts } from '../../src/mutate/steps.js';
import type { Outcome, Verdict } from '../../src/model/verdict.js';
import { loadScenarioText } from '../../src/scenario/load.js';

const text = `scenario: small
title: Small
vars: { unseen: 10.9.0.2 }
hosts:
  a: { sysctls: { net.ipv4.ip_forward: 1 } }
  b: { init: light }
segments:
  lan: { subnet: 10.83.0.0/24, mtu: 1400, hosts: { a: 10.83.0.1, b: 10.83.0.2 } }
steps:
  - step: An address
    on: a
    run: ip addr add \${unseen}/32 dev lo
  - check: b answers
    ping: { from: a, to: b }
  - check: a answers
    ping: { from: b, to: a }
`;
const scenario = loadScenarioText(text, 'small.yaml').scenarios[0]!;

function whats(drafts: Iterable<Draft>): string[] {
  return [...drafts].map((one) => one.what);
}

/** A run in which the step and the two checks came to these. */
function ran(...verdicts: (Verdict | null)[]): Ran {
  const outcomes = scenario.items.flatMap((item, index): [string, Outcome][] => {
    const verdict = verdicts[index] ?? null;
    return verdict === null ? [] : [[item.id, { verdict, reason: `it is ${verdict}` } as Outcome]];
  });
  return { items: scenario.items, outcomes: new Map(outcomes), broke: null, durationMs: 5 };
}

describe('The phases of mutation', () => {
  it('each finds what is of its part of the file, and nothing else', () => {
    const source = new ScenarioSource(text);
    expect(whats(hostDrafts(source))).to.deep.equal([
      'removes a › sysctls › net.ipv4.ip_forward: 1',
      'alters a › sysctls › net.ipv4.ip_forward from 1 to 0',
    ]);
    expect(whats(segmentDrafts(source)))
      .to.include.members(['removes lan › mtu: 1400', 'alters lan › mtu from 1400 to 1300'])
      .and.to.satisfy((all: string[]) => all.every((what) => what.includes('lan › ')));
    expect(whats(variableDrafts(source))).to.deep.equal(['alters vars › unseen from 10.9.0.2 to 10.9.0.66']);
    expect(whats(stepDrafts(source))).to.include('removes the step `ip addr add ${unseen}/32 dev lo`');
    for (const draft of stepDrafts(source)) expect(draft.path.slice(0, 2)).to.deep.equal(['steps', 0]);
  });

  it('finds nothing in a file that is no map', () => {
    for (const other of ['', '- a', 'a']) {
      expect(mutationsOf(other), other).to.deep.equal([]);
    }
  });

  it('has each change once, in the order of lines', () => {
    const [first, ...rest] = [...segmentDrafts(new ScenarioSource(text))];
    const later = { ...first!, line: 99 };
    expect(inFileOrder([later, first!, ...rest, { ...first! }])).to.deep.equal([first, ...rest, later]);
  });

  it('says why a mutation makes no scenario', () => {
    const all = mutationsOf(text);
    const what = (name: string) => all.find((one) => one.what === name)!;
    const altered = mutantOf(what('alters lan › mtu from 1400 to 1300'), scenario, 'm.yaml');
    expect(altered).to.have.property('text').that.contains('mtu: 1300');
    expect(altered).to.have.nested.property('scenario.id', 'small');
    const broken = { ...all[0]!, text: () => text.replace('from: a, to: b', 'from: nobody, to: b') };
    expect(mutantOf(broken, scenario, 'm.yaml'))
      .to.have.property('refused')
      .that.contains('nobody');
    const throwing = {
      ...all[0]!,
      text: () => {
        throw new Error('an alias is left alone');
      },
    };
    expect(mutantOf(throwing, scenario, 'm.yaml')).to.deep.equal({ refused: 'an alias is left alone' });
  });
});

describe('What became of a mutant', () => {
  const fate = (...verdicts: (Verdict | null)[]) => judge(mutationsOf(text)[0]!, ran(...verdicts), scenario);

  it('is noticed by a check that fails or cannot know, at its line', () => {
    const result = fate('pass', 'pass', 'inconclusive');
    expect(result.fate).to.equal('noticed');
    expect(result.noticedBy.map(({ title, line, verdict }) => [title, line, verdict])).to.deep.equal([
      ['a answers', 15, 'inconclusive'],
    ]);
    // A step that failed before does not take it away.
    expect(fate('fail', 'fail', null)).to.include({ fate: 'noticed', reason: '' });
  });

  it('is stopped where no check could tell: by a step, a broken check, a lab that could not be had', () => {
    expect(fate('fail', 'skipped', 'skipped')).to.include({ fate: 'stopped', reason: 'An address: it is fail' });
    expect(fate('pass', 'error', 'pass')).to.include({ fate: 'stopped', reason: 'b answers: it is error' });
    expect(fate('skipped', 'skipped', 'skipped')).to.include({ fate: 'stopped', reason: 'it is skipped' });
    expect(fate()).to.include({ fate: 'stopped', reason: 'nothing ran' });
  });

  it('survives where all is as before', () => {
    expect(fate('pass', 'pass', 'pass')).to.deep.include({ fate: 'survived', noticedBy: [], reason: '' });
  });

  it('needs an original in which a check passed', () => {
    expect(verdictOf(ran('pass', 'pass', 'skipped'))).to.include({ verdict: 'pass', checks: 1, reason: '' });
    expect(verdictOf(ran('pass', null, null))).to.include({ verdict: 'skipped', checks: 0 });
    expect(verdictOf(ran('pass', 'fail', 'pass'))).to.include({
      verdict: 'fail',
      reason: 'b answers (line 13): it is fail',
    });
  });
});

describe('Work in jobs', () => {
  const turn = () => new Promise<void>((done) => setImmediate(done));

  it('goes on while what is under way may want more, and never does more at once than it may', async () => {
    const wanted = [1];
    const done: number[] = [];
    let atOnce = 0;
    let most = 0;
    await doInJobs(
      2,
      () => {
        const one = wanted.shift();
        if (one === undefined) return null;
        return async () => {
          most = Math.max(most, (atOnce += 1));
          await turn();
          if (one < 8) wanted.push(2 * one, 2 * one + 1);
          atOnce -= 1;
          done.push(one);
        };
      },
      new AbortController().signal,
    );
    expect(done.sort((a, b) => a - b)).to.deep.equal(Array.from({ length: 15 }, (_, index) => index + 1));
    expect(most).to.equal(2);
  });

  it('lets the others end before it tells what broke, and begins nothing after an abort', async () => {
    const ended: string[] = [];
    const pieces = [
      async () => {
        throw new Error('it broke');
      },
      async () => {
        await turn();
        await turn();
        ended.push('the other');
      },
    ];
    const failure = await doInJobs(2, () => pieces.shift() ?? null, new AbortController().signal).catch(
      (error: unknown) => error,
    );
    expect(failure).to.be.instanceOf(Error).with.property('message', 'it broke');
    expect(ended).to.deep.equal(['the other']);

    const controller = new AbortController();
    let begun = 0;
    await doInJobs(
      1,
      () => async () => {
        begun += 1;
        controller.abort();
      },
      controller.signal,
    );
    expect(begun).to.equal(1);
  });
});
