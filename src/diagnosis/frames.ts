import ipaddr from 'ipaddr.js';

/** What of a frame matters for following a packet. Addresses in canonical text. */
export interface SeenPacket {
  srcMac: string | null;
  dstMac: string | null;
  src: string;
  dst: string;
  proto: 'icmp' | 'tcp' | 'udp' | 'other';
  ttl: number;
  /** Bytes of the IP packet. */
  length: number;
  df: boolean;
  sport?: number;
  dport?: number;
  /** TCP. */
  seq?: number;
  ack?: number;
  flags?: number;
  /** TCP: the largest segment that the sender of a SYN takes, where it says so (RFC 9293, 3.7.1). */
  mss?: number;
  /** ICMP. */
  type?: number;
  code?: number;
  icmpId?: number;
  /** The packet that an ICMP error speaks of. */
  quoted?: SeenPacket;
  /** Packets around it, outermost first, where it was seen inside a tunnel. */
  around: { src: string; dst: string; dstMac: string | null; dport?: number; vni?: number }[];
}

/** An ARP packet or neighbour discovery message. */
export interface SeenNeighbour {
  ask: boolean;
  target: string;
  /** Who sent it; `''` where it did not say. */
  sender: string;
  senderMac: string;
  srcMac: string;
  dstMac: string;
}

export type SeenFrame = { packet: SeenPacket } | { neighbour: SeenNeighbour } | null;

const mac = (bytes: Buffer): string => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');

function address(bytes: Buffer): string {
  return ipaddr.fromByteArray([...bytes]).toString();
}

function readArp(data: Buffer, ends: { srcMac: string; dstMac: string }): SeenFrame {
  if (data.length < 28 || data.readUInt16BE(0) !== 1 || data.readUInt16BE(2) !== 0x0800) return null;
  const asks = data.readUInt16BE(6) === 1;
  const sender = address(data.subarray(14, 18));
  // An answer speaks of its sender.
  const target = asks ? address(data.subarray(24, 28)) : sender;
  return { neighbour: { ask: asks, target, sender, senderMac: mac(data.subarray(8, 14)), ...ends } };
}

function readDiscovery(packet: SeenPacket, data: Buffer): SeenFrame {
  if (data.length < 24 || (packet.type !== 135 && packet.type !== 136)) return null;
  const target = address(data.subarray(8, 24));
  const srcMac = packet.srcMac ?? '';
  return {
    neighbour: {
      ask: packet.type === 135,
      target,
      sender: packet.src,
      senderMac: srcMac,
      srcMac,
      dstMac: packet.dstMac ?? '',
    },
  };
}

interface Ends {
  srcMac: string | null;
  dstMac: string | null;
  around: SeenPacket['around'];
}

/** The option of that kind in a TCP header (RFC 9293, 3.1): its data, where it is there. */
function tcpOption(data: Buffer, kind: number): Buffer | null {
  const end = Math.min((data[12]! >> 4) * 4, data.length);
  for (let at = 20; at + 1 < end && data[at] !== 0;) {
    const length = data[at] === 1 ? 1 : data[at + 1]!;
    if (data[at] === kind) return length > 2 && at + length <= end ? data.subarray(at + 2, at + length) : null;
    at += Math.max(length, 1);
  }
  return null;
}

function readPorts(packet: SeenPacket, data: Buffer, tcp: boolean, quoted: boolean): SeenFrame {
  packet.proto = tcp ? 'tcp' : 'udp';
  packet.sport = data.readUInt16BE(0);
  packet.dport = data.readUInt16BE(2);
  if (tcp) packet.seq = data.readUInt32BE(4);
  if (tcp && data.length >= 14) {
    packet.ack = data.readUInt32BE(8);
    packet.flags = data[13]!;
    const mss = (packet.flags & 0x02) === 0 ? null : tcpOption(data, 2);
    if (mss?.length === 2) packet.mss = mss.readUInt16BE(0);
  }
  // A VXLAN header (RFC 7348): the I flag, reserved bits that are 0, and a network identifier, on whatever port.
  if (tcp || quoted || data.length < 16 + 14 || data.readUInt32BE(8) !== 0x08000000) return { packet };
  const outer = {
    src: packet.src,
    dst: packet.dst,
    dstMac: packet.dstMac,
    dport: packet.dport,
    vni: data.readUInt32BE(12) >>> 8,
  };
  return readEthernet(data.subarray(16), [...packet.around, outer]) ?? { packet };
}

