import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { constants as osConstants, userInfo } from 'node:os';
import { basename, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { NetrigError } from '../errors.js';
import { isAlive, type ProcessIdentity } from '../lab/process.js';
import { holderAlive, listRecords } from '../lab/store.js';
import { cgroupLayout, commandsGroup, isDelegated } from '../providers/local/cgroups.js';
import { requirementsWithoutRoot, subordinateSpan } from '../providers/local/without-root.js';
import { findProgram, machineEnvironment, runCommand } from '../providers/shared/command.js';

/** Commands that make labs, reach into them or make what they are made of. All others have nothing to do with the machine. */
const labCommands = new Set([
  ...['run', 'up', 'check', 'exec', 'ssh', 'trace', 'watch', 'capture', 'down', 'gc', 'images', 'doctor', 'mutate'],
]);

/** Signals that end netrig in good order; they are for the command inside. */
const forwarded = ['SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** Whether a process is in a user namespace of this user's, other than the one that this process is in. */
function isOuter(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/user`) !== readlinkSync('/proc/self/ns/user');
  } catch {
    // A process of root: its lab is not ours to reach.
    return false;
  }
}

/**
 * The process whose outer namespace a command belongs into: the holder of the lab that it names, else of any lab of this user
 * that is up; only from there may its hosts be entered.
 */
function holderFor(words: readonly string[]): ProcessIdentity | null {
  const live = listRecords().filter(
    (record) => record.provider === 'local' && holderAlive(record) && isOuter(record.holder.pid),
  );
  // The beginning of an id is enough for all commands.
  const named = words.map((word) => word.replace(/^--lab=/, '')).filter((word) => word !== '');
  const record = live.find((one) => named.some((word) => one.id.startsWith(word))) ?? live.at(-1);
  return record?.holder ?? null;
}

/** Waits for the shell in the new namespace, writes its maps by newuidmap and newgidmap, and has it go on. */
async function writeMaps(pid: number, made: Readable, go: Writable): Promise<void> {
  await once(made, 'data');
  const { username, uid, gid } = userInfo();
  for (const [program, file, own] of [
    ['newuidmap', '/etc/subuid', uid],
    ['newgidmap', '/etc/subgid', gid],
  ] as const) {
    const span = subordinateSpan(readFileSync(file, 'utf8'), username, uid);
    if (!span) throw new NetrigError('NETRIG_NO_ROOT', `${file} has no line for ${username}.`);
    const argv = [program, String(pid), '0', String(own), '1', '1', String(span.first), String(span.count)] as const;
    const result = await runCommand(argv, { timeoutMs: 10_000 });
    if (result.exitCode !== 0)
      throw new NetrigError('NETRIG_NO_ROOT', `${program} failed: ${result.stderr.trim()}`, {
        hint: '`netrig doctor` names what netrig needs to run without root.',
      });
  }
  go.end('go\n');
}

/**
 * In a delegated cgroup, moves this process, and so the command, into a group of its own below it: in version 2 a group that
 * has processes hands no controllers on, and labs need them for their limits.
 */
function leaveGroup(): void {
  const { unified } = cgroupLayout();
  if (!unified || !isDelegated(unified.own) || basename(unified.own) === commandsGroup) return;
  const group = join(unified.own, commandsGroup);
  try {
    if (!existsSync(group)) mkdirSync(group);
    writeFileSync(join(group, 'cgroup.procs'), String(process.pid));
  } catch {
    // Labs go without limits then; whoever asks for one is told.
  }
}

// Capabilities of a new user namespace do not outlive an exec before its map is written, so they are kept as ambient ones.
// The signal comes after the change of ids, which clears it.
const inside = `echo made >&3; read -r go <&4 && [ "$go" = go ] || exit 70
exec 3>&- 4<&-
exec setpriv --reuid 0 --regid 0 --keep-groups --inh-caps=-all --ambient-caps=-all --pdeathsig TERM -- "$@"`;

/** Runs a command in an outer namespace, a new one or that of a process, and answers its exit status. */
async function runInside(argv: readonly string[], joined: ProcessIdentity | null): Promise<number> {
  const command = joined
    ? ['nsenter', `--user=/proc/${joined.pid}/ns/user`, 'setpriv', '--pdeathsig', 'TERM', '--', ...argv]
    : ['unshare', '--user', '--keep-caps', 'sh', '-c', inside, 'sh', ...argv];
  const [program, ...words] = command;
  const child = spawn(findProgram(program!) ?? program!, words, {
    stdio: joined ? 'inherit' : ['inherit', 'inherit', 'inherit', 'pipe', 'pipe'],
    env: machineEnvironment,
  });
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  ended.catch(() => undefined);
  await once(child, 'spawn');
  // Ctrl-C at a terminal reaches the command by itself, and a second signal would end it at once.
  const terminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY);
  process.on('SIGINT', () => void (terminal || child.kill('SIGINT')));
  for (const signal of forwarded) process.on(signal, () => void child.kill(signal));
  const stopped = (): void => void child.kill('SIGKILL');
  if (!joined)
    await Promise.race([
      writeMaps(child.pid!, child.stdio[3] as Readable, child.stdio[4] as Writable),
      ended.then(([code]) => {
        throw new NetrigError('NETRIG_NO_ROOT', `A user namespace could not be made (exit status ${code}).`, {
          hint: '`netrig doctor` names what netrig needs to run without root. In a chroot the kernel makes none for users: run netrig outside of it, or as root.',
        });
      }),
    ]).catch((error: unknown) => {
      stopped();
      throw error;
    });
  const [code, signal] = await ended;
  return code ?? 128 + osConstants.signals[signal ?? 'SIGKILL'];
}

/**
 * Where netrig is not root and this user may have namespaces with subordinate ids: runs the command again as root of an outer
 * namespace, and answers its exit status. `null` where the command is to go on as it is.
 *
 * Throws NETRIG_NO_ROOT when the namespace could not be made after all.
 */
export async function runWithoutRoot(words: readonly string[]): Promise<number | null> {
  if (process.getuid?.() === 0 || !labCommands.has(words[0] ?? '') || words.some((word) => /^(-h|--help)$/.test(word)))
    return null;
  if (requirementsWithoutRoot().some((one) => !one.have && one.required)) return null;
  const holder = holderFor(words);
  leaveGroup();
  return runInside(
    [process.execPath, ...process.execArgv, ...process.argv.slice(1)],
    holder && isAlive(holder) ? holder : null,
  );
}
