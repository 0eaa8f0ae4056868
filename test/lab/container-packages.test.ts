import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { requireHostImageRow } from '../../src/images/recipe.js';
import { engineReference } from '../../src/providers/container/image.js';
import { packagesLabel, treeLabel } from '../../src/providers/container/labels.js';
import { packageReference } from '../../src/providers/container/package-image.js';
import { findProgram } from '../../src/providers/shared/command.js';
import { startEngine, type TestEngine } from './container-engine.js';
import { missing } from './local-labs.js';
import { type Ended, latestOutcomes, netrig, workDirectory } from './netrig-command.js';

const lacks = missing ?? (findProgram('slirp4netns') === null ? 'slirp4netns (package slirp4netns)' : null);

/** Systemd starts at boot what it finds when it starts itself. */
const early = `[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/dnsmasq --test --conf-file=/etc/dnsmasq.d/lan.conf
`;
const wants = '[Unit]\nWants=netrig-early.service\n';

const scenario = (name: string): string => `scenario: packages
title: Hosts with software of their own
hosts:
  r1: { image: debian-12, packages: [${name}], files: { ./early.service: /etc/systemd/system/netrig-early.service, ./early.conf: /etc/systemd/system/multi-user.target.d/early.conf, ./lan.conf: { to: /etc/dnsmasq.d/lan.conf, owner: dnsmasq } } }
  plain: { image: debian-12, init: light }
segments:
  lan: { subnet: 10.85.0.0/24, hosts: [r1, plain] }
steps:
  - step: The package is there, as dpkg knows it, and works
    on: r1
    run: |
      dpkg -s dnsmasq-base | grep -q '^Status: install ok installed'
      dnsmasq --test --conf-file=/etc/dnsmasq.d/lan.conf
  - step: Its files were there before its services, and belong to an account that the package brought
    on: r1
    run: |
      [ "$(stat -c %U /etc/dnsmasq.d/lan.conf)" = dnsmasq ]
      systemctl is-system-running --wait
      systemctl is-active netrig-early
  - check: A host that did not ask for it has none
    file: { on: plain, path: /usr/sbin/dnsmasq, expect: { absent: true } }
`;

(lacks === null ? describe : describe.skip)(
  `Packages on hosts as containers${lacks ? ` (needs ${lacks})` : ''}`,
  function () {
    this.timeout(600_000);
    const passed = Array.from({ length: 3 }, () => 'pass');
    let state: string;
    let engine: TestEngine;
    const base = { name: 'debian-12', reference: engineReference(requireHostImageRow('debian-12')) };
    const reference = packageReference(base, ['dnsmasq-base']);

    before(async () => {
      state = mkdtempSync(join(tmpdir(), 'netrig-state-'));
      // It stands for a machine that has a network, which the engine uses where it installs packages itself.
      engine = await startEngine('v2', { outside: true });
    });
    after(async () => {
      await engine?.end();
      rmSync(state, { recursive: true });
    });

    async function run(text: string, ...args: string[]): Promise<Ended & { verdicts: string[] }> {
      const { dir, remove } = workDirectory({
        'lab.yaml': text,
        'lan.conf': 'port=0\n',
        'early.service': early,
        'early.conf': wants,
      });
      try {
        const env = { DOCKER_HOST: engine.uri, XDG_STATE_HOME: state };
        const ended = await netrig(['run', 'lab.yaml', '--provider', 'container', ...args], { cwd: dir, env }).ended;
        return { ...ended, verdicts: ended.status === 0 ? latestOutcomes(dir).map(({ verdict }) => verdict) : [] };
      } finally {
        remove();
      }
    }

    const labelsOf = async (): Promise<Record<string, string>> =>
      (await engine.docker.getImage(reference).inspect()).Config.Labels;

    it('come as a layer of the cache, which two runs at once put there once, and later ones find there', async () => {
      const both = await Promise.all([run(scenario('dnsmasq-base')), run(scenario('dnsmasq-base'))]);
      for (const one of both) expect(one.verdicts, one.stdout + one.stderr).to.deep.equal(passed);
      const putting = both.filter(({ stdout, stderr }) => /putting them into the Docker engine/.test(stdout + stderr));
      expect(putting).to.have.length(1);
      const versions = JSON.parse((await labelsOf())[packagesLabel]!) as Record<string, string>;
      expect(versions['dnsmasq-base']).to.match(/^2\./);
      const [lower, upper] = await Promise.all(
        [base.reference, reference].map(
          async (one) => (await engine.docker.getImage(one).inspect()).RootFS.Layers ?? [],
        ),
      );
      expect(upper!.slice(0, -1)).to.deep.equal(lower);
      const later = await run(scenario('dnsmasq-base'), '--offline');
      expect(later.verdicts, later.stdout + later.stderr).to.deep.equal(passed);
      expect(later.stdout + later.stderr).not.to.contain('putting them');
      expect(await engine.left()).to.deep.equal([]);
    });

    it('are installed by the engine where its image is not of this cache, and by nobody with --offline', async () => {
      await engine.docker.getImage(reference).remove();
      const other = await engine.docker.createContainer({ Image: base.reference, Cmd: ['/bin/sh'] });
      const [repo, tag] = base.reference.split(':');
      await other.commit({ repo, tag, changes: `LABEL ${treeLabel}=elsewhere` });
      await other.remove();
      const offline = await run(scenario('dnsmasq-base'), '--offline');
      expect(offline.status).to.equal(3);
      expect(offline.stdout + offline.stderr).to.contain('NETRIG_OFFLINE');
      expect((offline.stdout + offline.stderr).replace(/\s+/g, ' ')).to.match(
        /lab\.yaml:4:\d+: packages of Debian bookworm.*\(dnsmasq-base\)/,
      );
      const online = await run(scenario('dnsmasq-base'));
      expect(online.verdicts, online.stdout + online.stderr).to.deep.equal(passed);
      expect(online.stdout + online.stderr).to.contain('installing them in the Docker engine');
      expect((JSON.parse((await labelsOf())[packagesLabel]!) as Record<string, string>)['dnsmasq-base']).to.match(
        /^2\./,
      );
      const unknown = await run(scenario('dnsmaq-base'));
      expect(unknown.status).to.equal(2);
      expect(unknown.stdout + unknown.stderr).to.contain('NETRIG_PACKAGE_UNKNOWN');
      expect((unknown.stdout + unknown.stderr).replace(/\s+/g, ' ')).to.match(
        /lab\.yaml:4:\d+: bookworm has no package "dnsmaq-base".*did you mean "dnsmasq-base"/,
      );
      expect(await engine.left()).to.deep.equal([]);
    });

    it('come by a step, too, on a host with a way to the outside, from the sources that this machine has', async () => {
      const installed = await run(`scenario: outside
title: A package by a step
hosts: { a: { image: debian-12, init: light, outside: true } }
steps:
  - step: It is fetched and installed
    on: a
    run: |
      apt-get -q update
      DEBIAN_FRONTEND=noninteractive apt-get -q install --yes --no-install-recommends tree
  - check: It is there
    file: { on: a, path: /usr/bin/tree, expect: { mode: "0755" } }
`);
      expect(installed.verdicts, installed.stdout + installed.stderr).to.deep.equal(['pass', 'pass']);
    });
  },
);
