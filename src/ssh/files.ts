import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import type { SFTPWrapper } from 'ssh2';
import { messageOf, NetrigError } from '../errors.js';
import type { Link } from './link.js';
import { putTree } from './put-tree.js';
import { isStatus, makeDirectory, plain, sftpStatus, withHandle, type Answer, type Ask } from './sftp.js';
import type { HostConnection } from './ssh.js';

/** How long one SFTP request may take, ms: a disk that hangs, or a path that is a pipe nobody writes to. */
const requestDeadlineMs = 60_000;
/** How long sshd may take to start its SFTP subsystem, ms: one process, as for a command. */
const defaultOpenDeadlineMs = 15_000;
const defaultMaxBytes = 64 * 1_048_576;
/** OpenSSH serves at most 256 KiB a packet; larger reads come back short. */
const readSize = 131_072;

/** Reading and writing files over one SFTP session, opened when first needed. */
export function filesOver(
  link: Link,
  openDeadlineMs = defaultOpenDeadlineMs,
): Pick<HostConnection, 'writeFile' | 'readFile' | 'putTree'> {
  let session: Promise<SFTPWrapper> | undefined;

  const sftp = (doing: string): Promise<SFTPWrapper> => {
    if (session) return session;
    const forget = () => {
      if (session === opening) session = undefined;
    };
    const opening = openSftp(link, doing, openDeadlineMs, forget);
    opening.catch(forget);
    session = opening;
    return opening;
  };

  const wrapped = async <T>(what: string, path: string, work: (ask: Ask) => Promise<T>): Promise<T> => {
    const doing = `${what} ${path}`;
    try {
      if (path === '' || path.includes('\0')) throw new Error('that is not a path');
      return await work((request) => askOnce(link, doing, sftp, request));
    } catch (error) {
      if (error instanceof NetrigError) throw error;
      throw new NetrigError('NETRIG_SFTP', `${link.host}: ${doing} failed: ${messageOf(error)}`, { cause: error });
    }
  };

  return {
    writeFile: (path, content, options) =>
      wrapped('writing', path, (ask) =>
        write(ask, path, typeof content === 'string' ? Buffer.from(content) : content, options?.mode),
      ),
    putTree: (entries, owner) => wrapped('copying to', entries[0]?.path ?? '/', (ask) => putTree(ask, entries, owner)),
    readFile: (path, options) =>
      wrapped('reading', path, (ask) => read(ask, path, options?.maxBytes ?? defaultMaxBytes)),
  };
}

/** `onEnd` is called when the session that was opened is over. */
function openSftp(link: Link, doing: string, deadlineMs: number, onEnd: () => void): Promise<SFTPWrapper> {
  return new Promise<SFTPWrapper>((resolve, reject) => {
    const late = setTimeout(() => {
      forget();
      reject(new Error(`the SFTP subsystem of ${link.host} did not answer within ${deadlineMs / 1000} s`));
    }, deadlineMs);
    const forget = link.onLost(() => {
      clearTimeout(late);
      reject(link.lostError(doing));
    });
    const answered = (error: Error | undefined, wrapper: SFTPWrapper | undefined) => {
      clearTimeout(late);
      forget();
      if (!wrapper)
        return reject(link.lost !== undefined ? link.lostError(doing) : (error ?? new Error('no SFTP session')));
      wrapper.on('error', onEnd);
      wrapper.once('close', onEnd);
      resolve(wrapper);
    };
    try {
      link.client.sftp(answered);
    } catch (error) {
      answered(error instanceof Error ? error : new Error(String(error)), undefined);
    }
  });
}

async function askOnce<T>(
  link: Link,
  doing: string,
  sftp: (doing: string) => Promise<SFTPWrapper>,
  request: (wrapper: SFTPWrapper, answer: Answer<T>) => void,
): Promise<T> {
  if (link.lost !== undefined) throw link.lostError(doing);
  const wrapper = await sftp(doing);
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => {
      forget();
      wrapper.end();
      reject(new Error(`no answer within ${requestDeadlineMs / 1000} s`));
    }, requestDeadlineMs);
    const forget = link.onLost(() => {
      clearTimeout(timer);
      reject(link.lostError(doing));
    });
    request(wrapper, (error, value) => {
      clearTimeout(timer);
      forget();
      if (error) reject(link.lost !== undefined ? link.lostError(doing) : error);
      else resolve(value);
    });
  });
}

async function write(ask: Ask, path: string, content: Buffer, mode: number | undefined): Promise<void> {
  const temporary = posix.join(posix.dirname(path), `.netrig-${randomBytes(8).toString('hex')}`);
  const open = () => ask<Buffer>((wrapper, answer) => wrapper.open(temporary, 'wx', { mode: 0o600 }, answer));
  const before =
    mode === undefined
      ? ask<{ mode: number; isFile(): boolean }>((wrapper, answer) => wrapper.lstat(path, answer)).catch(
          () => undefined,
        )
      : Promise.resolve(undefined);
  const handle = await open().catch(async (error: unknown) => {
    if (!isStatus(error, sftpStatus.NO_SUCH_FILE)) throw error;
    await makeDirectory(ask, posix.dirname(path));
    return open();
  });
  try {
    await withHandle(ask, handle, async () => {
      const existing = await before;
      const finalMode = mode ?? (existing?.isFile() ? existing.mode & 0o7777 : 0o644);
      if (content.length > 0) {
        await ask<void>((wrapper, answer) => wrapper.write(handle, content, 0, content.length, 0, plain(answer)));
      }
      // After the content: set-user-id bits are cleared by a write. And not by open, whose mode the umask cuts.
      await ask<void>((wrapper, answer) => wrapper.fchmod(handle, finalMode, plain(answer)));
    });
    // rename(2) semantics; SFTP's own rename refuses a target that exists.
    await ask<void>((wrapper, answer) => wrapper.ext_openssh_rename(temporary, path, plain(answer)));
  } catch (error) {
    await ask<void>((wrapper, answer) => wrapper.unlink(temporary, plain(answer))).catch(() => undefined);
    throw error;
  }
}

async function read(ask: Ask, path: string, maxBytes: number): Promise<Buffer> {
  const handle = await ask<Buffer>((wrapper, answer) => wrapper.open(path, 'r', answer));
  const parts: Buffer[] = [];
  let total = 0;
  await withHandle(ask, handle, async () => {
    // Until end of file, not until the size that stat tells: files in /proc have none.
    for (;;) {
      const buffer = Buffer.allocUnsafe(readSize);
      const count = await ask<number>((wrapper, answer) =>
        wrapper.read(handle, buffer, 0, readSize, total, (error, bytesRead) => {
          if (isStatus(error, sftpStatus.EOF)) answer(undefined, 0);
          else answer(error, bytesRead);
        }),
      );
      if (!count) return;
      total += count;
      if (total > maxBytes) throw new Error(`it is larger than the ${maxBytes} bytes that were asked for at most`);
      parts.push(buffer.subarray(0, count));
    }
  });
  return Buffer.concat(parts, total);
}
