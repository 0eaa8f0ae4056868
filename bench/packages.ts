import { provision } from '../src/session/provision.js';
import { openSession } from '../src/session/session.js';
import { withLab } from './lab.js';
import { type Bench, type BenchContext, comparison, type Result, takeTurns } from './measure.js';
import { hostsPlan } from './plans.js';

const goal = 1.1;

const tenPackages = [
  ...['bind9', 'conntrack', 'dnsmasq-base', 'frr', 'haproxy', 'iperf3', 'keepalived', 'nginx-light', 'socat', 'tree'],
];

interface Boot {
  upMs: number;
  /** From there on: names, and the engine where there is one. */
  provisionMs: number;
}

async function boot(packages: readonly string[], engine: boolean, context: BenchContext): Promise<Boot> {
  const plan = hostsPlan(1, 'systemd');
  for (const host of plan.hosts) {
    host.image = 'debian-12';
    host.engine = engine;
    if (packages.length > 0) host.packages = [...packages];
  }
  const from = performance.now();
  return withLab(plan, context, async (lab) => {
    const up = performance.now();
    const session = openSession(lab);
    try {
      await provision(session, context.signal);
      return { upMs: up - from, provisionMs: performance.now() - up };
    } finally {
      await session.close();
    }
  });
}

/** What it costs that a host has software of its own, whose services start while it boots. */
export const packagesBench: Bench = {
  name: 'packages',
  what: `a host with ${tenPackages.length} packages against one without: until it answers SSH, and until its first step`,
  async run(context) {
    // Those that the cache lacks are fetched first.
    await boot(tenPackages, false, context);
    const rounds = context.quick ? 3 : 9;
    const results: Result[] = [];
    const against = async (what: string, packages: readonly string[], engine: boolean): Promise<void> => {
      const sides = {
        netrig: () => boot(packages, engine, context),
        other: () => boot([], engine, context),
      };
      const pairs = await takeTurns(rounds, context, sides, true);
      results.push(
        comparison(`${what}: it answers SSH`, 'without', 'ms', pairs, (side) => side.upMs, goal),
        comparison(`${what}: its first step`, 'without', 'ms', pairs, (side) => side.upMs + side.provisionMs, goal),
      );
    };
    await against('no engine', tenPackages, false);
    await against('with its engine', tenPackages, true);
    await against(
      'with its engine, all but FRR',
      tenPackages.filter((name) => name !== 'frr'),
      true,
    );
    return results;
  },
};
