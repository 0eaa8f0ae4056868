import { randomBytes } from 'node:crypto';
import { createWriteStream, existsSync } from 'node:fs';
import {
  access,
  constants,
  lstat,
  readdir,
  readFile,
  rename,
  rm,
  statfs,
  symlink,
  writeFile,
  chmod,
  unlink,
} from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, delimiter, dirname, isAbsolute, join } from 'node:path';
import type { Writable } from 'node:stream';
import { isNetrigError, messageOf, NetrigError } from '../errors.js';
import { formatDuration } from '../model/duration.js';
import { runCommand, runIsolated } from './build-command.js';
import { classifyBuildFailure, codedIfNoSpace } from './build-failure.js';
import {
  BuildStepFailure,
  installedVersion,
  requireSuccess,
  upstreamVersion,
  warmEngineData,
} from './container-image-build.js';
import { hostImageRows, type HostImage, type HostImageStatus } from './host-image.js';
import { outerIds } from '../lab/outer-users.js';
import { takeLock } from './lock.js';
import { giveToHosts } from './owners.js';
import { findMirror } from './mirror.js';
import { imageRecipe, recipeKey, requireHostImageRow, type ImageRecipe } from './recipe.js';
import { noteUse, userOf } from './use.js';
import { makeDirectory } from '../model/directory.js';
import { asCoded } from '../model/refused-write.js';

export interface ImageOptions {
  /** Aborting ends the build and leaves nothing of it; the promise rejects with NETRIG_INTERRUPTED. */
  signal: AbortSignal;
  /** What is being done, one line each, for people. */
  progress(line: string): void;
}

/** What `image.json` in an image's directory holds; it is written last, before the directory gets its name. */
interface ImageManifest {
  name: string;
  suite: string;
  key: string;
  engineVersion: string;
  cgroup: 'hybrid' | 'v2';
  dockerData: boolean;
  containerImages: string[];
  builtAt: string;
  sizeBytes: number;
}

/** How long to wait for another process that builds the same image: a build takes one to five minutes. */
export const lockDeadlineMs = 15 * 60_000;

/** What a build needs at its peak: the tree, the packages before they are unpacked, and the container images. */
const neededBytes = 1_100_000_000;

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

/** `$XDG_CACHE_HOME/netrig/images`; a relative XDG_CACHE_HOME is ignored, as the XDG Base Directory Specification wants. */
export function imagesDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const cache = environment['XDG_CACHE_HOME'];
  return join(cache !== undefined && isAbsolute(cache) ? cache : join(homedir(), '.cache'), 'netrig', 'images');
}

async function readManifest(directory: string): Promise<ImageManifest | null> {
  try {
    return JSON.parse(await readFile(join(directory, 'image.json'), 'utf8')) as ImageManifest;
  } catch {
    return null;
  }
}

function hostImage(directory: string, manifest: ImageManifest): HostImage {
  const { name, suite, engineVersion, cgroup, containerImages } = manifest;
  return {
    name,
    suite,
    build: `${basename(directory)}@${manifest.builtAt}`,
    root: join(directory, 'root'),
    layers: [],
    engineVersion,
    cgroup,
    dockerData: manifest.dockerData ? join(directory, 'docker') : null,
    containerImages,
  };
}

/** Directories of finished images of that name, of whatever recipe. */
export async function builtDirectories(name: string): Promise<string[]> {
  const entries = await readdir(imagesDirectory()).catch(() => []);
  return entries
    .filter((entry) => entry.startsWith(`${name}-`) && /^[0-9a-f]{12}$/.test(entry.slice(name.length + 1)))
    .map((entry) => join(imagesDirectory(), entry));
}

/**
 * The image, built first where the cache has none of the present recipe. From then on it counts as used by this process,
 * and is not removed or replaced while the process lives.
 *
 * Throws NETRIG_IMAGE_UNKNOWN, and what `buildHostImage` throws.
 */
export async function ensureHostImage(name: string, options: ImageOptions): Promise<HostImage> {
  const recipe = imageRecipe(requireHostImageRow(name));
  const directory = finishedDirectory(recipe);
  const note = (used: string): Promise<void> =>
    noteUse(used).catch((error: unknown) => {
      throw codedOrBuild(error, name, imagesDirectory());
    });
  // noted before the look, so that nobody removes it between the look and the note
  if (existsSync(directory)) await note(directory);
  const built = await findBuilt(recipe);
  if (built !== null) return built;
  const image = await buildHostImage(name, options);
  await note(directory);
  return image;
}

function finishedDirectory(recipe: ImageRecipe): string {
  return join(imagesDirectory(), `${recipe.name}-${recipeKey(recipe)}`);
}

