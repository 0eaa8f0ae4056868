import type { OutsideFiles } from '../../images/outside-files.js';
import type { HostPlan } from '../../plan/lab-plan.js';
import { readOwnFiles, requireOwner } from '../../ssh/own-files.js';
import { ownerIn } from '../../ssh/owner.js';
import { tarOf } from '../../ssh/tar.js';
import { outsideEntries } from './outside.js';

const root = { uid: 0, gid: 0 };

/**
 * What a host has from its start, as an archive for its boot script; `null` for nothing. `textOf` reads a file of the host that
 * is to come, by its absolute path: `''` where it has none.
 *
 * Throws NETRIG_OWN_FILE, and what `textOf` throws.
 */
export async function ownFilesArchive(
  host: HostPlan,
  textOf: (path: string) => string | Promise<string>,
  outside?: OutsideFiles,
): Promise<Buffer | null> {
  const trees = host.outside ? [{ entries: outsideEntries(host.name, outside), owner: root }] : [];
  for (const file of host.files ?? []) {
    const owner =
      file.owner === undefined
        ? root
        : requireOwner(host.name, file, ownerIn(file.owner, await textOf('/etc/passwd'), await textOf('/etc/group')));
    trees.push({ entries: await readOwnFiles(file), owner });
  }
  return trees.length === 0 ? null : tarOf(trees);
}
