import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type Docker from 'dockerode';
import { isNetrigError, messageOf, NetrigError } from '../../errors.js';
import type { HostImage, HostImageRow, HostImageStatus } from '../../images/host-image.js';
import { takeLock } from '../../images/lock.js';
import { outerIds } from '../../lab/outer-users.js';
import { imageRecipe, recipeKey, requireHostImageRow } from '../../images/recipe.js';
import { imagesDirectory } from '../../images/cache-directory.js';
import { ensureHostImage, listHostImages } from '../../images/store.js';
import {
  ask,
  debianArchitecture,
  type EngineEndpoint,
  type EngineInfo,
  engineStatus,
  engineWords,
  questionMs,
} from './engine.js';
import { buildFromRegistry } from './image-build.js';
import { imageLabel, treeLabel } from './labels.js';
import { sendTar } from './tar-stream.js';

/** A host image in an engine's store. */
export interface EngineImage {
  /** `debian-12` */
  name: string;
  /** What containers are made from: `netrig/debian-12:KEY`. */
  reference: string;
}

export interface EngineImageOptions {
  endpoint: EngineEndpoint;
  engine: Docker;
  info: EngineInfo;
  signal: AbortSignal;
  progress(line: string): void;
}

/** Raised when what an image is made into changes for the same recipe. */
const format = 2;
/** Putting 600 MB through a socket and unpacking them, ms. */
const importMs = 10 * 60_000;
const lockMs = 30 * 60_000;

/** The reference under which an engine has the host image of the present recipe. */
export function engineReference(row: HostImageRow): string {
  return `netrig/${row.name}:${recipeKey(imageRecipe(row))}-${format}`;
}

/** The labels of an image in the engine's store; `null` where it has none of that name. */
export async function labelsOf(
  reference: string,
  { endpoint, engine, signal }: EngineImageOptions,
): Promise<Record<string, string> | null> {
  try {
    const what = `look for the image ${reference}`;
    const { Config } = await ask(endpoint, what, questionMs, engine.getImage(reference).inspect(), signal);
    return Config.Labels ?? {};
  } catch (error) {
    if (isNetrigError(error, 'NETRIG_ENGINE_REFUSED') && engineStatus(error.cause) === 404) return null;
    throw error;
  }
}

async function present(reference: string, options: EngineImageOptions): Promise<boolean> {
  return (await labelsOf(reference, options)) !== null;
}

/** What tells the tree of a built image from all others of the cache: where it stands, and when it was built. */
function treeIdentity({ directory, builtAt }: Pick<HostImageStatus, 'directory' | 'builtAt'>): string {
  return `${basename(directory ?? '')}@${builtAt ?? ''}`;
}

const fitsHere = (info: EngineInfo): boolean =>
  process.platform === 'linux' && debianArchitecture(process.arch) === info.architecture;

const isRoot = (): boolean => process.getuid?.() === 0 && outerIds() === null;

async function readyHere(row: HostImageRow): Promise<HostImageStatus | null> {
  const found = (await listHostImages()).find((one) => one.name === row.name && one.state === 'ready');
  return found?.directory && existsSync(found.directory) ? found : null;
}

/** Whether layers and trees can be unpacked on this machine, for that engine. */
export function layersMadeHere(info: EngineInfo): boolean {
  return fitsHere(info) && isRoot();
}

/** The identity of the tree that the cache has of an image, where layers over it can be made here; `null` where they can't. */
export async function treeOnHand(row: HostImageRow, info: EngineInfo): Promise<string | null> {
  if (!layersMadeHere(info)) return null;
  const found = await readyHere(row);
  return found && treeIdentity(found);
}

/** The host images that the engine has already, of the present recipes. */
export async function presentImages(
  rows: readonly HostImageRow[],
  options: EngineImageOptions,
): Promise<EngineImage[]> {
  const found = await Promise.all(
    rows.map(async (row) =>
      (await present(engineReference(row), options)) ? [{ name: row.name, reference: engineReference(row) }] : [],
    ),
  );
  return found.flat();
}

/** Sends the tree of a host image, with the warmed store of its engine at its place, to `docker import`. */
async function importTree(image: HostImage, reference: string, options: EngineImageOptions): Promise<void> {
  const data = image.dockerData === null ? [] : ['-C', dirname(image.dockerData), basename(image.dockerData)];
  const status = (await listHostImages()).find((one) => one.name === image.name);
  const labels = `${imageLabel}=${image.name} ${treeLabel}=${status ? treeIdentity(status) : ''}`;
  const words = [
    // Entries of the tree begin with "./"; symbolic links keep their targets.
    `--transform=flags=rhS;s,^${basename(image.dockerData ?? 'docker')}\\(/\\|$\\),./var/lib/docker\\1,`,
    ...['-C', image.root, '.', ...data],
  ];
  await importArchive(words, { reference, labels, name: `the image ${image.name}` }, options);
}

