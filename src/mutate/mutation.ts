import type { Path } from '../scenario/diagnostic.js';

/** What is done to one place of a scenario. */
export type Operator =
  | 'remove-step'
  | 'remove-command'
  | 'remove-line'
  | 'remove-option'
  | 'remove-entry'
  | 'remove-host'
  | 'alter-address'
  | 'alter-port'
  | 'alter-number'
  | 'alter-word'
  | 'alter-name';

/** One change of a scenario's configuration, and the file that it makes. */
export interface Mutation {
  /** `m001`: numbered in the order of the file. */
  id: string;
  operator: Operator;
  /** 1-based, in the file that was mutated. */
  line: number;
  column: number;
  /** Index in `steps`; `null` for what stands in `hosts`, `segments`, `vars` or `images`. */
  step: number | null;
  path: Path;
  /** One line: "removes `ip link set eth0 up`". */
  what: string;
  /** The text that goes or is altered: what checks may speak of. */
  target: string;
  /** Why nobody can notice it, where a comment `# survives: REASON` in the file says so; else `null`. */
  accepted: string | null;
  /** The whole mutated file. Throws when no YAML comes of it (an anchor went that others refer to). */
  text(): string;
}

/** A change inside one text, by offsets in UTF-16 code units. */
export interface TextChange {
  operator: Operator;
  start: number;
  end: number;
  replacement: string;
  what: string;
  target: string;
}
