import { cpus } from 'node:os';
import type { Duplex } from 'node:stream';
import { isNetrigError, messageOf, NetrigError } from '../../errors.js';
import { ownIdentity, signalProcess, waitUntilGone } from '../../lab/process.js';
import { createRecord, keepLog, newLabId, removeRecord, updateRecord } from '../../lab/store.js';
import type { HostPlan, LabPlan } from '../../plan/lab-plan.js';
import { generateLabKeys } from '../../ssh/keys.js';
import type { SshTarget } from '../../ssh/ssh.js';
import type { LabRecord, Provider, RunningLab, UpOptions } from '../provider.js';
import { containerCapabilities } from './capabilities.js';
import { openEngine } from './engine.js';
import type { BootedContainer, ContainerSite } from './host.js';
import { ensureEngineImage } from './image.js';
import { labLabels, lives, ownMark } from './labels.js';
import { accessOf, type ContainerLabAccess, removeLab, removeLeftovers, sweepContainers } from './leftovers.js';
import { containerPreflight, type FoundEngine } from './preflight.js';
import { makeNetworks } from './segments.js';
import { containerState, openTransport } from './transport.js';
import { noteEndpoint } from './used-engines.js';

/** sshd drops a connection without a login after its LoginGraceTime, 30 s in the images; ours is dropped before. */
const firstStreamMs = 20_000;
const holderMs = 60_000;
/** Hosts that boot at once, for each processor here: the engine's machine has about as many. */
const hostsPerProcessor = 4;
/** A host that does not boot is tried once more; so says NETRIG_HOST_BOOT. */
const attempts = 2;

/** Labs that this process holds, so that `destroy` of one of them does not signal the process itself. */
const ownLabs = new Map<string, RunningLab>();

function interrupted(signal: AbortSignal): void {
  if (signal.aborted) throw new NetrigError('NETRIG_INTERRUPTED', 'Interrupted while the lab was coming up.', { cause: signal.reason });
}

function targetOf(record: LabRecord, host: string, first: Map<string, Duplex>): SshTarget {
  const { endpoint, hosts, privateKey, hostKey } = accessOf(record);
  const access = hosts[host];
  if (!access) throw new NetrigError('NETRIG_HOST_UNKNOWN', `The lab ${record.id} has no host "${host}"; it has ${Object.keys(hosts).join(', ')}.`);
  return {
    host,
    username: 'root',
    privateKey,
    hostKey,
    open: async (signal) => {
      const greeted = first.get(host);
      first.delete(host);
      if (greeted && !greeted.destroyed && greeted.readable) return greeted;
      return openTransport(endpoint, await openEngine(endpoint), access, signal);
    },
  };
}

/** What a host said last: its container's console, and its journal while it runs. */
async function consoleOf(record: LabRecord, host: string): Promise<string> {
  const { endpoint, hosts } = accessOf(record);
  const access = hosts[host];
  if (!access) return '';
  const { containerLog, execIn } = await import('./host.js');
  const engine = await openEngine(endpoint);
  const parts = [await containerLog(endpoint, engine, access.container)];
  if (access.init === 'systemd') {
    const journal = await execIn(endpoint, engine, access.container, ['journalctl', '--quiet', '--no-pager', '--output', 'short-monotonic', '--lines', '30'], 5_000).catch(() => null);
    if (journal?.exitCode === 0) parts.push(journal.stdout.trimEnd());
  }
  return parts.filter((text) => text !== '').join('\n');
}

function keepFirst(first: Map<string, Duplex>, host: string, stream: Duplex): void {
  first.set(host, stream);
  const forget = (): void => {
    if (first.get(host) !== stream) return;
    first.delete(host);
    stream.destroy();
  };
  stream.once('close', forget);
  setTimeout(forget, firstStreamMs).unref();
}

function cleanupError(id: string, left: readonly { what: string; why: string }[]): NetrigError {
  return new NetrigError('NETRIG_CLEANUP', `The lab ${id} could not be taken away as a whole; left: ${left.map((one) => `${one.what} (${one.why})`).join(', ')}.`);
}

