import { existsSync, readFileSync } from 'node:fs';
import { lstat, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NetrigError } from '../../errors.js';
import {
  accountFiles,
  differentPackages,
  leftOut,
  mergeGroups,
  mergeOf,
  mergeUsers,
  type ThreeTexts,
} from '../../images/layer-merge.js';
import { ensureOrderedImage, orderKey } from '../../images/made-to-order.js';
import { outerIds } from '../../lab/outer-users.js';
import { temporaryDirectory } from '../../lab/temporary.js';
import type { HostPlan, LabPlan } from '../../plan/lab-plan.js';
import { quoteArg } from '../../ssh/quote.js';
import type { HostConnection } from '../../ssh/ssh.js';
import { buildOnHost } from '../local/image-builder.js';
import type { UpOptions } from '../provider.js';
import { runCommand } from '../shared/command.js';
import { mustTake, putFile } from '../shared/put-file.js';

/**
 * Packages of hosts on virtual machines: the layer that the local provider puts over a host image goes over the tree of a machine
 * whose box was made of the same recipe. What the two keep of accounts and packages is merged, for a box has a kernel besides.
 */

const packMs = 300_000;
const unpackMs = 600_000;
const startMs = 300_000;

/** Where the archive lies on a machine while it is unpacked. */
const there = '/var/tmp/netrig-packages.tar.gz';

/** A layer on its way to machines. */
interface PackedLayer {
  packages: readonly string[];
  image: string;
  archive: string;
  /** Paths below the root that are to go. */
  removed: string[];
  /** Files that are merged: of the layer, and of what it was made on. */
  texts: Map<string, { base: string; layer: string }>;
  /** dpkg's list of what the layer was made on. */
  basePackages: string;
}

export interface PackedLayers {
  of(host: HostPlan): PackedLayer | null;
  end(): Promise<void>;
}

const textAt = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');

/** Every path of a tree that is no directory, below its root. */
async function leavesOf(root: string, below = ''): Promise<string[]> {
  const leaves: string[] = [];
  for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
    const path = join(below, entry.name);
    if (entry.isDirectory()) leaves.push(...(await leavesOf(root, path)));
    else leaves.push(path);
  }
  return leaves;
}

/** Whether a layer says by it that a file of what is below is gone (overlayfs: a device 0/0). */
async function isWhiteout(path: string): Promise<boolean> {
  const stats = await lstat(path);
  return stats.isCharacterDevice() && stats.rdev === 0;
}

/** Names of accounts for an archive, so that a machine may have them under other numbers. tar(1): `+NUMBER NAME:NUMBER`. */
function ownerMap(table: string): string {
  return table
    .split('\n')
    .map((line) => line.split(':'))
    .filter(([name, , id]) => name && id)
    .map(([name, , id]) => `+${id} ${name}:${id}\n`)
    .join('');
}

async function pack(
  tree: string,
  base: string,
  directory: string,
  name: string,
): Promise<Omit<PackedLayer, 'packages' | 'image'>> {
  const removed: string[] = [];
  const texts: PackedLayer['texts'] = new Map();
  const accounts: string[] = Object.values(accountFiles);
  for (const path of await leavesOf(tree)) {
    if (await isWhiteout(join(tree, path))) removed.push(path);
    else if (accounts.includes(path) || mergeOf(path) !== null)
      texts.set(path, { base: textAt(join(base, path)), layer: textAt(join(tree, path)) });
  }
  const [users, groups] = [join(directory, `${name}.users`), join(directory, `${name}.groups`)];
  const tableOf = (path: string): string => texts.get(path)?.layer ?? textAt(join(base, path));
  await writeFile(users, ownerMap(tableOf(accountFiles.users)));
  await writeFile(groups, ownerMap(tableOf(accountFiles.groups)));
  const archive = join(directory, `${name}.tar.gz`);
  const packed = await runCommand(
    [
      ...(['tar', '--create', '--use-compress-program', 'gzip -1', '--file', archive, '--directory', tree] as const),
      ...[`--owner-map=${users}`, `--group-map=${groups}`, '--xattrs', '--xattrs-include=security.capability'],
      ...['--anchored', '--no-wildcards'],
      ...[...leftOut, ...removed, ...texts.keys()].map((path) => `--exclude=./${path}`),
      '.',
    ],
    { timeoutMs: packMs },
  );
  if (packed.exitCode !== 0)
    throw new NetrigError('NETRIG_IMAGE_BUILD', `the packages could not be packed: ${packed.stderr.trim()}`);
  return { archive, removed, texts, basePackages: textAt(join(base, 'var/lib/dpkg/status')) };
}

/**
 * The layers of all hosts of a plan that want packages, made where the cache lacks them. Throws NETRIG_NO_ROOT, and what
 * `ensureOrderedImage` throws. They are on disk until `end`.
 */
