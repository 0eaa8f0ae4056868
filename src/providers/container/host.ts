import type { Duplex } from 'node:stream';
import type Docker from 'dockerode';
import { GenericContainer, getContainerRuntimeClient, type InspectResult, type WaitStrategy } from 'testcontainers';
import { randomBytes } from 'node:crypto';
import { type ErrorCode, isNetrigError, messageOf, NetrigError } from '../../errors.js';
import type { OutsideFiles } from '../../images/outside-files.js';
import type { HostPlan, LabPlan } from '../../plan/lab-plan.js';
import { tarOf } from '../../ssh/tar.js';
import type { TreeEntry } from '../../ssh/tree.js';
import { toolsPlace } from '../shared/tools-place.js';
import { ownFilesArchive } from '../shared/own-files.js';
import { bootDirectory, bootScript, type GivenInterface, ownFiles, wireScript } from './boot-script.js';
import {
  ask,
  changeMs,
  type EngineEndpoint,
  type EngineInfo,
  engineError,
  engineStatus,
  isUnreachable,
  questionMs,
} from './engine.js';
import { imageKey } from './image-key.js';
import { hostLabel } from './labels.js';
import type { OutsideNetwork } from './outside.js';
import type { SegmentNetwork, SegmentNetworks } from './segments.js';
import { deviceRules, droppedCapabilities, securityOptions } from './walls.js';
import { type ContainerAccess, containerState, ExecStream, waitForSshd } from './transport.js';

/** What a host is made from. */
export interface HostEngineImage {
  /** In the engine. */
  reference: string;
  /** Where the tree is not netrig's: its own systemd, `null` for none. */
  foreign?: { systemd: string | null };
}

/** What all hosts of one lab have in common. */
export interface ContainerSite {
  id: string;
  plan: LabPlan;
  endpoint: EngineEndpoint;
  engine: Docker;
  info: EngineInfo;
  networks: SegmentNetworks;
  /** By `imageKey` of the hosts that are made from it. */
  images: ReadonlyMap<string, HostEngineImage>;
  /** By host image: what its hosts get where they have a way to the outside. */
  outside: ReadonlyMap<string, OutsideFiles>;
  /** That way; `null` where no host has one. */
  wayOut: OutsideNetwork | null;
  labels: Record<string, string>;
  /** Capabilities that the engine turned out not to have, without `CAP_`; grows while hosts are made. */
  lacking: Set<string>;
  keys: { hostPrivateKey: string; hostPublicKeyLine: string; publicKeyLine: string };
}

export interface BootedContainer {
  access: ContainerAccess;
  /** A stream to the host's sshd that has said its banner and nothing else. */
  first: Duplex;
}

