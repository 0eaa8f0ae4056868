import { mkdirSync, rmdirSync } from 'node:fs';
import { messageOf } from '../../errors.js';
import type { Capability } from '../provider.js';
import { chrootMend, ownRoot, ownRootWords } from '../../lab/own-root.js';
import { outerIds } from '../../lab/outer-users.js';
import { ownIdentity } from '../../lab/process.js';
import { imagesDirectory } from '../../images/cache-directory.js';
import { cgroupLayout, cgroupName, labGroups, viewFor } from './cgroups.js';
import { probeIsolation } from './isolation.js';
import { runCommand } from '../shared/command.js';
import { kernelProbes, probeScript, readProbes, saidByProbes } from '../shared/kernel-probes.js';
import { findProgram } from '../shared/command.js';
import { uplinkProgram } from '../shared/uplink.js';
import { inotifySysctl, inotifyUse, missingTools, neighbourLimit, tools } from './machine.js';
import { delegation, type Requirement, requirementsWithoutRoot } from './without-root.js';

async function kernelCapabilities(root: boolean): Promise<Capability[]> {
  const nothing = (why: string): Capability[] => [
    {
      name: 'namespaces',
      have: false,
      seen: why,
      mend: 'Run as root, in a container only with the privilege to make namespaces.',
    },
    ...kernelProbes.map((probe) => ({ name: probe.name, have: false, seen: `Not tried: ${why}` })),
  ];
  if (!root) return nothing('Only root can make the namespaces.');
  const flags = [
    '--mount',
    '--pid',
    '--uts',
    '--ipc',
    '--net',
    '--cgroup',
    '--propagation',
    'private',
    '--fork',
    '--kill-child=KILL',
  ];
  const [program = '', ...words] = [...ownRootWords(), 'unshare', ...flags, 'sh', '-c', probeScript()];
  const result = await runCommand([program, ...words], { timeoutMs: 10_000 });
  const said = saidByProbes(result.stdout);
  if (!said.has('namespaces'))
    return nothing(`unshare failed: ${result.stderr.trim() || `exit status ${result.exitCode}`}`);
  return [
    { name: 'namespaces', have: true, seen: 'unshare made mount, pid, uts, ipc, network and cgroup namespaces.' },
    ...readProbes(result.stdout, result.stderr),
  ];
}

function cgroupCapability(): Capability {
  const name = 'cgroups';
  const layout = cgroupLayout();
  const view = viewFor(layout, 'hybrid');
  if (view === null) {
    return {
      name,
      have: false,
      seen: 'Neither cgroup2 nor a systemd hierarchy is mounted below /sys/fs/cgroup.',
      mend: 'Use `init: light`, or mount the cgroup file systems as systemd does.',
    };
  }
  const made: string[] = [];
  try {
    const name = cgroupName(ownIdentity(), `probe-${process.hrtime.bigint()}`);
    for (const path of labGroups(layout, name).all) {
      mkdirSync(path);
      made.push(path);
    }
  } catch (error) {
    return {
      name,
      have: false,
      seen: `The layout is ${layout.kind}, but no group can be made: ${messageOf(error)}.`,
      mend: 'Run where /sys/fs/cgroup can be written to.',
    };
  } finally {
    for (const path of made) rmdirSync(path);
  }
  const which =
    layout.kind === 'v2'
      ? 'version 2 only'
      : `version 1 with systemd's hierarchy${layout.unified === null ? '' : ' and version 2 beside it'}`;
  return { name, have: true, seen: `The layout is ${which}; a group was made and removed in each hierarchy.` };
}

function cgroup2Capability(): Capability {
  const { unified } = cgroupLayout();
  if (unified !== null) return { name: 'cgroup2', have: true, seen: `cgroup2 is mounted at ${unified.mountPoint}.` };
  return {
    name: 'cgroup2',
    have: false,
    seen: 'cgroup2 is not mounted.',
    mend: 'Images whose systemd is 257 or later need it.',
  };
}

async function isolationCapability(): Promise<Capability> {
  const name = 'isolation';
  const probe = await probeIsolation(imagesDirectory()).catch((error: unknown) => ({
    works: false as const,
    why: messageOf(error),
  }));
  if (!probe.works)
    return {
      name,
      have: false,
      seen: `Tried to boot in a user namespace: ${probe.why}. Without it, root in a lab host is root of this machine.`,
      mend: 'Linux 5.19 or later, user.max_user_namespaces above 0, images on a file system with idmapped mounts (ext4, xfs, btrfs).',
    };
  const overlay =
    probe.overlay === 'root' ? ', whose root file system root of the machine mounts (Linux before 6.6)' : '';
  return { name, have: true, seen: `Tried: a small host boots in a user namespace of its own${overlay}.` };
}

