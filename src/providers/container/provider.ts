import { cpus } from 'node:os';
import { isNetrigError, NetrigError } from '../../errors.js';
import { keepLog, newLabId } from '../../lab/store.js';
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
import type { LabFaults, LabRecord, Provider, RunningLab, UpOptions } from '../provider.js';
import { containerCapabilities } from './capabilities.js';
import { openEngine } from './engine.js';
import type { BootedContainer, ContainerSite, HostEngineImage } from './host.js';
import { ensureTreeImage } from './tree-image.js';
import { serveBesideArgv } from '../shared/brought-tools.js';
import { requireSystemd } from '../shared/own-systemd.js';
import { ensurePackageImage } from './package-image.js';
import { imageKey } from './image-key.js';
import { ensureEngineImage, type EngineImageOptions } from './image.js';
import { labLabels, lives, ownMark } from './labels.js';
import { accessOf, type ContainerLabAccess, removeLab, removeLeftovers, sweepContainers } from './leftovers.js';
import { containerPreflight, type FoundEngine } from './preflight.js';
import { namedSources } from '../../images/outside-files.js';
import { outsideOf } from '../shared/outside.js';
import { makeOutside } from './outside.js';
import { makeNetworks } from './segments.js';
import { containerState, openTransport } from './transport.js';
import { noteEndpoint } from './used-engines.js';

const holderMs = 60_000;
/** Hosts that boot at once, for each processor here: the engine's machine has about as many. */
const hostsPerProcessor = 4;
/** A host that does not boot is tried once more; so says NETRIG_HOST_BOOT. */
const attempts = 2;

function targetOf(record: LabRecord, host: string, greeted: GreetedStreams): SshTarget {
  const { endpoint, hosts, privateKey, hostKey } = accessOf(record);
  const access = accessTo(record, hosts, host);
  return {
    host,
    username: 'root',
    privateKey,
    hostKey,
    open: async (signal) => greeted.take(host) ?? openTransport(endpoint, await openEngine(endpoint), access, signal),
  };
}

/** What sends the probes of a host whose own programs are anybody's: netrig's tools there; `null` for other hosts. */
function besideOf(record: LabRecord, host: string): SshTarget | null {
  const { endpoint, hosts, privateKey, hostKey } = accessOf(record);
  const access = accessTo(record, hosts, host);
  if (!access.tools) return null;
  return {
    host,
    username: 'root',
    privateKey,
    hostKey,
    open: async (signal) => openTransport(endpoint, await openEngine(endpoint), access, signal, serveBesideArgv),
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
    const journal = await execIn(
      endpoint,
      engine,
      access.container,
      ['journalctl', '--quiet', '--no-pager', '--output', 'short-monotonic', '--lines', '30'],
      5_000,
    ).catch(() => null);
    if (journal?.exitCode === 0) parts.push(journal.stdout.trimEnd());
  }
  return parts.filter((text) => text !== '').join('\n');
}

/** Takes the lab off its engine. An engine that does not answer keeps the lab's record on disk: the next sweep goes on. */
async function removeFromEngine(found: FoundEngine, id: string): Promise<void> {
  const { left } = await removeLab(found.endpoint, found.engine, id).catch((error: unknown) => {
    if (!isNetrigError(error)) throw error;
    return { left: [{ what: `containers and networks with the label netrig.lab=${id}`, why: error.message }] };
  });
  if (left.length > 0) throw leftOf(id, left);
}

async function bootAll(
  site: ContainerSite,
  options: UpOptions,
  booted: (host: HostPlan, result: BootedContainer) => void,
): Promise<void> {
  const { plan } = site;
  const { emit, scenario } = options;
  const { BootFailure, bootContainer } = await import('./host.js');
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);

  async function bootOne(host: HostPlan): Promise<void> {
    const begin = performance.now();
    emit({
      type: 'phase',
      scenario,
      phase: 'boot',
      state: 'start',
      host: host.name,
      text: `${host.name} (${host.image}, ${host.init})`,
    });
    for (let attempt = 1; ; attempt += 1) {
      try {
        booted(host, await bootContainer(site, host, { timeoutMs: plan.bootTimeoutMs, signal }));
        break;
      } catch (error) {
        if (!(error instanceof BootFailure)) throw error;
        if (attempt === attempts) {
          const shown = error.console === '' ? 'Its console is empty.' : `The end of its console:\n${error.console}`;
          const kept = keepLog(site.id, host.name, `${error.console}\n`);
          throw new NetrigError('NETRIG_HOST_BOOT', `${host.name} did not boot, twice: ${error.message}. ${shown}`, {
            hint: `The end of the console is in ${kept}.`,
            cause: error,
          });
        }
        emit({
          type: 'log',
          scenario,
          level: 'warn',
          text: `${host.name} did not boot: ${error.message}; trying once more.`,
        });
      }
    }
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
  const lanes = await Promise.allSettled(
    Array.from({ length: Math.min(hostsPerProcessor * cpus().length, plan.hosts.length) }, lane),
  );
  const broken = lanes.find((one) => one.status === 'rejected');
  // The first failure, not that of a host which was stopped because of it.
  if (broken) throw failed.signal.aborted && !options.signal.aborted ? failed.signal.reason : broken.reason;
}

