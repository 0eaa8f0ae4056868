// Set-up that needs nothing but Node: installs what is missing, each thing named. At a terminal it asks before it touches the
// system; without one it says what it installs and goes on.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Programs that the local provider runs on this machine, and the Debian package of each. */
export const runtimeTools = {
  mmdebstrap: 'mmdebstrap',
  ip: 'iproute2',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
};

/** What only the project's own tests use. */
export const testTools = {
  slirp4netns: 'slirp4netns',
  'musl-gcc': 'musl-tools',
  chromium: 'chromium',
  java: 'default-jre-headless',
  ssh: 'openssh-client',
  skopeo: 'skopeo',
  'docker-registry': 'docker-registry',
};

export const say = (line) => process.stdout.write(`${line}\n`);

export function fail(line) {
  process.stderr.write(`netrig set-up: ${line}\n`);
  process.exit(3);
}

export function onPath(program) {
  const path = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`;
  return path.split(delimiter).some((directory) => existsSync(join(directory, program)));
}

/** Resolves to the exit status of a child of this process, once its output is read. */
function ended(child) {
  return new Promise((resolve) => {
    const pass = (signal) => child.kill(signal);
    process.once('SIGTERM', pass);
    // A terminal's Ctrl-C reaches the child by itself; this process waits for it to end well.
    const stay = () => undefined;
    process.on('SIGINT', stay);
    child.on('error', () => resolve(127));
    child.on('close', (code, signal) => {
      process.off('SIGTERM', pass);
      process.off('SIGINT', stay);
      resolve(code ?? (signal === 'SIGINT' ? 130 : 143));
    });
  });
}

/** Runs a command with its output on the terminal; resolves to its exit status. */
export function run(command, args) {
  return ended(spawn(command, args, { cwd: root, stdio: 'inherit' }));
}

/** Runs a command that tells much: its words are shown only when it fails. Resolves to its exit status. */
async function runQuietly(command, args, env) {
  const words = [];
  const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.on('data', (chunk) => words.push(chunk));
  child.stderr.on('data', (chunk) => words.push(chunk));
  const status = await ended(child);
  if (status !== 0) process.stderr.write(Buffer.concat(words));
  return status;
}

/** Installs Debian packages without their recommendations; resolves to the exit status of apt-get. */
export async function installPackages(names) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const quiet = ['-qq', '-o', 'Dpkg::Use-Pty=0'];
  // The package lists of a fresh machine are empty, those of an old one may name versions that are gone.
  if ((await runQuietly('apt-get', ['update', ...quiet], env)) !== 0)
    say('apt-get update had errors; going on with the lists that are there.');
  return runQuietly('apt-get', ['install', '-y', '--no-install-recommends', ...quiet, ...names], env);
}

/**
 * Whether a thing may be installed. At a terminal a person is asked. Elsewhere (a container, CI, a pipe) whoever typed the
 * command wanted what it does: the set-up says what it installs and goes on.
 */
export async function allowed(what, { yes, ask }) {
  const asked = ask || (process.stdin.isTTY && !process.env.CI);
  if (yes || !asked) {
    say(`${what}.`);
    return true;
  }
  if (!process.stdin.isTTY) fail(`${what}? Nobody is there to ask; say it without --ask to allow it.`);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`${what}? [y/N] `);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}

function newer(file, than) {
  return !existsSync(than) || statSync(file).mtimeMs > statSync(than).mtimeMs;
}

async function npmPackages() {
  if (!newer(join(root, 'package-lock.json'), join(root, 'node_modules', '.package-lock.json'))) return;
  say('Installing npm packages (npm ci) …');
  // None of the packages needs its install script here; without them no compiler is needed either.
  const status = await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  if (status !== 0) fail('npm ci failed; its words are above.');
}

async function debianPackages(tools, consent) {
  const missing = [
    ...new Set(
      Object.entries(tools)
        .filter(([program]) => !onPath(program))
        .map(([, name]) => name),
    ),
  ];
  if (missing.length === 0) return;
  const names = missing.join(' ');
  if (process.getuid?.() !== 0)
    fail(`These Debian packages are missing: ${names}. Install them as root, or run this as root.`);
  if (!onPath('apt-get'))
    fail(`These programs' Debian packages are missing: ${names}. This machine has no apt-get; install them your way.`);
  if (!(await allowed(`Installing the Debian packages ${names}`, consent))) fail(`not without: ${names}`);
  if ((await installPackages(missing)) !== 0) fail(`apt-get install ${names} failed; its words are above.`);
}

async function build() {
  say('Building netrig (tsc) …');
  const compiler = join(root, 'node_modules', 'typescript-native', 'bin', 'tsc');
  for (const args of [
    [compiler, '-p', 'tsconfig.json'],
    [compiler, '-p', join('src', 'pages', 'tsconfig.json')],
    [join('scripts', 'build-program.mjs')],
    [join('scripts', 'build-pages.mjs')],
  ])
    if ((await run(process.execPath, args)) !== 0) fail('the build failed; the compiler’s words are above.');
}

async function hostImages(images, consent) {
  const cli = join(root, 'dist', 'program', 'cli', 'main.js');
  const listed = spawnSync(process.execPath, [cli, 'images', 'list', '--json'], { encoding: 'utf8' });
  if (listed.status !== 0) fail(`netrig images list failed: ${listed.stderr}`);
  const built = new Set(
    JSON.parse(listed.stdout)
      .filter((image) => image.state === 'ready')
      .map((image) => image.name),
  );
  const missing = images.filter((name) => !built.has(name));
  if (missing.length === 0) return;
  if (
    !(await allowed(
      `Building the host image ${missing.join(' and ')} (about 600 MB each in the cache, a minute or two)`,
      consent,
    ))
  )
    fail(`not without the image ${missing.join(' and ')}`);
  const status = await run(process.execPath, [cli, 'images', 'build', ...missing]);
  if (status !== 0) process.exit(status);
}

/** What a set-up's words say about asking. */
export function consentOf(args) {
  return { yes: args.includes('--yes') || args.includes('-y'), ask: args.includes('--ask') };
}

/** Words for the set-up itself; the others are for what runs after it. */
export const consentFlags = ['--yes', '-y', '--ask'];

/** Everything from a fresh clone to a netrig that can bring up labs of the images named. */
export async function setUp({ yes, ask, images, tools }) {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const [least] = engines.node.match(/\d+/g) ?? ['0'];
  if (Number(process.versions.node.split('.')[0]) < Number(least))
    fail(`Node ${engines.node} is needed; this is ${process.version}.`);
  await npmPackages();
  await debianPackages({ ...runtimeTools, ...tools }, { yes, ask });
  await build();
  await hostImages(images, { yes, ask });
}
