import type { ExecOptions, RemoteProcess } from '../../src/ssh/ssh.js';
import { execResult } from './connection.js';

export interface StreamSaid {
  /** Sequence numbers of which no answer comes. */
  lost?: readonly number[];
  /** No answer comes from this one on. */
  silentFrom?: number;
  /** It ends at once with these words. */
  refuses?: string;
}

/** `ping -n -D -i 0.05`, whose time passes faster than ours: an answer each few ms, stamped as if it were 50. */
export function fakePingStream({ lost = [], silentFrom = Infinity, refuses }: StreamSaid = {}) {
  return (_host: string, argv: readonly string[], options: ExecOptions): RemoteProcess => {
    if (refuses !== undefined) {
      const done = Promise.resolve(execResult({ exitCode: 2, stderr: `${refuses}\n` }));
      return { pgid: Promise.resolve(2), done, kill: () => Promise.resolve() };
    }
    let sequence = 0;
    const timer = setInterval(() => {
      sequence += 1;
      if (lost.includes(sequence) || sequence >= silentFrom) return;
      const at = (1_795_863_000 + sequence * 0.05).toFixed(6);
      const line = `[${at}] 64 bytes from ${argv.at(-1)}: icmp_seq=${sequence} ttl=64 time=0.046 ms\n`;
      void options.onOutput?.('stdout', Buffer.from(line));
    }, 5);
    let end: (() => void) | undefined;
    const done = new Promise<ReturnType<typeof execResult>>((resolve) => {
      end = () => resolve(execResult());
    });
    return {
      pgid: Promise.resolve(2),
      done,
      kill: () => {
        clearInterval(timer);
        end?.();
        return Promise.resolve();
      },
    };
  };
}
