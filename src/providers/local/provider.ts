import { mkdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { messageOf, NetrigError } from '../../errors.js';
import type { HostImage } from '../../images/host-image.js';
import type { WantedImageOptions } from '../../images/containers/wanted-image.js';
import { ensureOrderedImage, orderKey, type ImageOrder } from '../../images/made-to-order.js';
import { type Ledger, openLedger } from '../../lab/ledger.js';
import { isAlive, ownPidSpace, type ProcessIdentity } from '../../lab/process.js';
import { orderHolder } from '../../lab/holder-orders.js';
import {
  consoleLog,
  heldElsewhere,
  holderAlive,
  keepLog,
  newLabId,
  readRecord,
  updateRecord,
} from '../../lab/store.js';
import type { HostPlan, LabPlan } from '../../plan/lab-plan.js';
import { generateLabKeys } from '../../ssh/keys.js';
import type { SshTarget } from '../../ssh/ssh.js';
import {
  accessTo,
  attachedLab,
  endHolder,
  type GreetedStreams,
  greetedStreams,
  heldLab,
  holdLab,
  leftOf,
  newRecord,
  throwIfInterrupted,
} from '../held-lab.js';
import type { DeadPart, LabRecord, Provider, RunningLab, UpOptions } from '../provider.js';
import { besideTarget } from './beside.js';
import { localCapabilities } from './capabilities.js';
import { cgroupLayout, cgroupName, labGroups, type Limited, makeLabGroups } from './cgroups.js';
import { runCommand } from '../shared/command.js';
import { journalOf } from './console.js';
import { freeRanges, giveBack, type IdRange, takeRanges } from './id-ranges.js';
import { chooseIsolation, type HostIsolation, noneMeans, probeIsolation, usersMeans } from './isolation.js';
import { lastLines } from '../shared/last-lines.js';
import { outsideOf } from '../shared/outside.js';
import { requireSystemd } from '../shared/own-systemd.js';
import { type FaultSite, type HostPower, localFaults, type LocalFaults, notStarted } from './faults.js';
import { BootFailure, type BootedHost, bootHost, type KeptDisk, type LabSite, powerOff } from './host.js';
import { buildOnHost } from './image-builder.js';
import { accessOf, type LocalAccess, removeLeftovers, sweepLocal, undo } from './leftovers.js';
import { hostLimits, type HostLimits, labMemory, requireLimits, setLimits, watchAll, watchLimits } from './limits.js';
import { checkInotify, localPreflight, needOf, neighbourWarning } from './preflight.js';
import { type FreeRoom, type KeptRoom, type Place, type QueueOptions, takePlace } from './queue.js';
import { roomOf } from './room.js';
import { makeSegments, type SegmentSpace } from './segments.js';
import { openTransport } from './transport.js';

export interface LocalProviderOptions {
  /** Where host images come from; the cache of built images by default. */
  image?: (order: ImageOrder, options: WantedImageOptions) => Promise<HostImage>;
  /** What this machine can do to isolate hosts; tried by default. */
  probe?: typeof probeIsolation;
  /** What is free for labs, where they queue, and how long they wait; for tests. */
  queue?: Partial<Pick<QueueOptions, 'room' | 'directory' | 'patienceMs'>>;
}

/** Layers of at least this many KiB are bound read-only into a host instead of copied into its memory. */
const boundLayerKiB = 1024;
const holderMs = 30_000;
/** Hosts that boot at once, for each processor: more would only share it, and wait for it within their deadline. */
const hostsPerProcessor = 16;

/** What a host said last: its console log, and its journal while it runs. */
async function consoleOf(record: LabRecord, host: string): Promise<string> {
  const access = accessOf(record).hosts[host];
  const parts = [lastLines(consoleLog(record.id, host)), access ? await journalOf(access) : ''];
  return parts.filter((text) => text !== '').join('\n');
}

async function boundLayersOf(image: HostImage): Promise<string[]> {
  if (image.dockerData === null) return [];
  const layers = join(image.dockerData, 'overlay2');
  // `l`, the directory of short links, has no `diff`.
  const result = await runCommand(
    ['sh', '-c', 'cd "$0" && for layer in */diff; do [ -d "$layer" ] && du -sk "$layer"; done; true', layers],
    { timeoutMs: 30_000 },
  );
  return result.stdout.split('\n').flatMap((line) => {
    const match = /^(\d+)\t([A-Za-z0-9-]+)\/diff$/.exec(line);
    return match?.[2] && Number(match[1]) >= boundLayerKiB ? [match[2]] : [];
  });
}

/** Runs `work` for all items, `limit` at once; after the first failure nothing new is begun. */
async function inParallel<T>(
  items: readonly T[],
  limit: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const queue = items.entries();
  const lane = async (): Promise<void> => {
    for (const [index, item] of queue) await work(item, index);
  };
  const results = await Promise.allSettled(Array.from({ length: Math.min(limit, items.length) }, lane));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

function targetOf(record: LabRecord, host: string, greeted: GreetedStreams): SshTarget {
  const { hosts, privateKey, hostKey } = accessOf(record);
  const access = accessTo(record, hosts, host);
  return {
    host,
    username: 'root',
    privateKey,
    hostKey,
    open: async (signal) => greeted.take(host) ?? openTransport(access, signal),
  };
}

function deadSegments(segments: SegmentSpace | null): DeadPart[] {
  if (!segments || isAlive(segments.holder)) return [];
  return [{ what: `the process that holds the segments (pid ${segments.holder.pid})`, host: null }];
}

/** Hosts whose PID 1, or the guard that makes it end with its holder, is no more. */
function deadHosts({ hosts }: LocalAccess, guards: ReadonlyMap<string, ProcessIdentity>): DeadPart[] {
  return Object.entries(hosts).flatMap(([host, { pid1, off }]) => {
    if (off === true) return [];
    const guard = guards.get(host);
    // PID 1 goes with its guard: the guard is the cause.
    if (guard && !isAlive(guard)) return [{ what: `the guard of the host ${host} (pid ${guard.pid})`, host }];
    return isAlive(pid1) ? [] : [{ what: `PID 1 of the host ${host} (pid ${pid1.pid})`, host }];
  });
}

/** Ways to the outside that are none any more. */
function deadUplinks({ hosts }: LocalAccess, uplinks: ReadonlyMap<string, ProcessIdentity[]>): DeadPart[] {
  return [...uplinks].flatMap(([host, all]) =>
    all
      .filter((one) => hosts[host]?.off !== true && !isAlive(one))
      .map(({ pid }) => ({ what: `the way to the outside of the host ${host} (pid ${pid})`, host })),
  );
}

/** The images of a plan's hosts, built where need be, and what of them is bound into hosts. */
async function readyImages(
  plan: LabPlan,
  { emit, scenario, signal }: UpOptions,
  find: NonNullable<LocalProviderOptions['image']>,
): Promise<Pick<LabSite, 'images' | 'boundLayers' | 'outside'>> {
  const images = new Map<string, HostImage>();
  const boundLayers = new Map<string, string[]>();
  for (const [name, order] of new Map(plan.hosts.map((host) => [orderKey(host), host]))) {
    const begin = performance.now();
    const phase = { type: 'phase', scenario, phase: 'image', text: `Image ${name}` } as const;
    emit({ ...phase, state: 'start' });
    const progress = (text: string): void => emit({ type: 'log', scenario, level: 'info', text });
    const image = await find(order, { signal, progress, builder: buildOnHost });
    emit({ ...phase, state: 'end', durationMs: performance.now() - begin });
    images.set(name, image);
    requireSystemd(plan, name, image);
    if (plan.hosts.some((host) => orderKey(host) === name && host.engine))
      boundLayers.set(name, await boundLayersOf(image));
  }
  throwIfInterrupted(signal);
  return { images, boundLayers, outside: await outsideOf(plan, { emit, scenario, signal }) };
}

function freeRoom(kept: readonly KeptRoom[]): FreeRoom {
  const ranges = kept.reduce((sum, one) => sum + one.ranges, 0);
  return { ...roomOf(cgroupLayout(), undefined, kept), freeRanges: freeRanges() - ranges };
}

function pathsOf({ memory, pids }: Limited): KeptRoom['groups'] {
  return { ...(memory ? { memory: memory.path } : {}), ...(pids ? { pids: pids.path } : {}) };
}

/** How the hosts are isolated, told to whoever reads the events; with it, what only hosts of the machine's root need. */
async function decideIsolation(
  plan: LabPlan,
  { emit, scenario, isolation: wish }: UpOptions,
  images: LabSite['images'],
  probe = probeIsolation,
): Promise<HostIsolation> {
  const roots = [...images.values()].map((image) => image.root);
  const { isolation, why } = await chooseIsolation(wish ?? 'auto', roots, probe);
  const text = isolation.mode === 'users' ? usersMeans : noneMeans;
  emit({ type: 'isolation', scenario, mode: isolation.mode, text });
  if (isolation.mode === 'users') return isolation;
  const reason = why === null ? '' : ` They can't be isolated here: ${why}.`;
  emit({ type: 'log', scenario, level: 'warn', text: `The ${noneMeans}.${reason}` });
  checkInotify(plan);
  return isolation;
}

/** The hosts of a lab that have booted, with all that is to be kept of each. */
interface BootedHosts {
  greeted: GreetedStreams;
  guards: Map<string, ProcessIdentity>;
  uplinks: Map<string, ProcessIdentity[]>;
  watch: ReturnType<typeof watchAll>;
  /** A host that has booted, be it for the first time or again. */
  add(site: LabSite, host: HostPlan, booted: BootedHost): void;
  closeConsoles(): void;
}

function bootedHosts(access: LocalAccess, detached: boolean): BootedHosts {
  const greeted = greetedStreams(detached);
  const guards = new Map<string, ProcessIdentity>();
  const uplinks = new Map<string, ProcessIdentity[]>();
  const watch = watchAll();
  const consoles: (() => void)[] = [];
  return {
    greeted,
    guards,
    uplinks,
    watch,
    add(site, host, booted) {
      access.hosts[host.name] = booted.access;
      guards.set(host.name, booted.guard);
      uplinks.set(host.name, booted.uplink);
      greeted.keep(host.name, booted.first);
      consoles.push(booted.closeConsole);
      watch.add(host.name, watchLimits(booted.groups.limited, site.limits(host), booted.access.pid1));
    },
    closeConsoles: () => {
      for (const close of consoles) close();
    },
  };
}

async function bring(
  plan: LabPlan,
  options: UpOptions & { detached?: boolean; scenarioFile?: string },
  provider: LocalProviderOptions,
): Promise<RunningLab> {
  localPreflight(plan);
  const warning = neighbourWarning(plan);
  if (warning !== null) options.emit({ type: 'log', scenario: options.scenario, level: 'warn', text: warning });
  const ready = await readyImages(plan, options, provider.image ?? ensureOrderedImage);
  const isolation = await decideIsolation(plan, options, ready.images, provider.probe);

  const id = newLabId(plan.slug);
  const keys = generateLabKeys(id);
  const access: LocalAccess = { ...ownPidSpace(), privateKey: keys.privateKey, hostKey: keys.hostPublicKey, hosts: {} };
  const record = newRecord(id, 'local', plan, access, options);
  const book = bootedHosts(access, options.detached === true);
  const { greeted, watch } = book;
  const power = powerOf(record, book.add);
  let ids: IdRange[] = [];
  let ledger: Ledger | null = null;
  let segments: SegmentSpace | null = null;
  let place: Place | null = null;
  let faults: LocalFaults | undefined;

  async function bringHosts(directory: string): Promise<void> {
    ledger = openLedger(directory);
    mkdirSync(join(directory, 'root'));
    const layout = cgroupLayout();
    const groups = labGroups(layout, cgroupName(record.holder, id));
    place = await takePlace(needOf(plan, isolation.mode === 'users'), {
      lab: id,
      groups: pathsOf(groups.limited),
      signal: options.signal,
      tell: (text) => options.emit({ type: 'log', scenario: options.scenario, level: 'info', text }),
      room: freeRoom,
      ...provider.queue,
    });
    const { memory } = roomOf(layout);
    const limits = (host: HostPlan): HostLimits => hostLimits(plan, host, memory);
    for (const path of groups.all) ledger.add({ kind: 'cgroup', path });
    makeLabGroups(groups);
    const own = { memory: labMemory(plan, memory), pids: plan.limits?.pids ?? null, cpus: plan.limits?.cpus ?? null };
    requireLimits('the lab', plan.limits, setLimits(groups.limited, own));
    if (isolation.mode === 'users') ids = await takeRanges(plan.hosts.length);
    place.haveRanges();
    segments = await makeSegments(plan.segments, ledger);
    watch.add(null, watchLimits(groups.limited, own, null));
    const site = { id, directory, keys, ledger, layout, groups, segments, isolation, limits, ids, ...ready };
    access.segments = segments.holder;
    await bootAll(site, plan, options, (host, booted) => {
      book.add(site, host, booted);
      power.booted(site, host, booted);
    });
    place.settle();
    faults = faultsOf(record, power);
  }

  async function takeAway(): Promise<void> {
    power.close();
    greeted.close();
    ledger?.close();
    segments?.end();
    const { left } = await undo(ledger?.entries ?? []);
    book.closeConsoles();
    if (left.length > 0) throw leftOf(id, left);
    // Not while anything may still run under them.
    giveBack(ids);
    ids = [];
    place?.leave();
  }

  return holdLab(record, options, {
    target: (host) => targetOf(record, host, greeted),
    hasFiles: true,
    beside: (host) => besideTarget(host, accessTo(record, access.hosts, host)),
    console: (host) => consoleOf(record, host),
    died: () => [...deadSegments(segments), ...deadHosts(access, book.guards), ...deadUplinks(access, book.uplinks)],
    limitsMet: watch.limitsMet,
    faults: () => faults,
    resetHost: (host, signal) => resetHost(record, faults, host, signal),
    bring: bringHosts,
    takeAway,
  });
}

interface LabPower extends HostPower {
  /** A host that has booted can be powered off from then on. */
  booted(site: LabSite, host: HostPlan, booted: BootedHost): void;
  /** Lets go of the disks of hosts that are off. */
  close(): void;
}

/** Ends and starts hosts of a lab that this process holds; its record says which are off. */
function powerOf(record: LabRecord, startedAgain: BootedHosts['add']): LabPower {
  const running = new Map<string, { site: LabSite; host: HostPlan; booted: BootedHost }>();
  const disks = new Map<string, KeptDisk>();
  /** Hosts that are off and start as their image has them. */
  const wiped = new Set<string>();
  const { hosts } = accessOf(record);
  return {
    booted: (site, host, booted) => void running.set(host.name, { site, host, booted }),
    running: (name) => {
      const { access, groups } = running.get(name)!.booted;
      return { pid1: access.pid1, groups };
    },
    async off(name) {
      const { booted } = running.get(name)!;
      // Said before it is done: what looks meanwhile must not take it for a death.
      hosts[name] = { ...booted.access, off: true };
      updateRecord(record);
      try {
        disks.set(name, await powerOff(name, booted));
      } finally {
        updateRecord(record);
      }
    },
    wipe(name) {
      disks.get(name)?.close();
      disks.delete(name);
      wiped.add(name);
    },
    async on(name, signal) {
      const one = running.get(name)!;
      const disk = disks.get(name);
      if (!disk && !wiped.has(name))
        throw new NetrigError('NETRIG_FAULT', `Nothing is left of ${name} to start it from.`);
      const index = record.plan.hosts.indexOf(one.host);
      const { bootTimeoutMs: timeoutMs } = record.plan;
      const booted = await bootHost(one.site, index, one.host, {
        again: true,
        timeoutMs,
        signal,
        ...(disk ? { disk } : {}),
      }).catch((error: unknown) => {
        throw signal.aborted ? error : notStarted(name, error, lastLines(consoleLog(record.id, name)));
      });
      disks.delete(name);
      wiped.delete(name);
      disk?.close();
      running.set(name, { ...one, booted });
      startedAgain(one.site, one.host, booted);
      updateRecord(record);
    },
    close: () => {
      for (const disk of disks.values()) disk.close();
      disks.clear();
    },
  };
}

/** `undefined` for a lab of a version that did not write down what is needed. */
function faultsOf(record: LabRecord, power: HostPower | null): LocalFaults | undefined {
  const { segments, hosts } = accessOf(record);
  const image = Object.values(hosts)[0]?.image;
  if (segments === undefined || image === undefined) return undefined;
  const isOff = (host: string): boolean => {
    if (power === null) lookAgain(record);
    return hosts[host]?.off === true;
  };
  const site: FaultSite = { plan: record.plan, segments, image, isOff, power };
  return localFaults(site);
}

/** Makes a host of a lab that this process holds anew. Rejects with NETRIG_HOST_RESET, or the reason of `signal`. */
async function resetHost(
  record: LabRecord,
  faults: LocalFaults | undefined,
  host: string,
  signal: AbortSignal,
): Promise<void> {
  accessTo(record, accessOf(record).hosts, host);
  try {
    if (!faults) throw new NetrigError('NETRIG_FAULT', 'The lab is not up.');
    await faults.reset(host, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw new NetrigError('NETRIG_HOST_RESET', `${host} could not be made anew: ${messageOf(error)}`, { cause: error });
  }
}

async function bootAll(
  site: LabSite,
  plan: LabPlan,
  options: UpOptions,
  booted: (host: HostPlan, result: BootedHost) => void,
): Promise<void> {
  const { emit, scenario } = options;
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);

  async function bootOne(host: HostPlan, index: number): Promise<void> {
    const begin = performance.now();
    emit({
      type: 'phase',
      scenario,
      phase: 'boot',
      state: 'start',
      host: host.name,
      text: `${host.name} (${host.image}, ${host.init})`,
    });
    const attempt = (again: boolean): Promise<BootedHost> =>
      bootHost(site, index, host, { again, timeoutMs: plan.bootTimeoutMs, signal });
    const result = await attempt(false).catch((error: unknown) => {
      if (!(error instanceof BootFailure)) throw error;
      emit({
        type: 'log',
        scenario,
        level: 'warn',
        text: `${host.name} did not boot: ${error.message}; trying once more.`,
      });
      return attempt(true);
    });
    booted(host, result);
    emit({
      type: 'phase',
      scenario,
      phase: 'boot',
      state: 'end',
      host: host.name,
      text: `${host.name} answers SSH`,
      durationMs: performance.now() - begin,
    });
  }

  await inParallel(plan.hosts, hostsPerProcessor * cpus().length, async (host, index) => {
    try {
      await bootOne(host, index);
    } catch (error) {
      const reason = error instanceof BootFailure ? bootError(site, host, error) : error;
      failed.abort(reason);
      throw reason;
    }
  }).catch((error: unknown) => {
    // The first failure, not that of a host which was stopped because of it.
    throw failed.signal.aborted && !options.signal.aborted ? failed.signal.reason : error;
  });
}

function bootError(site: LabSite, host: HostPlan, failure: BootFailure): NetrigError {
  const file = consoleLog(site.id, host.name);
  const last = lastLines(file);
  let kept = '';
  try {
    kept = keepLog(site.id, host.name, readFileSync(file, 'utf8'));
  } catch (error) {
    kept = `(the console log could not be kept: ${messageOf(error)})`;
  }
  const shown = last === '' ? 'Its console is empty.' : `The end of its console:\n${last}`;
  return new NetrigError('NETRIG_HOST_BOOT', `${host.name} did not boot, twice: ${failure.message}. ${shown}`, {
    hint: `The whole console is in ${kept}.`,
    cause: failure,
  });
}

/** What the record says of the hosts by now: the process that holds the lab may have started one again. */
function lookAgain(record: LabRecord): void {
  const { hosts } = accessOf(record);
  if (Object.values(hosts).every(({ off, pid1 }) => off !== true && isAlive(pid1))) return;
  try {
    Object.assign(hosts, accessOf(readRecord(record.id)).hosts);
  } catch {
    // The lab is gone: so are its hosts.
  }
}

async function attachTo(record: LabRecord): Promise<RunningLab> {
  const own = heldLab(record);
  if (own) return own;
  const elsewhere = heldElsewhere(record);
  if (elsewhere !== null) throw new NetrigError('NETRIG_LAB_GONE', elsewhere, { hint: 'Use it where it was started.' });
  const { hosts } = accessOf(record);
  const gone = record.plan.hosts
    .filter(({ name }) => !hosts[name] || (hosts[name].off !== true && !isAlive(hosts[name].pid1)))
    .map((host) => host.name);
  if (!holderAlive(record) || gone.length > 0) {
    const what = gone.length > 0 ? `these hosts of it are not there: ${gone.join(', ')}` : 'its holder ended';
    throw new NetrigError('NETRIG_LAB_GONE', `The lab ${record.id} is not up: ${what}.`);
  }
  const none = greetedStreams();
  return attachedLab(record, {
    died: () => {
      lookAgain(record);
      const what = `the process that holds the lab (pid ${record.holder.pid})`;
      return [...(holderAlive(record) ? [] : [{ what, host: null }]), ...deadHosts(accessOf(record), new Map())];
    },
    target: (host) => {
      lookAgain(record);
      return targetOf(record, host, none);
    },
    hasFiles: true,
    beside: (host) => {
      lookAgain(record);
      return besideTarget(host, accessTo(record, accessOf(record).hosts, host));
    },
    console: (host) => consoleOf(record, host),
    faults: () => faultsOf(record, null),
    resetHost: (host, signal) => orderHolder(record.id, { do: 'reset-host', host }, signal),
    down: () => destroyLab(record),
  });
}

async function destroyLab(record: LabRecord): Promise<void> {
  const own = heldLab(record);
  if (own) return own.down();
  await endHolder(record, holderMs, { space: accessOf(record) });
  const { left } = await removeLeftovers(record);
  if (left.length > 0) throw leftOf(record.id, left);
}

/** A provider that makes hosts of this machine's own namespaces. */
export function createLocalProvider(options: LocalProviderOptions = {}): Provider {
  return {
    name: 'local',
    resetsHosts: true,
    capabilities: localCapabilities,
    preflight: async (plan) => localPreflight(plan),
    up: (plan, upOptions) => bring(plan, upOptions, options),
    attach: attachTo,
    destroy: destroyLab,
    sweep: sweepLocal,
  };
}

export const localProvider: Provider = createLocalProvider();
