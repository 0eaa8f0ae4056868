import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { mutationsOf } from '../../src/mutate/generate.js';
import type { Mutation } from '../../src/mutate/mutation.js';
import { likeliestFirst, shuffled, type Entry } from '../../src/mutate/order.js';
import { mutationMarkdown, mutationSummary } from '../../src/mutate/page.js';
import { onlyShows, scriptCommands } from '../../src/mutate/shell-lines.js';
import {
  shortfall,
  unexplained,
  type MutantResult,
  type MutateResult,
  type SubjectResult,
} from '../../src/mutate/subject.js';
import { alterAddress, optionChanges, valueChanges } from '../../src/mutate/text-changes.js';
import { itemsByEntry } from '../../src/mutate/run-mutants.js';
import { findScenarioFiles, loadScenarioText } from '../../src/scenario/load.js';

const root = join(import.meta.dirname, '..', '..', '..');

const head = `scenario: small
title: A title that nobody mutates
tags: [tag]
hosts:
  a: { image: debian-12 }
  b: { image: debian-12, init: light }
segments:
  lan: { subnet: 10.83.0.0/24, hosts: { a: 10.83.0.1, b: 10.83.0.2 } }
`;

function whats(text: string): string[] {
  return mutationsOf(text).map((one) => one.what);
}

function applied(text: string, change: { start: number; end: number; replacement: string }): string {
  return text.slice(0, change.start) + change.replacement + text.slice(change.end);
}

/** What a mutant does, for comparisons with the original. */
function items(text: string): string[] {
  const loaded = loadScenarioText(text, 'small.yaml');
  if (loaded.diagnostics.length > 0) return [];
  return itemsByEntry(loaded.scenarios[0]!.items).map((several) =>
    JSON.stringify(several.map((item) => [item.kind, item.title, item.spec, item.kind === 'step' ? item.on : []])),
  );
}

