import { isNetrigError, NetrigError } from '../../errors.js';
import type { ImageOptions } from '../build-site.js';
import { ensureBuiltImage, type DockerfileSource, type ImageBuilder } from './built-image.js';
import type { ContainerArchive, ContainerImageSource } from './container-archive.js';
import { archivePin, imagePackagesPin, requireDigest, requireVersions, type Pins } from '../pins.js';
import { canonicalReference, parseReference } from './reference.js';
import { ensurePackagesImage } from './packages-image.js';
import { ensureRegistryImage } from './registry.js';
import { ensureSavedImage } from './saved-archive.js';

/** A container image that the engines of a lab are to have, beyond those that netrig puts together itself. Plain data. */
export interface WantedImage {
  /** What engines list it by: `postgres:16`. */
  name: string;
  source: ContainerImageSource;
  /** Where it is asked for, for messages: `lab.yaml:12:14`. */
  at: string;
}

export interface WantedImageOptions extends ImageOptions {
  /** Builds Dockerfiles. */
  builder: ImageBuilder;
  /** What a lock file says. */
  pins?: Pins | undefined;
  /** Told of each image that is there, also of those that others stand on. */
  seen?(wanted: WantedImage, archive: ContainerArchive): void;
}

interface Ensuring {
  options: WantedImageOptions;
  known: ReadonlyMap<string, WantedImage>;
  /** Images that are being built, to name a circle. */
  chain: readonly string[];
}

async function ensured(one: WantedImage, { options, known, chain }: Ensuring): Promise<ContainerArchive> {
  const { name, source } = one;
  const progress = (line: string): void => options.progress(`container image ${name}: ${line}`);
  const own = { signal: options.signal, progress };
  switch (source.from) {
    case 'registry':
      return ensureRegistryImage(pinnedReference(source.reference, options.pins), own, name);
    case 'archive':
      return ensureSavedImage(source.file, name, own);
    case 'packages':
      return ensurePackagesImage(source.packages, name, own);
    case 'build': {
      if (chain.includes(name))
        throw new NetrigError(
          'NETRIG_DOCKERFILE',
          `${one.at}: images stand on each other in a circle: ${[...chain, name].join(' → ')}`,
        );
      const inner = { options, known, chain: [...chain, name] };
      const surroundings = {
        known,
        ensure: (images: readonly WantedImage[]) => ensureAll(images, inner),
        builder: options.builder,
      };
      return ensureBuiltImage(one as WantedImage & { source: DockerfileSource }, surroundings, own);
    }
  }
}

/** A reference with the digest that the lock file has for it. */
function pinnedReference(text: string, pins: Pins | undefined): string {
  const digest = pins?.images[text];
  const reference = parseReference(text);
  return digest === undefined || reference === null ? text : canonicalReference({ ...reference, digest });
}

function requirePinned({ name, source }: WantedImage, { facts }: ContainerArchive, pins: Pins | undefined): void {
  if (source.from === 'archive') requireDigest(pins, archivePin(name), facts.digest);
  if (source.from === 'packages') requireVersions(pins, imagePackagesPin(name), facts.versions ?? {});
}

/** Errors that say where: what an image stands on has a place of its own. */
const placed = new WeakSet<NetrigError>();

async function ensureAll(wanted: readonly WantedImage[], ensuring: Ensuring): Promise<ContainerArchive[]> {
  const archives: ContainerArchive[] = [];
  for (const one of wanted) {
    try {
      const archive = await ensured(one, ensuring);
      requirePinned(one, archive, ensuring.options.pins);
      ensuring.options.seen?.(one, archive);
      archives.push(archive);
    } catch (error) {
      if (!isNetrigError(error) || error.code === 'NETRIG_INTERRUPTED') throw error;
      if (placed.has(error)) throw error;
      // A Dockerfile's place says more than that of the line that asks for it.
      const message = error.code === 'NETRIG_DOCKERFILE' ? error.message : `${one.at}: ${error.message}`;
      const told = new NetrigError(error.code, message, { hint: error.hint, cause: error });
      placed.add(told);
      throw told;
    }
  }
  return archives;
}

/**
 * The archives of container images, fetched or made where the cache has none, one after the other. What keeps one from being
 * had is told with the place where it is asked for.
 *
 * Throws what `ensureRegistryImage`, `ensureSavedImage`, `ensurePackagesImage` and `ensureBuiltImage` throw.
 */
export async function ensureWantedImages(
  wanted: readonly WantedImage[],
  options: WantedImageOptions,
): Promise<ContainerArchive[]> {
  return ensureAll(wanted, { options, known: new Map(wanted.map((one) => [one.name, one])), chain: [] });
}
