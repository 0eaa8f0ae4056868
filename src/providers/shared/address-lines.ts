import { addressesOf } from '../../model/planned-addresses.js';
import type { HostPlan } from '../../plan/lab-plan.js';

/** The lines for `ip -batch` inside a host: its interfaces up, with their addresses. */
export function addressLines(host: HostPlan): string[] {
  return [
    'link set dev lo up',
    ...host.interfaces.flatMap((nic) => [
      // Nobody else can have the address on a segment that was made a moment ago: no waiting for duplicate detection.
      ...addressesOf(nic).map(
        (address) => `address add ${address} ${address.includes(':') ? 'nodad' : 'brd +'} dev ${nic.name}`,
      ),
      `link set dev ${nic.name} up`,
    ]),
  ];
}
