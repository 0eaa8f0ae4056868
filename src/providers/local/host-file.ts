import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs';
import { isAlive, type ProcessIdentity } from '../../lab/process.js';

/** O_PATH of Linux (open(2)), which Node does not name: a handle on a file that is not opened itself. */
const oPath = 0o10000000;

/**
 * A file of a host, held by a handle so that no link leads anywhere else: each part of the path is opened by itself, and a
 * symbolic link is refused. A path below /proc/PID/root as a whole would be the host's to bend, for an absolute link in it is
 * resolved against the root of whoever follows it.
 */
export interface HostFile {
  /** A name for the file as long as it is held. */
  path: string;
  /** A name for the directory it is in, and its name there, for unlink(2), which follows no link in the last part. */
  entry: string;
  close(): void;
}

/**
 * Holds the file of that kind at an absolute path of a host. Throws the file system's error, or an Error where there is a link
 * or a file of another kind, or the host has ended.
 */
export function holdFile(pid1: ProcessIdentity, path: string, isRight: (stats: Stats) => boolean): HostFile {
  const parts = path.split('/').filter(Boolean);
  const name = parts.pop()!;
  const held: number[] = [];
  const close = (): void => {
    for (const fd of held.splice(0)) closeSync(fd);
  };
  const hold = (at: string, flags: number): string => {
    const fd = openSync(at, oPath | flags);
    held.push(fd);
    return `/proc/self/fd/${fd}`;
  };
  try {
    let directory = hold(`/proc/${pid1.pid}/root`, constants.O_DIRECTORY);
    for (const part of parts) directory = hold(`${directory}/${part}`, constants.O_DIRECTORY | constants.O_NOFOLLOW);
    const file = hold(`${directory}/${name}`, constants.O_NOFOLLOW);
    if (!isRight(fstatSync(held.at(-1)!))) throw new Error(`${path} is something else than it should be`);
    // The pid may have become another process's on the way.
    if (!isAlive(pid1)) throw new Error('its PID 1 is gone');
    return { path: file, entry: `${directory}/${name}`, close };
  } catch (error) {
    close();
    throw error;
  }
}
