import { expect } from 'chai';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { addressCheck } from '../../src/checks/address.js';
import { arpCheck } from '../../src/checks/arp.js';
import { bridgeCheck } from '../../src/checks/bridge.js';
import { captureCheck } from '../../src/checks/capture.js';
import { commandCheck } from '../../src/checks/command.js';
import { consulCheck } from '../../src/checks/consul.js';
import { counterCheck } from '../../src/checks/counter.js';
import { dockerCheck } from '../../src/checks/docker.js';
import { fileCheck } from '../../src/checks/file.js';
import { iptablesCheck } from '../../src/checks/iptables.js';
import { linkCheck } from '../../src/checks/link.js';
import { netnsCheck } from '../../src/checks/netns.js';
import { ovsCheck } from '../../src/checks/ovs.js';
import { processCheck } from '../../src/checks/process.js';
import { checkKinds } from '../../src/checks/registry.js';
import { routeCheck } from '../../src/checks/route.js';
import { serviceCheck } from '../../src/checks/service.js';
import { sysctlCheck } from '../../src/checks/sysctl.js';
import { fakeCapture } from '../fakes/capture.js';
import { kindTable } from '../fakes/kind-table.js';
import type { Row } from '../fakes/lab.js';
import { arpingText, pingText } from '../fakes/sayings.js';
import { root } from './scenario-fixtures.js';

describe('tables of kinds', () => {
  const unit = path.join(root, 'test/unit');
  const sources = readdirSync(unit)
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => readFileSync(path.join(unit, name), 'utf8'));
  for (const { name } of checkKinds) {
    it(`the kind ${name} has one`, () => {
      const own = sources.some((text) => new RegExp(`^ *kindTable\\(${name}Check,`, 'm').test(text));
      // The connectivity kinds share theirs, with its own columns for what their controls saw.
      const shared = sources.some(
        (text) =>
          text.includes("describe('connectivity kinds, by what the tools said'") && text.includes(`${name}Check`),
      );
      expect(own || shared, `a kindTable(${name}Check, …) in test/unit`).to.equal(true);
    });
  }
});

const hosts = { a: { on: { lan: '10.0.0.1' } }, b: { on: { lan: '10.0.0.2' } } };
const json = (value: unknown): string => JSON.stringify(value);
const lost = { timedOut: true } as const;
const none = (tool: string) => ({ exitCode: 127, stderr: `sh: ${tool}: not found\n` });

kindTable(addressCheck, {
  hosts,
  cases: [
    { title: 'the address', spec: { on: 'a', expect: { is: '10.0.0.1/24' } }, is: 'pass' },
    { title: 'another prefix', spec: { on: 'a', expect: { is: '10.0.0.1/16' } }, is: 'fail wrong-value' },
    {
      title: 'none on an interface that is not there',
      spec: { on: 'a', interface: 'eth9', expect: { is: '10.0.0.1' } },
      is: 'fail absent',
    },
    { title: 'absent, and it is', spec: { on: 'a', expect: { is: '10.0.0.9', absent: true } }, is: 'pass' },
    {
      title: 'absent, and it is there',
      spec: { on: 'a', expect: { is: '10.0.0.1', absent: true } },
      is: 'fail present',
    },
    {
      title: 'absent of an interface that is not there',
      spec: { on: 'a', interface: 'eth9', expect: { is: '10.0.0.1', absent: true } },
      is: 'inconclusive',
    },
    { title: 'distinct', spec: { on: ['a', 'b'], expect: { distinct: true, in: '10.0.0.0/24' } }, is: 'pass' },
    {
      title: 'a broadcast address',
      spec: { on: 'a', expect: { is: '10.0.0.1', broadcast: '10.0.0.255' } },
      said: [
        {
          at: 'a',
          tool: 'ip',
          says: json([
            { ifname: 'lo', flags: ['LOOPBACK'], addr_info: [] },
            {
              ifname: 'eth0',
              flags: [],
              addr_info: [
                { family: 'inet', local: '10.0.0.1', prefixlen: 24, scope: 'global', broadcast: '10.0.0.255' },
              ],
            },
          ]),
        },
      ],
      is: 'pass',
    },
    {
      title: 'a broadcast address that is not there',
      spec: { on: 'a', expect: { is: '10.0.0.1', broadcast: '10.0.0.255' } },
      is: 'fail wrong-value',
      reason: /broadcast none/,
    },
    {
      title: 'a listing that did not come',
      spec: { on: 'a', expect: { is: '10.0.0.1' } },
      said: [{ tool: 'ip', says: lost }],
      is: 'inconclusive',
    },
    {
      title: 'a listing without a loopback interface shows no absence',
      spec: { on: 'a', expect: { is: '10.0.0.9', absent: true } },
      said: [{ tool: 'ip', says: '[]' }],
      is: 'inconclusive',
    },
  ],
});

