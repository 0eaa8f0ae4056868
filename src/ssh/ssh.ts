import type { Duplex, Readable } from 'node:stream';
import type { TreeEntry, TreeOwner } from './tree.js';

/** How to reach and recognise one lab host. Made by a provider, used by `ssh/connection.ts`, nothing between. */
export interface SshTarget {
  host: string;
  username: string;
  /** OpenSSH PEM private key. */
  privateKey: string;
  /** The host's public key as base64 of its wire form (the second field of an `ssh_host_*_key.pub` line). */
  hostKey: string;
  /** A fresh byte stream to the host's sshd. Rejects when the host is gone. */
  open(signal: AbortSignal): Promise<Duplex>;
}

/** How a command on a host is run, and what is kept of it. */
export interface ExecOptions {
  /** Given to the command, then ended; without it standard input is empty. */
  stdin?: string | Buffer;
  /** The remote process group is killed after this many ms of running; default 60,000 for `exec`, no limit for `spawn`. */
  timeoutMs?: number;
  /** Abort kills the remote process group too. */
  signal?: AbortSignal;
  /**
   * Every chunk as it arrives, uncut. Where a promise is given, no more output is taken until it resolves: the command waits
   * once the window of its channel is full.
   */
  onOutput?: (stream: 'stdout' | 'stderr', chunk: Buffer) => void | Promise<void> | undefined;
  /** Bytes kept of each stream (head and tail half each when cut); default 1 MiB. */
  keepBytes?: number;
}

/** One shape for success and failure: callers branch on fields, never on message text. */
export interface ExecResult {
  /** The host that it ran on, as the scenario calls it. */
  host: string;
  /** The command line as the remote shell got it (without netrig's own wrapping). */
  command: string;
  /** `null` when a signal, the time limit or an abort ended it. */
  exitCode: number | null;
  /** Without `SIG`: `KILL`. */
  signal?: string;
  /** It ran into `timeoutMs` and was killed. */
  timedOut: boolean;
  /** It was killed because `signal` was aborted. */
  aborted: boolean;
  /** From its start on the host; 0 where it was never started. */
  durationMs: number;
  /** UTF-8 with U+FFFD for what is not; cut in the middle when longer than `keepBytes`, with a line that says so. */
  stdout: string;
  /** Like `stdout`. */
  stderr: string;
  /** What was kept, as bytes, for callers that need binary data. Cut like `stdout`. */
  stdoutRaw: Buffer;
  /** What the command wrote to standard output in all, kept or not. */
  stdoutBytes: number;
  /** What the command wrote to standard error in all, kept or not. */
  stderrBytes: number;
}

/** A remote process that goes on while its caller does other things. */
export interface RemoteProcess {
  /** Process group id on the host, once the remote shell said it. */
  readonly pgid: Promise<number>;
  /** Settles when the process is over, however it ended. Rejects only with NETRIG_SSH_LOST. */
  readonly done: Promise<ExecResult>;
  /** Signals the whole process group; default TERM. Does not reject when it is gone already. */
  kill(signal?: 'INT' | 'TERM' | 'KILL'): Promise<void>;
}

/**
 * One SSH connection to one host. A command is either an argv array (each element quoted, nothing interpreted) or a string
 * handed to the host's shell as it stands.
 *
 * exec, spawn, writeFile, putTree and readFile reject with NETRIG_SSH_LOST when the connection ends under them, never because of
 * what a command did. (NETRIG_SFTP is what a file system said; NETRIG_USAGE, a NUL in a command; NETRIG_SSH_CONNECT, an sshd
 * whose sessions were all taken for a minute.)
 */
export interface HostConnection {
  readonly host: string;
  readonly closed: boolean;
  exec(command: string | readonly string[], options?: ExecOptions): Promise<ExecResult>;
  spawn(command: string | readonly string[], options?: ExecOptions): RemoteProcess;
  /** Writes by SFTP to a temporary name beside the target and renames, so that a reader never sees half a file. Makes parent directories. Default mode: the existing file's, else 0644. A symlink at `path` is replaced. */
  writeFile(path: string, content: string | Buffer, options?: { mode?: number }): Promise<void>;
  /**
   * Puts files and directories there by SFTP: all are written under other names first and renamed when the last is, so that a failure
   * leaves the host as it was. A directory that is there keeps its mode and owner. `owner`: `null` for whoever is logged in.
   */
  putTree(entries: readonly TreeEntry[], owner: TreeOwner | null): Promise<void>;
  /** The whole file; rejects when it is longer than `maxBytes` (default 64 MiB). */
  readFile(path: string, options?: { maxBytes?: number }): Promise<Buffer>;
  /** An interactive shell on a pseudo-terminal joined to this process's terminal; resolves to its exit status. */
  shell(command?: string): Promise<number>;
  /** A shell, or `command`, on a pseudo-terminal of its own, for a caller that shows it elsewhere. */
  terminal(size: TerminalSize, command?: string): Promise<RemoteTerminal>;
  /** Kills what `exec` and `spawn` still run (they settle as aborted) and closes the connection. Idempotent, never rejects. */
  end(): Promise<void>;
}

export interface TerminalSize {
  cols: number;
  rows: number;
}

/** A program on a pseudo-terminal of a host. */
export interface RemoteTerminal {
  /** What it writes; where nobody reads, the window of the channel fills and the program waits. */
  readonly output: Readable;
  /** @param taken Called once the window of the channel had room for it. */
  write(bytes: Buffer, taken: () => void): void;
  resize(size: TerminalSize): void;
  /** Hangs up. */
  close(): void;
  /** Its exit status, 128 + n after signal n; `null` where the connection was lost. Never rejects. */
  readonly done: Promise<number | null>;
}
