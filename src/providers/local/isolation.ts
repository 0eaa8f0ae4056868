import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf, NetrigError } from '../../errors.js';
import type { IsolationWish } from '../provider.js';
import { findProgram, runCommand } from '../shared/command.js';
import { enterUsers, provideActions } from './boot-actions.js';
import { cgroupLayout } from './cgroups.js';
import { giveBack, takeRanges } from './id-ranges.js';
import { filterAction, machineCalls } from './machine-calls.js';
import { ownRootWords } from '../../lab/own-root.js';
import { outerIds } from '../../lab/outer-users.js';
import { isAlive, ownIdentity } from '../../lab/process.js';
import { makeDirectorySync } from '../../model/directory.js';

/** Who mounts the overlay of an isolated host: the host itself, or, on older kernels, root of the machine for it. */
export type OverlayMaker = 'host' | 'root';

/** How the hosts of a lab are kept from the machine. */
export type HostIsolation = { mode: 'none' } | { mode: 'users'; overlay: OverlayMaker };

export type IsolationProbe = { works: true; overlay: OverlayMaker } | { works: false; why: string };

/** What `users` means, in one line for people. */
export const usersMeans = 'root in a lab host is an unprivileged user of this machine';

/** What `none` means, in one line for people. */
export const noneMeans =
  'hosts are not isolated (isolation: none): root in a lab host is root of this machine, and can read and change all of it';

/**
 * Does in small what a host does when it boots: each line is tried, and the first that fails is what is missing. The last lines
 * are what an engine and `ip netns exec` do later.
 */
function probeBoot(overlay: OverlayMaker): string {
  const { hierarchies, unified } = cgroupLayout();
  const [cgroupType, cgroupOptions] =
    unified !== null ? ['cgroup2', 'nosuid'] : ['cgroup', hierarchies[0]?.options ?? 'memory'];
  // Without root and without a delegated group there are light hosts only, which mount none.
  const cgroups = outerIds() === null || unified !== null;
  return `
try() {
  what=$1
  shift
  words=$("$@" 2>&1) || { echo "$what: \${words:-failed}" | head -n 1; exit 1; }
}
cd -P mnt/host
if [ "${overlay}" = root ]; then
  try 'a mount of the prepared overlay' mount --no-canonicalize -o bind root root
else
  cd -P ..
  try 'a tmpfs' mount --no-canonicalize -t tmpfs -o mode=755,size=1m netrig host
  cd -P host
  mkdir upper work root
  try 'an overlay in a user namespace' mount --no-canonicalize -t overlay -o userxattr,lowerdir=../lower,upperdir=upper,workdir=work overlay root
fi
cd -P root
try 'owners of the image, shifted' test -O old/file
try 'a directory of the image removed and made again' sh -c 'rm -r old && mkdir old && touch old/new'
mkdir proc sys cgroup devpts
: >null
try 'a proc file system' mount --no-canonicalize -t proc proc proc
try 'a sysfs' mount --no-canonicalize -t sysfs sysfs sys
try 'a devpts' mount --no-canonicalize -t devpts -o newinstance devpts devpts
${cgroups ? '' : ': '}try 'a cgroup file system' mount --no-canonicalize -t ${cgroupType} -o ${cgroupOptions} cgroup cgroup
try 'a device' sh -c 'mount --no-canonicalize -o bind ../../nodes/null null && echo >null'
echo works
`;
}

/** Why a small host does not boot with that maker of its overlay, `null` where it does. */
export async function tryOverlay(directory: string, overlay: OverlayMaker): Promise<string | null> {
  const { pid, startTime } = ownIdentity();
  const image = mkdtempSync(join(directory, `.isolation-${pid}-${startTime}-`));
  const [range] = await takeRanges(1);
  try {
    // As the root of an image is: open to all, and seen from inside by an id that is nobody here.
    chmodSync(image, 0o755);
    for (const name of ['mnt', 'old']) mkdirSync(join(image, name), { mode: 0o755 });
    writeFileSync(join(image, 'old', 'file'), '');
    if (outerIds() !== null)
      for (const path of ['old/file', 'old', 'mnt', '.']) chownSync(join(image, path), range!.first, range!.first);
    const users = { firstId: range!.first, overlay };
    const actions = [
      ...provideActions({ image: { root: image, layers: [] }, users, dockerData: null, disk: 2 ** 20 }),
      ...enterUsers(['pid', 'uts', 'ipc', 'net', 'cgroup']),
      ...['--', 'sh', '-c', probeBoot(overlay)],
    ];
    const [perl, ...calls] = machineCalls;
    const [program = '', ...words] = [...ownRootWords(), findProgram(perl) ?? perl, ...calls, ...actions];
    const result = await runCommand([program, ...words], { timeoutMs: 15_000 });
    if (result.stdout.trimEnd().endsWith('works')) return null;
    return (result.stdout.trim() || result.stderr.trim() || `exit status ${result.exitCode}`).split('\n').at(-1)!;
  } finally {
    giveBack([range!]);
    rmSync(image, { recursive: true, force: true });
  }
}

