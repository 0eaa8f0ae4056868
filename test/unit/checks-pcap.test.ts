import { expect } from 'chai';
import { readFileSync } from 'node:fs';
import { describeFrame, parsePcap, PcapFormatError, pcapReader } from '../../src/probes/pcap.js';
import type { Frame } from '../../src/probes/pcap.js';

interface Format {
  little?: boolean;
  nano?: boolean;
  linkType?: number;
  snap?: number;
}

/** A pcap file by the format's description (draft-ietf-opsawg-pcap), independent of the code under test. */
function pcapFile(frames: Buffer[], { little = true, nano = false, linkType = 1, snap = 65_535 }: Format = {}): Buffer {
  const word = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    if (little) bytes.writeUInt32LE(value);
    else bytes.writeUInt32BE(value);
    return bytes;
  };
  const half = (value: number): Buffer => {
    const bytes = Buffer.alloc(2);
    if (little) bytes.writeUInt16LE(value);
    else bytes.writeUInt16BE(value);
    return bytes;
  };
  const header = [word(nano ? 0xa1b23c4d : 0xa1b2c3d4), half(2), half(4), word(0), word(0), word(snap), word(linkType)];
  const records = frames.flatMap((frame) => {
    const kept = frame.subarray(0, snap);
    return [word(1_700_000_000), word(nano ? 250_000_000 : 250_000), word(kept.length), word(frame.length), kept];
  });
  return Buffer.concat([...header, ...records]);
}

const hex = (...parts: string[]): Buffer => Buffer.from(parts.join('').replaceAll(/\s/g, ''), 'hex');
const macs = '0242 0a00 0001 0242 0a00 0002';
const ipv4Header = (protocol: string, length: string, fragment = '4000'): string =>
  `4500 ${length} 0001 ${fragment} 40 ${protocol} 0000 0a000002 0a000003`;
const tcpSyn = hex(macs, '0800', ipv4Header('06', '0028'), '9c40 0050 00000001 00000000 5002 ffff 0000 0000');

function one(frame: Buffer, format: Format = {}): Frame {
  const { packets } = parsePcap(pcapFile([frame], format));
  expect(packets).to.have.length(1);
  return packets[0]!.frame;
}

