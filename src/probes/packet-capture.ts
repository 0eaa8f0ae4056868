import { beside } from '../places/vantage.js';
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Control } from '../model/verdict.js';
import type { RemoteProcess } from '../ssh/ssh.js';
import { askIp, lastLine } from '../facts/answer.js';
import type { ProbeContext } from '../places/context.js';
import type { Vantage } from '../places/vantage.js';
import { PcapFormatError, pcapReader } from './pcap.js';
import type { Packet } from './pcap.js';

/** Enough for every header, the inner ones of VXLAN over IPv6 included, and for the mark of netrig's own packets. */
const snapBytes = 256;
/** tcpdump ends by itself after this many, so that a busy link fills nobody's memory. */
export const mostPackets = 20_000;
/** Packets of netrig's own that show at the end that the capture saw what there was to see. */
export interface Beacon {
  /** Clause of the filter that lets them through. */
  filter: string;
  /** Sends one; to a group, so that no neighbour has to answer first. */
  argv: string[];
  mark: Buffer;
  text: string;
}

const zBeaconLink = z.looseObject({
  ifindex: z.number(),
  ifname: z.string(),
  link_type: z.string(),
  address: z.string().optional(),
  addr_info: z.array(z.looseObject({ family: z.string().optional(), tentative: z.boolean().optional() })).default([]),
});
type BeaconLink = z.output<typeof zBeaconLink>;

/** "Local Experimental EtherType 1" (IEEE 802, 9.2.3): no protocol of a lab has it, and no stack takes it. */
const beaconEthertype = 0x88b5;
/** Kept for later standards (IEEE 802.1Q, table 8-1): nobody sends there, and no bridge forwards it, so that the frame ends at the link. */
const reservedAddress = '01:80:c2:00:00:0c';

/**
 * Sends one frame through a packet socket (packet(7)) that is bound to nothing: INDEX FRAME_HEX. It needs no address, passes no
 * rule of the host's, and a capture on the interface sees it as it leaves.
 */
const sendFrameProgram =
  'use strict; use Socket; sub fail { print STDERR "$_[0]: $!\\n"; exit 2 } my ($index, $hex) = @ARGV; my $frame = pack("H*", $hex); ' +
  'socket(my $s, 17, SOCK_RAW, 0) or fail("no packet socket"); ' +
  'defined send($s, $frame, 0, pack("S n l S C C a8", 17, unpack("x12 n", $frame), $index, 0, 0, 6, substr($frame, 0, 6))) or fail("not sent");';

function frameBeacon(link: BeaconLink, mark: Buffer): Beacon {
  const source = link.address ?? '00:00:00:00:00:00';
  const head = Buffer.from(`${reservedAddress}${source}${beaconEthertype.toString(16)}`.replaceAll(':', ''), 'hex');
  // 60 bytes is the shortest frame of Ethernet.
  const frame = Buffer.concat([head, mark], 60);
  return {
    // By its addresses. What libpcap 1.10 makes of `vlan` is wrong after `ether proto` (a tag is looked for in the frame, while
    // the kernel has taken it out of those that came in) and after `ether[12:2]` (both use one register).
    filter: `ether dst ${reservedAddress} and ether src ${source}`,
    argv: ['perl', '-e', sendFrameProgram, String(link.ifindex), frame.toString('hex')],
    mark,
    text: `a frame of its own on ${link.ifname}`,
  };
}

/** For interfaces without frames of Ethernet: an echo request to all hosts of the link, which Linux does not answer. */
function pingBeacon(link: BeaconLink, ping: string[], mark: Buffer): Beacon | null {
  if (link.addr_info.some((info) => info.family === 'inet'))
    return {
      filter: 'icmp and dst host 224.0.0.1',
      argv: [...ping, '-I', link.ifname, '224.0.0.1'],
      mark,
      text: `a ping of its own from ${link.ifname} to 224.0.0.1`,
    };
  if (link.addr_info.some((info) => info.family === 'inet6' && info.tentative !== true))
    return {
      filter: 'icmp6 and dst host ff02::1',
      argv: [...ping, '-6', '-I', link.ifname, 'ff02::1'],
      mark,
      text: `a ping of its own from ${link.ifname} to ff02::1`,
    };
  return null;
}