function readIcmp(packet: SeenPacket, data: Buffer, six: boolean, quoted: boolean): SeenFrame {
  packet.proto = 'icmp';
  packet.type = data[0]!;
  packet.code = data[1]!;
  const echoes = six ? [128, 129] : [8, 0];
  if (echoes.includes(packet.type)) packet.icmpId = data.readUInt16BE(4);
  else if (!quoted && (six ? packet.type < 128 : [3, 5, 11, 12].includes(packet.type))) {
    const inner = readIp(data.subarray(8), { srcMac: null, dstMac: null, around: [] }, true);
    if (inner && 'packet' in inner) packet.quoted = inner.packet;
  } else if (six) return readDiscovery(packet, data) ?? { packet };
  return { packet };
}

function readTransport(packet: SeenPacket, data: Buffer, protocol: number, quoted: boolean): SeenFrame {
  if (data.length < 8) return { packet };
  if (protocol === 6 || protocol === 17) return readPorts(packet, data, protocol === 6, quoted);
  if (protocol === 1 || protocol === 58) return readIcmp(packet, data, protocol === 58, quoted);
  if (quoted) return { packet };
  const around = [...packet.around, { src: packet.src, dst: packet.dst, dstMac: packet.dstMac }];
  const ends = { srcMac: packet.srcMac, dstMac: packet.dstMac, around };
  if (protocol === 4 || protocol === 41) return readIp(data, ends, false) ?? { packet };
  // GRE (RFC 2784, RFC 2890): a header whose flags say which optional words follow; 0x6558 is Ethernet.
  if (protocol !== 47) return { packet };
  const flags = data.readUInt16BE(0);
  const at = 4 + (flags & 0x8000 ? 4 : 0) + (flags & 0x2000 ? 4 : 0) + (flags & 0x1000 ? 4 : 0);
  const inner = data.subarray(at);
  return (data.readUInt16BE(2) === 0x6558 ? readEthernet(inner, around) : readIp(inner, ends, false)) ?? { packet };
}

function readIp(data: Buffer, ends: Ends, quoted: boolean): SeenFrame {
  const version = (data[0] ?? 0) >> 4;
  const base = { ...ends, proto: 'other' as const };
  if (version === 4 && data.length >= 20) {
    const packet: SeenPacket = {
      ...base,
      src: address(data.subarray(12, 16)),
      dst: address(data.subarray(16, 20)),
      ttl: data[8]!,
      length: data.readUInt16BE(2),
      df: (data[6]! & 0x40) !== 0,
    };
    if ((data.readUInt16BE(6) & 0x1fff) !== 0) return { packet };
    return readTransport(packet, data.subarray((data[0]! & 15) * 4), data[9]!, quoted);
  }
  if (version === 6 && data.length >= 40) {
    const packet: SeenPacket = {
      ...base,
      src: address(data.subarray(8, 24)),
      dst: address(data.subarray(24, 40)),
      ttl: data[7]!,
      length: data.readUInt16BE(4) + 40,
      df: true,
    };
    return readTransport(packet, data.subarray(40), data[6]!, quoted);
  }
  return null;
}

function readEthernet(data: Buffer, around: SeenPacket['around']): SeenFrame {
  if (data.length < 14) return null;
  const ends = { dstMac: mac(data.subarray(0, 6)), srcMac: mac(data.subarray(6, 12)) };
  let at = 12;
  let type = data.readUInt16BE(at);
  while ((type === 0x8100 || type === 0x88a8) && data.length >= at + 6) {
    at += 4;
    type = data.readUInt16BE(at);
  }
  const rest = data.subarray(at + 2);
  if (type === 0x0806) return readArp(rest, ends);
  return type === 0x0800 || type === 0x86dd ? readIp(rest, { ...ends, around }, false) : null;
}

/** Hardware types (sockaddr_ll) whose frames begin with an Ethernet header: Ethernet and the loopback. */
const withEthernet: readonly number[] = [1, 772];

/** Reads a frame as a packet socket gives it. `null` for what is no IP packet and no question for a neighbour. */
export function readFrame(data: Buffer, hardware: number): SeenFrame {
  return withEthernet.includes(hardware)
    ? readEthernet(data, [])
    : readIp(data, { srcMac: null, dstMac: null, around: [] }, false);
}

/** An IP packet without layer 2, as nftables' trace shows its headers. */
export function readHeaders(network: Buffer, transport: Buffer): SeenPacket | null {
  const four = (network[0] ?? 0) >> 4 === 4;
  const head = four ? network.subarray(0, (network[0]! & 15) * 4) : network.subarray(0, 40);
  const read = readIp(Buffer.concat([head, transport]), { srcMac: null, dstMac: null, around: [] }, false);
  return read && 'packet' in read ? read.packet : null;
}
