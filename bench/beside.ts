import { localProvider } from '../src/providers/local/provider.js';
import type { RunningLab } from '../src/providers/provider.js';
import { connect } from '../src/ssh/connection.js';
import type { SshTarget } from '../src/ssh/ssh.js';
import { inGroups, memoryFiles } from './isolation.js';
import { withLab } from './lab.js';
import { type Bench, type BenchContext, comparison, type Result, takeTurns, timed, Unavailable } from './measure.js';
import { hostsPlan } from './plans.js';

/** One echo request to the other host, as the check `ping` sends it first. */
const probe = 'ping -n -c 1 -W 2 10.20.0.2';
/** A check must not become slower for being sent from beside its host. */
const goal = 1.1;

function helperOf(lab: RunningLab): SshTarget {
  const target = lab.beside?.('h1') ?? null;
  if (!target) throw new Unavailable('this lab has no helper beside its hosts');
  return target;
}

async function answered(work: Promise<{ exitCode: number | null; stderr: string }>): Promise<void> {
  const { exitCode, stderr } = await work;
  if (exitCode !== 0) throw new Error(`the probe failed: ${stderr}`);
}

/** A connection, one probe over it, and its end; a helper begins and ends with it. */
async function connectAndProbe(target: SshTarget): Promise<void> {
  const connection = await connect(target);
  await answered(connection.exec(probe));
  await connection.end();
}

async function probes(lab: RunningLab, context: BenchContext): Promise<Result[]> {
  const first = await takeTurns(context.quick ? 5 : 25, context, {
    netrig: () => timed(() => connectAndProbe(helperOf(lab))),
    other: () => timed(() => connectAndProbe(lab.target('h1'))),
  });
  const before = inGroups(lab, memoryFiles);
  const [helper, host] = await Promise.all([connect(helperOf(lab)), connect(lab.target('h1'))]);
  try {
    const memory = inGroups(lab, memoryFiles) - before;
    const rounds = context.quick ? 30 : 200;
    const one = (side: typeof helper) => (): Promise<void> => answered(side.exec(probe));
    const eight = (side: typeof helper) => (): Promise<unknown> =>
      Promise.all(Array.from({ length: 8 }, () => answered(side.exec(probe))));
    // The first few warm both up.
    await takeTurns(5, context, { netrig: one(helper), other: one(host) });
    const later = await takeTurns(rounds, context, {
      netrig: () => timed(one(helper)),
      other: () => timed(one(host)),
    });
    const many = await takeTurns(Math.ceil(rounds / 4), context, {
      netrig: () => timed(eight(helper)),
      other: () => timed(eight(host)),
    });
    return [
      comparison('first probe of a host, with its connection', 'on the host', 'ms', first, (ms) => ms, null),
      comparison('later probes', 'on the host', 'ms', later, (ms) => ms, goal),
      comparison('8 probes at once', 'on the host', 'ms', many, (ms) => ms, goal),
      {
        kind: 'figure',
        title: 'memory of a helper and of a connection to the host, together',
        unit: 'MB',
        values: [memory],
        atMost: null,
      },
    ];
  } finally {
    await Promise.all([helper.end(), host.end()]);
  }
}

/** What it costs that probes are sent from beside a host, by programs that its root cannot replace. */
export const besideBench: Bench = {
  name: 'beside',
  what: 'probes from beside a host against the same on the host: the first, later ones, eight at once',
  async run(context) {
    const able = (await localProvider.capabilities()).find((one) => one.name === 'isolation');
    if (!able?.have) throw new Unavailable(`hosts cannot be isolated here: ${able?.seen}`);
    return withLab(hostsPlan(2, 'systemd'), context, (lab) => probes(lab, context));
  },
};