const bridged: Row = {
  at: 'a',
  tool: 'ip',
  about: 'link',
  says: json([
    { ifname: 'lo', ifindex: 1, flags: ['LOOPBACK', 'UP', 'LOWER_UP'] },
    { ifname: 'eth0', ifindex: 2, flags: ['UP', 'LOWER_UP'], master: 'br0', mtu: 1500, address: '02:00:00:00:00:01' },
    {
      ifname: 'br0',
      ifindex: 3,
      flags: ['UP', 'LOWER_UP'],
      mtu: 1500,
      linkinfo: { info_kind: 'bridge', info_data: { stp_state: 0 } },
    },
  ]),
};
kindTable(linkCheck, {
  hosts,
  said: [bridged],
  cases: [
    {
      title: 'a link with its properties',
      spec: { on: 'a', interface: 'eth0', expect: { mtu: 1500, master: 'br0', up: true } },
      is: 'pass',
    },
    { title: 'another MTU', spec: { on: 'a', interface: 'eth0', expect: { mtu: 1450 } }, is: 'fail wrong-value' },
    { title: 'no such link', spec: { on: 'a', interface: 'eth9' }, is: 'fail absent' },
    { title: 'absent, and it is', spec: { on: 'a', interface: 'eth9', expect: { absent: true } }, is: 'pass' },
    {
      title: 'absent, and it is there',
      spec: { on: 'a', interface: 'eth0', expect: { absent: true } },
      is: 'fail present',
    },
    {
      title: 'no ip',
      spec: { on: 'a', interface: 'eth0' },
      said: [{ tool: 'ip', says: none('ip') }],
      is: 'inconclusive',
    },
  ],
});
kindTable(bridgeCheck, {
  hosts,
  said: [bridged],
  cases: [
    {
      title: 'a bridge with its ports',
      spec: { on: 'a', interface: 'br0', expect: { ports: ['eth0'], stp: false } },
      is: 'pass',
    },
    {
      title: 'other ports',
      spec: { on: 'a', interface: 'br0', expect: { ports: ['eth0', 'eth1'] } },
      is: 'fail wrong-value',
    },
    { title: 'no bridge', spec: { on: 'a', interface: 'eth0' }, is: 'fail wrong-value', reason: /not a bridge/ },
    { title: 'nothing of the name', spec: { on: 'a', interface: 'br9' }, is: 'fail absent' },
    { title: 'absent, and it is', spec: { on: 'a', interface: 'br9', expect: { absent: true } }, is: 'pass' },
    {
      title: 'absent, and it is there',
      spec: { on: 'a', interface: 'br0', expect: { absent: true } },
      is: 'fail present',
    },
    {
      title: 'half an answer',
      spec: { on: 'a', interface: 'br0' },
      said: [{ tool: 'ip', says: '[{"ifname":"lo"' }],
      is: 'inconclusive',
    },
  ],
});

const routes: Row = {
  at: 'a',
  tool: 'ip',
  about: 'show',
  says: json([
    { dst: 'default', gateway: '10.0.0.254', dev: 'eth0', protocol: 'static', type: 'unicast', flags: [] },
    {
      dst: '10.0.0.0/24',
      dev: 'eth0',
      prefsrc: '10.0.0.1',
      protocol: 'kernel',
      scope: 'link',
      type: 'unicast',
      flags: [],
    },
    { dst: '10.8.0.0/24', gateway: '10.0.0.9', dev: 'eth1', type: 'unicast', flags: ['dead', 'linkdown'] },
  ]),
};
kindTable(routeCheck, {
  hosts,
  said: [routes],
  cases: [
    { title: 'a route', spec: { on: 'a', to: 'default', expect: { via: '10.0.0.254', dev: 'eth0' } }, is: 'pass' },
    {
      title: 'a route that waits behind another one, which is told',
      spec: { on: 'a', to: 'default', expect: { via: '10.0.0.254' } },
      said: [
        {
          ...routes,
          says: json([
            { dst: 'default', gateway: '10.0.0.9', dev: 'eth0', metric: 10, type: 'unicast', flags: [] },
            { dst: 'default', gateway: '10.0.0.254', dev: 'eth0', metric: 500, type: 'unicast', flags: [] },
          ]),
        },
      ],
      is: 'pass',
      reason: /kernel prefers via 10\.0\.0\.9 dev eth0 \(metric 10\)/,
    },
    { title: 'another gateway', spec: { on: 'a', to: 'default', expect: { via: '10.0.0.1' } }, is: 'fail wrong-value' },
    { title: 'none', spec: { on: 'a', to: '10.9.0.0/16' }, is: 'fail absent' },
    { title: 'a dead one is none', spec: { on: 'a', to: '10.8.0.0/24' }, is: 'fail wrong-value', reason: /dead/ },
    { title: 'absent, and it is', spec: { on: 'a', to: '10.9.0.0/16', expect: { absent: true } }, is: 'pass' },
    {
      title: 'absent, and it is there',
      spec: { on: 'a', to: 'default', expect: { absent: true } },
      is: 'fail present',
    },
    {
      title: 'the way to an address, which there is none to',
      spec: { on: 'a', to: '10.9.0.1' },
      said: [
        { tool: 'ip', about: 'get', says: { exitCode: 2, stderr: 'RTNETLINK answers: Network is unreachable\n' } },
      ],
      is: 'fail no-route',
    },
    {
      title: 'words that are not known',
      spec: { on: 'a', to: '10.9.0.1' },
      said: [
        {
          tool: 'ip',
          about: 'get',
          says: { exitCode: 2, stderr: 'RTNETLINK answers: Numerical result out of range\n' },
        },
      ],
      is: 'inconclusive',
    },
  ],
});

