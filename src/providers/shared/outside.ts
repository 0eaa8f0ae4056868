import { findHostImageRow, type HostImageRow } from '../../images/host-image.js';
import { outsideFiles, type OutsideFiles } from '../../images/outside-files.js';
import { uplink } from '../../model/uplink.js';
import type { LabPlan } from '../../plan/lab-plan.js';
import type { TreeEntry } from '../../ssh/tree.js';
import type { UpOptions } from '../provider.js';

/**
 * What hosts with a way to the outside get of the machine, by their images; what they don't is said. `by`: whose way it is.
 * `sources`: where packages come from where this machine names no mirror.
 */
export async function outsideOf(
  plan: LabPlan,
  { emit, scenario, signal }: Pick<UpOptions, 'emit' | 'scenario' | 'signal'>,
  by = 'this machine',
  sources: (row: HostImageRow) => string[] = () => [],
): Promise<Map<string, OutsideFiles>> {
  const hosts = plan.hosts.filter((host) => host.outside);
  const found = new Map<string, OutsideFiles>();
  for (const image of new Set(hosts.map((host) => host.image))) {
    const row = findHostImageRow(image) ?? null;
    found.set(image, await outsideFiles(row, signal, row ? sources(row) : []));
  }
  const log = (level: 'info' | 'warn', text: string): void => emit({ type: 'log', scenario, level, text });
  if (hosts.length > 0) log('info', `A way to the outside, by ${by}: ${hosts.map(({ name }) => name).join(', ')}.`);
  for (const left of new Set([...found.values()].flatMap((one) => one.left))) log('warn', `Outside: ${left}.`);
  return found;
}

/** Name service by the machine's, and what else a host with a way to the outside gets. */
export function outsideEntries(name: string, outside: OutsideFiles = { files: {}, hosts: [], left: [] }): TreeEntry[] {
  const texts = {
    ...outside.files,
    '/etc/resolv.conf': `nameserver ${uplink.nameServer}\n`,
    // As the host has it from its provider, and more.
    '/etc/hosts': [
      '127.0.0.1 localhost',
      '::1 localhost ip6-localhost ip6-loopback',
      `127.0.1.1 ${name}`,
      ...outside.hosts,
      '',
    ].join('\n'),
  };
  return Object.entries(texts).map(([path, text]) => ({ kind: 'file', path, mode: 0o644, content: Buffer.from(text) }));
}
