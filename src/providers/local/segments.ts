import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { NetrigError } from '../../errors.js';
import type { Ledger } from '../../lab/ledger.js';
import { identify, type ProcessIdentity, signalProcess } from '../../lab/process.js';
import type { HostPlan, SegmentPlan } from '../../plan/lab-plan.js';
import { machineEnvironment, runCommand } from '../shared/command.js';

/** The network namespace in which a lab's segments are bridges. It lives as long as its holder process. */
export interface SegmentSpace {
  readonly holder: ProcessIdentity;
  /**
   * Joins a host's interfaces to their segments. `pid` is the host's PID 1 as the machine knows it; `again` says that an
   * earlier attempt at this host may have left its ends here. Rejects with NETRIG_SEGMENT.
   */
  wire(hostIndex: number, host: HostPlan, pid: number, again: boolean): Promise<void>;
  end(): void;
}

interface WireRequest {
  lines: string[];
  ports: string[];
  again: boolean;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/** Longest name of a network interface: IFNAMSIZ less the final NUL (netdevice(7)). */
const nameLimit = 15;
const commandTimeoutMs = 20_000;

/** A segment's bridge. The names are for people who look in; `+` keeps a stand-in for a long name apart from all others (`#` would begin a comment for `ip -batch`). */
export function bridgeName(index: number, segment: string): string {
  const name = `seg-${segment}`;
  return name.length <= nameLimit ? name : `seg+${index}`;
}

/** The segment's end of a host's interface. */
export function portName(hostIndex: number, host: string, nic: string): string {
  const name = `${host}.${nic}`;
  return name.length <= nameLimit ? name : `h+${hostIndex}.${nic}`;
}

/** The line for `ip -batch` that makes one bridge of a segment: no spanning tree, nothing dropped for want of a group's member. */
export function bridgeLine(name: string, segment: SegmentPlan): string {
  const mtu = segment.mtu === null ? '' : ` mtu ${segment.mtu}`;
  return `link add name ${name}${mtu} up type bridge stp_state 0 forward_delay 0 mcast_snooping 0`;
}

/** The lines for `ip -batch` that make the bridges. */
export function bridgeLines(segments: readonly SegmentPlan[]): string[] {
  return [
    'link set dev lo up',
    ...segments.map((segment, index) => bridgeLine(bridgeName(index, segment.name), segment)),
  ];
}

/** The lines for `ip -batch` that put one host's interfaces into its namespace, joined to their segments. */
export function wireLines(hostIndex: number, host: HostPlan, segments: readonly SegmentPlan[], pid: number): string[] {
  return host.interfaces.map((nic) => {
    const index = segments.findIndex((segment) => segment.name === nic.segment);
    const segment = segments[index];
    if (!segment)
      throw new NetrigError(
        'NETRIG_INTERNAL',
        `${host.name} has an interface on the segment "${nic.segment}", which the plan does not have.`,
      );
    const mtu = segment.mtu === null ? '' : ` mtu ${segment.mtu}`;
    return (
      `link add name ${portName(hostIndex, host.name, nic.name)}${mtu} master ${bridgeName(index, segment.name)} up ` +
      `type veth peer name ${nic.name}${mtu} address ${nic.mac} netns ${pid}`
    );
  });
}

// The bridges' own IPv6 would put its multicast on every segment, and br_netfilter would show the lab's frames to
// iptables. Both are set for this namespace alone.
const holderScript = `
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
for table in arp ip ip6; do
  file=/proc/sys/net/bridge/bridge-nf-call-\${table}tables
  [ ! -e "$file" ] || echo 0 >"$file"
done
ip -batch - <<END
$0
END
status=$?
[ "$status" = 0 ] || exit "$status"
echo ready
exec cat
`;

/**
 * Makes the namespace and its bridges. The holder process ends with this one, whatever becomes of it.
 * Rejects with NETRIG_SEGMENT.
 */
export async function makeSegments(segments: readonly SegmentPlan[], ledger: Ledger): Promise<SegmentSpace> {
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', 'unshare', '--net', 'sh', '-c', holderScript, bridgeLines(segments).join('\n')],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: machineEnvironment,
      detached: true,
    },
  );
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.on('error', () => undefined);
  const started = once(child, 'spawn');
  const ended = new Promise<never>((_, reject) => {
    child.on('error', (error) =>
      reject(new NetrigError('NETRIG_SEGMENT', `The namespace of the segments could not be made: ${error.message}.`)),
    );
    child.on('close', () =>
      reject(
        new NetrigError('NETRIG_SEGMENT', `The segments could not be made: ${stderr.trim() || 'their process ended'}.`),
      ),
    );
  });
  ended.catch(() => undefined);
  await Promise.race([started, ended]);
  const pid = child.pid;
  const holder = pid === undefined ? null : identify(pid);
  if (!holder)
    throw new NetrigError(
      'NETRIG_SEGMENT',
      `The segments could not be made: ${stderr.trim() || 'their process ended at once'}.`,
    );
  ledger.add({ kind: 'process', role: 'segments', ...holder });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      signalProcess(holder, 'SIGKILL');
      reject(new NetrigError('NETRIG_SEGMENT', `Making the segments took longer than ${commandTimeoutMs / 1000} s.`));
    }, commandTimeoutMs);
  });
  // Past this line the namespace lives as long as its lab does: the limit is for making it only.
  await Promise.race([once(child.stdout, 'data'), ended, late]).finally(() => clearTimeout(timer));

  return {
    holder,
    wire: wiring(holder, segments),
    end: () => {
      child.stdin.end();
      signalProcess(holder, 'SIGKILL');
    },
  };
}

