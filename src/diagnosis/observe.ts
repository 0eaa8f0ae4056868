import { addressesOf } from '../model/planned-addresses.js';
import { randomInt } from 'node:crypto';
import { messageOf } from '../errors.js';
import type { ProbeContext } from '../places/context.js';
import type { RemoteProcess } from '../ssh/ssh.js';
import type { PacketRequest } from './diagnose.js';
import { probeWaitMs } from './explain-link.js';
import { observerCommand, observerProgram, readSections } from './observer.js';
import { sendMarked } from './probe.js';
import type { MarkedProbe, ProbeFate } from './probe.js';
import { addToWorld, emptyWorld } from './world.js';
import type { World } from './world.js';

export interface Observation {
  world: World;
  probe: MarkedProbe;
  fate: ProbeFate;
}

/** Hosts that are looked at at most, ms that are waited for them to be ready and for the probe's fate. */
const limits = { hosts: 12, readyMs: 4000, probeMs: probeWaitMs, afterMs: 60, lifeS: 8 } as const;

interface Observer {
  host: string;
  ready: Promise<boolean>;
  process: RemoteProcess;
}

function startObserver(context: ProbeContext, host: string, probe: MarkedProbe): Observer {
  let isReady: (ready: boolean) => void = () => undefined;
  const ready = new Promise<boolean>((resolve) => (isReady = resolve));
  let tail = '';
  const family = probe.address.includes(':') ? 6 : 4;
  const process = context.host(host).spawn(
    observerCommand({
      lifeS: limits.lifeS,
      proto: probe.proto,
      family,
      mark: probe.mark,
      trace: context.readOnly !== true,
    }),
    {
      stdin: observerProgram,
      keepBytes: 16 << 20,
      timeoutMs: (limits.lifeS + 3) * 1000,
      signal: context.signal,
      onOutput: (stream, chunk) => {
        if (stream !== 'stdout') return;
        tail = (tail + chunk.toString('latin1')).slice(-32);
        if (/(?:^|\n)ready\n$/.test(tail)) isReady(true);
      },
    },
  );
  process.done.then(
    () => isReady(false),
    () => isReady(false),
  );
  return { host, ready, process };
}

/** The hosts worth a look: all of a small lab; of a large one the two ends and whoever stands between segments. */
function hostsToWatch(context: ProbeContext, request: PacketRequest): { watched: string[]; left: string[] } {
  const all = context.plan.hosts.map(({ name }) => name);
  const ends = [request.source.endpoint.host, request.target.owner?.endpoint.host ?? ''];
  const between = context.plan.hosts
    .filter(({ interfaces, routes }) => interfaces.length > 1 || routes.length > 0)
    .map(({ name }) => name);
  const holders = context.plan.hosts
    .filter(({ interfaces }) =>
      interfaces.some((nic) => addressesOf(nic).some((one) => one.split('/')[0] === request.target.address)),
    )
    .map(({ name }) => name);
  const order = [...new Set([...ends, ...holders, ...between, ...all])].filter((name) => all.includes(name));
  return { watched: order.slice(0, limits.hosts), left: order.slice(limits.hosts) };
}

function markFor({ proto, fromPort }: PacketRequest): number {
  // Above the range that hosts take source ports from by themselves (32768-60999).
  return proto !== 'icmp' && fromPort !== undefined ? fromPort : randomInt(61_000, 65_535);
}

async function readyWithin(observers: readonly Observer[]): Promise<boolean[]> {
  const timeout = new AbortController();
  const late = new Promise<false>((resolve) => {
    const timer = setTimeout(() => resolve(false), limits.readyMs);
    timeout.signal.addEventListener('abort', () => clearTimeout(timer));
  });
  const all = await Promise.all(observers.map(({ ready }) => Promise.race([ready, late])));
  timeout.abort();
  return all;
}

/**
 * Sends the probe again, once, while all hosts of its way look for it in all their network namespaces. What is added to a host
 * for that is gone when this resolves.
 *
 * @param send what is sent, where it is no plain packet: with the ports of the request.
 */
export async function observe(
  context: ProbeContext,
  request: PacketRequest,
  send?: () => Promise<ProbeFate>,
): Promise<Observation> {
  const { source, target, proto } = request;
  const probe: MarkedProbe = {
    proto,
    address: target.address,
    port: request.port ?? 0,
    mark: markFor(request),
    waitMs: limits.probeMs,
    size: request.size ?? 56,
    df: request.df ?? false,
    payload: request.payload ?? Buffer.alloc(0),
  };
  const { watched, left } = hostsToWatch(context, request);
  const observers = watched.map((host) => startObserver(context, host, probe));
  const ready = await readyWithin(observers);
  const world = emptyWorld();
  world.unlooked.push(...left.map((host) => `${host}: the lab has more hosts than are looked at`));
  if (context.readOnly) world.unlooked.push('rules of nftables: nothing may be added to a host for a trace of them');
  const fate = await (send?.() ?? sendMarked(context, source, probe));
  // What the last frame sets off (an answer that is dropped, an error message) is still on its way.
  await new Promise((resolve) => setTimeout(resolve, limits.afterMs));
  await Promise.all(
    observers.map(async ({ host, process }, at) => {
      const ended = process.kill('TERM').catch(() => undefined);
      if (!ready[at]) {
        // A host that is frozen answers nothing: nobody waits for it.
        world.unlooked.push(`${host}: it gave no answer in time`);
        process.done.catch(() => undefined);
        return;
      }
      await ended;
      try {
        const result = await process.done;
        const sections = readSections(result.stdoutRaw);
        if (sections.length === 0)
          world.unlooked.push(`${host}: ${result.stderr.trim().split('\n').at(-1) || 'it said nothing'}`);
        addToWorld(world, host, sections);
      } catch (error) {
        world.unlooked.push(`${host}: ${messageOf(error)}`);
      }
    }),
  );
  return { world, probe, fate };
}
