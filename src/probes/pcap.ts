import ipaddr from 'ipaddr.js';

/** One layer-2 frame, or one IP packet where the capture has no layer 2, taken apart as far as its bytes go. */
export interface Frame {
  srcMac?: string;
  dstMac?: string;
  /** VLAN ids of the 802.1Q and 802.1ad tags, outermost first. */
  vlans: number[];
  /** `ipv4`, `ipv6`, `arp`, else the EtherType as `0x88cc`; absent where the frame was cut before it. */
  ethertype?: string;
  /** IP addresses; of an ARP packet the sender's and the target's. */
  src?: string;
  dst?: string;
  /** `icmp`, `icmpv6`, `tcp`, `udp`, `arp`, …, else the IP protocol number as text. */
  proto?: string;
  ttl?: number;
  /** Set on every fragment but the first, which has no ports. */
  laterFragment?: true;
  sport?: number;
  dport?: number;
  icmpType?: number;
  icmpCode?: number;
  /** Letters of RFC 9293's control bits that are set, in the order `FSRPAU`. */
  tcpFlags?: string;
  arpOperation?: 'request' | 'reply' | 'other';
  /** VXLAN network identifier (RFC 7348), 24 bits. */
  vni?: number;
  /** The frame inside a VXLAN packet. */
  inner?: Frame;
}

export interface Packet {
  /** Milliseconds since the epoch, with a fraction. */
  timeMs: number;
  capturedBytes: number;
  /** What went over the wire; larger than `capturedBytes` when the snap length cut it. */
  wireBytes: number;
  /** The captured bytes. */
  data: Buffer;
  frame: Frame;
}

/** Thrown for bytes that are no pcap file, or one of a link type that is not understood. */
export class PcapFormatError extends Error {
  override readonly name = 'PcapFormatError';
}

/** UDP ports that carry VXLAN: IANA's, and the one that Linux takes when none is given. */
export const vxlanPorts: readonly number[] = [4789, 8472];

// https://www.tcpdump.org/linktypes.html
const linkTypes = { ethernet: 1, raw: 101, linuxSll: 113, ipv4: 228, ipv6: 229, linuxSll2: 276 } as const;

const protocolNames: Record<number, string> = {
  1: 'icmp',
  2: 'igmp',
  4: 'ipip',
  6: 'tcp',
  17: 'udp',
  41: 'ipv6',
  47: 'gre',
  50: 'esp',
  51: 'ah',
  58: 'icmpv6',
  89: 'ospf',
  103: 'pim',
  112: 'vrrp',
  132: 'sctp',
};
/** IPv6 extension headers that have the common form "next header, length in units of 8 bytes, not counting the first 8". */
const skippableV6 = new Set([0, 43, 60, 135, 139, 140]);

