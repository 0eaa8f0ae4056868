import { expect } from 'chai';
import { hostsLinesFor, outsideFilesOf } from '../../src/images/outside-files.js';
import { planLab } from '../../src/plan/plan.js';
import { requireUplinkProgram } from '../../src/providers/shared/uplink.js';
import { loadScenarioText } from '../../src/scenario/load.js';

function load(top: string, hosts: string, subnet = '10.0.0.0/24') {
  const text = `scenario: lab
title: t
${top}
hosts: ${hosts}
segments: { lan: { subnet: ${subnet}, hosts: [a, b] } }
steps: [ { check: x, ping: { from: a, to: b } } ]
`;
  return loadScenarioText(text, '/nowhere/lab.yaml');
}

describe('The way to the outside', () => {
  it('is for hosts that have it by themselves or by the file, and for none else', () => {
    const outside = (top: string, hosts: string): string[] =>
      planLab(load(top, hosts).scenarios[0]!).hosts.flatMap((host) => (host.outside ? [host.name] : []));
    expect(outside('', '{ a: , b: }')).to.deep.equal([]);
    expect(outside('outside: false', '{ a: { outside: true }, b: }')).to.deep.equal(['a']);
    expect(outside('outside: true', '{ a: { outside: false }, b: }')).to.deep.equal(['b']);
    expect(outside('outside: true', '{ a: , b: }')).to.deep.equal(['a', 'b']);
  });

  it('collides with no subnet of its host: told with its place before anything starts', () => {
    const told = (...given: Parameters<typeof load>): string[] =>
      load(...given).diagnostics.map((one) => `${one.line}:${one.column} ${one.message}`);
    const message = (subnet: string, host: string): string =>
      `${subnet} collides with 198.18.255.0/24, by which ${host} reaches the outside: take another subnet, or \`outside: false\``;
    for (const subnet of ['198.18.255.0/24', '198.18.0.0/16', '198.18.255.64/26'])
      expect(told('outside: true', '{ a: { outside: false }, b: }', subnet)).to.deep.equal([
        `5:28 ${message(subnet, 'b')}`,
      ]);
    expect(told('outside: false', '{ a: , b: }', '198.18.255.0/24')).to.deep.equal([]);
    expect(told('outside: true', '{ a: , b: }', '198.18.254.0/24')).to.deep.equal([]);
    const docker = '{ docker: { networks: { net: { ipam: { config: [ { subnet: 198.18.0.0/15 } ] } } } } }';
    expect(told('', `{ a: { outside: true }, b: ${docker} }`)).to.deep.equal([]);
    expect(told('', `{ b: , a: ${docker.replace('{', '{ outside: true,')} }`)).to.deep.equal([
      `4:92 ${message('198.18.0.0/15', 'a')}`,
    ]);
  });

  it('asks for the program that it takes, by the name of its package', () => {
    const plan = (top: string) => planLab(load(top, '{ a: , b: }').scenarios[0]!);
    expect(() => requireUplinkProgram(plan('outside: true'), (name) => `/usr/bin/${name}`, true)).to.throw(
      /a has `outside: true`, which root alone can give it/,
    );
    expect(() => requireUplinkProgram(plan('outside: true'), () => null, false)).to.throw(
      /a has `outside: true`, and `slirp4netns` is not installed/,
    );
    expect(() => requireUplinkProgram(plan('outside: true'), (name) => `/usr/bin/${name}`, false)).not.to.throw();
    expect(() => requireUplinkProgram(plan(''), () => null, true)).not.to.throw();
  });

  describe('takes along of the machine', () => {
    const mirror = {
      lines: [
        'deb http://deb.example/debian/ bookworm main',
        'deb https://mirror.example/security/ bookworm-security main',
      ],
      aptOptions: ['Acquire::http::Proxy "http://proxy.example:3128"', 'Dir::Etc::netrc "/etc/apt/auth.conf"'],
    };

    it('package sources, proxies for apt and the engine, and the names of both', () => {
      const hosts =
        '127.0.0.1 localhost\n10.1.1.1 deb.example other # x\n10.1.1.2\tproxy.example\n127.0.0.1 mirror.example\n';
      const {
        files,
        hosts: lines,
        left,
      } = outsideFilesOf(mirror, { HTTP_PROXY: 'http://proxy.example:3128', no_proxy: '.lan' }, hosts);
      expect(left).to.deep.equal([]);
      expect(files['/etc/apt/sources.list']).to.equal(`${mirror.lines.join('\n')}\n`);
      expect(files['/etc/apt/apt.conf.d/90netrig-outside']).to.equal(
        'Acquire::http::Proxy "http://proxy.example:3128";\n',
      );
      expect(files['/etc/systemd/system/docker.service.d/netrig-proxy.conf']).to.equal(
        '[Service]\nEnvironment="http_proxy=http://proxy.example:3128"\nEnvironment="HTTP_PROXY=http://proxy.example:3128"\nEnvironment="no_proxy=.lan"\nEnvironment="NO_PROXY=.lan"\n',
      );
      expect(lines).to.deep.equal(['10.1.1.1 deb.example', '10.1.1.2 proxy.example']);
    });

    it('no password, and no proxy that no host reaches: each is said', () => {
      const secret = 'http://user:pass@';
      const { files, left } = outsideFilesOf(
        {
          lines: [`deb ${secret}deb.example/debian/ bookworm main`],
          aptOptions: [
            `Acquire::http::Proxy "${secret}proxy.example:3128"`,
            'Acquire::https::Proxy "http://127.0.0.1:3128"',
          ],
        },
        { http_proxy: `${secret}proxy.example`, https_proxy: 'http://localhost:3128' },
        '',
      );
      expect(JSON.stringify(files)).not.to.match(/pass|127\.0\.0\.1|localhost/);
      expect(left).to.deep.equal([
        'the proxy of http_proxy is left out: it has a password, which goes into no lab',
        'the proxy of https_proxy is left out: it is on the machine’s loopback, which no host reaches',
        'a package source with a password is left out: passwords go into no lab',
        'apt’s proxy is left out: it has a password, which goes into no lab',
        'apt’s proxy is left out: it is on the machine’s loopback, which no host reaches',
      ]);
    });

    it('nothing where it has nothing', () => {
      expect(outsideFilesOf(null, {}, '')).to.deep.equal({ files: {}, hosts: [], left: [] });
      expect(hostsLinesFor(new Set(['a']), 'x a\n::1 a\n10.0.0.1 b a\n')).to.deep.equal(['10.0.0.1 a']);
    });
  });
});
