import { expect } from 'chai';
import { unreachedRegistry } from '../../src/steps/unreached-registry.js';

const host = { name: 'app', interfaces: [] };

describe('An engine that reaches no registry', () => {
  const refused =
    'Error response from daemon: Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io on [::1]:53: read udp [::1]:47978->[::1]:53: read: connection refused\n';
  const words = [
    refused,
    'docker: Error response from daemon: Get https://registry-1.docker.io/v2/: net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers).\n',
    'x\nError response from daemon: Head "https://registry-1.docker.io/v2/library/a/manifests/b": dial tcp 1.2.3.4:443: connect: network is unreachable',
  ];
  for (const output of words)
    it(`is told in words of the lab: ${output.slice(0, 80)}`, () =>
      expect(unreachedRegistry(output, host)).to.match(
        /^The lab is sealed: .*app.*registry-1\.docker\.io.*`outside: true`/,
      ));

  it('elsewhere than at Docker Hub, pulling is what fails', () => {
    const told = unreachedRegistry(refused.replaceAll('registry-1.docker.io', 'quay.io'), host);
    expect(told).to.match(/\(quay\.io\).*leave out `docker pull`/);
  });

  it('on loopback, no image was fetched before, and no way out would help', () => {
    for (const own of ['127.0.0.1:5999', 'localhost:5000', '[::1]:5000']) {
      const output = `Error response from daemon: Get "http://${own}/v2/": dial tcp ${own}: connect: connection refused`;
      for (const outside of [undefined, true]) {
        const told = unreachedRegistry(output, { ...host, ...(outside ? { outside } : {}) });
        expect(told).to.include(`No registry answers at ${own}, which is app itself: start one there`);
        expect(told).not.to.match(/in so many words|`outside: true`/);
      }
    }
    const named = unreachedRegistry(refused.replaceAll('registry-1.docker.io', '127.0.0.1.example'), host);
    expect(named).to.match(/^The lab is sealed/);
  });

  it('is not what other errors say', () => {
    for (const output of [
      'Error response from daemon: manifest for nginx:none not found: manifest unknown',
      'Error response from daemon: Get "https://registry-1.docker.io/v2/": unauthorized',
      'dial tcp: lookup example.org: no such host',
    ])
      expect(unreachedRegistry(output, host), output).to.equal(null);
    const given = { name: 'eth0', device: 'ens3', segment: 'lan', address: null, mac: '' };
    expect(unreachedRegistry(refused, { ...host, interfaces: [given] })).to.equal(null);
    expect(unreachedRegistry(refused, { ...host, outside: true })).to.match(/does not reach registry-1/);
  });
});
