import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import type { Stats } from 'ssh2';
import { isStatus, makeDirectory, plain, sftpStatus, withHandle, type Ask } from './sftp.js';
import type { TreeEntry, TreeOwner } from './tree.js';

/** Requests under way at once: enough to hide the way there and back, few enough for sshd's own limits on open handles. */
const atOnce = 16;

async function forEach<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items[Symbol.iterator]();
  const lane = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(atOnce, items.length) }, lane));
  for (const one of lanes) if (one.status === 'rejected') throw one.reason;
}

const remove = (ask: Ask, path: string): Promise<void> =>
  ask<void>((wrapper, answer) => wrapper.unlink(path, plain(answer))).catch(() => undefined);

/** What stands at a path, links followed or not; `null` for nothing. */
async function look(ask: Ask, path: string, follow: boolean): Promise<Stats | null> {
  try {
    return await ask<Stats>((wrapper, answer) => (follow ? wrapper.stat(path, answer) : wrapper.lstat(path, answer)));
  } catch (error) {
    if (isStatus(error, sftpStatus.NO_SUCH_FILE)) return null;
    throw error;
  }
}

type Directory = Extract<TreeEntry, { kind: 'directory' }>;

/** Makes the directories that are missing; one that is there keeps its mode and owner. Those made are put into `made`. */
async function makeDirectories(
  ask: Ask,
  directories: readonly Directory[],
  owner: TreeOwner | null,
  made: string[],
): Promise<void> {
  for (const { path, mode } of directories) {
    const there = await look(ask, path, true);
    if (there?.isDirectory()) continue;
    if (there) throw new Error(`${path} is there already, and no directory`);
    await makeDirectory(ask, path, made);
    if (owner) await ask<void>((wrapper, answer) => wrapper.chown(path, owner.uid, owner.gid, plain(answer)));
    await ask<void>((wrapper, answer) => wrapper.chmod(path, mode, plain(answer)));
  }
}

/** Puts a file or link beside its place, under a name that nobody reads. */
async function stage(
  ask: Ask,
  entry: Exclude<TreeEntry, Directory>,
  staged: string,
  owner: TreeOwner | null,
): Promise<void> {
  if (entry.kind === 'link') {
    await ask<void>((wrapper, answer) => wrapper.symlink(entry.target, staged, plain(answer)));
    return;
  }
  const { content, mode } = entry;
  const handle = await ask<Buffer>((wrapper, answer) => wrapper.open(staged, 'wx', { mode: 0o600 }, answer));
  await withHandle(ask, handle, async () => {
    if (content.length > 0)
      await ask<void>((wrapper, answer) => wrapper.write(handle, content, 0, content.length, 0, plain(answer)));
    // Set-user-id bits are cleared by a change of owner, too.
    if (owner) await ask<void>((wrapper, answer) => wrapper.fchown(handle, owner.uid, owner.gid, plain(answer)));
    await ask<void>((wrapper, answer) => wrapper.fchmod(handle, mode, plain(answer)));
  });
}

/**
 * Puts a tree on a host: everything is written beside its place first and renamed when all of it is there, so that what fails
 * before that leaves the host as it was. `owner`: `null` leaves what is made to who is logged in.
 */
export async function putTree(ask: Ask, entries: readonly TreeEntry[], owner: TreeOwner | null): Promise<void> {
  const made: string[] = [];
  const staged = new Map<string, string>();
  const leaves = entries.filter((entry) => entry.kind !== 'directory');
  try {
    await makeDirectories(
      ask,
      entries.filter((entry) => entry.kind === 'directory'),
      owner,
      made,
    );
    for (const directory of new Set(leaves.map(({ path }) => posix.dirname(path)))) {
      if (!(await look(ask, directory, true))) await makeDirectory(ask, directory, made);
    }
    await forEach(leaves, async ({ path }) => {
      if ((await look(ask, path, false))?.isDirectory()) throw new Error(`${path} is a directory`);
    });
    await forEach(leaves, async (entry) => {
      const name = posix.join(posix.dirname(entry.path), `.netrig-${randomBytes(8).toString('hex')}`);
      staged.set(name, entry.path);
      await stage(ask, entry, name, owner);
    });
    // rename(2) semantics; SFTP's own rename refuses a target that exists.
    await forEach([...staged], async ([name, path]) => {
      await ask<void>((wrapper, answer) => wrapper.ext_openssh_rename(name, path, plain(answer)));
      staged.delete(name);
    });
  } catch (error) {
    await forEach([...staged.keys()], (name) => remove(ask, name));
    for (const path of made.reverse())
      await ask<void>((wrapper, answer) => wrapper.rmdir(path, plain(answer))).catch(() => undefined);
    throw error;
  }
}
