import { expect } from 'chai';
import type { CheckKind } from '../../src/checks/kind.js';
import { httpCheck } from '../../src/checks/http.js';
import { pingCheck } from '../../src/checks/ping.js';
import { portCheck } from '../../src/checks/port.js';
import { reachCheck } from '../../src/checks/reach.js';
import type { Outcome } from '../../src/model/verdict.js';
import { fakeLab } from '../fakes/lab.js';
import type { FakeOptions, Row } from '../fakes/lab.js';
import { receives } from '../fakes/received.js';
import { arpingText, fpingAlive, fpingSilent, pingText } from '../fakes/sayings.js';

/** What the tools said, spec → verdict, cause, and what of it is said to the reader. */
interface Case {
  title: string;
  lab?: Partial<FakeOptions>;
  said?: readonly Row[];
  kind: CheckKind<never>;
  spec: object;
  is: Outcome['verdict'];
  cause?: string;
  reason?: RegExp;
  /** A control with these words that held, or did not. */
  held?: RegExp;
  broken?: RegExp;
}

const ping = pingCheck as unknown as CheckKind<never>;
const port = portCheck as unknown as CheckKind<never>;
const reach = reachCheck as unknown as CheckKind<never>;

const a = { on: { lan: '10.0.0.1' } };
const b = { on: { lan: '10.0.0.2' } };
const two: FakeOptions = { hosts: { a, b } };

const B = '10.0.0.2';
/** All that a packet filter of b which drops everything leaves of it: it answers ARP, and itself. */
const deaf: Row[] = [
  { at: 'a', tool: 'ping', about: B, says: ({ argv }) => silentPing(B, argv) },
  { at: 'a', tool: 'fping', about: B, says: fpingSilent(B) },
  { at: 'a', tool: 'perl', about: B, says: 'silent' },
];
function silentPing(address: string, argv: readonly string[]): { stdout: string; exitCode: number } {
  const sent = Number(argv[argv.indexOf('-c') + 1]);
  return { stdout: pingText(address, { sent, received: 0 }), exitCode: 1 };
}
const serves = (at: string, number: number): Row => ({ at, tool: 'perl', port: number, says: 'open 0.2' });
const noArp: Row = {
  at: 'a',
  tool: 'arping',
  says: ({ argv }) => ({ stdout: arpingText(argv.at(-1)!, 'eth0', []), exitCode: 1 }),
};
const lost: Row = { tool: 'perl', when: ({ argv }) => argv[2] === 'arrive', says: 'ready\n' };

const engines: FakeOptions = {
  hosts: {
    n1: { ...a, containers: { one: { on: { bridge: '172.17.0.2/16' } } } },
    n2: { ...b, containers: { two: { on: { bridge: '172.17.0.2/16' } } } },
  },
};

const routed: FakeOptions = {
  segments: { left: '10.1.0.0/24', right: '10.2.0.0/24' },
  hosts: {
    guest: { on: { left: '10.1.0.10' }, gateway: '10.1.0.1' },
    router: { on: { left: '10.1.0.1', right: '10.2.0.1' } },
    db: { on: { right: '10.2.0.10' }, gateway: '10.2.0.1' },
  },
};
const DB = '10.2.0.10';
/** Nothing of the guest gets to the database, whatever is sent. */
const shut: Row[] = [
  { at: 'guest', tool: 'ping', about: DB, says: ({ argv }) => silentPing(DB, argv) },
  { at: 'guest', tool: 'perl', about: DB, says: 'silent' },
  { at: 'guest', tool: 'fping', about: DB, says: fpingSilent(DB) },
  lost,
];
/** The look-up of the database's way back to the guest. */
const wayBack = (says: Row['says']): Row => ({
  at: 'db',
  tool: 'ip',
  when: ({ argv }) => argv.includes('get') && argv.includes('10.1.0.10'),
  says,
});
const neighbourState = (dst: string, state: string): string => JSON.stringify([{ dst, dev: 'eth0', state: [state] }]);
let looks = 0;
const web = { at: 'db', tool: 'perl', about: DB, port: 5432, says: 'open 0.1' } satisfies Row;
const fromRouter = { ...web, at: 'router' };
let reads = 0;
const counting = (rule: string): Row => ({
  at: 'router',
  tool: 'iptables-save',
  says: () => `*filter\n:FORWARD DROP [${(reads += 1)}:60]\n[${reads}:60] ${rule}\nCOMMIT\n`,
});

