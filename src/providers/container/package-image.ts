import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type Docker from 'dockerode';
import { NetrigError } from '../../errors.js';
import { tellingLine } from '../../images/build-failure.js';
import { contentKey } from '../../images/cache-entry.js';
import type { HostImageRow } from '../../images/host-image.js';
import { requireNetwork } from '../../images/offline.js';
import { namedSources, type OutsideFiles, outsideFiles } from '../../images/outside-files.js';
import {
  ensurePackageLayer,
  layerTree,
  type PackagePlaces,
  placedError,
  unknownPackage,
} from '../../images/package-layer.js';
import { hostPackagesPin, type Pins, requireVersions } from '../../images/pins.js';
import { requireHostImageRow } from '../../images/recipe.js';
import { ensureHostImage } from '../../images/store.js';
import { quoteArg, quoteArgv } from '../../ssh/quote.js';
import { tarOf } from '../../ssh/tar.js';
import { ask, changeMs } from './engine.js';
import { type EngineImage, type EngineImageOptions, labelsOf, treeOnHand, withEngineImageLock } from './image.js';
import { labLabels, ownMark, packagesLabel, treeLabel } from './labels.js';
import { sendTar } from './tar-stream.js';
import { commitImage, withContainer } from './work-container.js';

/** Packages over a host image, as a layer of an image of the engine. */
export interface PackageOrder {
  packages: readonly string[];
  /** Where the scenario names them. */
  places?: PackagePlaces | undefined;
  pins?: Pins | undefined;
}

/** Raised when what an image is made into changes for the same packages. */
const format = 1;
/** Fetching and installing, ms. */
const installMs = 30 * 60_000;
const putMs = 10 * 60_000;

/** Of the container in which packages are installed: where netrig's own files stand until they are. */
const workDirectory = '/netrig-install';

/** `netrig/debian-12-packages:KEY`. The order in which packages are named does not matter. */
export function packageReference(base: EngineImage, packages: readonly string[]): string {
  const wanted = [...new Set(packages)].sort();
  return `netrig/${base.name}-packages:${contentKey('engine packages', format, base.reference, wanted)}`;
}

/**
 * What installs packages in a container of the host image, with the image's own apt. No service starts meanwhile, and what is
 * the builder's own (sources, settings, proxies, indexes, logs) is gone at the end. Pure.
 */
export function installScript(
  packages: readonly string[],
  { sources, settings, hosts, environment }: InstallSources,
): string {
  const options = [
    `Dir::Etc::sourcelist "${workDirectory}/sources.list"`,
    'Dir::Etc::sourceparts "-"',
    'APT::Sandbox::User "root"',
    'Acquire::Languages "none"',
    'Acquire::Retries "1"',
    'Acquire::Check-Valid-Until "false"',
  ];
  const names = packages.map(quoteArg).join(' ');
  return [
    'set -eu',
    ...Object.entries(environment).map(([name, value]) => `export ${name}=${quoteArg(value)}`),
    `export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive APT_CONFIG=${workDirectory}/apt.conf`,
    `printf %s ${quoteArg(sources.map((line) => `${line}\n`).join(''))} >${workDirectory}/sources.list`,
    `printf %s ${quoteArg([...settings, ...options].map((line) => `${line};\n`).join(''))} >${workDirectory}/apt.conf`,
    ...hosts.map((line) => `echo ${quoteArg(line)} >>/etc/hosts`),
    "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d",
    'chmod 755 /usr/sbin/policy-rc.d',
    "list() { dpkg-query --show --showformat '${Package} ${Version} ${db:Status-Abbrev}\\n' | LC_ALL=C sort; }",
    `list >${workDirectory}/before`,
    'apt-get update',
    `apt-get install --yes --no-install-recommends -- ${names} || {`,
    '  status=$?',
    `  for name in ${names}; do`,
    '    apt-cache pkgnames "$(printf %.3s "$name")" | head -n 2000 | sed "s/^/netrig-name /"',
    '  done',
    '  exit "$status"',
    '}',
    `list >${workDirectory}/after`,
    `LC_ALL=C comm -13 ${workDirectory}/before ${workDirectory}/after | while read -r name version status; do echo "netrig-version $name $version"; done`,
    'rm -rf /usr/sbin/policy-rc.d /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/cache/ldconfig/aux-cache',
    'rm -rf /var/log/apt /var/log/dpkg.log /var/log/alternatives.log /var/lib/dpkg/status-old /var/lib/apt/extended_states.old',
    `rm -rf ${workDirectory}`,
    '',
  ].join('\n');
}

