import { z } from 'zod';
import { hostProcBeside } from '../model/beside.js';
import { quoteArg, quoteArgv } from '../ssh/quote.js';
import { formatEndpoint } from './endpoint.js';
import { namedEngineArgv } from './engine.js';
import type { VantageEndpoint } from './endpoint.js';
import type { ProbeContext, ProbeHost } from './context.js';
import { runScript, whyUnfinished } from './script.js';
import type { ScriptPart } from './script.js';

/** One network that a container is on, as its engine states it. */
export interface ContainerNetwork {
  name: string;
  id: string;
  address: string | null;
  prefix: number | null;
  gateway: string | null;
  address6: string | null;
  prefix6: number | null;
  gateway6: string | null;
  mac: string | null;
  aliases: string[];
}

export interface ContainerFacts {
  id: string;
  name: string;
  /** The container's first process, in the host's pid namespace. */
  pid: number;
  image: string;
  hostname: string;
  /** `bridge`, `host`, `none`, a network's name, or `container:ID`. */
  networkMode: string;
  networks: ContainerNetwork[];
  /** The engine's whole answer, for checks that look further. */
  inspect: unknown;
}

/** A place that probes start from, found and alive at the time of asking. */
export interface Vantage {
  readonly endpoint: VantageEndpoint;
  /** As the scenario writes it: `node2/test1`. */
  readonly label: string;
  readonly host: ProbeHost;
  /**
   * The argv that runs `argv`, a tool of the *host*, in the vantage's network namespace. Containers need no tools of their
   * own, and a container's own busybox can't bend a verdict.
   */
  enter(argv: readonly string[]): string[];
  /** The same for the helper beside the host, where it is another; see `beside`. */
  enterBeside?(argv: readonly string[]): string[];
  /** The vantage's `hosts` file; what the resolver there reads first. `null`: not read yet (hosts of the lab), see `readNameFiles`. */
  readonly nameFiles: NameFiles | null;
  readonly container: ContainerFacts | null;
}

/** Text of `/etc/hosts` and `/etc/resolv.conf` as the vantage sees them; empty where a file is missing. */
export interface NameFiles {
  hosts: string;
  resolvConf: string;
}

/** Why a vantage cannot be used. */
export interface VantageProblem {
  problem: 'no-such-container' | 'not-running' | 'no-engine' | 'no-such-netns' | 'unreadable';
  endpoint: VantageEndpoint;
  label: string;
  /** One sentence. */
  reason: string;
}

export function isVantageProblem(value: object): value is VantageProblem {
  return 'problem' in value && 'reason' in value;
}

/** A network namespace as the kernel names it: by a process in it (in the host's pid namespace) or by a file. */
type Namespace = { pid: number } | { path: string };

/** The one way into a network namespace: the argv that runs `argv` there. */
function enterNamespace(namespace: Namespace, argv: readonly string[]): string[] {
  const which = 'pid' in namespace ? ['-t', String(namespace.pid), '-n'] : [`--net=${namespace.path}`];
  return ['nsenter', ...which, '--', ...argv];
}

/** The same for the helper beside the host, whose own processes and files are others. */
function enterFromBeside(namespace: Namespace, argv: readonly string[]): string[] {
  // On a host /var/run is an absolute link, which would lead to the helper's own /run.
  const path =
    'pid' in namespace ? `${namespace.pid}/ns/net` : `1/root${namespace.path.replace(/^\/var\/run\//, '/run/')}`;
  return enterNamespace({ path: `${hostProcBeside}/${path}` }, argv);
}

/** Another network namespace of a place's host, by the path of its file there; with both ways into it, from the host and from beside. */
export function inNamespace(place: Vantage, path: string, label: string): Vantage {
  return {
    ...place,
    label,
    enter: (argv) => enterNamespace({ path }, argv),
    enterBeside: (argv) => enterFromBeside({ path }, argv),
  };
}

/**
 * The same place, from beside: what is sent there is sent by programs that the host's root can't replace. For all that the
 * network and the kernel tell; not for what the host's files or its engine say. The place itself where there is no helper.
 */
export function beside(place: Vantage): Vantage {
  const { host, enterBeside } = place;
  return host.beside && enterBeside ? { ...place, host: host.beside, enter: enterBeside } : place;
}

