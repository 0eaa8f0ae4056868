import { NetrigError } from '../errors.js';
import { outerIds } from '../lab/outer-users.js';
import type { ContainerArchive } from './containers/container-archive.js';
import { ensureEngineStore } from './containers/engine-store.js';
import { ensureWantedImages, type WantedImage, type WantedImageOptions } from './containers/wanted-image.js';
import type { HostImage } from './host-image.js';
import { hostPackagesPin, requireVersions, type Pins } from './pins.js';
import { ensureForeignRoot, type ForeignRoot } from './foreign-root.js';
import { ensurePackageLayer, layerTree, type PackagePlaces } from './package-layer.js';
import type { ImageOptions } from './build-site.js';
import { ensureHostImage } from './store.js';
import { join } from 'node:path';

/** The image that netrig’s own tools come from, on hosts whose root file system is not netrig’s: one whose sshd is a single program. */
export const toolsImage = 'debian-12';

/** What one host wants its image to be: the row of the table, and what goes over it. */
export interface ImageOrder {
  image: string;
  packages?: readonly string[];
  /** Where the scenario names them. */
  packagePlaces?: PackagePlaces;
  /** In place of an image of the table. */
  root?: ForeignRoot;
  /** Container images that its engine has from the start, beyond those of the row. */
  wantedImages?: readonly WantedImage[];
  /** What a lock file says of both. */
  pins?: Pins;
}

/** Hosts with equal keys stand on the same image. */
export function orderKey({ image, packages = [], wantedImages = [], root }: ImageOrder): string {
  if (root) return `${root.kind} ${root.path}`;
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
  if (order.root) {
    if (withoutRoot)
      throw new NetrigError('NETRIG_NO_ROOT', `A host of ${order.image} can be made by root only.`, {
        hint: 'Run as root: docs/without-root.md says what differs.',
      });
    return ensureForeignRoot(order.root, order.image, await ensureHostImage(toolsImage, options), options);
  }
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
  const archives = await ensureWantedImages(order.wantedImages ?? [], { ...options, pins: order.pins });
  const base = await ensureHostImage(order.image, options);
  const image = archives.length === 0 ? base : await withContainerImages(base, archives, options);
  if (!order.packages?.length) return image;
  const layer = await ensurePackageLayer(base, order.packages, options, order.packagePlaces);
  requireVersions(order.pins, hostPackagesPin(order.image, order.packages), layer.facts.versions);
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
