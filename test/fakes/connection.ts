import type { ExecOptions, ExecResult, HostConnection } from '../../src/ssh/ssh.js';

export function execResult(over: Partial<ExecResult> = {}): ExecResult {
  const stdout = over.stdout ?? '';
  return {
    host: 'a',
    command: '',
    exitCode: 0,
    timedOut: false,
    aborted: false,
    durationMs: 1,
    stdout,
    stderr: '',
    stdoutRaw: Buffer.from(stdout),
    stdoutBytes: Buffer.byteLength(stdout),
    stderrBytes: 0,
    ...over,
  };
}

export interface FakeConnection extends HostConnection {
  /** Every call of `exec`, as it came. */
  readonly asked: { command: string | readonly string[]; options: ExecOptions }[];
  readonly ended: boolean;
}

/** A connection whose commands are answered by `exec`; a promise that never settles is a host that says nothing. */
export function fakeConnection(
  exec: (command: string | readonly string[], options: ExecOptions) => Promise<ExecResult> = () =>
    Promise.resolve(execResult()),
): FakeConnection {
  const asked: FakeConnection['asked'] = [];
  let ended = false;
  return {
    host: 'a',
    asked,
    get ended() {
      return ended;
    },
    get closed() {
      return ended;
    },
    exec: (command, options = {}) => {
      asked.push({ command, options });
      return exec(command, options);
    },
    spawn: () => {
      throw new Error('nothing is spawned here');
    },
    writeFile: () => Promise.resolve(),
    putTree: () => Promise.resolve(),
    readFile: () => Promise.resolve(Buffer.alloc(0)),
    shell: () => Promise.resolve(0),
    terminal: () => Promise.reject(new Error('there is no terminal here')),
    end: () => {
      ended = true;
      return Promise.resolve();
    },
  };
}
