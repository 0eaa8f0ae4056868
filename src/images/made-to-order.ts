import { NetrigError } from '../errors.js';
import { outerIds } from '../lab/outer-users.js';
import type { ContainerArchive } from './containers/container-archive.js';
import { ensureEngineStore } from './containers/engine-store.js';
import { ensureWantedImages, type WantedImage, type WantedImageOptions } from './containers/wanted-image.js';
import type { HostImage } from './host-image.js';
import { ensurePackageLayer, layerTree } from './package-layer.js';
import { ensureHostImage, type ImageOptions } from './store.js';
import { join } from 'node:path';

/** What one host wants its image to be: the row of the table, and what goes over it. */
export interface ImageOrder {
  image: string;
  packages?: readonly string[];
  /** Container images that its engine has from the start, beyond those of the row. */
  wantedImages?: readonly WantedImage[];
}

/** Hosts with equal keys stand on the same image. */
export function orderKey({ image, packages = [], wantedImages = [] }: ImageOrder): string {
  const added = [...packages, ...wantedImages.map(({ name }) => name)];
  return added.length === 0 ? image : `${image} with ${added.join(' ')}`;
}

/**
 * The image that a host stands on, with everything made that the cache lacks.
 *
 * Throws NETRIG_NO_ROOT for packages and container images where netrig runs without root, and what `ensureHostImage`,
 * `ensurePackageLayer`, `ensureWantedImages` and `ensureEngineStore` throw.
 */
export async function ensureOrderedImage(
  order: ImageOrder,
  options: WantedImageOptions,
  withoutRoot = outerIds() !== null,
): Promise<HostImage> {
  // The files of an image have the ids of its hosts on disk then, and dpkg in the outer namespace would mix in its own.
  if (withoutRoot && order.packages?.length)
    throw new NetrigError(
      'NETRIG_NO_ROOT',
      `Packages for ${order.image} (${order.packages.join(' ')}) can be installed by root only.`,
      {
        hint: 'Leave `packages` out, or run as root: docs/without-root.md says what differs.',
      },
    );
  if (withoutRoot && order.wantedImages?.length)
    throw new NetrigError(
      'NETRIG_NO_ROOT',
      `${order.wantedImages[0]!.at}: the container image ${order.wantedImages[0]!.name} can be given to an engine by root only.`,
      {
        hint: 'Use the images that netrig puts together itself, or run as root: docs/without-root.md says what differs.',
      },
    );
  // First what is fetched from elsewhere: a wrong reference is told before anything long begins.
  const archives = await ensureWantedImages(order.wantedImages ?? [], options);
  const base = await ensureHostImage(order.image, options);
  const image = archives.length === 0 ? base : await withContainerImages(base, archives, options);
  if (!order.packages?.length) return image;
  const layer = await ensurePackageLayer(base, order.packages, options);
  return { ...image, layers: [join(layer.directory, layerTree), ...image.layers] };
}

async function withContainerImages(
  base: HostImage,
  archives: readonly ContainerArchive[],
  options: ImageOptions,
): Promise<HostImage> {
  const store = await ensureEngineStore(base, archives, options);
  return { ...base, dockerData: join(store.directory, 'docker'), containerImages: store.facts.containerImages };
}
