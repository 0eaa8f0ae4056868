import { expect } from 'chai';
import { bridgeCheck } from '../../src/checks/bridge.js';
import { possibleEnds } from '../../src/facts/links.js';
import type { Link } from '../../src/facts/links.js';
import { parseNamespaceIds } from '../../src/facts/netns-ids.js';
import { fileCheck, parseStat } from '../../src/checks/file.js';
import { failed, findings, matchSet } from '../../src/judging/finding.js';
import type { CheckKind } from '../../src/checks/kind.js';
import { parseMountinfo } from '../../src/facts/mountinfo.js';
import { joinTables, parseTable } from '../../src/facts/ovs-table.js';
import { ovsCheck } from '../../src/checks/ovs.js';
import {
  ownProcesses,
  parseHolders,
  parsePasswd,
  parsePids,
  parseProcesses,
  parseSockets,
} from '../../src/facts/proc-listing.js';
import { processCheck } from '../../src/checks/process.js';
import { parseShow, serviceCheck } from '../../src/checks/service.js';
import { areWellMade } from './well-made-kinds.js';

const kinds = [processCheck, serviceCheck, fileCheck, bridgeCheck, ovsCheck] as CheckKind<never>[];

describe('kinds of check about bridges, Open vSwitch, processes, services and files', () => {
  areWellMade(kinds);

  const mistakes: [CheckKind, unknown, RegExp][] = (
    [
      [processCheck, { on: 'node1' }, /must say which process/],
      [processCheck, { on: 'node1', name: 'sixteen-letters-' }, /15 characters/],
      [processCheck, { on: 'node1', name: 'a', expect: { absent: true, count: 1 } }, /has no properties/],
      [serviceCheck, { on: 'node1', unit: 'two words' }, /must be the name of a unit/],
      [serviceCheck, { on: 'node1', unit: '-p' }, /must be the name of a unit/],
      [
        serviceCheck,
        { on: 'node1', unit: 'ssh', expect: { properties: { lower: 1 } } },
        /must be the name of a property/,
      ],
      [serviceCheck, { on: 'node1', unit: 'ssh', expect: { absent: true, active: 'active' } }, /has no properties/],
      [fileCheck, { on: 'node1', path: 'etc' }, /absolute path/],
      [fileCheck, { on: 'node1', path: '/proc/self/status' }, /whoever reads it/],
      [fileCheck, { on: 'node1/netns:blue', path: '/etc' }, /no file system of its own/],
      [fileCheck, { on: 'node1', path: '/etc', expect: { absent: true, mode: '0755' } }, /has no properties/],
      [bridgeCheck, { on: 'node1' }, /exactly one of the keys interface and network/],
      [
        bridgeCheck,
        { on: 'node1', interface: 'br0', network: 'net1' },
        /exactly one of the keys interface and network/,
      ],
      [bridgeCheck, { on: 'node1/netns:a', network: 'net1' }, /goes with a host only/],
      [bridgeCheck, { on: 'node1', interface: 'br0', expect: { members: ['node2/one'] } }, /on another host/],
      [bridgeCheck, { on: 'node1', interface: 'br0', expect: { members: ['eth1', 'eth1'] } }, /names a member twice/],
      [bridgeCheck, { on: 'node1', network: 'net1', expect: { absent: true } }, /goes with interface/],
      [ovsCheck, { on: 'node1' }, /must ask for something/],
      [ovsCheck, { on: 'node1', port: 'a', expect: { tag: 1 } }, /a port is one of a bridge/],
      [ovsCheck, { on: 'node1', bridge: 'br0', expect: { tag: 1 } }, /is no property of a bridge/],
      [ovsCheck, { on: 'node1', bridge: 'br0', port: 'a', expect: { ports: [] } }, /is no property of a port/],
      [ovsCheck, { on: 'node1', bridge: 'br0', port: 'a', select: { a: 'b' } }, /name one of them/],
      [ovsCheck, { on: 'node1', bridge: 'br0', expect: { absent: true, stp: false } }, /has no properties/],
    ] as [CheckKind<never>, unknown, RegExp][]
  ).map(([kind, body, message]) => [kind as CheckKind, body, message]);
  for (const [kind, body, message] of mistakes) {
    it(`${kind.name} refuses ${JSON.stringify(body)}`, () => {
      expect(JSON.stringify(kind.schema.safeParse(body).error?.issues)).to.match(message);
    });
  }
});

