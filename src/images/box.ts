import { chmod, lstat, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NetrigError } from '../errors.js';
import { outerIds } from '../lab/outer-users.js';
import { formatDuration } from '../model/duration.js';
import { boxMetadata, boxRecipe, boxVagrantfile, boxVersion, diskGigabytes, kernelPlaceholder } from './box-recipe.js';
import { runCommand, runIsolated } from './build-command.js';
import { BuildStepFailure, requireSuccess } from './container-image-build.js';
import { hostImageRows } from './host-image.js';
import { takeLock } from './lock.js';
import { findMirror } from './mirror.js';
import { type ImageRecipe, recipeKey, requireHostImageRow } from './recipe.js';
import {
  bootstrap,
  buildTools,
  codedOrBuild,
  configure,
  diskUsage,
  engineWithImages,
  formatBytes,
  inBuildDirectory,
  lockDeadlineMs,
  requireBuildTools,
  requireSpace,
  type BuildSite,
  type ImageOptions,
} from './build-site.js';
import { builtDirectories, discard, imagesDirectory, removeTree, sweep, removeBuilt } from './cache-directory.js';
import { noteUse } from './use.js';
import { makeDirectory } from '../model/directory.js';

/** A Vagrant box of netrig's own: a host image with a kernel, on a disk that boots. */
export interface VagrantBox {
  /** The host image that it carries: `debian-12`. */
  image: string;
  /** The name that Vagrant knows it by; it has the content key in it, so a box of another recipe is another box. */
  boxName: string;
  /** Another one after each build. */
  version: string;
  /** Absolute path of the disk, qcow2. */
  disk: string;
  /** Absolute path of the `.box` file. */
  boxFile: string;
  /** Absolute path of the private key that root's first log-in takes, in OpenSSH's form; readable to its owner only. */
  loginKey: string;
  /** The host key that machines made of it show at first: base64 of its wire form. */
  hostKey: string;
  engineVersion: string;
  containerImages: string[];
}

export interface BoxStatus {
  image: string;
  state: 'ready' | 'stale' | 'absent';
  engineVersion: string;
  directory: string | null;
  sizeBytes: number;
  builtAt: string | null;
}

interface BoxManifest {
  image: string;
  key: string;
  engineVersion: string;
  containerImages: string[];
  hostKey: string;
  builtAt: string;
  sizeBytes: number;
}

/** The tree, its disk raw and compressed, and the box. */
const neededBytes = 3_500_000_000;

const boxTools: Readonly<Record<string, string>> = {
  ...buildTools,
  sfdisk: 'fdisk',
  mke2fs: 'e2fsprogs',
  extlinux: 'extlinux',
  'qemu-img': 'qemu-utils',
};

const prefix = 'vagrant:';

/** `debian-12` of `vagrant:debian-12`; `null` for a name that is none of a box. */
export function boxImageOf(name: string): string | null {
  return name.startsWith(prefix) ? name.slice(prefix.length) : null;
}

function cacheName(image: string): string {
  return `vagrant-${image}`;
}

async function readManifest(directory: string): Promise<BoxManifest | null> {
  try {
    return JSON.parse(await readFile(join(directory, 'box.json'), 'utf8')) as BoxManifest;
  } catch {
    return null;
  }
}

function boxIn(directory: string, manifest: BoxManifest): VagrantBox {
  const { image, key, engineVersion, containerImages, hostKey, builtAt } = manifest;
  return {
    image,
    boxName: `netrig-${image}-${key}`,
    version: boxVersion(builtAt),
    disk: join(directory, 'box.img'),
    boxFile: join(directory, 'netrig.box'),
    loginKey: join(directory, 'login_key'),
    hostKey,
    engineVersion,
    containerImages,
  };
}

function finishedDirectory(recipe: ImageRecipe): string {
  return join(imagesDirectory(), `${recipe.name}-${recipeKey(recipe)}`);
}

/** The box of the present recipe, if the cache has it. Throws NETRIG_IMAGE_UNKNOWN. */
export async function findBox(image: string, since = 0): Promise<VagrantBox | null> {
  const directory = finishedDirectory(boxRecipe(requireHostImageRow(image)));
  const manifest = await readManifest(directory);
  return manifest === null || Date.parse(manifest.builtAt) < since ? null : boxIn(directory, manifest);
}

/** Every host image with the state of its box in the cache. */
export async function listBoxes(): Promise<BoxStatus[]> {
  return Promise.all(
    hostImageRows.map(async (row): Promise<BoxStatus> => {
      const current = finishedDirectory(boxRecipe(row));
      const found = await Promise.all(
        (await builtDirectories(cacheName(row.name))).map(async (directory) => ({
          directory,
          manifest: await readManifest(directory),
        })),
      );
      const best = found.find((one) => one.directory === current && one.manifest) ?? found.find((one) => one.manifest);
      if (!best?.manifest)
        return {
          image: row.name,
          state: 'absent',
          engineVersion: row.engine,
          directory: null,
          sizeBytes: 0,
          builtAt: null,
        };
      const { engineVersion, sizeBytes, builtAt } = best.manifest;
      return {
        image: row.name,
        state: best.directory === current ? 'ready' : 'stale',
        engineVersion,
        directory: best.directory,
        sizeBytes,
        builtAt,
      };
    }),
  );
}

