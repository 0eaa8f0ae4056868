import { expect } from 'chai';
import {
  canonicalReference,
  engineName,
  isLoopbackRegistry,
  parseReference,
} from '../../src/images/containers/reference.js';

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

describe('references of container images', () => {
  const rows: [text: string, canonical: string, engine: string][] = [
    ['postgres', 'docker.io/library/postgres:latest', 'postgres:latest'],
    ['postgres:16', 'docker.io/library/postgres:16', 'postgres:16'],
    ['grafana/grafana:11.2.0', 'docker.io/grafana/grafana:11.2.0', 'grafana/grafana:11.2.0'],
    ['docker.io/library/postgres:16', 'docker.io/library/postgres:16', 'postgres:16'],
    ['index.docker.io/nginx', 'docker.io/library/nginx:latest', 'nginx:latest'],
    ['registry.example:5000/team/app:1', 'registry.example:5000/team/app:1', 'registry.example:5000/team/app:1'],
    ['localhost/app', 'localhost/app:latest', 'localhost/app:latest'],
    ['127.0.0.1:5000/app:1', '127.0.0.1:5000/app:1', '127.0.0.1:5000/app:1'],
    [`nginx@${digest}`, `docker.io/library/nginx@${digest}`, `nginx@${digest}`],
    [`nginx:1.25@${digest}`, `docker.io/library/nginx:1.25@${digest}`, 'nginx:1.25'],
    ['quay.io/coreos/etcd:v3.5.0', 'quay.io/coreos/etcd:v3.5.0', 'quay.io/coreos/etcd:v3.5.0'],
  ];
  for (const [text, canonical, engine] of rows) {
    it(`${text} is ${canonical}, which an engine calls ${engine}`, () => {
      const reference = parseReference(text)!;
      expect(canonicalReference(reference)).to.equal(canonical);
      expect(engineName(reference)).to.equal(engine);
      expect(parseReference(canonical)).to.deep.equal(reference);
    });
  }

  for (const text of [
    '',
    'A B',
    'Nginx',
    'nginx:',
    ':1',
    'a//b',
    'nginx@sha256:12',
    `a@${digest}@${digest}`,
    '-a',
    'a:b:c',
  ])
    it(`${JSON.stringify(text)} is none`, () => expect(parseReference(text)).to.equal(null));

  it('a registry on loopback may speak plain HTTP, another may not', () => {
    const loopback = (text: string): boolean => isLoopbackRegistry(parseReference(text)!);
    expect(['localhost:5000/a', '127.0.0.1:5000/a', '127.9.9.9/a'].map(loopback)).to.deep.equal([true, true, true]);
    expect(['a', 'registry.example/a', '10.0.0.1:5000/a', '127.0.0.1.example/a'].map(loopback)).to.deep.equal([
      false,
      false,
      false,
      false,
    ]);
  });
});
