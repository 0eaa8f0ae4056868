import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type Docker from 'dockerode';
import { isNetrigError, messageOf, NetrigError } from '../../errors.js';
import { type HostImageRow } from '../../images/host-image.js';
import { takeLock } from '../../images/lock.js';
import { outerIds } from '../../lab/outer-users.js';
import { imageRecipe, recipeKey, requireHostImageRow } from '../../images/recipe.js';
import { ensureHostImage, imagesDirectory, listHostImages } from '../../images/store.js';
import type { HostImage } from '../../images/host-image.js';
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
import { imageLabel } from './labels.js';

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
const format = 1;
/** Putting 600 MB through a socket and unpacking them, ms. */
const importMs = 10 * 60_000;
const lockMs = 30 * 60_000;

/** The reference under which an engine has the host image of the present recipe. */
export function engineReference(row: HostImageRow): string {
  return `netrig/${row.name}:${recipeKey(imageRecipe(row))}-${format}`;
}

async function present(reference: string, { endpoint, engine, signal }: EngineImageOptions): Promise<boolean> {
  try {
    await ask(endpoint, `look for the image ${reference}`, questionMs, engine.getImage(reference).inspect(), signal);
    return true;
  } catch (error) {
    if (isNetrigError(error, 'NETRIG_ENGINE_REFUSED') && engineStatus(error.cause) === 404) return false;
    throw error;
  }
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
  const { endpoint, engine, signal } = options;
  const data = image.dockerData === null ? [] : ['-C', dirname(image.dockerData), basename(image.dockerData)];
  const child = spawn(
    'tar',
    [
      '--create',
      '--file',
      '-',
      '--numeric-owner',
      '--xattrs',
      '--xattrs-include=*',
      '--one-file-system',
      '--sparse',
      // Entries of the tree begin with "./"; symbolic links keep their targets.
      `--transform=flags=rhS;s,^${basename(image.dockerData ?? 'docker')}\\(/\\|$\\),./var/lib/docker\\1,`,
      '-C',
      image.root,
      '.',
      ...data,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (words = (words + text).slice(-2000)));
  const tar = new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signalName) =>
      code === 0 ? resolve() : reject(new Error(`tar ended with ${signalName ?? `status ${code}`}: ${words.trim()}`)),
    );
  });
  tar.catch(() => undefined);
  try {
    const [repo, tag] = reference.split(':');
    const sent = engine.importImage(child.stdout, { repo, tag, changes: [`LABEL ${imageLabel}=${image.name}`] });
    // The answer is a stream of JSON lines that ends when the import has.
    const answer = await ask(endpoint, `import the image ${image.name}`, importMs, sent, signal);
    const end = await ask(endpoint, `import the image ${image.name}`, importMs, readAnswer(answer), signal);
    await tar;
    if (end !== null)
      throw new NetrigError('NETRIG_IMAGE_BUILD', `The Docker engine could not import the image ${image.name}: ${end}`);
  } finally {
    if (child.exitCode === null) child.kill('SIGKILL');
  }
}

/** Reads an answer that comes as JSON lines to its end; the error in it, or `null`. */
export async function readAnswer(
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
  const fits = process.platform === 'linux' && debianArchitecture(process.arch) === info.architecture;
  const fromCache = async (): Promise<void> => {
    const image = await ensureHostImage(row.name, { signal, progress });
    progress(`${row.name}: putting it into the Docker engine ${info.name}`);
    await importTree(image, reference, options);
  };
  const ready =
    fits &&
    (await listHostImages()).some(
      (one) => one.name === row.name && one.state === 'ready' && one.directory !== null && existsSync(one.directory),
    );
  if (ready) return fromCache();
  const registry = await buildFromRegistry(row, reference, options).then(
    () => null,
    (error: unknown) => {
      if (signal.aborted || isNetrigError(error, 'NETRIG_ENGINE_UNREACHABLE')) throw error;
      return messageOf(error);
    },
  );
  if (registry === null) return;
  if (fits && process.getuid?.() === 0 && outerIds() === null) {
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
  const { signal, progress } = options;
  const locked = existsSync(imagesDirectory()) && process.platform === 'linux';
  const lock = locked
    ? await takeLock(join(imagesDirectory(), `.lock-engine-${name}`), {
        subject: `the image ${name} of the Docker engine`,
        deadlineMs: lockMs,
        signal,
        progress,
      })
    : null;
  try {
    if (await present(reference, options)) return image;
    await make(row, options);
    await removeOlder(row, options);
    return image;
  } catch (error) {
    if (signal.aborted)
      throw new NetrigError('NETRIG_INTERRUPTED', `Interrupted while the image ${name} was made.`, { cause: error });
    if (isNetrigError(error, 'NETRIG_ENGINE_REFUSED'))
      throw new NetrigError(
        'NETRIG_IMAGE_BUILD',
        `The image ${name} could not be put into the engine: ${engineWords(error.cause ?? error)}`,
        { cause: error },
      );
    throw error;
  } finally {
    await lock?.release();
  }
}
