import { readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isNetrigError, NetrigError } from '../errors.js';
import { shown, suggestion } from '../language/wording.js';
import { runIsolated } from './build-command.js';
import { classifyBuildFailure } from './build-failure.js';
import { contentKey, ensureEntry, listEntries, type BuildPlace, type CacheEntry } from './cache-entry.js';
import type { HostImage } from './host-image.js';
import { findMirror } from './mirror.js';
import { requireHostImageRow } from './recipe.js';
import { requireBuildTools, type ImageOptions } from './build-site.js';

/** What a layer of Debian packages states of itself. */
export interface PackageLayerFacts {
  /** The host image it stands on. */
  image: string;
  /** What was asked for. */
  packages: string[];
  /** Every package that came with it, with its version. */
  versions: Record<string, string>;
}

export type PackageLayer = CacheEntry<PackageLayerFacts>;

/** Raised when what makes a layer changes what comes out of it. */
const format = 2;

/** The tree of an overlay layer inside its entry. */
export const layerTree = 'upper';

/** What a layer may need at its peak; a handful of daemons takes a tenth of it. */
const neededBytes = 600_000_000;

/**
 * Installs packages into an overlay over a host image, with the image's own apt. The machine's package sources are bound
 * over apt's places for the time of the work: neither they nor passwords for them get into the layer.
 *
 * Arguments: the image's tree, the layer's directory, the file of sources, the file of apt settings, the packages.
 * `trusted.overlay.*` marks are what a host without, `user.overlay.*` what a host with a user namespace of its own
 * reads: the layer has none of either, because nothing that a package installs replaces a directory of the image.
 */
const installScript = `set -eu
image=$1 layer=$2 sources=$3 settings=$4
shift 4
mkdir "$layer/upper" "$layer/work" "$layer/root"
# Relative paths: a colon or a comma in an absolute one would mean something else to mount.
cd "$layer"
mkdir lower
mount --bind "$image" lower
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work netrig-packages root
mount -t proc proc root/proc
mount -t tmpfs -o mode=755 tmpfs root/dev
for node in null zero full random urandom tty; do : >"root/dev/$node"; mount --bind "/dev/$node" "root/dev/$node"; done
ln -s /proc/self/fd root/dev/fd
mkdir root/dev/pts root/dev/shm
mount -t tmpfs -o mode=755 tmpfs root/run
mount -t tmpfs -o mode=1777 tmpfs root/tmp
mount -t tmpfs -o mode=755 tmpfs root/var/cache/apt
mount -t tmpfs -o mode=755 tmpfs root/var/lib/apt/lists
mkdir root/run/netrig-apt root/run/netrig-apt/partial
cp "$sources" root/run/netrig-apt/sources.list
cp "$settings" root/run/netrig-apt/apt.conf
if [ -d /etc/apt/auth.conf.d ]; then mkdir root/run/netrig-apt/auth.conf.d; cp /etc/apt/auth.conf.d/* root/run/netrig-apt/auth.conf.d/ 2>/dev/null || true; fi
[ ! -f /etc/apt/auth.conf ] || cp /etc/apt/auth.conf root/run/netrig-apt/auth.conf
cp -L /etc/resolv.conf root/run/netrig-apt/resolv.conf 2>/dev/null || : >root/run/netrig-apt/resolv.conf
cp -L /etc/hosts root/run/netrig-apt/hosts
mount --bind root/run/netrig-apt/resolv.conf root/etc/resolv.conf
[ ! -e root/etc/hosts ] || mount --bind root/run/netrig-apt/hosts root/etc/hosts
# No package may start a service while it is installed: hosts start them when they boot.
printf '#!/bin/sh\\nexit 101\\n' >root/run/netrig-apt/policy-rc.d
chmod 755 root/run/netrig-apt/policy-rc.d
: >root/usr/sbin/policy-rc.d
mount --bind root/run/netrig-apt/policy-rc.d root/usr/sbin/policy-rc.d
inside() { chroot root /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive APT_CONFIG=/run/netrig-apt/apt.conf "$@"; }
list() { inside dpkg-query --show --showformat '\${Package} \${Version} \${db:Status-Abbrev}\\n' | LC_ALL=C sort; }
list >before
inside apt-get update
inside apt-get install --yes --no-install-recommends -- "$@" || {
  status=$?
  for name; do
    inside apt-cache pkgnames "$(printf %.3s "$name")" | head -n 2000 | sed 's/^/netrig-name /'
  done
  exit "$status"
}
list >after
LC_ALL=C comm -13 before after | while read -r name version status; do echo "netrig-version $name $version"; done
umount root/usr/sbin/policy-rc.d
rm root/usr/sbin/policy-rc.d
`;

