import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Proof } from '../../src/exercise/proof.js';
import { exampleValues } from '../../src/scenario/parameters.js';
import { leftovers, netrig, root, workDirectory, type Ended } from './netrig-command.js';

type Told = Proof & { proven: boolean };

function proofs(end: Ended): Told[] {
  const document = JSON.parse(end.stdout) as { schema: string; exercises: Told[] };
  expect(document.schema).to.equal('netrig-prove/1');
  return document.exercises;
}

const shown = ({ exercise, broken, flaws }: Told): string[] => [
  ...(broken === null ? [] : [`${exercise} broke: ${broken}`]),
  ...flaws.map(({ name, line, sentence }) => `${exercise}:${line} ${name}: ${sentence}`),
];

const exercise = (steps: string, top = 'exercise: { text: Mend it. }'): string => `scenario: NAME
title: An exercise with a flaw
${top}
hosts:
  a: { init: light }
  b: { init: light }
segments:
  lan: { subnet: 10.84.0.0/24, hosts: { a: 10.84.0.1, b: ~ } }
steps:
${steps}
`;
/** What the first lab of an exercise of that name draws. */
const firstAddress = (name: string): string =>
  String(exampleValues({ b: { address: '10.84.0.0/24', except: ['10.84.0.1'] } }, name)['b']);

const answer = '  - { role: solution, on: b, run: ip addr add 10.84.0.2/24 dev eth0 }';
const reached = '  - { check: b is reached, points: 2, ping: { from: a, to: 10.84.0.2 } }';

/** What is planted, the flaw's name, and words of the sentence about it. */
const planted: [what: string, flaw: string, words: RegExp, text: string][] = [
  [
    'points that sum to 0',
    'no-points',
    /the points of all tasks sum to 0/,
    exercise(`${answer}\n${reached.replace('points: 2', 'points: 0')}`),
  ],
  [
    'a stage without a task',
    'empty-stage',
    /stage two has no task/,
    exercise(
      `${answer.replace('role', 'stage: one, role')}
  - { role: solution, stage: two, on: b, run: ip addr add 10.84.0.3/24 dev eth0 }
${reached.replace('points', 'stage: one, points')}`,
      'exercise: { text: Mend it., stages: { one: One, two: Two } }',
    ),
  ],
  [
    'a task that passes at the start',
    'passes-at-start',
    /"a is up" passes at the start already/,
    exercise(`${answer}\n${reached}\n  - { check: a is up, points: 1, ping: { from: a, to: 10.84.0.1 } }`),
  ],
  [
    'a task that never passes',
    'never-passes',
    /"another is reached" is fail once the solution is done/,
    exercise(`${answer}\n${reached}\n  - { check: another is reached, points: 1, ping: { from: a, to: 10.84.0.9 } }`),
  ],
  [
    'a task that nobody can judge at the start',
    'unknown-at-start',
    /"blue is there" is inconclusive at the start/,
    exercise(
      `${answer}
  - { role: solution, on: b, run: ip netns add blue }
${reached}
  - { check: blue is there, points: 1, link: { on: b/netns:blue, interface: lo, expect: { mtu: 65536 } } }`,
    ),
  ],
  [
    'a guard that is broken at the start',
    'guard-broken-at-start',
    /"a holds" does not hold at the start/,
    exercise(`${answer}\n${reached}\n  - { check: a holds, points: 1, guard: true, ping: { from: b, to: 10.84.0.1 } }`),
  ],
  [
    'a solution that breaks a guard',
    'guard-broken-by-solution',
    /"nothing is translated" does not hold once the solution is done/,
    exercise(
      `${answer}
  - { role: solution, on: b, run: iptables -A INPUT -p icmp -j ACCEPT }
${reached}
  - { check: nothing is translated, points: 1, guard: true, iptables: { on: b, chain: INPUT, rule: { raw: -A INPUT -p icmp -j ACCEPT }, expect: { absent: true } } }`,
    ),
  ],
  [
    'a solution that works for one student only',
    'works-once',
    /"b is reached" passed on one lab and is fail on a second one, with other values/,
    exercise(
      `  - role: solution
    on: b
    run: ip addr add EXAMPLE/24 dev eth0
  - { check: b is reached, points: 2, ping: { from: a, to: "\${b}" } }`,
      'exercise: { text: Mend it. }\nparameters: { b: { address: 10.84.0.0/24, except: 10.84.0.1 } }',
    ),
  ],
  [
    'a solution that fails',
    'step-fails',
    /the step "false" fails/,
    exercise(`${answer}\n  - { role: solution, on: b, run: "false" }\n${reached}`),
  ],
  [
    'a line that no task notices',
    'line-unnoticed',
    /what the solution removes .*10\.84\.9\.9/,
    exercise(`${answer}\n  - { role: solution, on: b, run: ip addr add 10.84.9.9/32 dev lo }\n${reached}`),
  ],
  [
    'a task that an earlier stage does',
    'passes-early',
    /"b answers itself" passes after the solution of stage one already/,
    exercise(
      `  - { role: solution, stage: one, on: b, run: ip addr add 10.84.0.2/24 dev eth0 }
  - { role: solution, stage: two, on: b, run: ip addr add 10.84.0.3/24 dev eth0 }
  - { check: b is reached, stage: one, points: 2, ping: { from: a, to: 10.84.0.2 } }
  - { check: b is reached again, stage: two, points: 2, ping: { from: a, to: 10.84.0.3 } }
  - { check: b answers itself, stage: two, points: 2, ping: { from: b, to: 10.84.0.2 } }`,
      'exercise: { text: Mend it., stages: { one: One, two: Two } }',
    ),
  ],
];