/** Takes the lab off its engine. An engine that does not answer keeps the lab's record on disk: the next sweep goes on. */
async function removeFromEngine(found: FoundEngine, id: string): Promise<void> {
  const { left } = await removeLab(found.endpoint, found.engine, id).catch((error: unknown) => {
    if (!isNetrigError(error)) throw error;
    return { left: [{ what: `containers and networks with the label netrig.lab=${id}`, why: error.message }] };
  });
  if (left.length > 0) throw cleanupError(id, left);
}

async function bootAll(site: ContainerSite, options: UpOptions, booted: (host: HostPlan, result: BootedContainer) => void): Promise<void> {
  const { plan } = site;
  const { emit, scenario } = options;
  const { BootFailure, bootContainer } = await import('./host.js');
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);

  async function bootOne(host: HostPlan): Promise<void> {
    const begin = performance.now();
    emit({ type: 'phase', scenario, phase: 'boot', state: 'start', host: host.name, text: `${host.name} (${host.image}, ${host.init})` });
    for (let attempt = 1; ; attempt += 1) {
      try {
        booted(host, await bootContainer(site, host, { timeoutMs: plan.bootTimeoutMs, signal }));
        break;
      } catch (error) {
        if (!(error instanceof BootFailure)) throw error;
        if (attempt === attempts) {
          const shown = error.console === '' ? 'Its console is empty.' : `The end of its console:\n${error.console}`;
          const kept = keepLog(site.id, host.name, `${error.console}\n`);
          throw new NetrigError('NETRIG_HOST_BOOT', `${host.name} did not boot, twice: ${error.message}. ${shown}`, { hint: `The end of the console is in ${kept}.`, cause: error });
        }
        emit({ type: 'log', scenario, level: 'warn', text: `${host.name} did not boot: ${error.message}; trying once more.` });
      }
    }
    emit({ type: 'phase', scenario, phase: 'boot', state: 'end', host: host.name, text: `${host.name} answers SSH`, durationMs: performance.now() - begin });
  }

  const queue = plan.hosts.values();
  const lane = async (): Promise<void> => {
    for (const host of queue) {
      signal.throwIfAborted();
      await bootOne(host).catch((error: unknown) => {
        failed.abort(error);
        throw error;
      });
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(hostsPerProcessor * cpus().length, plan.hosts.length) }, lane));
  const broken = lanes.find((one) => one.status === 'rejected');
  // The first failure, not that of a host which was stopped because of it.
  if (broken) throw failed.signal.aborted && !options.signal.aborted ? failed.signal.reason : broken.reason;
}

async function bring(plan: LabPlan, options: UpOptions & { detached?: boolean; scenarioFile?: string }): Promise<RunningLab> {
  const { emit, scenario, signal } = options;
  const log = (level: 'info' | 'warn', text: string): void => emit({ type: 'log', scenario, level, text });
  const found = await containerPreflight(plan);
  const { endpoint, engine, info } = found;
  interrupted(signal);
  const { prepareTestcontainers } = await import('./host.js');
  await prepareTestcontainers(endpoint, engine);

  const images = new Map<string, string>();
  noteEndpoint(endpoint.uri);
  for (const name of new Set(plan.hosts.map((host) => host.image))) {
    const begin = performance.now();
    emit({ type: 'phase', scenario, phase: 'image', state: 'start', text: `Image ${name}` });
    const image = await ensureEngineImage(name, { endpoint, engine, info, signal, progress: (line) => log('info', line) });
    emit({ type: 'phase', scenario, phase: 'image', state: 'end', text: `Image ${name}`, durationMs: performance.now() - begin });
    images.set(name, image.reference);
  }
  interrupted(signal);

  const id = newLabId(plan.slug);
  const keys = generateLabKeys(id);
  const mark = ownMark();
  const access: ContainerLabAccess = { endpoint, mark, privateKey: keys.privateKey, hostKey: keys.hostPublicKey, hosts: {} };
  const record: LabRecord = {
    id,
    title: plan.title,
    provider: 'container',
    holder: ownIdentity(),
    createdAt: new Date().toISOString(),
    state: 'starting',
    detached: options.detached ?? false,
    plan,
    ...(options.scenarioFile === undefined ? {} : { scenarioFile: options.scenarioFile }),
    access,
  };
  createRecord(record);
  const first = new Map<string, Duplex>();
  const update = (): void => {
    try {
      updateRecord(record);
    } catch {
      // Somebody removed the record; the lab is to go all the same.
    }
  };

  let going: Promise<void> | undefined;
  async function takeDown(): Promise<void> {
    const begin = performance.now();
    if (record.state === 'up') {
      record.state = 'stopping';
      update();
    }
    emit({ type: 'phase', scenario, phase: 'teardown', state: 'start', text: 'Taking the lab down' });
    for (const stream of first.values()) stream.destroy();
    first.clear();
    try {
      await removeFromEngine(found, id);
      await removeRecord(id);
      ownLabs.delete(id);
    } finally {
      emit({ type: 'phase', scenario, phase: 'teardown', state: 'end', text: `The lab ${id} is down`, durationMs: performance.now() - begin });
    }
  }
  const lab: RunningLab = {
    id,
    plan,
    record,
    target: (host) => targetOf(record, host, first),
    console: (host) => consoleOf(record, host),
    down: () => {
      going ??= takeDown().catch((error: unknown) => {
        // What is left may go at the next try.
        going = undefined;
        throw error;
      });
      return going;
    },
  };
  ownLabs.set(id, lab);
  try {
    const labels = labLabels(id, mark);
    const networks = await makeNetworks(endpoint, engine, id, plan, labels, signal);
    await bootAll({ id, plan, endpoint, engine, info, networks, images, labels, lacking: new Set(), keys }, options, (host, booted) => {
      access.hosts[host.name] = { init: host.init, container: booted.access.container };
      keepFirst(first, host.name, booted.first);
    });
    interrupted(signal);
    record.state = 'up';
    updateRecord(record);
    return lab;
  } catch (error) {
    // A leftover is named by the next sweep; what went wrong first is what the caller must know.
    await lab.down().catch((second: unknown) => log('warn', messageOf(second)));
    interrupted(signal);
    throw error;
  }
}

