import { linkOf } from './world.js';
import type { Sighting } from './world.js';

/** A block (draft-ietf-opsawg-pcapng, section 3.1): type, length, body padded to 32 bits, length again. */
function block(type: number, body: Buffer): Buffer {
  const padded = Buffer.concat([body, Buffer.alloc((4 - (body.length % 4)) % 4)]);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(padded.length + 12, 4);
  return Buffer.concat([head, padded, head.subarray(4)]);
}

function option(code: number, value: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(code, 0);
  head.writeUInt16LE(value.length, 2);
  return Buffer.concat([head, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
}

/** LINKTYPE_ETHERNET and LINKTYPE_RAW. */
const linkTypes = { ethernet: 1, raw: 101 } as const;

function interfaceBlock(name: string, hardware: number): Buffer {
  const fixed = Buffer.alloc(8);
  fixed.writeUInt16LE(hardware === 1 || hardware === 772 ? linkTypes.ethernet : linkTypes.raw, 0);
  return block(1, Buffer.concat([fixed, option(2, Buffer.from(name)), option(0, Buffer.alloc(0))]));
}

function packetBlock(sighting: Sighting, at: number): Buffer {
  const micros = BigInt(Math.round(sighting.timeMs * 1000));
  const fixed = Buffer.alloc(20);
  fixed.writeUInt32LE(at, 0);
  fixed.writeUInt32LE(Number(micros >> 32n), 4);
  fixed.writeUInt32LE(Number(micros & 0xffffffffn), 8);
  fixed.writeUInt32LE(sighting.data.length, 12);
  fixed.writeUInt32LE(sighting.wireBytes, 16);
  const padding = Buffer.alloc((4 - (sighting.data.length % 4)) % 4);
  // epb_flags: 1 inbound, 2 outbound.
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE(sighting.way === 'out' ? 2 : 1, 0);
  const options = Buffer.concat([option(2, flags), option(0, Buffer.alloc(0))]);
  return block(6, Buffer.concat([fixed, sighting.data, padding, options]));
}

/** All sightings as one pcapng file, in the order of time; each interface is named `PLACE:INTERFACE`. */
export function pcapng(sightings: readonly Sighting[]): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(0x1a2b3c4d, 0);
  header.writeUInt16LE(1, 4);
  header.writeBigInt64LE(-1n, 8);
  const names = new Map<string, number>();
  const interfaces: Buffer[] = [];
  const packets = sightings.map((sighting) => {
    const link = linkOf(sighting.space, sighting.ifindex)?.name ?? String(sighting.ifindex);
    const name = `${sighting.space.label}:${link}`;
    const at = names.get(name) ?? names.size;
    if (!names.has(name)) {
      names.set(name, at);
      interfaces.push(interfaceBlock(name, sighting.hardware));
    }
    return packetBlock(sighting, at);
  });
  return Buffer.concat([block(0x0a0d0d0a, header), ...interfaces, ...packets]);
}