/** The images in the engine that the plan's hosts stand on, by `imageKey`; made where it has none. */
async function readyImages(
  plan: LabPlan,
  { endpoint, engine, info }: FoundEngine,
  { emit, scenario, signal }: UpOptions,
): Promise<Map<string, HostEngineImage>> {
  const progress = (text: string): void => emit({ type: 'log', scenario, level: 'info', text });
  const asked = { endpoint, engine, info, signal, progress };
  const images = new Map<string, HostEngineImage>();
  for (const [key, host] of new Map(plan.hosts.map((one) => [imageKey(one), one]))) {
    const begin = performance.now();
    const phase = { type: 'phase', scenario, phase: 'image', text: `Image ${key}` } as const;
    emit({ ...phase, state: 'start' });
    images.set(key, await readyImage(plan, key, host, asked));
    emit({ ...phase, state: 'end', durationMs: performance.now() - begin });
  }
  return images;
}

async function readyImage(
  plan: LabPlan,
  key: string,
  host: HostPlan,
  options: EngineImageOptions,
): Promise<HostEngineImage> {
  if (host.root) {
    const { reference, tree } = await ensureTreeImage(host.root, host.image, options);
    requireSystemd(plan, key, tree);
    return { reference, foreign: { systemd: tree.foreign?.systemd ?? null } };
  }
  const base = await ensureEngineImage(host.image, options);
  const { packages, packagePlaces: places, pins } = host;
  return packages?.length ? ensurePackageImage(base, { packages, places, pins }, options) : base;
}

async function bring(
  plan: LabPlan,
  options: UpOptions & { detached?: boolean; scenarioFile?: string },
): Promise<RunningLab> {
  const { signal } = options;
  const found = await containerPreflight(plan);
  const { endpoint, engine, info } = found;
  throwIfInterrupted(signal);
  const { prepareTestcontainers } = await import('./host.js');
  await prepareTestcontainers(endpoint, engine);

  noteEndpoint(endpoint.uri);
  const images = await readyImages(plan, found, options);
  const outside = await outsideOf(plan, options, `the machine of the Docker engine ${info.name}`, namedSources);
  throwIfInterrupted(signal);

  const id = newLabId(plan.slug);
  const keys = generateLabKeys(id);
  const mark = ownMark();
  const access: ContainerLabAccess = {
    endpoint,
    mark,
    privateKey: keys.privateKey,
    hostKey: keys.hostPublicKey,
    hosts: {},
  };
  const record = newRecord(id, 'container', plan, access, options);
  const greeted = greetedStreams(options.detached === true);
  const { containerFaults } = await import('./faults.js');
  let faults: LabFaults | undefined;
  return holdLab(record, options, {
    hasFiles: true,
    faults: () => faults,
    beside: (host) => besideOf(record, host),
    target: (host) => targetOf(record, host, greeted),
    console: (host) => consoleOf(record, host),
    bring: async () => {
      const labels = labLabels(id, mark);
      const place = { endpoint, engine, signal };
      const networks = await makeNetworks(place, id, plan, labels);
      const wayOut = await makeOutside({ lab: id, info, labels, ...place }, plan, [...images.values()]);
      await bootAll(
        { id, plan, endpoint, engine, info, networks, images, outside, wayOut, labels, lacking: new Set(), keys },
        options,
        (host, booted) => {
          access.hosts[host.name] = booted.access;
          greeted.keep(host.name, booted.first);
        },
      );
      const container = (host: string): string => accessTo(record, access.hosts, host).container;
      const hasTools = (host: string): boolean => access.hosts[host]?.tools === true;
      faults = containerFaults({ plan, endpoint, engine, networks, container, hasTools });
    },
    takeAway: async () => {
      greeted.close();
      await removeFromEngine(found, id);
    },
  });
}

async function attachTo(record: LabRecord): Promise<RunningLab> {
  const own = heldLab(record);
  if (own) return own;
  const { endpoint, hosts } = accessOf(record);
  const engine = await openEngine(endpoint);
  const states = await Promise.all(
    record.plan.hosts.map(async ({ name }) => {
      const access = hosts[name];
      return {
        name,
        state: access
          ? await containerState(endpoint, engine, access.container)
          : { running: false, text: 'was never made' },
      };
    }),
  );
  const gone = states.filter((one) => !one.state.running);
  if (!lives(record.holder) || gone.length > 0) {
    const what =
      gone.length > 0
        ? gone.map((one) => `the container of ${one.name} ${one.state.text}`).join(', ')
        : 'its holder ended';
    throw new NetrigError('NETRIG_LAB_GONE', `The lab ${record.id} is not up: ${what}.`);
  }
  const none = greetedStreams();
  return attachedLab(record, {
    hasFiles: true,
    beside: (host) => besideOf(record, host),
    target: (host) => targetOf(record, host, none),
    console: (host) => consoleOf(record, host),
    down: () => destroyLab(record),
  });
}

async function destroyLab(record: LabRecord): Promise<void> {
  const own = heldLab(record);
  if (own) return own.down();
  const { mark } = accessOf(record);
  const here = ownMark();
  if (mark.machine !== here.machine || (mark.boot === here.boot && mark.pids !== here.pids)) {
    throw new NetrigError(
      'NETRIG_CLEANUP',
      `The lab ${record.id} is held by a process of another machine or pid namespace (${mark.machine}).`,
      { hint: 'Run `netrig down` where the lab was started.' },
    );
  }
  if (mark.boot === here.boot) await endHolder(record, holderMs);
  const { left } = await removeLeftovers(record);
  if (left.length > 0) throw leftOf(record.id, left);
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
