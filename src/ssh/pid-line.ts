/**
 * How netrig learns the process group of a remote command, without which it could not kill it: OpenSSH refuses the `signal`
 * request of RFC 4254 6.9 for root ("session signalling requires privilege separation", sshd 8.4 to 9.2).
 *
 * sshd's child calls setsid(2) before it executes the shell, so `$$` is a process group. `echo` is a builtin, and a shell
 * reads a `-c` string line by line: the command's own syntax errors, here-documents, comments and exit status stay what
 * they are. Only line numbers in the shell's messages are one higher.
 */
export function sayPid(token: string, command: string): string {
  return `echo ${token} $$\n${command}`;
}

/** What start-up files print before the command runs is held back up to this size, then taken for output. */
const noiseLimit = 65_536;

const newline = 0x0a;

export interface PidLine {
  /** The part of `chunk` that is the command's output; empty while the line has not been seen. */
  feed(chunk: Buffer): Buffer;
  /** What was held back, for the end of a stream in which the line never came. */
  flush(): Buffer;
}

/** Takes the line that `sayPid` makes out of a stdout, and with it what the shell's start-up files printed before. */
export function pidLine(token: string, onPid: (pid: number) => void): PidLine {
  let held: Buffer = nothing;
  let over = false;
  return {
    feed(chunk) {
      if (over) return chunk;
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      const start = held.indexOf(token);
      const end = start < 0 ? -1 : held.indexOf(newline, start);
      if (end < 0) return held.length > noiseLimit ? this.flush() : nothing;
      const pid = Number(held.toString('latin1', start + token.length, end));
      const output = held.subarray(end + 1);
      over = true;
      held = nothing;
      if (Number.isSafeInteger(pid) && pid > 1) onPid(pid);
      return output;
    },
    flush() {
      const output = held;
      over = true;
      held = nothing;
      return output;
    },
  };
}

const nothing = Buffer.alloc(0);