/** Not among the tools: only labs that say so have a way to the outside. */
function uplinkCapability(): Capability {
  const name = 'outside';
  const { debianPackage } = uplinkProgram;
  return findProgram(uplinkProgram.name) === null
    ? {
        name,
        have: false,
        seen: '`slirp4netns` is not on the path: no host can have `outside: true`.',
        mend: `apt-get install ${debianPackage}`,
      }
    : { name, have: true, seen: '`slirp4netns` is installed.' };
}

/** Said in a chroot only. */
function chrootCapability(): Capability[] {
  const root = ownRoot();
  if (root.state === 'kept') return [];
  const name = 'chroot';
  if (root.state === 'moved') {
    const seen = 'netrig runs in a chroot: labs are made in mount namespaces of which that is the root.';
    return [{ name, have: true, seen }];
  }
  const seen = `netrig runs in a chroot that cannot be made the root of a mount namespace: ${root.why}.`;
  return [{ name, have: false, seen, mend: chrootMend }];
}

/** What concerns users who are not root: all of it where labs can't be had yet, the cgroup where netrig runs without root. */
function withoutRoot(root: boolean, outer: number | null): Requirement[] {
  if (root) return outer === null ? [] : [delegation()];
  return requirementsWithoutRoot();
}

/** See `Provider.capabilities`. All is done in namespaces that end with the probe; nothing of the machine changes. */
export async function localCapabilities(): Promise<Capability[]> {
  const uid = process.getuid?.();
  const root = uid === 0;
  const outer = outerIds();
  const missing = missingTools(tools.map((tool) => tool.name));
  const inotify = inotifyUse();
  const neighbours = neighbourLimit();
  const kernel = await kernelCapabilities(
    root && ownRoot().state !== 'stuck' && !missing.some((tool) => tool.name === 'unshare' || tool.name === 'ip'),
  );
  return [
    {
      name: 'root',
      have: root,
      seen:
        outer !== null
          ? `netrig runs without root: as root of a user namespace, with ${outer} subordinate ids.`
          : root
            ? 'netrig runs as root.'
            : `netrig runs as user ${uid}, and not all of what it needs to run without root is here.`,
      ...(root ? {} : { mend: 'Mend what is missing of the next lines, or run as root.' }),
    },
    ...chrootCapability(),
    ...withoutRoot(root, outer).map(({ name, have, seen, mend }) => ({
      name,
      have,
      seen,
      ...(mend === undefined ? {} : { mend }),
    })),
    ...tools.map((tool): Capability => {
      const have = !missing.includes(tool);
      return {
        name: `tool:${tool.name}`,
        have,
        seen: have ? `\`${tool.name}\` is installed.` : `\`${tool.name}\` is not on the path.`,
        ...(have ? {} : { mend: `apt-get install ${tool.debianPackage}` }),
      };
    }),
    uplinkCapability(),
    ...kernel,
    root ? cgroupCapability() : { name: 'cgroups', have: false, seen: 'Not tried: only root can make cgroups.' },
    cgroup2Capability(),
    root && ownRoot().state !== 'stuck' && missing.length === 0
      ? await isolationCapability()
      : {
          name: 'isolation',
          have: false,
          seen: 'Not tried: it takes root and the programs named here.',
          mend: 'Mend those first.',
        },
    {
      name: 'inotify',
      have: inotify === null || inotify.limit - inotify.used >= 16,
      seen:
        inotify === null
          ? 'The kernel states no limit.'
          : `Root has ${inotify.used} of ${inotify.limit} inotify instances in use.`,
      mend: `sysctl ${inotifySysctl}=1024`,
    },
    {
      name: 'neighbours',
      have: neighbours === null || neighbours >= 1024,
      seen:
        neighbours === null
          ? 'The kernel states no limit.'
          : `The machine's one neighbour table holds ${neighbours} entries for all network namespaces together.`,
      mend: 'sysctl net.ipv4.neigh.default.gc_thresh3=8192',
    },
  ];
}
