import { readFileSync, realpathSync } from 'node:fs';
import { join, sep } from 'node:path';
import type { HostImage } from '../../images/host-image.js';
import type { OutsideFiles } from '../../images/outside-files.js';
import { uplink } from '../../model/uplink.js';
import type { HostPlan } from '../../plan/lab-plan.js';
import { ownerIn } from '../../ssh/owner.js';
import type { TreeEntry } from '../../ssh/tree.js';
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

const root = { uid: 0, gid: 0 };

/** Name service by the machine's, and what else a host with a way to the outside gets. */
function outsideEntries(name: string, outside: OutsideFiles = { files: {}, hosts: [], left: [] }): TreeEntry[] {
  const texts = {
    ...outside.files,
    '/etc/resolv.conf': `nameserver ${uplink.nameServer}\n`,
    // As the boot script writes it, and more.
    '/etc/hosts': [
      '127.0.0.1 localhost',
      '::1 localhost ip6-localhost ip6-loopback',
      `127.0.1.1 ${name}`,
      ...outside.hosts,
      '',
    ].join('\n'),
  };
  return Object.entries(texts).map(([path, text]) => ({ kind: 'file', path, mode: 0o644, content: Buffer.from(text) }));
}

/**
 * What a host has from its start, as an archive for its boot script; `null` for nothing.
 *
 * Throws NETRIG_OWN_FILE.
 */
export async function ownFilesArchive(
  host: HostPlan,
  image: HostImage,
  outside?: OutsideFiles,
): Promise<Buffer | null> {
  const trees = host.outside ? [{ entries: outsideEntries(host.name, outside), owner: root }] : [];
  for (const file of host.files ?? []) {
    const owner =
      file.owner === undefined
        ? root
        : requireOwner(
            host.name,
            file,
            ownerIn(file.owner, textInImage(image, 'etc/passwd'), textInImage(image, 'etc/group')),
          );
    trees.push({ entries: await readOwnFiles(file), owner });
  }
  return trees.length === 0 ? null : tarOf(trees);
}
