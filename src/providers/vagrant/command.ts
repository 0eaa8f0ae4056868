import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NetrigError } from '../../errors.js';
import { identify, isAlive, type ProcessIdentity, waitUntilGone } from '../../lab/process.js';
import { machineEnvironment } from '../shared/command.js';
import { errorOf, parseMessage, type VagrantMessage } from './machine-readable.js';

/** The directory with the Vagrantfile: `vagrant/` of the package, above the compiled files. */
export function vagrantDirectory(): string {
  for (
    let directory = dirname(fileURLToPath(import.meta.url));
    directory !== dirname(directory);
    directory = dirname(directory)
  ) {
    const candidate = join(directory, 'vagrant');
    if (existsSync(join(candidate, 'Vagrantfile'))) return candidate;
  }
  throw new NetrigError('NETRIG_INTERNAL', 'The directory `vagrant` with its Vagrantfile is not there.', {
    hint: 'Install netrig anew.',
  });
}

export interface VagrantCommand {
  /** What is being done, for messages: `bring the machines up`. */
  doing: string;
  timeoutMs: number;
  /** Aborting interrupts vagrant, and kills it ten seconds later; at once where it was entered. */
  signal?: AbortSignal;
  /** argv that goes before `vagrant`, to run it elsewhere. */
  enter?: readonly string[];
  /** The plan, and where Vagrant keeps its state of these machines. */
  plan?: { file: string; dotfile: string };
  onMessage?: (message: VagrantMessage) => void;
  input?: string;
  /** Without `--machine-readable`, for what has no such form. */
  plain?: boolean;
}

export interface VagrantResult {
  exitCode: number | null;
  stdout: string;
  stderr: string;
  timedOut: boolean;
  messages: VagrantMessage[];
}

const interruptMs = 10_000;

function homeOf(directory: string): string {
  return join(directory, 'home');
}

/**
 * A home for Vagrant in the directory of the machines: the user's own boxes and plugins by links, and books of its own.
 * In the user's, machines that ended without `vagrant destroy`, with their libvirtd, would stand for ever.
 */
export function makeVagrantHome(directory: string): void {
  const home = homeOf(directory);
  const usual = process.env['VAGRANT_HOME'] ?? join(homedir(), '.vagrant.d');
  mkdirSync(home, { mode: 0o700 });
  for (const name of existsSync(usual) ? readdirSync(usual) : []) {
    if (name !== 'data' && name !== 'tmp') symlinkSync(join(usual, name), join(home, name));
  }
}

/** The variables that Vagrant gets: none of a Vagrantfile that netrig was started beside. */
export function vagrantEnvironment(plan?: { file: string; dotfile: string }): NodeJS.ProcessEnv {
  const { VAGRANT_VAGRANTFILE: _, VAGRANT_LOG: __, ...rest } = machineEnvironment;
  return {
    ...rest,
    VAGRANT_CHECKPOINT_DISABLE: '1',
    VAGRANT_NO_COLOR: '1',
    // What is not about machines reads no Vagrantfile: there is none of this name on the way up from the top.
    ...(plan
      ? {
          VAGRANT_HOME: homeOf(dirname(plan.file)),
          VAGRANT_CWD: vagrantDirectory(),
          NETRIG_VAGRANT_PLAN: plan.file,
          VAGRANT_DOTFILE_PATH: plan.dotfile,
        }
      : { VAGRANT_CWD: '/', VAGRANT_VAGRANTFILE: 'netrig-has-none' }),
  };
}

function commandNote(directory: string, pid: number): string {
  return join(directory, `.command-${pid}`);
}

/** Kills what `vagrant` still runs for machines whose holder is dead: it would keep them locked. Each is the leader of its process group. */
export async function killCommands(directory: string): Promise<void> {
  const running = readdirSync(directory).flatMap((name) => {
    if (!name.startsWith('.command-')) return [];
    try {
      return [JSON.parse(readFileSync(join(directory, name), 'utf8')) as ProcessIdentity];
    } catch {
      return [];
    }
  });
  for (const leader of running) if (isAlive(leader)) process.kill(-leader.pid, 'SIGKILL');
  await waitUntilGone(running, interruptMs);
}

