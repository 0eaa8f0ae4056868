import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { findProgram } from '../shared/command.js';

/** The programs that the provider runs, with the Debian package of each. */
export const tools = [
  { name: 'unshare', debianPackage: 'util-linux' },
  { name: 'nsenter', debianPackage: 'util-linux' },
  { name: 'setpriv', debianPackage: 'util-linux' },
  { name: 'mount', debianPackage: 'mount' },
  { name: 'perl', debianPackage: 'perl-base' },
  { name: 'cp', debianPackage: 'coreutils' },
  { name: 'du', debianPackage: 'coreutils' },
  { name: 'ip', debianPackage: 'iproute2' },
  { name: 'mmdebstrap', debianPackage: 'mmdebstrap' },
] as const;

export function missingTools(names: readonly string[]): (typeof tools)[number][] {
  return tools.filter((tool) => names.includes(tool.name) && findProgram(tool.name) === null);
}

function numberIn(file: string): number | null {
  try {
    const value = Number(readFileSync(file, 'utf8').trim());
    return Number.isSafeInteger(value) ? value : null;
  } catch {
    return null;
  }
}

export const inotifySysctl = 'fs.inotify.max_user_instances';

/**
 * Inotify instances: how many root may have on the whole machine, and how many it has. The count is of what this process
 * can see in /proc, so a floor. `null` where the kernel has no limit to read.
 */
export function inotifyUse(): { limit: number; used: number } | null {
  const limit = numberIn('/proc/sys/fs/inotify/max_user_instances');
  if (limit === null) return null;
  let used = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (statSync(`/proc/${pid}`).uid !== 0) continue;
      for (const fd of readdirSync(`/proc/${pid}/fd`)) if (isInotify(`/proc/${pid}/fd/${fd}`)) used += 1;
    } catch {
      // It ended while we looked.
    }
  }
  return { limit, used };
}

function isInotify(link: string): boolean {
  try {
    return readlinkSync(link) === 'anon_inode:inotify';
  } catch {
    return false;
  }
}

/** Entries that the machine's one IPv4 neighbour table holds at most, all network namespaces together; `null` if unknown. */
export function neighbourLimit(): number | null {
  return numberIn('/proc/sys/net/ipv4/neigh/default/gc_thresh3');
}