const engine = (path: string, document: object, status = 200): Row => ({
  tool: 'curl',
  about: `http://docker${path}`,
  says: `${json(document)}\n${status}`,
});
kindTable(dockerCheck, {
  hosts: { a: { ...hosts.a, engine: true }, b: { ...hosts.b, engine: true } },
  said: [
    engine('/networks/net1', { Name: 'net1', Id: 'ab'.repeat(32), Driver: 'bridge' }),
    engine('/networks/gone', { message: 'network gone not found' }, 404),
  ],
  cases: [
    { title: 'a network', spec: { on: 'a', network: 'net1', expect: { Driver: 'bridge' } }, is: 'pass' },
    { title: 'the same on both', spec: { on: ['a', 'b'], network: 'net1', expect: { same: ['Id'] } }, is: 'pass' },
    {
      title: 'another driver',
      spec: { on: 'a', network: 'net1', expect: { Driver: 'overlay' } },
      is: 'fail wrong-value',
    },
    {
      title: 'a field that is not there',
      spec: { on: 'a', network: 'net1', expect: { Scope: 'local' } },
      is: 'fail absent',
    },
    { title: 'none', spec: { on: 'a', network: 'gone' }, is: 'fail absent' },
    { title: 'absent, and it is', spec: { on: 'a', network: 'gone', expect: { absent: true } }, is: 'pass' },
    {
      title: 'absent, and it is there',
      spec: { on: 'a', network: 'net1', expect: { absent: true } },
      is: 'fail present',
    },
    {
      title: 'the beginning of another’s id is no name',
      spec: { on: 'a', network: 'abab', expect: { absent: true } },
      said: [engine('/networks/abab', { Name: 'net1', Id: 'ab'.repeat(32) })],
      is: 'pass',
    },
    {
      title: 'an engine that does not answer shows no absence',
      spec: { on: 'a', network: 'gone', expect: { absent: true } },
      said: [{ tool: 'curl', says: { exitCode: 7, stderr: 'curl: (7) Failed to connect\n' } }],
      is: 'inconclusive',
    },
    {
      title: 'an engine that breaks',
      spec: { on: 'a', network: 'gone', expect: { absent: true } },
      said: [engine('/networks/gone', { message: 'page not found' }, 404)],
      is: 'inconclusive',
    },
  ],
});

const saved = (table: string, ...rules: string[]): Row => ({
  tool: 'iptables-save',
  about: table,
  says: [`*${table}`, ':MINE - [0:0]', ...rules.map((rule) => `[1:60] ${rule}`), 'COMMIT', ''].join('\n'),
});
kindTable(iptablesCheck, {
  hosts,
  said: [
    saved('nat', '-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE'),
    saved('filter', '-A FORWARD -i eth0 -j ACCEPT', '-A FORWARD -j DROP'),
    saved('mangle'),
    saved('raw', '-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP'),
    saved('security'),
  ],
  cases: [
    {
      title: 'a rule',
      spec: { on: 'a', table: 'nat', rule: { source: '172.17.0.0/16', out: '! docker0', jump: 'MASQUERADE' } },
      is: 'pass',
    },
    { title: 'none', spec: { on: 'a', table: 'nat', rule: { source: '172.18.0.0/16' } }, is: 'fail absent' },
    {
      title: 'absent, and it is',
      spec: { on: 'a', chain: 'FORWARD', rule: { in: 'eth1' }, expect: { absent: true } },
      is: 'pass',
    },
    {
      title: 'absent, and it is there',
      spec: { on: 'a', chain: 'FORWARD', rule: { in: 'eth0' }, expect: { absent: true } },
      is: 'fail present',
    },
    {
      title: 'the order',
      spec: { on: 'a', chain: 'FORWARD', rule: { jump: 'ACCEPT' }, expect: { before: { jump: 'DROP' }, position: 1 } },
      is: 'pass',
    },
    {
      title: 'the wrong order',
      spec: { on: 'a', chain: 'FORWARD', rule: { jump: 'DROP' }, expect: { before: { jump: 'ACCEPT' } } },
      is: 'fail wrong-value',
    },
    { title: 'a chain', spec: { on: 'a', chain: 'MINE', expect: { count: 0 } }, is: 'pass' },
    { title: 'a policy', spec: { on: 'a', chain: 'FORWARD', expect: { policy: 'DROP' } }, is: 'fail wrong-value' },
    {
      title: 'a rule in whatever table',
      spec: { on: 'a', table: 'any', rule: { destination: '172.17.0.2' }, expect: { count: 1 } },
      is: 'pass',
      reason: /all tables of a has -t raw -A PREROUTING/,
    },
    {
      title: 'a rule in no table',
      spec: { on: 'a', table: 'any', rule: { destination: '172.17.0.3' }, expect: { absent: true } },
      is: 'pass',
    },
    {
      title: 'a rule in some table, which must be in none',
      spec: { on: 'a', table: 'any', rule: { jump: 'DROP' }, expect: { absent: true } },
      is: 'fail present',
    },
    {
      title: 'no iptables-save',
      spec: { on: 'a', chain: 'FORWARD' },
      said: [{ tool: 'iptables-save', says: none('iptables-save') }],
      is: 'inconclusive',
    },
    {
      title: 'words in place of rules',
      spec: { on: 'a', chain: 'FORWARD' },
      said: [{ tool: 'iptables-save', says: 'something\n' }],
      is: 'inconclusive',
    },
  ],
});

