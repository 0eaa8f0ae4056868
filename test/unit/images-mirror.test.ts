import { expect } from 'chai';
import {
  fetchFailure,
  mirrorCandidates,
  parseAptSettings,
  parseIndexTargets,
  withoutCredentials,
} from '../../src/images/mirror.js';
import { aptConfigDump, indexTargets, indexTargetsBeforeUpdate, mmdebstrapOutputs } from './images-outputs.js';

const candidatesOf = (text: string): { archive: string[]; security: string[] } =>
  mirrorCandidates(parseIndexTargets(text));

describe('images/mirror', () => {
  it("takes archive and security repository from the machine's own apt", () => {
    expect(candidatesOf(indexTargets)).to.deep.equal({
      archive: ['http://mirror.example/debian/'],
      security: ['http://mirror.example/debian-security/'],
    });
  });

  it('goes by the suites of sources.list where nothing has been fetched yet, and leaves out what is not Debian’s archive', () => {
    expect(candidatesOf(indexTargetsBeforeUpdate)).to.deep.equal({
      archive: ['http://user:secret@127.0.0.1:9/debian/'],
      security: ['http://127.0.0.1:9/debian-security/', 'http://user:secret@127.0.0.1:9/debian-security/'],
    });
  });

  it('looks for security updates beside the archive where the machine’s suite has none', () => {
    expect(candidatesOf('Debian\tDebian\tsid\tmain\thttp://mirror.example/debian/\n').security).to.deep.equal([
      'http://mirror.example/debian-security/',
    ]);
  });

  it('does not take a third party that names its suite like Debian’s', () => {
    const other = 'Grafana\tGrafana\tstable\tmain\thttps://apt.example/grafana/\n';
    expect(candidatesOf(other)).to.deep.equal({ archive: [], security: [] });
    expect(candidatesOf(other + indexTargets).archive).to.deep.equal(['http://mirror.example/debian/']);
  });

  it('keeps several archives in their order, once each, with a slash at the end', () => {
    const text =
      'Debian\tDebian\tbookworm\tmain\thttp://a.example/debian\nDebian\tDebian\tbookworm\tmain\thttp://b.example/debian/\nDebian\tDebian\tbookworm-updates\tmain\thttp://a.example/debian/\n';
    expect(candidatesOf(text).archive).to.deep.equal(['http://a.example/debian/', 'http://b.example/debian/']);
  });

  it('leaves out lines of another shape', () => {
    expect(parseIndexTargets('')).to.deep.equal([]);
    expect(parseIndexTargets('E: something went wrong\n\t\t\n')).to.deep.equal([]);
  });

  it('passes on proxies, certificates and retries, and nothing that runs programs or names directories', () => {
    expect(parseAptSettings(aptConfigDump)).to.deep.equal([
      'Acquire::Check-Date "false"',
      'Acquire::http::Proxy "http://proxy.example:3128/"',
      'Acquire::http::Proxy::local.example "DIRECT"',
      'Acquire::https::CaInfo "/etc/ssl/private-ca.pem"',
      'Acquire::Retries "3"',
    ]);
  });

  it('quotes the line that says why, without passwords', () => {
    expect(fetchFailure(mmdebstrapOutputs.unresolved)).to.equal(
      "E: Failed to fetch http://mirror.example/debian/dists/bullseye/InRelease  Temporary failure resolving 'mirror.example'",
    );
    expect(fetchFailure('Err:1 http://user:secret@mirror.example/debian\n')).to.equal(
      'Err:1 http://mirror.example/debian',
    );
    expect(fetchFailure('')).to.equal('apt said nothing');
    expect(withoutCredentials('see https://a:b@c.example/d and x@y')).to.equal('see https://c.example/d and x@y');
  });
});
