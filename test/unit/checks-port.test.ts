import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import {
  causeOfError,
  connectCommand,
  connectProgram,
  icmpCause,
  readConnectOutput,
} from '../../src/probes/connect-probe.js';
import type { ConnectProbe, ConnectSighting } from '../../src/probes/connect-probe.js';
import { portCheck } from '../../src/checks/port.js';

/** Runs the program on this machine, against loopback only. */
function probe(request: ConnectProbe): Promise<ConnectSighting[] | null> {
  return new Promise((resolve, reject) => {
    const child = execFile('sh', ['-c', connectCommand(request)], (error, stdout, stderr) =>
      error ? reject(new Error(stderr)) : resolve(readConnectOutput(stdout, request.targets.length)),
    );
    child.stdin!.end(connectProgram);
  });
}

describe('the connect program, on loopback', () => {
  it('tells open from refused, for many targets at once, in their order', async () => {
    const server = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const sightings = await probe({
      proto: 'tcp',
      waitMs: 1000,
      targets: [
        { address: '127.0.0.1', port: 1 },
        { address: '127.0.0.1', port },
        { address: '127.0.0.2', port: 1 },
      ],
    });
    server.close();
    expect(sightings?.map(({ saw }) => saw)).to.deep.equal(['error', 'open', 'error']);
    expect(sightings?.[0]).to.include({ errno: 'ECONNREFUSED' });
  });
  it('puts a message with its length before it together, however it is cut up, and takes no part of one for it', async () => {
    const message = Buffer.concat([Buffer.from([0, 5]), Buffer.from('whole')]);
    const said: ((socket: Socket) => void)[] = [
      (socket) => {
        socket.write(message.subarray(0, 1));
        setTimeout(() => socket.write(message.subarray(1, 4)), 20);
        setTimeout(() => socket.write(message.subarray(4)), 40);
      },
      (socket) => socket.end(message.subarray(0, 4)),
      (socket) => socket.write(message.subarray(0, 4)),
    ];
    const servers = said.map((say) => createServer((socket) => say(socket)));
    await Promise.all(servers.map((one) => new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve))));
    const open: Socket[] = [];
    for (const one of servers) one.on('connection', (socket) => open.push(socket));
    const sightings = await probe({
      proto: 'framed',
      waitMs: 500,
      targets: servers.map((one) => ({
        address: '127.0.0.1',
        port: (one.address() as AddressInfo).port,
        payload: Buffer.from('?'),
      })),
    });
    for (const socket of open) socket.destroy();
    for (const one of servers) one.close();
    expect(sightings?.map(({ saw }) => saw)).to.deep.equal(['data', 'closed', 'mute']);
    expect((sightings![0] as { data: Buffer }).data.equals(message)).to.equal(true);
  });
  it('hands over datagrams as they are, hears of a closed UDP port, and calls silence silence', async () => {
    const socket = createSocket('udp4');
    const silent = createSocket('udp4');
    socket.on('message', (message, from) => socket.send(message, from.port));
    await Promise.all([socket, silent].map((one) => new Promise<void>((resolve) => one.bind(0, '127.0.0.1', resolve))));
    const payload = Buffer.from([0, 255, 10, 39, 34, 36]);
    const at = (one: typeof socket) => ({ address: '127.0.0.1', port: one.address().port, payload });
    const sightings = await probe({
      proto: 'udp',
      waitMs: 300,
      tries: 2,
      targets: [at(socket), { address: '127.0.0.1', port: 1 }, at(silent)],
    });
    socket.close();
    silent.close();
    expect(sightings?.map(({ saw }) => saw)).to.deep.equal(['data', 'error', 'silent']);
    expect((sightings![0] as { data: Buffer }).data.equals(payload)).to.equal(true);
    expect(causeOfError(sightings![1] as ConnectSighting & { saw: 'error' }, 4)).to.equal('refused');
  });
});

describe('what the connect program says', () => {
  it('is read to the last line or not at all', () => {
    expect(readConnectOutput('0 open 0.1\n1 silent\ndone\n', 2)).to.have.length(2);
    for (const text of [
      '',
      'done\n',
      '0 open 0.1\n',
      '0 open 0.1\n0 silent\ndone\n',
      '0 open 0.1\n5 silent\ndone\n',
      '0 opened\n1 silent\ndone\n',
      'Killed\n0 open 1\n1 silent\ndone\n',
    ])
      expect(readConnectOutput(text, 2), JSON.stringify(text)).to.equal(null);
  });
  it('becomes a cause by ICMP first, errno after', () => {
    const error = (where: 'local' | 'remote', errno: string, icmp: [number, number] | null = null) =>
      causeOfError({ saw: 'error', where, errno, icmp: icmp && { type: icmp[0], code: icmp[1], from: '10.0.0.9' } }, 4);
    expect(error('remote', 'EHOSTUNREACH', [3, 13])).to.equal('prohibited');
    expect(error('remote', 'EHOSTUNREACH', [3, 1])).to.equal('host-unreachable');
    expect(error('remote', 'ECONNREFUSED', [3, 3])).to.equal('refused');
    expect(error('remote', 'ENETUNREACH')).to.equal('net-unreachable');
    expect(error('local', 'ENETUNREACH')).to.equal('no-route');
    expect(error('local', 'EINVAL')).to.equal('no-route');
    expect(error('local', 'EMFILE')).to.equal(null);
    expect(icmpCause(1, 1, 6)).to.equal('prohibited');
    expect(icmpCause(8, 0, 4)).to.equal(null);
  });
});

describe('the shape of a port check', () => {
  const takes = (more: object): boolean =>
    portCheck.schema.safeParse({ from: 'node1', to: 'node2', port: 80, ...more }).success;
  it('takes causes alone or in a list, and nothing unknown', () => {
    expect(takes({})).to.equal(true);
    expect(takes({ expect: { fails: 'refused' } })).to.equal(true);
    expect(takes({ expect: { fails: ['refused', 'timeout'] } })).to.equal(true);
    for (const wrong of [
      { expect: { fails: 'unreachable' } },
      { expect: { fails: [] } },
      { expect: 'closed' },
      { port: 0 },
      { port: '80' },
      { proto: 'sctp' },
      { prot: 'tcp' },
      { wait: 5 },
    ])
      expect(takes(wrong), JSON.stringify(wrong)).to.equal(false);
  });
  it('has send and receive for both protocols, and what is behind a port for open TCP ports', () => {
    expect(takes({ proto: 'udp', send: 'x', expect: { receive: 'x' } })).to.equal(true);
    expect(takes({ send: 'x' })).to.equal(true);
    expect(takes({ expect: { behind: 'open' } })).to.equal(true);
    expect(takes({ proto: 'udp', expect: { behind: 'open' } })).to.equal(false);
    expect(takes({ expect: { behind: 'open', fails: 'refused' } })).to.equal(false);
  });
});
