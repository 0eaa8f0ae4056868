import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  lstatSync,
  readdirSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { localProvider } from '../../src/providers/local/provider.js';
import { machineState, missing } from './local-labs.js';
import { type Ended, mainFile, start } from './netrig-command.js';

const isolation = missing
  ? null
  : ((await localProvider.capabilities()).find((one) => one.name === 'isolation') ?? null);
const lacks = missing ?? (isolation?.have ? null : `isolation: ${isolation?.seen}`);

/**
 * Runs netrig in a chroot, in a mount namespace that ends with it: the tree is this machine's own, bound piece by piece into a
 * plain directory, or as a whole.
 */
function inChroot(kind: 'directory' | 'mount', root: string, args: readonly string[], state: string): Promise<Ended> {
  const pieces = readdirSync('/').filter((name) => lstatSync(`/${name}`).isDirectory() && name !== 'lost+found');
  const bind = `
set -eu
root=$1
shift
if [ ${kind} = mount ]; then
  mount --rbind / "$root"
else
  for name in ${pieces.map((name) => `'${name}'`).join(' ')}; do mkdir "$root/$name"; mount --rbind "/$name" "$root/$name"; done
fi
exec chroot "$root" sh -c 'cd "$0" && exec "$@"' "$PWD" "$@"
`;
  const words = ['--mount', '--propagation', 'private', 'sh', '-c', bind, 'sh', root, process.execPath, mainFile];
  return start('unshare', [...words, ...args], { cwd: state, env: { XDG_STATE_HOME: state } }).ended;
}

/** The directory that holds the chroot is seen from the machine's root alone. */
const scenario = (outside: string): string => `
scenario: in-chroot
title: Two hosts in a chroot
hosts: { server: { image: debian-12 }, client: { image: debian-12, init: light } }
segments: { lan: { subnet: 10.83.0.0/24, hosts: { server: 10.83.0.1, client: 10.83.0.2 } } }
steps:
  - step: A container with a published port
    on: server
    run: docker run -d --name web -p 8080:80 web
  - check: What enters the container is inside
    command: { on: server, run: 'docker exec web test ! -e ${outside}', expect: { exit: 0 } }
  - check: The server answers
    ping: { from: client, to: server }
  - check: So does its container
    http: { from: client, url: 'http://10.83.0.1:8080/' }
`;

(lacks ? describe.skip : describe)(`Labs of netrig in a chroot${lacks ? ` (needs ${lacks})` : ''}`, function () {
  this.timeout(120_000);
  let directory: string;
  let root: string;
  const untouched = missing ? null : machineState();

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'netrig-chroot-'));
    root = join(directory, 'root');
    mkdirSync(root);
    for (const name of readdirSync('/')) {
      if (lstatSync(`/${name}`).isSymbolicLink()) symlinkSync(readlinkSync(`/${name}`), join(root, name));
    }
    writeFileSync(join(directory, 'lab.yaml'), scenario(directory));
  });

  afterEach(() => {
    // Nothing is mounted there: the mounts ended with their namespace, or never reached the machine.
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.to.contain(directory);
    rmSync(directory, { recursive: true });
    expect(machineState()).to.deep.equal(untouched);
  });

  for (const kind of ['directory', 'mount'] as const) {
    it(`are isolated as elsewhere, and containers stay inside (${kind})`, async () => {
      const args = ['run', 'lab.yaml', '--isolation', 'users', '--no-allure-report'];
      const end = await inChroot(kind, root, args, directory);
      expect(end.status, end.stdout + end.stderr).to.equal(0);
      expect(end.stdout).to.contain('3 checks passed');
    });
  }

  it('stay inside without isolation, too', async () => {
    const args = ['run', 'lab.yaml', '--isolation', 'none', '--no-allure-report'];
    const end = await inChroot('mount', root, args, directory);
    expect(end.status, end.stdout + end.stderr).to.equal(0);
  });

  it('are what doctor says', async () => {
    const end = await inChroot('directory', root, ['doctor', '--json'], directory);
    expect(end.stdout).to.match(/"name": ?"chroot",\s*"have": ?true/);
  });
});
