import { createHash, randomBytes } from 'node:crypto';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import ssh2, {
  type Algorithms,
  type Client,
  type ClientChannel,
  type ConnectConfig,
  type ServerHostKeyAlgorithm,
} from 'ssh2';
import { messageOf, NetrigError } from '../errors.js';
import type { SshTarget } from './ssh.js';

/** An authenticated SSH transport with what is needed around its channels. The parts of `HostConnection` share one. */
export interface Link {
  readonly host: string;
  readonly client: Client;
  /** Set once the transport is gone or was given up. */
  readonly lost: Error | undefined;
  /** A word that no output contains by chance. */
  token(): string;
  /** Calls back once, when the transport is gone. Returns how to take that back. */
  onLost(listener: () => void): () => void;
  /** Gives the transport up: everything under way ends with NETRIG_SSH_LOST. */
  giveUp(reason: Error): void;
  /** The error for a caller who was `doing` something when the transport went. */
  lostError(doing: string): NetrigError;
  /**
   * Opens a session channel; waits for another to close when the server has no room. `null` when `signal` was aborted while
   * it waited. Rejects with NETRIG_SSH_LOST, or with NETRIG_SSH_CONNECT when there was no room for too long.
   */
  open(doing: string, request: ChannelRequest, signal?: AbortSignal): Promise<ClientChannel | null>;
  /** Leaves a channel open, its output thrown away, as long as the server has room for more. */
  linger(channel: ClientChannel): void;
  /** Sends a signal to a process group; `false` when there is none. */
  signalGroup(pgid: number, signal: string): Promise<boolean>;
  /** Ends the transport in order. Idempotent. */
  end(): Promise<void>;
}

/** Asks the client for a channel; called again for each attempt. */
export type ChannelRequest = (client: Client, answer: ChannelAnswer) => void;
export type ChannelAnswer = (error: Error | undefined, channel: ClientChannel) => void;

/** How long a server may leave a request for a channel without an answer, ms. A healthy one takes 1 to 5. */
const answerDeadlineMs = 15_000;
/** How long to wait for room when the server refuses another channel (`MaxSessions`), ms. */
const roomDeadlineMs = 60_000;
const endDeadlineMs = 1_000;
const keepaliveMs = 15_000;
const keepaliveCount = 4;
const keptAlive = `no answer to ${keepaliveCount} keepalive requests, one every ${keepaliveMs / 1000} s`;

/** Why a transport was given up whose other end is there, and says nothing. */
class Unanswered extends Error {}

export interface LinkOptions {
  signal?: AbortSignal;
  readyTimeoutMs: number;
}

