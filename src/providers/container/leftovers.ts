import { setTimeout as pause } from 'node:timers/promises';
import type Docker from 'dockerode';
import { messageOf, NetrigError } from '../../errors.js';
import { labDirectory, listRecords, removeRecord } from '../../lab/store.js';
import type { LabRecord, SweepReport } from '../provider.js';
import {
  ask,
  changeMs,
  type EngineEndpoint,
  engineStatus,
  engineWords,
  isUnreachable,
  openEngine,
  questionMs,
} from './engine.js';
import type { ContainerAccess } from './transport.js';
import { type HolderMark, holderLabel, isAbandoned, labLabel, ownMark, parseMark } from './labels.js';
import { usedEndpoints, forgetEndpoint } from './used-engines.js';

/** What could not be taken away. */
export interface Leftover {
  what: string;
  why: string;
}

/** What the container provider keeps in `LabRecord.access`. */
export interface ContainerLabAccess {
  endpoint: EngineEndpoint;
  mark: HolderMark;
  privateKey: string;
  hostKey: string;
  hosts: Record<string, ContainerAccess>;
}

/** Throws NETRIG_LAB_GONE when the record has none: nothing can be reached by it. */
export function accessOf(record: LabRecord): ContainerLabAccess {
  const access = record.access as Partial<ContainerLabAccess> | null | undefined;
  if (access?.endpoint && access.mark && access.hosts) return access as ContainerLabAccess;
  throw new NetrigError('NETRIG_LAB_GONE', `The record of the lab ${record.id} does not say how to reach its hosts.`);
}

/** How long a thing may be refused because of others that are going at this very moment, ms. */
const busyMs = 15_000;
const retryMs = 150;

/** Removes one thing; what is gone already is gone. */
async function remove(
  endpoint: EngineEndpoint,
  what: string,
  request: () => Promise<unknown>,
): Promise<Leftover | null> {
  const deadline = performance.now() + busyMs;
  for (;;) {
    try {
      await ask(endpoint, `remove ${what}`, changeMs, request());
      return null;
    } catch (error) {
      if (isUnreachable(error)) return { what, why: messageOf(error) };
      const cause = (error as Error).cause ?? error;
      const status = engineStatus(cause);
      if (status === 404) return null;
      // Somebody else is removing it, or a container that uses it (another sweep): 409, and 403 for a network.
      if ((status !== 409 && status !== 403) || performance.now() > deadline) return { what, why: engineWords(cause) };
      await pause(retryMs);
    }
  }
}

interface Found {
  containers: { id: string; name: string; labels: Record<string, string> }[];
  networks: { id: string; name: string; labels: Record<string, string> }[];
  volumes: { name: string; labels: Record<string, string> }[];
}

