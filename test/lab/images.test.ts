import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { HostImage } from '../../src/images/host-image.js';
import { imageRecipe, requireHostImageRow } from '../../src/images/recipe.js';
import { ensureHostImage, listHostImages } from '../../src/images/store.js';
import type { LabPlan } from '../../src/plan/lab-plan.js';
import { localProvider } from '../../src/providers/local/provider.js';
import type { RunningLab } from '../../src/providers/provider.js';
import { connect } from '../../src/ssh/connection.js';
import type { HostConnection } from '../../src/ssh/ssh.js';

const isRoot = process.getuid?.() === 0;
const hasMmdebstrap = (process.env['PATH'] ?? '')
  .split(delimiter)
  .some((directory) => existsSync(join(directory, 'mmdebstrap')));
const missing = !isRoot ? 'root' : !hasMmdebstrap ? 'mmdebstrap (package mmdebstrap)' : null;

/** What must hold of a finished image's files, whatever host comes to stand on it. */
async function expectFinishedTree(image: HostImage): Promise<void> {
  const recipe = imageRecipe(requireHostImageRow(image.name));
  const at = (path: string): string => join(image.root, path);
  for (const unit of recipe.masked)
    expect(await readlink(at(`etc/systemd/system/${unit}`)), unit).to.equal('/dev/null');
  for (const file of recipe.files) {
    expect(await readFile(at(file.path), 'utf8'), file.path).to.equal(file.content);
    expect((await lstat(at(file.path))).mode & 0o777, file.path).to.equal(file.mode);
  }
  for (const path of recipe.remove.filter((one) => !one.endsWith('*')))
    expect(existsSync(at(path)), path).to.equal(false);
  expect((await readdir(at('etc/ssh'))).filter((name) => name.startsWith('ssh_host_'))).to.deep.equal([]);
  expect(await readdir(at('etc/systemd/system/sockets.target.wants'))).to.include.members([
    'netrig-ssh.socket',
    'docker.socket',
  ]);
  const atBoot = await readdir(at('etc/systemd/system/multi-user.target.wants'));
  expect(atBoot).to.include('ssh.service');
  for (const unit of recipe.disabled) expect(atBoot).not.to.include(unit);
  // mmdebstrap's own settings, with proxies or passwords of the machine that built the image, are nowhere
  for (const name of await readdir(at('etc/apt/apt.conf.d')))
    expect(await readFile(at(`etc/apt/apt.conf.d/${name}`), 'utf8')).not.to.match(/Proxy|netrc/i);
  expect((await readdir(image.dockerData ?? '')).sort()).to.deep.equal(['image', 'overlay2']);
  expect(image.containerImages).to.have.members(recipe.containerImages.map(({ name }) => name));
}

describe('images: life of an image', function () {
  this.timeout(400_000);
  let directory: string;
  let cache: string;

  if (missing !== null) {
    it(`is skipped: this machine lacks ${missing}`, function () {
      this.skip();
    });
    return;
  }

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'netrig-images-'));
    cache = join(directory, 'a cache, with: odd name');
    await mkdir(cache);
  });
  after(() => rm(directory, { recursive: true, force: true }));

  const store = new URL('../../src/images/store.js', import.meta.url).href;
  const inOwnCache = (code: string): Promise<string[]> => {
    const whole = `import * as store from ${JSON.stringify(store)}; const say = (v) => console.log(JSON.stringify(v)); const o = { signal: new AbortController().signal, progress: (line) => say(line) }; try { ${code} } catch (error) { say(error.code ?? error.stack) }`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', whole], {
      env: { ...process.env, XDG_CACHE_HOME: cache },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    return new Promise((resolve) => child.once('close', () => resolve(text.split('\n').filter((line) => line !== ''))));
  };

  it('is built once by two processes at once, kept from removal while it is used, then removed without a trace', async () => {
    const [first, second] = await Promise.all(
      [0, 1].map(() => inOwnCache("say(await store.ensureHostImage('debian-13', o))")),
    );
    const all = [...(first ?? []), ...(second ?? [])].map((line) => JSON.parse(line) as string | HostImage);
    const built = all.filter((one): one is HostImage => typeof one !== 'string');
    const lines = all.filter((one): one is string => typeof one === 'string');
    expect(built, lines.join('\n')).to.have.lengthOf(2);
    expect(built[0]).to.deep.equal(built[1]);
    expect(lines.filter((line) => line.includes('extracting archives'))).to.have.lengthOf(1);
    expect(lines.filter((line) => line.includes('waiting for process'))).to.have.lengthOf(1);
    const [image] = built;
    if (image === undefined) throw new Error('no image');
    expect(image.engineVersion).to.match(/^\d+\.\d+\.\d+$/);
    await expectFinishedTree(image);

    const answers = await inOwnCache(`
      const listed = async () => (await store.listHostImages()).filter((one) => one.state !== 'absent').map((one) => one.name + ' ' + one.state);
      say(await listed());
      await store.ensureHostImage('debian-13', o);
      await store.removeHostImage('debian-13').catch((error) => say(error.code));
      say(await listed());`);
    expect(answers.map((line) => JSON.parse(line) as unknown)).to.deep.equal([
      ['debian-13 ready'],
      'NETRIG_CACHE_LOCKED',
      ['debian-13 ready'],
    ]);
    const [freed] = await inOwnCache("say(await store.removeHostImage('debian-13'))");
    expect(Number(freed)).to.be.above(100_000_000);
    expect(
      (await readdir(join(cache, 'netrig/images'))).filter((name) => !/^\.(lock-debian-13|users)$/.test(name)),
    ).to.deep.equal([]);
  });
});

