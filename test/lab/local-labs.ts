import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { expect } from 'chai';
import type { RunEventBody } from '../../src/model/events.js';
import { isNetrigError, type ErrorCode, type NetrigError } from '../../src/errors.js';
import { readLedger, type LedgerEntry } from '../../src/lab/ledger.js';
import { isAlive } from '../../src/lab/process.js';
import { labDirectory } from '../../src/lab/store.js';
import type { HostPlan, LabPlan } from '../../src/plan/lab-plan.js';
import type { RunningLab } from '../../src/providers/provider.js';
import { connect } from '../../src/ssh/connection.js';
import type { ExecResult } from '../../src/ssh/ssh.js';

/** What a machine lacks for labs of the local provider, for the titles of skipped tests; `null` when nothing. */
export const missing = process.getuid?.() === 0 ? null : 'root';

/** A host with one interface on each segment named, at `.N` of `10.20.I.0/24` for the I-th of `segments`. */
export function hostPlan(
  name: string,
  number: number,
  segments: readonly string[],
  more: Partial<HostPlan> = {},
): HostPlan {
  return {
    name,
    image: 'debian-11',
    init: 'light',
    engine: false,
    containerImages: [],
    interfaces: segments.map((segment, index) => ({
      name: `eth${index}`,
      segment,
      address: `10.20.${segmentNumber(segment)}.${number}/24`,
      mac: `02:4e:00:00:${String(segmentNumber(segment)).padStart(2, '0')}:${String(number).padStart(2, '0')}`,
    })),
    routes: [],
    sysctls: {},
    ...more,
  };
}

function segmentNumber(segment: string): number {
  return Number(/\d+$/.exec(segment)?.[0] ?? 1);
}

export function labPlan(slug: string, hosts: HostPlan[], more: Partial<LabPlan> = {}): LabPlan {
  const names = [...new Set(hosts.flatMap((host) => host.interfaces.map((nic) => nic.segment)))];
  const segments = names.map((name) => ({ name, subnet: `10.20.${segmentNumber(name)}.0/24`, mtu: null }));
  return { title: slug, slug, hosts, segments, bootTimeoutMs: 60_000, ...more };
}

/** Options for `up` that keep the events. */
export function upOptions(signal: AbortSignal = new AbortController().signal): {
  signal: AbortSignal;
  emit: (event: RunEventBody) => void;
  scenario: string;
  events: RunEventBody[];
} {
  const events: RunEventBody[] = [];
  return { signal, scenario: 'test', events, emit: (event) => void events.push(event) };
}

/** Runs one command on a host of a lab over a connection of its own. */
export async function onHost(lab: RunningLab, host: string, command: string): Promise<ExecResult> {
  const connection = await connect(lab.target(host));
  try {
    return await connection.exec(command, { timeoutMs: 30_000 });
  } finally {
    await connection.end();
  }
}

export async function rejectsWith(code: ErrorCode, work: Promise<unknown>): Promise<NetrigError> {
  const error: unknown = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (isNetrigError(error, code)) return error;
  throw new Error(`expected ${code}, got ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
}

/** The machine's own links, mounts and sysctls that hosts might reach for. */
export function machineState(): { links: string; mounts: string; sysctls: string } {
  const sysctls = [
    'fs/file-max',
    'fs/nr_open',
    'fs/protected_symlinks',
    'kernel/printk',
    'net/ipv4/ip_forward',
    'net/ipv4/neigh/default/gc_thresh3',
  ];
  const links = JSON.parse(execFileSync('ip', ['-j', 'link'], { encoding: 'utf8' })) as { ifname: string }[];
  return {
    links: links.map((link) => link.ifname).join(' '),
    mounts: readFileSync('/proc/self/mountinfo', 'utf8'),
    sysctls: sysctls
      .map(
        (name) => `${name}=${existsSync(`/proc/sys/${name}`) ? readFileSync(`/proc/sys/${name}`, 'utf8').trim() : ''}`,
      )
      .join('\n'),
  };
}

/** What a lab made, read from its ledger while it is there. */
export function made(id: string): LedgerEntry[] {
  return readLedger(labDirectory(id));
}

/** Cgroups in any hierarchy whose name has the lab's id. */
export function cgroupsOf(id: string): string[] {
  const top = '/sys/fs/cgroup';
  const tops = [
    top,
    ...readdirSync(top, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [`${top}/${entry.name}`] : [],
    ),
  ];
  return tops.flatMap((directory) =>
    readdirSync(directory)
      .filter((name) => name.includes(id))
      .map((name) => `${directory}/${name}`),
  );
}

export function expectNothingLeft(
  id: string,
  entries: readonly LedgerEntry[],
  before: ReturnType<typeof machineState>,
): void {
  expect(
    entries.filter((entry) => entry.kind === 'process' && isAlive(entry)),
    'processes',
  ).to.deep.equal([]);
  expect(cgroupsOf(id), 'cgroups').to.deep.equal([]);
  expect(existsSync(labDirectory(id)), 'record').to.equal(false);
  expect(machineState(), 'the machine').to.deep.equal(before);
}

/** A process that holds a lab: it takes it down at SIGTERM, and knows nothing of SIGKILL. */
export interface HolderProcess {
  child: ChildProcess;
  id: string;
}

const holderCode = `
const [provider, plan] = process.argv.slice(1);
const { localProvider } = await import(provider);
const lab = await localProvider.up(JSON.parse(plan), { signal: new AbortController().signal, emit: () => undefined, scenario: 'held' });
process.on('SIGTERM', () => void lab.down().then(() => process.exit(0)));
console.log(lab.id);
`;

export async function startHolder(plan: LabPlan, env: NodeJS.ProcessEnv = process.env): Promise<HolderProcess> {
  const provider = new URL('../../src/providers/local/provider.js', import.meta.url).href;
  const child = spawn(process.execPath, ['--input-type=module', '-e', holderCode, provider, JSON.stringify(plan)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env,
  });
  const lines = createInterface({ input: child.stdout });
  const [id] = (await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => [''])])) as [string];
  if (id === '') throw new Error('the holder ended before its lab was up');
  return { child, id };
}

export async function endOf(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}
