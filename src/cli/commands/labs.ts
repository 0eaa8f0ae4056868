import { NetrigError } from '../../errors.js';
import { holderAlive, listRecords } from '../../lab/store.js';
import { formatDuration } from '../../model/duration.js';
import { exitStatus } from '../../model/verdict.js';
import type { LabRecord } from '../../providers/provider.js';
import { providerNamed, providers } from '../../providers/registry.js';
import { consentVariable } from '../../providers/ssh/provider.js';
import { shareInventory } from '../consent.js';
import { pickLab } from '../pick-lab.js';
import { formatTable } from '../print-table.js';

function addresses(host: LabRecord['plan']['hosts'][number]): string {
  return host.interfaces.map((nic) => `${nic.name} ${nic.address ?? '-'} (${nic.segment})`).join(', ');
}

/** `netrig ps`. */
export async function ps(flags: { json?: boolean }): Promise<number> {
  const records = listRecords();
  const described = await Promise.all(
    records.map(async (record) => ({
      id: record.id,
      title: record.title,
      provider: record.provider,
      state: holderAlive(record) ? record.state : 'dead',
      left: record.detached ? 'up' : 'run',
      createdAt: record.createdAt,
      scenarioFile: record.scenarioFile ?? null,
      hosts: record.plan.hosts.map((host) => ({
        name: host.name,
        image: host.image,
        init: host.init,
        interfaces: host.interfaces,
      })),
    })),
  );
  if (flags.json) {
    process.stdout.write(`${JSON.stringify(described, null, 2)}\n`);
    return exitStatus.passed;
  }
  if (records.length === 0) {
    process.stdout.write('No lab is up.\n');
    return exitStatus.passed;
  }
  const rows = records.flatMap((record, index) => {
    const { state, left } = described[index]!;
    const age = formatDuration(Date.now() - Date.parse(record.createdAt));
    return record.plan.hosts.map((host, at) => [
      at === 0 ? record.id : '',
      at === 0 ? `${state} (${left})` : '',
      at === 0 ? age : '',
      host.name,
      host.image,
      addresses(host),
    ]);
  });
  process.stdout.write(formatTable(['LAB', 'STATE', 'AGE', 'HOST', 'IMAGE', 'INTERFACES'], rows));
  if (described.some((lab) => lab.state === 'dead'))
    process.stdout.write('A dead lab lost the process that held it: `netrig gc` removes what is left.\n');
  return exitStatus.passed;
}

/** `netrig down`. */
export async function down(ids: string[], flags: { all?: boolean }): Promise<number> {
  const records = flags.all
    ? listRecords().filter((record) => record.detached)
    : await Promise.all(ids.length > 0 ? ids.map(pickLab) : [pickLab(undefined)]);
  if (records.length === 0) process.stdout.write('No lab is up.\n');
  const busy = records.find((record) => !record.detached);
  if (busy)
    throw new NetrigError(
      'NETRIG_USAGE',
      `The lab ${busy.id} belongs to a run that is under way (process ${busy.holder.pid}).`,
      { hint: 'End that run with Ctrl-C; it takes its labs down.' },
    );
  for (const record of records) {
    const begin = performance.now();
    await providerNamed(record.provider).destroy(record);
    process.stdout.write(`${record.id} is down, after ${formatDuration(performance.now() - begin)}\n`);
  }
  return exitStatus.passed;
}

/** `netrig gc`. */
export async function gc(flags: { inventory?: string; json?: boolean }): Promise<number> {
  shareInventory(flags.inventory);
  // To name the inventory is to agree: nothing but what netrig changed is taken back.
  if (flags.inventory !== undefined) process.env[consentVariable] = '1';
  const reports = await Promise.all(
    Object.values(providers).map(async (provider) => ({ provider: provider.name, ...(await provider.sweep()) })),
  );
  if (flags.json) {
    process.stdout.write(`${JSON.stringify(reports, null, 2)}\n`);
  } else {
    for (const { removed, left } of reports) {
      for (const { lab, what } of removed) process.stdout.write(`${lab}: removed ${what.join(', ')}\n`);
      for (const { lab, what, why } of left) process.stderr.write(`${lab}: ${what} is left: ${why}\n`);
    }
    if (reports.every(({ removed, left }) => removed.length + left.length === 0))
      process.stdout.write('Nothing was left behind.\n');
  }
  return reports.some(({ left }) => left.length > 0) ? exitStatus.lab : exitStatus.passed;
}