/** Makes an image of what tar(1) packs by those words. `name`: for messages. Throws NETRIG_IMAGE_BUILD, and what `ask` throws. */
export async function importArchive(
  words: readonly string[],
  { reference, labels, name }: { reference: string; labels: string; name: string },
  { endpoint, engine, signal }: EngineImageOptions,
): Promise<void> {
  const [repo, tag] = reference.split(':');
  const end = await sendTar(words, '*', async (archive) => {
    const sent = engine.importImage(archive, { repo, tag, changes: [`LABEL ${labels}`] });
    // The answer is a stream of JSON lines that ends when the import has.
    const answer = await ask(endpoint, `import ${name}`, importMs, sent, signal);
    return ask(endpoint, `import ${name}`, importMs, readAnswer(answer), signal);
  });
  if (end === null) return;
  throw new NetrigError('NETRIG_IMAGE_BUILD', `The Docker engine could not import ${name}: ${end}`);
}

/** Reads an answer that comes as JSON lines to its end; the error in it, or `null`. */
async function readAnswer(
  answer: NodeJS.ReadableStream,
  onLine: (line: { stream?: string; status?: string }) => void = () => undefined,
): Promise<string | null> {
  let rest = '';
  let failure: string | null = null;
  for await (const chunk of answer) {
    rest += chunk.toString();
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of [...lines]) {
      try {
        const value = JSON.parse(line) as { error?: string; stream?: string; status?: string };
        if (value.error !== undefined) failure = value.error;
        onLine(value);
      } catch {
        // A line that says nothing.
      }
    }
  }
  return failure;
}

/** Takes images of older recipes away, where no container stands on them. */
async function removeOlder(row: HostImageRow, { endpoint, engine }: EngineImageOptions): Promise<void> {
  const images = await ask(
    endpoint,
    'list its images',
    questionMs,
    engine.listImages({ filters: JSON.stringify({ label: [`${imageLabel}=${row.name}`] }) }),
  );
  for (const image of images) {
    if ((image.RepoTags ?? []).includes(engineReference(row))) continue;
    // Without force: the engine refuses while a container uses it, and it goes another time.
    await engine
      .getImage(image.Id)
      .remove()
      .catch(() => undefined);
  }
}

/**
 * Where an image comes from when the engine has none: the cache of built images where it is there and the engine's machine is
 * of this one's kind; else a registry's Debian, built on with the image's own recipe; else the cache after building it.
 */
async function make(row: HostImageRow, options: EngineImageOptions): Promise<void> {
  const { info, signal, progress } = options;
  const reference = engineReference(row);
  const fits = fitsHere(info);
  const fromCache = async (): Promise<void> => {
    const image = await ensureHostImage(row.name, { signal, progress });
    progress(`${row.name}: putting it into the Docker engine ${info.name}`);
    await importTree(image, reference, options);
  };
  if (fits && (await readyHere(row))) return fromCache();
  const registry = await buildFromRegistry(row, reference, options).then(
    () => null,
    (error: unknown) => {
      if (signal.aborted || isNetrigError(error, 'NETRIG_ENGINE_UNREACHABLE')) throw error;
      return messageOf(error);
    },
  );
  if (registry === null) return;
  if (fits && isRoot()) {
    progress(`${row.name}: not from a registry (${registry}); building it here`);
    return fromCache();
  }
  throw new NetrigError(
    'NETRIG_IMAGE_BUILD',
    `The image ${row.name} could not be made in the Docker engine ${info.name}: ${registry}`,
    {
      hint: fits
        ? `Let the engine reach a registry, or build the image here: \`sudo netrig images build ${row.name}\`.`
        : 'Let the engine reach a registry.',
    },
  );
}

/**
 * The host image in the engine's store, made first where it has none of the present recipe. Throws NETRIG_IMAGE_UNKNOWN,
 * NETRIG_IMAGE_BUILD, NETRIG_ENGINE_UNREACHABLE, NETRIG_INTERRUPTED and what building an image throws.
 */
export async function ensureEngineImage(name: string, options: EngineImageOptions): Promise<EngineImage> {
  const row = requireHostImageRow(name);
  const reference = engineReference(row);
  const image: EngineImage = { name, reference };
  if (await present(reference, options)) return image;
  try {
    await withEngineImageLock(name, `the image ${name} of the Docker engine`, options, async () => {
      if (await present(reference, options)) return;
      await make(row, options);
      await removeOlder(row, options);
    });
    return image;
  } catch (error) {
    if (options.signal.aborted)
      throw new NetrigError('NETRIG_INTERRUPTED', `Interrupted while the image ${name} was made.`, { cause: error });
    if (isNetrigError(error, 'NETRIG_ENGINE_REFUSED'))
      throw new NetrigError(
        'NETRIG_IMAGE_BUILD',
        `The image ${name} could not be put into the engine: ${engineWords(error.cause ?? error)}`,
        { cause: error },
      );
    throw error;
  }
}

/** Keeps other runs of this machine from making the same image of the engine at once. */
export async function withEngineImageLock(
  name: string,
  subject: string,
  { signal, progress }: EngineImageOptions,
  work: () => Promise<void>,
): Promise<void> {
  const locked = existsSync(imagesDirectory()) && process.platform === 'linux';
  const file = join(imagesDirectory(), `.lock-engine-${name.replaceAll(/[^a-z0-9.-]+/g, '-')}`);
  const lock = locked ? await takeLock(file, { subject, deadlineMs: lockMs, signal, progress }) : null;
  try {
    await work();
  } finally {
    await lock?.release();
  }
}