const sysctls = (text: string, stderr = '', exitCode = 0): Row => ({
  tool: 'env',
  says: { stdout: `/proc/sys/kernel/ostype:Linux\n${text}`, stderr, exitCode },
});
const forward = '/proc/sys/net/ipv4/ip_forward';
kindTable(sysctlCheck, {
  hosts,
  cases: [
    {
      title: 'a value',
      spec: { on: 'a', expect: { 'net.ipv4.ip_forward': 1 } },
      said: [sysctls(`${forward}:1\n`)],
      is: 'pass',
    },
    {
      title: 'another value',
      spec: { on: 'a', expect: { 'net.ipv4.ip_forward': 1 } },
      said: [sysctls(`${forward}:0\n`)],
      is: 'fail wrong-value',
    },
    {
      title: 'none',
      spec: { on: 'a', expect: { 'net.ipv4.ip_forward': 1 } },
      said: [sysctls('', `grep: ${forward}: No such file or directory\n`, 2)],
      is: 'fail absent',
    },
    {
      title: 'one that could not be read',
      spec: { on: 'a', expect: { 'net.ipv4.ip_forward': 1 } },
      said: [sysctls('', `grep: ${forward}: Permission denied\n`, 2)],
      is: 'inconclusive',
    },
  ],
});

const namespace = (at: string, id: string): Row => ({ at, tool: 'readlink', says: `net:[${id}]\n` });
kindTable(netnsCheck, {
  hosts: { a: { ...hosts.a, namespaces: { blue: { eth0: ['10.0.0.7/24'] } } } },
  cases: [
    {
      title: 'the same',
      spec: { on: ['a', 'a/netns:blue'], expect: 'same' },
      said: [namespace('a', '40'), namespace('a/netns:blue', '40')],
      is: 'pass',
    },
    {
      title: 'not the same',
      spec: { on: ['a', 'a/netns:blue'], expect: 'same' },
      said: [namespace('a', '40'), namespace('a/netns:blue', '41')],
      is: 'fail wrong-value',
    },
    {
      title: 'different',
      spec: { on: ['a', 'a/netns:blue'], expect: { not: 'same' } },
      said: [namespace('a', '40'), namespace('a/netns:blue', '41')],
      is: 'pass',
    },
    {
      title: 'one that is not known is not different',
      spec: { on: ['a', 'a/netns:blue'], expect: { not: 'same' } },
      said: [namespace('a', '40'), { at: 'a/netns:blue', tool: 'readlink', says: { exitCode: 1 } }],
      is: 'inconclusive',
    },
  ],
});

const unit = (...lines: string[]): Row => ({ tool: 'env', says: `${lines.join('\n')}\n` });
kindTable(serviceCheck, {
  hosts,
  cases: [
    {
      title: 'a unit that runs',
      spec: { on: 'a', unit: 'docker', expect: { active: 'active' } },
      said: [unit('Id=docker.service', 'LoadState=loaded', 'ActiveState=active', 'SubState=running')],
      is: 'pass',
    },
    {
      title: 'a unit that failed',
      spec: { on: 'a', unit: 'docker', expect: { active: 'active' } },
      said: [
        unit(
          'Id=docker.service',
          'LoadState=loaded',
          'ActiveState=failed',
          'SubState=failed',
          'Result=exit-code',
          'ExecMainStatus=1',
        ),
      ],
      is: 'fail wrong-value',
      reason: /result exit-code, status 1/,
    },
    {
      title: 'none',
      spec: { on: 'a', unit: 'nope' },
      said: [unit('Id=nope.service', 'LoadState=not-found')],
      is: 'fail absent',
    },
    {
      title: 'absent, and it is',
      spec: { on: 'a', unit: 'nope', expect: { absent: true } },
      said: [unit('Id=nope.service', 'LoadState=not-found')],
      is: 'pass',
    },
    {
      title: 'no systemd',
      spec: { on: 'a', unit: 'docker', expect: { absent: true } },
      said: [{ tool: 'env', says: { exitCode: 1, stderr: 'System has not been booted with systemd\n' } }],
      is: 'inconclusive',
    },
  ],
});