/** Throws NETRIG_SSH_CONNECT, NETRIG_SSH_HOST_KEY; NETRIG_SSH_SILENT where nothing answers within `readyTimeoutMs`. */
export async function openLink(target: SshTarget, { signal, readyTimeoutMs }: LinkOptions): Promise<Link> {
  const deadline = new AbortController();
  const stop = () => deadline.abort(signal?.reason ?? new Error('the attempt was called off'));
  if (signal?.aborted) stop();
  signal?.addEventListener('abort', stop);
  const timer = setTimeout(
    () => deadline.abort(new Unanswered(`no answer within ${readyTimeoutMs} ms`)),
    readyTimeoutMs,
  );
  let stream: Duplex | undefined;
  try {
    stream = await orAborted(target.open(deadline.signal), deadline.signal, (late) => late.destroy());
    return await handshake(target, stream, deadline.signal);
  } catch (error) {
    stream?.destroy();
    if (error instanceof NetrigError) throw error;
    throw new NetrigError(
      error instanceof Unanswered ? 'NETRIG_SSH_SILENT' : 'NETRIG_SSH_CONNECT',
      `no SSH connection to ${target.host} as ${target.username}: ${messageOf(error)}`,
      { cause: error },
    );
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal, dropLate: (value: T) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      reject(signal.reason as Error);
      work.then(dropLate, () => undefined);
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort);
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/**
 * The cheapest algorithms first, of both ends together: P-256, which OpenSSH leaves to OpenSSL, where its own X25519 takes two
 * milliseconds more of each log-in; then AES-GCM, which needs no separate MAC. ChaCha20 comes last because ssh2 computes its
 * Poly1305 in WebAssembly unless its native addon was compiled. OpenSSH has offered the first of each since 7.4; the others are
 * for servers that were told to offer less. A short list also makes a short KEXINIT.
 */
const algorithms: Algorithms = {
  kex: [
    'ecdh-sha2-nistp256',
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp384',
    'diffie-hellman-group14-sha256',
    'diffie-hellman-group16-sha512',
  ],
  cipher: [
    'aes128-gcm@openssh.com',
    'aes256-gcm@openssh.com',
    'aes128-ctr',
    'aes256-ctr',
    'chacha20-poly1305@openssh.com',
  ],
  compress: ['none'],
};

/** Only what the pinned key can answer, so that a server with several host keys shows the right one. */
function hostKeyAlgorithms(hostKey: string): ServerHostKeyAlgorithm[] {
  const blob = Buffer.from(hostKey, 'base64');
  const type = blob.length > 4 ? blob.toString('latin1', 4, 4 + Math.min(64, blob.readUInt32BE(0))) : '';
  return type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type as ServerHostKeyAlgorithm];
}

async function handshake(target: SshTarget, stream: Duplex, signal: AbortSignal): Promise<Link> {
  const client = new ssh2.Client();
  let shown: Buffer | undefined;
  // Nagle's algorithm costs 40 ms a command on a TCP stream; on other streams there is nothing to set.
  if (stream instanceof Socket) stream.setNoDelay(true);
  const config: ConnectConfig = {
    sock: stream,
    username: target.username,
    // Publickey at once: ssh2 would ask for "none" first, one round trip for nothing.
    authHandler: ['publickey'],
    privateKey: target.privateKey,
    hostVerifier: (key: Buffer) => {
      shown = key;
      return key.toString('base64') === target.hostKey;
    },
    algorithms: { ...algorithms, serverHostKey: hostKeyAlgorithms(target.hostKey) },
    // `signal` is the deadline: it covers the opening of the stream as well.
    readyTimeout: 0,
    // A host that went away without a word, or is frozen, is noticed after a minute.
    keepaliveInterval: keepaliveMs,
    keepaliveCountMax: keepaliveCount,
  };

  return new Promise((resolve, reject) => {
    let ready = false;
    let cause: Error | undefined;
    const fail = (error: Error) => {
      client.destroy();
      stream.destroy();
      reject(error);
    };
    const onAbort = () => fail(signal.reason as Error);
    signal.addEventListener('abort', onAbort);
    const settled = () => signal.removeEventListener('abort', onAbort);

    client.on('error', (error) => {
      cause ??= error.message === 'Keepalive timeout' ? new Unanswered(keptAlive) : error;
      if (ready) return;
      settled();
      fail(shown !== undefined && shown.toString('base64') !== target.hostKey ? hostKeyError(target, shown) : error);
    });
    client.once('close', () => {
      settled();
      if (!ready) fail(cause ?? new Error('the host closed the connection during the handshake'));
    });
    client.once('ready', () => {
      ready = true;
      settled();
      resolve(
        linkOver(
          target.host,
          client,
          stream,
          () => cause,
          () => openLink(target, { readyTimeoutMs: answerDeadlineMs }),
        ),
      );
    });
    try {
      client.connect(config);
    } catch (error) {
      settled();
      fail(error instanceof Error ? error : new Error(String(error)));
    }
  });
}

