import type { ExecOptions, ExecResult, RemoteProcess } from '../../src/ssh/ssh.js';
import type { Case } from './kind-table.js';

/** A packet of ICMP from one IPv4 address to another. */
export interface FakePacket {
  src: string;
  dst: string;
}

export interface CaptureSaid {
  /** What tcpdump sees of others. */
  packets: readonly FakePacket[];
  /** Whether it sees the frame that netrig itself sends last; default true. */
  own?: boolean;
  /** How many the kernel says that it dropped. */
  dropped?: number;
  /** tcpdump ends at once with these words. */
  refuses?: string;
}

function pcapHeader(): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(256, 16);
  header.writeUInt32LE(1, 20);
  return header;
}

function pcapRecord(frame: Buffer): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(1_700_000_000, 0);
  head.writeUInt32LE(frame.length, 8);
  head.writeUInt32LE(frame.length, 12);
  return Buffer.concat([head, frame]);
}

/** Ethernet, IPv4 without options, an echo request of eight bytes. */
function echoFrame({ src, dst }: FakePacket): Buffer {
  const bytes = (address: string): number[] => address.split('.').map(Number);
  const ip = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, ...bytes(src), ...bytes(dst)];
  return Buffer.from([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, ...ip, 8, 0, 0, 0, 0, 1, 0, 1]);
}

/** tcpdump, for one row: it sees packets, and perhaps netrig's own frame, and says at its end what the kernel dropped. */
export function fakeCapture({ packets, own = true, dropped = 0, refuses }: CaptureSaid): Pick<Case, 'said' | 'spawns'> {
  let emit: ((stream: 'stdout' | 'stderr', text: Buffer) => void) | null = null;
  return {
    said: [
      {
        tool: 'perl',
        when: ({ argv }) => argv[1] === '-e',
        says: ({ argv }) => {
          if (own) emit?.('stdout', pcapRecord(Buffer.from(argv.at(-1)!, 'hex')));
          return '';
        },
      },
    ],
    spawns: (host, argv, options: ExecOptions): RemoteProcess => {
      let end!: (result: ExecResult) => void;
      const done = new Promise<ExecResult>((resolve) => (end = resolve));
      const over = (): void =>
        end({
          host,
          command: argv.join(' '),
          exitCode: 0,
          timedOut: false,
          aborted: false,
          durationMs: 1,
          stdout: '',
          stderr: '',
          stdoutRaw: Buffer.alloc(0),
          stdoutBytes: 0,
          stderrBytes: 0,
        });
      emit = (stream, chunk) => void options.onOutput?.(stream, chunk);
      setImmediate(() => {
        if (refuses !== undefined) {
          emit!('stderr', Buffer.from(`${refuses}\n`));
          return over();
        }
        emit!(
          'stderr',
          Buffer.from('tcpdump: listening on eth0, link-type EN10MB (Ethernet), snapshot length 256 bytes\n'),
        );
        emit!('stdout', Buffer.concat([pcapHeader(), ...packets.map((one) => pcapRecord(echoFrame(one)))]));
      });
      return {
        pgid: Promise.resolve(4000),
        done,
        kill: () => {
          emit!(
            'stderr',
            Buffer.from(`0 packets captured\n0 packets received by filter\n${dropped} packets dropped by kernel\n`),
          );
          over();
          return Promise.resolve();
        },
      };
    },
  };
}
