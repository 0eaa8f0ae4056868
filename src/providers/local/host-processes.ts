import { readFileSync } from 'node:fs';
import { identify, type ProcessIdentity, signalProcess, waitUntilGone } from '../../lab/process.js';
import { tasksOf, type HostGroups } from './cgroups.js';

const endMs = 5000;

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** In how many pid namespaces a process has a pid, from ours on (proc_pid_status(5)). */
const depthOf = (pid: number): number =>
  /^NSpid:\s*(.*)$/m.exec(read(`/proc/${pid}/status`))?.[1]?.split(/\s+/).length ?? 0;

/**
 * Kills the processes of a command name in a host and its containers, but not its PID 1, and waits a while until they are gone.
 * What netrig sent into the host's cgroups is in no pid namespace of it, and stays. Answers how many.
 */
export async function killByName(pid1: ProcessIdentity, groups: HostGroups, name: string): Promise<number> {
  const depth = depthOf(pid1.pid);
  const found = [...tasksOf(groups.top)].flatMap((pid) => {
    if (pid === pid1.pid || depthOf(pid) < depth) return [];
    // Before the name is read: a pid that is somebody else's by now is not this process any more.
    const identity = identify(pid);
    return identity !== null && read(`/proc/${pid}/comm`) === `${name}\n` ? [identity] : [];
  });
  for (const one of found) signalProcess(one, 'SIGKILL');
  await waitUntilGone(found, endMs);
  return found.length;
}
