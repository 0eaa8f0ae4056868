import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { NetrigError } from '../../errors.js';
import { contentKey, ensureEntry, type BuildPlace } from '../cache-entry.js';
import type { ImageOptions } from '../build-site.js';
import { archiveFile, entryName, type ContainerArchive, type ContainerArchiveFacts } from './container-archive.js';
import { fileDigest } from './file-digest.js';
import { engineName, parseReference } from './reference.js';
import { skopeo, wordsOf } from './skopeo.js';

/** The forms that an archive of an image may have, in skopeo's words: what `docker save` writes, and an OCI layout in a tar. */
const transports = ['docker-archive', 'oci-archive'] as const;

async function load(file: string, name: string, digest: string, place: BuildPlace): Promise<ContainerArchiveFacts> {
  const said: string[] = [];
  const target = `docker-archive:${join(place.directory, archiveFile)}:${name}`;
  for (const transport of transports) {
    const result = await skopeo(['copy', '--quiet', `${transport}:${file}`, target], place);
    if (result.exitCode === 0) return { name, source: { from: 'archive', file }, digest: `sha256:${digest}` };
    said.push(`as ${transport}: ${wordsOf(result.output)}`);
  }
  throw new NetrigError('NETRIG_IMAGE_ARCHIVE', `${file} is no archive of one container image (${said.join('; ')})`);
}

/**
 * An image out of a file that `docker save` or an OCI tool wrote, under the name that the scenario gives it.
 *
 * Throws NETRIG_IMAGE_ARCHIVE, NETRIG_TOOL_MISSING (skopeo), and what `ensureEntry` throws.
 */
export async function ensureSavedImage(file: string, name: string, options: ImageOptions): Promise<ContainerArchive> {
  const info = await stat(file).catch(() => null);
  if (!info?.isFile()) throw new NetrigError('NETRIG_IMAGE_ARCHIVE', `there is no file ${file}`);
  const reference = parseReference(name);
  if (reference === null) throw new NetrigError('NETRIG_IMAGE_ARCHIVE', `"${name}" is no name for a container image`);
  const digest = await fileDigest(file);
  const full = engineName(reference);
  return ensureEntry(
    { room: 'containers', name: entryName(full), key: contentKey('archive', digest, full) },
    {
      subject: `the container image ${full}`,
      neededBytes: info.size * 2,
      make: (place) => load(file, full, digest, place),
    },
    options,
  );
}