const proc = (over: { status?: string; holders?: string; exit?: number } = {}): Row[] => {
  const status = (pid: number, name: string, parent: number): string =>
    `/proc/${pid}/status:Name:\t${name}\n/proc/${pid}/status:State:\tS (sleeping)\n/proc/${pid}/status:PPid:\t${parent}\n/proc/${pid}/status:Uid:\t0\t0\t0\t0\n`;
  const part = (name: string, says: Row['says']): Row => ({
    tool: ['grep', 'find', 'echo', 'cat'],
    when: (asked) => asked.part === name,
    says,
  });
  return [
    part('status', {
      stdout:
        over.status ?? status(1, 'systemd', 0) + status(7, 'nginx', 1) + status(20, 'sshd', 1) + status(21, 'sh', 20),
      exitCode: over.exit ?? 0,
    }),
    part(
      'cmdline',
      '/proc/1/cmdline:/sbin/init\0/proc/7/cmdline:nginx\0/proc/7/cmdline:-g\0/proc/20/cmdline:sshd: root@notty\0/proc/21/cmdline:sh\0',
    ),
    part('netns', '/proc/1/ns/net net:[1]\n/proc/7/ns/net net:[1]\n'),
    part('self', '21\n'),
    part('units', { exitCode: 1 }),
    part('passwd', 'root:x:0:0::/root:/bin/sh\n'),
    part(
      'net.7',
      '  sl  local_address\n   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 777 1\n',
    ),
    part('holders', over.holders ?? '/proc/7/fd socket:[777]\n'),
  ];
};
kindTable(processCheck, {
  hosts,
  cases: [
    {
      title: 'a process',
      spec: { on: 'a', name: 'nginx', expect: { count: 1, user: 'root', parent: 'systemd' } },
      said: proc(),
      is: 'pass',
    },
    { title: 'one that listens', spec: { on: 'a', name: 'nginx', listens: { port: 80 } }, said: proc(), is: 'pass' },
    {
      title: 'one that does not',
      spec: { on: 'a', name: 'nginx', listens: { port: 80 } },
      said: proc({ holders: '' }),
      is: 'fail absent',
    },
    { title: 'none', spec: { on: 'a', name: 'apache2' }, said: proc(), is: 'fail absent' },
    { title: 'two', spec: { on: 'a', name: 'nginx', expect: { count: 2 } }, said: proc(), is: 'fail wrong-value' },
    {
      title: 'absent, and it is: netrig’s own shell is not counted',
      spec: { on: 'a', name: 'sh', expect: { absent: true } },
      said: proc(),
      is: 'pass',
    },
    {
      title: 'absent, and it is there',
      spec: { on: 'a', name: 'nginx', expect: { absent: true } },
      said: proc(),
      is: 'fail present',
    },
    {
      title: 'a listing without the first process',
      spec: { on: 'a', name: 'sh', expect: { absent: true } },
      said: proc({ status: '' }),
      is: 'inconclusive',
    },
    {
      title: 'no grep',
      spec: { on: 'a', name: 'sh', expect: { absent: true } },
      said: proc({ exit: 127 }),
      is: 'inconclusive',
    },
  ],
});

const onDisk = (content: string, over: Record<string, Row['says']> = {}): Row[] => {
  const parts: Record<string, Row['says']> = {
    root: '41ed',
    at: '/etc/resolv.conf',
    stat: '81a4 0 0 12',
    target: { exitCode: 1 },
    leads: '/etc/resolv.conf',
    regular: '',
    content,
    passwd: 'root:x:0:0::/root:/bin/sh\n',
    group: 'root:x:0:\n',
    mounts: '22 1 0:21 / / rw,relatime - overlay overlay rw\n',
    ...over,
  };
  return [
    {
      tool: ['stat', 'walk', 'readlink', 'if', '[', 'cat'],
      when: ({ part }) => part !== null && part in parts,
      says: (asked) => {
        const says = parts[asked.part!]!;
        return typeof says === 'function' ? says(asked) : says;
      },
    },
  ];
};
const resolv = 'search lab\nnameserver 10.0.0.53\n';
const file = { on: 'a', path: '/etc/resolv.conf' };
kindTable(fileCheck, {
  hosts,
  cases: [
    {
      title: 'a file',
      spec: { ...file, expect: { type: 'file', mode: '0644', owner: 'root' } },
      said: onDisk(resolv),
      is: 'pass',
    },
    {
      title: 'another mode',
      spec: { ...file, expect: { mode: '0600' } },
      said: onDisk(resolv),
      is: 'fail wrong-value',
    },
    {
      title: 'selected lines',
      spec: { ...file, select: { matches: '^nameserver' }, expect: { lines: ['nameserver 10.0.0.53'] } },
      said: onDisk(resolv),
      is: 'pass',
    },
    {
      title: 'one more selected line',
      spec: { ...file, select: { matches: '^nameserver' }, expect: { lines: ['nameserver 10.0.0.53'] } },
      said: onDisk(`${resolv}nameserver 10.0.0.54\n`),
      is: 'fail wrong-value',
    },
    {
      title: 'no selected line',
      spec: { ...file, select: { matches: '^options' }, expect: { lines: [] } },
      said: onDisk(resolv),
      is: 'pass',
    },
    { title: 'no JSON', spec: { ...file, expect: { json: { a: 1 } } }, said: onDisk(resolv), is: 'fail wrong-value' },
    { title: 'no mount', spec: { ...file, expect: { mounted: true } }, said: onDisk(resolv), is: 'fail wrong-value' },
    {
      title: 'absent, and it is',
      spec: { ...file, expect: { absent: true } },
      said: onDisk(resolv, {
        stat: { exitCode: 1, stderr: "stat: cannot statx '/etc/resolv.conf': No such file or directory\n" },
      }),
      is: 'pass',
    },
    {
      title: 'a file that is not there',
      spec: { ...file, expect: { type: 'file' } },
      said: onDisk(resolv, {
        stat: { exitCode: 1, stderr: "stat: cannot statx '/etc/resolv.conf': No such file or directory\n" },
      }),
      is: 'fail absent',
    },
    {
      title: 'absent, and it is there',
      spec: { ...file, expect: { absent: true } },
      said: onDisk(resolv),
      is: 'fail present',
    },
    {
      title: 'a root that is gone shows no absence',
      spec: { ...file, expect: { absent: true } },
      said: onDisk(resolv, { root: { exitCode: 1, stderr: 'stat: cannot statx: No such process\n' } }),
      is: 'inconclusive',
    },
    {
      title: 'a file that is longer than what is read',
      spec: { ...file, expect: { content: { not: { contains: 'x' } } } },
      said: onDisk('y'.repeat((2 << 20) + 10)),
      is: 'inconclusive',
    },
  ],
});

