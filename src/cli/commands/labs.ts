import { addressesOf } from '../../model/planned-addresses.js';
import { labsToTakeDown, sweepLabs, takeDown } from '../../labs/down.js';
import { describeLabs, type LabDescription } from '../../labs/find.js';
import { formatDuration } from '../../model/duration.js';
import { exitStatus } from '../../model/verdict.js';
import { consentVariable } from '../../providers/ssh/provider.js';
import { shareInventory } from '../consent.js';
import { print, printJson, table, tell } from '../terminal.js';

function addresses(host: LabDescription['hosts'][number]): string {
  return host.interfaces.map((nic) => `${nic.name} ${addressesOf(nic).join(', ') || '-'} (${nic.segment})`).join(', ');
}

/** `netrig ps`. */
export async function ps(flags: { json?: boolean }): Promise<number> {
  const labs = describeLabs();
  if (flags.json) printJson(labs);
  else if (labs.length === 0) print`No lab is up.`;
  else {
    const rows = labs.flatMap(({ id, state, left, createdAt, hosts }) => {
      const age = formatDuration(Date.now() - Date.parse(createdAt));
      return hosts.map((host, at) => [
        ...(at === 0 ? [id, `${state} (${left})`, age] : ['', '', '']),
        host.name,
        host.image,
        addresses(host),
      ]);
    });
    print`${table(['LAB', 'STATE', 'AGE', 'HOST', 'IMAGE', 'INTERFACES'], rows)}`;
    if (labs.some((lab) => lab.state === 'dead'))
      print`A dead lab lost the process that held it: \`netrig gc\` removes what is left.`;
    if (labs.some((lab) => lab.state === 'elsewhere'))
      print`One that is elsewhere is held in another pid namespace, and is used and taken down there.`;
  }
  return exitStatus.passed;
}

/** `netrig down`. */
export async function down(ids: string[], flags: { all?: boolean }): Promise<number> {
  const records = labsToTakeDown(ids, flags.all ?? false);
  if (records.length === 0) print`No lab is up.`;
  for (const record of records) {
    const took = await takeDown(record);
    print`${record.id} is down, after ${formatDuration(took)}`;
  }
  return exitStatus.passed;
}

/** `netrig gc`. */
export async function gc(flags: { inventory?: string; json?: boolean }): Promise<number> {
  shareInventory(flags.inventory);
  // To name the inventory is to agree: nothing but what netrig changed is taken back.
  if (flags.inventory !== undefined) process.env[consentVariable] = '1';
  const reports = await sweepLabs();
  if (flags.json) {
    printJson(reports);
  } else {
    for (const { removed, left } of reports) {
      for (const { lab, what } of removed) print`${lab}: removed ${what.join(', ')}`;
      for (const { lab, what, why } of left) tell`${lab}: ${what} is left: ${why}`;
    }
    if (reports.every(({ removed, left }) => removed.length + left.length === 0)) print`Nothing was left behind.`;
  }
  return reports.some(({ left }) => left.length > 0) ? exitStatus.lab : exitStatus.passed;
}
