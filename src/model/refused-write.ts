import { NetrigError } from '../errors.js';

/** What the machine, and not a mistake of netrig, has to say against writing a file. */
const refusals: Partial<Record<string, string>> = {
  ENOSPC: 'no space is left there',
  EDQUOT: 'the quota there is used up',
  EROFS: 'the file system there is read-only',
  EACCES: 'permission denied',
};

/**
 * The error itself where it is coded, NETRIG_WRITE for a file system that let something of netrig's not be written, and `null`
 * for what is a mistake of netrig.
 */
export function asCoded(error: unknown): NetrigError | null {
  if (error instanceof NetrigError) return error;
  const { code, path, dest } = (error instanceof Error ? error : {}) as NodeJS.ErrnoException & { dest?: string };
  const refusal = code === undefined ? undefined : refusals[code];
  if (refusal === undefined) return null;
  const place = dest ?? path;
  return new NetrigError('NETRIG_WRITE', `${place ?? 'A file'} could not be written: ${refusal}.`, { cause: error });
}