/** Where the container in the engine gets packages from. */
export interface InstallSources {
  /** Lines of a sources.list. */
  sources: readonly string[];
  /** Settings of apt, without their semicolons. */
  settings: readonly string[];
  /** Lines of a hosts file. */
  hosts: readonly string[];
  /** Proxies. */
  environment: Record<string, string>;
}

/**
 * What a host of the image would get of this machine, as the installation reads it. Pure.
 *
 * @throws NETRIG_MIRROR_UNREACHABLE where there is no package source in it.
 */
export function installSourcesOf(name: string, { files, hosts, left }: OutsideFiles): InstallSources {
  const linesOf = (path: string): string[] =>
    (files[path] ?? '').split('\n').flatMap((line) => (line === '' ? [] : [line]));
  const sources = linesOf('/etc/apt/sources.list');
  if (sources.length === 0)
    throw new NetrigError('NETRIG_MIRROR_UNREACHABLE', `packages for ${name}: ${left.join('; ')}`, {
      hint: 'Name a Debian archive in NETRIG_DEBIAN_MIRROR.',
    });
  const environment = linesOf('/etc/environment').map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]);
  return {
    sources,
    settings: linesOf('/etc/apt/apt.conf.d/90netrig-outside').map((line) => line.replace(/;$/, '')),
    hosts,
    environment: Object.fromEntries(environment),
  };
}

function versionsIn(output: string): Record<string, string> {
  return Object.fromEntries(
    [...output.matchAll(/^netrig-version (\S+) (\S+)$/gm)].map((match) => [match[1]!, match[2]!] as const),
  );
}

interface Work {
  row: HostImageRow;
  base: EngineImage;
  reference: string;
  wanted: string[];
  options: EngineImageOptions;
}

const workLabels = ({ row }: Work): Record<string, string> => labLabels(`image-${row.name}-${process.pid}`, ownMark());

async function commit(
  { row, reference, options }: Work,
  container: Docker.Container,
  what: string,
  versions: Record<string, string>,
): Promise<void> {
  const labels = { [packagesLabel]: JSON.stringify(versions) };
  await commitImage(options, what, container, { reference, labels, comment: `packages for ${row.name}` });
}

/** What a layer takes away of the image below it, as paths on the host (overlayfs: character devices of the number 0:0). */
async function removedIn(tree: string): Promise<string[]> {
  const entries = await readdir(tree, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isCharacterDevice())
    .map((entry) => `/${relative(tree, join(entry.parentPath, entry.name))}`);
}

/** Puts the layer that the cache has, or makes, into the engine: an image of the base's layers and of this one. */
async function fromCache(work: Work, { places = {} }: PackageOrder): Promise<void> {
  const { row, wanted, options } = work;
  const { endpoint, signal, progress } = options;
  const layer = await ensurePackageLayer(await ensureHostImage(row.name, options), wanted, options, places);
  progress(`packages for ${row.name}: putting them into the Docker engine ${options.info.name}`);
  const tree = join(layer.directory, layerTree);
  const gone = await removedIn(tree);
  const words = ['--anchored', '--no-wildcards', ...gone.map((path) => `--exclude=.${path}`), '-C', tree, '.'];
  const remove = quoteArgv(['rm', '-rf', '--', ...gone]);
  const what = `make packages for ${row.name} ready`;
  const create = {
    Image: work.base.reference,
    Entrypoint: ['/bin/sh', '-c', remove],
    Labels: workLabels(work),
    HostConfig: { NetworkMode: 'none' },
  };
  await withContainer(options, what, create, async (container) => {
    // The other attributes of an overlay's upper directory are overlayfs's own.
    await sendTar(words, 'security.capability', (archive) =>
      ask(endpoint, what, putMs, container.putArchive(archive, { path: '/' }), signal),
    );
    if (gone.length > 0) {
      await ask(endpoint, what, changeMs, container.start(), signal);
      await ask(endpoint, what, changeMs, container.wait(), signal);
    }
    await commit(work, container, what, layer.facts.versions);
  });
}

