/** One rule as iptables-save prints it. */
export interface Rule {
  chain: string;
  /** What it says, by the words of `ruleFields`; a negated value begins with "! ". */
  values: Readonly<Record<string, string>>;
  /** Without its counters. */
  raw: string;
  packets: number;
  bytes: number;
}

export interface Chain {
  /** `null` for chains that somebody made, which have none. */
  policy: string | null;
  /** Packets and bytes that came to the chain's end, so that its policy was applied. */
  packets: number;
  bytes: number;
}

export interface Table {
  name: string;
  chains: Map<string, Chain>;
  rules: Rule[];
}

/** The words of a selector with the options that they stand for, and what they mean. */
export const ruleFields = {
  source: { options: ['-s'], about: 'Source: an address or a subnet.' },
  destination: { options: ['-d'], about: 'Destination: an address or a subnet.' },
  in: { options: ['-i'], about: 'Interface that the packet came in by.' },
  out: { options: ['-o'], about: 'Interface that the packet goes out by.' },
  protocol: { options: ['-p'], about: 'tcp, udp, icmp, …' },
  sport: { options: ['--sport', '--sports'], about: 'Source port, or several.' },
  dport: { options: ['--dport', '--dports'], about: 'Destination port, or several.' },
  state: { options: ['--ctstate', '--state'], about: 'States of the connection: RELATED,ESTABLISHED.' },
  'src-type': { options: ['--src-type'], about: 'Type of the source address: LOCAL.' },
  'dst-type': { options: ['--dst-type'], about: 'Type of the destination address: LOCAL.' },
  'icmp-type': { options: ['--icmp-type', '--icmpv6-type'], about: 'Type of the ICMP message, as a number.' },
  'tcp-flags': {
    options: ['--tcp-flags'],
    about: 'Flags that are looked at, and those of them that are set: FIN,SYN,RST,ACK SYN.',
  },
  'match-set': { options: ['--match-set'], about: 'Set of ipset, with the directions.' },
  mark: { options: ['--mark'], about: 'Mark of the packet.' },
  comment: { options: ['--comment'], about: 'Comment.' },
  jump: { options: ['-j', '-g'], about: 'Target: ACCEPT, DROP, DNAT, MASQUERADE, or a chain.' },
  to: { options: ['--to-destination', '--to-source', '--to-ports'], about: 'New address and port of DNAT and SNAT.' },
  'reject-with': { options: ['--reject-with'], about: 'What REJECT answers with.' },
} as const satisfies Record<string, { options: readonly string[]; about: string }>;

const fieldOf = new Map<string, string>(
  Object.entries(ruleFields).flatMap(([name, { options }]) => options.map((option) => [option, name] as const)),
);

/** Chains that a table has by itself. The nft variant of iptables lists a table only once somebody has used it. */
const builtIn: Readonly<Record<string, readonly string[]>> = {
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  raw: ['PREROUTING', 'OUTPUT'],
  security: ['INPUT', 'FORWARD', 'OUTPUT'],
};

interface Word {
  text: string;
  /** Never an option, whatever it says: `--log-prefix "-j"`. */
  quoted: boolean;
}

/** Words of a line; in quotes, a backslash makes what follows it stand for itself (iptables-save writes comments so). `null` for an open quote. */
function words(line: string): Word[] | null {
  const found: Word[] = [];
  let rest = line.trimStart();
  while (rest !== '') {
    const quoted = /^"((?:[^"\\]|\\.)*)"(?=\s|$)/.exec(rest);
    const plain = /^[^\s"]\S*/.exec(rest);
    const word = quoted ?? plain;
    if (!word) return null;
    found.push({ text: quoted ? quoted[1]!.replace(/\\(.)/g, '$1') : word[0], quoted: quoted !== null });
    rest = rest.slice(word[0].length).trimStart();
  }
  return found;
}

/** A single address is listed with its prefix length, /32 or /128, which people leave out. */
export function plainAddress(value: string): string {
  return value
    .replace(/^((?:! )?\d+\.\d+\.\d+\.\d+)\/32$/, '$1')
    .replace(/^((?:! )?[0-9a-f:]*:[0-9a-f:.]*)\/128$/i, '$1');
}

/** `[12:720] -A FORWARD -i docker0 -j ACCEPT`. `null` for what is no rule. */
export function parseRule(line: string): Rule | null {
  const [, packets, bytes, text] = /^(?:\[(\d+):(\d+)\] )?(-A .+)$/.exec(line.trimEnd()) ?? [];
  if (text === undefined) return null;
  const [, first, ...list] = words(text) ?? [];
  const chain = first?.text;
  if (chain === undefined) return null;
  const values: Record<string, string> = {};
  for (let at = 0; at < list.length; at += 1) {
    const option = list[at]!;
    const field = option.quoted ? undefined : fieldOf.get(option.text);
    if (field === undefined) continue;
    const before = list[at - 1];
    const negated = before?.text === '!' && !before.quoted;
    const several = field === 'match-set' || field === 'tcp-flags' ? 2 : 1;
    const operands = list.slice(at + 1, at + 1 + several);
    if (operands.length < several || operands.some((one) => !one.quoted && fieldOf.has(one.text))) return null;
    const value = operands.map((one) => one.text).join(' ');
    values[field] =
      `${negated ? '! ' : ''}${field === 'source' || field === 'destination' ? plainAddress(value) : value}`;
    at += several;
  }
  return { chain, values, raw: text, packets: Number(packets ?? 0), bytes: Number(bytes ?? 0) };
}

/**
 * What `iptables-save -c -t TABLE` printed; `null` where a line is in no known form, or the table's end is missing.
 *
 * The nft variant leaves out a table that holds what iptables cannot say, with one line that looks like a comment and exit
 * status 0 (seen in 1.8.7 and 1.8.13): of such a table nothing is known.
 */
export function parseTable(name: string, text: string): Table | null {
  const table: Table = {
    name,
    chains: new Map((builtIn[name] ?? []).map((chain) => [chain, { policy: 'ACCEPT', packets: 0, bytes: 0 }])),
    rules: [],
  };
  let inside = false;
  for (const line of text.split('\n')) {
    if (/^# Table .* is incompatible/.test(line)) return null;
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('*')) {
      inside = line.slice(1).trim() === name;
      continue;
    }
    if (line === 'COMMIT') {
      inside = false;
      continue;
    }
    if (!inside) return null;
    const chain = /^:(\S+) (\S+) \[(\d+):(\d+)\]$/.exec(line.trimEnd());
    if (chain) {
      table.chains.set(chain[1]!, {
        policy: chain[2] === '-' ? null : chain[2]!,
        packets: Number(chain[3]),
        bytes: Number(chain[4]),
      });
      continue;
    }
    const rule = parseRule(line);
    if (rule === null) return null;
    table.rules.push(rule);
  }
  return inside ? null : table;
}
