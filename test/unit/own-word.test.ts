import { expect } from 'chai';
import { judgedKinds, ownWord } from '../../src/checks/own-word.js';
import { checkKinds } from '../../src/checks/registry.js';
import type { CheckItem } from '../../src/scenario/scenario.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { lab } from './scenario-fixtures.js';

describe('Whose word a check takes', () => {
  it('is said of every kind', () => {
    expect([...judgedKinds].sort()).to.deep.equal(checkKinds.map(({ name }) => name).sort());
  });

  const of = (check: string): string | null => {
    const steps = `  - { on: node1, run: docker run -d --name web busybox }\n  - { check: it, ${check} }`;
    const { scenarios, diagnostics } = loadScenarioText(lab(steps), '/labs/lab.yaml');
    expect(diagnostics).to.deep.equal([]);
    const item = scenarios[0]!.items.at(-1) as CheckItem;
    return ownWord(item.type, item.spec, ['node1', 'node2'])?.of ?? null;
  };

  it('is nobody’s where netrig’s own tools see what is asked', () => {
    for (const check of [
      'http: { from: node1, url: "http://node2/", expect: { status: 200 } }',
      'http: { from: node1, url: "http://shop/", to: node2, expect: { status: 200 } }',
      'port: { from: node1, to: 10.0.0.2, port: 80 }',
      'dns: { from: node1, name: shop, expect: { addresses: [10.0.0.2] } }',
      'ping: { from: node1, to: node2 }',
      'http: { from: node1, url: "http://10.0.0.2/", expect: { status: 200 } }',
      'file: { on: node1, path: /etc/hosts, expect: { type: file } }',
      'sysctl: { on: node1, expect: { net.ipv4.ip_forward: 1 } }',
      'route: { on: node1, to: default, expect: { via: 10.0.0.1 } }',
    ])
      expect(of(check), check).to.equal(null);
  });

  it('is that of whoever says what a name means, where the name is no host of the lab', () => {
    const word = 'what node1 takes shop for, by its hosts file or a name server';
    expect(of('http: { from: node1, url: "http://shop:8080/", expect: { status: 200 } }')).to.equal(word);
    expect(of('ping: { from: node1, to: shop }')).to.equal(word);
    expect(of('port: { from: node1, to: shop, port: 80 }')).to.equal(word);
  });

  it('of rules that translate is not to be asked of a filter', () => {
    const steps = (table: string): string =>
      `  - { check: it, iptables: { on: node1, table: ${table}, chain: OUTPUT, rule: { jump: DROP }, expect: { absent: true } } }`;
    const instead = (table: string): string => {
      const item = loadScenarioText(lab(steps(table)), '/labs/lab.yaml').scenarios[0]!.items.at(-1) as CheckItem;
      return ownWord(item.type, item.spec, ['node1', 'node2'])!.instead;
    };
    expect(instead('nat')).to.contain('`capture`');
    expect(instead('filter')).to.contain('`fails: timeout`');
  });

  it('is a host’s own where its programs, its engine or its daemons are asked', () => {
    expect(of('command: { on: node1, run: "true" }')).to.equal('the programs of node1');
    expect(of('service: { on: node2, unit: ssh }')).to.equal('the programs of node2');
    expect(of('process: { on: node2, name: sshd }')).to.equal('the programs of node2');
    expect(of('docker: { on: node1, container: web }')).to.equal('the engine of node1');
    expect(of('file: { on: node1, path: /proc/1/comm, expect: { content: x } }')).to.equal('the programs of node1');
    expect(of('sysctl: { on: node1, expect: { kernel.hostname: a } }')).to.equal('the programs of node1');
    expect(of('http: { from: node1, url: "https://10.0.0.2/", expect: { status: 200 } }')).to.match(/certificates/);
    expect(of('ping: { from: node1/web, to: node2 }')).to.match(/engine of node1, which says what container web is/);
  });
});
