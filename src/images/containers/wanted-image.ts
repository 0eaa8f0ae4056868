import { isNetrigError, NetrigError } from '../../errors.js';
import type { ImageOptions } from '../store.js';
import type { ContainerArchive, ContainerImageSource } from './container-archive.js';
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

async function ensured({ name, source }: WantedImage, options: ImageOptions): Promise<ContainerArchive> {
  switch (source.from) {
    case 'registry':
      return ensureRegistryImage(source.reference, options, name);
    case 'archive':
      return ensureSavedImage(source.file, name, options);
  }
}

/**
 * The archives of container images, fetched or made where the cache has none, one after the other. What keeps one from being
 * had is told with the place where it is asked for.
 *
 * Throws what `ensureRegistryImage` and `ensureSavedImage` throw.
 */
export async function ensureWantedImages(
  wanted: readonly WantedImage[],
  options: ImageOptions,
): Promise<ContainerArchive[]> {
  const archives: ContainerArchive[] = [];
  for (const one of wanted) {
    const progress = (line: string): void => options.progress(`container image ${one.name}: ${line}`);
    try {
      archives.push(await ensured(one, { signal: options.signal, progress }));
    } catch (error) {
      if (!isNetrigError(error) || error.code === 'NETRIG_INTERRUPTED') throw error;
      throw new NetrigError(error.code, `${one.at}: ${error.message}`, {
        ...(error.hint === undefined ? {} : { hint: error.hint }),
        cause: error,
      });
    }
  }
  return archives;
}