describe('findings', () => {
  it('compare sets without order, and nothing else', () => {
    expect(matchSet(['b', 'a'], ['a', 'b']).ok).to.equal(true);
    expect(matchSet([6, 5], [5, 6]).ok).to.equal(true);
    expect(matchSet(['a'], ['a', 'b']).ok).to.equal(false);
    expect(matchSet([], ['a']).ok).to.equal(false);
    expect(matchSet([{ matches: '^a' }], ['ab']).ok).to.equal(true);
    expect(matchSet({ contains: 'a' }, ['a', 'b']).ok).to.equal(true);
  });
  it('make one failure of all that is wrong', () => {
    const wrong = findings({ a: 1, b: 2, c: undefined }, { a: 1, b: 3, c: 4 });
    expect(wrong.map((one) => one.name)).to.deep.equal(['b']);
    expect(failed('it', wrong)).to.deep.equal({
      verdict: 'fail',
      cause: 'wrong-value',
      reason: 'it: b is 3, expected 2',
      expected: 'b: 2',
      actual: 'b: 3',
    });
  });
});

describe('/proc as grep and find give it', () => {
  const status = (pid: number, name: string, ppid = 1, uid = '0\t0\t0\t0'): string =>
    `/proc/${pid}/status:Name:\t${name}\n/proc/${pid}/status:State:\tS (sleeping)\n/proc/${pid}/status:PPid:\t${ppid}\n/proc/${pid}/status:Uid:\t${uid}\n`;

  it('becomes processes, whatever stands in names and arguments', () => {
    const text = status(7, 'a\\nb\\\\n:', 1, '1000\t33\t0\t0') + status(8, 'kthreadd', 0);
    const cmdline = '/proc/7/cmdline:/bin/a\0/proc/7/cmdline:\0/proc/7/cmdline:/proc/9/cmdline:x\ny\0';
    expect(parseProcesses(text, cmdline, '/proc/7/ns/net net:[4026531840]\n')).to.deep.equal([
      {
        pid: 7,
        name: 'a\nb\\n:',
        argv: ['/bin/a', '', '/proc/9/cmdline:x\ny'],
        parent: 1,
        uid: 33,
        state: 'S',
        netns: 'net:[4026531840]',
      },
      { pid: 8, name: 'kthreadd', argv: [], parent: 0, uid: 0, state: 'S', netns: null },
    ]);
  });
  it('leaves out what ended meanwhile, and refuses what it does not know', () => {
    expect(parseProcesses('/proc/9/status:Name:\tgone\n', '', '')).to.deep.equal([]);
    expect(parseProcesses('grep: something\n', '', '')).to.equal(null);
    expect(parseProcesses('', 'no record', '')).to.equal(null);
  });
  it('tells netrig’s own processes from those of the host', () => {
    const process = (pid: number, parent: number, ...argv: string[]) => ({
      pid,
      parent,
      argv,
      name: argv[0]!.split(/[: ]/)[0]!.split('/').at(-1)!,
      uid: 0,
      state: 'S',
      netns: null,
    });
    const own = (self: number, units: number[], ...all: ReturnType<typeof process>[]): number[] =>
      [...ownProcesses(all, self, new Set(units))].sort((a, b) => a - b);
    const started = ['sh', '-c', 'sh -c "$1"; echo $? >"$2"', 'sh', 'exec sleep 9', '/var/log/netrig/1-x.exit'];
    // A host with systemd: sshd by netrig's own socket unit; a connection that waits; what a step has started.
    expect(
      own(
        121,
        [96, 119, 121, 106, 107, 130],
        process(1, 0, '/lib/systemd/systemd'),
        process(96, 1, 'sshd: [accepted]'),
        process(99, 1, 'sshd: /usr/sbin/sshd -D [listener] 0 of 200-400 startups'),
        process(106, 1, ...started),
        process(107, 106, 'sleep', '9'),
        process(119, 1, 'sshd: root@notty', ''),
        process(121, 119, 'sh', '-c', '…'),
        process(122, 121, 'grep', '…'),
        // A background command of a step, and a server of SSH that a step has started: the scenario's.
        process(130, 1, 'sleep', '10'),
        process(131, 1, 'sshd: /usr/sbin/sshd -p 2222 [listener] 0 of 10-100 startups'),
      ),
    ).to.deep.equal([96, 106, 119, 121, 122]);
    // A light host: what was put into it from outside has no parent there; nobody but netrig asked for its first process.
    expect(
      own(
        64,
        [],
        process(1, 0, 'sleep', 'infinity'),
        process(43, 0, 'sshd: [accepted]'),
        process(62, 0, 'sshd: root@notty'),
        process(64, 62, 'sh', '-c', '…'),
        process(70, 0, 'sleep', '5'),
      ),
    ).to.deep.equal([1, 43, 62, 64]);
    // A machine that exists: others are connected as well, through the same listener, and their sessions count.
    expect(
      own(
        503,
        [],
        process(1, 0, '/sbin/init'),
        process(500, 1, 'sshd: /usr/sbin/sshd -D [listener] 1 of 10-100 startups'),
        process(501, 500, 'sshd-session: root [priv]'),
        process(502, 501, 'sshd-session: root@notty'),
        process(503, 502, 'sh', '-c', '…'),
        process(504, 502, 'ping', '10.0.0.1'),
        process(601, 500, 'sshd-session: bob [priv]'),
        process(602, 601, '-bash'),
      ),
    ).to.deep.equal([501, 502, 503, 504]);
    // An older sshd, whose listener has no title.
    expect(
      own(
        22,
        [],
        process(1, 0, '/sbin/init'),
        process(20, 1, '/usr/sbin/sshd', '-D'),
        process(21, 20, 'sshd: root@notty'),
        process(22, 21, 'sh', '-c', '…'),
      ),
    ).to.deep.equal([21, 22]);
  });
  it('becomes pids, holders of sockets, names of users', () => {
    expect([
      ...parsePids('/proc/3/cgroup:9:pids:/docker/a\n/proc/3/cgroup:8:cpu:/docker/a\n/proc/14/cgroup:0::/docker/a\n'),
    ]).to.deep.equal([3, 14]);
    expect(
      [...parseHolders('/proc/3/fd socket:[5]\n/proc/3/fd socket:[6]\nrubbish\n')].map(([pid, inodes]) => [
        pid,
        [...inodes],
      ]),
    ).to.deep.equal([[3, [5, 6]]]);
    expect([
      ...parsePasswd('root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\nbad\nnobody:x:65534:65534::/:\n'),
    ]).to.deep.equal([
      [0, 'root'],
      [65534, 'nobody'],
    ]);
  });

  const heading = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
  const socket = (local: string, state: string): string =>
    `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 5443 1 0000000065899d5e 100 0 0 10 0\n`;
  it('becomes listening sockets', () => {
    expect(parseSockets(heading + socket('0100007F:A483', '0A') + socket('0B0A0A0A:0016', '01'), 'tcp')).to.deep.equal([
      { protocol: 'tcp', address: '127.0.0.1', port: 42115, inode: 5443 },
    ]);
    expect(parseSockets(socket('00000000000000000000000001000000:0016', '0A'), 'tcp')?.[0]).to.include({
      address: '::1',
      port: 22,
    });
    expect(parseSockets(socket('00000000000000000000000000000000:0016', '07'), 'udp')?.[0]).to.include({
      address: '::',
    });
    expect(parseSockets(socket('000080FE00000000FF005450B61D71FE:0016', '0A'), 'tcp')?.[0]).to.include({
      address: 'fe80::5054:ff:fe71:1db6',
    });
    expect(parseSockets(socket('0000000000000000FFFF00000100007F:0016', '0A'), 'tcp')?.[0]).to.include({
      address: '::ffff:7f00:1',
    });
    expect(parseSockets(socket('0100007F:0035', '0A'), 'udp')).to.deep.equal([]);
    expect(parseSockets('cat: /proc/9/net/tcp: No such file\n', 'tcp')).to.equal(null);
  });
});

