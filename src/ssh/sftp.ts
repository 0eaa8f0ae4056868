import { posix } from 'node:path';
import ssh2, { type SFTPWrapper } from 'ssh2';

export type Answer<T> = (error: Error | null | undefined, value: T) => void;

/** The statuses of SFTP version 3 (draft-ietf-secsh-filexfer-02). */
export const sftpStatus = ssh2.utils.sftp.STATUS_CODE;

/** One request: rejects with what the server said, or with NETRIG_SSH_LOST. */
export type Ask = <T>(request: (wrapper: SFTPWrapper, answer: Answer<T>) => void) => Promise<T>;

/** Closes what was opened, whatever became of it; the first error is the one that counts. */
export async function withHandle(ask: Ask, handle: Buffer, use: () => Promise<void>): Promise<void> {
  const close = () => ask<void>((wrapper, answer) => wrapper.close(handle, plain(answer)));
  try {
    await use();
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
  await close();
}

/** Makes a directory with those above it that are missing; each one made is put into `made`. */
export async function makeDirectory(ask: Ask, path: string, made: string[] = [], parentThere = false): Promise<void> {
  try {
    await ask<void>((wrapper, answer) => wrapper.mkdir(path, { mode: 0o755 }, plain(answer)));
    made.push(path);
  } catch (error) {
    // Once only: /proc answers so for ever.
    if (isStatus(error, sftpStatus.NO_SUCH_FILE) && !parentThere && posix.dirname(path) !== path) {
      await makeDirectory(ask, posix.dirname(path), made);
      return makeDirectory(ask, path, made, true);
    }
    // SFTP version 3 has no status for "exists already"; another caller may have made it a moment ago.
    const there = await ask<{ isDirectory(): boolean }>((wrapper, answer) => wrapper.stat(path, answer)).catch(
      () => undefined,
    );
    if (!there?.isDirectory()) throw error;
  }
}

/** For requests whose answer is a status alone. */
export function plain(answer: Answer<void>): (error?: Error | null) => void {
  return (error) => answer(error, undefined);
}

export function isStatus(error: unknown, code: number): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
