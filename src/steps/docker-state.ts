import { z } from 'zod';
import { formatDuration } from '../model/duration.js';
import type { Outcome } from '../model/verdict.js';
import type { ProbeHost } from '../places/context.js';
import type { DockerContainer, DockerNetwork, ScenarioHost } from '../scenario/scenario.js';
import { defineStep } from './kind.js';
import { howItEnded, lastWords, onEachHost } from './on-hosts.js';

function flags(flag: string, values: readonly string[]): string[] {
  return values.flatMap((value) => [flag, value]);
}

function pairs(flag: string, values: Record<string, string>): string[] {
  return Object.entries(values).flatMap(([key, value]) => [flag, `${key}=${value}`]);
}

/** `docker network create` for a network in Compose's words. */
export function networkCreateArgv(name: string, network: DockerNetwork): string[] {
  return [
    ...['docker', 'network', 'create', '--driver', network.driver],
    ...pairs('--opt', network.driver_opts),
    ...(network.internal ? ['--internal'] : []),
    ...(network.attachable ? ['--attachable'] : []),
    ...(network.enable_ipv6 ? ['--ipv6'] : []),
    ...(network.ipam.driver ? ['--ipam-driver', network.ipam.driver] : []),
    ...network.ipam.config.flatMap((pool) => [
      ...(pool.subnet ? ['--subnet', pool.subnet] : []),
      ...(pool.gateway ? ['--gateway', pool.gateway] : []),
      ...(pool.ip_range ? ['--ip-range', pool.ip_range] : []),
      ...pairs('--aux-address', pool.aux_addresses ?? {}),
    ]),
    ...pairs('--label', network.labels),
    name,
  ];
}

function attachmentFlags(attachment: DockerContainer['networks'][string]): string[] {
  return [
    ...(attachment.ipv4_address ? ['--ip', attachment.ipv4_address] : []),
    ...(attachment.ipv6_address ? ['--ip6', attachment.ipv6_address] : []),
  ];
}

/** What `docker run` says of the container's process and of its root file system. */
function processFlags(container: DockerContainer): string[] {
  const one = (flag: string, value: string | undefined): string[] => (value === undefined ? [] : [flag, value]);
  return [
    ...(container.privileged ? ['--privileged'] : []),
    ...one('--entrypoint', [container.entrypoint ?? []].flat()[0]),
    ...one('--workdir', container.working_dir),
    ...one('--user', container.user),
    ...(container.read_only ? ['--read-only'] : []),
    ...flags('--tmpfs', container.tmpfs ?? []),
    ...(container.init ? ['--init'] : []),
    ...one('--stop-signal', container.stop_signal),
    ...(container.tty ? ['--tty'] : []),
  ];
}

/** `docker run -d`, and one `docker network connect` for each further network, as docker 20.10 knows them. */
export function containerArgvs(name: string, container: DockerContainer): string[][] {
  const [first, ...further] = Object.entries(container.networks);
  const command =
    container.command === null
      ? []
      : typeof container.command === 'string'
        ? ['sh', '-c', container.command]
        : container.command;
  const run = [
    ...['docker', 'run', '--detach', '--interactive', '--name', name],
    ...(container.hostname ? ['--hostname', container.hostname] : []),
    ...(container.network_mode ? ['--network', container.network_mode] : []),
    ...(first
      ? ['--network', first[0], ...attachmentFlags(first[1]), ...flags('--network-alias', first[1].aliases)]
      : []),
    ...flags('--publish', container.ports),
    ...flags('--expose', container.expose),
    ...pairs('--env', container.environment),
    ...flags('--dns', container.dns),
    ...flags('--dns-search', container.dns_search),
    ...flags('--dns-option', container.dns_opt),
    ...flags('--add-host', container.extra_hosts),
    ...flags('--link', container.links),
    ...flags('--cap-add', container.cap_add),
    ...flags('--cap-drop', container.cap_drop ?? []),
    ...processFlags(container),
    ...pairs('--sysctl', container.sysctls),
    ...flags('--volume', container.volumes),
    ...(container.restart ? ['--restart', container.restart] : []),
    ...pairs('--label', container.labels),
    container.image,
    ...[container.entrypoint ?? []].flat().slice(1),
    ...command,
  ];
  const connects = further.map(([network, attachment]) => [
    ...['docker', 'network', 'connect', ...attachmentFlags(attachment), ...flags('--alias', attachment.aliases)],
    network,
    name,
  ]);
  return [run, ...connects];
}

async function apply(host: ProbeHost, argvs: readonly (readonly string[])[], limitMs: number): Promise<Outcome | null> {
  for (const argv of argvs) {
    const result = await host.exec(argv, { timeoutMs: Math.ceil(limitMs) });
    if (result.exitCode !== 0) {
      const what = argv.slice(0, 3).join(' ');
      return {
        verdict: 'fail',
        cause: result.timedOut ? 'timeout' : 'exit-status',
        reason: `${what} for "${argv[0] === 'docker' && argv[1] === 'run' ? argv[argv.indexOf('--name') + 1] : argv.at(-1)}" ${howItEnded(result, formatDuration(limitMs))}: ${lastWords(result.stderr) || 'nothing said'}`,
        expected: 'exit status 0',
      };
    }
  }
  return null;
}

interface DockerStateSpec {
  networks: Record<string, DockerNetwork>;
  containers: Record<string, DockerContainer>;
}

/**
 * Brings a host's engine to the state that `hosts.HOST.docker` declares: networks first, then containers, in the order of
 * the file. Not a key of `steps:`; the run puts it before the first one.
 */
export const dockerStateStep = defineStep<DockerStateSpec>({
  name: 'docker',
  summary: 'Brings the engine of a host to the state that its `docker:` key declares.',
  example: '',
  schema: z.strictObject({}),
  repeatable: false,
  describe: ({ networks, containers }) =>
    [
      ...Object.keys(networks).map((name) => `network ${name}`),
      ...Object.keys(containers).map((name) => `container ${name}`),
    ].join(', '),
  run: (spec, context) =>
    onEachHost(context, async (host) => {
      const limitMs = context.timeLeftMs();
      const argvs = [
        ...Object.entries(spec.networks).map(([name, network]) => networkCreateArgv(name, network)),
        ...Object.entries(spec.containers).flatMap(([name, container]) => containerArgvs(name, container)),
      ];
      const failed = await apply(host, argvs, limitMs);
      if (failed) return failed;
      const names = Object.keys(spec.containers);
      if (names.length > 0) {
        const result = await host.exec(
          ['docker', 'inspect', '--format', '{{.Name}} {{.State.Status}} {{.State.ExitCode}}', ...names],
          { timeoutMs: Math.ceil(limitMs) },
        );
        const ended = result.stdout.split('\n').filter((line) => line !== '' && !/ running \d+$/.test(line));
        if (result.exitCode !== 0 || ended.length > 0) {
          return {
            verdict: 'fail',
            cause: 'absent',
            reason: `Not every container is running: ${ended.map((line) => line.replace(/^\//, '').replace(/ (\S+) (\d+)$/, ' is $1 with exit status $2')).join(', ') || lastWords(result.stderr)}.`,
            expected: `${names.join(', ')} running`,
          };
        }
      }
      return {
        verdict: 'pass',
        reason: `${Object.keys(spec.networks).length} networks and ${names.length} containers are there.`,
      };
    }),
});

/** Whether a host declares any engine state. */
export function declaresDocker(host: ScenarioHost): boolean {
  return Object.keys(host.docker.networks).length + Object.keys(host.docker.containers).length > 0;
}
