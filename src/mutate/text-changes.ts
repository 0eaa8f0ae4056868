import { isAddress, parseCidr } from '../model/cidr.js';
import type { TextChange } from './mutation.js';
import { shellWords, type ShellWord } from './shell-lines.js';

/** A script or the like on one line, without its comments, and short enough for a table. */
export function shortly(text: string, most = 70): string {
  const said = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const line = said.join(' ; ').replace(/\s+/g, ' ');
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}

/** Stretches that are not the file's own to alter: `${variables}`, MAC and IPv6 addresses, template braces. */
function protectedStretches(text: string): [number, number][] {
  return [/\$\{[^}]*\}/g, /\b[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){3,7}/gi, /\{\{.*?\}\}/g].flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match): [number, number] => [match.index, match.index + match[0].length]),
  );
}

function alteredAddress(address: string): string {
  const octets = address.split('.').map(Number);
  const last = octets[3]! ^ 64;
  octets[3] = last === 0 || last === 255 ? octets[3]! ^ 32 : last;
  return octets.join('.');
}

/** Another network of the same length: the lowest bits of its last octet that are the network's own are turned. */
function alteredNetwork(address: string, prefix: number): string {
  const octets = address.split('.').map(Number);
  const index = Math.ceil(prefix / 8) - 1;
  const lowest = 2 ** (8 * (index + 1) - prefix);
  octets[index] = octets[index]! ^ Math.max(lowest, 64);
  return octets.join('.');
}

/** Another value for an address or subnet; `null` where there is no useful one (loopback, the address of nobody). */
export function alterAddress(text: string): string | null {
  const [address = '', bits] = text.split('/');
  if (!isAddress(address) || !address.includes('.') || /^(?:0|127|22[4-9]|23\d|24\d|25[0-5])\./.test(address))
    return null;
  if (bits === undefined) return alteredAddress(address);
  const cidr = parseCidr(text);
  if (!cidr || Number(bits) < 8) return null;
  const octets = address.split('.').map(Number);
  const value = octets.reduce((sum, octet) => sum * 256 + octet, 0);
  const isNetwork = Number(bits) < 32 && value % 2 ** (32 - Number(bits)) === 0;
  return `${isNetwork ? alteredNetwork(address, Number(bits)) : alteredAddress(address)}/${bits}`;
}

const opposites: Record<string, string> = {
  true: 'false',
  false: 'true',
  yes: 'no',
  no: 'yes',
  on: 'off',
  off: 'on',
  up: 'down',
  down: 'up',
  ACCEPT: 'DROP',
  DROP: 'ACCEPT',
  REJECT: 'ACCEPT',
};

/** Another value for a word or number that stands alone; `null` for any other text. */
export function alterScalar(
  text: string,
): { value: string; operator: 'alter-word' | 'alter-number' | 'alter-address' } | null {
  const address = alterAddress(text);
  if (address !== null) return { value: address, operator: 'alter-address' };
  const opposite = opposites[text];
  if (opposite !== undefined) return { value: opposite, operator: 'alter-word' };
  if (/^\d{1,9}$/.test(text)) return { value: alterNumber(Number(text)), operator: 'alter-number' };
  return null;
}

function alterNumber(value: number): string {
  if (value <= 1) return String(1 - value);
  return String(value >= 1000 && value < 65_535 ? value - 100 : value + 1);
}

function alterPort(port: number): string {
  return String(port === 65_535 ? port - 1 : port + 1);
}

