import type { CacheEntry } from '../cache-entry.js';

/** Where a container image that netrig does not put together itself comes from. Paths are absolute. */
export type ContainerImageSource =
  | { from: 'registry'; reference: string }
  | { from: 'archive'; file: string }
  /** Put together from Debian packages of a host image's release. */
  | { from: 'packages'; packages: string[] }
  | {
      from: 'build';
      /** Directory. */
      context: string;
      dockerfile: string;
      target: string | null;
      arguments: Record<string, string>;
      /** Whether its steps reach the outside. */
      outside: boolean;
    };

/** What the cache knows of a container image in it. */
export interface ContainerArchiveFacts {
  /** What the engine calls it: `postgres:16`. */
  name: string;
  source: ContainerImageSource;
  /** Digest of the manifest in its registry, or of the file it came from: what a lock file pins. */
  digest: string;
  /** Of the Debian packages in it, where it is made of them. */
  versions?: Record<string, string>;
}

/** A container image in the cache, as an archive that `docker load` takes. */
export type ContainerArchive = CacheEntry<ContainerArchiveFacts>;

/** The archive inside its entry. */
export const archiveFile = 'image.tar';

/** The name of an entry for people: letters of the image's name that a file name may have. */
export function entryName(name: string): string {
  return (
    name
      .toLowerCase()
      .replace(/[^a-z0-9.-]+/g, '-')
      .replace(/^[-.]+|[-.]+$/g, '')
      .slice(0, 60) || 'image'
  );
}