describe('Mutations of a scenario', () => {
  it('leave checks, titles, waits and conditions alone', () => {
    const text = `${head}steps:
  - step: A server
    on: b
    when: { image: debian-12 }
    timeout: 20s
    start: nc -lk -p 8080
    until: { tcp: "127.0.0.1:8080", within: 10s }
  - step: A look
    on: a
    run: docker network ls
  - step: A wait
    on: a
    run: until docker info; do sleep 0.1; done
  - check: it answers
    within: 5s
    port: { from: a, to: b, port: 8080 }
`;
    const lines = mutationsOf(text)
      .filter((one) => one.step !== null)
      .map((one) => [one.line, one.operator]);
    expect(lines).to.deep.equal([
      [10, 'remove-step'],
      [14, 'alter-port'],
    ]);
    for (const mutation of mutationsOf(text))
      expect(mutation.text(), mutation.what)
        .to.contain('check: it answers')
        .and.to.contain('title: A title that nobody mutates');
  });

  it('take one command of a script away at a time, with its line in the file', () => {
    const text = `${head}steps:
  - step: Two networks
    on: a
    run: |
      docker network create one
      # a remark
      docker network create \\
        --internal two

      docker network ls
  - check: there
    command: { on: a, run: docker network inspect one two }
`;
    const commands = mutationsOf(text).filter((one) => one.operator === 'remove-command');
    expect(commands.map((one) => [one.line, one.what])).to.deep.equal([
      [13, 'removes `docker network create one`'],
      [15, 'removes `docker network create \\ ; --internal two`'],
    ]);
    expect(commands[1]!.text())
      .to.contain('docker network create one')
      .and.to.contain('docker network ls')
      .and.not.to.contain('--internal two');
    const internal = mutationsOf(text).find((one) => one.operator === 'remove-option')!;
    expect(internal.what).to.contain('removes --internal from');
    expect(internal.text()).to.contain('two').and.not.to.contain('--internal');
  });

  it('take one line of a file away, or one key of JSON', () => {
    const unit = `${head}steps:
  - on: a
    write: /etc/systemd/system/docker.service.d/one.conf
    content: |
      [Service]
      # a remark
      ExecStart=
      ExecStart=/usr/sbin/dockerd -H tcp://10.83.0.1:2375
`;
    const lines = mutationsOf(unit).filter((one) => one.operator === 'remove-line');
    expect(lines.map((one) => one.line)).to.deep.equal([15, 16]);
    expect(whats(unit)).to.include('alters 2375 to 2376 in `ExecStart=/usr/sbin/dockerd -H tcp://10.83.0.1:2375`');
    const json = `${head}steps:
  - on: a
    write: /etc/docker/daemon.json
    content: |
      {
        "bip": "192.168.7.1/24",
        "icc": false
      }
`;
    expect(whats(json).filter((what) => what.includes('from the file'))).to.deep.equal([
      'removes "bip" from the file',
      'removes "icc" from the file',
    ]);
    const without = mutationsOf(json).find((one) => one.what === 'removes "bip" from the file')!;
    expect(without.line).to.equal(14);
    expect(
      JSON.parse(
        (loadScenarioText(without.text(), 'small.yaml').scenarios[0]!.items[0]!.spec as { content: string }).content,
      ),
    ).to.deep.equal({ icc: false });
    expect(whats(json))
      .to.include('alters false to true in `"icc": false`')
      .and.to.include('alters 192.168.7.1/24 to 192.168.7.65/24 in `"bip": "192.168.7.1/24",`');
  });

  it('leave one host out of a step, and take apart what hosts and segments declare', () => {
    const text = `scenario: small
title: t
vars: { seen: 10.9.0.1, unseen: 10.9.0.2 }
hosts:
  a:
    sysctls: { net.ipv4.ip_forward: 1 }
    routes:
      - { to: 10.84.0.0/24, via: 10.83.0.2 }
    docker:
      containers:
        web: { image: web, ports: ["8080:80"] }
  b: { init: light }
segments:
  lan: { subnet: 10.83.0.0/24, mtu: 1400, hosts: { a: 10.83.0.1, b: 10.83.0.2 } }
  wan: { subnet: 10.84.0.0/24, hosts: [b] }
steps:
  - on: [a, b]
    run: ip addr add \${unseen}/32 dev lo
  - check: c
    ping: { from: a, to: "\${seen}" }
`;
    expect(whats(text)).to.include.members([
      'alters a › sysctls › net.ipv4.ip_forward from 1 to 0',
      'removes a › sysctls › net.ipv4.ip_forward: 1',
      'removes a › routes',
      'alters a › routes › via from 10.83.0.2 to 10.83.0.66',
      'removes a › containers › web',
      'removes a › containers › web › ports',
      'alters 8080 to 8081 in `8080:80`',
      'removes lan › mtu: 1400',
      'alters lan › mtu from 1400 to 1300',
      'removes the segment wan',
      'removes segment lan › hosts › b: 10.83.0.2',
      'leaves a out of the step',
      'leaves b out of the step',
      'alters vars › unseen from 10.9.0.2 to 10.9.0.66',
    ]);
    // What steps and checks both name would only be called something else.
    expect(whats(text).filter((what) => what.includes('vars › '))).to.have.length(1);
    expect(
      mutationsOf(text)
        .find((one) => one.what === 'leaves b out of the step')!
        .text(),
    ).to.match(/on: \[ ?a ?\]/);
  });

  it('change exactly one thing: without a step, every other item of every scenario here is as it was', async () => {
    const files = await findScenarioFiles([join(root, 'scenarios')]);
    let compared = 0;
    for (const file of files) {
      const text = readFileSync(file, 'utf8');
      const before = items(text);
      if (before.length === 0) continue;
      for (const mutation of mutationsOf(text)
        .filter((one) => one.operator === 'remove-step')
        .slice(0, 2)) {
        const after = items(mutation.text());
        if (after.length === 0) continue;
        expect(after, `${file}:${mutation.line}`).to.deep.equal(before.filter((_, index) => index !== mutation.step));
        compared += 1;
      }
    }
    expect(compared).to.be.greaterThan(20);
  }).timeout(120_000);

  it('carry the reason that the file gives for going unnoticed', () => {
    const text = `${head}steps:
  # survives: nothing here is looked at
  # by any check
  - step: Nothing of it
    on: a
    run: |
      docker network create one
  - step: One line of it
    on: a
    run: |
      docker network create two
      # survives: three is for looks
      docker network create three
      docker network create four # survives: so is four
`;
    const reasons = mutationsOf(text)
      .filter((one) => one.step !== null)
      .map((one) => [one.line, one.accepted]);
    expect(reasons).to.deep.equal([
      [12, 'nothing here is looked at by any check'],
      [16, null],
      [19, null],
      [21, 'three is for looks'],
      [22, 'so is four'],
    ]);
  });
});

