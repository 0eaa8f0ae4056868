import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import ssh2, { type Client } from 'ssh2';
import { machineEnvironment } from '../src/providers/shared/command.js';
import { accessOf } from '../src/providers/local/leftovers.js';
import { localProvider } from '../src/providers/local/provider.js';
import type { RunningLab } from '../src/providers/provider.js';
import { createScenarioRun } from '../src/run/scenario-run.js';
import { loadScenarioFile } from '../src/scenario/load.js';
import { connect } from '../src/ssh/connection.js';
import type { SshTarget } from '../src/ssh/ssh.js';
import { benchImage, projectDirectory } from './bare.js';
import { withLab } from './lab.js';
import { makeDirectory } from './leftovers.js';
import {
  type Bench,
  type BenchContext,
  comparison,
  type Comparison,
  type Figure,
  type Result,
  takeTurns,
  timed,
} from './measure.js';
import { hostsPlan } from './plans.js';

async function bareConnect(target: SshTarget): Promise<Client> {
  const sock = await target.open(new AbortController().signal);
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    client.on('ready', () => resolve(client)).on('error', reject);
    client.connect({
      sock: sock as Readable,
      username: target.username,
      privateKey: target.privateKey,
      hostVerifier: (key: Buffer) => key.toString('base64') === target.hostKey,
    });
  });
}

/** Resolves to the number of bytes that the command wrote. */
function bareExec(client: Client, command: string): Promise<number> {
  return new Promise((resolve, reject) => {
    client.exec(command, (error, channel) => {
      if (error) return reject(error);
      const output: Buffer[] = [];
      channel.on('data', (chunk: Buffer) => output.push(chunk));
      channel.stderr.on('data', (chunk: Buffer) => output.push(chunk));
      channel.on('close', () => resolve(Buffer.concat(output).toString().length));
    });
  });
}

async function bareEnd(client: Client): Promise<void> {
  const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
  client.end();
  await closed;
}

async function commandFigures(lab: RunningLab, context: BenchContext): Promise<Comparison[]> {
  const target = lab.target('h1');
  const client = await bareConnect(target);
  const host = await connect(target);
  const rounds = context.quick ? 60 : 300;
  const eight = Array.from({ length: 8 });

  async function paired(
    title: string,
    count: number,
    atMost: number | null,
    ours: () => Promise<unknown>,
    bare: () => Promise<unknown>,
  ): Promise<Comparison> {
    // The first few warm both up.
    await takeTurns(5, context, { netrig: ours, other: bare });
    const pairs = await takeTurns(count, context, { netrig: () => timed(ours), other: () => timed(bare) });
    return comparison(title, 'ssh2', 'ms', pairs, (ms) => ms, atMost);
  }

  try {
    return [
      await paired(
        '`true`',
        rounds,
        1.3,
        () => host.exec('true'),
        () => bareExec(client, 'true'),
      ),
      await paired(
        '`ip -j addr`',
        rounds,
        1.3,
        () => host.exec('ip -j addr'),
        () => bareExec(client, 'ip -j addr'),
      ),
      await paired(
        '8 × `true` at once',
        Math.ceil(rounds / 4),
        null,
        () => Promise.all(eight.map(() => host.exec('true'))),
        () => Promise.all(eight.map(() => bareExec(client, 'true'))),
      ),
      await paired(
        '10 MB of output',
        10,
        null,
        () => host.exec('head -c 10000000 /dev/zero'),
        () => bareExec(client, 'head -c 10000000 /dev/zero'),
      ),
      await paired(
        'connect, `true`, end',
        Math.ceil(rounds / 10),
        null,
        async () => {
          const one = await connect(target);
          await one.exec('true');
          await one.end();
        },
        async () => {
          const one = await bareConnect(target);
          await bareExec(one, 'true');
          await bareEnd(one);
        },
      ),
    ];
  } finally {
    await host.end();
    await bareEnd(client);
  }
}

/** Follows the journal of a host, from outside and not by SSH, until the host ends. Resolves to the log-ins that sshd noted. */
function countLogins(pid1: number): { ready: Promise<unknown>; logins: Promise<number> } {
  const child = spawn(
    'nsenter',
    ['--all', '--target', String(pid1), 'journalctl', '--no-pager', '--output=cat', '--lines=all', '--follow'],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: machineEnvironment,
    },
  );
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return {
    ready: once(child.stdout, 'data'),
    logins: once(child, 'close').then(
      () => text.split('\n').filter((line) => line.startsWith('Accepted publickey for ')).length,
    ),
  };
}

/** How many connections a whole run of the overlay scenario makes to each host, by sshd's own log. */
async function connectionFigures(context: BenchContext): Promise<Figure[]> {
  const { scenarios } = await loadScenarioFile(join(projectDirectory, 'scenarios', 'overlay', 'consul.yaml'));
  const scenario = scenarios[0];
  if (!scenario) throw new Error('the overlay scenario is not valid');
  const runDir = await makeDirectory();
  const run = createScenarioRun(scenario, {
    provider: localProvider,
    emit: () => undefined,
    runDir,
    signal: context.signal,
  });
  try {
    const outcomes = [];
    for (const item of run.items) outcomes.push(await run.perform(item.id));
    const bad = outcomes.find((outcome) => outcome.verdict !== 'pass');
    const lab = run.lab();
    if (bad || !lab) throw new Error(`the overlay scenario did not pass: ${bad?.reason ?? 'no lab'}`);
    const hosts = Object.entries(accessOf(lab.record).hosts).map(([name, { pid1 }]) => ({
      name,
      ...countLogins(pid1.pid),
    }));
    await Promise.all(hosts.map((host) => host.ready));
    await run.finish();
    return await Promise.all(
      hosts.map(async ({ name, logins }): Promise<Figure> => ({
        kind: 'figure',
        title: `connections to ${name} in a whole run`,
        unit: '',
        values: [await logins],
        atMost: 1,
      })),
    );
  } finally {
    await run.finish();
    await rm(runDir, { recursive: true, force: true });
  }
}

/** What netrig's SSH adds to ssh2, and how many connections it makes. */
export const sshBench: Bench = {
  name: 'ssh',
  what: 'a command over an open connection, against bare ssh2 over another one to the same host; connections, by the log of sshd',
  async run(context): Promise<Result[]> {
    await benchImage(context);
    const commands = await withLab(hostsPlan(1, 'systemd'), context, (lab) => commandFigures(lab, context));
    return [...commands, ...(await connectionFigures(context))];
  },
};
