import { messageOf, NetrigError } from '../errors.js';
import { ownerOn } from './owner.js';
import type { HostConnection } from './ssh.js';
import { readTree, type TreeEntry, type TreeOwner } from './tree.js';

/** What a host is to have of the files of this machine, as a plan states it. */
interface OwnFile {
  from: string;
  to: string;
  owner?: string;
  mode?: number;
  /** Where it is named in the scenario. */
  place: string;
}

/** Reads what a host has from its start. Throws NETRIG_OWN_FILE for what cannot be taken along. */
export async function readOwnFiles({ from, to, mode, place }: OwnFile): Promise<TreeEntry[]> {
  try {
    return await readTree(from, to, mode ?? null);
  } catch (error) {
    throw new NetrigError('NETRIG_OWN_FILE', `${place}: ${messageOf(error)}.`, { cause: error });
  }
}

/** The owner that `files` names, or NETRIG_OWN_FILE where the host does not know it. */
export function requireOwner(
  host: string,
  { owner, place }: OwnFile,
  found: TreeOwner | { message: string },
): TreeOwner {
  if (!('message' in found)) return found;
  throw new NetrigError('NETRIG_OWN_FILE', `${place}: ${owner} owns no file on ${host}: ${found.message}.`, {
    hint: 'An account that a package brings is there when the package is in `packages`.',
  });
}

/** Puts onto a host what it is to have from its start. Throws NETRIG_OWN_FILE. */
export async function putOwnFiles(connection: HostConnection, host: string, files: readonly OwnFile[]): Promise<void> {
  for (const file of files) {
    const owner = file.owner === undefined ? null : requireOwner(host, file, await ownerOn(connection, file.owner));
    await connection.putTree(await readOwnFiles(file), owner);
  }
}