describe('systemctl show', () => {
  it('is read strictly; what occurs several times keeps its lines', () => {
    expect([...parseShow('Id=ssh.service\nExecStartPre=a=b\nExecStartPre=c\nUser=\n')!]).to.deep.equal([
      ['Id', 'ssh.service'],
      ['ExecStartPre', 'a=b\nc'],
      ['User', ''],
    ]);
    expect(parseShow('Failed to connect to bus')).to.equal(null);
  });
});

describe('stat and mount table', () => {
  it('read modes and types', () => {
    expect(parseStat('81a4 0 33 1333')).to.deep.equal({ type: 'file', mode: '0644', uid: 0, gid: 33, size: 1333 });
    expect(parseStat('a1ff 0 0 4')).to.include({ type: 'symlink', mode: '0777' });
    expect(parseStat('43ff 0 0 4096')).to.include({ type: 'directory', mode: '1777' });
    expect(parseStat('stat: cannot')).to.equal(null);
  });
  it('read mounts with their optional fields and escapes', () => {
    const [tmpfs, bind] = parseMountinfo(
      '66 131 0:63 / /m\\040t rw,nosuid shared:1 master:2 - tmpfs mine ro,size=64k\n47 46 254:0 /a/b /data ro,relatime - ext4 /dev/vda rw,discard\n',
    )!;
    expect(tmpfs).to.deep.equal({
      at: '/m t',
      root: '/',
      source: 'mine',
      fstype: 'tmpfs',
      options: ['ro', 'nosuid', 'size=64k'],
    });
    expect(bind).to.deep.equal({
      at: '/data',
      root: '/a/b',
      source: '/dev/vda',
      fstype: 'ext4',
      options: ['ro', 'relatime', 'discard'],
    });
    expect(parseMountinfo('tmpfs /tmp tmpfs rw 0 0\n')).to.equal(null);
  });
});

