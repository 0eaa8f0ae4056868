import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { access, chmod, constants, readdir, rm, statfs, symlink, unlink, writeFile } from 'node:fs/promises';
import { basename, delimiter, dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { isNetrigError, messageOf, NetrigError } from '../errors.js';
import { outerIds } from '../lab/outer-users.js';
import { makeDirectory } from '../model/directory.js';
import { asCoded } from '../model/refused-write.js';
import { runCommand, runIsolated } from './build-command.js';
import { classifyBuildFailure, codedIfNoSpace } from './build-failure.js';
import { imagesDirectory, removeTree } from './cache-directory.js';
import {
  BuildStepFailure,
  installedVersion,
  requireSuccess,
  upstreamVersion,
  warmEngineData,
} from './container-image-build.js';
import type { ImageRecipe } from './recipe.js';

/** Of everything that may build. */
export interface ImageOptions {
  /** Aborting ends the build and leaves nothing of it; the promise rejects with NETRIG_INTERRUPTED. */
  signal: AbortSignal;
  /** What is being done, one line each, for people. */
  progress(line: string): void;
}

/** How long to wait for another process that builds the same image: a build takes one to five minutes. */
export const lockDeadlineMs = 15 * 60_000;

/** What a build runs on this machine, with the Debian packages that have it. */
export const buildTools: Readonly<Record<string, string>> = {
  mmdebstrap: 'mmdebstrap',
  'apt-get': 'apt',
  unshare: 'util-linux',
  setpriv: 'util-linux',
  flock: 'util-linux',
  mount: 'mount',
  ip: 'iproute2',
  tar: 'tar',
  chroot: 'coreutils',
};

/** The keys that Debian signs its archives with; mmdebstrap and apt look for them here. */
const archiveKeyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Throws NETRIG_TOOL_MISSING naming the first thing that a build needs and this machine lacks, with its Debian package. */
export async function requireBuildTools(tools: Readonly<Record<string, string>> = buildTools): Promise<void> {
  const directories = (process.env['PATH'] ?? '').split(delimiter).filter((one) => one !== '');
  const missing = (name: string, packageName: string): NetrigError =>
    new NetrigError(
      'NETRIG_TOOL_MISSING',
      `${name} is not installed, and building a host image needs it (Debian package ${packageName})`,
      {
        hint: `Install it (\`apt-get install ${packageName}\`), or run \`npm run quickstart\`, which installs what is missing.`,
      },
    );
  for (const [name, packageName] of Object.entries(tools)) {
    const found = await Promise.all(
      directories.map((directory) =>
        access(join(directory, name), constants.X_OK).then(
          () => true,
          () => false,
        ),
      ),
    );
    if (!found.includes(true)) throw missing(name, packageName);
  }
  if (
    !(await access(archiveKeyring).then(
      () => true,
      () => false,
    ))
  )
    throw missing(archiveKeyring, 'debian-archive-keyring');
}

/** An error of making an image ready, with a code of the catalogue: its own, that of a full disk or a refused write, or NETRIG_IMAGE_BUILD. */
export function codedOrBuild(error: unknown, name: string, images: string): unknown {
  const coded = codedIfNoSpace(error, images);
  if (isNetrigError(coded)) return coded;
  const refused = asCoded(error);
  if (refused !== null) return refused;
  return new NetrigError('NETRIG_IMAGE_BUILD', `the image ${name} could not be made ready: ${messageOf(error)}`, {
    cause: error,
  });
}

/** Throws NETRIG_CACHE_FULL when the cache has less room than building `name` takes. */
export async function requireSpace(name: string, bytes: number): Promise<void> {
  const images = imagesDirectory();
  const space = await statfs(images);
  const free = space.bavail * space.bsize;
  if (free >= bytes) return;
  throw new NetrigError(
    'NETRIG_CACHE_FULL',
    `building ${name} takes ${formatBytes(bytes)} at its peak, and ${images} has ${formatBytes(free)} left`,
  );
}

interface StepContext {
  signal: AbortSignal;
  log: Writable;
}

/** Where one build works. */
export interface BuildSite extends StepContext {
  directory: string;
  /** The tree of the host, inside `directory`. */
  root: string;
  progress(text: string): void;
  /** What is being done: named when it fails. */
  step: string;
}

/**
 * Builds in a directory of its own, which is gone again when the build fails; then the error says what was being built
 * (`subject`), the step and the log. `name` is that of the recipe.
 */
export async function inBuildDirectory<T>(
  options: { name: string; subject: string; signal: AbortSignal; progress(text: string): void },
  work: (site: BuildSite) => Promise<T>,
): Promise<T> {
  const { name, subject, signal, progress } = options;
  const images = imagesDirectory();
  const directory = join(images, `.build-${name}-${process.pid}-${randomBytes(3).toString('hex')}`);
  const logFile = join(dirname(images), 'logs', `image-${name}.log`);
  await makeDirectory(join(directory, 'tmp'));
  await makeDirectory(dirname(logFile));
  const log = createWriteStream(logFile);
  // a full disk shows in the build itself; the log must not bring the process down
  log.on('error', () => undefined);
  const site: BuildSite = { directory, root: join(directory, 'root'), signal, log, progress, step: 'mmdebstrap' };
  try {
    return await work(site);
  } catch (error) {
    await removeTree(directory);
    if (signal.aborted)
      throw new NetrigError('NETRIG_INTERRUPTED', `interrupted while building ${name}`, { cause: error });
    if (error instanceof BuildStepFailure)
      throw classifyBuildFailure(error.output, { image: subject, step: error.step, cache: images, logFile });
    const coded = codedIfNoSpace(error, images);
    if (isNetrigError(coded)) throw coded;
    throw new NetrigError(
      'NETRIG_IMAGE_BUILD',
      `building ${subject} failed (${site.step}): ${messageOf(error)}; the log is ${logFile}`,
      { cause: error },
    );
  } finally {
    await new Promise<void>((resolve) => log.end(() => resolve()));
  }
}

/** In the build's own mount namespace, the build directory is here too: apt can't work in a directory with a space or comma in its path. */
const plainPlace = '/mnt';

const plainPlaceScript = `mount --bind "$1" ${plainPlace} && shift && exec "$@"`;

/** Installs a system of the recipe’s packages into `root` of the directory. Throws BuildStepFailure. */
export async function bootstrap(
  recipe: Pick<ImageRecipe, 'suite' | 'packages' | 'dpkgOptions' | 'aptOptions' | 'setupHooks'> & {
    /** How much there is beside the packages (mmdebstrap(1)); default: minbase. */
    variant?: string;
  },
  mirror: { lines: string[]; aptOptions: string[] },
  context: StepContext & { directory: string; progress(text: string): void },
): Promise<void> {
  const { directory, progress, signal, log } = context;
  const result = await runIsolated(
    [
      'sh',
      '-c',
      plainPlaceScript,
      'sh',
      directory,
      'mmdebstrap',
      // In a user namespace devices and /sys of the machine are bound, where root would make its own.
      `--mode=${outerIds() === null ? 'root' : 'unshare'}`,
      `--variant=${recipe.variant ?? 'minbase'}`,
      '--format=directory',
      `--include=${recipe.packages.join(',')}`,
      ...recipe.dpkgOptions.map((option) => `--dpkgopt=${option}`),
      ...[...mirror.aptOptions, ...recipe.aptOptions].map((option) => `--aptopt=${option}`),
      ...(recipe.setupHooks ?? []).map((hook) => `--setup-hook=${hook}`),
      recipe.suite,
      `${plainPlace}/root`,
      '-',
    ],
    {
      signal,
      log,
      input: mirror.lines.map((line) => `${line}\n`).join(''),
      environment: { TMPDIR: `${plainPlace}/tmp` },
      onLine: (line) => {
        const said =
          /^I: (running apt-get update|downloading packages|extracting archives|installing [\w ]+packages)/.exec(line);
        if (said?.[1] !== undefined) progress(said[1]);
      },
    },
  );
  requireSuccess('mmdebstrap', result);
}

/** Writes the recipe's own files, links and unit states into the tree. */
export async function configure(
  recipe: Pick<ImageRecipe, 'remove' | 'files' | 'links' | 'masked' | 'disabled' | 'enabled'>,
  root: string,
): Promise<void> {
  const units = join(root, 'etc/systemd/system');
  for (const path of recipe.remove) {
    if (!path.endsWith('*')) {
      await rm(join(root, path), { recursive: true, force: true });
      continue;
    }
    const prefix = basename(path).slice(0, -1);
    for (const entry of await readdir(join(root, dirname(path))).catch(() => [])) {
      if (entry.startsWith(prefix)) await rm(join(root, dirname(path), entry), { recursive: true, force: true });
    }
  }
  for (const unit of recipe.disabled) {
    for (const entry of await readdir(units)) {
      if (entry.endsWith('.wants') || entry.endsWith('.requires')) await rm(join(units, entry, unit), { force: true });
    }
  }
  for (const { unit, target } of recipe.enabled) {
    await makeDirectory(join(units, `${target}.wants`));
    const own = recipe.files.some((file) => file.path === `etc/systemd/system/${unit}`);
    await replaceLink(own ? `../${unit}` : `/lib/systemd/system/${unit}`, join(units, `${target}.wants`, unit));
  }
  for (const unit of recipe.masked) await replaceLink('/dev/null', join(units, unit));
  for (const [path, target] of Object.entries(recipe.links)) await replaceLink(target, join(root, path));
  for (const file of recipe.files) {
    const path = join(root, file.path);
    await makeDirectory(dirname(path));
    // resolv.conf may be a symbolic link, and would be written through it
    await unlink(path).catch(() => undefined);
    await writeFile(path, file.content);
    await chmod(path, file.mode);
  }
}

async function replaceLink(target: string, path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  await symlink(target, path);
}

/** The engine of a configured tree; where the recipe has container images, its data with them is in `docker` of the site. */
export async function engineWithImages(
  recipe: ImageRecipe,
  site: BuildSite,
): Promise<{ version: string; warmed: boolean; containerImages: string[] }> {
  const { directory, signal, log, progress } = site;
  site.step = 'container images';
  const version = await installedVersion(site.root, 'docker.io');
  const warmed =
    recipe.containerImages.length > 0
      ? await warmEngineData(directory, recipe.containerImages, { signal, log }, progress)
      : null;
  return {
    version: version === null ? '' : upstreamVersion(version),
    warmed: warmed !== null,
    containerImages: warmed?.containerImages ?? [],
  };
}

/** Bytes that a directory takes on its disk. */
export async function diskUsage(directory: string, context: StepContext): Promise<number> {
  const output = requireSuccess(
    'du',
    await runCommand(['du', '--summarize', '--block-size=1', '--one-file-system', directory], context),
  );
  return Number(output.split('\t')[0]);
}

/** For people: `640 MB`, `1.3 GB`. */
export function formatBytes(bytes: number): string {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
