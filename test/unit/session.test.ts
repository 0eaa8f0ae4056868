import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { isNetrigError } from '../../src/errors.js';
import type { Transcript } from '../../src/model/events.js';
import { sysctlPath } from '../../src/model/sysctl.js';
import type { LabPlan } from '../../src/plan/lab-plan.js';
import { openSession } from '../../src/session/session.js';
import { filesOver } from '../../src/ssh/files.js';
import type { Link } from '../../src/ssh/link.js';
import type { HostConnection } from '../../src/ssh/ssh.js';
import { execResult, fakeConnection } from '../fakes/connection.js';
import { fakeLab } from '../fakes/provider.js';

const plan = {
  title: 't',
  slug: 't',
  bootTimeoutMs: 1000,
  segments: [],
  hosts: [{ name: 'a', interfaces: [], sysctls: {}, routes: [] }],
} as unknown as LabPlan;
const never = (): Promise<never> => new Promise<never>(() => undefined);

const unheard = { signal: new AbortController().signal, record: () => undefined };

function contextOver(connections: HostConnection[], timeoutMs: number) {
  const transcripts: Transcript[] = [];
  let cuts = 0;
  const session = openSession(fakeLab(plan), () => Promise.resolve(connections.shift()!));
  const context = session.context({
    signal: new AbortController().signal,
    timeoutMs,
    record: (transcript) => transcripts.push(transcript),
    cut: () => (cuts += 1),
  });
  return { context, transcripts, cuts: () => cuts };
}

