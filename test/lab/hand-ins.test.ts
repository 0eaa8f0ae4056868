import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { page } from '../pages.js';
import { leftovers, netrig, workDirectory } from './netrig-command.js';

/** The exercise of docs/teaching.md, in its two states: the lab that works, and what it becomes. */
const [lab, exercise] = page('docs/teaching.md')
  .blocks.filter(({ language }) => language === 'yaml')
  .map(({ text }) => text);
const examplePort = 8658;

const answers: Record<string, string> = {
  'ann/server/solution.sh': `iptables -I INPUT -p tcp --dport ${examplePort} -j ACCEPT\n`,
  // Half of it is wrong, and a line fails: what is right counts, and the broken guard costs.
  'bob/server/solution.sh': 'no-such-command\niptables -F INPUT\n',
  'eve/answer.yaml': `scenario: eve
title: The answer of Eve, whose own check gives her all points
exercise: { text: mine }
hosts: { client: , server: }
segments: { lan: { subnet: 10.70.0.0/24, hosts: [client, server] } }
steps:
  - { role: solution, on: server, run: iptables -A OUTPUT -p udp -j DROP }
  - { role: solution, on: server, run: "false" }
  - { check: mine, points: 100, ping: { from: server, to: server } }
`,
  'joe.yaml': 'scenario: joe\n',
  'may/server/solution.sh': 'sleep 600\n',
};

interface Told {
  student: string;
  points: number | null;
  of: number;
  toLookAt: string[];
  tasks: { title: string; verdict: string; points: number }[];
}

