import { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type Docker from 'dockerode';
import { serveStandardArgv } from '../shared/brought-tools.js';
import { speaksSsh } from '../shared/speaks-ssh.js';
import { ask, type EngineEndpoint, engineStatus, isUnreachable, questionMs } from './engine.js';

/** A host's container, and what in it answers SSH. */
export interface ContainerAccess {
  container: string;
  init: 'systemd' | 'light';
  /** Its root file system is somebody's: its sshd is of the tools that it was given. */
  tools?: true;
}

const retryMs = 50;
const headerBytes = 8;
/** How much of what an exec wrote to its standard error is kept for messages, characters. */
const keptWords = 500;

/** systemd hosts have a socket unit for it, as the local provider's; a light host gets one sshd a connection. */
const sshCommand: Record<ContainerAccess['init'], string[]> = {
  systemd: ['socat', '-', 'UNIX-CONNECT:/run/netrig-ssh.sock'],
  light: ['/bin/sh', '-c', 'exec /usr/sbin/sshd -i -e 2>>/var/log/sshd.log'],
};

/**
 * The two ways of a hijacked exec as one stream. What comes back is in frames: one byte for the stream (1 stdout, 2 stderr),
 * three of nothing, four for the length, big-endian (Docker Engine API, "Attach to a container").
 */
export class ExecStream extends Duplex {
  /** What the command wrote to its standard error, its end. */
  words = '';
  #rest: Buffer[] = [];
  #have = 0;
  #ended = false;
  readonly #raw: Duplex;
  readonly #explain: () => Promise<string>;

  /** `explain` is asked when the other side ended first, and says why, `''` for a plain end. */
  constructor(raw: Duplex, explain: () => Promise<string> = () => Promise.resolve('')) {
    super({ allowHalfOpen: true });
    this.#raw = raw;
    this.#explain = explain;
    raw.on('data', (bytes: Buffer) => this.#take(bytes));
    raw.on('end', () => this.#over());
    raw.on('close', () => this.#over());
    raw.on('error', (error) => this.destroy(error));
  }

  #over(): void {
    if (this.#ended || this.destroyed) return;
    this.#ended = true;
    const end = (): void => {
      if (this.destroyed) return;
      this.push(null);
      // Nobody reads what is written from now on.
      if (!this.writableEnded) this.end();
    };
    if (this.writableEnded) return end();
    this.#explain().then(
      (why) => (why === '' ? end() : this.destroy(new Error(why))),
      () => end(),
    );
  }

  #take(bytes: Buffer): void {
    this.#rest.push(bytes);
    this.#have += bytes.length;
    let all: Buffer | null = null;
    while (this.#have >= headerBytes) {
      all ??= this.#rest.length === 1 ? this.#rest[0]! : Buffer.concat(this.#rest);
      const length = all.readUInt32BE(4);
      if (all.length < headerBytes + length) break;
      const payload = all.subarray(headerBytes, headerBytes + length);
      if (all[0] === 2) this.words = (this.words + payload.toString('utf8')).slice(-keptWords);
      else if (!this.push(payload)) this.#raw.pause();
      all = all.subarray(headerBytes + length);
      this.#have = all.length;
    }
    if (all) this.#rest = all.length > 0 ? [all] : [];
  }

  override _read(): void {
    this.#raw.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#raw.destroyed || this.#raw.writableEnded) return done();
    this.#raw.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    if (!this.#raw.destroyed) this.#raw.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#raw.destroy();
    done(error);
  }
}

/** How a container stands, for people: `is running`, `ended with status 137 (out of memory)`, `is not there`. */
export async function containerState(
  endpoint: EngineEndpoint,
  engine: Docker,
  id: string,
): Promise<{ running: boolean; text: string }> {
  try {
    const { State } = await ask(endpoint, 'look at a host’s container', questionMs, engine.getContainer(id).inspect());
    if (State.Paused) return { running: false, text: 'is paused' };
    if (State.Running) return { running: true, text: 'is running' };
    const why = [State.OOMKilled ? 'out of memory' : '', State.Error].filter((text) => text !== '').join(', ');
    return { running: false, text: `ended with status ${State.ExitCode}${why === '' ? '' : ` (${why})`}` };
  } catch (error) {
    if (isUnreachable(error)) return { running: false, text: `can't be asked after: ${(error as Error).message}` };
    return { running: false, text: 'is not there any more' };
  }
}

/**
 * A fresh byte stream to the host's sshd, or to what `argv` starts in its container in place of it. Rejects when the host is
 * gone, with how its container stands.
 */
export async function openTransport(
  endpoint: EngineEndpoint,
  engine: Docker,
  access: ContainerAccess,
  signal: AbortSignal,
  argv?: readonly string[],
): Promise<ExecStream> {
  try {
    const exec = await ask(
      endpoint,
      'run a command in a host’s container',
      questionMs,
      engine.getContainer(access.container).exec({
        Cmd: [...(argv ?? (access.tools ? serveStandardArgv : sshCommand[access.init]))],
        AttachStdin: true,
        AttachStdout: true,
        AttachStderr: true,
        Tty: false,
        User: 'root',
      }),
      signal,
    );
    const starting = exec.start({ hijack: true, stdin: true, Tty: false });
    // A stream that comes when nobody waits for it any more.
    starting.then(
      (raw) => signal.aborted && raw.destroy(),
      () => undefined,
    );
    const raw = await ask(endpoint, 'run a command in a host’s container', questionMs, starting, signal);
    return new ExecStream(raw, async () => {
      const { running, text } = await containerState(endpoint, engine, access.container);
      return running ? '' : `its container ${text}`;
    });
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (isUnreachable(error)) throw error;
    const cause = (error as Error).cause ?? error;
    // 404: no such container; 409: it does not run, or is paused.
    if (engineStatus(cause) === 404 || engineStatus(cause) === 409) {
      throw new Error(`its container ${(await containerState(endpoint, engine, access.container)).text}`, {
        cause: error,
      });
    }
    throw error;
  }
}

/**
 * Waits until the host's sshd has said its first line, and answers that very stream with the line put back. Rejects when
 * `signal` aborts, when the container ends, or when the engine does not answer.
 */
export async function waitForSshd(
  endpoint: EngineEndpoint,
  engine: Docker,
  access: ContainerAccess,
  signal: AbortSignal,
): Promise<Duplex> {
  for (;;) {
    signal.throwIfAborted();
    const stream = await openTransport(endpoint, engine, access, signal).catch((error: unknown) => {
      if (isUnreachable(error)) throw error;
      return null;
    });
    if (stream) {
      if (await speaksSsh(stream, signal)) return stream;
      stream.destroy();
    }
    signal.throwIfAborted();
    const state = await containerState(endpoint, engine, access.container);
    if (!state.running) throw new Error(`its container ${state.text}`);
    await pause(retryMs, undefined, { signal });
  }
}