const namespaces: FakeOptions = {
  hosts: { h: { namespaces: { aa: { eth0: ['10.5.0.1/24'] }, bb: { eth0: ['10.5.0.2/24'] } } } },
};
const AA = 'h/netns:aa';
const BB = 'h/netns:bb';
const loDown: Row = {
  tool: 'ip',
  when: ({ argv, part }) => argv.includes('addr') && part === 'links',
  says: JSON.stringify([
    { ifname: 'lo', flags: ['LOOPBACK'], addr_info: [] },
    { ifname: 'eth0', flags: ['UP', 'LOWER_UP'], addr_info: [{ local: '10.5.0.2' }] },
  ]),
};

/** Namespaces of two hosts on one wire, which only a tunnel can be. */
const apart: FakeOptions = {
  hosts: {
    h: { on: { lan: '10.0.0.1' }, namespaces: { aa: { eth0: ['10.5.0.1/24'] } } },
    i: { on: { lan: '10.0.0.2' }, namespaces: { bb: { eth0: ['10.5.0.2/24'] } } },
  },
};
const deafApart: Row[] = [
  { at: AA, tool: 'ping', about: '10.5.0.2', says: ({ argv }) => silentPing('10.5.0.2', argv) },
  { at: AA, tool: 'perl', about: '10.5.0.2', says: 'silent' },
];

