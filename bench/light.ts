import { join } from 'node:path';
import { z } from 'zod';
import type { CheckKind } from '../src/checks/kind.js';
import { checkKinds } from '../src/checks/registry.js';
import { provision } from '../src/session/provision.js';
import { openSession } from '../src/session/session.js';
import { sourceDirectory } from './bare.js';
import { needPackages } from './debian-packages.js';
import { withLab } from './lab.js';
import { type Bench, type BenchContext, comparison, takeTurns, timed, Unavailable } from './measure.js';
import { runWhole } from './metered.js';
import { hostsPlan } from './plans.js';

const hostCount = 24;
const pairCount = hostCount * (hostCount - 1);

interface Times {
  upMs: number;
  /** Until each host has also been logged into and given its name files, which Mininet's hosts have no like of. */
  readyMs: number;
  /** Until each host's first probe from beside has come back: the helpers begin. Mininet probes on its hosts: its `pingAll` stands there. */
  besideMs: number;
  reachMs: number;
}

async function byNetrig(context: BenchContext): Promise<Times> {
  const plan = hostsPlan(hostCount, 'light');
  const from = performance.now();
  return withLab(plan, context, async (lab) => {
    const upMs = performance.now() - from;
    const session = openSession(lab);
    try {
      await provision(session, context.signal);
      const readyMs = performance.now() - from;
      const reach = (checkKinds as readonly CheckKind[]).find((kind) => kind.name === 'reach');
      if (!reach) throw new Unavailable('this netrig has no check of the kind reach');
      const spec = reach.schema.parse({ groups: { all: plan.hosts.map((host) => host.name) } });
      const probe = session.context({ signal: context.signal, timeoutMs: 60_000, record: () => undefined });
      const besideMs = await timed(async () => {
        await Promise.all(
          plan.hosts.map(async ({ name }) => {
            await probe.host(name).beside?.exec(['true'], { timeoutMs: 60_000 });
          }),
        );
      });
      let outcome = await Promise.resolve(null as Awaited<ReturnType<CheckKind['run']>> | null);
      const reachMs = await timed(async () => (outcome = await reach.run(spec, probe)));
      if (outcome?.verdict !== 'pass') throw new Error(`reach did not pass: ${outcome?.reason}`);
      return { upMs, readyMs, besideMs, reachMs };
    } finally {
      await session.close();
    }
  });
}

const zMininet = z.object({ up: z.number(), pingall: z.number(), lost: z.number() });

// Mininet would raise sysctls of the whole machine: it sees them read-only but for those of its own network namespace.
const mininetScript = `
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,ro /proc/sys
exec /usr/bin/python3 "$@"
`;

async function byMininet(context: BenchContext): Promise<Times> {
  const own = [
    'unshare',
    '--net',
    '--mount',
    '--pid',
    '--fork',
    '--kill-child=KILL',
    '--propagation',
    'private',
    'sh',
    '-ec',
    mininetScript,
    'mininet',
  ];
  const { stdout } = await runWhole([...own, join(sourceDirectory, 'mininet-pingall.py'), String(hostCount)], {
    signal: context.signal,
  });
  const { up, pingall, lost } = zMininet.parse(JSON.parse(stdout));
  if (lost > 0) throw new Error(`${lost} % of the packets of Mininet's pingall were lost`);
  return { upMs: up * 1000, readyMs: up * 1000, besideMs: pingall * 1000, reachMs: pingall * 1000 };
}

/** Many light hosts at once, and everybody pinging everybody. */
export const lightBench: Bench = {
  name: 'light',
  what: `${hostCount} light hosts by the local provider, and all ${pairCount} pairs pinged by the check reach, against Mininet and its pingAll`,
  async run(context) {
    await needPackages(
      [
        { debianPackage: 'mininet', proof: '/usr/lib/python3/dist-packages/mininet/net.py' },
        { debianPackage: 'bridge-utils', proof: 'brctl' },
        { debianPackage: 'iputils-ping', proof: 'ping' },
      ],
      context,
    );
    const pairs = await takeTurns(
      context.quick ? 2 : 9,
      context,
      { netrig: () => byNetrig(context), other: () => byMininet(context) },
      true,
    );
    return [
      comparison(`${hostCount} hosts up, SSH answers`, 'Mininet', 's', pairs, (side) => side.upMs / 1000, 2),
      comparison('… and logged into', 'Mininet', 's', pairs, (side) => side.readyMs / 1000, 2),
      comparison('first probe from beside each', 'pingAll', 's', pairs, (side) => side.besideMs / 1000, null),
      comparison(`${pairCount} pairs pinged`, 'pingAll', 's', pairs, (side) => side.reachMs / 1000, 0.1),
    ];
  },
};