describe('pcap files', () => {
  it('reads a capture of a ping over an overlay network', () => {
    const { packets, linkType, cutOff } = parsePcap(
      readFileSync(new URL('../../../test/fixtures/pcap/overlay-swarm-ping.pcap', import.meta.url)),
    );
    expect({ linkType, cutOff, count: packets.length }).to.deep.equal({ linkType: 1, cutOff: false, count: 3 });
    expect(packets.map((packet) => describeFrame(packet.frame))).to.deep.equal([
      '10.10.10.11:49056 > 10.10.10.12:4789 udp, VNI 4097 [10.0.1.2 > 10.0.1.4 icmp type 8]',
      '10.10.10.12:49056 > 10.10.10.11:4789 udp, VNI 4097 [10.0.1.4 > 10.0.1.2 icmp type 0]',
      '10.10.10.11 > 224.0.0.1 icmp type 8',
    ]);
    expect(packets[0]!.frame).to.deep.include({ srcMac: 'b2:8c:f0:75:35:5e', dstMac: 'ee:4e:9f:f8:3c:05', ttl: 64 });
    expect(packets[0]!.frame.inner).to.deep.include({
      srcMac: '02:42:0a:00:01:02',
      dstMac: '02:42:0a:00:01:04',
      icmpCode: 0,
    });
    expect(packets[0]!.wireBytes).to.equal(148);
  });

  for (const little of [true, false]) {
    for (const nano of [true, false]) {
      it(`reads ${little ? 'little' : 'big'} endian, ${nano ? 'nanoseconds' : 'microseconds'}`, () => {
        const { packets } = parsePcap(pcapFile([tcpSyn, tcpSyn], { little, nano }));
        expect(packets.map((packet) => packet.timeMs)).to.deep.equal([1_700_000_000_250, 1_700_000_000_250]);
        expect(packets[1]!.frame).to.deep.include({
          src: '10.0.0.2',
          dst: '10.0.0.3',
          proto: 'tcp',
          sport: 40_000,
          dport: 80,
          tcpFlags: 'S',
        });
      });
    }
  }

  it('reads packets as they arrive, byte by byte', () => {
    const reader = pcapReader();
    const counts: number[] = [];
    for (const byte of pcapFile([tcpSyn, tcpSyn])) counts.push(reader.push(Buffer.from([byte])).length);
    expect(counts.reduce((sum, n) => sum + n, 0)).to.equal(2);
    expect(reader.pendingBytes()).to.equal(0);
  });

  it('says when the last packet is cut off', () => {
    const file = pcapFile([tcpSyn, tcpSyn]);
    const { packets, cutOff } = parsePcap(file.subarray(0, file.length - 5));
    expect({ count: packets.length, cutOff }).to.deep.equal({ count: 1, cutOff: true });
  });

  it('takes apart what a short snap length leaves, at every length', () => {
    for (let snap = 0; snap <= tcpSyn.length; snap += 1) {
      const frame = one(tcpSyn, { snap });
      expect(frame.dport, `snap length ${snap}`).to.equal(snap >= 38 ? 80 : undefined);
      expect(frame.src, `snap length ${snap}`).to.equal(snap >= 34 ? '10.0.0.2' : undefined);
    }
  });

  it('reads VLAN tags, also two', () => {
    const tagged = hex(macs, '88a8 0064 8100 600a 0800', ipv4Header('01', '001c'), '0800 0000 0000 0000');
    expect(one(tagged)).to.deep.include({ vlans: [100, 10], proto: 'icmp', icmpType: 8, ethertype: 'ipv4' });
  });

  it('reads ARP', () => {
    const request = hex(
      'ffff ffff ffff 0242 0a00 0002',
      '0806',
      '0001 0800 06 04 0001',
      '0242 0a00 0002 0a000002',
      '0000 0000 0000 0a000003',
    );
    expect(one(request)).to.deep.include({
      proto: 'arp',
      arpOperation: 'request',
      src: '10.0.0.2',
      dst: '10.0.0.3',
      dstMac: 'ff:ff:ff:ff:ff:ff',
    });
    expect(describeFrame(one(request))).to.equal('10.0.0.2 > 10.0.0.3 arp request');
  });

  it('reads IPv6 behind extension headers, and VXLAN over it', () => {
    const inner = hex(macs, '0800', ipv4Header('01', '001c'), '0000 0000 0000 0000');
    const vxlan = Buffer.concat([hex('c000 12b5 0000 0000', '0800 0000 123456 00'), inner]);
    const payload = Buffer.concat([hex('1100 0000 0000 0000'), vxlan]);
    const header = hex(
      '6000 0000',
      payload.length.toString(16).padStart(4, '0'),
      '00 40',
      'fd00 0000 0000 0000 0000 0000 0000 0001',
      'fd00 0000 0000 0000 0000 0000 0000 0002',
    );
    const frame = one(Buffer.concat([hex(macs, '86dd'), header, payload]));
    expect(frame).to.deep.include({
      src: 'fd00::1',
      dst: 'fd00::2',
      proto: 'udp',
      sport: 49_152,
      dport: 4789,
      vni: 0x123456,
    });
    expect(frame.inner).to.deep.include({ proto: 'icmp', icmpType: 0 });
  });

  it('takes no VNI from a packet whose I flag is not set, and none from another port', () => {
    const udp = (port: string, flags: string): Frame =>
      one(
        Buffer.concat([
          hex(macs, '0800', ipv4Header('11', '0032'), `c000 ${port} 0000 0000`, `${flags}00 0000 000001 00`),
          hex(macs, '0800'),
        ]),
      );
    expect(udp('12b5', '08').vni).to.equal(1);
    expect(udp('2118', '08').vni).to.equal(1);
    expect(udp('12b5', '00').vni).to.equal(undefined);
    expect(udp('1234', '08').vni).to.equal(undefined);
  });

  it('reads no ports from a later fragment, nor from padding', () => {
    expect(one(hex(macs, '0800', ipv4Header('11', '0024', '0010'), '0035 0035 0000 0000 aaaa'))).to.deep.equal({
      vlans: [],
      srcMac: '02:42:0a:00:00:02',
      dstMac: '02:42:0a:00:00:01',
      ethertype: 'ipv4',
      src: '10.0.0.2',
      dst: '10.0.0.3',
      ttl: 64,
      proto: 'udp',
      laterFragment: true,
    });
    expect(one(hex(macs, '0800', ipv4Header('11', '0016'), 'aaaa bbbb cccc')).sport).to.equal(undefined);
  });

  it('reads captures without Ethernet', () => {
    const ip = tcpSyn.subarray(14);
    expect(one(ip, { linkType: 101 })).to.deep.include({ dport: 80, ethertype: 'ipv4' });
    expect(one(Buffer.concat([hex('0000 0001 0006 0242 0a00 0002 0000 0800'), ip]), { linkType: 113 })).to.deep.include(
      { srcMac: '02:42:0a:00:00:02', dport: 80 },
    );
    expect(
      one(Buffer.concat([hex('0800 0000 00000002 0001 00 06 0242 0a00 0002 0000'), ip]), { linkType: 276 }),
    ).to.deep.include({ srcMac: '02:42:0a:00:00:02', dport: 80 });
  });

  it('refuses what is no pcap file, and what it does not understand', () => {
    expect(() => parsePcap(Buffer.from('tcpdump: eth9: No such device exists'))).to.throw(
      PcapFormatError,
      /it begins with 0x74637064/,
    );
    expect(() => parsePcap(Buffer.alloc(0))).to.throw(PcapFormatError, /only 0 bytes/);
    expect(() => parsePcap(pcapFile([], { linkType: 147 }))).to.throw(PcapFormatError, /link type 147/);
    const damaged = pcapFile([tcpSyn]);
    damaged.writeUInt32LE(0x7fffffff, 24 + 8);
    expect(() => parsePcap(damaged)).to.throw(PcapFormatError, /damaged/);
  });
});
