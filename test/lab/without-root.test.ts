import { spawnSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { cgroupLayout } from '../../src/providers/local/cgroups.js';
import { requirementsWithoutRoot } from '../../src/providers/local/without-root.js';
import { parseSubordinate } from '../../src/providers/local/id-ranges.js';
import { type Ended, mainFile, start } from './netrig-command.js';

interface User {
  name: string;
  uid: number;
  gid: number;
}

/** Users of this machine who have subordinate ids. */
function users(): User[] {
  const owners = new Set(
    existsSync('/etc/subuid') ? parseSubordinate(readFileSync('/etc/subuid', 'utf8')).map((one) => one.owner) : [],
  );
  return readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .filter(([name, , uid]) => name !== undefined && Number(uid) > 0 && (owners.has(name) || owners.has(uid!)))
    .map(([name, , uid, gid]) => ({ name: name!, uid: Number(uid), gid: Number(gid) }));
}

/** Somebody who is to have labs, or the missing piece. */
function findUser(): User | string {
  if (process.getuid?.() !== 0) return 'root, to become another user';
  const [user] = users();
  if (!user) return 'a user with a line in /etc/subuid';
  const lacking = requirementsWithoutRoot(undefined, { username: user.name, uid: user.uid }).find(
    (one) => one.required && !one.have,
  );
  if (lacking) return lacking.name;
  const reads = spawnSync('setpriv', [
    '--reuid',
    String(user.uid),
    '--regid',
    String(user.gid),
    '--clear-groups',
    'test',
    '-r',
    mainFile,
  ]);
  return reads.status === 0 ? user : `a checkout that ${user.name} can read`;
}

const scenario = `
scenario: without-root
title: Two hosts of a user
hosts: { server: { image: debian-12 }, client: { image: debian-12, init: light } }
segments: { lan: { subnet: 10.83.0.0/24, hosts: { server: 10.83.0.1, client: 10.83.0.2 } } }
steps:
  - step: A container with a published port
    on: server
    run: docker run -d --name web -p 8080:80 web
  - check: The server answers
    ping: { from: client, to: server }
  - check: So does its container
    http: { from: client, url: 'http://10.83.0.1:8080/' }
`;
const light = scenario
  .replace('{ image: debian-12 }', '{ image: debian-12, init: light }')
  .replace(/ {2}- step[\s\S]*?(?= {2}- check)/, '')
  .replace(/ {2}- check: So does[\s\S]*/, '');

const found = findUser();

describe(`Labs of a user who is not root${typeof found === 'string' ? ` (skipped: this machine lacks ${found})` : ''}`, function () {
  this.timeout(900_000);
  if (typeof found === 'string') {
    it('from nothing to verdicts');
    return;
  }
  const user = found;
  const unified = cgroupLayout().unified;
  let home: string;
  let group: string | null = null;

  /** netrig, run by the user: in a cgroup that is the user's own, or in the one that this process is in. */
  function asUser(args: readonly string[], options: { delegated: boolean; cwd?: string }): Promise<Ended> {
    const join = options.delegated && group !== null ? `echo $$ >${group}/session/cgroup.procs; ` : '';
    const become = [
      'setpriv',
      '--reuid',
      String(user.uid),
      '--regid',
      String(user.gid),
      '--clear-groups',
      '--inh-caps=-all',
    ];
    return start('sh', ['-c', `${join}exec "$@"`, 'sh', ...become, process.execPath, mainFile, ...args], {
      cwd: options.cwd ?? home,
      env: { HOME: home, XDG_STATE_HOME: '', XDG_CACHE_HOME: '', XDG_RUNTIME_DIR: '' },
    }).ended;
  }

  before(() => {
    home = mkdtempSync(join(tmpdir(), 'netrig-user-'));
    writeFileSync(join(home, 'lab.yaml'), scenario);
    writeFileSync(join(home, 'light.yaml'), light);
    for (const path of ['.', 'lab.yaml', 'light.yaml']) chownSync(join(home, path), user.uid, user.gid);
    if (!unified) return;
    group = join(unified.mountPoint, `user-of-a-test-${process.pid}`);
    mkdirSync(join(group, 'session'), { recursive: true });
    for (const name of ['.', 'cgroup.procs', 'cgroup.threads', 'cgroup.subtree_control'])
      chownSync(join(group, 'session', name), user.uid, user.gid);
  });

  after(() => {
    const groups =
      group === null || !existsSync(group) ? [] : readdirSync(group, { recursive: true, withFileTypes: true });
    for (const one of groups
      .filter((entry) => entry.isDirectory())
      .sort((a, b) => b.parentPath.length - a.parentPath.length))
      rmdirSync(join(one.parentPath, one.name));
    if (group !== null) rmdirSync(group);
    rmSync(home, { recursive: true, force: true });
  });

  it('from nothing to verdicts: the image is built, hosts boot, a container answers', async function () {
    if (group === null) {
      this.test!.title += ' (skipped: this machine lacks cgroup2)';
      this.skip();
    }
    const end = await asUser(['run', 'lab.yaml', '--no-allure-report'], { delegated: true });
    expect(end.status, end.stdout + end.stderr).to.equal(0);
    expect(end.stdout).to.match(/2 checks passed/);
    // What was made is the user's, or that of the user's subordinate ids: nothing of it is left as a lab.
    const ps = await asUser(['ps'], { delegated: true });
    expect(ps.stdout).to.contain('No lab is up');
  });

  it('a lab that stays is reached from other commands of that user, and not seen by others', async function () {
    if (group === null) this.skip();
    const up = await asUser(['up', 'lab.yaml'], { delegated: true });
    expect(up.status, up.stdout + up.stderr).to.equal(0);
    // From outside of the delegated group, as another terminal is.
    for (const host of ['server', 'client']) {
      const exec = await asUser(['exec', host, '--', 'cat', '/proc/self/uid_map', '/etc/hostname'], {
        delegated: false,
      });
      expect(exec.status, exec.stdout + exec.stderr).to.equal(0);
      expect(exec.stdout.trim().split(/\s+/)).to.deep.equal(['0', '1', '65536', host]);
    }
    expect((await asUser(['ps'], { delegated: false })).stdout).to.contain('without-root');
    const others = mkdtempSync(join(tmpdir(), 'netrig-user-'));
    try {
      const other = await start(process.execPath, [mainFile, 'ps'], {
        cwd: others,
        env: { HOME: others, XDG_STATE_HOME: '' },
      }).ended;
      expect(other.stdout).to.contain('No lab is up');
    } finally {
      rmSync(others, { recursive: true, force: true });
    }
    const down = await asUser(['down'], { delegated: false });
    expect(down.status, down.stdout + down.stderr).to.equal(0);
    const gc = await asUser(['gc'], { delegated: false });
    expect(gc.stdout).to.contain('Nothing was left behind');
  });

  it('without a cgroup of the user’s own there are light hosts, and systemd hosts are refused with the way out', async () => {
    const lights = await asUser(['run', 'light.yaml', '--no-allure-report'], { delegated: false });
    expect(lights.status, lights.stdout + lights.stderr).to.equal(0);
    const refused = await asUser(['run', 'lab.yaml', '--no-allure-report'], { delegated: false });
    expect(refused.status).to.equal(3);
    expect(refused.stdout + refused.stderr).to.contain('systemd-run --user --scope -p Delegate=yes');
  });
});
