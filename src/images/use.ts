import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isAlive, ownIdentity, type ProcessIdentity } from '../lab/process.js';

/**
 * Which processes may have lab hosts that stand on an image. The kernel would let us delete the lower directory of a
 * mounted overlay, with undefined results in the host, and does not tell what is mounted in other namespaces. So each
 * process that takes an image leaves a file here that names it; when the process is gone, so are its hosts.
 */
function usersDirectory(imageDirectory: string): string {
  return join(dirname(imageDirectory), '.users');
}

/** Notes that this process uses the image in that directory, for as long as it lives. Throws what the file system throws. */
export async function noteUse(imageDirectory: string): Promise<void> {
  const users = usersDirectory(imageDirectory);
  const { pid, startTime } = ownIdentity();
  try {
    await mkdir(users, { recursive: true });
    await writeFile(join(users, `${basename(imageDirectory)}.${pid}.${startTime}`), '');
    await forgetTheDead(users);
  } catch (error) {
    // from a cache that is read-only to us nobody like us removes an image
    if (!(error instanceof Error && 'code' in error && (error.code === 'EROFS' || error.code === 'EACCES')))
      throw error;
  }
}

/** A live process that uses the image in that directory, or null. */
export async function userOf(imageDirectory: string): Promise<ProcessIdentity | null> {
  for (const use of await uses(usersDirectory(imageDirectory))) {
    if (use.image === basename(imageDirectory) && isAlive(use.user)) return use.user;
  }
  return null;
}

async function uses(users: string): Promise<{ file: string; image: string; user: ProcessIdentity }[]> {
  const found: { file: string; image: string; user: ProcessIdentity }[] = [];
  for (const file of await readdir(users).catch(() => [])) {
    const match = /^(.+)\.(\d+)\.(\d+)$/.exec(file);
    if (match?.[1] !== undefined)
      found.push({ file, image: match[1], user: { pid: Number(match[2]), startTime: Number(match[3]) } });
  }
  return found;
}

async function forgetTheDead(users: string): Promise<void> {
  for (const { file, user } of await uses(users)) {
    if (!isAlive(user)) await rm(join(users, file), { force: true });
  }
}
