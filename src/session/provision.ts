import { messageOf, NetrigError } from '../errors.js';
import { hostsFileMarks } from '../model/hosts-file.js';
import { sysctlPath } from '../model/sysctl.js';
import { addressesOf } from '../model/planned-addresses.js';
import type { HostPlan, LabPlan } from '../plan/lab-plan.js';
import { quoteArg, quoteArgv } from '../ssh/quote.js';
import type { LabSession } from './session.js';

/** The lines of /etc/hosts that let lab hosts call each other by name: each host at the addresses of its first interface that has one. */
function hostsFileLines(plan: LabPlan): string {
  const lines = plan.hosts.flatMap((host) => {
    const first = host.interfaces.find((nic) => nic.address !== null);
    return first ? addressesOf(first).map((address) => `${address.split('/')[0]} ${host.name}`) : [];
  });
  return [hostsFileMarks.first, ...lines, hostsFileMarks.last, ''].join('\n');
}

/** One shell script a host: everything that makes it this lab's host, whoever made the machine. */
function provisionScript(plan: LabPlan, host: HostPlan): string {
  const lines = [
    'set -e',
    `grep -qxF ${quoteArg(hostsFileMarks.first)} /etc/hosts || printf %s ${quoteArg(hostsFileLines(plan))} >>/etc/hosts`,
  ];
  for (const [key, value] of Object.entries(host.sysctls)) {
    const path = sysctlPath(key);
    lines.push(
      `printf '%s\\n' ${quoteArg(value)} >${quoteArg(path)} || { echo ${quoteArg(`sysctl ${key} = ${value} was refused`)} >&2; exit 1; }`,
    );
  }
  for (const route of host.routes) lines.push(quoteArgv(['ip', 'route', 'replace', route.to, 'via', route.via]));
  return lines.join('\n');
}

/**
 * Provisions every host over SSH, all at once: names of the other hosts, sysctls, routes. The first use of each connection,
 * so a lab whose provisioning returned has hosts that answer.
 *
 * @throws NETRIG_SSH_CONNECT, or NETRIG_SEGMENT when a host refuses a route or sysctl.
 */
export async function provision(session: LabSession, signal: AbortSignal): Promise<void> {
  const { plan } = session.lab;
  await Promise.all(
    plan.hosts.map(async (host) => {
      const connection = await session.connection(host.name, signal);
      const result = await connection.exec(provisionScript(plan, host), { signal, timeoutMs: 20_000 });
      if (result.exitCode === 0) return;
      throw new NetrigError(
        'NETRIG_SEGMENT',
        `Provisioning ${host.name} failed: ${result.stderr.trim() || `exit status ${result.exitCode}`}.`,
        {
          hint: `Check the routes and sysctls of ${host.name} in the scenario.`,
        },
      );
    }),
  ).catch((error: unknown) => {
    throw error instanceof NetrigError ? error : new NetrigError('NETRIG_INTERNAL', messageOf(error), { cause: error });
  });
}
