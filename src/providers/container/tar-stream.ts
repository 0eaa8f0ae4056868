import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';

/**
 * Runs tar(1) with its archive as a stream, which `send` passes on; answers what that answers. Owners are numbers, and of the
 * extended attributes those come along that `attributes` names. Rejects with the error of `send`, or with tar's last words.
 */
export async function sendTar<T>(
  words: readonly string[],
  attributes: string,
  send: (archive: Readable) => Promise<T>,
): Promise<T> {
  const child = spawn(
    'tar',
    [
      ...['--create', '--file', '-', '--numeric-owner', '--xattrs', `--xattrs-include=${attributes}`],
      ...['--one-file-system', '--sparse', ...words],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2000)));
  const ended = new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signalName) =>
      code === 0 ? resolve() : reject(new Error(`tar ended with ${signalName ?? `status ${code}`}: ${said.trim()}`)),
    );
  });
  ended.catch(() => undefined);
  try {
    const answer = await send(child.stdout);
    await ended;
    return answer;
  } finally {
    if (child.exitCode === null) child.kill('SIGKILL');
  }
}