async function attachTo(record: LabRecord): Promise<RunningLab> {
  const own = ownLabs.get(record.id);
  if (own) return own;
  const { endpoint, hosts } = accessOf(record);
  const engine = await openEngine(endpoint);
  const states = await Promise.all(
    record.plan.hosts.map(async ({ name }) => {
      const access = hosts[name];
      return { name, state: access ? await containerState(endpoint, engine, access.container) : { running: false, text: 'was never made' } };
    }),
  );
  const gone = states.filter((one) => !one.state.running);
  if (!lives(record.holder) || gone.length > 0) {
    const what = gone.length > 0 ? gone.map((one) => `the container of ${one.name} ${one.state.text}`).join(', ') : 'its holder ended';
    throw new NetrigError('NETRIG_LAB_GONE', `The lab ${record.id} is not up: ${what}.`);
  }
  const first = new Map<string, Duplex>();
  return {
    id: record.id,
    plan: record.plan,
    record,
    target: (host) => targetOf(record, host, first),
    console: (host) => consoleOf(record, host),
    down: () => destroyLab(record),
  };
}

async function destroyLab(record: LabRecord): Promise<void> {
  const own = ownLabs.get(record.id);
  if (own) return own.down();
  const { mark } = accessOf(record);
  const here = ownMark();
  if (mark.machine !== here.machine || (mark.boot === here.boot && mark.pids !== here.pids)) {
    throw new NetrigError('NETRIG_CLEANUP', `The lab ${record.id} is held by a process of another machine or pid namespace (${mark.machine}).`, { hint: 'Run `netrig down` where the lab was started.' });
  }
  const heldHere = record.holder.pid === here.pid && record.holder.startTime === here.startTime;
  if (mark.boot === here.boot && !heldHere && signalProcess(record.holder, 'SIGTERM')) {
    const left = await waitUntilGone([record.holder], holderMs);
    for (const one of left) signalProcess(one, 'SIGKILL');
    const stuck = await waitUntilGone(left, 5000);
    if (stuck.length > 0) throw new NetrigError('NETRIG_CLEANUP', `The holder of the lab ${record.id}, process ${record.holder.pid}, does not end.`);
  }
  const { left } = await removeLeftovers(record);
  if (left.length > 0) throw cleanupError(record.id, left);
}

/** A provider whose hosts are containers of a Docker engine. */
export const containerProvider: Provider = {
  name: 'container',
  capabilities: containerCapabilities,
  preflight: async (plan) => void (await containerPreflight(plan)),
  up: bring,
  attach: attachTo,
  destroy: destroyLab,
  sweep: sweepContainers,
};