/**
 * Shell text, for the host or for the helper beside it, that runs `argv` in each named network namespace of the host, after a line `netns NAME`; what its own words are
 * follows, with a line end.
 */
export function inEachNamespace(argv: readonly string[], fromBeside = false): string {
  const entered = enterNamespace({ path: '' }, argv).map((word) => (word === '--net=' ? '--net="$n"' : quoteArg(word)));
  const directory = `${fromBeside ? `${hostProcBeside}/1/root` : ''}/run/netns`;
  return `for n in ${directory}/*; do [ -e "$n" ] || continue; printf 'netns %s\\n' "\${n##*/}"; ${entered.join(' ')}; echo; done`;
}

/** Empty strings are the engine's way to say "none". */
const orNull = (value: string | undefined): string | null => (value === undefined || value === '' ? null : value);

/** The engine's word of why it could not start a container (`State.Error`), on one line of at most 200 characters, without ids; `null`: none. */
export function engineError(text: string | undefined): string | null {
  const line = (text ?? '')
    .replace(/\s+/g, ' ')
    .replace(/ \(?[0-9a-f]{64}\)?/g, '')
    .trim();
  return line === '' ? null : line.length > 200 ? `${line.slice(0, 199)}…` : line;
}

/** The part of the engine's answer (`GET /containers/NAME/json`, the same object as `docker inspect`) that probes read. */
const zInspect = z.object({
  Id: z.string(),
  Name: z.string(),
  State: z.object({
    Status: z.string(),
    Running: z.boolean(),
    Pid: z.number(),
    ExitCode: z.number().optional(),
    Error: z.string().optional(),
  }),
  HostConfig: z.object({ NetworkMode: z.string() }),
  Config: z.object({ Image: z.string(), Hostname: z.string() }),
  NetworkSettings: z.object({
    Networks: z.record(
      z.string(),
      z.object({
        NetworkID: z.string(),
        IPAddress: z.string().optional(),
        IPPrefixLen: z.number().optional(),
        Gateway: z.string().optional(),
        GlobalIPv6Address: z.string().optional(),
        GlobalIPv6PrefixLen: z.number().optional(),
        IPv6Gateway: z.string().optional(),
        MacAddress: z.string().optional(),
        Aliases: z.array(z.string()).nullish(),
      }),
    ),
  }),
});

/**
 * The facts in an engine's answer about the container that was `asked` for, or what is wrong with it. Networks are in the order of
 * their names. The engine takes the beginning of an id for a name, too (`db`, where there is none): that is another container.
 */
export function readInspect(
  json: string,
  asked: string,
): ContainerFacts | { missing: string } | { stopped: string } | { unreadable: string } {
  let raw: unknown;
  try {
    raw = JSON.parse(json);
  } catch {
    return { unreadable: json.trim().slice(0, 200) };
  }
  const message = z.object({ message: z.string() }).safeParse(raw);
  if (message.success)
    return /^No such container: /.test(message.data.message)
      ? { missing: message.data.message }
      : { unreadable: message.data.message };
  const parsed = zInspect.safeParse(raw);
  if (!parsed.success)
    return { unreadable: `the engine's answer lacks ${parsed.error.issues[0]?.path.join('.') ?? 'fields'}` };
  const { Id, Name, State, HostConfig, Config, NetworkSettings } = parsed.data;
  if (Name !== `/${asked}` && Id !== asked) return { missing: `${asked} begins the id of another container, ${Name}` };
  if (!State.Running || State.Pid === 0) {
    const how = State.Status === 'exited' ? `exited with status ${State.ExitCode ?? 'unknown'}` : State.Status;
    const error = engineError(State.Error);
    return { stopped: error === null ? how : `${how}; the engine could not start it: ${error}` };
  }
  const networks = Object.entries(NetworkSettings.Networks).map(([name, network]) => {
    const address = orNull(network.IPAddress);
    const address6 = orNull(network.GlobalIPv6Address);
    return {
      name,
      id: network.NetworkID,
      address,
      prefix: address === null ? null : (network.IPPrefixLen ?? null),
      gateway: orNull(network.Gateway),
      address6,
      prefix6: address6 === null ? null : (network.GlobalIPv6PrefixLen ?? null),
      gateway6: orNull(network.IPv6Gateway),
      mac: orNull(network.MacAddress),
      aliases: network.Aliases ?? [],
    };
  });
  networks.sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    id: Id,
    name: Name.replace(/^\//, ''),
    pid: State.Pid,
    image: Config.Image,
    hostname: Config.Hostname,
    networkMode: HostConfig.NetworkMode,
    networks,
    inspect: raw,
  };
}

