import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import type Docker from 'dockerode';
import type { DockerOptions } from 'dockerode';
import { messageOf, NetrigError } from '../../errors.js';
import { formatDuration } from '../../model/duration.js';

/** Where a Docker engine listens, as DOCKER_HOST has it: `unix:///var/run/docker.sock`, `tcp://…`, `npipe://…`. */
export interface EngineEndpoint {
  uri: string;
  /** Who said so, for messages: `DOCKER_HOST`, `the Docker context "desktop-linux"`, `the default socket`. */
  from: string;
}

/** What of `docker info` matters here. */
export interface EngineInfo {
  version: string;
  /** 1 also for machines that have both. */
  cgroupVersion: 1 | 2;
  /** `amd64`, `arm64`, … as Debian names them. */
  architecture: string;
  name: string;
  /** The system of its machine, for people: `Debian GNU/Linux 12 (bookworm)`, `Docker Desktop`. */
  system: string;
  /** Whether it has system call filters. */
  filters: boolean;
}

/** How long the engine may take for a request that asks and changes nothing, ms. */
export const questionMs = 10_000;
/** How long the engine may take to make or remove something, ms. */
export const changeMs = 60_000;

function fromContext(environment: NodeJS.ProcessEnv): EngineEndpoint | null {
  const directory = environment['DOCKER_CONFIG'] ?? join(homedir(), '.docker');
  try {
    const config = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8')) as { currentContext?: unknown };
    const name = environment['DOCKER_CONTEXT'] ?? config.currentContext;
    if (typeof name !== 'string' || name === '' || name === 'default') return null;
    // The docker command keeps a context below the SHA-256 of its name.
    const meta = join(directory, 'contexts', 'meta', createHash('sha256').update(name).digest('hex'), 'meta.json');
    const { Endpoints } = JSON.parse(readFileSync(meta, 'utf8')) as { Endpoints?: { docker?: { Host?: unknown } } };
    const uri = Endpoints?.docker?.Host;
    return typeof uri === 'string' && uri !== '' ? { uri, from: `the Docker context "${name}"` } : null;
  } catch {
    return null;
  }
}

/** The sockets that Docker Engine, Docker Desktop and rootless engines listen on, in the order in which they are looked for. */
function usualSockets(environment: NodeJS.ProcessEnv): string[] {
  const runtime = environment['XDG_RUNTIME_DIR'];
  return [
    '/var/run/docker.sock',
    ...(runtime ? [join(runtime, 'docker.sock')] : []),
    join(homedir(), '.docker', 'run', 'docker.sock'),
    join(homedir(), '.docker', 'desktop', 'docker.sock'),
    join('/run', 'user', String(userInfo().uid), 'docker.sock'),
  ];
}

/** Which engine is meant: DOCKER_HOST, the current Docker context, or the first of the usual sockets that is there; `null` when none is. */
export function findEndpoint(environment: NodeJS.ProcessEnv = process.env): EngineEndpoint | null {
  const named = environment['DOCKER_HOST'];
  if (named) return { uri: named, from: 'DOCKER_HOST' };
  const context = fromContext(environment);
  if (context) return context;
  if (process.platform === 'win32') return { uri: 'npipe:////./pipe/docker_engine', from: 'the default pipe' };
  const socket = usualSockets(environment).find((path) => existsSync(path));
  return socket === undefined
    ? null
    : { uri: `unix://${socket}`, from: socket === '/var/run/docker.sock' ? 'the default socket' : 'a usual socket' };
}

/** Throws NETRIG_ENGINE_UNREACHABLE when there is none. */
export function requireEndpoint(environment: NodeJS.ProcessEnv = process.env): EngineEndpoint {
  const endpoint = findEndpoint(environment);
  if (endpoint) return endpoint;
  throw new NetrigError(
    'NETRIG_ENGINE_UNREACHABLE',
    `No Docker engine was found: DOCKER_HOST is not set, and none of ${usualSockets(environment).join(', ')} exists.`,
    {
      hint: 'Start Docker Desktop or the docker service, or set DOCKER_HOST to where the engine listens.',
    },
  );
}