export async function packLayers(plan: LabPlan, { emit, scenario, signal }: UpOptions): Promise<PackedLayers> {
  const wanting = plan.hosts.filter(({ packages = [] }) => packages.length > 0);
  const layers = new Map<string, PackedLayer>();
  const keyOf = ({ image, packages = [] }: HostPlan): string => orderKey({ image, packages });
  if (wanting.length === 0) return { of: () => null, end: () => Promise.resolve() };
  if (process.getuid?.() !== 0 || outerIds() !== null)
    throw new NetrigError(
      'NETRIG_NO_ROOT',
      `${wanting[0]!.name} wants the packages ${wanting[0]!.packages!.join(' ')}, which root alone can fetch.`,
      { hint: 'Leave `packages` out, or run as root.' },
    );
  const directory = temporaryDirectory('packages');
  const end = (): Promise<void> => rm(directory, { recursive: true, force: true });
  try {
    for (const [key, host] of new Map(wanting.map((host) => [keyOf(host), host]))) {
      const begin = performance.now();
      const phase = { type: 'phase', scenario, phase: 'image', text: `Image ${key}` } as const;
      emit({ ...phase, state: 'start' });
      const progress = (text: string): void => emit({ type: 'log', scenario, level: 'info', text });
      const { image, packages = [], packagePlaces, pins } = host;
      const order = {
        ...{ image, packages },
        ...(packagePlaces === undefined ? {} : { packagePlaces }),
        ...(pins === undefined ? {} : { pins }),
      };
      const { root, layers: trees } = await ensureOrderedImage(order, { signal, progress, builder: buildOnHost });
      layers.set(key, { packages, image, ...(await pack(trees[0]!, root, directory, `layer${layers.size + 1}`)) });
      emit({ ...phase, state: 'end', durationMs: performance.now() - begin });
    }
  } catch (error) {
    await end();
    throw error;
  }
  return { of: (host) => layers.get(keyOf(host)) ?? null, end };
}

/** What the machine's own files become. Accounts first: the archive's owners are names. */
function mergedTexts({ texts }: PackedLayer, own: ReadonlyMap<string, string>): Map<string, string> {
  const three = (path: string): ThreeTexts | null => {
    const known = texts.get(path);
    return known ? { ...known, there: own.get(path) ?? '' } : null;
  };
  const result = new Map<string, string>();
  const groups = three(accountFiles.groups);
  const users = three(accountFiles.users);
  if (groups) result.set(accountFiles.groups, mergeGroups(groups));
  if (users) {
    const known = own.get(accountFiles.groups) ?? '';
    const tables = { layer: groups?.layer ?? known, merged: result.get(accountFiles.groups) ?? known };
    result.set(accountFiles.users, mergeUsers(users, tables));
  }
  for (const path of texts.keys()) {
    const merge = mergeOf(path);
    if (merge !== null) result.set(path, merge(three(path)!));
  }
  return result;
}

async function ownTexts(connection: HostConnection, paths: Iterable<string>): Promise<Map<string, string>> {
  const read = async (path: string): Promise<readonly [string, string]> => {
    const isThere = (await connection.exec(['test', '-e', `/${path}`])).exitCode === 0;
    return [path, isThere ? (await connection.readFile(`/${path}`)).toString('utf8') : ''];
  };
  return new Map(await Promise.all([...paths].map(read)));
}

/** Puts a layer over the tree of a machine that is up. Its services are not started by that: see `startServices`. */
export async function putPackages(connection: HostConnection, layer: PackedLayer, signal: AbortSignal): Promise<void> {
  const what = `the packages ${layer.packages.join(' ')}`;
  const options = { signal, what };
  const status = 'var/lib/dpkg/status';
  const own = await ownTexts(connection, new Set([...layer.texts.keys(), ...Object.values(accountFiles), status]));
  for (const [path, text] of mergedTexts(layer, own))
    await mustTake(connection, `cat >${quoteArg(`/${path}`)}`, unpackMs, options, Buffer.from(text));
  await putFile(connection, layer.archive, there, options);
  const lines = [
    'set -e',
    ...layer.removed.map((path) => `rm -f ${quoteArg(`/${path}`)}`),
    `tar --extract --gzip --file ${there} --directory / --keep-directory-symlink --preserve-permissions --xattrs --xattrs-include=security.capability`,
    `rm -f ${there}`,
    'ldconfig',
  ];
  await mustTake(connection, lines.join('\n'), unpackMs, options);
  const different = differentPackages(layer.basePackages, own.get(status) ?? '');
  if (different.length > 0) await requireSound(connection, layer, different, signal);
}

/** The image and the box were built at different times: apt knows whether what the packages need is there in both. */
async function requireSound(
  connection: HostConnection,
  { packages, image }: PackedLayer,
  different: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const checked = await connection.exec('LC_ALL=C apt-get check --quiet=2', { timeoutMs: unpackMs, signal });
  if (checked.exitCode === 0) return;
  throw new NetrigError(
    'NETRIG_CAPABILITY',
    `${connection.host} can't have the packages ${packages.join(' ')}: its box and the image ${image} were built at different times, and differ in ${different.slice(0, 5).join(', ')}${different.length > 5 ? ` and ${different.length - 5} more` : ''}. ${checked.stderr.trim()}`,
    { hint: `Build both anew: netrig images build --force ${image} vagrant:${image}` },
  );
}

/** Starts what packages brought, as a host that boots with them does; on a host without an init of its own, nothing starts by itself. */
export async function startServices(connection: HostConnection, host: HostPlan, signal: AbortSignal): Promise<void> {
  const lines = [
    // Its exit status is that of every line of every package's, also of those that were there.
    'systemd-tmpfiles --create >/dev/null 2>&1 || true',
    'systemctl daemon-reload',
    // A target that is active already starts what has come to be wanted by it since.
    ...(host.init === 'systemd' ? ['systemctl start default.target'] : []),
  ];
  await mustTake(connection, lines.join('\n'), startMs, { signal, what: 'the services of its packages' });
}
