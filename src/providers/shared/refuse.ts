import { NetrigError } from '../../errors.js';
import type { LabPlan } from '../../plan/lab-plan.js';

/** For providers whose hosts are netrig's own images: throws NETRIG_CAPABILITY where a plan wants one of another root file system. */
export function refuseRoots(plan: LabPlan, provider: string): void {
  const host = plan.hosts.find(({ root }) => root);
  if (!host) return;
  throw new NetrigError(
    'NETRIG_CAPABILITY',
    `${host.name} is to be made of ${host.image}; the ${provider} provider makes hosts of its own images only.`,
    { hint: 'Run the scenario with `--provider local`.' },
  );
}
