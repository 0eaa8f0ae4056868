import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';
import { ownRootWords } from '../lab/own-root.js';
import { NetrigError } from '../errors.js';

export interface BuildCommandOptions {
  signal: AbortSignal;
  log: Writable;
  input?: string;
  environment?: Record<string, string>;
  cwd?: string;
  onLine?(line: string): void;
}

export interface BuildCommandResult {
  exitCode: number | null;
  /** The last part of both streams together: enough to say why. */
  output: string;
}

const keptBytes = 256 * 1024;

/** Debian packages of the programs that a build runs. */
const packageOf: Record<string, string> = {
  mmdebstrap: 'mmdebstrap',
  unshare: 'util-linux',
  setpriv: 'util-linux',
  tar: 'tar',
  chroot: 'coreutils',
  cp: 'coreutils',
  sync: 'coreutils',
  skopeo: 'skopeo',
};

/**
 * Runs a program in mount, PID and further namespaces of its own: what it mounts stays invisible outside, and the kernel
 * ends all it started when netrig dies in whatever way (PR_SET_PDEATHSIG, then the PID namespace's init). Abort kills it so.
 *
 * Resolves also for a failing exit status. Throws NETRIG_TOOL_MISSING and NETRIG_INTERRUPTED.
 */
export async function runIsolated(
  argv: readonly [string, ...string[]],
  options: BuildCommandOptions & { network?: 'none' },
): Promise<BuildCommandResult> {
  const namespaces = ['--mount', '--pid', '--ipc', '--uts', ...(options.network === 'none' ? ['--net'] : [])];
  return runCommand(
    [
      'setpriv',
      '--pdeathsig',
      'KILL',
      ...ownRootWords(),
      'unshare',
      ...namespaces,
      '--propagation',
      'private',
      '--fork',
      '--kill-child',
      '--mount-proc',
      ...argv,
    ],
    options,
  );
}

/** As above, without namespaces: for programs that mount nothing and start nothing. */
export async function runCommand(
  argv: readonly [string, ...string[]],
  options: BuildCommandOptions,
): Promise<BuildCommandResult> {
  const [program, ...args] = argv;
  // Loaded when something is built: its hundred files would cost every run 60 ms.
  const { execa } = await import('execa');
  const child = execa(program, args, {
    reject: false,
    buffer: false,
    stdin: options.input === undefined ? 'ignore' : 'pipe',
    ...(options.input === undefined ? {} : { input: options.input }),
    all: true,
    env: { LC_ALL: 'C.UTF-8', ...options.environment },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    cancelSignal: options.signal,
    // unshare --fork blocks SIGTERM and SIGINT while it waits; its death takes the namespace with it
    killSignal: 'SIGKILL',
    // a Ctrl-C on the terminal must reach netrig alone, which then aborts
    detached: true,
  });
  let output = '';
  const lines = createInterface({ input: child.all });
  lines.on('line', (line) => {
    output = (output + line + '\n').slice(-keptBytes);
    options.log.write(`${line}\n`);
    options.onLine?.(line);
  });
  const drained = new Promise<void>((resolve) => lines.once('close', () => resolve()));
  const result = await child;
  await drained;
  if (options.signal.aborted) throw new NetrigError('NETRIG_INTERRUPTED', `interrupted while ${program} was at work`);
  if (result.code === 'ENOENT') {
    const name = packageOf[program];
    throw new NetrigError(
      'NETRIG_TOOL_MISSING',
      `${program} is not installed${name === undefined ? '' : ` (Debian package ${name})`}`,
    );
  }
  return { exitCode: result.exitCode ?? null, output };
}
