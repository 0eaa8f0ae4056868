import { once } from 'node:events';
import type { Duplex } from 'node:stream';

/**
 * Waits for the first bytes of a stream and puts them back: whether an SSH server begins to speak there (RFC 4253, section 4.2).
 * False also where the stream ended without any, or `signal` was aborted. Never rejects.
 */
export async function speaksSsh(stream: Duplex, signal: AbortSignal): Promise<boolean> {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  stream.once('close', end).once('end', end).on('error', end);
  try {
    await once(stream, 'readable', { signal: AbortSignal.any([signal, ended.signal]) });
    const bytes: unknown = stream.read();
    if (!Buffer.isBuffer(bytes) || !bytes.toString('latin1').startsWith('SSH-')) return false;
    stream.unshift(bytes);
    return true;
  } catch {
    return false;
  } finally {
    stream.off('close', end).off('end', end);
  }
}
