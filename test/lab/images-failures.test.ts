import { expect } from 'chai';
import { mainFile, notRoot } from './netrig-command.js';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { findMirror } from '../../src/images/mirror.js';
import { requireHostImageRow } from '../../src/images/recipe.js';

const store = new URL('../../src/images/store.js', import.meta.url).href;

interface Answer {
  code?: string;
  message?: string;
  hint?: string;
  lines: string[];
  exit: number | null;
  signal: NodeJS.Signals | null;
}

/**
 * Builds debian-11 in a process of its own, with a cache and an environment of its own. `onLine` is the text of a function
 * that gets each progress line and an AbortController.
 */
const buildCode = `
import { execFileSync } from 'node:child_process';
import { buildHostImage } from ${JSON.stringify(store)};
const controller = new AbortController();
const onLine = eval(process.argv[1]);
const progress = (line) => { console.log(JSON.stringify({ line })); onLine(line, controller, execFileSync); };
try {
  await buildHostImage('debian-11', { signal: controller.signal, progress });
  console.log(JSON.stringify({ code: 'built' }));
} catch (error) {
  console.log(JSON.stringify({ code: error.code ?? error.name, message: error.message, hint: error.hint }));
}
`;

async function build(options: {
  environment: Record<string, string>;
  onLine?: string;
  wrap?: string[];
  watch?(line: string, kill: () => void): void;
}): Promise<Answer> {
  const argv = [
    ...(options.wrap ?? []),
    process.execPath,
    '--input-type=module',
    '-e',
    buildCode,
    options.onLine ?? '() => undefined',
  ];
  const child = spawn(argv[0] ?? '', argv.slice(1), {
    env: { ...process.env, ...options.environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const answer: Answer = { lines: [], exit: null, signal: null };
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const whole = (rest + text).split('\n');
    rest = whole.pop() ?? '';
    for (const one of whole) {
      const said = JSON.parse(one) as Partial<Answer> & { line?: string };
      if (said.line === undefined) Object.assign(answer, said);
      else {
        answer.lines.push(said.line);
        options.watch?.(said.line, () => child.kill('SIGKILL'));
      }
    }
  });
  await new Promise<void>((resolve) =>
    child.once('close', (exit, signal) => {
      answer.exit = exit;
      answer.signal = signal;
      resolve();
    }),
  );
  return answer;
}

/** Processes whose command line or environment names the text: what a build with that cache directory has started. */
async function processesNaming(text: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    if (line.includes(text) || environment.includes(text)) found.push(`${pid} ${line.replaceAll('\0', ' ')}`);
  }
  return found;
}

async function gone(text: string): Promise<string[]> {
  const deadline = performance.now() + 10_000;
  let left = await processesNaming(text);
  while (left.length > 0 && performance.now() < deadline) {
    await pause(50);
    left = await processesNaming(text);
  }
  return left;
}

const isRoot = process.getuid?.() === 0;
const hasApt = existsSync('/usr/lib/apt/apt-helper');

function hasProgram(name: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((directory) => existsSync(join(directory, name)));
}