/**
 * Shell text that puts the engine's answer about a container into `$j` and its pid into `$p` (empty or 0 when it does not run).
 *
 * The engine's socket is asked by curl, which costs a third of the CPU of the docker client; the client is the second try, for
 * engines that listen elsewhere (it reads DOCKER_HOST and contexts); beside a host there is none. `"Pid":` can't stand inside a JSON string, where its
 * quotes would be escaped, so cutting at its first occurrence is exact.
 */
function inspectPrelude(container: string, fromBeside: boolean): string {
  const curl = quoteArgv(namedEngineArgv(`/containers/${encodeURIComponent(container)}/json`, fromBeside));
  const docker = quoteArgv(['docker', 'inspect', '--type', 'container', '--format', '{{json .}}', container]);
  const asked = fromBeside ? `j=$(${curl} 2>&1)` : `j=$(${curl} 2>/dev/null) || j=$(${docker} 2>&1)`;
  return `${asked}\np=\${j#*'"Pid":'}; p=\${p%%[!0-9]*}`;
}

function nameFileParts(directory: string): ScriptPart[] {
  return [
    { name: 'hosts', shell: `cat ${directory}/hosts`, errors: 'apart' },
    { name: 'resolv', shell: `cat ${directory}/resolv.conf`, errors: 'apart' },
  ];
}

function nameFilesOf(parts: ReadonlyMap<string, { output: string; exitCode: number }>): NameFiles {
  return { hosts: parts.get('hosts')?.output ?? '', resolvConf: parts.get('resolv')?.output ?? '' };
}

async function containerVantage(
  context: ProbeContext,
  endpoint: VantageEndpoint & { kind: 'container' },
): Promise<Vantage | VantageProblem> {
  const host = context.host(endpoint.host);
  const label = formatEndpoint(endpoint);
  const problem = (problem: VantageProblem['problem'], reason: string): VantageProblem => ({
    problem,
    endpoint,
    label,
    reason,
  });
  const ask = (fromBeside: boolean): ReturnType<typeof runScript> =>
    runScript(
      fromBeside ? host.beside! : host,
      [
        { name: 'inspect', shell: `printf '%s' "$j"` },
        ...nameFileParts(`${fromBeside ? hostProcBeside : '/proc'}/\${p:-none}/root/etc`),
      ],
      {
        timeoutMs: context.timeLeftMs(),
        signal: context.signal,
        prelude: inspectPrelude(endpoint.container, fromBeside),
        keepBytes: 4 << 20,
      },
    );
  const factsIn = ({ parts }: Awaited<ReturnType<typeof ask>>): ReturnType<typeof readInspect> | null => {
    const answer = parts.get('inspect');
    return answer ? readInspect(answer.output, endpoint.container) : null;
  };
  let script = await ask(host.beside !== undefined);
  let facts = factsIn(script);
  // An engine that listens elsewhere is found by the host's own client.
  if (host.beside && facts && 'unreadable' in facts) {
    script = await ask(false);
    facts = factsIn(script);
  }
  if (!facts)
    return problem(
      'unreadable',
      `the engine of ${endpoint.host} could not be asked about ${endpoint.container}: ${whyUnfinished(script.exec)}`,
    );
  if ('missing' in facts)
    return problem('no-such-container', `${endpoint.host} has no container ${endpoint.container}`);
  if ('stopped' in facts) return problem('not-running', `container ${label} is not running: ${facts.stopped}`);
  if ('unreadable' in facts) {
    if (/No such (?:object|container)/.test(facts.unreadable))
      return problem('no-such-container', `${endpoint.host} has no container ${endpoint.container}`);
    if (host.plan.engine === false) return problem('no-engine', `${endpoint.host} has no engine, and so no containers`);
    return problem(
      'no-engine',
      `no engine on ${endpoint.host} answered about ${endpoint.container}: ${facts.unreadable}`,
    );
  }
  return {
    endpoint,
    label,
    host,
    enter: (argv) => enterNamespace({ pid: facts.pid }, argv),
    enterBeside: (argv) => enterFromBeside({ pid: facts.pid }, argv),
    nameFiles: nameFilesOf(script.parts),
    container: facts,
  };
}

