import { isAddress, parseCidr } from '../model/cidr.js';

/** What the lines of a start-up script do to interfaces, as far as a scenario says it itself. */
export interface ScriptParts {
  addresses: { index: number; address: string }[];
  /** The lines that are left. */
  rest: string[];
  /** Commands that hosts here do not have, with the line of the script (1-based). */
  missing: { line: number; command: string }[];
  /** The first line of each part that was left as it is: a branch or loop, or all of the script. */
  unread: string[];
}

/** 255.255.255.0 as 24; `null` for what is no mask. */
function prefixOf(mask: string): number | null {
  if (!isAddress(mask) || mask.includes(':')) return null;
  const bits = mask
    .split('.')
    .map((byte) => Number(byte).toString(2).padStart(8, '0'))
    .join('');
  return /^1*0*$/.test(bits) ? bits.lastIndexOf('1') + 1 : null;
}

const device = String.raw`(?:dev\s+)?eth(\d+)`;
const words = {
  address: new RegExp(
    String.raw`^ip\s+(?:-[46]\s+)?a(?:d|dd|ddr|ddress)?\s+add\s+(\S+/\d+)(?:\s+(?:brd|broadcast)\s+\S+)?\s+dev\s+eth(\d+)$`,
  ),
  linkUp: new RegExp(
    String.raw`^(?:ip\s+l(?:ink)?\s+set\s+${device}\s+up|ip\s+l(?:ink)?\s+set\s+up\s+${device}|ifconfig\s+eth(\d+)\s+up)$`,
  ),
  ifconfig: /^ifconfig\s+eth(\d+)\s+(\S+)(?:\s+netmask\s+(\S+))?(?:\s+(?:broadcast|bcast)\s+\S+)?(?:\s+up)?$/,
  routeAdd:
    /^route\s+add\s+(?:(default)|-(net|host)\s+(\S+)(?:\s+netmask\s+(\S+))?)\s+gw\s+(\S+)(?:\s+(?:dev\s+)?eth\d+)?$/,
};

/** `ifconfig` and `route` as `ip` has them; `null` for lines that are neither, or in a way that is not known. */
function modern(line: string): { address: { index: number; address: string } } | { line: string } | null {
  const set = words.ifconfig.exec(line);
  if (set) {
    const [, index, given = '', mask] = set;
    const prefix = mask === undefined ? null : prefixOf(mask);
    const address = given.includes('/') ? given : prefix === null ? null : `${given}/${prefix}`;
    return address !== null && parseCidr(address) !== null ? { address: { index: Number(index), address } } : null;
  }
  const route = words.routeAdd.exec(line);
  if (!route) return null;
  const [, byDefault, kind, to = '', mask, via] = route;
  if (byDefault !== undefined) return { line: `ip route add default via ${via}` };
  if (kind === 'host') return { line: `ip route add ${to}/32 via ${via}` };
  const prefix = mask === undefined ? null : prefixOf(mask);
  const subnet = to.includes('/') ? to : prefix === null ? null : `${to}/${prefix}`;
  return subnet === null ? null : { line: `ip route add ${subnet} via ${via}` };
}

/** Programs of net-tools and others that host images lack (docs/on-a-host.md). */
const lacking = /^(ifconfig|route|netstat|arp|brctl|vconfig)\b/;

/** What makes the meaning of other lines unknown: here-documents, functions, lines that go on, an end before the end. */
const intertwined = /^\s*function\b|<<|\\$|\{\s*$|(?:^|[;&|]|\bthen\b|\bdo\b|\belse\b)\s*(?:exit|return)\b/;

/** How many branches and loops a line opens beyond those that it closes. */
function opened(line: string): number {
  const words = line.split(/[;&|]+/).map((part) => /^\s*(?:(?:then|do|else)\s+)*(\w+)/.exec(part)?.[1] ?? '');
  const count = (wanted: readonly string[]): number => words.filter((word) => wanted.includes(word)).length;
  return count(['if', 'for', 'while', 'until', 'case']) - count(['fi', 'done', 'esac']);
}

/**
 * Takes from a script what a scenario says of addresses and links. Branches and loops are left as they are, and so is all of a
 * script with a here-document or a function: what such a line does is not known before it runs.
 */
export function readScript(script: string): ScriptParts {
  const lines = script.split('\n');
  const whole = lines.find((line) => intertwined.test(line));
  const parts: ScriptParts = {
    addresses: [],
    rest: [],
    missing: [],
    unread: whole === undefined ? [] : [whole.trim()],
  };
  let depth = 0;
  for (const [at, raw] of lines.entries()) {
    const line = raw.trim();
    if (line === '' || /^#!/.test(line)) continue;
    const branches = depth > 0 || /^(?:if|for|while|until|case)\b/.test(line);
    if (branches) {
      if (depth === 0 && whole === undefined) parts.unread.push(line);
      depth = Math.max(0, depth + opened(line));
    }
    if (whole === undefined && !branches) {
      const address = words.address.exec(line);
      if (address && parseCidr(address[1]!) !== null) {
        parts.addresses.push({ index: Number(address[2]), address: address[1]! });
        continue;
      }
      if (words.linkUp.test(line)) continue;
      const other = modern(line);
      if (other !== null) {
        if ('address' in other) parts.addresses.push(other.address);
        else parts.rest.push(other.line);
        continue;
      }
    }
    const command = lacking.exec(line)?.[1];
    if (command !== undefined) parts.missing.push({ line: at + 1, command });
    parts.rest.push(raw.trimEnd());
  }
  return parts;
}
