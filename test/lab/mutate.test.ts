import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { MutantResult, SubjectResult } from '../../src/mutate/subject.js';
import { leftovers, netrig, root, workDirectory, type Ended } from './netrig-command.js';

const hosts = `hosts:
  a: { image: debian-12, init: light }
  b: { image: debian-12, init: light }
segments:
  lan: { subnet: 10.83.0.0/24, hosts: { a: 10.83.0.1, b: ~ } }
`;

/** Its first command is what the check is about; its second one is nobody's. */
const tiny = (name: string): string => `scenario: ${name}
title: One line that a check needs, and one that none does
${hosts}steps:
  - step: b gets an address
    on: b
    run: |
      ip addr add 10.83.0.2/24 dev eth0
      ip link add spare type veth peer name other
  - check: a reaches b
    ping: { from: a, to: 10.83.0.2 }
`;

interface Document {
  scenarios: (SubjectResult & { totals: Record<string, number>; shortfall: string | null })[];
}

function resultOf(end: Ended): Document['scenarios'][number] {
  const document = JSON.parse(end.stdout) as Document & { schema: string };
  expect(document.schema).to.equal('netrig-mutate/1');
  expect(document.scenarios).to.have.length(1);
  return document.scenarios[0]!;
}

function named(mutants: readonly MutantResult[], what: string): MutantResult {
  const found = mutants.find((mutant) => mutant.what === what);
  expect(found, `${what} among ${mutants.map((mutant) => mutant.what).join(', ')}`).to.not.equal(undefined);
  return found!;
}

describe('netrig mutate', function () {
  this.timeout(180_000);

  it('says which check noticed a mutation and which mutation nobody noticed, and leaves nothing', async () => {
    const { dir, remove } = workDirectory({ 'tiny.yaml': tiny('mutate-tiny') });
    const temporary = join(dir, 'tmp');
    mkdirSync(temporary);
    const end = await netrig(['mutate', 'tiny.yaml', '--json', '--jobs', '2', '--write', 'page.md'], {
      cwd: dir,
      env: { TMPDIR: temporary },
    }).ended;
    expect(end.status, end.stderr).to.equal(1);
    const { mutants, original, totals, shortfall } = resultOf(end);
    expect(original).to.include({ verdict: 'pass', checks: 1 });

    const noticed = named(mutants, 'removes `ip addr add 10.83.0.2/24 dev eth0`');
    expect(noticed).to.include({ fate: 'noticed', line: 12 });
    expect(noticed.noticedBy).to.have.length(1);
    expect(noticed.noticedBy[0]).to.include({
      title: 'a reaches b',
      line: 14,
      verdict: 'fail',
      cause: 'host-unreachable',
    });
    expect(named(mutants, 'removes `ip link add spare type veth peer name other`')).to.include({
      fate: 'survived',
      line: 13,
      accepted: null,
    });
    expect(named(mutants, 'removes segment lan › hosts › b')).to.include({ fate: 'stopped' });
    expect(named(mutants, 'alters segment lan › subnet from 10.83.0.0/24 to 10.83.64.0/24').reason).to.contain(
      '10.83.0.1',
    );
    expect(totals['refused']).to.equal(1);
    expect(totals['noticed']! + totals['stopped']! + totals['survived']! + totals['refused']!).to.equal(mutants.length);
    expect(shortfall).to.contain('nobody noticed');

    const page = readFileSync(join(dir, 'page.md'), 'utf8');
    expect(page).to.contain(
      '| [12](tiny.yaml#L12) | removes `ip addr add 10.83.0.2/24 dev eth0` | [✗ a reaches b (host-unreachable)](tiny.yaml#L14) |',
    );
    expect(page).to.contain(
      '| [13](tiny.yaml#L13) | removes `ip link add spare type veth peer name other` | **no reason given** |',
    );
    expect(readdirSync(temporary)).to.deep.equal([]);
    expect(existsSync(join(dir, 'reports'))).to.equal(false);
    expect(leftovers('mutate-tiny')).to.deep.equal([]);
    remove();
  });

  it('stops at the number of noticed mutations asked for, ends with 0, and keeps files and records where told', async () => {
    const { dir, remove } = workDirectory({ 'tiny.yaml': tiny('mutate-until') });
    const end = await netrig(
      ['mutate', 'tiny.yaml', '--until-noticed', '1', '--jobs', '1', '--bail', '--reports', 'kept'],
      { cwd: dir },
    ).ended;
    expect(end.status, end.stdout + end.stderr).to.equal(0);
    expect(end.stdout.match(/^noticed /gm)).to.have.length(1);
    const kept = join(dir, 'kept', 'latest', 'mutate-until');
    const [mutant] = readdirSync(kept).filter((name) => name !== 'original');
    expect(readFileSync(join(kept, mutant!, 'scenario.yaml'), 'utf8')).to.not.equal(tiny('mutate-until'));
    const report = await netrig(['report', join(kept, mutant!), '--format', 'results', '--json'], { cwd: dir }).ended;
    expect(report.stdout, report.stderr).to.contain('"a reaches b"');
    remove();
  });

  it('does not mutate a scenario that does not pass by itself', async () => {
    const { dir, remove } = workDirectory({
      'red.yaml': tiny('mutate-red').replace('to: 10.83.0.2 }', 'to: 10.83.0.9 }'),
    });
    const end = await netrig(['mutate', 'red.yaml', '--json'], { cwd: dir }).ended;
    expect(end.status, end.stderr).to.equal(1);
    const { original, mutants, shortfall } = resultOf(end);
    expect(original.verdict).to.equal('fail');
    expect(mutants).to.deep.equal([]);
    expect(shortfall).to.contain('a reaches b (line 14)');
    remove();
  });

  for (const jobs of ['1', '3']) {
    it(`Ctrl-C ends with 130 and leaves neither labs nor files (--jobs ${jobs})`, async () => {
      // Where a has no address, or another one, the step outlasts the test: the run cannot end before it is interrupted.
      const { dir, remove } = workDirectory({
        'slow.yaml': tiny(`mutate-stop-${jobs}`).replace(
          '      ip link add spare',
          '      ping -c1 -W1 10.83.0.1 || sleep 600\n      ip link add spare',
        ),
      });
      const temporary = join(dir, 'tmp');
      mkdirSync(temporary);
      const run = netrig(['mutate', 'slow.yaml', '--jobs', jobs, '--write', 'page.md'], {
        cwd: dir,
        env: { TMPDIR: temporary },
      });
      await run.saw(/passes with 1 check/);
      await run.saw(/^(?:refused|noticed|survived|stopped) /m);
      expect(readdirSync(temporary)).to.have.length(1);
      run.child.kill('SIGINT');
      const end = await run.ended;
      expect(end.status, end.stdout + end.stderr).to.equal(130);
      expect(readdirSync(temporary)).to.deep.equal([]);
      expect(existsSync(join(dir, 'page.md'))).to.equal(false);
      expect(leftovers(`mutate-stop-${jobs}`)).to.deep.equal([]);
      remove();
    });
  }

  it('at least two mutations of a scenario that comes with netrig turn a check red', async () => {
    const { dir, remove } = workDirectory();
    const end = await netrig(
      [
        'mutate',
        join(root, 'scenarios', 'faults', 's04-port-allocated.yaml'),
        '--until-noticed',
        '2',
        '--bail',
        '--json',
      ],
      { cwd: dir },
    ).ended;
    expect(end.status, end.stderr).to.equal(0);
    expect(resultOf(end).totals['noticed']).to.be.at.least(2);
    remove();
  });
});