describe('docs/teaching.md', function () {
  this.timeout(600_000);

  it('its lab runs, its exercise is proven, and answers are graded as by hand', async () => {
    const files = Object.fromEntries(Object.entries(answers).map(([name, text]) => [`answers/${name}`, text]));
    const { dir, remove } = workDirectory();
    for (const [name, text] of Object.entries({ ...files, 'lab.yaml': lab!, 'door.yaml': exercise! })) {
      mkdirSync(dirname(join(dir, name)), { recursive: true });
      writeFileSync(join(dir, name), text);
    }
    const ran = await netrig(['run', 'lab.yaml'], { cwd: dir }).ended;
    expect(ran.status, ran.stdout + ran.stderr).to.equal(0);
    const proven = await netrig(['prove', 'door.yaml'], { cwd: dir }).ended;
    expect(proven.status, proven.stdout + proven.stderr).to.equal(0);
    expect(proven.stdout).to.match(/door {2}proven: 1 task for 4 points, 1 line of the solution missed when gone/);
    expect(proven.stdout).to.match(
      /takes a host's word {2}door\.yaml:\d+ {2}"All other ports stay closed" believes the programs of server/,
    );

    const up = await netrig(['up', '--unsolved', 'door.yaml'], { cwd: dir }).ended;
    expect(up.status, up.stderr).to.equal(0);
    expect(up.stderr)
      .to.contain(`A web server listens on port ${examplePort}`)
      .and.contain('Hints: netrig play door.yaml');
    const id = up.stdout.trim();
    const check = () => netrig(['check', '--lab', id], { cwd: dir }).ended;
    const before = await check();
    expect(before.status, before.stdout + before.stderr).to.equal(1);
    expect(before.stdout).to.match(/1 passed, 1 failed/);
    const solved = await netrig(
      [
        'exec',
        '--lab',
        id,
        'server',
        '--',
        'iptables',
        '-I',
        'INPUT',
        '-p',
        'tcp',
        '--dport',
        `${examplePort}`,
        '-j',
        'ACCEPT',
      ],
      { cwd: dir },
    ).ended;
    expect(solved.status, solved.stderr).to.equal(0);
    expect((await check()).status).to.equal(0);
    expect((await netrig(['down', id], { cwd: dir }).ended).status).to.equal(0);
    expect((await netrig(['up', '--unsolved', 'lab.yaml'], { cwd: dir }).ended).status).to.equal(2);

    const end = await netrig(
      ['class', 'grade', 'answers', 'door.yaml', '--output', 'grades', '--timeout', '5s', '--json', '--jobs', '2'],
      { cwd: dir },
    ).ended;
    expect(end.status, end.stderr).to.equal(1);
    const { handIns } = JSON.parse(end.stdout) as { handIns: Told[] };
    const told = (student: string): Told => handIns.find((one) => one.student === student)!;
    expect(handIns.slice(0, 4).map(({ student, points, of }) => [student, points, of])).to.deep.equal([
      ['ann', 4, 4],
      ['bob', 2, 4],
      ['eve', 0, 4],
      ['joe', null, 4],
    ]);
    // A script that does not end says nothing of its author where the machine had no time for it: then nobody gets 0.
    expect([0, null]).to.include(told('may').points);
    expect(told('ann').toLookAt).to.deep.equal([]);
    expect(told('bob').tasks.map(({ verdict, points }) => [verdict, points])).to.deep.equal([
      ['pass', 4],
      ['fail', -2],
    ]);
    expect(told('eve').toLookAt.join()).to.match(/a step failed, false/);
    expect(told('joe').toLookAt.join()).to.match(/line 1: "title" is missing/);
    expect(told('may').toLookAt.join()).to.match(/solution\.sh on server: The command did not end within/);

    const wide = readFileSync(join(dir, 'grades', 'wide.csv'), 'utf8').split('\r\n');
    expect(wide[0]).to.equal('id,handed in,points,of,least,most,undecided,to look at');
    expect(wide[1]).to.equal('ann,ann,4,4,4,4,0,');
    expect(wide[4]).to.match(/^joe,joe\.yaml,,4,,,,/);
    const long = readFileSync(join(dir, 'grades', 'long.csv'), 'utf8').split('\r\n');
    expect(long.filter((row) => /^(ann|bob|eve),/.test(row))).to.have.length(3 * 2);
    const results = (student: string) =>
      JSON.parse(readFileSync(join(dir, 'grades', 'gradescope', student, 'results.json'), 'utf8')) as {
        score: number;
        output: string;
        tests: { score: number; max_score: number }[];
      };
    expect(results('bob')).to.include({ score: 2 });
    expect(results('bob').tests.map(({ score, max_score }) => [score, max_score])).to.deep.equal([
      [4, 4],
      [-2, 0],
    ]);
    expect(results('joe').output).to.match(/^It could not be graded: line 1/);
    expect(leftovers('door')).to.deep.equal([]);
    remove();
  });

  it('its handouts are worked on and come back, each with the values of its student', async () => {
    const { dir, remove } = workDirectory();
    const env = { XDG_STATE_HOME: dir };
    writeFileSync(join(dir, 'door.yaml'), exercise!);
    writeFileSync(join(dir, 'roster.csv'), 'id,name\nzoe,Zoe\nkim,Kim\n');
    writeFileSync(join(dir, 'class.yaml'), 'class: home\nroster: roster.csv\nexercises: [{ file: door.yaml }]\n');
    const handout = () =>
      netrig(['class', 'handout', 'door.yaml', 'home', '--class', 'class.yaml'], { cwd: dir, env }).ended;
    const written = await handout();
    expect(written.status, written.stderr).to.equal(0);
    expect(written.stdout.trim().split('\n')).to.deep.equal(['home/zoe/door.yaml', 'home/kim/door.yaml']);
    expect((await handout()).status, 'over one that is there').to.equal(2);

    const up = await netrig(['up', 'home/zoe/door.yaml'], { cwd: dir, env }).ended;
    expect(up.status, up.stderr).to.equal(0);
    const looked = await netrig(['check'], { cwd: dir, env }).ended;
    expect(looked.stdout, looked.stderr).to.match(/1 passed, 1 failed/);
    expect(looked.stdout, 'what was seen, and neither why nor what mends it')
      .to.match(/does not answer client/)
      .and.not.match(/drops it|mend|iptables -[DI]/);
    const traced = await netrig(['trace', 'client', 'server', '--tcp', '8080'], { cwd: dir, env }).ended;
    expect(traced.status, traced.stdout).to.equal(2);
    expect(traced.stderr).to.match(/yours to find/);
    expect((await netrig(['down', up.stdout.trim()], { cwd: dir, env }).ended).status).to.equal(0);

    const port = /on port (\d+)/.exec(readFileSync(join(dir, 'home/zoe/README.md'), 'utf8'))![1]!;
    const given = readFileSync(join(dir, 'home/zoe/door.yaml'), 'utf8');
    const mine = `  - { role: solution, on: server, run: "iptables -I INPUT -p tcp --dport ${port} -j ACCEPT" }\n`;
    for (const name of ['zoe', 'kim']) mkdirSync(join(dir, 'back', name), { recursive: true });
    writeFileSync(join(dir, 'back/zoe/door.yaml'), given + mine);
    // Kim hands in what is Zoe's.
    writeFileSync(join(dir, 'back/kim/door.yaml'), given + mine);
    const graded = await netrig(['class', 'grade', 'back', 'door.yaml', '--class', 'class.yaml', '--json'], {
      cwd: dir,
      env,
    }).ended;
    expect(graded.status, graded.stderr).to.equal(0);
    const { handIns } = JSON.parse(graded.stdout) as { handIns: Told[] };
    const of = (name: string) => handIns.find(({ student }) => student === name)!;
    expect(of('zoe')).to.include({ points: 4, of: 4 });
    expect(of('zoe').toLookAt).to.deep.equal([]);
    expect(of('kim')).to.include({ points: 0 });
    expect(of('kim').toLookAt.join()).to.contain(`it carries ${port}, the port of zoe`);
    remove();
  });
});
