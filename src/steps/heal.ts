import { z } from 'zod';
import { zName } from '../language/fields.js';
import { defineStep } from './kind.js';

const schema = z.strictObject({
  heal: zName.describe('`all`, or the `name` of a fault.'),
});

type HealSpec = z.infer<typeof schema>;

/** Takes faults out again. */
export const healStep = defineStep<HealSpec>({
  name: 'heal',
  summary:
    'Takes faults out again that `fault:` steps put in: all, or the one of that name. It is done once it has taken effect: a host that was powered off answers, with its routes and kernel parameters.',
  example: `- step: The cable is back
  heal: all`,
  schema,
  ofLab: true,
  repeatable: true,
  faultName: ({ heal }) => (heal === 'all' ? null : { needs: heal }),
  describe: ({ heal }) => (heal === 'all' ? 'heals all faults' : `heals the fault ${heal}`),
  run: ({ heal }, { breaker, signal }) => breaker.heal(heal === 'all' ? null : heal, signal),
});
