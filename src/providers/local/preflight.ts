import { NetrigError } from '../../errors.js';
import type { HostPlan, LabPlan } from '../../plan/lab-plan.js';
import { findHostImageRow } from '../../images/host-image.js';
import { formatSize } from '../../model/size.js';
import { cgroupLayout, viewFor } from './cgroups.js';
import { checkLimits, leastMemoryOf } from './limits.js';
import { inotifySysctl, inotifyUse, missingTools, neighbourLimit } from './machine.js';
import type { Need } from './queue.js';
import { type Room, roomOf } from './room.js';
import { requireUplinkProgram } from '../shared/uplink.js';
import { requirementsWithoutRoot } from './without-root.js';
import { ownRootWords } from '../../lab/own-root.js';
import { outerIds } from '../../lab/outer-users.js';

/**
 * Inotify instances that one systemd host takes, measured with a container running: systemd 3, dbus 1; containerd 1 once an
 * engine runs; on Debian sid (engine 28) containerd 2 and dockerd 1.
 */
function inotifyOf(host: HostPlan): number {
  if (!host.engine) return 4;
  return findHostImageRow(host.image)?.cgroup === 'v2' ? 7 : 5;
}

/** What the names of hosts and segments may be: they become file names and words of commands. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

function checkNames(plan: LabPlan): void {
  for (const name of [...plan.hosts.map((host) => host.name), ...plan.segments.map((segment) => segment.name)]) {
    if (!namePattern.test(name))
      throw new NetrigError('NETRIG_USAGE', `"${name}" can't be the name of a host or a segment.`, {
        hint: 'Use letters, digits, - and _.',
      });
  }
}

/**
 * For hosts of the machine's root alone, which share its inotify instances: an isolated host has those of its own user.
 * Throws NETRIG_CAPABILITY.
 */
export function checkInotify(plan: LabPlan): void {
  const systemd = plan.hosts.filter((host) => host.init === 'systemd');
  const need = systemd.reduce((sum, host) => sum + inotifyOf(host), 0);
  if (need === 0) return;
  const use = inotifyUse();
  if (use === null || use.limit - use.used >= need) return;
  let enough = 256;
  while (enough < use.used + need) enough *= 2;
  throw new NetrigError(
    'NETRIG_CAPABILITY',
    `${systemd.length} systemd hosts need about ${need} inotify instances; this machine allows root ${use.limit}, of which ${use.used} are in use.`,
    { hint: `Run \`sysctl ${inotifySysctl}=${enough}\`, or make some hosts \`init: light\`.` },
  );
}

/** Why a user who is not root has no labs: what is missing for them first. */
function withoutRootError(): NetrigError {
  const missing = requirementsWithoutRoot().find((one) => one.required && !one.have);
  const what = missing ? ` What a user needs for labs is missing: ${missing.seen}` : '';
  return new NetrigError(
    'NETRIG_NO_ROOT',
    `The local provider makes namespaces, mounts and cgroups, and netrig does not run as root.${what}`,
    {
      hint: missing
        ? `To mend it: ${missing.mend}. \`netrig doctor\` names all.`
        : 'The command `netrig` runs without root; Mocha by itself, and programs, do not.',
    },
  );
}

/** See `Provider.preflight`. */
export function localPreflight(plan: LabPlan): void {
  if (process.getuid?.() !== 0) throw withoutRootError();
  checkNames(plan);
  const missing = missingTools(['unshare', 'nsenter', 'setpriv', 'perl', 'ip', 'cp', 'du'])[0];
  if (missing) {
    throw new NetrigError('NETRIG_TOOL_MISSING', `\`${missing.name}\` is not installed.`, {
      hint: `Install Debian's package: \`apt-get install ${missing.debianPackage}\`.`,
    });
  }
  requireUplinkProgram(plan);
  ownRootWords();
  const layout = cgroupLayout();
  for (const host of plan.hosts) {
    const row = findHostImageRow(host.image);
    if (host.init === 'systemd' && row && viewFor(layout, row.cgroup) === null) {
      throw new NetrigError(
        'NETRIG_CAPABILITY',
        outerIds() === null
          ? `The systemd of ${host.image} needs ${row.cgroup === 'v2' ? 'cgroup2' : "systemd's cgroup hierarchy"}, which is not mounted below /sys/fs/cgroup.`
          : `The systemd of ${host.image} needs a cgroup, and this user has none that is delegated.`,
        {
          hint:
            outerIds() === null
              ? `Mount it, or make ${host.name} \`init: light\`.`
              : `Without root, run netrig in a cgroup of your own: \`systemd-run --user --scope -p Delegate=yes netrig …\`; or make ${host.name} \`init: light\`.`,
        },
      );
    }
  }
  const room = roomOf(layout);
  checkLimits(plan, room.memory);
  checkRoom(plan, room);
}

/** Processes and threads of a host that has booted, and of its engine with one container, measured. */
const processesOf = (host: HostPlan): number => (host.init === 'light' ? 8 : host.engine ? 75 : 20);

/** What a lab takes of the machine before it does anything. */
export function needOf(plan: LabPlan, isolated: boolean): Need {
  return {
    hosts: plan.hosts.length,
    memory: plan.hosts.reduce((sum, host) => sum + leastMemoryOf(host), 0),
    pids: plan.hosts.reduce((sum, host) => sum + processesOf(host), 0),
    ranges: isolated ? plan.hosts.length : 0,
  };
}

/** Throws NETRIG_LIMIT for a lab that this machine could not hold if it were alone. */
export function checkRoom(plan: LabPlan, { memory, pids }: Pick<Room, 'memory' | 'pids'>): void {
  const need = needOf(plan, false);
  const what =
    need.memory > memory
      ? `at least ${formatSize(need.memory)} of memory, and netrig may use ${formatSize(memory)}`
      : need.pids > pids
        ? `about ${need.pids} processes, and netrig may have ${pids}`
        : null;
  if (what === null) return;
  throw new NetrigError('NETRIG_LIMIT', `The lab does not fit: its ${need.hosts} hosts need ${what}.`, {
    hint: 'Make some hosts `init: light`, raise the limit that netrig runs under, or use a machine with more room.',
  });
}

/**
 * What to say before a lab that may fill the machine's neighbour table: every host that has talked to all others of its
 * segment has an entry for each. `null` when there is room.
 */
export function neighbourWarning(plan: LabPlan, limit = neighbourLimit()): string | null {
  const pairs = plan.segments.reduce((sum, segment) => {
    const ports = plan.hosts.flatMap((host) => host.interfaces).filter((nic) => nic.segment === segment.name).length;
    return sum + ports * (ports - 1);
  }, 0);
  if (limit === null || pairs <= limit) return null;
  let enough = 2048;
  while (enough < 2 * pairs) enough *= 2;
  return (
    `When all hosts of each segment talk to each other, the machine's neighbour table needs ${pairs} entries and holds ${limit}, ` +
    `for all network namespaces together: packets will be lost. \`sysctl net.ipv4.neigh.default.gc_thresh3=${enough}\` makes room.`
  );
}