/** The box, built first where the cache has none of the present recipe. Throws what `buildBox` throws. */
export async function ensureBox(image: string, options: ImageOptions): Promise<VagrantBox> {
  const directory = finishedDirectory(boxRecipe(requireHostImageRow(image)));
  if ((await lstat(directory).catch(() => null)) !== null) await noteUse(directory);
  const built = await findBox(image);
  if (built !== null) return built;
  const box = await buildBox(image, options);
  await noteUse(directory);
  return box;
}

/** Removes a box from the cache, of whatever recipe. Answers how many bytes that freed. Throws as `removeHostImage` does. */
export async function removeBox(image: string): Promise<number> {
  requireHostImageRow(image);
  return removeBuilt(
    cacheName(image),
    `the box ${prefix}${image}`,
    async (directory) => (await readManifest(directory))?.sizeBytes ?? 0,
  );
}

/**
 * Builds a box in the cache by script, from Debian packages alone; where it is there already, only with `force`. No box
 * registry is asked. Two processes at once build it once.
 *
 * Throws what `buildHostImage` throws. Nothing half-built stays.
 */
export async function buildBox(
  image: string,
  options: ImageOptions & { force?: boolean; lockDeadlineMs?: number },
): Promise<VagrantBox> {
  const { signal, force = false } = options;
  const recipe = boxRecipe(requireHostImageRow(image));
  const images = imagesDirectory();
  if (process.arch !== 'x64')
    throw new NetrigError(
      'NETRIG_IMAGE_BUILD',
      `boxes are built for x86-64 only, and this machine is ${process.arch}`,
      { hint: 'Name a box of your own in NETRIG_VAGRANT_BOX; docs/vagrant.md says what it must have.' },
    );
  if (process.getuid?.() !== 0 || outerIds() !== null)
    throw new NetrigError('NETRIG_NO_ROOT', `building the box ${prefix}${image} needs root`);
  await requireBuildTools(boxTools);
  const started = performance.now();
  const calledAt = Date.now();
  const progress = (text: string): void =>
    options.progress(`${prefix}${image}: ${text} (${formatDuration(performance.now() - started)})`);
  try {
    await makeDirectory(images);
  } catch (error) {
    throw codedOrBuild(error, prefix + image, images);
  }
  const lock = await takeLock(join(images, `.lock-${recipe.name}`), {
    subject: `the box ${prefix}${image}`,
    deadlineMs: options.lockDeadlineMs ?? lockDeadlineMs,
    signal,
    progress,
  }).catch((error: unknown) => {
    throw codedOrBuild(error, prefix + image, images);
  });
  try {
    await sweep(recipe.name);
    const built = await findBox(image, force ? calledAt : 0);
    if (built !== null) return built;
    return await build(image, recipe, { signal, progress });
  } catch (error) {
    throw codedOrBuild(error, prefix + image, images);
  } finally {
    await lock.release();
  }
}

/** Byte 0 of the file system: after the partition table, on the boundary that partitioning programs choose. */
const partitionOffset = 1_048_576;

/** Where Debian's extlinux package has the 440 bytes that load a partition's boot loader. */
const masterBootRecord = '/usr/lib/EXTLINUX/mbr.bin';

/**
 * The boot loader needs its file system mounted once, in a mount namespace that ends with it; the loop device goes with the
 * mount (`mount -o loop` sets autoclear).
 */
const bootLoaderScript = `set -eu
mkdir mnt
mount -o loop,offset=${partitionOffset} disk.raw mnt
extlinux --install mnt/boot/extlinux
umount mnt
rmdir mnt
`;

