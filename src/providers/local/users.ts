import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { ownRootWords } from '../../lab/own-root.js';
import { identify, type ProcessIdentity } from '../../lab/process.js';
import { machineEnvironment } from '../shared/command.js';
import { idsPerHost } from './id-ranges.js';

/** A host's user namespace, in which root is nobody on the machine. */
export interface UserSpace {
  /** Keeps the namespace until the host has processes of its own in it. */
  readonly holder: ProcessIdentity;
  /** The machine's id that is 0 in it. */
  readonly firstId: number;
  /** Ends the holder. */
  end(): void;
}

/** Its descriptor 0 is a pipe from the process that holds the lab: it ends when that does. */
const holderScript = 'echo made; read -r end';

/**
 * Makes a user namespace and writes its maps, which root of the machine may do without newuidmap. Rejects with the words of
 * the programs that failed.
 *
 * It is made by the first id of the range, not by root: what the kernel counts for each user (inotify instances, keys,
 * namespaces) is counted for the maker, so a host that uses its share up leaves that of root and of other hosts alone.
 * CAP_SYS_ADMIN goes along because AppArmor, where it restricts user namespaces, asks for it; it is gone once the namespace is
 * made.
 */
export async function makeUsers(firstId: number, own: (identity: ProcessIdentity) => void): Promise<UserSpace> {
  const id = String(firstId);
  const capability = '-all,+sys_admin';
  const [program = '', ...words] = [...ownRootWords(), 'setpriv'];
  const child = spawn(
    program,
    [
      ...words,
      ...['--reuid', id, '--regid', id, '--clear-groups', '--inh-caps', capability, '--ambient-caps', capability],
      ...['--pdeathsig', 'KILL', 'unshare', '--user', 'sh', '-c', holderScript],
    ],
    { stdio: ['pipe', 'pipe', 'pipe'], env: machineEnvironment, cwd: '/', detached: true },
  );
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.on('error', () => undefined);
  const ended = new Promise<never>((_, reject) => {
    child.on('error', reject);
    child.on('close', () => reject(new Error(stderr.trim() || 'the process that holds a user namespace ended')));
  });
  ended.catch(() => undefined);
  const ready = once(child.stdout, 'data');
  await Promise.race([once(child, 'spawn'), ended]);
  const holder = child.pid === undefined ? null : identify(child.pid);
  if (!holder) return ended;
  own(holder);
  const end = (): void => void child.stdin.end();
  try {
    await Promise.race([ready, ended]);
    for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${holder.pid}/${map}`, `0 ${firstId} ${idsPerHost}`);
  } catch (error) {
    end();
    throw error;
  }
  return { holder, firstId, end };
}
