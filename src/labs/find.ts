import { NetrigError } from '../errors.js';
import { holderLife, listRecords } from '../lab/store.js';
import type { HostPlan } from '../plan/lab-plan.js';
import type { LabRecord, RunningLab } from '../providers/provider.js';
import { providerNamed } from '../providers/registry.js';

/** A lab of this user, for people and programs. */
export interface LabDescription {
  id: string;
  title: string;
  provider: string;
  /**
   * `dead`: the process that held it is gone, and with it its hosts. `elsewhere`: it is held in another pid namespace, so that
   * nothing here can tell, or reach it.
   */
  state: LabRecord['state'] | 'dead' | 'elsewhere';
  /** `up`: stays until it is taken down. `run`: belongs to a run that is under way. */
  left: 'up' | 'run';
  /** ISO 8601. */
  createdAt: string;
  scenarioFile: string | null;
  hosts: Pick<HostPlan, 'name' | 'image' | 'init' | 'interfaces'>[];
}

function stateOf(record: LabRecord): LabDescription['state'] {
  const life = holderLife(record);
  return life === 'alive' ? record.state : life;
}

/** All labs of this user, the oldest first. */
export function describeLabs(): LabDescription[] {
  return listRecords().map((record) => ({
    id: record.id,
    title: record.title,
    provider: record.provider,
    state: stateOf(record),
    left: record.detached ? 'up' : 'run',
    createdAt: record.createdAt,
    scenarioFile: record.scenarioFile ?? null,
    hosts: record.plan.hosts.map(({ name, image, init, interfaces }) => ({ name, image, init, interfaces })),
  }));
}

/**
 * The lab that is meant.
 *
 * @param wanted Its id or the beginning of it; `undefined`: the only one that was left up.
 * @throws NETRIG_LAB_UNKNOWN when none or several fit, and for an empty text, which would begin every id.
 */
export function findLab(wanted: string | undefined): LabRecord {
  const records = listRecords();
  const bringUp = { hint: 'Bring one up with `netrig up FILE`.' };
  if (wanted === undefined) {
    const [only, another] = records.filter((record) => record.detached);
    if (!only) throw new NetrigError('NETRIG_LAB_UNKNOWN', 'No lab is up.', bringUp);
    if (another)
      throw several(
        'Several labs are up',
        records.filter((record) => record.detached),
      );
    return only;
  }
  if (wanted === '')
    throw new NetrigError('NETRIG_LAB_UNKNOWN', 'An empty text is no lab’s id.', {
      hint: '`netrig ps` lists the labs that are up.',
    });
  const fitting = records.filter((record) => record.id.startsWith(wanted));
  const exact = fitting.find((record) => record.id === wanted);
  const [only, another] = fitting;
  if (exact ?? (only && !another)) return exact ?? only!;
  if (another) throw several(`"${wanted}" fits several labs`, fitting);
  const known = records.map((record) => record.id).join(', ');
  throw new NetrigError(
    'NETRIG_LAB_UNKNOWN',
    `No lab "${wanted}" is up${known ? `; these are: ${known}` : ''}.`,
    bringUp,
  );
}

function several(what: string, records: readonly LabRecord[]): NetrigError {
  return new NetrigError('NETRIG_LAB_UNKNOWN', `${what}: ${records.map((record) => record.id).join(', ')}.`, {
    hint: 'Name one by its id or the beginning of it: `--lab ID`, for `netrig down` the id alone.',
  });
}

/** The lab that is meant, ready to be used. @throws NETRIG_LAB_UNKNOWN, NETRIG_LAB_GONE. */
export async function findRunningLab(wanted: string | undefined): Promise<RunningLab> {
  const record = findLab(wanted);
  return providerNamed(record.provider).attach(record);
}
