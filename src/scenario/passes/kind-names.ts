import type { CheckKind } from '../../checks/kind.js';
import type { StepKind } from '../../steps/kind.js';
import type { Kinds } from '../kinds.js';
import type { DataMap } from '../source.js';

/** The kinds of a language by their names, in the order that it has them. */
export interface KindsByName {
  steps: ReadonlyMap<string, StepKind>;
  checks: ReadonlyMap<string, CheckKind>;
}

const made = new WeakMap<Kinds, KindsByName>();

/** A file has thousands of keys, and each may be the name of a kind. */
export function kindsByName(kinds: Kinds): KindsByName {
  let names = made.get(kinds);
  if (names === undefined) {
    names = {
      steps: new Map(kinds.steps.map((kind) => [kind.name, kind])),
      checks: new Map(kinds.checks.map((kind) => [kind.name, kind])),
    };
    made.set(kinds, names);
  }
  return names;
}

/** The kinds whose names are keys of an item, in the order of the language. */
export function kindsIn<Kind extends { name: string }>(item: DataMap, known: ReadonlyMap<string, Kind>): Kind[] {
  const found = Object.keys(item).flatMap((key) => known.get(key) ?? []);
  return found.length < 2 ? found : [...known.values()].filter((kind) => kind.name in item);
}
