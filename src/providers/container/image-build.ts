import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { temporaryDirectory } from '../../lab/temporary.js';
import type { HostConfig } from 'dockerode';
import { messageOf, NetrigError } from '../../errors.js';
import type { ContainerImageRecipe } from '../../images/container-images.js';
import type { HostImageRow } from '../../images/host-image.js';
import { requireNetwork } from '../../images/offline.js';
import { imageRecipe, type ImageRecipe } from '../../images/recipe.js';
import { quoteArg, quoteArgv } from '../../ssh/quote.js';
import { ask, changeMs, engineWords } from './engine.js';
import type { EngineImageOptions } from './image.js';
import { imageLabel, labLabels, ownMark } from './labels.js';

/** Pulling a base and installing about 250 packages, ms. */
const buildMs = 30 * 60_000;
const warmMs = 5 * 60_000;

/** Where the parts of the container images stand while an image is built. */
const partsDirectory = '/netrig-images';

/** The registry's image that a host image is built on. NETRIG_CONTAINER_REGISTRY names another registry than Docker's own. */
export function baseReference(row: HostImageRow, environment: NodeJS.ProcessEnv = process.env): string {
  const registry = environment['NETRIG_CONTAINER_REGISTRY']?.replace(/\/+$/, '');
  return registry ? `${registry}/debian:${row.suite}` : `debian:${row.suite}`;
}

/** What an engine mounts into every container, also while it builds; each host's boot script writes its own. */
const engineFiles = ['etc/resolv.conf', 'etc/hostname', 'etc/hosts'];

/** The recipe as a Dockerfile, on Debian's own image of the suite. Files are below `files/` of the build's context. */
export function dockerfileOf(recipe: ImageRecipe, base: string): string {
  const files = recipe.files.filter((file) => !engineFiles.includes(file.path));
  return [
    `FROM ${base}`,
    'COPY apt.conf /etc/apt/apt.conf.d/99netrig',
    'COPY dpkg.cfg /etc/dpkg/dpkg.cfg.d/99netrig',
    // No service is to start while the image is built.
    `RUN printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d \\`,
    ' && apt-get update \\',
    ` && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ${recipe.packages.map(quoteArg).join(' ')} \\`,
    ' && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /usr/sbin/policy-rc.d /etc/apt/apt.conf.d/99netrig /etc/dpkg/dpkg.cfg.d/99netrig',
    'COPY configure.sh /netrig-configure',
    'RUN sh -e /netrig-configure && rm /netrig-configure',
    // Over what the packages brought, and over what was taken away.
    'COPY files/ /netrig-files/',
    `RUN cd /netrig-files && ${files.map((file) => quoteArgv(['install', '-D', '-m', file.mode.toString(8), file.path, `/${file.path}`])).join(' && ')} && rm -rf /netrig-files`,
    `COPY images/ ${partsDirectory}/`,
    '',
  ].join('\n');
}

/** What the store does to a tree, as shell commands inside it. */
export function configureScript(recipe: ImageRecipe): string {
  const units = '/etc/systemd/system';
  const lines: string[] = [];
  for (const path of recipe.remove) {
    // A star at the end stands for any rest of the name: the one thing in it that the shell is to see.
    if (path.endsWith('*')) lines.push(`rm -rf ${quoteArg(`/${path.slice(0, -1)}`)}*`);
    else lines.push(quoteArgv(['rm', '-rf', `/${path}`]));
  }
  for (const unit of recipe.disabled)
    lines.push(
      `find ${units} -path '*.wants/*' -name ${quoteArg(unit)} -delete -o -path '*.requires/*' -name ${quoteArg(unit)} -delete`,
    );
  for (const { unit, target } of recipe.enabled) {
    const own = recipe.files.some((file) => file.path === `etc/systemd/system/${unit}`);
    lines.push(
      quoteArgv(['mkdir', '-p', `${units}/${target}.wants`]),
      quoteArgv(['ln', '-sfn', own ? `../${unit}` : `/lib/systemd/system/${unit}`, `${units}/${target}.wants/${unit}`]),
    );
  }
  for (const unit of recipe.masked) lines.push(quoteArgv(['ln', '-sfn', '/dev/null', `${units}/${unit}`]));
  for (const [path, target] of Object.entries(recipe.links)) lines.push(quoteArgv(['ln', '-sfn', target, `/${path}`]));
  return `${lines.join('\n')}\n`;
}

