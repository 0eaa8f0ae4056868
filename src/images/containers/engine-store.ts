import { link, mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { runEngine } from '../container-image-build.js';
import { contentKey, ensureEntry, type CacheEntry } from '../cache-entry.js';
import type { HostImage } from '../host-image.js';
import type { ImageOptions } from '../build-site.js';
import { archiveFile, type ContainerArchive } from './container-archive.js';

/** What an engine's store in the cache holds. */
export interface EngineStoreFacts {
  image: string;
  /** Names as the engine lists them, `:latest` left out. */
  containerImages: string[];
}

/** A warmed /var/lib/docker in `docker/` of the entry: an engine that begins with it has the images from the start. */
export type EngineStore = CacheEntry<EngineStoreFacts>;

/**
 * An engine's store with the images of a host image and these archives, made once for each set of them by the host image's
 * own engine.
 *
 * Throws NETRIG_IMAGE_BUILD and what `ensureEntry` throws.
 */
export async function ensureEngineStore(
  base: HostImage,
  archives: readonly ContainerArchive[],
  options: ImageOptions,
): Promise<EngineStore> {
  const sorted = [...archives].sort((a, b) => (a.directory < b.directory ? -1 : 1));
  const parts = sorted.map((archive) => basename(archive.directory));
  const bytes = sorted.reduce((sum, archive) => sum + archive.sizeBytes, 0);
  return ensureEntry(
    { room: 'engines', name: base.name, key: contentKey('engine', base.build, parts) },
    {
      subject: `the engine store of ${base.name} with ${sorted.map((archive) => archive.facts.name).join(', ')}`,
      neededBytes: 100_000_000 + bytes * 3,
      async make(place) {
        const into = join(place.directory, 'archives');
        await mkdir(into);
        // Links cost nothing, and both are below the cache.
        for (const [index, archive] of sorted.entries())
          await link(join(archive.directory, archiveFile), join(into, `${index}.image`));
        place.progress(`loading ${sorted.map((archive) => archive.facts.name).join(', ')}`);
        const { containerImages } = await runEngine(
          place.directory,
          { tree: base.root, begin: base.dockerData ?? '' },
          place,
        );
        return { image: base.name, containerImages };
      },
    },
    { signal: options.signal, progress: (line) => options.progress(`container images for ${base.name}: ${line}`) },
  );
}
