import { expect } from 'chai';
import { planLab } from '../../src/plan/plan.js';
import { formatDiagnostics } from '../../src/scenario/diagnostic.js';
import { loadScenarioText } from '../../src/scenario/load.js';

const text = (hosts: string): string => `scenario: names
title: Names of a lab
hosts:
${hosts}
segments:
  lan: { subnet: 10.0.0.0/24, hosts: { ns: 10.0.0.53, client: 10.0.0.3, far: 10.0.0.4 } }
  wan: { subnet: 10.1.0.0/24, hosts: { far: 10.1.0.4, world: 10.1.0.1 } }
steps:
  - check: it is so
    dns: { from: client, name: www.example.org, expect: { addresses: 10.0.0.80 } }
`;

const load = (hosts: string) => loadScenarioText(text(hosts), '/labs/names.yaml');
const sound = `  ns: { packages: [radvd], dns: { WWW.example.org.: 10.0.0.80, db.example.org: far, two: [10.0.0.5, "fd00::5"] } }
  client: { init: light }
  far: { routes: [{ to: default, via: 10.0.0.3 }] }
  world: { outside: { simulated: { dns.google: 8.8.8.8, also.google: 8.8.8.8 } } }`;

describe('Name servers of a lab, and hosts that stand for the outside', () => {
  const planned = (hosts: string) => {
    const loaded = load(hosts);
    expect(formatDiagnostics(loaded.diagnostics)).to.equal('');
    const { hosts: all } = planLab(loaded.scenarios[0]!);
    return Object.fromEntries(all.map((host) => [host.name, host]));
  };

  it('are what one line says: the package, the records, and who asks whom', () => {
    const { ns, client, far, world } = planned(sound);
    expect(ns!.packages).to.deep.equal(['dnsmasq-base', 'radvd']);
    expect(ns!.records).to.deep.equal([
      { name: 'www.example.org', addresses: ['10.0.0.80'] },
      { name: 'db.example.org', addresses: ['10.0.0.4'] },
      { name: 'two', addresses: ['10.0.0.5', 'fd00::5'] },
    ]);
    expect(ns!.asks).to.deep.equal(['127.0.0.1']);
    expect(client!.asks).to.deep.equal(['10.0.0.53']);
    expect(far!.asks).to.deep.equal(['10.0.0.53', '10.1.0.1']);
    expect(client!.packages).to.equal(undefined);
    expect(world!.standsFor).to.deep.equal(['8.8.8.8']);
    expect(world!.outside).to.equal(undefined);
  });

  it('are the way of those who have no other, and of nobody else', () => {
    const { client, far } = planned(sound);
    expect(client!.routes).to.deep.equal([]);
    expect(far!.routes).to.deep.equal([{ to: 'default', via: '10.0.0.3' }]);
    const { far: without } = planned(sound.replace('{ routes: [{ to: default, via: 10.0.0.3 }] }', ''));
    expect(without!.routes).to.deep.equal([{ to: 'default', via: '10.1.0.1' }]);
  });

  it('ask whoever stands for the outside beside them for its names, and for nothing else', () => {
    expect(planned(sound)['ns']!.passesOn).to.equal(undefined);
    const together = loadScenarioText(
      text(sound).replace(
        'lan: { subnet: 10.0.0.0/24, hosts: { ns: 10.0.0.53,',
        'lan: { subnet: 10.0.0.0/24, hosts: { world: 10.0.0.1, ns: 10.0.0.53,',
      ),
      '/labs/names.yaml',
    );
    expect(formatDiagnostics(together.diagnostics)).to.equal('');
    const all = planLab(together.scenarios[0]!).hosts;
    expect(all.find(({ name }) => name === 'ns')!.passesOn).to.deep.equal([
      { names: ['dns.google', 'also.google'], addresses: ['8.8.8.8'], to: '10.0.0.1' },
    ]);
    expect(all.filter(({ passesOn }) => passesOn !== undefined)).to.have.length(1);
  });

  it('are not asked by hosts that have a way to the outside', () => {
    const { client } = planned(sound.replace('client: { init: light }', 'client: { outside: true }'));
    expect(client!.asks).to.equal(undefined);
  });

  for (const [what, from, to, message] of [
    [
      'a host that is none',
      'db.example.org: far',
      'db.example.org: fra',
      /7?.*no host "fra" in this scenario; did you mean "far"/,
    ],
    [
      'no address and no name',
      'db.example.org: far',
      'db.example.org: "1.2.3"',
      /expected an address or a host of the lab/,
    ],
    ['a name that is none', 'two:', '"a..b":', /expected a name such as www\.example\.org/],
    ['a host that stands for the outside by another', 'dns.google: 8.8.8.8', 'dns.google: ns', /addresses of its own/],
  ] as const)
    it(`refuse ${what}, with its place`, () => {
      const said = formatDiagnostics(load(sound.replace(from, to)).diagnostics);
      expect(said).to.match(message);
      expect(said).to.match(/names\.yaml:\d+:\d+/);
    });

  it('refuse a host of the lab without an address', () => {
    const said = formatDiagnostics(
      loadScenarioText(
        text(sound)
          .replace('far: 10.0.0.4 }', 'far: ~ }')
          .replace('far: 10.1.0.4', 'far: ~')
          .replace(/ {2}far: \{.*\n/, '  far:\n'),
        '/labs/names.yaml',
      ).diagnostics,
    );
    expect(said).to.match(/far has no address on any segment/);
  });
});
