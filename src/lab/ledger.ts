import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { named } from './own-file.js';

/**
 * One thing that a lab made, with all that is needed to take it away again. Network, mount and pid namespaces have no entry:
 * the kernel removes them with their last process.
 */
export type LedgerEntry =
  /** Undone by removing the directory and those below it. */
  | { kind: 'cgroup'; path: string }
  /** Undone by SIGKILL to that very process. `role`: `segments`, the host whose process it is, or `users of` that host for what holds its user namespace while it boots. */
  | { kind: 'process'; role: string; pid: number; startTime: number };

export interface Ledger {
  /** All that was added, also when the file is gone. */
  readonly entries: readonly LedgerEntry[];
  add(entry: LedgerEntry): void;
  close(): void;
}

const fileName = 'ledger.jsonl';

/**
 * Opens the ledger of a lab's directory for appending.
 *
 * An entry is in the kernel's hands when `add` returns, so it outlives this process, however that ends. It is not synced to
 * the disk: what a ledger undoes does not outlive the machine either. A process's entry follows its start, as its pid is not
 * known before; until the entry is written, the process waits at a pipe from this one and ends when the pipe does.
 */
export function openLedger(directory: string): Ledger {
  const file = join(directory, fileName);
  const fd = openSync(file, 'a', 0o600);
  const entries: LedgerEntry[] = [];
  let open = true;
  return {
    entries,
    add: (entry) => {
      entries.push(entry);
      named(file, () => writeSync(fd, `${JSON.stringify(entry)}\n`));
    },
    close: () => {
      if (open) closeSync(fd);
      open = false;
    },
  };
}

function isEntry(value: unknown): value is LedgerEntry {
  if (typeof value !== 'object' || value === null) return false;
  const entry = value as Partial<Record<string, unknown>>;
  if (entry['kind'] === 'cgroup') return typeof entry['path'] === 'string';
  return entry['kind'] === 'process' && Number.isSafeInteger(entry['pid']) && Number.isSafeInteger(entry['startTime']);
}

/** All entries in the order they were written; none when there is no ledger. A last line cut off by a crash is left out. */
export function readLedger(directory: string): LedgerEntry[] {
  let text: string;
  try {
    text = readFileSync(join(directory, fileName), 'utf8');
  } catch {
    return [];
  }
  return text.split('\n').flatMap((line) => {
    try {
      const value: unknown = JSON.parse(line);
      return isEntry(value) ? [value] : [];
    } catch {
      return [];
    }
  });
}