/** One attempt at a host that failed; nothing of it is left. */
export class BootFailure extends Error {
  constructor(
    message: string,
    /** The end of what the container wrote to its console. */
    readonly console: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

const consoleLines = 30;
/** Putting all files of a host through a socket, ms. */
const filesMs = 5 * 60_000;
/** What a second try would not mend. */
const finalCodes: readonly ErrorCode[] = ['NETRIG_SEGMENT', 'NETRIG_INTERNAL', 'NETRIG_OWN_FILE'];

/** The end of what a container wrote to its terminal; `''` where there is nothing. */
export async function containerLog(endpoint: EngineEndpoint, engine: Docker, container: string): Promise<string> {
  try {
    const bytes: unknown = await ask(
      endpoint,
      'read a console',
      questionMs,
      engine.getContainer(container).logs({ stdout: true, stderr: true, tail: consoleLines, follow: false }),
    );
    return String(bytes).replaceAll('\r', '').trimEnd();
  } catch {
    return '';
  }
}

/** Runs a command in a container to its end. Rejects as `ask` does; the exit status is the caller's to judge. */
export async function execIn(
  endpoint: EngineEndpoint,
  engine: Docker,
  container: string,
  argv: string[],
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<{ exitCode: number | null; stdout: string; stderr: string }> {
  const what = 'run a command in a host’s container';
  const run = async (): Promise<{ exitCode: number | null; stdout: string; stderr: string }> => {
    const exec = await engine
      .getContainer(container)
      .exec({ Cmd: argv, AttachStdout: true, AttachStderr: true, Tty: false, User: 'root' });
    const stream = new ExecStream(await exec.start({ hijack: true, stdin: true, Tty: false }));
    let stdout = '';
    for await (const chunk of stream.setEncoding('utf8')) stdout += String(chunk);
    const { ExitCode } = await exec.inspect();
    return { exitCode: ExitCode, stdout, stderr: stream.words };
  };
  return ask(endpoint, what, timeoutMs, run(), signal);
}

/** Waits for what `ready` waits for, with whatever end that comes to. */
function waitFor(ready: () => Promise<void>): WaitStrategy {
  const strategy: WaitStrategy = {
    waitUntilReady: ready,
    withStartupTimeout: () => strategy,
    isStartupTimeoutSet: () => true,
    getStartupTimeout: () => 0,
  };
  return strategy;
}

interface Hooks {
  /** The container is there and does not run yet. */
  created(container: string): Promise<void>;
  /** Its PID 1 waits for the pipe. */
  started(result: InspectResult): Promise<void>;
}

/**
 * A host as Testcontainers starts it. The capabilities that the engine itself has, less those of `walls.ts`, in place of
 * `--privileged`: an engine without CAP_SYS_RESOURCE (one in a container, mostly) can't do the latter, and the machine's disks,
 * clock and modules are no business of a lab's host.
 */
class HostContainer extends GenericContainer {
  constructor(
    image: string,
    private readonly hooks: Hooks,
    { lacking, info }: Pick<ContainerSite, 'lacking' | 'info'>,
    busybox: string,
  ) {
    super(image);
    this.createOpts.Tty = true;
    // The type definitions lack them. The empty lists are what the docker command makes of `systempaths=unconfined`.
    Object.assign(this.hostConfig, { CgroupnsMode: 'private', MaskedPaths: [], ReadonlyPaths: [] });
    this.hostConfig.DeviceCgroupRules = [...deviceRules];
    // Where an engine maps users, the root of a lab's host is to be root all the same.
    this.hostConfig.UsernsMode = 'host';
    this.hostConfig.LogConfig = { Type: 'json-file', Config: { 'max-size': '10m' } };
    this.hostConfig.RestartPolicy = { Name: 'no' };
    this.withAutoCleanup(false)
      .withAddedCapabilities('ALL')
      .withDroppedCapabilities(...droppedCapabilities, ...lacking)
      .withSecurityOpt(...securityOptions(info.filters))
      .withEntrypoint([busybox, 'sh', `${bootDirectory}/boot.sh`])
      .withCommand([]);
  }

  /** A volume of its own for the engine inside, which can't work on the overlay of a container; made from the image's content there. */
  withEngineVolume(labels: Record<string, string>): this {
    this.hostConfig.Mounts = [
      {
        Type: 'volume',
        Source: '',
        Target: '/var/lib/docker',
        VolumeOptions: { NoCopy: false, Labels: labels, DriverConfig: { Name: 'local', Options: {} } },
      },
    ];
    return this;
  }

  /** The engine takes one network with a container; others are joined before it starts. */
  withFirstNetwork(network: string, endpoint: Docker.EndpointSettings): this {
    this.createOpts.NetworkingConfig = { EndpointsConfig: { [network]: endpoint } };
    return this.withNetworkMode(network);
  }

  protected override async containerCreated(id: string): Promise<void> {
    await this.hooks.created(id);
  }

  protected override async containerStarting(result: InspectResult): Promise<void> {
    await this.hooks.started(result);
  }
}

/**
 * Lets Testcontainers find the engine that was chosen, and nothing else: no reaper, whose image may not be to be had, and no
 * look at the bridge's gateway, which it would dial.
 */
export async function prepareTestcontainers(endpoint: EngineEndpoint, engine: Docker): Promise<void> {
  process.env['DOCKER_HOST'] ??= endpoint.uri;
  process.env['TESTCONTAINERS_RYUK_DISABLED'] ??= 'true';
  process.env['TESTCONTAINERS_HOST_OVERRIDE'] ??= '127.0.0.1';
  const what = 'say what it is';
  const client = await ask(endpoint, what, changeMs, getContainerRuntimeClient());
  const [own, theirs] = await Promise.all([
    ask(endpoint, what, questionMs, engine.info()),
    ask(endpoint, what, questionMs, client.container.dockerode.info()),
  ]);
  if (own.ID === theirs.ID) return;
  throw new NetrigError(
    'NETRIG_USAGE',
    `${endpoint.from} names the Docker engine "${own.Name}", and Testcontainers uses "${theirs.Name}".`,
    {
      hint: 'Take `tc.host` and `docker.host` out of ~/.testcontainers.properties, or set DOCKER_HOST to the engine that they name.',
    },
  );
}

/** The engine's own MACs in a container, by the id of the network. */
async function givenMacs({ site, host, stop, id }: Boot): Promise<Map<string, string>> {
  const container = site.engine.getContainer(id ?? '');
  const what = `look at the container of ${host.name}`;
  const { NetworkSettings } = await ask(site.endpoint, what, questionMs, container.inspect(), stop);
  const networks = Object.values(NetworkSettings.Networks);
  return new Map(networks.map(({ NetworkID, MacAddress }) => [NetworkID, MacAddress]));
}

function requireMac(macs: ReadonlyMap<string, string>, network: string | undefined, where: string): string {
  const mac = macs.get(network ?? '');
  if (mac) return mac;
  throw new NetrigError('NETRIG_SEGMENT', `The Docker engine made no interface for ${where}.`);
}

interface BootOptions {
  timeoutMs: number;
  signal: AbortSignal;
  /** `lacking` was in force when the host was tried. */
  lackingKnown?: boolean;
}

/** One host that is coming up. */
interface Boot {
  readonly site: ContainerSite;
  readonly host: HostPlan;
  readonly options: BootOptions;
  readonly deadline: AbortSignal;
  /** Aborted by the deadline, or by whoever called. */
  readonly stop: AbortSignal;
  /** Its container, once the engine has made it. */
  id: string | null;
  /** The first connection to its sshd. */
  first: Duplex | null;
  /** What its console said, once it was asked for. */
  log: string;
}

/**
 * Makes one host and waits until its sshd answers. Rejects with BootFailure when it does not within `timeoutMs` or ends
 * before; with the reason of `signal` when that aborts; with NETRIG_SEGMENT and NETRIG_ENGINE_UNREACHABLE or _REFUSED. What
 * is left of it then carries the lab's labels.
 */
export async function bootContainer(
  site: ContainerSite,
  host: HostPlan,
  options: BootOptions,
): Promise<BootedContainer> {
  const deadline = AbortSignal.timeout(options.timeoutMs);
  const stop = AbortSignal.any([options.signal, deadline]);
  const boot: Boot = { site, host, options, deadline, stop, id: null, first: null, log: '' };
  const starting = containerOf(boot).start();
  try {
    await startedOrLate(starting, stop);
    if (boot.id === null || boot.first === null)
      throw new NetrigError('NETRIG_INTERNAL', `${host.name} came up without its container.`);
    return { access: accessOf(boot), first: boot.first };
  } catch (error) {
    return await afterFailure(boot, error);
  }
}

function accessOf(boot: Boot): ContainerAccess {
  const { id, host } = boot;
  return { container: id ?? '', init: host.init, ...(imageOf(boot).foreign ? { tools: true } : {}) };
}

function imageOf({ site, host }: Boot): HostEngineImage {
  const image = site.images.get(imageKey(host));
  if (image) return image;
  throw new NetrigError('NETRIG_INTERNAL', `No image "${host.image}" was made ready for ${host.name}.`);
}

/** A static busybox in the host's container. */
const busyboxOf = (boot: Boot): string => `${imageOf(boot).foreign ? toolsPlace : ''}/bin/busybox`;

/** The host's container as it is asked for; nothing of it is there yet. */
function containerOf(boot: Boot): HostContainer {
  const { site, host, stop } = boot;
  const { reference, foreign } = imageOf(boot);
  const labels = { ...site.labels, [hostLabel]: host.name };
  const [first, ...others] = joinedNetworks(boot);
  const hooks: Hooks = {
    created: async (created) => {
      boot.id = created;
      await joinNetworks(boot, created, others);
    },
    started: async () => {
      await giveFiles(boot);
      await wire(boot);
    },
  };
  const container = new HostContainer(reference, hooks, site, busyboxOf(boot))
    .withName(`netrig-${site.id}-${host.name}`)
    .withHostname(host.name)
    .withLabels(labels)
    .withEnvironment({
      NETRIG_HOST: host.name,
      NETRIG_INIT: host.init,
      NETRIG_ENGINE: host.engine ? 'yes' : 'no',
      NETRIG_CGROUP: site.info.cgroupVersion === 2 ? 'v2' : 'v1',
      NETRIG_MACHINE_ID: randomBytes(16).toString('hex'),
      NETRIG_TOOLS: foreign ? toolsPlace : '',
      NETRIG_SYSTEMD: foreign?.systemd ?? '',
    })
    .withCopyContentToContainer([
      { content: bootScript, target: `${bootDirectory}/boot.sh`, mode: 0o600 },
      { content: site.keys.hostPrivateKey, target: `${bootDirectory}/host_key`, mode: 0o600 },
      { content: `${site.keys.hostPublicKeyLine}\n`, target: `${bootDirectory}/host_key.pub`, mode: 0o644 },
      { content: `${site.keys.publicKeyLine}\n`, target: `${bootDirectory}/login_key.pub`, mode: 0o600 },
    ])
    .withWaitStrategy(
      waitFor(async () => {
        try {
          boot.first = await waitForSshd(site.endpoint, site.engine, accessOf(boot), stop);
        } catch (error) {
          // Testcontainers removes a container that did not get ready, and its console with it.
          boot.log = await containerLog(site.endpoint, site.engine, boot.id ?? '');
          throw error;
        }
      }),
    );
  if (first === undefined) container.withNetworkMode('none');
  else container.withFirstNetwork(first.id, endpointAt(first.address));
  if (host.engine && host.init === 'systemd') container.withEngineVolume(labels);
  return container;
}

function networkOf({ site, host }: Boot, segment: string): SegmentNetwork {
  const network = site.networks.get(segment);
  if (network) return network;
  throw new NetrigError(
    'NETRIG_INTERNAL',
    `${host.name} has an interface on the segment "${segment}", which the plan does not have.`,
  );
}

/** A network of the engine that a host is on, with its address there. */
interface JoinedNetwork {
  id: string;
  address: string;
  /** For messages: `the segment lan`. */
  what: string;
}

function joinedNetworks(boot: Boot): JoinedNetwork[] {
  const { site, host } = boot;
  const segments = [...new Set(host.interfaces.map((nic) => nic.segment))].map((name): JoinedNetwork => {
    const { id, ends } = networkOf(boot, name);
    return { id, address: ends.get(host.name) ?? '', what: `the segment ${name}` };
  });
  const { wayOut } = site;
  if (!host.outside || !wayOut) return segments;
  return [...segments, { id: wayOut.id, address: wayOut.ends.get(host.name) ?? '', what: 'the way to the outside' }];
}

function endpointAt(address: string): Docker.EndpointSettings {
  return { IPAMConfig: { IPv4Address: address } } as Docker.EndpointSettings;
}

async function joinNetworks(boot: Boot, container: string, networks: readonly JoinedNetwork[]): Promise<void> {
  const { site, host, stop } = boot;
  for (const { id, address, what } of networks) {
    stop.throwIfAborted();
    const network = site.engine.getNetwork(id);
    await ask(
      site.endpoint,
      `join ${host.name} to ${what}`,
      changeMs,
      network.connect({ Container: container, EndpointConfig: endpointAt(address) }),
      stop,
    );
  }
  stop.throwIfAborted();
}

/** Lays what the host has from its start beside the boot script, which unpacks it before anything of the host runs. */
async function giveFiles(boot: Boot): Promise<void> {
  const { site, host, stop, id } = boot;
  const { endpoint, engine } = site;
  const textOf = async (path: string): Promise<string> =>
    (await execIn(endpoint, engine, id ?? '', [busyboxOf(boot), 'cat', path], changeMs, stop)).stdout;
  const content = await ownFilesArchive(host, textOf, site.outside.get(host.image));
  if (content === null) return;
  const file: TreeEntry = { kind: 'file', path: `${bootDirectory}/${ownFiles}`, mode: 0o600, content };
  const archive = tarOf([{ entries: [file], owner: { uid: 0, gid: 0 } }]);
  const put = engine.getContainer(id ?? '').putArchive(archive, { path: '/' });
  await ask(endpoint, `put files into ${host.name}`, filesMs, put, stop);
}

/** Makes what the engine gave the running container its planned interfaces. */
async function wire(boot: Boot): Promise<void> {
  const { site, host, stop } = boot;
  const id = boot.id ?? '';
  const macs = await givenMacs(boot);
  const given = host.interfaces.map(({ name, segment }): GivenInterface => {
    const network = networkOf(boot, segment);
    return { name, mac: requireMac(macs, network.id, `${host.name} on the segment ${segment}`), network };
  });
  const { wayOut } = site;
  const out =
    host.outside && wayOut
      ? { mac: requireMac(macs, wayOut.id, `the way to the outside of ${host.name}`), network: wayOut }
      : null;
  const script = [busyboxOf(boot), 'sh', '-c', wireScript(host, given, out)];
  const result = await execIn(site.endpoint, site.engine, id, script, changeMs, stop);
  if (result.exitCode === 0) return;
  const state = await containerState(site.endpoint, site.engine, id);
  if (!state.running) throw new Error(`its container ${state.text}`);
  throw new NetrigError(
    'NETRIG_SEGMENT',
    `The interfaces of ${host.name} could not be made ready: ${result.stderr.trim() || `exit status ${result.exitCode}`}`,
  );
}

function startedOrLate(starting: Promise<unknown>, stop: AbortSignal): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    starting.then(() => resolve(), reject);
    // An engine that hangs does not keep us: what it may still make has the lab's labels.
    const late = (): void => {
      const timer = setTimeout(() => reject(stop.reason as Error), questionMs);
      timer.unref();
      starting.finally(() => clearTimeout(timer)).catch(() => undefined);
    };
    if (stop.aborted) late();
    else stop.addEventListener('abort', late, { once: true });
  });
}