describe('ends of veth pairs', () => {
  const veth = (ifname: string, ifindex: number, link_index: number, link_netnsid?: number): Link => ({
    ifname,
    ifindex,
    link_index,
    flags: [],
    linkinfo: { info_kind: 'veth' },
    ...(link_netnsid === undefined ? {} : { link_netnsid }),
  });
  it('need both indexes, and another namespace', () => {
    const ports = [veth('a', 5, 4, 1), veth('b', 7, 6, 2), veth('c', 9, 8)];
    expect(
      possibleEnds(ports, [veth('eth0', 4, 5, 0), veth('eth1', 6, 99, 0), veth('eth2', 8, 9, 0)]).map(
        (one) => one.ifname,
      ),
    ).to.deep.equal(['a']);
  });
  it('are told apart by the ids that the bridge’s namespace has for others, two names of one namespace too', () => {
    const inodes = '/mnt/netns/m0 100\n/mnt/netns/m1 200\n/mnt/netns/m2 100\n';
    expect(parseNamespaceIds('[{"nsid":0},{"nsid":3,"name":"m2"}]', inodes, 3)).to.deep.equal([3, null, 3]);
    expect(parseNamespaceIds('', inodes, 3)).to.deep.equal([null, null, null]);
    expect(parseNamespaceIds('[{"nsid":3,"name":"m1"}]', `/mnt/netns/here 100\n${inodes}`, 3)).to.deep.equal([
      'same',
      3,
      'same',
    ]);
    expect(parseNamespaceIds('Error', inodes, 3)).to.equal(null);
    expect(parseNamespaceIds('[]', inodes, 4)).to.equal(null);
  });
});

describe('tables of Open vSwitch', () => {
  const bridge =
    '{"data":[[["uuid","b"],["set",[]],["set",[]],"br0",["set",[["uuid","p0"],["uuid","p1"]]],["map",[["k","v"]]]]],"headings":["_uuid","controller","fail_mode","name","ports","external_ids"]}';
  const port =
    '{"data":[[["uuid","p0"],"br0",["uuid","i0"],["set",[]],["set",[]]],[["uuid","p1"],"va",["uuid","i1"],10,5]],"headings":["_uuid","name","interfaces","tag","trunks"]}';
  const iface =
    '{"data":[[["uuid","i0"],"br0","internal"],[["uuid","i1"],"va",""]],"headings":["_uuid","name","type"]}';
  const nothing = '{"data":[],"headings":["_uuid"]}';

  it('become bridges with their ports, without the bridge’s own', () => {
    const joined = joinTables({
      bridge: parseTable(bridge)!,
      port: parseTable(port)!,
      interface: parseTable(iface)!,
      controller: parseTable(nothing)!,
    });
    expect(joined).to.have.length(1);
    expect(joined![0]!.row).to.deep.equal({
      _uuid: 'b',
      controller: [],
      name: 'br0',
      ports: ['p0', 'p1'],
      external_ids: { k: 'v' },
    });
    expect(joined![0]!.ports).to.deep.equal([
      {
        name: 'va',
        row: { _uuid: 'p1', name: 'va', interfaces: ['i1'], tag: 10, trunks: [5] },
        interfaces: [{ _uuid: 'i1', name: 'va', type: '' }],
      },
    ]);
  });
  it('are refused when they do not fit together', () => {
    expect(
      joinTables({ bridge: parseTable(bridge)!, port: [], interface: parseTable(iface)!, controller: [] }),
    ).to.equal(null);
    expect(parseTable('ovs-vsctl: no such table')).to.equal(null);
    expect(parseTable('{"data":[["a"]],"headings":["_uuid","name"]}')).to.equal(null);
  });
});
