import { NetrigError } from '../errors.js';

/** What a lock file pins: which content is meant by names whose content changes in time. */
export interface Pins {
  /** Digests: by reference in full, of a registry; by `archive NAME`, of files. */
  images: Record<string, string>;
  /** Versions of Debian packages: by `image NAME` of a container image, by `HOST-IMAGE: PACKAGES` of a host. */
  packages: Record<string, Record<string, string>>;
}

export const archivePin = (name: string): string => `archive ${name}`;
export const imagePackagesPin = (name: string): string => `image ${name}`;
export const hostPackagesPin = (image: string, packages: readonly string[]): string =>
  `${image}: ${[...new Set(packages)].sort().join(' ')}`;

/** Throws NETRIG_LOCK where a file is not the one that was locked. */
export function requireDigest(pins: Pins | undefined, key: string, digest: string): void {
  const pinned = pins?.images[key];
  if (pinned === undefined || pinned === digest) return;
  throw new NetrigError('NETRIG_LOCK', `${key} is ${digest} now, and ${pinned} in the lock file`);
}

const shownDifferences = 5;

/** Throws NETRIG_LOCK, naming packages, where versions are not those that were locked. */
export function requireVersions(pins: Pins | undefined, key: string, versions: Readonly<Record<string, string>>): void {
  const pinned = pins?.packages[key];
  if (pinned === undefined) return;
  const names = [...new Set([...Object.keys(pinned), ...Object.keys(versions)])].sort();
  const different = names.filter((name) => pinned[name] !== versions[name]);
  if (different.length === 0) return;
  const shown = different
    .slice(0, shownDifferences)
    .map((name) => `${name} ${pinned[name] ?? '(none)'} in the lock file, ${versions[name] ?? '(none)'} here`);
  const more = different.length > shownDifferences ? `, and ${different.length - shownDifferences} more` : '';
  throw new NetrigError(
    'NETRIG_LOCK',
    `the packages of ${key} are not those that were locked: ${shown.join('; ')}${more}`,
  );
}