describe('Values and options', () => {
  it('an address becomes another one of its subnet, a subnet another subnet of its size', () => {
    expect(alterAddress('10.0.0.1')).to.equal('10.0.0.65');
    expect(alterAddress('10.0.0.64')).to.equal('10.0.0.96');
    expect(alterAddress('10.0.0.0/24')).to.equal('10.0.64.0/24');
    expect(alterAddress('192.168.0.0/16')).to.equal('192.232.0.0/16');
    expect(alterAddress('172.16.10.64/27')).to.equal('172.16.10.0/27');
    expect(alterAddress('10.0.0.1/24')).to.equal('10.0.0.65/24');
    for (const left of [
      '127.0.0.1',
      '0.0.0.0',
      '0.0.0.0/0',
      '224.0.0.5',
      '255.255.255.0',
      'fe80::1',
      '1.2.3',
      '10.0.0.1/99',
    ])
      expect(alterAddress(left), left).to.equal(null);
  });

  it('alters addresses, ports and switches where they stand, and nothing else', () => {
    const all = (text: string): string[] => valueChanges(text).map((change) => applied(text, change));
    expect(all('docker run -p 10.0.0.1:8080:80 web')).to.have.members([
      'docker run -p 10.0.0.65:8080:80 web',
      'docker run -p 10.0.0.1:8081:80 web',
      'docker run -p 10.0.0.1:8080:81 web',
    ]);
    expect(all('ip link set eth0 up')).to.deep.equal(['ip link set eth0 down']);
    expect(all('ip link set eth0 mtu 1400')).to.deep.equal(['ip link set eth0 mtu 1300']);
    expect(all('sysctl -w net.ipv4.ip_forward=1')).to.deep.equal(['sysctl -w net.ipv4.ip_forward=0']);
    expect(all('echo 1 >/proc/sys/net/ipv4/ip_forward')).to.deep.equal(['echo 0 >/proc/sys/net/ipv4/ip_forward']);
    expect(all('iptables -A FORWARD -i eth0 -j ACCEPT')).to.deep.equal(['iptables -A FORWARD -i eth0 -j DROP']);
    expect(all('ip link set eth0 address 02:42:ac:11:22:33')).to.deep.equal([]);
    expect(all('docker run busybox sleep 86400')).to.deep.equal([]);
    expect(all("docker inspect -f '{{ .State.Running }}' ${port}")).to.deep.equal([]);
  });

  it('removes an option with its value, and alters a name', () => {
    const all = (text: string): string[] => optionChanges(text).map((change) => applied(text, change));
    expect(all('docker run -d --name one --network lan --ip=10.0.0.9 busybox')).to.have.members([
      'docker run -d --name one-other --network lan --ip=10.0.0.9 busybox',
      'docker run -d --name one --ip=10.0.0.9 busybox',
      'docker run -d --name one --network lan busybox',
    ]);
    expect(all('docker network create -d macvlan -o parent=eth0 wire')).to.have.members([
      'docker network create -o parent=eth0 wire',
      'docker network create -d macvlan wire',
    ]);
  });

  it('a script’s commands: continued lines, here-documents, loops and quoted texts are whole', () => {
    const script = `one \\\n  goes on\n\n# remark\ncat >file <<'EOF'\nip link set x up\nEOF\nfor i in 1 2; do\n  if true; then\n    echo $i\n  fi\ndone\nsh -c 'two\nlines'\nlast`;
    expect(scriptCommands(script).map((one) => one.text.split('\n').length)).to.deep.equal([2, 3, 5, 2, 1]);
    for (const { start, end, text } of scriptCommands(script))
      expect(script.slice(start, end).replace(/\n$/, '')).to.equal(text);
  });

  it('knows commands that only show', () => {
    for (const show of [
      'docker ps',
      'ip addr',
      'ip -j route show',
      'iptables -t nat -S POSTROUTING',
      'echo done',
      'sleep 1',
      'docker network inspect one',
      'docker info 2>/dev/null',
    ])
      expect(onlyShows(show), show).to.equal(true);
    for (const acts of [
      'docker network create one',
      'ip addr add 10.0.0.1 dev eth0',
      'echo 1 >/proc/sys/net/ipv4/ip_forward',
      'echo x | tee /etc/file',
      'docker info && systemctl stop docker',
      'systemctl restart docker',
    ])
      expect(onlyShows(acts), acts).to.equal(false);
  });
});