/** Lets the engine install them itself, in a container that has its way out: where this machine cannot make layers. */
async function inEngine(work: Work): Promise<void> {
  const { row, wanted, options } = work;
  const { endpoint, info, signal, progress } = options;
  requireNetwork(`packages of Debian ${row.suite}`);
  progress(`packages for ${row.name}: installing them in the Docker engine ${info.name}`);
  const script = Buffer.from(
    installScript(wanted, installSourcesOf(row.name, await outsideFiles(row, signal, namedSources(row)))),
  );
  const files = tarOf([
    {
      entries: [
        { kind: 'directory', path: workDirectory, mode: 0o700 },
        { kind: 'file', path: `${workDirectory}/run`, mode: 0o600, content: script },
      ],
      owner: { uid: 0, gid: 0 },
    },
  ]);
  const what = `install packages for ${row.name}`;
  const create = {
    Image: work.base.reference,
    Entrypoint: ['/bin/sh', `${workDirectory}/run`],
    Labels: workLabels(work),
    Tty: true,
  };
  await withContainer(options, what, create, async (container) => {
    // Not as arguments or environment: those stay in an image's description, and a proxy may have a password.
    await ask(endpoint, what, changeMs, container.putArchive(files, { path: '/' }), signal);
    await ask(endpoint, what, changeMs, container.start(), signal);
    const { StatusCode } = (await ask(endpoint, what, installMs, container.wait(), signal)) as { StatusCode: number };
    const logs = container.logs({ stdout: true, stderr: true, follow: false });
    const output = String(await ask(endpoint, what, changeMs, logs, signal)).replaceAll('\r', '');
    if (StatusCode === 0) return commit(work, container, what, versionsIn(output));
    throw (
      unknownPackage(row, output) ??
      new NetrigError(
        'NETRIG_IMAGE_BUILD',
        `installing ${wanted.join(' ')} for ${row.name} in the Docker engine "${info.name}" failed: ${tellingLine(output)}`,
        { hint: 'The engine must reach a mirror of Debian; NETRIG_DEBIAN_MIRROR names another one.' },
      )
    );
  });
}

/** The versions that an image says it has; `null` where the engine has none of that name. */
async function versionsOf(reference: string, options: EngineImageOptions): Promise<Record<string, string> | null> {
  const labels = await labelsOf(reference, options);
  if (labels === null) return null;
  try {
    return JSON.parse(labels[packagesLabel] ?? '') as Record<string, string>;
  } catch {
    return {};
  }
}

/**
 * The host image with packages over it in the engine's store, made first where it has none: of the cache's layer where this
 * machine can make that and the engine's image came from this cache; else by the engine itself. Two runs at once make it once.
 *
 * Throws NETRIG_PACKAGE_UNKNOWN, NETRIG_MIRROR_UNREACHABLE, NETRIG_OFFLINE, NETRIG_LOCK, NETRIG_IMAGE_BUILD,
 * NETRIG_ENGINE_UNREACHABLE, NETRIG_INTERRUPTED, and what `ensurePackageLayer` throws.
 */
export async function ensurePackageImage(
  base: EngineImage,
  order: PackageOrder,
  options: EngineImageOptions,
): Promise<EngineImage> {
  const row = requireHostImageRow(base.name);
  const wanted = [...new Set(order.packages)].sort();
  const work: Work = { row, base, reference: packageReference(base, wanted), wanted, options };
  const image: EngineImage = { name: base.name, reference: work.reference };
  const subject = `packages for ${row.name} in the Docker engine`;
  try {
    let versions = await versionsOf(work.reference, options);
    if (versions === null)
      await withEngineImageLock(work.reference, subject, options, async () => {
        if ((await versionsOf(work.reference, options)) !== null) return;
        const tree = await treeOnHand(row, options.info);
        const same = tree !== null && (await labelsOf(base.reference, options))?.[treeLabel] === tree;
        if (same) await fromCache(work, order);
        else await inEngine(work);
      });
    versions ??= await versionsOf(work.reference, options);
    requireVersions(order.pins, hostPackagesPin(row.name, wanted), versions ?? {});
    return image;
  } catch (error) {
    throw placedError(error, wanted, order.places ?? {});
  }
}
