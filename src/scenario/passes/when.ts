import { shown, suggestion } from '../../language/wording.js';
import type { Path } from '../diagnostic.js';
import type { When } from '../scenario.js';
import type { WhenShape } from '../schema.js';
import type { Scalar } from '../variables.js';
import { engineMayFit, imageEngine } from './engines.js';
import type { DeclaredLab } from './hosts-and-segments.js';
import type { Report } from './mistakes.js';
import type { Reading } from './reading.js';

/** Whether an item's `when` could hold, gathered over all matrix combinations. */
export interface WhenSeen {
  path: Path;
  possible: boolean;
  have: Set<string>;
}

export function whenOf(when: WhenShape | undefined, variables: ReadonlyMap<string, Scalar>): When | null {
  if (when === undefined) return null;
  return {
    ...(when.engine === undefined ? {} : { engine: when.engine }),
    ...(when.image === undefined ? {} : { image: when.image }),
    ...(when.vars === undefined
      ? {}
      : {
          vars: Object.fromEntries(
            Object.entries(when.vars).map(([name, values]) => [
              name,
              { values, here: String(variables.get(name) ?? '') },
            ]),
          ),
        }),
  };
}

/** Notes whether a condition can hold on the hosts that its item is about. */
export function seeWhen(
  reading: Reading,
  when: WhenShape | undefined,
  item: Path,
  hosts: readonly string[],
  lab: DeclaredLab,
): void {
  if (when === undefined) return;
  const path = [...item, 'when'];
  // All cases of one item share its condition: it holds for some of them.
  const { line, column, file } = reading.source.place(path);
  const key = JSON.stringify([line, column, file]);
  let seen = reading.whens.get(key);
  if (seen === undefined) {
    seen = { path, possible: false, have: new Set() };
    reading.whens.set(key, seen);
  }
  if (!variablesFit(reading, when, item, seen)) return;
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

/** Whether the variables that a condition names have one of its values here; a name that is none is a mistake. */
function variablesFit(reading: Reading, when: WhenShape, item: Path, seen: WhenSeen): boolean {
  const variables = reading.variablesOf(item);
  let fit = true;
  for (const [name, values] of Object.entries(when.vars ?? {})) {
    reading.used.add(name);
    const value = variables.get(name);
    if (value === undefined) {
      seen.possible = true;
      reading.mistakes.report(
        [...item, 'when', 'vars', name],
        `no variable ${shown(name)} is declared in \`vars\` or \`matrix\`, and none of this item’s cases has it${suggestion(name, variables.keys())}`,
        'key',
      );
    } else if (!values.includes(String(value))) {
      fit = false;
      if (seen.have.size < 8) seen.have.add(`${name} is ${String(value)}`);
    }
  }
  return fit;
}

/** Says which conditions hold in none of a file's scenarios. */
export function reportImpossible(whens: ReadonlyMap<string, WhenSeen>, report: Report): void {
  for (const { path, possible, have } of whens.values()) {
    if (!possible) report(path, `this can never hold here: ${[...have].join(', ') || 'no host'}`);
  }
}
