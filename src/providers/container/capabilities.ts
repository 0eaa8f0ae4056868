import { messageOf } from '../../errors.js';
import { hostImageRows } from '../../images/host-image.js';
import type { Capability } from '../provider.js';
import { kernelProbes, probeScript, readProbes } from '../shared/kernel-probes.js';
import { ensureEngineImage, type EngineImageOptions, presentImages } from './image.js';
import { labLabels, ownMark } from './labels.js';
import { findEngine, type FoundEngine } from './preflight.js';

const probeMs = 20_000;

/** Runs the kernel's probes in a container that has no network and is removed at once. */
async function runProbes({ endpoint, engine }: FoundEngine, reference: string): Promise<string> {
  const { ask, changeMs } = await import('./engine.js');
  const { containerLog } = await import('./host.js');
  const what = 'try what its kernel can do';
  const container = await ask(
    endpoint,
    what,
    changeMs,
    engine.createContainer({
      Image: reference,
      Entrypoint: ['/bin/sh', '-c', probeScript()],
      Cmd: [],
      Tty: true,
      Labels: labLabels(`probe-${process.pid}`, ownMark()),
      HostConfig: {
        NetworkMode: 'none',
        CapAdd: ['SYS_ADMIN', 'NET_ADMIN'],
        SecurityOpt: ['seccomp=unconfined', 'apparmor=unconfined', 'label=disable'],
        UsernsMode: 'host',
      },
    }),
  );
  try {
    await ask(endpoint, what, changeMs, container.start());
    await ask(endpoint, what, probeMs, container.wait());
    return await containerLog(endpoint, engine, container.id);
  } finally {
    await ask(endpoint, what, changeMs, container.remove({ force: true, v: true })).catch(() => undefined);
  }
}

/** The probes need an image with `ip`: one that the engine has already, or the one that labs have by default. */
async function probeImage(options: EngineImageOptions): Promise<string> {
  const [found] = await presentImages(hostImageRows, options);
  return (found ?? (await ensureEngineImage('debian-12', options))).reference;
}

/**
 * See `Provider.capabilities`. What the engine's kernel can do is tried in a container of its own; where the engine has no
 * host image yet, one is made first, as a lab would.
 */
export async function containerCapabilities({ onlyLook = false }: { onlyLook?: boolean } = {}): Promise<Capability[]> {
  const untried = (why: string): Capability[] =>
    kernelProbes.map((probe) => ({ name: probe.name, have: false, seen: `Not tried: ${why}` }));
  let found: FoundEngine;
  try {
    found = await findEngine();
  } catch (error) {
    const mend = error instanceof Error && 'hint' in error ? String(error.hint) : 'Start a Docker engine.';
    return [{ name: 'engine', have: false, seen: messageOf(error), mend }, ...untried('there is no Docker engine.')];
  }
  const { endpoint, engine, info } = found;
  const have: Capability[] = [
    {
      name: 'engine',
      have: true,
      seen: `Docker ${info.version} on "${info.name}" (${info.architecture}) answers at ${endpoint.uri}, from ${endpoint.from}.`,
    },
    {
      name: 'cgroup2',
      have: info.cgroupVersion === 2,
      seen: `The engine's machine has cgroup version ${info.cgroupVersion}.`,
      ...(info.cgroupVersion === 2
        ? {}
        : {
            mend: 'Images whose systemd is 257 or later need version 2: boot that machine with `systemd.unified_cgroup_hierarchy=1`.',
          }),
    },
  ];
  try {
    const options: EngineImageOptions = {
      endpoint,
      engine,
      info,
      signal: AbortSignal.timeout(60 * 60_000),
      progress: () => undefined,
    };
    if (onlyLook && (await presentImages(hostImageRows, options)).length === 0)
      return [...have, ...untried('the engine has no host image yet to try it in; the first lab makes one.')];
    const reference = await probeImage(options);
    return [...have, ...readProbes(await runProbes(found, reference))];
  } catch (error) {
    return [...have, ...untried(messageOf(error))];
  }
}
