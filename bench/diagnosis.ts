import type { CheckKind } from '../src/checks/kind.js';
import { checkKinds } from '../src/checks/registry.js';
import { forgetDiagnoses } from '../src/diagnosis/diagnose.js';
import type { Outcome } from '../src/model/verdict.js';
import type { RunningLab } from '../src/providers/provider.js';
import { provision } from '../src/session/provision.js';
import { openSession } from '../src/session/session.js';
import { withLab } from './lab.js';
import { type Bench, type BenchContext, comparison, takeTurns, timed } from './measure.js';
import { hostsPlan } from './plans.js';

const failing = 20;

/** Checks of a lab of two light hosts, with and without a look at why they fail. */
async function measured(lab: RunningLab, context: BenchContext) {
  const session = openSession(lab);
  const run = async (kind: string, spec: object, looks: boolean): Promise<Outcome> => {
    const check = (checkKinds as readonly CheckKind[]).find(({ name }) => name === kind)!;
    const options = { signal: context.signal, timeoutMs: 60_000, record: () => undefined };
    const probe = session.context(looks ? options : { ...options, later: { request: null } });
    return check.run(check.schema.parse(spec), probe);
  };
  const h2 = (command: string) =>
    session
      .context({ signal: context.signal, timeoutMs: 10_000, record: () => undefined })
      .host('h2')
      .exec(command);
  const port = (number: number): object => ({ from: 'h1', to: 'h2', port: number, wait: '300ms' });
  /** ms that the checks take, and how many of them say why. */
  const times = async (kind: string, specs: object[], looks: boolean): Promise<{ ms: number; named: number }> => {
    forgetDiagnoses(lab.plan);
    let named = 0;
    const ms = await timed(async () => {
      for (const spec of specs) named += (await run(kind, spec, looks)).diagnosis?.rootCause ? 1 : 0;
    });
    return { ms, named };
  };
  const pairsOf = (kind: string, specs: object[]) =>
    takeTurns(context.quick ? 3 : 9, context, {
      netrig: () => times(kind, specs, true),
      other: () => times(kind, specs, false),
    });
  try {
    await provision(session, context.signal);
    const passing = await pairsOf('ping', [{ from: 'h1', to: 'h2', count: 1 }]);
    await h2('iptables -A INPUT -p tcp --dport 81 -j DROP');
    const one = await pairsOf('port', [port(81)]);
    const same = await pairsOf(
      'port',
      Array.from({ length: failing }, () => port(81)),
    );
    await h2('iptables -F INPUT; ip route add blackhole 10.20.0.1/32');
    const ports = await pairsOf(
      'port',
      Array.from({ length: failing }, (_, at) => port(1000 + at)),
    );
    return { passing, one, same, ports };
  } finally {
    await session.close();
  }
}

/** What a look at why a check fails costs. */
export const diagnosisBench: Bench = {
  name: 'diagnosis',
  what: 'what a failed check takes more for the look at why, and twenty of one cause',
  async run(context) {
    const found = await withLab(hostsPlan(2, 'light'), context, (lab) => measured(lab, context));
    for (const pairs of [found.one, found.same, found.ports])
      for (const { netrig } of pairs) if (netrig.named === 0) throw new Error('no check said why it failed');
    const more = (title: string, pairs: typeof found.one, atMost: number) => ({
      kind: 'figure' as const,
      title,
      unit: 's' as const,
      values: pairs.map(({ netrig, other }) => (netrig.ms - other.ms) / 1000),
      atMost,
    });
    return [
      comparison('a ping that passes', 'without diagnosis', 'ms', found.passing, ({ ms }) => ms, null),
      more('a failed check takes more', found.one, 2),
      more(`${failing} failed checks of one port take more`, found.same, 3),
      more(`${failing} failed checks of ${failing} ports, one cause on their way, take more`, found.ports, 3),
    ];
  },
};