describe('images: builds that fail', function () {
  this.timeout(120_000);
  let directory: string;
  let cache: string;

  const missing = !isRoot
    ? 'root'
    : !hasApt
      ? 'apt-helper (package apt)'
      : !hasProgram('mmdebstrap')
        ? 'mmdebstrap (package mmdebstrap)'
        : null;
  if (missing !== null) {
    it(`is skipped: this machine lacks ${missing}`, function () {
      this.skip();
    });
    return;
  }

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'netrig-images-'));
    cache = join(directory, 'cache');
    await mkdir(cache);
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  /** What is in the cache beside the lock file, which stays, and logs. */
  const kept = async (): Promise<string[]> =>
    (await readdir(join(cache, 'netrig/images')).catch(() => [])).filter((entry) => !entry.startsWith('.lock-'));
  const mountTable = (): Promise<string> => readFile('/proc/self/mountinfo', 'utf8');

  it('says that the mirror does not answer, in apt’s words, and keeps passwords to itself', async () => {
    // a machine whose apt has one mirror, on a port of loopback that nobody listens on
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    await mkdir(join(directory, 'lists/partial'), { recursive: true });
    await writeFile(join(directory, 'sources.list'), `deb http://user:secret@127.0.0.1:${port}/debian bookworm main\n`);
    await writeFile(
      join(directory, 'apt.conf'),
      `Dir::Etc::sourcelist "${directory}/sources.list";\nDir::Etc::sourceparts "/dev/null";\nDir::State::lists "${directory}/lists";\n`,
    );
    const answer = await build({ environment: { XDG_CACHE_HOME: cache, APT_CONFIG: join(directory, 'apt.conf') } });
    expect(answer.code).to.equal('NETRIG_MIRROR_UNREACHABLE');
    expect(answer.message)
      .to.include('bullseye')
      .and.to.include(`Could not connect to 127.0.0.1:${port}`)
      .and.to.include('Connection refused')
      .and.not.to.include('secret');
    expect(await kept()).to.deep.equal([]);
  });

  it('says that no Debian archive is configured', async () => {
    await mkdir(join(directory, 'lists/partial'), { recursive: true });
    await writeFile(join(directory, 'sources.list'), 'deb http://127.0.0.1:9/ubuntu noble main\n');
    await writeFile(
      join(directory, 'apt.conf'),
      `Dir::Etc::sourcelist "${directory}/sources.list";\nDir::Etc::sourceparts "/dev/null";\nDir::State::lists "${directory}/lists";\n`,
    );
    const answer = await build({ environment: { XDG_CACHE_HOME: cache, APT_CONFIG: join(directory, 'apt.conf') } });
    expect(answer.code).to.equal('NETRIG_MIRROR_UNREACHABLE');
    expect(answer.message).to.include('no Debian archive');
    expect(answer.hint).to.include('NETRIG_DEBIAN_MIRROR');
    expect(await kept()).to.deep.equal([]);
  });

  it('names mmdebstrap and its package where it is not installed', async () => {
    const bin = join(directory, 'bin');
    await mkdir(bin);
    for (const place of (process.env['PATH'] ?? '').split(delimiter)) {
      for (const name of await readdir(place).catch(() => [])) {
        if (name !== 'mmdebstrap') await symlink(join(place, name), join(bin, name)).catch(() => undefined);
      }
    }
    const answer = await build({ environment: { XDG_CACHE_HOME: cache, PATH: bin } });
    expect(answer.code).to.equal('NETRIG_TOOL_MISSING');
    expect(answer.message).to.include('mmdebstrap').and.to.include('Debian package mmdebstrap');
    expect(await kept()).to.deep.equal([]);
  });

  it('needs root, and says so', async function () {
    const wrap = notRoot(mainFile);
    if (!wrap) {
      this.test!.title += ' (skipped: neither another user nor a user namespace can read this checkout)';
      this.skip();
    }
    const answer = await build({ environment: { XDG_CACHE_HOME: cache }, wrap: wrap! });
    expect(answer.code).to.equal('NETRIG_NO_ROOT');
    expect(await kept()).to.deep.equal([]);
  });

  it('does not start where the cache has too little room', async () => {
    const answer = await build({
      environment: { XDG_CACHE_HOME: cache },
      wrap: [
        'unshare',
        '--mount',
        '--propagation',
        'private',
        'sh',
        '-c',
        'mount -t tmpfs -o size=20m small "$0" && exec "$@"',
        cache,
      ],
    });
    expect(answer.code).to.equal('NETRIG_CACHE_FULL');
    expect(answer.message).to.include(join(cache, 'netrig/images'));
    expect(answer.lines).to.deep.equal([]);
  });

  it('tells a disk that fills up during the build from other failures, and leaves nothing', async () => {
    const script =
      'mount -t tmpfs -o size=1150m small "$1" || exit 9; cache=$1; shift; "$@"; echo "{\\"line\\":\\"left: $(ls -A "$cache/netrig/images" | tr "\\n" " ")\\"}"';
    const answer = await build({
      environment: { XDG_CACHE_HOME: cache },
      onLine: `(line, controller, run) => { if (line.includes('extracting archives')) run('fallocate', ['--length', '950MiB', ${JSON.stringify(join(cache, 'filler'))}]); }`,
      wrap: ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', cache],
    });
    expect(answer.code).to.equal('NETRIG_CACHE_FULL');
    expect(answer.message).to.include('No space left on device');
    expect(answer.lines.at(-1)).to.equal('left: .lock-debian-11 ');
    expect(await gone(cache)).to.deep.equal([]);
  });

  it('leaves nothing when aborted in the middle', async () => {
    const before = await mountTable();
    const answer = await build({
      environment: { XDG_CACHE_HOME: cache },
      onLine:
        "(line, controller) => { if (line.includes('extracting archives')) setTimeout(() => controller.abort(), 500); }",
    });
    expect(answer.code).to.equal('NETRIG_INTERRUPTED');
    expect(await kept()).to.deep.equal([]);
    expect(await gone(cache)).to.deep.equal([]);
    expect(await mountTable()).to.equal(before);
  });

  it('killed, takes its processes and mounts along, and the next build sweeps its directory', async () => {
    const before = await mountTable();
    let alive: Promise<string[]> = Promise.resolve([]);
    const answer = await build({
      environment: { XDG_CACHE_HOME: cache },
      watch: (line, kill) => {
        if (!line.includes('extracting archives')) return;
        alive = processesNaming(cache);
        void alive.then(kill);
      },
    });
    expect(
      (await alive).some((process) => process.includes('mmdebstrap')),
      'a build was at work when it was killed',
    ).to.equal(true);
    expect(answer.signal).to.equal('SIGKILL');
    expect(await gone(cache)).to.deep.equal([]);
    expect(await mountTable()).to.equal(before);
    expect((await kept()).map((entry) => entry.replace(/\d.*$/, ''))).to.deep.equal(['.build-debian-']);
    const next = await build({
      environment: { XDG_CACHE_HOME: cache, NETRIG_DEBIAN_MIRROR: 'http://127.0.0.1:9/debian' },
    });
    expect(next.code).to.equal('NETRIG_MIRROR_UNREACHABLE');
    expect(await kept()).to.deep.equal([]);
  });
});