/** Puts one container image together from the programs of the image that it runs in, and imports it. Functions of `warmScript`. */
function imageLines(recipe: ContainerImageRecipe): string[] {
  const changes = recipe.changes.flatMap((change) => ['--change', change]);
  return [
    `begin ${quoteArg(recipe.name)}`,
    ...recipe.directories.map((directory) => `mkdir -p "$stage"/${quoteArg(directory)}`),
    ...recipe.programs.map((program) => `take_program ${quoteArg(`/${program}`)}`),
    `cp -a ${partsDirectory}/${recipe.name}/. "$stage"`,
    'chmod 1777 "$stage/tmp" "$stage/var/tmp"',
    `tar -C "$stage" --numeric-owner --owner=0 --group=0 --sort=name --mtime=@0 -cf - . | warm_docker import ${quoteArgv(changes)} - ${quoteArg(`${recipe.name}:latest`)}`,
  ];
}

/** Run in a container of the image that is being built: fills its /var/lib/docker as the cache's warmed stores are filled. */
function warmScript(recipe: ImageRecipe): string {
  return [
    'set -eu',
    'stage=/netrig-warm/stage',
    'take() { for path; do [ ! -e "$path" ] || { mkdir -p "$stage/${path%/*}"; cp -L "$path" "$stage/$path"; }; done; }',
    'take_program() { take "$1"; take $(ldd "$1" | sed -n "s/^[^/]*\\(\\/[^ ]*\\) (0x.*/\\1/p"); }',
    'begin() {',
    '  rm -rf "$stage"',
    '  mkdir -p "$stage/bin"',
    '  cp -L /bin/busybox "$stage/bin/busybox"',
    '  for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s busybox "$stage/bin/$applet"; done',
    // A static program of glibc loads the name services all the same.
    '  for directory in /lib/*-linux-gnu*; do take "$directory"/libc.so.6 "$directory"/libnss_files.so.2 "$directory"/libnss_dns.so.2 "$directory"/libresolv.so.2 "$directory"/ld-linux*.so.?; done',
    '}',
    'warm_docker() { docker -H unix:///netrig-warm/docker.sock "$@"; }',
    'dockerd --data-root /netrig-warm/docker --exec-root /netrig-warm/exec --pidfile /netrig-warm/pid --storage-driver overlay2 --iptables=false --bridge=none -H unix:///netrig-warm/docker.sock >/netrig-warm/log 2>&1 &',
    'engine=$!',
    'tries=0',
    'until warm_docker version >/dev/null 2>&1; do',
    '  tries=$((tries + 1))',
    '  if ! kill -0 "$engine" 2>/dev/null || [ "$tries" -gt 300 ]; then tail -n 5 /netrig-warm/log; echo "the engine of the image did not start"; exit 1; fi',
    '  sleep 0.1',
    'done',
    ...recipe.containerImages.flatMap(imageLines),
    'kill -TERM "$engine"',
    'wait "$engine" || true',
    'mkdir -p -m 710 /var/lib/docker',
    'cp -a /netrig-warm/docker/image /netrig-warm/docker/overlay2 /var/lib/docker',
    'rm -f /var/lib/docker/overlay2/backingFsBlockDev',
    `rm -rf ${partsDirectory} /.dockerenv`,
    '',
  ].join('\n');
}

async function writeContext(directory: string, recipe: ImageRecipe, base: string): Promise<void> {
  const put = async (path: string, content: string, mode = 0o644): Promise<void> => {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), content, { mode });
  };
  await put('Dockerfile', dockerfileOf(recipe, base));
  await put('apt.conf', recipe.aptOptions.map((option) => `${option};\n`).join(''));
  await put('dpkg.cfg', recipe.dpkgOptions.map((option) => `${option}\n`).join(''));
  await put('configure.sh', configureScript(recipe));
  for (const file of recipe.files) await put(join('files', file.path), file.content, file.mode);
  for (const image of recipe.containerImages) {
    await mkdir(join(directory, 'images', image.name), { recursive: true });
    for (const file of image.files) await put(join('images', image.name, file.path), file.content, file.mode);
  }
}

/** An engine that only imports needs no more: it makes no container. The type definitions lack the two lists. */
const warmConfig: HostConfig = Object.assign(
  {
    NetworkMode: 'none',
    CapAdd: ['SYS_ADMIN', 'NET_ADMIN'],
    Tmpfs: { '/netrig-warm': 'exec' },
    SecurityOpt: ['seccomp=unconfined', 'apparmor=unconfined', 'label=disable'],
    UsernsMode: 'host',
  },
  { MaskedPaths: [], ReadonlyPaths: [] },
);

