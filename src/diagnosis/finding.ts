import type { RootCause } from '../model/verdict.js';
import type { Space, World } from './world.js';
import { holdersOf } from './world.js';

/** What stops a packet, and how that is known. */
export interface Finding {
  rootCause: RootCause | null;
  /** A clause: "server drops it: rule 1 of …". */
  sentence: string;
  evidence: string[];
  mend: string | null;
  /** Where it is stopped. */
  at: Space | null;
  /** The rule that stopped it, in the words of its tool. */
  rule?: string;
}

export function finding(
  at: Space | null,
  rootCause: RootCause | null,
  sentence: string,
  more: { evidence?: string[]; mend?: string } = {},
): Finding {
  return { at, rootCause, sentence, evidence: more.evidence ?? [], mend: more.mend ?? null };
}

/** "web1 on server", or the address itself when nobody has it, or several have. */
export function ownerWords(world: World, address: string): string {
  const owners = [...new Set(holdersOf(world, address).map(({ space }) => space.label))];
  return owners.length === 1 ? `${owners[0]!} (${address})` : address;
}
