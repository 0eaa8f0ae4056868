import { spawn, type ChildProcess } from 'node:child_process';
import { Duplex } from 'node:stream';
import { messageOf, NetrigError } from '../../errors.js';
import type { Login, Machine } from '../../scenario/inventory.js';
import { quoteArg } from '../../ssh/quote.js';

/** What is needed to reach a machine again, from any process. JSON-serialisable. */
export interface MachineAccess {
  machine: Machine;
  /** Configuration file of ssh in which all machines of the inventory stand. */
  configFile: string;
}

/** Everything before this line of standard input is for sudo. */
const beginning = '#netrig-begin';
/** Bytes of what ssh and sudo complain that are kept. */
const keptComplaint = 4000;

function alias(name: string): string {
  return `netrig-${name}`;
}

/**
 * A configuration file for ssh with one `Host` a machine or jump host. Host keys are checked strictly, also those of jump hosts: nothing is
 * asked, and no file of the user's is written to.
 */
export function sshConfig(machines: readonly Login[]): string {
  const blocks = machines.map((machine) =>
    [
      `Host ${alias(machine.name)}`,
      `  HostName ${machine.address}`,
      `  Port ${machine.port}`,
      `  User ${machine.user}`,
      ...(machine.key === null ? [] : [`  IdentityFile "${machine.key}"`, '  IdentitiesOnly yes']),
      `  UserKnownHostsFile "${machine.knownHosts}"`,
      ...(machine.jump === null ? [] : [`  ProxyJump ${alias(machine.jump)}`]),
    ].join('\n'),
  );
  const all = [
    'Host *',
    '  StrictHostKeyChecking yes',
    '  UpdateHostKeys no',
    '  BatchMode yes',
    '  ConnectTimeout 10',
    '  ServerAliveInterval 10',
    '  ServerAliveCountMax 3',
    '  ClearAllForwardings yes',
    '  ForwardAgent no',
    '  RequestTTY no',
    '  ControlMaster no',
    '  ControlPath none',
    '  LogLevel ERROR',
  ];
  return `${[...blocks, all.join('\n')].join('\n\n')}\n`;
}

/**
 * A command line that becomes root and runs `command` there, and what it wants on its standard input first. sudo may take the
 * password from there or not; either way all up to the marker is passed over before `command` reads.
 */
function asRoot(machine: Machine, command: string): { line: string; input: string } {
  const skip = `while IFS= read -r line; do [ "$line" = ${quoteArg(beginning)} ] && break; done; ${command}`;
  if (machine.become === 'root') return { line: `sh -c ${quoteArg(skip)}`, input: `${beginning}\n` };
  if (machine.become === 'sudo') return { line: `sudo -n -- sh -c ${quoteArg(skip)}`, input: `${beginning}\n` };
  const { passwordVariable } = machine.become;
  const password = process.env[passwordVariable];
  if (password === undefined || /[\r\n]/.test(password)) {
    throw new NetrigError(
      'NETRIG_INVENTORY',
      `${machine.name}: the environment variable ${passwordVariable}, which the inventory names for sudo’s password, ${password === undefined ? 'is not set' : 'holds a line break'}.`,
    );
  }
  return { line: `sudo -k -S -p '' -- sh -c ${quoteArg(skip)}`, input: `${password}\n${beginning}\n` };
}

/** Without the banner that ssh draws around a changed host key, and its advice to trust the new one. */
function tellingLines(complaint: string): string {
  const lines = complaint.split('\n').map((line) => line.trim());
  const changed = lines.some((line) => line.includes('REMOTE HOST IDENTIFICATION HAS CHANGED'));
  const shown = changed
    ? lines.filter(
        (line, at) =>
          /^SHA256:|has changed and you have requested|verification failed/.test(line) ||
          (/^The fingerprint for/.test(line) && lines[at + 1] !== undefined),
      )
    : lines;
  return shown.filter((line) => line !== '').join(' ');
}