function mac(data: Buffer, at: number): string {
  return [...data.subarray(at, at + 6)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function ipv4(data: Buffer, at: number): string {
  return data.subarray(at, at + 4).join('.');
}

function ipv6(data: Buffer, at: number): string {
  return ipaddr.fromByteArray([...data.subarray(at, at + 16)]).toString();
}

function readTransport(frame: Frame, protocol: number, data: Buffer, at: number, ports: readonly number[]): void {
  const left = data.length - at;
  switch (protocol) {
    case 1:
    case 58:
      if (left >= 2) {
        frame.icmpType = data[at]!;
        frame.icmpCode = data[at + 1]!;
      }
      return;
    case 6:
    case 17:
    case 132:
      if (left < 4) return;
      frame.sport = data.readUInt16BE(at);
      frame.dport = data.readUInt16BE(at + 2);
      if (protocol === 6 && left >= 14) {
        const bits = data[at + 13]!;
        frame.tcpFlags = [...'FSRPAU'].filter((_letter, bit) => (bits & (1 << bit)) !== 0).join('');
      }
      // RFC 7348: 8 bytes of header after UDP's 8; bit 3 of the flags says that the VNI is valid.
      if (protocol === 17 && ports.includes(frame.dport) && left >= 16 && (data[at + 8]! & 0x08) !== 0) {
        frame.vni = data.readUIntBE(at + 12, 3);
        frame.inner = readEthernet(data.subarray(at + 16), ports);
      }
  }
}

function readIpv4(frame: Frame, data: Buffer, at: number, ports: readonly number[]): void {
  if (data.length - at < 20 || data[at]! >> 4 !== 4) return;
  const headerBytes = (data[at]! & 15) * 4;
  if (headerBytes < 20) return;
  const protocol = data[at + 9]!;
  frame.src = ipv4(data, at + 12);
  frame.dst = ipv4(data, at + 16);
  frame.ttl = data[at + 8]!;
  frame.proto = protocolNames[protocol] ?? String(protocol);
  if ((data.readUInt16BE(at + 6) & 0x1fff) !== 0) {
    frame.laterFragment = true;
    return;
  }
  // Ethernet pads short frames: what comes after the packet's own length is not part of it. A length of 0 is what a
  // sender with segmentation offload leaves for the hardware to fill in.
  const totalLength = data.readUInt16BE(at + 2);
  const end = totalLength === 0 ? data.length : Math.min(data.length, at + totalLength);
  readTransport(frame, protocol, data.subarray(0, end), at + headerBytes, ports);
}

function readIpv6(frame: Frame, data: Buffer, at: number, ports: readonly number[]): void {
  if (data.length - at < 40 || data[at]! >> 4 !== 6) return;
  frame.src = ipv6(data, at + 8);
  frame.dst = ipv6(data, at + 24);
  frame.ttl = data[at + 7]!;
  let next = data[at + 6]!;
  let position = at + 40;
  for (;;) {
    if (next === 44) {
      if (data.length - position < 8) break;
      if ((data.readUInt16BE(position + 2) & 0xfff8) !== 0) {
        frame.laterFragment = true;
        frame.proto = protocolNames[data[position]!] ?? String(data[position]!);
        return;
      }
      next = data[position]!;
      position += 8;
    } else if (skippableV6.has(next)) {
      if (data.length - position < 8) break;
      next = data[position]!;
      position += (data[position + 1]! + 1) * 8;
    } else {
      frame.proto = protocolNames[next] ?? String(next);
      readTransport(frame, next, data, position, ports);
      return;
    }
  }
}

function readArp(frame: Frame, data: Buffer, at: number): void {
  frame.proto = 'arp';
  // Only Ethernet with IPv4 (RFC 826: hardware type 1, protocol type 0x0800, lengths 6 and 4).
  if (data.length - at < 28 || data.readUInt16BE(at) !== 1 || data.readUInt16BE(at + 2) !== 0x0800) return;
  const operation = data.readUInt16BE(at + 6);
  frame.arpOperation = operation === 1 ? 'request' : operation === 2 ? 'reply' : 'other';
  frame.src = ipv4(data, at + 14);
  frame.dst = ipv4(data, at + 24);
}

function readPayload(frame: Frame, etherType: number, data: Buffer, at: number, ports: readonly number[]): void {
  while ((etherType === 0x8100 || etherType === 0x88a8) && data.length - at >= 4) {
    frame.vlans.push(data.readUInt16BE(at) & 0x0fff);
    etherType = data.readUInt16BE(at + 2);
    at += 4;
  }
  switch (etherType) {
    case 0x0800:
      frame.ethertype = 'ipv4';
      return readIpv4(frame, data, at, ports);
    case 0x86dd:
      frame.ethertype = 'ipv6';
      return readIpv6(frame, data, at, ports);
    case 0x0806:
      frame.ethertype = 'arp';
      return readArp(frame, data, at);
    default:
      frame.ethertype = `0x${etherType.toString(16).padStart(4, '0')}`;
  }
}

function readEthernet(data: Buffer, ports: readonly number[]): Frame {
  const frame: Frame = { vlans: [] };
  if (data.length < 14) return frame;
  frame.dstMac = mac(data, 0);
  frame.srcMac = mac(data, 6);
  readPayload(frame, data.readUInt16BE(12), data, 14, ports);
  return frame;
}

function readFrame(linkType: number, data: Buffer, ports: readonly number[]): Frame {
  const frame: Frame = { vlans: [] };
  switch (linkType) {
    case linkTypes.ethernet:
      return readEthernet(data, ports);
    case linkTypes.linuxSll:
      if (data.length >= 16) {
        if (data.readUInt16BE(4) === 6) frame.srcMac = mac(data, 6);
        readPayload(frame, data.readUInt16BE(14), data, 16, ports);
      }
      return frame;
    case linkTypes.linuxSll2:
      if (data.length >= 20) {
        if (data[11] === 6) frame.srcMac = mac(data, 12);
        readPayload(frame, data.readUInt16BE(0), data, 20, ports);
      }
      return frame;
    default:
      if (data.length > 0) readPayload(frame, data[0]! >> 4 === 6 ? 0x86dd : 0x0800, data, 0, ports);
      return frame;
  }
}

/** Bytes of one packet beyond which a file is taken for damaged (libpcap's own limit is 256 KiB). */
const largestPacket = 262_144;

export interface PcapReader {
  /**
   * The packets that are complete with this chunk. Throws PcapFormatError for what is no pcap stream of a known link type.
   */
  push(chunk: Buffer): Packet[];
  /** `null` until the file header was read. */
  linkType(): number | null;
  /** Bytes that wait for the rest of their record: more than 0 at the end means that the file is cut off. */
  pendingBytes(): number;
}

/**
 * Reads a pcap stream as it arrives (the classic format of `tcpdump -w`, both byte orders, times in micro- or nanoseconds).
 * `ports` are the UDP ports that carry VXLAN.
 */
export function pcapReader(ports: readonly number[] = vxlanPorts): PcapReader {
  let pending: Buffer = Buffer.alloc(0);
  let header: { little: boolean; fraction: number; linkType: number } | null = null;

  const readHeader = (): void => {
    const magic = pending.readUInt32BE(0);
    const formats: Record<number, [little: boolean, fraction: number]> = {
      0xa1b2c3d4: [false, 1e3],
      0xd4c3b2a1: [true, 1e3],
      0xa1b23c4d: [false, 1e6],
      0x4d3cb2a1: [true, 1e6],
    };
    const format = formats[magic];
    if (format === undefined)
      throw new PcapFormatError(`no pcap file: it begins with 0x${magic.toString(16).padStart(8, '0')}`);
    const [little, fraction] = format;
    // The upper bits of the field tell about the frame check sequence, not about the link type.
    const linkType = (little ? pending.readUInt32LE(20) : pending.readUInt32BE(20)) & 0xffff;
    if (!Object.values<number>(linkTypes).includes(linkType))
      throw new PcapFormatError(`a capture of link type ${linkType}, which is not understood`);
    header = { little, fraction, linkType };
    pending = pending.subarray(24);
  };

  return {
    push(chunk) {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      const packets: Packet[] = [];
      if (header === null) {
        if (pending.length < 24) return packets;
        readHeader();
      }
      const { little, fraction, linkType } = header!;
      const word = (at: number): number => (little ? pending.readUInt32LE(at) : pending.readUInt32BE(at));
      while (pending.length >= 16) {
        const capturedBytes = word(8);
        if (capturedBytes > largestPacket)
          throw new PcapFormatError(`a damaged capture: a packet of ${capturedBytes} bytes`);
        if (pending.length < 16 + capturedBytes) break;
        // A copy: a slice would keep the whole chunk alive for as long as the packet is.
        const data = Buffer.from(pending.subarray(16, 16 + capturedBytes));
        packets.push({
          timeMs: word(0) * 1e3 + word(4) / fraction,
          capturedBytes,
          wireBytes: word(12),
          data,
          frame: readFrame(linkType, data, ports),
        });
        pending = pending.subarray(16 + capturedBytes);
      }
      return packets;
    },
    linkType: () => header?.linkType ?? null,
    pendingBytes: () => pending.length,
  };
}

/** A whole pcap file. A cut-off last packet is left out, and said. Throws PcapFormatError. */
export function parsePcap(
  file: Buffer,
  ports: readonly number[] = vxlanPorts,
): { linkType: number; packets: Packet[]; cutOff: boolean } {
  const reader = pcapReader(ports);
  const packets = reader.push(file);
  const linkType = reader.linkType();
  if (linkType === null) throw new PcapFormatError(`no pcap file: only ${file.length} bytes`);
  return { linkType, packets, cutOff: reader.pendingBytes() > 0 };
}

/** A frame in one line, as people read captures: `10.10.10.11:53412 > 10.10.10.12:4789 udp, VNI 4097 [10.0.1.2 > 10.0.1.4 icmp type 8]`. */
export function describeFrame(frame: Frame): string {
  const end = (address: string, port: number | undefined): string =>
    port === undefined ? address : address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  const tags = frame.vlans.map((vlan) => `vlan ${vlan} `).join('');
  if (frame.src === undefined || frame.dst === undefined) {
    if (frame.srcMac === undefined) return `${tags}${frame.ethertype ?? 'a frame cut short'}`;
    return `${tags}${frame.srcMac} > ${frame.dstMac ?? '?'} ${frame.proto ?? frame.ethertype ?? ''}`.trimEnd();
  }
  const about = [
    frame.arpOperation === undefined ? '' : ` ${frame.arpOperation}`,
    frame.icmpType === undefined ? '' : ` type ${frame.icmpType}`,
    frame.tcpFlags ? ` [${frame.tcpFlags}]` : '',
    frame.laterFragment ? ' fragment' : '',
  ].join('');
  const inner = frame.inner === undefined ? '' : ` [${describeFrame(frame.inner)}]`;
  return `${tags}${end(frame.src, frame.sport)} > ${end(frame.dst, frame.dport)} ${frame.proto ?? ''}${about}${frame.vni === undefined ? '' : `, VNI ${frame.vni}`}${inner}`;
}
