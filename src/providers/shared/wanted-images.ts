import { join } from 'node:path';
import { archiveFile, type ContainerArchive } from '../../images/containers/container-archive.js';
import { ensureWantedImages } from '../../images/containers/wanted-image.js';
import type { LabPlan } from '../../plan/lab-plan.js';
import { connect } from '../../ssh/connection.js';
import { quoteArg } from '../../ssh/quote.js';
import type { HostConnection } from '../../ssh/ssh.js';
import { buildOnHost } from '../local/image-builder.js';
import type { Provider, RunningLab, UpOptions } from '../provider.js';
import { mustTake, putFile } from './put-file.js';

const askMs = 300_000;
const loadMs = 600_000;

/** Where an archive lies on a host while it is loaded. */
const there = '/var/tmp/netrig-image.tar';

export interface LoadOptions {
  signal: AbortSignal;
  tell(text: string): void;
  /** A command that notes on the host, before an image is loaded, what takes it away again; none where the host goes as a whole. */
  journal?(image: string): string;
}

/** Puts an archive into a host's engine over SSH, piece by piece. One that the engine has already, by that name, stays as it is. */
async function load(
  connection: HostConnection,
  { directory, facts }: ContainerArchive,
  options: LoadOptions,
): Promise<void> {
  const { name } = facts;
  const known = await connection.exec(['docker', 'image', 'inspect', '--format', '{{.Id}}', name], {
    signal: options.signal,
    timeoutMs: askMs,
  });
  if (known.exitCode === 0) {
    options.tell(`${connection.host}: its engine has an image ${name} already, which is used`);
    return;
  }
  options.tell(`${connection.host}: loading the container image ${name}`);
  const put = { signal: options.signal, what: 'a container image' };
  if (options.journal !== undefined) await mustTake(connection, options.journal(name), askMs, put);
  try {
    await putFile(connection, join(directory, archiveFile), there, put);
    await mustTake(connection, `docker load --quiet --input ${there} >/dev/null`, loadMs, put);
  } finally {
    await connection.exec(['rm', '-f', there], { timeoutMs: askMs }).catch(() => undefined);
  }
}

/** Loads a plan's further container images into the engines of a running lab. */
async function loadAll(
  lab: RunningLab,
  archives: ReadonlyMap<string, ContainerArchive>,
  options: LoadOptions,
): Promise<void> {
  const hosts = lab.plan.hosts.filter(({ wantedImages = [] }) => wantedImages.length > 0);
  const results = await Promise.allSettled(
    hosts.map(async (host) => {
      const connection = await connect(lab.target(host.name), { signal: options.signal });
      try {
        for (const { name } of host.wantedImages!) await load(connection, archives.get(name)!, options);
      } finally {
        await connection.end();
      }
    }),
  );
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

/**
 * A provider whose hosts get further container images over SSH when they are up. What has to be fetched or built for that is, on
 * this machine, before the first host is made.
 */
export function loadingImages(provider: Provider, journal?: LoadOptions['journal']): Provider {
  return {
    ...provider,
    async up(plan, options) {
      const wanted = new Map(
        plan.hosts.flatMap(({ wantedImages = [] }) => wantedImages.map((one) => [one.name, one] as const)),
      );
      if (wanted.size === 0 || options.readOnly) return provider.up(plan, options);
      const archives = await fetched(plan, [...wanted.values()], options);
      const lab = await provider.up(plan, options);
      try {
        const { signal, emit, scenario } = options;
        const tell = (text: string): void => emit({ type: 'log', scenario, level: 'info', text });
        await loadAll(lab, archives, { signal, tell, ...(journal === undefined ? {} : { journal }) });
        return lab;
      } catch (error) {
        await lab.down();
        throw error;
      }
    },
  };
}

async function fetched(
  plan: LabPlan,
  wanted: Parameters<typeof ensureWantedImages>[0],
  { signal, emit, scenario }: UpOptions,
): Promise<ReadonlyMap<string, ContainerArchive>> {
  const begin = performance.now();
  const phase = { type: 'phase', scenario, phase: 'image', text: `Container images of ${plan.title}` } as const;
  emit({ ...phase, state: 'start' });
  const progress = (text: string): void => emit({ type: 'log', scenario, level: 'info', text });
  const archives = await ensureWantedImages(wanted, {
    signal,
    progress,
    builder: buildOnHost,
    pins: plan.hosts.find(({ pins }) => pins)?.pins,
  });
  emit({ ...phase, state: 'end', durationMs: performance.now() - begin });
  return new Map(archives.map((archive) => [archive.facts.name, archive]));
}

/** For machines that stay: a line of the lab's journal that takes an image away again. */
export function journalLine(undoFile: string): (image: string) => string {
  return (image) => {
    const name = quoteArg(image);
    const undo = `docker image rm -f ${name} >/dev/null 2>&1 || ! docker image inspect ${name} >/dev/null 2>&1`;
    return `printf '%s\\n' ${quoteArg(undo)} >>${undoFile}`;
  };
}