describe('The context of a step or check', () => {
  it('runs on the host what is asked of the host, and beside it what is asked of its helper, and records which', async () => {
    const target = (host: string) => fakeLab(plan).target(host);
    const lab = fakeLab(plan, { beside: (host) => ({ ...target(host), username: 'helper' }) });
    const asked: string[] = [];
    const session = openSession(lab, (to) => {
      asked.push(to.username);
      return Promise.resolve(fakeConnection());
    });
    const transcripts: Transcript[] = [];
    const context = session.context({
      signal: new AbortController().signal,
      timeoutMs: 800,
      record: (transcript) => transcripts.push(transcript),
    });
    await context.host('a').beside!.exec('probe');
    await context.host('a').beside!.exec('another');
    await context.host('a').exec('file');
    expect(asked).to.deep.equal(['helper', 'root']);
    expect(transcripts.map(({ host, beside }) => [host, beside])).to.deep.equal([
      ['a', true],
      ['a', true],
      ['a', undefined],
    ]);
    expect(
      openSession(fakeLab(plan))
        .context({ ...unheard, timeoutMs: 800 })
        .host('a').beside,
    ).to.equal(undefined);
  });

  it('lets no command have more time than is left, whatever the kind asks for', async () => {
    const connection = fakeConnection();
    const { context, cuts } = contextOver([connection], 800);
    await context.host('a').exec('one', { timeoutMs: 60_000 });
    await context.host('a').exec('two');
    await context.host('a').exec('three', { timeoutMs: 200 });
    const limits = connection.asked.map(({ options }) => options.timeoutMs!);
    expect(limits[0]).to.be.within(1, 800);
    expect(limits[1]).to.be.within(1, 800);
    expect(limits[2]).to.equal(200);
    expect(cuts()).to.equal(0);
  });

  it('says that an attempt was cut when its own clock ended a command, and only then', async () => {
    const slow = fakeConnection((_, { timeoutMs }) =>
      new Promise((resolve) => setTimeout(resolve, timeoutMs)).then(() =>
        execResult({ exitCode: null, timedOut: true }),
      ),
    );
    const { context, cuts } = contextOver([slow], 120);
    await context.host('a').exec('by its own limit', { timeoutMs: 20 });
    expect(cuts()).to.equal(0);
    await context.host('a').exec('by the attempt');
    expect(cuts()).to.equal(1);
  });

  it('begins nothing once the time is over, but lets what cleans up run', async () => {
    const connection = fakeConnection();
    const { context, cuts, transcripts } = contextOver([connection], 1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const result = await context.host('a').exec('late');
    expect(result).to.include({ timedOut: true, exitCode: null });
    expect(connection.asked).to.deep.equal([]);
    await context.host('a').exec('rm -rf /tmp/mine', { cleansUp: true });
    expect(connection.asked.map(({ command }) => command)).to.deep.equal(['rm -rf /tmp/mine']);
    expect(cuts()).to.equal(1);
    expect(transcripts.map((one) => one.command)).to.deep.equal(['late', '']);
  });

  it('a host that answers nothing is told from one that is slow, and gets a new connection', async function () {
    this.timeout(10_000);
    const frozen = fakeConnection(never);
    const thawed = fakeConnection();
    const { context, transcripts } = contextOver([frozen, thawed], 50);
    const error = await context
      .host('a')
      .exec('hostname')
      .then(
        () => null,
        (reason: unknown) => reason,
      );
    expect(isNetrigError(error, 'NETRIG_SSH_SILENT')).to.equal(true);
    expect(transcripts).to.have.length(1);
    expect(transcripts[0]).to.include({ command: 'hostname', timedOut: true });
    await context.host('a').exec('hostname', { cleansUp: true });
    expect(thawed.asked).to.have.length(1);
    expect(frozen.ended).to.equal(true);
  });
});

describe('Opening SFTP', () => {
  it('has a deadline, and is tried anew afterwards', async () => {
    let asked = 0;
    const link = {
      host: 'a',
      lost: undefined,
      onLost: () => () => undefined,
      lostError: (doing: string) => new Error(`lost ${doing}`),
      client: { sftp: () => (asked += 1) },
    } as unknown as Link;
    const files = filesOver(link, 20);
    for (const _ of [1, 2]) {
      const error = await files.writeFile('/etc/x', 'y').then(
        () => null,
        (reason: unknown) => reason,
      );
      expect(isNetrigError(error, 'NETRIG_SFTP')).to.equal(true);
      expect(String(error)).to.contain('the SFTP subsystem of a did not answer within 0.02 s');
    }
    expect(asked).to.equal(2);
  });
});

describe('Keys of sysctls', () => {
  const rows: [string, string][] = [
    ['net.ipv4.ip_forward', '/proc/sys/net/ipv4/ip_forward'],
    ['net/ipv4/ip_forward', '/proc/sys/net/ipv4/ip_forward'],
    ['net/ipv4/conf/eth0.100/rp_filter', '/proc/sys/net/ipv4/conf/eth0.100/rp_filter'],
    ['net.ipv4.conf.eth0/100.rp_filter', '/proc/sys/net/ipv4/conf/eth0.100/rp_filter'],
    ['net.ipv4.conf.all.rp_filter', '/proc/sys/net/ipv4/conf/all/rp_filter'],
  ];
  for (const [key, path] of rows)
    it(`${key} is ${path}, as sysctl(8) reads it`, () => expect(sysctlPath(key)).to.equal(path));
});

describe('Files kept with a run', () => {
  it('one never takes the place of another: attempts, processes of one host, runs of the scenario', async () => {
    const runDir = mkdtempSync(join(tmpdir(), 'netrig-kept-'));
    const keep = (text: string) =>
      openSession(fakeLab(plan))
        .context({
          signal: new AbortController().signal,
          timeoutMs: 1000,
          record: () => undefined,
          files: { runDir, folder: 's/lab' },
        })
        .attach(`Log of ${text}`, 'node1.log', 'text/plain', Buffer.from(text));
    const kept = await Promise.all(['server', 'client', 'other'].map(keep));
    expect(kept.map(({ file }) => readFileSync(join(runDir, file), 'utf8'))).to.deep.equal([
      'server',
      'client',
      'other',
    ]);
    rmSync(runDir, { recursive: true });
  });
});
