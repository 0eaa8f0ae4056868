import type { Path } from '../diagnostic.js';
import type { When } from '../scenario.js';
import type { WhenShape } from '../schema.js';
import { engineMayFit, imageEngine } from './engines.js';
import type { DeclaredLab } from './hosts-and-segments.js';
import type { Report } from './mistakes.js';

/** Whether an item's `when` could hold, gathered over all matrix combinations. */
export interface WhenSeen {
  path: Path;
  possible: boolean;
  have: Set<string>;
}

export function whenOf(when: WhenShape | undefined): When | null {
  if (when === undefined) return null;
  return {
    ...(when.engine === undefined ? {} : { engine: when.engine }),
    ...(when.image === undefined ? {} : { image: when.image }),
  };
}

/** Notes whether a condition can hold on the hosts that its item is about. */
export function seeWhen(
  whens: Map<number, WhenSeen>,
  when: WhenShape | undefined,
  index: number,
  hosts: readonly string[],
  lab: DeclaredLab,
): void {
  if (when === undefined) return;
  let seen = whens.get(index);
  if (seen === undefined) {
    seen = { path: ['steps', index, 'when'], possible: false, have: new Set() };
    whens.set(index, seen);
  }
  // Seen from hosts without an engine (a router, a client), the condition is about the lab's engines.
  const none = when.engine !== undefined && hosts.every((host) => lab.images.has(host) && !lab.hasEngine(host));
  for (const host of none ? lab.hostNames : hosts) {
    if (seen.possible) return;
    const image = lab.images.get(host);
    // A host with a mistake about its image leaves the question open.
    if (image === undefined) {
      seen.possible = true;
      return;
    }
    const engine = lab.hasEngine(host) ? imageEngine(image) : null;
    if (seen.have.size < 8)
      seen.have.add(`${host} is ${image}${engine === null ? ' without an engine' : ` with engine ${engine.version}`}`);
    const imageFits = when.image === undefined || when.image.includes(image);
    const versionFits = when.engine === undefined || (engine !== null && engineMayFit(image, when.engine));
    seen.possible = imageFits && versionFits;
  }
}

/** Says which conditions hold in none of a file's scenarios. */
export function reportImpossible(whens: ReadonlyMap<number, WhenSeen>, report: Report): void {
  for (const { path, possible, have } of whens.values()) {
    if (!possible) report(path, `this can never hold here: ${[...have].join(', ') || 'no host'}`);
  }
}
