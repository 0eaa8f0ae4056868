import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readLedger } from '../src/lab/ledger.js';
import { labDirectory } from '../src/lab/store.js';
import { localProvider } from '../src/providers/local/provider.js';
import type { IsolationWish, RunningLab } from '../src/providers/provider.js';
import { connect } from '../src/ssh/connection.js';
import { bringUp } from './lab.js';
import { type Bench, type BenchContext, comparison, type Result, takeTurns, Unavailable } from './measure.js';
import { hostsPlan } from './plans.js';

const counts = [1, 8, 24];
const goal = 1.1;

interface Boot {
  upMs: number;
  downMs: number;
  /** Processor time of the hosts' own groups until all answer, ms. */
  cpuMs: number;
  /** Memory of the hosts' own groups then, MB. */
  memory: number;
}

/** A number in the lab's groups: of the hierarchy that has the file. */
export function inGroups(lab: RunningLab, files: readonly { name: string; value: (text: string) => number }[]): number {
  for (const entry of readLedger(labDirectory(lab.id))) {
    if (entry.kind !== 'cgroup') continue;
    for (const { name, value } of files) {
      const found = readdirSync(entry.path).includes(name) ? value(readFileSync(join(entry.path, name), 'utf8')) : NaN;
      // Version 1 has a file of the same name that says something else.
      if (!Number.isNaN(found)) return found;
    }
  }
  throw new Unavailable(`no cgroup of the lab has ${files.map((file) => file.name).join(' or ')}`);
}

const cpuFiles = [
  { name: 'cpuacct.usage', value: (text: string) => Number(text) / 1e6 },
  { name: 'cpu.stat', value: (text: string) => Number(/^usage_usec (\d+)$/m.exec(text)?.[1]) / 1000 },
];
export const memoryFiles = [
  { name: 'memory.usage_in_bytes', value: (text: string) => Number(text) / 2 ** 20 },
  { name: 'memory.current', value: (text: string) => Number(text) / 2 ** 20 },
];

async function boot(count: number, isolation: IsolationWish, context: BenchContext): Promise<Boot> {
  const from = performance.now();
  const lab = await bringUp(hostsPlan(count, 'systemd'), context, isolation);
  const up = performance.now();
  const cpuMs = inGroups(lab, cpuFiles);
  const memory = inGroups(lab, memoryFiles);
  const down = performance.now();
  await lab.down();
  return { upMs: up - from, downMs: performance.now() - down, cpuMs, memory };
}

interface Use {
  dockerMs: number;
  pingMs: number;
}

/** The first docker command, which starts the engine, and 200 echo requests to the other host. */
async function use(isolation: IsolationWish, context: BenchContext): Promise<Use> {
  const plan = hostsPlan(2, 'systemd');
  for (const host of plan.hosts) {
    host.image = 'debian-12';
    host.engine = true;
  }
  const lab = await bringUp(plan, context, isolation);
  try {
    const connection = await connect(lab.target('h1'));
    const from = performance.now();
    const docker = await connection.exec('docker version --format "{{.Server.Version}}"', { timeoutMs: 60_000 });
    const dockerMs = performance.now() - from;
    if (docker.exitCode !== 0) throw new Error(`docker version failed: ${docker.stderr}`);
    const ping = await connection.exec('ping -n -q -c 200 -i 0.01 10.20.0.2', { timeoutMs: 60_000 });
    const average = /^rtt min\/avg\/max\/mdev = [\d.]+\/([\d.]+)\//m.exec(ping.stdout)?.[1];
    if (average === undefined) throw new Error(`ping was not understood: ${ping.stdout}${ping.stderr}`);
    await connection.end();
    return { dockerMs, pingMs: Number(average) };
  } finally {
    await lab.down();
  }
}

/** What it costs that root in a host is nobody on the machine. */
export const isolationBench: Bench = {
  name: 'isolation',
  what: `isolated hosts against --isolation none: boot of ${counts.join(', ')}, memory, first docker command, ping`,
  async run(context) {
    const able = (await localProvider.capabilities()).find((one) => one.name === 'isolation');
    if (!able?.have) throw new Unavailable(`hosts cannot be isolated here: ${able?.seen}`);
    const results: Result[] = [];
    for (const count of counts) {
      const rounds = context.quick ? 2 : count > 8 ? 5 : 9;
      const sides = { netrig: () => boot(count, 'users', context), other: () => boot(count, 'none', context) };
      const pairs = await takeTurns(rounds, context, sides, true);
      const hosts = count === 1 ? '1 host' : `${count} hosts`;
      results.push(
        comparison(`${hosts}: all answer SSH`, 'none', 's', pairs, (side) => side.upMs / 1000, goal),
        comparison(`${hosts}: processor time until then`, 'none', 's', pairs, (side) => side.cpuMs / 1000, goal),
        comparison(`${hosts}: memory`, 'none', 'MB', pairs, (side) => side.memory, goal),
        comparison(`${hosts}: all gone again`, 'none', 's', pairs, (side) => side.downMs / 1000, null),
      );
    }
    const sides = { netrig: () => use('users', context), other: () => use('none', context) };
    const pairs = await takeTurns(context.quick ? 2 : 7, context, sides, true);
    results.push(
      comparison('first docker command', 'none', 's', pairs, (side) => side.dockerMs / 1000, goal),
      comparison('ping between hosts, average of 200', 'none', 'ms', pairs, (side) => side.pingMs, goal),
    );
    return results;
  },
};