const cases: Case[] = [
  // Any answer of the target
  { title: 'all answered', kind: ping, spec: { from: 'a', to: 'b' }, is: 'pass' },
  {
    title: 'one of two answered, and none may',
    said: [{ at: 'a', tool: 'ping', about: B, says: pingText(B, { received: 1 }) }],
    kind: ping,
    spec: { from: 'a', to: 'b', expect: { fails: 'timeout' } },
    is: 'fail',
    cause: 'present',
  },
  {
    title: 'one of two answered, and both must',
    said: [{ at: 'a', tool: 'ping', about: B, says: pingText(B, { received: 1 }) }],
    kind: ping,
    spec: { from: 'a', to: 'b' },
    is: 'fail',
    cause: 'timeout',
    reason: /1 of 2/,
  },
  {
    title: 'a reply came twice',
    said: [{ at: 'a', tool: 'ping', about: B, says: pingText(B, { duplicates: 1 }) }],
    kind: ping,
    spec: { from: 'a', to: 'b' },
    is: 'pass',
    reason: /1 duplicates/,
  },
  {
    title: 'another address replied',
    said: [
      { at: 'a', tool: 'ping', about: B, says: pingText(B, { received: 0, strangers: ['10.0.0.9', '10.0.0.9'] }) },
    ],
    kind: ping,
    spec: { from: 'a', to: 'b' },
    is: 'fail',
    cause: 'wrong-answer',
    reason: /10\.0\.0\.9/,
  },
  {
    title: 'no room for a packet in the device below the route',
    said: [
      {
        at: 'a',
        tool: 'ping',
        about: B,
        says: pingText(B, { received: 0, lines: ['ping: sendmsg: No buffer space available'] }),
      },
    ],
    kind: ping,
    spec: { from: 'a', to: 'b', size: 8000 },
    is: 'fail',
    cause: 'too-big',
  },
  // Equal addresses
  {
    title: 'containers of two engines with one address',
    lab: engines,
    kind: ping,
    spec: { from: 'n1/one', to: 'n2/two' },
    is: 'inconclusive',
    reason: /n1\/one has the same address 172\.17\.0\.2/,
  },
  {
    title: 'the same by TCP, answered by itself',
    lab: engines,
    said: [serves('n1/one', 80)],
    kind: port,
    spec: { from: 'n1/one', to: 'n2/two', port: 80 },
    is: 'inconclusive',
  },
  {
    title: 'the same, refused by itself, as it must be refused',
    lab: engines,
    kind: port,
    spec: { from: 'n1/one', to: 'n2/two', port: 80, expect: { fails: 'refused' } },
    is: 'inconclusive',
  },
  {
    title: 'the same by reach',
    lab: engines,
    kind: reach,
    spec: { groups: { x: ['n1/one'], y: ['n2/two'] } },
    is: 'inconclusive',
  },
  {
    title: 'from the host of the one with that address to the other',
    lab: {
      hosts: {
        n1: { ...engines.hosts.n1, added: { docker0: ['172.17.0.1/16'] } },
        n2: engines.hosts.n2!,
      },
    },
    kind: ping,
    spec: { from: 'n1', to: 'n2/two' },
    is: 'inconclusive',
    reason: /n1\/one/,
  },
  {
    title: 'the source was given the target’s address by mistake',
    lab: {
      hosts: { h: { namespaces: { aa: { eth0: ['10.5.0.1/24'] }, bb: { eth0: ['10.5.0.2/24', '10.5.0.1/24'] } } } },
    },
    kind: ping,
    spec: { from: BB, to: AA },
    is: 'fail',
    cause: 'wrong-answer',
    reason: /h\/netns:bb has the address 10\.5\.0\.1 of h\/netns:aa itself/,
  },
  {
    title: 'a neighbour has the target’s address, too, and answers',
    lab: { hosts: { a, b, c: { on: { lan: '10.0.0.3' }, added: { eth0: ['10.0.0.2/24'] } } } },
    said: [
      {
        at: 'a',
        tool: 'ip',
        about: 'neigh',
        says: JSON.stringify([{ dst: B, dev: 'eth0', lladdr: '02:00:00:00:00:03', state: ['REACHABLE'] }]),
      },
    ],
    kind: ping,
    spec: { from: 'a', to: 'b' },
    is: 'fail',
    cause: 'wrong-answer',
    reason: /is c \(02:00:00:00:00:03\).* and not b/,
  },
  // Controls of negatives
  {
    title: 'b drops pings; it answers ARP',
    said: deaf,
    kind: ping,
    spec: { from: 'a', to: 'b', expect: { fails: 'timeout' } },
    is: 'pass',
    cause: 'timeout',
    held: /b answers ARP/,
  },
  {
    title: 'the tunnel answers ARP in place of the target, to which nothing comes',
    lab: apart,
    said: [...deafApart, lost],
    kind: ping,
    spec: { from: AA, to: 'i/netns:bb', expect: { fails: 'timeout' } },
    is: 'inconclusive',
    broken: /nothing of h\/netns:aa comes in at i\/netns:bb/,
  },
  {
    title: 'the target at the other end of a tunnel answers ARP itself',
    lab: apart,
    said: [
      ...deafApart,
      { tool: 'perl', when: ({ argv }) => argv[2] === 'arrive' && argv[4] !== 'arp', says: 'ready\n' },
    ],
    kind: ping,
    spec: { from: AA, to: 'i/netns:bb', expect: { fails: 'timeout' } },
    is: 'pass',
    held: /i\/netns:bb answers ARP/,
  },
  {
    title: 'b drops one port, and refuses others',
    said: [
      serves('b', 80),
      { at: 'a', tool: 'perl', about: B, port: 80, says: 'silent' },
      noArp,
      { at: 'a', tool: 'ping', about: B, says: ({ argv }) => silentPing(B, argv) },
    ],
    kind: port,
    spec: { from: 'a', to: 'b', port: 80, expect: { fails: 'timeout' } },
    is: 'pass',
    held: /refuses TCP at port 22/,
  },
  {
    title: 'nothing comes back, but the probe comes in',
    lab: routed,
    said: [...shut.slice(0, 3), web],
    kind: port,
    spec: { from: 'guest', to: 'db', port: 5432, expect: { fails: 'timeout' } },
    is: 'pass',
    held: /comes in at db/,
  },
  ...[
    { words: 'Invalid argument', why: /db can send no answer to 10\.1\.0\.10: it has a blackhole route there/ },
    { words: 'No route to host', why: /it has an unreachable route there/ },
    { words: 'Permission denied', why: /it has a route there that prohibits it/ },
    { words: 'Network is unreachable', why: /it has no route there/ },
  ].map(({ words, why }): Case => ({
    title: `the probe comes in, and no answer can leave: ${words}`,
    lab: routed,
    said: [...shut.slice(0, 3), web, wayBack({ stderr: `RTNETLINK answers: ${words}\n`, exitCode: 2 })],
    kind: port,
    spec: { from: 'guest', to: 'db', port: 5432, expect: { fails: 'timeout' } },
    is: 'inconclusive',
    broken: why,
  })),
  {
    title: 'the probe comes in, and the way back leads to a gateway that nobody is',
    lab: routed,
    said: [
      ...shut.slice(0, 3),
      web,
      wayBack(JSON.stringify([{ dst: '10.1.0.10', gateway: '10.2.0.66', dev: 'eth0', prefsrc: DB, flags: [] }])),
      { at: 'db', tool: 'ip', about: 'neigh', says: neighbourState('10.2.0.66', 'FAILED') },
    ],
    kind: port,
    spec: { from: 'guest', to: 'db', port: 5432, expect: { fails: 'timeout' } },
    is: 'inconclusive',
    broken: /comes in at db, but .*the gateway 10\.2\.0\.66 on eth0 answers no ARP request: name a `control`/,
  },
  {
    title: 'the gateway of the way back did not answer once, and does now',
    lab: routed,
    said: [
      ...shut.slice(0, 3),
      web,
      {
        at: 'db',
        tool: 'ip',
        about: 'neigh',
        says: () => neighbourState('10.2.0.1', (looks += 1) === 1 ? 'FAILED' : 'REACHABLE'),
      },
    ],
    kind: port,
    spec: { from: 'guest', to: 'db', port: 5432, expect: { fails: 'timeout' } },
    is: 'pass',
    held: /comes in at db/,
  },
  {
    title: 'the address that is probed is not among those that answers are sent with',
    lab: routed,
    said: [
      ...shut.slice(0, 3),
      web,
      {
        at: 'db',
        tool: 'ip',
        when: ({ argv }) => argv.includes('get') && argv.includes('from'),
        says: { stderr: 'RTNETLINK answers: Invalid argument\n', exitCode: 2 },
      },
    ],
    kind: port,
    spec: { from: 'guest', to: 'db', port: 5432, expect: { fails: 'timeout' } },
    is: 'pass',
    held: /comes in at db/,
  },
  ...(['BROADCAST', 'UP,NO-CARRIER'] as const).map((flags): Case => ({
    title: `a source whose only link carries nothing has no route, and proves nothing: ${flags}`,
    said: [
      { at: 'a', tool: 'perl', about: B, says: 'error local ENETUNREACH' },
      {
        at: 'a',
        tool: 'ip',
        about: 'get',
        says: { stderr: 'RTNETLINK answers: Network is unreachable\n', exitCode: 2 },
      },
      {
        at: 'a',
        tool: 'ip',
        about: 'link',
        says: JSON.stringify([
          { ifname: 'lo', flags: ['UP', 'LOWER_UP'] },
          { ifname: 'eth0', flags: flags.split(',') },
        ]),
      },
    ],
    kind: port,
    spec: { from: 'a', to: 'b', port: 80, expect: { fails: ['no-route', 'timeout'] } },
    is: 'inconclusive',
    broken: /it (is down|has no carrier), and routes go with the link they lead over/,
  })),
  {
    title: 'a source whose link carries has no route, as it must',
    said: [
      { at: 'a', tool: 'perl', about: B, says: 'error local ENETUNREACH' },
      {
        at: 'a',
        tool: 'ip',
        about: 'get',
        says: { stderr: 'RTNETLINK answers: Network is unreachable\n', exitCode: 2 },
      },
    ],
    kind: port,
    spec: { from: 'a', to: 'b', port: 80, expect: { fails: 'no-route' } },
    is: 'pass',
    held: /its own kernel refused: no-route/,
  },
  {
    title: 'the router in between drops everything, by its policy',
    lab: routed,
    said: [...shut, web, fromRouter, counting('-A FORWARD -j DROP')],
    kind: port,
    spec: { from: 'guest', to: 'db', port: 5432, expect: { fails: 'timeout' } },
    is: 'inconclusive',
    broken: /nothing shows that the gateway 10\.1\.0\.1 \(router\) carries anything/,
  },
  {
    title: 'the router in between drops it by a rule',
    lab: routed,
    said: [...shut, web, fromRouter, counting('-A FORWARD -s 10.1.0.0/24 -d 10.2.0.0/24 -j DROP')],
    kind: port,
    spec: { from: 'guest', to: 'db', port: 5432, expect: { fails: 'timeout' } },
    is: 'pass',
    held: /router drops it by “-A FORWARD -s 10\.1\.0\.0\/24/,
  },
  {
    title: 'the router is dead',
    lab: routed,
    said: [
      ...shut,
      web,
      {
        at: 'guest',
        tool: 'ip',
        about: 'neigh',
        says: JSON.stringify([{ dst: '10.1.0.1', dev: 'eth0', state: ['FAILED'] }]),
      },
    ],
    kind: port,
    spec: { from: 'guest', to: 'db', port: 5432, expect: { fails: ['timeout', 'host-unreachable'] } },
    is: 'inconclusive',
    broken: /the gateway 10\.1\.0\.1 does not answer/,
  },
  {
    title: 'the same by reach',
    lab: routed,
    said: [
      ...shut,
      {
        at: 'guest',
        tool: 'ip',
        about: 'neigh',
        says: JSON.stringify([{ dst: '10.1.0.1', dev: 'eth0', state: ['FAILED'] }]),
      },
      { at: 'db', tool: 'fping', about: '10.1.0.10', says: fpingAlive('10.1.0.10') },
    ],
    kind: reach,
    spec: { groups: { guest: ['guest'], db: ['db'] }, expect: { allow: ['db -> guest'] } },
    is: 'inconclusive',
  },
  {
    title: 'the target’s service is not there',
    said: [...deaf, { at: 'b', tool: 'perl', port: 80, says: 'error remote ECONNREFUSED' }],
    kind: port,
    spec: { from: 'a', to: 'b', port: 80, expect: { fails: 'timeout' } },
    is: 'inconclusive',
    broken: /b answers itself/,
  },
  {
    title: 'a namespace whose lo is down, with a packet filter',
    lab: namespaces,
    said: [
      { tool: 'ping', about: '10.5.0.2', says: ({ argv }) => silentPing('10.5.0.2', argv) },
      { at: AA, tool: 'perl', says: 'silent' },
      loDown,
    ],
    kind: ping,
    spec: { from: AA, to: BB, expect: { fails: 'timeout' } },
    is: 'pass',
    held: /its loopback interface is down/,
  },
  {
    title: 'reach, at an address that the target does not have',
    lab: {
      segments: { mgmt: '10.1.0.0/24', lan: '10.2.0.0/24' },
      hosts: { client: { on: { lan: '10.2.0.1' } }, server: { on: { mgmt: '10.1.0.5', lan: '10.2.0.5' } } },
    },
    said: [
      { tool: 'fping', about: '10.2.0.5', says: fpingSilent('10.2.0.5') },
      { tool: 'fping', about: '10.2.0.1', says: fpingSilent('10.2.0.1') },
    ],
    kind: reach,
    spec: { groups: { x: ['client'], y: ['server'] } },
    is: 'inconclusive',
  },
  {
    title: 'reach: what must be reached has no address, as ping says of the same pair',
    kind: reach,
    spec: { groups: { x: ['a'], y: ['b'] }, family: 6, expect: { allow: ['x -> y'] } },
    is: 'fail',
    cause: 'absent',
    reason: /b has no address to probe from a: b has no IPv6 address/,
  },
  { title: 'ping of the same pair', kind: ping, spec: { from: 'a', to: 'b', family: 6 }, is: 'fail', cause: 'absent' },
  {
    title: 'reach: what must not be reached has no address',
    kind: reach,
    spec: { groups: { x: ['a'], y: ['b'] }, family: 6 },
    is: 'inconclusive',
    reason: /b has no address to probe from a/,
  },
  // Causes
  {
    title: 'refused expected, unreachable seen',
    said: [{ at: 'a', tool: 'perl', about: B, says: 'error local EHOSTUNREACH' }],
    kind: port,
    spec: { from: 'a', to: 'b', port: 80, expect: { fails: 'refused' } },
    is: 'fail',
    cause: 'host-unreachable',
  },
  {
    title: 'refused, as it must, and what is listened on',
    said: [{ at: 'b', tool: 'ss', says: 'LISTEN 0 128 0.0.0.0:8080 0.0.0.0:*\nLISTEN 0 128 [::]:22 [::]:*\n' }],
    kind: port,
    spec: { from: 'a', to: 'b', port: 808, expect: { fails: 'refused' } },
    is: 'pass',
    held: /b listens on\s+tcp ports 22, 8080/,
  },
  ...[
    { kind: ping, spec: { from: 'a', to: 'b' } },
    { kind: port, spec: { from: 'a', to: 'b', port: 80 } },
    { kind: reach, spec: { groups: { all: ['a', 'b'] } } },
    { kind: reach, spec: { groups: { all: ['a', 'b'] }, by: { tcp: 80 } } },
  ].map(({ kind, spec }): Case => ({
    title: `${kind.name}: a neighbour that answers no ARP request is host-unreachable ${JSON.stringify(spec)}`,
    said: [
      ...deaf,
      { at: 'b', tool: 'perl', says: 'open 0.1' },
      {
        at: 'a',
        tool: 'ip',
        about: 'neigh',
        says: JSON.stringify([{ dst: B, dev: 'eth0', state: ['INCOMPLETE'] }]),
      },
    ],
    kind,
    spec,
    is: 'fail',
    cause: 'host-unreachable',
  })),
  // Addresses
  {
    title: 'an address that a step added, by the host’s name',
    lab: {
      hosts: { a: { ...a, added: { eth0: ['fd00:1::1/64'] } }, b: { ...b, added: { eth0: ['fd00:1::2/64'] } } },
    },
    kind: ping,
    spec: { from: 'a', to: 'b', family: 6 },
    is: 'pass',
    reason: /fd00:1::2/,
  },
  {
    title: 'a literal address of a named namespace',
    lab: {
      hosts: { a, b: { ...b, namespaces: { blue: { eth0: ['10.0.0.9/24'] } } } },
    },
    said: [
      { at: 'a', tool: 'ping', about: '10.0.0.9', says: ({ argv }) => silentPing('10.0.0.9', argv) },
      { at: 'a', tool: 'perl', about: '10.0.0.9', says: 'silent' },
    ],
    kind: ping,
    spec: { from: 'a', to: '10.0.0.9', expect: { fails: 'timeout' } },
    is: 'pass',
    held: /b\/netns:blue answers itself/,
  },
  {
    title: 'the look-up of an address takes too long',
    lab: namespaces,
    said: [{ at: BB, tool: 'ip', about: 'addr', says: { timedOut: true } }],
    kind: ping,
    spec: { from: AA, to: BB, expect: { fails: 'timeout' } },
    is: 'inconclusive',
    reason: /did not end within/,
  },
  // UDP, and what stands before a container
  {
    title: 'UDP is answered from another address',
    said: [{ at: 'a', tool: 'perl', about: B, says: 'other 1.2 10.0.0.22 8080' }],
    kind: port,
    spec: { from: 'a', to: 'b', proto: 'udp', port: 8080, send: 'hello', expect: { receive: 'hello' } },
    is: 'fail',
    cause: 'wrong-answer',
    reason: /10\.0\.0\.22 port 8080 answered/,
  },
  {
    title: 'TCP is accepted, and nothing is said, as it must be',
    said: [{ at: 'a', tool: 'perl', about: B, says: 'closed 0.4' }],
    kind: port,
    spec: { from: 'a', to: 'b', port: 80, send: 'x', expect: { fails: 'no-answer' } },
    is: 'pass',
    cause: 'no-answer',
  },
  {
    title: 'a wrong neighbour that does not answer',
    said: [
      ...deaf,
      {
        at: 'a',
        tool: 'ip',
        about: 'neigh',
        says: JSON.stringify([{ dst: B, dev: 'eth0', lladdr: '02:00:00:00:00:99', state: ['PERMANENT'] }]),
      },
    ],
    kind: ping,
    spec: { from: 'a', to: 'b' },
    is: 'fail',
    cause: 'timeout',
  },
  {
    title: 'an answer of somebody whom nobody knows',
    said: [
      {
        at: 'a',
        tool: 'ip',
        about: 'neigh',
        says: JSON.stringify([{ dst: B, dev: 'eth0', lladdr: '02:00:00:00:00:99', state: ['REACHABLE'] }]),
      },
    ],
    kind: ping,
    spec: { from: 'a', to: 'b' },
    is: 'inconclusive',
    reason: /02:00:00:00:00:99/,
  },
  {
    title: 'TCP is accepted, and nothing is said',
    said: [{ at: 'a', tool: 'perl', about: B, says: 'closed 0.4' }],
    kind: port,
    spec: { from: 'a', to: 'b', port: 80, send: 'x' },
    is: 'fail',
    cause: 'no-answer',
  },
];