/** apt's words for a package that a release does not have, and for one that another one rules out. */
const noSuchPackage =
  /^E: (?:Unable to locate package (\S+)|Package '(\S+)' has no installation candidate|Couldn't find any package by (?:glob|regex) '(\S+)')/m;

/** What is left over by dpkg and apt themselves, and must not differ between two builds or tell of the builder. */
const leftovers = [
  'var/log/apt',
  'var/cache/ldconfig/aux-cache',
  'var/lib/dpkg/status-old',
  'var/lib/apt/extended_states.old',
];

/** Empties a tree of logs. Its directories stay, with their owners: services such as nginx do not start without theirs. */
export async function emptyLogs(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true }).catch(() => [])) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await emptyLogs(path);
    else await rm(path, { force: true });
  }
}

/** Where a scenario names packages, as `FILE:LINE:COLUMN` by package. */
export type PackagePlaces = Readonly<Record<string, string>>;

/** Which of the packages keep a lab from going without a network: those that no layer in the cache has, or the set as a whole. */
function missingWords(packages: readonly string[], missing: readonly string[]): string {
  if (missing.length === packages.length) return ` (${packages.join(' ')})`;
  if (missing.length > 0) return `: ${missing.join(' ')} ${missing.length === 1 ? 'was' : 'were'} never fetched`;
  return `: each of ${packages.join(' ')} was fetched, but for another set of packages or build of the image, and a set is kept as a whole`;
}

/**
 * An error about packages, with the place of the one that it names, or of the first.
 *
 * @param cached packages that some layer in the cache has, of the same host image.
 */
export function placedError(
  error: unknown,
  packages: readonly string[],
  places: PackagePlaces,
  cached: ReadonlySet<string> = new Set(),
): unknown {
  if (!isNetrigError(error)) return error;
  const first = packages.find((name) => places[name] !== undefined);
  const missing = packages.filter((name) => !cached.has(name));
  const told = (name: string | undefined, more = ''): NetrigError => {
    const at = name === undefined ? undefined : places[name];
    const message = `${at === undefined ? '' : `${at}: `}${error.message}${more}`;
    return new NetrigError(error.code, message, { hint: error.hint, cause: error });
  };
  switch (error.code) {
    case 'NETRIG_OFFLINE':
      return told(missing.find((name) => places[name] !== undefined) ?? first, missingWords(packages, missing));
    case 'NETRIG_MIRROR_UNREACHABLE':
    case 'NETRIG_IMAGE_BUILD':
      return told(packages.find((name) => error.message.includes(` names ${name} `)) ?? first);
    case 'NETRIG_PACKAGE_UNKNOWN':
      return told(packages.find((name) => error.message.includes(` has no package ${shown(name)} `)));
    default:
      return error;
  }
}

async function install(base: HostImage, packages: readonly string[], place: BuildPlace): Promise<PackageLayerFacts> {
  const row = requireHostImageRow(base.name);
  const mirror = await findMirror(row, place.signal);
  const { directory } = place;
  const sources = join(directory, 'sources.list');
  const settings = join(directory, 'apt.conf');
  await writeFile(sources, mirror.lines.map((line) => `${line}\n`).join(''));
  const own = [
    'Dir::Etc::sourcelist "/run/netrig-apt/sources.list"',
    'Dir::Etc::sourceparts "-"',
    'Dir::Etc::netrc "/run/netrig-apt/auth.conf"',
    'Dir::Etc::netrcparts "/run/netrig-apt/auth.conf.d"',
    'APT::Sandbox::User "root"',
  ];
  const passedOn = mirror.aptOptions.filter((option) => !option.startsWith('Dir::Etc::netrc'));
  await writeFile(settings, [...passedOn, ...own].map((line) => `${line};\n`).join(''));
  const result = await runIsolated(
    ['sh', '-c', installScript, 'sh', base.root, directory, sources, settings, ...packages],
    { signal: place.signal, log: place.log, onLine: (line) => reportLine(line, place) },
  );
  if (result.exitCode !== 0) throw installFailure(base, result.output, place);
  const versions = Object.fromEntries(
    result.output.split('\n').flatMap((line) => {
      const match = /^netrig-version (\S+) (\S+)$/.exec(line);
      return match ? [[match[1]!, match[2]!] as const] : [];
    }),
  );
  for (const path of ['sources.list', 'apt.conf', 'before', 'after', 'work', 'root', 'lower'])
    await rm(join(directory, path), { recursive: true, force: true });
  await emptyLogs(join(directory, layerTree, 'var/log'));
  for (const path of leftovers) await rm(join(directory, layerTree, path), { recursive: true, force: true });
  return { image: base.name, packages: [...packages], versions };
}

