import { expect } from 'chai';
import { createConsoleReporter } from '../../src/report/console.js';
import { evidenceOf, isReadable } from '../../src/report/evidence.js';
import { execLine } from '../../src/run/exec-line.js';
import { junitXml } from '../../src/report/junit.js';
import { htmlPage } from '../../src/report/html.js';
import { reduceRun } from '../../src/report/model.js';
import {
  buildRun,
  command,
  failed,
  itemEnd,
  passed,
  planned,
  runEnd,
  runStart,
  scenarioEnd,
  scenarioStart,
  type RunBuilder,
} from '../fixtures/runs/builder.js';

/** What the script of a probe looks like in the record, with the answers of three tools in it. */
const script = {
  command: `{ LC_ALL=C ping -n -c 2 -W 1 10.2.0.20\n} 2>&1; s=$?; printf '\\n@@5b9e7fe995 ping %d\\n' "$s"`,
  stdout: 'PING 10.2.0.20\n\n@@5b9e7fe995 ping 1\n[{"ifindex":1,"ifname":"lo"}]\n@@5b9e7fe995 link 0\n',
};

function faultyRun(): RunBuilder {
  const items = [
    planned('s01', 'A daemon and its settings'),
    planned('c02', 'client reaches server'),
    planned('c03', 'the page is there'),
    planned('c04', 'a hint', { level: 'warning' }),
    planned('s05', 'Three more things'),
    ...['c06', 'c07', 'c08'].map((id) => planned(id, `later ${id}`)),
  ];
  const run = buildRun().add(runStart).add(scenarioStart('net', items));
  run.add(itemEnd('net', 's01', { verdict: 'pass', reason: 'Done.' }));
  run.add(command('net', 'c02', { host: 'client', ...script, exitCode: 1 }));
  run.add(command('net', 'c02', { host: 'server', command: 'ping -n -c 1 10.2.0.20', stdout: 'the control’s\n' }));
  const diagnosis = {
    sentence: 'r1 does not forward',
    rootCause: 'forwarding-off' as const,
    way: [],
    back: [],
    evidence: ['On r1, net.ipv4.ip_forward is 0.'],
    mend: null,
    unlooked: [],
  };
  run.add(
    itemEnd(
      'net',
      'c02',
      failed('timeout', 'server does not answer client: r1 does not forward', {
        expected: 'a reply from 10.2.0.20',
        actual: 'timeout',
        diagnosis,
        again: { on: 'client', command: 'ping -n -c 2 10.2.0.20' },
      }),
    ),
  );
  run.add(
    command('net', 'c03', { host: 'client', command: 'cat /srv/page', exitCode: 1, stderr: 'cat: no such file\n' }),
  );
  run.add(command('net', 'c03', { host: 'client', command: 'ip -j addr', stdout: '[{"ifindex":1}]' }));
  run.add(itemEnd('net', 'c03', failed('absent', 'client has no page')));
  run.add(itemEnd('net', 'c04', failed('wrong-value', 'it could be better')));
  run.add(
    itemEnd('net', 's05', {
      verdict: 'fail',
      cause: 'exit-status',
      reason: 'The command exited with 1: no space left',
      output: [{ title: 'standard error', text: 'writing  2 columns\nno space left' }],
    }),
  );
  for (const id of ['c06', 'c07', 'c08'])
    run.add(itemEnd('net', id, { verdict: 'skipped', reason: 'because step s05 failed' }, 0, 0));
  return run.add(scenarioEnd('net')).add(runEnd());
}

function told(run: RunBuilder): string {
  let text = '';
  const reporter = createConsoleReporter({ stream: { write: (chunk) => (text += chunk) }, env: {} });
  for (const event of run.events) reporter.onEvent(event);
  reporter.finish(reduceRun(run.events), { dir: 'reports/r1', files: ['index.html'], notes: ['A note.'] });
  return text;
}

