import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ensureRegistryImage } from '../../src/images/containers/registry.js';
import { ownCache, savedImage, startRegistry, type Registry } from './container-registry.js';
import { latestOutcomes, leftovers, mainFile, netrig, start, workDirectory, type Ended } from './netrig-command.js';

const scenario = (image: string, images = '', says = 'first'): string => `scenario: images
title: A container of somebody else's image
hosts: { app: { docker: { containers: { web1: { image: "${image}" } } } } }
${images}
steps:
  - check: Its container is what the image says
    command: { on: app/web1, run: cat /etc/said, expect: { stdout: ${says} } }
`;

describe('Container images from elsewhere', function () {
  this.timeout(300_000);
  let registry: Registry;
  let image: Awaited<ReturnType<typeof savedImage>>;
  let digest = '';
  let cache: ReturnType<typeof ownCache>;
  before(async () => {
    image = await savedImage('any:1', 'first');
    registry = await startRegistry();
    digest = registry.push(image.file, 'team/app:1');
  });
  after(async () => {
    await registry.stop();
    image.remove();
  });
  beforeEach(() => void (cache = ownCache()));
  const further: Registry[] = [];
  afterEach(async () => {
    cache.remove();
    for (const one of further.splice(0)) await one.stop();
  });
  async function another(password?: string): Promise<Registry> {
    const one = await startRegistry(password);
    further.push(one);
    return one;
  }

  async function run(text: string, files: Record<string, string | Buffer> = {}, args: string[] = []): Promise<Ended> {
    const { dir, remove } = workDirectory({ 'lab.yaml': text, ...files });
    try {
      return await netrig(['run', 'lab.yaml', ...args], { cwd: dir, env: cache.environment }).ended;
    } finally {
      remove();
    }
  }

  async function fails(text: string, status: number, ...patterns: RegExp[]): Promise<void> {
    const { status: seen, stdout, stderr } = await run(text);
    expect(seen, stdout + stderr).to.equal(status);
    for (const pattern of patterns) expect((stdout + stderr).replace(/\s+/g, ' ')).to.match(pattern);
    expect(cache.containers()).to.deep.equal([]);
  }

  it('come from a registry, once: the second run needs none', async () => {
    const own = await another();
    own.push(image.file, 'app:1');
    const text = scenario(`${own.address}/app:1`);
    const first = await run(text);
    expect(first.status, first.stdout + first.stderr).to.equal(0);
    await own.stop();
    const second = await run(text, {}, ['--offline']);
    expect(second.status, second.stdout + second.stderr).to.equal(0);
  });

  it('are pulled as a tutorial types it, though the lab is sealed; what the engine has not is told so', async () => {
    const { status, stdout, stderr } = await run(
      `scenario: pull
title: An image is pulled that the engine has
hosts: { app: {}, late: { engine: on-demand } }
images: { "team/app:1": { archive: ./app.tar } }
steps:
  - on: [app, late]
    run: |
      docker pull team/app:1
      docker run --rm team/app:1 cat /etc/said
  - check: The engine says that it is up to date
    command: { on: app, run: docker pull team/app:1, expect: { stdout: { contains: Image is up to date for team/app:1 } } }
  - step: One that nobody could see coming
    on: app
    run: name=nginx; docker pull $name:none
`,
      { 'app.tar': readFileSync(image.file) },
    );
    const said = (stdout + stderr).replace(/\s+/g, ' ');
    expect(status, stdout + stderr).to.equal(1);
    expect(said).to.match(/3 planned, 3 reported: 2 passed, 1 failed/);
    expect(said).to.match(/The lab is sealed: the engine of app reaches no registry \(registry-1\.docker\.io\)/);
  });

  it('are those of the lock file, though the tag has moved; an archive that is another one is told', async () => {
    const own = await another();
    const second = await savedImage('any:1', 'second');
    own.push(image.file, 'app:1');
    const { dir, remove } = workDirectory({
      'lab.yaml': `scenario: images
title: Locked images
hosts: { app: { docker: { containers: { web1: { image: "${own.address}/app:1" }, web2: { image: saved } } } } }
images: { saved: { archive: ./saved.tar } }
steps:
  - check: The container is what was locked
    command: { on: app/web1, run: cat /etc/said, expect: { stdout: first } }
`,
    });
    copyFileSync(image.file, join(dir, 'saved.tar'));
    const call = (...args: string[]): Promise<Ended> => netrig(args, { cwd: dir, env: cache.environment }).ended;
    const locked = await call('lock', 'lab.yaml');
    expect(locked.status, locked.stderr).to.equal(0);
    expect(locked.stdout).to.contain('lab.lock.json: 2 images');
    // With what the cache has, no registry is asked.
    const offline = await call('run', 'lab.yaml', '--offline');
    expect(offline.status, offline.stdout).to.equal(0);
    own.push(second.file, 'app:1');
    rmSync(join(cache.environment['XDG_CACHE_HOME']!, 'netrig/containers'), { recursive: true });
    const later = await call('run', 'lab.yaml');
    expect(later.status, later.stdout).to.equal(0);
    copyFileSync(second.file, join(dir, 'saved.tar'));
    const changed = await call('run', 'lab.yaml');
    expect(changed.status).to.equal(3);
    expect(changed.stdout).to.match(
      /NETRIG_LOCK: images: lab\.yaml:4:\d+: archive saved:latest is sha256:\S+ now, and sha256:/,
    );
    second.remove();
    remove();
  });

  it('are not asked for with --offline: what the cache lacks is an error', async () => {
    const ended = await run(scenario(`${registry.address}/team/app:1`), {}, ['--offline']);
    expect(ended.status).to.equal(3);
    expect(ended.stdout).to.match(
      /NETRIG_OFFLINE: images: lab\.yaml:3:\d+: the container image .*team\/app:1: the cache does not have it/,
    );
    expect(cache.containers()).to.deep.equal([]);
  });

  it('are listed with the rest of the cache, and removed', async () => {
    await run(scenario(`${registry.address}/team/app:1`));
    const images = async (...args: string[]): Promise<string> => {
      const ended = await netrig(['images', ...args], { cwd: tmpdir(), env: cache.environment }).ended;
      expect(ended.status, ended.stderr).to.equal(0);
      return ended.stdout;
    };
    const listed = JSON.parse(await images('list', '--json')) as { name: string; sizeBytes: number; inUse?: boolean }[];
    const [container, engine] = ['container:', 'engine:'].map((kind) =>
      listed.find(({ name }) => name.startsWith(kind)),
    );
    expect(container).to.include({ inUse: false });
    expect(container!.sizeBytes).to.be.above(100_000);
    expect(await images('list')).to.match(/container:\S+team-app\S* +127\.0\.0\.1:\d+\/team\/app:1, from its registry/);
    expect(await images('rm', container!.name)).to.contain('removed');
    expect(await images('rm', engine!.name.replace(/-[0-9a-f]{12}$/, ''))).to.contain('removed');
    expect(await images('list')).not.to.match(/container:|engine:/);
    expect(await images('rm', container!.name)).to.contain('is not in the cache');
  });

  it('come by digest, out of an archive, and by a step that types them', async () => {
    const { dir, remove } = workDirectory();
    const text = `scenario: images
title: Images of all sorts
hosts: { app: { docker: { containers: { web1: { image: "${registry.address}/team/app@${digest}" }, web2: { image: saved } } } } }
images: { saved: { archive: ./saved.tar }, typed: { registry: "${registry.address}/team/app:1" } }
steps:
  - run: docker run -d --name web3 typed
  - check: The container \${one} is what its image says
    for: [{ one: web1 }, { one: web2 }, { one: web3 }]
    command: { on: "app/\${one}", run: cat /etc/said, expect: { stdout: first } }
`;
    writeFileSync(join(dir, 'lab.yaml'), text);
    copyFileSync(image.file, join(dir, 'saved.tar'));
    const ended = await netrig(['run', 'lab.yaml'], { cwd: dir, env: cache.environment }).ended;
    expect(ended.status, ended.stdout + ended.stderr).to.equal(0);
    expect(latestOutcomes(dir).map(({ verdict }) => verdict)).to.deep.equal(['pass', 'pass', 'pass', 'pass', 'pass']);
    remove();
  });

  it('need a password where the registry wants one, from where skopeo keeps it', async () => {
    const closed = await another('a secret');
    closed.push(image.file, 'app:1');
    const text = scenario(`${closed.address}/app:1`);
    await fails(
      text,
      3,
      /NETRIG_IMAGE_NOT_FOUND/,
      /lab\.yaml:3:\d+: .*does not let us read it.*authentication required/,
    );
    const directory = mkdtempSync(join(tmpdir(), 'netrig-auth-'));
    const auth = { auths: { [closed.address]: { auth: Buffer.from('tester:a secret').toString('base64') } } };
    writeFileSync(join(directory, 'auth.json'), JSON.stringify(auth));
    cache.environment['REGISTRY_AUTH_FILE'] = join(directory, 'auth.json');
    const ended = await run(text);
    expect(ended.status, ended.stdout + ended.stderr).to.equal(0);
    expect(ended.stdout + ended.stderr).not.to.contain('a secret');
    rmSync(directory, { recursive: true });
  });

  it('that a registry does not have are errors with its words and the place', () =>
    fails(
      scenario(`${registry.address}/team/app:9`),
      3,
      /NETRIG_IMAGE_NOT_FOUND/,
      /lab\.yaml:3:\d+: .*no such image.*manifest unknown/,
    ));

  it('that do not fit into the cache are errors, and leave nothing there', async () => {
    const { dir, remove } = workDirectory({ 'lab.yaml': scenario(`${registry.address}/team/app:1`) });
    const home = cache.environment['XDG_CACHE_HOME']!;
    // In a mount namespace of its own: the small file system goes with it.
    const script =
      'mkdir "$1/netrig/containers" && mount -t tmpfs -o size=1m small "$1/netrig/containers" && shift && "$@"; s=$?; ls -A "$0"; exit $s';
    const rest = [process.execPath, mainFile, 'run', 'lab.yaml'];
    const argv = [
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      script,
      join(home, 'netrig/containers'),
      home,
      ...rest,
    ];
    const ended = await start('unshare', argv, { cwd: dir, env: cache.environment }).ended;
    expect(ended.status, ended.stdout + ended.stderr).to.equal(3);
    expect(ended.stdout).to.match(
      /NETRIG_CACHE_FULL: images: lab\.yaml:3:\d+: making the container image .*team\/app:1/,
    );
    expect(ended.stdout).not.to.match(/^\.build-/m);
    remove();
  });

  it('of a repository that the cache has others of say so where the registry is gone', async () => {
    const own = await another();
    own.push(image.file, 'app:1');
    expect((await run(scenario(`${own.address}/app:1`))).status).to.equal(0);
    await own.stop();
    const ended = await run(scenario(`${own.address}/app:2`));
    expect(ended.status).to.equal(3);
    expect(ended.stdout)
      .to.match(/NETRIG_REGISTRY_UNREACHABLE/)
      .and.match(/The cache has 127\.0\.0\.1:\d+\/app:1 of \d{4}-/);
  });

  it('of a registry that is gone are errors', () =>
    fails(
      scenario('127.0.0.1:1/team/app:1'),
      3,
      /NETRIG_REGISTRY_UNREACHABLE/,
      /lab\.yaml:3:\d+: .*connection refused/,
    ));

  it('of a registry that never answers are errors in time', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const before = process.env['XDG_CACHE_HOME'];
    process.env['XDG_CACHE_HOME'] = cache.environment['XDG_CACHE_HOME'];
    try {
      const { port } = silent.address() as AddressInfo;
      const options = { signal: new AbortController().signal, progress: () => undefined };
      const error = await ensureRegistryImage(`127.0.0.1:${port}/app:1`, options, 'app:1', {
        askMs: 300,
        fetchMs: 300,
      }).catch((caught: unknown) => caught);
      expect(error).to.include({ code: 'NETRIG_REGISTRY_UNREACHABLE' });
    } finally {
      if (before === undefined) delete process.env['XDG_CACHE_HOME'];
      else process.env['XDG_CACHE_HOME'] = before;
      silent.closeAllConnections();
      silent.close();
    }
  });

  it('of an archive that is none are errors', async () => {
    const ended = await run(scenario('own', 'images: { own: { archive: lab.yaml } }'));
    expect(ended.status).to.equal(2);
    expect(ended.stdout + ended.stderr)
      .to.match(/NETRIG_IMAGE_ARCHIVE/)
      .and.match(/lab\.yaml:4:\d+: .*is no archive of one container image/);
    expect(cache.containers()).to.deep.equal([]);
  });

  it('are refused where a registry delivers something else than the digest says', async () => {
    const liar = createServer((request, response) => {
      void fetch(`http://${registry.address}${request.url}`, {
        headers: { accept: String(request.headers.accept ?? '*/*') },
      }).then(async (answer) => {
        let body = Buffer.from(await answer.arrayBuffer());
        // The manifest is true, a layer is not.
        if (request.url?.includes('/blobs/') && body.length > 10_000)
          body = Buffer.from(body.toString('latin1').replace(/.$/s, '!'), 'latin1');
        response.writeHead(answer.status, {
          'content-type': answer.headers.get('content-type') ?? '',
          'content-length': String(body.length),
          'docker-distribution-api-version': 'registry/2.0',
        });
        response.end(request.method === 'HEAD' ? undefined : body);
      });
    });
    await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = liar.address() as AddressInfo;
      await fails(scenario(`127.0.0.1:${port}/team/app@${digest}`), 3, /NETRIG_IMAGE_DIGEST/);
    } finally {
      liar.close();
    }
  });

  describe('that a Dockerfile describes', () => {
    const built = `scenario: images
title: A built image
hosts: { app: { docker: { containers: { web1: { image: mine } } } } }
images: { mine: { build: ./web } }
steps:
  - check: Its container is what the Dockerfile says
    command: { on: app/web1, run: cat /said, expect: { stdout: built } }
`;
    const dockerfile = (step = 'RUN --mount=type=cache,target=/cache cp /in /said'): string =>
      `# syntax=docker/dockerfile:1\nFROM busybox AS first\nCOPY in /in\n${step}\nFROM web\nCOPY --from=first /said /said\n`;
    function folder(step?: string): ReturnType<typeof workDirectory> {
      const work = workDirectory({ 'lab.yaml': built });
      mkdirSync(join(work.dir, 'web'));
      writeFileSync(join(work.dir, 'web/Dockerfile'), dockerfile(step));
      writeFileSync(join(work.dir, 'web/in'), 'built');
      return work;
    }
    const runIn = (dir: string) => netrig(['run', 'lab.yaml'], { cwd: dir, env: cache.environment });

    it('are built once, by two runs at once, too; another file makes another image', async () => {
      const { dir, remove } = folder();
      const ended = await Promise.all([runIn(dir).ended, runIn(dir).ended]);
      for (const { status, stdout, stderr } of ended) expect(status, stdout + stderr).to.equal(0);
      const building = ended.filter(({ stdout }) => stdout.includes('starting a host that builds it'));
      expect(building).to.have.length(1);
      expect(cache.containers()).to.have.length(1);
      writeFileSync(join(dir, 'web/in'), 'other');
      const other = await runIn(dir).ended;
      expect(other.status).to.equal(1);
      expect(other.stdout).to.contain('starting a host that builds it');
      remove();
    });

    it('are errors with the line where a step fails', async () => {
      const { dir, remove } = folder('RUN echo said && \\\n  exit 7');
      const ended = await runIn(dir).ended;
      expect(ended.status).to.equal(2);
      expect(ended.stdout).to.match(
        /^NETRIG_DOCKERFILE: \w+: web\/Dockerfile:4: RUN echo said.*exited with 7 \(the image mine:latest of lab\.yaml:4:\d+\); it wrote: said/m,
      );
      // Nothing of the lab was tried, and no step of it is to blame.
      for (const { verdict, reason } of latestOutcomes(dir))
        expect({ verdict, reason }).to.deep.equal({
          verdict: 'skipped',
          reason: 'the lab did not come up (NETRIG_DOCKERFILE)',
        });
      expect(cache.containers()).to.deep.equal([]);
      remove();
    });

    it('are gone without a trace when the build is killed', async () => {
      const { dir, remove } = folder('RUN sleep 1000');
      const run = runIn(dir);
      await run.saw(/RUN sleep 1000/);
      run.child.kill('SIGKILL');
      await run.ended;
      writeFileSync(join(dir, 'web/Dockerfile'), dockerfile());
      const next = await runIn(dir).ended;
      expect(next.status, next.stdout + next.stderr).to.equal(0);
      expect(leftovers('build')).to.deep.equal([]);
      remove();
    });
  });

  it('and networks, builds, files of a Compose file are there from the start', async () => {
    const { dir, remove } = workDirectory({
      'lab.yaml': `scenario: images
title: A Compose file
hosts: { app: { docker: { compose: ./shop/compose.yaml } } }
steps:
  - check: The front is published, and serves what is bound into it
    http: { from: app, url: "http://127.0.0.1:8080/page", expect: { body: { contains: bound } } }
  - check: Services know each other by name
    ping: { from: app/db, to: app/front }
  - check: A built service is what its Dockerfile says
    command: { on: app/db, run: [sh, -c, "cat /said; id -u"], expect: { stdout: "built\\n1000" } }
`,
    });
    mkdirSync(join(dir, 'shop/db'), { recursive: true });
    writeFileSync(join(dir, 'shop/page'), 'bound');
    writeFileSync(join(dir, 'shop/db/Dockerfile'), 'FROM busybox\nRUN echo built >/said\n');
    const compose = `services:
  front:
    image: web
    depends_on: [db]
    ports: ["8080:80"]
    volumes: ["./page:/www/page:ro"]
  db:
    build: ./db
    user: "1000"
    command: sleep 1000
    volumes: [data:/data]
volumes:
  data:
`;
    writeFileSync(join(dir, 'shop/compose.yaml'), compose);
    const ended = await netrig(['run', 'lab.yaml'], { cwd: dir, env: cache.environment }).ended;
    expect(ended.status, ended.stdout + ended.stderr).to.equal(0);
    remove();
  });

  it('are put together from Debian packages', async () => {
    const ended = await run(`scenario: images
title: An image of packages
hosts: { app: { docker: { containers: { tools1: { image: tools, command: sleep 1000 } } } } }
images: { tools: { packages: [iproute2] } }
steps:
  - check: The package is in it
    command: { on: app/tools1, run: ip -br link show eth0, expect: { stdout: { contains: UP } } }
`);
    expect(ended.status, ended.stdout + ended.stderr).to.equal(0);
  });
});