function reportLine(line: string, place: BuildPlace): void {
  const said = /^(?:Get:\d+ .* (\S+) \S+ \[[^\]]+\]|Setting up (\S+) )/.exec(line);
  if (said?.[2] !== undefined) place.progress(`setting up ${said[2]}`);
}

/** What apt says of a package that a release does not have, as an error; `null` where it says something else. */
export function unknownPackage(release: { suite: string; name: string }, output: string): NetrigError | null {
  const missing = noSuchPackage.exec(output);
  const name = missing?.[1] ?? missing?.[2] ?? missing?.[3];
  const known = [...output.matchAll(/^netrig-name (\S+)$/gm)].map((match) => match[1]!);
  if (name === undefined) return null;
  return new NetrigError(
    'NETRIG_PACKAGE_UNKNOWN',
    `${release.suite} has no package ${shown(name)} (image ${release.name})${suggestion(name, known)}`,
    {
      hint: `Look for its name in that release: \`apt-cache search\` on a ${release.suite} machine, or another image.`,
    },
  );
}

function installFailure(base: HostImage, output: string, place: BuildPlace): NetrigError {
  const unknown = unknownPackage(base, output);
  if (unknown !== null) return unknown;
  return classifyBuildFailure(output, {
    image: `the packages for ${base.name}`,
    step: 'apt-get',
    cache: dirname(place.directory),
    logFile: place.logFile,
  });
}

/** The content key of a layer: it holds the books of the packages beneath it, so it fits one build of an image and no other. */
export function packageLayerKey(base: Pick<HostImage, 'build'>, packages: readonly string[]): string {
  return contentKey('packages', format, base.build, [...new Set(packages)].sort());
}

/**
 * The overlay layer that holds packages, made first where the cache has none. The order in which packages are named does
 * not matter.
 *
 * Throws NETRIG_PACKAGE_UNKNOWN, NETRIG_MIRROR_UNREACHABLE, NETRIG_IMAGE_BUILD, NETRIG_TOOL_MISSING, and what
 * `ensureEntry` throws.
 */
export async function ensurePackageLayer(
  base: HostImage,
  packages: readonly string[],
  options: ImageOptions,
  places: PackagePlaces = {},
): Promise<PackageLayer> {
  const wanted = [...new Set(packages)].sort();
  const name = `${base.name}+${wanted.slice(0, 3).join('+')}`.replace(/[^a-z0-9.+-]/g, '-').slice(0, 60);
  await requireBuildTools();
  return ensureEntry(
    { room: 'layers', name, key: packageLayerKey(base, wanted) },
    {
      subject: `the packages ${wanted.join(' ')} for ${base.name}`,
      neededBytes,
      make: (place) => install(base, wanted, place),
    },
    { signal: options.signal, progress: (line) => options.progress(`packages for ${base.name}: ${line}`) },
  ).catch(async (error: unknown) => {
    const offline = isNetrigError(error, 'NETRIG_OFFLINE');
    throw placedError(error, wanted, places, offline ? await cachedPackages(base.name) : undefined);
  });
}

/** Packages that layers of a host image in the cache were made for. */
async function cachedPackages(image: string): Promise<ReadonlySet<string>> {
  const layers = await listEntries<PackageLayerFacts>('layers');
  return new Set(layers.flatMap(({ facts }) => (facts.image === image ? facts.packages : [])));
}
