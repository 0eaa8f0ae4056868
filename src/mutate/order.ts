import { createHash } from 'node:crypto';
import type { Mutation } from './mutation.js';

/** What stands in a scenario's `steps`, as far as the order of mutations needs it. */
export interface Entry {
  kind: 'step' | 'check';
  /** Everything that the entry says, as one text. */
  text: string;
}

const words = /[A-Za-z0-9][\w.:/-]{2,}/g;
/** Words that nearly every scenario has: that a check has them too says nothing. */
const everywhere = new Set(
  'docker run network create container busybox sleep infinity name web ip addr add link set dev type bridge from the and start stop restart systemctl daemon-reload iptables via route eth0 nat step on etc exec node1 node2 host image'.split(
    ' ',
  ),
);

const base: Record<Mutation['operator'], number> = {
  'remove-step': 3,
  'remove-command': 3,
  'remove-option': 3,
  'alter-address': 3,
  'alter-port': 3,
  'remove-host': 3,
  'remove-line': 2,
  'alter-word': 2,
  'alter-number': 2,
  'remove-entry': 2,
  // A container of another name is missed by the next step before any check can be made.
  'alter-name': 0,
};

/** How likely a check is to notice: by whether checks speak of what changes, and stand before other steps that need it. */
function likelihood(mutation: Mutation, entries: readonly Entry[]): number {
  const after = entries.slice(mutation.step === null ? 0 : mutation.step + 1);
  const checks = after.filter((entry) => entry.kind === 'check');
  const own = [...new Set(mutation.target.match(words) ?? [])].filter((word) => !everywhere.has(word));
  const spoken = (entry: Entry): boolean => own.some((word) => entry.text.includes(word));
  const firstCheck = after.findIndex((entry) => entry.kind === 'check' && spoken(entry));
  const firstStep = after.findIndex((entry) => entry.kind === 'step' && spoken(entry));
  let score = base[mutation.operator];
  if (checks.length === 0) return score - 5;
  if (firstCheck >= 0) score += 3;
  if (after[0]?.kind === 'check') score += 2;
  if (firstStep >= 0 && (firstCheck < 0 || firstStep < firstCheck)) score -= 2;
  // A process that is not as it was is missed by its own `until` first, and that takes its whole time.
  if (mutation.path[2] === 'start') score -= 3;
  return score;
}

/** The likeliest first; the second of a step only after the first of every other one, so that few runs reach many places. */
export function likeliestFirst(mutations: readonly Mutation[], entries: readonly Entry[]): Mutation[] {
  const scored = mutations
    .map((mutation) => ({ mutation, score: likelihood(mutation, entries) }))
    .sort((a, b) => b.score - a.score || a.mutation.line - b.mutation.line);
  const taken = new Map<string, number>();
  return scored
    .map((one) => {
      const place = one.mutation.step === null ? one.mutation.path.slice(0, 2).join('.') : `step ${one.mutation.step}`;
      const turn = taken.get(place) ?? 0;
      taken.set(place, turn + 1);
      return { ...one, turn };
    })
    .sort((a, b) => a.turn - b.turn || b.score - a.score || a.mutation.line - b.mutation.line)
    .map((one) => one.mutation);
}

/** An order by chance: the same for the same seed and the same mutations. */
export function shuffled(mutations: readonly Mutation[], seed: string): Mutation[] {
  const draw = (one: Mutation): string => createHash('sha256').update(`${seed}\0${one.id}\0${one.what}`).digest('hex');
  return mutations
    .map((one) => ({ one, key: draw(one) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ one }) => one);
}
