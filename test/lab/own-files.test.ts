import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { latestOutcomes, netrig, workDirectory } from './netrig-command.js';

const atBoot = `[Service]
Type=oneshot
ExecStart=/bin/cp /etc/lab/given /run/seen-at-boot
`;

const lab = `scenario: files
title: Hosts have files that lie beside the scenario
hosts:
  a:
    engine: false
    files:
      ./conf/: /etc/lab/
      ./units/: /etc/systemd/system/
      ./key: { to: /etc/lab/key, owner: "daemon:adm", mode: "0640" }
  b:
    init: light
    files: { ./key: /opt/deep/below/ }
steps:
  - step: The tree is there as it is beside the scenario, and what was there stays
    on: a
    run: |
      test "$(cat /run/seen-at-boot)" = given
      test "$(stat -c '%a %U:%G' /etc/lab/script)" = '750 root:root'
      test "$(stat -c '%a %U:%G' /etc/lab/key)" = '640 daemon:adm'
      test "$(readlink /etc/lab/link)" = given
      test -e /etc/systemd/system/multi-user.target.wants
      test "$(stat -c %a /etc)" = 755
  - step: It is on light hosts, too
    on: b
    run: |
      test "$(cat /opt/deep/below/key)" = secret
      test "$(stat -c '%a %U:%G' /opt/deep/below)" = '755 root:root'
  - step: A directory is copied into one that is there
    on: [a, b]
    copy: ./conf
    to: /opt/lab
    owner: nobody
  - on: [a, b]
    run: |
      echo mine >/opt/lab/own
      test "$(stat -c '%a %U' /opt/lab/script)" = '750 nobody'
      test "$(readlink /opt/lab/link)" = given
      rm /opt/lab/given
  - step: Again, and what is there besides stays
    on: [a, b]
    copy: ./conf/
    to: /opt/lab/
  - on: [a, b]
    run: |
      test "$(cat /opt/lab/own)" = mine
      test "$(stat -c '%U' /opt/lab/given)" = root
      test -z "$(find / -xdev -name '.netrig-*' 2>/dev/null)"
  - step: A file into a directory, with a mode of its own
    on: b
    copy: ./key
    to: /opt/lab/
    mode: "0400"
  - check: It has that mode
    file: { on: b, path: /opt/lab/key, expect: { mode: "0400" } }
`;

const failing = (step: string): string => `scenario: files
title: What cannot be copied leaves a host as it was
hosts: { a: { init: light } }
steps:
  - run: mkdir -p /opt/lab/script /opt/ro && echo before >/opt/lab/given
  - step: fails
${step}
finally:
  - step: All is as it was
    run: |
      test "$(cat /opt/lab/given)" = before
      test ! -e /opt/lab/sub
      test ! -e /opt/new
      test -z "$(find / -xdev -name '.netrig-*' 2>/dev/null)"
`;

describe('Files beside a scenario on hosts', function () {
  this.timeout(180_000);

  function folder(text: string) {
    const work = workDirectory({ 'lab.yaml': text, key: 'secret\n' });
    mkdirSync(join(work.dir, 'conf', 'sub'), { recursive: true });
    writeFileSync(join(work.dir, 'conf', 'given'), 'given\n');
    writeFileSync(join(work.dir, 'conf', 'sub', 'large'), Buffer.alloc(3_000_000));
    writeFileSync(join(work.dir, 'conf', 'script'), '#!/bin/sh\n');
    chmodSync(join(work.dir, 'conf', 'script'), 0o750);
    symlinkSync('given', join(work.dir, 'conf', 'link'));
    mkdirSync(join(work.dir, 'units', 'multi-user.target.wants'), { recursive: true });
    writeFileSync(join(work.dir, 'units', 'seen.service'), atBoot);
    symlinkSync('../seen.service', join(work.dir, 'units', 'multi-user.target.wants', 'seen.service'));
    return work;
  }

  for (const isolation of ['users', 'none']) {
    it(`are there before systemd starts, and can be copied later, isolation ${isolation}`, async () => {
      const { dir, remove } = folder(lab);
      const run = await netrig(['run', 'lab.yaml', '--isolation', isolation], { cwd: dir }).ended;
      expect(run.status, run.stdout + run.stderr).to.equal(0);
      expect(latestOutcomes(dir)).to.have.length(8);
      remove();
    });
  }

  for (const [what, step, reason] of [
    [
      'a file that would replace a directory',
      '    copy: ./conf\n    to: /opt/lab',
      /\/opt\/lab\/script is a directory/,
    ],
    [
      'an owner that the host does not know',
      '    copy: ./conf\n    to: /opt/new\n    owner: nobody:frr',
      /On a there is no group frr\./,
    ],
    [
      'a path below a file',
      '    copy: ./conf\n    to: /opt/lab/given/below',
      /copying to \/opt\/lab\/given\/below failed/,
    ],
  ] as const) {
    it(`are copied whole or not at all: ${what}`, async () => {
      const { dir, remove } = folder(failing(step));
      const run = await netrig(['run', 'lab.yaml'], { cwd: dir }).ended;
      expect(run.status, run.stdout + run.stderr).to.equal(1);
      const outcomes = latestOutcomes(dir);
      expect(
        outcomes.map(({ verdict }) => verdict),
        run.stdout,
      ).to.deep.equal(['pass', 'fail', 'pass']);
      expect(outcomes[1]!.reason).to.match(reason);
      remove();
    });
  }

  it('whose owner no host has are told of with their place', async () => {
    const { dir, remove } = folder(
      'scenario: files\ntitle: t\nhosts:\n  a: { init: light, files: { ./key: { to: /x, owner: frr } } }\nsteps: [ { run: "true" } ]\n',
    );
    const run = await netrig(['run', 'lab.yaml'], { cwd: dir }).ended;
    expect(run.stdout + run.stderr).to.match(
      /lab\.yaml:4:30: frr owns no file on a: there is no user frr.*\(NETRIG_OWN_FILE\)/s,
    );
    remove();
  });
});
