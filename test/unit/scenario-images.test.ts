import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadScenarioText, type LoadedScenario } from '../../src/scenario/load.js';
import { planLab } from '../../src/plan/plan.js';

const scenario = (top: string, container = 'busybox', step = 'true'): string => `scenario: lab
title: A lab
${top}hosts: { app: { docker: { containers: { web1: { image: "${container}" } } } }, plain: { init: light } }
segments: { lan: { subnet: 10.0.0.0/24, hosts: [app, plain] } }
steps:
  - on: app
    run: ${JSON.stringify(step)}
`;

describe('Container images that a scenario names', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'netrig-images-'));
    writeFileSync(join(folder, 'app.tar'), 'an archive');
    writeFileSync(join(folder, 'lab.yaml'), '');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const load = (text: string): LoadedScenario => loadScenarioText(text, join(folder, 'lab.yaml'));
  function wanted(text: string): unknown[] {
    const { scenarios, diagnostics } = load(text);
    expect(diagnostics.map((one) => one.message)).to.deep.equal([]);
    return scenarios[0]!.wantedImages.map(({ name, source, at }) => [name, source, at.replace(/^.*\//, '')]);
  }
  const mistakes = (text: string): string[] =>
    load(text).diagnostics.map((one) => `${one.line}:${one.column} ${one.message}`);

  it('are fetched where containers name them, with the place', () => {
    expect(wanted(scenario('', 'postgres:16'))).to.deep.equal([
      ['postgres:16', { from: 'registry', reference: 'docker.io/library/postgres:16' }, 'lab.yaml:3:56'],
    ]);
  });

  it('are fetched where a step types them, once', () => {
    expect(wanted(scenario('', 'nginx', 'docker run -d nginx:latest'))).to.have.length(1);
    expect(wanted(scenario('', 'busybox', 'docker run -d nginx'))).to.deep.equal([
      ['nginx:latest', { from: 'registry', reference: 'docker.io/library/nginx:latest' }, 'lab.yaml:6:5'],
    ]);
  });

  it('stay netrig’s own where they have its names', () => {
    for (const name of ['busybox', 'web:latest', 'docker.io/library/busybox']) {
      const { scenarios } = load(scenario('', name));
      expect(scenarios[0]!.wantedImages).to.deep.equal([]);
    }
    expect(wanted(scenario('', 'busybox:1.36'))).to.have.length(1);
  });

  it('are what `images` says, also under a name of netrig’s own', () => {
    const top = 'images: { web: { archive: ./app.tar }, db: { registry: "postgres@sha256:' + 'a'.repeat(64) + '" } }\n';
    expect(wanted(scenario(top, 'web', 'docker run -d db'))).to.deep.equal([
      ['web:latest', { from: 'archive', file: join(folder, 'app.tar') }, 'lab.yaml:3:16'],
      [
        'db:latest',
        { from: 'registry', reference: `docker.io/library/postgres@sha256:${'a'.repeat(64)}` },
        'lab.yaml:3:44',
      ],
    ]);
  });

  it('are told of what is wrong with their Dockerfile, with its line, where the scenario names it', () => {
    mkdirSync(join(folder, 'web'));
    writeFileSync(join(folder, 'web/Dockerfile'), 'FROM busybox\nCOPI hour.sh /\n');
    writeFileSync(join(folder, 'web/other'), 'FROM busybox\nCOPY minute.sh /\n');
    expect(mistakes(scenario('images: { one: { build: ./web } }\n'))).to.deep.equal([
      '3:25 web/Dockerfile:2: unknown instruction "COPI"; did you mean "COPY"?',
    ]);
    expect(mistakes(scenario('images: { one: { build: { context: ./web, dockerfile: other } } }\n'))).to.deep.equal([
      '3:55 web/other:2: COPY takes "minute.sh", which is not in the directory of the build',
    ]);
    writeFileSync(join(folder, 'web/minute.sh'), '');
    expect(mistakes(scenario('images: { one: { build: { context: ./web, dockerfile: other } } }\n'))).to.deep.equal([]);
  });

  it('are built of a directory with a Dockerfile, or put together from packages', () => {
    mkdirSync(join(folder, 'web'));
    writeFileSync(join(folder, 'web/Dockerfile'), 'FROM busybox AS t');
    const built = { from: 'build', context: join(folder, 'web'), dockerfile: join(folder, 'web/Dockerfile') };
    expect(
      wanted(
        scenario(
          'outside: true\nimages: { one: { build: ./web }, two: { build: { context: web, target: t, args: [A=b] } }, three: { packages: [curl, curl] } }\n',
        ),
      ).map((one) => (one as unknown[])[1]),
    ).to.deep.equal([
      { ...built, target: null, arguments: {}, outside: true },
      { ...built, target: 't', arguments: { A: 'b' }, outside: true },
      { from: 'packages', packages: ['curl'] },
    ]);
    const mistake = (build: string): string | undefined =>
      mistakes(scenario(`images: { one: { build: ${build} } }\n`))[0];
    expect(mistake('app.tar')).to.equal('3:25 app.tar is a file: name the directory of the Dockerfile');
    expect(mistake('.')).to.equal(`3:25 there is no file or directory ${join(folder, 'Dockerfile')}`);
    expect(mistake('{ context: web, dockerfile: ../../x }')).to.match(/^3:53 .*outside the scenario’s folder/);
    expect(mistake('..')).to.match(/^3:25 .*outside the scenario’s folder/);
  });

  it('are a list of names, too, with maps among them', () => {
    const names = (images: string): unknown[] =>
      wanted(scenario(`images: ${images}\n`)).map((one) => (one as unknown[])[0]);
    expect(names('nginx')).to.deep.equal(['nginx:latest']);
    expect(names('[busybox, nginx, { mine: { archive: app.tar } }]')).to.deep.equal(['mine:latest', 'nginx:latest']);
  });

  it('are not looked for where the lab makes or has them itself', () => {
    for (const step of [
      'docker tag busybox nginx && docker run nginx',
      'docker load -i x.tar && docker run nginx',
      'docker run localhost:5000/app',
      'docker run 10.0.0.2:5000/app',
      'docker run plain:5000/app',
    ])
      expect(wanted(scenario('', 'busybox', step)), step).to.deep.equal([]);
  });

  it('go to hosts with an engine only', () => {
    const plan = planLab(load(scenario('', 'nginx')).scenarios[0]!);
    expect(plan.hosts.map((host) => host.wantedImages?.map(({ name }) => name))).to.deep.equal([
      ['nginx:latest'],
      undefined,
    ]);
  });

  it('are mistakes with their place where they cannot be', () => {
    expect(mistakes(scenario('images: { app: { archive: ./none.tar } }\n'))).to.deep.equal([
      `3:27 there is no file or directory ${join(folder, 'none.tar')}`,
    ]);
    mkdirSync(join(folder, 'inner'));
    symlinkSync('/etc/hostname', join(folder, 'inner/link.tar'));
    for (const path of ['../app.tar', 'inner/link.tar'])
      expect(mistakes(scenario(`images: { app: { archive: ${path} } }\n`))[0]).to.match(
        /^3:27 .* lies outside the scenario’s folder/,
      );
    expect(mistakes(scenario('images: { app: { archive: inner } }\n'))[0]).to.contain('is a directory: name a file');
    expect(mistakes(scenario('images: { app: {} }\n'))[0]).to.match(/^3:\d+ say where the image comes from/);
    expect(mistakes(scenario('images: { app: { arcive: a } }\n')).join(';')).to.match(
      /3:18 unknown key "arcive"; did you mean "archive"/,
    );
    expect(mistakes(scenario('images: { App: { archive: app.tar } }\n'))[0]).to.match(
      /^3:\d+ expected a container image's name/,
    );
    expect(mistakes(scenario('', 'No Image'))[0]).to.match(/^3:\d+ expected a container image's name/);
    expect(mistakes(scenario('images: { a: { archive: app.tar }, "a:latest": { archive: app.tar } }\n'))[0]).to.match(
      /named a second time/,
    );
  });
});
