import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { messageOf, NetrigError } from '../errors.js';
import { formatDiagnostics, sortedDiagnostics, type Diagnostic } from './diagnostic.js';
import { check } from './issues.js';
import { decodeSource, isDataMap, readSource, type SourceWording } from './source.js';

/** How ssh gets to something that exists already. Paths are absolute. */
export interface Login {
  name: string;
  address: string;
  port: number;
  user: string;
  /** File of the private key; `null`: what ssh uses by itself (the agent, the default keys). */
  key: string | null;
  /** File with host keys, which must know it. */
  knownHosts: string;
  /** The machine or jump host through which it is reached. */
  jump: string | null;
}

/** A machine that a lab may have as a host. */
export interface Machine extends Login {
  /** How commands become root: the login is root, sudo asks nothing, or sudo asks for the password in this environment variable. */
  become: 'root' | 'sudo' | { passwordVariable: string };
  /** The scenario's host that it stands for. */
  host: string;
  /** Segment → the machine's interface on it. */
  interfaces: Record<string, string>;
  /** The machine is there for labs alone: what steps leave on its engine is removed, too. */
  dedicated: boolean;
}

/** A segment that netrig builds between the machines. */
export interface TunnelSegment {
  /** VXLAN network identifier, 1 … 16777215. */
  vni: number;
  /** UDP port. */
  port: number;
}

export interface Inventory {
  /** Absolute path. */
  file: string;
  machines: Machine[];
  /** Hosts that are passed through only; nothing is asked of them but to forward. */
  jumps: Login[];
  /** By the segment's name. */
  tunnels: Record<string, TunnelSegment>;
}

const wording: SourceWording = {
  empty: 'the file is empty: an inventory begins with `machines:`',
  map: 'expected a map with `machines`',
};

// What goes into a configuration file of ssh must be one word of one line there.
const zWord = (what: string) =>
  z.string().regex(/^[\w.:@%+-]+$/, { error: `expected ${what}, without blanks or quotes` });
const zFile = z
  .string()
  .min(1)
  .regex(/^[^\n\r"\\\0]+$/, { error: 'expected a path without quotes, backslashes or line breaks' });
const zName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.-]*$/i, { error: 'a machine’s name has letters, digits, dots and hyphens' });
const zInterface = z.string().regex(/^[\w.@-]{1,15}$/, { error: 'expected the name of an interface, such as ens4' });

const login = {
  address: zWord('an address or a name that resolves to one').describe(
    'Where its sshd is: an address, or a name that resolves to one.',
  ),
  port: z.int().min(1).max(65535).default(22),
  user: zWord('a user name').default('root').describe('Who logs in.'),
  key: zFile
    .optional()
    .describe('File of the private key; without it, what ssh uses by itself: the agent, the default keys.'),
  'known-hosts': zFile.optional().describe('File with host keys, as ssh writes it. The machine must be in it.'),
  jump: zName.optional().describe('The machine or jump host of this inventory through which it is reached.'),
};

const zMachine = z.strictObject({
  ...login,
  sudo: z
    .union([
      z.boolean(),
      z.strictObject({
        'password-variable': z
          .string()
          .regex(/^[A-Za-z_]\w*$/, { error: 'expected the name of an environment variable' }),
      }),
    ])
    .optional(),
  host: z
    .string()
    .min(1)
    .optional()
    .describe('The scenario’s host that it stands for; default: the one of its own name.'),
  segments: z.record(z.string(), zInterface).default({}).describe('Its interface on each segment.'),
  dedicated: z.boolean().default(false),
});

const zLogin = z.strictObject(login);

const zInventory = z.strictObject({
  machines: z
    .record(zName, zMachine)
    .refine((machines) => Object.keys(machines).length > 0, { error: 'an inventory has at least one machine' }),
  jumps: z.record(zName, zLogin).default({}),
  segments: z
    .record(
      z.string(),
      z.strictObject({ vxlan: z.int().min(1).max(0xffffff), port: z.int().min(1).max(65535).default(4789) }),
    )
    .default({}),
});

function absolute(file: string, base: string): string {
  if (file === '~' || file.startsWith('~/')) return path.join(homedir(), file.slice(1));
  return path.resolve(base, file);
}