/** Takes away what there is of the host, and throws what went wrong in the words of whoever boots hosts. */
async function afterFailure(boot: Boot, error: unknown): Promise<BootedContainer> {
  const { site, host, options, id } = boot;
  const { endpoint, engine } = site;
  if (boot.log === '' && id !== null) boot.log = await containerLog(endpoint, engine, id);
  boot.first?.destroy();
  // An engine that is gone has nothing to discard now; its labels tell a sweep, later.
  if (!isUnreachable(error)) await discard(site, host, id);
  if (options.signal.aborted) throw options.signal.reason;
  if (finalCodes.some((code) => isNetrigError(error, code))) throw error;
  if (isUnreachable(error)) throw engineError(endpoint, `start ${host.name}`, error);
  if (boot.deadline.aborted)
    throw new BootFailure(`it did not answer SSH within ${options.timeoutMs} ms`, boot.log, { cause: error });
  if (isNetrigError(error, 'NETRIG_ENGINE_REFUSED')) throw error;
  // The engine's no is the same the second time.
  if (engineStatus(error) !== null)
    return await withoutLacking(site, host, options, engineError(endpoint, `start ${host.name}`, error));
  throw new BootFailure(messageOf(error), boot.log, { cause: error });
}

/**
 * `ALL` means what the engine's own process has, from Docker 26 at the latest; in 20.10 it means all that the kernel knows,
 * and runc then fails where the engine lacks one. The one that engines lack is CAP_SYS_RESOURCE: without it, then.
 */
async function withoutLacking(
  site: ContainerSite,
  host: HostPlan,
  options: BootOptions,
  refused: NetrigError,
): Promise<BootedContainer> {
  if (!/apply caps/.test(refused.message)) throw refused;
  if (!options.lackingKnown) {
    site.lacking.add('SYS_RESOURCE');
    return bootContainer(site, host, { ...options, lackingKnown: true });
  }
  throw new NetrigError(
    'NETRIG_CAPABILITY',
    `The Docker engine "${site.info.name}" lacks capabilities that a lab's host needs: ${refused.message}`,
    {
      hint: 'Give the process of the engine all capabilities: run dockerd on the machine itself, or in a container with `--privileged`.',
      cause: refused,
    },
  );
}

async function discard(site: ContainerSite, host: HostPlan, id: string | null): Promise<void> {
  const name = id ?? `netrig-${site.id}-${host.name}`;
  await ask(
    site.endpoint,
    `remove the container of ${host.name}`,
    changeMs,
    site.engine.getContainer(name).remove({ force: true, v: true }),
  ).catch(() => undefined);
}
