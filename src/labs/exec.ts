import { constants } from 'node:os';
import { NetrigError } from '../errors.js';
import { parseVantage, type Vantage } from '../language/endpoint.js';
import { nearestFirst, whatItHas } from '../language/wording.js';
import { exitStatus } from '../model/verdict.js';
import type { LabPlan } from '../plan/lab-plan.js';
import type { RunningLab } from '../providers/provider.js';
import { openSession } from '../session/session.js';
import type { ExecOptions, ExecResult, HostConnection } from '../ssh/ssh.js';
import { quoteArgv } from '../ssh/quote.js';

/** As `timeout(1)` has it. */
const timedOutStatus = 124;

/** `ip netns` keeps namespaces in one place, the engine those of its overlay networks in another. */
const intoNamespace =
  'if [ -e "/run/netns/$0" ]; then exec ip netns exec "$0" "$@"; else exec nsenter --net="/var/run/docker/netns/$0" -- "$@"; fi';

/** @throws NETRIG_USAGE for what names no place of a lab, NETRIG_HOST_UNKNOWN where the lab has no such host. */
export function placeNamed(endpoint: string, { hosts }: Pick<LabPlan, 'hosts'>): Vantage {
  const place = parseVantage(endpoint);
  const names = hosts.map(({ name }) => name);
  const near = nearestFirst(endpoint.split('/')[0]!, names);
  if (!place)
    throw new NetrigError('NETRIG_USAGE', `"${endpoint}" is neither a host nor a container or namespace of a host.`, {
      hint: `The hosts are ${near}. Write HOST, HOST/CONTAINER, or HOST/netns:NAME for a network namespace.`,
    });
  if (!names.includes(place.host))
    throw new NetrigError('NETRIG_HOST_UNKNOWN', `The lab has no host "${place.host}"${whatItHas(place.host, names)}.`);
  return place;
}

const engineSocket = '/var/run/docker.sock';

/** @throws NETRIG_USAGE for a container of a host that has no engine: `docker` would only say that it does not hear one. */
export async function refuseWithoutEngine(
  place: Vantage,
  { hosts }: Pick<LabPlan, 'hosts'>,
  connection: HostConnection,
): Promise<void> {
  if (place.kind !== 'container' || hosts.find(({ name }) => name === place.host)?.engine !== false) return;
  // Steps may have brought one all the same.
  if ((await connection.exec(['test', '-S', engineSocket])).exitCode === 0) return;
  throw new NetrigError('NETRIG_USAGE', `${place.host} has no engine, and so no containers.`, {
    hint: `Write ${place.host} for the host itself, or ${place.host}/netns:NAME for a network namespace.`,
  });
}

/** The command as its host runs it, so that it runs in the place. */
export function argvIn(place: Vantage, command: readonly string[], options: { stdin: boolean }): string[] {
  switch (place.kind) {
    case 'host':
      return [...command];
    case 'container':
      return ['docker', 'exec', ...(options.stdin ? ['-i'] : []), place.container, ...command];
    case 'netns':
      return ['sh', '-c', intoNamespace, place.netns, ...command];
  }
}

/**
 * Runs a command on a host, in a container or in a namespace of a lab that is up.
 *
 * @param options As for one SSH command; of the output nothing more than the beginning and the end is kept.
 * @throws NETRIG_USAGE, NETRIG_HOST_UNKNOWN, NETRIG_SSH_*.
 */
export async function execIn(
  lab: RunningLab,
  endpoint: string,
  command: readonly string[],
  options: ExecOptions = {},
): Promise<ExecResult> {
  if (command.length === 0)
    throw new NetrigError('NETRIG_USAGE', 'There is no command to run.', {
      hint: 'Write it after --, such as: netrig exec node1 -- ip addr',
    });
  const place = placeNamed(endpoint, lab.plan);
  const session = openSession(lab);
  try {
    const connection = await session.connection(place.host, options.signal);
    await refuseWithoutEngine(place, lab.plan, connection);
    return await connection.exec(argvIn(place, command, { stdin: options.stdin !== undefined }), {
      keepBytes: 1024,
      ...options,
    });
  } finally {
    await session.close();
  }
}

/** The exit status of a command as a shell gives it: 128 and the signal's number for one that a signal ended. */
export function statusOf(result: Pick<ExecResult, 'exitCode' | 'signal' | 'timedOut' | 'aborted'>): number {
  if (result.timedOut) return timedOutStatus;
  if (result.aborted) return exitStatus.interrupted;
  if (result.exitCode !== null) return result.exitCode;
  const numbers: Record<string, number> = constants.signals;
  return 128 + (numbers[`SIG${result.signal ?? ''}`] ?? 0);
}

/** What its host runs on a terminal for a shell in the place; `undefined`: its login shell. */
export function shellCommand(place: Vantage): string | undefined {
  if (place.kind === 'host') return undefined;
  if (place.kind === 'container') return quoteArgv(['docker', 'exec', '-it', place.container, 'sh']);
  return quoteArgv(argvIn(place, ['sh', '-i'], { stdin: true }));
}

/** An interactive shell in the place, joined to this process's terminal; resolves to its exit status. */
export async function shellIn(lab: RunningLab, endpoint: string): Promise<number> {
  const place = placeNamed(endpoint, lab.plan);
  const session = openSession(lab);
  try {
    const connection = await session.connection(place.host);
    await refuseWithoutEngine(place, lab.plan, connection);
    return await connection.shell(shellCommand(place));
  } finally {
    await session.close();
  }
}
