/**
 * The system call filter of an isolated host (seccomp(2)): it refuses what no namespace separates. Set by root of the machine
 * before the host's user namespace is entered, so that nobody inside can lift it; what the host runs inherits it.
 *
 * - AF_VSOCK sockets lead to the machine's hypervisor and its other guests, from every network namespace. Docker's default
 *   profile refuses them to containers likewise.
 * - io_uring makes sockets that a filter does not see.
 * - System calls of another architecture (32-bit programs, x32) have other numbers, and would pass.
 */

interface Architecture {
  /** AUDIT_ARCH_* of linux/audit.h, which a filter sees. */
  audit: number;
  seccomp: number;
  socket: number;
  /** Numbers from here on belong to another calling convention, where there is one: __X32_SYSCALL_BIT. */
  foreign?: number;
}

/** Numbers from the kernel's tables: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h. */
const architectures: Partial<Record<NodeJS.Architecture, Architecture>> = {
  x64: { audit: 0xc000003e, seccomp: 317, socket: 41, foreign: 0x40000000 },
  arm64: { audit: 0xc00000b7, seccomp: 277, socket: 198 },
};

/** The same on all architectures, as are all numbers from 424 on. */
const ioUringSetup = 425;

const afVsock = 40;
const eafnosupport = 97;
const enosys = 38;

const load = 0x20; // BPF_LD | BPF_W | BPF_ABS
const ifEqual = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const ifAtLeast = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const answer = 0x06; // BPF_RET | BPF_K
const allowed = 0x7fff0000; // SECCOMP_RET_ALLOW
const refusedWith = 0x00050000; // SECCOMP_RET_ERRNO

/** One instruction of classic BPF: what to do, how far to jump if it holds and if not, the constant. */
export type BpfInstruction = readonly [code: number, jumpTrue: number, jumpFalse: number, constant: number];

/** Offsets in struct seccomp_data; the low half of an argument comes first on both architectures. */
const numberAt = 0;
const architectureAt = 4;
const firstArgumentAt = 16;

/** The filter's program; `null` for an architecture whose numbers are not written down here. */
export function filterProgram(architecture: NodeJS.Architecture = process.arch): BpfInstruction[] | null {
  const own = architectures[architecture];
  if (!own) return null;
  return [
    [load, 0, 0, architectureAt],
    [ifEqual, 0, 8, own.audit],
    [load, 0, 0, numberAt],
    [ifAtLeast, 6, 0, own.foreign ?? 0xffffffff],
    [ifEqual, 5, 0, ioUringSetup],
    [ifEqual, 0, 2, own.socket],
    [load, 0, 0, firstArgumentAt],
    [ifEqual, 1, 0, afVsock],
    [answer, 0, 0, allowed],
    [answer, 0, 0, refusedWith | eafnosupport],
    [answer, 0, 0, refusedWith | enosys],
  ];
}

/** The filter for `machine-calls.ts`: number of seccomp(2), and the program as struct sock_filter, in hexadecimal. */
export function filterArguments(architecture: NodeJS.Architecture = process.arch): [string, string] | null {
  const program = filterProgram(architecture);
  const own = architectures[architecture];
  if (!program || !own) return null;
  const bytes = Buffer.alloc(8 * program.length);
  program.forEach(([code, jumpTrue, jumpFalse, constant], index) => {
    bytes.writeUInt16LE(code, 8 * index);
    bytes.writeUInt8(jumpTrue, 8 * index + 2);
    bytes.writeUInt8(jumpFalse, 8 * index + 3);
    bytes.writeUInt32LE(constant, 8 * index + 4);
  });
  return [String(own.seccomp), bytes.toString('hex')];
}