async function netnsVantage(
  context: ProbeContext,
  endpoint: VantageEndpoint & { kind: 'netns' },
): Promise<Vantage | VantageProblem> {
  const host = context.host(endpoint.host);
  const label = formatEndpoint(endpoint);
  const name = quoteArg(endpoint.netns);
  // `ip netns exec` shows /etc/netns/NAME/* over /etc/*; the engine keeps the namespaces of its overlay networks in a place of its own.
  const own = `/etc/netns/${name}`;
  const script = await runScript(
    host,
    [
      {
        name: 'path',
        shell: `for f in /run/netns/${name} /var/run/docker/netns/${name}; do if [ -e "$f" ]; then printf '%s' "$f"; break; fi; done`,
      },
      {
        name: 'hosts',
        shell: `if [ -e ${own}/hosts ]; then cat ${own}/hosts; else cat /etc/hosts; fi`,
        errors: 'apart',
      },
      {
        name: 'resolv',
        shell: `if [ -e ${own}/resolv.conf ]; then cat ${own}/resolv.conf; else cat /etc/resolv.conf; fi`,
        errors: 'apart',
      },
    ],
    { timeoutMs: context.timeLeftMs(), signal: context.signal },
  );
  const path = script.parts.get('path')?.output;
  if (path === undefined)
    return {
      problem: 'unreadable',
      endpoint,
      label,
      reason: `${endpoint.host} could not be asked about its network namespaces: ${whyUnfinished(script.exec)}`,
    };
  if (path === '')
    return {
      problem: 'no-such-netns',
      endpoint,
      label,
      reason: `${endpoint.host} has no network namespace ${endpoint.netns}`,
    };
  return {
    endpoint,
    label,
    host,
    enter: (argv) => enterNamespace({ path }, argv),
    enterBeside: (argv) => enterFromBeside({ path }, argv),
    nameFiles: nameFilesOf(script.parts),
    container: null,
  };
}

/**
 * Finds a vantage. A host of the plan costs nothing; a container or namespace one exec on its host, which also brings the
 * files that name resolution reads there. Rejects only with NETRIG_HOST_UNKNOWN and NETRIG_SSH_*.
 */
export async function resolveVantage(
  context: ProbeContext,
  endpoint: VantageEndpoint,
): Promise<Vantage | VantageProblem> {
  switch (endpoint.kind) {
    case 'host':
      return {
        endpoint,
        label: endpoint.host,
        host: context.host(endpoint.host),
        enter: (argv) => [...argv],
        enterBeside: (argv) => [...argv],
        nameFiles: null,
        container: null,
      };
    case 'container':
      return containerVantage(context, endpoint);
    case 'netns':
      return netnsVantage(context, endpoint);
  }
}

/** The vantage's `hosts` and `resolv.conf`, read now where they are not known yet. */
export async function readNameFiles(context: ProbeContext, vantage: Vantage): Promise<NameFiles> {
  if (vantage.nameFiles) return vantage.nameFiles;
  const script = await runScript(vantage.host, nameFileParts('/etc'), {
    timeoutMs: context.timeLeftMs(),
    signal: context.signal,
  });
  return nameFilesOf(script.parts);
}

/** A container's address of the family on one of its networks. */
export function addressOn(network: ContainerNetwork, family: 4 | 6): string | null {
  return family === 4 ? network.address : network.address6;
}

/** Shell text that runs `shell` (made with the quoting function) in the vantage's network namespace, entered once. */
export function inside(vantage: Vantage, shell: string): string {
  return vantage.endpoint.kind === 'host' ? shell : quoteArgv(vantage.enter(['sh', '-c', shell]));
}