describe('The order in which mutations are tried', () => {
  const mutation = (id: string, step: number, target: string, line: number): Mutation => ({
    id,
    operator: 'remove-command',
    line,
    column: 1,
    step,
    path: ['steps', step],
    what: `removes ${target}`,
    target,
    accepted: null,
    text: () => '',
  });
  const entries: Entry[] = [
    { kind: 'step', text: 'makes alpha and beta' },
    { kind: 'check', text: 'alpha answers' },
    { kind: 'step', text: 'uses beta' },
    { kind: 'step', text: 'idle' },
  ];
  const all = [
    mutation('m1', 0, 'beta', 1),
    mutation('m2', 0, 'alpha', 2),
    mutation('m3', 3, 'idle', 9),
    mutation('m4', 2, 'gamma', 5),
  ];

  it('begins with what a check speaks of, and takes each step once before it takes one twice', () => {
    expect(likeliestFirst(all, entries).map((one) => one.id)).to.deep.equal(['m2', 'm4', 'm3', 'm1']);
  });

  it('by chance is the same for the same seed, and another for another', () => {
    const ids = (seed: string): string =>
      shuffled(all, seed)
        .map((one) => one.id)
        .join();
    expect(ids('a')).to.equal(ids('a'));
    expect(new Set(['a', 'b', 'c', 'd', 'e'].map(ids)).size).to.be.greaterThan(1);
    expect(ids('a').split(',').sort()).to.deep.equal(['m1', 'm2', 'm3', 'm4']);
  });
});

describe('The page of mutations', () => {
  const mutant = (id: string, fate: MutantResult['fate'], more: Partial<MutantResult> = {}): MutantResult => ({
    id,
    operator: 'remove-command',
    line: 7,
    column: 3,
    step: 0,
    path: ['steps', 0],
    what: `removes \`ip | ${id}\` from it`,
    target: id,
    accepted: null,
    fate,
    noticedBy: [],
    reason: '',
    durationMs: 1200,
    ...more,
  });
  const subject: SubjectResult = {
    scenario: 'small',
    title: 'Small',
    file: 'scenarios/small.yaml',
    original: { verdict: 'pass', reason: '', durationMs: 900, checks: 2 },
    possible: 9,
    mutants: [
      mutant('m1', 'noticed', {
        noticedBy: [{ title: 'a reaches b', line: 20, verdict: 'fail', cause: 'timeout', reason: 'no reply' }],
      }),
      mutant('m2', 'survived'),
      mutant('m3', 'survived', { accepted: 'for looks' }),
      mutant('m4', 'stopped', { reason: 'The command exited with 1' }),
      mutant('m5', 'refused', { reason: 'no host b' }),
    ],
  };
  const failing: SubjectResult = {
    ...subject,
    scenario: 'red',
    original: { verdict: 'fail', reason: 'it was red before', durationMs: 1, checks: 0 },
    mutants: [],
  };
  const skipped: SubjectResult = {
    ...subject,
    scenario: 'elsewhere',
    original: { verdict: 'skipped', reason: 'needs kernel:8021q', durationMs: 1, checks: 0 },
    mutants: [],
  };
  const result: MutateResult = {
    subjects: [subject, failing, skipped],
    untilNoticed: null,
    durationMs: 5000,
    interrupted: false,
  };

  it('lists what was noticed, by which check, and what nobody noticed, with the reason', () => {
    const page = mutationMarkdown({
      result,
      command: 'netrig mutate scenarios',
      source: 'Results of a day.',
      link: (file, line) => `../${file}#L${line}`,
    });
    expect(page).to.contain('| [small](#small) | 5 | 1 | 1 | 2 | 1 | 1 |');
    expect(page)
      .to.contain('| [red](#red) | does not pass |')
      .and.to.contain('| [elsewhere](#elsewhere) | skipped here |');
    expect(page).to.contain(
      '| [7](../scenarios/small.yaml#L7) | removes `ip \\| m1` from it | [✗ a reaches b (timeout)](../scenarios/small.yaml#L20) |',
    );
    expect(page)
      .to.contain('`ip \\| m2` from it | **no reason given** |')
      .and.to.contain('`ip \\| m3` from it | for looks |');
    expect(page)
      .to.contain('The command exited with 1')
      .and.to.contain('no host b')
      .and.to.contain('it was red before')
      .and.to.contain('needs kernel:8021q');
  });

  it('the summary names every survivor that has no reason', () => {
    const text = mutationSummary(result);
    expect(text)
      .to.contain('small: 5 of 9 mutations tried: 1 noticed, 1 stopped by a step, 2 survived, 1 refused')
      .and.to.contain('✗ 1 mutation nobody noticed');
    expect(text.split('\n').filter((line) => line.startsWith('  scenarios/'))).to.have.length(1);
    expect(unexplained(subject.mutants).map((one) => one.id)).to.deep.equal(['m2']);
  });

  it('what is short depends on what was asked for', () => {
    expect(shortfall(subject, null)).to.equal('1 mutation nobody noticed');
    expect(shortfall(subject, 1)).to.equal(null);
    expect(shortfall(subject, 2)).to.equal('1 of 2 mutations were noticed by a check');
    expect(shortfall(failing, 1)).to.contain('it was red before');
    expect(shortfall(skipped, 2)).to.equal(null);
  });
});