/** Removes the trees of probes whose process was killed. */
export function sweepProbes(directory: string): void {
  for (const name of existsSync(directory) ? readdirSync(directory) : []) {
    const [, pid, startTime] = /^\.isolation-(\d+)-(\d+)-/.exec(name) ?? [];
    if (pid === undefined || isAlive({ pid: Number(pid), startTime: Number(startTime) })) continue;
    rmSync(join(directory, name), { recursive: true, force: true });
  }
}

const isFull = (error: unknown): boolean => ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');

const probed = new Map<string, Promise<IsolationProbe>>();

/**
 * Whether hosts of images in that directory can be isolated, found by doing it with a small tree there: idmapped mounts are a
 * matter of its file system. Once for each directory and process.
 */
export function probeIsolation(directory: string): Promise<IsolationProbe> {
  let probe = probed.get(directory);
  if (!probe) {
    probe = probeOnce(directory).catch((error: unknown) => {
      // A full disk says nothing about what the machine can do: hosts are not left unisolated for it.
      if (isFull(error)) throw error;
      return { works: false, why: messageOf(error) };
    });
    probed.set(directory, probe);
  }
  return probe;
}

async function probeOnce(directory: string): Promise<IsolationProbe> {
  if (filterAction().length === 0)
    return { works: false, why: `the numbers of the system calls of ${process.arch} are not known` };
  makeDirectorySync(directory);
  const why = await tryOverlay(directory, 'host');
  if (why === null) return { works: true, overlay: 'host' };
  return (await tryOverlay(directory, 'root')) === null ? { works: true, overlay: 'root' } : { works: false, why };
}

/**
 * How the hosts of a lab are isolated, given what is wished for. `auto` takes what the machine can do.
 *
 * Throws NETRIG_ISOLATION when isolation is asked for and cannot be had.
 */
export async function chooseIsolation(
  wish: IsolationWish,
  imageRoots: readonly string[],
  probe: typeof probeIsolation = probeIsolation,
  withoutRoot = outerIds() !== null,
): Promise<{ isolation: HostIsolation; why: string | null }> {
  if (wish === 'none' && withoutRoot)
    throw new NetrigError('NETRIG_ISOLATION', 'netrig runs without root, where all lab hosts are isolated.', {
      hint: 'Leave `--isolation none` out.',
    });
  if (wish === 'none') return { isolation: { mode: 'none' }, why: null };
  const directories = [...new Set(imageRoots.map((root) => dirname(dirname(root))))];
  const probes = await Promise.all(directories.map((directory) => probe(directory)));
  const not = probes.find((one) => !one.works);
  if (!not || not.works) {
    const overlay = probes.some((one) => one.works && one.overlay === 'root') ? 'root' : 'host';
    return { isolation: { mode: 'users', overlay }, why: null };
  }
  if (withoutRoot)
    throw new NetrigError('NETRIG_ISOLATION', `Without root, lab hosts cannot be made on this machine: ${not.why}.`, {
      hint: '`netrig doctor` says what was tried. Linux 6.6 or later is needed.',
    });
  if (wish === 'auto') return { isolation: { mode: 'none' }, why: not.why };
  throw new NetrigError('NETRIG_ISOLATION', `Lab hosts cannot be isolated on this machine: ${not.why}.`, {
    hint: '`netrig doctor` says what was tried. `--isolation none` does without: root in a lab host is root of this machine then.',
  });
}
