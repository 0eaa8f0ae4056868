import { z } from 'zod';
import { describeFault, faultOf, partsOfFault, zFault } from '../language/fault.js';
import { defineStep } from './kind.js';

const schema = z.strictObject({
  fault: zFault.describe('What breaks: one of these, and how long.'),
});

type FaultSpec = z.output<typeof schema>;

/** Breaks something of the lab, from outside its hosts. */
export const faultStep = defineStep<FaultSpec>({
  name: 'fault',
  summary:
    'Breaks something of the lab on purpose, on the wire or at a host’s power, not by a command on a host. It stays broken for the time that `for` names, or until a `heal:` step; at the end of the scenario all is healed, before the steps of `finally`. Skipped, with the reason, where the provider cannot do it.',
  example: `- step: The cable between r2 and the core is pulled out
  fault:
    cut: { segment: core, hosts: r2 }`,
  schema,
  ofLab: true,
  repeatable: false,
  describe: ({ fault }) => describeFault(fault),
  parts: ({ fault }) => partsOfFault(fault, ['fault']),
  faultName: ({ fault }) => (fault.name === undefined ? null : { gives: fault.name }),
  run: async (spec, { plan, breaker }) => {
    const fault = faultOf(spec.fault, plan);
    if (spec.fault.restart !== undefined) {
      const off = await breaker.plantForAWhile(fault, null);
      if ('verdict' in off) return off;
      await off.heal();
      return { verdict: 'pass', reason: `${spec.fault.restart} was powered off, and answers again.` };
    }
    return breaker.plant({
      name: spec.fault.name ?? null,
      fault,
      forMs: spec.fault.for ?? null,
      everyMs: spec.fault.flap?.every ?? null,
    });
  },
});
