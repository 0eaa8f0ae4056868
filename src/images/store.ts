import { existsSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { NetrigError } from '../errors.js';
import { formatDuration } from '../model/duration.js';
import { runCommand } from './build-command.js';
import {
  bootstrap,
  codedOrBuild,
  configure,
  diskUsage,
  engineWithImages,
  formatBytes,
  inBuildDirectory,
  lockDeadlineMs,
  requireBuildTools,
  requireSpace,
  type ImageOptions,
} from './build-site.js';
import {
  asidePath,
  builtDirectories,
  discard,
  imagesDirectory,
  removeBuilt,
  removeTree,
  sweep,
} from './cache-directory.js';
import { requireSuccess } from './container-image-build.js';
import { hostImageRows, type HostImage, type HostImageStatus } from './host-image.js';
import { outerIds } from '../lab/outer-users.js';
import { takeLock } from './lock.js';
import { giveToHosts } from './owners.js';
import { findMirror } from './mirror.js';
import { imageRecipe, recipeKey, requireHostImageRow, type ImageRecipe } from './recipe.js';
import { noteUse } from './use.js';
import { makeDirectory } from '../model/directory.js';

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

/** What a build needs at its peak: the tree, the packages before they are unpacked, and the container images. */
const neededBytes = 1_100_000_000;

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
  return removeBuilt(name, `the image ${name}`, async (directory) => (await readManifest(directory))?.sizeBytes ?? 0);
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
