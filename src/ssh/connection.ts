import { NetrigError } from '../errors.js';
import { filesOver } from './files.js';
import { openLink } from './link.js';
import { quoteArgv } from './quote.js';
import { startProcess, type StoppableProcess } from './remote-process.js';
import { slots } from './slots.js';
import type { ExecOptions, HostConnection, SshTarget } from './ssh.js';
import { joinTerminal, openTerminal } from './terminal.js';

export interface ConnectOptions {
  /** Calls the attempt off; of no effect once connected. */
  signal?: AbortSignal;
  /** For the stream, the handshake and the log-in together; default 10,000. */
  readyTimeoutMs?: number;
  /**
   * Commands that `exec` runs at once, the others wait in order; default 8. With SFTP and one for signals that makes the 10
   * sessions of OpenSSH's `MaxSessions`. What `spawn` and `shell` start does not count, and waits only if sshd has no room.
   */
  maxChannels?: number;
}

const defaultTimeoutMs = 60_000;

/**
 * Opens the SSH connection to a host. Throws NETRIG_SSH_HOST_KEY when it shows another key than the pinned one, and
 * NETRIG_SSH_SILENT where nothing answers in time, NETRIG_SSH_CONNECT, with its cause, for whatever else is in the way.
 */
export async function connect(target: SshTarget, options: ConnectOptions = {}): Promise<HostConnection> {
  const link = await openLink(target, { signal: options.signal, readyTimeoutMs: options.readyTimeoutMs ?? 10_000 });
  const execSlots = slots(options.maxChannels ?? 8);
  const running = new Set<StoppableProcess>();
  const files = filesOver(link);
  let ending: Promise<void> | undefined;

  const start = (command: string | readonly string[], processOptions: ExecOptions, counted: boolean) => {
    const line = commandLine(command);
    if (ending) throw link.lostError(`\`${line}\``);
    const started = startProcess(link, line, counted ? { ...processOptions, slots: execSlots } : processOptions);
    running.add(started);
    const over = () => void running.delete(started);
    started.done.then(over, over);
    return started;
  };

  return {
    host: target.host,
    get closed() {
      return ending !== undefined || link.lost !== undefined;
    },
    async exec(command, execOptions = {}) {
      return start(command, { timeoutMs: defaultTimeoutMs, ...execOptions }, true).done;
    },
    spawn: (command, execOptions = {}) => start(command, execOptions, false),
    ...files,
    async shell(command) {
      if (ending) throw link.lostError('an interactive shell');
      return joinTerminal(link, command, process);
    },
    async terminal(size, command) {
      if (ending) throw link.lostError('a terminal');
      return openTerminal(link, command, size);
    },
    end() {
      ending ??= (async () => {
        const left = [...running];
        for (const one of left) one.abort();
        await Promise.allSettled(left.map((one) => one.done));
        await link.end();
      })();
      return ending;
    },
  };
}

function commandLine(command: string | readonly string[]): string {
  if (typeof command !== 'string') return quoteArgv(command);
  if (command.includes('\0')) {
    throw new NetrigError(
      'NETRIG_USAGE',
      `a command line holds a NUL character: ${JSON.stringify(command.slice(0, 80))}`,
    );
  }
  return command;
}