/** The finished image of exactly this recipe, if it was built at or after a time (milliseconds since the epoch). */
async function findBuilt(recipe: ImageRecipe, since = 0): Promise<HostImage | null> {
  const directory = finishedDirectory(recipe);
  const manifest = await readManifest(directory);
  return manifest === null || Date.parse(manifest.builtAt) < since ? null : hostImage(directory, manifest);
}

/** Every row of the table with its state in the cache. */
export async function listHostImages(): Promise<HostImageStatus[]> {
  return Promise.all(
    hostImageRows.map(async (row) => {
      const current = `${row.name}-${recipeKey(imageRecipe(row))}`;
      let best: HostImageStatus = {
        name: row.name,
        suite: row.suite,
        state: 'absent',
        engineVersion: row.engine,
        directory: null,
        sizeBytes: 0,
        builtAt: null,
        containerImages: [...row.containerImages],
      };
      for (const directory of await builtDirectories(row.name)) {
        const manifest = await readManifest(directory);
        if (manifest === null || best.state === 'ready') continue;
        const state = directory.endsWith(`/${current}`) ? 'ready' : 'stale';
        best = {
          name: row.name,
          suite: row.suite,
          state,
          engineVersion: manifest.engineVersion,
          directory,
          sizeBytes: manifest.sizeBytes,
          builtAt: manifest.builtAt,
          containerImages: manifest.containerImages,
        };
      }
      return best;
    }),
  );
}

/**
 * Removes an image from the cache, of whatever recipe, with what dead builds left of it. Answers how many bytes that freed.
 *
 * Throws NETRIG_IMAGE_UNKNOWN, and NETRIG_CACHE_LOCKED while it is being built or a lab's hosts are made of it.
 */
export async function removeHostImage(name: string): Promise<number> {
  requireHostImageRow(name);
  const images = imagesDirectory();
  if ((await lstat(images).catch(() => null)) === null) return 0;
  const lock = await takeLock(join(images, `.lock-${name}`), {
    subject: `the image ${name}`,
    deadlineMs: 1000,
    signal: new AbortController().signal,
    progress: () => undefined,
  });
  try {
    let freed = 0;
    for (const directory of await builtDirectories(name)) {
      const size = (await readManifest(directory))?.sizeBytes ?? 0;
      const user = await discard(directory);
      if (user !== null)
        throw new NetrigError(
          'NETRIG_CACHE_LOCKED',
          `the image ${name} is in use by process ${user}, which has a lab or is about to`,
          { hint: 'Take the lab down first (`netrig ps` names it), or wait for the run to end.' },
        );
      freed += size;
    }
    await sweep(name);
    return freed;
  } finally {
    await lock.release();
  }
}

/** Where an image goes before it is removed, or while hosts of a replaced one still run: `.old-NAME-KEY-RANDOM`. */
function asidePath(directory: string): string {
  return join(dirname(directory), `.old-${basename(directory)}-${randomBytes(3).toString('hex')}`);
}

const oldName = /^\.old-(.+)-([0-9a-f]{12})-[0-9a-f]{6}$/;

/**
 * Removes a finished image, and answers null; or answers who uses it, and leaves it. Renamed first, so that an interrupted
 * removal leaves nothing that looks like an image; asked again after, because who takes an image notes it before looking.
 */
export async function discard(directory: string): Promise<number | null> {
  const before = await userOf(directory);
  if (before !== null) return before.pid;
  const doomed = asidePath(directory);
  await rename(directory, doomed);
  const meanwhile = await userOf(directory);
  if (meanwhile !== null) {
    await rename(doomed, directory);
    return meanwhile.pid;
  }
  await removeTree(doomed);
  return null;
}

/** A process that was killed a moment ago may still be writing: retried for a second. */
export async function removeTree(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
}

/** Removes what dead builds and interrupted removals left. The caller holds the image's lock, so no live one is among them. */
export async function sweep(name: string): Promise<void> {
  const images = imagesDirectory();
  for (const entry of await readdir(images)) {
    if (entry.startsWith(`.build-${name}-`)) await removeTree(join(images, entry));
    const old = oldName.exec(entry);
    // hosts of the image that was moved aside still stand on it, under the name it had
    if (old?.[1] === name && (await userOf(join(images, `${name}-${old[2]}`))) === null)
      await removeTree(join(images, entry));
  }
}

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

/**
 * Builds an image in the cache; where it is there already, only with `force`. Two processes at once build it once: the
 * second waits, with a progress line, then takes what the first has built.
 *
 * Throws NETRIG_IMAGE_UNKNOWN, NETRIG_NO_ROOT, NETRIG_TOOL_MISSING, NETRIG_MIRROR_UNREACHABLE, NETRIG_CACHE_FULL,
 * NETRIG_CACHE_LOCKED, NETRIG_IMAGE_BUILD and NETRIG_INTERRUPTED. Nothing half-built stays.
 */