const ran = (says: Row['says']): Row[] => [{ at: 'a', tool: 'report', says }];
kindTable(commandCheck, {
  hosts,
  cases: [
    {
      title: 'what it must print',
      spec: { on: 'a', run: 'report', expect: { stdout: 'ok' } },
      said: ran('ok\n'),
      is: 'pass',
    },
    {
      title: 'something else',
      spec: { on: 'a', run: 'report', expect: { stdout: 'ok' } },
      said: ran('no\n'),
      is: 'fail wrong-value',
    },
    {
      title: 'another exit status',
      spec: { on: 'a', run: 'report' },
      said: ran({ exitCode: 3 }),
      is: 'fail exit-status',
    },
    {
      title: 'the exit status that must be',
      spec: { on: 'a', run: 'report', expect: { exit: 3 } },
      said: ran({ exitCode: 3 }),
      is: 'pass',
    },
    { title: 'no end', spec: { on: 'a', run: 'report' }, said: ran(lost), is: 'fail timeout' },
    {
      title: 'JSON',
      spec: { on: 'a', run: 'report', expect: { json: { 'a[0]': 1 } } },
      said: ran('{"a":[1]}'),
      is: 'pass',
    },
    {
      title: 'no JSON',
      spec: { on: 'a', run: 'report', expect: { json: { a: 1 } } },
      said: ran('a: 1'),
      is: 'fail wrong-value',
    },
    {
      title: 'no such program, where any failure will do',
      spec: { on: 'a', run: 'report', expect: { exit: 'nonzero' } },
      said: ran(none('report')),
      is: 'inconclusive',
    },
    {
      title: 'output that was cut',
      spec: { on: 'a', run: 'report', expect: { stdout: { not: { contains: 'x' } } } },
      said: ran('y'.repeat((4 << 20) + 10)),
      is: 'inconclusive',
    },
  ],
});

const consul = (path: string, body: unknown, status = 200): Row => ({
  tool: 'curl',
  about: `http://127.0.0.1:8500${path}`,
  says: `${json(body)}\n${status}`,
});
kindTable(consulCheck, {
  hosts,
  said: [
    consul('/v1/status/leader', '10.0.0.1:8300'),
    consul('/v1/agent/members', [
      { Name: 'a', Addr: '10.0.0.1', Status: 1 },
      { Name: 'b', Addr: '10.0.0.2', Status: 4 },
    ]),
  ],
  cases: [
    { title: 'a leader', spec: { on: 'a', expect: { leader: true } }, is: 'pass' },
    { title: 'another leader', spec: { on: 'a', expect: { leader: '10.0.0.2:8300' } }, is: 'fail wrong-value' },
    { title: 'a leader where none must be', spec: { on: 'a', expect: { leader: false } }, is: 'fail present' },
    {
      title: 'none',
      spec: { on: 'a', expect: { leader: true } },
      said: [consul('/v1/status/leader', '')],
      is: 'fail absent',
    },
    { title: 'members', spec: { on: 'a', expect: { members: { count: 1, names: ['a'] } } }, is: 'pass' },
    { title: 'a member too few', spec: { on: 'a', expect: { members: { count: 2 } } }, is: 'fail wrong-value' },
    {
      title: 'no key with a prefix, as expected by its count',
      spec: { on: 'a', kv: { prefix: 'lab/' }, expect: { count: 0 } },
      said: [{ tool: 'curl', about: 'http://127.0.0.1:8500/v1/kv/lab/?keys', says: '\n404' }],
      is: 'pass',
    },
    {
      title: 'no key with a prefix, as expected by their list',
      spec: { on: 'a', kv: { prefix: 'lab/' }, expect: { keys: [] } },
      said: [{ tool: 'curl', about: 'http://127.0.0.1:8500/v1/kv/lab/?keys', says: '\n404' }],
      is: 'pass',
    },
    {
      title: 'keys where their count must be none',
      spec: { on: 'a', kv: { prefix: 'lab/' }, expect: { count: 0 } },
      said: [consul('/v1/kv/lab/?keys', ['lab/a'])],
      is: 'fail wrong-value',
    },
    {
      title: 'nobody listens, where there must be no key by its count',
      spec: { on: 'a', kv: { prefix: 'lab/' }, expect: { count: 0 } },
      said: [{ tool: 'curl', says: { exitCode: 7, stderr: 'curl: (7) Connection refused\n' } }],
      is: 'inconclusive',
    },
    {
      title: 'nobody listens, where a key must not exist',
      spec: { on: 'a', kv: { key: 'lab' }, expect: { absent: true } },
      said: [
        {
          tool: 'curl',
          says: { exitCode: 7, stderr: 'curl: (7) Failed to connect to 127.0.0.1 port 8500: Connection refused\n' },
        },
      ],
      is: 'inconclusive',
    },
  ],
});