async function build(
  image: string,
  recipe: ImageRecipe,
  context: { signal: AbortSignal; progress(text: string): void },
): Promise<VagrantBox> {
  const { signal, progress } = context;
  const { name } = recipe;
  await requireSpace(name, neededBytes);
  progress(`looking for a mirror of Debian ${recipe.suite}`);
  const mirror = await findMirror(requireHostImageRow(image), signal);
  return inBuildDirectory({ name, subject: prefix + image, signal, progress }, async (site) => {
    const { directory, root, log } = site;
    await bootstrap(recipe, mirror, site);
    site.step = 'configuration';
    progress('configuring');
    await configure(recipe, root);
    await nameKernel(root);
    const hostKey = await makeKeys(site);
    const engine = await engineWithImages(recipe, site);
    if (engine.warmed) {
      await rm(join(root, 'var/lib/docker'), { recursive: true, force: true });
      await rename(join(directory, 'docker'), join(root, 'var/lib/docker'));
    }
    await makeDisk(site);
    await compressDisk(site);
    await pack(site);
    await removeTree(join(directory, 'tmp'));
    const manifest: BoxManifest = {
      image,
      key: recipeKey(recipe),
      engineVersion: engine.version,
      containerImages: engine.containerImages,
      hostKey,
      builtAt: new Date().toISOString(),
      sizeBytes: await diskUsage(directory, { signal, log }),
    };
    await writeFile(join(directory, 'box.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    await run(site, 'sync', ['sync', '--file-system', directory]);
    const final = finishedDirectory(recipe);
    for (const old of await builtDirectories(name)) {
      if ((await discard(old)) !== null && old === final)
        throw new NetrigError(
          'NETRIG_CACHE_LOCKED',
          `the box ${prefix}${image} is in use; it can't be built anew now`,
          { hint: 'Take the lab down first, or wait for the run to end.' },
        );
    }
    await rename(directory, final);
    progress(`ready, ${formatBytes(manifest.sizeBytes)}`);
    return boxIn(final, manifest);
  });
}

/** One command in the build's directory; `title` names it when it fails. */
async function run(
  site: BuildSite,
  title: string,
  argv: readonly [string, ...string[]],
  isolated = false,
): Promise<string> {
  const { signal, log, directory } = site;
  site.step = title;
  const context = { signal, log, cwd: directory };
  return requireSuccess(
    title,
    await (isolated ? runIsolated(argv, { ...context, network: 'none' }) : runCommand(argv, context)),
  );
}

/** Puts the version of the kernel that was installed into the boot loader's configuration. */
async function nameKernel(root: string): Promise<void> {
  const kernel = (await readdir(join(root, 'boot')))
    .find((one) => one.startsWith('vmlinuz-'))
    ?.slice('vmlinuz-'.length);
  if (kernel === undefined)
    throw new BuildStepFailure('configuration', 'error: the kernel package brought no kernel\n');
  const bootFile = join(root, 'boot/extlinux/extlinux.conf');
  await writeFile(bootFile, (await readFile(bootFile, 'utf8')).replaceAll(kernelPlaceholder, kernel));
}

const keysScript =
  "ssh-keygen -q -t ed25519 -N '' -C netrig -f /etc/ssh/ssh_host_ed25519_key && ssh-keygen -q -t ed25519 -N '' -C netrig -f /login_key && mkdir -p -m 700 /root/.ssh && mv /login_key.pub /root/.ssh/authorized_keys";

/** Makes the key of the host and the one that logs in to it, and answers the host's public key. */
async function makeKeys(site: BuildSite): Promise<string> {
  const { directory, root } = site;
  await run(site, 'make keys', ['chroot', root, 'sh', '-c', keysScript], true);
  await rename(join(root, 'login_key'), join(directory, 'login_key'));
  await chmod(join(directory, 'login_key'), 0o600);
  return (await readFile(join(root, 'etc/ssh/ssh_host_ed25519_key.pub'), 'utf8')).split(' ')[1] ?? '';
}

/** The tree as a disk that boots, `disk.raw`; the tree is gone then. */
async function makeDisk(site: BuildSite): Promise<void> {
  const { root } = site;
  site.progress('writing the disk');
  await run(site, 'make the disk', ['truncate', '--size', `${diskGigabytes}G`, 'disk.raw']);
  await run(site, 'partition the disk', ['sh', '-c', "echo '2048,,L,*' | sfdisk --quiet disk.raw"]);
  const blocks = (diskGigabytes * 1024 ** 3 - partitionOffset) / 1024;
  // What extlinux can't read yet is left out.
  const features = ['-O', '^64bit,^metadata_csum'];
  const tree = ['-L', 'root', '-d', root, '-E', `offset=${partitionOffset}`];
  await run(site, 'make the file system', [
    'mke2fs',
    '-q',
    '-F',
    '-t',
    'ext4',
    ...features,
    ...tree,
    'disk.raw',
    `${blocks}k`,
  ]);
  await run(site, 'write the boot record', [
    'dd',
    `if=${masterBootRecord}`,
    'of=disk.raw',
    'conv=notrunc',
    'bs=440',
    'count=1',
    'status=none',
  ]);
  await run(site, 'install the boot loader', ['sh', '-c', bootLoaderScript], true);
  await removeTree(root);
}

async function compressDisk(site: BuildSite): Promise<void> {
  site.progress('compressing the disk');
  const compressed = ['-O', 'qcow2', '-c', '-o', 'compression_type=zstd'];
  await run(site, 'compress the disk', ['qemu-img', 'convert', ...compressed, 'disk.raw', 'box.img']);
  await rm(join(site.directory, 'disk.raw'));
}

async function pack(site: BuildSite): Promise<void> {
  const { directory } = site;
  site.step = 'packing';
  await writeFile(join(directory, 'metadata.json'), boxMetadata);
  await writeFile(join(directory, 'Vagrantfile'), boxVagrantfile);
  const parts = ['metadata.json', 'Vagrantfile', 'box.img'];
  await run(site, 'pack the box', ['tar', '--create', '--force-local', '--file', 'netrig.box', ...parts]);
}
