import { addressesOf } from '../../model/planned-addresses.js';
import { readFileSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { temporaryDirectory } from '../../lab/temporary.js';
import { messageOf, NetrigError } from '../../errors.js';
import { containerImageRecipes } from '../../images/container-images.js';
import { holderAlive, labDirectory as recordDirectory, listRecords, newLabId, removeRecord } from '../../lab/store.js';
import { hostsFileMarks } from '../../model/hosts-file.js';
import type { HostPlan, LabPlan } from '../../plan/lab-plan.js';
import { loadInventory, type Inventory, type Machine } from '../../scenario/inventory.js';
import { generateLabKeys } from '../../ssh/keys.js';
import { quoteArg } from '../../ssh/quote.js';
import type { SshTarget } from '../../ssh/ssh.js';
import { kernelProbes, probeScript, readProbes } from '../shared/kernel-probes.js';
import { accessTo, attachedLab, endHolder, heldLab, holdLab, newRecord } from '../held-lab.js';
import type { Capability, LabRecord, Provider, RunningLab, SweepReport, UpOptions } from '../provider.js';
import { imageScript } from './engine-images.js';
import {
  addressChange,
  beginScript,
  type Change,
  changeScript,
  engineLeftScript,
  engineNote,
  hostsNote,
  machineTaken,
  mtuChange,
  packagesChange,
  packageThere,
  nameChange,
  ownerScript,
  routeNote,
  sshdConfigFile,
  sysctlNote,
  tunnelChange,
  undoScriptFor,
  upChange,
} from './journal.js';
import { type MachineAccess, openRootSshd, runAsRoot, sshConfig } from './transport.js';

/** The environment variables by which the command line tells every process of a run. */
export const inventoryVariable = 'NETRIG_INVENTORY';
export const consentVariable = 'NETRIG_YES';

/** Packages that are purged take most of it. */
const undoMs = 3 * 60_000;
const askMs = 20_000;
const packagesMs = 10 * 60_000;

interface SshAccess {
  privateKey: string;
  hostKey: string;
  inventory: string;
  /** By the scenario's host. */
  hosts: Record<string, MachineAccess>;
}

function accessOf(record: LabRecord): SshAccess {
  return record.access as SshAccess;
}

function inventoryFile(): string | null {
  return process.env[inventoryVariable] || null;
}

function requireInventory(): Inventory {
  const file = inventoryFile();
  if (file !== null) return loadInventory(file);
  throw new NetrigError('NETRIG_USAGE', 'The provider ssh needs an inventory of the machines.', {
    hint: 'Name it: --inventory FILE. docs/ssh.md says what it holds.',
  });
}

/** The machine-id of where netrig runs, so that nobody ends a lab which another controller holds. */
function controllerId(): string {
  try {
    return readFileSync('/etc/machine-id', 'utf8').trim() || 'unknown';
  } catch {
    return 'unknown';
  }
}

/** The machines of a plan's hosts. Throws NETRIG_INVENTORY where the two do not fit. */
export function machinesFor(plan: LabPlan, inventory: Inventory): Map<string, Machine> {
  const found = new Map<string, Machine>();
  const problems: string[] = [];
  for (const host of plan.hosts) {
    const machine = inventory.machines.find((one) => one.host === host.name);
    if (!machine) {
      problems.push(`no machine stands for the host ${host.name}`);
      continue;
    }
    found.set(host.name, machine);
    for (const { segment } of host.interfaces) {
      const tunnel = Object.hasOwn(inventory.tunnels, segment);
      if (tunnel && isIP(machine.address) === 0)
        problems.push(
          `${machine.name}: the VXLAN of ${segment} needs its address as such, not the name ${machine.address}`,
        );
      if (!tunnel && machine.interfaces[segment] === undefined)
        problems.push(
          `${machine.name} has no interface for the segment ${segment}: say which by \`segments: { ${segment}: … }\`, or have the segment built by \`segments: { ${segment}: { vxlan: … } }\` at the top`,
        );
    }
  }
  if (problems.length > 0) {
    throw new NetrigError(
      'NETRIG_INVENTORY',
      `The inventory ${inventory.file} does not fit the scenario: ${problems.join('; ')}.`,
      { hint: 'Mend the inventory; nothing was touched.' },
    );
  }
  return found;
}

/** What a lab changes on one machine, in the order in which it does. */
export function changesFor(
  plan: LabPlan,
  host: HostPlan,
  machines: ReadonlyMap<string, Machine>,
  inventory: Inventory,
  lab: string,
): Change[] {
  const machine = machines.get(host.name)!;
  const changes: Change[] = [];
  for (const nic of host.interfaces) {
    const segment = plan.segments.find(({ name }) => name === nic.segment)!;
    const tunnel = inventory.tunnels[nic.segment];
    if (tunnel) {
      const peers = plan.hosts
        .filter((other) => other.name !== host.name && other.interfaces.some((one) => one.segment === nic.segment))
        .map((other) => machines.get(other.name)!.address);
      changes.push(
        tunnelChange(
          {
            device: nic.name,
            mac: nic.mac,
            vni: tunnel.vni,
            port: tunnel.port,
            local: machine.address,
            peers,
            mtu: segment.mtu,
          },
          lab,
        ),
      );
      changes.push(...addressesOf(nic).map((address) => addressChange(nic.name, address)));
      continue;
    }
    const device = machine.interfaces[nic.segment]!;
    if (device !== nic.name) changes.push(nameChange(device, nic.name));
    if (segment.mtu !== null) changes.push(mtuChange(device, segment.mtu));
    changes.push(upChange(device));
    changes.push(...addressesOf(nic).map((address) => addressChange(device, address)));
  }
  for (const key of Object.keys(host.sysctls)) changes.push(sysctlNote(key));
  for (const route of host.routes) changes.push(routeNote(route.to, route.via));
  changes.push(hostsNote(hostsFileMarks.first, hostsFileMarks.last));
  return changes;
}

/**
 * Looks whether the machine is as the inventory says, without changing anything: its interfaces are there, none of another
 * purpose has a name that the scenario uses, and there is an engine where one is needed.
 */
function lookScript(host: HostPlan, machine: Machine, inventory: Inventory, readOnly: boolean): string {
  const lines: string[] = [
    '[ "$(uname -s)" = Linux ] || echo "it is no Linux machine"',
    'command -v ip >/dev/null || echo "it has no ip (package iproute2)"',
  ];
  for (const nic of host.interfaces) {
    const device = machine.interfaces[nic.segment];
    const taken = `a link named ${nic.name} is there already, which the scenario’s commands would take for the one on ${nic.segment}`;
    if (Object.hasOwn(inventory.tunnels, nic.segment))
      lines.push(`! ip link show dev ${nic.name} >/dev/null 2>&1 || echo ${quoteArg(taken)}`);
    else if (device !== undefined) {
      lines.push(`[ -e /sys/class/net/${device} ] || echo ${quoteArg(`there is no interface ${device}`)}`);
      if (device !== nic.name) lines.push(`[ ! -e /sys/class/net/${nic.name} ] || echo ${quoteArg(taken)}`);
    }
  }
  const packages = host.packages ?? [];
  if (packages.length > 0 && !readOnly)
    lines.push(
      'command -v apt-get >/dev/null || echo "it has no apt-get, by which it would get the packages of the scenario"',
    );
  if (readOnly)
    for (const name of packages)
      lines.push(`${packageThere(name)} || echo ${quoteArg(`it lacks the package ${name}`)}`);
  if (host.engine)
    lines.push('command -v docker >/dev/null || echo "it has no Docker engine, which the scenario needs there"');
  return lines.join('\n');
}

/** Runs a script that must succeed. */
async function must(
  access: MachineAccess,
  script: string,
  signal: AbortSignal,
  doing: string,
  timeoutMs: number,
): Promise<string> {
  const { exitCode, stdout, stderr } = await runAsRoot(access, script, { signal, timeoutMs });
  if (exitCode === 0) return stdout;
  throw new NetrigError(
    'NETRIG_SEGMENT',
    `${access.machine.name}: ${doing} failed: ${stderr.trim() || `exit status ${exitCode}`}.`,
  );
}

async function take(
  access: MachineAccess,
  host: HostPlan,
  plan: LabPlan,
  parts: {
    record: LabRecord;
    inventory: Inventory;
    machines: Map<string, Machine>;
    hostPrivateKey: string;
    loginKeyLine: string;
    signal: AbortSignal;
    taken: Set<string>;
    readOnly: boolean;
    log: (level: 'info' | 'warn', text: string) => void;
  },
): Promise<void> {
  const { machine } = access;
  const { record, inventory, machines, signal, log } = parts;
  const wrong = (
    await must(access, lookScript(host, machine, inventory, parts.readOnly), signal, 'a look at it', askMs)
  ).trim();
  if (wrong !== '')
    throw new NetrigError(
      'NETRIG_INVENTORY',
      `${machine.name} (${machine.address}) does not fit: ${wrong.split('\n').join('; ')}.`,
      { hint: 'Mend the inventory or the machine; nothing was changed on it.' },
    );

  const begin = beginScript({
    owner: `${record.id} ${controllerId()}`,
    hostKey: parts.hostPrivateKey,
    authorizedKey: parts.loginKeyLine,
  });
  // From here on something may be there, also when no answer comes.
  parts.taken.add(host.name);
  const begun = await runAsRoot(access, begin, { signal, timeoutMs: askMs });
  if (begun.exitCode === machineTaken) {
    parts.taken.delete(host.name);
    const [lab, controller] = begun.stdout.trim().split(' ');
    throw new NetrigError(
      'NETRIG_CAPABILITY',
      `${machine.name} (${machine.address}) is in use by the lab ${lab ?? 'of somebody'}${controller === controllerId() ? '' : ', of another controller'}: one lab a machine at a time.`,
      {
        hint: `Wait for it to end. If what held it was killed: netrig gc --inventory ${inventory.file}`,
      },
    );
  }
  if (begun.exitCode !== 0)
    throw new NetrigError(
      'NETRIG_SEGMENT',
      `${machine.name}: the lab’s directory could not be made: ${begun.stderr.trim()}.`,
    );
  if (parts.readOnly) return;
  const packages = host.packages ?? [];
  if (packages.length > 0) {
    const added = await must(
      access,
      changeScript([packagesChange(packages)]),
      signal,
      'installing packages',
      packagesMs,
    );
    if (added.includes('did ')) log('info', `${machine.name}: packages ${packages.join(' ')}`);
  }
  if (host.engine) await must(access, engineNote, signal, 'a look at its engine', askMs);
  const did = await must(
    access,
    changeScript(changesFor(plan, host, machines, inventory, record.id)),
    signal,
    'a change',
    60_000,
  );
  for (const line of did.split('\n').filter((one) => one.startsWith('did ')))
    log('info', `${machine.name}: ${line.slice(4)}`);
  if (host.engine) await giveImages(access, host.containerImages, signal, log);
}

/** The container images that netrig puts together itself, where the machine's engine lacks them. */
async function giveImages(
  access: MachineAccess,
  images: readonly string[],
  signal: AbortSignal,
  log: (level: 'info' | 'warn', text: string) => void,
): Promise<void> {
  const { machine } = access;
  for (const name of images) {
    const recipe = containerImageRecipes.find((one) => one.name === name);
    const made = await runAsRoot(access, imageScript(name, recipe), { signal, timeoutMs: 120_000 });
    if (made.exitCode !== 0)
      throw new NetrigError(
        'NETRIG_CAPABILITY',
        `${machine.name}: its engine has no image ${name}: ${made.stderr.trim() || made.stdout.trim()}.`,
        { hint: `Put an image ${name} on its engine (docker pull, docker tag), or install busybox-static there.` },
      );
    if (made.stdout.includes('made')) log('info', `${machine.name}: container image ${name}`);
  }
}

/** Undoes what a lab did on a machine. Answers what is left, none when all went. */
async function release(access: MachineAccess, lab: string, tell: (text: string) => void): Promise<string[]> {
  const { machine } = access;
  try {
    const engine = await runAsRoot(access, engineLeftScript(machine.dedicated), { timeoutMs: undoMs });
    const left = engine.stdout.split('\n').filter((line) => line.endsWith(' left'));
    if (left.length > 0)
      tell(
        `${machine.name}: what the steps made on its engine stays: ${left.map((line) => line.slice(0, -5)).join(', ')}. With \`dedicated: true\` in the inventory it is removed.`,
      );
    const undone = await runAsRoot(access, undoScriptFor(lab), { timeoutMs: undoMs });
    return undone.stdout.split('\n').flatMap((line) => (line.startsWith('left ') ? [line.slice(5)] : []));
  } catch (error) {
    return [`all that the lab made there: ${messageOf(error)}`];
  }
}

function targetOf(record: LabRecord, host: string): SshTarget {
  const { hosts, privateKey, hostKey } = accessOf(record);
  const access = accessTo(record, hosts, host);
  return {
    host,
    username: 'root',
    privateKey,
    hostKey,
    open: (signal) => openRootSshd(access, sshdConfigFile, signal),
  };
}

async function consoleOf(record: LabRecord, host: string): Promise<string> {
  const access = accessOf(record).hosts[host];
  if (!access) return '';
  try {
    return (
      await runAsRoot(access, 'journalctl -b -n 40 --no-pager 2>/dev/null || dmesg | tail -n 40', { timeoutMs: askMs })
    ).stdout;
  } catch (error) {
    return messageOf(error);
  }
}

async function releaseAll(record: LabRecord, hosts: Iterable<string>, tell: (text: string) => void): Promise<void> {
  const access = accessOf(record).hosts;
  const left = (
    await Promise.all(
      [...hosts].map(async (host) =>
        (await release(access[host]!, record.id, tell)).map((what) => `${access[host]!.machine.name}: ${what}`),
      ),
    )
  ).flat();
  if (left.length === 0) return;
  throw new NetrigError(
    'NETRIG_CLEANUP',
    `The lab ${record.id} could not be taken away as a whole; left: ${left.join('; ')}.`,
    { hint: `When the machines answer again: netrig gc --inventory ${accessOf(record).inventory}` },
  );
}

/** The plan with the machines' own names of their interfaces. */
function withDevices(plan: LabPlan, inventory: Inventory, machines: ReadonlyMap<string, Machine>): LabPlan {
  return {
    ...plan,
    hosts: plan.hosts.map((host) => ({
      ...host,
      interfaces: host.interfaces.map((nic) => {
        const device = Object.hasOwn(inventory.tunnels, nic.segment)
          ? nic.name
          : machines.get(host.name)!.interfaces[nic.segment]!;
        return device === nic.name ? nic : { ...nic, device };
      }),
    })),
  };
}

async function bring(
  plan: LabPlan,
  options: UpOptions & { detached?: boolean; scenarioFile?: string },
): Promise<RunningLab> {
  const { emit, scenario, signal } = options;
  const inventory = requireInventory();
  const machines = machinesFor(plan, inventory);
  if (!options.readOnly && process.env[consentVariable] !== '1') {
    throw new NetrigError('NETRIG_USAGE', 'Machines that exist are changed only when somebody has agreed to it.', {
      hint: `Say --yes, or set ${consentVariable}=1.`,
    });
  }
  const known = withDevices(plan, inventory, machines);
  const id = newLabId(plan.slug);
  const keys = generateLabKeys(id);
  const access: SshAccess = {
    privateKey: keys.privateKey,
    hostKey: keys.hostPublicKey,
    inventory: inventory.file,
    hosts: {},
  };
  const record = newRecord(id, 'ssh', known, access, options);
  const configFile = join(recordDirectory(id), 'ssh_config');
  for (const [host, machine] of machines) access.hosts[host] = { machine, configFile };
  const taken = new Set<string>();
  const log = (level: 'info' | 'warn', text: string): void => emit({ type: 'log', scenario, level, text });

  const takeAll = async (): Promise<void> => {
    writeFileSync(configFile, sshConfig([...inventory.machines, ...inventory.jumps]), { mode: 0o600 });
    const failed = new AbortController();
    const context = {
      record,
      inventory,
      machines,
      hostPrivateKey: keys.hostPrivateKey,
      loginKeyLine: keys.publicKeyLine,
      signal: AbortSignal.any([signal, failed.signal]),
      taken,
      readOnly: options.readOnly ?? false,
      log,
    };
    await Promise.allSettled(
      plan.hosts.map(async (host) => {
        const phase = { type: 'phase', scenario, phase: 'boot', host: host.name } as const;
        const begin = performance.now();
        emit({ ...phase, state: 'start', text: `${host.name} (${machines.get(host.name)!.address})` });
        try {
          await take(access.hosts[host.name]!, host, plan, context);
        } catch (error) {
          failed.abort(error);
          return;
        }
        emit({ ...phase, state: 'end', text: `${host.name} is ready`, durationMs: performance.now() - begin });
      }),
    );
    // The first failure, not that of a host which was let go because of it.
    failed.signal.throwIfAborted();
  };

  return holdLab(record, options, {
    target: (host) => targetOf(record, host),
    console: (host) => consoleOf(record, host),
    bring: takeAll,
    takeAway: () => releaseAll(record, taken, (text) => log('warn', text)),
    wording: { going: 'Taking back what was changed' },
  });
}

async function attachTo(record: LabRecord): Promise<RunningLab> {
  const own = heldLab(record);
  if (own) return own;
  const gone = (): NetrigError => new NetrigError('NETRIG_LAB_GONE', `The lab ${record.id} is not up any more.`);
  if (!holderAlive(record) || !listRecords().some(({ id }) => id === record.id)) throw gone();
  const owners = await Promise.all(
    Object.values(accessOf(record).hosts).map((access) => runAsRoot(access, ownerScript, { timeoutMs: askMs })),
  );
  if (owners.some(({ stdout }) => stdout.split(' ')[0] !== record.id)) throw gone();
  return attachedLab(record, {
    target: (host) => targetOf(record, host),
    console: (host) => consoleOf(record, host),
    down: () => destroyLab(record),
  });
}

async function destroyLab(record: LabRecord): Promise<void> {
  const own = heldLab(record);
  if (own) return own.down();
  // It takes back what it changed by itself, and nobody else as well; machines may be slow.
  await endHolder(record, undoMs * 2, { mayKill: false });
  if (!listRecords().some(({ id }) => id === record.id)) return;
  await releaseAll(record, Object.keys(accessOf(record).hosts), () => undefined);
  await removeRecord(record.id);
}

/**
 * Without an inventory, no machine is asked: labs whose holder is dead are named. With one, what they left is undone.
 */
async function sweep(): Promise<SweepReport> {
  const report: SweepReport = { removed: [], left: [] };
  const records = listRecords().filter((record) => record.provider === 'ssh');
  const dead = records.filter((record) => !holderAlive(record));
  if (process.env[consentVariable] !== '1' || inventoryFile() === null) {
    for (const record of dead) {
      const names = Object.values(accessOf(record).hosts).map(({ machine }) => machine.name);
      report.left.push({
        lab: record.id,
        what: `what it changed on ${names.join(', ')}`,
        why: `undo it by: netrig gc --inventory ${accessOf(record).inventory}`,
      });
    }
    return report;
  }
  const inventory = requireInventory();
  for (const record of dead) {
    try {
      await releaseAll(record, Object.keys(accessOf(record).hosts), (text) =>
        report.left.push({ lab: record.id, what: text, why: 'not netrig’s to remove' }),
      );
      await removeRecord(record.id);
      report.removed.push({
        lab: record.id,
        what: [
          `what it changed on ${Object.values(accessOf(record).hosts)
            .map(({ machine }) => machine.name)
            .join(', ')}`,
        ],
      });
    } catch (error) {
      report.left.push({ lab: record.id, what: 'changes', why: messageOf(error) });
    }
  }
  // Labs of this controller whose record is lost.
  await withConfig(inventory, async (access) => {
    const owners = await Promise.all(
      inventory.machines.map(async (machine) => {
        try {
          return {
            machine,
            owner: (await runAsRoot(access(machine), ownerScript, { timeoutMs: askMs })).stdout.trim(),
          };
        } catch (error) {
          report.left.push({ lab: 'unknown', what: `whatever is on ${machine.name}`, why: messageOf(error) });
          return { machine, owner: '' };
        }
      }),
    );
    for (const { machine, owner } of owners) {
      const [lab = '', controller] = owner.split(' ');
      if (owner === '' || listRecords().some(({ id }) => id === lab)) continue;
      if (controller !== controllerId()) {
        report.left.push({
          lab,
          what: `its changes on ${machine.name}`,
          why: 'it belongs to another controller, which may be using it',
        });
        continue;
      }
      const left = await release(access(machine), lab, (text) =>
        report.left.push({ lab, what: text, why: 'not netrig’s to remove' }),
      );
      if (left.length === 0) report.removed.push({ lab, what: [`what it changed on ${machine.name}`] });
      for (const what of left) report.left.push({ lab, what, why: `on ${machine.name}` });
    }
  });
  return report;
}

/** Reaches machines by a configuration file that is there only meanwhile. */
async function withConfig<T>(
  inventory: Inventory,
  work: (access: (machine: Machine) => MachineAccess) => Promise<T>,
): Promise<T> {
  const { rm, writeFile } = await import('node:fs/promises');
  const directory = temporaryDirectory('ssh');
  try {
    const configFile = join(directory, 'ssh_config');
    await writeFile(configFile, sshConfig([...inventory.machines, ...inventory.jumps]), { mode: 0o600 });
    return await work((machine) => ({ machine, configFile }));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function capabilities(): Promise<Capability[]> {
  const file = inventoryFile();
  if (file === null)
    return [
      {
        name: 'inventory',
        have: false,
        seen: 'No inventory of machines was named.',
        mend: 'Name it: --inventory FILE.',
      },
    ];
  const inventory = loadInventory(file);
  const found: Capability[] = [
    { name: 'inventory', have: true, seen: `${file} names ${inventory.machines.length} machines.` },
  ];
  // As root, in namespaces that end with the trial.
  const script = `unshare --net --mount sh -c ${quoteArg(probeScript())}`;
  const answers = await withConfig(inventory, (access) =>
    Promise.all(
      inventory.machines.map(async (machine) => {
        try {
          const { stdout, stderr } = await runAsRoot(access(machine), script, { timeoutMs: askMs });
          return { machine, found: readProbes(stdout, stderr) };
        } catch (error) {
          return { machine, found: null, why: messageOf(error) };
        }
      }),
    ),
  );
  for (const { machine, found: answer, why } of answers)
    found.push({
      name: `machine:${machine.name}`,
      have: answer !== null,
      seen: answer !== null ? `${machine.address} answers, and ${machine.user} is or becomes root.` : why!,
    });
  const asked = answers.filter((one) => one.found !== null);
  for (const { name } of kernelProbes) {
    const each = asked.map(({ machine, found: answer }) => ({
      machine,
      capability: answer!.find((one) => one.name === name)!,
    }));
    const without = each
      .filter(({ capability }) => !capability.have)
      .map(({ machine, capability }) => `${machine.name}: ${capability.seen}`);
    found.push({
      name,
      have: asked.length > 0 && without.length === 0,
      seen:
        asked.length === 0
          ? 'Not tried: no machine answered.'
          : without.length === 0
            ? `Tried on ${asked.length === 1 ? 'the machine' : `all ${asked.length} machines`}.`
            : `Not on ${without.join(' ')}`,
    });
  }
  return found;
}

/** What would be changed, for the question that is asked before the first change. */
async function asks(): Promise<string> {
  const inventory = requireInventory();
  const lines = inventory.machines.map((machine) => {
    const on = [
      ...Object.entries(machine.interfaces).map(([segment, device]) => `${device} (${segment})`),
      ...Object.keys(inventory.tunnels).map((segment) => `a new VXLAN link (${segment})`),
    ];
    return `  ${machine.name}  ${machine.user}@${machine.address}:${machine.port}${machine.jump === null ? '' : ` via ${machine.jump}`}  ${on.join(', ') || 'no segment'}`;
  });
  return [
    `These machines of ${inventory.file} would be changed, as far as scenarios name them:`,
    ...lines,
    'On each: packages of the scenario, which are purged at the end, addresses on the interfaces named, names in /etc/hosts, sysctls and',
    'routes of the scenario, container images that its engine has none of, a directory /var/lib/netrig;',
    'and whatever the scenario’s own steps do. netrig takes back what it changed itself; what steps leave on an engine it removes',
    'only from machines that the inventory calls dedicated.',
  ].join('\n');
}

/** A provider of machines that exist already, reached over SSH. */
export const sshProvider: Provider = {
  name: 'ssh',
  capabilities,
  async preflight(plan) {
    machinesFor(plan, requireInventory());
  },
  up: bring,
  attach: attachTo,
  destroy: destroyLab,
  sweep,
  asks,
};
