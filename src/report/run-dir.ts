import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, NetrigError } from '../errors.js';
import { makeDirectory } from '../model/directory.js';

export interface RunDir {
  /** `20261104T101112.345Z-3f9a`: UTC time, so that names sort by age, and a random part for runs of the same moment. */
  id: string;
  /** `base` joined with the id. */
  dir: string;
  /** `base/latest`, or `null` where it could not be pointed to this run (a real directory stands there). */
  latest: string | null;
}

/**
 * Makes the directory of a new run below `base` and points `base/latest` to it, by a relative link put in place in one
 * rename: of two runs at once the last wins, and the link is never missing or broken.
 *
 * @throws NETRIG_REPORT_WRITE when the directory cannot be made.
 */
export async function createRunDir(base: string, now: Date = new Date()): Promise<RunDir> {
  const stamp = now.toISOString().replace(/[-:]/g, '');
  try {
    await makeDirectory(base);
    for (;;) {
      const id = `${stamp}-${randomBytes(2).toString('hex')}`;
      const dir = join(base, id);
      try {
        // The output of all commands goes into it: for its owner only.
        await mkdir(dir, { mode: 0o700 });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
        throw error;
      }
      return { id, dir, latest: await pointLatest(base, id) };
    }
  } catch (error) {
    throw new NetrigError(
      'NETRIG_REPORT_WRITE',
      `No directory for the run can be made in ${base}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

async function pointLatest(base: string, id: string): Promise<string | null> {
  const latest = join(base, 'latest');
  const fresh = join(base, `.latest-${id}`);
  try {
    await symlink(id, fresh);
    await rename(fresh, latest);
    return latest;
  } catch {
    await rm(fresh, { force: true });
    return null;
  }
}