describe('report: what a failed run says', () => {
  it('on a terminal: sentences, what shows them, what to type again; equal skips in one line', () => {
    expect(told(faultyRun())).to.equal(`10:11:12 net  The lab net
10:11:12   ✓ A daemon and its settings  40 ms
10:11:12   ✗ client reaches server  40 ms
10:11:12       fail, timeout: server does not answer client: r1 does not forward
10:11:12   ✗ the page is there  40 ms
10:11:12       fail, absent: client has no page
10:11:12   ⚠ a hint  40 ms
10:11:12       warning (fail), wrong-value: it could be better
10:11:12   ✗ Three more things  40 ms
10:11:12       fail, exit-status: The command exited with 1: no space left
10:11:12   - 3 skipped: because step s05 failed

  1) net › client reaches server
     scenarios/net.yaml:12
     fail, timeout: server does not answer client: r1 does not forward
     expected: a reply from 10.2.0.20
     actual:   timeout
     - On r1, net.ipv4.ip_forward is 0.
     again:    netrig exec client -- ping -n -c 2 10.2.0.20

  2) net › the page is there
     scenarios/net.yaml:13
     fail, absent: client has no page
     client $ cat /srv/page  (exit 1, 12 ms)
       cat: no such file

  3) net › Three more things
     scenarios/net.yaml:15
     fail, exit-status: The command exited with 1: no space left
     standard error
       writing  2 columns
       no space left

  4) net › a hint
     scenarios/net.yaml:14
     warning (fail), wrong-value: it could be better

To type these lines, have the lab up: netrig run --keep-on-fail FILE, or netrig up FILE

✗ 3 failed in 12.3 s
8 planned, 8 reported: 1 passed, 3 failed, 0 inconclusive, 0 errors, 3 skipped, 1 warning
  3 skipped: because step s05 failed

Reports: reports/r1
  index.html
  A note.
`);
  });

  it('in JUnit: the same, and no script of netrig’s own anywhere', () => {
    const xml = junitXml(reduceRun(faultyRun().events));
    expect(xml).to.include('again: netrig exec client -- ping -n -c 2 10.2.0.20');
    expect(xml).to.include('- On r1, net.ipv4.ip_forward is 0.');
    expect(xml).to.include('1 probe script with output in index.html and run.jsonl');
    expect(xml).to.not.include('@@').and.not.include('ifindex');
    expect(xml.match(/<failure /g)).to.have.length(3);
  });

  it('on the page: scripts and JSON are data behind a fold, no text of it', () => {
    const page = htmlPage(reduceRun(faultyRun().events));
    const text = page.replace(/<script[^]*?<\/script>/g, '');
    expect(text).to.include('netrig exec client -- ping -n -c 2 10.2.0.20');
    expect(text).to.include('All commands and their output (2)');
    expect(text).to.not.include('@@').and.not.include('ifindex');
    expect(page).to.include('ifindex');
  });

  it('is as good as without the checks that only warn', () => {
    const run = buildRun().add(runStart);
    run.add(scenarioStart('a', [planned('c01', 'first'), planned('c02', 'second', { level: 'warning' })]));
    run.add(itemEnd('a', 'c01', passed)).add(itemEnd('a', 'c02', failed('timeout', 'no reply')));
    const model = reduceRun(run.add(scenarioEnd('a')).add(runEnd()).events);
    expect(model.exitCode).to.equal(0);
    expect(model.scenarios[0]?.verdict).to.equal('pass');
    expect(model.totals).to.include({ planned: 2, reported: 2, pass: 1, fail: 0, warned: 1 });
    expect(junitXml(model)).to.not.include('<failure');
    expect(told(run)).to.include('✓ 1 check passed, 1 warning');
  });
});

describe('report: evidence', () => {
  it('is the command that failed, not what came after it, and never a script or JSON', () => {
    expect(isReadable({ command: 'ping -c 2 10.0.0.1', stdout: 'PING' })).to.equal(true);
    for (const unreadable of [
      script,
      { command: 'ip -j link', stdout: '[{"ifindex":1}]' },
      { command: 'perl - tcp 2000 1 10.2.0.20 8080', stdout: '0 open' },
      { command: `echo ${'x'.repeat(300)}`, stdout: '' },
    ])
      expect(isReadable(unreadable), unreadable.command).to.equal(false);
    const item = reduceRun(faultyRun().events).scenarios[0]!.last.items.find((one) => one.id === 'c03')!;
    expect(evidenceOf(item).outputs.map((one) => one.title)).to.deep.equal(['client $ cat /srv/page  (exit 1, 12 ms)']);
  });

  for (const [typed, line] of [
    ['ping -c 2 10.0.0.1', 'netrig exec a -- ping -c 2 10.0.0.1'],
    ["bash -c '</dev/tcp/10.0.0.1/80 && echo open'", "netrig exec a -- bash -c '</dev/tcp/10.0.0.1/80 && echo open'"],
    ['echo a; exit 3', "netrig exec a -- sh -c 'echo a; exit 3'"],
    ["echo 'a' | wc", "netrig exec a -- sh -c 'echo '\\''a'\\'' | wc'"],
    ['LC_ALL=C date', "netrig exec a -- sh -c 'LC_ALL=C date'"],
  ])
    it(`is typed again so that the place’s own shell reads it: ${typed}`, () =>
      expect(execLine('a', typed!)).to.equal(line));
});
