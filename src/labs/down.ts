import { messageOf, NetrigError } from '../errors.js';
import { heldElsewhere, holderAlive, listRecords } from '../lab/store.js';
import type { LabRecord, SweepReport } from '../providers/provider.js';
import { providerNamed, providers } from '../providers/registry.js';
import { findLab } from './find.js';

/**
 * The labs that are meant, each once: those of the ids, the only one that was left up where there is none, or all that were.
 *
 * @throws NETRIG_LAB_UNKNOWN; NETRIG_USAGE for a lab of a run that is under way.
 */
export function labsToTakeDown(ids: readonly string[], all: boolean): LabRecord[] {
  const records = all
    ? listRecords().filter((record) => record.detached)
    : ids.length > 0
      ? ids.map(findLab)
      : [findLab(undefined)];
  const elsewhere = records.map(heldElsewhere).find((why) => why !== null);
  if (elsewhere !== undefined)
    throw new NetrigError('NETRIG_USAGE', elsewhere, { hint: 'Take it down where it was started.' });
  // One whose run was killed is nobody's any more.
  const busy = records.find((record) => !record.detached && holderAlive(record));
  if (busy)
    throw new NetrigError(
      'NETRIG_USAGE',
      `The lab ${busy.id} belongs to a run that is under way (process ${busy.holder.pid}).`,
      { hint: 'End that run with Ctrl-C; it takes its labs down.' },
    );
  return [...new Map(records.map((record) => [record.id, record])).values()];
}

/** Takes the lab down with everything that it made; resolves to the ms that it took. @throws NETRIG_CLEANUP. */
export async function takeDown(record: LabRecord): Promise<number> {
  const begin = performance.now();
  await providerNamed(record.provider).destroy(record);
  return performance.now() - begin;
}

export type ProviderSweep = SweepReport & { provider: string };

/** Removes what labs left whose holder was killed, over all providers. */
export async function sweepLabs(): Promise<ProviderSweep[]> {
  return Promise.all(
    Object.values(providers).map(async (provider) => ({ provider: provider.name, ...(await provider.sweep()) })),
  );
}

/** The same before a run, so that nobody has to call for it; never stands in the way: what went wrong is told to `note`. */
export async function sweepFirst(note: (line: string) => void): Promise<void> {
  for (const provider of Object.values(providers)) {
    try {
      const { removed, left } = await provider.sweep();
      for (const { lab, what } of removed) note(`removed what ${lab} had left: ${what.join(', ')}`);
      for (const { lab, what, why } of left) note(`${lab}: ${what} is left: ${why}`);
    } catch (error) {
      note(`what killed runs left was not looked for: ${messageOf(error)}`);
    }
  }
}
