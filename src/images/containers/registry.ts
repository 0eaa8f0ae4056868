import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isNetrigError, NetrigError } from '../../errors.js';
import { contentKey, ensureEntry, listEntries, type BuildPlace } from '../cache-entry.js';
import { noteUse } from '../use.js';
import { requireNetwork } from '../offline.js';
import type { ImageOptions } from '../build-site.js';
import { archiveFile, entryName, type ContainerArchive, type ContainerArchiveFacts } from './container-archive.js';
import {
  canonicalReference,
  isLoopbackRegistry,
  loadedName,
  parseReference,
  type ImageReference,
} from './reference.js';
import { fetchError, skopeo } from './skopeo.js';

/** What an image may need at its peak; a registry does not tell before. */
const neededBytes = 1_000_000_000;

/** How long a registry may take, ms: to say what it has, and to deliver it. */
export interface FetchLimits {
  askMs: number;
  fetchMs: number;
}

const fetchLimits: FetchLimits = { askMs: 60_000, fetchMs: 1_800_000 };

function parsed(text: string): ImageReference {
  const reference = parseReference(text);
  if (reference) return reference;
  throw new NetrigError('NETRIG_IMAGE_NOT_FOUND', `"${text}" is no reference of a container image`, {
    hint: 'Write it as for `docker pull`: `postgres:16`, `registry.example:5000/team/app:1`, `name@sha256:…`.',
  });
}

const transport = (reference: ImageReference): string => {
  // skopeo takes a tag or a digest, not both; the digest says more.
  const one = reference.digest === null ? reference : { ...reference, tag: null };
  return `docker://${canonicalReference(one)}`;
};

async function fetchImage(
  reference: ImageReference,
  name: string,
  limits: FetchLimits,
  place: BuildPlace,
): Promise<ContainerArchiveFacts> {
  const canonical = canonicalReference(reference);
  requireNetwork(`the container image ${canonical}`);
  const plain = isLoopbackRegistry(reference) ? ['--tls-verify=false'] : [];
  const asked = await skopeo(
    [
      '--command-timeout',
      `${limits.askMs}ms`,
      'inspect',
      ...plain,
      '--no-tags',
      '--format',
      '{{.Digest}}',
      transport(reference),
    ],
    place,
  );
  if (asked.exitCode !== 0) throw fetchError(canonical, asked.output, place.logFile);
  const digest = /^sha256:[0-9a-f]{64}$/m.exec(asked.output)?.[0];
  if (digest === undefined) throw fetchError(canonical, asked.output, place.logFile);
  if (reference.digest !== null && reference.digest !== digest && !asked.output.includes(reference.digest))
    place.progress(`${canonical} is a list of images; that for this machine is ${digest}`);
  place.progress(`fetching ${canonical}`);
  // By the digest just seen, so that what the facts say is what came.
  const pinned = { ...reference, tag: null, digest: reference.digest ?? digest };
  const copied = await skopeo(
    [
      '--command-timeout',
      `${limits.fetchMs}ms`,
      'copy',
      '--quiet',
      ...plain.map((flag) => flag.replace('--', '--src-')),
      transport(pinned),
      `docker-archive:${join(place.directory, archiveFile)}:${name}`,
    ],
    place,
  );
  if (copied.exitCode !== 0) throw fetchError(canonical, copied.output, place.logFile);
  return { name, source: { from: 'registry', reference: canonical }, digest: pinned.digest };
}

/** Where a registry is not to be had: which other images of the repository the cache has. */
async function withOthers(error: unknown, { registry, repository }: ImageReference): Promise<unknown> {
  if (!isNetrigError(error, 'NETRIG_REGISTRY_UNREACHABLE') && !isNetrigError(error, 'NETRIG_OFFLINE')) return error;
  const others = (await listEntries<ContainerArchiveFacts>('containers')).flatMap(({ facts, builtAt }) => {
    const other = facts.source.from === 'registry' ? parseReference(facts.source.reference) : null;
    return other?.registry === registry && other.repository === repository
      ? [`${facts.name} of ${builtAt.slice(0, 10)}`]
      : [];
  });
  const hint = `The cache has ${others.join(', ')}: name that one where it will do. ${error.hint}`;
  return others.length === 0 ? error : new NetrigError(error.code, error.message, { hint, cause: error });
}

/** An image of that name and digest that came by its tag. */
async function sameContent(name: string, digest: string): Promise<ContainerArchive | null> {
  const entries = await listEntries<ContainerArchiveFacts>('containers');
  const one = entries.find(
    ({ facts }) => facts.name === name && facts.digest === digest && facts.source.from === 'registry',
  );
  if (one === undefined) return null;
  // Noted before it is believed to stay.
  await noteUse(one.directory);
  return existsSync(one.directory) ? one : null;
}

/**
 * An image of a registry, fetched where the cache does not have it. Fetched once, it stays as it is until it is removed
 * from the cache: a tag is not looked up again. `name` is what engines are to list it by, with a tag.
 *
 * Throws NETRIG_IMAGE_NOT_FOUND, NETRIG_IMAGE_DIGEST, NETRIG_REGISTRY_UNREACHABLE, NETRIG_TOOL_MISSING (skopeo), and what
 * `ensureEntry` throws.
 */
export async function ensureRegistryImage(
  text: string,
  options: ImageOptions,
  name = loadedName(parsed(text)),
  limits = fetchLimits,
): Promise<ContainerArchive> {
  const reference = parsed(text);
  const canonical = canonicalReference(reference);
  const known = reference.digest === null ? null : await sameContent(name, reference.digest);
  if (known !== null) return known;
  return ensureEntry(
    { room: 'containers', name: entryName(name), key: contentKey('registry', canonical, name) },
    {
      subject: `the container image ${canonical}`,
      neededBytes,
      make: (place) => fetchImage(reference, name, limits, place),
    },
    options,
  ).catch(async (error: unknown) => {
    throw await withOthers(error, reference);
  });
}
