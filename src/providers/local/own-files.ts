import { readFileSync, realpathSync } from 'node:fs';
import { join, sep } from 'node:path';
import type { HostImage } from '../../images/host-image.js';
import type { HostPlan } from '../../plan/lab-plan.js';
import { ownerIn } from '../../ssh/owner.js';
import { tarOf } from '../../ssh/tar.js';
import { readOwnFiles, requireOwner } from '../../ssh/own-files.js';

/** A file of the image as its hosts will see it: that of the topmost layer. `''` where none has it, or a link leads out of the layer. */
function textInImage({ layers, root }: HostImage, path: string): string {
  for (const tree of [...layers, root]) {
    try {
      const real = realpathSync(join(tree, path));
      return real.startsWith(realpathSync(tree) + sep) ? readFileSync(real, 'utf8') : '';
    } catch {
      continue;
    }
  }
  return '';
}

/**
 * What a host has from its start, as an archive for its boot script; `null` for nothing.
 *
 * Throws NETRIG_OWN_FILE.
 */
export async function ownFilesArchive(host: HostPlan, image: HostImage): Promise<Buffer | null> {
  if (!host.files) return null;
  const trees = [];
  for (const file of host.files) {
    const owner =
      file.owner === undefined
        ? { uid: 0, gid: 0 }
        : requireOwner(
            host.name,
            file,
            ownerIn(file.owner, textInImage(image, 'etc/passwd'), textInImage(image, 'etc/group')),
          );
    trees.push({ entries: await readOwnFiles(file), owner });
  }
  return tarOf(trees);
}