/** How interfaces get into hosts, by that namespace. */
function wiring(holder: ProcessIdentity, segments: readonly SegmentPlan[]): SegmentSpace['wire'] {
  // Requests that come while one `ip` runs share the next: one process for many hosts when they boot at once.
  let waiting: WireRequest[] = [];
  let running = false;

  /** Answers why it failed, `null` when it did not. */
  async function batch(flags: readonly string[], lines: readonly string[]): Promise<string | null> {
    const argv = ['nsenter', `--net=/proc/${holder.pid}/ns/net`, 'ip', ...flags, '-batch', '-'] as const;
    const result = await runCommand([...argv], { stdin: `${lines.join('\n')}\n`, timeoutMs: commandTimeoutMs });
    return result.exitCode === 0 ? null : result.stderr.trim() || `exit status ${result.exitCode}`;
  }

  async function wireAlone(ports: readonly string[], lines: readonly string[]): Promise<void> {
    // Whatever an attempt before this one left; most of the time nothing, and then it fails.
    await batch(
      ['-force'],
      ports.map((port) => `link delete dev ${port}`),
    );
    for (const line of lines) {
      const why = await batch([], [line]);
      if (why !== null) throw new NetrigError('NETRIG_SEGMENT', `\`ip ${line}\` failed: ${why.split('\n')[0]}`);
    }
  }

  async function drain(): Promise<void> {
    running = true;
    while (waiting.length > 0) {
      const now = waiting;
      waiting = [];
      const why = now.some((one) => one.again)
        ? 'not the first attempt'
        : await batch(
            [],
            now.flatMap((one) => one.lines),
          );
      // `ip` stops at the first line that fails, which concerns one host only: each by itself tells which.
      if (why === null) for (const one of now) one.resolve();
      else for (const one of now) await wireAlone(one.ports, one.lines).then(one.resolve, one.reject);
    }
    running = false;
  }

  return (hostIndex, host, hostPid, again) =>
    new Promise<void>((resolve, reject) => {
      const lines = wireLines(hostIndex, host, segments, hostPid);
      if (lines.length === 0) return resolve();
      const ports = host.interfaces.map((nic) => portName(hostIndex, host.name, nic.name));
      waiting.push({ lines, ports, again, resolve, reject });
      if (!running) void drain();
    });
}