const ovsTable = (headings: string[], ...data: unknown[][]): string => json({ headings, data });
const ovs = (daemon = true): Row[] => [
  { tool: 'command', says: '/usr/bin/ovs-vsctl\n' },
  {
    tool: 'ovs-vsctl',
    says: [
      ovsTable(
        ['_uuid', 'name', 'ports', 'controller'],
        [
          ['uuid', 'b1'],
          'br0',
          [
            'set',
            [
              ['uuid', 'p1'],
              ['uuid', 'p0'],
            ],
          ],
          ['set', []],
        ],
      ),
      ovsTable(
        ['_uuid', 'name', 'interfaces', 'tag'],
        [['uuid', 'p0'], 'br0', ['uuid', 'i0'], ['set', []]],
        [['uuid', 'p1'], 'veth1', ['uuid', 'i1'], 100],
      ),
      ovsTable(
        ['_uuid', 'name', 'type', 'ofport'],
        [['uuid', 'i0'], 'br0', 'internal', 65534],
        [['uuid', 'i1'], 'veth1', '', 1],
      ),
      ovsTable(['_uuid', 'target']),
      '',
    ].join('\n'),
  },
  {
    tool: 'ovs-appctl',
    says: daemon ? 'ovs-vswitchd (Open vSwitch) 3.1.0\n' : { exitCode: 1, stderr: 'ovs-appctl: cannot connect\n' },
  },
];
kindTable(ovsCheck, {
  hosts,
  cases: [
    { title: 'bridges', spec: { on: 'a', expect: { bridges: ['br0'] } }, said: ovs(), is: 'pass' },
    {
      title: 'a port with its tag',
      spec: { on: 'a', bridge: 'br0', port: 'veth1', expect: { tag: 100, ofport: 1 } },
      said: ovs(),
      is: 'pass',
    },
    {
      title: 'another tag',
      spec: { on: 'a', bridge: 'br0', port: 'veth1', expect: { tag: 200 } },
      said: ovs(),
      is: 'fail wrong-value',
    },
    { title: 'no such bridge', spec: { on: 'a', bridge: 'br1' }, said: ovs(), is: 'fail absent' },
    {
      title: 'absent, and it is there',
      spec: { on: 'a', bridge: 'br0', port: 'veth1', expect: { absent: true } },
      said: ovs(),
      is: 'fail present',
    },
    {
      title: 'what only the daemon finds out, and it is dead',
      spec: { on: 'a', bridge: 'br0', port: 'veth1', expect: { ofport: 1 } },
      said: ovs(false),
      is: 'inconclusive',
    },
    {
      title: 'no Open vSwitch',
      spec: { on: 'a', expect: { bridges: [] } },
      said: [{ tool: ['command', 'ovs-vsctl'], says: { exitCode: 127 } }],
      is: 'inconclusive',
    },
  ],
});

