import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { NetrigError } from '../errors.js';
import type { Link } from './link.js';
import type { RemoteTerminal, TerminalSize } from './ssh.js';

/** The three streams of a terminal session; the process's own but in tests. */
export interface Terminal {
  stdin: Readable & { isTTY?: boolean; isRaw?: boolean; setRawMode?(raw: boolean): unknown };
  stdout: Writable & { columns?: number; rows?: number };
  stderr: Writable;
}

/**
 * Joins a remote shell, or `command`, to a terminal until it ends; resolves to its exit status, 128 + n after signal n.
 * Gets a pseudo-terminal when stdin is one, as `ssh` does. The terminal's mode is put back whatever happens.
 * Rejects with NETRIG_SSH_LOST.
 */
export async function joinTerminal(link: Link, command: string | undefined, terminal: Terminal): Promise<number> {
  const { stdin, stdout, stderr } = terminal;
  const doing = command === undefined ? 'an interactive shell' : `\`${command}\` on a terminal`;
  const size = () => ({ rows: stdout.rows ?? 24, cols: stdout.columns ?? 80 });
  const pty = stdin.isTTY === true ? { ...size(), height: 0, width: 0, term: process.env['TERM'] ?? 'xterm' } : false;

  const channel = await link.open(doing, (client, answer) => {
    if (command === undefined) client.shell(pty, {}, answer);
    else client.exec(command, pty === false ? {} : { pty }, answer);
  });
  if (channel === null) throw link.lostError(doing);

  const wasRaw = stdin.isRaw === true;
  const onResize = () => {
    const { rows, cols } = size();
    channel.setWindow(rows, cols, 0, 0);
  };
  try {
    return await new Promise<number>((resolve, reject) => {
      let status: number | undefined;
      const forget = link.onLost(() => reject(link.lostError(doing)));
      channel.on('error', () => undefined);
      channel.on('exit', (code: number | null, signal?: string) => {
        status = code ?? 128 + (constants.signals[signal as NodeJS.Signals] ?? 0);
      });
      channel.once('close', () => {
        forget();
        if (status === undefined)
          reject(
            new NetrigError(
              'NETRIG_SSH_LOST',
              `${link.host}: its sshd closed the channel of ${doing} without an exit status`,
            ),
          );
        else resolve(status);
      });
      channel.pipe(stdout, { end: false });
      channel.stderr.pipe(stderr, { end: false });
      if (pty !== false) {
        stdin.setRawMode?.(true);
        stdout.on('resize', onResize);
      }
      stdin.pipe(channel);
    });
  } finally {
    stdin.unpipe(channel);
    // A stdin that flows would keep the process alive.
    stdin.pause();
    stdout.off('resize', onResize);
    if (pty !== false) stdin.setRawMode?.(wasRaw);
    channel.unpipe(stdout);
    channel.stderr.unpipe(stderr);
  }
}

/**
 * A remote shell, or `command`, on a pseudo-terminal of its own that nothing here is joined to.
 *
 * @throws NETRIG_SSH_LOST, NETRIG_SSH_CONNECT.
 */
export async function openTerminal(
  link: Link,
  command: string | undefined,
  size: TerminalSize,
): Promise<RemoteTerminal> {
  const doing = command === undefined ? 'a terminal' : `\`${command}\` on a terminal`;
  const pty = { rows: size.rows, cols: size.cols, height: 0, width: 0, term: 'xterm-256color' };
  const channel = await link.open(doing, (client, answer) => {
    if (command === undefined) client.shell(pty, {}, answer);
    else client.exec(command, { pty }, answer);
  });
  if (channel === null) throw link.lostError(doing);
  const done = new Promise<number | null>((resolve) => {
    let status: number | null = null;
    const forget = link.onLost(() => resolve(null));
    channel.on('error', () => undefined);
    channel.on('exit', (code: number | null, signal?: string) => {
      status = code ?? 128 + (constants.signals[signal as NodeJS.Signals] ?? 0);
    });
    channel.once('close', () => {
      forget();
      resolve(status);
    });
  });
  // With a pseudo-terminal both streams are one; what sshd itself says goes nowhere else.
  channel.stderr.resume();
  return {
    output: channel,
    write: (bytes, taken) => void channel.write(bytes, () => taken()),
    resize: ({ cols, rows }) => channel.setWindow(rows, cols, 0, 0),
    close: () => channel.close(),
    done,
  };
}
