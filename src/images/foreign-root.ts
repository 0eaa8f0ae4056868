import { createReadStream } from 'node:fs';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { messageOf, NetrigError } from '../errors.js';
import { runCommand, runIsolated, type BuildCommandResult } from './build-command.js';
import { contentKey, ensureEntry, type BuildPlace } from './cache-entry.js';
import { codedIfNoSpace } from './build-failure.js';
import type { HostImage } from './host-image.js';
import type { ImageOptions } from './build-site.js';

/** A host made of a root file system that is not netrig's: a directory, a tar archive of one, or the archive of an OCI image. */
export interface ForeignRoot {
  kind: 'root' | 'oci';
  /** Absolute path on this machine. */
  path: string;
  /** Where the scenario names it. */
  place: string;
}

/** What the tree of one states of itself. */
interface ForeignFacts {
  /** Its systemd, as a path in it; `null` where it has none. */
  systemd: string | null;
  /** The version of that, where it can be told: 252. */
  systemdVersion: number | null;
}

/** Raised when what is made of the same file changes. */
const format = 1;

/** Since this version systemd works on cgroup version 2 alone as well. */
const unifiedSystemd = 244;

const treeName = 'root';

/**
 * Makes of the tree in the working directory one that a host can be made of, and says what is in it. What the boot mounts over
 * must be directories: through a link, it would lead out of the tree. Devices would be the machine's.
 */
const finishScript = `set -eu
tools=$1
cd tree
for name in proc sys dev run tmp mnt etc root; do
  if [ -L "$name" ]; then echo "netrig-problem /$name is a link"; exit 1; fi
  [ -d "$name" ] || mkdir "$name"
done
for name in .netrig .machine; do
  if [ -L "$name" ] || [ -e "$name" ]; then echo "netrig-problem it has a /$name, a name that netrig takes in each host"; exit 1; fi
done
find . -xdev '(' -type b -o -type c ')' -delete
mkdir .netrig
mount --bind "$tools" .netrig
chroot . /.netrig/bin/busybox sh -c '
  for file in /usr/lib/systemd/systemd /lib/systemd/systemd; do
    [ -x "$file" ] || continue
    echo "netrig-systemd $file"
    for library in "\${file%/*}"/libsystemd-shared-*.so; do echo "netrig-library $library"; done
    break
  done
' </dev/null
umount .netrig
rmdir .netrig
`;

/** Takes away what a layer of an OCI image says is gone, by paths that are resolved in the tree. Arguments: the tools, the layer. */
const layerScript = `set -eu
tools=$1 layer=$2
mkdir tree/.netrig
mount --bind "$tools" tree/.netrig
tar --list --quoting-style=literal --file="$layer" | grep -E '(^|/)\\.wh\\.' >whiteouts || :
while read -r path; do
  directory=/$(dirname "$path")
  name=$(basename "$path")
  case $name in
    .wh..wh..opq) chroot tree /.netrig/bin/busybox find "$directory" -mindepth 1 -maxdepth 1 -exec /.netrig/bin/busybox rm -rf -- '{}' ';' || : ;;
    *) chroot tree /.netrig/bin/busybox rm -rf -- "$directory/\${name#.wh.}" ;;
  esac
done <whiteouts
umount tree/.netrig
rmdir tree/.netrig
tar --extract --same-permissions --numeric-owner --xattrs --xattrs-include=security.capability --exclude='.wh.*' --directory=tree --file="$layer"
`;

/** tar's last words say that it ends, not why. */
function lastLine(output: string): string {
  const lines = output.trim().split('\n');
  return lines.filter((line) => !/exiting (?:with failure|now)/i.test(line)).at(-1) ?? '';
}

function unusable(root: ForeignRoot, why: string, cause?: unknown): NetrigError {
  return new NetrigError('NETRIG_HOST_ROOT', `${root.place}: no host can be made of ${basename(root.path)}: ${why}.`, {
    cause,
  });
}

/** Runs a script over the tree that is being made, in the entry's directory. */
async function mustRun(
  root: ForeignRoot,
  place: BuildPlace,
  argv: readonly [string, ...string[]],
): Promise<BuildCommandResult> {
  const { signal, log, directory } = place;
  const result = await runIsolated(argv, { signal, log, cwd: directory, network: 'none' });
  if (result.exitCode === 0) return result;
  const said = /^netrig-problem (.+)$/m.exec(result.output)?.[1] ?? lastLine(result.output);
  const full = codedIfNoSpace(new Error(result.output), directory);
  if (full instanceof NetrigError) throw full;
  throw unusable(root, said);
}

interface Descriptor {
  digest?: unknown;
  mediaType?: unknown;
  platform?: { architecture?: unknown; os?: unknown };
}

const architectures: Record<string, string> = { x64: 'amd64', arm64: 'arm64' };

async function json(file: string): Promise<unknown> {
  return JSON.parse(await readFile(file, 'utf8'));
}

function blob(archive: string, digest: unknown): string {
  const match = typeof digest === 'string' ? /^(sha256|sha512):([0-9a-f]{64,128})$/.exec(digest) : null;
  if (!match) throw new Error(`its index has no digest, but ${JSON.stringify(digest)}`);
  return join(archive, 'blobs', match[1]!, match[2]!);
}

