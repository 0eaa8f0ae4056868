import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex, Readable, Writable } from 'node:stream';
import { NetrigError } from '../../errors.js';
import { outerIds } from '../../lab/outer-users.js';
import { ownRootWords } from '../../lab/own-root.js';
import { identify, type ProcessIdentity } from '../../lab/process.js';
import { gate, uplink } from '../../model/uplink.js';
import type { LabPlan } from '../../plan/lab-plan.js';
import { findProgram, machineEnvironment } from './command.js';

/**
 * The way of a host to the outside: two slirp4netns, ordinary processes of the machine, which speak TCP and UDP for the host as any
 * program of the machine would. The machine's own network gets no address, route or interface by it.
 *
 *     host ── uplink0 ── slirp4netns in the gate ── gate0 ── slirp4netns of the machine ── outside
 *
 * Why two: slirp4netns opens a connection to wherever a packet of the host goes, also to 127.0.0.1, if the host's root routes that
 * through the uplink (its --disable-host-loopback forbids the other names of the loopback only). The gate is a network namespace
 * that no host can touch: what is meant for the loopback ends at its own, which is down. Link-local addresses, at which clouds give
 * credentials to their machines, end there, too.
 */

export const uplinkProgram = { name: 'slirp4netns', debianPackage: 'slirp4netns' } as const;

/** Where a plan wants a way to the outside: throws NETRIG_TOOL_MISSING without slirp4netns, NETRIG_NO_ROOT where netrig runs without root. */
export function requireUplinkProgram(plan: LabPlan, find = findProgram, withoutRoot = outerIds() !== null): void {
  const host = plan.hosts.find((one) => one.outside);
  if (!host) return;
  if (withoutRoot)
    throw new NetrigError('NETRIG_NO_ROOT', `${host.name} has \`outside: true\`, which root alone can give it.`, {
      hint: 'Leave `outside` out, or run as root: docs/without-root.md says what differs.',
    });
  if (find(uplinkProgram.name) !== null) return;
  throw new NetrigError(
    'NETRIG_TOOL_MISSING',
    `${host.name} has \`outside: true\`, and \`${uplinkProgram.name}\` is not installed.`,
    { hint: `Install Debian's package: \`apt-get install ${uplinkProgram.debianPackage}\`.` },
  );
}

/** Lines for `ip -batch` in the host: the lab's own addresses and routes win, whatever they are. */
export const uplinkLines: readonly string[] = [
  `address add ${uplink.address}/24 brd + dev ${uplink.device}`,
  `link set dev ${uplink.device} up`,
  `route add default via ${uplink.gateway} dev ${uplink.device} metric ${uplink.metric}`,
];

/** Run in the gate, which waits for its own way out first. Arguments: what its name server is, then the program to become. */
const gateScript = `set -eu
mount --bind "$1" /etc/resolv.conf
shift
echo made
read -r go
[ "$go" = go ]
ip -batch - <<END
address add ${gate.address}/24 dev ${gate.device}
link set dev ${gate.device} up
route add default via ${gate.gateway}
route add prohibit 169.254.0.0/16
END
exec "$@" </dev/null >/dev/null`;

interface Started {
  process: ProcessIdentity;
  stdin: Writable;
  /** The first bytes at its standard output. */
  made: Promise<unknown>;
  /** Its interface is there. */
  ready: Promise<unknown>;
  /** Rejects with its last words. */
  ended: Promise<never>;
}

/** A program that ends with this process, with the pipes that slirp4netns is told of. */
async function startProgram(argv: readonly string[], own: (identity: ProcessIdentity) => void): Promise<Started> {
  const [program = '', ...words] = [...ownRootWords(), 'setpriv', '--pdeathsig', 'KILL', ...argv];
  const child = spawn(program, words, {
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
    env: machineEnvironment,
    cwd: '/',
    detached: true,
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2000)));
  const [ready, exit] = [child.stdio[3] as Duplex, child.stdio[4] as Duplex];
  for (const pipe of [child.stdin, ready, exit]) pipe.on('error', () => undefined);
  const ended = new Promise<never>((_, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      const last = said.trim().split('\n').at(-1);
      reject(new Error(`its way to the outside could not be made: ${last || `${argv[0]} ended with ${code}`}`));
    });
  });
  ended.catch(() => undefined);
  const first = (stream: Readable): Promise<unknown> => once(stream, 'data').catch(() => ended);
  const [made, isReady] = [first(child.stdout), first(ready)];
  await Promise.race([once(child, 'spawn'), ended]);
  const process = child.pid === undefined ? null : identify(child.pid);
  if (!process) return ended;
  own(process);
  // It keeps nobody from ending: it ends with whoever started it.
  child.unref();
  for (const pipe of [child.stdin, child.stdout, child.stderr, ready, exit])
    (pipe as unknown as { unref?(): void }).unref?.();
  return { process, stdin: child.stdin, made, ready: isReady, ended };
}

function slirp({ subnet, device }: { subnet: string; device: string }, pid: number): string[] {
  return [
    ...[uplinkProgram.name, '--mtu=1500', `--cidr=${subnet}`, '--disable-host-loopback'],
    ...['--enable-sandbox', '--enable-seccomp', '--ready-fd=3', '--exit-fd=4', String(pid), device],
  ];
}

/**
 * Starts the way to the outside of the host with that PID 1, whose boot script waits meanwhile, and answers when its interface is
 * there, with the processes that it is made of. They end with this process: by its death, and by their pipes. `device`: what the
 * interface is called, where several are in one network namespace.
 *
 * `directory`: of the lab, for a file that says where names are asked for. Rejects with an Error that has the last words of what failed.
 */
export async function startUplink(
  pid1: ProcessIdentity,
  directory: string,
  own: (identity: ProcessIdentity) => void,
  device: string = uplink.device,
): Promise<ProcessIdentity[]> {
  const names = join(directory, 'uplink-resolv.conf');
  writeFileSync(names, `nameserver ${gate.nameServer}\n`);
  const inside = await startProgram(
    [
      'unshare',
      '--net',
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      gateScript,
      'sh',
      names,
      ...slirp({ subnet: uplink.subnet, device }, pid1.pid),
    ],
    own,
  );
  await Promise.race([inside.made, inside.ended]);
  const outer = await startProgram(slirp(gate, inside.process.pid), own);
  await Promise.race([outer.ready, outer.ended]);
  inside.stdin.write('go\n');
  await Promise.race([inside.ready, inside.ended]);
  return [inside.process, outer.process];
}