/** An inventory from its text, or all that is wrong with it. `file` is named in diagnostics, and relative paths begin there. */
export function readInventory(text: string, file: string): { inventory: Inventory | null; diagnostics: Diagnostic[] } {
  const source = readSource(text, file, wording);
  const diagnostics = [...source.diagnostics];
  if (!source.usable || !isDataMap(source.data)) return { inventory: null, diagnostics };
  const parsed = check(zInventory, source.data, []);
  if (!parsed.ok) {
    diagnostics.push(...parsed.problems.map((problem) => source.diagnostic(problem.path, problem.message, problem.at)));
    return { inventory: null, diagnostics: sortedDiagnostics(diagnostics) };
  }
  const found = inventoryOf(parsed.value, path.resolve(file));
  const complain: Complain = (at, message, where) => void diagnostics.push(source.diagnostic(at, message, where));
  checkWays(found, complain);
  checkMachines(found, parsed.value, complain);
  return diagnostics.length > 0
    ? { inventory: null, diagnostics: sortedDiagnostics(diagnostics) }
    : { inventory: found, diagnostics: [] };
}

type Described = z.output<typeof zInventory>;
type Complain = (at: string[], message: string, where?: 'key' | 'value') => void;

function inventoryOf(described: Described, file: string): Inventory {
  const base = path.dirname(file);
  const loginOf = (name: string, one: z.infer<typeof zLogin>): Login => ({
    name,
    address: one.address,
    port: one.port,
    user: one.user,
    key: one.key === undefined ? null : absolute(one.key, base),
    knownHosts: absolute(one['known-hosts'] ?? '~/.ssh/known_hosts', base),
    jump: one.jump ?? null,
  });
  const machines = Object.entries(described.machines).map(([name, one]): Machine => {
    const sudo = one.sudo ?? false;
    return {
      ...loginOf(name, one),
      become: sudo === false ? 'root' : sudo === true ? 'sudo' : { passwordVariable: sudo['password-variable'] },
      host: one.host ?? name,
      interfaces: { ...one.segments },
      dedicated: one.dedicated,
    };
  });
  const tunnels = Object.fromEntries(
    Object.entries(described.segments).map(([name, { vxlan, port }]) => [name, { vni: vxlan, port }]),
  );
  return { file, machines, jumps: Object.entries(described.jumps).map(([name, one]) => loginOf(name, one)), tunnels };
}

/** Jump hosts that are not there, or that lead in a circle. */
function checkWays({ machines, jumps }: Inventory, complain: Complain): void {
  const byName = new Map<string, Login>([...jumps, ...machines].map((one) => [one.name, one]));
  const ways = [
    ...machines.map((one) => ({ one, at: ['machines', one.name] })),
    ...jumps.map((one) => ({ one, at: ['jumps', one.name] })),
  ];
  for (const { one, at } of ways) {
    if (one.jump !== null && !byName.has(one.jump))
      complain(
        [...at, 'jump'],
        `there is no machine or jump host "${one.jump}" in this inventory; there is ${[...byName.keys()].join(', ')}`,
      );
    const passed = new Set([one.name]);
    for (let via = one.jump; via !== null; via = byName.get(via)?.jump ?? null) {
      if (passed.has(via)) {
        complain([...at, 'jump'], `${one.name} is reached through itself: ${[...passed, via].join(', ')}`);
        break;
      }
      passed.add(via);
    }
  }
}

function checkMachines({ machines, jumps }: Inventory, described: Described, complain: Complain): void {
  for (const { name } of jumps)
    if (Object.hasOwn(described.machines, name))
      complain(['jumps', name], `${name} stands among the machines already`, 'key');
  const hosts = new Map<string, string>();
  for (const machine of machines) {
    const at = ['machines', machine.name];
    if (machine.become === 'root' && machine.user !== 'root')
      complain(at, `${machine.user} is not root: say how to become it, by \`sudo: true\``, 'key');
    const other = hosts.get(machine.host);
    if (other !== undefined)
      complain(
        described.machines[machine.name]!.host === undefined ? at : [...at, 'host'],
        `${other} stands for the host "${machine.host}" already`,
        'key',
      );
    hosts.set(machine.host, machine.name);
    for (const segment of Object.keys(machine.interfaces)) {
      if (Object.hasOwn(described.segments, segment))
        complain(
          [...at, 'segments', segment],
          `${segment} is built as a VXLAN between the machines: no interface of theirs is on it`,
          'key',
        );
    }
  }
}

/**
 * As `readInventory`, from a file.
 *
 * @throws NETRIG_INVENTORY with every mistake and its place, or when the file cannot be read.
 */
export function loadInventory(file: string): Inventory {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new NetrigError('NETRIG_INVENTORY', `The inventory ${file} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const decoded = decodeSource(bytes, file);
  const { inventory, diagnostics } =
    'text' in decoded ? readInventory(decoded.text, file) : { inventory: null, diagnostics: decoded.diagnostics };
  if (inventory) return inventory;
  throw new NetrigError(
    'NETRIG_INVENTORY',
    `${diagnostics.length} ${diagnostics.length === 1 ? 'mistake' : 'mistakes'} in the inventory; nothing was touched.\n${formatDiagnostics(diagnostics, { color: false })}`,
  );
}