/** The layers of an OCI layout (image-spec 1.1) or of what `docker save` writes, the lowest first, as files in the archive's directory. */
async function layersOf(archive: string, architecture = architectures[process.arch]): Promise<string[]> {
  const index = await json(join(archive, 'index.json')).catch(() => null);
  if (index === null) {
    const saved = (await json(join(archive, 'manifest.json')).catch(() => null)) as { Layers?: unknown }[] | null;
    const layers = Array.isArray(saved) && saved.length === 1 ? saved[0]!.Layers : null;
    if (!Array.isArray(layers)) throw new Error('it is no archive of one OCI image');
    return layers.map((layer) => {
      if (typeof layer !== 'string' || layer.startsWith('/') || layer.split('/').includes('..'))
        throw new Error(`its manifest names a layer ${JSON.stringify(layer)}`);
      return join(archive, layer);
    });
  }
  let found = index as { manifests?: Descriptor[]; layers?: Descriptor[] };
  // An index may hold one for each platform.
  for (let depth = 0; depth < 3 && Array.isArray(found.manifests); depth += 1) {
    const all: Descriptor[] = found.manifests;
    const fitting = all.filter(({ platform }) => platform === undefined || platform.architecture === architecture);
    if (fitting.length === 0) throw new Error(`it has no image for ${architecture}`);
    if (fitting.length > 1) throw new Error('it holds several images');
    found = (await json(blob(archive, fitting[0]!.digest))) as typeof found;
  }
  if (!Array.isArray(found.layers)) throw new Error('its manifest names no layers');
  return found.layers.map(({ digest }) => blob(archive, digest));
}

async function unpackOci(root: ForeignRoot, tools: string, place: BuildPlace): Promise<void> {
  const archive = join(place.directory, 'archive');
  await mkdir(archive);
  await mustRun(root, place, ['tar', '--extract', '--no-same-owner', '--directory=archive', `--file=${root.path}`]);
  const layers = await layersOf(archive).catch((error: unknown) => {
    throw unusable(root, messageOf(error), error);
  });
  for (const [index, layer] of layers.entries()) {
    place.progress(`layer ${index + 1} of ${layers.length}`);
    await mustRun(root, place, ['sh', '-c', layerScript, 'sh', tools, layer]);
  }
  await rm(archive, { recursive: true });
}

async function make(root: ForeignRoot, tools: string, place: BuildPlace): Promise<ForeignFacts> {
  const { directory } = place;
  await mkdir(join(directory, 'tree'), { mode: 0o755 });
  if (root.kind === 'oci') await unpackOci(root, tools, place);
  else if ((await stat(root.path)).isDirectory())
    await mustRun(root, place, ['cp', '--archive', '--one-file-system', '--', `${root.path}/.`, 'tree']);
  else
    await mustRun(root, place, [
      ...(['tar', '--extract', '--same-permissions', '--numeric-owner', '--xattrs'] as const),
      ...['--xattrs-include=security.capability', '--directory=tree', `--file=${root.path}`],
    ]);
  const { output } = await mustRun(root, place, ['sh', '-c', finishScript, 'sh', tools]);
  await rm(join(directory, 'whiteouts'), { force: true });
  await runCommand(['mv', 'tree', treeName], { signal: place.signal, log: place.log, cwd: directory });
  const version = /^netrig-library .*-(\d+)(?:[-.~][^/]*)?\.so$/m.exec(output)?.[1];
  return {
    systemd: /^netrig-systemd (\S+)$/m.exec(output)?.[1] ?? null,
    systemdVersion: version === undefined ? null : Number(version),
  };
}

/** What a root file system's content is known by: of a directory, by all that tar says of it. */
async function digestOf({ path }: ForeignRoot, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  if ((await stat(path)).isFile()) await pipeline(createReadStream(path), hash, { signal });
  else {
    const tar = spawn('tar', ['--create', '--sort=name', '--numeric-owner', '--one-file-system', '-C', path, '.'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      signal,
    });
    tar.on('error', () => undefined);
    await pipeline(tar.stdout, hash, { signal });
  }
  return hash.digest('hex');
}

/**
 * The image of a host that is made of somebody's root file system: its tree in the cache, by its content, with netrig's own tools
 * beside it.
 *
 * Throws NETRIG_HOST_ROOT with the place in the scenario, NETRIG_INTERRUPTED, and what `ensureEntry` throws.
 */
export async function ensureForeignRoot(
  root: ForeignRoot,
  name: string,
  tools: HostImage,
  options: ImageOptions,
): Promise<HostImage> {
  const digest = await digestOf(root, options.signal).catch((error: unknown) => {
    throw unusable(root, messageOf(error), error);
  });
  const { size } = await stat(root.path);
  const entry = await ensureEntry<ForeignFacts>(
    {
      room: 'trees',
      name: basename(root.path)
        .toLowerCase()
        .replace(/[^a-z0-9.-]+/g, '-')
        .slice(0, 40),
      key: contentKey('tree', format, root.kind, digest),
    },
    {
      subject: `the root file system ${basename(root.path)}`,
      neededBytes: 4 * size,
      make: (place) => make(root, tools.root, place),
    },
    { signal: options.signal, progress: (line) => options.progress(`${name}: ${line}`) },
  );
  const { systemd, systemdVersion } = entry.facts;
  return {
    name,
    suite: '',
    build: basename(entry.directory),
    root: join(entry.directory, treeName),
    layers: [],
    engineVersion: '',
    cgroup: (systemdVersion ?? 0) >= unifiedSystemd ? 'v2' : 'hybrid',
    dockerData: null,
    containerImages: [],
    foreign: { tools: tools.root, systemd },
  };
}