/** What dockerode needs for an endpoint. Throws NETRIG_USAGE for a form that it can't use. */
export function engineOptions(endpoint: EngineEndpoint, environment: NodeJS.ProcessEnv = process.env): DockerOptions {
  let url: URL;
  try {
    url = new URL(endpoint.uri);
  } catch {
    throw new NetrigError('NETRIG_USAGE', `${endpoint.from} names the engine "${endpoint.uri}", which is no address.`, {
      hint: 'Write `unix:///var/run/docker.sock` or `tcp://HOST:PORT`.',
    });
  }
  switch (url.protocol) {
    case 'unix:':
      return { socketPath: decodeURIComponent(url.pathname) };
    case 'npipe:':
      return { socketPath: endpoint.uri.slice('npipe:'.length) };
    case 'tcp:':
    case 'http:':
    case 'https:': {
      const certificates = environment['DOCKER_CERT_PATH'];
      const tls = url.protocol === 'https:' || Boolean(environment['DOCKER_TLS_VERIFY']);
      const read = (name: string): Buffer => readFileSync(join(certificates ?? '', name));
      return {
        host: url.hostname,
        port: url.port || (tls ? '2376' : '2375'),
        protocol: tls ? 'https' : 'http',
        ...(tls && certificates ? { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') } : {}),
      };
    }
    default:
      throw new NetrigError(
        'NETRIG_USAGE',
        `${endpoint.from} names the engine "${endpoint.uri}"; netrig can't use ${url.protocol}//.`,
        {
          hint: 'Forward its socket (`ssh -L ./docker.sock:/var/run/docker.sock HOST`) and set DOCKER_HOST=unix://…/docker.sock.',
        },
      );
  }
}

/** A client of one engine; nothing is asked of it yet. */
export async function openEngine(endpoint: EngineEndpoint): Promise<Docker> {
  const options = engineOptions(endpoint);
  // Loaded at first use: the command line must not wait for it.
  const { default: DockerClient } = await import('dockerode');
  return new DockerClient(options);
}

interface EngineFailure {
  statusCode?: number;
  code?: string;
  reason?: string;
}

/** The engine's own words in an answer of dockerode: without its `(HTTP code 404) no such container - ` before them. */
export function engineWords(error: unknown): string {
  return messageOf(error)
    .replace(/^\(HTTP code \d+\)[^-]*- /, '')
    .trim();
}

/** HTTP status with which the engine refused; `null` when it did not answer at all. */
export function engineStatus(error: unknown): number | null {
  const status = (error as EngineFailure | null)?.statusCode;
  return typeof status === 'number' ? status : null;
}

/**
 * The coded error for a request that failed. `what` is the request as the rest of a sentence: `make the segment lan`.
 * Errors that are coded already stay what they are.
 */
export function engineError(endpoint: EngineEndpoint, what: string, error: unknown): NetrigError {
  if (error instanceof NetrigError) return error;
  const at = `the Docker engine at ${endpoint.uri} (${endpoint.from})`;
  const status = engineStatus(error);
  if (status !== null)
    return new NetrigError(
      'NETRIG_ENGINE_REFUSED',
      `The Docker engine could not ${what}: ${engineWords(error)}.`.replace(/\.\.$/, '.'),
      { cause: error },
    );
  const code = (error as EngineFailure | null)?.code;
  if (code === 'EACCES' || code === 'EPERM') {
    return new NetrigError('NETRIG_ENGINE_UNREACHABLE', `This user may not use ${at}: permission denied.`, {
      hint: 'Add the user to the group `docker` and log in again, or run netrig as root.',
      cause: error,
    });
  }
  if (code === 'ENOENT' || code === 'ECONNREFUSED') {
    const why = code === 'ENOENT' ? 'there is no such socket' : 'nothing listens there';
    return new NetrigError('NETRIG_ENGINE_UNREACHABLE', `No answer from ${at} when netrig was to ${what}: ${why}.`, {
      hint: 'Start Docker Desktop or the docker service, or set DOCKER_HOST to where the engine listens.',
      cause: error,
    });
  }
  return new NetrigError(
    'NETRIG_ENGINE_UNREACHABLE',
    `No answer from ${at} when netrig was to ${what}: ${messageOf(error)}.`,
    { cause: error },
  );
}

/** Error codes of a connection that ended under a request. */
const brokenCodes = [
  'ENOENT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'EACCES',
  'EPERM',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
];

/** Whether a request failed because nobody answered, not because the engine said no. */
export function isUnreachable(error: unknown): boolean {
  if (error instanceof NetrigError) return error.code === 'NETRIG_ENGINE_UNREACHABLE';
  const failure = error as EngineFailure | null;
  return (
    engineStatus(error) === null &&
    (brokenCodes.includes(failure?.code ?? '') || /socket hang up/.test(messageOf(error)))
  );
}

/**
 * One request to the engine, `timeoutMs` at most. Rejects with NETRIG_ENGINE_UNREACHABLE or NETRIG_ENGINE_REFUSED, or with
 * what `signal` was aborted with.
 */
export async function ask<T>(
  endpoint: EngineEndpoint,
  what: string,
  timeoutMs: number,
  request: Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  // Answered or not: whoever stopped waiting does not hear of it any more.
  request.catch(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  let abort: (() => void) | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(Object.assign(new Error(`it said nothing for ${formatDuration(timeoutMs)}`), { code: 'LATE' })),
      timeoutMs,
    );
    abort = () => reject(Object.assign(new Error('aborted'), { aborted: true }));
    signal?.addEventListener('abort', abort, { once: true });
  });
  try {
    signal?.throwIfAborted();
    return await Promise.race([request, late]);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw engineError(endpoint, what, error);
  } finally {
    clearTimeout(timer);
    if (abort) signal?.removeEventListener('abort', abort);
  }
}

const architectures: Record<string, string> = {
  x86_64: 'amd64',
  aarch64: 'arm64',
  armv7l: 'armhf',
  i686: 'i386',
  x64: 'amd64',
};

/** The name that Debian has for what the kernel or Node calls an architecture. */
export function debianArchitecture(name: string): string {
  return architectures[name] ?? name;
}

/** Throws NETRIG_ENGINE_UNREACHABLE, and NETRIG_CAPABILITY for an engine that runs no Linux containers. */
export async function engineInfo(endpoint: EngineEndpoint, engine: Docker, signal?: AbortSignal): Promise<EngineInfo> {
  const info = (await ask(endpoint, 'say what it is', questionMs, engine.info(), signal)) as Partial<
    Record<string, unknown>
  >;
  if (info['OSType'] !== undefined && info['OSType'] !== 'linux') {
    throw new NetrigError(
      'NETRIG_CAPABILITY',
      `The Docker engine at ${endpoint.uri} runs ${String(info['OSType'])} containers; lab hosts are Linux.`,
      { hint: 'Switch Docker Desktop to Linux containers.' },
    );
  }
  return {
    version: String(info['ServerVersion'] ?? ''),
    // Engines before 20.10 do not say; they know version 1 only.
    cgroupVersion: info['CgroupVersion'] === '2' ? 2 : 1,
    architecture: debianArchitecture(String(info['Architecture'] ?? '')),
    name: String(info['Name'] ?? ''),
    system: String(info['OperatingSystem'] ?? ''),
    filters: [info['SecurityOptions']].flat().some((option) => String(option).startsWith('name=seccomp')),
  };
}