/** The counter of a's eth0, which goes up by `own` with the ping, and by `others` each time that it is looked at. */
const counted = (own: number, others = 0): Row[] => {
  let packets = 100;
  return [
    {
      at: 'a',
      tool: 'ping',
      says: ({ address }) => {
        packets += own;
        return pingText(address!);
      },
    },
    {
      at: 'a',
      tool: 'ip',
      about: '-s',
      says: () => {
        packets += others;
        return json([
          { ifname: 'eth0', stats64: { rx: { packets, bytes: packets * 60 }, tx: { packets, bytes: packets * 60 } } },
        ]);
      },
    },
  ];
};
const counter = { on: 'a', interface: 'eth0', direction: 'rx', still: '1ms', during: { ping: { from: 'a', to: 'b' } } };
kindTable(counterCheck, {
  hosts,
  cases: [
    { title: 'as many as expected', spec: { ...counter, expect: { packets: 2 } }, said: counted(2), is: 'pass' },
    { title: 'none, as expected', spec: { ...counter, expect: { packets: 0 } }, said: counted(0), is: 'pass' },
    {
      title: 'not as many as expected',
      spec: { ...counter, expect: { packets: 2 } },
      said: counted(1),
      is: 'fail wrong-value',
    },
    {
      title: 'a probe that does not pass',
      spec: { ...counter, expect: { packets: 2 } },
      said: [{ at: 'a', tool: 'ping', says: pingText('10.0.0.2', { received: 0 }) }, ...counted(2)],
      is: 'fail timeout',
    },
    {
      title: 'no such interface',
      spec: { ...counter, interface: 'eth9', expect: { packets: 2 } },
      said: counted(2),
      is: 'fail absent',
    },
    {
      title: 'a rule that is not there',
      spec: {
        on: 'a',
        chain: 'FORWARD',
        rule: { jump: 'DROP' },
        still: '1ms',
        during: counter.during,
        expect: { packets: 0 },
      },
      said: [saved('filter')],
      is: 'fail absent',
    },
    {
      title: 'no ip',
      spec: { ...counter, expect: { packets: 2 } },
      said: [{ tool: 'ip', about: '-s', says: none('ip') }],
      is: 'inconclusive',
    },
  ],
});

kindTable(arpCheck, {
  hosts,
  cases: [
    { title: 'one who answers', spec: { from: 'a', interface: 'eth0', address: '10.0.0.2' }, is: 'pass' },
    {
      title: 'two who answer',
      spec: { from: 'a', interface: 'eth0', address: '10.0.0.2' },
      said: [{ tool: 'arping', says: arpingText('10.0.0.2', 'eth0', ['02:00:00:00:00:02', '02:00:00:00:00:66']) }],
      is: 'fail wrong-value',
    },
    {
      title: 'nobody, as expected, where others answer',
      spec: { from: 'a', interface: 'eth0', address: '10.0.0.9', expect: { absent: true } },
      is: 'pass',
    },
    { title: 'nobody', spec: { from: 'a', interface: 'eth0', address: '10.0.0.9' }, is: 'fail no-answer' },
    {
      title: 'somebody where nobody should',
      spec: { from: 'a', interface: 'eth0', address: '10.0.0.2', expect: { absent: true } },
      is: 'fail present',
    },
    {
      title: 'nobody, and nobody else answers either',
      spec: { from: 'a', interface: 'eth0', address: '10.0.0.9', expect: { absent: true } },
      said: [{ tool: 'arping', says: ({ argv }) => ({ stdout: arpingText(argv.at(-1)!, 'eth0', []), exitCode: 1 }) }],
      is: 'inconclusive',
    },
  ],
});

const looked = { on: 'a', interface: 'eth0', during: { ping: { from: 'a', to: 'b' } } };
const echo = { src: '10.0.0.1', dst: '10.0.0.2' };
kindTable(captureCheck, {
  hosts,
  // What waits for a packet that does not come waits no longer than this.
  timeLeftMs: 300,
  cases: [
    {
      title: 'packets like that',
      spec: { ...looked, expect: { some: { proto: 'icmp', ...echo } } },
      ...fakeCapture({ packets: [echo] }),
      is: 'pass',
    },
    {
      title: 'none like that',
      spec: { ...looked, expect: { some: { proto: 'tcp' } } },
      ...fakeCapture({ packets: [echo] }),
      is: 'fail absent',
    },
    {
      title: 'each like that',
      spec: { ...looked, expect: { each: { src: 'a' } } },
      ...fakeCapture({ packets: [echo, echo] }),
      is: 'pass',
    },
    {
      title: 'one of them not',
      spec: { ...looked, expect: { each: { src: 'a' } } },
      ...fakeCapture({ packets: [echo, { src: '10.0.0.9', dst: '10.0.0.1' }] }),
      is: 'fail wrong-value',
    },
    {
      title: 'nothing, and the capture sees its own',
      spec: { ...looked, expect: { absent: true } },
      ...fakeCapture({ packets: [] }),
      is: 'pass',
    },
    {
      title: 'something where nothing must be',
      spec: { ...looked, expect: { absent: true } },
      ...fakeCapture({ packets: [echo] }),
      is: 'fail present',
    },
    {
      title: 'nothing, and the capture does not see its own',
      spec: { ...looked, expect: { absent: true } },
      ...fakeCapture({ packets: [], own: false }),
      is: 'inconclusive',
    },
    {
      title: 'nothing, and the kernel dropped some',
      spec: { ...looked, expect: { absent: true } },
      ...fakeCapture({ packets: [], dropped: 3 }),
      is: 'inconclusive',
      reason: /dropped 3 packets/,
    },
    {
      title: 'each, where none came',
      spec: { ...looked, expect: { each: { src: 'a' } } },
      ...fakeCapture({ packets: [] }),
      is: 'fail absent',
    },
    {
      title: 'no tcpdump',
      spec: { ...looked, expect: { absent: true } },
      ...fakeCapture({ packets: [], refuses: 'tcpdump: eth0: no such device' }),
      is: 'inconclusive',
    },
  ],
});