/**
 * How to send a packet of our own over the interface: a frame of an experimental type where it carries Ethernet, else an echo
 * request; over loopback a ping to itself. The payload is a random pattern, by which the packet is known.
 */
export async function beaconFor(
  context: ProbeContext,
  vantage: Vantage,
  name: string,
): Promise<Beacon | { none: string }> {
  const mark = randomBytes(16);
  const ping = ['ping', '-c', '1', '-W', '0.01', '-p', mark.toString('hex')];
  if (name === 'any' || name === 'lo')
    return {
      filter: 'icmp and dst host 127.0.0.1',
      argv: [...ping, '127.0.0.1'],
      mark,
      text: 'a ping of its own to 127.0.0.1',
    };
  const answer = await askIp(context, vantage, ['addr'], zBeaconLink);
  if ('unknown' in answer) return { none: answer.unknown };
  if ('refusal' in answer) return { none: answer.refusal };
  const link = answer.items.find((one) => one.ifname === name);
  if (link === undefined)
    return {
      none: `${vantage.label} has no interface ${name}; it has ${answer.items.map((one) => one.ifname).join(', ')}`,
    };
  if (link.link_type === 'ether') return frameBeacon(link, mark);
  return (
    pingBeacon(link, ping, mark) ?? {
      none: `${name} of ${vantage.label} carries no Ethernet and has no address to send a packet of its own from`,
    }
  );
}

export interface RunningCapture {
  process: RemoteProcess;
  /** Packets that are not netrig's own. */
  packets: Packet[];
  beaconsSeen(): number;
  stderr(): string;
  over(): boolean;
  /** Throws what ended the connection to the host, if something did. */
  rethrow(): void;
  damaged(): string | null;
  bytes(): Buffer;
  /** Settles to whether `met` became true within `ms`; asked again whenever something arrives. */
  until(met: () => boolean, ms: number): Promise<boolean>;
}

/** The name that the interface has on the machine itself, which may be another one than the scenario's. */
function deviceOf(vantage: Vantage, name: string): string {
  if (vantage.endpoint.kind !== 'host') return name;
  return vantage.host.plan.interfaces.find((one) => one.name === name)?.device ?? name;
}

export interface CaptureRequest {
  interface: string;
  filter: string | undefined;
  beacon: Beacon | null;
  /** UDP ports whose packets are read as VXLAN. */
  vxlanPorts: readonly number[];
}

function tcpdumpArgv(device: string, filter: string | undefined, beacon: Beacon | null): string[] {
  // The beacon's clause stands first: the keyword vlan shifts what follows it in an expression (pcap-filter(7)).
  const expression =
    filter === undefined ? [] : [beacon === null ? `(${filter})` : `(${beacon.filter}) or (${filter})`];
  return [
    ...['tcpdump', '-n', '-i', device, '-w', '-', '-U', '--immediate-mode'],
    ...['-s', String(snapBytes), '-c', String(mostPackets), ...expression],
  ];
}

/** Those who wait for something to become true; asked again whenever something arrives. */
class Waiting {
  private readonly looks = new Set<() => void>();

  /** Settles to whether `met` became true within `ms`, or before `over` did; rejects with what `met` throws. */
  until(met: () => boolean, over: () => boolean, ms: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const settle = (last: boolean): void => {
        try {
          const now = met();
          if (!now && !last && !over()) return;
          this.looks.delete(look);
          clearTimeout(timer);
          resolve(now);
        } catch (error) {
          this.looks.delete(look);
          clearTimeout(timer);
          reject(error as Error);
        }
      };
      const look = (): void => settle(false);
      const timer = setTimeout(() => settle(true), Math.max(0, ms));
      this.looks.add(look);
      look();
    });
  }

  look(): void {
    for (const look of [...this.looks]) look();
  }
}