async function find(endpoint: EngineEndpoint, engine: Docker, label: string): Promise<Found> {
  const filters = JSON.stringify({ label: [label] });
  const what = 'list what is left of labs';
  const [containers, networks, volumes] = await Promise.all([
    ask(endpoint, what, questionMs, engine.listContainers({ all: true, filters })),
    ask(endpoint, what, questionMs, engine.listNetworks({ filters: { label: [label] } })),
    ask(endpoint, what, questionMs, engine.listVolumes({ filters: { label: [label] } })),
  ]);
  return {
    containers: containers.map((one) => ({
      id: one.Id,
      name: (one.Names[0] ?? one.Id).replace(/^\//, ''),
      labels: one.Labels,
    })),
    networks: networks.map((one) => ({ id: one.Id, name: one.Name, labels: one.Labels ?? {} })),
    // The engine answers null where it has none.
    volumes: (volumes.Volumes ?? []).map((one) => ({ name: one.Name, labels: one.Labels ?? {} })),
  };
}

async function removeFound(
  endpoint: EngineEndpoint,
  engine: Docker,
  found: Found,
): Promise<{ removed: string[]; left: Leftover[] }> {
  const removed: string[] = [];
  const left: Leftover[] = [];
  const note = (what: string, result: Leftover | null): void => {
    if (result) left.push(result);
    else removed.push(what);
  };
  await Promise.all(
    found.containers.map(async ({ id, name }) =>
      note(
        `container ${name}`,
        await remove(endpoint, `the container ${name}`, () => engine.getContainer(id).remove({ force: true, v: true })),
      ),
    ),
  );
  await Promise.all(
    found.networks.map(async ({ id, name }) =>
      note(`network ${name}`, await remove(endpoint, `the network ${name}`, () => engine.getNetwork(id).remove())),
    ),
  );
  await Promise.all(
    found.volumes.map(async ({ name }) =>
      note(
        `volume ${name}`,
        await remove(endpoint, `the volume ${name}`, () => engine.getVolume(name).remove({ force: true })),
      ),
    ),
  );
  return { removed, left };
}

/** Takes away all that the engine has of one lab. Rejects with NETRIG_ENGINE_UNREACHABLE when the engine can't be asked. */
export async function removeLab(
  endpoint: EngineEndpoint,
  engine: Docker,
  lab: string,
): Promise<{ removed: string[]; left: Leftover[] }> {
  const label = `${labLabel}=${lab}`;
  const first = await removeFound(endpoint, engine, await find(endpoint, engine, label));
  // What a request that was under way made meanwhile; volumes of removed containers went with them.
  const second = await removeFound(endpoint, engine, await find(endpoint, engine, label));
  const stuck = first.left.filter((one) => second.left.some((other) => other.what === one.what));
  return {
    removed: [...first.removed, ...second.removed.filter((one) => !first.removed.includes(one))],
    left: [...stuck, ...second.left.filter((one) => !stuck.some((other) => other.what === one.what))],
  };
}

/** Finishes what the dead holder of one lab left. Rejects as `removeLab` does. */
export async function removeLeftovers(record: LabRecord): Promise<{ removed: string[]; left: Leftover[] }> {
  const { endpoint } = accessOf(record);
  const result = await removeLab(endpoint, await openEngine(endpoint), record.id);
  if (result.left.length === 0) {
    await removeRecord(record.id);
    result.removed.push('its record');
  }
  return result;
}

async function sweepEndpoint(uri: string, report: SweepReport): Promise<void> {
  const endpoint: EngineEndpoint = { uri, from: 'a lab before' };
  const engine = await openEngine(endpoint);
  let found: Found;
  try {
    found = await find(endpoint, engine, labLabel);
  } catch (error) {
    // A laptop whose Docker Desktop is off has nothing to sweep now; a socket that is gone never will have.
    if (/no such socket/.test(messageOf(error))) forgetEndpoint(uri);
    return;
  }
  const own = ownMark();
  const doomed = (labels: Record<string, string>): boolean => {
    const mark = parseMark(labels[holderLabel]);
    return mark !== null && isAbandoned(mark, own);
  };
  const labs = new Set(
    [...found.containers, ...found.networks, ...found.volumes]
      .filter((one) => doomed(one.labels))
      .map((one) => one.labels[labLabel] ?? ''),
  );
  for (const lab of labs) {
    if (lab === '') continue;
    const { removed, left } = await removeLab(endpoint, engine, lab);
    if (removed.length > 0) report.removed.push({ lab, what: removed });
    for (const one of left) report.left.push({ lab, ...one });
  }
}

/**
 * See `Provider.sweep`. Records first; then, on engines that this user's labs were on, what carries the label of a dead
 * holder and has no record. Nothing is asked of any engine when there never was a lab.
 */
export async function sweepContainers(): Promise<SweepReport> {
  const report: SweepReport = { removed: [], left: [] };
  const own = ownMark();
  await Promise.all(
    listRecords().map(async (record) => {
      if (record.provider !== 'container') return;
      try {
        if (!isAbandoned(accessOf(record).mark, own)) return;
        const { removed, left } = await removeLeftovers(record);
        if (removed.length > 0) report.removed.push({ lab: record.id, what: removed });
        for (const one of left) report.left.push({ lab: record.id, ...one });
      } catch (error) {
        report.left.push({
          lab: record.id,
          what: `its containers and networks, named in ${labDirectory(record.id)}`,
          why: messageOf(error),
        });
      }
    }),
  );
  for (const uri of usedEndpoints()) {
    await sweepEndpoint(uri, report).catch((error: unknown) =>
      report.left.push({ lab: '', what: `what labs left at ${uri}`, why: messageOf(error) }),
    );
  }
  return report;
}
