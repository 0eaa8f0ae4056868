import { z } from 'zod';
import { formatDuration } from '../model/duration.js';
import type { Outcome } from '../model/verdict.js';
import type { ProbeHost } from '../places/context.js';
import type { DockerContainer, DockerNetwork, ScenarioHost } from '../scenario/scenario.js';
import { quoteArgv } from '../ssh/quote.js';
import { awaitDependencies } from './container-order.js';
import { defineStep, type StepContext } from './kind.js';
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

const one = (flag: string, value: string | number | undefined): string[] =>
  value === undefined ? [] : [flag, String(value)];

/** How the engine finds out whether a container is well. It takes a line for the image's shell. */
function healthFlags({ healthcheck: health }: DockerContainer): string[] {
  if (health === undefined) return [];
  const { test } = health;
  if (health.disable || (Array.isArray(test) && test[0] === 'NONE')) return ['--no-healthcheck'];
  const line = Array.isArray(test) ? (test[0] === 'CMD' ? quoteArgv(test.slice(1)) : test[1]) : test;
  return [
    ...one('--health-cmd', line),
    ...one('--health-interval', health.interval),
    ...one('--health-timeout', health.timeout),
    ...one('--health-start-period', health.start_period),
    ...one('--health-retries', health.retries),
  ];
}

/** Seconds of a duration as Compose writes it, `1m30s`. */
function secondsOf(text: string): number {
  const seconds: Record<string, number> = { us: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 };
  return [...text.matchAll(/(\d+(?:\.\d+)?)(us|ms|s|m|h)/g)].reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * seconds[unit!]!,
    0,
  );
}

/** What a container may use, and what keeps it apart. */
function resourceFlags(container: DockerContainer): string[] {
  const { ulimits = {}, logging, stop_grace_period: grace } = container;
  return [
    ...one('--memory', container.mem_limit),
    ...one('--memory-reservation', container.mem_reservation),
    ...one('--memory-swap', container.memswap_limit),
    ...one('--shm-size', container.shm_size),
    ...one('--cpus', container.cpus),
    ...one('--cpu-shares', container.cpu_shares),
    ...one('--cpuset-cpus', container.cpuset),
    ...one('--pids-limit', container.pids_limit),
    ...Object.entries(ulimits).flatMap(([name, limit]) => [
      '--ulimit',
      `${name}=${typeof limit === 'number' ? limit : `${limit.soft}:${limit.hard}`}`,
    ]),
    ...flags('--security-opt', container.security_opt ?? []),
    ...flags('--device', container.devices ?? []),
    ...flags('--group-add', container.group_add ?? []),
    ...one('--pid', container.pid),
    ...one('--ipc', container.ipc),
    ...one('--mac-address', container.mac_address),
    ...one('--stop-timeout', grace === undefined ? undefined : Math.ceil(secondsOf(grace))),
    ...one('--log-driver', logging?.driver),
    ...pairs('--log-opt', logging?.options ?? {}),
  ];
}

/** What `docker run` says of the container's process and of its root file system. */
function processFlags(container: DockerContainer): string[] {
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
    ...healthFlags(container),
    ...resourceFlags(container),
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

async function apply(host: ProbeHost, argv: readonly string[], limitMs: number): Promise<Outcome | null> {
  const result = await host.exec(argv, { timeoutMs: Math.ceil(limitMs) });
  if (result.exitCode === 0) return null;
  const what = argv.slice(0, 3).join(' ');
  return {
    verdict: 'fail',
    cause: result.timedOut ? 'timeout' : 'exit-status',
    reason: `${what} for "${argv[0] === 'docker' && argv[1] === 'run' ? argv[argv.indexOf('--name') + 1] : argv.at(-1)}" ${howItEnded(result, formatDuration(limitMs))}: ${lastWords(result.stderr) || 'nothing said'}`,
    expected: 'exit status 0',
  };
}

/** Networks, then containers one after the other, each once what it depends on is as far as it wants; `null`: all are there. */
async function bringUp(spec: DockerStateSpec, host: ProbeHost, context: StepContext): Promise<Outcome | null> {
  for (const [name, network] of Object.entries(spec.networks)) {
    const failed = await apply(host, networkCreateArgv(name, network), context.timeLeftMs());
    if (failed) return failed;
  }
  for (const [name, container] of Object.entries(spec.containers)) {
    const kept = await awaitDependencies(host, name, container.depends_on ?? {}, context);
    if (kept) return kept;
    for (const argv of containerArgvs(name, container)) {
      const failed = await apply(host, argv, context.timeLeftMs());
      if (failed) return failed;
    }
  }
  return null;
}

/** Containers that are to come to their end: others wait for that. */
function endingOnes(containers: Record<string, DockerContainer>): Set<string> {
  return new Set(
    Object.values(containers).flatMap(({ depends_on: others = {} }) =>
      Object.entries(others).flatMap(([name, condition]) =>
        condition === 'service_completed_successfully' ? [name] : [],
      ),
    ),
  );
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
      const failed = await bringUp(spec, host, context);
      if (failed) return failed;
      const ending = endingOnes(spec.containers);
      const names = Object.keys(spec.containers).filter((name) => !ending.has(name));
      if (names.length > 0) {
        const result = await host.exec(
          ['docker', 'inspect', '--format', '{{.Name}} {{.State.Status}} {{.State.ExitCode}}', ...names],
          { timeoutMs: Math.ceil(context.timeLeftMs()) },
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
        reason: `${Object.keys(spec.networks).length} networks and ${Object.keys(spec.containers).length} containers are there.`,
      };
    }),
});

/** Whether a host declares any engine state. */
export function declaresDocker(host: ScenarioHost): boolean {
  return Object.keys(host.docker.networks).length + Object.keys(host.docker.containers).length > 0;
}
