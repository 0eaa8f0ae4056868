import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { containerImageRecipes } from '../../images/container-images.js';
import type { ContainerImageSource } from '../../images/containers/container-archive.js';
import { dockerfileMistakes, type DockerfileMistake } from '../../images/containers/dockerfile-mistakes.js';
import {
  canonicalReference,
  engineName,
  isLoopbackRegistry,
  loadedName,
  parseReference,
} from '../../images/containers/reference.js';
import type { WantedImage } from '../../images/containers/wanted-image.js';
import { dockerWords, type DockerWords } from '../../language/docker-words.js';
import { shown } from '../../language/wording.js';
import type { Path } from '../diagnostic.js';
import type { ImagesShape, ImageSourceShape } from '../image-sources.js';
import type { ScenarioItem } from '../scenario.js';
import { isDataMap, maxFileBytes, type Data, type DataMap } from '../source.js';
import type { DeclaredLab } from './hosts-and-segments.js';
import { ownFileAt } from './own-files.js';
import type { Reading } from './reading.js';

/** The container images that a scenario's engines are to have. */
export interface ScenarioImages {
  /** Those that netrig puts together itself. */
  own: string[];
  wanted: WantedImage[];
  /** Hosts on which a step types `docker pull` of an image of Docker Hub’s. */
  pulling: Set<string>;
}

const ownImages = new Map(containerImageRecipes.map(({ name }) => [`${name}:latest`, name]));

interface Collection {
  reading: Reading;
  /** Whether builds reach the outside. */
  outside: boolean;
  own: Set<string>;
  /** By the name that the engine has the image by. */
  wanted: Map<string, WantedImage>;
}

/**
 * Everything that `images:`, the declared containers and the steps name. A name that `images:` explains is what it says there; of
 * the others netrig's own stay its own, the rest are references to registries.
 */
export function containerImages(
  reading: Reading,
  {
    images,
    outside,
    lab,
    items,
  }: {
    images: ImagesShape | undefined;
    outside: boolean;
    lab: DeclaredLab;
    items: readonly ScenarioItem[];
  },
): ScenarioImages {
  const collection: Collection = { reading, outside, own: new Set(), wanted: new Map() };
  const named = images === undefined ? [] : Array.isArray(images) ? images : [images];
  const pathOf = (index: number): Path => (Array.isArray(reading.data.images) ? ['images', index] : ['images']);
  // First what is explained: a name alone may stand before it.
  for (const [index, entry] of named.entries())
    if (typeof entry !== 'string')
      for (const [name, source] of Object.entries(entry)) explain(collection, name, source, [...pathOf(index), name]);
  for (const [index, entry] of named.entries())
    if (typeof entry === 'string') refer(collection, entry, atPath(collection, pathOf(index)));
  for (const [host, { docker }] of lab.hosts)
    for (const [name, { image }] of Object.entries(docker?.containers ?? {})) {
      const path = ['hosts', host, 'docker', 'containers', name, 'image'];
      if (!refer(collection, image, atPath(collection, path)))
        reading.mistakes.report(path, `expected a container image's name as for \`docker pull\`, got ${shown(image)}`);
    }
  // Machines that exist already have networks of their own: what is typed there is fetched there, as ever.
  const pulling = reading.given ? new Set<string>() : typed(collection, lab, items);
  return { own: [...collection.own], wanted: [...collection.wanted.values()], pulling };
}

function atPath({ reading }: Collection, path: Path): string {
  const { file = reading.source.file, line, column } = reading.source.place(path);
  return `${file}:${line}:${column}`;
}

function explain(collection: Collection, name: string, shape: ImageSourceShape, path: Path): void {
  const source = sourceOf(collection, shape, path);
  if (source === null) return;
  const full = engineName(parseReference(name)!);
  if (collection.wanted.has(full))
    collection.reading.mistakes.report(path, `the image ${shown(name)} is named a second time`, 'key');
  collection.wanted.set(full, { name: full, source, at: atPath(collection, path) });
}

function sourceOf(collection: Collection, shape: ImageSourceShape, path: Path): ContainerImageSource | null {
  if (shape.registry !== undefined)
    return { from: 'registry', reference: canonicalReference(parseReference(shape.registry)!) };
  if (shape.packages !== undefined) return { from: 'packages', packages: [...new Set(shape.packages)].sort() };
  if (shape.build !== undefined) return buildSource(collection, shape.build, [...path, 'build']);
  const at = [...path, 'archive'];
  const found = ownFileAt(collection.reading, at, shape.archive!, false, 'value');
  if (found === null) return null;
  if (!found.directory) return { from: 'archive', file: found.path };
  collection.reading.mistakes.report(at, `${shape.archive!} is a directory: name a file`);
  return null;
}