/** What ssh and sudo said, as an error of ours. */
function connectionError(machine: Machine, complaint: string, otherwise: string): NetrigError {
  const said = tellingLines(complaint) || otherwise;
  const where = `${machine.name} (${machine.user}@${machine.address}:${machine.port})`;
  if (/Host key verification failed|host key .*(has changed|is known)|REMOTE HOST IDENTIFICATION/i.test(said)) {
    return new NetrigError(
      'NETRIG_SSH_HOST_KEY',
      `${where} did not show a host key that ${machine.knownHosts} knows: ${said}`,
      {
        hint: `Find out its key by another way than this network, and add it to ${machine.knownHosts}. A jump host’s key must be known, too.`,
      },
    );
  }
  if (/Permission denied \(/.test(said)) {
    return new NetrigError('NETRIG_SSH_CONNECT', `${where} does not let ${machine.user} in: ${said}`, {
      hint: 'Check `user` and `key` in the inventory; without `key`, that the agent runs and has the key (ssh-add -l).',
    });
  }
  if (/sudo:|a password is required|incorrect password|not in the sudoers/i.test(said)) {
    return new NetrigError('NETRIG_SSH_CONNECT', `${where} does not make ${machine.user} root: ${said}`, {
      hint: 'Let sudo do it without a password, or name the variable that holds it: `sudo: { password-variable: NAME }`.',
    });
  }
  return new NetrigError('NETRIG_SSH_CONNECT', `${where} cannot be reached: ${said}`);
}

function startSsh(
  { machine, configFile }: MachineAccess,
  command: string,
): { child: ChildProcess; complaint: () => string; input: string } {
  const { line, input } = asRoot(machine, command);
  const child = spawn('ssh', ['-F', configFile, '-T', alias(machine.name), line], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  let complaint = '';
  child
    .stderr!.setEncoding('utf8')
    .on('data', (chunk: string) => (complaint = (complaint + chunk).slice(-keptComplaint)));
  // A machine that goes away while it is written to is noticed by the end of the process.
  child.stdin!.on('error', () => undefined);
  return { child, complaint: () => complaint, input };
}

function spawnError(error: NodeJS.ErrnoException): NetrigError {
  if (error.code === 'ENOENT')
    return new NetrigError('NETRIG_TOOL_MISSING', 'The program ssh is not installed on this machine.', {
      hint: 'apt-get install openssh-client',
    });
  return new NetrigError('NETRIG_SSH_CONNECT', `ssh could not be started: ${messageOf(error)}`, { cause: error });
}

export interface RootResult {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

/**
 * Runs a shell script as root on a machine, over a connection of its own. Resolves also when the script fails.
 *
 * @throws NETRIG_SSH_CONNECT, NETRIG_SSH_HOST_KEY when it never came to run, NETRIG_INTERRUPTED after `signal`.
 */
export async function runAsRoot(
  access: MachineAccess,
  script: string,
  options: { signal?: AbortSignal; timeoutMs: number },
): Promise<RootResult> {
  // The script is read from a variable as a whole before it runs: nothing it starts can eat the rest of it.
  const { child, complaint, input } = startSsh(access, 'echo netrig-root; exec sh -c "$(cat)"');
  let stdout = '';
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stdin!.end(input + script);
  let timedOut = false;
  const stop = (): void => void child.kill('SIGKILL');
  const timer = setTimeout(() => {
    timedOut = true;
    stop();
  }, options.timeoutMs);
  options.signal?.addEventListener('abort', stop, { once: true });
  try {
    const exitCode = await new Promise<number | null>((resolve, reject) => {
      child.once('error', (error) => reject(spawnError(error)));
      child.once('close', (code) => resolve(code));
      if (options.signal?.aborted) stop();
    });
    if (options.signal?.aborted)
      throw new NetrigError('NETRIG_INTERRUPTED', `Interrupted while ${access.machine.name} was being asked.`);
    if (!stdout.startsWith('netrig-root\n'))
      throw connectionError(
        access.machine,
        complaint(),
        timedOut ? `no answer within ${options.timeoutMs / 1000} s` : `ssh ended with status ${exitCode ?? 'none'}`,
      );
    // 255 is ssh's own: the connection broke, and the script's status is unknown.
    if (timedOut || exitCode === 255 || exitCode === null)
      throw new NetrigError(
        'NETRIG_SSH_LOST',
        `${access.machine.name}: ${timedOut ? `a script did not end within ${options.timeoutMs / 1000} s` : `the connection ended: ${complaint().trim()}`}`,
      );
    return { exitCode, stdout: stdout.slice('netrig-root\n'.length), stderr: complaint() };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', stop);
  }
}

/**
 * A byte stream to an sshd that is started for it as root, with the configuration file named, and ends with it. Resolves when
 * the sshd has said its first line.
 *
 * @throws NETRIG_SSH_CONNECT, NETRIG_SSH_HOST_KEY.
 */
export async function openRootSshd(access: MachineAccess, sshdConfig: string, signal: AbortSignal): Promise<Duplex> {
  const { child, complaint, input } = startSsh(
    access,
    `mkdir -p -m 0755 /run/sshd && exec $(command -v sshd || echo /usr/sbin/sshd) -i -f ${quoteArg(sshdConfig)}`,
  );
  child.stdin!.write(input);
  const stdout = child.stdout!;
  const stop = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('error', (error) => reject(spawnError(error)));
      child.once('close', () =>
        reject(
          signal.aborted
            ? (signal.reason as Error)
            : connectionError(access.machine, complaint(), 'its sshd ended before it said a word'),
        ),
      );
      stdout.once('readable', () => {
        const bytes: unknown = stdout.read();
        if (bytes === null) return;
        stdout.unshift(bytes as Buffer);
        resolve();
      });
      if (signal.aborted) stop();
    });
  } finally {
    signal.removeEventListener('abort', stop);
  }
  const stream = Duplex.from({ readable: stdout, writable: child.stdin! });
  stream.once('close', stop);
  return stream;
}