export async function buildHostImage(
  name: string,
  options: ImageOptions & { force?: boolean; lockDeadlineMs?: number },
): Promise<HostImage> {
  const { signal, force = false } = options;
  const row = requireHostImageRow(name);
  const recipe = imageRecipe(row);
  const images = imagesDirectory();
  if (process.getuid?.() !== 0) throw new NetrigError('NETRIG_NO_ROOT', `building the image ${name} needs root`);
  await requireBuildTools();
  const started = performance.now();
  const calledAt = Date.now();
  const progress = (text: string): void => options.progress(`${name}: ${text}`);
  try {
    await makeDirectory(images);
  } catch (error) {
    throw codedOrBuild(error, name, images);
  }
  const lock = await takeLock(join(images, `.lock-${name}`), {
    subject: `the image ${name}`,
    deadlineMs: options.lockDeadlineMs ?? lockDeadlineMs,
    signal,
    progress,
  }).catch((error: unknown) => {
    throw codedOrBuild(error, name, images);
  });
  try {
    await sweep(name);
    // with `force`, only what somebody else built while we waited for the lock will do
    const built = await findBuilt(recipe, force ? calledAt : 0);
    if (built !== null) return built;
    return await build(recipe, { signal, progress, started, force });
  } catch (error) {
    throw codedOrBuild(error, name, images);
  } finally {
    await lock.release();
  }
}

export function codedOrBuild(error: unknown, name: string, images: string): unknown {
  const coded = codedIfNoSpace(error, images);
  if (isNetrigError(coded)) return coded;
  const refused = asCoded(error);
  if (refused !== null) return refused;
  return new NetrigError('NETRIG_IMAGE_BUILD', `the image ${name} could not be made ready: ${messageOf(error)}`, {
    cause: error,
  });
}

async function build(
  recipe: ImageRecipe,
  context: { signal: AbortSignal; progress(text: string): void; started: number; force: boolean },
): Promise<HostImage> {
  const { signal, started } = context;
  const { name } = recipe;
  const row = requireHostImageRow(name);
  const progress = (text: string): void => context.progress(`${text} (${formatDuration(performance.now() - started)})`);
  await requireSpace(name, neededBytes);
  progress(`looking for a mirror of Debian ${recipe.suite}`);
  const mirror = await findMirror(row, signal);
  for (const suite of mirror.missing) progress(`the mirror has no ${suite}: building without it`);
  return inBuildDirectory({ name, subject: name, signal, progress }, async (site) => {
    const { directory, root, log } = site;
    await bootstrap(recipe, mirror, site);
    site.step = 'configuration';
    progress('configuring');
    await configure(recipe, root);
    const engine = await engineWithImages(recipe, site);
    site.step = 'finishing';
    await removeTree(join(directory, 'tmp'));
    if (outerIds() !== null)
      await giveToHosts(directory, engine.warmed ? ['root', 'docker'] : ['root'], { signal, log });
    const manifest: ImageManifest = {
      name,
      suite: recipe.suite,
      key: recipeKey(recipe),
      engineVersion: engine.version,
      cgroup: row.cgroup,
      dockerData: engine.warmed,
      containerImages: engine.containerImages,
      builtAt: new Date().toISOString(),
      sizeBytes: await diskUsage(directory, { signal, log }),
    };
    await writeFile(join(directory, 'image.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    progress('writing to disk');
    // the rename must not reach the disk before the files do
    requireSuccess('sync', await runCommand(['sync', '--file-system', directory], { signal, log }));
    const final = join(imagesDirectory(), `${name}-${manifest.key}`);
    for (const old of await builtDirectories(name)) {
      if ((await discard(old)) !== null && old === final) await rename(old, asidePath(old));
    }
    await rename(directory, final);
    progress(`ready, ${formatBytes(manifest.sizeBytes)}`);
    return hostImage(final, manifest);
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

interface StepContext {
  signal: AbortSignal;
  log: Writable;
}

/** In the build's own mount namespace, the build directory is here too: apt can't work in a directory with a space or comma in its path. */
const plainPlace = '/mnt';
const plainPlaceScript = `mount --bind "$1" ${plainPlace} && shift && exec "$@"`;

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

export async function diskUsage(directory: string, context: StepContext): Promise<number> {
  const output = requireSuccess(
    'du',
    await runCommand(['du', '--summarize', '--block-size=1', '--one-file-system', directory], context),
  );
  return Number(output.split('\t')[0]);
}

export function formatBytes(bytes: number): string {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
