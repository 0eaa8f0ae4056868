import { isAddress } from '../model/cidr.js';
import { shown } from '../language/wording.js';
import type { DeclaredLab } from './passes/hosts-and-segments.js';
import { hostHint } from './passes/hosts-and-segments.js';
import type { Report } from './passes/mistakes.js';
import { segmentAddresses } from './addressing.js';
import type { NameRecord } from './scenario.js';
import type { HostShape, RecordsShape } from './schema.js';

/** The package of the name server. */
export const nameServerPackage = 'dnsmasq-base';

/** What a host resolves, by the key that says so; `null` for one that is no name server. */
export function recordsOf(host: HostShape): { records: RecordsShape; path: string[] }[] {
  const simulated = typeof host.outside === 'object' ? host.outside.simulated : undefined;
  return [
    ...(host.dns ? [{ records: host.dns, path: ['dns'] }] : []),
    ...(simulated ? [{ records: simulated, path: ['outside', 'simulated'] }] : []),
  ];
}

/** The addresses of a host of the lab, those of its first segment first. */
function addressesOf(lab: DeclaredLab, host: string): string[] {
  return [...lab.segments.values()].flatMap((segment) => segmentAddresses(segment)[host] ?? []);
}

/** Records with addresses in place of hosts. */
export function nameRecords(lab: DeclaredLab, host: HostShape): NameRecord[] {
  return recordsOf(host).flatMap(({ records }) =>
    Object.entries(records).map(([name, values]) => ({
      name: name.replace(/\.$/, '').toLowerCase(),
      addresses: [
        ...new Set(values.flatMap((value) => (isAddress(value) ? [value] : addressesOf(lab, value).slice(0, 1)))),
      ],
    })),
  );
}

/** Why a value of a record leads nowhere; `null`: it leads somewhere. */
function problemOf(lab: DeclaredLab, value: string, outside: boolean): string | null {
  if (isAddress(value)) return null;
  if (outside) return `what stands for the outside has addresses of its own, got ${shown(value)}`;
  if (!lab.hostNames.has(value)) return `no host ${shown(value)} in this scenario${hostHint(value, lab)}`;
  return addressesOf(lab, value).length === 0 && lab.addressesKnown(value)
    ? `${value} has no address on any segment`
    : null;
}

/** Tells of records that lead nowhere. */
export function checkRecords(lab: DeclaredLab, report: Report): void {
  for (const [name, host] of lab.hosts)
    for (const { records, path } of recordsOf(host))
      for (const [record, value] of Object.entries(records).flatMap(([of, values]) =>
        values.map((one) => [of, one] as const),
      )) {
        const problem = problemOf(lab, value, path[0] === 'outside');
        if (problem !== null) report(['hosts', name, ...path, record], problem);
      }
}