function hostKeyError(target: SshTarget, shown: Buffer): NetrigError {
  const fingerprint = (key: Buffer) => `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
  return new NetrigError(
    'NETRIG_SSH_HOST_KEY',
    `${target.host} showed the host key ${fingerprint(shown)}, but ${fingerprint(Buffer.from(target.hostKey, 'base64'))} is pinned for it`,
  );
}

/** `another` opens one more link to the same host. */
function linkOver(
  host: string,
  client: Client,
  stream: Duplex,
  causeOf: () => Error | undefined,
  another: () => Promise<Link>,
): Link {
  const transport = transportOver(host, client, stream, causeOf);
  const room = roomForChannels();
  const seed = randomBytes(12).toString('hex');
  let tokens = 0;
  /** One at a time: with 8 commands and SFTP that makes 10 sessions, all that an sshd grants by default. */
  let signalling: Promise<unknown> = Promise.resolve();

  return {
    host,
    client,
    get lost() {
      return transport.lost;
    },
    token: () => `netrig-${seed}-${(tokens += 1)}:`,
    onLost: transport.onLost,
    giveUp: transport.giveUp,
    lostError: transport.lostError,
    open: (doing, request, signal) => openWithRoom(transport, room, doing, request, signal),
    linger: room.linger,
    signalGroup(pgid, signal) {
      const sent = signalling.then(() => signalGroup(transport, room, another, pgid, signal));
      signalling = sent.catch(() => undefined);
      return sent;
    },
    end: transport.end,
  };
}

/** The connection itself: whether it is there still, and who is told when it is not. */
type Transport = Pick<Link, 'host' | 'client' | 'lost' | 'onLost' | 'giveUp' | 'lostError' | 'end'>;

function transportOver(host: string, client: Client, stream: Duplex, causeOf: () => Error | undefined): Transport {
  let lost: Error | undefined;
  let ending: Promise<void> | undefined;
  const listeners = new Set<() => void>();

  const giveUp = (reason: Error) => {
    if (lost !== undefined) return;
    lost = reason;
    for (const listener of [...listeners]) listener();
    listeners.clear();
    client.destroy();
    stream.destroy();
  };
  client.once('close', () => giveUp(causeOf() ?? new Error(ending ? 'netrig closed it' : 'the host closed it')));

  const onLost = (listener: () => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };

  return {
    host,
    client,
    get lost() {
      return lost;
    },
    onLost,
    giveUp,
    lostError(doing) {
      const reason = lost ?? new Error('netrig closed it');
      const code = reason instanceof Unanswered ? 'NETRIG_SSH_SILENT' : 'NETRIG_SSH_LOST';
      return new NetrigError(code, `${host}: the SSH connection ended during ${doing}: ${reason.message}`, {
        cause: reason,
      });
    },
    end() {
      ending ??= new Promise((resolve) => {
        if (lost !== undefined) return resolve();
        const timer = setTimeout(() => giveUp(new Error('netrig closed it')), endDeadlineMs);
        onLost(() => {
          clearTimeout(timer);
          resolve();
        });
        client.end();
      });
      return ending;
    },
  };
}

/** What a server grants of channels at once, known by its refusals alone. */
interface Room {
  /** A channel whose end makes room. */
  taken(channel: ClientChannel): void;
  linger(channel: ClientChannel): void;
  /** Closes the channel that lingers longest, and waits until any has closed, `ms` at most. */
  make(ms: number, signal?: AbortSignal): Promise<void>;
}

function roomForChannels(): Room {
  const lingering = new Set<ClientChannel>();
  /** Who waits for any channel to close. */
  const seekers = new Set<() => void>();
  return {
    taken(channel) {
      channel.once('close', () => {
        for (const seeker of [...seekers]) seeker();
      });
    },
    linger(channel) {
      lingering.add(channel);
      channel.once('close', () => lingering.delete(channel));
      channel.resume();
      channel.stderr.resume();
    },
    make: (ms, signal) =>
      new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          seekers.delete(done);
          signal?.removeEventListener('abort', done);
          resolve();
        };
        // sshd counts a session a little longer than we see it.
        const timer = setTimeout(done, ms);
        seekers.add(done);
        signal?.addEventListener('abort', done);
        const [oldest] = lingering;
        oldest?.close();
      }),
  };
}

function openOnce(transport: Transport, room: Room, doing: string, request: ChannelRequest): Promise<ClientChannel> {
  return new Promise<ClientChannel>((resolve, reject) => {
    if (transport.lost !== undefined) return reject(transport.lostError(doing));
    const timer = setTimeout(
      () => transport.giveUp(new Unanswered(`no answer to a request for a channel within ${answerDeadlineMs} ms`)),
      answerDeadlineMs,
    );
    const settled = () => {
      clearTimeout(timer);
      forget();
    };
    const forget = transport.onLost(() => {
      clearTimeout(timer);
      reject(transport.lostError(doing));
    });
    try {
      request(transport.client, (error, channel) => {
        settled();
        if (error) return reject(transport.lost !== undefined ? transport.lostError(doing) : error);
        room.taken(channel);
        resolve(channel);
      });
    } catch (error) {
      // ssh2 throws "Not connected" when the stream ended but its `close` is still to come.
      settled();
      const ended = `${transport.host}: the SSH connection ended before ${doing}: ${messageOf(error)}`;
      reject(new NetrigError('NETRIG_SSH_LOST', ended, { cause: error }));
    }
  });
}

/** See `Link.open`. */
async function openWithRoom(
  transport: Transport,
  room: Room,
  doing: string,
  request: ChannelRequest,
  signal: AbortSignal | undefined,
): Promise<ClientChannel | null> {
  const until = performance.now() + roomDeadlineMs;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await openOnce(transport, room, doing, request);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (signal?.aborted) return null;
      if (performance.now() >= until) {
        throw new NetrigError(
          'NETRIG_SSH_CONNECT',
          `${transport.host}: its sshd had no room for another channel within ${roomDeadlineMs / 1000} s, for ${doing}: ${error.message}`,
          {
            cause: error,
            hint: 'Raise MaxSessions in its sshd_config, or start fewer long-running processes on it.',
          },
        );
      }
      await room.make(Math.min(500, 5 * 2 ** attempt), signal);
      if (signal?.aborted) return null;
    }
  }
}

async function signalGroup(
  transport: Transport,
  room: Room,
  another: () => Promise<Link>,
  pgid: number,
  signal: string,
): Promise<boolean> {
  if (transport.lost !== undefined) return false;
  const doing = `signal ${signal} to process group ${pgid}`;
  // No `--` before the group: dash and busybox take it for a process id.
  const request: ChannelRequest = (to, answer) => void to.exec(`kill -${signal} -${pgid} 2>/dev/null`, answer);
  let channel: ClientChannel;
  try {
    channel = await openOnce(transport, room, doing, request);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    // sshd keeps a session as long as its process lives, so that closing a channel would make no room: come in by another door.
    const spare = await another();
    try {
      return await spare.signalGroup(pgid, signal);
    } finally {
      await spare.end();
    }
  }
  return new Promise<boolean>((resolve) => {
    let code: number | null = null;
    const forget = transport.onLost(() => resolve(false));
    const timer = setTimeout(
      () => transport.giveUp(new Unanswered(`no answer to ${doing} within ${answerDeadlineMs} ms`)),
      answerDeadlineMs,
    );
    channel.on('error', () => undefined);
    channel.on('exit', (status: number | null) => (code = status));
    channel.once('close', () => {
      clearTimeout(timer);
      forget();
      resolve(code === 0);
    });
    channel.resume();
    channel.stderr.resume();
    channel.end();
  });
}

/** The server's answer to a channel request it has no room for: RFC 4254 5.1, any of its reasons, as ssh2 hands it on. */
function isRefusal(error: unknown): error is Error & { reason: number } {
  return error instanceof Error && 'reason' in error && typeof error.reason === 'number';
}
