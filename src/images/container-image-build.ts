import { chmod, copyFile, lstat, mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import type { Writable } from 'node:stream';
import { runCommand, runIsolated, type BuildCommandResult } from './build-command.js';
import type { ContainerImageRecipe } from './container-images.js';

interface BuildContext {
  signal: AbortSignal;
  log: Writable;
}

/** Raised by the steps below with the tool's output; the store turns it into a coded error. */
export class BuildStepFailure extends Error {
  override readonly name = 'BuildStepFailure';
  constructor(
    readonly step: string,
    readonly output: string,
  ) {
    super(`${step} failed`);
  }
}

export function requireSuccess(step: string, result: BuildCommandResult): string {
  if (result.exitCode !== 0) throw new BuildStepFailure(step, result.output);
  return result.output;
}

/**
 * The real place of a path in a root tree: symbolic links are followed as a process inside the tree would follow them,
 * and can't lead out of it. The answer is relative to the tree's root.
 */
export async function resolveInTree(root: string, path: string): Promise<string> {
  let done = '/';
  let rest = path.split('/').filter((part) => part !== '');
  for (let hops = 0; rest.length > 0;) {
    const [part = '', ...others] = rest;
    rest = others;
    const next = posix.join(done, part);
    const info = await lstat(join(root, next)).catch(() => null);
    if (info?.isSymbolicLink()) {
      hops += 1;
      if (hops > 40) throw new Error(`too many symbolic links in ${path}`);
      const target = await readlink(join(root, next));
      if (target.startsWith('/')) done = '/';
      rest = [...target.split('/').filter((one) => one !== ''), ...rest];
    } else {
      done = next;
    }
  }
  return done.slice(1);
}

async function copyFromTree(root: string, path: string, stage: string): Promise<void> {
  const target = join(stage, path);
  await mkdir(dirname(target), { recursive: true });
  const source = join(root, await resolveInTree(root, path));
  await copyFile(source, target);
  await chmod(target, (await lstat(source)).mode & 0o7777);
}

/** Absolute paths in the lines that ldd(1) writes: `libc.so.6 => /lib/… (0x…)` and `/lib64/ld-linux… (0x…)`. */
export function parseLdd(text: string): string[] {
  const paths: string[] = [];
  for (const line of text.split('\n')) {
    const match = /^\s*(?:\S+ => )?(\/\S+) \(0x[0-9a-f]+\)$/.exec(line);
    if (match?.[1] !== undefined) paths.push(match[1]);
  }
  return paths;
}

/**
 * What a statically linked glibc program loads after all, as soon as it resolves a name: glibc's name services are
 * plug-ins, looked for in the multiarch library directory. Without them `ping NAME` says "bad address".
 */
async function nameServiceLibraries(root: string): Promise<string[]> {
  const libraries: string[] = [];
  const base = await resolveInTree(root, 'lib');
  for (const triplet of await readdir(join(root, base))) {
    if (!triplet.endsWith('-linux-gnu') && !triplet.includes('-linux-gnu')) continue;
    for (const name of await readdir(join(root, base, triplet)).catch(() => [])) {
      if (/^(libc\.so\.6|libnss_(files|dns)\.so\.2|libresolv\.so\.2|ld-linux[-\w.]*\.so\.\d)$/.test(name))
        libraries.push(posix.join('lib', triplet, name));
    }
  }
  return libraries;
}

/** Lays out the file tree of a container image below `stage`. */
async function stageContainerImage(
  root: string,
  recipe: ContainerImageRecipe,
  stage: string,
  context: BuildContext,
): Promise<void> {
  for (const directory of recipe.directories) await mkdir(join(stage, directory), { recursive: true });
  for (const directory of ['tmp', 'var/tmp']) await chmod(join(stage, directory), 0o1777);
  const busybox = join(root, await resolveInTree(root, 'bin/busybox'));
  await mkdir(join(stage, 'bin'), { recursive: true });
  await copyFile(busybox, join(stage, 'bin/busybox'));
  await chmod(join(stage, 'bin/busybox'), 0o755);
  const applets = requireSuccess('list the applets of busybox', await runCommand([busybox, '--list'], context)).split(
    '\n',
  );
  for (const applet of applets) {
    if (applet !== '' && applet !== 'busybox') await symlink('busybox', join(stage, 'bin', applet));
  }
  const libraries = new Set(await nameServiceLibraries(root));
  for (const program of recipe.programs) {
    await copyFromTree(root, program, stage);
    const listed = requireSuccess(
      `list the libraries of ${program}`,
      await runIsolated(['chroot', root, 'ldd', `/${program}`], { ...context, network: 'none' }),
    );
    for (const library of parseLdd(listed)) libraries.add(library.slice(1));
  }
  for (const library of libraries) await copyFromTree(root, library, stage);
  for (const file of recipe.files) {
    await mkdir(dirname(join(stage, file.path)), { recursive: true });
    await writeFile(join(stage, file.path), file.content);
    await chmod(join(stage, file.path), file.mode);
  }
}

/**
 * Runs the image's own engine, with no network but loopback and all its mounts in a namespace that ends with it, imports
 * the archives and leaves the image store in `data`. Overlay paths are relative to the working directory, because a colon
 * or comma in an absolute one would mean something else to mount.
 *
 * Arguments: the root tree, a work directory, the directory of the archives, the directory to fill, and a store to begin
 * with (empty: none). Of the archives, `NAME.tar` with `NAME.changes` is a file tree, `NAME.image` a saved image.
 */
const warmScript = `set -eu
tree=$1 work=$2 archives=$3 data=$4 begin=$5
mount -t tmpfs -o mode=755 netrig-warm "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay -o "lowerdir=$tree,upperdir=$work/upper,workdir=$work/work" netrig-warm "$work/root"
root=$work/root
mount -t proc proc "$root/proc"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup" 2>/dev/null || { mount -t sysfs -o ro sysfs "$root/sys"; mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"; }
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do : > "$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"; done
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mkdir -p "$root/var/lib/docker" "$root/run/archives"
mount -t tmpfs -o mode=710 tmpfs "$root/var/lib/docker"
mount --bind "$archives" "$root/run/archives"
[ -z "$begin" ] || cp -a "$begin/image" "$begin/overlay2" "$root/var/lib/docker"
ip link set lo up
PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" dockerd --storage-driver=overlay2 --iptables=false --bridge=none -H unix:///run/warm.sock &
engine=$!
docker() { PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" docker -H unix:///run/warm.sock "$@"; }
tries=0
until [ -S "$root/run/warm.sock" ] && docker version --format 'netrig-engine {{.Server.Version}}' 2>/dev/null; do
  kill -0 "$engine" 2>/dev/null || { echo 'error: the engine ended before it answered'; exit 1; }
  tries=$((tries + 1))
  [ "$tries" -lt 300 ] || { echo 'error: the engine did not answer within 30 s'; exit 1; }
  sleep 0.1
done
[ "$(docker info --format '{{.Driver}}')" = overlay2 ] || { echo 'error: the engine does not use overlay2'; exit 1; }
for archive in "$archives"/*.tar; do
  [ -e "$archive" ] || continue
  name=$(basename "$archive" .tar)
  set --
  while IFS= read -r change; do set -- "$@" --change "$change"; done < "$archives/$name.changes"
  docker import "$@" "/run/archives/$name.tar" "$name:latest"
done
for archive in "$archives"/*.image; do
  [ ! -e "$archive" ] || docker load --quiet --input "/run/archives/$(basename "$archive")"
done
docker image ls --format 'netrig-image {{.Repository}}:{{.Tag}}'
kill -TERM "$engine"
wait "$engine" || { echo "error: the engine ended with status $?"; exit 1; }
mkdir "$data"
chmod 710 "$data"
# the rest is made at the engine's start, and must differ between hosts (engine-id) or match their networks (local-kv.db)
cp -a "$root/var/lib/docker/image" "$root/var/lib/docker/overlay2" "$data"
rm -f "$data/overlay2/backingFsBlockDev"
`;

export interface WarmedData {
  /** As the engine itself states it: `20.10.5+dfsg1`. */
  engineVersion: string;
  containerImages: string[];
}

/**
 * Fills `DIRECTORY/docker` with an engine's data root that holds the container images, made from `DIRECTORY/root`.
 * Throws `BuildStepFailure`, NETRIG_INTERRUPTED, and what the file system throws.
 */
export async function warmEngineData(
  directory: string,
  recipes: readonly ContainerImageRecipe[],
  context: BuildContext,
  progress: (text: string) => void,
): Promise<WarmedData> {
  const root = join(directory, 'root');
  const archives = join(directory, 'archives');
  await mkdir(archives);
  for (const recipe of recipes) {
    progress(`putting together the container image ${recipe.name}`);
    const stage = join(directory, 'stage');
    await mkdir(stage, { mode: 0o755 });
    await stageContainerImage(root, recipe, stage, context);
    requireSuccess(
      `pack the container image ${recipe.name}`,
      await runCommand(
        [
          'tar',
          '--create',
          '--force-local',
          '--file',
          join(archives, `${recipe.name}.tar`),
          '--directory',
          stage,
          '--numeric-owner',
          '--owner=0',
          '--group=0',
          '--sort=name',
          '--mtime=@0',
          '.',
        ],
        context,
      ),
    );
    await writeFile(join(archives, `${recipe.name}.changes`), recipe.changes.map((change) => `${change}\n`).join(''));
    await rm(stage, { recursive: true, force: true });
  }
  progress('importing the container images with the image’s own engine');
  const data = await runEngine(directory, { tree: 'root', begin: '' }, context);
  const missing = recipes.filter((recipe) => !data.containerImages.includes(recipe.name));
  if (missing.length > 0)
    throw new BuildStepFailure(
      'import the container images',
      `error: the engine lists no image named ${missing.map((one) => one.name).join(', ')}\n`,
    );
  return data;
}

/**
 * Runs an image's engine over the archives in `DIRECTORY/archives`, which are removed, and leaves its store in
 * `DIRECTORY/docker`. `begin` is a store that it has from the start (`''`: none); paths are absolute or below `directory`.
 */
export async function runEngine(
  directory: string,
  { tree, begin }: { tree: string; begin: string },
  context: BuildContext,
): Promise<WarmedData> {
  await mkdir(join(directory, 'warm'));
  const output = requireSuccess(
    'import the container images',
    await runIsolated(['sh', '-c', warmScript, 'sh', tree, 'warm', 'archives', 'docker', begin], {
      ...context,
      cwd: directory,
      network: 'none',
    }),
  );
  await rm(join(directory, 'warm'), { recursive: true, force: true });
  await rm(join(directory, 'archives'), { recursive: true, force: true });
  const said = (key: string): string[] =>
    output
      .split('\n')
      .filter((line) => line.startsWith(`netrig-${key} `))
      .map((line) => line.slice(key.length + 8));
  // `web:latest` is `web`, as people call it.
  const containerImages = said('image').map((name) => name.replace(/:latest$/, ''));
  return { engineVersion: said('engine')[0] ?? '', containerImages: containerImages.sort() };
}

/** The version of a package as dpkg's database in a root tree states it; null where it is not installed. */
export async function installedVersion(root: string, packageName: string): Promise<string | null> {
  const status = await readFile(join(root, 'var/lib/dpkg/status'), 'utf8');
  const paragraph = status.split('\n\n').find((one) => one.startsWith(`Package: ${packageName}\n`));
  if (paragraph === undefined || !/^Status: install ok installed$/m.test(paragraph)) return null;
  return /^Version: (.+)$/m.exec(paragraph)?.[1] ?? null;
}

/** `20.10.5+dfsg1-1+deb11u4` → `20.10.5`: without epoch, Debian revision and repacking suffix. */
export function upstreamVersion(packageVersion: string): string {
  return packageVersion
    .replace(/^\d+:/, '')
    .replace(/-[^-]*$/, '')
    .replace(/[+~].*$/, '');
}
