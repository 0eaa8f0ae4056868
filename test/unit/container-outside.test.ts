import { expect } from 'chai';
import { namedSources, outsideFilesOf } from '../../src/images/outside-files.js';
import { requireHostImageRow } from '../../src/images/recipe.js';
import { wireScript } from '../../src/providers/container/boot-script.js';
import { gateLines, nameServerIn, networksBeside, type OutsideNetwork } from '../../src/providers/container/outside.js';
import { installScript, installSourcesOf, packageReference } from '../../src/providers/container/package-image.js';
import type { HostPlan } from '../../src/plan/lab-plan.js';

const network: OutsideNetwork = {
  id: 'n',
  subnet: '198.19.4.0/22',
  gateway: '198.19.4.1',
  ends: new Map([['a', '198.19.4.2']]),
  nameServer: '192.0.2.53',
  closed: [],
};

const host: HostPlan = {
  name: 'a',
  image: 'debian-12',
  init: 'light',
  engine: false,
  containerImages: [],
  interfaces: [],
  routes: [],
  sysctls: {},
};

describe('The way to the outside of a host as a container', () => {
  it('asks the first name server that another network namespace can reach', () => {
    expect(nameServerIn('# made\nnameserver 127.0.0.53\nnameserver fe80::1\nnameserver 192.0.2.53\n')).to.equal(
      '192.0.2.53',
    );
    expect(nameServerIn('search example\nnameserver ::1\n')).to.equal(null);
  });

  it('knows the networks that a virtual machine is on by its default routes', () => {
    const routes = [
      { dst: 'default', gateway: '192.168.65.1', dev: 'eth0' },
      { dst: '192.168.65.0/24', dev: 'eth0' },
      { dst: '172.17.0.0/16', dev: 'docker0' },
      { dst: '10.9.0.0/16', gateway: '192.168.65.9', dev: 'eth0' },
    ];
    expect(networksBeside(JSON.stringify(routes))).to.deep.equal(['192.168.65.0/24']);
  });

  it('lets through neither the loopback, link-local addresses, other hosts, nor what is closed beside', () => {
    const lines = gateLines('a', '02:42:00:00:00:02', { ...network, closed: ['192.168.65.0/24'] });
    const subnets = ['127.0.0.0/8', '169.254.0.0/16', '198.18.255.0/24', '198.19.4.0/22', '192.168.65.0/24'];
    for (const subnet of subnets) expect(lines).to.include(`route add prohibit ${subnet} table 100`);
    expect(lines).to.include(`    ip daddr { ${subnets.join(', ')} } drop`);
    expect(lines.join('\n')).to.contain('udp dport 53 dnat to 192.0.2.53');
    expect(lines.join('\n')).not.to.contain('route add 192.0.2.53');
  });

  it('asks a name server for names, and for nothing else, where nobody may get to its network', () => {
    const lines = gateLines('a', '02:42:00:00:00:02', { ...network, nameServer: '169.254.169.254' });
    expect(lines).to.include('route add 169.254.169.254 via 198.19.4.1 dev out0 table 100');
    const asks = '    ip daddr 169.254.169.254 meta l4proto { tcp, udp } th dport 53 accept';
    expect(lines).to.include(asks);
    expect(lines.indexOf(asks)).to.be.lessThan(lines.findIndex((line) => line.endsWith('} drop')));
    const none = gateLines('a', '02:42:00:00:00:02', { ...network, nameServer: null });
    expect(none.join('\n')).not.to.contain('dnat to');
  });

  it('is made for hosts that have one, behind all that the lab says', () => {
    expect(wireScript(host, [])).not.to.contain('uplink0');
    const script = wireScript(host, [], { mac: '02:42:00:00:00:02', network });
    expect(script).to.contain('route add default via 198.18.255.2 dev uplink0 metric 65000');
  });
});

describe('Packages of a host as a container', () => {
  const base = { name: 'debian-12', reference: 'netrig/debian-12:abc-2' };

  it('are known by what is installed and on what, not by the order in which they are named', () => {
    const reference = packageReference(base, ['frr', 'bird2']);
    expect(reference).to.match(/^netrig\/debian-12-packages:[0-9a-f]{12}$/);
    expect(packageReference(base, ['bird2', 'frr', 'frr'])).to.equal(reference);
    expect(packageReference({ ...base, reference: 'netrig/debian-12:abd-2' }, ['frr', 'bird2'])).not.to.equal(
      reference,
    );
  });

  it('are installed by a script that the shell reads as it was meant, whatever a proxy is called', () => {
    const proxy = "http://p:3128/'$(touch x)";
    const script = installScript(['frr'], {
      sources: ['deb http://mirror.example/debian/ bookworm main'],
      settings: ['Acquire::http::Timeout "15"'],
      hosts: [],
      environment: { http_proxy: proxy },
    });
    expect(script).to.contain(`export http_proxy='http://p:3128/'\\''$(touch x)'\n`);
    expect(script).to.contain('apt-get install --yes --no-install-recommends -- frr');
  });

  it('are an error where there is no package source, which says why and what to name', () => {
    const none = { files: {}, hosts: [], left: ['it has no package source: apt-get is not installed'] };
    expect(() => installSourcesOf('debian-12', none))
      .to.throw('packages for debian-12: it has no package source: apt-get is not installed')
      .with.property('code', 'NETRIG_MIRROR_UNREACHABLE');
    const source = 'deb http://mirror.example/debian/ bookworm main';
    const some = installSourcesOf('debian-12', { ...none, files: { '/etc/apt/sources.list': `${source}\n` } });
    expect(some).to.deep.equal({ sources: [source], settings: [], hosts: [], environment: {} });
  });

  it('come from where NETRIG_DEBIAN_MIRROR says on a machine that names no mirror, and else from nowhere', () => {
    const row = requireHostImageRow('debian-12');
    expect(namedSources(row, {})).to.deep.equal([]);
    const named = namedSources(row, { NETRIG_DEBIAN_MIRROR: 'http://mirror.example/debian/' });
    expect(named).to.deep.equal(['deb http://mirror.example/debian/ bookworm main']);
    expect(outsideFilesOf({ lines: named, aptOptions: [] }, {}, '').files['/etc/apt/sources.list']).to.equal(
      `${named[0]}\n`,
    );
  });
});
