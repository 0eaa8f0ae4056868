import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import type { Capability } from '../provider.js';
import { findProgram } from '../shared/command.js';
import { cgroupLayout, isDelegated } from './cgroups.js';
import { idsPerHost, type IdSpan, parseSubordinate } from './id-ranges.js';

/** The first span of at least the ids of one host that a file gives to a user, by name or by number (subuid(5)). */
export function subordinateSpan(text: string, name: string, uid: number): IdSpan | null {
  const spans = parseSubordinate(text).filter((one) => one.owner === name || one.owner === String(uid));
  const span = spans.find((one) => one.count >= idsPerHost);
  return span ? { first: span.first, count: span.count } : null;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** One thing that netrig needs to run without root. `required`: without it, no lab comes up at all. */
export type Requirement = Capability & { required: boolean };

/** What a user who is not root needs for labs, each with the command that mends it. `files` is where /etc and /proc are read from, for tests. */
export function requirementsWithoutRoot(
  files: (path: string) => string = textOf,
  user: { username: string; uid: number } = userInfo(),
  find: (program: string) => string | null = findProgram,
): Requirement[] {
  const tools = ['newuidmap', 'newgidmap'].filter((name) => find(name) === null);
  const without = ['/etc/subuid', '/etc/subgid'].filter(
    (file) => subordinateSpan(files(file), user.username, user.uid) === null,
  );
  const ids = '100000-165535';
  const closed = [
    ['/proc/sys/user/max_user_namespaces', 'user.max_user_namespaces', '15000'],
    ['/proc/sys/kernel/unprivileged_userns_clone', 'kernel.unprivileged_userns_clone', '1'],
  ].filter(([file]) => files(file!).trim() === '0');
  const restricted = files('/proc/sys/kernel/apparmor_restrict_unprivileged_userns').trim() === '1';
  return [
    {
      name: 'tool:newuidmap',
      required: true,
      have: tools.length === 0,
      seen:
        tools.length === 0
          ? '`newuidmap` and `newgidmap` are installed.'
          : `\`${tools.join('`, `')}\` is not on the path.`,
      mend: 'apt-get install uidmap',
    },
    {
      name: 'subordinate-ids',
      required: true,
      have: without.length === 0,
      seen:
        without.length === 0
          ? `${user.username} has at least ${idsPerHost} subordinate user and group ids.`
          : `${without.join(' and ')} give ${user.username} fewer than ${idsPerHost} ids in one piece.`,
      mend: `usermod --add-subuids ${ids} --add-subgids ${ids} ${user.username} (as root; any ids that nobody else has)`,
    },
    {
      name: 'user-namespaces',
      required: true,
      have: closed.length === 0 && !restricted,
      seen:
        closed.length > 0
          ? `${closed[0]![1]} is 0: users may make no namespaces.`
          : restricted
            ? 'AppArmor restricts user namespaces of users (kernel.apparmor_restrict_unprivileged_userns is 1).'
            : 'Users may make user namespaces.',
      mend:
        closed.length > 0
          ? `sysctl ${closed[0]![1]}=${closed[0]![2]} (as root)`
          : 'sysctl kernel.apparmor_restrict_unprivileged_userns=0 (as root)',
    },
    delegation(),
  ];
}

/** Whether labs of this user can have cgroups. */
export function delegation(): Requirement {
  const { unified } = cgroupLayout();
  const have = unified !== null && isDelegated(unified.own);
  return {
    name: 'delegated-cgroup2',
    required: false,
    have,
    seen: have
      ? `This process's cgroup2 group is the user's own (${unified.own}).`
      : `${unified === null ? 'cgroup2 is not mounted' : "This process's cgroup2 group is not the user's own"}: only hosts with \`init: light\` can be had, without limits.`,
    mend: 'systemd-run --user --scope -p Delegate=yes netrig …',
  };
}
