import type { RootCause } from '../../src/model/verdict.js';

/** Commands by the host that they run on. */
export type Commands = Record<string, string>;

/** What is done to a lab, and undone. */
export interface Change {
  plant: Commands;
  /** Done after `plant`. */
  then?: Commands;
  mend: Commands;
}

/** A fault that is planted in a lab that works, and what netrig must say of it. */
export interface Fault extends Change {
  name: string;
  /** A check that passes before the fault and after it is mended, and fails in between. */
  check: [kind: string, spec: Record<string, unknown>];
  /** `null`: the check says it, without a diagnosis. */
  root: RootCause | RootCause[] | null;
  /** What must stand in the sentence: the very thing. */
  says: RegExp;
  /** What would be false. */
  never?: RegExp;
  /** What a kernel may lack that planting takes: where it cannot be planted, it is skipped by that name. */
  needs?: string;
  /** In the short selection that runs with the lab tests. */
  fast?: true;
}

/**
 * What looks like a fault on the way and is none, or a failure that is not the network's: no cause may be said but `root`, which
 * is why the check fails.
 */
export interface Harmless extends Change {
  name: string;
  check: Fault['check'];
  verdict: 'pass' | 'fail';
  root: RootCause | null;
  /** What must stand in the sentence, where there is one. */
  says?: RegExp;
}

/** A lab that works, what can be wrong in it, and what can't. */
export interface Family {
  name: string;
  lab: string;
  /** What the kernel must have for it; see `netrig doctor`. */
  needs?: string[];
  faults: Fault[];
  harmless?: Harmless[];
}

/** On one host. */
export function on(host: string, plant: string, mend: string): Change {
  return { plant: { [host]: plant }, mend: { [host]: mend } };
}

/** Nothing is changed. */
export const nothing: Change = { plant: {}, mend: {} };

/** Several changes at once, undone in the same order. */
export function all(...changes: Change[]): Change {
  const joined = (which: 'plant' | 'mend'): Commands => {
    const found: Commands = {};
    for (const change of changes)
      for (const [host, command] of Object.entries(change[which]))
        found[host] = host in found ? `${found[host]!}; ${command}` : command;
    return found;
  };
  return { plant: joined('plant'), mend: joined('mend') };
}

/** `-t TABLE CHAIN MATCHES…` becomes the first rule of its chain. */
export function rule(host: string, words: string, tool = 'iptables'): Change {
  const [, table = '', rest = ''] = /^(-t \S+ )?(.*)$/.exec(words)!;
  return on(host, `${tool} ${table}-I ${rest}`, `${tool} ${table}-D ${rest}`);
}

/** The policy of a chain is DROP for the time. */
export function policy(host: string, chain: string, tool = 'iptables'): Change {
  return on(host, `${tool} -P ${chain} DROP`, `${tool} -P ${chain} ACCEPT`);
}

/** A table of nftables with one chain and these rules. */
export function nft(host: string, family: string, hook: string, rules: string[]): Change {
  const made = rules.map((text) => `nft add rule ${family} wall onward ${text}`);
  const chain = `nft "add chain ${family} wall onward { type filter hook ${hook}; }"`;
  return on(host, [`nft add table ${family} wall`, chain, ...made].join('; '), `nft delete table ${family} wall`);
}

export function sysctl(host: string, name: string, bad: number, good: number): Change {
  return on(host, `sysctl -w ${name}=${bad}`, `sysctl -w ${name}=${good}`);
}

/** `ip WHAT add WORDS`, taken away again. */
export function added(host: string, what: string, words: string): Change {
  return on(host, `ip ${what} add ${words}`, `ip ${what} del ${words}`);
}

/** `ip WHAT del WORDS`, added again. */
export function removed(host: string, what: string, words: string): Change {
  return on(host, `ip ${what} del ${words}`, `ip ${what} add ${words}`);
}

/** The words with which a command enters the network namespace of a container. */
export function within(container: string): string {
  return `nsenter -t $(docker inspect -f "{{.State.Pid}}" ${container}) -n`;
}