describe('images: the mirror', function () {
  this.timeout(60_000);
  let server: Server;
  let uri: string;
  const asked: string[] = [];
  const has = new Set<string>();

  if (!hasApt) {
    it('is skipped: this machine lacks apt-helper (package apt)', function () {
      this.skip();
    });
    return;
  }

  before(async () => {
    server = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.writeHead(has.has(request.url ?? '') ? 200 : 404);
      response.end('Origin: test\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/debian/`;
  });
  after(() => server.close());

  it('does without updates and security where the mirror has none, and says which', async () => {
    has.add('/debian/dists/bullseye/InRelease');
    const sources = await findMirror(requireHostImageRow('debian-11'), new AbortController().signal, {
      NETRIG_DEBIAN_MIRROR: uri,
    });
    expect(sources.lines).to.deep.equal([`deb ${uri} bullseye main`]);
    expect(sources.missing).to.deep.equal(['bullseye-updates', 'bullseye-security']);
    expect(asked).to.include('/debian-security/dists/bullseye-security/InRelease');
  });

  it('takes them where it has them', async () => {
    has.add('/debian/dists/bullseye-updates/InRelease').add('/debian-security/dists/bullseye-security/InRelease');
    const sources = await findMirror(requireHostImageRow('debian-11'), new AbortController().signal, {
      NETRIG_DEBIAN_MIRROR: uri.slice(0, -1),
    });
    expect(sources.lines).to.deep.equal([
      `deb ${uri} bullseye main`,
      `deb ${uri} bullseye-updates main`,
      `deb ${uri.replace('/debian/', '/debian-security/')} bullseye-security main`,
    ]);
    expect(sources.missing).to.deep.equal([]);
  });

  it('says when the mirror does not carry the suite', async () => {
    let message = '';
    await findMirror(requireHostImageRow('debian-13'), new AbortController().signal, {
      NETRIG_DEBIAN_MIRROR: uri,
    }).catch((error: Error) => (message = error.message));
    expect(message).to.include('trixie').and.to.include('404');
  });
});