for (const name of ['debian-11', 'debian-12', 'debian-13', 'debian-sid']) {
  describe(`images: ${name} on a real host`, function () {
    this.timeout(400_000);
    let lab: RunningLab | undefined;
    let host: HostConnection | undefined;
    let image: HostImage;

    before(async function () {
      // the two that the shipped scenarios use are built here if need be; the others only where somebody has built them
      const status = (await listHostImages()).find((one) => one.name === name);
      if (missing !== null || (status?.state !== 'ready' && !['debian-11', 'debian-12'].includes(name))) {
        this.test?.parent?.tests.forEach(
          (test) =>
            (test.title += ` [${missing === null ? `${name} is not in the cache` : `this machine lacks ${missing}`}]`),
        );
        this.skip();
      }
      const signal = new AbortController().signal;
      image = await ensureHostImage(name, { signal, progress: () => undefined });
      const plan: LabPlan = {
        title: `image ${name}`,
        slug: `image-${name}`,
        hosts: [
          {
            name: 'h1',
            image: name,
            init: 'systemd',
            engine: true,
            containerImages: [...image.containerImages],
            interfaces: [{ name: 'eth0', segment: 'lan', address: '10.30.0.1/24', mac: '02:00:0a:1e:00:01' }],
            routes: [],
            sysctls: {},
          },
        ],
        segments: [{ name: 'lan', subnet: '10.30.0.0/24', mtu: null }],
        bootTimeoutMs: 60_000,
      };
      lab = await localProvider.up(plan, { signal, emit: () => undefined, scenario: plan.title });
      host = await connect(lab.target('h1'));
    });
    after(async () => {
      await host?.end();
      await lab?.down();
    });

    const run = async (command: string): Promise<string> => {
      const result = await host!.exec(command);
      expect(result.exitCode, `${command}: ${result.stderr}`).to.equal(0);
      return result.stdout.trim();
    };

    it('is finished', () => expectFinishedTree(image));

    it('boots to the end with no failed unit', async () => {
      const result = await host!.exec('systemctl is-system-running --wait');
      const failed = (await host!.exec('systemctl --failed --no-legend --plain')).stdout;
      expect({ state: result.stdout.trim(), failed }).to.deep.equal({ state: 'running', failed: '' });
    });

    it('starts the engine at the first docker command, with the version its package states and every container image there', async () => {
      expect(
        (await host!.exec('systemctl is-active docker.service containerd.service')).stdout.trim().split('\n'),
      ).to.deep.equal(['inactive', 'inactive']);
      const images = (await run("docker image ls --format '{{.Repository}}:{{.Tag}}'")).split('\n').sort();
      expect(images).to.deep.equal(image.containerImages.map((one) => `${one}:latest`).sort());
      expect((await run("docker version --format '{{.Server.Version}}'")).replace(/\+.*$/, '')).to.equal(
        image.engineVersion,
      );
      expect(await run("docker info --format '{{.Driver}}'")).to.equal('overlay2');
    });

    it('runs busybox and web: names resolve in a network of theirs, the page names its container, and it stops at once', async () => {
      await run('docker network create images');
      const id = await run('docker run --detach --name site --network images web');
      expect(
        await run(
          'docker run --rm --network images busybox sh -c "for i in 1 2 3 4 5 6 7 8 9 10; do wget -q -O - http://site/ && break; sleep 0.2; done"',
        ),
      ).to.equal(`web on ${id.slice(0, 12)}`);
      expect(await run('docker run --rm --network images busybox ping -c 1 -W 2 site')).to.include(
        '1 packets received',
      );
      expect((await host!.exec('docker run --rm --network images busybox ping -c 1 -W 2 nobody')).stderr).to.include(
        'bad address',
      );
      expect(
        JSON.parse(await run("docker image inspect --format '{{json .Config.ExposedPorts}}' web")),
      ).to.have.property('80/tcp');
      expect((await host!.exec('docker stop site')).exitCode).to.equal(0);
      // By the signal that asks, not by the one that kills after ten seconds (137).
      expect(await run("docker inspect --format '{{.State.ExitCode}}' site")).to.equal('0');
    });

    if (requireHostImageRow(name).containerImages.includes('consul')) {
      it('runs Consul in a container by any of the three ways to say it', async () => {
        await run('docker run --detach --name flags consul -server -bootstrap -bind 127.0.0.1');
        await run('docker run --detach --name subcommand consul agent -server -bootstrap -bind 127.0.0.1');
        await run(
          'docker run --detach --name whole consul consul agent -server -bootstrap -data-dir /consul/data -bind 127.0.0.1',
        );
        for (const container of ['flags', 'subcommand', 'whole']) {
          // the subcommand waits for nothing: asked until there is a leader, 20 s at most
          await run(
            `timeout 20 sh -c 'until docker exec ${container} consul operator raft list-peers 2>/dev/null | grep -q leader; do sleep 0.3; done'`,
          );
          expect(await run(`docker exec ${container} consul members`)).to.match(/alive\s+server/);
        }
        expect(await run('docker run --rm consul version')).to.match(/^Consul v1\.8\./);
      });
    }

    it('has what probes need', async () => {
      const lacking = (
        await host!.exec(
          'for p in ping fping arping tcpdump nft iptables ip bridge brctl ss curl socat ethtool ovs-vsctl sysctl dig nsenter; do command -v $p >/dev/null || echo $p; done',
        )
      ).stdout;
      expect(lacking).to.equal('');
    });

    it('logs one line a connection, so that connections can be counted', async () => {
      const accepted = (await run('journalctl --no-pager --output cat -t sshd -t sshd-session -t netrig-sshd'))
        .split('\n')
        .filter((line) => line.startsWith('Accepted publickey for root'));
      expect(accepted).to.have.lengthOf(1);
    });
  });
}
