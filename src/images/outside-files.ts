import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { messageOf } from '../errors.js';
import type { HostImageRow } from './host-image.js';
import { findMirror, type MirrorSources, withoutCredentials } from './mirror.js';

/** What a host with a way to the outside gets of the machine’s own: where packages come from, and its proxies. */
export interface OutsideFiles {
  /** Absolute paths on the host → texts. */
  files: Record<string, string>;
  /** Lines for /etc/hosts: names that the machine itself gives its sources and proxies. */
  hosts: string[];
  /** What could not be taken along, a sentence each. */
  left: string[];
}

const proxyNames = ['http_proxy', 'https_proxy', 'no_proxy'] as const;

function hostOf(text: string): string | null {
  try {
    return new URL(text).hostname.replace(/^\[|\]$/g, '');
  } catch {
    return null;
  }
}

const isLoopback = (host: string): boolean => /^(?:localhost|127\.[\d.]+|::1)$/.test(host);

/** Why a proxy is of no use to a host, `null` where it may be. */
function uselessProxy(url: string): string | null {
  const host = hostOf(/:\/\//.test(url) ? url : `http://${url}`);
  if (withoutCredentials(url) !== url) return 'it has a password, which goes into no lab';
  if (host !== null && isLoopback(host)) return 'it is on the machine’s loopback, which no host reaches';
  return null;
}

/** The proxies of the environment, both spellings, as far as a host can use them. */
function proxiesOf(environment: NodeJS.ProcessEnv, left: string[]): Record<string, string> {
  const proxies: Record<string, string> = {};
  for (const name of proxyNames) {
    const value = environment[name] ?? environment[name.toUpperCase()];
    if (!value) continue;
    const why = name === 'no_proxy' ? null : uselessProxy(value);
    if (why === null) proxies[name] = value;
    else left.push(`the proxy of ${name} is left out: ${why}`);
  }
  return proxies;
}

/** Lines of a hosts file that give one of the names an address which can be reached from elsewhere. */
export function hostsLinesFor(names: ReadonlySet<string>, hostsFile: string): string[] {
  return hostsFile.split('\n').flatMap((line) => {
    const [address = '', ...known] = line.replace(/#.*/, '').trim().split(/\s+/);
    const wanted = known.filter((name) => names.has(name));
    return wanted.length > 0 && isIP(address) !== 0 && !isLoopback(address) ? [`${address} ${wanted.join(' ')}`] : [];
  });
}

/** As files of a host, out of what the machine has. Pure. */
export function outsideFilesOf(
  mirror: Pick<MirrorSources, 'lines' | 'aptOptions'> | null,
  environment: NodeJS.ProcessEnv,
  hostsFile: string,
): OutsideFiles {
  const left: string[] = [];
  const files: Record<string, string> = {};
  const proxies = proxiesOf(environment, left);
  const urls = Object.entries(proxies).flatMap(([name, value]) => (name === 'no_proxy' ? [] : [value]));
  if (mirror) {
    const lines = mirror.lines.filter((line) => withoutCredentials(line) === line);
    if (lines.length < mirror.lines.length)
      left.push('a package source with a password is left out: passwords go into no lab');
    files['/etc/apt/sources.list'] = lines.map((line) => `${line}\n`).join('');
    const options = mirror.aptOptions.filter((option) => {
      if (option.startsWith('Dir::Etc::')) return false;
      const url = /Proxy\S* "(\S+:\/\/\S+)"$/i.exec(option)?.[1];
      const why = url === undefined ? null : uselessProxy(url);
      if (why !== null) left.push(`apt’s proxy is left out: ${why}`);
      else if (url !== undefined) urls.push(url);
      return why === null && withoutCredentials(option) === option;
    });
    files['/etc/apt/apt.conf.d/90netrig-outside'] = options.map((option) => `${option};\n`).join('');
    urls.push(...lines.map((line) => line.split(' ')[1]!));
  }
  if (Object.keys(proxies).length > 0) {
    const both = Object.entries(proxies).flatMap(([name, value]) => [
      `${name}=${value}`,
      `${name.toUpperCase()}=${value}`,
    ]);
    files['/etc/environment'] = both.map((line) => `${line}\n`).join('');
    files['/etc/systemd/system/docker.service.d/netrig-proxy.conf'] =
      `[Service]\n${both.map((line) => `Environment="${line.replaceAll('%', '%%')}"\n`).join('')}`;
  }
  const names = new Set(urls.flatMap((url) => hostOf(url) ?? []));
  return { files, hosts: hostsLinesFor(names, hostsFile), left };
}

/** The package source that NETRIG_DEBIAN_MIRROR names, as lines of a sources.list: for a machine without apt, and one that is not asked. */
export function namedSources(row: HostImageRow, environment: NodeJS.ProcessEnv = process.env): string[] {
  const named = environment['NETRIG_DEBIAN_MIRROR'];
  return named ? [`deb ${named} ${row.suite} main`] : [];
}

const known = new Map<string, Promise<OutsideFiles>>();

/**
 * For hosts of an image; asked once in a process, for it looks which sources answer. `instead` are lines of a sources.list
 * for where this machine has none that answers. Never rejects but for an interruption.
 */
export function outsideFiles(
  row: HostImageRow | null,
  signal: AbortSignal,
  instead: readonly string[] = [],
): Promise<OutsideFiles> {
  const key = JSON.stringify([row?.name, instead]);
  const before = known.get(key);
  if (before) return before;
  const asked = (async () => {
    // Of somebody's root file system nobody knows where its packages come from.
    if (row === null) return outsideFilesOf(null, process.env, readFileSync('/etc/hosts', 'utf8'));
    const mirror = await findMirror(row, signal).catch((error: unknown) => {
      if (signal.aborted) throw error;
      return messageOf(error);
    });
    const usual = instead.length > 0 ? { lines: [...instead], aptOptions: [] } : null;
    const found = outsideFilesOf(
      typeof mirror === 'string' ? usual : mirror,
      process.env,
      readFileSync('/etc/hosts', 'utf8'),
    );
    return typeof mirror === 'string' && usual === null
      ? { ...found, left: [...found.left, `it has no package source: ${mirror}`] }
      : found;
  })();
  known.set(key, asked);
  asked.catch(() => known.delete(key));
  return asked;
}