/** Addresses, ports, switches and numbers of any text, each altered to another value of its kind. */
export function valueChanges(text: string, context: string = text): TextChange[] {
  const guarded = protectedStretches(text);
  const changes: TextChange[] = [];
  const free = (start: number, end: number): boolean =>
    !guarded.some(([from, to]) => start < to && end > from) &&
    !changes.some((change) => start < change.end && end > change.start);
  const alter = (operator: TextChange['operator'], start: number, old: string, replacement: string): void => {
    const end = start + old.length;
    if (replacement === old || !free(start, end)) return;
    changes.push({
      operator,
      start,
      end,
      replacement,
      target: old,
      what: `alters ${old} to ${replacement} in \`${shortly(context)}\``,
    });
  };

  for (const match of text.matchAll(/(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?:\/\d{1,2})?(?![\d.])/g)) {
    const altered = alterAddress(match[0]);
    if (altered !== null) alter('alter-address', match.index, match[0], altered);
  }
  // Ports after an address or name, and before another port: 10.0.0.1:2375, 8080:80.
  for (const match of text.matchAll(/(?<=[\w\]]:)\d{2,5}(?![\d.\w])|(?<![\d:.\w-])\d{2,5}(?=:\d{2,5}(?![\d:.]))/g))
    alter('alter-port', match.index, match[0], alterPort(Number(match[0])));
  for (const match of text.matchAll(
    /(?<=(?:--[ds]port|--port|-port|TCP-LISTEN:|UDP-LISTEN:)[ =]?|\s-p )\d{2,5}(?![\d:.\w])/g,
  ))
    alter('alter-port', match.index, match[0], alterPort(Number(match[0])));
  for (const match of text.matchAll(/(?<=\b(?:mtu|vlan|tag|vni|id|metric|dstport|table|ttl)[ =])\d{1,8}\b/gi))
    alter('alter-number', match.index, match[0], alterNumber(Number(match[0])));
  for (const match of text.matchAll(/(?<=[\w"]\s*[=:]\s*)(?:true|false|yes|no|on|off)\b/g))
    alter('alter-word', match.index, match[0], opposites[match[0]]!);
  for (const match of text.matchAll(/(?<=[a-z_]\s?=\s?)[01](?![\w.])|(?<=\becho )[01](?= *>)/g))
    alter('alter-word', match.index, match[0], match[0] === '0' ? '1' : '0');
  if (/\b(?:ip|ifconfig)\b/.test(context))
    for (const match of text.matchAll(/(?<=\s)(?:up|down)\b(?!\/)/g))
      alter('alter-word', match.index, match[0], opposites[match[0]]!);
  for (const match of text.matchAll(/(?<=(?:-j|-P \w+) )(?:ACCEPT|DROP|REJECT)\b/g))
    alter('alter-word', match.index, match[0], opposites[match[0]]!);
  return changes;
}

/** Options of docker that take a value in the next word, whose removal leaves a command that still runs. */
const valued = new Set([
  ...[
    '--network',
    '--net',
    '--ip',
    '--ip6',
    '--subnet',
    '--gateway',
    '--ip-range',
    '--aux-address',
    '--dns',
    '--dns-search',
    '--dns-opt',
    '--link',
    '--alias',
    '--network-alias',
  ],
  ...[
    '--hostname',
    '--publish',
    '-p',
    '--expose',
    '--add-host',
    '--cap-add',
    '--sysctl',
    '--env',
    '-e',
    '-o',
    '--opt',
    '--driver',
    '--mac-address',
    '--label',
    '--restart',
    '--pid',
  ],
  ...['--volume', '-v', '--mount', '--volumes-from', '--endpoint-mode', '--replicas', '--advertise-addr', '--scope'],
]);
const flags = new Set([
  '--internal',
  '--attachable',
  '--ipv6',
  '--privileged',
  '-P',
  '--publish-all',
  '--link-local-ip',
  '-server',
  '-bootstrap',
  '--ingress',
  '--tls',
]);
/** They name or show, and configure nothing that a network would feel. */
const kept =
  /^--?(?:name|format|filter|rm|log-level|stop-signal|help|silent|max-time|fail|data-dir|node|filter)(?:=|$)/;

/** Options of one command line, each removed with its value, and names given by `--name`, each altered. */
export function optionChanges(text: string): TextChange[] {
  const words = shellWords(text);
  const changes: TextChange[] = [];
  const remove = (from: ShellWord, to: ShellWord): void => {
    const start = text[from.start - 1] === ' ' ? from.start - 1 : from.start;
    const target = text.slice(from.start, to.end);
    changes.push({
      operator: 'remove-option',
      start,
      end: to.end,
      replacement: '',
      target,
      what: `removes ${shortly(target, 50)} from \`${shortly(text)}\``,
    });
  };
  words.forEach((word, index) => {
    const next = words[index + 1];
    const together = next !== undefined && text.slice(word.end, next.start).trim() === '';
    const named = /^--name(?:=(.+))?$/.exec(word.text);
    if (named && (named[1] !== undefined || together)) {
      const name = named[1] ?? next!.text;
      const end = named[1] === undefined ? next!.end : word.end;
      if (/^[\w.-]+$/.test(name))
        changes.push({
          operator: 'alter-name',
          start: end - name.length,
          end,
          replacement: `${name}-other`,
          target: name,
          what: `alters the name ${name} to ${name}-other in \`${shortly(text)}\``,
        });
      return;
    }
    if (kept.test(word.text)) return;
    if (/^--?[a-zA-Z][\w-]*=./.test(word.text)) remove(word, word);
    else if (flags.has(word.text)) remove(word, word);
    else if (
      together &&
      !next.text.startsWith('-') &&
      /\bdocker\b/.test(text) &&
      (valued.has(word.text) || (word.text === '-d' && /\b(?:network|volume) create\b/.test(text)))
    )
      remove(word, next);
  });
  return changes;
}
