import { NetrigError } from '../errors.js';
import { listRecords } from '../lab/store.js';
import { providerNamed } from '../providers/registry.js';
import type { LabRecord, RunningLab } from '../providers/provider.js';

/**
 * The lab that is meant: by its id or the beginning of it, or the only one that is up.
 *
 * @throws NETRIG_LAB_UNKNOWN when none or several fit.
 */
export async function pickLab(wanted: string | undefined): Promise<LabRecord> {
  const records = listRecords();
  const fitting =
    wanted === undefined
      ? records.filter((record) => record.detached)
      : records.filter((record) => record.id === wanted || record.id.startsWith(wanted));
  const exact = fitting.find((record) => record.id === wanted);
  if (exact) return exact;
  const [only, another] = fitting;
  if (only && !another) return only;
  const known = records.map((record) => record.id).join(', ');
  if (!only)
    throw new NetrigError(
      'NETRIG_LAB_UNKNOWN',
      wanted === undefined ? 'No lab is up.' : `No lab "${wanted}" is up${known ? `; these are: ${known}` : ''}.`,
      { hint: 'Bring one up with `netrig up FILE`.' },
    );
  throw new NetrigError(
    'NETRIG_LAB_UNKNOWN',
    `${wanted === undefined ? 'Several labs are up' : `"${wanted}" fits several labs`}: ${fitting.map((record) => record.id).join(', ')}.`,
    { hint: 'Name one with --lab.' },
  );
}

/** The lab that is meant, ready to be used. @throws NETRIG_LAB_UNKNOWN, NETRIG_LAB_GONE. */
export async function pickRunningLab(wanted: string | undefined): Promise<RunningLab> {
  const record = await pickLab(wanted);
  return providerNamed(record.provider).attach(record);
}
