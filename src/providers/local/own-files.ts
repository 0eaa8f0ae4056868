import { readFileSync, realpathSync } from 'node:fs';
import { join, sep } from 'node:path';
import type { HostImage } from '../../images/host-image.js';

/** A file of the image as its hosts will see it: that of the topmost layer. `''` where none has it, or a link leads out of the layer. */
export function textInImage({ layers, root }: HostImage, path: string): string {
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
