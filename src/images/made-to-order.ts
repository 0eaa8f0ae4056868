import { NetrigError } from '../errors.js';
import { outerIds } from '../lab/outer-users.js';
import type { HostImage } from './host-image.js';
import { ensurePackageLayer, layerTree } from './package-layer.js';
import { ensureHostImage, type ImageOptions } from './store.js';
import { join } from 'node:path';

/** What one host wants its image to be: the row of the table, and what goes over it. */
export interface ImageOrder {
  image: string;
  packages?: readonly string[];
}

/** Hosts with equal keys stand on the same image. */
export function orderKey({ image, packages = [] }: ImageOrder): string {
  return packages.length === 0 ? image : `${image} with ${packages.join(' ')}`;
}

/**
 * The image that a host stands on, with everything made that the cache lacks.
 *
 * Throws NETRIG_NO_ROOT for packages where netrig runs without root, and what `ensureHostImage` and `ensurePackageLayer` throw.
 */
export async function ensureOrderedImage(
  order: ImageOrder,
  options: ImageOptions,
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
  const base = await ensureHostImage(order.image, options);
  if (!order.packages?.length) return base;
  const layer = await ensurePackageLayer(base, order.packages, options);
  return { ...base, layers: [join(layer.directory, layerTree), ...base.layers] };
}
