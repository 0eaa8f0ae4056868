/** A rule that a packet may meet, in the words of the tool that made it. */
export interface RuleText {
  /** `iptables`, `ip6tables` or `nft`: whose words these are. */
  tool: 'iptables' | 'ip6tables' | 'nft';
  /** `filter`, or `inet firewall`. */
  table: string;
  chain: string;
  /** 1-based place in its chain, as `iptables -L --line-numbers` counts. */
  place: number;
  text: string;
}

export interface ChainPolicy {
  table: string;
  chain: string;
  policy: string;
}

/** What `iptables-save -c` lists: rules with the packets that they have met, and chains with those that met their policy. */
export interface CountedRule extends RuleText {
  packets: number;
}

export interface SavedRules {
  /** By `TABLE CHAIN`. */
  chains: Map<string, CountedRule[]>;
  policies: Map<string, { policy: string; packets: number }>;
}

/** Reads one section of `iptables-save` (with or without `-c`). */
function readSaved(text: string, tool: RuleText['tool']): SavedRules {
  const chains: SavedRules['chains'] = new Map();
  const policies: SavedRules['policies'] = new Map();
  let table = '';
  for (const line of text.split('\n')) {
    const chain = /^:(\S+) (\S+) \[(\d+):\d+\]$/.exec(line);
    const rule = /^(?:\[(\d+):\d+\] )?-A (\S+) ?(.*)$/.exec(line);
    if (line.startsWith('*')) table = line.slice(1);
    else if (chain) {
      policies.set(`${table} ${chain[1]!}`, { policy: chain[2]!, packets: Number(chain[3]) });
      chains.set(`${table} ${chain[1]!}`, []);
    } else if (rule) {
      const list = chains.get(`${table} ${rule[2]!}`) ?? [];
      list.push({
        tool,
        table,
        chain: rule[2]!,
        place: list.length + 1,
        text: rule[3]!,
        packets: Number(rule[1] ?? 0),
      });
      chains.set(`${table} ${rule[2]!}`, list);
    }
  }
  return { chains, policies };
}

