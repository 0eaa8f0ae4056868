import { NetrigError } from '../errors.js';

/** What the machine, and not a mistake of netrig, has to say against writing a file. */
const refusals: Partial<Record<string, string>> = {
  ENOSPC: 'no space is left there',
  EDQUOT: 'the quota there is used up',
  EROFS: 'the file system there is read-only',
  EACCES: 'permission denied',
};

/** What it has to say against making a directory, where a name is the user's. */
const refusedDirectories: Partial<Record<string, string>> = {
  ENOTDIR: 'part of its path is no directory',
  ENOENT: 'no directory can be made there',
  EPERM: 'no directory can be made there',
  ELOOP: 'its path goes round in a circle of links',
  ENAMETOOLONG: 'its path is too long',
};

/**
 * The error itself where it is coded, NETRIG_WRITE for a file system that let something of netrig's not be written, and `null`
 * for what is a mistake of netrig.
 */
export function asCoded(error: unknown): NetrigError | null {
  if (error instanceof NetrigError) return error;
  const {
    code = '',
    path,
    dest,
    syscall,
  } = (error instanceof Error ? error : {}) as NodeJS.ErrnoException & {
    dest?: string;
  };
  const refusal = refusals[code] ?? (syscall === 'mkdir' ? refusedDirectories[code] : undefined);
  if (refusal === undefined) return null;
  const place = dest ?? path;
  return new NetrigError('NETRIG_WRITE', `${place ?? 'A file'} could not be written: ${refusal}.`, { cause: error });
}