function buildSource(
  { reading, outside }: Collection,
  { context, dockerfile = 'Dockerfile', target, args }: NonNullable<ImageSourceShape['build']>,
  path: Path,
): ContainerImageSource | null {
  const { mistakes } = reading;
  const given = isDataMap(valueAt(reading.data, path));
  const contextPath = given ? [...path, 'context'] : path;
  const directory = ownFileAt(reading, contextPath, context, false, 'value');
  if (directory === null) return null;
  if (!directory.directory) {
    mistakes.report(contextPath, `${context} is a file: name the directory of the Dockerfile`);
    return null;
  }
  const filePath =
    given && 'dockerfile' in (valueAt(reading.data, path) as DataMap) ? [...path, 'dockerfile'] : contextPath;
  const file = ownFileAt(reading, filePath, join(context, dockerfile), false, 'value');
  if (file === null) return null;
  if (file.directory) {
    mistakes.report(filePath, `${join(context, dockerfile)} is a directory: name a Dockerfile`);
    return null;
  }
  const source = {
    from: 'build',
    context: directory.path,
    dockerfile: file.path,
    target: target ?? null,
    arguments: args,
    outside,
  } as const;
  for (const { line, message } of mistakesIn(source))
    mistakes.report(filePath, `${join(context, dockerfile)}:${line}: ${message}`);
  return source;
}

/** None of a file that cannot be read or is far too large for a Dockerfile: a build says so. */
function mistakesIn({
  dockerfile,
  context,
  target,
  arguments: buildArguments,
}: Extract<ContainerImageSource, { from: 'build' }>): DockerfileMistake[] {
  let text;
  try {
    if (statSync(dockerfile).size > maxFileBytes) return [];
    text = readFileSync(dockerfile, 'utf8');
  } catch {
    return [];
  }
  return dockerfileMistakes(text, { context, target, buildArguments });
}

function valueAt(data: Data, path: Path): Data | undefined {
  let here: Data | undefined = data;
  for (const part of path) here = (here as Record<string | number, Data> | undefined)?.[part];
  return here;
}

/** `false` for what is no reference. */
function refer({ own, wanted }: Collection, text: string, at: string): boolean {
  const reference = parseReference(text);
  if (reference === null) return false;
  const name = loadedName(reference);
  if (wanted.has(name)) return true;
  const ours = ownImages.get(engineName(reference));
  if (ours !== undefined) own.add(ours);
  else wanted.set(name, { name, source: { from: 'registry', reference: canonicalReference(reference) }, at });
  return true;
}

const isAddress = (registry: string): boolean => /^(?:\d+\.){3}\d+(?::\d+)?$|^\[/.test(registry);

/** References that steps type. One that the lab may make or have itself is not looked for elsewhere. Answers hosts that pull. */
function typed(collection: Collection, lab: DeclaredLab, items: readonly ScenarioItem[]): Set<string> {
  const scripts = items.flatMap((item) => {
    if (item.kind !== 'step') return [];
    const spec = item.spec as { run?: unknown; start?: unknown };
    const text = spec.run ?? spec.start;
    if (typeof text !== 'string') return [];
    return [{ item, words: dockerWords(item.late === null ? text : item.late.shown(text)) }];
  });
  const pulling = new Set(
    scripts.flatMap(({ item, words }) =>
      words.pulled.some((text) => parseReference(text)?.registry === 'docker.io') ? item.on : [],
    ),
  );
  if (scripts.some(({ words }) => words.makesUnnamed)) return pulling;
  const made = new Set(scripts.flatMap(({ words }) => words.made.flatMap(namesOf)));
  for (const { item, words } of scripts) {
    const { file = collection.reading.source.file, line, column } = item.source;
    for (const image of toFetch(words, made, lab)) refer(collection, image, `${file}:${line}:${column}`);
  }
  return pulling;
}

function namesOf(text: string): string[] {
  const reference = parseReference(text);
  return reference === null ? [] : [engineName(reference)];
}

function toFetch(words: DockerWords, made: ReadonlySet<string>, { hostNames }: DeclaredLab): string[] {
  return words.used.filter((text) => {
    const reference = parseReference(text);
    // The engine has an image by its digest only where it pulled it itself.
    if (reference === null || reference.digest !== null || made.has(engineName(reference))) return false;
    const registry = reference.registry.replace(/:\d+$/, '');
    return !isLoopbackRegistry(reference) && !isAddress(reference.registry) && !hostNames.has(registry);
  });
}