/** The sections of the observer's `save`: `# nft ip`, `# nft ip6`, `# legacy ip`, `# legacy ip6`. */
export function readSaveSections(text: string): Map<string, SavedRules> {
  const found = new Map<string, SavedRules>();
  for (const part of text.split(/^(?=# (?:nft|legacy) ip6?$)/m)) {
    const head = /^# ((?:nft|legacy) (ip6?))\n/.exec(part);
    if (head) found.set(head[1]!, readSaved(part, head[2] === 'ip6' ? 'ip6tables' : 'iptables'));
  }
  return found;
}

export interface NftRules {
  /** By `FAMILY TABLE CHAIN HANDLE`. */
  rules: Map<string, RuleText>;
  /** Base chains, by `FAMILY TABLE CHAIN`. */
  policies: Map<string, ChainPolicy>;
}

/**
 * Rules by their handles, from `nft -a list ruleset`: the one form that has a rule in its author's words. Rules of tables that
 * iptables made are named in iptables' words, by their place in the chain.
 */
export function readNft(listing: string, saved: ReadonlyMap<string, SavedRules>): NftRules {
  const rules: NftRules['rules'] = new Map();
  const policies: NftRules['policies'] = new Map();
  let table: { family: string; name: string } | null = null;
  let chain: { name: string; place: number } | null = null;
  for (const line of listing.split('\n')) {
    const tableHead = /^table (\S+) (\S+) \{/.exec(line);
    const chainHead = /^\tchain (\S+) \{/.exec(line);
    const rule = /^\t\t(.+) # handle (\d+)$/.exec(line);
    const hook = /^\t\ttype \S+ hook .*?(?:; policy (\w+);)?$/.exec(line);
    if (tableHead) table = { family: tableHead[1]!, name: tableHead[2]! };
    else if (chainHead) chain = { name: chainHead[1]!, place: 0 };
    else if (!table || !chain) continue;
    else if (hook) {
      const name = `${table.family} ${table.name}`;
      policies.set(`${name} ${chain.name}`, { table: name, chain: chain.name, policy: hook[1] ?? 'accept' });
    } else if (rule) {
      chain.place += 1;
      const own = saved.get(`nft ${table.family}`)?.chains.get(`${table.name} ${chain.name}`)?.[chain.place - 1];
      rules.set(
        `${table.family} ${table.name} ${chain.name} ${rule[2]!}`,
        own ?? {
          tool: 'nft',
          table: `${table.family} ${table.name}`,
          chain: chain.name,
          place: chain.place,
          text: rule[1]!.replace(/counter packets \d+ bytes \d+ ?/, '').trim(),
        },
      );
    }
  }
  return { rules, policies };
}

/** "rule 1 of chain DOCKER-USER (filter), `-p tcp --dport 80 -j DROP`" */
export function ruleWords(rule: RuleText): string {
  return `rule ${rule.place} of chain ${rule.chain} (${rule.table}), \`${rule.text}\``;
}

/** One station of a packet's way through nftables. */
export interface Trace {
  space: string;
  /** Equal for all stations of one packet at one hook. */
  id: number;
  family: string;
  table: string;
  chain: string;
  handle: number | null;
  type: 'policy' | 'return' | 'rule';
  verdict: 'drop' | 'accept' | 'continue' | 'jump' | 'goto' | 'return' | 'other';
  policy: 'drop' | 'accept' | null;
  /** Headers, on the first station of each base chain. */
  network: Buffer | null;
  transport: Buffer | null;
  iif: number | null;
  oif: number | null;
  /** The packet's mark, on the first station of each base chain. */
  mark: number | null;
}

const families: Record<number, string> = { 1: 'inet', 2: 'ip', 3: 'arp', 5: 'netdev', 7: 'bridge', 10: 'ip6' };
const types = ['other', 'policy', 'return', 'rule'] as const;

function attributes(data: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= data.length;) {
    const length = data.readUInt16LE(at);
    if (length < 4 || at + length > data.length) break;
    found.set(data.readUInt16LE(at + 2) & 0x3fff, data.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return found;
}

function verdictOf(code: number | null): Trace['verdict'] {
  switch (code) {
    case 0:
      return 'drop';
    case 1:
      return 'accept';
    case -1:
      return 'continue';
    case -3:
      return 'jump';
    case -4:
      return 'goto';
    case -5:
      return 'return';
    default:
      return 'other';
  }
}

/**
 * Reads the netlink messages of nftables' trace group (linux/netfilter/nf_tables.h, `enum nft_trace_attributes`): one message
 * for each rule, jump and policy that a traced packet meets.
 */
export function readTraces(text: string): Trace[] {
  return text.split('\n').flatMap((line) => {
    const [space, hex] = line.split(' ');
    if (space === undefined || hex === undefined) return [];
    const found: Trace[] = [];
    const raw = Buffer.from(hex, 'hex');
    for (let at = 0; at + 20 <= raw.length;) {
      const length = raw.readUInt32LE(at);
      if (length < 20 || at + length > raw.length) break;
      const trace = readTrace(space, raw.subarray(at, at + length));
      if (trace) found.push(trace);
      at += (length + 3) & ~3;
    }
    return found;
  });
}

function readTrace(space: string, message: Buffer): Trace | null {
  // NFNL_SUBSYS_NFTABLES (10) and NFT_MSG_TRACE (17).
  if (message.readUInt16LE(4) !== ((10 << 8) | 17)) return null;
  const at = attributes(message.subarray(20));
  const word = (key: number): string => at.get(key)?.toString('latin1').replace(/\0.*$/s, '') ?? '';
  const number = (key: number): number | null => (at.has(key) ? at.get(key)!.readUInt32BE(0) : null);
  const verdict = at.get(5);
  const code = verdict ? attributes(verdict).get(1) : undefined;
  const policy = number(16);
  const type = types[number(4) ?? 0] ?? 'other';
  if (type === 'other' || word(1) === 'netrig_trace') return null;
  return {
    space,
    id: number(6) ?? 0,
    family: families[message[16]!] ?? 'other',
    table: word(1),
    chain: word(2),
    handle: at.has(3) ? Number(at.get(3)!.readBigUInt64BE(0)) : null,
    type,
    verdict: verdictOf(code ? code.readInt32BE(0) : null),
    policy: policy === null ? null : policy === 0 ? 'drop' : 'accept',
    network: at.get(8) ?? null,
    transport: at.get(9) ?? null,
    iif: number(10),
    oif: number(12),
    mark: number(14),
  };
}
