import { readdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { lifeOf, ownIdentity, ownPidSpace, type PidSpace, type ProcessIdentity } from '../lab/process.js';
import { makeDirectory } from '../model/directory.js';

/**
 * Which processes may have lab hosts that stand on an image. The kernel would let us delete the lower directory of a
 * mounted overlay, with undefined results in the host, and does not tell what is mounted in other namespaces. So each
 * process that takes an image leaves a file here that names it, and the boot and pid namespace its pid belongs to; when the
 * process is gone, so are its hosts. One of another pid namespace counts as alive: nobody here can tell.
 */
function usersDirectory(imageDirectory: string): string {
  return join(dirname(imageDirectory), '.users');
}

/** Notes that this process uses the image in that directory, for as long as it lives. Throws what the file system throws. */
export async function noteUse(imageDirectory: string): Promise<void> {
  const users = usersDirectory(imageDirectory);
  const { pid, startTime } = ownIdentity();
  const { bootId, pidNamespace } = ownPidSpace();
  try {
    await makeDirectory(users);
    await writeFile(join(users, [basename(imageDirectory), bootId, pidNamespace, pid, startTime].join('.')), '');
    await forgetTheDead(users);
  } catch (error) {
    // from a cache that is read-only to us nobody like us removes an image
    if (!(error instanceof Error && 'code' in error && (error.code === 'EROFS' || error.code === 'EACCES')))
      throw error;
  }
}

/** A process that uses the image in that directory and is not known to be dead, or null. */
export async function userOf(imageDirectory: string): Promise<ProcessIdentity | null> {
  for (const use of await uses(usersDirectory(imageDirectory))) {
    if (use.image === basename(imageDirectory) && lifeOf(use.user, use.space) !== 'dead') return use.user;
  }
  return null;
}

interface Use {
  file: string;
  image: string;
  user: ProcessIdentity;
  space: PidSpace;
}

async function uses(users: string): Promise<Use[]> {
  const found: Use[] = [];
  for (const file of await readdir(users).catch(() => [])) {
    const match = /^(.+?)(?:\.([0-9a-f-]{36})\.(\d+))?\.(\d+)\.(\d+)$/.exec(file);
    if (match?.[1] === undefined) continue;
    // Older notes do not say where their pid belongs: here, then.
    const space = match[2] === undefined ? ownPidSpace() : { bootId: match[2], pidNamespace: match[3]! };
    found.push({ file, image: match[1], user: { pid: Number(match[4]), startTime: Number(match[5]) }, space });
  }
  return found;
}

async function forgetTheDead(users: string): Promise<void> {
  for (const { file, user, space } of await uses(users)) {
    if (lifeOf(user, space) === 'dead') await rm(join(users, file), { force: true });
  }
}
