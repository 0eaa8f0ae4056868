import { expect } from 'chai';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { latestEvents, latestOutcomes, netrig, workDirectory } from './netrig-command.js';

const shared = `shared: Two light hosts that speak both families
hosts: { a: { init: light }, b: { init: light } }
segments: { lan: { subnet: [10.84.0.0/24, fd00:84::/64], hosts: [a, b] } }
steps:
  - step: Something listens on b
    on: b
    start: perl -MIO::Socket::IP -e '$s=IO::Socket::IP->new(LocalPort=>8084,Listen=>5) or die; while($c=$s->accept){close $c}'
    until: { tcp: "127.0.0.1:8084", within: 10s }
`;

const whole = `scenario: whole-language
title: What a scenario can say
text: "*Why* it is so."
extends: shared/two.yaml
secrets: { token: { env: NETRIG_TEST_TOKEN } }
steps:
  - step: Values that a shell would take for commands
    on: a
    run: printf '%s' '$(touch /tmp/owned); x" \`touch /tmp/owned\`'
    save: hostile
  - step: They are none
    on: a
    run: test "$hostile" = '$(touch /tmp/owned); x" \`touch /tmp/owned\`' && test ! -e /tmp/owned
  - step: A port that is known at run time only
    on: b
    run: |
      echo '{"port": "8084"}'
    save: { port: { json: port } }
  - for: [{ family: 4 }, { family: 6 }]
    check: a reaches b by IPv\${family}
    ping: { from: a, to: b, family: "\${family}" }
  - check: It is the port that was saved
    port: { from: a, to: b, port: "\${port}" }
  - check: A warning that does not hold
    level: warning
    port: { from: a, to: b, port: 8085 }
  - step: A secret is used and printed
    on: a
    run: echo it is \${token}
  - step: What fails
    on: a
    run: |
      echo said first
      echo said last >&2
      exit 3
  - check: Never reached
    ping: { from: a, to: b }
finally:
  - step: Runs all the same
    on: a
    run: touch /tmp/finally
`;

/** What each item of the latest run came to, by its title. */
function verdicts(dir: string): Record<string, string> {
  const planned = latestEvents(dir).find((event) => event['type'] === 'scenario:start')!['planned'] as {
    id: string;
    title: string;
  }[];
  const titles = new Map(planned.map(({ id, title }) => [id, title]));
  return Object.fromEntries(latestOutcomes(dir).map(({ item, verdict }) => [titles.get(item)!, verdict]));
}

describe('The language on real hosts', function () {
  this.timeout(120_000);

  it('shares, repeats, saves, warns, masks, and ends with what must be done', async () => {
    const { dir, remove } = workDirectory({ 'whole.yaml': whole });
    try {
      mkdirSync(join(dir, 'shared'));
      writeFileSync(join(dir, 'shared/two.yaml'), shared);
      const { status, stdout, stderr } = await netrig(['run', 'whole.yaml', '--no-allure-report'], {
        cwd: dir,
        env: { NETRIG_TEST_TOKEN: 'a-very-secret-token' },
      }).ended;
      const output = stdout + stderr;
      const events = latestEvents(dir);
      expect(verdicts(dir), output).to.deep.equal({
        'Something listens on b': 'pass',
        'Values that a shell would take for commands': 'pass',
        'They are none': 'pass',
        'A port that is known at run time only': 'pass',
        'a reaches b by IPv4': 'pass',
        'a reaches b by IPv6': 'pass',
        'It is the port that was saved': 'pass',
        'A warning that does not hold': 'fail',
        'A secret is used and printed': 'pass',
        'What fails': 'fail',
        'Never reached': 'skipped',
        'Runs all the same': 'pass',
      });
      expect(status).to.equal(1);
      expect(output)
        .to.match(/said last/)
        .and.to.match(/said first/);
      expect(JSON.stringify(events) + output).to.not.include('a-very-secret-token');
    } finally {
      remove();
    }
  });

  it('runs its last steps after Ctrl-C', async () => {
    const { dir, remove } = workDirectory({
      'slow.yaml': `scenario: last-after-interrupt
title: Last steps
hosts: { a: { init: light } }
steps:
  - step: It takes long
    run: sleep 100
finally:
  - step: Runs all the same
    run: echo it is I
`,
    });
    try {
      const started = netrig(['run', 'slow.yaml', '--no-allure-report'], { cwd: dir });
      await started.saw(/Provisioned over SSH/);
      started.child.kill('SIGINT');
      const { status } = await started.ended;
      expect(status).to.equal(130);
      expect(verdicts(dir)).to.deep.equal({ 'It takes long': 'error', 'Runs all the same': 'pass' });
    } finally {
      remove();
    }
  });
});
