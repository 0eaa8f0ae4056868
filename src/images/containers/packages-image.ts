import { readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { classifyBuildFailure } from '../build-failure.js';
import { contentKey, ensureEntry, type BuildPlace } from '../cache-entry.js';
import { BuildStepFailure } from '../container-image-build.js';
import { findMirror } from '../mirror.js';
import { unknownPackage } from '../package-layer.js';
import { imageRecipe, requireHostImageRow } from '../recipe.js';
import { bootstrap, configure, requireBuildTools, type ImageOptions } from '../build-site.js';
import { archiveFile, entryName, type ContainerArchive, type ContainerArchiveFacts } from './container-archive.js';
import { packTree } from './docker-archive.js';
import { fileDigest } from './file-digest.js';

/** The host image whose Debian release such images are made of. */
const packagesRelease = 'debian-12';

/** Raised when what makes such an image changes what comes out of it. */
const format = 1;
const neededBytes = 800_000_000;

const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What is of this machine or of the build, and of no use in a container. */
const leftOut = ['var/lib/apt/lists', 'var/cache/apt', 'usr/share/man', 'usr/share/doc', 'usr/share/locale'];

async function make(packages: readonly string[], name: string, place: BuildPlace): Promise<ContainerArchiveFacts> {
  const row = requireHostImageRow(packagesRelease);
  const { dpkgOptions, aptOptions, remove, suite } = imageRecipe(row);
  const mirror = await findMirror(row, place.signal);
  const tree = join(place.directory, 'root');
  const recipe = { suite, packages: [...packages], dpkgOptions, aptOptions, variant: 'essential' };
  await bootstrap(recipe, mirror, place).catch((error: unknown) => {
    if (!(error instanceof BuildStepFailure)) throw error;
    throw (
      unknownPackage({ suite, name: packagesRelease }, error.output) ??
      classifyBuildFailure(error.output, {
        image: `the container image ${name}`,
        step: error.step,
        cache: dirname(place.directory),
        logFile: place.logFile,
      })
    );
  });
  const nothing = { files: [], links: {}, masked: [], disabled: [], enabled: [] };
  await configure({ remove: [...remove, ...leftOut], ...nothing }, tree);
  await writeFile(join(tree, 'etc/hostname'), '');
  const versions = installedVersions(await readFile(join(tree, 'var/lib/dpkg/status'), 'utf8'));
  place.progress('packing');
  await packTree(tree, { name, config: { Cmd: ['sh'], Env: [path] } }, place);
  for (const part of [tree, join(place.directory, 'tmp')]) await rm(part, { recursive: true, force: true });
  const source = { from: 'packages' as const, packages: [...packages] };
  return { name, source, digest: `sha256:${await fileDigest(join(place.directory, archiveFile))}`, versions };
}

/** Package → version, of a status file of dpkg. */
function installedVersions(status: string): Record<string, string> {
  const field = (paragraph: string, key: string): string =>
    new RegExp(`^${key}: (.+)$`, 'm').exec(paragraph)?.[1] ?? '';
  return Object.fromEntries(
    status
      .split('\n\n')
      .filter((paragraph) => field(paragraph, 'Status') === 'install ok installed')
      .map((paragraph) => [field(paragraph, 'Package'), field(paragraph, 'Version')]),
  );
}

/**
 * A container image of Debian packages alone: the essential ones of a release, and those named, from the mirror that the
 * machine's apt knows. No registry has a part in it.
 *
 * Throws NETRIG_PACKAGE_UNKNOWN, NETRIG_MIRROR_UNREACHABLE, NETRIG_IMAGE_BUILD, NETRIG_TOOL_MISSING, and what `ensureEntry`
 * throws.
 */
export async function ensurePackagesImage(
  packages: readonly string[],
  name: string,
  options: ImageOptions,
): Promise<ContainerArchive> {
  const wanted = [...new Set(packages)].sort();
  await requireBuildTools();
  return ensureEntry(
    {
      room: 'containers',
      name: entryName(name),
      key: contentKey('packages', format, packagesRelease, wanted, name),
    },
    { subject: `the container image ${name}`, neededBytes, make: (place) => make(wanted, name, place) },
    options,
  );
}
