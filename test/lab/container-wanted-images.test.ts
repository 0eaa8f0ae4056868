import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { findProgram } from '../../src/providers/shared/command.js';
import { startEngine, type TestEngine } from './container-engine.js';
import { ownCache, savedImage, startRegistry, type Registry } from './container-registry.js';
import { missing } from './local-labs.js';
import { type Ended, latestOutcomes, netrig, workDirectory } from './netrig-command.js';

const lacks =
  missing ??
  ['skopeo', 'docker-registry']
    .filter((name) => findProgram(name) === null)
    .map((name) => `${name} (package ${name})`)[0] ??
  null;

const scenario = (registry: string): string => `scenario: images
title: Containers of images from everywhere
hosts:
  app:
    image: debian-12
    docker:
      compose: ./shop/compose.yaml
      containers:
        fetched: { image: "${registry}/team/app:1" }
        saved: { image: saved }
        built: { image: built }
        own: { image: busybox, command: sleep 1000 }
images:
  saved: { archive: ./saved.tar }
  built: { build: ./built }
steps:
  - check: The image of a registry is what it was when it was locked
    command: { on: app/fetched, run: cat /etc/said, expect: { stdout: of the registry } }
  - check: The archive’s
    command: { on: app/saved, run: cat /etc/said, expect: { stdout: of the archive } }
  - check: The Dockerfile’s
    command: { on: app/built, run: cat /etc/built, expect: { stdout: by a Dockerfile } }
  - check: The Compose file’s service
    command: { on: app/front, run: cat /etc/built, expect: { stdout: by Compose } }
  - check: netrig’s own
    ping: { from: app/own, to: app/front }
`;

(lacks === null ? describe : describe.skip)(
  `Container images on hosts as containers${lacks === null ? '' : ` (needs ${lacks})`}`,
  function () {
    this.timeout(600_000);
    let state: string;
    let engine: TestEngine;
    let registry: Registry;
    const cache = ownCache();
    const first = savedImage('any:1', 'of the registry');
    const second = savedImage('any:2', 'of the archive');

    before(async () => {
      state = mkdtempSync(join(tmpdir(), 'netrig-state-'));
      engine = await startEngine('v2');
      registry = await startRegistry();
    });
    after(async () => {
      await engine?.end();
      await registry?.stop();
      for (const one of await Promise.all([first, second])) one.remove();
      cache.remove();
      rmSync(state, { recursive: true });
    });

    it('come from registries, archives, Dockerfiles and Compose files, are locked, and need nobody a second time', async () => {
      registry.push((await first).file, 'team/app:1');
      const { dir, remove } = workDirectory({ 'lab.yaml': scenario(registry.address) });
      copyFileSync((await second).file, join(dir, 'saved.tar'));
      for (const [name, text] of Object.entries({ built: 'by a Dockerfile', shop: 'by Compose' })) {
        mkdirSync(join(dir, name));
        const lines = ['FROM busybox', `RUN echo ${text} >/etc/built`, 'CMD ["sleep", "1000"]', ''];
        writeFileSync(join(dir, name, 'Dockerfile'), lines.join('\n'));
      }
      writeFileSync(join(dir, 'shop/compose.yaml'), 'services: { front: { build: ., networks: [] } }\n');
      const env = { ...cache.environment, DOCKER_HOST: engine.uri, XDG_STATE_HOME: state };
      const call = (...words: string[]): Promise<Ended> => netrig(words, { cwd: dir, env }).ended;
      const passes = async (...words: string[]): Promise<string> => {
        const ended = await call('run', 'lab.yaml', '--provider', 'container', ...words);
        const said = ended.stdout + ended.stderr;
        expect(ended.status, said).to.equal(0);
        // Five checks, after the step that starts the containers.
        expect(latestOutcomes(dir).map(({ verdict }) => verdict)).to.deep.equal(
          Array.from({ length: 6 }, () => 'pass'),
        );
        return said;
      };
      const locked = await call('lock', 'lab.yaml');
      expect(locked.status, locked.stderr).to.equal(0);
      expect(readFileSync(join(dir, 'lab.lock.json'), 'utf8')).to.contain('team/app:1');
      // The tag moves on; what was locked does not.
      registry.push((await second).file, 'team/app:1');
      expect(await passes()).to.contain('loading the container image');
      await registry.stop();
      await passes('--offline');
      rmSync(join(cache.environment['XDG_CACHE_HOME']!, 'netrig/containers'), { recursive: true });
      const gone = await call('run', 'lab.yaml', '--provider', 'container', '--offline');
      expect(gone.status).to.equal(3);
      expect(gone.stdout).to.contain('NETRIG_OFFLINE');
      expect(gone.stdout).to.match(/lab\.yaml:\d+:\d+: the container image .*team\/app:1/);
      expect(await engine.left()).to.deep.equal([]);
      remove();
    });
  },
);
