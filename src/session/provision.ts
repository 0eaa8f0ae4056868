import { messageOf, NetrigError } from '../errors.js';
import { asCoded } from '../model/refused-write.js';
import { hostsFileMarks } from '../model/hosts-file.js';
import { sysctlPath } from '../model/sysctl.js';
import { addressesOf } from '../model/planned-addresses.js';
import type { HostPlan, LabPlan } from '../plan/lab-plan.js';
import { quoteArg, quoteArgv } from '../ssh/quote.js';
import { putOwnFiles } from '../ssh/own-files.js';
import { ownRegistryLines } from './own-registry.js';
import type { LabSession } from './session.js';

/** The lines of /etc/hosts that let lab hosts call each other by name: each host at the addresses of its first interface that has one. */
function hostsFileLines(plan: LabPlan): string {
  const lines = plan.hosts.flatMap((host) => {
    const first = host.interfaces.find((nic) => nic.address !== null);
    return first ? addressesOf(first).map((address) => `${address.split('/')[0]} ${host.name}`) : [];
  });
  return [hostsFileMarks.first, ...lines, hostsFileMarks.last, ''].join('\n');
}

/** Time for one host, ms: an engine that starts among many on a busy machine takes most of it. */
const provisionMs = 120_000;

const nameServerConfig = '/etc/netrig-dns.conf';

/** dnsmasq(8): it knows its records; what is no name of these does not exist, unless somebody outside can be asked. */
function nameServerText({ records, outside, passesOn = [] }: HostPlan): string {
  return [
    'no-hosts',
    'bind-dynamic',
    ...(outside ? [] : ['no-resolv', 'local=/#/']),
    ...passesOn.flatMap(({ names, addresses, to }) => [
      ...names.map((name) => `server=/${name}/${to}`),
      ...addresses.map((address) => `rev-server=${address}/${address.includes(':') ? 128 : 32},${to}`),
    ]),
    ...(records ?? []).map(({ name, addresses }) => `host-record=${[name, ...addresses].join(',')}`),
    '',
  ].join('\n');
}

/** The name server that a host is, and those that it asks. What somebody has written into its resolv.conf stays. */
function nameLines(host: HostPlan): string[] {
  const asks = (host.asks ?? []).map((address) => `nameserver ${address}\n`).join('');
  return [
    ...(asks === '' ? [] : [`[ -s /etc/resolv.conf ] || printf %s ${quoteArg(asks)} >/etc/resolv.conf`]),
    ...(host.records === undefined
      ? []
      : [
          `printf %s ${quoteArg(nameServerText(host))} >${nameServerConfig}`,
          `dnsmasq --conf-file=${nameServerConfig} --pid-file=/run/netrig-dns.pid || { echo 'its name server does not start' >&2; exit 1; }`,
        ]),
  ];
}

/** What a host has that stands for the outside: its addresses, and a web server at them. */
function outsideLines({ name, standsFor = [] }: HostPlan): string[] {
  if (standsFor.length === 0) return [];
  const page = `${name} stands for the outside of this lab.\n`;
  return [
    ...standsFor.map((address) =>
      quoteArgv(['ip', 'address', 'replace', `${address}/${address.includes(':') ? 128 : 32}`, 'dev', 'lo']),
    ),
    `mkdir -p /srv/outside && printf %s ${quoteArg(page)} >/srv/outside/index.html`,
    "busybox httpd -p 80 -h /srv/outside || { echo 'its web server does not start' >&2; exit 1; }",
  ];
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
  lines.push(...nameLines(host), ...outsideLines(host));
  if (host.pullsWhatItHas) lines.push(...ownRegistryLines());
  // As on a Debian host that has it: docker0, its rules and IP forwarding are there before anybody asks for them.
  if (host.engine && !host.engineOnDemand)
    lines.push(
      "systemctl start docker.service || { echo 'its engine does not start' >&2; journalctl -u docker -n 5 -o cat >&2; exit 1; }",
    );
  return lines.join('\n');
}

/**
 * Provisions every host over SSH, all at once: its files where the provider did not put them there, names of the other hosts, sysctls, routes, the engine. The first use of each connection,
 * so a lab whose provisioning returned has hosts that answer.
 *
 * @throws NETRIG_SSH_CONNECT, NETRIG_OWN_FILE, or NETRIG_SEGMENT when a host refuses a route or sysctl, or its engine does not start.
 */
export async function provision(session: LabSession, signal: AbortSignal): Promise<void> {
  const { plan } = session.lab;
  await Promise.all(
    plan.hosts.map(async (host) => {
      if (!session.lab.hasFiles)
        await putOwnFiles(await session.connection(host.name, signal), host.name, host.files ?? []);
      await provisionHost(session, host, signal);
    }),
  ).catch((error: unknown) => {
    throw asCoded(error) ?? new NetrigError('NETRIG_INTERNAL', messageOf(error), { cause: error });
  });
}

/** Names, sysctls, routes and the engine of one host, such as one that was started again. */
export async function provisionHost(session: LabSession, host: HostPlan, signal: AbortSignal): Promise<void> {
  const connection = await session.connection(host.name, signal);
  const script = provisionScript(session.lab.plan, host);
  const result = await connection.exec(script, { signal, timeoutMs: provisionMs });
  if (result.exitCode === 0) return;
  throw new NetrigError(
    'NETRIG_SEGMENT',
    `Provisioning ${host.name} failed: ${result.stderr.trim() || `exit status ${result.exitCode}`}.`,
    { hint: `Check the routes and sysctls of ${host.name} in the scenario.` },
  );
}
