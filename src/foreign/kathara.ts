import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { NetrigError } from '../errors.js';
import { finish } from './containerlab.js';
import { emptyHost, nameOf } from './draft.js';
import type { Draft, DraftSegment } from './draft.js';
import { packagesOf } from './node-image.js';

interface Line {
  line: number;
  device: string;
  key: string;
  value: string;
}

const deviceLine = /^([A-Za-z0-9_.-]+)\[([A-Za-z0-9_]+)\]\s*=\s*(.*)$/;
const labLine = /^(LAB_[A-Z]+)\s*=\s*(.*)$/;

const unquoted = (text: string): string => text.trim().replace(/^(["'])(.*)\1$/, '$2');

function readLines(text: string, file: string): { lines: Line[]; lab: Map<string, string> } {
  const lab = new Map<string, string>();
  const lines = text.split('\n').flatMap((raw, at) => {
    const content = raw.trim();
    if (content === '' || content.startsWith('#')) return [];
    const about = labLine.exec(content);
    if (about) {
      lab.set(about[1]!, unquoted(about[2]!));
      return [];
    }
    const match = deviceLine.exec(content);
    if (!match) throw new NetrigError('NETRIG_IMPORT', `${file}:${at + 1}: this is no line of a lab.conf: ${content}`);
    return [{ line: at + 1, device: match[1]!, key: match[2]!, value: unquoted(match[3]!) }];
  });
  return { lines, lab };
}

/** Keys that say nothing about the network, or that have another form here. */
function takeOption(draft: Draft, file: string, { line, device, key, value }: Line, host: string): string[] {
  const own = draft.hosts.get(host)!;
  const lose = (why: string): string[] => {
    draft.lost.push({ file, line, what: `\`${key}\` of ${device}`, why });
    return [];
  };
  switch (key) {
    case 'image': {
      const packages = packagesOf(value);
      if (packages === null)
        return lose(`a plain Debian host in place of ${value}: name under \`packages\` what it must have`);
      own.packages.push(...packages);
      own.systemd ||= packages.length > 0;
      return [];
    }
    case 'mem':
      own.limits.memory = value.toUpperCase();
      return [];
    case 'cpus':
      own.limits.cpus = Number(value);
      return [];
    case 'exec':
      return [value];
    case 'sysctl': {
      const [name = '', setting = ''] = value.split('=');
      if (!/^net\./.test(name)) return lose('left out: a host owns the sysctls under net');
      own.sysctls[name] = setting;
      return [];
    }
    case 'ipv6':
      return /^(true|1|yes|y)$/i.test(value)
        ? []
        : lose('left out: hosts have IPv6 on the interfaces that have an address of it');
    default:
      return lose('left out');
  }
}

/** A collision domain is a segment; `pc1[0]="A/02:00:00:00:00:01"` also names a hardware address. */
function takeInterface(draft: Draft, file: string, domains: Map<string, DraftSegment>, one: Line, host: string): void {
  const [domain = '', mac] = one.value.split('/');
  let segment = domains.get(domain);
  if (!segment) {
    const taken = new Set([...domains.values()].map(({ name }) => name));
    segment = { name: nameOf(/^[a-z]/i.test(domain) ? domain : `domain-${domain}`, taken), subnets: [], members: [] };
    domains.set(domain, segment);
    draft.segments.push(segment);
  }
  segment.members.push({ host, index: Number(one.key), addresses: [] });
  if (mac !== undefined)
    draft.lost.push({
      file,
      line: one.line,
      what: `the hardware address ${mac} of ${one.device}`,
      why: 'left out: netrig gives each interface one of its own',
    });
}

/** `NAME.startup`, after `shared.startup`; and the folder NAME, whose files belong below the device's root. */
function takeFiles(draft: Draft, folder: string, device: string, host: string): string[] {
  const own = draft.hosts.get(host)!;
  for (const directory of ['shared', device]) {
    const full = path.join(folder, directory);
    if (!existsSync(full)) continue;
    const target = directory === 'shared' && device !== 'shared' ? '/shared/' : '/';
    if (readdirSync(full).length > 0) own.files[`./${directory}/`] = target;
  }
  return ['shared', device].flatMap((name) => {
    const file = path.join(folder, `${name}.startup`);
    return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
  });
}

/**
 * A Kathará lab: its lab.conf, with the start-up files and folders beside it. Throws NETRIG_IMPORT for a line that is none.
 *
 * @param folder Where the lab.conf lies.
 */
export function fromKathara(text: string, file: string, folder: string): Draft {
  const { lines, lab } = readLines(text, file);
  const own = lab.get('LAB_NAME') ?? path.basename(folder);
  const draft: Draft = {
    name: nameOf(own),
    title: `${own}, from a Kathará lab`,
    description: lab.get('LAB_DESCRIPTION') ?? null,
    hosts: new Map(),
    segments: [],
    scripts: [],
    checks: [],
    lost: [],
  };
  const domains = new Map<string, DraftSegment>();
  const hosts = new Map<string, string>();
  for (const { device } of lines) if (!hosts.has(device)) hosts.set(device, nameOf(device, new Set(hosts.values())));
  if (hosts.size === 0) throw new NetrigError('NETRIG_IMPORT', `${file} names no device.`);
  const scripts = new Map<string, string[]>();
  for (const [device, host] of hosts) {
    draft.hosts.set(host, emptyHost());
    const commands = lines
      .filter((one) => one.device === device)
      .flatMap((one) => {
        if (!/^\d+$/.test(one.key)) return takeOption(draft, file, one, host);
        takeInterface(draft, file, domains, one, host);
        return [];
      });
    scripts.set(host, [...takeFiles(draft, folder, device, host), ...commands]);
    if (existsSync(path.join(folder, `${device}.shutdown`)))
      draft.lost.push({
        file: `${device}.shutdown`,
        line: null,
        what: `the end of ${device}`,
        why: 'left out: what a lab does at its end stands under `finally`',
      });
  }
  const ends = draft.segments.flatMap(({ members }) => members);
  for (const [host, { sysctls }] of draft.hosts)
    if (ends.filter((one) => one.host === host).length > 1) sysctls['net.ipv4.ip_forward'] ??= '1';
  finish(file, draft, scripts);
  return draft;
}
