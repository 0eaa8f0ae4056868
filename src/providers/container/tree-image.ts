import { basename, dirname } from 'node:path';
import { isNetrigError, NetrigError } from '../../errors.js';
import { contentKey } from '../../images/cache-entry.js';
import { ensureForeignRoot, type ForeignRoot } from '../../images/foreign-root.js';
import type { HostImage } from '../../images/host-image.js';
import { toolsImage } from '../../images/made-to-order.js';
import { requireHostImageRow } from '../../images/recipe.js';
import { ensureHostImage } from '../../images/store.js';
import { toolsPlace } from '../shared/tools-place.js';
import { ask } from './engine.js';
import {
  type EngineImageOptions,
  engineReference,
  importArchive,
  labelsOf,
  layersMadeHere,
  withEngineImageLock,
} from './image.js';
import { imageLabel, labLabels, ownMark, treeLabel } from './labels.js';
import { sendTar } from './tar-stream.js';
import { commitImage, withContainer } from './work-container.js';

/** An image of the engine that is somebody's root file system, with netrig's own tools at `/.netrig`. */
export interface TreeImage {
  reference: string;
  /** As the cache has it. */
  tree: HostImage;
}

/** Raised when what an image is made into changes for the same tree and tools. */
const format = 1;
const putMs = 10 * 60_000;

/** The image that all trees stand on: netrig's tools, and nothing else. */
async function ensureTools(tools: HostImage, options: EngineImageOptions): Promise<string> {
  const [, tag] = engineReference(requireHostImageRow(toolsImage)).split(':');
  const reference = `netrig/tools:${tag}-${format}`;
  await withEngineImageLock('tools', 'netrig’s tools of the Docker engine', options, async () => {
    if ((await labelsOf(reference, options)) !== null) return;
    options.progress(`putting netrig’s tools into the Docker engine ${options.info.name}`);
    // Entries of the tree begin with "./"; symbolic links keep their targets.
    const words = [`--transform=flags=rhS;s,^\\.\\(/\\|$\\),.${toolsPlace}\\1,`, '-C', tools.root, '.'];
    await importArchive(words, { reference, labels: `${imageLabel}=tools`, name: 'netrig’s tools' }, options);
  });
  return reference;
}

/**
 * Somebody's root file system in the engine's store: the cache's tree as a layer over netrig's tools, made first where the
 * engine has none.
 *
 * Throws NETRIG_HOST_ROOT with its place, NETRIG_CAPABILITY where this machine cannot unpack one, NETRIG_IMAGE_BUILD,
 * NETRIG_ENGINE_UNREACHABLE, NETRIG_INTERRUPTED, and what `ensureForeignRoot` throws.
 */
export async function ensureTreeImage(
  root: ForeignRoot,
  name: string,
  options: EngineImageOptions,
): Promise<TreeImage> {
  const { endpoint, info, signal } = options;
  if (!layersMadeHere(info))
    throw new NetrigError(
      'NETRIG_CAPABILITY',
      `${root.place}: a host of ${basename(root.path)} can be made where netrig runs as root on Linux, on a machine of the engine's kind: owners and devices of a tree are unpacked there.`,
      { hint: 'Run netrig as root on Linux, or give the host an image of netrig’s.' },
    );
  const tools = await ensureHostImage(toolsImage, options);
  const tree = await ensureForeignRoot(root, name, tools, options);
  const base = await ensureTools(tools, options);
  const identity = basename(dirname(tree.root));
  const reference = `netrig/tree:${contentKey('engine tree', format, identity, base)}`;
  const what = `put ${basename(root.path)} into its store`;
  const make = async (): Promise<void> => {
    if ((await labelsOf(reference, options)) !== null) return;
    options.progress(`${name}: putting it into the Docker engine ${info.name}`);
    const create = {
      Image: base,
      Entrypoint: [`${toolsPlace}/bin/busybox`, 'true'],
      Labels: labLabels(`image-tree-${process.pid}`, ownMark()),
      HostConfig: { NetworkMode: 'none' },
    };
    await withContainer(options, what, create, async (container) => {
      await sendTar(['-C', tree.root, '.'], 'security.capability', (archive) =>
        ask(endpoint, what, putMs, container.putArchive(archive, { path: '/' }), signal),
      );
      const labels = { [imageLabel]: 'tree', [treeLabel]: identity };
      await commitImage(options, what, container, { reference, labels, comment: `a host of ${basename(root.path)}` });
    });
  };
  try {
    await withEngineImageLock(reference, `${basename(root.path)} in the Docker engine`, options, make);
  } catch (error) {
    if (!isNetrigError(error, 'NETRIG_ENGINE_REFUSED')) throw error;
    throw new NetrigError('NETRIG_IMAGE_BUILD', `${root.place}: ${error.message}`, { cause: error });
  }
  return { reference, tree };
}
