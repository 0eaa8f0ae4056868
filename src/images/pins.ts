import { z } from 'zod';
import { NetrigError } from '../errors.js';

/** What a lock file pins: which content is meant by names whose content changes in time. */
export interface Pins {
  /** Digests: by reference in full, of a registry; by `archive NAME`, of files. */
  images: Record<string, string>;
  /** Versions of Debian packages: by `image NAME` of a container image, by `HOST-IMAGE: PACKAGES` of a host. */
  packages: Record<string, Record<string, string>>;
}

const zPins = z.strictObject({
  version: z.literal(1),
  images: z.record(z.string(), z.string().regex(/^sha256:[0-9a-f]{64}$/)),
  packages: z.record(z.string(), z.record(z.string(), z.string())),
});

/** The lock file of a scenario file: `lab.yaml` has `lab.lock.json` beside it. */
export function lockFileOf(scenario: string): string {
  return `${scenario.replace(/\.ya?ml$/i, '')}.lock.json`;
}

/** Reads the text of a lock file, or says why it is none. */
export function parsePins(text: string): Pins | { problem: string } {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return { problem: 'it is not JSON' };
  }
  const parsed = zPins.safeParse(data);
  if (parsed.success) return { images: parsed.data.images, packages: parsed.data.packages };
  const [issue] = parsed.error.issues;
  return { problem: `${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'not as it should be'}` };
}

export function printPins({ images, packages }: Pins): string {
  const sorted = <T>(record: Record<string, T>): Record<string, T> =>
    Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
  const versions = Object.fromEntries(Object.entries(sorted(packages)).map(([name, all]) => [name, sorted(all)]));
  return `${JSON.stringify({ version: 1, images: sorted(images), packages: versions }, null, 2)}\n`;
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