describe('netrig prove', function () {
  this.timeout(1_200_000);

  describe('names', () => {
    let end: Ended;
    let told: Told[];
    before(async () => {
      const named = planted.map(([, flaw, , text]): [string, string] => [
        `${flaw}.yaml`,
        text.replace('NAME', flaw).replace('EXAMPLE', firstAddress(flaw)),
      ]);
      const { dir, remove } = workDirectory(Object.fromEntries(named));
      end = await netrig(['prove', '.', '--json'], { cwd: dir }).ended;
      told = end.stdout === '' ? [] : proofs(end);
      remove();
    });

    for (const [what, flaw, words] of planted)
      it(`${what}: ${flaw}`, () => {
        expect(end.status, end.stderr + end.stdout).to.equal(1);
        const proof = told.find(({ exercise: name }) => name === flaw);
        expect(proof?.proven).to.equal(false);
        expect(proof!.flaws.map(({ name }) => name)).to.deep.equal([flaw]);
        expect(proof!.flaws[0]!.sentence).to.match(words);
      });
  });

  it('finds nothing wrong with the exercises that come with netrig, and leaves nothing', async () => {
    const end = await netrig(['prove', 'scenarios/exercises', '--json'], { cwd: root }).ended;
    const told = proofs(end);
    expect(told.flatMap(shown)).to.deep.equal([]);
    expect(told.every(({ proven, whole }) => proven && whole)).to.equal(true);
    expect(end.status).to.equal(0);
    const helpless = told.flatMap(({ exercise: name, labs }) =>
      labs
        .filter((one) => one.name === 'start')
        .flatMap(({ seen }) => seen.filter(({ verdict, hint }) => verdict === 'fail' && hint === null))
        .map(({ title }) => `${name}: ${title}`),
    );
    expect(helpless, 'tasks without a hint for what is seen at the start').to.deep.equal([]);
    const files = readdirSync(join(root, 'scenarios', 'exercises')).filter((name) => name.endsWith('.yaml'));
    expect(told.map(({ file }) => file.replace('scenarios/exercises/', '')).sort()).to.deep.equal(files.sort());
    for (const name of files)
      expect(existsSync(join(root, 'scenarios', 'exercises', name.replace('.yaml', '.md')))).to.equal(true);
    for (const { exercise: name } of told) expect(leftovers(name)).to.deep.equal([]);
  });

  it('refuses what is no exercise', async () => {
    const { dir, remove } = workDirectory({
      'lab.yaml': exercise(
        `${answer.replace('role: solution, ', '')}\n${reached.replace('points: 2, ', '')}`,
        'tags: [plain]',
      ).replace('NAME', 'plain'),
    });
    const end = await netrig(['prove', 'lab.yaml'], { cwd: dir }).ended;
    expect(end.status).to.equal(2);
    expect(end.stderr).to.match(/lab\.yaml is no exercise/);
    remove();
  });
});
