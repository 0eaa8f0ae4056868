/**
 * What a lab's host is not given of the engine's machine. A host needs much: systemd, an engine of its own and networks take
 * CAP_SYS_ADMIN and CAP_NET_ADMIN, and its root is root of the engine's machine. So this keeps accidents apart, not people;
 * docs/container.md says what is left.
 */

/** Capabilities, without `CAP_`, that neither systemd nor an engine nor a lab needs, and that reach past all namespaces. */
export const droppedCapabilities: readonly string[] = [
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_TIME',
  'SYS_PACCT',
  'SYSLOG',
  'MAC_ADMIN',
  'MAC_OVERRIDE',
  'AUDIT_CONTROL',
  'AUDIT_READ',
  'WAKE_ALARM',
  'BLOCK_SUSPEND',
  // open_by_handle_at(2): any file of a file system of which one directory is in sight.
  'DAC_READ_SEARCH',
];

/**
 * Devices that may be opened beyond those that every container has: tun for overlays and OVS, fuse. All may be made by
 * mknod(1), as in every container, and disks among them be opened by none.
 */
export const deviceRules: readonly string[] = ['c 10:200 rwm', 'c 10:229 rwm'];

/** AF_VSOCK of linux/socket.h: sockets to whatever runs this machine, in no namespace. */
const vsock = 40;

const refusedCalls: readonly string[] = [
  ...['init_module', 'finit_module', 'delete_module', 'kexec_load', 'kexec_file_load'],
  ...['open_by_handle_at', 'acct', 'swapon', 'swapoff', 'quotactl', 'syslog', 'iopl', 'ioperm'],
  ...['settimeofday', 'clock_settime', 'stime'],
  ...['perf_event_open', 'userfaultfd', 'io_uring_setup', 'io_uring_enter', 'io_uring_register'],
];

const errno = (number: number): object => ({ action: 'SCMP_ACT_ERRNO', errnoRet: number });

/**
 * The system call filter as Docker takes it. All is allowed but what is named: Docker's own profile, which the containers of a
 * host's engine get, would refuse mounts and namespaces to systemd.
 */
const seccompProfile = {
  defaultAction: 'SCMP_ACT_ALLOW',
  syscalls: [
    // EPERM, as Docker's profile says; io_uring with ENOSYS, at which programs take the older way.
    { names: refusedCalls.filter((name) => !name.startsWith('io_uring')), ...errno(1) },
    { names: refusedCalls.filter((name) => name.startsWith('io_uring')), ...errno(38) },
    // EAFNOSUPPORT.
    { names: ['socket'], ...errno(97), args: [{ index: 0, value: vsock, op: 'SCMP_CMP_EQ' }] },
  ],
};

/** `filters`: whether the engine has system call filters at all (its security options name them). */
export function securityOptions(filters: boolean): string[] {
  return [`seccomp=${filters ? JSON.stringify(seccompProfile) : 'unconfined'}`, 'apparmor=unconfined', 'label=disable'];
}