/** Runs the warming in a container of the image built so far and makes the image of what it left. */
async function warm(
  row: HostImageRow,
  recipe: ImageRecipe,
  built: string,
  reference: string,
  { endpoint, engine, signal }: EngineImageOptions,
): Promise<void> {
  const what = `make the image ${row.name} ready`;
  const container = await ask(
    endpoint,
    what,
    changeMs,
    engine.createContainer({
      Image: built,
      Entrypoint: ['/bin/sh', '-c', warmScript(recipe)],
      Cmd: [],
      Tty: true,
      Labels: labLabels(`image-${row.name}-${process.pid}`, ownMark()),
      HostConfig: warmConfig,
    }),
    signal,
  );
  try {
    await ask(endpoint, what, changeMs, container.start(), signal);
    const { StatusCode } = (await ask(endpoint, what, warmMs, container.wait(), signal)) as { StatusCode: number };
    if (StatusCode !== 0) {
      const { containerLog } = await import('./host.js');
      throw new NetrigError(
        'NETRIG_IMAGE_BUILD',
        `the container images of ${row.name} could not be put together: ${await containerLog(endpoint, engine, container.id)}`,
      );
    }
    const [repo, tag] = reference.split(':');
    await ask(
      endpoint,
      what,
      warmMs,
      container.commit({
        repo,
        tag,
        changes: `LABEL ${imageLabel}=${row.name}\nENTRYPOINT []\nCMD ["/bin/sh"]`,
        comment: `netrig host image ${basename(reference)}`,
      }),
      signal,
    );
  } finally {
    await ask(endpoint, what, changeMs, container.remove({ force: true, v: true })).catch(() => undefined);
  }
}

/**
 * Builds a host image in the engine, on Debian's image from a registry, with the packages of the mirrors that are named in
 * it. For engines whose machine is not of this one's kind (Docker Desktop), and for users who can't build images here.
 * Rejects with NETRIG_IMAGE_BUILD and NETRIG_ENGINE_UNREACHABLE; a layer that was built stays in the engine's cache.
 */
export async function buildFromRegistry(
  row: HostImageRow,
  reference: string,
  options: EngineImageOptions,
): Promise<void> {
  const { endpoint, engine, signal, progress } = options;
  const recipe = imageRecipe(row);
  const base = baseReference(row);
  const built = `${reference}-build`;
  requireNetwork(`the image ${base}`);
  const directory = temporaryDirectory('image');
  try {
    await writeContext(directory, recipe, base);
    const { GenericContainer } = await import('testcontainers');
    const { prepareTestcontainers } = await import('./host.js');
    await prepareTestcontainers(endpoint, engine);
    progress(`${row.name}: building on ${base} in the Docker engine (some minutes)`);
    const proxies = Object.fromEntries(
      ['http_proxy', 'https_proxy', 'no_proxy'].flatMap((name) =>
        process.env[name] ? [[name, process.env[name]]] : [],
      ),
    );
    const build = GenericContainer.fromDockerfile(directory)
      .withBuildArgs(proxies)
      .build(built, { deleteOnExit: false });
    await ask(endpoint, `build the image ${row.name}`, buildMs, build, signal);
    progress(`${row.name}: putting together its container images`);
    await warm(row, recipe, built, reference, options);
  } catch (error) {
    if (signal.aborted || (error instanceof NetrigError && error.code !== 'NETRIG_ENGINE_REFUSED')) {
      // Testcontainers tells of a failed build by an error without a status, as one of the connection would be.
      const answers =
        !signal.aborted &&
        (await engine.ping().then(
          () => true,
          () => false,
        ));
      if (signal.aborted || !answers || (error instanceof NetrigError && error.code === 'NETRIG_IMAGE_BUILD'))
        throw error;
      throw new NetrigError(
        'NETRIG_IMAGE_BUILD',
        `building on ${base} failed: ${messageOf((error as Error).cause ?? error)}`,
        { cause: error },
      );
    }
    throw new NetrigError(
      'NETRIG_IMAGE_BUILD',
      `building on ${base} failed: ${engineWords((error as Error).cause ?? error)}`,
      { cause: error },
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
    await engine
      .getImage(built)
      .remove()
      .catch(() => undefined);
  }
}
