import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { NetrigError, messageOf } from '../../errors.js';
import { contentKey, ensureEntry, type BuildPlace } from '../cache-entry.js';
import { containerImageRecipes } from '../container-images.js';
import { requireNetwork } from '../offline.js';
import type { ImageOptions } from '../build-site.js';
import {
  archiveFile,
  entryName,
  type ContainerArchive,
  type ContainerArchiveFacts,
  type ContainerImageSource,
} from './container-archive.js';
import { readDockerfile } from './dockerfile.js';
import { fileDigest } from './file-digest.js';
import { canonicalReference, engineName, loadedName, parseReference } from './reference.js';
import type { WantedImage } from './wanted-image.js';

export type DockerfileSource = Extract<ContainerImageSource, { from: 'build' }>;

/** A build of a Dockerfile, all that it stands on at hand. */
export interface DockerfileBuild {
  /** What the engine is to call the image. */
  name: string;
  source: DockerfileSource;
  /** The Dockerfile's text as it is to be used. */
  text: string;
  /** Its path for messages. */
  shownFile: string;
  /** Where the build is asked for. */
  at: string;
  /** Images that it stands on, beyond netrig's own. */
  images: WantedImage[];
}

/**
 * Builds an image on a machine that is not this one, and leaves its archive in the place's directory, as `archiveFile`.
 *
 * Throws NETRIG_DOCKERFILE where the Dockerfile is to blame.
 */
export type ImageBuilder = (build: DockerfileBuild, place: BuildPlace) => Promise<void>;

/** Raised when what builds an image changes what comes out of it. */
const format = 1;
/** What a build may need at its peak in the cache. */
const neededBytes = 500_000_000;

/** A digest of everything below a directory: names, modes, contents, where links point. */
async function treeDigest(directory: string): Promise<string> {
  const hash = createHash('sha256');
  const walk = async (path: string): Promise<void> => {
    for (const name of (await readdir(path)).sort()) {
      const file = join(path, name);
      const info = await lstat(file);
      const content = info.isFile() ? await fileDigest(file) : info.isSymbolicLink() ? await readlink(file) : '';
      hash.update(JSON.stringify([relative(directory, file), info.mode, content]));
      if (info.isDirectory()) await walk(file);
    }
  };
  await walk(directory);
  return hash.digest('hex');
}

const ownNames = new Set(containerImageRecipes.map(({ name }) => `${name}:latest`));

/** The images that a Dockerfile needs, as far as they are not netrig's own. `known` explains names that the scenario gives. */
function neededImages(
  images: readonly { reference: string; line: number }[],
  shownFile: string,
  known: ReadonlyMap<string, WantedImage>,
): WantedImage[] {
  const wanted = new Map<string, WantedImage>();
  for (const { reference: text, line } of images) {
    const reference = parseReference(text)!;
    const at = `${shownFile}:${line}`;
    const name = loadedName(reference);
    const explained = known.get(name);
    if (explained !== undefined) wanted.set(name, explained);
    else if (!ownNames.has(engineName(reference)))
      wanted.set(name, { name, source: { from: 'registry', reference: canonicalReference(reference) }, at });
  }
  return [...wanted.values()];
}

const nameInStore = (text: string): string => {
  const reference = parseReference(text);
  return reference?.digest ? loadedName(reference) : text;
};

/** Ways to what a build stands on. */
export interface BuildSurroundings {
  known: ReadonlyMap<string, WantedImage>;
  /** The archives of images that a build stands on. */
  ensure(images: readonly WantedImage[]): Promise<ContainerArchive[]>;
  builder: ImageBuilder;
}

/**
 * An image that a Dockerfile describes, built where the cache does not have it. What decides whether it has: the Dockerfile, the
 * files of its context, the arguments, and the content of the images that it stands on.
 *
 * Throws NETRIG_DOCKERFILE, what the builder and `ensureEntry` throw, and what keeps an image that it stands on from being had.
 */
export async function ensureBuiltImage(
  { name, source, at }: WantedImage & { source: DockerfileSource },
  surroundings: BuildSurroundings,
  options: ImageOptions,
): Promise<ContainerArchive> {
  const shownFile = relative(process.cwd(), source.dockerfile).replace(/^\.\.\/.*$/s, source.dockerfile);
  const original = await readFile(source.dockerfile, 'utf8').catch((error: unknown) => {
    throw new NetrigError('NETRIG_DOCKERFILE', `${shownFile} cannot be read: ${messageOf(error)}`);
  });
  const read = readDockerfile(original, source.arguments, nameInStore);
  if ('problem' in read) throw new NetrigError('NETRIG_DOCKERFILE', `${shownFile}:${read.line}: ${read.problem}`);
  const images = neededImages(read.images, shownFile, surroundings.known);
  const bases = await surroundings.ensure(images);
  const build: DockerfileBuild = { name, source, text: read.text, shownFile, at, images };
  const { target, outside, arguments: given } = source;
  const decides = [
    original,
    await treeDigest(source.context),
    Object.entries(given).sort(),
    target,
    outside,
    bases.map(({ facts }) => facts.digest).sort(),
    containerImageRecipes,
  ];
  return ensureEntry<ContainerArchiveFacts>(
    { room: 'containers', name: entryName(name), key: contentKey('build', format, name, decides) },
    {
      subject: `the container image ${name}`,
      neededBytes,
      async make(place) {
        if (outside) requireNetwork(`the container image ${name}, whose build reaches the outside`);
        await surroundings.builder(build, place);
        return { name, source, digest: `sha256:${await fileDigest(join(place.directory, archiveFile))}` };
      },
    },
    options,
  );
}