const published = (state: 'running' | 'paused'): Partial<FakeOptions> => ({
  hosts: {
    a,
    b: {
      ...b,
      gateway: '10.0.0.1',
      added: { docker0: ['172.17.0.1/16'] },
      containers: {
        web: {
          on: { bridge: '172.17.0.2/16' },
          state,
          inspect: { Ports: [{ PrivatePort: 80, PublicPort: 8080, Type: 'tcp' }] },
        },
      },
    },
  },
});
/** The same port of two addresses of one host, each of another container: that of the other address comes first. */
const publishedTwice: Partial<FakeOptions> = {
  hosts: {
    a,
    b: {
      ...b,
      gateway: '10.0.0.1',
      added: { eth0: ['10.0.0.22/24'], docker0: ['172.17.0.1/16'] },
      containers: {
        other: {
          on: { bridge: '172.17.0.2/16' },
          inspect: { Ports: [{ IP: '10.0.0.22', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' }] },
        },
        mine: {
          on: { bridge: '172.17.0.3/16' },
          inspect: { Ports: [{ IP: B, PrivatePort: 80, PublicPort: 8080, Type: 'tcp' }] },
        },
      },
    },
  },
};
/** Two ends of which nobody knows whether they are ends of one tunnel. */
const tunnelled = (device: string): Partial<FakeOptions> => ({
  hosts: { a: { ...a, added: { [device]: ['10.9.0.1/24'] } }, b: { ...b, added: { [device]: ['10.9.0.2/24'] } } },
});
const unheard = (device: string, links: object[]): Row[] => [
  { at: 'a', tool: 'ping', about: '10.9.0.2', says: ({ argv }) => silentPing('10.9.0.2', argv) },
  { at: 'a', tool: 'perl', about: '10.9.0.2', says: 'error local EHOSTUNREACH' },
  { at: 'a', tool: 'arping', says: ({ argv }) => ({ stdout: arpingText(argv.at(-1)!, device, []), exitCode: 1 }) },
  {
    at: 'a',
    tool: 'ip',
    when: ({ argv }) => argv.includes('neigh'),
    says: JSON.stringify([{ dst: '10.9.0.2', dev: device, state: ['FAILED'] }]),
  },
  {
    at: 'a',
    tool: 'ip',
    when: ({ argv }) => argv.includes('-d') && argv.includes('link'),
    says: JSON.stringify([{ ifname: 'lo', ifindex: 1, flags: ['LOOPBACK'] }, ...links]),
  },
];
const accepts: Row = { at: 'a', tool: 'perl', about: B, port: 8080, says: 'open 0.3' };
cases.push(
  {
    title: 'a published port whose container refuses',
    lab: published('running'),
    said: [accepts],
    kind: port,
    spec: { from: 'a', to: 'b', port: 8080 },
    is: 'pass',
    reason: /accepted by docker-proxy of b: the container web behind it refuses/,
  },
  {
    title: 'a neighbour that must not be heard through a tunnel, which may be broken',
    lab: tunnelled('vx0'),
    said: unheard('vx0', [{ ifname: 'vx0', ifindex: 3, flags: ['UP', 'LOWER_UP'], linkinfo: { info_kind: 'vxlan' } }]),
    kind: ping,
    spec: { from: 'a', to: '10.9.0.2', expect: { fails: ['host-unreachable', 'timeout'] } },
    is: 'inconclusive',
    broken: /it is the tunnel vx0, through which nobody is heard/,
  },
  {
    title: 'the same, where the tunnel is a port of a bridge',
    lab: tunnelled('br0'),
    said: unheard('br0', [
      { ifname: 'br0', ifindex: 3, flags: ['UP', 'LOWER_UP'], linkinfo: { info_kind: 'bridge' } },
      { ifname: 'vx0', ifindex: 4, flags: ['UP'], master: 'br0', linkinfo: { info_kind: 'vxlan' } },
    ]),
    kind: ping,
    spec: { from: 'a', to: '10.9.0.2', expect: { fails: ['host-unreachable', 'timeout'] } },
    is: 'inconclusive',
    broken: /it is the tunnel vx0/,
  },
  {
    title: 'the same on a bridge without a tunnel',
    lab: tunnelled('br0'),
    said: unheard('br0', [{ ifname: 'br0', ifindex: 3, flags: ['UP', 'LOWER_UP'], linkinfo: { info_kind: 'bridge' } }]),
    kind: ping,
    spec: { from: 'a', to: '10.9.0.2', expect: { fails: ['host-unreachable', 'timeout'] } },
    is: 'pass',
    held: /both ends are up/,
  },
  {
    title: 'an author’s control that starts elsewhere, and says so',
    lab: { hosts: { a, b, c: { on: { lan: '10.0.0.3' } } } },
    said: [{ at: 'a', tool: 'perl', about: B, port: 80, says: 'silent' }, serves('c', 80)],
    kind: port,
    spec: { from: 'a', to: 'b', port: 80, expect: { fails: 'timeout' }, control: { from: 'c' } },
    is: 'pass',
    held: /c reaches b.*it starts at c, not at a: .*nothing of the way from a/,
  },
  {
    title: 'the same, where the container must accept',
    lab: published('running'),
    said: [accepts],
    kind: port,
    spec: { from: 'a', to: 'b', port: 8080, expect: { behind: 'open' } },
    is: 'fail',
    cause: 'refused',
  },
  {
    title: 'the same, where it does',
    lab: published('running'),
    said: [accepts, serves('b', 80)],
    kind: port,
    spec: { from: 'a', to: 'b', port: 8080, expect: { behind: 'open' } },
    is: 'pass',
  },
  {
    title: 'the same, where it does, and gets nothing of what another one accepts in its place',
    lab: published('running'),
    said: [accepts, serves('b', 80), receives('b/web', {})],
    kind: port,
    spec: { from: 'a', to: 'b', port: 8080, expect: { behind: 'open' } },
    is: 'fail',
    cause: 'wrong-answer',
    reason: /nothing of it came in at b\/web/,
  },
  {
    title: 'the same, where it gets it',
    lab: published('running'),
    said: [
      accepts,
      serves('b', 80),
      receives('b/web', { 'Ip.InReceives': 3, 'Ip.InDelivers': 3, 'Tcp.InSegs': 3, 'Tcp.PassiveOpens': 1 }),
    ],
    kind: port,
    spec: { from: 'a', to: 'b', port: 8080, expect: { behind: 'open' } },
    is: 'pass',
  },
  {
    title: 'one port of two addresses, published by two containers, of which that of the other address accepts',
    lab: publishedTwice,
    said: [accepts, { at: 'b', tool: 'perl', about: '172.17.0.2', port: 80, says: 'open 0.1' }],
    kind: port,
    spec: { from: 'a', to: 'b', port: 8080, expect: { behind: 'open' } },
    is: 'fail',
    cause: 'refused',
    reason: /the container mine behind it refuses/,
  },
);

describe('connectivity kinds, by what the tools said', () => {
  for (const one of cases) {
    it(`${one.title} → ${one.is}${one.cause === undefined ? '' : `, ${one.cause}`}`, async () => {
      reads = 0;
      const lab = fakeLab({ ...two, ...one.lab, said: one.said ?? [] });
      const outcome = await lab.check(one.kind, one.spec);
      const seen = `${outcome.reason} ${JSON.stringify(outcome.controls)}`;
      expect(outcome.verdict, seen).to.equal(one.is);
      if (one.cause !== undefined) expect(outcome.cause, seen).to.equal(one.cause);
      if (one.reason) expect(outcome.reason).to.match(one.reason);
      const said = (held: boolean): string =>
        (outcome.controls ?? [])
          .filter((control) => control.held === held)
          .map((control) => `${control.title}: ${control.seen}`)
          .join('\n');
      if (one.held) expect(said(true), seen).to.match(one.held);
      if (one.broken) expect(said(false), seen).to.match(one.broken);
    });
  }
  /** An attempt with less time than the probe waits, ended by its clock while the probe was under way. */
  async function endedByTheClock(kind: CheckKind<never>, spec: object): Promise<Outcome> {
    let leftMs = 300;
    const cut: Row = {
      tool: ['ping', 'perl', 'curl'],
      when: ({ argv }) => argv.some((word) => word.includes(B)),
      says: () => {
        leftMs = 0;
        return { timedOut: true };
      },
    };
    const lab = fakeLab({ ...two, said: [cut], timeLeftMs: () => leftMs });
    return lab.check(kind, { from: 'a', ...spec });
  }
  const clipped: [CheckKind<never>, object][] = [
    [ping, { to: B }],
    [port, { to: B, port: 80 }],
    [httpCheck as CheckKind<never>, { url: `http://${B}/` }],
  ];
  for (const [kind, spec] of clipped) {
    it(`${kind.name}: no answer came in the time there was: a failure where one must come, no proof where none may`, async () => {
      const positive = await endedByTheClock(kind, spec);
      expect(positive, positive.reason).to.include({ verdict: 'fail', cause: 'timeout' });
      const negative = await endedByTheClock(kind, { ...spec, expect: { fails: 'timeout' } });
      expect(negative.verdict, negative.reason).to.equal('inconclusive');
    });
  }

  it('take no check that cannot pass, or cannot fail', () => {
    const refuses = (spec: object): boolean => !pingCheck.schema.safeParse({ from: 'a', to: 'b', ...spec }).success;
    expect(refuses({ expect: { 'min-received': 5 } })).to.equal(true);
    expect(refuses({ expect: { 'min-received': 1, fails: 'timeout' } })).to.equal(true);
    expect(refuses({ count: 10, expect: { 'min-received': 5 } })).to.equal(false);
  });
});
