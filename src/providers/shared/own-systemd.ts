import { basename } from 'node:path';
import { NetrigError } from '../../errors.js';
import type { HostImage } from '../../images/host-image.js';
import { orderKey } from '../../images/made-to-order.js';
import type { LabPlan } from '../../plan/lab-plan.js';

/** Throws NETRIG_HOST_ROOT where a host is to boot a systemd that its root file system does not have. */
export function requireSystemd(plan: LabPlan, key: string, { foreign }: HostImage): void {
  if (!foreign || foreign.systemd !== null) return;
  const host = plan.hosts.find((one) => orderKey(one) === key && one.init === 'systemd');
  if (!host) return;
  const { place, path } = host.root!;
  throw new NetrigError(
    'NETRIG_HOST_ROOT',
    `${place}: ${host.name} is to boot systemd, and ${basename(path)} has none.`,
    {
      hint: 'Leave `init` out, or `init: light`.',
    },
  );
}
