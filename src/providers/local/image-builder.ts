import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { finished } from 'node:stream/promises';
import { isNetrigError, NetrigError } from '../../errors.js';
import { isNoSpaceText } from '../../images/build-failure.js';
import type { BuildPlace } from '../../images/cache-entry.js';
import type { DockerfileBuild, DockerfileSource, ImageBuilder } from '../../images/containers/built-image.js';
import { archiveFile } from '../../images/containers/container-archive.js';
import { buildFailure, dockerfileInstructions, missedBy, type MissedBy } from '../../images/containers/dockerfile.js';
import { formatDuration } from '../../model/duration.js';
import type { EmitEvent } from '../../model/events.js';
import type { LabPlan } from '../../plan/lab-plan.js';
import { connect } from '../../ssh/connection.js';
import type { HostConnection } from '../../ssh/ssh.js';

/** The host image whose engine builds: its BuildKit needs no further program. */
const builderImage = 'debian-12';
const host = 'builder';
const bootMs = 60_000;
/** What a whole build may take, ms. */
const buildMs = 3_600_000;
const saveMs = 600_000;
const contextPath = '/srv/context';
const dockerfilePath = '/srv/Dockerfile';
/** Of a build's output: enough for the step that failed. */
const keptBytes = 512 * 1024;

function builderPlan({ name, source, at, images }: DockerfileBuild, dockerfile: string): LabPlan {
  return {
    title: `build of ${name}`,
    slug: 'build',
    hosts: [
      {
        name: host,
        image: builderImage,
        init: 'systemd',
        engine: true,
        containerImages: [],
        ...(images.length > 0 ? { wantedImages: images } : {}),
        interfaces: [],
        routes: [],
        sysctls: {},
        files: [
          { from: source.context, to: contextPath, place: at },
          { from: dockerfile, to: dockerfilePath, place: at },
        ],
        ...(source.outside ? { outside: true as const } : {}),
      },
    ],
    segments: [],
    bootTimeoutMs: bootMs,
  };
}

function buildArgv({ name, source }: DockerfileBuild): string[] {
  return [
    ...['env', 'DOCKER_BUILDKIT=1', 'docker', 'build', '--progress=plain', '--file', dockerfilePath],
    ...Object.entries(source.arguments).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]),
    ...(source.target === null ? [] : ['--target', source.target]),
    ...['--tag', name, contextPath],
  ];
}

/** A line of BuildKit's for people: `[2/3] RUN make`. */
function stepOf(line: string): string | null {
  return /^#\d+ (\[(?!internal)[^\]]*\] .*)$/.exec(line)?.[1] ?? null;
}

async function buildIn(connection: HostConnection, build: DockerfileBuild, place: BuildPlace): Promise<void> {
  let rest = '';
  const told = new Set<string>();
  const result = await connection.exec(buildArgv(build), {
    signal: place.signal,
    timeoutMs: buildMs,
    keepBytes: keptBytes,
    onOutput(_, chunk) {
      place.log.write(chunk);
      const lines = (rest + chunk.toString('utf8')).split('\n');
      rest = lines.pop()!;
      for (const line of lines) {
        const step = stepOf(line);
        if (step !== null && !told.has(step)) place.progress(step);
        if (step !== null) told.add(step);
      }
    },
  });
  if (result.exitCode === 0) return;
  throw failure(build, `${result.stdout}\n${result.stderr}`, result.timedOut, place);
}

const hints = ({ context, outside }: DockerfileSource): Record<NonNullable<MissedBy> | 'else', string> => ({
  context: `What COPY and ADD name lies in the directory of the build, ${relative(process.cwd(), context) || '.'}, by a path from there.`,
  network: outside
    ? 'The host that builds has a way to the outside (`outside: true`): look whether what it asks for can be reached from this machine.'
    : 'The host that builds is sealed: what fetches something needs `outside: true` in the scenario.',
  else: 'Mend that step.',
});

function failure(build: DockerfileBuild, output: string, timedOut: boolean, { logFile }: BuildPlace): NetrigError {
  const { shownFile, source, at } = build;
  if (timedOut)
    return new NetrigError(
      'NETRIG_DOCKERFILE',
      `${shownFile}: the build took longer than ${formatDuration(buildMs)} (asked for at ${at}); the log is ${logFile}`,
    );
  const { line, what, output: said } = buildFailure(output, dockerfileInstructions(build.text));
  const place = line === null ? shownFile : `${shownFile}:${line}`;
  const words = said.length === 0 ? '' : `; it wrote: ${said.join(' / ')}`;
  const hint = isNoSpaceText(output)
    ? 'The host that builds keeps its files in memory: what the build writes did not fit there.'
    : hints(source)[missedBy(output) ?? 'else'];
  return new NetrigError('NETRIG_DOCKERFILE', `${place}: ${what} (the image ${build.name} of ${at})${words}`, { hint });
}

/** `docker save`, as it comes: an image may be larger than what fits into memory twice. */
async function saveTo(file: string, connection: HostConnection, name: string, place: BuildPlace): Promise<void> {
  const out = createWriteStream(file);
  const broken = finished(out);
  broken.catch(() => undefined);
  const result = await connection.exec(['docker', 'save', name], {
    signal: place.signal,
    timeoutMs: saveMs,
    keepBytes: 4096,
    onOutput(stream, chunk) {
      if (stream === 'stderr' || out.write(chunk)) return undefined;
      return Promise.race([new Promise<void>((resolve) => out.once('drain', resolve)), broken]);
    },
  });
  out.end();
  await broken;
  if (result.exitCode !== 0)
    throw new NetrigError('NETRIG_IMAGE_BUILD', `saving the built image ${name} failed: ${result.stderr.trim()}`);
}

/**
 * Builds a Dockerfile on a host of its own, which this machine keeps as it keeps the hosts of labs: sealed, unless the scenario
 * lets it out, and gone with the process that holds it. Its root file system lies in memory.
 */
export const buildOnHost: ImageBuilder = async (build, place) => {
  // Loaded here: the provider, too, leads to this file.
  const { localProvider } = await import('./provider.js');
  const dockerfile = join(place.directory, 'Dockerfile');
  await writeFile(dockerfile, build.text);
  const emit: EmitEvent = (event) => {
    if (event.type === 'log' && event.level !== 'info') place.progress(event.text);
  };
  place.progress('starting a host that builds it');
  const lab = await localProvider.up(builderPlan(build, dockerfile), {
    signal: place.signal,
    emit,
    scenario: `build of ${build.name}`,
  });
  try {
    const connection = await connect(lab.target(host), { signal: place.signal });
    try {
      await buildIn(connection, build, place);
      place.progress('saving the image');
      await saveTo(join(place.directory, archiveFile), connection, build.name, place);
    } finally {
      await connection.end();
    }
  } catch (error) {
    if (place.signal.aborted && !isNetrigError(error, 'NETRIG_INTERRUPTED'))
      throw new NetrigError('NETRIG_INTERRUPTED', `interrupted while building ${build.name}`, { cause: error });
    throw error;
  } finally {
    await lab.down();
  }
};