/** Begins to capture. Rejects nothing by itself: what ended the connection to the host is thrown by `rethrow`. */
export function startCapture(vantage: Vantage, context: ProbeContext, request: CaptureRequest): RunningCapture {
  const { beacon } = request;
  const reader = pcapReader(request.vxlanPorts);
  const chunks: Buffer[] = [];
  const packets: Packet[] = [];
  const waiting = new Waiting();
  let beacons = 0;
  let stderr = '';
  let over = false;
  let damaged: string | null = null;
  const take = (chunk: Buffer): void => {
    chunks.push(chunk);
    try {
      for (const packet of reader.push(chunk)) {
        if (beacon !== null && packet.data.includes(beacon.mark)) beacons += 1;
        else packets.push(packet);
      }
    } catch (error) {
      if (!(error instanceof PcapFormatError)) throw error;
      damaged = error.message;
    }
  };
  const argv = tcpdumpArgv(deviceOf(vantage, request.interface), request.filter, beacon);
  const process = beside(vantage).host.spawn(beside(vantage).enter(argv), {
    timeoutMs: Math.max(1000, context.timeLeftMs()),
    signal: context.signal,
    keepBytes: 1 << 16,
    onOutput: (stream, chunk) => {
      if (stream === 'stderr') stderr += chunk.toString('utf8');
      else if (damaged === null) take(Buffer.from(chunk));
      waiting.look();
    },
  });
  let lost: { error: unknown } | null = null;
  const ended = (): void => {
    over = true;
    waiting.look();
  };
  process.done.then(ended, (error: unknown) => {
    lost = { error };
    ended();
  });
  return {
    process,
    packets,
    beaconsSeen: () => beacons,
    stderr: () => stderr,
    over: () => over,
    rethrow: () => {
      if (lost !== null) throw lost.error;
    },
    damaged: () => damaged,
    bytes: () => Buffer.concat(chunks),
    until: (met, ms) => waiting.until(met, () => over, ms),
  };
}

/** Ends tcpdump so that it writes its statistics; settles when it is gone. */
export async function stopCapture(capture: RunningCapture): Promise<void> {
  for (const signal of ['INT', 'TERM', 'KILL'] as const) {
    if (capture.over()) return;
    await capture.process.kill(signal);
    if (await capture.until(() => capture.over(), 2000)) return;
  }
}

/** Sends a packet of our own until it arrives: what was on the link before it has then arrived too, since a capture keeps the order. */
export async function sendBeacon(
  context: ProbeContext,
  vantage: Vantage,
  capture: RunningCapture,
  beacon: Beacon,
): Promise<Control> {
  const title = `the capture sees ${beacon.text}, sent last`;
  const before = capture.beaconsSeen();
  let words = '';
  for (let attempt = 1; attempt <= 3 && !capture.over(); attempt += 1) {
    const from = beside(vantage);
    const sent = from.host.exec(from.enter(beacon.argv), { timeoutMs: 3000, signal: context.signal });
    const [result] = await Promise.all([
      sent,
      capture.until(() => capture.beaconsSeen() > before, Math.min(1000, context.timeLeftMs())),
    ]);
    if (capture.beaconsSeen() > before)
      return { title, held: true, seen: attempt === 1 ? 'it arrived' : `it arrived at attempt ${attempt}` };
    // ping ends with 1 when nobody answers, as here; 2 and above is that it could not send.
    if (result.exitCode !== 1 && result.exitCode !== 0)
      words =
        lastLine(result.stderr) || `${beacon.argv[0]} ended with ${result.exitCode ?? result.signal ?? 'no'} status`;
  }
  return { title, held: false, seen: words === '' ? 'it did not arrive' : words };
}

/** What tcpdump says at its end; `null` when it did not. */
export function readDropped(stderr: string): number | null {
  const line = /^(\d+) packets? dropped by kernel$/m.exec(stderr);
  return line === null ? null : Number(line[1]);
}
