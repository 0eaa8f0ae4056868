import ssh2, { type Client } from 'ssh2';
import type { Readable } from 'node:stream';
import { connect } from '../src/ssh/connection.js';
import type { SshTarget } from '../src/ssh/ssh.js';
import { findSshdRoot, startTestServer } from '../test/lab/ssh-server.js';

/**
 * A command over an open connection, and opening one: netrig against bare ssh2, over the same sshd. The two take turns, so
 * that whatever else the machine does hits both; the ratio is of medians, with the middle half of the paired ratios beside it.
 */
const rounds = Number(process.argv[2] ?? 200);
const connects = Number(process.argv[3] ?? 15);

interface Sample {
  wallMs: number;
  cpuMs: number;
}

async function timed(work: () => Promise<unknown>): Promise<Sample> {
  const cpu = process.cpuUsage();
  const from = performance.now();
  await work();
  const wallMs = performance.now() - from;
  const used = process.cpuUsage(cpu);
  return { wallMs, cpuMs: (used.user + used.system) / 1000 };
}

async function paired(name: string, count: number, bare: () => Promise<unknown>, ours: () => Promise<unknown>): Promise<void> {
  const pairs: { bare: Sample; ours: Sample }[] = [];
  for (let round = 0; round < count + 5; round += 1) {
    const bareFirst = round % 2 === 0;
    const first = await timed(bareFirst ? bare : ours);
    const second = await timed(bareFirst ? ours : bare);
    // The first rounds warm both up.
    if (round >= 5) pairs.push(bareFirst ? { bare: first, ours: second } : { bare: second, ours: first });
  }
  for (const measure of ['wallMs', 'cpuMs'] as const) {
    const b = pairs.map((pair) => pair.bare[measure]);
    const o = pairs.map((pair) => pair.ours[measure]);
    const ratios = pairs.map((pair) => pair.ours[measure] / pair.bare[measure]);
    console.log(
      `${name.padEnd(27)} ${measure === 'wallMs' ? 'wall' : 'cpu '}  ssh2 ${quantile(b, 0.5).toFixed(2)} ms  netrig ${quantile(o, 0.5).toFixed(2)} ms` +
      `  ratio ${(quantile(o, 0.5) / quantile(b, 0.5)).toFixed(2)} (paired ${quantile(ratios, 0.25).toFixed(2)} to ${quantile(ratios, 0.75).toFixed(2)})`,
    );
  }
}

function quantile(values: number[], part: number): number {
  const sorted = values.toSorted((x, y) => x - y);
  return sorted[Math.floor((sorted.length - 1) * part)] ?? Number.NaN;
}

async function bareConnect(target: SshTarget): Promise<Client> {
  const sock = await target.open(new AbortController().signal);
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    client.on('ready', () => resolve(client)).on('error', reject);
    client.connect({ sock: sock as Readable, username: target.username, privateKey: target.privateKey, hostVerifier: (key: Buffer) => key.toString('base64') === target.hostKey });
  });
}

function bareExec(client: Client, command: string): Promise<number> {
  return new Promise((resolve, reject) => {
    client.exec(command, (error, channel) => {
      if (error) return reject(error);
      let output = '';
      channel.on('data', (chunk: Buffer) => { output += chunk.toString(); });
      channel.stderr.on('data', (chunk: Buffer) => { output += chunk.toString(); });
      channel.on('close', () => resolve(output.length));
    });
  });
}

async function bareClose(client: Client): Promise<void> {
  const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
  client.end();
  await closed;
}

const found = await findSshdRoot();
if ('missing' in found) throw new Error(found.missing);
const server = startTestServer({ root: found.root });
const client = await bareConnect(server.target);
const host = await connect(server.target);

await paired('true', rounds, () => bareExec(client, 'true'), () => host.exec('true'));
await paired('id -u', rounds, () => bareExec(client, 'id -u'), () => host.exec('id -u'));
// Five, since bare ssh2 fails at eight: sshd (MaxSessions 10) still counts the last round's sessions when the next one comes.
const five = Array.from({ length: 5 });
await paired('5 x true in parallel', Math.ceil(rounds / 4), () => Promise.all(five.map(() => bareExec(client, 'true'))), () => Promise.all(five.map(() => host.exec('true'))));
await paired('10 MB of output', 5, () => bareExec(client, 'head -c 10000000 /dev/zero'), () => host.exec('head -c 10000000 /dev/zero'));
await paired('connect, one command, end', connects,
  async () => { const one = await bareConnect(server.target); await bareExec(one, 'true'); await bareClose(one); },
  async () => { const one = await connect(server.target); await one.exec('true'); await one.end(); });

await bareClose(client);
await host.end();
await server.close();