/** Runs `vagrant`, whatever comes of it. Throws NETRIG_TOOL_MISSING, and NETRIG_INTERRUPTED after `signal`. */
export async function runVagrant(args: readonly string[], options: VagrantCommand): Promise<VagrantResult> {
  const { execa } = await import('execa');
  const argv = [...(options.enter ?? []), 'vagrant', ...args, ...(options.plain ? [] : ['--machine-readable'])];
  const messages: VagrantMessage[] = [];
  const child = execa(argv[0]!, argv.slice(1), {
    reject: false,
    stdin: options.input === undefined ? 'ignore' : 'pipe',
    ...(options.input === undefined ? {} : { input: options.input }),
    env: vagrantEnvironment(options.plan),
    extendEnv: false,
    // Ctrl-C on the terminal is for netrig, which interrupts vagrant when it has made up its mind.
    detached: true,
    maxBuffer: 8_000_000,
    stripFinalNewline: false,
  });
  const leader = child.pid === undefined ? null : identify(child.pid);
  const note = options.plan ? commandNote(dirname(options.plan.file), child.pid ?? 0) : null;
  if (note !== null && leader) writeFileSync(note, JSON.stringify(leader));
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const message = parseMessage(line.trimEnd());
      if (!message) continue;
      messages.push(message);
      options.onMessage?.(message);
    }
  });
  let timedOut = false;
  let killing: NodeJS.Timeout | undefined;
  // The whole group: what `nsenter` starts in a pid namespace would outlive it, and hold our end of its output.
  const signalGroup = (signal: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // It is gone.
    }
  };
  const stop = (): void => {
    // What runs beside a libvirtd of netrig's own goes with it; elsewhere Vagrant tidies up when it is interrupted.
    signalGroup(options.enter ? 'SIGKILL' : 'SIGINT');
    killing ??= setTimeout(() => signalGroup('SIGKILL'), interruptMs);
  };
  const timer = setTimeout(() => {
    timedOut = true;
    stop();
  }, options.timeoutMs);
  options.signal?.addEventListener('abort', stop, { once: true });
  if (options.signal?.aborted) stop();
  const result = await child;
  clearTimeout(timer);
  clearTimeout(killing);
  if (note !== null) rmSync(note, { force: true });
  options.signal?.removeEventListener('abort', stop);
  if (options.signal?.aborted)
    throw new NetrigError('NETRIG_INTERRUPTED', `Interrupted while Vagrant was to ${options.doing}.`, {
      cause: options.signal.reason,
    });
  if (result.code === 'ENOENT') throw vagrantMissing();
  return {
    exitCode: result.exitCode ?? null,
    stdout: result.stdout ?? '',
    stderr: result.stderr ?? '',
    timedOut,
    messages,
  };
}

export function vagrantMissing(): NetrigError {
  return new NetrigError('NETRIG_TOOL_MISSING', 'Vagrant is not installed on this machine.', {
    hint: 'On Debian: apt-get install vagrant vagrant-libvirt libvirt-daemon-system qemu-system-x86 (docs/vagrant.md says which package is for what); elsewhere see the pages of Vagrant.',
  });
}

/** The last lines that tell: Vagrant's own error, else what it wrote to its standard error. */
export function wordsOf(result: VagrantResult): string {
  const words =
    errorOf(result.messages)?.words ||
    result.stderr.trim() ||
    result.messages
      .filter((one) => one.type === 'ui')
      .at(-1)
      ?.data.at(-1) ||
    `exit status ${result.exitCode}`;
  return words
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(0, 12)
    .join(' ');
}

/** By the class of Vagrant's error, which its versions keep; its words differ by language and version. */
const bootErrors = /VMBootTimeout|VMBootBadState|NoIpAddressError|SSHConnectionTimeout|SSHChannelOpenFail/;
const boxErrors =
  /Box(NotFound|Add|ProviderDoesntMatch|NotFoundWithProvider|VersionInvalid|MetadataFileNotFound|ServerNotSet|Unpack)/;
const providerErrors =
  /Provider(NotFound|NotUsable|CantInstall)|NoDefaultProvider|Plugin(NotFound|NotInstalled)|VirtualBox(NotDetected|KernelModule|Invalid|InstallIncomplete)|VBoxManage(Error|LaunchError|NotFoundError)|LibvirtConnectionError|FogLibvirtConnectionError/;

/** The result of a command that must have worked, or its coded error. */
export function requireVagrant(
  result: VagrantResult,
  options: Pick<VagrantCommand, 'doing' | 'timeoutMs'>,
): VagrantResult {
  if (result.exitCode === 0 && !result.timedOut) return result;
  const { doing } = options;
  if (result.timedOut)
    throw new NetrigError(
      'NETRIG_VAGRANT',
      `Vagrant did not ${doing} within ${Math.round(options.timeoutMs / 1000)} s.`,
    );
  const error = errorOf(result.messages);
  const words = wordsOf(result);
  if (error && bootErrors.test(error.kind))
    throw new NetrigError('NETRIG_HOST_BOOT', `Vagrant did not ${doing}: ${words}`);
  if (error && boxErrors.test(error.kind))
    throw new NetrigError('NETRIG_BOX_MISSING', `Vagrant did not ${doing}: ${words}`);
  if (error && providerErrors.test(error.kind))
    throw new NetrigError('NETRIG_VAGRANT_PROVIDER', `Vagrant did not ${doing}: ${words}`);
  throw new NetrigError('NETRIG_VAGRANT', `Vagrant did not ${doing}${error ? ` (${error.kind})` : ''}: ${words}`);
}

/** Runs `vagrant`; resolves when it worked. */
export async function vagrant(args: readonly string[], options: VagrantCommand): Promise<VagrantResult> {
  return requireVagrant(await runVagrant(args, options), options);
}
