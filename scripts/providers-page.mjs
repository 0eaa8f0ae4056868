// npm run providers: runs the scenarios with the tag `portable` on every provider that this machine can start, and writes
// docs/providers.md from their comparison. The Docker engine for the container provider is that of a lab host, so that
// nothing of it is in the machine's own network.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, say } from './setup.mjs';

const cli = join(root, 'dist', 'program', 'cli', 'main.js');
const page = join('docs', 'providers.md');
const wanted = process.argv.slice(2);
const providers = wanted.length > 0 ? wanted : ['local', 'container', 'vagrant'];

function netrig(args, env = {}) {
  return spawnSync(process.execPath, [cli, ...args], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 64 * 1024 * 1024,
  });
}

const work = mkdtempSync(join(tmpdir(), 'netrig-providers-'));
let engineLab = null;

/** The socket of a Docker engine in a host of the local provider. */
function startEngine() {
  const file = join(work, 'engine.yaml');
  writeFileSync(
    file,
    'scenario: engine\ntitle: A Docker engine\nhosts: { engine: { image: debian-13 } }\nsegments: { lan: { subnet: 10.90.0.0/24, hosts: [engine] } }\nsteps:\n  - step: The engine answers\n    on: engine\n    run: docker version\n  - check: It answers\n    docker: { on: engine, info: true, expect: { ServerVersion: { absent: false } } }\n',
  );
  const up = netrig(['up', file]);
  if (up.status !== 0) throw new Error('the engine’s host did not come up');
  engineLab = up.stdout.trim();
  const state = process.env['XDG_STATE_HOME'] ?? join(homedir(), '.local', 'state');
  const record = JSON.parse(readFileSync(join(state, 'netrig', 'labs', engineLab, 'lab.json'), 'utf8'));
  return `unix:///proc/${record.access.hosts.engine.pid1.pid}/root/run/docker.sock`;
}

const runs = [];
let status = 0;
try {
  for (const provider of providers) {
    say(`Running the portable scenarios on ${provider} …`);
    const env = provider === 'container' ? { DOCKER_HOST: startEngine() } : {};
    const reports = join(work, provider);
    const run = netrig(
      [
        'run',
        'scenarios',
        '--tag',
        'portable',
        '--matrix',
        'image=debian-12',
        '--provider',
        provider,
        '--jobs',
        '1',
        '--no-allure-report',
        '--reports',
        reports,
      ],
      env,
    );
    process.stdout.write(run.stdout.split('\n').slice(-12).join('\n'));
    if (run.status !== 0) status = 1;
    // A provider that could not bring a single lab up has nothing to compare.
    if (run.status === 0 || run.status === 1 || run.status === 3) runs.push(realpathSync(join(reports, 'latest')));
  }
  const compared = netrig([
    'compare',
    ...runs,
    '--markdown',
    page,
    '--heading',
    'The same scenarios on every provider',
  ]);
  process.stdout.write(compared.stdout);
  if (compared.status !== 0) status = compared.status ?? 3;
} finally {
  if (engineLab !== null) netrig(['down', engineLab]);
  rmSync(work, { recursive: true, force: true });
}
process.exit(status);
